//! A packet's way in: whose it is, where it belongs in its stream, what is missing before it; then it waits for the application.

use wigwag_proto::{Chunks, Instant};
use wigwag_rtp::{ExtensionKind, ExtensionValue, RtpPacket, SequenceNumber, Ssrc};

use super::Session;
use super::line::{OSN_LEN, Source};
use super::routes::Names;
use crate::codecs::Use;
use crate::inbound::Inbound;
use crate::missing::earlier;
use crate::reception::Place;
use crate::{CodecConfig, LineId, PacketExtensions, Rid, RtpIn};

impl Session {
    /// A decrypted RTP packet. It is copied once; what can't be used is dropped and counted.
    pub fn handle_rtp(&mut self, now: Instant, packet: &[u8]) {
        if self.closed {
            return;
        }
        let Ok(packet) = RtpPacket::parse(packet) else {
            self.dropped.malformed += 1;
            return;
        };
        let names = self.routes.names(&packet);
        let Some(id) = self.find_line(packet.ssrc(), packet.payload_type(), &names) else {
            self.dropped.unknown_line += 1;
            return;
        };
        let Some(line) = self.lines.get(&id).filter(|line| line.config.receive.is_some()) else {
            self.dropped.not_receiving += 1;
            return;
        };
        let (codec, is_repair) = match line.codecs.of(packet.payload_type()) {
            Some(Use::Media(codec)) => (*codec, false),
            Some(Use::Repair(codec)) => (*codec, true),
            None => {
                self.dropped.unknown_payload_type += 1;
                return;
            }
        };
        if codec.transport_feedback
            && let Some(number) =
                transport_number(&packet, line.config.extensions.id(ExtensionKind::TransportSequenceNumber))
        {
            self.arrivals.record(now, number, packet.ssrc());
        }
        if is_repair {
            self.receive_repair(now, id, &packet, &names, &codec);
        } else if self.learn_media(now, id, packet.ssrc()) {
            self.receive_media(now, id, &packet, &names, &codec);
        }
    }

    fn receive_media(
        &mut self,
        now: Instant,
        id: LineId,
        packet: &RtpPacket<'_>,
        names: &Names<'_>,
        codec: &CodecConfig,
    ) {
        let ssrc = packet.ssrc();
        let Some(source) = self.sources.get_mut(&ssrc) else { return };
        source.heard = Some(now);
        let Some(inbound) = source.inbound_mut() else { return };
        inbound.touch();
        if let Some(rid) = names.rid.filter(|rid| inbound.rid.as_deref() != Some(*rid)) {
            let receive = self.lines.get(&id).and_then(|line| line.config.receive.as_ref());
            // RFC 8853 section 5.4: names that nobody agreed on mean nothing.
            if receive.is_some_and(|receive| receive.rids.iter().any(|known| known == rid)) {
                inbound.rid = Some(Rid::from(rid));
            }
        }
        let place = inbound.reception.arrive(now, packet.sequence_number(), packet.timestamp(), codec.clock_rate);
        self.schedule_reports(now);
        self.receive_at(now, id, ssrc, place, packet, codec, None);
    }

    /// RFC 4588 section 4: the payload begins with the original's sequence number.
    fn receive_repair(
        &mut self,
        now: Instant,
        id: LineId,
        packet: &RtpPacket<'_>,
        names: &Names<'_>,
        codec: &CodecConfig,
    ) {
        let Some(media) = self.learn_repair(now, id, packet.ssrc(), names) else {
            self.dropped.unknown_repair += 1;
            return;
        };
        if let Some(source) = self.sources.get_mut(&packet.ssrc()) {
            source.heard = Some(now);
        }
        let Some(inbound) = self.sources.get_mut(&media).and_then(Source::inbound_mut) else {
            self.dropped.unknown_repair += 1;
            return;
        };
        let Some((number, payload)) = packet.payload().split_first_chunk::<OSN_LEN>() else {
            inbound.stats.probe_bytes += packet.as_bytes().len() as u64;
            inbound.stats.probes += 1;
            return;
        };
        let place = inbound.reception.repair(SequenceNumber(u16::from_be_bytes(*number)));
        self.receive_at(now, id, media, place, packet, codec, Some(payload));
    }

    /// `repaired`: the payload, if it came by RTX.
    #[expect(clippy::too_many_arguments)] // what is known of one packet
    fn receive_at(
        &mut self,
        now: Instant,
        line: LineId,
        ssrc: Ssrc,
        place: Place,
        packet: &RtpPacket<'_>,
        codec: &CodecConfig,
        repaired: Option<&[u8]>,
    ) {
        let Some(inbound) = self.sources.get_mut(&ssrc).and_then(Source::inbound_mut) else { return };
        let due_before = inbound.missing.due();
        let mut sample = None;
        let number = match place {
            Place::Newest { number, missing } => {
                if codec.nack && missing > 0 {
                    inbound.stats.given_up += inbound.missing.add(now, number, missing);
                }
                number
            }
            Place::Late { number } => {
                sample = inbound.missing.arrived(now, number).filter(|_| repaired.is_some());
                number
            }
            Place::Restart { number } => {
                inbound.stats.given_up += inbound.missing.clear();
                number
            }
            Place::Duplicate => {
                inbound.stats.duplicates += 1;
                self.dropped.duplicates += 1;
                return;
            }
            Place::TooLate => {
                inbound.stats.too_late += 1;
                self.dropped.too_late += 1;
                return;
            }
        };
        self.due.nacks = self.due.nacks + inbound.missing.due() - due_before;
        let payload = repaired.unwrap_or(packet.payload());
        count(inbound, payload.len(), repaired.is_some());
        if inbound.reception.newest() == Some(number) {
            inbound.payload_type = Some(codec.payload_type);
        }
        let rid = inbound.rid.clone();
        self.measured_round_trip(sample);
        let Some(extensions) = self.lines.get(&line).map(|line| &line.config.extensions) else { return };
        let packet = RtpIn {
            marker: packet.marker(),
            payload_type: codec.payload_type,
            sequence_number: number,
            timestamp: packet.timestamp(),
            ssrc,
            rid,
            arrival: now,
            recovered: repaired.is_some(),
            extensions: PacketExtensions::read(packet, extensions, &mut self.chunks),
            payload: copy(&mut self.chunks, payload),
        };
        self.dropped.not_polled += self.waiting.packet(&self.config, line, packet);
    }

    /// Asks the sender of what this line receives for a key frame: by PLI, or by FIR where only that was agreed on. `rid`: of this
    /// encoding; `None`: of all. Gives whether anybody can be asked. Asking again before the request left makes no second one; one that
    /// is lost is not repeated.
    pub fn request_key_frame(&mut self, _now: Instant, line: LineId, rid: Option<&str>) -> bool {
        let Some(known) = self.lines.get(&line).filter(|line| line.config.receive.is_some()) else { return false };
        let any_codec = known.codecs.all().iter().find(|codec| codec.pli || codec.fir);
        let sources = self.sources.values_mut().filter(|source| source.line == line);
        let mut asked = false;
        for inbound in sources.filter_map(Source::inbound_mut) {
            if inbound.said_bye || rid.is_some_and(|rid| inbound.rid.as_deref() != Some(rid)) {
                continue;
            }
            let codec = inbound.payload_type.and_then(|payload_type| known.codecs.media(payload_type)).or(any_codec);
            let Some(codec) = codec.filter(|codec| codec.pli || codec.fir) else { continue };
            let (wanted, due) = match codec.pli {
                true => (&mut inbound.wants_pli, &mut self.due.plis),
                false => (&mut inbound.wants_fir, &mut self.due.firs),
            };
            *due += usize::from(!std::mem::replace(wanted, true));
            asked = true;
        }
        asked
    }

    /// Requests for missing packets were written.
    pub(super) fn asked_for_missing(&mut self, now: Instant, mut count: usize) {
        let round_trip = self.round_trip();
        for inbound in self.sources.values_mut().filter_map(Source::inbound_mut) {
            let part = inbound.missing.due().min(count);
            if part > 0 {
                let next = inbound.missing.asked(now, part, round_trip);
                inbound.stats.nacks_sent += part as u64;
                self.due.nacks -= part;
                self.nack_at = earlier(self.nack_at, next);
                count -= part;
            }
        }
    }
}

fn count(inbound: &mut Inbound, payload_len: usize, recovered: bool) {
    inbound.stats.packets += 1;
    inbound.stats.bytes += payload_len as u64;
    inbound.stats.recovered += u64::from(recovered);
}

fn copy(chunks: &mut Chunks, payload: &[u8]) -> bytes::Bytes {
    if payload.is_empty() {
        return bytes::Bytes::new();
    }
    chunks.append(payload);
    chunks.freeze()
}

/// The packet's number among all of the transport.
fn transport_number(packet: &RtpPacket<'_>, id: Option<u8>) -> Option<SequenceNumber> {
    match ExtensionValue::parse(ExtensionKind::TransportSequenceNumber, packet.extension(id?)?)? {
        ExtensionValue::TransportSequenceNumber(number) => Some(number),
        _ => None,
    }
}
