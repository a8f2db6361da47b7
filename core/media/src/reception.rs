//! Where a packet belongs in its stream, and how well the stream is received. RFC 3550 appendix A.
//!
//! Numbers are extended to counters that never wrap. A bit for each of the newest 2048 tells what arrived, so that nothing is delivered
//! twice. A stream that starts over (its sender did, or so much was lost that asking is pointless) goes on upwards from where it was:
//! its counters stay unique, and their lower 16 bits are those of the packets.

use std::time::Duration;

use wigwag_proto::{Instant, Serial};
use wigwag_rtp::{RtpTimestamp, SequenceNumber};

/// Numbers behind the newest that are told from duplicates: four seconds of a video at 5 Mbit/s.
const WINDOW: u64 = 2048;
const WORDS: usize = WINDOW as usize / 64;

/// A longer jump ahead is a stream that starts over, not a loss: nobody keeps more packets than this for those who ask.
pub(crate) const MAX_JUMP: u16 = 1000;

/// Counters begin above this, so that packets which overtook each other at the start have room below.
const FIRST: u64 = 1 << 16;

/// A change of a packet's travel time by more than this is a change of the sender's clock, not jitter.
const MAX_TRANSIT_CHANGE_SECONDS: u32 = 5;

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The newest, and so many before it are missing.
    Newest {
        number: u64,
        missing: u16,
    },
    /// The newest, after a jump.
    Restart {
        number: u64,
    },
    /// Behind the newest, and not seen yet.
    Late {
        number: u64,
    },
    Duplicate,
    /// Too far behind to be told from a duplicate.
    TooLate,
}

#[derive(Debug, Default)]
pub(crate) struct Reception {
    newest: Option<u64>,
    /// The lowest number that is expected.
    base: u64,
    /// Numbers that restarts jumped over: nobody expects them.
    skipped: u64,
    /// By number modulo the window: it arrived.
    seen: [u64; WORDS],
    /// After a packet that is too late: if this one follows, the stream started over. RFC 3550 appendix A.1.
    restart_at: Option<SequenceNumber>,
    /// Packets that the network delivered, again and again included.
    arrived: u64,
    expected_reported: u64,
    arrived_reported: u64,
    transit: Option<(u32, u32)>,
    /// In 16ths of ticks.
    jitter: u64,
    clock_rate: u32,
}

/// What a report block says of reception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quality {
    pub fraction_lost: u8,
    pub lost: i64,
    pub highest: u32,
    /// Ticks.
    pub jitter: u32,
}

impl Reception {
    /// The largest number so far.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// A packet of this stream arrived.
    pub fn arrive(&mut self, now: Instant, number: SequenceNumber, timestamp: RtpTimestamp, clock_rate: u32) -> Place {
        let place = self.place(number, true);
        if place != Place::TooLate {
            self.arrived += 1;
            self.restart_at = None;
        }
        match place {
            Place::Restart { .. } => self.transit = None,
            Place::Newest { .. } => {}
            _ => return place,
        }
        self.measure_jitter(now, timestamp, clock_rate);
        place
    }

    /// A packet of this stream came by RTX: that says nothing of how the network treated the stream.
    pub fn repair(&mut self, number: SequenceNumber) -> Place {
        self.place(number, false)
    }

    fn place(&mut self, number: SequenceNumber, may_restart: bool) -> Place {
        let Some(newest) = self.newest else {
            let number = FIRST + u64::from(number.0);
            (self.newest, self.base) = (Some(number), number);
            self.mark(number);
            return Place::Newest { number, missing: 0 };
        };
        let ahead = number.distance_from(SequenceNumber(newest as u16)).0;
        if ahead == 0 {
            return Place::Duplicate;
        }
        if ahead <= MAX_JUMP {
            let number = newest + u64::from(ahead);
            self.advance(newest, number);
            return Place::Newest { number, missing: ahead - 1 };
        }
        let behind = u64::from(ahead.wrapping_neg());
        if behind < WINDOW {
            let number = newest - behind;
            if self.was_seen(number) {
                return Place::Duplicate;
            }
            self.mark(number);
            self.base = self.base.min(number);
            return Place::Late { number };
        }
        let ahead_enough = ahead < 0x8000 || self.restart_at == Some(number);
        if !may_restart || !ahead_enough {
            if may_restart {
                self.restart_at = Some(number.next());
            }
            return Place::TooLate;
        }
        let number = newest + u64::from(ahead);
        self.skipped += number - newest - 1;
        self.advance(newest, number);
        Place::Restart { number }
    }

    fn advance(&mut self, newest: u64, number: u64) {
        if number - newest >= WINDOW {
            self.seen = [0; WORDS];
        }
        for between in (newest + 1..number).take(WINDOW as usize) {
            self.set(between, false);
        }
        self.mark(number);
        self.newest = Some(number);
    }

    fn mark(&mut self, number: u64) {
        self.set(number, true);
    }

    fn set(&mut self, number: u64, seen: bool) {
        let bit = 1 << (number % 64);
        if let Some(word) = self.seen.get_mut((number / 64) as usize % WORDS) {
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }

    fn was_seen(&self, number: u64) -> bool {
        self.seen.get((number / 64) as usize % WORDS).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// RFC 3550 appendix A.8.
    fn measure_jitter(&mut self, now: Instant, timestamp: RtpTimestamp, clock_rate: u32) {
        let ticks = u128::from(now.as_micros()) * u128::from(clock_rate) / 1_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp.0);
        self.clock_rate = clock_rate;
        let Some((rate, before)) = self.transit.replace((clock_rate, transit)) else { return };
        let change = (transit.wrapping_sub(before) as i32).unsigned_abs();
        if rate != clock_rate || change > clock_rate.saturating_mul(MAX_TRANSIT_CHANGE_SECONDS) {
            return;
        }
        self.jitter = self.jitter + u64::from(change) - ((self.jitter + 8) >> 4);
    }

    /// How much travel times differ.
    pub fn jitter(&self) -> Duration {
        ticks(self.jitter >> 4, self.clock_rate)
    }

    /// RFC 3550 appendix A.3; packets that arrived twice count against it.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.arrived as i64
    }

    fn expected(&self) -> u64 {
        self.newest.map_or(0, |newest| newest - self.base + 1 - self.skipped)
    }

    /// For a report block.
    pub fn quality(&self) -> Quality {
        let expected = self.expected().saturating_sub(self.expected_reported);
        let lost = expected.saturating_sub(self.arrived - self.arrived_reported);
        Quality {
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            lost: self.lost(),
            highest: (self.newest.unwrap_or(FIRST) - FIRST) as u32,
            jitter: (self.jitter >> 4).min(u64::from(u32::MAX)) as u32,
        }
    }

    /// [`Self::quality`] was reported.
    pub fn reported(&mut self) {
        (self.expected_reported, self.arrived_reported) = (self.expected(), self.arrived);
    }
}

/// A number of ticks of a clock.
pub(crate) fn ticks(count: u64, clock_rate: u32) -> Duration {
    let micros = u128::from(count) * 1_000_000 / u128::from(clock_rate.max(1));
    Duration::from_micros(micros.min(u128::from(u64::MAX)) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn arrive(reception: &mut Reception, number: u16) -> Place {
        reception.arrive(Instant(0), SequenceNumber(number), RtpTimestamp(0), 90_000)
    }

    #[test]
    fn a_walk_by_hand() {
        let mut reception = Reception::default();
        assert_eq!(arrive(&mut reception, 65_534), Place::Newest { number: 131_070, missing: 0 });
        assert_eq!(arrive(&mut reception, 1), Place::Newest { number: 131_073, missing: 2 });
        assert_eq!(arrive(&mut reception, 65_535), Place::Late { number: 131_071 });
        assert_eq!(arrive(&mut reception, 65_535), Place::Duplicate);
        assert_eq!(arrive(&mut reception, 65_533), Place::Late { number: 131_069 }, "before the first");
        assert_eq!(reception.lost(), 5 - 5, "a duplicate makes up for a loss");
        assert_eq!(reception.repair(SequenceNumber(0)), Place::Late { number: 131_072 });
        assert_eq!(arrive(&mut reception, 0), Place::Duplicate);
    }

    #[test]
    fn a_stream_starts_over() {
        let mut reception = Reception::default();
        arrive(&mut reception, 100);
        assert_eq!(arrive(&mut reception, 1100), Place::Newest { number: 66_636, missing: 999 });
        assert_eq!(arrive(&mut reception, 2101), Place::Restart { number: 67_637 });
        assert_eq!(reception.lost(), 999, "what a restart jumps over is not lost");
        // Backwards, too, but only when two follow each other.
        assert_eq!(arrive(&mut reception, 50_000), Place::TooLate);
        assert_eq!(arrive(&mut reception, 50_001), Place::Restart { number: 65_536 + 50_001 });
        assert_eq!(arrive(&mut reception, 3), Place::Restart { number: 2 * 65_536 + 3 });
        assert_eq!(reception.repair(SequenceNumber(30_000)), Place::TooLate);
        assert_eq!(reception.lost(), 999);
    }

    #[test]
    fn quality_as_the_standard_says() {
        let mut reception = Reception::default();
        (0..100)
            .filter(|number| number % 4 != 1)
            .for_each(|number| assert_ne!(arrive(&mut reception, number), Place::Duplicate));
        let quality = reception.quality();
        assert_eq!((quality.fraction_lost, quality.lost, quality.highest), (64, 25, 99));
        reception.reported();
        (100..110).for_each(|number| assert_ne!(arrive(&mut reception, number), Place::Duplicate));
        let quality = reception.quality();
        assert_eq!((quality.fraction_lost, quality.lost), (0, 25));
    }

    #[test]
    fn jitter_as_the_standard_says() {
        let mut reception = Reception::default();
        let mut expected = 0.0;
        for at in 0..200_u32 {
            // Every second packet is 10 ms late.
            let now = Instant(u64::from(at) * 20_000 + u64::from(at % 2) * 10_000);
            reception.arrive(now, SequenceNumber(at as u16), RtpTimestamp(at * 160), 8000);
            if at > 0 {
                expected += (80.0 - expected) / 16.0;
            }
        }
        let millis = reception.jitter().as_secs_f64() * 1000.0;
        assert!((millis - expected / 8.0).abs() < 0.5, "{millis}");
        // Another clock is not jitter.
        reception.arrive(Instant(4_000_000), SequenceNumber(200), RtpTimestamp(900_000_000), 8000);
        assert!(reception.jitter().as_millis() <= 10);
    }

    proptest! {
        #[test]
        fn each_is_delivered_once(start: u16, steps in prop::collection::vec((0..1500_i64, 0..3_u8), 1..400)) {
            let mut reception = Reception::default();
            let (mut delivered, mut newest) = (BTreeSet::new(), i64::from(start) + 65_536);
            let mut sent = BTreeSet::new();
            arrive(&mut reception, start);
            sent.insert(newest);
            delivered.insert(newest as u64);
            for (step, how) in steps {
                let truth = match how { 0 => newest + 1 + step % 1000, 1 => newest + 1, _ => newest - step };
                if truth < 65_536 { continue; }
                let is_new = sent.insert(truth);
                newest = newest.max(truth);
                match arrive(&mut reception, truth as u16) {
                    Place::Newest { number, .. } | Place::Late { number } => {
                        prop_assert_eq!(number, truth as u64);
                        prop_assert!(is_new);
                        delivered.insert(number);
                    }
                    Place::Duplicate => prop_assert!(!is_new),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(delivered.len(), sent.len());
        }

        #[test]
        fn any_numbers(numbers in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u32>(), any::<bool>()), 0..300)) {
            let (mut reception, mut delivered) = (Reception::default(), BTreeSet::new());
            for (number, timestamp, rate, repair) in numbers {
                let place = if repair {
                    reception.repair(SequenceNumber(number))
                } else {
                    reception.arrive(Instant(u64::from(timestamp) << 20), SequenceNumber(number), RtpTimestamp(timestamp), rate)
                };
                if let Place::Newest { number: extended, .. } | Place::Late { number: extended } | Place::Restart { number: extended } = place {
                    prop_assert_eq!(extended as u16, number);
                    prop_assert!(delivered.insert(extended));
                }
                reception.quality();
                reception.jitter();
            }
        }
    }
}
