//! I-DATA (RFC 8260): who waits for whom, what is lost and given up between, and peers that can't.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Ends, Pair, chunk_types, link, pair_with};
use wigwag_net::Link;
use wigwag_proto::Instant;
use wigwag_sctp::{ChannelConfig, ChannelId, Config, Event, PayloadKind, Reliability, Scheduler};

const MINUTE: Duration = Duration::from_secs(60);
const I_DATA: u8 = 64;

fn config(interleaving: bool, scheduler: Scheduler) -> Config {
    Config { interleaving, scheduler, send_buffer: 8 << 20, ..Config::default() }
}

fn pair(link: Link, seed: u64, one: Config, two: Config) -> Pair {
    let mut pair = pair_with(link, seed, one, two);
    pair.connect();
    pair
}

/// 10 Mbit/s, 20 ms there and back, and a queue of `queue` bytes.
fn narrow(queue: usize) -> Link {
    Link { delay: Duration::from_millis(10), rate: Some(10_000_000), queue, ..Link::default() }
}

/// While one channel carries messages of `bulk` bytes without a pause, another asks every 50 ms: how long each answer took.
fn pings(one: Config, queue: usize, bulk: usize) -> Vec<Duration> {
    let mut pair = pair(narrow(queue), 1, one.clone(), one);
    let bulk_channel = pair.end_mut(0).open("bulk");
    let ping = pair.end_mut(0).open("ping");
    let payload = Bytes::from(vec![7; bulk]);
    let mut sent: Option<Instant> = None;
    let mut next = pair.now() + Duration::from_secs(3);
    let mut took = Vec::new();
    let (mut heard, mut answered) = (0, 0);
    while took.len() < 200 {
        while pair.end(0).buffered_amount(bulk_channel) < 2 << 20 {
            pair.end_mut(0).send(bulk_channel, PayloadKind::Binary, payload.clone()).unwrap();
        }
        let now = pair.now();
        if sent.is_none() && now >= next {
            pair.end_mut(0).send(ping, PayloadKind::Text, Bytes::from_static(b"?")).unwrap();
            sent = Some(now);
        }
        pair.run_for(Duration::from_millis(1)).unwrap();
        // What the other end hears on its channel of that name goes back at once.
        if let Some(there) = pair.named(1, "ping") {
            let count = |end: &common::End, id: ChannelId| {
                end.events.iter().filter(|it| matches!(it, Event::Message { channel, .. } if *channel == id)).count()
            };
            let asked = count(pair.end(1), there);
            if asked > heard {
                heard = asked;
                pair.end_mut(1).send(there, PayloadKind::Text, Bytes::from_static(b"!")).unwrap();
            }
            pair.end_mut(1).events.retain(|it| !matches!(it, Event::Message { channel, .. } if *channel != there));
            let answers = count(pair.end(0), ping);
            if answers > answered {
                answered = answers;
                let now = pair.now();
                took.push(now - sent.take().unwrap());
                next = now + Duration::from_millis(50);
            }
        }
    }
    took.sort();
    took
}

/// The bar: the queue's delay and the path's, and ten milliseconds.
#[test]
fn a_ping_does_not_wait_for_the_bulk_of_another_channel() {
    const QUEUE: usize = 25_000; // 20 ms, as long as the round trip
    let queueing = Duration::from_micros(QUEUE as u64 * 8 / 10);
    for bulk in [16 << 10, 256 << 10] {
        let took = pings(config(true, Scheduler::WeightedFair), QUEUE, bulk);
        let (median, most) = (took[took.len() / 2], took[took.len() * 95 / 100]);
        println!("bulk of {bulk}: median {median:?}, 95 of 100 within {most:?}");
        let limit = Duration::from_millis(20) + queueing + Duration::from_millis(10);
        assert!(most <= limit, "{most:?} of at most {limit:?}");
    }
    let took = pings(config(false, Scheduler::WeightedFair), QUEUE, 256 << 10);
    println!("without I-DATA: 95 of 100 within {:?}", took[took.len() * 95 / 100]);
    assert!(took[took.len() * 95 / 100] > Duration::from_millis(100), "or the test shows nothing");
}

/// Shares of the link, by priority: RFC 8831 section 6.4.
#[test]
fn priorities_are_weights_or_ranks() {
    for (scheduler, share) in
        [(Scheduler::WeightedFair, 0.76..0.84), (Scheduler::RoundRobin, 0.45..0.55), (Scheduler::Priority, 0.95..1.01)]
    {
        let mut pair = pair(narrow(25_000), 1, config(true, scheduler), config(true, scheduler));
        let channels = [1024, 256].map(|priority| {
            let label = priority.to_string();
            pair.end_mut(0).open_channel(ChannelConfig { label, priority, ..ChannelConfig::default() }).unwrap()
        });
        let payload = Bytes::from(vec![7; 100_000]);
        let mut heard = [0_u64; 2];
        for step in 0..10_000 {
            for channel in channels {
                while pair.end(0).buffered_amount(channel) < 500_000 {
                    pair.end_mut(0).send(channel, PayloadKind::Binary, payload.clone()).unwrap();
                }
            }
            pair.run_for(Duration::from_millis(1)).unwrap();
            let there = ["1024", "256"].map(|label| pair.named(1, label));
            for event in pair.end(1).events.iter().filter(|_| step > 1000) {
                let Event::Message { channel, data, .. } = event else { continue };
                let index = usize::from(there[1] == Some(*channel));
                heard[index] += data.len() as u64;
            }
            pair.end_mut(1).events.retain(|event| !matches!(event, Event::Message { .. }));
        }
        let ratio = heard[0] as f64 / (heard[0] + heard[1]) as f64;
        println!("{scheduler:?}: {ratio:.3} of the bytes for the channel with four times the priority");
        assert!(share.contains(&ratio), "{scheduler:?}: {ratio}");
    }
}

/// Every kind of channel at once, in both directions, through loss and reordering: what is reliable arrives, in order where that was asked for, and of the
/// rest nothing twice or torn.
#[test]
fn all_kinds_of_channels_at_once() {
    for seed in 0..12 {
        for (one, two) in [(true, true), (true, false), (false, true)] {
            let link = Link { loss: 0.05, jitter: Duration::from_millis(15), ..link() };
            let scheduler = [Scheduler::FirstCome, Scheduler::RoundRobin, Scheduler::WeightedFair, Scheduler::Priority]
                [seed as usize % 4];
            let mut pair = pair(link, seed, config(one, scheduler), config(two, scheduler));
            let trace = pair.trace();
            let mut opened = Vec::new();
            for (n, reliability) in [
                Reliability::Reliable,
                Reliability::Reliable,
                Reliability::MaxRetransmits(0),
                Reliability::MaxLifetime(Duration::from_millis(80)),
            ]
            .into_iter()
            .enumerate()
            {
                for ordered in [true, false] {
                    let config = ChannelConfig {
                        label: format!("{n}{ordered}"),
                        ordered,
                        reliability,
                        ..ChannelConfig::default()
                    };
                    opened.push((n, ordered, pair.end_mut(0).open_channel(config).unwrap()));
                }
            }
            let message = |channel: usize, n: usize| {
                let len = [5, 1000, 3000, 20_000, 60_000][(channel + n) % 5];
                let head = [channel as u8, n as u8];
                Bytes::from([&head[..], &vec![(channel * 31 + n) as u8; len]].concat())
            };
            for n in 0..20 {
                for (index, (_, _, channel)) in opened.iter().enumerate() {
                    pair.end_mut(0).send(*channel, PayloadKind::Binary, message(index, n)).unwrap();
                }
                pair.run_for(Duration::from_millis(100)).unwrap();
            }
            pair.until(10 * MINUTE, |pair| !pair.end(0).has_unsent());
            pair.run_for(MINUTE).unwrap();
            for (index, (n, ordered, channel)) in opened.iter().enumerate() {
                let label = &pair.end(0).channel(*channel).unwrap().config.label.clone();
                let there = pair.named(1, label).unwrap();
                let mut heard: Vec<u8> = Vec::new();
                for (on, data) in pair.end(1).messages() {
                    if on == there {
                        assert_eq!(data, message(index, data[1].into()), "seed {seed}: whole");
                        heard.push(data[1]);
                    }
                }
                if *ordered {
                    assert!(heard.is_sorted(), "seed {seed}, {label}: {heard:?}");
                }
                let count = heard.len();
                heard.sort();
                heard.dedup();
                assert_eq!(heard.len(), count, "nothing twice");
                assert!(
                    *n > 1 || count == 20,
                    "seed {seed}, {one} {two} {label}: {heard:?} {:?} {:?}",
                    pair.end(0).stats(),
                    pair.end(1).stats()
                );
            }
            let has_both = one && two;
            let trace = trace.lock().unwrap();
            let kinds = || trace.iter().flat_map(|(_, packet)| chunk_types(packet));
            assert_eq!(kinds().any(|kind| kind == I_DATA || kind == 194), has_both);
            assert_eq!(kinds().any(|kind| kind == 0 || kind == 192), !has_both);
            assert!(!has_both || kinds().any(|kind| kind == 194), "something was given up");
        }
    }
}

/// Eight messages of 256 KiB at once, and a peer with a window of 400 KB that takes nothing before its time: none waits for the room that the others have.
#[test]
fn long_messages_do_not_shut_each_other_out() {
    let two = Config { receive_window: 400_000, ..Config::default() };
    let one = Config { send_buffer: 4 << 20, ..Config::default() };
    let mut pair = pair(link(), 1, one, two);
    let channels: Vec<_> = (0..8).map(|n| pair.end_mut(0).open(&n.to_string())).collect();
    for channel in channels {
        pair.end_mut(0).send(channel, PayloadKind::Binary, Bytes::from(vec![1; 256 << 10])).unwrap();
    }
    pair.until(MINUTE, |pair| pair.end(1).messages().len() == 8);
}
