//! Who the peer is, and what is believed of whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{CLIENT, End, GOOD, Pair, SERVER};
use wigwag_crypto::default_provider;
use wigwag_dtls::{Certificate, Config, Dtls, Event, Failure, Fingerprint, Versions};
use wigwag_proto::WallClock;

const ALL: [Versions; 3] = [Versions::Any, Versions::Dtls12, Versions::Dtls13];

fn other_fingerprint() -> Fingerprint {
    Certificate::generate(default_provider(), &mut common::seeded(99), WallClock(1)).unwrap().fingerprint()
}

/// A pair in which `late` does not know the other's fingerprint.
fn half_known(versions: Versions, late: usize) -> (Pair, Fingerprint) {
    let mut pair = Pair::new(3, [versions; 2], GOOD);
    let fingerprint = pair.ends[1 - late].dtls.certificate().fingerprint();
    let mut random = common::seeded(4);
    let mut config = Config::new(pair.ends[late].dtls.certificate().clone(), default_provider());
    config.versions = versions;
    pair.ends[late] = End::new(Dtls::new(config, wigwag_proto::random::fork(&mut random)));
    (pair, fingerprint)
}

#[test]
fn a_wrong_fingerprint_fails_both_ends() {
    for versions in ALL {
        for wrong in [CLIENT, SERVER] {
            let mut pair = Pair::new(3, [versions; 2], GOOD);
            pair.ends[wrong].dtls.set_remote_fingerprints(vec![other_fingerprint()]);
            pair.start();
            pair.run(Duration::from_millis(500));
            assert_eq!(pair.ends[wrong].take_events(), [Event::Failed(Failure::FingerprintMismatch)]);
            assert!(pair.ends[wrong].seal(b"x").is_none());
            pair.run(Duration::from_secs(60));
            let dtls = &mut pair.ends[1 - wrong];
            let events = dtls.take_events();
            // A DTLS 1.3 client has finished before the server can judge it, and then hears no more.
            assert!(
                !matches!(events.last(), Some(Event::Connected { .. })) || wrong == SERVER,
                "{versions:?} {events:?}"
            );
            assert!(pair.ends.iter().all(|end| end.received.is_empty()));
        }
    }
}

#[test]
fn one_of_several_fingerprints_is_enough() {
    let mut pair = Pair::new(3, [Versions::Any; 2], GOOD);
    let right = pair.ends[SERVER].dtls.certificate().fingerprint();
    let lines = vec!["sha-1 00:11".parse().unwrap(), other_fingerprint(), right];
    pair.ends[CLIENT].dtls.set_remote_fingerprints(lines);
    pair.start();
    pair.run(Duration::from_secs(1));
    assert!(pair.ends[CLIENT].dtls.is_connected());
}

#[test]
fn a_fingerprint_that_comes_late() {
    for versions in ALL {
        for late in [CLIENT, SERVER] {
            let (mut pair, fingerprint) = half_known(versions, late);
            pair.start();
            pair.run(Duration::from_secs(1));
            assert!(!pair.ends[late].dtls.is_connected() && pair.ends[1 - late].dtls.is_connected());
            assert!(pair.ends[late].take_events().is_empty());
            assert!(pair.ends[late].seal(b"not yet").is_none());
            assert!(pair.ends[late].dtls.remote_certificate().is_some());
            for n in 0..40 {
                let record = pair.ends[1 - late].seal(&[n; 100]).unwrap();
                pair.send(1 - late, record);
            }
            pair.run(Duration::from_secs(1));
            assert!(pair.ends[late].received.is_empty(), "nothing is delivered of a stranger");

            pair.ends[late].dtls.set_remote_fingerprints(vec![]);
            assert!(!pair.ends[late].dtls.is_connected());
            pair.ends[late].dtls.set_remote_fingerprints(vec![fingerprint.clone()]);
            assert!(matches!(pair.ends[late].take_events()[..], [Event::Connected { srtp: Some(_), .. }]));
            let mut held = Vec::new();
            pair.ends[late].dtls.deliver_held(|payload| held.push(payload.to_vec()));
            assert_eq!(held, (0..32).map(|n| vec![n; 100]).collect::<Vec<_>>(), "in order, within the bound");
            assert_eq!(pair.ends[late].dtls.stats().payloads_dropped, 8);
            assert_eq!(pair.ends[late].dtls.stats().payloads_received, 32);

            pair.ends[late].dtls.set_remote_fingerprints(vec![fingerprint]);
            assert!(pair.ends[late].dtls.is_connected() && pair.ends[late].take_events().is_empty());
            let record = pair.ends[1 - late].seal(b"directly").unwrap();
            pair.send(1 - late, record);
            pair.run(Duration::from_secs(1));
            assert_eq!(pair.ends[late].received, [b"directly"]);
        }
    }
}

#[test]
fn a_fingerprint_that_comes_late_and_is_wrong() {
    for versions in ALL {
        for late in [CLIENT, SERVER] {
            let (mut pair, _) = half_known(versions, late);
            pair.start();
            pair.run(Duration::from_secs(1));
            let record = pair.ends[1 - late].seal(b"from a stranger").unwrap();
            pair.send(1 - late, record);
            pair.run(Duration::from_secs(1));
            pair.ends[late].dtls.set_remote_fingerprints(vec![other_fingerprint()]);
            assert_eq!(pair.ends[late].take_events(), [Event::Failed(Failure::FingerprintMismatch)]);
            pair.ends[late].dtls.deliver_held(|_| panic!("of a stranger"));
            pair.run(Duration::from_secs(1));
            assert_eq!(pair.ends[1 - late].take_events().last(), Some(&Event::Closed), "the peer is told");
        }
    }
}

#[test]
fn payloads_held_back_come_before_those_that_follow() {
    let (mut pair, fingerprint) = half_known(Versions::Any, SERVER);
    pair.start();
    pair.run(Duration::from_secs(1));
    for n in 0..3 {
        let record = pair.ends[CLIENT].seal(&[n]).unwrap();
        pair.send(CLIENT, record);
        pair.run(Duration::from_millis(100));
        if n == 1 {
            pair.ends[SERVER].dtls.set_remote_fingerprints(vec![fingerprint.clone()]);
        }
    }
    assert_eq!(pair.ends[SERVER].received, [[0], [1], [2]]);
}

/// A record that anybody can make.
fn unprotected(content_type: u8, epoch: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content_type, 254, 253, 0, epoch, 0, 0, 0, 0, 0xAA, sequence, 0, body.len() as u8];
    record.extend_from_slice(body);
    record
}

#[test]
fn unprotected_data_is_never_delivered() {
    for versions in ALL {
        let mut pair = Pair::connected(versions);
        for to in [CLIENT, SERVER] {
            for (epoch, sequence) in [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)] {
                pair.ends[to].open(pair.now, &mut unprotected(23, epoch, sequence, b"forged"));
            }
            let mut behind = pair.ends[1 - to].seal(b"genuine").unwrap();
            behind.splice(..0, unprotected(23, 0, 7, b"forged"));
            pair.ends[to].open(pair.now, &mut behind);
            assert_eq!(pair.ends[to].received, [b"genuine"]);
        }
    }
}

#[test]
fn unprotected_alerts_do_not_end_a_connection() {
    for versions in ALL {
        let mut pair = Pair::connected(versions);
        for (n, body) in [[2, 40], [1, 0], [2, 0], [2, 255]].into_iter().enumerate() {
            for to in [CLIENT, SERVER] {
                pair.ends[to].open(pair.now, &mut unprotected(21, 0, n as u8, &body));
                pair.ends[to].open(pair.now, &mut unprotected(21, 1, n as u8, &body));
            }
        }
        pair.run(Duration::from_secs(60));
        assert!(pair.ends.iter_mut().all(|end| end.dtls.is_connected() && end.take_events().is_empty()));
    }
}

#[test]
fn an_unprotected_alert_does_not_end_a_handshake_that_goes_on() {
    for versions in ALL {
        let mut pair = Pair::new(5, [versions; 2], GOOD);
        pair.start();
        let mut n = 0;
        while !pair.ends.iter().all(|end| end.dtls.is_connected()) {
            n += 1;
            for to in [CLIENT, SERVER] {
                pair.ends[to].open(pair.now, &mut unprotected(21, 0, n, &[2, 40]));
            }
            pair.run(Duration::from_millis(5));
            assert!(n < 100);
        }
        pair.run(Duration::from_secs(60));
        assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
    }
}

#[test]
fn an_alert_ends_a_handshake_that_does_not_go_on() {
    let mut pair = Pair::new(5, [Versions::Any; 2], GOOD);
    pair.ends[CLIENT].dtls.start(pair.now, wigwag_dtls::Role::Client);
    pair.run(Duration::from_secs(1));
    pair.ends[CLIENT].open(pair.now, &mut unprotected(21, 0, 1, &[2, 40]));
    pair.run(Duration::from_millis(2_900));
    assert!(pair.ends[CLIENT].take_events().is_empty());
    pair.run(Duration::from_millis(200));
    assert_eq!(pair.ends[CLIENT].take_events(), [Event::Failed(Failure::Alert(40))]);
}

#[test]
fn a_stray_datagram_does_not_end_a_handshake() {
    for versions in ALL {
        let mut pair = Pair::new(5, [versions; 2], GOOD);
        pair.start();
        for _ in 0..3 {
            for to in [CLIENT, SERVER] {
                for len in [0, 1, 12, 13, 14, 100] {
                    for first in [0, 20, 22, 23, 26, 32, 47, 63, 255] {
                        let mut stray = vec![0; len];
                        stray.iter_mut().take(1).for_each(|byte| *byte = first);
                        pair.ends[to].open(pair.now, &mut stray);
                    }
                }
            }
            pair.run(Duration::from_millis(11));
        }
        pair.run(Duration::from_secs(5));
        assert!(pair.ends.iter().all(|end| end.dtls.is_connected()), "{:?}", pair.ends[0].dtls);
    }
}

#[test]
fn a_certificate_of_our_own() {
    let provider = default_provider();
    let made = Certificate::generate(provider, &mut common::seeded(8), WallClock(1)).unwrap();
    let kept = Certificate::from_der(provider, made.der(), made.private_key()).unwrap();
    let mut random = common::seeded(9);
    let configs = [Config::new(kept.clone(), provider), Config::new(kept, provider)];
    let mut pair = Pair::of(configs, wigwag_proto::random::fork(&mut random), GOOD);
    pair.start();
    pair.run(Duration::from_secs(1));
    assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
    assert_eq!(pair.ends[CLIENT].dtls.remote_certificate(), Some(made.der()));
}

/// A DTLS 1.2 flight in which the list of certificates is empty.
fn without_certificates(mut flight: &[u8]) -> Vec<u8> {
    const CERTIFICATE: u8 = 11;
    let mut changed = Vec::new();
    while let Some((header, rest)) = flight.split_first_chunk::<13>() {
        let (body, rest) = rest.split_at(usize::from(u16::from_be_bytes([header[11], header[12]])));
        flight = rest;
        if (header[0], body[0]) == (22, CERTIFICATE) {
            changed.extend([&header[..11], &[0, 15, CERTIFICATE, 0, 0, 3], &body[4..6]].concat());
            changed.extend([0, 0, 0, 0, 0, 3, 0, 0, 0]);
        } else {
            changed.extend([&header[..], body].concat());
        }
    }
    changed
}

#[test]
fn a_peer_without_a_certificate_fails() {
    for without in [CLIENT, SERVER] {
        let mut pair = Pair::new(1, [Versions::Dtls12; 2], GOOD);
        pair.start();
        for _ in 0..4 {
            for from in [CLIENT, SERVER] {
                for packet in pair.ends[from].packets(pair.now) {
                    let mut packet = if from == without { without_certificates(&packet) } else { packet };
                    pair.ends[1 - from].open(pair.now, &mut packet);
                }
            }
        }
        assert!(matches!(pair.ends[1 - without].take_events()[..], [Event::Failed(_)]), "{without}");
    }
}

/// Somebody takes DTLS 1.3 out of the client's hello: the server's random says that it has it.
#[test]
fn a_downgrade_is_noticed() {
    let mut pair = Pair::new(1, [Versions::Any; 2], GOOD);
    pair.start();
    for mut packet in pair.ends[CLIENT].packets(pair.now) {
        let versions = [0, 43, 0, 5, 4, 0xFE, 0xFC, 0xFE, 0xFD];
        let at = packet.windows(versions.len()).position(|window| window == versions).expect("both are offered");
        packet[at + 6] = 0xFD;
        pair.ends[SERVER].open(pair.now, &mut packet);
    }
    for mut packet in pair.ends[SERVER].packets(pair.now) {
        pair.ends[CLIENT].open(pair.now, &mut packet);
    }
    assert_eq!(pair.ends[SERVER].version(), Some(wigwag_dtls::Version::Dtls12));
    assert!(
        matches!(&pair.ends[CLIENT].take_events()[..], [Event::Failed(Failure::Protocol(why))] if why.contains("1.2"))
    );
}

/// A peer that shows the right certificate, but has not its key.
#[test]
fn a_stolen_certificate() {
    for versions in ALL {
        for thief in [CLIENT, SERVER] {
            let provider = default_provider();
            let mut random = common::seeded(8);
            let [ours, victim, own] =
                [1, 2, 3].map(|seed| Certificate::generate(provider, &mut common::seeded(seed), WallClock(1)).unwrap());
            // The victim's certificate with the thief's public key in it would have another fingerprint; so the check of
            // `from_der` is got round by appending the key behind the certificate's end, where nobody looks.
            let key = provider.signing_key(own.private_key()).unwrap();
            let stolen = [victim.der(), key.public_key()].concat();
            let stolen = Certificate::from_der(provider, &stolen, own.private_key()).unwrap();
            let mut configs = [Config::new(ours.clone(), provider), Config::new(ours, provider)];
            configs[thief] = Config::new(stolen, provider);
            configs.iter_mut().for_each(|config| config.versions = versions);
            let mut pair = Pair::of(configs, wigwag_proto::random::fork(&mut random), GOOD);
            pair.start();
            pair.run(Duration::from_secs(1));
            let events = pair.ends[1 - thief].take_events();
            assert!(matches!(&events[..], [Event::Failed(Failure::Protocol(_))]), "{versions:?} {thief} {events:?}");
            assert!(pair.ends[1 - thief].received.is_empty());
        }
    }
}
