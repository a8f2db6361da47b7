//! What we say by RTCP. RFC 3550 section 6.1, RFC 4585 section 3.1, RFC 5506.
//!
//! One packet takes as much of what is due as it has room for, in this order: reports with our name, requests for missing packets, for key
//! frames, transport-wide feedback, ends. It begins with a report, an empty one if none is due, unless reduced size was agreed on.
//!
//! Composing changes nothing, so that the length can be told before; [`Taken`] says what of [`super::Due`] is done once the packet is
//! really written.

use wigwag_proto::Instant;
use wigwag_rtp::rtcp::{FullIntraRequestEntry, ReportBlock, RtcpWriter};
use wigwag_rtp::{SequenceNumber, Ssrc};

use super::Session;
use super::line::{Line, Source};
use crate::inbound::Inbound;
use crate::outbound::Outbound;

/// What a packet counts at most: five bits. RFC 3550 section 6.4.1.
const MAX_BLOCKS: usize = 31;
/// Bytes of reports without blocks.
const SENDER_REPORT_LEN: usize = 28;
const RECEIVER_REPORT_LEN: usize = 8;
/// Bytes of a report block.
const BLOCK_LEN: usize = 24;
/// The least room that feedback about the transport is begun in: its head, and some packets.
const MIN_FEEDBACK: usize = 64;
/// No datagram is longer.
const MAX_RTCP: usize = 1500;

const NO_BLOCK: ReportBlock = ReportBlock {
    ssrc: Ssrc(0),
    fraction_lost: 0,
    cumulative_lost: 0,
    highest_sequence_number: 0,
    jitter: 0,
    last_sender_report: 0,
    delay_since_last: 0,
};

/// How much of what is due a packet took, from the beginning of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    senders: usize,
    blocks: usize,
    nacks: usize,
    plis: usize,
    firs: usize,
    feedback: usize,
    byes: usize,
}

impl Session {
    /// The length of the next RTCP packet. It does not depend on the time.
    pub(super) fn rtcp_len(&self) -> Option<usize> {
        self.compose(Instant(0), &mut [0; MAX_RTCP]).map(|(len, _)| len)
    }

    pub(super) fn write_rtcp(&mut self, now: Instant, room: &mut [u8]) -> Option<usize> {
        let (len, taken) = self.compose(now, room)?;
        let ntp = self.clock.ntp(now);
        for id in self.due.senders.drain(..taken.senders) {
            if let Some(outbound) = self.lines.get_mut(&id).and_then(|line| line.outbound.as_mut()) {
                outbound.reported(now, ntp);
            }
        }
        for ssrc in self.due.blocks.drain(..taken.blocks) {
            if let Some(inbound) = self.sources.get_mut(&ssrc).and_then(Source::inbound_mut) {
                inbound.reception.reported();
            }
        }
        self.asked_for_missing(now, taken.nacks);
        let mut asking = taken;
        for inbound in self.sources.values_mut().filter_map(Source::inbound_mut) {
            if inbound.wants_pli && asking.plis > 0 {
                asking.plis -= 1;
                inbound.wants_pli = false;
                inbound.stats.plis_sent += 1;
            }
            if inbound.wants_fir && asking.firs > 0 {
                asking.firs -= 1;
                inbound.wants_fir = false;
                inbound.fir_number = inbound.fir_number.wrapping_add(1);
                inbound.stats.firs_sent += 1;
            }
        }
        self.due.plis -= taken.plis;
        self.due.firs -= taken.firs;
        if taken.feedback > 0 {
            self.arrivals.written(taken.feedback);
            self.due.feedback = self.arrivals.has_news();
        }
        self.due.byes.drain(..taken.byes);
        Some(len)
    }

    /// Fills `room` with what is due; `None` if nothing of it fits. Each part is taken if it fits, so that room of exactly the length that
    /// came out in more room gives the same again.
    fn compose(&self, now: Instant, room: &mut [u8]) -> Option<(usize, Taken)> {
        let end = room.len().min(self.config.max_packet).min(MAX_RTCP);
        let mut writer = RtcpWriter::new(room.get_mut(..end)?);
        let mut taken = Taken::default();
        let reports = !self.due.senders.is_empty() || !self.due.blocks.is_empty();
        if reports || !self.routes.reduced_size {
            self.compose_reports(now, &mut writer, &mut taken)?;
        }
        let (sender, _) = self.reporter();
        self.compose_nacks(&mut writer, sender, &mut taken);
        for (ssrc, _) in self.inbounds().filter(|(_, inbound)| inbound.wants_pli) {
            taken.plis += usize::from(writer.picture_loss_indication(sender, ssrc));
        }
        for (ssrc, inbound) in self.inbounds().filter(|(_, inbound)| inbound.wants_fir) {
            let entry = FullIntraRequestEntry { ssrc, number: inbound.fir_number.wrapping_add(1) };
            taken.firs += usize::from(writer.full_intra_request(sender, &[entry]));
        }
        if self.due.feedback && self.config.max_packet.min(MAX_RTCP) >= writer.len() + MIN_FEEDBACK {
            taken.feedback = self.arrivals.write(&mut writer, sender);
        }
        let byes = self.due.byes.get(..self.due.byes.len().min(MAX_BLOCKS)).unwrap_or_default();
        if !byes.is_empty() && writer.bye(byes, None) {
            taken.byes = byes.len();
        }
        (taken != Taken::default()).then(|| (writer.len(), taken))
    }

    /// The first report carries the blocks; without any, it is there for the sake of what follows.
    fn compose_reports(&self, now: Instant, writer: &mut RtcpWriter<'_>, taken: &mut Taken) -> Option<()> {
        let mut senders = self.due.senders.iter().filter_map(|id| self.lines.get(id)?.outbound.as_ref());
        let first = senders.next();
        let (ssrc, cname) = first.map_or_else(|| self.reporter(), |outbound| (outbound.ssrc, &outbound.cname));

        let head_len = if first.is_some() { SENDER_REPORT_LEN } else { RECEIVER_REPORT_LEN };
        let room = writer.room().checked_sub(head_len + name_len(cname))?;
        let mut blocks = [NO_BLOCK; MAX_BLOCKS];
        taken.blocks = self.fill(now, blocks.get_mut(..MAX_BLOCKS.min(room / BLOCK_LEN))?);
        let blocks = blocks.get(..taken.blocks)?;
        match first {
            Some(outbound) => {
                taken.senders = 1;
                writer.sender_report(ssrc, &outbound.sender_info(now, self.clock.ntp(now)), blocks)
            }
            None => writer.receiver_report(ssrc, blocks),
        };
        writer.cname(ssrc, cname);

        for outbound in senders {
            if writer.room() < SENDER_REPORT_LEN + name_len(&outbound.cname) {
                break;
            }
            writer.sender_report(outbound.ssrc, &outbound.sender_info(now, self.clock.ntp(now)), &[]);
            writer.cname(outbound.ssrc, &outbound.cname);
            taken.senders += 1;
        }
        Some(())
    }

    /// Gives how many blocks there were.
    fn fill(&self, now: Instant, blocks: &mut [ReportBlock]) -> usize {
        let mut count = 0;
        for (block, ssrc) in blocks.iter_mut().zip(&self.due.blocks) {
            if let Some(inbound) = self.sources.get(ssrc).and_then(Source::inbound) {
                *block = inbound.report_block(now, *ssrc);
            }
            count += 1;
        }
        count
    }

    fn compose_nacks(&self, writer: &mut RtcpWriter<'_>, sender: Ssrc, taken: &mut Taken) {
        for (ssrc, inbound) in self.inbounds().filter(|(_, inbound)| inbound.missing.due() > 0) {
            let numbers = inbound.missing.due_numbers().map(|number| SequenceNumber(number as u16));
            let written = writer.nack(sender, ssrc, numbers);
            taken.nacks += written;
            // What was not written keeps its turn: those after it are not to be taken for it.
            if written < inbound.missing.due() {
                return;
            }
        }
    }

    fn inbounds(&self) -> impl Iterator<Item = (Ssrc, &Inbound)> {
        self.sources.iter().filter_map(|(ssrc, source)| Some((*ssrc, source.inbound()?)))
    }

    /// Who speaks: one of ours that sends, or else a source that is only heard by RTCP; and its name.
    fn reporter(&self) -> (Ssrc, &String) {
        let mut outbounds = self.lines.values().filter_map(|line: &Line| line.outbound.as_ref());
        let speaks = |outbound: &&Outbound| outbound.stats.packets > 0;
        outbounds.find(speaks).map_or((self.local.0, &self.local.1), |outbound| (outbound.ssrc, &outbound.cname))
    }
}

/// Bytes of SDES with a name: header, source, item, at least one zero, to a multiple of four.
fn name_len(cname: &str) -> usize {
    8 + (2 + cname.len() + 1).next_multiple_of(4)
}
