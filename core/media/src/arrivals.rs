//! When each packet of the transport arrived, for the sender's congestion control.
//! draft-holmer-rmcat-transport-wide-cc-extensions-01.
//!
//! Packets of all streams share one number. Every 50 ms, what arrived since is reported, with the gaps. A packet that comes out of order
//! after its gap was reported is reported again, with what followed it: the sender takes what it did not know.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::Instant;
use wigwag_rtp::rtcp::RtcpWriter;
use wigwag_rtp::{SequenceExtender, SequenceNumber, Ssrc};

/// How often. libwebrtc's is between 50 and 250 ms.
const INTERVAL: Duration = Duration::from_millis(50);
/// Packets that are remembered at most: 100 Mbit/s for half a second. A longer jump starts over.
const MAX_KEPT: u64 = 8192;
/// Packets that are remembered after they were reported, for those that come out of order.
const KEPT_AFTER: u64 = 128;

#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    extender: SequenceExtender,
    /// The number of the first slot.
    first: u64,
    /// Microseconds; the last is never empty.
    slots: VecDeque<Option<i64>>,
    /// The first number that was not reported.
    next: u64,
    feedback_count: u8,
    media: Option<Ssrc>,
    report_at: Option<Instant>,
}

impl Arrivals {
    /// When the next report is due.
    pub fn report_at(&self) -> Option<Instant> {
        self.report_at
    }

    /// Something waits to be reported.
    pub fn has_news(&self) -> bool {
        self.next < self.end()
    }

    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// A packet arrived.
    pub fn record(&mut self, now: Instant, number: SequenceNumber, ssrc: Ssrc) {
        let mut extended = self.extender.peek(number);
        if self.slots.is_empty() || extended + MAX_KEPT < self.end() || extended >= self.end() + MAX_KEPT {
            // The first packet, or the sender started over.
            self.slots.clear();
            self.extender = SequenceExtender::default();
            extended = self.extender.peek(number);
            (self.first, self.next) = (extended, extended);
        }
        let Some(at) = extended.checked_sub(self.first) else { return };
        self.extender.extend(number);
        while self.slots.len() as u64 <= at {
            self.slots.push_back(None);
        }
        match self.slots.get_mut(at as usize) {
            Some(slot) if slot.is_none() => *slot = Some(now.as_micros() as i64),
            _ => return,
        }
        self.next = self.next.min(extended);
        self.media = Some(ssrc);
        self.report_at = self.report_at.or(Some(now + INTERVAL));
        self.trim(MAX_KEPT);
    }

    fn trim(&mut self, kept: u64) {
        while self.slots.len() as u64 > kept {
            self.slots.pop_front();
            self.first += 1;
        }
        self.next = self.next.max(self.first);
    }

    /// The report is due from now on; no deadline until more arrives after it was written.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.report_at.is_some_and(|at| at <= now);
        if due {
            self.report_at = None;
        }
        due
    }

    /// Gives how many packets it speaks of; what did not fit follows in another.
    pub fn write(&self, writer: &mut RtcpWriter<'_>, sender: Ssrc) -> usize {
        let (Some(media), Some(skip)) = (self.media, self.next.checked_sub(self.first)) else { return 0 };
        let arrivals = self.slots.iter().skip(skip as usize).copied();
        writer.transport_feedback(sender, media, SequenceNumber(self.next as u16), self.feedback_count, arrivals)
    }

    /// What [`Self::write`] gave is on its way.
    pub fn written(&mut self, count: usize) {
        self.next = (self.next + count as u64).min(self.end());
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.trim((self.end() - self.next).max(KEPT_AFTER));
        if !self.has_news() {
            self.report_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wigwag_rtp::rtcp::{self, RtcpPacket};

    /// Everything that waits, as the sender reads it.
    fn report(arrivals: &mut Arrivals, room: usize) -> Vec<(u16, i64)> {
        let mut all = Vec::new();
        while arrivals.has_news() {
            let mut memory = vec![0; room];
            let mut writer = RtcpWriter::new(&mut memory);
            let count = arrivals.write(&mut writer, Ssrc(1));
            assert!(count > 0);
            let len = writer.len();
            arrivals.written(count);
            let Some(Ok(RtcpPacket::TransportFeedback(feedback))) = rtcp::packets(&memory[..len]).next() else {
                panic!()
            };
            assert_eq!(usize::from(feedback.status_count), count);
            all.extend(feedback.received().map(|packet| (packet.sequence_number.0, packet.arrival_micros)));
        }
        all
    }

    #[test]
    fn loss_order_and_wrap() {
        let mut arrivals = Arrivals::default();
        for (at, number) in [65_533, 65_535, 1].into_iter().enumerate() {
            arrivals.record(Instant(1_000_000 + 1000 * at as u64), SequenceNumber(number), Ssrc(7));
        }
        assert_eq!(arrivals.report_at(), Some(Instant(1_050_000)));
        assert!(!arrivals.handle_timeout(Instant(1_049_999)) && arrivals.handle_timeout(Instant(1_050_000)));
        assert_eq!(report(&mut arrivals, 1200), [(65_533, 1_000_000), (65_535, 1_001_000), (1, 1_002_000)]);
        assert_eq!(arrivals.report_at(), None);

        // One comes late, and again: it is reported once, with what followed it.
        arrivals.record(Instant(1_060_000), SequenceNumber(0), Ssrc(7));
        arrivals.record(Instant(1_061_000), SequenceNumber(0), Ssrc(7));
        assert_eq!(report(&mut arrivals, 1200), [(0, 1_060_000), (1, 1_002_000)]);
    }

    #[test]
    fn a_sender_that_starts_over() {
        let mut arrivals = Arrivals::default();
        arrivals.record(Instant(0), SequenceNumber(5), Ssrc(7));
        arrivals.record(Instant(250), SequenceNumber(20_000), Ssrc(7));
        arrivals.record(Instant(500), SequenceNumber(3), Ssrc(7));
        assert_eq!(report(&mut arrivals, 1200), [(3, 500)]);
        assert!(arrivals.slots.len() as u64 <= KEPT_AFTER);
    }

    proptest! {
        #[test]
        fn what_arrives_is_reported(
            start: u16,
            steps in prop::collection::vec((0..30_u16, 0..300_u64, 0..20_u8), 1..300),
            room in 100..1200_usize,
        ) {
            let mut arrivals = Arrivals::default();
            let (mut now, mut number) = (0, start);
            let mut first = None;
            let (mut truth, mut told) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
            for (step, wait, what) in steps {
                now += wait * 250;
                if what == 0 {
                    told.extend(report(&mut arrivals, room));
                }
                // Mostly the next; at times some are lost, at times an old one comes.
                let this = if what == 1 { number.wrapping_sub(step) } else { number.wrapping_add(1 + step / 20) };
                if this != number.wrapping_sub(step) || what != 1 { number = this; }
                if what == 1 && truth.is_empty() { continue; }
                arrivals.record(Instant(now), SequenceNumber(this), Ssrc(7));
                // What lies before the very first was never promised.
                if this.wrapping_sub(*first.get_or_insert(this)) < 0x8000 {
                    truth.entry(this).or_insert(now as i64);
                }
            }
            told.extend(report(&mut arrivals, room));
            prop_assert_eq!(told, truth);
        }

        #[test]
        fn any_numbers_stay_bounded(numbers in prop::collection::vec(any::<u16>(), 0..500), often: bool) {
            let mut arrivals = Arrivals::default();
            for (at, number) in numbers.into_iter().enumerate() {
                arrivals.record(Instant(at as u64 * 9_000_000), SequenceNumber(number), Ssrc(1));
                prop_assert!(arrivals.slots.len() as u64 <= MAX_KEPT);
                if often { report(&mut arrivals, 64); }
            }
            report(&mut arrivals, 1200);
            prop_assert!(!arrivals.has_news());
        }
    }
}
