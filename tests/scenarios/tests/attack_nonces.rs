//! GCM's nonces and SRTP's counter blocks, as a provider of the caller's sees them: none is used twice with one key, whatever the network and
//! the other side do (CVE-2026-26014 was that).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use wigwag::{DtlsVersions, default_provider};
use wigwag_net::Reordering;
use wigwag_scenarios::adversary::Man;
use wigwag_scenarios::{Link, World, config, for_each_seed, provider};

const MINUTE: Duration = Duration::from_secs(60);

/// A call with a transfer, through loss, disorder and duplicates, with retransmissions of every kind, an ICE restart, a replay of all of it, and its end.
#[test]
fn attack_nonce_reuse() {
    for_each_seed(2, |seed| {
        for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
            let mut traces = Vec::new();
            let configs = [1, 2].map(|side| {
                let (watched, trace) = provider::watched(default_provider());
                traces.push(trace);
                let mut config = config(seed, side);
                (config.provider, config.dtls_versions) = (watched, versions);
                config
            });
            let mut world = World::call(seed, configs, |sdp| sdp);
            let reordering = Some(Reordering { probability: 0.05, extra_delay: Duration::from_millis(40) });
            let link = Link { loss: 0.08, duplication: 0.1, reordering, ..Link::default() };
            world.simulation.network.set_default_link(link);
            let man = Man::new(&mut world.simulation.network);
            world.connect(MINUTE).unwrap();
            world.start_media();
            world.transfer(100, 3000, MINUTE).unwrap();
            world.simulation.run_for(Duration::from_secs(5)).unwrap();
            world.restart_ice();
            world.transfer(100, 3000, MINUTE).unwrap();
            for seen in man.seen() {
                let now = world.now();
                man.say(&mut world.simulation.network, now, seen.path, &seen.bytes);
            }
            world.simulation.run_for(Duration::from_secs(2)).unwrap();
            let now = world.now();
            world.offerer().pc.close(now);
            world.simulation.run_for(Duration::from_secs(2)).unwrap();
            for (side, trace) in traces.iter().enumerate() {
                let trace = trace.lock().unwrap();
                let (uses, repeated) = trace.judge();
                let keys = trace.sealed.len() + trace.streamed.len();
                println!("seed {seed}, {versions:?}, side {side}: {uses} nonces of {keys} keys, {repeated} twice");
                assert_eq!(repeated, 0, "{:?}", trace.sealed.values().flatten().find(|it| *it.1 > 1));
                assert!(uses > 1000 && keys >= 3, "records, RTP and RTCP went through the provider");
            }
            let [one, other] = [&traces[0], &traces[1]].map(|it| it.lock().unwrap());
            let shared = one.sealed.keys().filter(|key| other.sealed.contains_key(*key)).count();
            assert_eq!(shared, 0, "each side seals with keys of its own");
        }
    });
}
