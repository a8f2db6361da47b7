//! Controlled delay: RFC 8289.
//!
//! A queue that never gets shorter than `target` within an `interval` is a standing one, which costs delay and gives
//! nothing. Then the packet at the head is dropped (or marked), and the next one after a time that shrinks with the square
//! root of their number, until the delay is below the target.

use std::time::Duration;

use super::{Fifo, NOT_ECT, Verdict, Waiting};

/// The parameters of CoDel. RFC 8289 section 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoDel {
    /// The standing delay that is tolerated. 5 ms.
    pub target: Duration,
    /// A round-trip time that most senders stay under. 100 ms.
    pub interval: Duration,
    /// Whether packets that can be marked (ECT) are, and not dropped. They are.
    pub ecn: bool,
}

impl Default for CoDel {
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: true }
    }
}

/// The variables of section 5.1, in nanoseconds.
#[derive(Default)]
pub(super) struct State {
    /// When the delay will have been above the target for an interval; zero: it is not above.
    first_above_time: u64,
    drop_next: u64,
    count: u32,
    last_count: u32,
    dropping: bool,
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

impl State {
    pub fn pop(&mut self, config: &CoDel, now: u64, mtu: usize, queue: &mut Fifo) -> Option<Verdict> {
        let Some(waiting) = queue.pop() else {
            self.first_above_time = 0;
            self.dropping = false;
            return None;
        };
        let interval = nanos(config.interval);
        let is_due = self.has_been_above(config, now, mtu, &waiting, queue);
        if !is_due {
            self.dropping = false;
            return Some(Verdict::Send(waiting));
        }
        if self.dropping {
            if now < self.drop_next {
                return Some(Verdict::Send(waiting));
            }
            self.count += 1;
            self.drop_next = control_law(self.drop_next, interval, self.count);
        } else {
            self.dropping = true;
            // Soon after the last time, the rate of drops that worked then is where to begin.
            let delta = self.count - self.last_count;
            let is_recent = now.saturating_sub(self.drop_next) < 16 * interval;
            self.count = if delta > 1 && is_recent { delta } else { 1 };
            self.drop_next = control_law(now, interval, self.count);
            self.last_count = self.count;
        }
        match config.ecn && waiting.packet.ecn & 3 != NOT_ECT {
            true => Some(Verdict::Mark(waiting)),
            false => Some(Verdict::Drop(waiting)),
        }
    }

    /// The `ok_to_drop` of section 5.6.
    fn has_been_above(&mut self, config: &CoDel, now: u64, mtu: usize, waiting: &Waiting, queue: &Fifo) -> bool {
        let sojourn = now.saturating_sub(waiting.since);
        if sojourn < nanos(config.target) || queue.bytes() <= mtu {
            self.first_above_time = 0;
            return false;
        }
        if self.first_above_time == 0 {
            self.first_above_time = now + nanos(config.interval);
            return false;
        }
        now >= self.first_above_time
    }
}

fn control_law(from: u64, interval: u64, count: u32) -> u64 {
    from + (interval as f64 / f64::from(count).sqrt()) as u64
}
