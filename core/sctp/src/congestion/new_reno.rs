//! NewReno: a packet more each round trip, half at a loss. RFC 9260 section 7.2.
//!
//! Where it differs: the window starts at ten packets (RFC 6928), as everywhere else today; slow start grows by all bytes that
//! a SACK newly acknowledges (RFC 9260 allows one MTU per SACK, but one SACK here answers a batch of packets). Slow start ends when the round trip grows
//! (HyStart++, `slow_start.rs`): otherwise it ends with every other packet of a window lost, more holes than a SACK can name.

use std::time::Duration;

use super::slow_start::SlowStart;
use super::{Ack, Controller, INITIAL_PACKETS, Loss, MAX_WINDOW, MIN_PACKETS};

/// The classic.
#[derive(Clone, Copy, Debug)]
pub struct NewReno {
    mtu: usize,
    window: usize,
    slow_start_threshold: usize,
    /// Bytes acknowledged towards the next MTU, in congestion avoidance.
    partial_bytes_acked: usize,
    /// The window and the threshold before the last reduction.
    before: Option<(usize, usize)>,
    slow_start: SlowStart,
    smoothed: Duration,
}

impl NewReno {
    /// `mtu`: the packet size that is counted in, in bytes.
    pub fn new(mtu: usize) -> Self {
        Self {
            mtu,
            window: INITIAL_PACKETS * mtu,
            slow_start_threshold: usize::MAX,
            partial_bytes_acked: 0,
            before: None,
            slow_start: SlowStart::default(),
            smoothed: Duration::ZERO,
        }
    }

    fn reduce(&mut self) {
        self.before = Some((self.window, self.slow_start_threshold));
        self.slow_start_threshold = (self.window / 2).max(MIN_PACKETS * self.mtu);
        self.partial_bytes_acked = 0;
    }
}

/// What a window sends at, so that its packets are spread over the round trip with some room: twice in slow start, else 5/4, as Linux does.
pub(super) fn spread(window: usize, smoothed: Duration, is_slow_start: bool) -> Option<u64> {
    let micros = smoothed.as_micros() as u64;
    let quarters = if is_slow_start { 8 } else { 5 };
    (window as u64 * 1_000_000 / 4 * quarters).checked_div(micros)
}

impl Controller for NewReno {
    fn window(&self) -> usize {
        self.window
    }

    fn pacing_rate(&self) -> Option<u64> {
        spread(self.window, self.smoothed, self.window < self.slow_start_threshold)
    }

    fn on_ack(&mut self, ack: &Ack) {
        self.smoothed = ack.smoothed_round_trip;
        let is_slow_start = self.window < self.slow_start_threshold;
        if let Some(rtt) = ack.round_trip.filter(|_| is_slow_start)
            && self.slow_start.measure(ack.begins_round, rtt)
        {
            self.slow_start_threshold = self.window;
        }
        // Section 7.2.1: only a window that is used may grow, and none that just shrank.
        if ack.in_recovery || ack.in_flight_before + self.mtu < self.window {
            return;
        }
        if self.window < self.slow_start_threshold {
            self.window += ack.acked / self.slow_start.growth_divisor();
        } else {
            self.partial_bytes_acked += ack.acked;
            if self.partial_bytes_acked >= self.window {
                self.partial_bytes_acked -= self.window;
                self.window += self.mtu;
            }
        }
        self.window = self.window.min(MAX_WINDOW);
    }

    fn on_loss(&mut self, loss: &Loss) {
        if loss.begins_recovery {
            self.reduce();
            self.window = self.slow_start_threshold;
        }
    }

    fn on_timeout(&mut self) {
        self.reduce();
        self.window = self.mtu;
        self.slow_start = SlowStart::default();
    }

    fn undo(&mut self) {
        if let Some((window, threshold)) = self.before.take() {
            self.window = self.window.max(window);
            self.slow_start_threshold = self.slow_start_threshold.max(threshold);
        }
    }

    /// Half the window goes with every timeout, but not the initial one. Section 7.2.1.
    fn on_idle(&mut self, idle: Duration, rto: Duration) {
        let periods = (idle.as_micros() / rto.as_micros().max(1)).min(32) as u32;
        let floor = (INITIAL_PACKETS * self.mtu).min(self.window);
        self.window = (self.window >> periods).max(floor);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use wigwag_proto::Instant;

    pub fn ack(acked: usize, in_flight_before: usize) -> Ack {
        Ack {
            now: Instant(0),
            acked,
            in_flight_before,
            in_flight: in_flight_before - acked,
            round_trip: None,
            smoothed_round_trip: Duration::from_millis(50),
            begins_round: false,
            in_recovery: false,
            delivery: None,
        }
    }

    pub fn loss(begins_recovery: bool) -> Loss {
        Loss { bytes: 1000, in_flight: 10_000, begins_recovery }
    }

    #[test]
    fn it_grows_and_shrinks() {
        let mut reno = NewReno::new(1000);
        assert_eq!(reno.window(), 10_000);
        reno.on_ack(&ack(10_000, 10_000));
        assert_eq!((reno.window(), reno.pacing_rate()), (20_000, Some(800_000)));
        reno.on_ack(&ack(5_000, 5_000));
        assert_eq!(reno.window(), 20_000, "not used, not grown");
        reno.on_loss(&loss(true));
        reno.on_loss(&loss(false));
        assert_eq!(reno.window(), 10_000, "once a round trip");
        reno.on_ack(&Ack { in_recovery: true, ..ack(10_000, 10_000) });
        assert_eq!(reno.window(), 10_000, "recovering");
        reno.on_ack(&ack(10_000, 10_000));
        assert_eq!((reno.window(), reno.pacing_rate()), (11_000, Some(275_000)), "one MTU a round trip");
        reno.on_timeout();
        assert_eq!(reno.window(), 1000);
        reno.undo();
        assert_eq!(reno.window(), 11_000);
        reno.on_ack(&ack(11_000, 11_000));
        reno.on_idle(Duration::from_secs(9), Duration::from_secs(1));
        assert_eq!(reno.window(), 10_000);
    }
}
