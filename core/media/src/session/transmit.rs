//! A packet's way out: RTCP first, then what is sent again, then what is new.

use wigwag_proto::Instant;
use wigwag_rtp::{AbsSendTime, ExtensionKind, PayloadType, RtpBuilder, RtpHeader, SequenceNumber, Ssrc};

use super::line::{Line, OSN_LEN};
use super::{Resend, Session};
use crate::{LineId, PacketKind, RtpOut, WriteError, Written};

impl Session {
    /// Queues a packet; it leaves with the next calls of [`write_packet`](Self::write_packet).
    ///
    /// Packets that may be asked for again are remembered by their sequence number, for two seconds. The SSRC is the line's.
    pub fn write_rtp(&mut self, now: Instant, line: LineId, packet: RtpOut) -> Result<(), WriteError> {
        if self.closed {
            return Err(WriteError::Closed);
        }
        let known = self.lines.get_mut(&line).ok_or(WriteError::UnknownLine)?;
        if known.outbound.is_none() {
            return Err(WriteError::NotSending);
        }
        let codec = *known.codecs.media(packet.payload_type).ok_or(WriteError::UnknownPayloadType)?;
        let longer = if known.retransmission(packet.payload_type).is_some() { OSN_LEN } else { 0 };
        if !known.fits(&packet, self.config.max_packet - longer) {
            return Err(WriteError::TooLong);
        }
        let is_full = self.queued_bytes + packet.payload.len() > self.config.max_queued_bytes;
        if self.queue.len() >= self.config.max_queued || is_full && !self.queue.is_empty() {
            return Err(WriteError::QueueFull);
        }
        if let Some(outbound) = &mut known.outbound {
            outbound.queued(now, &packet, codec.clock_rate);
        }
        self.queued_bytes += packet.payload.len();
        self.queue.push_back((line, packet));
        Ok(())
    }

    /// Whether [`write_packet`](Self::write_packet) would give something, in room enough. Exact, O(1).
    pub fn can_transmit(&self) -> bool {
        self.due.any() || !self.resend.is_empty() || !self.queue.is_empty()
    }

    /// The length that the next packet will have, so that packets of one length can share a batch; `None`: nothing is to be sent. It holds
    /// until the next call that changes something. O(1) but for RTCP, which is composed for it.
    pub fn next_packet_len(&self) -> Option<usize> {
        if self.due.any() {
            return self.rtcp_len();
        }
        let (id, packet, osn) = match (self.resend.front(), self.queue.front()) {
            (Some(Resend { line, packet, rtx }), _) => (line, packet, rtx.map_or(0, |_| OSN_LEN)),
            (None, Some((line, packet))) => (line, packet, 0),
            (None, None) => return None,
        };
        Some(self.lines.get(id)?.packet_len(packet) + osn)
    }

    /// Writes the next packet at the beginning of `room`, without SRTP's tag: RTCP first, then retransmissions, then what
    /// [`write_rtp`](Self::write_rtp) queued. An RTP packet that does not fit is dropped and counted, and the next one tried: so give room for
    /// [`next_packet_len`](Self::next_packet_len), or for [`Config::max_packet`](crate::Config::max_packet). RTCP that does not fit waits.
    pub fn write_packet(&mut self, now: Instant, room: &mut [u8]) -> Option<Written> {
        if self.due.any() {
            let len = self.write_rtcp(now, room)?;
            return Some(Written { len, kind: PacketKind::Rtcp, is_repeat: false });
        }
        loop {
            let is_repeat = self.resend.front().is_some_and(|resend| resend.rtx.is_none());
            let len = self.write_resend(now, room).or_else(|| self.write_queued(now, room))?;
            if len > 0 {
                return Some(Written { len, kind: PacketKind::Rtp, is_repeat });
            }
            self.dropped.too_long += 1;
        }
    }

    /// Zero if it did not fit; `None` if nothing waits.
    fn write_resend(&mut self, now: Instant, room: &mut [u8]) -> Option<usize> {
        let Resend { line, packet, rtx } = self.resend.pop_front()?;
        let line = self.lines.get_mut(&line)?;
        let len = match (rtx, line.outbound.as_mut()) {
            (Some(payload_type), Some(outbound)) => {
                let (ssrc, number) = (outbound.rtx?, outbound.next_rtx_number());
                let header = header(&packet, payload_type, number, ssrc);
                line.write(now, room, &header, &packet, Some(packet.sequence_number))
            }
            (None, Some(outbound)) => {
                let header = header(&packet, packet.payload_type, packet.sequence_number, outbound.ssrc);
                line.write(now, room, &header, &packet, None)
            }
            (_, None) => None,
        };
        if let (Some(_), Some(outbound)) = (len, line.outbound.as_mut()) {
            outbound.sent_again(packet.payload.len());
        }
        Some(len.unwrap_or(0))
    }

    /// Zero if it did not fit; `None` if nothing waits.
    fn write_queued(&mut self, now: Instant, room: &mut [u8]) -> Option<usize> {
        let (id, packet) = self.queue.pop_front()?;
        self.queued_bytes -= packet.payload.len();
        let repeats = self.repeats;
        let line = self.lines.get_mut(&id)?;
        let ssrc = line.outbound.as_ref()?.ssrc;
        let header = header(&packet, packet.payload_type, packet.sequence_number, ssrc);
        let Some(len) = line.write(now, room, &header, &packet, None) else { return Some(0) };
        let may_be_asked_for = line.codecs.media(packet.payload_type).is_some_and(|codec| codec.nack)
            && (repeats || line.retransmission(packet.payload_type).is_some());
        if let Some(outbound) = &mut line.outbound {
            outbound.sent(packet.payload.len());
            if may_be_asked_for {
                outbound.history.push(now, packet);
            }
        }
        self.budget.earn(len);
        self.schedule_reports(now);
        Some(len)
    }
}

fn header(packet: &RtpOut, payload_type: PayloadType, sequence_number: SequenceNumber, ssrc: Ssrc) -> RtpHeader {
    RtpHeader { marker: packet.marker, payload_type, sequence_number, timestamp: packet.timestamp, ssrc }
}

impl Line {
    /// `original`: the sequence number in front of the payload, for RTX. `None` if it does not fit.
    fn write(
        &self,
        now: Instant,
        room: &mut [u8],
        header: &RtpHeader,
        packet: &RtpOut,
        original: Option<SequenceNumber>,
    ) -> Option<usize> {
        let mut builder = RtpBuilder::new(room, header);
        for (id, value) in self.extensions(packet) {
            builder.extension(id, value);
        }
        if let Some(id) = self.config.extensions.id(ExtensionKind::AbsSendTime) {
            let [_, send_time @ ..] = AbsSendTime::from_micros(now.as_micros()).0.to_be_bytes();
            builder.extension(id, &send_time);
        }
        if let Some(original) = original {
            builder.payload(&original.0.to_be_bytes());
        }
        builder.payload(&packet.payload);
        builder.finish()
    }
}
