//! What an association holds: little before traffic, and little again soon after it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "../../../tests/lib/counting.rs"]
mod counting;

use std::time::Duration;

use common::{Ends, Pair, connected_pair, link};
use counting::held_by;
use wigwag_net::Link;
use wigwag_sctp::{ChannelId, PayloadKind, State};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A channel each way, ready to be used.
fn two_channels(link: Link, seed: u64) -> (Pair, [ChannelId; 2]) {
    let mut pair = connected_pair(link, seed);
    let channels = [0, 1].map(|end| pair.end_mut(end).open(&end.to_string()));
    pair.run_for(Duration::from_secs(2)).unwrap();
    (pair, channels)
}

/// `count` messages each way.
fn traffic(pair: &mut Pair, channels: [ChannelId; 2], len: usize, count: usize) {
    let mut sent = [0, 0];
    pair.until(MINUTE, |pair| {
        for end in [0, 1] {
            let end_mut = pair.end_mut(end);
            while sent[end] < count && end_mut.send(channels[end], PayloadKind::Binary, vec![7; len].into()).is_ok() {
                sent[end] += 1;
            }
        }
        pair.both(|end| end.messages().len() == count)
    });
    (0..2).for_each(|end| pair.end_mut(end).events = Vec::new());
}

/// Bytes on the heap that each end's association keeps.
fn held(mut pair: Pair) -> [usize; 2] {
    let hosts = [pair.host(0), pair.host(1)];
    hosts.map(|host| held_by(pair.remove(host).unwrap().association))
}

/// Messages of few bytes and of many, on paths that lose nothing or something.
const TRANSFERS: [(f64, usize, usize); 4] =
    [(0.0, 64, 5000), (0.0, 16 << 10, 300), (0.02, 16 << 10, 100), (0.0, 200_000, 20)];

#[test]
fn an_idle_association_is_small_again_soon_after_traffic() {
    let fresh = held(two_channels(link(), 1).0);
    assert!(fresh.iter().all(|&held| held < 6_000), "{fresh:?}");
    for (loss, len, count) in TRANSFERS {
        let [at_once, after_five_seconds] = [ms(0), ms(5_000)].map(|idle| {
            let (mut pair, channels) = two_channels(Link { loss, ..link() }, 1);
            traffic(&mut pair, channels, len, count);
            pair.run_for(idle).unwrap();
            held(pair)
        });
        println!("{count} messages of {len} bytes: {at_once:?}, five seconds later {after_five_seconds:?}");
        assert!(at_once.iter().all(|&held| held > 100_000), "{at_once:?}");
        assert!(after_five_seconds.iter().all(|&held| held < 4_000), "{after_five_seconds:?}");
    }
}

#[test]
fn the_timer_is_there_only_while_there_is_something_to_give_back() {
    let next = |pair: &Pair, end| pair.end(end).poll_timeout().unwrap() - pair.now();
    let (mut pair, channels) = two_channels(link(), 1);
    for len in [1, 1000] {
        pair.end_mut(0).send(channels[0], PayloadKind::Binary, vec![7; len].into()).unwrap();
        pair.run_for(ms(1_000)).unwrap();
        assert!([0, 1].iter().all(|&end| next(&pair, end) > ms(20_000)), "small talk needs no timer");
    }
    (0..2).for_each(|end| pair.end_mut(end).events.clear());
    traffic(&mut pair, channels, 16 << 10, 100);
    pair.run_for(ms(1_000)).unwrap();
    assert!([0, 1].iter().all(|&end| next(&pair, end) <= ms(1_000)));
    pair.run_for(ms(1_100)).unwrap();
    assert!([0, 1].iter().all(|&end| next(&pair, end) > ms(20_000)));
    // And it goes on as before.
    traffic(&mut pair, channels, 16 << 10, 100);
}

#[test]
fn what_is_over_is_small_at_once() {
    let (mut pair, channels) = two_channels(link(), 1);
    traffic(&mut pair, channels, 16 << 10, 100);
    let now = pair.now();
    pair.end_mut(0).close(now);
    pair.until(MINUTE, |pair| pair.both(|end| end.state() == State::Closed));
    let held = held(pair);
    assert!(held.iter().all(|&held| held < 4_000), "{held:?}");
}
