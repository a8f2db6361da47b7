//! Tail loss probes. RFC 8985 section 7.
//!
//! The last packet of a burst has no later one whose arrival would tell that it was lost. So when nothing was heard for two round trips, one more is
//! sent: what comes next, or the newest again. Its acknowledgement tells what is missing; without the probe that would take T3-rtx, and cost the window.

use std::time::Duration;

use wigwag_proto::Instant;

use super::{Cause, PieceState, Send};

/// A peer may delay its SACK for so long (RFC 9260 section 6.2) when a packet came alone.
const SACK_DELAY: Duration = Duration::from_millis(200);
/// As short as timers are reliable.
const SHORTEST: Duration = Duration::from_millis(10);

impl Send {
    /// Something left or was acknowledged. Section 7.2.
    pub(super) fn arm_tail_probe(&mut self, now: Instant) {
        let usable = self.flight.bytes > 0 && self.flight.lost == 0 && !self.timed_out && self.probe.is_none();
        self.tail_probe_at = self.rtt.smoothed().filter(|_| usable).map(|smoothed| {
            let is_alone = self.flight.bytes <= self.mtu;
            now + (smoothed * 2).max(SHORTEST) + if is_alone { SACK_DELAY } else { Duration::ZERO }
        });
    }

    /// Section 7.3.
    pub(super) fn probe_tail(&mut self) {
        self.tail_probe_at = None;
        if self.flight.bytes == 0 || self.flight.lost > 0 {
            return;
        }
        self.counts.tail_probes += 1;
        self.one_more = true;
        if self.wanted().is_some() {
            return;
        }
        let newest = self.ring.iter_mut().enumerate().rev().find(|(_, piece)| piece.state == PieceState::InFlight);
        let Some((index, piece)) = newest else { return };
        self.flight.remove(piece);
        self.flight.lost += 1;
        (piece.state, piece.cause) = (PieceState::Lost, Cause::Probe);
        self.lost.push_front(self.base.wrapping_add(index as u32));
    }
}
