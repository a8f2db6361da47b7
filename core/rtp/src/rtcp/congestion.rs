//! Which packets arrived when, and with which ECN mark, for each source. RFC 8888 section 3.1.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       SSRC of a source                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          begin_seq            |          num_reports          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |R|ECN|  Arrival time offset    |  one for each, padded to 32 bits
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   ... sources; last the report's timestamp
//! ```

use crate::number::{SequenceNumber, Ssrc};
use crate::wire::{Cursor, be16, be32};

/// RFC 8888 section 3.1: more packets of one source than this are not reported at once.
pub(super) const MAX_REPORTS: usize = 16_384;

/// Feedback about any number of sources.
#[derive(Clone, Copy, Debug)]
pub struct CongestionFeedback<'a> {
    /// Who received.
    pub sender: Ssrc,
    /// When the report was made: the middle of an NTP time, in units of 1/65,536 second, of the receiver's clock.
    pub timestamp: u32,
    streams: &'a [u8],
}

/// What is said of one source.
#[derive(Clone, Copy, Debug)]
pub struct CongestionStream<'a> {
    /// The source.
    pub ssrc: Ssrc,
    /// The first packet that is spoken of.
    pub begin: SequenceNumber,
    reports: &'a [u8],
}

/// How a packet arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The ECN bits: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    pub ecn: u8,
    /// How long before the report's timestamp, in units of 1/1024 second; 13 bits.
    pub offset: u16,
}

impl Arrival {
    /// It arrived too long ago for 13 bits.
    pub const OFFSET_OVERFLOW: u16 = 0x1FFE;
    /// When it arrived is not known.
    pub const OFFSET_UNKNOWN: u16 = 0x1FFF;

    fn from_bits(bits: u16) -> Option<Self> {
        (bits & 0x8000 != 0).then_some(Self { ecn: (bits >> 13) as u8 & 3, offset: bits & 0x1FFF })
    }

    fn to_bits(self) -> u16 {
        0x8000 | u16::from(self.ecn & 3) << 13 | self.offset.min(Self::OFFSET_UNKNOWN)
    }
}

impl<'a> CongestionFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let sender = Ssrc(be32(body, 0)?);
        let (streams, timestamp) = body.get(4..)?.split_last_chunk::<4>()?;
        let mut rest = streams;
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Some(Self { sender, timestamp: u32::from_be_bytes(*timestamp), streams })
    }

    /// The sources, in order.
    pub fn streams(&self) -> impl Iterator<Item = CongestionStream<'a>> + use<'a> {
        let mut rest = self.streams;
        std::iter::from_fn(move || {
            let (stream, after) = split(rest)?;
            rest = after;
            Some(stream)
        })
    }
}

impl<'a> CongestionStream<'a> {
    /// Packet for packet: how it arrived, or that it did not.
    pub fn reports(&self) -> impl Iterator<Item = (SequenceNumber, Option<Arrival>)> + use<'a> {
        let begin = self.begin;
        let reports = self.reports.chunks_exact(2).zip(0..);
        reports.map(move |(bits, at)| (begin.plus(at), be16(bits, 0).and_then(Arrival::from_bits)))
    }
}

fn split(bytes: &[u8]) -> Option<(CongestionStream<'_>, &[u8])> {
    let (ssrc, begin, count) = (be32(bytes, 0)?, be16(bytes, 4)?, usize::from(be16(bytes, 6)?));
    let (reports, rest) = bytes.get(8..)?.split_at_checked((2 * count).next_multiple_of(4))?;
    let stream = CongestionStream {
        ssrc: Ssrc(ssrc),
        begin: SequenceNumber(begin),
        reports: reports.get(..2 * count).filter(|_| count <= MAX_REPORTS)?,
    };
    Some((stream, rest))
}

/// What is to be said of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReport<'a> {
    /// The source.
    pub ssrc: Ssrc,
    /// The first packet that is spoken of.
    pub begin: SequenceNumber,
    /// Packet for packet, at most 16,384; `None` for what did not arrive.
    pub reports: &'a [Option<Arrival>],
}

impl StreamReport<'_> {
    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        out.put32(self.ssrc.0);
        out.put16(self.begin.0);
        out.put16(self.reports.len() as u16);
        self.reports.iter().for_each(|report| out.put16(report.map_or(0, Arrival::to_bits)));
        out.align();
    }
}
