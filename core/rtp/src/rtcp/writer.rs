//! RTCP packets, written in place.

use super::congestion::{MAX_REPORTS, StreamReport};
use super::description::SdesKind;
use super::extended::{self, DelaySinceLast};
use super::feedback::FullIntraRequestEntry;
use super::report::{ReportBlock, SenderInfo};
use super::{HEADER_LEN, format, packet_type, transport_writer};
use crate::number::{NtpTimestamp, SequenceNumber, Ssrc};
use crate::wire::Cursor;

/// Report blocks, sources or chunks that a packet can count.
const MAX_COUNT: usize = 31;

/// Writes RTCP packets one after another into the caller's memory. Each is written whole or not at all, and the
/// method says which; so `RtcpWriter::new(&mut segment[..room])` fills a datagram with what fits.
///
/// ```
/// use wigwag_rtp::rtcp::{self, RtcpPacket, RtcpWriter};
/// use wigwag_rtp::{SequenceNumber, Ssrc};
///
/// let mut memory = [0; 64];
/// let mut writer = RtcpWriter::new(&mut memory);
/// assert!(writer.receiver_report(Ssrc(1), &[]));
/// assert_eq!(writer.nack(Ssrc(1), Ssrc(2), [SequenceNumber(65_535), SequenceNumber(3)]), 2);
/// let len = writer.len();
///
/// let Some(Ok(RtcpPacket::Nack(nack))) = rtcp::packets(&memory[..len]).nth(1) else { panic!() };
/// assert!(nack.sequence_numbers().eq([SequenceNumber(65_535), SequenceNumber(3)]));
/// ```
#[derive(Debug)]
pub struct RtcpWriter<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> RtcpWriter<'a> {
    /// Begins at the beginning of `room`.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, len: 0 }
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes left.
    pub fn room(&self) -> usize {
        self.room.len() - self.len
    }

    /// A packet whose body `write` writes.
    fn packet(&mut self, packet_type: u8, count: usize, write: impl FnOnce(&mut Cursor<'_>)) -> bool {
        self.try_packet(packet_type, count, write).is_some()
    }

    fn try_packet(&mut self, packet_type: u8, count: usize, write: impl FnOnce(&mut Cursor<'_>)) -> Option<()> {
        let mut out = Cursor::new(self.room.get_mut(self.len + HEADER_LEN..)?);
        write(&mut out);
        out.align();
        let body_len = out.len()?;
        self.head(packet_type, count, body_len)
    }

    /// The header in front of a body that was written already.
    fn head(&mut self, packet_type: u8, count: usize, body_len: usize) -> Option<()> {
        let count = u8::try_from(count).ok().filter(|count| usize::from(*count) <= MAX_COUNT)?;
        let [w1, w2] = u16::try_from(body_len / 4).ok()?.to_be_bytes();
        *self.room.get_mut(self.len..)?.first_chunk_mut()? = [0x80 | count, packet_type, w1, w2];
        self.len += HEADER_LEN + body_len;
        Some(())
    }

    /// SR, with at most 31 blocks.
    pub fn sender_report(&mut self, ssrc: Ssrc, info: &SenderInfo, blocks: &[ReportBlock]) -> bool {
        self.packet(packet_type::SENDER_REPORT, blocks.len(), |out| {
            out.put32(ssrc.0);
            out.put(&info.ntp.0.to_be_bytes());
            out.put32(info.rtp.0);
            out.put32(info.packets);
            out.put32(info.octets);
            blocks.iter().for_each(|block| block.write(out));
        })
    }

    /// RR, with at most 31 blocks.
    pub fn receiver_report(&mut self, ssrc: Ssrc, blocks: &[ReportBlock]) -> bool {
        self.packet(packet_type::RECEIVER_REPORT, blocks.len(), |out| {
            out.put32(ssrc.0);
            blocks.iter().for_each(|block| block.write(out));
        })
    }

    /// SDES with a canonical name of at most 255 bytes.
    pub fn cname(&mut self, ssrc: Ssrc, cname: &str) -> bool {
        self.source_description(&[(ssrc, &[(SdesKind::CNAME, cname)])])
    }

    /// SDES, for at most 31 sources, with values of at most 255 bytes.
    pub fn source_description(&mut self, sources: &[(Ssrc, &[(SdesKind, &str)])]) -> bool {
        let items = || sources.iter().flat_map(|(_, items)| items.iter());
        if items().any(|(kind, value)| kind.0 == 0 || value.len() > 255) {
            return false;
        }
        self.packet(packet_type::SOURCE_DESCRIPTION, sources.len(), |out| {
            for (ssrc, items) in sources {
                out.put32(ssrc.0);
                for (kind, value) in *items {
                    out.put(&[kind.0, value.len() as u8]);
                    out.put(value.as_bytes());
                }
                out.put8(0);
                out.align();
            }
        })
    }

    /// BYE of at most 31 sources; of the reason, at most 255 bytes.
    pub fn bye(&mut self, ssrcs: &[Ssrc], reason: Option<&str>) -> bool {
        if reason.is_some_and(|reason| reason.len() > 255) {
            return false;
        }
        self.packet(packet_type::BYE, ssrcs.len(), |out| {
            ssrcs.iter().for_each(|ssrc| out.put32(ssrc.0));
            if let Some(reason) = reason {
                out.put8(reason.len() as u8);
                out.put(reason.as_bytes());
            }
        })
    }

    /// APP; `subtype` is at most 31, and `data` a multiple of four bytes.
    pub fn app(&mut self, subtype: u8, ssrc: Ssrc, name: [u8; 4], data: &[u8]) -> bool {
        data.len().is_multiple_of(4)
            && self.packet(packet_type::APP, usize::from(subtype), |out| {
                out.put32(ssrc.0);
                out.put(&name);
                out.put(data);
            })
    }

    /// NACK of these packets, best in ascending order: gives how many of them were written. If that is not all, the
    /// room is at its end.
    pub fn nack(&mut self, sender: Ssrc, media: Ssrc, numbers: impl IntoIterator<Item = SequenceNumber>) -> usize {
        let mut written = 0;
        let mut numbers = numbers.into_iter().peekable();
        let whole = self.packet(packet_type::TRANSPORT_FEEDBACK, usize::from(format::NACK), |out| {
            out.put32(sender.0);
            out.put32(media.0);
            while let Some(&first) = numbers.peek()
                && out.fits(4)
            {
                let mut following = 0_u16;
                while let Some(&number) = numbers.peek() {
                    match number.0.wrapping_sub(first.0) {
                        0 => {}
                        ahead @ 1..=16 => following |= 1 << (ahead - 1),
                        _ => break,
                    }
                    numbers.next();
                    written += 1;
                }
                out.put16(first.0);
                out.put16(following);
            }
            if written == 0 {
                out.fail();
            }
        });
        if whole { written } else { 0 }
    }

    /// PLI.
    pub fn picture_loss_indication(&mut self, sender: Ssrc, media: Ssrc) -> bool {
        self.packet(packet_type::PAYLOAD_FEEDBACK, usize::from(format::PICTURE_LOSS), |out| {
            out.put32(sender.0);
            out.put32(media.0);
        })
    }

    /// FIR, to at least one source.
    pub fn full_intra_request(&mut self, sender: Ssrc, entries: &[FullIntraRequestEntry]) -> bool {
        !entries.is_empty()
            && self.packet(packet_type::PAYLOAD_FEEDBACK, usize::from(format::FULL_INTRA), |out| {
                out.put32(sender.0);
                out.put32(0);
                for entry in entries {
                    out.put32(entry.ssrc.0);
                    out.put(&[entry.number, 0, 0, 0]);
                }
            })
    }

    /// REMB, in bits per second (rounded down to 18 significant bits), for at most 255 sources.
    pub fn remb(&mut self, sender: Ssrc, bitrate: u64, ssrcs: &[Ssrc]) -> bool {
        let Ok(count) = u8::try_from(ssrcs.len()) else { return false };
        let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
        let mantissa = (bitrate >> exponent) as u32;
        self.packet(packet_type::PAYLOAD_FEEDBACK, usize::from(format::APPLICATION), |out| {
            out.put32(sender.0);
            out.put32(0);
            out.put(b"REMB");
            out.put32(u32::from(count) << 24 | exponent << 18 | mantissa);
            ssrcs.iter().for_each(|ssrc| out.put32(ssrc.0));
        })
    }

    /// Transport-wide feedback about the packets from `base` on: when each arrived, in microseconds of our clock, or
    /// `None`. Gives how many packets it speaks of, so that the rest can follow in another: it ends where the room
    /// does, or before a packet that arrived more than 8 seconds away from the one before it, and is not written (0)
    /// if no packet arrived at all.
    pub fn transport_feedback<I>(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        base: SequenceNumber,
        feedback_count: u8,
        arrivals: I,
    ) -> usize
    where
        I: IntoIterator<Item = Option<i64>>,
        I::IntoIter: Clone,
    {
        let arrivals = arrivals.into_iter();
        let mut count = 0;
        let written = self.packet(packet_type::TRANSPORT_FEEDBACK, usize::from(format::TRANSPORT_WIDE), |out| {
            out.put32(sender.0);
            out.put32(media.0);
            out.put16(base.0);
            let count_at = out.len();
            out.put16(0);
            match transport_writer::write(out.rest(), feedback_count, arrivals) {
                Some(written) => {
                    out.advance(written.len);
                    out.overwrite(count_at, &written.count.to_be_bytes());
                    count = usize::from(written.count);
                }
                None => out.fail(),
            }
        });
        if written { count } else { 0 }
    }

    /// RFC 8888's feedback, made at `timestamp`: see [`CongestionFeedback`](super::CongestionFeedback).
    pub fn congestion_feedback(&mut self, sender: Ssrc, timestamp: u32, streams: &[StreamReport<'_>]) -> bool {
        if streams.iter().any(|stream| stream.reports.len() > MAX_REPORTS) {
            return false;
        }
        self.packet(packet_type::TRANSPORT_FEEDBACK, usize::from(format::CONGESTION), |out| {
            out.put32(sender.0);
            streams.iter().for_each(|stream| stream.write(out));
            out.put32(timestamp);
        })
    }

    /// XR with our time, for a peer that is to answer with [`delays_since_last`](Self::delays_since_last).
    pub fn reference_time(&mut self, ssrc: Ssrc, time: NtpTimestamp) -> bool {
        self.packet(packet_type::EXTENDED_REPORT, 0, |out| {
            out.put32(ssrc.0);
            out.put(&[extended::REFERENCE_TIME, 0, 0, 2]);
            out.put(&time.0.to_be_bytes());
        })
    }

    /// XR with answers to receivers' times.
    pub fn delays_since_last(&mut self, ssrc: Ssrc, delays: &[DelaySinceLast]) -> bool {
        let Ok(words) = u16::try_from(delays.len() * 3) else { return false };
        self.packet(packet_type::EXTENDED_REPORT, 0, |out| {
            out.put32(ssrc.0);
            out.put(&[extended::DELAY_SINCE_LAST, 0]);
            out.put16(words);
            delays.iter().for_each(|delay| delay.write(out));
        })
    }
}
