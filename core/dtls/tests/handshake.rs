//! Handshakes between two ends, over links of all kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{BAD, CLIENT, GOOD, Link, Pair, SERVER};
use wigwag_dtls::{Event, Failure, Role, SrtpKeys, Version, Versions};

const MATRIX: [([Versions; 2], Version); 8] = [
    ([Versions::Dtls12, Versions::Dtls12], Version::Dtls12),
    ([Versions::Dtls13, Versions::Dtls13], Version::Dtls13),
    ([Versions::Any, Versions::Any], Version::Dtls13),
    ([Versions::Any, Versions::Dtls12], Version::Dtls12),
    ([Versions::Dtls12, Versions::Any], Version::Dtls12),
    ([Versions::Any, Versions::Dtls13], Version::Dtls13),
    ([Versions::Dtls13, Versions::Any], Version::Dtls13),
    ([Versions::Any, Versions::Any], Version::Dtls13),
];

/// Both ends told of the connection, once, and have the same keys.
fn assert_connected(pair: &mut Pair, version: Version, context: &str) {
    let keys: [SrtpKeys; 2] = [CLIENT, SERVER].map(|index| {
        let end = &mut pair.ends[index];
        assert!(end.dtls.is_connected(), "{context} {index} {:?}", end.dtls);
        match &end.take_events()[..] {
            [Event::Connected { version: actual, srtp: Some(keys) }] => {
                assert_eq!(*actual, version, "{context}");
                keys.clone()
            }
            other => panic!("{context}: {other:?}"),
        }
    });
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].client_key.len(), keys[0].profile.key_len());
    assert_eq!(keys[0].server_salt.len(), keys[0].profile.salt_len());
    assert_ne!(keys[0].client_key, keys[0].server_key);
    assert_eq!(pair.ends[0].version(), Some(version));
    assert_eq!(pair.ends[1].version(), Some(version));
}

/// Data flows both ways.
fn assert_data_flows(pair: &mut Pair) {
    pair.link = GOOD;
    for from in [CLIENT, SERVER] {
        let record = pair.ends[from].seal(b"a payload").unwrap();
        pair.send(from, record);
        pair.run(Duration::from_millis(200));
        assert_eq!(pair.ends[1 - from].received.pop().as_deref(), Some(&b"a payload"[..]));
    }
}

#[test]
fn every_combination_of_versions() {
    for (versions, version) in MATRIX {
        let mut pair = Pair::new(1, versions, GOOD);
        pair.start();
        pair.run(Duration::from_secs(2));
        assert_connected(&mut pair, version, &format!("{versions:?}"));
        assert_data_flows(&mut pair);
        assert!(pair.ends.iter().all(|end| end.dtls.poll_timeout().is_none()), "no timer without a reason");
    }
}

#[test]
fn bad_links() {
    for (versions, version) in MATRIX {
        for seed in 0..12 {
            let mut pair = Pair::new(seed, versions, BAD);
            pair.start();
            pair.run(Duration::from_secs(29));
            assert_connected(&mut pair, version, &format!("{versions:?} seed {seed}"));
            pair.run(Duration::from_secs(60));
            assert_data_flows(&mut pair);
        }
    }
}

#[test]
fn versions_that_do_not_meet_fail() {
    for versions in [[Versions::Dtls12, Versions::Dtls13], [Versions::Dtls13, Versions::Dtls12]] {
        let mut pair = Pair::new(1, versions, GOOD);
        pair.start();
        pair.run(Duration::from_secs(60));
        for end in &mut pair.ends {
            assert!(end.dtls.is_over(), "{:?}", end.dtls);
            assert!(matches!(end.take_events()[..], [Event::Failed(_)]));
        }
    }
}

#[test]
fn nobody_answers() {
    for versions in [Versions::Any, Versions::Dtls12, Versions::Dtls13] {
        let mut pair = Pair::new(1, [versions; 2], Link { loss: 1.0, ..GOOD });
        pair.start();
        pair.run(Duration::from_secs(29));
        let sent = pair.datagrams.len();
        assert!((4..12).contains(&sent), "{sent} hellos in 29 seconds");
        assert!(pair.ends[CLIENT].take_events().is_empty());
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.ends[CLIENT].take_events(), [Event::Failed(Failure::TimedOut)]);
        assert_eq!(pair.ends[SERVER].dtls.poll_timeout(), None, "a server that heard nothing waits");
        assert!(!pair.ends[CLIENT].dtls.can_transmit());
    }
}

#[test]
fn a_hello_before_the_start_is_kept() {
    for versions in [Versions::Any, Versions::Dtls12, Versions::Dtls13] {
        let mut pair = Pair::new(1, [versions; 2], GOOD);
        pair.ends[CLIENT].dtls.start(pair.now, Role::Client);
        for mut datagram in pair.ends[CLIENT].packets(pair.now) {
            pair.ends[SERVER].open(pair.now, &mut datagram);
        }
        assert!(!pair.ends[SERVER].dtls.can_transmit());
        pair.ends[SERVER].dtls.start(pair.now, Role::Server);
        assert!(pair.ends[SERVER].dtls.can_transmit(), "the answer to the hello that came early");
        pair.run(Duration::from_millis(100));
        assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
    }
}

#[test]
fn what_comes_before_the_start_is_bounded() {
    let mut pair = Pair::new(1, [Versions::Any; 2], GOOD);
    for _ in 0..100 {
        pair.ends[SERVER].open(pair.now, &mut [22; 1000]);
    }
    pair.ends[SERVER].open(pair.now, &mut [22; 5000]);
    assert_eq!(pair.ends[SERVER].dtls.stats().datagrams_dropped, 97);
    pair.start();
    pair.run(Duration::from_secs(1));
    assert!(pair.ends.iter().all(|end| end.dtls.is_connected()), "and does no harm");
}

#[test]
fn any_order_of_calls() {
    let mut pair = Pair::new(1, [Versions::Any; 2], GOOD);
    let now = pair.now;
    let dtls = &mut pair.ends[CLIENT].dtls;
    dtls.handle_timeout(now);
    assert_eq!(dtls.poll_timeout(), None);
    assert_eq!(dtls.seal(&mut [0; 100], 10), None);
    assert_eq!(dtls.write_packet(now, &mut [0; 1500]), None);
    dtls.open(now, &mut [], |_| panic!());
    dtls.start(now, Role::Client);
    dtls.start(now, Role::Server);
    assert_eq!(dtls.write_packet(now, &mut [0; 10]), None, "too little room changes nothing");
    for back in [now, now - Duration::from_secs(1), now] {
        dtls.handle_timeout(back);
    }
    pair.start();
    pair.run(Duration::from_secs(1));
    assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
    pair.ends[CLIENT].dtls.close(pair.now);
    pair.ends[CLIENT].dtls.close(pair.now);
    pair.ends[CLIENT].dtls.start(pair.now, Role::Client);
    assert!(pair.ends[CLIENT].dtls.is_over());
}

#[test]
fn small_mtu() {
    for (versions, version) in MATRIX {
        let mut random = common::seeded(5);
        let configs = versions.map(|versions| {
            let mut config = common::config(&mut random, versions);
            config.mtu = 300;
            config
        });
        let mut pair = Pair::of(configs, random, Link { loss: 0.1, ..GOOD });
        pair.start();
        pair.run(Duration::from_secs(29));
        assert!(pair.datagrams.iter().all(|datagram| datagram.len() <= 300));
        assert_connected(&mut pair, version, &format!("{versions:?}"));
    }
}

/// DTLS 1.3: the part of a flight that was lost is asked for, and only that is sent again, before any timer runs out.
#[test]
fn only_what_was_lost_is_sent_again() {
    let mut random = common::seeded(5);
    let configs = [Versions::Dtls13; 2].map(|versions| {
        let mut config = common::config(&mut random, versions);
        config.mtu = 300;
        config.retransmission_timeout = Duration::from_secs(1);
        config
    });
    let mut pair = Pair::of(configs, random, GOOD);
    pair.start();
    for mut packet in pair.ends[CLIENT].packets(pair.now) {
        pair.ends[SERVER].open(pair.now, &mut packet);
    }
    let mut flight = pair.ends[SERVER].packets(pair.now);
    assert!(flight.len() >= 3, "{}", flight.len());
    let lost = flight.remove(1);
    for mut packet in flight {
        pair.ends[CLIENT].open(pair.now, &mut packet);
    }
    pair.run(Duration::from_millis(260));
    let after = pair.datagrams.len();
    pair.run(Duration::from_millis(300));
    assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
    let again: Vec<_> = pair.datagrams.iter().take(after).map(Vec::len).collect();
    assert!(again.contains(&lost.len()) && again.len() <= 2, "an acknowledgement, and what was lost: {again:?}");
}
