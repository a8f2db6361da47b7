//! An idle association is small: what a transfer made grow is given back soon after it.
//!
//! While packets move, nothing is given back and nothing allocated. The timer exists only while there is something large to
//! give back; a conversation of small messages never starts it.

use std::time::Duration;

use wigwag_proto::Instant;

use super::Association;

/// Nothing moved for this long: longer than the pauses of a transfer, and than most between two.
const IDLE: Duration = Duration::from_secs(2);
/// Events whose places are kept.
const FEW_EVENTS: usize = 64;

impl Association {
    /// A packet came or went.
    pub(super) fn stir(&mut self) {
        self.stirred_at = self.now;
        if self.timers.release.is_none() && self.has_grown() {
            self.timers.release = Some(self.now + IDLE);
        }
    }

    /// Gives back what is not used, or waits on.
    pub(super) fn release_if_idle(&mut self, now: Instant) {
        let idle_at = self.stirred_at + IDLE;
        if idle_at > now {
            self.timers.release = Some(idle_at);
        } else {
            self.release_memory();
        }
    }

    pub(super) fn release_memory(&mut self) {
        self.send.release_memory();
        if let Some(peer) = &mut self.peer {
            peer.receive.release_memory();
        }
        self.events.shrink_to_fit();
        self.early_messages.shrink_to_fit();
    }

    fn has_grown(&self) -> bool {
        let received = self.peer.as_ref().is_some_and(|peer| peer.receive.has_grown());
        received || self.send.has_grown() || self.events.capacity() > FEW_EVENTS
    }
}
