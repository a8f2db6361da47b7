//! Extended reports: round-trip times for those who send nothing. RFC 3611 sections 4.4 and 4.5.

use std::time::Duration;

use super::report::round_trip_time;
use crate::number::{NtpTimestamp, Ssrc};
use crate::wire::{Cursor, be16, be32, be64};

/// The block that tells the receiver's time.
pub(super) const REFERENCE_TIME: u8 = 4;
/// The block that answers it.
pub(super) const DELAY_SINCE_LAST: u8 = 5;

/// XR.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedReport<'a> {
    /// The sender of the report.
    pub ssrc: Ssrc,
    blocks: &'a [u8],
}

/// A block of an extended report.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ExtendedReportBlock<'a> {
    /// RRTR: the time of a receiver.
    ReferenceTime(NtpTimestamp),
    /// DLRR: the answers to such times; [`delays`](Self::delays) reads it.
    Delays(&'a [u8]),
    /// Any other.
    Other {
        /// Its type.
        block_type: u8,
        /// The byte whose meaning depends on the type.
        type_specific: u8,
        /// What follows the four bytes of the header.
        body: &'a [u8],
    },
}

/// How long ago a receiver's time came in. RFC 3611 section 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelaySinceLast {
    /// The receiver.
    pub ssrc: Ssrc,
    /// The middle of the time that it told; 0 if it told none.
    pub last_receiver_report: u32,
    /// How long ago that came, in units of 1/65,536 second.
    pub delay: u32,
}

/// Bytes of a [`DelaySinceLast`].
const DELAY_LEN: usize = 12;

impl DelaySinceLast {
    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        out.put32(self.ssrc.0);
        out.put32(self.last_receiver_report);
        out.put32(self.delay);
    }

    /// The round-trip time, for the receiver that told its time, if this arrived at `now` of the same clock.
    pub fn round_trip_time(&self, now: NtpTimestamp) -> Option<Duration> {
        if self.last_receiver_report == 0 {
            return None;
        }
        round_trip_time(now, self.last_receiver_report, self.delay)
    }
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let report = Self { ssrc: Ssrc(be32(body, 0)?), blocks: body.get(4..)? };
        let mut rest = report.blocks;
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Some(report)
    }

    /// The blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = ExtendedReportBlock<'a>> + use<'a> {
        let mut rest = self.blocks;
        std::iter::from_fn(move || {
            let (block, after) = split(rest)?;
            rest = after;
            Some(block)
        })
    }

    /// The answers to receivers' times, of all blocks.
    pub fn delays(&self) -> impl Iterator<Item = DelaySinceLast> + use<'a> {
        self.blocks().flat_map(|block| block.delays())
    }
}

impl<'a> ExtendedReportBlock<'a> {
    /// The entries of a DLRR block; none of any other.
    pub fn delays(&self) -> impl Iterator<Item = DelaySinceLast> + use<'a> {
        let entries = match *self {
            Self::Delays(entries) => entries,
            _ => &[],
        };
        entries.chunks_exact(DELAY_LEN).filter_map(|entry| {
            Some(DelaySinceLast {
                ssrc: Ssrc(be32(entry, 0)?),
                last_receiver_report: be32(entry, 4)?,
                delay: be32(entry, 8)?,
            })
        })
    }
}

fn split(bytes: &[u8]) -> Option<(ExtendedReportBlock<'_>, &[u8])> {
    let (&[block_type, type_specific, ..], rest) = bytes.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(4 * usize::from(be16(bytes, 2)?))?;
    let block = match block_type {
        REFERENCE_TIME => ExtendedReportBlock::ReferenceTime(NtpTimestamp(be64(body, 0)?)),
        DELAY_SINCE_LAST if body.len() % DELAY_LEN == 0 => ExtendedReportBlock::Delays(body),
        DELAY_SINCE_LAST => return None,
        _ => ExtendedReportBlock::Other { block_type, type_specific, body },
    };
    Some((block, rest))
}
