//! Scenarios 9 and 12: what NATs allow and what servers do, from the offer to data that arrives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use wigwag::ConnectionState;
use wigwag_net::Nat;
use wigwag_scenarios::{Lab, SERVERS, for_each_seed};

const SECOND: Duration = Duration::from_secs(1);
const STUN: &[&str] = &["stun:203.0.113.1"];
const TURN: &[&str] = &["turn:203.0.113.1"];
const NATS: [(&str, Nat); 4] = [
    ("full cone", Nat::FULL_CONE),
    ("address-restricted", Nat::ADDRESS_RESTRICTED),
    ("port-restricted", Nat::PORT_RESTRICTED),
    ("symmetric", Nat::SYMMETRIC),
];

/// RFC 4787 and RFC 5128: where one side is seen with another port by each, the other must let that in unasked.
fn is_passable(one: &str, other: &str) -> bool {
    let is_strict = |name| name == "port-restricted" || name == "symmetric";
    !(one == "symmetric" && is_strict(other) || other == "symmetric" && is_strict(one))
}

#[test]
fn scenario_09_four_nats_against_four() {
    for_each_seed(2, |seed| {
        for (one, one_nat) in NATS {
            for (other, other_nat) in NATS {
                let servers: [(&str, [&[&str]; 2]); 5] = [
                    ("none", [&[], &[]]),
                    ("STUN", [STUN, STUN]),
                    ("TURN for the offerer", [TURN, STUN]),
                    ("TURN for the answerer", [STUN, TURN]),
                    ("TURN", [TURN, TURN]),
                ];
                for (name, urls) in servers {
                    let is_direct = name != "none" && is_passable(one, other);
                    let expected = name.starts_with("TURN") || is_direct;
                    let mut lab = Lab::new(seed, [one_nat, other_nat], urls);
                    let connected = lab.connect(60 * SECOND);
                    assert_eq!(connected, expected, "{one} against {other} with {name}");
                    if connected {
                        lab.transfer(20, 2000, 20 * SECOND).unwrap();
                        lab.run_for(2 * SECOND).unwrap();
                        assert_eq!(lab.is_relayed(), !is_direct, "{one} against {other} with {name}");
                    }
                }
            }
        }
    });
}

#[test]
fn scenario_09_udp_blocked() {
    for (name, url, expected) in [
        ("STUN", STUN, false),
        ("TURN over UDP", TURN, false),
        ("TURN over TCP", &["turn:203.0.113.1?transport=tcp"][..], true),
        ("TURN over TLS", &["turns:turn.example"][..], true),
    ] {
        let mut lab = Lab::new(1, [Nat::SYMMETRIC, Nat::PORT_RESTRICTED], [url, url]);
        lab.block_udp();
        assert_eq!(lab.connect(60 * SECOND), expected, "{name}");
        if expected {
            lab.transfer(200, 10_000, 60 * SECOND).unwrap();
            assert!(lab.is_relayed());
        }
    }
}

/// Audio, video and data through relays: nothing that leaves is longer for it than the MTU, and what is lost is repaired.
#[test]
fn scenario_09_a_call_through_relays() {
    for_each_seed(3, |seed| {
        // What is lost of a stream comes late, and all behind it waits: in that, nothing is to be repaired here.
        for (url, loss) in [("turn:203.0.113.1", 0.01), ("turn:203.0.113.1?transport=tcp", 0.0)] {
            let mut lab = Lab::call(seed, [Nat::SYMMETRIC, Nat::SYMMETRIC], [&[url], &[url]]);
            assert!(lab.connect(30 * SECOND));
            lab.simulation.network.set_filter(|sent| {
                // What the other side's relay adds on its way there, nobody here can know.
                let is_ours = sent.path.local.to_string().starts_with("10.") && !sent.is_stream;
                assert!(!is_ours || sent.bytes.len() <= 1200, "{} bytes", sent.bytes.len());
                wigwag_net::Verdict::Pass
            });
            lab.simulation.network.set_default_link(wigwag_scenarios::Link { loss, ..Default::default() });
            lab.start_media();
            lab.transfer(100, 20_000, 60 * SECOND).unwrap();
            lab.run_for(20 * SECOND).unwrap();
            assert!(lab.is_relayed());
            for side in [0, 1] {
                let peer = lab.peer(side);
                let arrived: u64 = peer.sinks.iter().map(|sink| sink.count).sum();
                let written: u64 = peer.sources.iter().map(|source| source.sent).sum();
                // The other side wrote as many.
                assert!(peer.sinks.len() == 2 && arrived * 100 > written * 97, "{url}: {arrived} of {written}");
            }
        }
    });
}

fn relayed(seed: u64, urls: &[&str]) -> Lab {
    let mut lab = Lab::new(seed, [Nat::SYMMETRIC, Nat::SYMMETRIC], [urls, urls]);
    assert!(lab.connect(30 * SECOND));
    lab.transfer(1, 100, 10 * SECOND).unwrap();
    assert!(lab.is_relayed());
    lab
}

/// Both were up all the time.
fn assert_unseen(lab: &mut Lab) {
    for side in [0, 1] {
        let peer = lab.peer(side);
        assert_eq!(peer.states, [ConnectionState::Connecting, ConnectionState::Connected]);
        assert!(peer.candidate_errors.is_empty(), "{:?}", peer.candidate_errors);
    }
}

#[test]
fn scenario_12_allocations_are_refreshed_unseen() {
    for_each_seed(3, |seed| {
        for url in ["turn:203.0.113.1", "turn:203.0.113.1?transport=tcp", "turns:turn.example"] {
            let mut lab = relayed(seed, &[url]);
            // Whatever can run out, does: ten times over.
            lab.server(0).config.nonce_lifetime = 100 * SECOND;
            for _ in 0..10 {
                lab.run_for(620 * SECOND).unwrap();
                lab.transfer(5, 5000, 10 * SECOND).unwrap();
            }
            assert_unseen(&mut lab);
            let stats = lab.server(0).stats().clone();
            assert!(stats.errors[&438] > 20 && stats.expired == 0, "{stats:?}");
        }
    });
}

#[test]
fn scenario_12_stale_nonces_while_data_flows() {
    for_each_seed(3, |seed| {
        let mut lab = relayed(seed, TURN);
        for _ in 0..20 {
            lab.server(0).revoke_nonces();
            lab.transfer(50, 10_000, 20 * SECOND).unwrap();
            lab.run_for(70 * SECOND).unwrap();
        }
        assert_unseen(&mut lab);
    });
}

#[test]
fn scenario_12_what_is_lost_is_asked_again() {
    for_each_seed(5, |seed| {
        let mut lab = Lab::new(seed, [Nat::SYMMETRIC, Nat::SYMMETRIC], [TURN, TURN]);
        lab.simulation.network.set_default_link(wigwag_scenarios::Link { loss: 0.2, ..Default::default() });
        assert!(lab.connect(40 * SECOND));
        lab.transfer(50, 1000, 60 * SECOND).unwrap();
        lab.run_for(1300 * SECOND).unwrap();
        lab.transfer(50, 1000, 60 * SECOND).unwrap();
    });
}

#[test]
fn scenario_12_wrong_credentials_in_mid_call() {
    for_each_seed(3, |seed| {
        let mut lab = relayed(seed, TURN);
        lab.server(0).give_to("another");
        lab.run_until(620 * SECOND, |peers| peers.iter().all(|peer| !peer.candidate_errors.is_empty())).unwrap();
        for side in [0, 1] {
            let expected = (441, "turn:203.0.113.1:3478?transport=udp".to_owned());
            assert_eq!(lab.peer(side).candidate_errors, [expected]);
        }
        let has_failed = |peer: &&wigwag_scenarios::Peer| peer.pc.connection_state() == ConnectionState::Failed;
        lab.run_until(60 * SECOND, |peers| peers.iter().all(has_failed)).unwrap();
    });
}

#[test]
fn scenario_12_a_wrong_password_is_told() {
    let urls = [TURN, TURN];
    let mut lab = Lab::new(1, [Nat::SYMMETRIC, Nat::SYMMETRIC], urls);
    lab.server(0).config.users.insert("user".to_owned(), "another".to_owned());
    assert!(!lab.connect(60 * SECOND));
    let errors = lab.peer(0).candidate_errors.clone();
    assert_eq!(errors, [(401, "turn:203.0.113.1:3478?transport=udp".to_owned())]);
}

#[test]
fn scenario_12_a_server_dies_and_another_takes_over() {
    for_each_seed(5, |seed| {
        let urls: Vec<_> = SERVERS.iter().map(|server| format!("turn:{server}")).collect();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let mut lab = relayed(seed, &urls);
        let selected = |lab: &mut Lab| {
            let path = lab.peer(0).pc.selected_path().unwrap();
            SERVERS
                .map(|it| it.parse::<std::net::SocketAddr>().unwrap().ip())
                .map(|ip| path.local.ip() == ip || path.remote.ip() == ip)
        };
        // Something flows each way, as in a call.
        let speak = |lab: &mut Lab| {
            for side in [0, 1] {
                let channel = lab.peer(side).opened[0];
                lab.peer(side).say(channel, 1, 500);
            }
            lab.run_for(Duration::from_millis(100)).unwrap();
        };
        (0..30).for_each(|_| speak(&mut lab));
        // If both are on the path, one of them dies.
        let dead = selected(&mut lab).iter().position(|is_used| *is_used).unwrap();
        lab.server(dead).set_silent(true);
        let (began, before) = (lab.simulation.now(), lab.peer(1).heard());
        while selected(&mut lab)[dead] {
            speak(&mut lab);
            assert!(lab.simulation.now() - began < 3 * SECOND, "seed {seed}: still there");
        }
        let left = lab.simulation.now() - began;
        while lab.peer(1).heard() < before + 10 {
            speak(&mut lab);
            assert!(lab.simulation.now() - began < 10 * SECOND, "seed {seed}: no data");
        }
        println!("seed {seed}: left after {left:?}, data again after {:?}", lab.simulation.now() - began);
    });
}

#[test]
fn scenario_12_the_only_server_dies() {
    for_each_seed(3, |seed| {
        let mut lab = relayed(seed, TURN);
        lab.server(0).set_silent(true);
        let has_failed = |peer: &&wigwag_scenarios::Peer| peer.pc.connection_state() == ConnectionState::Failed;
        let took = lab.run_until(120 * SECOND, |peers| peers.iter().all(has_failed)).unwrap();
        assert!(took < 40 * SECOND, "{took:?}");
        for side in [0, 1] {
            assert!(lab.peer(side).states.contains(&ConnectionState::Disconnected));
        }
        // It is told why, as soon as the allocation would have been refreshed.
        lab.run_until(700 * SECOND, |peers| peers.iter().all(|peer| !peer.candidate_errors.is_empty())).unwrap();
        assert_eq!(lab.peer(0).candidate_errors[0].0, 701);
    });
}
