//! Attacks on the secure channel: by the peer, by somebody on the path, by strangers. No byte before the certificate is proven (the
//! driver asserts it at each event), bounded state and work, and what nobody authenticated changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ops::ControlFlow;
use std::time::Duration;

use rand::RngExt;
use wigwag::{
    Certificate, ConnectionState, DtlsTransportState, DtlsVersions, Failure, UdpPath, WallClock, default_provider,
    random,
};
use wigwag_dtls::{Dtls, Role, Versions};
use wigwag_scenarios::adversary::record::{self, ALERT, HANDSHAKE, Part, fragment, is_dtls, parts};
use wigwag_scenarios::adversary::{Attack, Duel, Man, Seen};
use wigwag_scenarios::{ADDRESSES, World, config, for_each_seed, memory, provider};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const VERSIONS: [DtlsVersions; 2] = [DtlsVersions::Dtls12, DtlsVersions::Dtls13];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn world(seed: u64, versions: DtlsVersions) -> (World, Man) {
    let configs = [1, 2].map(|side| {
        let mut config = config(seed, side);
        config.dtls_versions = versions;
        config
    });
    let mut world = World::with(seed, configs);
    let man = Man::new(&mut world.simulation.network);
    (world, man)
}

/// Runs with the man at work until both are connected and the channel is open; false: not within `limit`.
fn connects(world: &mut World, man: &Man, limit: Duration) -> bool {
    let hosts = [world.offerer, world.answerer];
    let outcome = world.simulation.run(limit, |simulation| {
        let now = simulation.now();
        man.work(&mut simulation.network, now);
        let is_up = |host| simulation.machine(host).is_some_and(|it| it.is_connected() && !it.opened.is_empty());
        if hosts.iter().all(|host| is_up(*host)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    outcome.is_ok()
}

/// Messages each way, with the man at work.
fn transfers(world: &mut World, man: &Man) {
    let (hosts, channel) = ([world.offerer, world.answerer], world.channel);
    world.offerer().say(channel, 20, 3000);
    let back = world.answerer().opened[0];
    world.answerer().say(back, 20, 3000);
    let outcome = world.simulation.run(MINUTE, |simulation| {
        let now = simulation.now();
        man.work(&mut simulation.network, now);
        let has_all = |host| simulation.machine(host).is_some_and(|it| it.heard() == 20);
        if hosts.iter().all(|host| has_all(*host)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    outcome.unwrap();
}

fn certificate(n: u8) -> Certificate {
    Certificate::generate(default_provider(), &mut random::seeded([n; 32]), WallClock(1_700_000_000_000_000)).unwrap()
}

/// Fragments of messages of every length that never are complete, and records of keys that never come, 90,000 of them: state below 64 KiB, hardly
/// a word in answer, and then the handshake goes on.
#[test]
fn attack_fragment_flood() {
    /// Both sides of a handshake, and what the victim puts together.
    const BOUND: isize = 64 << 10;
    for_each_seed(1, |seed| {
        for (versions, role) in VERSIONS.into_iter().flat_map(|versions| ROLES.map(|role| (versions, role))) {
            let mut duel = Duel::new(seed, Attack { versions, role, ..Attack::default() });
            duel.adversary().handshakes = false;
            duel.run_until(10 * SECOND, |victim| victim.pc.selected_path().is_some()).unwrap();
            duel.run_for(Duration::from_millis(100));
            let before = memory::live();
            memory::take_peak();
            let datagrams = duel.adversary().datagrams;
            let mut random = random::seeded([seed as u8; 32]);
            for n in 0..15_000_u64 {
                let message = random.random_range(1..12);
                let len = [0xFF_FFFF, 70_000, 32_000, 3000, 300, 2][random.random_range(0..6)];
                let offset = random.random_range(0..len);
                // One byte short of whole, whatever is put together.
                let part = vec![n as u8; random.random_range(0..1200).min(len - offset).min(len - 1)];
                let offset = if offset == 0 && !part.is_empty() { 1 } else { offset };
                let part = &part[..part.len().min(len - offset)];
                let content = fragment(random.random_range(1..25), len, message, offset, part);
                duel.hit(&record::record(HANDSHAKE, n, &content));
                // Protected by keys that are not there yet: kept for a while.
                duel.hit(&record::record(HANDSHAKE, 1 << 48 | n, &vec![9; random.random_range(17..1200)]));
                duel.hit(&[&[0x2C | n as u8 & 3, n as u8, n as u8, 2, 0][..], &[9; 0x200]].concat());
                // Of the same message, empty; and one that ends beyond its end.
                duel.hit(&record::record(HANDSHAKE, n, &fragment(11, len, message, 0, &[])));
                duel.hit(&record::record(HANDSHAKE, n, &fragment(11, len, message, len, &[])));
                duel.hit(&record::record(HANDSHAKE, n, &fragment(11, len, message, len - 1, &[1, 2])));
            }
            let (peak, held) = (memory::take_peak() - before, memory::live() - before);
            println!("{versions:?}, {role:?}: {peak} bytes at most, {held} in the end");
            assert!(peak < BOUND, "{versions:?}, {role:?}: {peak} bytes at most, {held} in the end");
            duel.run_for(Duration::from_millis(10));
            let said = duel.adversary().datagrams - datagrams;
            assert!(said < 600, "{said} datagrams in answer to 90,000 of them");
            assert_eq!(duel.victim().pc.dtls_state(), DtlsTransportState::Connecting);
            // Nothing of all that can be taken for a part of the handshake in DTLS 1.3, whose messages after the first are protected.
            if versions == DtlsVersions::Dtls13 && role == Role::Client {
                let now = duel.now();
                let adversary = duel.adversary();
                adversary.handshakes = true;
                adversary.dtls.start(now, role);
                duel.connect();
                duel.still_works();
            }
        }
    });
}

/// Every message in the clear cut into pieces that overlap, are repeated, empty and out of order, as any path may do with a right peer:
/// it is put together.
#[test]
fn attack_overlapping_fragments() {
    for_each_seed(4, |seed| {
        for versions in VERSIONS {
            let (mut world, man) = world(seed, versions);
            let mut random = random::seeded([seed as u8; 32]);
            let mut sequences = [0_u64; 2];
            man.plan(move |seen| {
                if !is_dtls(&seen.bytes) {
                    return vec![seen.bytes.clone()];
                }
                let from = usize::from(seen.path.local == ADDRESSES[1].parse().unwrap());
                let mut out = Vec::new();
                for part in parts(&seen.bytes) {
                    match part {
                        Part::Clear { kind: HANDSHAKE, content, .. } => {
                            let mut pieces = Vec::new();
                            for (kind, len, message, offset, bytes) in record::fragments(&content) {
                                let step = random.random_range(50..200);
                                for start in (0..bytes.len().max(1)).step_by(step) {
                                    let end = (start + step + random.random_range(0..50)).min(bytes.len());
                                    pieces.push(fragment(kind, len, message, offset + start, &bytes[start..end]));
                                    pieces.push(fragment(kind, len, message, offset + end, &[]));
                                }
                            }
                            pieces.extend_from_within(..pieces.len() / 2);
                            for last in (1..pieces.len()).rev() {
                                pieces.swap(last, random.random_range(0..=last));
                            }
                            for piece in pieces {
                                sequences[from] += 1;
                                out.push(record::record(HANDSHAKE, sequences[from], &piece));
                            }
                        }
                        Part::Clear { kind, content, .. } => {
                            sequences[from] += 1;
                            out.push(record::record(kind, sequences[from], &content));
                        }
                        Part::Rest(bytes) => out.push(bytes),
                    }
                }
                out
            });
            assert!(connects(&mut world, &man, 10 * SECOND), "{versions:?}");
            transfers(&mut world, &man);
        }
    });
}

/// Copies of each datagram that were changed arrive before it: bits, bytes, lengths, types, cut, doubled, parts swapped. It connects, or fails as it
/// says; nobody is taken in, nobody hangs.
#[test]
fn attack_mutated_handshakes() {
    for_each_seed(40, |seed| {
        for versions in VERSIONS {
            let (mut world, man) = world(seed, versions);
            let mut random = random::seeded([seed as u8; 32]);
            man.plan(move |seen| {
                if !is_dtls(&seen.bytes) {
                    return vec![seen.bytes.clone()];
                }
                let mut out = Vec::new();
                for _ in 0..4 {
                    let (mut copy, len) = (seen.bytes.clone(), seen.bytes.len());
                    match random.random_range(0..6) {
                        0 => copy[random.random_range(0..len)] ^= 1 << random.random_range(0..8),
                        1 => copy[random.random_range(0..len.min(40))] = random.random(),
                        2 => copy.truncate(random.random_range(1..=len)),
                        3 => copy.extend_from_within(..),
                        4 => copy.rotate_left(random.random_range(0..len)),
                        _ => copy[random.random_range(13.min(len - 1)..len)] = 0,
                    }
                    out.push(copy);
                }
                out.push(seen.bytes.clone());
                out
            });
            let is_up = connects(&mut world, &man, 40 * SECOND);
            if is_up {
                transfers(&mut world, &man);
            } else {
                let failed = |it: &wigwag_scenarios::Peer| matches!(it.pc.failure(), Some(Failure::Dtls(_)));
                assert!(failed(world.offerer()) || failed(world.answerer()), "{versions:?}: neither up nor failed");
                assert_eq!(world.offerer().heard() + world.answerer().heard(), 0);
            }
        }
    });
}

/// Each datagram is followed by all that went before, from both sides; and later all of it comes again, thrice.
#[test]
fn attack_replayed_handshakes() {
    for_each_seed(2, |seed| {
        for versions in VERSIONS {
            let (mut world, man) = world(seed, versions);
            let mut all: Vec<Seen> = Vec::new();
            man.plan(move |seen| {
                let before = all.iter().filter(|it| it.path == seen.path && is_dtls(&it.bytes));
                let out = std::iter::once(seen.bytes.clone()).chain(before.map(|it| it.bytes.clone())).collect();
                if all.len() < 60 {
                    all.push(seen.clone());
                }
                out
            });
            assert!(connects(&mut world, &man, 10 * SECOND), "{versions:?}");
            transfers(&mut world, &man);
            man.plan(|seen| vec![seen.bytes.clone()]);
            for _ in 0..3 {
                for seen in man.seen() {
                    let now = world.now();
                    man.say(&mut world.simulation.network, now, seen.path, &seen.bytes);
                }
                world.simulation.run_for(SECOND).unwrap();
            }
            let is_steady =
                |states: &[ConnectionState]| states == [ConnectionState::Connecting, ConnectionState::Connected];
            assert!(is_steady(&world.offerer().states) && is_steady(&world.answerer().states));
            assert_eq!((world.offerer().heard(), world.answerer().heard()), (20, 20), "nothing twice");
            world.transfer(5, 1000, MINUTE).unwrap();
        }
    });
}

/// Datagrams of DTLS are held until there are two, or three, and go on in the reverse order.
#[test]
fn attack_reordered_handshakes() {
    for_each_seed(2, |seed| {
        for (versions, many) in VERSIONS.into_iter().flat_map(|versions| [(versions, 2), (versions, 3)]) {
            let (mut world, man) = world(seed, versions);
            let mut held: [Vec<Vec<u8>>; 2] = Default::default();
            man.plan(move |seen| {
                if !is_dtls(&seen.bytes) {
                    return vec![seen.bytes.clone()];
                }
                let held = &mut held[usize::from(seen.path.local == ADDRESSES[1].parse().unwrap())];
                held.push(seen.bytes.clone());
                if held.len() < many {
                    return Vec::new();
                }
                held.reverse();
                std::mem::take(held)
            });
            assert!(connects(&mut world, &man, 20 * SECOND), "{versions:?}, {many}");
            man.plan(|seen| vec![seen.bytes.clone()]);
            transfers(&mut world, &man);
        }
    });
}

/// Somebody on the path takes one kind of message out of the handshake, for good: whichever it is, there is no connection.
#[test]
fn attack_omitted_messages() {
    for_each_seed(1, |seed| {
        // ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone, CertificateVerify, ClientKeyExchange: all in the clear
        // in DTLS 1.2. ChangeCipherSpec is 0. RFC 5246 section 7.4.
        for omitted in [2, 11, 12, 13, 14, 15, 16, 0] {
            let (mut world, man) = world(seed, DtlsVersions::Dtls12);
            man.plan(move |seen| {
                if !is_dtls(&seen.bytes) {
                    return vec![seen.bytes.clone()];
                }
                let mut out = Vec::new();
                for part in parts(&seen.bytes) {
                    match part {
                        Part::Clear { kind: HANDSHAKE, sequence, content } => {
                            let kept = record::fragments(&content).into_iter().filter(|it| it.0 != omitted);
                            let kept: Vec<u8> = kept
                                .flat_map(|(kind, len, message, at, part)| fragment(kind, len, message, at, &part))
                                .collect();
                            if !kept.is_empty() {
                                out.extend_from_slice(&record::record(HANDSHAKE, sequence, &kept));
                            }
                        }
                        Part::Clear { kind: 20, .. } if omitted == 0 => {}
                        Part::Clear { kind, sequence, content } => {
                            out.extend_from_slice(&record::record(kind, sequence, &content));
                        }
                        Part::Rest(bytes) => out.extend_from_slice(&bytes),
                    }
                }
                if out.is_empty() { Vec::new() } else { vec![out] }
            });
            let is_up = connects(&mut world, &man, 40 * SECOND);
            // Without ChangeCipherSpec nothing is missing that is proven: who is connected then has seen a Finished.
            if omitted != 0 {
                assert!(!is_up, "connected without message {omitted}");
                let failures = [world.offerer().pc.failure().cloned(), world.answerer().pc.failure().cloned()];
                assert!(failures.iter().any(Option::is_some), "message {omitted}: nobody noticed");
                assert!(!world.offerer().is_connected() || !world.answerer().is_connected());
            }
            assert_eq!(world.offerer().heard() + world.answerer().heard(), 0);
        }
        // In DTLS 1.3 all but the hellos is protected: what one side says after its hello is lost, whole.
        for (side, clear_only) in [(0, true), (1, true)] {
            let (mut world, man) = world(seed, DtlsVersions::Dtls13);
            man.plan(move |seen| {
                let is_theirs = seen.path.local == ADDRESSES[side].parse().unwrap();
                if !is_dtls(&seen.bytes) || !is_theirs || !clear_only {
                    return vec![seen.bytes.clone()];
                }
                let clear = parts(&seen.bytes).into_iter().filter_map(|part| match part {
                    Part::Clear { kind, sequence, content } => Some(record::record(kind, sequence, &content)),
                    Part::Rest(_) => None,
                });
                let clear: Vec<u8> = clear.flatten().collect();
                if clear.is_empty() { Vec::new() } else { vec![clear] }
            });
            assert!(!connects(&mut world, &man, 40 * SECOND));
            assert_eq!(world.offerer().heard() + world.answerer().heard(), 0);
        }
    });
}

/// The adversary shows the certificate whose fingerprint was signalled, but has not its key.
#[test]
fn attack_certificate_not_proven() {
    for_each_seed(1, |seed| {
        let (stolen, own) = (certificate(50), certificate(51));
        let public = default_provider().signing_key(stolen.private_key()).unwrap().public_key().to_vec();
        let liar = provider::impostor(default_provider(), &public);
        let shown = Certificate::from_der(liar, stolen.der(), own.private_key()).unwrap();
        assert_eq!(shown.fingerprint(), stolen.fingerprint());
        for (versions, role) in VERSIONS.into_iter().flat_map(|versions| ROLES.map(|role| (versions, role))) {
            let attack =
                Attack { versions, role, certificate: Some(shown.clone()), provider: liar, ..Attack::default() };
            let mut duel = Duel::new(seed, attack);
            duel.run_until(40 * SECOND, |it| it.states.last() == Some(&ConnectionState::Failed)).unwrap();
            assert!(matches!(duel.victim().pc.failure(), Some(Failure::Dtls(_))), "{versions:?}, {role:?}");
            assert!(duel.victim().opened.is_empty() && duel.adversary().heard.is_empty(), "a byte was said");
        }
    });
}

/// Another certificate than the one that was signalled, with its key.
#[test]
fn attack_wrong_fingerprint() {
    for_each_seed(1, |seed| {
        let other = certificate(52).fingerprint().to_string();
        for (versions, role) in VERSIONS.into_iter().flat_map(|versions| ROLES.map(|role| (versions, role))) {
            let attack = Attack { versions, role, fingerprint: Some(other.clone()), media: true, ..Attack::default() };
            let mut duel = Duel::new(seed, attack);
            duel.run_until(40 * SECOND, |it| it.states.last() == Some(&ConnectionState::Failed)).unwrap();
            assert!(matches!(duel.victim().pc.failure(), Some(Failure::Dtls(_))), "{versions:?}, {role:?}");
            assert!(duel.victim().opened.is_empty() && duel.adversary().heard.is_empty(), "a byte was said");
            // What an impostor whose DTLS thinks it is connected says now is not heard.
            if duel.adversary().dtls.is_connected() {
                let packet = duel.adversary().script.packet(&[]);
                duel.strike(&packet);
            }
            assert_eq!(duel.victim().pc.srtp_profile(), None);
        }
    });
}

/// New keys as soon as the last were acknowledged, some five hundred times: the victim follows, holds no more keys than it reads with, and still works.
#[test]
fn attack_key_updates() {
    for_each_seed(1, |seed| {
        let attack = Attack { versions: DtlsVersions::Dtls13, records_per_key: 1, ..Attack::default() };
        let mut duel = Duel::new(seed, attack);
        duel.connect();
        duel.still_works();
        duel.adversary().forget();
        let before = memory::live();
        for n in 0..10_000_u32 {
            let heartbeat = wigwag_scenarios::adversary::sctp::parameter(1, &n.to_be_bytes());
            if duel.adversary().dtls.is_connected() {
                let packet = duel.adversary().script.packet(&[(4, 0, &heartbeat)]);
                duel.adversary().say(&packet);
            }
            duel.run_for(Duration::from_millis(1));
        }
        duel.run_for(SECOND);
        duel.adversary().forget();
        let held = memory::live() - before;
        println!("seed {seed}: {held} bytes more, {} datagrams", duel.adversary().datagrams);
        assert!(held < 50_000, "{held} bytes");
        duel.still_works();
    });
}

/// Alerts and closes that anybody could write, after each datagram of the set-up and later, to both sides, from the other's address.
#[test]
fn attack_forged_alerts() {
    for_each_seed(1, |seed| {
        for versions in VERSIONS {
            for after in 0..30 {
                let (mut world, man) = world(seed, versions);
                let mut is_done = false;
                let hosts = [world.offerer, world.answerer];
                let [one, other] = ADDRESSES.map(|address| address.parse().unwrap());
                let outcome = world.simulation.run(20 * SECOND, |simulation| {
                    let now = simulation.now();
                    if man.count() >= after && !is_done {
                        is_done = true;
                        for path in [UdpPath { local: one, remote: other }, UdpPath { local: other, remote: one }] {
                            for alert in alerts() {
                                man.say(&mut simulation.network, now, path, &alert);
                            }
                        }
                    }
                    let is_up =
                        |host| simulation.machine(host).is_some_and(|it| it.is_connected() && !it.opened.is_empty());
                    let all_up = is_done && hosts.iter().all(|host| is_up(*host));
                    if all_up { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                if let Err(failure) = outcome {
                    let why = [world.offerer().pc.failure().cloned(), world.answerer().pc.failure().cloned()];
                    panic!("{versions:?}, after {after} datagrams: {failure}, {why:?}");
                }
                world.simulation.run_for(SECOND).unwrap();
                // And to a connection that is up.
                for path in [UdpPath { local: one, remote: other }, UdpPath { local: other, remote: one }] {
                    let now = world.now();
                    alerts().iter().for_each(|alert| man.say(&mut world.simulation.network, now, path, alert));
                }
                transfers(&mut world, &man);
            }
        }
    });
}

/// Of every kind that matters, in the clear, of epochs that are and are not, and as ciphertext that is none.
fn alerts() -> Vec<Vec<u8>> {
    let mut alerts = Vec::new();
    for epoch in [0_u64, 1, 2, 3, 0xFFFF] {
        for sequence in [0, 1, 5, 1000, (1 << 48) - 1] {
            for content in [[1, 0], [2, 0], [2, 10], [2, 20], [2, 40], [2, 42], [2, 80], [1, 90], [2, 51], [255, 255]] {
                alerts.push(record::record(ALERT, epoch << 48 | sequence, &content));
            }
            alerts.push(record::record(ALERT, epoch << 48 | sequence, &[2, 0, 2, 40]));
            alerts.push(record::record(ALERT, epoch << 48 | sequence, &[2]));
            alerts.push(record::record(ALERT, epoch << 48 | sequence, &[0xAB; 26]));
        }
    }
    // RFC 9147 section 4: the unified header, of each epoch's lower bits.
    for first in 0x20..0x40_u8 {
        alerts.push([&[first, 0, 1, 0, 19][..], &[0xCD; 19]].concat());
        alerts.push(vec![first; 40]);
    }
    alerts
}

/// A ClientHello at every millisecond of the set-up, from a stranger's address and from another port of the peer's: the connection comes up with the
/// right one, at the very time at which it would.
#[test]
fn attack_client_hello_of_a_stranger() {
    for_each_seed(1, |seed| {
        for versions in VERSIONS {
            let (mut quiet, _) = world(seed, versions);
            quiet.connect(MINUTE).unwrap();
            let expected = quiet.elapsed();
            let hello = client_hello(versions);
            for millis in 0..=expected.as_millis() as u64 + 5 {
                let (mut world, man) = world(seed, versions);
                let stranger = world.simulation.network.add_host(["10.0.6.6".parse().unwrap()]);
                assert!(world.simulation.network.is_up(stranger));
                world.simulation.run_for(Duration::from_millis(millis)).unwrap();
                let now = world.now();
                for from in ["10.0.6.6:666", "10.0.0.1:1001", "10.0.0.2:2001"] {
                    for to in ADDRESSES {
                        let path = UdpPath { local: from.parse().unwrap(), remote: to.parse().unwrap() };
                        man.say(&mut world.simulation.network, now, path, &hello);
                    }
                }
                world.simulation.run_for(Duration::from_millis(1)).unwrap();
                if millis < expected.as_millis() as u64 {
                    world.connect(MINUTE).unwrap();
                    assert_eq!(world.elapsed(), expected, "{versions:?}, at {millis} ms");
                }
                transfers(&mut world, &man);
                let dropped =
                    world.offerer().pc.stats().dropped_unvalidated + world.answerer().pc.stats().dropped_unvalidated;
                assert_eq!(dropped, 6);
            }
        }
    });
}

/// The same with the peer's own address, which only who is on the path can write: before ICE validated it, it is dropped; later it may spoil the
/// set-up, as anybody on the path can by dropping, but is never taken for the peer.
#[test]
fn attack_client_hello_in_the_peers_name() {
    for_each_seed(1, |seed| {
        let mut outcomes = [0, 0];
        for (versions, millis) in
            VERSIONS.into_iter().flat_map(|versions| (0..90).map(move |millis| (versions, millis)))
        {
            let hello = client_hello(versions);
            let (mut world, man) = world(seed, versions);
            world.simulation.run_for(Duration::from_millis(millis)).unwrap();
            let now = world.now();
            let [one, other] = ADDRESSES.map(|address| address.parse().unwrap());
            for path in [UdpPath { local: one, remote: other }, UdpPath { local: other, remote: one }] {
                man.say(&mut world.simulation.network, now, path, &hello);
            }
            let is_up = connects(&mut world, &man, 40 * SECOND);
            outcomes[usize::from(is_up)] += 1;
            match is_up {
                true => transfers(&mut world, &man),
                false => {
                    assert_eq!(world.offerer().heard() + world.answerer().heard(), 0);
                    let failed = |it: &wigwag_scenarios::Peer| matches!(it.pc.failure(), Some(Failure::Dtls(_)));
                    assert!(failed(world.offerer()) || failed(world.answerer()), "neither up nor failed");
                }
            }
        }
        println!("seed {seed}: {} came up, {} did not", outcomes[1], outcomes[0]);
        assert!(outcomes[1] > 0);
    });
}

fn client_hello(versions: Versions) -> Vec<u8> {
    let mut config = wigwag_dtls::Config::new(certificate(53), default_provider());
    config.versions = versions;
    let mut client = Dtls::new(config, random::seeded([53; 32]));
    client.start(wigwag::Instant(1_000_000), Role::Client);
    let mut room = [0; 1500];
    let len = client.write_packet(wigwag::Instant(1_000_000), &mut room).unwrap();
    room[..len].to_vec()
}
