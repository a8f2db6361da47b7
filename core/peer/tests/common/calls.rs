//! Calls: audio, video and a channel between two applications.

use std::time::Duration;

use bytes::Bytes;
use wigwag::rtp::{ExtensionKind, PayloadType, RtpTimestamp, SequenceNumber};
use wigwag::{
    ConnectionState, Direction, MediaKind, PacketExtensions, RtpOut, SignalingState, TransceiverId, TransceiverInit,
};
use wigwag_net::Simulation;

use super::{App, Pair, config};

/// Of virtual time, for whatever should happen.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Audio, video and a channel, both ways; the answerer sends everything back.
pub fn call(seed: u64) -> (Pair, Vec<TransceiverId>) {
    let ([mut offerer, mut answerer], channel) = super::apps([config(seed, 1), config(seed, 2)]);
    let add = |kind| offerer.pc.add_transceiver(kind, TransceiverInit::default()).unwrap();
    let ids = [MediaKind::Audio, MediaKind::Video].map(add).to_vec();
    exchange(&mut offerer, &mut answerer);
    (Pair::join(seed, [offerer, answerer], channel), ids)
}

/// Offer and answer; the answerer wants to send on everything.
pub fn exchange(offerer: &mut App, answerer: &mut App) {
    let now = Simulation::<App>::START;
    let offer = offerer.pc.set_local_description_implicitly(now).unwrap();
    answerer.pc.set_remote_description(now, offer).unwrap();
    let all: Vec<_> = answerer.pc.transceivers().filter(|it| !it.is_stopped).map(|it| it.id).collect();
    for id in all {
        answerer.pc.set_direction(id, Direction::SendRecv).unwrap();
    }
    let answer = answerer.pc.set_local_description_implicitly(now).unwrap();
    offerer.pc.set_remote_description(now, answer).unwrap();
    assert_eq!(offerer.pc.signaling_state(), SignalingState::Stable);
}

pub fn packet(payload_type: u8, n: u16, len: usize) -> RtpOut {
    let level: PacketExtensions = [(ExtensionKind::AudioLevel, [0x8C])].into_iter().collect();
    RtpOut {
        marker: n.is_multiple_of(3),
        payload_type: PayloadType::new(payload_type).unwrap(),
        sequence_number: SequenceNumber(n.wrapping_add(65_500)),
        timestamp: RtpTimestamp(u32::from(n) * 960),
        extensions: if payload_type == 111 { level } else { PacketExtensions::default() },
        payload: Bytes::from(vec![n as u8; len]),
    }
}

/// Sends `count` packets of each, one pair each 10 ms.
pub fn send(pair: &mut Pair, ids: &[TransceiverId], count: u16) {
    for n in 0..count {
        let now = pair.simulation.now();
        let app = pair.offerer();
        app.pc.write_rtp(now, ids[0], packet(111, n, 80)).unwrap();
        app.pc.write_rtp(now, ids[1], packet(96, n, 1100)).unwrap();
        pair.simulation.run_for(Duration::from_millis(10)).unwrap();
    }
}

pub fn connect(pair: &mut Pair) {
    let is_connected = |app: &App| app.states.contains(&ConnectionState::Connected) && !app.opened.is_empty();
    pair.simulation.run_until(|simulation| super::both(simulation, is_connected), LIMIT).unwrap();
}

pub fn renegotiate(pair: &mut Pair) {
    let now = pair.simulation.now();
    let offer = pair.offerer().pc.set_local_description_implicitly(now).unwrap();
    pair.answerer().pc.set_remote_description(now, offer).unwrap();
    let all: Vec<_> = pair.answerer().pc.transceivers().filter(|it| !it.is_stopped).map(|it| it.id).collect();
    for id in all {
        pair.answerer().pc.set_direction(id, Direction::SendRecv).unwrap();
    }
    let answer = pair.answerer().pc.set_local_description_implicitly(now).unwrap();
    pair.offerer().pc.set_remote_description(now, answer).unwrap();
    pair.simulation.run_for(Duration::from_millis(50)).unwrap();
}
