//! Which packets of a transport arrived, and when: transport-wide feedback.
//! draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |      base sequence number     |      packet status count      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 reference time                | fb pkt. count |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  chunks of 16 bits: which packets arrived                     |
//! |  deltas of 8 or 16 bits: when, each after the one before      |
//! |  zeros up to 32 bits                                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!
//! |0| S |         run length      |  as many packets with one symbol
//! |1|0|      14 symbols of a bit   |  arrived with a small delta, or not
//! |1|1|    7 symbols of two bits   |
//! ```
//!
//! A chunk of two bytes can stand for 8191 packets that did not arrive: those are never gone through one by one.

use super::feedback::head;
use crate::number::{SequenceNumber, Ssrc};
use crate::wire::{be16, be24};

/// Microseconds in a unit of a delta.
pub(super) const DELTA_MICROS: i64 = 250;

/// Deltas in a unit of the reference time: 64 ms.
pub(super) const REFERENCE_DELTAS: i64 = 256;

/// What a chunk says of a packet. Section 3.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// It did not arrive.
    Missing = 0,
    /// It arrived; its delta is one byte, unsigned.
    Small = 1,
    /// It arrived; its delta is two bytes, signed.
    Large = 2,
}

impl Symbol {
    /// 3 is reserved.
    fn from_bits(bits: u16) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Missing),
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }

    /// Bytes of its delta.
    pub(super) const fn delta_len(self) -> usize {
        self as usize
    }
}

/// A chunk.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run(Symbol, u16),
    /// Symbols of a bit, the first in bit 13.
    Bits(u16),
    /// Symbols of two bits, the first in bits 13 and 12.
    Pairs(u16),
}

impl Chunk {
    fn parse(bits: u16) -> Option<Self> {
        Some(match bits >> 14 {
            0 | 1 => Self::Run(Symbol::from_bits(bits >> 13)?, bits & 0x1FFF),
            2 => Self::Bits(bits & 0x3FFF),
            _ => Self::Pairs(bits & 0x3FFF),
        })
    }

    /// Packets that it stands for.
    fn len(self) -> u16 {
        match self {
            Self::Run(_, len) => len,
            Self::Bits(_) => 14,
            Self::Pairs(_) => 7,
        }
    }

    /// What it says of its packet `at`.
    fn symbol(self, at: u16) -> Option<Symbol> {
        match self {
            Self::Run(symbol, _) => Some(symbol),
            Self::Bits(bits) => Symbol::from_bits((bits >> 13_u16.checked_sub(at)?) & 1),
            Self::Pairs(bits) => Symbol::from_bits(bits >> 12_u16.checked_sub(2 * at)?),
        }
    }

    /// Packets that arrived, and bytes of their deltas, among the first `count`.
    fn received(self, count: u16) -> Option<(usize, usize)> {
        if let Self::Run(symbol, len) = self {
            let received = if symbol == Symbol::Missing { 0 } else { usize::from(len.min(count)) };
            return Some((received, received * symbol.delta_len()));
        }
        (0..self.len().min(count)).try_fold((0, 0), |(received, bytes), at| {
            let len = self.symbol(at)?.delta_len();
            Some((received + usize::from(len != 0), bytes + len))
        })
    }
}

/// Feedback about the packets of a transport.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    /// Who received.
    pub sender: Ssrc,
    /// Any source of the packets.
    pub media: Ssrc,
    /// The first packet that is spoken of.
    pub base: SequenceNumber,
    /// Packets that are spoken of, from there on.
    pub status_count: u16,
    /// The time before the first delta, of the receiver's clock, in units of 64 ms; 24 bits, signed, wrapping.
    pub reference_time: i32,
    /// One more in each feedback packet, so that a lost one is noticed.
    pub feedback_count: u8,
    received: usize,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// A packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedPacket {
    /// Its transport-wide sequence number.
    pub sequence_number: SequenceNumber,
    /// When it arrived: microseconds of the receiver's clock, rounded down to 250, which wraps with the reference time.
    pub arrival_micros: i64,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, media, rest) = head(body)?;
        let (base, status_count) = (be16(rest, 0)?, be16(rest, 2)?);
        // The shifts carry the sign from bit 23 to bit 31 and back.
        let reference_time = (be24(rest, 4)? << 8) as i32 >> 8;
        let feedback_count = *rest.get(7)?;
        let content = rest.get(8..)?;

        let (mut at, mut left, mut received, mut delta_len) = (0, status_count, 0, 0);
        while left > 0 {
            let chunk = Chunk::parse(be16(content, at)?)?;
            let (packets, bytes) = chunk.received(left)?;
            at += 2;
            left = left.saturating_sub(chunk.len());
            received += packets;
            delta_len += bytes;
        }
        let (chunks, rest) = content.split_at_checked(at)?;
        Some(Self {
            sender,
            media,
            base: SequenceNumber(base),
            status_count,
            reference_time,
            feedback_count,
            received,
            chunks,
            deltas: rest.get(..delta_len)?,
        })
    }

    /// Packets that arrived.
    pub fn received_count(&self) -> usize {
        self.received
    }

    /// The packets that arrived, by sequence number. What lies between them, and until `base + status_count`, did not
    /// arrive (yet).
    pub fn received(&self) -> impl Iterator<Item = ReceivedPacket> + use<'a> {
        Received {
            next: self.base,
            left: self.status_count,
            ticks: i64::from(self.reference_time) * REFERENCE_DELTAS,
            chunk: Chunk::Bits(0),
            chunk_at: Chunk::Bits(0).len(),
            chunks: self.chunks,
            deltas: self.deltas,
        }
    }
}

struct Received<'a> {
    next: SequenceNumber,
    /// Packets that are still to be spoken of.
    left: u16,
    /// The time of the last packet, in units of deltas.
    ticks: i64,
    chunk: Chunk,
    chunk_at: u16,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl Received<'_> {
    fn skip(&mut self, count: u16) {
        self.next = self.next.plus(count);
        self.left -= count;
    }
}

impl Iterator for Received<'_> {
    type Item = ReceivedPacket;

    fn next(&mut self) -> Option<ReceivedPacket> {
        while self.left > 0 {
            if self.chunk_at == self.chunk.len() {
                let (bits, chunks) = self.chunks.split_first_chunk()?;
                (self.chunk, self.chunk_at, self.chunks) = (Chunk::parse(u16::from_be_bytes(*bits))?, 0, chunks);
                if let Chunk::Run(Symbol::Missing, len) = self.chunk {
                    self.chunk_at = len;
                    self.skip(len.min(self.left));
                }
                continue;
            }
            let symbol = self.chunk.symbol(self.chunk_at)?;
            let sequence_number = self.next;
            self.chunk_at += 1;
            self.skip(1);
            let delta = match symbol {
                Symbol::Missing => continue,
                Symbol::Small => {
                    let (delta, deltas) = self.deltas.split_first()?;
                    self.deltas = deltas;
                    i64::from(*delta)
                }
                Symbol::Large => {
                    let (delta, deltas) = self.deltas.split_first_chunk()?;
                    self.deltas = deltas;
                    i64::from(i16::from_be_bytes(*delta))
                }
            };
            self.ticks += delta;
            return Some(ReceivedPacket { sequence_number, arrival_micros: self.ticks * DELTA_MICROS });
        }
        None
    }
}
