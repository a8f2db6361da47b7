//! Same seed, same bytes: over a whole session, from the certificate to the farewell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{App, Pair, both, config, numbered};
use wigwag::{Config, WallClock};
use wigwag_net::{Digest, Link, Reordering, Simulation};

/// RustCrypto's signatures have no randomness of their own (RFC 6979); aws-lc's nonces come from the system.
fn deterministic(seed: u64, side: u8) -> Config {
    let mut config = config(seed, side);
    config.provider = wigwag::rust_crypto();
    config.wall_clock = WallClock(1_700_000_000_000_000);
    config
}

/// Opened, used, restarted and closed on a bad network; the digest of every byte and when it was sent.
fn session(seed: u64) -> Digest {
    let mut pair = Pair::with(seed, [1, 2].map(|side| deterministic(seed, side)));
    pair.simulation.network.set_default_link(Link {
        loss: 0.05,
        duplication: 0.05,
        reordering: Some(Reordering { probability: 0.1, extra_delay: Duration::from_millis(30) }),
        ..Link::default()
    });
    let (channel, offerer) = (pair.channel, pair.offerer);
    for round in 1..=2 {
        pair.offerer().outbox.extend((0..50).map(|n| (channel, numbered(n, 3000))));
        let heard = |simulation: &Simulation<App>| simulation.machine(offerer).unwrap().heard() == 50 * round;
        pair.simulation.run_until(heard, Duration::from_secs(300)).unwrap();
        let now = pair.simulation.now();
        pair.offerer().pc.restart_ice();
        let mut app = pair.simulation.remove(offerer).unwrap();
        common::negotiate(now, &mut app.pc, &mut pair.answerer().pc);
        pair.simulation.put(offerer, app);
    }
    let now = pair.simulation.now();
    pair.offerer().pc.close(now);
    pair.simulation.run_until(|it| both(it, |app| app.pc.is_closed()), Duration::from_secs(60)).unwrap();
    pair.simulation.network.digest()
}

#[test]
fn same_seed_same_bytes() {
    let first = session(3);
    assert_eq!(first, session(3));
    assert_ne!(first, session(4));
}
