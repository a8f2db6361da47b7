//! How late a packet may be before it counts as lost: the reordering window of RACK. RFC 8985 section 6.2.
//!
//! As long as nothing ever came out of order, three later packets are proof enough. Where packets overtake each other, only time is: a round trip and
//! a quarter of the shortest one, or more quarters if that turned out to be too few, up to another round trip.

use std::time::Duration;

use super::PacketNumber;
use super::rtt::Rtt;

/// Later packets that are proof of a loss, on a path that keeps their order.
const LATER_PACKETS: PacketNumber = 3;
/// Recoveries without a false loss after which the window is narrow again.
const RECOVERIES: u32 = 16;
const GRANULARITY: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reordering {
    is_seen: bool,
    /// Quarters of the shortest round trip, beyond the first.
    more: u32,
    /// Falsehoods about packets before this one are one falsehood.
    widened_at: PacketNumber,
    /// Recoveries since the last one that was false.
    recoveries: u32,
}

impl Reordering {
    /// A packet came that had been overtaken.
    pub fn see(&mut self) {
        self.is_seen = true;
    }

    /// What was called lost came; `newest` is the packet that is known to have arrived, `next` the one to be sent next.
    pub fn on_false_loss(&mut self, newest: PacketNumber, next: PacketNumber) {
        self.is_seen = true;
        self.recoveries = 0;
        if newest >= self.widened_at {
            self.more = self.more.saturating_add(1).min(64);
            self.widened_at = next;
        }
    }

    pub fn on_recovery(&mut self) {
        self.recoveries += 1;
        if self.recoveries >= RECOVERIES {
            *self = Self { widened_at: self.widened_at, is_seen: self.is_seen, ..Self::default() };
        }
    }

    /// `later` packets that left later than one have arrived.
    pub fn is_lost(&self, later: PacketNumber) -> bool {
        !self.is_seen && later >= LATER_PACKETS
    }

    /// How long after its sending a packet counts as lost, when a later one has arrived.
    pub fn delay(&self, rtt: &Rtt) -> Duration {
        let usual = rtt.usual();
        let window = (rtt.min() / 4 * (1 + self.more)).min(usual).max(GRANULARITY);
        usual + window
    }
}
