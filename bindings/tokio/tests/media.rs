//! Audio and video over real sockets on loopback: packets there and back, and readers that come to an end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use tokio::time::timeout;
use wigwag_tokio::wigwag::rtp::{PayloadType, RtpTimestamp, SequenceNumber};
use wigwag_tokio::wigwag::{PacketExtensions, TransceiverInit, WriteRtpError};
use wigwag_tokio::{Direction, Endpoint, Event, MediaKind, PeerConnection, RtpOut, Transceiver};

const SOON: Duration = Duration::from_secs(10);

fn endpoint() -> Endpoint {
    Endpoint::bind(&["127.0.0.1".parse().unwrap()], 0).unwrap()
}

/// Offer and answer; the answerer wants to send on everything.
fn negotiate(offerer: &PeerConnection, answerer: &PeerConnection) {
    offerer.set_local_description(offerer.create_offer().unwrap()).unwrap();
    answerer.set_remote_description(offerer.local_description().unwrap()).unwrap();
    for transceiver in answerer.transceivers() {
        transceiver.set_direction(Direction::SendRecv).ok(); // one may have been stopped
    }
    answerer.set_local_description(answerer.create_answer().unwrap()).unwrap();
    offerer.set_remote_description(answerer.local_description().unwrap()).unwrap();
}

fn packet(n: u16) -> RtpOut {
    RtpOut {
        marker: false,
        payload_type: PayloadType::PCMU,
        sequence_number: SequenceNumber(n),
        timestamp: RtpTimestamp(u32::from(n) * 160),
        extensions: PacketExtensions::default(),
        payload: vec![n as u8; 160].into(),
    }
}

async fn next_track(connection: &PeerConnection) -> Transceiver {
    loop {
        let event = timeout(SOON, connection.next_event()).await.expect("a track").expect("the connection is there");
        if let Event::Track(id) = event {
            return connection.transceiver(id).unwrap();
        }
    }
}

/// Sends everything back, until there is no more.
async fn echo(transceiver: Transceiver) {
    while let Some(packet) = transceiver.read_rtp().await {
        transceiver.write_rtp(RtpOut::from(&packet)).ok();
    }
}

#[tokio::test]
async fn readers_end_with_their_transceiver_and_with_the_connection() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let add = || alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let (first, second) = (add(), add());
    assert_eq!(first.write_rtp(packet(0)), Err(WriteRtpError::NotSending));
    negotiate(&alice, &bob);
    let echoes = [tokio::spawn(echo(next_track(&bob).await)), tokio::spawn(echo(next_track(&bob).await))];
    timeout(SOON, async { tokio::join!(alice.connected(), bob.connected()) }).await.expect("they connect").0.unwrap();
    for n in 0..20 {
        for transceiver in [&first, &second] {
            transceiver.write_rtp(packet(n)).unwrap();
            let back = timeout(SOON, transceiver.read_rtp()).await.expect("it comes back").unwrap();
            assert_eq!((back.sequence_number as u16, back.payload.len()), (n, 160));
        }
    }
    let [first_echo, second_echo] = echoes;
    let reader = tokio::spawn({
        let first = first.clone();
        async move { (first.read_rtp().await.is_none(), first.key_frame_requested().await.is_none()) }
    });
    first.stop().unwrap();
    negotiate(&alice, &bob);
    timeout(SOON, first_echo).await.expect("the far reader ends").unwrap();
    assert_eq!(timeout(SOON, reader).await.expect("the near reader ends").unwrap(), (true, true));
    assert!(!second_echo.is_finished());
    assert!(timeout(SOON, first.read_rtp()).await.expect("at once").is_none());
    timeout(SOON, alice.close()).await.expect("it closes");
    timeout(SOON, second_echo).await.expect("the reader ends with the connection").unwrap();
    assert!(timeout(SOON, second.read_rtp()).await.expect("at once").is_none());
}

/// A reader of what was never offered is told, too.
#[tokio::test]
async fn a_transceiver_that_was_never_offered_stops_at_once() {
    let here = endpoint();
    let alice = here.connection().unwrap();
    let transceiver = alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let reader = tokio::spawn({
        let transceiver = transceiver.clone();
        async move { transceiver.read_rtp().await.is_none() }
    });
    tokio::task::yield_now().await; // it waits by now
    transceiver.stop().unwrap();
    assert!(timeout(SOON, reader).await.expect("it ends").unwrap());
}

/// More tracks than events are kept: whoever asks late hears of all of them.
#[tokio::test]
async fn every_track_is_told() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    for _ in 0..300 {
        alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    }
    negotiate(&alice, &bob);
    timeout(SOON, async { tokio::join!(alice.connected(), bob.connected()) }).await.expect("they connect").1.unwrap();
    for _ in 0..300 {
        next_track(&bob).await;
    }
}
