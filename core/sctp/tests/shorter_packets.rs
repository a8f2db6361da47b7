//! Packets become shorter than what was sent in them: what that hinders, and what it doesn't.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Ends, Pair, connected_pair, link};
use wigwag_sctp::{ChannelConfig, ChannelId, CloseReason, Event, PayloadKind, Reliability, State};

const SECOND: Duration = Duration::from_secs(1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A channel whose message was cut for packets of 1,400 bytes and lost, one that has sent nothing, and packets of 1,000 bytes from now on.
fn shrunk(reliability: Reliability) -> (Pair, ChannelId, ChannelId) {
    let mut pair = connected_pair(link(), 1);
    pair.end_mut(0).room = 1400;
    let config = ChannelConfig { reliability, ..ChannelConfig::default() };
    let bulk = pair.end_mut(0).open_channel(config).unwrap();
    let chat = pair.end_mut(0).open("chat");
    pair.run_for(SECOND).unwrap();
    pair.set_loss(1.0);
    pair.end_mut(0).send(bulk, PayloadKind::Binary, vec![7; 5000].into()).unwrap();
    pair.run_for(ms(5)).unwrap();
    pair.set_loss(0.0);
    pair.end_mut(0).room = 1000;
    pair.run_for(SECOND).unwrap();
    (pair, bulk, chat)
}

fn say(pair: &mut Pair, channel: ChannelId) {
    pair.end_mut(0).send(channel, PayloadKind::Text, Bytes::from_static(b"hello")).unwrap();
}

fn texts(pair: &Pair) -> usize {
    let text = |event: &&Event| matches!(event, Event::Message { kind: PayloadKind::Text, .. });
    pair.end(1).events.iter().filter(text).count()
}

fn long_messages(pair: &Pair) -> usize {
    pair.end(1).messages().iter().filter(|(_, data)| data.len() >= 5000).count()
}

#[test]
fn other_channels_go_on_at_once() {
    let (mut pair, _, chat) = shrunk(Reliability::Reliable);
    assert_eq!(pair.end(0).stats().chunks_too_long, 3, "the last of the four pieces is short");
    for n in 1..=200 {
        say(&mut pair, chat);
        pair.run_for(ms(25)).unwrap();
        assert_eq!(texts(&pair), n, "a one-way trip, and no more");
        pair.run_for(ms(100)).unwrap();
    }
    // New channels and long messages both ways: all as ever.
    for n in 1..=20 {
        for end in [0, 1] {
            let long = pair.end_mut(end).open("long");
            pair.end_mut(end).send(long, PayloadKind::Binary, vec![1; 60_000].into()).unwrap();
        }
        pair.until(SECOND, |pair| long_messages(pair) == n && pair.end(0).messages().len() == n);
    }
    let stats = pair.end(0).stats();
    assert_eq!(stats.chunks_too_long, 3, "each is counted once");
    assert!(pair.both(|end| end.state() == State::Connected));
}

/// The peer resets a stream only when everything before has arrived. RFC 6525 section 5.2.2.
#[test]
fn a_channel_that_closes_waits_for_longer_packets() {
    let (mut pair, _, chat) = shrunk(Reliability::Reliable);
    say(&mut pair, chat);
    pair.end_mut(0).close_channel(chat);
    pair.run_for(10 * SECOND).unwrap();
    assert_eq!((texts(&pair), pair.end(0).closed_channels()), (1, 0));
    pair.end_mut(0).room = 1400;
    pair.until(5 * SECOND, |pair| pair.end(0).closed_channels() == 1 && pair.end(1).closed_channels() == 1);
}

#[test]
fn longer_packets_bring_the_rest() {
    for traffic in [false, true] {
        let (mut pair, _, chat) = shrunk(Reliability::Reliable);
        pair.run_for(20 * SECOND).unwrap();
        assert_eq!(long_messages(&pair), 0);
        pair.end_mut(0).room = 1400;
        if traffic {
            say(&mut pair, chat);
        }
        // With the next packet, or when T3-rtx expires.
        pair.until(if traffic { ms(100) } else { 4 * SECOND }, |pair| long_messages(pair) == 1);
        pair.run_for(SECOND).unwrap();
        assert!(pair.end(0).poll_timeout().unwrap() - pair.now() > 20 * SECOND, "nothing is left but the heartbeat");
    }
}

#[test]
fn its_own_channel_does_not_fill_the_window() {
    let (mut pair, bulk, chat) = shrunk(Reliability::Reliable);
    for _ in 0..30 {
        pair.end_mut(0).send(bulk, PayloadKind::Binary, vec![7; 50_000].into()).unwrap();
    }
    for n in 1..=50 {
        say(&mut pair, chat);
        pair.run_for(ms(50)).unwrap();
        assert_eq!(texts(&pair), n);
    }
    assert_eq!(pair.end(0).buffered_amount(bulk), 30 * 50_000);
    pair.end_mut(0).room = 1400;
    say(&mut pair, chat);
    pair.until(10 * SECOND, |pair| long_messages(pair) == 31);
}

#[test]
fn what_is_not_worth_waiting_for_is_given_up() {
    for reliability in
        [Reliability::MaxRetransmits(0), Reliability::MaxRetransmits(2), Reliability::MaxLifetime(ms(500))]
    {
        let (mut pair, bulk, _) = shrunk(reliability);
        pair.run_for(5 * SECOND).unwrap();
        assert_eq!(pair.end(0).stats().messages_abandoned, 1, "{reliability:?}");
        pair.end_mut(0).send(bulk, PayloadKind::Binary, vec![7; 6000].into()).unwrap();
        pair.until(SECOND, |pair| long_messages(pair) == 1);
        let now = pair.now();
        pair.end_mut(0).close(now);
        pair.until(5 * SECOND, |pair| pair.both(|end| end.state() == State::Closed));
    }
}

#[test]
fn with_nothing_else_to_do_the_association_ends() {
    for closing in [false, true] {
        let (mut pair, bulk, _) = shrunk(Reliability::Reliable);
        let start = pair.now();
        if closing {
            pair.end_mut(0).close(start);
        }
        pair.until(90 * SECOND, |pair| pair.end(0).state() == State::Closed);
        assert!(pair.now() - start > 30 * SECOND);
        assert!(pair.end(0).events.contains(&Event::ChannelClosed(bulk)));
        assert!(pair.end(0).events.contains(&Event::Closed { reason: CloseReason::TimedOut }));
    }
}

/// That many chunks may be outstanding, and the lost ones are the first of them.
#[test]
fn others_go_on_for_sixteen_thousand_chunks() {
    let (mut pair, _, chat) = shrunk(Reliability::Reliable);
    let start = pair.now();
    pair.until(Duration::from_secs(120), |pair| {
        while pair.end_mut(0).send(chat, PayloadKind::Text, Bytes::from_static(b"hello")).is_ok() {}
        pair.end(0).state() == State::Closed
    });
    let texts = texts(&pair);
    assert!((16_300..16_384).contains(&texts), "{texts}");
    assert!(pair.now() - start < 90 * SECOND);
    assert!(pair.end(0).events.contains(&Event::Closed { reason: CloseReason::TimedOut }));
}
