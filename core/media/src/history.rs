//! What was sent lately, to be sent again when the peer asks: a queue in the order of sending, and where each number is in it.
//!
//! Payloads are shared with the caller, not copied. Packets, bytes and age are bounded; the oldest goes first.
//!
//! A server that forwards has many of these, and comes back to each after all the others: nothing of it is in a cache by then. So to add a
//! packet only writes to the queue (waiting for memory costs as much as encrypting half the packet), and the oldest go many at a time.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::Instant;
use wigwag_rtp::SequenceNumber;

use crate::RtpOut;

/// Packets that are kept: twice what receivers ask for.
const MAX_PACKETS: usize = 2048;
/// The places of an index that was used a little.
const MIN_PLACES: usize = 64;
/// How long a packet is kept: receivers ask for a second, and the last question takes its time.
const MAX_AGE: Duration = Duration::from_secs(2);
/// How much older the oldest gets before all that are too old go together.
const FORGET_INTERVAL: Duration = Duration::from_millis(250);
/// The shortest time between two retransmissions of a packet.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct History {
    /// In the order of sending.
    packets: VecDeque<Kept>,
    /// How many went before the first of them. It wraps.
    gone: u32,
    /// For a number modulo their count, a power of two: how many packets went before it. What this says of packets that are gone, or never
    /// were, is of no harm: the number is compared.
    places: Vec<u32>,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    packet: RtpOut,
    /// When it was sent last.
    sent: Instant,
    /// When it was sent first.
    first: Instant,
    again: bool,
}

impl History {
    pub fn new(max_bytes: usize) -> Self {
        Self { packets: VecDeque::new(), gone: 0, places: Vec::new(), bytes: 0, max_bytes }
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Bytes of payload that are kept.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn place(&self, number: SequenceNumber) -> usize {
        usize::from(number.0) & self.places.len().wrapping_sub(1)
    }

    /// Where the packet at a number's place is in the queue; it may have another number.
    fn position(&self, number: SequenceNumber) -> Option<usize> {
        let position = self.places.get(self.place(number))?.wrapping_sub(self.gone) as usize;
        (position < self.packets.len()).then_some(position)
    }

    fn kept(&self, number: SequenceNumber) -> Option<&Kept> {
        self.packets.get(self.position(number)?).filter(|kept| kept.packet.sequence_number == number)
    }

    /// A packet was sent. If there is one of this number already, that one stays: who protects packets lets only the first out.
    pub fn push(&mut self, now: Instant, packet: RtpOut) {
        if self.packets.front().is_some_and(|oldest| now - oldest.first > MAX_AGE + FORGET_INTERVAL) {
            self.forget(now);
        }
        let number = packet.sequence_number;
        if let Some(before) = self.kept(number) {
            if now - before.first <= MAX_AGE {
                return;
            }
            self.forget(now);
        }
        while self.places.len() < MAX_PACKETS && (self.places.is_empty() || self.position(number).is_some()) {
            self.grow();
        }
        let position = self.gone.wrapping_add(self.packets.len() as u32);
        let place = self.place(number);
        if let Some(slot) = self.places.get_mut(place) {
            *slot = position;
        }
        self.bytes += packet.payload.len();
        self.packets.push_back(Kept { packet, sent: now, first: now, again: false });
        while self.bytes > self.max_bytes || self.packets.len() > MAX_PACKETS {
            self.forget_oldest();
        }
    }

    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(MIN_PLACES);
        // Nobody is there: what went last.
        self.places.clear();
        self.places.resize(places, self.gone.wrapping_sub(1));
        for (position, kept) in self.packets.iter().enumerate() {
            let position = self.gone.wrapping_add(position as u32);
            let place = usize::from(kept.packet.sequence_number.0) & (places - 1);
            if let Some(slot) = self.places.get_mut(place) {
                *slot = position;
            }
        }
    }

    /// Forgets what is too old. What has grown and is empty is given back.
    pub fn forget(&mut self, now: Instant) {
        while self.packets.front().is_some_and(|oldest| now - oldest.first > MAX_AGE) {
            self.forget_oldest();
        }
        if self.packets.is_empty() && self.places.len() > MIN_PLACES {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.packets.pop_front() {
            self.gone = self.gone.wrapping_add(1);
            self.bytes -= oldest.packet.payload.len();
        }
    }

    /// The packet, if it is kept, and was not sent (again) within the round trip: then it may still be on its way.
    pub fn find(&self, now: Instant, number: SequenceNumber, round_trip: Duration) -> Option<&RtpOut> {
        let kept = self.kept(number)?;
        let rested = !kept.again || now - kept.sent >= round_trip.max(MIN_INTERVAL);
        (rested && now - kept.first <= MAX_AGE).then_some(&kept.packet)
    }

    /// The packet is sent again.
    pub fn sent_again(&mut self, now: Instant, number: SequenceNumber) {
        let position = self.position(number).and_then(|position| self.packets.get_mut(position));
        if let Some(kept) = position.filter(|kept| kept.packet.sequence_number == number) {
            (kept.sent, kept.again) = (now, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use wigwag_rtp::{PayloadType, RtpTimestamp};

    use crate::PacketExtensions;

    fn packet(number: u16, len: usize) -> RtpOut {
        RtpOut {
            marker: false,
            payload_type: PayloadType::PCMU,
            sequence_number: SequenceNumber(number),
            timestamp: RtpTimestamp(0),
            extensions: PacketExtensions::default(),
            payload: Bytes::from(vec![0; len]),
        }
    }

    fn has(history: &History, now: Instant, number: u16) -> bool {
        history.find(now, SequenceNumber(number), Duration::ZERO).is_some()
    }

    #[test]
    fn the_first_of_a_number_stays() {
        let mut history = History::new(10_000);
        history.push(Instant(0), packet(7, 100));
        history.push(Instant(1), packet(7, 200));
        let kept = history.find(Instant(1), SequenceNumber(7), Duration::ZERO).map(|packet| packet.payload.len());
        assert_eq!((kept, history.bytes()), (Some(100), 100));
        // But for one that is too old, and was not forgotten yet.
        let later = Instant(0) + MAX_AGE + FORGET_INTERVAL;
        assert!(!has(&history, later, 7));
        history.push(later, packet(7, 300));
        assert!(has(&history, later, 7));
        assert_eq!((history.bytes(), history.places.len()), (300, MIN_PLACES));
    }

    #[test]
    fn positions_wrap() {
        let mut history = History::new(10_000);
        history.gone = u32::MAX - 500;
        for number in 0..1000 {
            history.push(Instant(0), packet(number, 100));
            assert!(has(&history, Instant(0), number) && (number < 100 || !has(&history, Instant(0), number - 100)));
            assert!(has(&history, Instant(0), number.saturating_sub(99)));
        }
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut history = History::new(10_000);
        let now = Instant(0);
        for at in 0..200_u16 {
            history.push(now, packet(65_500_u16.wrapping_add(at), 100));
        }
        for at in 0..200_u16 {
            assert_eq!(has(&history, now, 65_500_u16.wrapping_add(at)), at >= 100, "{at}");
        }
        assert_eq!(history.bytes(), 10_000);
        // Age.
        let later = now + Duration::from_secs(3);
        assert!(!has(&history, later, 100));
        history.forget(later);
        assert_eq!((history.bytes(), history.packets.capacity(), history.places.len()), (0, 0, 0));
        // Number.
        (0..10_000_u16).for_each(|number| history.push(later, packet(number, 1)));
        assert!(has(&history, later, 9_999 - 2047) && !has(&history, later, 9_999 - 2048));
        assert_eq!((history.packets.len(), history.places.len()), (MAX_PACKETS, MAX_PACKETS));
    }

    #[test]
    fn not_twice_within_a_round_trip() {
        let mut history = History::new(10_000);
        let (rtt, ms) = (Duration::from_millis(50), Duration::from_millis);
        let number = SequenceNumber(9);
        history.push(Instant(0), packet(9, 1));
        assert!(history.find(Instant(0), number, rtt).is_some());
        history.sent_again(Instant(0), number);
        assert!(history.find(Instant(0) + ms(49), number, rtt).is_none());
        assert!(history.find(Instant(0) + ms(50), number, rtt).is_some());
        assert!(history.find(Instant(0) + ms(9), number, ms(1)).is_none());
        assert!(history.find(Instant(0) + ms(10), number, ms(1)).is_some());
    }

    proptest! {
        #[test]
        fn any_order_is_counted(steps in prop::collection::vec((any::<u16>(), 0..2000_usize, 0..200_u64), 0..400)) {
            let mut history = History::new(50_000);
            let mut now = Instant(0);
            for (number, len, wait) in steps {
                now += Duration::from_millis(wait);
                history.push(now, packet(number, len));
                let bytes: usize = history.packets.iter().map(|kept| kept.packet.payload.len()).sum();
                prop_assert_eq!(history.bytes(), bytes);
                prop_assert!(bytes <= 50_000 && history.packets.len().max(history.places.len()) <= MAX_PACKETS);
                prop_assert!(has(&history, now, number));
            }
        }
    }
}
