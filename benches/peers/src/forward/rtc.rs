//! `rtc`, with its default interceptors (NACK, reports, transport-wide feedback), as its examples have them.

use std::time::Instant;

use ::rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use ::rtc::interceptor::Registry;
use ::rtc::media_stream::MediaStreamTrack;
use ::rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use ::rtc::peer_connection::configuration::media_engine::{MIME_TYPE_VP8, MediaEngine};
use ::rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use ::rtc::peer_connection::event::RTCPeerConnectionEvent;
use ::rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use ::rtc::peer_connection::sdp::RTCSessionDescription;
use ::rtc::peer_connection::state::RTCPeerConnectionState;
use ::rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use ::rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use ::rtc::rtp::Packet;
use ::rtc::rtp_transceiver::RTCRtpSenderId;
use ::rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use ::rtc::sansio::Protocol;
use ::rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use bytes::BytesMut;

use super::{Connection, Outgoing, SERVER, client_address};
use crate::stack::Now;

const SSRC: u32 = 0x5EED;

pub struct Rtc {
    pc: RTCPeerConnection,
    start: Instant,
    n: usize,
    sender: Option<RTCRtpSenderId>,
    connected: bool,
}

fn track() -> MediaStreamTrack {
    let codec = RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![],
    };
    let rtp_coding_parameters = RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters, codec, ..Default::default() };
    MediaStreamTrack::new("stream".into(), "track".into(), "label".into(), RtpCodecKind::Video, vec![encoding])
}

impl Connection for Rtc {
    const NAME: &'static str = "rtc";
    type Packet = Packet;

    fn answer(n: usize, offer: &str, sends: bool) -> (Self, String) {
        let start = Instant::now();
        let mut media = MediaEngine::default();
        media.register_default_codecs().expect("codecs");
        let registry = register_default_interceptors(Registry::new(), &mut media).expect("interceptors");
        // What the others have agreed on.
        let engine = SettingEngineBuilder::new()
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm]);
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_setting_engine(engine.build())
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build(start)
            .expect("a connection");
        let sender = sends.then(|| pc.add_track(track()).expect("a track"));
        let offer = RTCSessionDescription::offer(offer.to_owned()).expect("an offer");
        pc.set_remote_description(start, offer).expect("an offer");
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: SERVER.ip().to_string(),
                port: SERVER.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        };
        let candidate = RTCIceCandidate::from(&candidate.new_candidate_host().expect("a host candidate"));
        pc.add_local_candidate(candidate.to_json().expect("a candidate")).expect("a new candidate");
        let answer = pc.create_answer(None).expect("an answer");
        pc.set_local_description(start, answer).expect("an answer");
        let answer = pc.local_description().expect("an answer").sdp;
        (Self { pc, start, n, sender, connected: false }, answer)
    }

    fn receive(&mut self, now: Now, datagram: BytesMut, _: &mut Outgoing<Packet>) {
        let transport = TransportContext {
            local_addr: SERVER,
            peer_addr: client_address(self.n),
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let received = TaggedBytesMut { now: self.start + now, transport, message: datagram };
        self.pc.handle_read(received).expect("an input");
    }

    fn handle_timeout(&mut self, now: Now, _: &mut Outgoing<Packet>) {
        self.pc.handle_timeout(self.start + now).expect("a timeout");
    }

    // The publisher's header extensions mean nothing on another connection, and it does not translate them.
    fn forward(&mut self, now: Now, packet: &Packet, _: &mut Outgoing<Packet>) {
        let mut packet = packet.clone();
        packet.header.ssrc = SSRC;
        packet.header.extension = false;
        packet.header.extensions.clear();
        let mut sender = self.pc.rtp_sender(self.sender.expect("it sends")).expect("it sends");
        sender.write_rtp(self.start + now, packet).expect("connected");
    }

    fn poll(&mut self, _now: Now, out: &mut Outgoing<Packet>) -> Option<Now> {
        while let Some(event) = self.pc.poll_event() {
            if let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event {
                self.connected = state == RTCPeerConnectionState::Connected;
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.pc.poll_read() {
            if let RTCMessage::RtpPacket(_, packet) = message {
                out.packets.push(packet);
            }
        }
        while let Some(datagram) = self.pc.poll_write() {
            out.datagram(&datagram.message);
        }
        self.pc.poll_timeout().map(|at| at.saturating_duration_since(self.start))
    }

    fn is_ready(&self) -> bool {
        self.connected
    }
}
