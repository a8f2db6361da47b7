//! Messages over links that lose, reorder, repeat and spoil.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Link, Pair};
use rand::RngExt;
use wigwag_proto::Instant;
use wigwag_sctp::{ChannelConfig, Config, Event, PayloadKind, Reliability, SendError, State};

const MINUTES: Duration = Duration::from_secs(600);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A message that can be told from all others.
fn message(n: usize, len: usize) -> Bytes {
    let mut bytes: Vec<u8> = (0..len).map(|k| (k * 7 + n) as u8).collect();
    let head = (n as u32).to_be_bytes();
    let len = bytes.len().min(4);
    bytes[..len].copy_from_slice(&head[4 - len..]);
    bytes.into()
}

/// Both ways, `count` messages of mixed lengths on one ordered channel.
fn both_ways(mut pair: Pair, count: usize) -> Pair {
    pair.connect();
    let there = pair.open(0, "there");
    let back = pair.open(1, "back");
    let lengths = |n: usize| [0, 1, 3, 64, 700, 1150, 1300, 5000, 16_384, 70_000][n % 10];
    let mut next = [0, 0];
    let (mut seen, mut wrong) = ([0, 0], 0);
    pair.run_until(MINUTES * 6, |pair| {
        for (end, channel) in [(0, there), (1, back)] {
            while next[end] < count {
                let data = message(next[end], lengths(next[end]));
                match pair.ends[end].send(channel, PayloadKind::Binary, data) {
                    Ok(()) => next[end] += 1,
                    Err(error) => {
                        assert_eq!(error, SendError::Full);
                        break;
                    }
                }
            }
        }
        for end in [0, 1] {
            for (_, data) in pair.messages(end) {
                wrong += usize::from(data != message(seen[end], lengths(seen[end])));
                seen[end] += 1;
            }
            pair.events[end].retain(|event| !matches!(event, Event::Message { .. }));
        }
        seen == [count, count]
    });
    assert_eq!(wrong, 0);
    pair
}

#[test]
fn a_clean_link() {
    let pair = both_ways(Pair::new(Link::default(), 1), 300);
    for end in &pair.ends {
        assert_eq!(end.stats().retransmissions, 0);
        assert_eq!(end.stats().timeouts, 0);
    }
}

#[test]
fn loss_up_to_forty_per_cent() {
    for (seed, loss) in [(1, 1), (2, 5), (3, 10), (4, 20), (5, 40)] {
        let config = Config { max_retransmits: None, max_init_retransmits: None, ..Config::default() };
        let link = Link { loss, jitter: ms(3), ..Link::default() };
        both_ways(Pair::with(link, seed, config.clone(), config), 100);
    }
}

#[test]
fn everything_at_once() {
    for seed in 0..20 {
        let link = Link { loss: 5, jitter: ms(30), duplication: 20, corruption: 5, ..Link::default() };
        let pair = both_ways(Pair::new(link, seed), 60);
        assert!(pair.ends[0].stats().bad_checksum > 0);
    }
}

#[test]
fn reordering_is_not_loss() {
    let link = Link { delay: ms(50), jitter: ms(10), ..Link::default() };
    let pair = both_ways(Pair::new(link, 3), 300);
    let stats = pair.ends[0].stats();
    assert!(stats.retransmissions * 20 < stats.packets_sent, "{stats:?}");
    assert_eq!(stats.timeouts, 0);
}

#[test]
fn numbers_wrap_around() {
    for initial in [u32::MAX, u32::MAX - 1, u32::MAX - 50, u32::MAX / 2 - 10, 0] {
        let config = Config { initial_tsn: Some(initial), ..Config::default() };
        let link = Link { loss: 5, ..Link::default() };
        both_ways(Pair::with(link, 9, config.clone(), config), 80);
    }
}

#[test]
fn stream_sequence_numbers_wrap_around() {
    let mut pair = Pair::connected(Link { delay: ms(1), loss: 1, ..Link::default() }, 4);
    let channel = pair.open(0, "many");
    let (mut next, mut seen) = (0_u32, 0_u32);
    pair.run_until(MINUTES, |pair| {
        while next < 70_000
            && pair.ends[0].send(channel, PayloadKind::Binary, Bytes::copy_from_slice(&next.to_be_bytes())).is_ok()
        {
            next += 1;
        }
        for event in pair.events[1].drain(..) {
            if let Event::Message { data, .. } = event {
                assert_eq!(data, seen.to_be_bytes()[..]);
                seen += 1;
            }
        }
        seen == 70_000
    });
}

#[test]
fn twenty_channels_each_in_order() {
    let mut pair = Pair::connected(Link { loss: 3, jitter: ms(5), ..Link::default() }, 5);
    let channels: Vec<_> = (0..20).map(|n| pair.open(n % 2, &n.to_string())).collect();
    for k in 0..50 {
        for (n, &channel) in channels.iter().enumerate() {
            let len = pair.random.random_range(1..4000);
            let mut data = vec![n as u8; len + 1];
            data[0] = k;
            pair.ends[n % 2].send(channel, PayloadKind::Binary, data.into()).unwrap();
        }
    }
    let mut next = [0; 20];
    let mut total = 0;
    pair.run_until(MINUTES, |pair| {
        for end in [0, 1] {
            for (channel, data) in pair.messages(end) {
                let n: usize = pair.ends[end].channel(channel).unwrap().config.label.parse().unwrap();
                assert_eq!(data[0], next[n]);
                assert!(data[1..].iter().all(|&byte| usize::from(byte) == n));
                next[n] += 1;
                total += 1;
            }
            pair.events[end].retain(|event| !matches!(event, Event::Message { .. }));
        }
        total == 20 * 50
    });
}

#[test]
fn a_long_message() {
    let config = Config { max_message_size: 20 << 20, peer_max_message_size: 20 << 20, ..Config::default() };
    let link = Link { loss: 1, ..Link::default() };
    let mut pair = Pair::with(link, 6, config.clone(), config);
    pair.connect();
    let channel = pair.open(0, "long");
    let data = message(1, 10 << 20);
    pair.ends[0].send(channel, PayloadKind::Binary, data.clone()).unwrap();
    assert_eq!(pair.ends[0].send(channel, PayloadKind::Binary, message(2, 2000)), Err(SendError::Full));
    pair.run_until(MINUTES, |pair| !pair.messages(1).is_empty());
    assert!(pair.messages(1)[0].1 == data);
    assert!(pair.events[0].contains(&Event::Writable));
    let too_long = Bytes::from(vec![0; (20 << 20) + 1]);
    assert_eq!(pair.ends[0].send(channel, PayloadKind::Binary, too_long), Err(SendError::TooLarge));
}

#[test]
fn unordered_messages_arrive_once() {
    let mut pair = Pair::connected(Link { loss: 10, jitter: ms(10), duplication: 10, ..Link::default() }, 7);
    let config = ChannelConfig { ordered: false, ..ChannelConfig::default() };
    let channel = pair.ends[0].open_channel(config).unwrap();
    pair.run_for(ms(500));
    for n in 0..500 {
        pair.ends[0].send(channel, PayloadKind::Binary, message(n, 4 + n * 5)).unwrap();
    }
    pair.run_until(MINUTES, |pair| pair.messages(1).len() == 500);
    pair.run_for(Duration::from_secs(5));
    let mut got: Vec<_> = pair.messages(1).into_iter().map(|(_, data)| data).collect();
    assert!(!got.is_sorted_by_key(|data| data.len()), "some came out of order");
    got.sort();
    let mut sent: Vec<_> = (0..500).map(|n| message(n, 4 + n * 5)).collect();
    sent.sort();
    assert!(got == sent);
}

#[test]
fn what_is_not_worth_repeating_is_given_up() {
    for (seed, reliability) in [
        (1, Reliability::MaxRetransmits(0)),
        (2, Reliability::MaxRetransmits(1)),
        (3, Reliability::MaxLifetime(ms(100))),
    ] {
        for ordered in [true, false] {
            let mut pair = Pair::connected(Link { loss: 20, ..Link::default() }, seed);
            let config = ChannelConfig { ordered, reliability, ..ChannelConfig::default() };
            let lossy = pair.ends[0].open_channel(config).unwrap();
            let reliable = pair.open(0, "reliable");
            pair.run_for(Duration::from_secs(5));
            for n in 0..300 {
                pair.ends[0].send(lossy, PayloadKind::Binary, message(n, 2000)).unwrap();
                pair.ends[0].send(reliable, PayloadKind::Text, message(n, 50)).unwrap();
                pair.run_for(ms(10));
            }
            pair.run_until(MINUTES, |pair| {
                let texts = pair.events[1]
                    .iter()
                    .filter(|event| matches!(event, Event::Message { kind: PayloadKind::Text, .. }));
                texts.count() == 300
            });
            pair.run_for(Duration::from_secs(10));
            let got: Vec<_> =
                pair.messages(1).into_iter().filter(|(_, data)| data.len() == 2000).map(|(_, data)| data).collect();
            let number = |data: &Bytes| u32::from_be_bytes(data[..4].try_into().unwrap());
            assert!(got.len() > 50 && got.len() < 300, "{} of 300", got.len());
            assert!(pair.ends[0].stats().messages_abandoned > 0);
            assert!(!ordered || got.is_sorted_by_key(number));
            assert!(got.iter().all(|data| *data == message(number(data) as usize, 2000)));
            // Nothing is left behind that would keep the association from ending.
            let now = pair.now;
            pair.ends[0].close(now);
            pair.run_until(MINUTES, |pair| pair.ends.iter().all(|end| end.state() == State::Closed));
        }
    }
}

#[test]
fn a_slow_consumer_slows_the_sender() {
    let mut pair = Pair::connected(Link::default(), 8);
    let channel = pair.open(0, "slow");
    pair.run_for(ms(200));
    pair.consuming[1] = false;
    let mut sent = 0;
    for _ in 0..200 {
        while pair.ends[0].send(channel, PayloadKind::Binary, message(sent, 10_000)).is_ok() {
            sent += 1;
        }
        pair.run_for(ms(100));
    }
    // What was accepted is what the receiver's window, and the send buffer hold: 3 MiB and a bit.
    assert!(sent * 10_000 < 4 << 20, "{sent}");
    assert_eq!(pair.ends[0].state(), State::Connected, "a window that is shut is no death");
    let mut taken = 0;
    while taken < sent {
        let mut messages = Vec::new();
        while let Some(event) = pair.ends[1].poll_event() {
            if let Event::Message { data, .. } = event {
                messages.push(data);
            }
            if messages.len() == 5 {
                break;
            }
        }
        for data in messages {
            assert_eq!(data, message(taken, 10_000));
            taken += 1;
        }
        pair.run_for(ms(50));
        assert!(pair.now < Instant(0) + MINUTES);
    }
}

#[test]
fn a_lost_window_update_is_probed_for() {
    let mut pair = Pair::connected(Link::default(), 8);
    let channel = pair.open(0, "slow");
    pair.run_for(ms(200));
    pair.consuming[1] = false;
    for n in 0..180 {
        pair.ends[0].send(channel, PayloadKind::Binary, message(n, 10_000)).unwrap();
    }
    pair.run_for(Duration::from_secs(20));
    pair.link.loss = 100;
    pair.consuming[1] = true;
    pair.run_for(ms(50));
    pair.link.loss = 0;
    pair.run_until(Duration::from_secs(20), |pair| pair.messages(1).len() == 180);
}

#[test]
fn one_packet_per_wake_is_slow_but_works() {
    let mut pair = Pair::new(Link { loss: 2, ..Link::default() }, 10);
    pair.lazy = true;
    both_ways(pair, 50);
}

#[test]
fn full_packets_have_one_length() {
    for room in [1200, 1201, 1203, 1158, 1400] {
        let mut pair = Pair::connected(Link::default(), 11);
        pair.room = room;
        let channel = pair.open(0, "bulk");
        pair.run_for(ms(200));
        for n in 0..20 {
            pair.ends[0].send(channel, PayloadKind::Binary, message(n, 16_384 + n)).unwrap();
        }
        pair.trace = Some(Vec::new());
        pair.run_until(MINUTES, |pair| pair.messages(1).len() == 20);
        let lengths: Vec<_> =
            pair.trace.take().unwrap().into_iter().filter(|(to, _)| *to == 1).map(|(_, packet)| packet.len()).collect();
        let full = room & !3;
        let short = lengths.iter().filter(|&&len| len != full).count();
        assert!(short <= 3, "{short} of {} packets are not {full} long: {lengths:?}", lengths.len());
    }
}

#[test]
fn same_seed_same_bytes() {
    let run = || {
        let mut pair =
            Pair::new(Link { loss: 10, jitter: ms(20), duplication: 5, corruption: 2, ..Link::default() }, 77);
        pair.trace = Some(Vec::new());
        both_ways(pair, 40).trace.unwrap()
    };
    assert!(run() == run());
}

#[test]
fn a_peer_that_is_gone_is_noticed() {
    // With data on its way, and idle.
    for busy in [true, false] {
        let mut pair = Pair::connected(Link::default(), 12);
        let channel = pair.open(0, "x");
        pair.run_for(ms(200));
        pair.link.loss = 100;
        if busy {
            pair.ends[0].send(channel, PayloadKind::Text, message(1, 10)).unwrap();
        }
        let started = pair.now;
        pair.run_until(Duration::from_secs(200), |pair| pair.ends[0].state() == State::Closed);
        let took = pair.now - started;
        assert!(took > Duration::from_secs(20), "{took:?} {:?}", pair.ends[0].stats());
        pair.run_for(Duration::from_secs(300));
        assert_eq!(pair.ends[0].poll_timeout(), None);
        assert!(!pair.ends[0].can_transmit());
        assert!(pair.events[0].contains(&Event::ChannelClosed(channel)));
    }
}

#[test]
fn a_path_that_pauses_resumes() {
    let mut pair = Pair::connected(Link::default(), 13);
    let channel = pair.open(0, "x");
    for n in 0..100 {
        pair.ends[0].send(channel, PayloadKind::Binary, message(n, 10_000)).unwrap();
    }
    pair.run_for(ms(130));
    pair.link.loss = 100;
    pair.run_for(Duration::from_secs(20));
    pair.link.loss = 0;
    pair.run_until(Duration::from_secs(6), |pair| pair.messages(1).len() == 100);
}
