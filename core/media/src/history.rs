//! What was sent lately, to be sent again when the peer asks: a ring indexed by sequence number.
//!
//! Payloads are shared with the caller, not copied. Packets, bytes and age are bounded; the oldest goes first.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::Instant;
use wigwag_rtp::SequenceNumber;

use crate::RtpOut;

/// Packets that are kept: twice what receivers ask for.
const MAX_PACKETS: usize = 2048;
/// The places of a ring that was used a little.
const MIN_PLACES: usize = 64;
/// How long a packet is kept: receivers ask for a second, and the last question takes its time.
const MAX_AGE: Duration = Duration::from_secs(2);
/// The shortest time between two retransmissions of a packet.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct History {
    /// By number modulo their count, a power of two.
    slots: Vec<Option<Kept>>,
    /// Numbers in the order of sending.
    order: VecDeque<(Instant, SequenceNumber)>,
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
        Self { slots: Vec::new(), order: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Bytes of payload that are kept.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn place(&self, number: SequenceNumber) -> usize {
        usize::from(number.0) & self.slots.len().wrapping_sub(1)
    }

    /// A packet was sent. If there is one of this number already, that one stays: who protects packets lets only the first out.
    pub fn push(&mut self, now: Instant, packet: RtpOut) {
        self.forget(now);
        let number = packet.sequence_number;
        if self
            .slots
            .get(self.place(number))
            .and_then(Option::as_ref)
            .is_some_and(|it| it.packet.sequence_number == number)
        {
            return;
        }
        while self.slots.len() < MAX_PACKETS
            && self
                .slots
                .get(self.place(number))
                .is_none_or(|slot| slot.as_ref().is_some_and(|kept| kept.packet.sequence_number != number))
        {
            self.grow();
        }
        let place = self.place(number);
        self.bytes += packet.payload.len();
        let Some(slot) = self.slots.get_mut(place) else { return };
        if let Some(before) = slot.replace(Kept { packet, sent: now, first: now, again: false }) {
            self.bytes -= before.packet.payload.len();
        }
        self.order.push_back((now, number));
        while self.bytes > self.max_bytes || self.order.len() > MAX_PACKETS {
            self.forget_oldest();
        }
    }

    fn grow(&mut self) {
        let places = (self.slots.len() * 2).max(MIN_PLACES);
        let before = std::mem::take(&mut self.slots);
        self.slots.resize_with(places, || None);
        for kept in before.into_iter().flatten() {
            let place = self.place(kept.packet.sequence_number);
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = Some(kept);
            }
        }
    }

    /// Forgets what is too old. A ring that has grown and is empty is given back.
    pub fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(sent, _)| now - *sent > MAX_AGE) {
            self.forget_oldest();
        }
        if self.order.is_empty() && self.slots.len() > MIN_PLACES {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }

    fn forget_oldest(&mut self) {
        let Some((first, number)) = self.order.pop_front() else { return };
        let place = self.place(number);
        // Another packet may have its place.
        if let Some(slot) = self.slots.get_mut(place)
            && let Some(kept) = slot.take_if(|kept| kept.packet.sequence_number == number && kept.first == first)
        {
            self.bytes -= kept.packet.payload.len();
        }
    }

    /// The packet, if it is kept, and was not sent (again) within the round trip: then it may still be on its way.
    pub fn find(&self, now: Instant, number: SequenceNumber, round_trip: Duration) -> Option<&RtpOut> {
        let kept = self.slots.get(self.place(number))?.as_ref()?;
        let rested = !kept.again || now - kept.sent >= round_trip.max(MIN_INTERVAL);
        (rested && kept.packet.sequence_number == number && now - kept.first <= MAX_AGE).then_some(&kept.packet)
    }

    /// The packet is sent again.
    pub fn sent_again(&mut self, now: Instant, number: SequenceNumber) {
        let place = self.place(number);
        if let Some(Some(kept)) = self.slots.get_mut(place)
            && kept.packet.sequence_number == number
        {
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
        assert_eq!((history.bytes(), history.order.len(), history.slots.len()), (0, 0, 0));
        // Number.
        (0..10_000_u16).for_each(|number| history.push(later, packet(number, 1)));
        assert!(has(&history, later, 9_999 - 2047) && !has(&history, later, 9_999 - 2048));
        assert_eq!(history.slots.len(), MAX_PACKETS);
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
                let bytes: usize = history.slots.iter().flatten().map(|kept| kept.packet.payload.len()).sum();
                prop_assert_eq!(history.bytes(), bytes);
                prop_assert!(bytes <= 50_000 && history.slots.len() <= MAX_PACKETS);
                prop_assert!(has(&history, now, number));
            }
        }
    }
}
