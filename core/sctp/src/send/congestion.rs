//! The congestion window: NewReno. RFC 9260 section 7.2.
//!
//! Where it differs: the window starts at ten packets (RFC 6928), as everywhere else today; slow start grows by all bytes that
//! a SACK newly acknowledges (RFC 9260 allows one MTU per SACK, but one SACK here answers a batch of packets); a loss
//! among packets that were sent before the last reduction does not reduce again (RFC 9002 section 7.3.2), which keeps fast recovery a matter of packet numbers; and
//! a reduction is taken back when every loss behind it turns out to be late arrival. Slow start ends when the round trip grows
//! (HyStart++, `slow_start.rs`): otherwise it ends with every other packet of a window lost, more holes than a SACK can name.

use std::time::Duration;

use super::PacketNumber;
use super::slow_start::SlowStart;

/// Packets in the initial window. RFC 6928.
const INITIAL_PACKETS: usize = 10;
/// The least that a loss leaves. RFC 9260 section 7.2.3.
const MIN_PACKETS: usize = 4;
/// More than any path needs that this protocol is used on.
const MAX_WINDOW: usize = 64 << 20;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    mtu: usize,
    window: usize,
    slow_start_threshold: usize,
    /// Bytes acknowledged towards the next MTU, in congestion avoidance.
    partial_bytes_acked: usize,
    /// Losses of packets before this one were answered already.
    recovery_until: PacketNumber,
    undo: Option<Undo>,
    slow_start: SlowStart,
}

/// What the window was before the last reduction.
#[derive(Clone, Copy, Debug)]
struct Undo {
    window: usize,
    slow_start_threshold: usize,
    /// Losses not yet known to be false.
    losses: u32,
}

impl Congestion {
    pub fn new(mtu: usize) -> Self {
        Self {
            mtu,
            window: INITIAL_PACKETS * mtu,
            slow_start_threshold: usize::MAX,
            partial_bytes_acked: 0,
            recovery_until: 0,
            undo: None,
            slow_start: SlowStart::default(),
        }
    }

    /// A round trip was measured, on packet `number`; `next` is the one to be sent next.
    pub fn on_round_trip(&mut self, number: PacketNumber, next: PacketNumber, rtt: Duration) {
        if self.window < self.slow_start_threshold && self.slow_start.measure(number, next, rtt) {
            self.slow_start_threshold = self.window;
        }
    }

    /// Bytes that may be in flight.
    pub fn window(&self) -> usize {
        self.window
    }

    /// `acked` bytes arrived, `flight` were on their way before, `newest` is the latest packet among them.
    pub fn on_ack(&mut self, acked: usize, flight: usize, newest: PacketNumber) {
        // Section 7.2.1: only a window that is used may grow, and none that just shrank.
        if newest < self.recovery_until || flight + self.mtu < self.window {
            return;
        }
        if self.window < self.slow_start_threshold {
            self.window += acked / self.slow_start.growth_divisor();
        } else {
            self.partial_bytes_acked += acked;
            if self.partial_bytes_acked >= self.window {
                self.partial_bytes_acked -= self.window;
                self.window += self.mtu;
            }
        }
        self.window = self.window.min(MAX_WINDOW);
    }

    /// Packet `lost` is missing; `next` is the number of the packet to be sent next. Says whether the window shrank.
    pub fn on_loss(&mut self, lost: PacketNumber, next: PacketNumber) -> bool {
        if lost < self.recovery_until {
            if let Some(undo) = &mut self.undo {
                undo.losses += 1;
            }
            return false;
        }
        self.undo = Some(Undo { window: self.window, slow_start_threshold: self.slow_start_threshold, losses: 1 });
        self.slow_start_threshold = (self.window / 2).max(MIN_PACKETS * self.mtu);
        self.window = self.slow_start_threshold;
        self.partial_bytes_acked = 0;
        self.recovery_until = next;
        true
    }

    /// What was called lost arrived after all.
    pub fn on_false_loss(&mut self) {
        let Some(undo) = &mut self.undo else { return };
        undo.losses -= 1;
        if undo.losses == 0 {
            self.window = self.window.max(undo.window);
            self.slow_start_threshold = self.slow_start_threshold.max(undo.slow_start_threshold);
            self.recovery_until = 0;
            self.undo = None;
        }
    }

    /// The retransmission timer expired. Section 7.2.3.
    pub fn on_timeout(&mut self, next: PacketNumber) {
        self.slow_start_threshold = (self.window / 2).max(MIN_PACKETS * self.mtu);
        self.window = self.mtu;
        self.slow_start = SlowStart::default();
        self.partial_bytes_acked = 0;
        self.recovery_until = next;
        self.undo = None;
    }

    /// Nothing was sent for `idle`: half the window goes with every timeout, but not the initial one. Section 7.2.1.
    pub fn on_idle(&mut self, idle: Duration, rto: Duration) {
        let periods = (idle.as_micros() / rto.as_micros().max(1)).min(32) as u32;
        let floor = (INITIAL_PACKETS * self.mtu).min(self.window);
        self.window = (self.window >> periods).max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_shrinks() {
        let mut congestion = Congestion::new(1000);
        assert_eq!(congestion.window(), 10_000);
        congestion.on_ack(10_000, 10_000, 10);
        assert_eq!(congestion.window(), 20_000);
        congestion.on_ack(10_000, 5_000, 11);
        assert_eq!(congestion.window(), 20_000, "not used, not grown");
        assert!(congestion.on_loss(12, 40));
        assert!(!congestion.on_loss(39, 50), "once a round trip");
        assert_eq!(congestion.window(), 10_000);
        congestion.on_ack(10_000, 10_000, 39);
        assert_eq!(congestion.window(), 10_000, "recovering");
        congestion.on_ack(10_000, 10_000, 40);
        assert_eq!(congestion.window(), 11_000, "one MTU a round trip");
        congestion.on_timeout(60);
        assert_eq!(congestion.window(), 1000);
    }

    #[test]
    fn false_losses_are_taken_back() {
        let mut congestion = Congestion::new(1000);
        congestion.on_ack(10_000, 10_000, 10);
        congestion.on_loss(12, 40);
        congestion.on_loss(13, 40);
        congestion.on_false_loss();
        assert_eq!(congestion.window(), 10_000);
        congestion.on_false_loss();
        assert_eq!(congestion.window(), 20_000);
        congestion.on_idle(Duration::from_secs(9), Duration::from_secs(1));
        assert_eq!(congestion.window(), 10_000);
    }
}
