//! Sender and receiver reports. RFC 3550 section 6.4.

use std::time::Duration;

use crate::number::{NtpTimestamp, RtpTimestamp, Ssrc};
use crate::wire::{Cursor, be32, be64, to_be24};

/// How one source is received. RFC 3550 section 6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; 24 bits, signed: duplicates count against it.
    pub cumulative_lost: i32,
    /// The highest sequence number, below the count of its rollovers.
    pub highest_sequence_number: u32,
    /// How much the packets' travel times differ, in units of the clock rate.
    pub jitter: u32,
    /// The middle of the NTP time in the last sender report; 0 if there was none.
    pub last_sender_report: u32,
    /// How long ago that came, in units of 1/65,536 second.
    pub delay_since_last: u32,
}

/// Bytes of a report block.
pub(super) const BLOCK_LEN: usize = 24;

impl ReportBlock {
    fn parse(block: &[u8]) -> Option<Self> {
        let lost = be32(block, 4)?;
        Some(Self {
            ssrc: Ssrc(be32(block, 0)?),
            fraction_lost: (lost >> 24) as u8,
            // The shifts carry the sign from bit 23 to bit 31 and back.
            cumulative_lost: (lost << 8) as i32 >> 8,
            highest_sequence_number: be32(block, 8)?,
            jitter: be32(block, 12)?,
            last_sender_report: be32(block, 16)?,
            delay_since_last: be32(block, 20)?,
        })
    }

    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        out.put32(self.ssrc.0);
        out.put8(self.fraction_lost);
        // RFC 3550 appendix A.3: it is clamped, not wrapped.
        out.put(&to_be24(self.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32));
        out.put32(self.highest_sequence_number);
        out.put32(self.jitter);
        out.put32(self.last_sender_report);
        out.put32(self.delay_since_last);
    }

    /// The round-trip time, for the sender of the sender report, if this arrived at `now` of the same clock. `None` if
    /// no sender report had come, or clocks went backwards.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wigwag_rtp::rtcp::ReportBlock;
    /// use wigwag_rtp::{NtpTimestamp, Ssrc};
    ///
    /// // The example of RFC 3550 section 6.4.1.
    /// let block = ReportBlock {
    ///     ssrc: Ssrc(1),
    ///     fraction_lost: 0,
    ///     cumulative_lost: 0,
    ///     highest_sequence_number: 0,
    ///     jitter: 0,
    ///     last_sender_report: 0xB705_2000,
    ///     delay_since_last: 0x0005_4000,
    /// };
    /// let now = NtpTimestamp(0xB710_8000 << 16);
    /// assert_eq!(block.round_trip_time(now), Some(Duration::from_millis(6125)));
    /// ```
    pub fn round_trip_time(&self, now: NtpTimestamp) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        round_trip_time(now, self.last_sender_report, self.delay_since_last)
    }
}

/// RFC 3550 section 6.4.1: A - LSR - DLSR, all in units of 1/65,536 second.
pub(super) fn round_trip_time(now: NtpTimestamp, last: u32, delay: u32) -> Option<Duration> {
    let units = now.middle().wrapping_sub(last).wrapping_sub(delay);
    // The upper half of the circle are negative times.
    (units < 1 << 31).then(|| Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16))
}

/// What a sender says of itself. RFC 3550 section 6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The time of the report.
    pub ntp: NtpTimestamp,
    /// The same time, in the payload's clock.
    pub rtp: RtpTimestamp,
    /// Packets sent so far.
    pub packets: u32,
    /// Bytes of payload sent so far.
    pub octets: u32,
}

/// SR.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// The sender.
    pub ssrc: Ssrc,
    /// What it sent.
    pub info: SenderInfo,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        Some(Self {
            ssrc: Ssrc(be32(body, 0)?),
            info: SenderInfo {
                ntp: NtpTimestamp(be64(body, 4)?),
                rtp: RtpTimestamp(be32(body, 12)?),
                packets: be32(body, 16)?,
                octets: be32(body, 20)?,
            },
            blocks: body.get(24..24 + BLOCK_LEN * usize::from(count))?,
        })
    }

    /// What it receives, at most 31 sources.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.blocks.chunks_exact(BLOCK_LEN).filter_map(ReportBlock::parse)
    }
}

/// RR.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// The sender of the report.
    pub ssrc: Ssrc,
    blocks: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        Some(Self { ssrc: Ssrc(be32(body, 0)?), blocks: body.get(4..4 + BLOCK_LEN * usize::from(count))? })
    }

    /// What it receives, at most 31 sources.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.blocks.chunks_exact(BLOCK_LEN).filter_map(ReportBlock::parse)
    }
}
