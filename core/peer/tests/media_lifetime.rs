//! What audio and video live through: restarts, lost paths, sections that come and go, the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{LIMIT, call, connect, exchange, packet, renegotiate, send};
use common::{App, Pair, address, config};
use wigwag::{
    ChannelInit, ConnectionState, Event, IceConnectionState, Instant, MediaKind, PeerConnection, TransceiverInit,
    TransmitBuffer, WriteRtpError,
};
use wigwag_net::{Link, Simulation};

#[test]
fn an_ice_restart_does_not_interrupt_it() {
    let (mut pair, ids) = call(11);
    connect(&mut pair);
    send(&mut pair, &ids, 10);
    pair.offerer().pc.restart_ice();
    let now = pair.simulation.now();
    let offer = pair.offerer().pc.set_local_description_implicitly(now).unwrap();
    pair.answerer().pc.set_remote_description(now, offer).unwrap();
    send(&mut pair, &ids, 10);
    let now = pair.simulation.now();
    let answer = pair.answerer().pc.set_local_description_implicitly(now).unwrap();
    // Meanwhile one side has the new credentials, and the other has not.
    send(&mut pair, &ids, 10);
    let now = pair.simulation.now();
    pair.offerer().pc.set_remote_description(now, answer).unwrap();
    for n in 30..60 {
        let now = pair.simulation.now();
        pair.offerer().pc.write_rtp(now, ids[1], packet(96, n, 1100)).unwrap();
        pair.simulation.run_for(Duration::from_millis(10)).unwrap();
    }
    pair.simulation.run_for(Duration::from_millis(200)).unwrap();
    // `send` begins anew each time: what it sent twice is refused, by SRTP, and counted.
    assert_eq!(pair.offerer().pc.stats().refused_media, 40);
    assert_eq!(pair.offerer().packets.len(), 20 + 30);
    assert_eq!(pair.offerer().states, [ConnectionState::Connecting, ConnectionState::Connected]);
}

/// Nothing is queued for a path that is not there: it would leave in a burst, and too late.
#[test]
fn what_is_written_without_a_path_is_refused() {
    let (mut pair, ids) = call(12);
    connect(&mut pair);
    send(&mut pair, &ids, 10);
    pair.simulation.network.set_default_link(Link { loss: 1.0, ..Default::default() });
    let has_failed = |app: &App| app.pc.ice_connection_state() == IceConnectionState::Failed;
    pair.simulation.run_until(|it| common::both(it, has_failed), Duration::from_secs(90)).unwrap();
    let now = pair.simulation.now();
    let refused = pair.offerer().pc.write_rtp(now, ids[0], packet(111, 10, 80));
    assert_eq!(refused, Err(WriteRtpError::NotConnected));
    assert!(pair.offerer().pc.poll_timeout().is_none_or(|at| at > now));
}

#[test]
fn channels_join_a_call() {
    let mut sides = [1, 2].map(|n| {
        let mut pc = PeerConnection::new(config(13, n)).unwrap();
        pc.add_udp_socket(Simulation::<App>::START, address(usize::from(n) - 1)).unwrap();
        App::new(pc)
    });
    let [offerer, answerer] = &mut sides;
    answerer.echoes = true;
    let video = offerer.pc.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    exchange(offerer, answerer);
    let channel = offerer.pc.create_data_channel("late", ChannelInit::default()).unwrap();
    let mut pair = Pair::join(13, sides, channel);
    let is_connected = |app: &App| app.states.contains(&ConnectionState::Connected);
    pair.simulation.run_until(|it| common::both(it, is_connected), LIMIT).unwrap();
    renegotiate(&mut pair);
    pair.offerer().outbox.push_back((channel, common::numbered(0, 100)));
    pair.simulation.run_until(|it| common::both(it, |app| app.heard() == 1), LIMIT).unwrap();
    // The call goes, the channel stays; and the call comes back.
    pair.offerer().pc.stop_transceiver(video).unwrap();
    renegotiate(&mut pair);
    let again = pair.offerer().pc.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    renegotiate(&mut pair);
    assert_eq!(pair.offerer().pc.transceiver(again).unwrap().mid.as_deref(), Some("2"));
    let now = pair.simulation.now();
    pair.offerer().pc.write_rtp(now, again, packet(96, 0, 500)).unwrap();
    pair.offerer().outbox.push_back((channel, common::numbered(1, 100)));
    pair.simulation.run_until(|it| common::both(it, |app| app.heard() == 2), LIMIT).unwrap();
    pair.simulation.run_for(Duration::from_millis(100)).unwrap();
    assert_eq!(pair.offerer().packets.len(), 1);
    assert_eq!(pair.offerer().states.last(), Some(&ConnectionState::Connected));
}

/// All of a call was stopped: it can still become one again.
#[test]
fn a_call_that_was_stopped_begins_again() {
    let (mut pair, ids) = call(14);
    connect(&mut pair);
    send(&mut pair, &ids, 3);
    pair.simulation.run_for(Duration::from_millis(100)).unwrap();
    for id in ids {
        pair.offerer().pc.stop_transceiver(id).unwrap();
    }
    renegotiate(&mut pair);
    pair.simulation.run_for(Duration::from_secs(60)).unwrap();
    let ids: Vec<_> = [MediaKind::Audio, MediaKind::Video]
        .map(|kind| pair.offerer().pc.add_transceiver(kind, TransceiverInit::default()).unwrap())
        .to_vec();
    renegotiate(&mut pair);
    let before = pair.offerer().packets.len();
    send(&mut pair, &ids, 3);
    pair.simulation.run_for(Duration::from_millis(100)).unwrap();
    assert_eq!(pair.offerer().packets.len(), before + 6);
    assert_eq!(pair.offerer().pc.media_dropped(), pair.answerer().pc.media_dropped(), "nothing was dropped");
}

/// A packet that is longer than the caller's memory does not stand in the way of the others.
#[test]
fn short_memory_loses_long_packets_only() {
    let (mut pair, ids) = call(15);
    connect(&mut pair);
    let now = pair.simulation.now();
    let app = pair.offerer();
    app.pc.write_rtp(now, ids[1], packet(96, 0, 1300)).unwrap();
    app.pc.write_rtp(now, ids[0], packet(111, 0, 80)).unwrap();
    let mut memory = vec![0; 1200];
    let mut out = TransmitBuffer::new(&mut memory, 1);
    let sent: Vec<usize> =
        std::iter::from_fn(|| app.pc.poll_transmit(now, &mut out)).map(|transmit| transmit.len).collect();
    assert!(sent.iter().any(|len| (80..150).contains(len)), "{sent:?}");
    assert_eq!(app.pc.media_dropped().too_long, 1);
}

/// RFC 3550 section 6.6: what was sent says BYE; then DTLS says goodbye, and there is no loop in it.
#[test]
fn the_end_of_a_call_is_told_and_quick() {
    let (mut pair, ids) = call(16);
    connect(&mut pair);
    send(&mut pair, &ids, 20);
    let now = pair.simulation.now();
    let before = pair.offerer().pc.stats().datagrams_sent;
    for n in 20..40 {
        pair.offerer().pc.write_rtp(now, ids[1], packet(96, n, 1100)).unwrap();
    }
    pair.offerer().pc.close(now);
    let mut at = now;
    for _ in 0..1000 {
        // A loop that never transmits comes back later each time.
        pair.offerer().pc.handle_timeout(at);
        let Some(next) = pair.offerer().pc.poll_timeout() else { break };
        assert!(next > at, "{next:?} is not after {at:?}");
        if pair.offerer().pc.is_closed() || at > now + Duration::from_millis(500) {
            break;
        }
        at = next;
    }
    pair.simulation.run_for(Duration::from_secs(1)).unwrap();
    assert!(pair.offerer().pc.is_closed() && pair.answerer().pc.is_closed());
    let sent = pair.offerer().pc.stats().datagrams_sent - before;
    assert!((2..20).contains(&sent), "BYE, SCTP's end, close_notify: {sent}");
    let late = pair.offerer().pc.write_rtp(Instant(u64::MAX / 2), ids[0], packet(111, 99, 80));
    assert_eq!(late, Err(WriteRtpError::NotConnected));
    let told: Vec<Event> = std::iter::from_fn(|| pair.answerer().pc.poll_event()).collect();
    assert!(told.is_empty(), "{told:?}");
}

/// DESIGN section 2.3: after `handle_timeout(t)` the next deadline is after `t`, and at most a millisecond after while transmits wait.
#[test]
fn a_loop_that_never_transmits_is_slow_but_not_busy() {
    let (mut pair, ids) = call(17);
    connect(&mut pair);
    pair.simulation.network.set_default_link(Link { loss: 0.2, ..Default::default() });
    send(&mut pair, &ids, 50);
    let mut now = pair.simulation.now();
    // Reports, requests for what was lost, and packets wait from now on.
    let app = pair.offerer();
    (50..60).for_each(|n| app.pc.write_rtp(now, ids[1], packet(96, n, 1000)).unwrap());
    assert_eq!(app.pc.poll_timeout(), Some(now));
    for _ in 0..3000 {
        app.pc.handle_timeout(now);
        let next = app.pc.poll_timeout().unwrap();
        assert!(next > now && next <= now + Duration::from_millis(1), "{next:?} after {now:?}");
        now = next;
    }
    let mut memory = vec![0; 65_507];
    let mut out = TransmitBuffer::new(&mut memory, 64);
    while app.pc.poll_transmit(now, &mut out).is_some() {}
    app.pc.handle_timeout(now);
    assert!(app.pc.poll_timeout().unwrap() > now);
}

/// A peer whose handshake ended first sends at once, and the network may bring that before the last flight: it is kept for the keys.
#[test]
fn the_first_packets_survive_the_handshake() {
    let mut kept = 0;
    for seed in 100..140 {
        let (mut pair, ids) = call(seed);
        let delay = Duration::from_millis(20);
        let link = Link { delay, jitter: Duration::from_millis(20), overtaking: true, ..Default::default() };
        pair.simulation.network.set_default_link(link);
        let is_up = |app: &App| app.states.contains(&ConnectionState::Connected);
        // Whoever is connected first sends at once: the offerer here, in some of the runs.
        pair.simulation.run_until(|it| it.hosts().any(|host| it.machine(host).is_some_and(is_up)), LIMIT).unwrap();
        if !is_up(pair.offerer()) {
            continue;
        }
        let is_early = !is_up(pair.answerer());
        let now = pair.simulation.now();
        for n in 0..10 {
            pair.offerer().pc.write_rtp(now, ids[0], packet(111, n, 80)).unwrap();
        }
        pair.simulation.run_for(Duration::from_secs(1)).unwrap();
        assert_eq!(pair.answerer().packets.len(), 10, "seed {seed}");
        kept += usize::from(is_early);
    }
    assert!(kept > 0, "no run was of use");
}
