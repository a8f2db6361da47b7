//! When slow start ends without a loss: HyStart++. RFC 9406.
//!
//! If the shortest round trip of a round is clearly longer than that of the round before, a queue is building up: the window
//! grows at a quarter of the pace for five rounds, and if the round trip does not fall back, slow start is over.

use std::time::Duration;

use super::PacketNumber;

/// Section 4.2.
const MIN_SAMPLES: u32 = 8;
const MIN_THRESHOLD: Duration = Duration::from_millis(4);
const MAX_THRESHOLD: Duration = Duration::from_millis(16);
const GROWTH_DIVISOR: usize = 4;
const CONSERVATIVE_ROUNDS: u32 = 5;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SlowStart {
    /// The round ends when this packet is acknowledged.
    round_end: PacketNumber,
    samples: u32,
    shortest: Option<Duration>,
    shortest_before: Option<Duration>,
    conservative: Option<Conservative>,
}

/// Conservative slow start.
#[derive(Clone, Copy, Debug)]
struct Conservative {
    /// The round trip that it began with.
    baseline: Duration,
    rounds: u32,
}

impl SlowStart {
    /// What the growth is divided by.
    pub fn growth_divisor(&self) -> usize {
        if self.conservative.is_some() { GROWTH_DIVISOR } else { 1 }
    }

    /// Says whether slow start is over.
    pub fn measure(&mut self, number: PacketNumber, next: PacketNumber, rtt: Duration) -> bool {
        if number >= self.round_end {
            self.round_end = next;
            self.samples = 0;
            self.shortest_before = self.shortest.take();
            if let Some(conservative) = &mut self.conservative {
                conservative.rounds += 1;
                if conservative.rounds >= CONSERVATIVE_ROUNDS {
                    return true;
                }
            }
        }
        let shortest = self.shortest.map_or(rtt, |shortest| shortest.min(rtt));
        self.shortest = Some(shortest);
        self.samples += 1;
        if self.samples < MIN_SAMPLES {
            return false;
        }
        match (self.conservative, self.shortest_before) {
            (Some(conservative), _) if shortest < conservative.baseline => self.conservative = None,
            (None, Some(before)) if shortest >= before + (before / 8).clamp(MIN_THRESHOLD, MAX_THRESHOLD) => {
                self.conservative = Some(Conservative { baseline: shortest, rounds: 0 });
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_round_trip_ends_it() {
        let mut slow_start = SlowStart::default();
        let mut ended_in = None;
        for round in 0..20_u64 {
            let rtt = Duration::from_millis(if round < 4 { 50 } else { 60 });
            for sample in 0..10 {
                let number = round * 10 + sample + 1;
                if slow_start.measure(number, round * 10 + 11, rtt) {
                    ended_in.get_or_insert(round);
                }
            }
            assert_eq!(slow_start.growth_divisor() > 1, round >= 4);
        }
        assert_eq!(ended_in, Some(9));
    }

    #[test]
    fn a_round_trip_that_falls_back_resumes_it() {
        let mut slow_start = SlowStart::default();
        for (round, millis) in [50, 50, 70, 50, 50].into_iter().enumerate() {
            for sample in 0..10 {
                let number = round as u64 * 10 + sample + 1;
                assert!(!slow_start.measure(number, round as u64 * 10 + 11, Duration::from_millis(millis)));
            }
        }
        assert_eq!(slow_start.growth_divisor(), 1);
    }
}
