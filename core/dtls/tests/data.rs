//! What flows once the ends are connected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{CLIENT, GOOD, Link, Pair, SERVER};
use rand::RngExt;
use wigwag_dtls::{Dtls, Event, Version, Versions};

const BOTH: [Versions; 2] = [Versions::Dtls12, Versions::Dtls13];

#[test]
fn every_length() {
    for versions in BOTH {
        let mut pair = Pair::connected(versions);
        for len in (0..=1200).chain([4_000, 16_384]) {
            for from in [CLIENT, SERVER] {
                let payload: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let mut record = pair.ends[from].seal(&payload).unwrap();
                pair.ends[1 - from].open(pair.now, &mut record);
                assert_eq!(pair.ends[1 - from].received.pop(), Some(payload), "{len}");
            }
        }
        assert!(pair.ends[CLIENT].seal(&[0; 16_385]).is_none());
        assert!(pair.ends.iter_mut().all(|end| end.take_events().is_empty() && !end.dtls.can_transmit()));
    }
}

#[test]
fn a_record_is_never_longer_than_its_segment() {
    for versions in BOTH {
        let mut pair = Pair::connected(versions);
        let dtls = &mut pair.ends[CLIENT].dtls;
        let overhead = dtls.overhead();
        let mut segment = vec![9; overhead.total() + 99];
        let before = segment.clone();
        assert_eq!(dtls.seal(&mut segment, 100), None);
        assert_eq!(dtls.seal(&mut segment, usize::MAX), None);
        assert_eq!(dtls.seal(&mut segment[..3], 0), None);
        assert_eq!(segment, before, "nothing is written");
        assert_eq!(dtls.seal(&mut segment, 99), Some(overhead.total() + 99), "it goes on");
    }
}

#[test]
fn nothing_comes_twice_and_nothing_corrupted_at_all() {
    for versions in BOTH {
        let mut pair = Pair::connected(versions);
        let mut random = common::seeded(3);
        let mut records = Vec::new();
        for n in 0..300_u16 {
            let record = pair.ends[CLIENT].seal(&n.to_be_bytes()).unwrap();
            for _ in 0..4 {
                let mut corrupted = record.clone();
                let at = random.random_range(0..corrupted.len());
                corrupted[at] ^= 1 << random.random_range(0..8);
                pair.ends[SERVER].open(pair.now, &mut corrupted);
                corrupted.truncate(at);
                pair.ends[SERVER].open(pair.now, &mut corrupted);
            }
            records.push(record);
            if random.random_bool(0.1) {
                // In any order, within the replay window.
                while !records.is_empty() {
                    let at = random.random_range(0..records.len());
                    let record = records.swap_remove(at);
                    for _ in 0..3 {
                        pair.ends[SERVER].open(pair.now, &mut record.clone());
                    }
                }
            }
        }
        for record in records {
            pair.ends[SERVER].open(pair.now, &mut record.clone());
        }
        let mut received: Vec<_> = pair.ends[SERVER]
            .received
            .iter()
            .map(|payload| u16::from_be_bytes(payload[..].try_into().unwrap()))
            .collect();
        received.sort();
        assert_eq!(received, (0..300).collect::<Vec<_>>(), "{versions:?}");
        assert!(pair.ends[SERVER].dtls.is_connected());
    }
}

#[test]
fn several_records_in_a_datagram() {
    for versions in BOTH {
        let mut pair = Pair::connected(versions);
        let mut datagram = (0..5).flat_map(|n| pair.ends[CLIENT].seal(&[n; 50]).unwrap()).collect::<Vec<_>>();
        pair.ends[SERVER].open(pair.now, &mut datagram);
        assert_eq!(pair.ends[SERVER].received, (0..5).map(|n| vec![n; 50]).collect::<Vec<_>>());
    }
}

#[test]
fn close_is_told_to_the_peer() {
    for versions in BOTH {
        for from in [CLIENT, SERVER] {
            let mut pair = Pair::connected(versions);
            let mut last = pair.ends[from].seal(b"last").unwrap();
            pair.ends[from].dtls.close(pair.now);
            assert!(pair.ends[from].dtls.is_over() && pair.ends[from].seal(b"x").is_none());
            pair.ends[1 - from].open(pair.now, &mut last);
            pair.run(Duration::from_secs(1));
            assert_eq!(pair.ends[1 - from].take_events(), [Event::Closed]);
            assert_eq!(pair.ends[1 - from].received, [b"last"]);
            assert!(pair.ends[from].take_events().is_empty(), "whoever closes knows");
            for end in &mut pair.ends {
                assert!(end.dtls.is_over() && !end.dtls.can_transmit() && end.dtls.poll_timeout().is_none());
                end.open(pair.now, &mut [23; 100]);
                end.dtls.handle_timeout(pair.now);
            }
        }
    }
}

#[test]
fn an_authentic_close_is_no_other_record() {
    for versions in BOTH {
        let mut pair = Pair::connected(versions);
        pair.ends[CLIENT].dtls.close(pair.now);
        let alert = pair.ends[CLIENT].packets(pair.now).pop().unwrap();
        for at in 0..alert.len() {
            let mut forged = alert.clone();
            forged[at] ^= 0x10;
            pair.ends[SERVER].open(pair.now, &mut forged);
            assert!(pair.ends[SERVER].take_events().is_empty(), "{versions:?} {at}");
        }
        pair.ends[SERVER].open(pair.now, &mut alert.clone());
        assert_eq!(pair.ends[SERVER].take_events(), [Event::Closed]);
    }
}

#[test]
fn keys_change_as_data_flows() {
    let mut random = common::seeded(5);
    let configs = [Versions::Dtls13; 2].map(|versions| {
        let mut config = common::config(&mut random, versions);
        config.records_per_key = 50;
        config
    });
    let mut pair = Pair::of(configs, random, Link { loss: 0.0, ..GOOD });
    pair.start();
    pair.run(Duration::from_secs(1));
    for n in 0..2_000_u32 {
        let record = pair.ends[CLIENT].seal(&n.to_be_bytes()).unwrap();
        pair.send(CLIENT, record);
        if n % 10 == 0 {
            let record = pair.ends[SERVER].seal(b"go on").unwrap();
            pair.send(SERVER, record);
        }
        pair.run(Duration::from_millis(12));
    }
    assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
    let received = &pair.ends[SERVER].received;
    let received: Vec<_> = received.iter().map(|payload| u32::from_be_bytes(payload[..].try_into().unwrap())).collect();
    assert_eq!(received, (0..2_000).collect::<Vec<_>>());
    let updates = pair.datagrams.iter().filter(|datagram| ![4 + 22, 5 + 22].contains(&datagram.len())).count();
    assert!(updates > 40, "{updates}");
}

/// Both ends, at the same time, over a bad link, through more epochs than the two bits in a record can tell apart.
#[test]
fn keys_change_at_both_ends_at_once() {
    for seed in 0..5 {
        let mut random = common::seeded(seed);
        let configs = [Versions::Dtls13; 2].map(|versions| {
            let mut config = common::config(&mut random, versions);
            config.records_per_key = 30;
            config
        });
        let mut pair = Pair::of(configs, random, GOOD);
        pair.start();
        pair.run(Duration::from_secs(1));
        pair.link = common::BAD;
        let before = pair.datagrams.len();
        for n in 0..3_000_u32 {
            for from in [CLIENT, SERVER] {
                let record = pair.ends[from].seal(&n.to_be_bytes()).expect("connected");
                pair.send(from, record);
            }
            pair.run(Duration::from_millis(12));
        }
        let updates = pair.datagrams[before..].iter().filter(|datagram| datagram.len() == 5 + 13 + 17).count();
        assert!(updates > 60, "{updates}");
        pair.link = GOOD;
        pair.run(Duration::from_secs(120));
        for from in [CLIENT, SERVER] {
            let mut received = pair.ends[from].received.clone();
            let count = received.len();
            received.sort();
            received.dedup();
            assert_eq!(received.len(), count, "nothing twice");
            assert!(count > 2_000, "{count}: what was lost was lost by the link");
            let record = pair.ends[from].seal(b"the last").unwrap();
            pair.send(from, record);
        }
        pair.run(Duration::from_secs(120));
        assert!(pair.ends.iter().all(|end| end.received.last().unwrap() == b"the last"));
        assert!(pair.ends.iter().all(|end| end.dtls.poll_timeout().is_none()));
    }
}

#[test]
fn the_overhead_is_known_before() {
    let pair = Pair::new(1, [Versions::Any; 2], GOOD);
    let before = pair.ends[CLIENT].dtls.overhead();
    for versions in BOTH {
        let pair = Pair::connected(versions);
        let exact = pair.ends[CLIENT].dtls.overhead();
        assert_eq!(exact.total(), if pair.ends[CLIENT].version() == Some(Version::Dtls12) { 37 } else { 22 });
        assert!(before.total() >= exact.total());
    }
}

#[test]
fn may_live_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Dtls>();
    anywhere::<wigwag_dtls::Certificate>();
    anywhere::<wigwag_dtls::Config>();
    anywhere::<Event>();
}
