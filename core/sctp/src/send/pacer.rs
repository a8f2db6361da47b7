//! Pacing: packets leave at a rate, in bursts of a millisecond.
//!
//! A packet at a time would cost a timer each, and no batch would ever fill a GSO send; a window at a time would fill every queue on the way. So
//! what may leave adds up while nothing does, and once it is used up, the next burst waits until it is a millisecond's worth. A loop that comes late
//! finds what it missed, up to a bound.

use std::time::Duration;

use wigwag_proto::Instant;

/// What a burst holds: as fine as timers are.
const BURST: Duration = Duration::from_millis(1);
/// What a loop that comes late still finds.
const LATENESS: Duration = Duration::from_millis(3);
/// A round trip below this is not paced: its acknowledgements come faster than timers.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(1);
/// Credit is counted in millionths of a byte: bytes per second times microseconds.
const MILLION: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pacer {
    /// Bytes per second; zero for no bound.
    rate: u64,
    credit: i64,
    credited_at: Instant,
    /// Nothing may leave before.
    release_at: Option<Instant>,
}

impl Pacer {
    /// Packets leave at `rate` bytes per second from now on.
    pub fn set_rate(&mut self, rate: Option<u64>, round_trip: Option<Duration>) {
        let is_paced = round_trip.is_some_and(|round_trip| round_trip >= SHORTEST_ROUND_TRIP);
        self.rate = rate.filter(|_| is_paced).unwrap_or(0);
        if self.rate == 0 {
            self.release_at = None;
        }
    }

    pub fn advance(&mut self, now: Instant) {
        if self.release_at.is_some_and(|at| at <= now) {
            self.release_at = None;
        }
    }

    /// `bytes` left.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) {
        if self.rate == 0 {
            self.credited_at = now;
            self.credit = 0;
            return;
        }
        let rate = self.rate.min(i64::MAX as u64 / 1_000_000_000) as i64;
        let most = rate * LATENESS.as_micros() as i64;
        let since = (now - self.credited_at).as_micros().min(i64::MAX as u128) as i64;
        let credit = self.credit.saturating_add(rate.saturating_mul(since)).min(most);
        self.credit = credit - bytes as i64 * MILLION;
        self.credited_at = self.credited_at.max(now);
        if self.credit <= 0 {
            let burst = rate * BURST.as_micros() as i64;
            let wait = ((burst - self.credit) / rate.max(1)).max(1) as u64;
            self.release_at = Some(now + Duration::from_micros(wait));
        }
    }

    pub fn is_open(&self) -> bool {
        self.release_at.is_none()
    }

    pub fn release_at(&self) -> Option<Instant> {
        self.release_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that leave in a second, and in how many bursts, by a loop that comes `late` each time.
    fn second(rate: u64, late: u64) -> (u64, u64) {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(rate), Some(Duration::from_millis(50)));
        let (mut now, mut sent, mut bursts) = (Instant(5_000_000), 0, 0);
        while now < Instant(6_000_000) {
            pacer.advance(now);
            bursts += 1;
            while pacer.is_open() {
                pacer.on_sent(now, 1200);
                sent += 1200;
            }
            now = pacer.release_at().unwrap() + Duration::from_micros(late);
        }
        (sent, bursts)
    }

    #[test]
    fn the_rate_is_kept_in_bursts() {
        for rate in [10_000, 125_000, 1_250_000, 12_500_000, 125_000_000] {
            for late in [0, 100, 1000] {
                let (sent, bursts) = second(rate, late);
                let spare = rate / 200 + 2 * 1200;
                assert!(sent <= rate + spare && sent + rate / 20 + 2 * 1200 >= rate, "{rate} {late}: {sent}");
                assert!(bursts <= 1001, "{rate}: {bursts}");
            }
        }
    }

    #[test]
    fn short_round_trips_are_not_paced() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(1), Some(Duration::from_micros(100)));
        pacer.on_sent(Instant(0), 100_000);
        assert!(pacer.is_open());
    }
}
