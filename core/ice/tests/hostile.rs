//! Strangers, floods, and peers that mean ill.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Pair, agent, at, full};
use proptest::prelude::*;
use wigwag_ice::{Candidate, ConnectionState, Credentials};
use wigwag_proto::{Instant, TransmitBuffer, UdpPath};
use wigwag_stun::{AttributeType, Class, ErrorCode, Message, MessageBuilder, Method, TransactionId};

const PATH: fn() -> UdpPath = || UdpPath { local: at("10.0.0.1:1000"), remote: at("10.6.6.6:666") };

fn check(agent: &wigwag_ice::Agent, pwd: &str, transaction: u8, more: impl Fn(&mut MessageBuilder<'_>)) -> Vec<u8> {
    let mut memory = [0; 500];
    let id = TransactionId([transaction; 12]);
    let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, id);
    message.ice_username(&agent.local_credentials().ufrag, "them");
    message.priority(1);
    more(&mut message);
    message.message_integrity(pwd.as_bytes(), wigwag_crypto::aws_lc_rs());
    message.fingerprint();
    let len = message.finish().unwrap();
    memory[..len].to_vec()
}

fn transmit(agent: &mut wigwag_ice::Agent, now: Instant) -> Option<Vec<u8>> {
    let mut memory = [0; 1500];
    let mut out = TransmitBuffer::new(&mut memory, 1);
    let transmit = agent.poll_transmit(now, &mut out)?;
    Some(out.bytes(&transmit).to_vec())
}

fn listening() -> wigwag_ice::Agent {
    let mut agent = agent(full(false), 1);
    agent.add_udp_socket(PATH().local).unwrap();
    agent
}

#[test]
fn ten_thousand_candidates() {
    let mut agent = agent(full(true), 1);
    for n in 0..4_u16 {
        agent.add_udp_socket(([10, 0, 0, n as u8 + 1], 1000).into()).unwrap();
    }
    agent.set_remote_credentials(Credentials::new("them", "0123456789012345678901"));
    for n in 0..10_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        // All ports of one victim, then all hosts of a network, ever more important.
        let address = if n < 5_000 { at(&format!("10.9.9.9:{}", n + 1)) } else { ([10, 8, high, low], 53).into() };
        agent.add_remote_candidate(Instant(0), Candidate::host(address, n.to_string(), n));
    }
    assert_eq!(agent.pairs().count(), 100);
    assert!(agent.pairs().filter(|pair| pair.path.remote.ip() == at("10.9.9.9:1").ip()).count() <= 16);
    assert!(agent.pairs().any(|pair| pair.path.remote.port() == 53), "the important ones are kept");
    // Paced: ten quickly, then twenty a second, then repetitions that back off.
    let mut sent = 0;
    let mut now = Instant(0);
    while now < Instant(10_000_000) {
        while transmit(&mut agent, now).is_some() {
            sent += 1;
        }
        now = agent.poll_timeout().unwrap();
        agent.handle_timeout(now);
    }
    assert!(sent < 350, "{sent} checks in ten seconds");
}

#[test]
fn strangers_are_not_answered() {
    let mut agent = listening();
    let wrong = check(&agent, "wrong", 1, |_| ());
    agent.handle_packet(Instant(0), PATH(), &wrong);
    let mut nobody = agent.local_credentials().clone();
    nobody.ufrag = "nobody".into();
    assert!(!agent.can_transmit());
    assert_eq!(agent.stats().unauthenticated, 1);
    assert!(!agent.is_validated(PATH()));
    assert!(agent.poll_timeout().is_none());
}

#[test]
fn answers_are_one_for_one_and_bounded() {
    let mut agent = listening();
    let pwd = agent.local_credentials().pwd.clone();
    for n in 0..200 {
        let request = check(&agent, &pwd, n, |_| ());
        agent.handle_packet(Instant(0), PATH(), &request);
    }
    let answers = std::iter::from_fn(|| transmit(&mut agent, Instant(0))).count();
    assert_eq!(answers, 32);
    assert_eq!(agent.stats().overflowed, 168);
}

#[test]
fn what_is_not_understood_is_refused() {
    let mut agent = listening();
    let pwd = agent.local_credentials().pwd.clone();
    let request = check(&agent, &pwd, 1, |message| message.attribute(AttributeType(0x7001), b"new"));
    agent.handle_packet(Instant(0), PATH(), &request);
    let answer = transmit(&mut agent, Instant(0)).unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.error_code(), Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    assert_eq!(answer.unknown_attributes().collect::<Vec<_>>(), [AttributeType(0x7001)]);
    assert!(answer.verify_integrity(pwd.as_bytes(), wigwag_crypto::aws_lc_rs()));
    assert!(!agent.is_validated(PATH()));
}

/// Its own new fragment with our old one: it restarts, and our answer is not there yet. Nothing comes of that path before.
#[test]
fn a_check_that_mixes_generations_is_not_answered() {
    let mut agent = listening();
    let pwd = agent.local_credentials().pwd.clone();
    agent.set_remote_credentials(Credentials::new("before", "0123456789012345678901"));
    let mixed = check(&agent, &pwd, 1, |_| ());
    agent.handle_packet(Instant(0), PATH(), &mixed);
    assert_eq!((agent.stats().unauthenticated, agent.stats().checks_received), (1, 0));
    assert!(!agent.is_validated(PATH()) && agent.pairs().count() == 0);
    // With the description, the same check is as good as any.
    agent.set_remote_credentials(Credentials::new("them", "0123456789012345678901"));
    agent.handle_packet(Instant(0), PATH(), &mixed);
    assert_eq!(agent.stats().checks_received, 1);
    assert!(agent.is_validated(PATH()));
}

#[test]
fn early_checks_are_bounded_and_only_their_sender_profits() {
    let mut agent = listening();
    let pwd = agent.local_credentials().pwd.clone();
    for port in 1..1000 {
        let path = UdpPath { remote: ([10, 6, 6, 6], port).into(), ..PATH() };
        let request = check(&agent, &pwd, 1, |_| ());
        agent.handle_packet(Instant(0), path, &request);
    }
    agent.set_remote_credentials(Credentials::new("them", "0123456789012345678901"));
    assert_eq!(agent.pairs().count(), 16);

    let mut agent = listening();
    let pwd = agent.local_credentials().pwd.clone();
    let request = check(&agent, &pwd, 1, |_| ());
    agent.handle_packet(Instant(0), PATH(), &request);
    agent.set_remote_credentials(Credentials::new("else", "0123456789012345678901"));
    assert_eq!(agent.pairs().count(), 0);
}

#[test]
fn candidates_that_nobody_can_be_at() {
    let mut agent = listening();
    agent.set_remote_credentials(Credentials::new("them", "0123456789012345678901"));
    for text in [
        "candidate:1 1 udp 1 0.0.0.0 1 typ host",
        "candidate:1 1 udp 1 224.0.0.251 5353 typ host",
        "candidate:1 1 udp 1 255.255.255.255 1 typ host",
        "candidate:1 1 udp 1 ::ffff:224.0.0.1 1 typ host",
        "candidate:1 1 udp 1 10.0.0.2 0 typ host",
        "candidate:1 2 udp 1 10.0.0.2 1 typ host",
        "candidate:1 1 tcp 1 10.0.0.2 9 typ host tcptype active",
        "candidate:1 1 udp 1 0f2c7e0a-5a8c-4a3a-93e1-9ff6f3b2a8a1.local 1 typ host",
        "candidate:1 1 udp 1 10.0.0.2 1 typ host ufrag other",
        "candidate:1 1 udp 1 127.0.0.1 1 typ host",
        "candidate:1 1 udp 1 ::1 1 typ host",
    ] {
        agent.add_remote_candidate(Instant(0), text.parse().unwrap());
    }
    assert_eq!(agent.pairs().count(), 0);
    agent
        .add_remote_candidate(Instant(0), "candidate:1 1 udp 1 ::ffff:10.0.0.2 1 typ host ufrag them".parse().unwrap());
    assert_eq!(agent.pairs().next().unwrap().path.remote, at("10.0.0.2:1"));
}

#[test]
fn an_answer_from_elsewhere_fails_the_pair() {
    let mut pair = Pair::introduced(1);
    let now = pair.now();
    let check = transmit(&mut pair[0].agent, now).unwrap();
    let request = Message::parse(&check).unwrap();
    let pwd = pair[1].agent.local_credentials().pwd.clone();
    let mut memory = [0; 200];
    let mut answer = MessageBuilder::new(&mut memory, Class::Success, Method::BINDING, request.transaction());
    answer.xor_mapped_address(at("10.0.0.1:1000"));
    answer.message_integrity(pwd.as_bytes(), wigwag_crypto::aws_lc_rs());
    let len = answer.finish().unwrap();
    let agent = &mut pair[0].agent;
    agent.handle_packet(now, PATH(), &memory[..len]);
    assert!(agent.selected_path().is_none() && !agent.is_validated(PATH()));
    assert_eq!(agent.pairs().next().unwrap().state, wigwag_ice::PairState::Failed);
}

#[test]
fn no_wildcards_and_not_too_many_sockets() {
    let mut agent = agent(full(true), 1);
    assert!(agent.add_udp_socket(at("0.0.0.0:1000")).is_err());
    assert!(agent.add_udp_socket(at("[::]:1000")).is_err());
    assert!(agent.add_udp_socket(at("10.0.0.1:0")).is_err());
    let made = (1..100).filter(|&port| agent.add_udp_socket(([10, 0, 0, 1], port).into()).is_ok()).count();
    assert_eq!(made, 32);
    let mut priorities = agent.local_candidates().map(|candidate| candidate.priority).collect::<Vec<_>>();
    priorities.dedup();
    assert_eq!(priorities.len(), 32, "no two are equal");
}

proptest! {
    /// Whatever comes in, in whatever order: no panic, no livelock, no forgotten promise.
    #[test]
    fn any_calls(calls in proptest::collection::vec((0_u8..12, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..60)), 1..120)) {
        let mut pair = Pair::introduced(9);
        let mut flying: Vec<(UdpPath, Vec<u8>)> = Vec::new();
        let mut now = pair.now();
        for (call, number, bytes) in calls {
            now += Duration::from_micros(u64::from(number % 3_000_000));
            let (index, other) = ((number % 2) as usize, (1 - number % 2) as usize);
            let told = pair[other].agent.local_credentials().clone();
            let agent = &mut pair[index].agent;
            match call {
                0 => agent.handle_timeout(now),
                1 => agent.handle_packet(now, PATH(), &bytes),
                2 => {
                    let pwd = agent.local_credentials().pwd.clone();
                    let request = check(agent, &pwd, number as u8, |message| match number % 5 {
                        0 => message.use_candidate(),
                        1 => message.ice_controlled(u64::from(number)),
                        2 => message.ice_controlling(u64::from(number) << 32),
                        _ => message.attribute(AttributeType(0x8055), &bytes),
                    });
                    agent.handle_packet(now, PATH(), &request);
                }
                3 => agent.restart(now),
                4 => agent.set_remote_credentials(told),
                5 => agent.remove_udp_socket(at("10.0.0.1:1000")),
                6 => drop(agent.add_udp_socket(at("10.0.0.1:1000"))),
                7 => agent.set_controlling(number % 3 == 0),
                8 => agent.add_remote_candidate(now, Candidate::host(([10, 0, 1, number as u8], 7).into(), "f", number)),
                9 => agent.set_remote_end_of_candidates(),
                _ => {
                    let mut memory = [0; 1500];
                    let mut out = TransmitBuffer::new(&mut memory, 1);
                    if let Some(transmit) = agent.poll_transmit(now, &mut out) {
                        let wigwag_proto::Route::Udp(path) = transmit.route else { panic!() };
                        flying.push((path.reversed(), out.bytes(&transmit).to_vec()));
                    }
                    if let Some((path, mut bytes)) = flying.pop() {
                        if number % 7 == 0 {
                            let at = number as usize % bytes.len();
                            bytes[at] ^= 1 << (number % 8);
                        }
                        pair[other].agent.handle_packet(now, path, &bytes);
                    }
                }
            }
            for side in 0..2 {
                let side = &mut pair[side];
                let promised = side.agent.can_transmit();
                let mut memory = [0; 1500];
                let mut out = TransmitBuffer::new(&mut memory, 1);
                if side.agent.poll_timeout().is_some_and(|at| at <= now) {
                    side.agent.handle_timeout(now);
                    prop_assert!(side.agent.poll_timeout().is_none_or(|at| at > now));
                } else if number % 4 == 0 {
                    prop_assert!(!promised || side.agent.poll_transmit(now, &mut out).is_some());
                }
            }
        }
        for side in 0..2 {
                let side = &mut pair[side];
            side.agent.close(now);
            let keys = std::iter::from_fn(|| side.agent.poll_endpoint_event()).count();
            prop_assert_eq!(keys, 0, "nothing was told, so nothing is left to tell");
            prop_assert_eq!(side.agent.state(), ConnectionState::Closed);
        }
    }
}

/// An agent of RFC 5245 nominates in every check: the most important pair that works is taken, whichever comes first.
#[test]
fn aggressive_nomination_is_accepted() {
    let them = "0123456789012345678901";
    for flip in [false, true] {
        let mut agent = listening();
        let pwd = agent.local_credentials().pwd.clone();
        agent.set_remote_credentials(Credentials::new("them", them));
        let (good, bad) = (at("10.6.6.6:2"), at("10.6.6.6:1"));
        for (remote, priority) in [(good, 200), (bad, 100)] {
            agent.add_remote_candidate(Instant(0), Candidate::host(remote, priority.to_string(), priority));
        }
        let mut now = Instant(0);
        let order = if flip { [good, bad] } else { [bad, good] };
        for (n, remote) in order.into_iter().enumerate() {
            let path = UdpPath { remote, ..PATH() };
            let request = check(&agent, &pwd, n as u8, |message| {
                message.ice_controlling(u64::MAX);
                message.use_candidate();
            });
            agent.handle_packet(now, path, &request);
            let mut memory = [0; 1500];
            while agent.selected_path().is_none() || agent.pairs().any(|pair| pair.path == path && !pair.valid) {
                let mut out = TransmitBuffer::new(&mut memory, 1);
                let Some(transmit) = agent.poll_transmit(now, &mut out) else {
                    now += Duration::from_millis(1);
                    agent.handle_timeout(now);
                    continue;
                };
                let bytes = out.bytes(&transmit).to_vec();
                let sent = Message::parse(&bytes).unwrap();
                if sent.class() != Class::Request || transmit.route != wigwag_proto::Route::Udp(path) {
                    continue;
                }
                assert!(!sent.use_candidate() && sent.ice_controlled().is_some());
                assert!(sent.verify_integrity(them.as_bytes(), wigwag_crypto::aws_lc_rs()));
                let mut memory = [0; 200];
                let id = sent.transaction();
                let mut answer = MessageBuilder::new(&mut memory, Class::Success, Method::BINDING, id);
                answer.xor_mapped_address(path.local);
                answer.message_integrity(them.as_bytes(), wigwag_crypto::aws_lc_rs());
                let len = answer.finish().unwrap();
                agent.handle_packet(now, path, &memory[..len]);
            }
        }
        assert_eq!(agent.selected_path().unwrap().remote, good);
        assert_eq!(agent.pairs().filter(|pair| pair.nominated).count(), 2);
    }
}

#[test]
fn an_agent_may_live_anywhere() {
    fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<wigwag_ice::Agent>();
}
