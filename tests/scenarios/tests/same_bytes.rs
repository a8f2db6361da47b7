//! Always on: the same seed puts the same bytes on every wire at the same times, whatever the network does. With RustCrypto, since aws-lc draws
//! the nonces of its signatures itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use wigwag::ConnectionState;
use wigwag_net::{BurstLoss, Reordering};
use wigwag_scenarios::{Link, Peer, World, deterministic};

const MINUTE: Duration = Duration::from_secs(60);

fn scenarios() -> [(&'static str, Link); 4] {
    let link = Link::default();
    [
        ("a clean link", link),
        ("loss", Link { loss: 0.2, ..link }),
        (
            "disorder, duplicates and bursts",
            Link {
                duplication: 0.3,
                reordering: Some(Reordering { probability: 0.2, extra_delay: Duration::from_millis(50) }),
                burst_loss: Some(BurstLoss { begin: 0.01, end: 0.2, loss: 0.9 }),
                ..link
            },
        ),
        ("a bottleneck", Link { rate: Some(2_000_000), queue: 20_000, jitter: Duration::from_millis(5), ..link }),
    ]
}

/// A call with a transfer, a restart, changes of the link, and a farewell.
fn run(seed: u64, link: Link) -> (String, u128) {
    let mut world = World::call(seed, [1, 2].map(|side| deterministic(seed, side)), |sdp| sdp);
    world.hash_the_wire();
    world.simulation.network.set_default_link(link);
    world.connect(MINUTE).unwrap();
    world.start_media();
    world.transfer(50, 3000, 5 * MINUTE).unwrap();
    world.simulation.network.set_default_link(Link { corruption: 0.02, ..link });
    world.restart_ice();
    world.simulation.run_for(Duration::from_secs(3)).unwrap();
    world.simulation.network.set_default_link(link);
    world.transfer(20, 3000, 5 * MINUTE).unwrap();
    let now = world.now();
    world.answerer().pc.close(now);
    // The farewell travels three times; of those who lose one packet in five, some lose all three, and notice by consent.
    let has_ended = |peer: &Peer| peer.pc.is_closed() || peer.pc.connection_state() == ConnectionState::Failed;
    world.run_until(MINUTE, has_ended).unwrap();
    (world.wire_hash(), world.simulation.network.digest().0)
}

#[test]
fn same_seed_same_bytes() {
    let mut all = BTreeSet::new();
    for (name, link) in scenarios() {
        for seed in [1, 2] {
            let first = run(seed, link);
            assert_eq!(first, run(seed, link), "{name}, seed {seed}");
            println!("{name}, seed {seed}: SHA-256 {}", first.0);
            assert!(all.insert(first.0), "{name}, seed {seed} is like another");
        }
    }
}
