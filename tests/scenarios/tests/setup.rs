//! Scenarios 3 and 4: any packet of the set-up is lost, and any two.
//!
//! The set-up is all from the first check to the first message that arrived on each side. Which packets there are to lose after the first
//! loss is enumerated from the run that had it, since what follows a loss is another set-up. RustCrypto makes every run the same each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wigwag::{Certificate, Config, DtlsVersions, WallClock};
use wigwag_net::{Link, Verdict};
use wigwag_scenarios::{World, deterministic};

/// The bar of the project.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest set-up without loss, in packets: more would be another protocol.
const MAX_PACKETS: u64 = 60;

struct Kind {
    versions: DtlsVersions,
    offerer_is_client: bool,
    configs: [Config; 2],
}

impl Kind {
    fn new(versions: DtlsVersions, offerer_is_client: bool, snap: bool) -> Self {
        let configs = [1, 2].map(|side| {
            let mut config = deterministic(1, side);
            config.dtls_versions = versions;
            config.snap = snap;
            let mut random = wigwag::random::seeded([side; 32]);
            let wall_clock = WallClock(1_700_000_000_000_000);
            // Made once: each of thousands of set-ups would make one.
            config.certificate = Some(Certificate::generate(config.provider, &mut random, wall_clock).unwrap());
            config
        });
        Self { versions, offerer_is_client, configs }
    }

    /// Runs the set-up without these packets; gives how many there were, and how long it took.
    fn run(&self, dropped: &[u64]) -> (u64, Duration) {
        // Who hears that the other is active is passive, and the other way around.
        let role = if self.offerer_is_client { "a=setup:active" } else { "a=setup:passive" };
        let mut world = World::edited(1, self.configs.clone(), |sdp| sdp.replace("a=setup:actpass", role));
        world.simulation.network.drop_nth(dropped.iter().copied());
        let Self { versions, offerer_is_client, .. } = self;
        if let Err(failure) = world.transfer(1, 100, LIMIT) {
            panic!("{versions:?}, the offerer is client: {offerer_is_client}, without {dropped:?}: {failure}");
        }
        (world.simulation.network.stats().sent, world.elapsed())
    }

    fn singles(&self) -> (u64, Duration) {
        let (packets, _) = self.run(&[]);
        assert!((8..MAX_PACKETS).contains(&packets), "{packets} packets");
        let slowest = (0..packets).map(|k| self.run(&[k]).1).max().unwrap();
        (packets, slowest)
    }

    fn pairs(&self) -> (u64, Duration) {
        let (packets, _) = self.run(&[]);
        let (mut runs, mut slowest) = (0, Duration::ZERO);
        for first in 0..packets {
            let (packets, _) = self.run(&[first]);
            for second in first + 1..packets {
                slowest = slowest.max(self.run(&[first, second]).1);
                runs += 1;
            }
        }
        (runs, slowest)
    }
}

fn kinds() -> impl Iterator<Item = Kind> {
    let versions = [DtlsVersions::Dtls12, DtlsVersions::Dtls13];
    let with_handshake =
        versions.into_iter().flat_map(|it| [true, false].map(|is_client| Kind::new(it, is_client, false)));
    with_handshake.chain([true, false].map(|is_client| Kind::new(DtlsVersions::Dtls13, is_client, true)))
}

#[test]
fn scenario_03_any_packet_of_the_setup_is_lost() {
    for kind in kinds() {
        let (packets, slowest) = kind.singles();
        let snap = kind.configs[0].snap;
        println!(
            "{:?}, {}, SNAP {snap}: {packets} packets, {slowest:?} at most",
            kind.versions, kind.offerer_is_client
        );
    }
}

#[test]
fn scenario_04_any_two_packets_of_the_setup_are_lost() {
    for kind in kinds() {
        let (runs, slowest) = kind.pairs();
        println!("{:?}, {}: {runs} pairs, {slowest:?} at most", kind.versions, kind.offerer_is_client);
    }
}

/// ICE measures the path first: DTLS repeats nothing in vain, however long it is.
#[test]
fn nothing_is_repeated_on_a_long_path() {
    for kind in kinds() {
        let role = if kind.offerer_is_client { "a=setup:active" } else { "a=setup:passive" };
        let mut world = World::edited(1, kind.configs.clone(), |sdp| sdp.replace("a=setup:actpass", role));
        world.simulation.network.set_default_link(Link { delay: Duration::from_millis(400), ..Link::default() });
        let hellos = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&hellos);
        world.simulation.network.set_filter(move |sent| {
            // A record of the handshake in the clear, and in it a ClientHello.
            if sent.bytes.first() == Some(&22) && sent.bytes.get(13) == Some(&1) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            Verdict::Pass
        });
        world.transfer(1, 100, Duration::from_secs(30)).unwrap();
        assert_eq!(hellos.load(Ordering::Relaxed), 1, "{:?}, {}", kind.versions, kind.offerer_is_client);
    }
}
