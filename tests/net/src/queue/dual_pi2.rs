//! DualPI2: RFC 9332 appendix A.
//!
//! ```text
//!   ECT(1), CE ──▶ low-latency queue ── marked: the larger of a step at about 1 ms and k p' ──┐
//!                                                                                             ├─ 15 : 1 ──▶ line
//!   the others ──▶ classic queue ────── dropped or marked with p'^2 ──────────────────────────┘
//!                        └── its delay drives p', every `target`: a PI controller
//! ```
//!
//! The square makes both kinds get about the same rate: a classic sender's rate goes with one over the square root of the
//! losses, a scalable one's with one over the marks. Marks are not drawn but counted out (`recur`), as the RFC allows.

use std::time::Duration;

use super::{Fifo, NOT_ECT, Verdict};

/// The parameters of DualPI2. RFC 9332 appendix A.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DualPi2 {
    /// The delay of the classic queue that is aimed at, and how often it is looked at. 15 ms.
    pub target: Duration,
    /// A round-trip time that most senders stay under: it sets how strongly is reacted. 100 ms.
    pub rtt_max: Duration,
    /// The delay at which the low-latency queue begins to be marked. 0.8 ms.
    pub step: Duration,
    /// How much more delay until every packet there is marked. 0.4 ms.
    pub range: Duration,
    /// How much stronger than the square root of classic drops the marks are. 2.
    pub coupling: f64,
}

impl Default for DualPi2 {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(15),
            rtt_max: Duration::from_millis(100),
            step: Duration::from_micros(800),
            range: Duration::from_micros(400),
            coupling: 2.0,
        }
    }
}

/// Of each this many packets one is classic, when both queues have some.
const ROUND: u32 = 16;

/// The variables; times in nanoseconds.
#[derive(Default)]
pub(super) struct State {
    /// The base probability.
    p: f64,
    previous_delay: f64,
    next_update: u64,
    /// Marks and drops that are owed.
    low_latency_owed: f64,
    classic_owed: f64,
    /// Place in the round of the scheduler.
    turn: u32,
}

impl State {
    pub fn pop(&mut self, config: &DualPi2, now: u64, low_latency: &mut Fifo, classic: &mut Fifo) -> Option<Verdict> {
        self.update(config, now, classic);
        let most = (1.0 / (config.coupling * config.coupling)).min(1.0);
        let (coupled, squared) = (config.coupling * self.p, self.p * self.p);
        if self.is_turn_of_low_latency(low_latency, classic) {
            let sojourn = low_latency.sojourn(now);
            let waiting = low_latency.pop()?;
            // A single packet is no queue.
            let native = if low_latency.len() > 0 { ramp(config, sojourn) } else { 0.0 };
            // Overload: those who do not slow down for marks are dropped like the others.
            if squared > most && recur(&mut self.classic_owed, squared) {
                return Some(Verdict::Drop(waiting));
            }
            let is_marked = recur(&mut self.low_latency_owed, native.max(coupled).min(1.0));
            return Some(if is_marked { Verdict::Mark(waiting) } else { Verdict::Send(waiting) });
        }
        let waiting = classic.pop()?;
        if !recur(&mut self.classic_owed, squared) {
            return Some(Verdict::Send(waiting));
        }
        let is_dropped = waiting.packet.ecn & 3 == NOT_ECT || squared > most;
        Some(if is_dropped { Verdict::Drop(waiting) } else { Verdict::Mark(waiting) })
    }

    fn is_turn_of_low_latency(&mut self, low_latency: &Fifo, classic: &Fifo) -> bool {
        if low_latency.next_len().is_none() || classic.next_len().is_none() {
            return low_latency.next_len().is_some();
        }
        self.turn = (self.turn + 1) % ROUND;
        self.turn != 0
    }

    /// The updates that were due until now. The classic queue must be as it was since the last call.
    pub fn update(&mut self, config: &DualPi2, now: u64, classic: &Fifo) {
        let period = config.target.min(config.rtt_max / 3).max(Duration::from_micros(100));
        let rtt_max = config.rtt_max.as_secs_f64();
        let (alpha, beta) = (0.1 * period.as_secs_f64() / (rtt_max * rtt_max), 0.3 / rtt_max);
        let is_settled = |state: &Self| state.p == 0.0 && state.previous_delay == 0.0 && classic.len() == 0;
        if self.next_update == 0 || (self.next_update <= now && is_settled(self)) {
            self.next_update = now + period.as_nanos() as u64;
        }
        while self.next_update <= now {
            let delay = classic.sojourn(self.next_update) as f64 / 1e9;
            let change = alpha * (delay - config.target.as_secs_f64()) + beta * (delay - self.previous_delay);
            self.p = (self.p + change).clamp(0.0, 1.0);
            self.previous_delay = delay;
            self.next_update += period.as_nanos() as u64;
            if is_settled(self) {
                // Idle: nothing changes until the next packet comes.
                self.next_update = self.next_update.max(now + 1);
            }
        }
    }
}

/// How likely a packet is marked after that much waiting.
fn ramp(config: &DualPi2, sojourn: u64) -> f64 {
    let above = sojourn as f64 - config.step.as_nanos() as f64;
    (above / (config.range.as_nanos() as f64).max(1.0)).clamp(0.0, 1.0)
}

fn recur(owed: &mut f64, likelihood: f64) -> bool {
    *owed += likelihood;
    let is_due = *owed > 1.0;
    *owed -= f64::from(is_due);
    is_due
}
