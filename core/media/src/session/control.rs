//! What the peer says by RTCP: reports, requests, ends.

use wigwag_proto::Instant;
use wigwag_rtp::rtcp::{self, FullIntraRequest, Nack, ReportBlock, RtcpPacket, SenderInfo};
use wigwag_rtp::{SequenceNumber, Ssrc};

use super::line::{OSN_LEN, Source};
use super::{Resend, Session};
use crate::LastSenderReport;

impl Session {
    /// A decrypted RTCP packet, compound or reduced-size. What can't be used is dropped and counted.
    pub fn handle_rtcp(&mut self, now: Instant, packet: &[u8]) {
        if self.closed {
            return;
        }
        for packet in rtcp::packets(packet) {
            match packet {
                Ok(RtcpPacket::SenderReport(report)) => {
                    self.handle_sender_report(now, report.ssrc, &report.info);
                    report.blocks().for_each(|block| self.handle_block(now, &block));
                }
                Ok(RtcpPacket::ReceiverReport(report)) => {
                    report.blocks().for_each(|block| self.handle_block(now, &block));
                }
                Ok(RtcpPacket::Bye(bye)) => bye.ssrcs().for_each(|ssrc| self.handle_bye(ssrc)),
                Ok(RtcpPacket::Nack(nack)) => self.handle_nack(now, &nack),
                Ok(RtcpPacket::PictureLossIndication(pli)) => self.handle_pli(pli.media),
                Ok(RtcpPacket::FullIntraRequest(fir)) => self.handle_fir(&fir),
                Ok(_) => {}
                Err(_) => self.dropped.malformed += 1,
            }
        }
    }

    fn handle_sender_report(&mut self, now: Instant, ssrc: Ssrc, info: &SenderInfo) {
        let Some(inbound) = self.sources.get_mut(&ssrc).and_then(Source::inbound_mut) else { return };
        let SenderInfo { ntp, rtp, packets, octets } = *info;
        inbound.stats.last_sender_report = Some(LastSenderReport { arrival: now, ntp, rtp, packets, octets });
    }

    fn handle_block(&mut self, now: Instant, block: &ReportBlock) {
        let line = self.routes.senders.get(&block.ssrc).and_then(|id| self.lines.get_mut(id));
        let Some(outbound) = line.and_then(|line| line.outbound.as_mut()) else { return };
        // Reports about RTX say nothing of the stream.
        if outbound.ssrc == block.ssrc {
            let sample = outbound.handle_report(now, block);
            self.measured_round_trip(sample);
        }
    }

    fn handle_bye(&mut self, ssrc: Ssrc) {
        let Some(source) = self.sources.get_mut(&ssrc) else { return };
        let line = source.line;
        let Some(inbound) = source.inbound_mut().filter(|inbound| !inbound.said_bye) else { return };
        inbound.said_bye = true;
        inbound.reports_left = 0;
        inbound.stats.given_up += inbound.missing.clear();
        (inbound.wants_pli, inbound.wants_fir) = (false, false);
        self.due.blocks.retain(|other| *other != ssrc);
        self.recount();
        self.dropped.not_polled += u64::from(self.waiting.bye(line, ssrc));
    }

    fn handle_pli(&mut self, ssrc: Ssrc) {
        let Some(id) = self.routes.senders.get(&ssrc).copied() else { return };
        let Some(outbound) = self.lines.get_mut(&id).and_then(|line| line.outbound.as_mut()) else { return };
        if outbound.ssrc == ssrc {
            outbound.stats.plis_received += 1;
            self.waiting.key_frame(id);
        }
    }

    fn handle_fir(&mut self, fir: &FullIntraRequest<'_>) {
        for entry in fir.entries() {
            let Some(id) = self.routes.senders.get(&entry.ssrc).copied() else { continue };
            let Some(outbound) = self.lines.get_mut(&id).and_then(|line| line.outbound.as_mut()) else { continue };
            if outbound.ssrc == entry.ssrc && outbound.is_new_fir(fir.sender, entry.number) {
                outbound.stats.firs_received += 1;
                self.waiting.key_frame(id);
            }
        }
    }

    /// Packets are queued again, as far as the history has them and the budget allows.
    fn handle_nack(&mut self, now: Instant, nack: &Nack<'_>) {
        let Some(id) = self.routes.senders.get(&nack.media).copied() else { return };
        // Both ends measure the round trip: an eighth less, so that a rightful second request is not taken for an early one.
        let round_trip = self.round_trip.unwrap_or_default() * 7 / 8;
        for number in nack.sequence_numbers() {
            self.resend_one(now, id, nack.media, number, round_trip);
        }
    }

    fn resend_one(
        &mut self,
        now: Instant,
        id: crate::LineId,
        ssrc: Ssrc,
        number: SequenceNumber,
        round_trip: std::time::Duration,
    ) -> Option<()> {
        let line = self.lines.get_mut(&id)?;
        let outbound = line.outbound.as_mut().filter(|outbound| outbound.ssrc == ssrc)?;
        outbound.stats.nacks_received += 1;
        let packet = outbound.history.find(now, number, round_trip)?.clone();
        let rtx = line.retransmission(packet.payload_type);
        if rtx.is_none() && !self.repeats {
            return None;
        }
        let len = line.packet_len(&packet) + if rtx.is_some() { OSN_LEN } else { 0 };
        let outbound = line.outbound.as_mut()?;
        if !self.budget.spend(now, len) {
            outbound.stats.nacks_refused += 1;
            return None;
        }
        outbound.history.sent_again(now, number);
        self.resend.push_back(Resend { line: id, packet, rtx });
        Some(())
    }
}
