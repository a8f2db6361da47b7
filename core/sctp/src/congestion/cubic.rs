//! CUBIC: the window is a cubic function of the time since the last loss. RFC 9438.
//!
//! ```text
//!                          /      steep where the path may have more,
//!             W_max  .----'       flat where it had none last time,
//!                  .'             and never below what NewReno would have
//!        0.7 W_max |
//! ```
//!
//! Only additions, multiplications and divisions are used: they give the same bits everywhere.

use std::time::Duration;

use wigwag_proto::Instant;

use super::new_reno::spread;
use super::slow_start::SlowStart;
use super::{Ack, Controller, INITIAL_PACKETS, Loss, MAX_WINDOW, MIN_PACKETS};

/// Section 5.1: how fast it grows, in packets per cubic second.
const C: f64 = 0.4;
/// Section 4.6: what a loss leaves.
const BETA: f64 = 0.7;
/// Section 4.3: packets a round trip with which NewReno would get as much, given `BETA`.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// What most of the internet does.
#[derive(Clone, Copy, Debug)]
pub struct Cubic {
    mtu: usize,
    window: usize,
    slow_start_threshold: usize,
    /// W_max, in bytes: the window before the last loss, or somewhat less where others need room (fast convergence, section 4.7).
    plateau: f64,
    epoch: Option<Epoch>,
    /// What was before the last reduction.
    before: Option<Before>,
    slow_start: SlowStart,
    smoothed: Duration,
}

/// Growth since a loss.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    began: Instant,
    /// K, in seconds: when the plateau is reached.
    k: f64,
    /// The plateau, in bytes; the window itself, if that was above it.
    origin: f64,
    /// W_est, in bytes: NewReno's window.
    friendly: f64,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    window: usize,
    slow_start_threshold: usize,
    plateau: f64,
}

impl Cubic {
    /// `mtu`: the packet size that is counted in, in bytes.
    pub fn new(mtu: usize) -> Self {
        Self {
            mtu,
            window: INITIAL_PACKETS * mtu,
            slow_start_threshold: usize::MAX,
            plateau: 0.0,
            epoch: None,
            before: None,
            slow_start: SlowStart::default(),
            smoothed: Duration::ZERO,
        }
    }

    fn reduce(&mut self) {
        let Self { window, slow_start_threshold, plateau, .. } = *self;
        self.before = Some(Before { window, slow_start_threshold, plateau });
        let fast_convergence = (window as f64) < plateau;
        self.plateau = window as f64 * if fast_convergence { (1.0 + BETA) / 2.0 } else { 1.0 };
        self.slow_start_threshold = ((window as f64 * BETA) as usize).max(MIN_PACKETS * self.mtu);
        self.epoch = None;
    }

    fn avoid_congestion(&mut self, ack: &Ack) {
        let (mtu, window) = (self.mtu as f64, self.window as f64);
        let plateau = self.plateau;
        let epoch = self.epoch.get_or_insert_with(|| {
            let origin = plateau.max(window);
            let k = cube_root((origin - window) / mtu / C);
            Epoch { began: ack.now, k, origin, friendly: window, last: ack.now }
        });
        epoch.last = ack.now;
        let distance = (ack.now - epoch.began + ack.smoothed_round_trip).as_secs_f64() - epoch.k;
        let target = (epoch.origin + C * mtu * distance * distance * distance).clamp(window, 1.5 * window);
        let share = ack.acked as f64 / window;
        let alpha = if epoch.friendly >= plateau { 1.0 } else { ALPHA };
        epoch.friendly += alpha * mtu * share;
        let next = (window + (target - window) * share).max(epoch.friendly);
        self.window = next as usize;
    }
}

/// Newton's method; `x` is not negative.
fn cube_root(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let mut root = x.max(1.0);
    for _ in 0..60 {
        root -= (root - x / (root * root)) / 3.0;
    }
    root
}

impl Controller for Cubic {
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
        if ack.in_recovery || ack.in_flight_before + self.mtu < self.window {
            // Section 5.8: time in which the application had nothing to say is no time to grow in.
            if let Some(epoch) = &mut self.epoch {
                epoch.began += ack.now - epoch.last;
                epoch.last = ack.now;
            }
            return;
        }
        if self.window < self.slow_start_threshold {
            self.window += ack.acked / self.slow_start.growth_divisor();
        } else {
            self.avoid_congestion(ack);
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
        if let Some(before) = self.before.take() {
            self.window = self.window.max(before.window);
            self.slow_start_threshold = self.slow_start_threshold.max(before.slow_start_threshold);
            self.plateau = before.plateau;
            self.epoch = None;
        }
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration) {
        let periods = (idle.as_micros() / rto.as_micros().max(1)).min(32) as u32;
        let floor = (INITIAL_PACKETS * self.mtu).min(self.window);
        self.window = (self.window >> periods).max(floor);
        self.epoch = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::new_reno::tests::{ack, loss};
    use super::*;

    #[test]
    fn roots() {
        for x in [0.0, 0.001, 0.3, 1.0, 8.0, 27e6] {
            let root = cube_root(x);
            assert!((root * root * root - x).abs() <= x * 1e-9, "{x}: {root}");
        }
    }

    /// Section 4.2: back at the plateau after K = cbrt(W_max (1 - beta) / C), flat around it, and steep after it.
    #[test]
    fn it_returns_to_the_plateau_in_k_and_goes_on() {
        let mut cubic = Cubic::new(1000);
        cubic.on_ack(&ack(990_000, 990_000));
        assert_eq!(cubic.window(), 1_000_000);
        cubic.on_loss(&loss(true));
        assert_eq!(cubic.window(), 700_000);
        let k = cube_root(300.0 / C);
        let mut at_k = 0;
        // A round trip of 100 ms.
        for round in 0..(k * 20.0) as u64 {
            for part in 0..10 {
                let window = cubic.window();
                let now = Instant(round * 100_000 + part * 10_000);
                let smoothed_round_trip = Duration::from_millis(100);
                cubic.on_ack(&Ack { now, smoothed_round_trip, ..ack(window / 10, window) });
            }
            if round == (k * 10.0) as u64 {
                at_k = cubic.window();
            }
        }
        assert!((985_000..1_015_000).contains(&at_k), "{at_k}");
        assert!(cubic.window() > 1_200_000, "{}", cubic.window());
    }
}
