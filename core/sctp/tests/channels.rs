//! Channels: opened by either side, closed by either side, used again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Link, Pair};
use wigwag_sctp::{ChannelConfig, Config, Event, OpenError, PayloadKind, Reliability, SendError, State};

const MINUTE: Duration = Duration::from_secs(60);

fn closed(pair: &Pair, end: usize) -> usize {
    pair.events[end].iter().filter(|event| matches!(event, Event::ChannelClosed(_))).count()
}

#[test]
fn a_channel_is_announced_as_it_is() {
    let mut pair = Pair::connected(Link::default(), 1);
    let config = ChannelConfig {
        label: "position".into(),
        protocol: "v2".into(),
        ordered: false,
        reliability: Reliability::MaxLifetime(Duration::from_millis(150)),
        negotiated: None,
        priority: 512,
    };
    let ours = pair.ends[0].open_channel(config.clone()).unwrap();
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.named(1, "position").unwrap();
    let (here, there) = (pair.ends[0].channel(ours).unwrap(), pair.ends[1].channel(theirs).unwrap());
    assert_eq!((&here.config, &there.config), (&config, &config));
    assert_eq!((here.stream, there.stream, here.remote, there.remote), (Some(0), Some(0), false, true));
    assert!(pair.events[0].contains(&Event::ChannelOpened(ours)));
}

#[test]
fn both_sides_open_at_once() {
    let mut pair = Pair::new(Link::default(), 1);
    for n in 0..20 {
        pair.open(n % 2, &n.to_string());
    }
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let mut streams = Vec::new();
    for n in 0..20 {
        let theirs = pair.named(1 - n % 2, &n.to_string()).unwrap();
        streams.push(pair.ends[1 - n % 2].channel(theirs).unwrap().stream.unwrap());
    }
    streams.sort();
    assert_eq!(streams, (0..20).collect::<Vec<_>>());
}

#[test]
fn negotiated_channels_need_no_words() {
    let mut pair = Pair::connected(Link::default(), 1);
    let config = ChannelConfig { negotiated: Some(42), ordered: false, ..ChannelConfig::default() };
    let one = pair.ends[0].open_channel(config.clone()).unwrap();
    assert_eq!(pair.ends[0].open_channel(config.clone()), Err(OpenError::StreamInUse));
    pair.ends[0].send(one, PayloadKind::Text, Bytes::from_static(b"early")).unwrap();
    pair.run_for(Duration::from_millis(100));
    // The other side is late: what came before waits.
    let two = pair.ends[1].open_channel(config).unwrap();
    pair.ends[1].send(two, PayloadKind::Text, Bytes::from_static(b"late")).unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.messages(1), [(two, Bytes::from_static(b"early"))]);
    assert_eq!(pair.messages(0), [(one, Bytes::from_static(b"late"))]);
}

#[test]
fn closing_flushes_both_ways() {
    for (loss, closers) in [(0, &[0][..]), (10, &[0]), (10, &[0, 1]), (20, &[1])] {
        for seed in 0..5 {
            let mut pair = Pair::connected(Link { loss, jitter: Duration::from_millis(10), ..Link::default() }, seed);
            let ours = pair.open(0, "x");
            pair.run_until(MINUTE, |pair| pair.named(1, "x").is_some());
            let theirs = pair.named(1, "x").unwrap();
            for _ in 0..30 {
                pair.ends[0].send(ours, PayloadKind::Binary, vec![0; 9000].into()).unwrap();
                pair.ends[1].send(theirs, PayloadKind::Binary, vec![1; 9000].into()).unwrap();
            }
            for &end in closers {
                pair.ends[end].close_channel([ours, theirs][end]);
                assert_eq!(
                    pair.ends[end].send([ours, theirs][end], PayloadKind::Text, Bytes::new()),
                    Err(SendError::Closed)
                );
            }
            pair.run_until(MINUTE * 3, |pair| closed(pair, 0) == 1 && closed(pair, 1) == 1);
            assert_eq!((pair.messages(0).len(), pair.messages(1).len()), (30, 30));
            assert_eq!(pair.ends[0].channel(ours), None);
            assert_eq!(pair.ends[0].buffered_amount(ours), 0);
        }
    }
}

#[test]
fn closing_before_the_association_is_up() {
    let mut pair = Pair::new(Link::default(), 1);
    let channel = pair.open(0, "short");
    pair.ends[0].send(channel, PayloadKind::Text, Bytes::from_static(b"hello")).unwrap();
    pair.ends[0].close_channel(channel);
    pair.connect();
    pair.run_until(MINUTE, |pair| closed(pair, 0) == 1 && closed(pair, 1) == 1);
    assert_eq!(pair.messages(1).len(), 1);
}

#[test]
fn a_thousand_channels_one_after_another() {
    for (seed, loss) in [(1, 0), (2, 5)] {
        let mut pair = Pair::connected(Link { loss, delay: Duration::from_millis(5), ..Link::default() }, seed);
        for n in 0..1000 {
            let end = n % 2;
            let channel = pair.open(end, "again");
            pair.ends[end].send(channel, PayloadKind::Text, Bytes::from(n.to_string())).unwrap();
            if n % 3 == 0 {
                pair.run_for(Duration::from_millis(3));
            }
            pair.ends[end].close_channel(channel);
            pair.run_until(MINUTE * 3, |pair| {
                pair.messages(1 - end).len() == 1 && closed(pair, 0) == 1 && closed(pair, 1) == 1
            });
            assert_eq!(pair.messages(1 - end)[0].1, n.to_string());
            pair.events = [Vec::new(), Vec::new()];
        }
        let last = pair.open(0, "last");
        assert!(pair.ends[0].channel(last).unwrap().stream.unwrap() < 10, "identifiers are used again");
    }
}

#[test]
fn many_channels_at_once_closed_at_once() {
    let mut pair = Pair::connected(Link { loss: 2, ..Link::default() }, 3);
    let channels: Vec<_> = (0..1000).map(|n| pair.open(0, &n.to_string())).collect();
    pair.run_until(MINUTE, |pair| pair.events[1].len() >= 1000);
    for channel in channels {
        pair.ends[0].close_channel(channel);
    }
    pair.run_until(MINUTE, |pair| closed(pair, 0) == 1000 && closed(pair, 1) == 1000);
}

#[test]
fn bounds_are_kept() {
    let small = Config { max_channels: 10, max_message_size: 1000, ..Config::default() };
    let mut pair = Pair::with(Link::default(), 1, Config::default(), small);
    pair.connect();
    let channels: Vec<_> = (0..20).map(|n| pair.open(0, &n.to_string())).collect();
    pair.run_for(Duration::from_secs(2));
    let opened = pair.events[1].iter().filter(|event| matches!(event, Event::ChannelOpened(_))).count();
    assert_eq!(opened, 10);
    assert_eq!(pair.ends[1].open_channel(ChannelConfig::default()), Err(OpenError::TooMany));
    // Too long for the other side: that channel closes, the others stay.
    pair.events = [Vec::new(), Vec::new()];
    pair.ends[0].send(channels[0], PayloadKind::Binary, vec![0; 1001].into()).unwrap();
    pair.ends[0].send(channels[1], PayloadKind::Binary, vec![0; 1000].into()).unwrap();
    pair.run_for(Duration::from_secs(2));
    assert!(pair.events[0].contains(&Event::ChannelClosed(channels[0])));
    assert_eq!(pair.messages(1).len(), 1);
    assert!(pair.ends.iter().all(|end| end.state() == State::Connected));
    let label = "x".repeat(65_536);
    assert_eq!(pair.ends[0].open_channel(ChannelConfig { label, ..Default::default() }), Err(OpenError::LabelTooLong));
}

#[test]
fn the_buffered_amount_is_told() {
    let mut pair = Pair::connected(Link::default(), 1);
    let channel = pair.open(0, "x");
    pair.ends[0].set_buffered_amount_low_threshold(channel, 10_000);
    pair.ends[0].send(channel, PayloadKind::Binary, vec![0; 100_000].into()).unwrap();
    assert_eq!(pair.ends[0].buffered_amount(channel), 100_000);
    pair.run_until(MINUTE, |pair| pair.events[0].contains(&Event::BufferedAmountLow(channel)));
    assert!(pair.ends[0].buffered_amount(channel) <= 10_000);
    pair.run_until(MINUTE, |pair| pair.messages(1).len() == 1);
    assert_eq!(pair.ends[0].buffered_amount(channel), 0);
}

#[test]
fn nobody_starves() {
    let mut pair = Pair::connected(Link { delay: Duration::from_millis(1), ..Link::default() }, 1);
    let (bulk, chat) = (pair.open(0, "bulk"), pair.open(0, "chat"));
    pair.run_for(Duration::from_millis(100));
    for _ in 0..20 {
        pair.ends[0].send(bulk, PayloadKind::Binary, vec![0; 60_000].into()).unwrap();
    }
    for _ in 0..5 {
        pair.ends[0].send(chat, PayloadKind::Text, Bytes::from_static(b"hi")).unwrap();
    }
    pair.run_until(MINUTE, |pair| pair.messages(1).len() == 25);
    let places: Vec<_> =
        pair.messages(1).iter().enumerate().filter(|(_, (_, data))| data.len() == 2).map(|(place, _)| place).collect();
    assert_eq!(places, [1, 3, 5, 7, 9], "turn by turn");
}

#[test]
fn it_may_live_anywhere() {
    fn movable<T: Send + Sync + 'static>() {}
    movable::<wigwag_sctp::Association>();
}
