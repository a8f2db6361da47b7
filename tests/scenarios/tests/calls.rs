//! Scenario 25: a call of hours. Opus at 50 packets a second and video at 500 kbit/s, both ways, and a message now and then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use wigwag::{ConnectionState, Input, MediaKind, WallClock};
use wigwag_net::Machine;
use wigwag_scenarios::{Link, Peer, World, config, for_each_seed, memory};

const MINUTE: Duration = Duration::from_secs(60);
/// What the audio may be ahead of the video, or behind, in the end.
const MAX_DRIFT: f64 = 0.005;
/// How much more the process may hold after the first tenth of the call.
const MAX_GROWTH: isize = 64 << 10;

/// Sender's time and payload's time of the last report, on each track that arrives.
fn reports(peer: &Peer) -> BTreeMap<&'static str, (f64, u32)> {
    let reports = peer.pc.transceivers().filter_map(|it| {
        let report = peer.pc.media_stats(it.id)?.inbound.last_sender_report?;
        Some((it.kind.as_str(), (report.ntp.0 as f64 / (1_u64 << 32) as f64, report.rtp.0)))
    });
    reports.collect()
}

/// How far a track's clock went from the sender's between two reports, in seconds.
fn drift(name: &str, earlier: (f64, u32), later: (f64, u32)) -> f64 {
    let clock = if name == MediaKind::Audio.as_str() { 48_000.0 } else { 90_000.0 };
    f64::from(later.1.wrapping_sub(earlier.1)) / clock - (later.0 - earlier.0)
}

/// Calls for ten times `tenth`.
fn call(seed: u64, tenth: Duration) {
    let mut world = World::call(seed, [config(seed, 1), config(seed, 2)], |sdp| sdp);
    world.simulation.network.set_default_link(Link { loss: 0.01, jitter: Duration::from_millis(5), ..Link::default() });
    let now = world.now();
    for peer in [world.offerer, world.answerer] {
        let peer = world.simulation.machine_mut(peer).unwrap();
        peer.handle_input(now, Input::WallClock(WallClock(1_700_000_000_000_000)));
    }
    world.connect(MINUTE).unwrap();
    world.start_media();
    let mut first_reports = [BTreeMap::new(), BTreeMap::new()];
    let mut held = Vec::new();
    for round in 0..10 {
        memory::take_peak();
        for _ in 0..4 {
            world.transfer(1, 2000, MINUTE).unwrap();
            world.simulation.run_for(tenth / 4).unwrap();
        }
        held.push(memory::take_peak());
        for (n, host) in [world.offerer, world.answerer].into_iter().enumerate() {
            let peer = world.simulation.machine(host).unwrap();
            let told = reports(peer);
            assert_eq!(told.len(), 2, "sender reports for audio and video");
            if round == 0 {
                first_reports[n] = told;
                continue;
            }
            let [audio, video] = ["audio", "video"].map(|name| drift(name, first_reports[n][name], told[name]));
            assert!((audio - video).abs() < MAX_DRIFT, "round {round}: audio {audio} s, video {video} s");
        }
    }
    println!("seed {seed}: peaks {held:?}");
    assert!(held[1..].iter().all(|&peak| peak < held[0] + MAX_GROWTH), "memory grows: {held:?}");
    for host in [world.offerer, world.answerer] {
        let peer = world.simulation.machine(host).unwrap();
        // Two exchanges for consent in a row are lost now and then, and called a disconnection until the next.
        let told = |state| peer.states.iter().filter(|it| **it == state).count();
        assert_eq!((told(ConnectionState::Failed), peer.is_connected()), (0, true));
        let disconnections = told(ConnectionState::Disconnected);
        // Of 7,200 exchanges for consent one in fifty is lost; each is asked about again.
        assert_eq!(disconnections, 0, "seed {seed}: {:?}", peer.states);
        let sent: u64 = peer.sources.iter().map(|it| it.sent).sum();
        let heard: u64 = peer.sinks.iter().map(|it| it.count).sum();
        println!("seed {seed}: {sent} sent, {heard} heard");
        // All of the video is repaired; of the audio, for which nothing is asked again, one packet in a hundred is lost.
        assert!(sent - heard < sent / 100, "{sent} sent, {heard} heard");
    }
}

#[test]
fn scenario_25_a_call_of_ten_minutes() {
    for_each_seed(1, |seed| call(seed, MINUTE));
}

/// Two minutes at most, in release.
#[test]
#[ignore = "long"]
fn scenario_25_a_call_of_ten_hours() {
    for_each_seed(1, |seed| call(seed, 60 * MINUTE));
}
