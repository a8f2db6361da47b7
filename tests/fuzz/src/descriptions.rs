//! Any text as the peer's description: refused, and nothing has changed; or taken, and answered with SDP.

use std::sync::OnceLock;

use wigwag::sdp::SessionDescription as Parsed;
use wigwag::{
    Certificate, ChannelInit, Config, IceCandidate, Instant, MediaKind, PeerConnection, SdpType, SessionDescription,
    SignalingState, TransceiverInit, WallClock,
};

use crate::bounds::Memory;
use crate::script::Script;
use crate::{count_steps, crypto, text};

/// What a description of 8 KB may make a connection hold; the engine's own bounds (1 MiB of text, 1,024 sections) are far beyond.
pub const MEMORY: usize = 8 << 20;

const NOW: Instant = Instant(1_000_000);

pub fn run(data: &[u8]) {
    count_steps(1);
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    let certificate = CERTIFICATE.get_or_init(|| {
        let mut random = wigwag::random::seeded([5; 32]);
        Certificate::generate(crypto::checked(), &mut random, WallClock(1 << 50)).unwrap()
    });
    let mut script = Script(data);
    let how = script.byte();
    let memory = Memory::within(MEMORY);
    let memory = {
        let mut config = Config::with_provider([9; 32], crypto::checked());
        config.certificate = Some(certificate.clone());
        let mut pc = PeerConnection::new(config).unwrap();
        pc.add_udp_socket(NOW, "10.0.0.1:1000".parse().unwrap()).unwrap();
        converse(&mut pc, how, &String::from_utf8_lossy(script.0), memory)
    };
    memory.is_given_back();
}

fn converse(pc: &mut PeerConnection, how: u8, text: &str, mut memory: Memory) -> Memory {
    if how & 1 != 0 {
        pc.create_data_channel("x", ChannelInit::default()).unwrap();
    }
    if how & 2 != 0 {
        pc.add_track(MediaKind::Audio, None, Vec::new()).unwrap();
        pc.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    }
    // Two texts, the second answers or follows the first.
    let (first, second) = text.split_once('\0').unwrap_or((text, ""));
    let kind = match how >> 2 & 3 {
        0 | 1 => SdpType::Offer,
        2 => SdpType::Answer,
        _ => SdpType::Pranswer,
    };
    if kind != SdpType::Offer {
        let _ = pc.set_local_description_implicitly(NOW);
    }
    hear(pc, kind, first);
    memory.check();
    if how & 16 != 0 {
        hear(pc, SdpType::Rollback, "");
    }
    if pc.signaling_state() == SignalingState::HaveRemoteOffer {
        let answer = pc.create_answer().expect("an offer that was taken can be answered");
        read(&answer);
        pc.set_local_description(NOW, answer).expect("an answer that was just made");
        assert_eq!(pc.signaling_state(), SignalingState::Stable);
    }
    let candidate = second.lines().next().unwrap_or_default();
    let _ = pc.add_ice_candidate(NOW, &IceCandidate { candidate: candidate.into(), ..IceCandidate::default() });
    if let Ok(offer) = pc.create_offer() {
        read(&offer);
        if how & 32 != 0 {
            pc.set_local_description(NOW, offer).expect("an offer that was just made");
        }
    }
    let kind = if how & 64 != 0 { SdpType::Answer } else { SdpType::Offer };
    hear(pc, kind, second);
    if pc.signaling_state() == SignalingState::HaveRemoteOffer {
        read(&pc.create_answer().expect("an offer that was taken can be answered"));
    }
    for id in pc.transceivers().map(|it| it.id).collect::<Vec<_>>() {
        let _ = (pc.media_stats(id), pc.stop_transceiver(id));
    }
    pc.handle_timeout(NOW);
    crate::bounds::deadline_moved(NOW, pc.poll_timeout());
    while pc.poll_event().is_some() {}
    memory.check();
    memory
}

fn read(description: &SessionDescription) {
    text::read(&Parsed::parse(&description.sdp).expect("what we write is SDP"));
}

fn hear(pc: &mut PeerConnection, kind: SdpType, sdp: &str) {
    let before = (pc.signaling_state(), pc.local_description(), pc.remote_description());
    let transceivers: Vec<_> = pc.transceivers().map(|it| format!("{it:?}")).collect();
    if pc.set_remote_description(NOW, SessionDescription { kind, sdp: sdp.into() }).is_err() {
        let after = (pc.signaling_state(), pc.local_description(), pc.remote_description());
        assert_eq!(before, after, "a refused description changed something");
        assert!(
            pc.transceivers().map(|it| format!("{it:?}")).eq(transceivers),
            "a refused description changed transceivers"
        );
    }
}
