//! What happens to a connection: consent, failover, restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Pair, agent, at, full, link};
use wigwag_ice::{ConnectionState, Event, Key};
use wigwag_net::Link;
use wigwag_stun::Class;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_idle_connection_costs_a_check_every_five_seconds() {
    let mut pair = Pair::introduced(1);
    pair.complete(SECOND);
    let before = pair.sides().map(|side| side.agent.stats().consent_checks_sent);
    pair.run(1000 * SECOND);
    assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
    for (side, before) in pair.sides().into_iter().zip(before) {
        let checks = side.agent.stats().consent_checks_sent - before;
        assert!((180..220).contains(&checks), "{checks}");
    }
}

#[test]
fn without_answers_there_is_silence_within_thirty_seconds() {
    for seed in 0..10 {
        let mut pair = Pair::introduced(seed);
        pair.complete(SECOND);
        pair.run(SECOND * u32::from(seed) * 3);
        pair.set_filter(|_, class| class == Class::Request);
        let start = pair.now();
        pair.run(Duration::from_millis(30_100));
        assert_eq!(pair.states(), [ConnectionState::Failed; 2]);
        let lost = pair.sides().map(|side| side.last_sent);
        pair.run(100 * SECOND);
        for (side, last) in pair.sides().into_iter().zip(lost) {
            assert_eq!(side.last_sent, last, "silence");
            assert!(last - start <= 30 * SECOND + Duration::from_millis(50));
            assert_eq!(side.agent.selected_path(), None);
            assert!(side.states().contains(&ConnectionState::Disconnected));
        }
    }
}

#[test]
fn a_short_silence_passes() {
    let mut pair = Pair::introduced(1);
    pair.complete(SECOND);
    pair.set_filter(|_, _| false);
    pair.run(15 * SECOND);
    assert_eq!(pair.states(), [ConnectionState::Disconnected; 2]);
    pair.set_filter(|_, _| true);
    pair.complete(10 * SECOND);
    pair.assert_agreed();
    for side in pair.sides() {
        use ConnectionState::{Checking, Completed, Connected, Disconnected};
        let states = side.states();
        assert_eq!(states[..4], [Checking, Connected, Completed, Disconnected]);
    }
}

#[test]
fn some_loss_is_not_a_disconnection() {
    let mut pair = Pair::introduced(4);
    pair.complete(SECOND);
    pair.set_link(Link { loss: 0.05, ..link() });
    pair.run(600 * SECOND);
    assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
}

#[test]
fn a_device_that_sleeps_wakes_up_without_consent() {
    let mut pair = Pair::introduced(1);
    pair.complete(SECOND);
    let now = pair.now();
    let side = &mut pair[0].agent;
    side.handle_timeout(now + 3600 * SECOND);
    assert_eq!(side.state(), ConnectionState::Failed);
}

#[test]
fn when_the_selected_pair_dies_another_takes_over() {
    for socket_is_told in [true, false] {
        let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
        pair.bind(&["10.0.0.1:1000", "10.1.0.1:1000"], &["10.0.0.2:2000", "10.1.0.2:2000"]);
        let same_net = |path: wigwag_proto::UdpPath| {
            let net = |address: std::net::SocketAddr| address.to_string()[..4].to_owned();
            (net(path.local) == net(path.remote)).then(|| net(path.local))
        };
        pair.set_filter(move |path, _| same_net(path).is_some());
        pair.introduce();
        pair.complete(5 * SECOND);
        pair.run(3 * SECOND);
        let selected = pair.assert_agreed();
        let dead = same_net(selected).unwrap();
        pair.set_filter(move |path, _| same_net(path).is_some_and(|net| net != dead));
        if socket_is_told {
            pair[0].agent.remove_udp_socket(selected.local);
        }
        pair.run(if socket_is_told { 2 * SECOND } else { 20 * SECOND });
        let other = pair.assert_agreed();
        assert_ne!(other, selected);
        pair.run(60 * SECOND);
        assert_eq!(pair.assert_agreed(), other);
        assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
    }
}

#[test]
fn a_restart_keeps_the_path_until_there_is_a_new_one() {
    for (seed, loss) in [(0, 0.0), (20, 0.2)] {
        let mut pair = Pair::introduced(seed);
        pair.complete(SECOND);
        let before = pair.assert_agreed();
        let fragments = pair.sides().map(|side| side.agent.local_credentials().ufrag.clone());
        let now = pair.now();
        pair[0].agent.restart(now);
        pair.run(60 * SECOND);
        assert_eq!(pair.assert_agreed(), before, "the other side was not told yet");
        pair.set_link(Link { loss, ..link() });
        let now = pair.now();
        pair[1].agent.restart(now);
        pair.introduce();
        pair.run(25 * SECOND);
        pair.set_link(link());
        pair.run(10 * SECOND);
        assert_eq!(pair.assert_agreed(), before);
        assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
        for (side, fragment) in pair.sides().into_iter().zip(fragments) {
            assert_ne!(side.agent.local_credentials().ufrag, fragment);
            assert!(!side.states().contains(&ConnectionState::Failed));
            let told = side.events.iter().filter(|event| matches!(event, Event::LocalCandidate(_)));
            assert_eq!(told.count(), 2, "once a generation");
            let fragments = side.keys.iter().filter(|key| matches!(key, Key::Fragment(_)));
            assert_eq!(fragments.count(), 1, "the old generation is forgotten: {:?}", side.keys);
        }
    }
}

/// The controlled side offers a restart, and the controlling side's answer takes its time: until it is there, nothing is
/// nominated, for the other side could not know it (browsers answer such a check and forget what it said).
#[test]
fn nobody_is_nominated_who_does_not_know_us() {
    let mut pair = Pair::introduced(1);
    pair.complete(SECOND);
    let before = pair.assert_agreed();
    let now = pair.now();
    (0..2).for_each(|side| pair[side].agent.restart(now));
    pair.tell(0);
    let nominations = |pair: &Pair| pair[0].agent.pairs().filter(|pair| pair.nominated).count();
    pair.run(2 * SECOND);
    assert!(pair[0].agent.stats().responses_received > 2, "its checks are answered");
    assert_eq!((nominations(&pair), pair[0].agent.selected_path()), (0, Some(before)));
    // One that is lite and does not say so will never check us.
    pair.run(2 * SECOND);
    assert_eq!(nominations(&pair), 1);
    pair.tell(1);
    pair.complete(2 * SECOND);
    pair.assert_agreed();
}

#[test]
fn a_restart_moves_to_another_network() {
    let mut pair = Pair::introduced(1);
    pair.complete(SECOND);
    pair.bind(&["10.7.0.1:7000"], &[]);
    pair.set_filter(|path, _| path.local.port() != 1000 && path.remote.port() != 1000);
    let now = pair.now();
    pair[0].agent.restart(now);
    pair[1].agent.restart(now);
    pair.introduce();
    pair.complete(5 * SECOND);
    assert_eq!(pair.assert_agreed().local, at("10.7.0.1:7000"));
}

#[test]
fn a_restart_after_failure() {
    let mut pair = Pair::introduced(1);
    pair.complete(SECOND);
    pair.set_filter(|_, _| false);
    pair.run(40 * SECOND);
    assert_eq!(pair.states(), [ConnectionState::Failed; 2]);
    pair.set_filter(|_, _| true);
    let now = pair.now();
    (0..2).for_each(|side| pair[side].agent.restart(now));
    assert_eq!(pair.states(), [ConnectionState::Checking; 2]);
    pair.introduce();
    pair.complete(SECOND);
    pair.assert_agreed();
}

/// Half a minute of lost, late and repeated checks moves the connection about; then both sides agree.
#[test]
fn after_a_bad_network_both_agree() {
    for seed in 0..60 {
        for (left, right) in [(true, false), (true, true), (false, false)] {
            let mut pair = Pair::new(agent(full(left), seed), agent(full(right), seed + 77), seed);
            pair.bind(
                &["10.0.0.1:1000", "[2001:db8::1]:1", "10.1.0.1:5"],
                &["10.0.0.2:2000", "[2001:db8::2]:2", "10.1.0.2:5"],
            );
            pair.introduce();
            pair.set_link(Link { loss: 0.3, duplication: 0.2, jitter: Duration::from_millis(100), ..link() });
            pair.connect(5 * SECOND);
            pair.run(30 * SECOND);
            pair.set_link(link());
            pair.run(20 * SECOND);
            pair.assert_agreed();
            assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
        }
    }
}
