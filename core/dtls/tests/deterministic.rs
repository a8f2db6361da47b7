//! Same seed, same bytes.
#![cfg(feature = "rust-crypto")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

mod common;

use std::time::Duration;

use common::{BAD, CLIENT, Pair, SERVER};
use wigwag_crypto::rust_crypto;
use wigwag_dtls::{Certificate, Config, Versions};
use wigwag_proto::WallClock;

/// Everything that two ends put on the wire, over a bad link.
fn wire(seed: u64, versions: Versions) -> Vec<Vec<u8>> {
    let mut random = common::seeded(seed);
    let configs = [(); 2].map(|()| {
        let certificate = Certificate::generate(rust_crypto(), &mut random, WallClock(1_700_000_000_000_000)).unwrap();
        let mut config = Config::new(certificate, rust_crypto());
        config.versions = versions;
        config
    });
    let mut pair = Pair::of(configs, random, BAD);
    pair.start();
    pair.run(Duration::from_secs(29));
    for n in 0..20 {
        for from in [CLIENT, SERVER] {
            let record = pair.ends[from].seal(&[n; 100]).expect("connected");
            pair.send(from, record);
        }
        pair.run(Duration::from_millis(100));
    }
    pair.ends[CLIENT].dtls.close(pair.now);
    pair.run(Duration::from_secs(10));
    pair.datagrams
}

#[test]
fn same_seed_same_bytes() {
    for versions in [Versions::Dtls13, Versions::Any, Versions::Dtls12] {
        for seed in 0..5 {
            assert_eq!(wire(seed, versions), wire(seed, versions));
        }
        assert_ne!(wire(1, versions), wire(2, versions));
    }
}

#[test]
fn other_connections_make_no_difference() {
    let alone = wire(1, Versions::Dtls13);
    let mut other = Pair::new(9, [Versions::Any; 2], BAD);
    other.start();
    other.run(Duration::from_millis(50));
    assert_eq!(wire(1, Versions::Dtls13), alone);
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(|| wire(1, Versions::Dtls13))).collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == alone));
}

/// The providers understand each other.
#[test]
fn the_peer_may_have_another_provider() {
    let mut random = common::seeded(3);
    let certificate = Certificate::generate(rust_crypto(), &mut random, WallClock(1)).unwrap();
    let configs = [Config::new(certificate, rust_crypto()), common::config(&mut random, Versions::Any)];
    let mut pair = Pair::of(configs, random, common::GOOD);
    pair.start();
    pair.run(Duration::from_secs(1));
    assert!(pair.ends.iter().all(|end| end.dtls.is_connected()));
}
