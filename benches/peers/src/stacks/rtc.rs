//! `rtc`, with its own defaults: ring, DTLS 1.2, its own SCTP.

use std::time::Instant;

use ::rtc::crypto::{SignatureScheme, default_provider};
use ::rtc::data_channel::RTCDataChannelId;
use ::rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use ::rtc::peer_connection::configuration::RTCConfigurationBuilder;
use ::rtc::peer_connection::configuration::setting_engine::{SctpMaxMessageSize, SettingEngineBuilder};
use ::rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use ::rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use ::rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use ::rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use ::rtc::sansio::Protocol;
use ::rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use bytes::{Bytes, BytesMut};

use crate::stack::{ADDRESSES, Now, Settings, Sink, Stack};

/// It takes whatever it is given, so the program has to stop by itself.
const SEND_BUFFER: usize = 256 << 10;

/// One end.
pub struct Rtc {
    pc: RTCPeerConnection,
    start: Instant,
    local: usize,
    send_buffer: usize,
    channel: Option<RTCDataChannelId>,
}

impl Rtc {
    fn new(local: usize, start: Instant, certificate: Option<RTCCertificate>, settings: &Settings) -> Self {
        let mut engine = SettingEngineBuilder::new();
        if settings.message_size > SctpMaxMessageSize::DEFAULT_MESSAGE_SIZE as usize {
            engine = engine.with_sctp_max_message_size(SctpMaxMessageSize::Unbounded);
        }
        let configuration = RTCConfigurationBuilder::new().with_certificates(certificate.into_iter().collect());
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_configuration(configuration.build())
            .with_setting_engine(engine.build())
            .build(start)
            .expect("a connection");
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: ADDRESSES[local].ip().to_string(),
                port: ADDRESSES[local].port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        };
        let candidate = RTCIceCandidate::from(&candidate.new_candidate_host().expect("a host candidate"));
        pc.add_local_candidate(candidate.to_json().expect("a candidate")).expect("a new candidate");
        let send_buffer = settings.send_buffer.unwrap_or(SEND_BUFFER).max(settings.message_size);
        Rtc { pc, start, local, send_buffer, channel: None }
    }
}

impl Stack for Rtc {
    const NAME: &'static str = "rtc";
    type Certificate = RTCCertificate;
    type Datagram = BytesMut;

    const FASTEST_SEND_BUFFER: Option<usize> = Some(SEND_BUFFER);

    fn certificate() -> RTCCertificate {
        let provider = default_provider().expect("a provider");
        let parameters = CertificateParams::new(vec!["webrtc".to_owned()]).expect("parameters");
        RTCCertificate::generate(provider.crypto(), SignatureScheme::EcdsaP256Sha256, parameters)
            .expect("a certificate")
    }

    fn pair(certificates: Option<[RTCCertificate; 2]>, settings: &Settings) -> [Self; 2] {
        let start = Instant::now();
        let [first, second] = certificates.map_or([None, None], |pair| pair.map(Some));
        let mut offerer = Rtc::new(0, start, first, settings);
        let mut answerer = Rtc::new(1, start, second, settings);
        offerer.pc.create_data_channel("bench", None).expect("a channel");
        let offer = offerer.pc.create_offer(None).expect("an offer");
        offerer.pc.set_local_description(start, offer.clone()).expect("an offer");
        answerer.pc.set_remote_description(start, offer).expect("an offer");
        let answer = answerer.pc.create_answer(None).expect("an answer");
        answerer.pc.set_local_description(start, answer.clone()).expect("an answer");
        offerer.pc.set_remote_description(start, answer).expect("an answer");
        [offerer, answerer]
    }

    fn handle_datagram(&mut self, now: Now, datagram: BytesMut, _: &mut Sink<BytesMut>) {
        let transport = TransportContext {
            local_addr: ADDRESSES[self.local],
            peer_addr: ADDRESSES[1 - self.local],
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let received = TaggedBytesMut { now: self.start + now, transport, message: datagram };
        self.pc.handle_read(received).expect("an input");
    }

    fn handle_timeout(&mut self, now: Now, _: &mut Sink<BytesMut>) {
        self.pc.handle_timeout(self.start + now).expect("a timeout");
    }

    fn send(&mut self, now: Now, message: &Bytes, _: &mut Sink<BytesMut>) -> bool {
        let Some(mut channel) = self.channel.and_then(|id| self.pc.data_channel(id)) else { return false };
        if channel.outstanding_bytes() + message.len() > self.send_buffer {
            return false;
        }
        // It wants to own what it sends.
        channel.send(self.start + now, BytesMut::from(&message[..])).expect("an open channel");
        true
    }

    fn poll(&mut self, _now: Now, sink: &mut Sink<BytesMut>) -> Option<Now> {
        while let Some(event) = self.pc.poll_event() {
            if let RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) = event {
                self.channel = Some(id);
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.pc.poll_read() {
            if let RTCMessage::DataChannelMessage(_, message) = message {
                sink.message(&message.data);
            }
        }
        while let Some(datagram) = self.pc.poll_write() {
            sink.datagrams.push_back(datagram.message);
        }
        self.pc.poll_timeout().map(|at| at.saturating_duration_since(self.start))
    }

    fn is_open(&self) -> bool {
        self.channel.is_some()
    }

    fn bytes(datagram: &BytesMut) -> u64 {
        datagram.len() as u64
    }
}
