//! Which packets of a stream are missing, and when they are asked for again: the receiver's side of NACK. RFC 4585 section 6.2.1.
//!
//! A packet is asked for as soon as a later one shows that it is missing. (Waiting for it to come out of order would cost every real loss
//! that time; an unneeded retransmission costs one packet.) It is asked for again after a round trip, then after somewhat longer each
//! time, and given up when there were ten requests, after a second, or when the stream is a thousand packets ahead: who plays the
//! stream has gone on by then.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::Instant;

/// Requests for one packet. With a tenth lost in either direction, one in ten million is still missing after as many.
const MAX_REQUESTS: u8 = 10;
/// How long a packet is asked for.
const MAX_AGE: Duration = Duration::from_secs(1);
/// How far the stream may be ahead, and so how many can be missing.
const MAX_BEHIND: u64 = 1000;
/// The shortest time between two requests.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// In ascending order.
    packets: VecDeque<Packet>,
    /// How many are to be asked for now.
    due: usize,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    number: u64,
    since: Instant,
    requests: u8,
    /// When it was asked for last.
    asked: Instant,
    /// When it is to be asked for again; `None`: now.
    again: Option<Instant>,
}

impl Missing {
    /// How many are to be asked for now.
    pub fn due(&self) -> usize {
        self.due
    }

    /// Those that are to be asked for now.
    pub fn due_numbers(&self) -> impl Iterator<Item = u64> {
        self.packets.iter().filter(|packet| packet.again.is_none()).map(|packet| packet.number)
    }

    /// The `count` packets before `newest` did not come. Gives how many older ones are given up for it.
    pub fn add(&mut self, now: Instant, newest: u64, count: u16) -> u64 {
        for number in newest - u64::from(count)..newest {
            self.packets.push_back(Packet { number, since: now, requests: 0, asked: now, again: None });
        }
        self.due += usize::from(count);
        let given_up = self.packets.iter().take_while(|packet| packet.number + MAX_BEHIND < newest).count();
        for packet in self.packets.drain(..given_up) {
            self.due -= usize::from(packet.again.is_none());
        }
        given_up as u64
    }

    /// A packet came after all. Gives how long after the only request for it, which is a measure of the round trip.
    pub fn arrived(&mut self, now: Instant, number: u64) -> Option<Duration> {
        let at = self.packets.binary_search_by_key(&number, |packet| packet.number).ok()?;
        let packet = self.packets.remove(at)?;
        self.due -= usize::from(packet.again.is_none());
        (packet.requests == 1 && packet.again.is_some()).then(|| now - packet.asked)
    }

    /// The first `count` that were due have been asked for. Gives when the first of them is due again.
    pub fn asked(&mut self, now: Instant, count: usize, round_trip: Duration) -> Option<Instant> {
        let mut earliest = None;
        for packet in self.packets.iter_mut().filter(|packet| packet.again.is_none()).take(count) {
            self.due -= 1;
            let interval = round_trip.clamp(MIN_INTERVAL, MAX_AGE);
            // A quarter more each time.
            let interval = interval.mul_f64(1.25_f64.powi(i32::from(packet.requests)));
            packet.requests += 1;
            packet.asked = now;
            packet.again = Some(now + interval);
            earliest = earlier(earliest, packet.again);
        }
        earliest
    }

    /// Time passed: some are due again, some are given up. Gives how many of these, and when to come back.
    pub fn handle_timeout(&mut self, now: Instant) -> (u64, Option<Instant>) {
        let before = self.packets.len();
        self.packets.retain(|packet| {
            packet.again.is_none_or(|at| at > now || packet.requests < MAX_REQUESTS && now - packet.since < MAX_AGE)
        });
        let mut next = None;
        for packet in &mut self.packets {
            if packet.again.is_some_and(|at| at <= now) {
                packet.again = None;
                self.due += 1;
            }
            next = earlier(next, packet.again);
        }
        ((before - self.packets.len()) as u64, next)
    }

    /// The stream starts over.
    pub fn clear(&mut self) -> u64 {
        let given_up = self.packets.len() as u64;
        self.packets.clear();
        self.due = 0;
        given_up
    }
}

/// The earlier of two deadlines.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(50);

    fn due(missing: &Missing) -> Vec<u64> {
        missing.due_numbers().collect()
    }

    #[test]
    fn asked_for_at_once_then_again_and_again() {
        let mut missing = Missing::default();
        let mut now = Instant(0);
        assert_eq!(missing.add(now, 103, 3), 0);
        assert_eq!(due(&missing), [100, 101, 102]);
        assert_eq!(missing.arrived(now, 101), None, "out of order, not asked for");
        assert_eq!(missing.asked(now, 2, RTT), Some(Instant(50_000)));
        assert_eq!(missing.due(), 0);
        assert_eq!(missing.arrived(Instant(40_000), 102), Some(Duration::from_millis(40)));

        let mut requests = vec![0];
        let given_up = loop {
            let (given_up, next) = missing.handle_timeout(now);
            if let Some(next) = next {
                assert!(next > now);
                now = next;
            }
            if missing.due() > 0 {
                requests.push(now.as_micros() / 1000);
                now = missing.asked(now, 1, RTT).unwrap();
            } else if given_up > 0 {
                break given_up;
            }
        };
        assert_eq!(given_up, 1);
        assert_eq!(requests, [0, 50, 112, 190, 288, 410, 562, 753, 992]);
        assert_eq!(missing.arrived(now, 100), None);
    }

    #[test]
    fn no_more_than_a_thousand_behind() {
        let mut missing = Missing::default();
        missing.add(Instant(0), 1000, 999);
        assert_eq!(missing.add(Instant(0), 1500, 499), 499);
        assert_eq!(missing.due(), 999);
        assert_eq!(missing.clear(), 999);
        assert_eq!(missing.due(), 0);
    }

    proptest! {
        #[test]
        fn what_is_due_is_counted(steps in prop::collection::vec((0..5_u8, 0..40_u16), 0..300)) {
            let (mut missing, mut now, mut newest) = (Missing::default(), Instant(0), 70_000);
            for (what, how) in steps {
                now += Duration::from_millis(u64::from(how));
                match what {
                    0 => { newest += u64::from(how) + 1; missing.add(now, newest, how); }
                    1 => { missing.arrived(now, newest - u64::from(how)); }
                    2 => { missing.asked(now, usize::from(how), RTT); }
                    3 => {
                        let (_, next) = missing.handle_timeout(now);
                        prop_assert!(next.is_none_or(|next| next > now));
                    }
                    _ => { missing.add(now, newest + 600, 599); newest += 600; }
                }
                prop_assert_eq!(missing.due(), missing.due_numbers().count());
                prop_assert!(missing.packets.len() <= 1000);
            }
        }
    }
}
