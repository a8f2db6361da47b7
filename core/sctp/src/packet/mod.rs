//! Packets: a common header, then chunks. RFC 9260 section 3.
//!
//! ```text
//!  0                   1                   2                   3
//! |     Source Port Number        |     Destination Port Number   |
//! |                      Verification Tag                         |
//! |                           Checksum                            |
//! |   Chunk Type  |  Chunk Flags  |         Chunk Length          |   then Chunk Value, padded to four bytes
//! ```
//!
//! Reading borrows: [`Packet::parse`] checks ports and CRC32c and [`Chunks`] walks the chunks in place. Writing fills the caller's
//! memory: a [`Writer`] appends chunks and [`Writer::finish`] seals the packet.

pub(crate) mod chunk;
pub(crate) mod forward_tsn;
pub(crate) mod init;
pub(crate) mod reconfig;
pub(crate) mod sack;
mod writer;

pub(crate) use writer::{Checksum, Writer};

/// The common header.
pub(crate) const HEADER: usize = 12;
/// Type, flags, length.
pub(crate) const CHUNK_HEADER: usize = 4;

/// A packet whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub verification_tag: u32,
    pub chunks: Chunks<'a>,
}

/// Why a packet is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    TooShort,
    Checksum,
}

impl<'a> Packet<'a> {
    /// `zero_checksum`: a checksum of zero stands for none. RFC 9653 section 5.3.
    pub fn parse(bytes: &'a [u8], zero_checksum: bool) -> Result<Self, Malformed> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Err(Malformed::TooShort) };
        let [s0, s1, d0, d1, t0, t1, t2, t3, checksum @ ..] = *header;
        let unchecked = zero_checksum && checksum == [0; 4];
        if !unchecked && checksum != checksum_of(bytes) {
            return Err(Malformed::Checksum);
        }
        Ok(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            verification_tag: u32::from_be_bytes([t0, t1, t2, t3]),
            chunks: Chunks(rest),
        })
    }
}

/// CRC32c over the packet with a checksum of zero. RFC 9260 appendix A.
fn checksum_of(packet: &[u8]) -> [u8; 4] {
    let (ports_and_tag, rest) = packet.split_at(packet.len().min(8));
    let crc = crc32c::crc32c_append(crc32c::crc32c(ports_and_tag), &[0; 4]);
    crc32c::crc32c_append(crc, rest.get(4..).unwrap_or_default()).to_le_bytes()
}

/// One chunk, as it lies in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawChunk<'a> {
    pub kind: u8,
    pub flags: u8,
    /// Without header and padding.
    pub value: &'a [u8],
    /// With the header, without padding: for error causes that quote it.
    pub whole: &'a [u8],
}

/// The chunks of a packet; ends early at one whose length is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks<'a>(pub &'a [u8]);

impl Chunks<'_> {
    /// Whether everything was walked: what is left over is no chunk.
    pub fn is_spent(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = RawChunk<'a>;

    fn next(&mut self) -> Option<RawChunk<'a>> {
        let &[kind, flags, l0, l1] = self.0.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let whole = self.0.get(..length)?;
        let value = whole.get(CHUNK_HEADER..)?;
        // The last chunk's padding may be missing (RFC 9260 section 3.2 asks to be lenient).
        self.0 = self.0.get(padded(length)..).unwrap_or_default();
        Some(RawChunk { kind, flags, value, whole })
    }
}

/// `length` and its padding.
pub(crate) const fn padded(length: usize) -> usize {
    (length + 3) & !3
}

/// The big-endian number at the beginning.
pub(crate) fn take_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk().map(|(&number, rest)| (u16::from_be_bytes(number), rest))
}

/// The big-endian number at the beginning.
pub(crate) fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(&number, rest)| (u32::from_be_bytes(number), rest))
}

/// The type-length-value parameters of INIT, INIT ACK and RE-CONFIG, padded like chunks: `(type, value, whole)`. RFC 9260 section 3.2.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a>(pub &'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = (u16, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, rest) = take_u16(self.0)?;
        let (length, _) = take_u16(rest)?;
        let whole = self.0.get(..usize::from(length))?;
        let value = whole.get(4..)?;
        self.0 = self.0.get(padded(whole.len())..).unwrap_or_default();
        Some((kind, value, whole))
    }
}

/// What is to be done about a type that is not known, by its two highest bits. RFC 9260 sections 3.2 and 3.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Go on with what follows.
    pub skip: bool,
    /// Tell the peer.
    pub report: bool,
}

impl Unknown {
    pub fn chunk(kind: u8) -> Self {
        Self { skip: kind & 0x80 != 0, report: kind & 0x40 != 0 }
    }

    pub fn parameter(kind: u16) -> Self {
        Self { skip: kind & 0x8000 != 0, report: kind & 0x4000 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn bits_decide_about_unknown_types() {
        assert_eq!(Unknown::chunk(0x3f), Unknown { skip: false, report: false });
        assert_eq!(Unknown::chunk(0xff), Unknown { skip: true, report: true });
        assert_eq!(Unknown::parameter(0x8001), Unknown { skip: true, report: false });
        assert_eq!(Unknown::parameter(0x4001), Unknown { skip: false, report: true });
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked(bytes: Vec<u8>) {
            let _ = Packet::parse(&bytes, bytes.len() % 2 == 0);
            let taken: usize = Chunks(&bytes).map(|chunk| chunk.whole.len()).sum();
            prop_assert!(taken <= bytes.len());
            let _ = Parameters(&bytes).count();
        }

        #[test]
        fn what_was_written_is_read(tag: u32, chunks in prop::collection::vec((any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..50)), 0..8)) {
            let mut room = [0xaa; 1200];
            let mut writer = Writer::new(&mut room).unwrap();
            for (kind, flags, value) in &chunks {
                prop_assert!(writer.chunk(*kind, *flags, value.len(), |out| out.copy_from_slice(value)));
            }
            let len = writer.finish(1, 2, tag, Checksum::Crc32c);
            let packet = Packet::parse(&room[..len], false).unwrap();
            prop_assert_eq!((packet.source_port, packet.destination_port, packet.verification_tag), (1, 2, tag));
            let read: Vec<_> = packet.chunks.map(|chunk| (chunk.kind, chunk.flags, chunk.value.to_vec())).collect();
            prop_assert_eq!(read, chunks);
        }

        #[test]
        fn a_flipped_bit_is_seen(tag: u32, bit in 0..(12 + 8) * 8_usize) {
            let mut room = [0; 64];
            let mut writer = Writer::new(&mut room).unwrap();
            writer.chunk(7, 0, 4, |out| out.copy_from_slice(b"abcd"));
            let len = writer.finish(5000, 5000, tag, Checksum::Crc32c);
            room[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Packet::parse(&room[..len], false).is_err());
        }

        #[test]
        fn a_checksum_of_zero_is_taken_from_who_may(tag: u32) {
            let mut room = [0; 64];
            let mut writer = Writer::new(&mut room).unwrap();
            writer.chunk(7, 0, 4, |out| out.copy_from_slice(b"abcd"));
            let len = writer.finish(5000, 5000, tag, Checksum::Zero);
            prop_assert!(Packet::parse(&room[..len], true).is_ok());
            prop_assert!(Packet::parse(&room[..len], false).is_err());
            room[8] ^= 1;
            prop_assert!(Packet::parse(&room[..len], true).is_err(), "zero, or right");
        }
    }
}
