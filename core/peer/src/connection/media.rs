//! Audio and video: transceivers, packets in and out, and the keys that protect them.
//!
//! In RTP mode, which is the only one so far, the application reads and writes packets of RTP: [`PeerConnection::write_rtp`] says who
//! looks after what.

use std::collections::VecDeque;

use rand::RngExt;
use wigwag_dtls::SrtpKeys;
use wigwag_ice::Wire;
use wigwag_media::{Event as MediaEvent, LineConfig, LineId, PacketKind, RtpOut, WriteError};
use wigwag_proto::{Instant, Random, TransmitBuffer, UdpPath};
use wigwag_rtp::srtp::{SrtpProfile, SrtpSession};
use wigwag_sdp::{Codec, Direction};

use super::{Ending, PeerConnection};
use crate::event::Event;
use crate::negotiation::{DtlsRole, TrackChange};
use crate::state::{DtlsTransportState, Failure};
use crate::transceiver::{MediaKind, Transceiver, TransceiverError, TransceiverId, TransceiverInit};

pub use wigwag_media::{Dropped as MediaDropped, LineStats as MediaStats};

/// The UDP payload that a packet of audio or video may have: what Ethernet carries. The application cut them, and a peer
/// whose packets are forwarded knows its own path.
const MAX_DATAGRAM: usize = 1472;

/// Packets that are kept until there are keys: a peer whose handshake ended a moment before ours sends at once.
const MAX_EARLY_PACKETS: usize = 32;

/// Packets that came before the keys.
pub(super) type Early = VecDeque<Vec<u8>>;

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteRtpError {
    /// There is no such transceiver, or it was stopped.
    #[error("there is no such transceiver, or it was stopped")]
    Stopped,
    /// Both sides have not agreed that we send; see [`Transceiver::can_send`].
    #[error("the peer does not receive on this transceiver")]
    NotSending,
    /// There is no secure channel, or no path to the peer: yet, or any more.
    #[error("the connection is not up")]
    NotConnected,
    /// The session has no room for it, or it can't be sent.
    #[error(transparent)]
    Packet(#[from] WriteError),
}

impl PeerConnection {
    /// Adds a transceiver: an m-line of its own in the next offer. webrtc-pc section 5.1.
    ///
    /// # Errors
    /// When the connection is closed, has too many, or can use none of the codecs.
    pub fn add_transceiver(
        &mut self,
        kind: MediaKind,
        init: TransceiverInit,
    ) -> Result<TransceiverId, TransceiverError> {
        self.check_open()?;
        let id = self.negotiation.add_transceiver(kind, init, &mut self.random)?;
        self.check_negotiation_needed();
        Ok(id)
    }

    /// A track to be sent: on a transceiver that never sent, such as one that the peer's offer made, or on a new one.
    /// webrtc-pc section 5.1, `addTrack`.
    ///
    /// # Errors
    /// When the connection is closed, or has too many transceivers.
    pub fn add_track(
        &mut self,
        kind: MediaKind,
        track: Option<String>,
        streams: Vec<String>,
    ) -> Result<TransceiverId, TransceiverError> {
        self.check_open()?;
        let id = self.negotiation.add_track(kind, track, streams, &mut self.random)?;
        self.check_negotiation_needed();
        Ok(id)
    }

    /// All transceivers, in the order in which they were made; stopped ones for as long as their m-line is theirs.
    pub fn transceivers(&self) -> impl Iterator<Item = &Transceiver> {
        self.negotiation.transceivers()
    }

    /// One of them.
    pub fn transceiver(&self, id: TransceiverId) -> Option<&Transceiver> {
        self.negotiation.transceiver(id)
    }

    /// Which way media should flow; it comes into force with the next offer and answer.
    ///
    /// # Errors
    /// When the transceiver was stopped, or the connection is closed.
    pub fn set_direction(&mut self, id: TransceiverId, direction: Direction) -> Result<(), TransceiverError> {
        let transceiver = self.negotiation.usable_transceiver(id)?;
        transceiver.direction = direction;
        transceiver.has_sent |= direction.sends();
        self.check_negotiation_needed();
        Ok(())
    }

    /// The streams that our track belongs to, for the peer; told with the next offer or answer.
    ///
    /// # Errors
    /// When the transceiver was stopped, or the connection is closed.
    pub fn set_streams(&mut self, id: TransceiverId, streams: Vec<String>) -> Result<(), TransceiverError> {
        self.negotiation.set_streams(id, &streams)?;
        self.check_negotiation_needed();
        Ok(())
    }

    /// The codecs that the next offer or answer has, the best first; empty: [`default_codecs`](crate::default_codecs).
    /// The payload types are wishes: those that are in use already stay. RTX is added by itself.
    ///
    /// # Errors
    /// When none of them can be used, the transceiver was stopped, or the connection is closed.
    pub fn set_codec_preferences(&mut self, id: TransceiverId, codecs: Vec<Codec>) -> Result<(), TransceiverError> {
        self.negotiation.set_codec_preferences(id, codecs)
    }

    /// Stops a transceiver for good, with the next offer and answer. webrtc-pc section 5.4, `stop`.
    ///
    /// # Errors
    /// When it was stopped already, or the connection is closed.
    pub fn stop_transceiver(&mut self, id: TransceiverId) -> Result<(), TransceiverError> {
        self.negotiation.stop(id)?;
        self.check_negotiation_needed();
        Ok(())
    }

    /// Sends a packet of audio or video. In RTP mode, which is the only one so far, the application reads and writes packets of RTP. Who
    /// looks after what:
    ///
    /// | | received | sent |
    /// |---|---|---|
    /// | SSRC | told, with [`RtpIn::ssrc`](wigwag_media::RtpIn) | the engine: [`Transceiver::ssrc`](crate::Transceiver) |
    /// | sequence number | told, without wrapping | the application; each once ([`Splice`](wigwag_media::Splice) helps to forward) |
    /// | timestamp, marker, payload | told | the application |
    /// | payload type | told; [`Transceiver::codec`](crate::Transceiver::codec) | the application, one of [`Transceiver::codecs`](crate::Transceiver) |
    /// | RTX (RFC 4588) | unwrapped by the engine | the engine, from a bounded history |
    /// | NACK (RFC 4585) | the engine asks for what is missing | the engine answers |
    /// | key frames (PLI, FIR) | [`request_key_frame`](Self::request_key_frame) | [`Event::KeyFrameRequest`] |
    /// | order | as it arrived; a packet that was asked for again comes late | as it was written |
    /// | reports, transport-wide feedback | the engine | the engine |
    /// | header extensions | told, by their kind | the application; those of the transport (mid, abs-send-time, ...) the engine |
    ///
    /// # Errors
    /// When it can't be sent now, or at all.
    pub fn write_rtp(&mut self, now: Instant, id: TransceiverId, packet: RtpOut) -> Result<(), WriteRtpError> {
        // While there is no path, packets would only grow old.
        let is_up = self.srtp.is_some() && self.dtls.is_connected() && self.path().is_some();
        if !is_up || self.ending != Ending::Open {
            return Err(self.why_not(id));
        }
        self.touch(now);
        self.media.write_rtp(now, LineId(id.0), packet).map_err(|error| match error {
            WriteError::UnknownLine | WriteError::NotSending | WriteError::Closed => self.why_not(id),
            other => other.into(),
        })
    }

    /// Why nothing can be sent on this transceiver. Only asked for then: it looks at all of them.
    fn why_not(&self, id: TransceiverId) -> WriteRtpError {
        match self.negotiation.transceiver(id).filter(|it| !it.is_stopped) {
            None => WriteRtpError::Stopped,
            Some(transceiver) if !transceiver.can_send() => WriteRtpError::NotSending,
            Some(_) => WriteRtpError::NotConnected,
        }
    }

    /// Asks the peer for a key frame of what it sends on this transceiver (of the encoding `rid`, or of all). `false`: it
    /// can't be asked, because it sends nothing, or neither PLI nor FIR was agreed on.
    pub fn request_key_frame(&mut self, now: Instant, id: TransceiverId, rid: Option<&str>) -> bool {
        self.touch(now);
        self.media.request_key_frame(now, LineId(id.0), rid)
    }

    /// What was counted on a transceiver; `None` before anything was agreed on, and once it was stopped.
    pub fn media_stats(&self, id: TransceiverId) -> Option<MediaStats> {
        self.media.stats(LineId(id.0))
    }

    /// Packets of audio and video that were dropped after they were decrypted, or before they were encrypted, and why: over all
    /// transceivers. [`Stats::dropped_media`](crate::Stats::dropped_media) has those that were not even decrypted.
    pub fn media_dropped(&self) -> MediaDropped {
        self.media.dropped()
    }

    /// How audio and video are protected, once they are.
    pub fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.srtp.as_ref().map(|srtp| srtp.protector.profile())
    }

    fn check_open(&self) -> Result<(), TransceiverError> {
        (self.ending == Ending::Open).then_some(()).ok_or(TransceiverError::Closed)
    }

    /// Tracks that the peer's description began or ended.
    pub(super) fn tell_tracks(&mut self) {
        while let Some(change) = self.negotiation.poll_change() {
            self.events.push_back(match change {
                TrackChange::Added(id) => Event::Track(id),
                TrackChange::Removed(id) => Event::TrackRemoved(id),
            });
        }
    }

    pub(super) fn apply_lines(&mut self, now: Instant, lines: Vec<(TransceiverId, Option<LineConfig>)>) {
        self.media.set_lines(now, lines.into_iter().map(|(id, line)| (LineId(id.0), line)));
        self.mind_the_keys(now);
    }

    /// DTLS is there, and has made keys for SRTP if both ends have a profile in common.
    pub(super) fn start_srtp(&mut self, now: Instant, keys: Option<SrtpKeys>) {
        self.srtp = keys.as_ref().and_then(|keys| srtp_session(keys, self.role?, self.provider));
        let early = std::mem::take(&mut self.early);
        let Some(srtp) = &self.srtp else { return self.mind_the_keys(now) };
        // In GCM a number is protected once only, so that without RTX nothing can be sent again.
        self.media.allow_repeats(srtp.protector.profile() == SrtpProfile::Aes128CmHmacSha1_80);
        for mut packet in early {
            self.open_media(now, &mut packet);
        }
    }

    /// Audio and video that were agreed on and can't be protected are the end: whatever was promised of them is not kept.
    fn mind_the_keys(&mut self, now: Instant) {
        let is_late = self.states.dtls == DtlsTransportState::Connected && self.srtp.is_none();
        if is_late && self.negotiation.transceivers().any(|it| it.current_direction.is_some()) {
            self.states.dtls = DtlsTransportState::Failed;
            self.failure.get_or_insert(Failure::Dtls("no SRTP profile in common".to_owned()));
            self.sctp.abort();
            self.dtls.close(now);
        }
    }

    /// A packet of audio or video counts only from where ICE validated.
    pub(super) fn handle_media(&mut self, now: Instant, path: UdpPath, packet: &mut [u8]) {
        if !self.ice.is_validated(path) {
            self.stats.dropped_media += 1;
        } else if self.srtp.is_some() {
            if self.open_media(now, packet) {
                self.ice.payload_received(now, path);
            }
        } else if self.early.len() < MAX_EARLY_PACKETS && !self.dtls.is_connected() && packet.len() <= MAX_DATAGRAM {
            self.early.push_back(packet.to_vec());
        } else {
            self.stats.dropped_media += 1;
        }
    }

    /// Whether it was authentic.
    fn open_media(&mut self, now: Instant, packet: &mut [u8]) -> bool {
        let Self { srtp, media, stats, .. } = self;
        let Some(srtp) = srtp else { return false };
        let is_rtcp = wigwag_rtp::is_rtcp(packet);
        let len = match is_rtcp {
            true => srtp.unprotector.unprotect_rtcp(packet),
            false => srtp.unprotector.unprotect_rtp(packet),
        };
        let Some(packet) = len.and_then(|len| packet.get(..len)) else {
            stats.dropped_media += 1;
            return false;
        };
        match is_rtcp {
            true => media.handle_rtcp(now, packet),
            false => media.handle_rtp(now, packet),
        }
        true
    }

    pub(super) fn can_transmit_media(&self) -> bool {
        self.srtp.is_some() && self.media.can_transmit()
    }

    /// Fills `out` with packets of audio and video; whether there were any.
    pub(super) fn write_media(&mut self, now: Instant, wire: Wire, out: &mut TransmitBuffer<'_>) -> bool {
        let Self { srtp, media, stats, .. } = self;
        let Some(srtp) = srtp else { return false };
        let profile = srtp.protector.profile();
        // Of RTCP: the greater one.
        let suffix = profile.rtcp_overhead().suffix;
        let outer = wire.overhead();
        while media.can_transmit() {
            let is_first = out.segments() == 0;
            let Some(segment) = out.segment(MAX_DATAGRAM) else { break };
            // The next packet goes into the batch only if it fits into the length of those before it. (The first has all the memory
            // that the caller gave: if that is too short, the packet is dropped, or nothing would ever leave behind it.)
            if !is_first && out_of_room(segment.len(), suffix + outer.total(), media.next_packet_len()) {
                break;
            }
            let Some(packet) = outer.inside(segment) else { break };
            let Some(room) = packet.len().checked_sub(suffix).and_then(|len| packet.get_mut(..len)) else { break };
            let Some(written) = media.write_packet(now, room) else { break };
            srtp.protector.allow_repeats(written.is_repeat);
            let len = match written.kind {
                PacketKind::Rtp => srtp.protector.protect_rtp(packet, written.len),
                PacketKind::Rtcp => srtp.protector.protect_rtcp(packet, written.len),
            };
            match len.and_then(|len| wire.frame(segment, len)) {
                Some(len) => out.push(len),
                None => stats.refused_media += 1,
            }
        }
        out.segments() > 0
    }

    /// What happened of audio and video: packets, requests for key frames. For who leaves messages where they are for a
    /// while; [`poll_event`](Self::poll_event) gives these before messages, too.
    pub fn poll_media_event(&mut self) -> Option<Event> {
        loop {
            return Some(match self.media.poll_event()? {
                MediaEvent::Rtp { line, packet } => Event::Rtp { transceiver: TransceiverId(line.0), packet },
                MediaEvent::KeyFrameRequest { line } => Event::KeyFrameRequest(TransceiverId(line.0)),
                _ => continue, // a BYE: the description says the same
            });
        }
    }
}

fn out_of_room(segment: usize, suffix: usize, next: Option<usize>) -> bool {
    next.is_none_or(|next| next + suffix > segment)
}

/// The keys of both directions: in the role of the DTLS client ours are the client's. RFC 5764 section 4.2.
fn srtp_session(keys: &SrtpKeys, role: DtlsRole, provider: wigwag_crypto::Provider) -> Option<SrtpSession> {
    let profile = match keys.profile {
        wigwag_dtls::SrtpProfile::AeadAes128Gcm => SrtpProfile::AeadAes128Gcm,
        wigwag_dtls::SrtpProfile::AeadAes256Gcm => SrtpProfile::AeadAes256Gcm,
        wigwag_dtls::SrtpProfile::Aes128CmHmacSha1_80 => SrtpProfile::Aes128CmHmacSha1_80,
        _ => return None,
    };
    let client = (keys.client_key.as_ref(), keys.client_salt.as_ref());
    let server = (keys.server_key.as_ref(), keys.server_salt.as_ref());
    let (local, remote) = if role == DtlsRole::Client { (client, server) } else { (server, client) };
    SrtpSession::new(profile, local, remote, provider).ok()
}

/// 96 random bits, which is what RFC 7022 section 4.2 wants, in letters.
pub(super) fn cname(random: &mut Random) -> String {
    format!("{:024x}", random.random::<u128>() >> 32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{ChannelInit, Config, ConnectionState};

    const NOW: Instant = Instant(1);

    fn negotiate(offerer: &mut PeerConnection, answerer: &mut PeerConnection) {
        answerer.set_remote_description(NOW, offerer.set_local_description_implicitly(NOW).unwrap()).unwrap();
        offerer.set_remote_description(NOW, answerer.set_local_description_implicitly(NOW).unwrap()).unwrap();
    }

    fn connection(n: u8) -> PeerConnection {
        let mut connection = PeerConnection::new(Config::new([n; 32])).unwrap();
        connection.add_udp_socket(NOW, std::net::SocketAddr::from(([10, 0, 0, n], 1000))).unwrap();
        connection
    }

    /// What DTLS does when the peer knows none of our profiles.
    fn connects_without_keys(connection: &mut PeerConnection) {
        connection.states.dtls = DtlsTransportState::Connected;
        connection.start_srtp(NOW, None);
        connection.follow_up(NOW);
    }

    #[test]
    fn media_without_keys_is_a_failure_that_is_told() {
        let (mut alice, mut bob) = (connection(1), connection(2));
        let channel = alice.create_data_channel("data", ChannelInit::default()).unwrap();
        alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
        negotiate(&mut alice, &mut bob);
        alice.early.push_back(vec![0x80; 100]);
        connects_without_keys(&mut alice);
        assert_eq!(alice.connection_state(), ConnectionState::Failed);
        assert!(matches!(alice.failure(), Some(Failure::Dtls(_))) && alice.early.is_empty());
        let told: Vec<_> = std::iter::from_fn(|| alice.poll_event()).collect();
        assert!(told.iter().any(|event| matches!(event, Event::ChannelClosed(id) if *id == channel)), "{told:?}");
    }

    #[test]
    fn media_that_joins_without_keys_is_a_failure_too() {
        let (mut alice, mut bob) = (connection(1), connection(2));
        alice.create_data_channel("data", ChannelInit::default()).unwrap();
        negotiate(&mut alice, &mut bob);
        connects_without_keys(&mut alice);
        assert_ne!(alice.connection_state(), ConnectionState::Failed);
        alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
        negotiate(&mut alice, &mut bob);
        assert_eq!(alice.connection_state(), ConnectionState::Failed);
    }
}
