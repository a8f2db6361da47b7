//! RTP packets, written in place.

use crate::extension::{ExtensionMap, ExtensionValue, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use crate::number::{PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
use crate::packet::FIXED_HEADER_LEN;

/// What every RTP packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The packet's place in its stream.
    pub sequence_number: SequenceNumber,
    /// The payload's time, in units of its clock rate.
    pub timestamp: RtpTimestamp,
    /// The source.
    pub ssrc: Ssrc,
}

/// Contributing sources that a packet can name: the count has four bits.
const MAX_CSRCS: u8 = 15;

/// Writes an RTP packet into the caller's memory: [`csrc`](Self::csrc)s, [`extension`](Self::extension)s, then the
/// payload, by [`payload`](Self::payload) or by hand into [`payload_room`](Self::payload_room), then
/// [`padding`](Self::padding).
///
/// What does not fit, or comes out of that order, is remembered: [`finish`](Self::finish) then gives `None`, so that
/// the calls before need no checking.
///
/// Header extensions begin in the one-byte form. The first that does not fit it (an id above 14, no bytes or more
/// than 16) turns all of them to the two-byte form, which a peer that has not agreed to `a=extmap-allow-mixed` may not
/// understand: choose ids up to 14 for such a one.
///
/// ```
/// use wigwag_rtp::{PayloadType, RtpBuilder, RtpHeader, RtpPacket, RtpTimestamp, SequenceNumber, Ssrc};
///
/// let mut memory = [0; 64];
/// let header = RtpHeader {
///     marker: false,
///     payload_type: PayloadType::PCMU,
///     sequence_number: SequenceNumber(1),
///     timestamp: RtpTimestamp(160),
///     ssrc: Ssrc(7),
/// };
/// let mut packet = RtpBuilder::new(&mut memory, &header);
/// packet.extension(1, b"audio");
/// packet.payload(b"sound");
/// let len = packet.finish().unwrap();
///
/// let packet = RtpPacket::parse(&memory[..len])?;
/// assert_eq!(packet.extension(1), Some(&b"audio"[..]));
/// assert_eq!(packet.payload(), b"sound");
/// # Ok::<(), wigwag_rtp::RtpError>(())
/// ```
#[derive(Debug)]
pub struct RtpBuilder<'a> {
    room: &'a mut [u8],
    /// `None` when something did not fit.
    len: Option<usize>,
    stage: Stage,
}

/// What was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Csrcs,
    /// The elements begin at `start`.
    Extensions {
        start: usize,
        two_byte: bool,
    },
    Payload,
    Padding,
}

impl<'a> RtpBuilder<'a> {
    /// Begins a packet in `room`.
    pub fn new(room: &'a mut [u8], header: &RtpHeader) -> Self {
        let len = room.first_chunk_mut::<FIXED_HEADER_LEN>().map(|fixed| {
            let [n1, n2] = header.sequence_number.0.to_be_bytes();
            let [t1, t2, t3, t4] = header.timestamp.0.to_be_bytes();
            let [s1, s2, s3, s4] = header.ssrc.0.to_be_bytes();
            let second = u8::from(header.marker) << 7 | header.payload_type.number();
            *fixed = [0x80, second, n1, n2, t1, t2, t3, t4, s1, s2, s3, s4];
            FIXED_HEADER_LEN
        });
        Self { room, len, stage: Stage::Csrcs }
    }

    /// A contributing source; at most 15.
    pub fn csrc(&mut self, csrc: Ssrc) {
        let count = self.room.first().map_or(MAX_CSRCS, |first| first & 0x0F);
        if self.stage != Stage::Csrcs || count == MAX_CSRCS {
            self.len = None;
            return;
        }
        self.append(&csrc.0.to_be_bytes());
        self.set_first(count + 1);
    }

    /// A header extension with an id of 1 to 255 and a value of at most 255 bytes.
    pub fn extension(&mut self, id: u8, value: &[u8]) {
        self.len = self.try_extension(id, value);
    }

    /// A header extension of a known kind; nothing is written if `map` has no id for it.
    pub fn extension_value(&mut self, map: &ExtensionMap, value: &ExtensionValue<'_>) {
        let Some(id) = map.id(value.kind()) else { return };
        let mut bytes = [0; 255];
        match value.write(&mut bytes).and_then(|len| bytes.get(..len)) {
            Some(bytes) => self.extension(id, bytes),
            None => self.len = None,
        }
    }

    fn try_extension(&mut self, id: u8, value: &[u8]) -> Option<usize> {
        let (start, mut at, mut two_byte) = match self.stage {
            Stage::Csrcs => (self.len? + 4, self.len? + 4, false),
            Stage::Extensions { start, two_byte } => (start, self.len?, two_byte),
            Stage::Payload | Stage::Padding => return None,
        };
        let len = u8::try_from(value.len()).ok().filter(|_| id != 0)?;
        if !two_byte && (id > 14 || !(1..=16).contains(&len)) {
            at = self.grow_to_two_byte(start, at)?;
            two_byte = true;
        }
        // No slices of a length that the compiler does not know: a call for a byte or two takes longer than they do.
        let before = if two_byte {
            *self.room.get_mut(at..)?.first_chunk_mut()? = [id, len];
            at + 2
        } else {
            *self.room.get_mut(at)? = id << 4 | (len - 1);
            at + 1
        };
        let after = before + value.len();
        self.room.get_mut(before..after)?.copy_from_slice(value);
        self.stage = Stage::Extensions { start, two_byte };
        Some(after)
    }

    /// Gives each element in `start..end` a second byte; gives the new end.
    fn grow_to_two_byte(&mut self, start: usize, end: usize) -> Option<usize> {
        let (mut element, mut end) = (start, end);
        while element < end {
            let head = *self.room.get(element)?;
            let len = (head & 0x0F) + 1;
            self.room.get_mut(element + 1..end + 1)?.copy_within(..end - element - 1, 1);
            self.room.get_mut(element..element + 2)?.copy_from_slice(&[head >> 4, len]);
            element += 2 + usize::from(len);
            end += 1;
        }
        Some(end)
    }

    /// What the payload may be written into; say how much it was with [`payload_written`](Self::payload_written).
    pub fn payload_room(&mut self) -> &mut [u8] {
        self.end_header();
        match self.len {
            Some(len) => self.room.get_mut(len..).unwrap_or_default(),
            None => &mut [],
        }
    }

    /// The first `len` bytes of [`payload_room`](Self::payload_room) are payload.
    pub fn payload_written(&mut self, len: usize) {
        self.end_header();
        if self.stage != Stage::Payload {
            self.len = None;
        }
        self.len = self.len.and_then(|before| before.checked_add(len)).filter(|len| *len <= self.room.len());
    }

    /// The payload, or more of it.
    pub fn payload(&mut self, bytes: &[u8]) {
        self.end_header();
        if self.stage != Stage::Payload {
            self.len = None;
        }
        self.append(bytes);
    }

    /// Padding of `count` bytes, the one that counts them included; none if 0.
    pub fn padding(&mut self, count: u8) {
        self.end_header();
        if self.stage == Stage::Padding {
            self.len = None;
        }
        let Some(zeros) = count.checked_sub(1) else { return };
        self.stage = Stage::Padding;
        self.append([0; 255].get(..usize::from(zeros)).unwrap_or_default());
        self.append(&[count]);
        let first = self.room.first().map_or(0, |first| first & 0x1F);
        self.set_first(first | 0x20);
    }

    /// The packet's length, if all of it fitted.
    pub fn finish(mut self) -> Option<usize> {
        self.end_header();
        self.len
    }

    /// Header extensions are padded to 32 bits, and counted.
    fn end_header(&mut self) {
        match self.stage {
            Stage::Csrcs => self.stage = Stage::Payload,
            Stage::Extensions { start, two_byte } => {
                self.stage = Stage::Payload;
                self.len = self.len.and_then(|len| {
                    let end = start + (len - start).next_multiple_of(4);
                    self.room.get_mut(len..end)?.fill(0);
                    let profile = if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
                    let words = u16::try_from((end - start) / 4).ok()?;
                    let head = self.room.get_mut(start - 4..start)?.first_chunk_mut::<4>()?;
                    let ([p1, p2], [w1, w2]) = (profile.to_be_bytes(), words.to_be_bytes());
                    *head = [p1, p2, w1, w2];
                    Some(end)
                });
                let first = self.room.first().map_or(0, |first| first & 0x2F);
                self.set_first(first | 0x10);
            }
            Stage::Payload | Stage::Padding => {}
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.len = self.len.and_then(|len| {
            let end = len.checked_add(bytes.len())?;
            self.room.get_mut(len..end)?.copy_from_slice(bytes);
            Some(end)
        });
    }

    /// The first byte's bits after the version.
    fn set_first(&mut self, bits: u8) {
        if let Some(first) = self.room.first_mut() {
            *first = 0x80 | bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::RtpPacket;
    use proptest::prelude::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: PayloadType::G722,
        sequence_number: SequenceNumber(0xFFFF),
        timestamp: RtpTimestamp(0x8000_0001),
        ssrc: Ssrc(0xDEAD_BEEF),
    };

    #[test]
    fn out_of_order_is_refused() {
        let mut room = [0; 100];
        let mut packet = RtpBuilder::new(&mut room, &HEADER);
        packet.payload(b"x");
        packet.extension(1, b"y");
        assert_eq!(packet.finish(), None);
        let mut packet = RtpBuilder::new(&mut room, &HEADER);
        packet.extension(0, b"y");
        assert_eq!(packet.finish(), None);
        let mut packet = RtpBuilder::new(&mut room, &HEADER);
        (0..16).for_each(|csrc| packet.csrc(Ssrc(csrc)));
        assert_eq!(packet.finish(), None);
        let mut packet = RtpBuilder::new(&mut room, &HEADER);
        packet.padding(4);
        packet.payload(b"x");
        assert_eq!(packet.finish(), None);
    }

    #[test]
    fn the_form_changes_on_the_way() {
        let mut room = [0xEE; 100];
        let mut packet = RtpBuilder::new(&mut room, &HEADER);
        packet.extension(1, b"ab");
        packet.extension(14, b"0123456789abcdef");
        packet.extension(15, b"");
        packet.extension(2, b"z");
        packet.payload_room()[..2].copy_from_slice(b"hi");
        packet.payload_written(2);
        let len = packet.finish().unwrap();
        let packet = RtpPacket::parse(&room[..len]).unwrap();
        assert_eq!(packet.extension_profile(), Some(TWO_BYTE_PROFILE));
        assert_eq!(packet.extension(1), Some(&b"ab"[..]));
        assert_eq!(packet.extension(14), Some(&b"0123456789abcdef"[..]));
        assert_eq!(packet.extension(15), Some(&b""[..]));
        assert_eq!(packet.extension(2), Some(&b"z"[..]));
        assert_eq!(packet.payload(), b"hi");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            csrcs in prop::collection::vec(any::<u32>(), 0..=15),
            extensions in prop::collection::vec((1..=255_u8, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
            small: bool,
            payload in prop::collection::vec(any::<u8>(), 0..50),
            padding: u8,
            missing in 1..500_usize,
        ) {
            let extensions: Vec<_> = extensions.into_iter().map(|(id, mut value)| {
                if small { value.truncate(16); value.push(1); value.truncate(16); }
                (if small { id % 14 + 1 } else { id }, value)
            }).collect();
            let build = |room: &mut [u8]| {
                let mut packet = RtpBuilder::new(room, &HEADER);
                csrcs.iter().for_each(|csrc| packet.csrc(Ssrc(*csrc)));
                extensions.iter().for_each(|(id, value)| packet.extension(*id, value));
                packet.payload(&payload);
                packet.padding(padding);
                packet.finish()
            };
            let mut room = vec![0xEE; 1000];
            let len = build(&mut room).unwrap();
            let packet = RtpPacket::parse(&room[..len]).unwrap();
            prop_assert_eq!(packet.csrcs().map(|csrc| csrc.0).collect::<Vec<_>>(), csrcs.clone());
            let read: Vec<_> = packet.extensions().map(|extension| (extension.id, extension.value.to_vec())).collect();
            prop_assert_eq!(&read, &extensions);
            prop_assert!(!small || extensions.is_empty() || packet.extension_profile() == Some(ONE_BYTE_PROFILE));
            prop_assert_eq!(packet.payload(), &payload[..]);
            prop_assert_eq!(packet.padding_len(), usize::from(padding));
            prop_assert!(packet.marker() && packet.ssrc() == HEADER.ssrc && packet.timestamp() == HEADER.timestamp);
            prop_assert!(packet.sequence_number() == HEADER.sequence_number);
            prop_assert_eq!(build(&mut vec![0; len]), Some(len));
            // A room that is too small never panics.
            prop_assert_eq!(build(&mut vec![0; len.saturating_sub(missing)]), None);
        }
    }
}
