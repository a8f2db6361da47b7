//! A packet being written into the caller's memory.

use super::{CHUNK_HEADER, HEADER, checksum_of, padded};

/// What stands in the checksum's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Crc32c,
    /// Nothing: DTLS already knows whether the packet is whole. RFC 9653.
    Zero,
}

/// Appends chunks to a packet; its length is a multiple of four at every moment.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// `None` when not even an empty packet fits.
    pub fn new(room: &'a mut [u8]) -> Option<Self> {
        (room.len() >= HEADER).then_some(Self { room, len: HEADER })
    }

    /// Nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len == HEADER
    }

    /// How long the value of the next chunk can be.
    pub fn room_for_value(&self) -> usize {
        let free = (self.room.len() & !3).saturating_sub(self.len);
        free.saturating_sub(CHUNK_HEADER).min(usize::from(u16::MAX) - 3 - CHUNK_HEADER)
    }

    /// How long the value of a chunk in a packet of its own could be.
    pub fn room_for_value_alone(&self) -> usize {
        let free = (self.room.len() & !3).saturating_sub(HEADER);
        free.saturating_sub(CHUNK_HEADER).min(usize::from(u16::MAX) - 3 - CHUNK_HEADER)
    }

    /// Appends a chunk whose value `fill` writes, or does nothing and says `false` when there is no room.
    pub fn chunk(&mut self, kind: u8, flags: u8, value_len: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        if value_len > self.room_for_value() {
            return false;
        }
        let length = CHUNK_HEADER + value_len;
        let Some(space) = self.room.get_mut(self.len..self.len + padded(length)) else { return false };
        let (header, rest) = space.split_at_mut(CHUNK_HEADER);
        let (value, padding) = rest.split_at_mut(value_len);
        let [l0, l1] = (length as u16).to_be_bytes();
        header.copy_from_slice(&[kind, flags, l0, l1]);
        fill(value);
        padding.fill(0);
        self.len += padded(length);
        true
    }

    /// A chunk with the value `value`.
    pub fn chunk_of(&mut self, kind: u8, flags: u8, value: &[u8]) -> bool {
        self.chunk(kind, flags, value.len(), |out| out.copy_from_slice(value))
    }

    /// Writes the header and the checksum; returns the packet's length.
    pub fn finish(self, source_port: u16, destination_port: u16, verification_tag: u32, checksum: Checksum) -> usize {
        let Some(packet) = self.room.get_mut(..self.len) else { return 0 };
        let Some((header, _)) = packet.split_first_chunk_mut::<HEADER>() else { return 0 };
        let [s0, s1] = source_port.to_be_bytes();
        let [d0, d1] = destination_port.to_be_bytes();
        let [t0, t1, t2, t3] = verification_tag.to_be_bytes();
        *header = [s0, s1, d0, d1, t0, t1, t2, t3, 0, 0, 0, 0];
        if checksum == Checksum::Zero {
            return packet.len();
        }
        let checksum = checksum_of(packet);
        if let Some(field) = packet.get_mut(8..HEADER) {
            field.copy_from_slice(&checksum);
        }
        packet.len()
    }
}
