//! No handshake: the INITs travelled with the descriptions (SNAP), to both or only to one; and packets without a checksum (RFC 9653).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Ends, Pair, chunk_types, link, new_pair, pair_with, tag_of};
use wigwag_net::Link;
use wigwag_sctp::{CloseReason, Config, Event, InvalidInit, PayloadKind, State};

const MINUTE: Duration = Duration::from_secs(60);
const COOKIE_ECHO: u8 = 10;

/// Tells each side in `told` what the other's description says.
fn describe(pair: &mut Pair, told: &[usize]) {
    for &end in told {
        let init = pair.end(1 - end).local_init_chunk();
        pair.end_mut(end).set_remote_init_chunk(&init).unwrap();
    }
}

/// A message each way as soon as possible, then the end; says when both had their message.
fn talk(pair: &mut Pair) -> Duration {
    let begin = pair.now();
    let chat = pair.end_mut(0).open("chat");
    let mine = pair.end_mut(1).open("mine");
    pair.end_mut(0).send(chat, PayloadKind::Text, Bytes::from_static(b"ping")).unwrap();
    pair.end_mut(1).send(mine, PayloadKind::Text, Bytes::from_static(b"pong")).unwrap();
    for end in [0, 1] {
        pair.end_mut(end).connect(begin);
    }
    pair.until(MINUTE, |pair| pair.both(|end| end.messages().len() == 1));
    let took = pair.now() - begin;
    let now = pair.now();
    pair.end_mut(0).close(now);
    pair.until(MINUTE, |pair| pair.both(|end| end.state() == State::Closed));
    let reasons = [0, 1].map(|end| pair.end(end).events.last().cloned());
    assert_eq!(reasons, [CloseReason::Local, CloseReason::Remote].map(|reason| Some(Event::Closed { reason })));
    for end in [0, 1] {
        let connected = pair.end(end).events.iter().filter(|event| **event == Event::Connected).count();
        assert_eq!(connected, 1, "end {end}");
    }
    took
}

#[test]
fn data_is_in_the_first_packet() {
    let delay = link().delay;
    let mut pair = new_pair(link(), 1);
    describe(&mut pair, &[0, 1]);
    let trace = pair.trace();
    let took = talk(&mut pair);
    assert!((delay..delay + Duration::from_millis(1)).contains(&took), "half a round trip: {took:?}");
    let trace = trace.lock().unwrap();
    assert!(trace.iter().all(|(_, packet)| !chunk_types(packet).iter().any(|kind| [1, 2, 10, 11].contains(kind))));

    let shaken = talk(&mut new_pair(link(), 1));
    assert!(shaken >= 3 * delay, "with the handshake it was {shaken:?}");
}

#[test]
fn through_loss_and_reordering() {
    for seed in 0..30 {
        let link = Link { loss: 0.2, jitter: Duration::from_millis(50), ..link() };
        let mut pair = new_pair(link, seed);
        describe(&mut pair, &[0, 1]);
        talk(&mut pair);
    }
}

/// An answer lost its line on the way: who has both believes that the association is up, the other sends an INIT.
#[test]
fn only_one_side_was_told() {
    for seed in 0..40 {
        for told in [0, 1] {
            let loss = if seed < 5 { 0.0 } else { 0.2 };
            let mut pair = new_pair(Link { loss, ..link() }, seed);
            describe(&mut pair, &[told]);
            assert!(pair.end(told).skips_handshake() && !pair.end(1 - told).skips_handshake());
            talk(&mut pair);
        }
    }
}

/// The same, and the other side's INIT is not the one that it had told: another object serves the connection.
#[test]
fn the_peer_was_made_anew() {
    let mut pair = new_pair(link(), 1);
    let stranger = new_pair(link(), 77).end(1).local_init_chunk();
    pair.end_mut(0).set_remote_init_chunk(&stranger).unwrap();
    talk(&mut pair);
}

/// Later, an INIT is the restart that it always was.
#[test]
fn a_proven_association_is_not_talked_out_of_its_tag() {
    let mut pair = new_pair(link(), 1);
    describe(&mut pair, &[0, 1]);
    let now = pair.now();
    for end in [0, 1] {
        pair.end_mut(end).open("x");
        pair.end_mut(end).connect(now);
    }
    pair.run_for(Duration::from_secs(1)).unwrap();
    let init = pair.end(1).local_init_chunk();
    let value = &init[4..];
    let now = pair.now();
    pair.end_mut(0).handle_packet(now, &common::packet(0, &[(1, 0, value)]));
    let mut room = [0; 1200];
    let len = pair.end_mut(0).write_packet(now, &mut room).unwrap();
    assert_eq!(chunk_types(&room[..len]), [2]);
    let first_tag = pair.end(0).local_init_chunk()[4..8].to_vec();
    assert_ne!(room[16..20], first_tag, "another tag");
}

#[test]
fn what_is_no_init_is_refused() {
    let mut pair = new_pair(link(), 1);
    let good = pair.end(1).local_init_chunk();
    let end = pair.end_mut(0);
    let mut no_tag = good.clone();
    no_tag[4..8].fill(0);
    let mut two = good.clone();
    two.extend_from_slice(&good);
    for bad in [&[][..], &good[..10], &no_tag, &two, &[2, 0, 0, 4], &vec![0; 5000]] {
        assert_eq!(end.set_remote_init_chunk(bad), Err(InvalidInit));
    }
    assert!(!end.skips_handshake());
}

fn over_dtls(yes: bool) -> Config {
    Config { zero_checksum: yes, ..Config::default() }
}

/// Per direction and only if both can: an INIT and a COOKIE ECHO always have a checksum.
#[test]
fn checksums_are_left_out_between_who_can_do_without() {
    for (one, two) in [(true, true), (true, false), (false, true), (false, false)] {
        for snap in [false, true] {
            let mut pair = pair_with(link(), 1, over_dtls(one), over_dtls(two));
            if snap {
                describe(&mut pair, &[0, 1]);
            }
            let trace = pair.trace();
            talk(&mut pair);
            assert!(pair.both(|end| end.stats().bad_checksum == 0));
            let trace = trace.lock().unwrap();
            for (_, packet) in trace.iter() {
                let with_data = chunk_types(packet).iter().any(|kind| [0, 3, 7].contains(kind));
                let must_have = tag_of(packet) == 0 || chunk_types(packet).contains(&COOKIE_ECHO);
                let is_zero = packet[8..12] == [0; 4];
                assert!(!(is_zero && must_have));
                assert!(!with_data || must_have || is_zero == (one && two), "{one} {two} {snap}");
            }
        }
    }
}

/// Who did not say that it can do without is not to be sent such a packet, and does not take one.
#[test]
fn a_checksum_of_zero_is_wrong_for_everybody_else() {
    for can in [true, false] {
        let mut pair = pair_with(link(), 1, over_dtls(can), over_dtls(true));
        pair.connect();
        let now = pair.now();
        let tag = u32::from_be_bytes(pair.end(0).local_init_chunk()[4..8].try_into().unwrap());
        let mut packet = common::packet(tag, &[(4, 0, &[0, 1, 0, 4])]);
        packet[8..12].fill(0);
        pair.end_mut(0).handle_packet(now, &packet);
        assert_eq!(pair.end(0).stats().bad_checksum, u64::from(!can));
        packet[8] = 1;
        pair.end_mut(0).handle_packet(now, &packet);
        assert_eq!(pair.end(0).stats().bad_checksum, 1 + u64::from(!can));
    }
}
