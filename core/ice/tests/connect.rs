//! Two agents find each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{DELAY, Pair, agent, at, full, link};
use wigwag_ice::{Config, ConnectionState, EndpointEvent, Event, Key};
use wigwag_net::Link;
use wigwag_proto::{Instant, UdpPath};
use wigwag_stun::Class;

#[test]
fn a_quick_connection_takes_a_round_trip() {
    let mut pair = Pair::introduced(1);
    let connected = pair.connect(Duration::from_secs(1));
    assert!(connected <= 2 * DELAY + Duration::from_millis(1), "{connected:?}");
    pair.complete(Duration::from_secs(1));
    let path = pair.assert_agreed();
    assert_eq!(path, UdpPath { local: at("10.0.0.1:1000"), remote: at("10.0.0.2:2000") });
    for side in pair.sides() {
        use ConnectionState::{Checking, Completed, Connected};
        assert_eq!(side.states(), [Checking, Connected, Completed]);
        assert_eq!(side.agent.round_trip_time(), Some(2 * DELAY));
        assert!(side.agent.is_validated(side.agent.selected_path().unwrap()));
        assert!(!side.agent.is_validated(UdpPath { local: at("10.0.0.1:1000"), remote: at("10.0.0.9:9") }));
        let selected = side.events.iter().filter(|event| matches!(event, Event::SelectedPath(_))).count();
        assert_eq!(selected, 1);
        // Nothing is outstanding: the fragment and the path are all that an endpoint must know.
        assert_eq!(side.keys.len(), 2, "{:?}", side.keys);
    }
}

#[test]
fn ipv6_and_several_addresses() {
    let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
    pair.bind(&["10.0.0.1:1000", "[2001:db8::1]:1000"], &["10.0.0.2:2000", "[2001:db8::2]:2000", "172.17.0.1:1"]);
    // Nobody answers on the third.
    pair.set_filter(|path, _| path.remote.port() != 1 && path.local.port() != 1);
    pair.introduce();
    pair.complete(Duration::from_secs(2));
    assert!(pair.assert_agreed().local.is_ipv6(), "IPv6 is preferred");
}

#[test]
fn through_loss_reordering_and_duplicates() {
    for loss in [0.05, 0.1, 0.2, 0.3] {
        for seed in wigwag_net::seeds(12) {
            let mut pair = Pair::introduced(seed as u8);
            pair.set_link(Link { loss, duplication: 0.1, jitter: Duration::from_millis(60), ..link() });
            pair.complete(Duration::from_secs(25));
            pair.assert_agreed();
        }
    }
}

#[test]
fn same_seed_same_bytes() {
    let run = |seed| {
        let mut pair = Pair::introduced(seed);
        pair.set_link(Link { loss: 0.2, duplication: 0.1, jitter: Duration::from_millis(60), ..link() });
        pair.run(Duration::from_secs(60));
        (pair.digest(), pair[0].sent, pair[1].sent)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_role_conflict_is_resolved() {
    for controlling in [true, false] {
        for seed in 0..20 {
            let agents = [agent(full(controlling), seed), agent(full(controlling), seed + 50)];
            let [left, right] = agents;
            let mut pair = Pair::new(left, right, seed);
            pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
            pair.introduce();
            pair.set_link(Link { loss: f64::from(seed % 2) * 0.2, ..link() });
            pair.complete(Duration::from_secs(25));
            pair.assert_agreed();
            assert_ne!(pair[0].agent.is_controlling(), pair[1].agent.is_controlling());
            let changed = |event: &&Event| matches!(event, Event::RoleChanged { .. });
            assert!(pair.sides().iter().any(|side| side.events.iter().any(|event| changed(&event))));
        }
    }
}

#[test]
fn a_lite_agent_and_a_full_one() {
    for lite_first in [true, false] {
        for controlling in [true, false] {
            let lite = agent(Config { lite: true, controlling: !controlling, ..Config::default() }, 1);
            let other = agent(full(controlling), 2);
            let (left, right) = if lite_first { (lite, other) } else { (other, lite) };
            let mut pair = Pair::new(left, right, 3);
            pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
            // The lite side need not know the other's candidates.
            pair.tell(usize::from(lite_first));
            let credentials = pair[usize::from(lite_first)].agent.local_credentials().clone();
            let lite = &mut pair[1 - usize::from(lite_first)].agent;
            lite.set_controlling(false);
            lite.set_remote_credentials(credentials);
            lite.set_remote_end_of_candidates();
            pair.complete(Duration::from_secs(2));
            pair.assert_agreed();
            pair.run(Duration::from_secs(120));
            assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
        }
    }
}

#[test]
fn a_lite_agent_notices_silence() {
    let mut pair = Pair::new(agent(full(true), 1), agent(Config { lite: true, ..Config::default() }, 2), 3);
    pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
    pair.introduce();
    pair.complete(Duration::from_secs(2));
    pair.set_filter(|_, _| false);
    pair.run(Duration::from_secs(31));
    assert_eq!(pair.states(), [ConnectionState::Failed; 2]);
}

#[test]
fn two_lite_agents() {
    let lite = |controlling, seed| agent(Config { lite: true, controlling, ..Config::default() }, seed);
    let mut pair = Pair::new(lite(true, 1), lite(false, 2), 3);
    pair.bind(&["10.0.0.1:1000", "[2001:db8::1]:1"], &["10.0.0.2:2000", "[2001:db8::2]:2"]);
    pair.introduce();
    pair.complete(Duration::from_millis(1));
    pair.assert_agreed();
    pair.run(Duration::from_secs(100));
    assert_eq!(pair.states(), [ConnectionState::Completed; 2]);
}

#[test]
fn candidates_may_trickle_in_either_way() {
    // Only one side hears of the other's candidate: the other learns it from the check.
    for knowing in 0..2 {
        let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
        let [left, right] = pair.sides().map(|side| side.agent.local_credentials().clone());
        pair[0].agent.set_remote_credentials(right);
        pair[1].agent.set_remote_credentials(left);
        pair.run(Duration::from_secs(1));
        pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
        pair.run(Duration::from_secs(10));
        assert_eq!(pair.states(), [ConnectionState::Checking; 2]);
        let candidate = pair[1 - knowing].agent.local_candidates().next().unwrap();
        let now = pair.now();
        pair[knowing].agent.add_remote_candidate(now, candidate);
        pair.connect(Duration::from_millis(300));
        pair.assert_agreed();
        (0..2).for_each(|side| pair[side].agent.set_remote_end_of_candidates());
        pair.complete(Duration::from_millis(300));
    }
}

#[test]
fn candidates_may_come_before_the_credentials() {
    let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
    pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
    for to in 0..2 {
        let candidate = pair[1 - to].agent.local_candidates().next().unwrap();
        let now = pair.now();
        pair[to].agent.add_remote_candidate(now, candidate);
    }
    pair.run(Duration::from_secs(40));
    assert_eq!(pair.states(), [ConnectionState::New; 2]);
    assert_eq!((pair[0].sent, pair[1].sent), (0, 0));
    pair.introduce();
    pair.complete(Duration::from_secs(1));
}

/// The offerer's checks are answered, and followed up, although its candidates never come.
#[test]
fn checks_before_the_answer_are_remembered() {
    let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
    pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
    pair.tell(1);
    pair.run(Duration::from_millis(300));
    let offerer = &pair[0].agent;
    assert_eq!((offerer.stats().checks_received, offerer.stats().responses_sent), (1, 1));
    let path = UdpPath { local: at("10.0.0.1:1000"), remote: at("10.0.0.2:2000") };
    assert!(offerer.is_validated(path), "DTLS may come before the answer");
    assert_eq!(pair[1].agent.selected_path(), Some(path.reversed()));
    let credentials = pair[1].agent.local_credentials().clone();
    pair[0].agent.set_remote_credentials(credentials);
    pair[0].agent.set_remote_end_of_candidates();
    pair.complete(Duration::from_millis(300));
    pair.assert_agreed();
}

#[test]
fn nobody_answers() {
    let mut pair = Pair::introduced(1);
    pair.set_filter(|_, _| false);
    pair.run(Duration::from_secs(29));
    assert_eq!(pair.states(), [ConnectionState::Checking; 2]);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), [ConnectionState::Failed; 2]);
    let sent = pair[0].sent;
    assert!(sent < 10, "{sent} checks to somebody who never answered");
    pair.run(Duration::from_secs(100));
    assert_eq!(pair[0].sent, sent);
    assert_eq!(pair[0].keys.len(), 1, "only the fragment");
}

/// Somebody who is late finds us nevertheless.
#[test]
fn failure_is_taken_back_when_the_other_side_comes() {
    let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
    pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
    pair.tell(1);
    let socket = at("10.0.0.1:1000");
    pair[0].agent.remove_udp_socket(socket);
    pair.run(Duration::from_secs(40));
    assert_eq!(pair[1].agent.state(), ConnectionState::Failed);
    pair[0].agent.add_udp_socket(socket).unwrap();
    pair.tell(0);
    pair.connect(Duration::from_secs(1));
    pair.assert_agreed();
}

#[test]
fn without_candidates_patience_ends() {
    let mut agent = agent(full(true), 1);
    agent.handle_timeout(Instant(1 << 40));
    agent.set_remote_credentials(wigwag_ice::Credentials::new("abcd", "0123456789012345678901"));
    agent.set_remote_end_of_candidates();
    assert_eq!(agent.state(), ConnectionState::Checking);
    while agent.state() == ConnectionState::Checking {
        let at = agent.poll_timeout().unwrap();
        agent.handle_timeout(at);
        assert!(agent.poll_timeout().is_none_or(|next| next > at));
    }
    assert_eq!(agent.state(), ConnectionState::Failed);
}

#[test]
fn the_other_side_behind_a_translator() {
    // The right side's socket is seen as 203.0.113.9:9 by the left one, which is told something else.
    let mut pair = Pair::new(agent(full(true), 1), agent(full(false), 2), 3);
    pair.bind(&["198.51.100.1:1000"], &["192.168.0.2:2000"]);
    pair.set_filter(|path, class| class != Class::Request || path.remote != at("192.168.0.2:2000"));
    pair.introduce();
    pair.run(Duration::from_secs(2));
    // Its own checks get through, and those of the left side to the same pair do not; a triggered check neither:
    // the right side is valid by itself, and stays patient on the left.
    assert_eq!(pair[1].agent.state(), ConnectionState::Connected);
    pair.set_filter(|_, _| true);
    pair.complete(Duration::from_secs(10));
}

#[test]
fn closing_forgets_everything() {
    let mut pair = Pair::introduced(1);
    pair.complete(Duration::from_secs(1));
    let now = pair.now();
    (0..2).for_each(|side| pair[side].agent.close(now));
    pair.run(Duration::from_secs(100));
    for side in 0..2 {
        let side = &mut pair[side];
        assert_eq!(side.keys, []);
        assert_eq!(side.agent.poll_timeout(), None);
        assert_eq!(side.agent.selected_path(), None);
        assert!(side.agent.add_udp_socket(at("10.0.0.9:1")).is_err());
    }
}

#[test]
fn a_fresh_agent_has_told_its_fragment() {
    let mut agent = agent(full(true), 1);
    let fragment = agent.local_credentials().ufrag.as_bytes().try_into().unwrap();
    assert_eq!(agent.poll_endpoint_event(), Some(EndpointEvent::Learned(Key::Fragment(fragment))));
    assert_eq!(agent.poll_timeout(), None);
    assert!(!agent.can_transmit());
}
