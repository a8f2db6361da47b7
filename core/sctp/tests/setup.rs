//! The handshake and the goodbye: every packet lost in turn, both sides at once, and strangers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Ends, Pair, association, checksum, chunk_types, connected_pair, link, new_pair, packet, tag_of};
use proptest::prelude::*;
use wigwag_net::Link;
use wigwag_proto::Instant;
use wigwag_sctp::{CloseReason, Config, Event, PayloadKind, State};

const MINUTE: Duration = Duration::from_secs(60);

/// Starts one side or both, sends a message each way, closes; everything has to happen.
fn live(mut pair: Pair, starters: &[usize]) -> Pair {
    let now = pair.now();
    let chat = pair.end_mut(0).open("chat");
    pair.end_mut(0).send(chat, PayloadKind::Text, Bytes::from_static(b"ping")).unwrap();
    for &end in starters {
        pair.end_mut(end).connect(now);
    }
    pair.until(MINUTE, |pair| pair.end(1).messages().len() == 1);
    let theirs = pair.named(1, "chat").unwrap();
    pair.end_mut(1).send(theirs, PayloadKind::Text, Bytes::new()).unwrap();
    let now = pair.now();
    pair.end_mut(1).close(now);
    pair.until(MINUTE, |pair| pair.both(|end| end.state() == State::Closed));
    assert_eq!(pair.end(0).messages(), [(chat, Bytes::new())]);
    for end in [0, 1] {
        let connected = pair.end(end).events.iter().filter(|event| **event == Event::Connected).count();
        assert_eq!(connected, 1);
    }
    pair
}

#[test]
fn one_side_or_both() {
    for starters in [&[0][..], &[1], &[0, 1]] {
        let pair = live(new_pair(link(), 1), starters);
        assert!(pair.end(0).events.contains(&Event::Closed { reason: CloseReason::Remote }));
        assert!(pair.end(1).events.contains(&Event::Closed { reason: CloseReason::Local }));
        assert!(pair.both(|end| !end.can_transmit() && end.poll_timeout().is_none()));
    }
}

#[test]
fn whichever_packet_is_lost() {
    for starters in [&[0][..], &[1], &[0, 1]] {
        let packets = live(new_pair(link(), 1), starters).network.stats().sent;
        for first in 0..packets {
            let mut pair = new_pair(link(), 1);
            pair.network.drop_nth([first]);
            // If only the SHUTDOWN COMPLETE is lost, who waits for it is told by the next one.
            live(pair, starters);
            let mut pair = new_pair(link(), 1);
            pair.network.drop_nth([first, first + 1, first + 3]);
            live(pair, starters);
        }
    }
}

#[test]
fn reordered_and_repeated_handshakes() {
    for seed in 0..200 {
        let link = Link { jitter: Duration::from_millis(300), duplication: 0.5, loss: 0.1, ..link() };
        live(new_pair(link, seed), if seed % 2 == 0 { &[0, 1] } else { &[0] });
    }
}

#[test]
fn nobody_answers() {
    let mut pair = new_pair(Link { loss: 1.0, ..link() }, 1);
    let now = pair.now();
    pair.end_mut(0).connect(now);
    pair.until(MINUTE * 3, |pair| pair.end(0).state() == State::Closed);
    assert!(pair.end(0).events.contains(&Event::Closed { reason: CloseReason::TimedOut }));
    assert_eq!(pair.end(0).stats().packets_sent, 21);
}

#[test]
fn an_abort_is_heard() {
    let mut pair = connected_pair(link(), 1);
    let chat = pair.end_mut(0).open("chat");
    pair.run_for(Duration::from_millis(200)).unwrap();
    pair.end_mut(0).abort();
    pair.run_for(Duration::from_secs(1)).unwrap();
    assert!(
        pair.end(0).events.ends_with(&[Event::ChannelClosed(chat), Event::Closed { reason: CloseReason::LocalAbort }])
    );
    assert!(pair.end(1).events.contains(&Event::Closed { reason: CloseReason::RemoteAbort }));
    // And one that was lost is repeated when the peer talks on.
    let mut pair = connected_pair(link(), 1);
    let chat = pair.end_mut(1).open("chat");
    pair.run_for(Duration::from_millis(200)).unwrap();
    pair.end_mut(0).abort();
    pair.set_loss(1.0);
    pair.run_for(Duration::from_secs(1)).unwrap();
    pair.set_loss(0.0);
    pair.end_mut(1).send(chat, PayloadKind::Text, Bytes::from_static(b"still there?")).unwrap();
    pair.until(MINUTE, |pair| pair.end(1).state() == State::Closed);
}

#[test]
fn closing_flushes_what_was_accepted() {
    for loss in [0.0, 0.1] {
        let mut pair = new_pair(Link { loss, ..link() }, 3);
        let channel = pair.end_mut(0).open("last words");
        for _ in 0..50 {
            pair.end_mut(0).send(channel, PayloadKind::Binary, vec![7; 20_000].into()).unwrap();
        }
        let now = pair.now();
        pair.end_mut(0).connect(now);
        pair.end_mut(0).close(now); // before it is even up
        assert!(pair.end_mut(0).send(channel, PayloadKind::Text, Bytes::new()).is_err());
        pair.until(MINUTE * 3, |pair| pair.both(|end| end.state() == State::Closed));
        assert_eq!(pair.end(1).messages().len(), 50);
    }
}

/// Every chunk type under a wrong tag, in every state: nothing changes.
#[test]
fn a_wrong_tag_is_nobody() {
    let states: [fn(&mut Pair); 4] = [
        |_| {},
        |pair| {
            let now = pair.now();
            pair.end_mut(0).connect(now);
            pair.end_mut(0).write_packet(now, &mut [0; 1200]).unwrap();
        },
        |pair| pair.connect(),
        |pair| {
            pair.connect();
            pair.set_loss(1.0);
            let now = pair.now();
            pair.end_mut(0).close(now);
            pair.run_for(Duration::from_millis(1)).unwrap();
        },
    ];
    for prepare in states {
        for kind in (0..=255_u8).filter(|&kind| kind != 1) {
            for flags in [0, 1, 3] {
                let mut pair = new_pair(link(), 5);
                prepare(&mut pair);
                let before = (pair.end(0).state(), pair.end(0).can_transmit(), pair.end(0).poll_timeout());
                let now = pair.now();
                let value = [0, 0, 0, 1, 0, 0, 255, 255, 0, 5, 0, 5, 0, 0, 0, 1, 7, 7, 7, 7];
                pair.end_mut(0).handle_packet(now, &packet(0x1234_5678, &[(kind, flags, &value)]));
                let after = (pair.end(0).state(), pair.end(0).can_transmit(), pair.end(0).poll_timeout());
                assert_eq!(before, after, "chunk {kind}");
                assert_eq!(pair.end_mut(0).poll_event(), None);
            }
        }
    }
}

#[test]
fn a_forged_cookie_is_dropped() {
    let now = Instant(5);
    let mut one = association(Config::default(), 1);
    let mut two = association(Config::default(), 2);
    let mut room = [0; 1200];
    one.connect(now);
    let len = one.write_packet(now, &mut room).unwrap();
    two.handle_packet(now, &room[..len]);
    let len = two.write_packet(now, &mut room).unwrap();
    one.handle_packet(now, &room[..len]);
    let len = one.write_packet(now, &mut room).unwrap();
    let echo = room[..len].to_vec();
    for index in 16..16 + 44 + 32 {
        let mut forged = echo.clone();
        forged[index] ^= 0x10;
        checksum(&mut forged);
        two.handle_packet(now, &forged);
        assert_eq!(two.state(), State::New);
    }
    assert_eq!(two.stats().bad_cookie, 76);
    // A minute later it is stale; the peer is told, and fetches a new one.
    let late = now + Duration::from_secs(61);
    two.handle_packet(late, &echo);
    assert_eq!((two.state(), two.stats().bad_cookie), (State::New, 77));
    let len = two.write_packet(late, &mut room).unwrap();
    one.handle_packet(late, &room[..len]);
    for _ in 0..4 {
        if let Some(len) = one.write_packet(late, &mut room) {
            two.handle_packet(late, &room[..len]);
        }
        if let Some(len) = two.write_packet(late, &mut room) {
            one.handle_packet(late, &room[..len]);
        }
    }
    assert_eq!((one.state(), two.state()), (State::Connected, State::Connected));
}

/// What the other end sees in the first packet under its tag.
fn eavesdrop(pair: &mut Pair) -> u32 {
    let trace = pair.trace();
    let channel = pair.end_mut(1).open("noise");
    pair.end_mut(1).send(channel, PayloadKind::Text, Bytes::from_static(b"x")).unwrap();
    pair.run_for(Duration::from_millis(100)).unwrap();
    let trace = trace.lock().unwrap();
    tag_of(&trace.iter().find(|(to, _)| *to == 0).unwrap().1)
}

#[test]
fn a_sack_for_what_was_never_sent_is_dropped() {
    let mut pair = connected_pair(link(), 1);
    let tag = eavesdrop(&mut pair);
    let now = pair.now();
    for cumulative in (0..64).map(|n| 1_u32 << (n % 32)).chain([0, u32::MAX]) {
        for gaps in [0_u8, 1] {
            let mut value = cumulative.to_be_bytes().to_vec();
            value.extend_from_slice(&[0, 0, 255, 255, 0, gaps, 0, 0]);
            value.extend_from_slice(&[0, 9, 255, 255].repeat(gaps.into()));
            pair.end_mut(0).handle_packet(now, &packet(tag, &[(3, 0, &value)]));
        }
    }
    assert!(pair.end(0).stats().bad_sack > 0);
    let channel = pair.end_mut(0).open("still fine");
    pair.end_mut(0).send(channel, PayloadKind::Text, Bytes::from_static(b"yes")).unwrap();
    pair.until(MINUTE, |pair| pair.end(1).messages().len() == 1);
}

#[test]
fn unknown_chunks_are_treated_by_their_bits() {
    let mut pair = connected_pair(link(), 1);
    let tag = eavesdrop(&mut pair);
    let now = pair.now();
    let heartbeat: (u8, u8, &[u8]) = (4, 0, &[0, 1, 0, 8, 1, 2, 3, 4]);
    let mut room = [0; 1200];
    for (kind, read_on, report) in [(0x3f, false, false), (0x7f, false, true), (0xbf, true, false), (0xfe, true, true)]
    {
        pair.end_mut(0).handle_packet(now, &packet(tag, &[(kind, 0, b"abc"), heartbeat]));
        let written = pair.end_mut(0).write_packet(now, &mut room);
        let chunks = written.map_or(Vec::new(), |len| chunk_types(&room[..len]));
        assert_eq!(chunks.contains(&5), read_on, "{kind:x}");
        assert_eq!(chunks.contains(&9), report, "{kind:x}");
    }
}

#[test]
fn data_travels_with_the_cookie() {
    let mut pair = new_pair(link(), 1);
    let trace = pair.trace();
    let chat = pair.end_mut(0).open("chat");
    pair.end_mut(0).send(chat, PayloadKind::Text, Bytes::from_static(b"early")).unwrap();
    let now = pair.now();
    pair.end_mut(0).connect(now);
    pair.until(MINUTE, |pair| pair.end(1).messages().len() == 1);
    assert_eq!(pair.now() - now, Duration::from_millis(60), "three one-way trips");
    let kinds: Vec<_> = trace.lock().unwrap().iter().map(|(_, packet)| chunk_types(packet)).collect();
    assert_eq!(kinds[..3], [vec![1], vec![2], vec![10, 64, 64]]);
}

/// A batch whose first packet sets the room of the others, as under GSO.
#[test]
fn data_travels_with_the_cookie_when_both_start() {
    let now = Instant(5);
    let mut ends = [association(Config::default(), 1), association(Config::default(), 2)];
    ends[0].set_role(wigwag_sctp::StreamParity::Even);
    let config = wigwag_sctp::ChannelConfig { label: "a longer label".into(), ..Default::default() };
    ends[0].open_channel(config).unwrap();
    let mut room = [0; 1200];
    let mut first = Vec::new();
    for end in &mut ends {
        end.connect(now);
        let len = end.write_packet(now, &mut room).unwrap();
        first.push(room[..len].to_vec());
    }
    // The peer's INIT and its INIT ACK arrive before anything is written.
    ends[1].handle_packet(now, &first[0]);
    let len = ends[1].write_packet(now, &mut room).unwrap();
    ends[0].handle_packet(now, &first[1]);
    ends[0].handle_packet(now, &room[..len]);
    let len = ends[0].write_packet(now, &mut room).unwrap();
    assert_eq!(chunk_types(&room[..len]), [10, 64]);
    let len = ends[0].write_packet(now, &mut room).unwrap();
    assert_eq!(chunk_types(&room[..len]), [2]);
}

#[test]
fn an_idle_association_asks_now_and_then() {
    let mut pair = connected_pair(link(), 1);
    pair.run_for(Duration::from_millis(100)).unwrap();
    let before = pair.network.stats().sent;
    pair.run_for(Duration::from_secs(3600)).unwrap();
    let packets = pair.network.stats().sent - before;
    assert!((100..=500).contains(&packets), "{packets}");
    assert!(pair.both(|end| end.state() == State::Connected));
    assert!(pair.end(0).round_trip_time().is_some());
}

#[derive(Clone, Debug)]
enum Mischief {
    Bytes(Vec<u8>),
    Chunks(Vec<(u8, u8, Vec<u8>)>),
    Mutate { which: usize, at: usize, with: u8, truncate: usize },
    Wait(u64),
}

fn mischief() -> impl Strategy<Value = Mischief> {
    let kinds = prop_oneof![0..15_u8, Just(130), Just(192), Just(0x84), any::<u8>()];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Mischief::Bytes),
        prop::collection::vec((kinds, any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 1..5)
            .prop_map(Mischief::Chunks),
        (any::<usize>(), any::<usize>(), any::<u8>(), any::<usize>())
            .prop_map(|(which, at, with, truncate)| Mischief::Mutate { which, at, with, truncate }),
        (0..4_000_u64).prop_map(Mischief::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// A peer that knows the tag may do as it likes: no panic, no livelock, bounded events.
    #[test]
    fn a_hostile_peer_breaks_nothing(seed: u64, acts in prop::collection::vec(mischief(), 1..60), connected: bool) {
        let mut pair = new_pair(Link { delay: Duration::from_millis(1), ..link() }, seed);
        let trace = pair.trace();
        let channel = pair.end_mut(0).open("x");
        if connected {
            pair.connect();
        } else {
            let now = pair.now();
            pair.end_mut(0).connect(now);
            pair.run_for(Duration::from_micros(1500)).unwrap();
        }
        let lossy = wigwag_sctp::ChannelConfig { reliability: wigwag_sctp::Reliability::MaxRetransmits(0), ..Default::default() };
        let second = pair.end_mut(0).open_channel(lossy);
        for act in acts {
            let _ = pair.end_mut(0).send(channel, PayloadKind::Binary, vec![1; 3000].into());
            if let Ok(second) = second {
                let _ = pair.end_mut(0).send(second, PayloadKind::Binary, vec![1; 3000].into());
            }
            let trace = trace.lock().unwrap().clone();
            let tag = trace.iter().rev().find(|(to, packet)| *to == 0 && tag_of(packet) != 0).map_or(0, |(_, packet)| tag_of(packet));
            let now = pair.now();
            match act {
                Mischief::Bytes(bytes) => pair.end_mut(0).handle_packet(now, &bytes),
                Mischief::Chunks(chunks) => {
                    let chunks: Vec<_> = chunks.iter().map(|(kind, flags, value)| (*kind, *flags, &value[..])).collect();
                    pair.end_mut(0).handle_packet(now, &packet(tag, &chunks));
                }
                Mischief::Mutate { which, at, with, truncate } if !trace.is_empty() => {
                    let mut bytes = trace[which % trace.len()].1.clone();
                    let len = bytes.len();
                    bytes[12 + at % (len - 12)] = with;
                    if truncate % 4 == 0 {
                        bytes.truncate(truncate % len);
                    }
                    checksum(&mut bytes);
                    pair.end_mut(0).handle_packet(now, &bytes);
                }
                Mischief::Mutate { .. } => {}
                Mischief::Wait(millis) => pair.run_for(Duration::from_millis(millis)).unwrap(),
            }
            pair.run_for(Duration::from_micros(300)).unwrap();
        }
        let now = pair.now();
        pair.end_mut(0).close(now);
        pair.run_for(Duration::from_secs(300)).unwrap();
    }
}
