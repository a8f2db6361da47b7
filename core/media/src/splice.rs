//! One continuous stream of several, for servers that forward.

use wigwag_proto::Instant;
use wigwag_rtp::{RtpTimestamp, SequenceNumber, Ssrc};

use crate::RtpIn;

/// Numbers the packets of changing sources as one stream: what a forwarding server sends to a viewer while it changes between speakers or
/// encodings.
///
/// Give it the packets of the source that is selected, and only those. While the source stays, its numbers go on with the same offset: gaps
/// stay gaps (the viewer asks for them, and late packets fill them). When it changes, the next number follows the highest that was sent,
/// and the timestamp goes on by the time that passed.
///
/// ```
/// use bytes::Bytes;
/// use wigwag_media::{PacketExtensions, RtpIn, Splice};
/// use wigwag_proto::Instant;
/// use wigwag_rtp::{PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
///
/// let packet = |ssrc, sequence_number, timestamp| RtpIn {
///     marker: false,
///     payload_type: PayloadType::new(96).unwrap(),
///     sequence_number,
///     timestamp: RtpTimestamp(timestamp),
///     ssrc: Ssrc(ssrc),
///     rid: None,
///     arrival: Instant(0),
///     recovered: false,
///     extensions: PacketExtensions::default(),
///     payload: Bytes::new(),
/// };
/// let mut splice = Splice::default();
/// let rate = 90_000;
/// assert_eq!(splice.next(Instant(0), &packet(1, 70_000, 500), rate), Some((SequenceNumber(4464), RtpTimestamp(500))));
/// // Another source, 20 ms later, starting with its key frame.
/// let now = Instant(20_000);
/// assert_eq!(splice.next(now, &packet(2, 66_000, 9), rate), Some((SequenceNumber(4465), RtpTimestamp(2300))));
/// assert_eq!(splice.next(now, &packet(2, 66_002, 9), rate), Some((SequenceNumber(4467), RtpTimestamp(2300))));
/// assert_eq!(splice.next(now, &packet(2, 66_001, 9), rate), Some((SequenceNumber(4466), RtpTimestamp(2300))));
/// // What came before the change has no place.
/// assert_eq!(splice.next(now, &packet(2, 65_999, 8), rate), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Splice {
    source: Option<Source>,
    /// The highest number that was given, and its timestamp and time.
    highest: u64,
    timestamp: u32,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: Ssrc,
    /// Its number at the change, and what that became.
    first: u64,
    became: u64,
    /// What is added to its timestamps.
    timestamp_offset: u32,
}

impl Splice {
    /// The numbers that a packet has in the outgoing stream; `None` if it lies before the change to its source, where the numbers belong
    /// to the source before. `clock_rate` is that of its payload type.
    pub fn next(&mut self, now: Instant, packet: &RtpIn, clock_rate: u32) -> Option<(SequenceNumber, RtpTimestamp)> {
        let source = match self.source {
            Some(source) if source.ssrc == packet.ssrc => source,
            before => self.change(now, packet, clock_rate, before.is_none()),
        };
        let number = source.became + packet.sequence_number.checked_sub(source.first)?;
        let timestamp = packet.timestamp.plus(source.timestamp_offset);
        if number > self.highest {
            (self.highest, self.timestamp, self.at) = (number, timestamp.0, now);
        }
        Some((SequenceNumber(number as u16), timestamp))
    }

    fn change(&mut self, now: Instant, packet: &RtpIn, clock_rate: u32, is_first: bool) -> Source {
        let first = packet.sequence_number;
        let (became, timestamp_offset) = if is_first {
            (first, 0)
        } else {
            let ticks = (now - self.at).as_micros() * u128::from(clock_rate) / 1_000_000;
            // Never the same time: that would be the same frame.
            let timestamp = self.timestamp.wrapping_add((ticks as u32).max(1));
            (self.highest + 1, timestamp.wrapping_sub(packet.timestamp.0))
        };
        let source = Source { ssrc: packet.ssrc, first, became, timestamp_offset };
        self.source = Some(source);
        source
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;
    use wigwag_rtp::PayloadType;

    use super::*;
    use crate::PacketExtensions;

    fn packet(ssrc: u32, sequence_number: u64, timestamp: u32) -> RtpIn {
        RtpIn {
            marker: false,
            payload_type: PayloadType::PCMU,
            sequence_number,
            timestamp: RtpTimestamp(timestamp),
            ssrc: Ssrc(ssrc),
            rid: None,
            arrival: Instant(0),
            recovered: false,
            extensions: PacketExtensions::default(),
            payload: Bytes::new(),
        }
    }

    #[test]
    fn time_goes_on_over_changes() {
        let mut splice = Splice::default();
        let mut now = Instant(0);
        let (mut last, mut number) = (RtpTimestamp(u32::MAX - 100), SequenceNumber(0));
        splice.next(now, &packet(0, 65_536, last.0), 48_000);
        for source in 1..20 {
            now += Duration::from_millis(20);
            let (next, timestamp) = splice.next(now, &packet(source, 70_000, source * 77_777), 48_000).unwrap();
            assert_eq!((next, timestamp), (number.next(), last.plus(960)));
            // Two packets in no time: still another frame.
            let (next, timestamp) = splice.next(now, &packet(source + 100, 80_000, 0), 48_000).unwrap();
            assert_eq!((next, timestamp), (number.plus(2), last.plus(961)));
            (number, last) = (next, timestamp);
        }
    }

    proptest! {
        /// Whatever changes when, and in whatever order a source's packets come: no number is given twice.
        #[test]
        fn no_number_twice(steps in prop::collection::vec((0..4_u32, 0..8_u64, any::<bool>()), 1..300)) {
            let (mut splice, mut newest, mut given) = (Splice::default(), [100_000_u64; 4], BTreeMap::new());
            let mut highest: Option<SequenceNumber> = None;
            let mut before = None;
            for (at, (source, step, late)) in steps.into_iter().enumerate() {
                let newest = &mut newest[source as usize];
                let number = if late { *newest - step } else { *newest + step };
                *newest = (*newest).max(number);
                let result = splice.next(Instant(at as u64 * 1000), &packet(source, number, number as u32), 90_000);
                if let (Some(highest), true) = (highest, before != Some(source)) {
                    prop_assert_eq!(result.map(|(number, _)| number), Some(highest.next()));
                }
                before = Some(source);
                let Some((outgoing, _)) = result else { continue };
                let owner = given.entry(outgoing.0).or_insert((source, number));
                prop_assert_eq!(*owner, (source, number));
                if highest.is_none_or(|highest| outgoing.0.wrapping_sub(highest.0) < 0x8000) {
                    highest = Some(outgoing);
                }
            }
        }
    }
}
