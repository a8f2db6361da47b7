//! An m-line, and the sources that are known.

use wigwag_proto::Instant;
use wigwag_rtp::{ExtensionKind, PayloadType, Ssrc};

use crate::codecs::Codecs;
use crate::extensions::belongs_to_the_transport;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::{InboundStats, LineConfig, LineId, OutboundStats, RtpOut};

#[derive(Debug)]
pub(super) struct Line {
    pub config: LineConfig,
    pub codecs: Codecs,
    pub outbound: Option<Outbound>,
    /// What was sent before the line stopped sending: if the same source comes back, its numbers have to go on, or SRTP would take them for
    /// old ones.
    pub resting: Option<Outbound>,
    /// Of sources that are gone.
    pub past_inbound: InboundStats,
    pub past_outbound: OutboundStats,
}

/// A source that is received.
#[derive(Debug)]
pub(super) struct Source {
    pub line: LineId,
    /// It was named in the configuration: it stays when it rests.
    pub configured: bool,
    /// When its last packet came.
    pub heard: Option<Instant>,
    pub role: Role,
}

#[derive(Debug)]
pub(super) enum Role {
    Media(Box<Inbound>),
    /// Retransmissions of this source.
    Repair(Ssrc),
}

impl Source {
    pub fn inbound(&self) -> Option<&Inbound> {
        match &self.role {
            Role::Media(inbound) => Some(inbound),
            Role::Repair(_) => None,
        }
    }

    pub fn inbound_mut(&mut self) -> Option<&mut Inbound> {
        match &mut self.role {
            Role::Media(inbound) => Some(inbound),
            Role::Repair(_) => None,
        }
    }
}

/// Bytes in front of the payload of a retransmission: the original sequence number. RFC 4588 section 4.
pub(super) const OSN_LEN: usize = 2;

/// Bytes of an abs-send-time.
const SEND_TIME_LEN: usize = 3;

impl Line {
    pub fn new(config: LineConfig) -> Self {
        let codecs = Codecs::new(&config.codecs);
        Self {
            config,
            codecs,
            outbound: None,
            resting: None,
            past_inbound: InboundStats::default(),
            past_outbound: OutboundStats::default(),
        }
    }

    /// The payload type of retransmissions of a packet, if both sides can do RTX.
    pub fn retransmission(&self, payload_type: PayloadType) -> Option<PayloadType> {
        self.outbound.as_ref()?.rtx?;
        self.codecs.media(payload_type)?.retransmission
    }

    /// The header extensions that a packet is written with: what the caller gave, and our own. Values of ours that are made when the
    /// packet leaves have the right length only.
    ///
    /// The mid is in every packet, although RFC 9143 would allow to leave it out once the peer knows the source: it costs two bytes, and
    /// no packet depends on what the peer remembers.
    pub fn extensions<'a>(&'a self, packet: &'a RtpOut) -> impl Iterator<Item = (u8, &'a [u8])> {
        let map = &self.config.extensions;
        let mid = self.config.mid.as_ref().and_then(|mid| Some((map.id(ExtensionKind::Mid)?, mid.as_bytes())));
        let theirs = packet.extensions.iter().filter(|(kind, _)| !belongs_to_the_transport(*kind));
        let theirs = theirs.filter_map(move |(kind, value)| Some((map.id(kind)?, value)));
        mid.into_iter().filter(|(_, mid)| mid.len() <= 255).chain(theirs)
    }

    /// Whether [`packet_len`](Self::packet_len) is at most this; mostly without counting.
    pub fn fits(&self, packet: &RtpOut, len: usize) -> bool {
        // All elements with two bytes before them, none left out, and padding.
        let mid = self.config.mid.as_ref().map_or(0, String::len);
        let extensions = 4 + packet.extensions.encoded_len() + (2 + mid) + (2 + SEND_TIME_LEN) + 3;
        12 + extensions + packet.payload.len() <= len || self.packet_len(packet) <= len
    }

    /// Bytes of the packet that [`super::Session::write_packet`] would make of this.
    pub fn packet_len(&self, packet: &RtpOut) -> usize {
        let send_time = self.config.extensions.id(ExtensionKind::AbsSendTime).map(|id| (id, SEND_TIME_LEN));
        let (mut sum, mut count, mut two_byte) = (0, 0, false);
        for (id, len) in self.extensions(packet).map(|(id, value)| (id, value.len())).chain(send_time) {
            sum += len;
            count += 1;
            two_byte |= id > 14 || !(1..=16).contains(&len);
        }
        let elements = sum + count * if two_byte { 2 } else { 1 };
        let extensions = if count == 0 { 0 } else { 4 + elements.next_multiple_of(4) };
        12 + extensions + packet.payload.len()
    }
}

impl OutboundStats {
    /// Counters of a source that is gone.
    pub(super) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.retransmitted_packets += other.retransmitted_packets;
        self.retransmitted_bytes += other.retransmitted_bytes;
        self.nacks_received += other.nacks_received;
        self.nacks_refused += other.nacks_refused;
        self.plis_received += other.plis_received;
        self.firs_received += other.firs_received;
        self.remote_lost += other.remote_lost;
        self.remote_fraction_lost = self.remote_fraction_lost.max(other.remote_fraction_lost);
        self.remote_jitter = self.remote_jitter.max(other.remote_jitter);
        self.round_trip_time = other.round_trip_time.or(self.round_trip_time);
    }
}
