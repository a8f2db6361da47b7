//! RTP packets, parsed by borrowing, and changed where they lie. RFC 3550 section 5.1.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           synchronization source (SSRC) identifier            |
//! +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//! |            contributing sources (CSRC), CC of them            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  extension profile (if X)     |  its length in 32-bit words   |
//! |                  header extensions (RFC 8285)                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  payload, then padding (if P), whose last byte is its length  |
//! ```

use std::ops::Range;

use crate::extension::{Extension, Extensions};
use crate::number::{PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
use crate::wire::{be16, be32};

/// Bytes of the part of the header that every packet has.
pub const FIXED_HEADER_LEN: usize = 12;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtpError {
    /// Fewer bytes than the fixed header has.
    #[error("too short for an RTP header")]
    TooShort,
    /// The version is not 2.
    #[error("not RTP version 2")]
    WrongVersion,
    /// The contributing sources or the header extensions reach beyond the end.
    #[error("the RTP header is cut off")]
    CutOff,
    /// The padding's length is zero, or more than what follows the header.
    #[error("the RTP padding has an impossible length")]
    BadPadding,
}

/// Where the parts of a packet lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// With its four bytes of profile and length; empty without X.
    pub(crate) extension: Range<usize>,
    /// Bytes of the whole header: where the payload begins, and the encryption of SRTP.
    pub(crate) header_len: usize,
}

impl Layout {
    /// Reads the header only, so it fits encrypted packets too.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, RtpError> {
        let first = *bytes.first().ok_or(RtpError::TooShort)?;
        if bytes.len() < FIXED_HEADER_LEN {
            return Err(RtpError::TooShort);
        }
        if first >> 6 != 2 {
            return Err(RtpError::WrongVersion);
        }
        let start = FIXED_HEADER_LEN + 4 * usize::from(first & 0x0F);
        let header_len = match first & 0x10 {
            0 => start,
            _ => start + 4 + 4 * usize::from(be16(bytes, start + 2).ok_or(RtpError::CutOff)?),
        };
        if header_len > bytes.len() {
            return Err(RtpError::CutOff);
        }
        Ok(Self { extension: start..header_len, header_len })
    }
}

/// An RTP packet that borrows its bytes. Its structure is sound.
///
/// ```
/// use wigwag_rtp::{PayloadType, RtpPacket, SequenceNumber, Ssrc};
///
/// let bytes = [0x80, 0x80 | 96, 0, 7, 0, 0, 0x0B, 0xB8, 0xCA, 0xFE, 0xBA, 0xBE, b'h', b'i'];
/// let packet = RtpPacket::parse(&bytes)?;
/// assert!(packet.marker());
/// assert_eq!(packet.payload_type(), PayloadType::new(96).unwrap());
/// assert_eq!(packet.sequence_number(), SequenceNumber(7));
/// assert_eq!(packet.ssrc(), Ssrc(0xCAFE_BABE));
/// assert_eq!(packet.payload(), b"hi");
/// # Ok::<(), wigwag_rtp::RtpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    layout: Layout,
    /// Bytes of padding, with the byte that counts them.
    padding: usize,
}

impl<'a> RtpPacket<'a> {
    /// The packet that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let layout = Layout::of(bytes)?;
        let body = bytes.get(layout.header_len..).unwrap_or_default();
        let padding = padding(bytes, body)?;
        Ok(Self { bytes, layout, padding })
    }

    /// The marker bit: mostly the last packet of a video frame, or the first of a talk spurt.
    pub fn marker(&self) -> bool {
        self.byte(1) & 0x80 != 0
    }

    /// What the payload is.
    pub fn payload_type(&self) -> PayloadType {
        PayloadType::from_bits(self.byte(1))
    }

    /// The packet's place in its stream.
    pub fn sequence_number(&self) -> SequenceNumber {
        SequenceNumber(be16(self.bytes, 2).unwrap_or_default())
    }

    /// The payload's time, in units of its clock rate.
    pub fn timestamp(&self) -> RtpTimestamp {
        RtpTimestamp(be32(self.bytes, 4).unwrap_or_default())
    }

    /// The source.
    pub fn ssrc(&self) -> Ssrc {
        Ssrc(be32(self.bytes, 8).unwrap_or_default())
    }

    /// The sources that a mixer made this packet from; at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        let list = self.bytes.get(FIXED_HEADER_LEN..self.layout.extension.start).unwrap_or_default();
        list.chunks_exact(4).filter_map(|csrc| be32(csrc, 0)).map(Ssrc)
    }

    /// The header extensions of RFC 8285, one-byte or two-byte; none if the profile is another.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.extension_profile().unwrap_or_default(), self.extension_bytes())
    }

    /// The value of the first header extension with this id.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|extension| extension.id == id).map(|Extension { value, .. }| value)
    }

    /// The 16 bits that say of what kind the header extension is, if there is one.
    pub fn extension_profile(&self) -> Option<u16> {
        be16(self.bytes.get(self.layout.extension.clone())?, 0)
    }

    /// The header extension as it is, without profile and length.
    pub fn extension_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.layout.extension.clone()).and_then(|bytes| bytes.get(4..)).unwrap_or_default()
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.layout.header_len..self.bytes.len() - self.padding).unwrap_or_default()
    }

    /// Bytes of padding, with the one that counts them.
    pub fn padding_len(&self) -> usize {
        self.padding
    }

    /// Bytes before the payload.
    pub fn header_len(&self) -> usize {
        self.layout.header_len
    }

    /// The whole packet.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }
}

/// RFC 3550 appendix A.1: the last byte counts the padding, itself included, and the padding is not longer than what
/// follows the header. What the other bytes of it hold is the sender's affair.
fn padding(bytes: &[u8], body: &[u8]) -> Result<usize, RtpError> {
    if bytes.first().is_none_or(|first| first & 0x20 == 0) {
        return Ok(0);
    }
    let count = usize::from(body.last().copied().ok_or(RtpError::BadPadding)?);
    if count == 0 || count > body.len() { Err(RtpError::BadPadding) } else { Ok(count) }
}

/// An RTP packet whose fields are changed where they lie, as a forwarder does; its length stays.
///
/// ```
/// use wigwag_rtp::{RtpPacket, RtpPacketMut, SequenceNumber, Ssrc};
///
/// let mut bytes = [0x80, 96, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1];
/// let mut packet = RtpPacketMut::parse(&mut bytes)?;
/// packet.set_ssrc(Ssrc(2));
/// packet.set_sequence_number(SequenceNumber(8));
/// assert_eq!(RtpPacket::parse(&bytes)?.ssrc(), Ssrc(2));
/// # Ok::<(), wigwag_rtp::RtpError>(())
/// ```
#[derive(Debug)]
pub struct RtpPacketMut<'a> {
    bytes: &'a mut [u8],
    layout: Layout,
}

impl<'a> RtpPacketMut<'a> {
    /// The packet that fills `bytes`.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, RtpError> {
        let layout = RtpPacket::parse(bytes)?.layout;
        Ok(Self { bytes, layout })
    }

    /// The marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        if let Some(byte) = self.bytes.get_mut(1) {
            *byte = (*byte & 0x7F) | (u8::from(marker) << 7);
        }
    }

    /// What the payload is.
    pub fn set_payload_type(&mut self, payload_type: PayloadType) {
        if let Some(byte) = self.bytes.get_mut(1) {
            *byte = (*byte & 0x80) | payload_type.number();
        }
    }

    /// The packet's place in its stream.
    pub fn set_sequence_number(&mut self, number: SequenceNumber) {
        self.put(2, &number.0.to_be_bytes());
    }

    /// The payload's time.
    pub fn set_timestamp(&mut self, timestamp: RtpTimestamp) {
        self.put(4, &timestamp.0.to_be_bytes());
    }

    /// The source.
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.put(8, &ssrc.0.to_be_bytes());
    }

    /// The value of the first header extension with this id, to be overwritten: what is known only when the packet
    /// leaves (the time of sending, the transport-wide sequence number) is reserved before.
    pub fn extension_mut(&mut self, id: u8) -> Option<&mut [u8]> {
        let block = self.bytes.get_mut(self.layout.extension.clone())?;
        let found = Extensions::new(be16(block, 0)?, block.get(4..)?).find_range(id)?;
        block.get_mut(found.start + 4..found.end + 4)
    }

    /// The payload, with its padding.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.layout.header_len..).unwrap_or_default()
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        if let Some(field) = self.bytes.get_mut(at..at + value.len()) {
            field.copy_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: [u8; 12] = [0x80, 96, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1];

    fn with(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        bytes[0] = first;
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn short_and_foreign() {
        for len in 0..FIXED_HEADER_LEN {
            assert_eq!(RtpPacket::parse(&HEADER[..len]).unwrap_err(), RtpError::TooShort);
        }
        assert_eq!(RtpPacket::parse(&with(0x40, &[])).unwrap_err(), RtpError::WrongVersion);
        assert!(RtpPacket::parse(&HEADER).unwrap().payload().is_empty());
    }

    #[test]
    fn padding_is_checked() {
        for (rest, expected) in [
            (&[][..], None),
            (&[0], None),
            (&[2], None),
            (&[1], Some(0)),
            (&[7, 9, 2], Some(1)),
            (&[7, 9, 3], Some(0)),
            (&[7, 9, 4], None),
            (&[7, 9, 255], None),
        ] {
            let bytes = with(0xA0, rest);
            let packet = RtpPacket::parse(&bytes);
            assert_eq!(packet.as_ref().ok().map(|packet| packet.payload().len()), expected, "{rest:?}");
            if expected.is_none() {
                assert_eq!(packet.unwrap_err(), RtpError::BadPadding);
            }
        }
    }

    #[test]
    fn cut_off_headers() {
        assert_eq!(RtpPacket::parse(&with(0x81, &[0; 3])).unwrap_err(), RtpError::CutOff);
        assert_eq!(RtpPacket::parse(&with(0x90, &[0xBE, 0xDE, 0])).unwrap_err(), RtpError::CutOff);
        assert_eq!(RtpPacket::parse(&with(0x90, &[0xBE, 0xDE, 0, 1, 0, 0, 0])).unwrap_err(), RtpError::CutOff);
        assert_eq!(RtpPacket::parse(&with(0x90, &[0xBE, 0xDE, 0xFF, 0xFF])).unwrap_err(), RtpError::CutOff);
        // Padding may not reach into the extension.
        let bytes = with(0xB0, &[0xBE, 0xDE, 0, 1, 0x10, 5, 0, 5]);
        assert_eq!(RtpPacket::parse(&bytes).unwrap_err(), RtpError::BadPadding);
    }

    #[test]
    fn csrcs_and_foreign_extensions() {
        let bytes = with(0x92, &[0, 0, 0, 2, 0, 0, 0, 3, 0x12, 0x34, 0, 1, 1, 2, 3, 4, b'p']);
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [Ssrc(2), Ssrc(3)]);
        assert_eq!(packet.extension_profile(), Some(0x1234));
        assert_eq!(packet.extension_bytes(), [1, 2, 3, 4]);
        assert_eq!(packet.extensions().count(), 0);
        assert_eq!(packet.payload(), b"p");
        assert_eq!(packet.header_len(), 28);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), first in 0x80..=0xBF_u8) {
            let mut bytes = bytes;
            for turn in 0..2 {
                if let Ok(packet) = RtpPacket::parse(&bytes) {
                    let sum = packet.header_len() + packet.payload().len() + packet.padding_len();
                    prop_assert_eq!(sum, bytes.len());
                    packet.csrcs().for_each(drop);
                    packet.extensions().for_each(drop);
                }
                if let Ok(mut packet) = RtpPacketMut::parse(&mut bytes) {
                    packet.set_marker(true);
                    packet.set_timestamp(RtpTimestamp(1));
                    (0..=255).for_each(|id| { packet.extension_mut(id); });
                }
                if turn == 0 && let Some(byte) = bytes.first_mut() {
                    *byte = first;
                }
            }
        }
    }
}
