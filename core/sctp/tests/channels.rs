//! Channels: opened by either side, closed by either side, used again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Ends, Pair, connected_pair, link, new_pair, pair_with};
use wigwag_net::Link;
use wigwag_sctp::{ChannelConfig, Config, Event, OpenError, PayloadKind, Reliability, Scheduler, SendError, State};

const MINUTE: Duration = Duration::from_secs(60);

fn closed(pair: &Pair, end: usize) -> usize {
    pair.end(end).closed_channels()
}

#[test]
fn a_channel_is_announced_as_it_is() {
    let mut pair = connected_pair(link(), 1);
    let config = ChannelConfig {
        label: "position".into(),
        protocol: "v2".into(),
        ordered: false,
        reliability: Reliability::MaxLifetime(Duration::from_millis(150)),
        negotiated: None,
        priority: 512,
    };
    let ours = pair.end_mut(0).open_channel(config.clone()).unwrap();
    pair.run_for(Duration::from_millis(100)).unwrap();
    let theirs = pair.named(1, "position").unwrap();
    let (here, there) = (pair.end(0).channel(ours).unwrap(), pair.end(1).channel(theirs).unwrap());
    assert_eq!((&here.config, &there.config), (&config, &config));
    assert_eq!((here.stream, there.stream, here.remote, there.remote), (Some(0), Some(0), false, true));
    assert!(pair.end(0).events.contains(&Event::ChannelOpened(ours)));
}

#[test]
fn both_sides_open_at_once() {
    let mut pair = new_pair(link(), 1);
    for n in 0..20 {
        pair.end_mut(n % 2).open(&n.to_string());
    }
    pair.connect();
    pair.run_for(Duration::from_secs(1)).unwrap();
    let mut streams = Vec::new();
    for n in 0..20 {
        let theirs = pair.named(1 - n % 2, &n.to_string()).unwrap();
        streams.push(pair.end(1 - n % 2).channel(theirs).unwrap().stream.unwrap());
    }
    streams.sort();
    assert_eq!(streams, (0..20).collect::<Vec<_>>());
}

#[test]
fn negotiated_channels_need_no_words() {
    let mut pair = connected_pair(link(), 1);
    let config = ChannelConfig { negotiated: Some(42), ordered: false, ..ChannelConfig::default() };
    let one = pair.end_mut(0).open_channel(config.clone()).unwrap();
    assert_eq!(pair.end_mut(0).open_channel(config.clone()), Err(OpenError::StreamInUse));
    pair.end_mut(0).send(one, PayloadKind::Text, Bytes::from_static(b"early")).unwrap();
    pair.run_for(Duration::from_millis(100)).unwrap();
    // The other side is late: what came before waits.
    let two = pair.end_mut(1).open_channel(config).unwrap();
    pair.end_mut(1).send(two, PayloadKind::Text, Bytes::from_static(b"late")).unwrap();
    pair.run_for(Duration::from_millis(100)).unwrap();
    assert_eq!(pair.end(1).messages(), [(two, Bytes::from_static(b"early"))]);
    assert_eq!(pair.end(0).messages(), [(one, Bytes::from_static(b"late"))]);
}

#[test]
fn closing_flushes_both_ways() {
    for (loss, closers) in [(0.0, &[0][..]), (0.1, &[0]), (0.1, &[0, 1]), (0.2, &[1])] {
        for seed in 0..5 {
            let mut pair = connected_pair(Link { loss, jitter: Duration::from_millis(10), ..link() }, seed);
            let ours = pair.end_mut(0).open("x");
            pair.until(MINUTE, |pair| pair.named(1, "x").is_some());
            let theirs = pair.named(1, "x").unwrap();
            for _ in 0..30 {
                pair.end_mut(0).send(ours, PayloadKind::Binary, vec![0; 9000].into()).unwrap();
                pair.end_mut(1).send(theirs, PayloadKind::Binary, vec![1; 9000].into()).unwrap();
            }
            for &end in closers {
                pair.end_mut(end).close_channel([ours, theirs][end]);
                assert_eq!(
                    pair.end_mut(end).send([ours, theirs][end], PayloadKind::Text, Bytes::new()),
                    Err(SendError::Closed)
                );
            }
            pair.until(MINUTE * 3, |pair| closed(pair, 0) == 1 && closed(pair, 1) == 1);
            assert_eq!((pair.end(0).messages().len(), pair.end(1).messages().len()), (30, 30));
            assert_eq!(pair.end(0).channel(ours), None);
            assert_eq!(pair.end(0).buffered_amount(ours), 0);
        }
    }
}

#[test]
fn closing_before_the_association_is_up() {
    let mut pair = new_pair(link(), 1);
    let channel = pair.end_mut(0).open("short");
    pair.end_mut(0).send(channel, PayloadKind::Text, Bytes::from_static(b"hello")).unwrap();
    pair.end_mut(0).close_channel(channel);
    pair.connect();
    pair.until(MINUTE, |pair| closed(pair, 0) == 1 && closed(pair, 1) == 1);
    assert_eq!(pair.end(1).messages().len(), 1);
}

#[test]
fn a_thousand_channels_one_after_another() {
    for (seed, loss) in [(1, 0.0), (2, 0.05)] {
        let mut pair = connected_pair(Link { loss, delay: Duration::from_millis(5), ..link() }, seed);
        for n in 0..1000 {
            let end = n % 2;
            let channel = pair.end_mut(end).open("again");
            pair.end_mut(end).send(channel, PayloadKind::Text, Bytes::from(n.to_string())).unwrap();
            if n % 3 == 0 {
                pair.run_for(Duration::from_millis(3)).unwrap();
            }
            pair.end_mut(end).close_channel(channel);
            pair.until(MINUTE * 3, |pair| {
                pair.end(1 - end).messages().len() == 1 && closed(pair, 0) == 1 && closed(pair, 1) == 1
            });
            assert_eq!(pair.end(1 - end).messages()[0].1, n.to_string());
            (0..2).for_each(|end| pair.end_mut(end).events.clear());
        }
        let last = pair.end_mut(0).open("last");
        assert!(pair.end(0).channel(last).unwrap().stream.unwrap() < 10, "identifiers are used again");
    }
}

#[test]
fn many_channels_at_once_closed_at_once() {
    let mut pair = connected_pair(Link { loss: 0.02, ..link() }, 3);
    let channels: Vec<_> = (0..1000).map(|n| pair.end_mut(0).open(&n.to_string())).collect();
    pair.until(MINUTE, |pair| pair.end(1).events.len() >= 1000);
    for channel in channels {
        pair.end_mut(0).close_channel(channel);
    }
    pair.until(MINUTE, |pair| closed(pair, 0) == 1000 && closed(pair, 1) == 1000);
}

#[test]
fn bounds_are_kept() {
    let small = Config { max_channels: 10, max_message_size: 1000, ..Config::default() };
    let mut pair = pair_with(link(), 1, Config::default(), small);
    pair.connect();
    let channels: Vec<_> = (0..20).map(|n| pair.end_mut(0).open(&n.to_string())).collect();
    pair.run_for(Duration::from_secs(2)).unwrap();
    let opened = pair.end(1).events.iter().filter(|event| matches!(event, Event::ChannelOpened(_))).count();
    assert_eq!(opened, 10);
    assert_eq!(pair.end_mut(1).open_channel(ChannelConfig::default()), Err(OpenError::TooMany));
    // Too long for the other side: that channel closes, the others stay.
    (0..2).for_each(|end| pair.end_mut(end).events.clear());
    pair.end_mut(0).send(channels[0], PayloadKind::Binary, vec![0; 1001].into()).unwrap();
    pair.end_mut(0).send(channels[1], PayloadKind::Binary, vec![0; 1000].into()).unwrap();
    pair.run_for(Duration::from_secs(2)).unwrap();
    assert!(pair.end(0).events.contains(&Event::ChannelClosed(channels[0])));
    assert_eq!(pair.end(1).messages().len(), 1);
    assert!(pair.both(|end| end.state() == State::Connected));
    let label = "x".repeat(65_536);
    assert_eq!(
        pair.end_mut(0).open_channel(ChannelConfig { label, ..Default::default() }),
        Err(OpenError::LabelTooLong)
    );
}

#[test]
fn the_buffered_amount_is_told() {
    let mut pair = connected_pair(link(), 1);
    let channel = pair.end_mut(0).open("x");
    pair.end_mut(0).set_buffered_amount_low_threshold(channel, 10_000);
    pair.end_mut(0).send(channel, PayloadKind::Binary, vec![0; 100_000].into()).unwrap();
    assert_eq!(pair.end(0).buffered_amount(channel), 100_000);
    pair.until(MINUTE, |pair| pair.end(0).events.contains(&Event::BufferedAmountLow(channel)));
    assert!(pair.end(0).buffered_amount(channel) <= 10_000);
    pair.until(MINUTE, |pair| pair.end(1).messages().len() == 1);
    assert_eq!(pair.end(0).buffered_amount(channel), 0);
}

#[test]
fn nobody_starves() {
    for (scheduler, interleaving, expected) in [
        (Scheduler::RoundRobin, false, [1, 3, 5, 7, 9]),
        (Scheduler::WeightedFair, false, [0, 1, 2, 3, 4]),
        (Scheduler::WeightedFair, true, [0, 1, 2, 3, 4]),
        (Scheduler::FirstCome, true, [20, 21, 22, 23, 24]),
    ] {
        let config = Config { scheduler, interleaving, ..Config::default() };
        let places = places_of_short_messages(config);
        assert_eq!(places, expected, "{scheduler:?}, interleaving: {interleaving}");
    }
}

fn places_of_short_messages(config: Config) -> Vec<usize> {
    let link = Link { delay: Duration::from_millis(1), ..link() };
    let mut pair = pair_with(link, 1, config.clone(), config);
    pair.connect();
    let (bulk, chat) = (pair.end_mut(0).open("bulk"), pair.end_mut(0).open("chat"));
    pair.run_for(Duration::from_millis(100)).unwrap();
    for _ in 0..20 {
        pair.end_mut(0).send(bulk, PayloadKind::Binary, vec![0; 60_000].into()).unwrap();
    }
    for _ in 0..5 {
        pair.end_mut(0).send(chat, PayloadKind::Text, Bytes::from_static(b"hi")).unwrap();
    }
    pair.until(MINUTE, |pair| pair.end(1).messages().len() == 25);
    let messages = pair.end(1).messages();
    messages.iter().enumerate().filter(|(_, (_, data))| data.len() == 2).map(|(place, _)| place).collect()
}

#[test]
fn it_may_live_anywhere() {
    fn movable<T: Send + Sync + 'static>() {}
    movable::<wigwag_sctp::Association>();
}

/// Found by the fuzzer's sessions of the seeds 100057 and 100255: the window was full of messages for a channel that only the
/// other side had negotiated, and nothing else came through any more.
#[test]
fn what_waits_for_its_channel_leaves_room_in_a_small_window() {
    let config = || Config { receive_window: 64 << 10, max_message_size: 32 << 10, ..Config::default() };
    let mut pair = pair_with(link(), 1, config(), config());
    pair.connect();
    let (nobodys, chat) = {
        let end = pair.end_mut(0);
        let negotiated = ChannelConfig { negotiated: Some(700), ..ChannelConfig::default() };
        (end.open_channel(negotiated).unwrap(), end.open("chat"))
    };
    for _ in 0..10 {
        pair.end_mut(0).send(nobodys, PayloadKind::Binary, vec![7; 16 << 10].into()).unwrap();
    }
    pair.end_mut(0).send(chat, PayloadKind::Text, Bytes::from_static(b"hello")).unwrap();
    pair.until(Duration::from_secs(20), |pair| pair.end(1).messages().iter().any(|(_, data)| data == "hello"));
}
