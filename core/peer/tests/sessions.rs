//! Whole sessions in virtual time, over good and bad networks. The driver checks its invariants in each: deadlines
//! advance, output ends, nothing waits in silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::ops::ControlFlow;
use std::time::Duration;

use common::{App, Pair, address, apps, both, config, in_order, negotiate, numbered};
use wigwag::{
    ChannelInit, ConnectionState, DtlsVersions, Failure, Fingerprint, Message, PeerConnection, Reliability,
    SessionDescription, SignalingState, UdpPath,
};
use wigwag_net::{Diligence, Fault, Link, Reordering, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

/// `count` messages there and back.
fn exchange(pair: &mut Pair, count: usize, len: usize, limit: Duration) {
    let channel = pair.channel;
    pair.offerer().outbox.extend((0..count).map(|n| (channel, numbered(n, len))));
    let offerer = pair.offerer;
    let done = |simulation: &Simulation<App>| simulation.machine(offerer).unwrap().heard() >= count;
    pair.simulation.run_until(done, limit).unwrap();
    assert!(in_order(&pair.offerer().inbox[&channel], count));
}

#[test]
fn may_live_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<PeerConnection>();
    anywhere::<wigwag::Endpoint>();
    anywhere::<wigwag::ConnectionSet>();
    anywhere::<wigwag::Event>();
}

#[test]
fn messages_arrive_and_come_back_however_bad_the_network() {
    for loss in [0.0, 0.02, 0.1, 0.3] {
        for seed in wigwag_net::seeds(3) {
            let mut pair = Pair::new(seed);
            let mut link = Link {
                loss,
                duplication: loss,
                reordering: Some(Reordering { probability: loss, extra_delay: Duration::from_millis(40) }),
                ..Link::default()
            };
            pair.simulation.network.set_default_link(link);
            exchange(&mut pair, 1, 10, MINUTE);
            // Only now: a handshake that was changed on its way ends as one that was tampered with. RFC 9147 section 4.5.2.
            link.corruption = loss / 4.0;
            pair.simulation.network.set_default_link(link);
            pair.offerer().inbox.clear();
            exchange(&mut pair, 40, 3000, 10 * MINUTE);
        }
    }
}

#[test]
fn both_versions_of_dtls() {
    for (versions, seed) in [(DtlsVersions::Dtls12, 1), (DtlsVersions::Dtls13, 2), (DtlsVersions::Any, 3)] {
        let configs = [1, 2].map(|side| {
            let mut config = config(seed, side);
            config.dtls_versions = versions;
            config
        });
        exchange(&mut Pair::with(seed, configs), 10, 100, MINUTE);
    }
}

#[test]
fn a_careless_loop_is_slow_and_arrives() {
    let time = |diligence| {
        let mut pair = Pair::new(5);
        pair.simulation.diligence = diligence;
        exchange(&mut pair, 50, 10_000, MINUTE);
        pair.simulation.now() - Simulation::<App>::START
    };
    let careful = time(Diligence::FULL);
    for diligence in [Diligence::LEAST, Diligence { eager_timers: true, ..Diligence::LEAST }] {
        let careless = time(diligence);
        assert!(careless < careful * 20, "{careful:?}, {careless:?}");
    }
}

/// Scenario 3: each packet of the set-up, alone, and scenario 4 for those close to each other.
#[test]
fn any_packet_of_the_set_up_may_be_lost() {
    let mut pair = Pair::new(7);
    exchange(&mut pair, 1, 10, MINUTE);
    let packets = pair.simulation.network.stats().sent;
    assert!((10..60).contains(&packets), "{packets} packets");
    for first in 0..packets {
        for second in first..(first + 4).min(packets) {
            let mut pair = Pair::new(7);
            pair.simulation.network.drop_nth([first, second]);
            exchange(&mut pair, 1, 10, MINUTE);
        }
    }
}

#[test]
fn an_answer_may_take_its_time() {
    let ([mut offerer, mut answerer], channel) = apps([config(1, 1), config(1, 2)]);
    let start = Simulation::<App>::START;
    let offer = offerer.pc.set_local_description_implicitly(start).unwrap();
    answerer.pc.set_remote_description(start, offer).unwrap();
    let answer = answerer.pc.set_local_description_implicitly(start).unwrap();
    let mut pair = Pair::join(1, [offerer, answerer], channel);
    // Meanwhile the answerer's checks come in.
    pair.simulation.run_for(Duration::from_secs(5)).unwrap();
    let now = pair.simulation.now();
    pair.offerer().pc.set_remote_description(now, answer).unwrap();
    let connected = |app: &App| app.pc.connection_state() == ConnectionState::Connected;
    let at = pair.simulation.run_until(|simulation| both(simulation, connected), MINUTE).unwrap();
    assert!(at - now < Duration::from_millis(500), "{:?} after the answer", at - now);
}

#[test]
fn channels_of_all_kinds_by_both_sides() {
    let mut pair = Pair::new(3);
    let kinds = [
        ChannelInit::default(),
        ChannelInit { ordered: false, ..Default::default() },
        ChannelInit { reliability: Reliability::MaxRetransmits(0), ordered: false, ..Default::default() },
        ChannelInit { reliability: Reliability::MaxLifetime(Duration::from_millis(500)), ..Default::default() },
        ChannelInit { protocol: "chat".to_owned(), ..Default::default() },
    ];
    let mut wanted = Vec::new();
    for (n, kind) in kinds.iter().cycle().take(20).enumerate() {
        let app = pair.offerer();
        let id = app.pc.create_data_channel(&format!("channel {n}"), kind.clone()).unwrap();
        app.outbox.push_back((id, Message::text(format!("message {n}"))));
        wanted.push(id);
    }
    let app = pair.answerer();
    let id = app.pc.create_data_channel("from the answerer", ChannelInit::default()).unwrap();
    let offerer = pair.offerer;
    let done = |simulation: &Simulation<App>| {
        let app = simulation.machine(offerer).unwrap();
        app.heard() == 20 && app.opened.len() == 22
    };
    pair.simulation.run_until(done, MINUTE).unwrap();
    for (n, id) in wanted.iter().enumerate() {
        assert_eq!(pair.offerer().inbox[id][0].as_str(), Some(format!("message {n}").as_str()));
    }
    let labels: Vec<String> = {
        let app = pair.offerer();
        app.opened.iter().map(|&id| app.pc.channel(id).unwrap().config.label.clone()).collect()
    };
    assert!(labels.iter().any(|label| label == "from the answerer"));
    assert!(pair.answerer().pc.channel(id).is_some());
}

/// Scenario 10.
#[test]
fn a_restart_in_the_middle_of_a_transfer_loses_nothing() {
    for seed in wigwag_net::seeds(3) {
        let mut pair = Pair::new(seed);
        pair.simulation.network.set_default_link(Link { loss: 0.01, ..Link::default() });
        let (channel, offerer, answerer) = (pair.channel, pair.offerer, pair.answerer);
        pair.offerer().outbox.extend((0..200).map(|n| (channel, numbered(n, 20_000))));
        let heard = |count| move |simulation: &Simulation<App>| simulation.machine(offerer).unwrap().heard() >= count;
        pair.simulation.run_until(heard(50), MINUTE).unwrap();

        let now = pair.simulation.now();
        let before = pair.offerer().pc.local_description().unwrap();
        pair.offerer().pc.restart_ice();
        let offer = pair.offerer().pc.set_local_description_implicitly(now).unwrap();
        pair.answerer().pc.set_remote_description(now, offer).unwrap();
        let answer = pair.answerer().pc.set_local_description_implicitly(now).unwrap();
        // The answer takes a second to arrive.
        pair.simulation.run_for(Duration::from_secs(1)).unwrap();
        let now = pair.simulation.now();
        pair.offerer().pc.set_remote_description(now, answer).unwrap();
        assert_ne!(before, pair.offerer().pc.local_description().unwrap());

        pair.simulation.run_until(heard(200), 5 * MINUTE).unwrap();
        assert!(in_order(&pair.offerer().inbox[&channel], 200));
        assert!(both(&pair.simulation, |app| !app.states.contains(&ConnectionState::Failed)));
        assert_eq!(pair.simulation.machine(answerer).unwrap().pc.signaling_state(), SignalingState::Stable);
    }
}

#[test]
fn closing_delivers_what_was_accepted_and_says_goodbye() {
    for seed in wigwag_net::seeds(5) {
        let mut pair = Pair::new(seed);
        pair.simulation.network.set_default_link(Link { loss: 0.05, ..Link::default() });
        exchange(&mut pair, 1, 10, MINUTE);
        pair.answerer().echoes = false;
        let channel = pair.channel;
        for n in 0..100 {
            pair.offerer().pc.send(channel, numbered(n, 5000)).unwrap();
        }
        let now = pair.simulation.now();
        pair.offerer().pc.close(now);
        let closed = |app: &App| app.pc.is_closed() && app.states.last() == Some(&ConnectionState::Closed);
        pair.simulation.run_until(|simulation| both(simulation, closed), MINUTE).unwrap();
        // One from before, then the hundred: all before the channel was closed.
        let app = pair.answerer();
        assert_eq!(app.heard(), 101);
        assert!(in_order(&app.inbox.values().next().unwrap()[1..], 100));
        assert_eq!(app.closed.len(), 1);
        assert_eq!(pair.simulation.run_for(Duration::from_secs(5)), Ok(()));
        assert!(both(&pair.simulation, |app| app.pc.poll_timeout().is_none()), "nothing is left to do");
    }
}

#[test]
fn both_may_close_at_once() {
    let mut pair = Pair::new(11);
    exchange(&mut pair, 1, 10, MINUTE);
    let now = pair.simulation.now();
    pair.offerer().pc.close(now);
    pair.answerer().pc.close(now);
    pair.simulation.run_until(|simulation| both(simulation, |app| app.pc.is_closed()), MINUTE).unwrap();
}

/// Scenario 18: silence in each moment of the set-up and after.
#[test]
fn a_peer_that_dies_is_noticed() {
    for millis in [0, 15, 25, 35, 45, 55, 70, 1000] {
        let mut pair = Pair::new(13);
        let answerer = pair.answerer;
        pair.simulation.run_for(Duration::from_millis(millis)).unwrap();
        pair.simulation.network.set_up(answerer, false);
        let offerer = pair.offerer;
        let failed = |simulation: &Simulation<App>| {
            simulation.machine(offerer).unwrap().pc.connection_state() == ConnectionState::Failed
        };
        pair.simulation.run_until(failed, 2 * MINUTE).unwrap();
        assert!(pair.offerer().pc.failure().is_some(), "died after {millis} ms");
        // Whatever waits to be sent can't be: a device is not woken for it.
        pair.simulation.run_for(MINUTE).unwrap();
        assert_eq!(pair.offerer().pc.poll_timeout(), None, "died after {millis} ms");
        let now = pair.simulation.now();
        pair.offerer().pc.close(now);
        pair.simulation.run_for(MINUTE).unwrap();
        assert!(pair.offerer().pc.is_closed());
    }
}

/// Scenario 24.
#[test]
fn who_does_not_listen_stops_the_sender_and_loses_nothing() {
    let mut pair = Pair::new(17);
    exchange(&mut pair, 1, 10, MINUTE);
    pair.answerer().listens = false;
    let channel = pair.channel;
    pair.offerer().outbox.extend((0..2000).map(|n| (channel, numbered(n, 5000))));
    pair.simulation.run_for(MINUTE).unwrap();
    let waiting = pair.offerer().outbox.len();
    assert!(waiting > 1000, "ten megabytes were taken but for {waiting} messages, and nobody listens");
    pair.answerer().listens = true;
    let answerer = pair.answerer;
    let heard = |simulation: &Simulation<App>| simulation.machine(answerer).unwrap().heard() == 2001;
    pair.simulation.run_until(heard, 5 * MINUTE).unwrap();
}

#[test]
fn a_wrong_fingerprint_ends_it_before_anything_is_delivered() {
    for wrong_is_offerer in [true, false] {
        let ([mut offerer, mut answerer], channel) = apps([config(1, 1), config(1, 2)]);
        let start = Simulation::<App>::START;
        let other: Fingerprint = PeerConnection::new(config(99, 9)).unwrap().local_fingerprint().clone();
        let forge = |description: SessionDescription, right: &Fingerprint, wanted: bool| match wanted {
            true => SessionDescription {
                sdp: description.sdp.replace(&right.to_string(), &other.to_string()),
                ..description
            },
            false => description,
        };
        let offer = offerer.pc.set_local_description_implicitly(start).unwrap();
        let offer = forge(offer, offerer.pc.local_fingerprint(), wrong_is_offerer);
        answerer.pc.set_remote_description(start, offer).unwrap();
        let answer = answerer.pc.set_local_description_implicitly(start).unwrap();
        let answer = forge(answer, answerer.pc.local_fingerprint(), !wrong_is_offerer);
        offerer.pc.set_remote_description(start, answer).unwrap();
        offerer.outbox.push_back((channel, Message::text("secret")));

        let mut pair = Pair::join(1, [offerer, answerer], channel);
        let deceived = if wrong_is_offerer { pair.answerer } else { pair.offerer };
        let failed = |simulation: &Simulation<App>| {
            simulation.machine(deceived).unwrap().pc.connection_state() == ConnectionState::Failed
        };
        pair.simulation.run_until(failed, MINUTE).unwrap();
        assert!(matches!(pair.simulation.machine(deceived).unwrap().pc.failure(), Some(Failure::Dtls(_))));
        pair.simulation.run_for(MINUTE).unwrap();
        assert!(both(&pair.simulation, |app| app.heard() == 0));
        // The other was right to trust, and without a handshake of SCTP it may have sent before it was refused.
        assert!(pair.simulation.machine(deceived).unwrap().opened.is_empty());
    }
}

/// A stranger's datagrams in each moment of the set-up: handshakes, alerts, data, noise.
#[test]
fn strangers_are_not_heard() {
    let mut pair = Pair::new(19);
    let stranger = UdpPath { local: "10.0.0.9:99".parse().unwrap(), remote: address(1) };
    let spoofed = UdpPath { local: address(0), remote: address(1) };
    let alert: &[u8] = &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let hello: &[u8] = &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let data: &[u8] = &[23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4];
    let channel = pair.channel;
    pair.offerer().outbox.extend((0..20).map(|n| (channel, numbered(n, 50))));
    let offerer = pair.offerer;
    let mut at = 0;
    pair.simulation
        .run(MINUTE, |simulation| {
            let now = simulation.now();
            at += 1;
            for bytes in [alert, hello, data, &[150, 1, 2, 3], &[200, 1, 2, 3], &[1, 2, 3], &[]] {
                simulation.network.inject(now, stranger, 0, bytes);
                // What claims the peer's own address, too, must be authentic. (A forged hello is the handshake's own
                // matter: it can't be told from the peer's.)
                if bytes.first() != Some(&22) {
                    simulation.network.inject(now, spoofed, 0, bytes);
                }
            }
            match simulation.machine(offerer).unwrap().heard() {
                20 => ControlFlow::Break(()),
                _ if at > 2000 => panic!("the strangers won"),
                _ => ControlFlow::Continue(()),
            }
        })
        .unwrap();
    let stats = pair.answerer().pc.stats();
    assert!(stats.dropped_unvalidated > 0 && stats.dropped_media > 0 && stats.dropped_unknown > 0, "{stats:?}");
}

#[test]
fn a_limit_that_passes_is_told() {
    let mut pair = Pair::new(23);
    let answerer = pair.answerer;
    pair.simulation.network.set_up(answerer, false);
    let failure = pair.simulation.run_until(|_| false, Duration::from_secs(1)).unwrap_err();
    assert_eq!(failure.fault, Fault::TimedOut);
}

/// Negotiation again and again, while data flows.
#[test]
fn renegotiation_by_turns() {
    let mut pair = Pair::new(29);
    exchange(&mut pair, 1, 10, MINUTE);
    for round in 0..4 {
        let now = pair.simulation.now();
        let mut offerer = pair.simulation.remove(pair.offerer).unwrap();
        if round % 2 == 0 {
            negotiate(now, &mut offerer.pc, &mut pair.answerer().pc);
        } else {
            negotiate(now, &mut pair.answerer().pc, &mut offerer.pc);
        }
        offerer.inbox.clear();
        pair.simulation.put(pair.offerer, offerer);
        exchange(&mut pair, 5, 100, MINUTE);
    }
}

/// Accepted before anything was connected, and closed at once.
#[test]
fn what_was_accepted_early_is_delivered_before_the_end() {
    let mut pair = Pair::new(31);
    let channel = pair.channel;
    for n in 0..10 {
        pair.offerer().pc.send(channel, numbered(n, 2000)).unwrap();
    }
    let now = pair.simulation.now();
    pair.answerer().echoes = false;
    pair.offerer().pc.close(now);
    assert!(!pair.offerer().pc.is_closed());
    pair.simulation.run_until(|simulation| both(simulation, |app| app.pc.is_closed()), MINUTE).unwrap();
    let app = pair.answerer();
    assert!(in_order(app.inbox.values().next().unwrap(), 10));
}

/// The states of a whole life, in order, and none after the last.
#[test]
fn every_state_is_told_and_the_last_is_closed() {
    let mut pair = Pair::new(37);
    exchange(&mut pair, 1, 10, MINUTE);
    let now = pair.simulation.now();
    pair.answerer().pc.close(now);
    pair.simulation.run_until(|simulation| both(simulation, |app| app.pc.is_closed()), MINUTE).unwrap();
    pair.simulation.run_for(Duration::from_secs(1)).unwrap();
    use ConnectionState::{Closed, Connected, Connecting};
    assert!(both(&pair.simulation, |app| app.states == [Connecting, Connected, Closed]));
    assert!(both(&pair.simulation, |app| app.pc.ice_connection_state() == wigwag::IceConnectionState::Closed));
    assert!(both(&pair.simulation, |app| app.pc.dtls_state() == wigwag::DtlsTransportState::Closed));
}

/// Messages of one size travel in batches for GSO, also if none of them fills a packet.
#[test]
fn equal_packets_travel_in_batches() {
    for len in [64, 600, 1024, 20_000] {
        let mut pair = Pair::new(41);
        exchange(&mut pair, 400, len, MINUTE);
        let batch = pair.offerer().largest_batch;
        assert!(batch >= 8, "messages of {len} bytes: {batch} datagrams at once");
    }
}

/// A section that is stopped takes its transport with it: of data channels, the whole connection. RFC 9429 section 5.11.
#[test]
fn data_channels_that_are_stopped_end_the_connection() {
    let mut pair = Pair::new(43);
    exchange(&mut pair, 1, 10, MINUTE);
    let now = pair.simulation.now();
    let offer = pair.offerer().pc.set_local_description_implicitly(now).unwrap();
    let place = offer.sdp.find("m=application ").unwrap() + "m=application ".len();
    let end = place + offer.sdp[place..].find(' ').unwrap();
    let stopped = format!("{}0{}", &offer.sdp[..place], &offer.sdp[end..]);
    pair.answerer().pc.set_remote_description(now, SessionDescription::offer(stopped)).unwrap();
    let answer = pair.answerer().pc.set_local_description_implicitly(now).unwrap();
    pair.offerer().pc.set_remote_description(now, answer).unwrap();
    let ended = |app: &App| app.pc.is_closed() && app.closed.len() == 1;
    pair.simulation.run_until(|simulation| both(simulation, ended), MINUTE).unwrap();
}
