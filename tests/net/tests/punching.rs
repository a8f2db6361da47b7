//! Two hosts behind NATs learn their outer addresses from a reflector and punch holes, as ICE does in short: they connect
//! exactly when theory says so.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use wigwag_net::Behavior::{self, AddressAndPortDependent, AddressDependent, EndpointIndependent};
use wigwag_net::{HostId, Link, Machine, Nat, Ports, Realm, Simulation};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath};

const ALL: [Behavior; 3] = [EndpointIndependent, AddressDependent, AddressAndPortDependent];
const EVERY: Duration = Duration::from_millis(50);
const REFLECTOR: &str = "203.0.113.9:3478";
/// More addresses of the other side than this are a chase without end.
const MAX_TARGETS: usize = 30;

/// What a datagram says with its first byte; after it comes where the request was sent to, and in a response a space and where
/// it was seen to come from.
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// Answers requests, and sends them to all it has heard of.
struct Puncher {
    local: SocketAddr,
    /// Whom to ask; the first is the reflector.
    targets: Vec<SocketAddr>,
    answered: BTreeSet<SocketAddr>,
    mapped: Option<SocketAddr>,
    to_send: Vec<(SocketAddr, String)>,
    deadline: Option<Instant>,
    is_reflector: bool,
}

impl Puncher {
    fn new(local: &str) -> Self {
        let is_reflector = local == REFLECTOR;
        Self {
            local: local.parse().unwrap(),
            targets: if is_reflector { Vec::new() } else { vec![REFLECTOR.parse().unwrap()] },
            answered: BTreeSet::new(),
            mapped: None,
            to_send: Vec::new(),
            deadline: (!is_reflector).then_some(Instant::default()),
            is_reflector,
        }
    }

    fn ask(&mut self, target: SocketAddr) {
        if !self.targets.contains(&target) && self.targets.len() < MAX_TARGETS {
            self.targets.push(target);
        }
    }

    /// A request and its answer went by the same addresses.
    fn is_connected(&self) -> bool {
        self.answered.iter().any(|target| target.to_string() != REFLECTOR)
    }
}

impl Machine for Puncher {
    fn handle_input(&mut self, _now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { return };
        let from = received.path.remote;
        for datagram in received.datagrams() {
            match datagram[0] {
                REQUEST => {
                    let asked = std::str::from_utf8(&datagram[1..]).unwrap();
                    self.to_send.push((from, format!("{}{asked} {from}", char::from(RESPONSE))));
                    if !self.is_reflector {
                        self.ask(from);
                    }
                }
                RESPONSE => {
                    let (asked, seen) = std::str::from_utf8(&datagram[1..]).unwrap().split_once(' ').unwrap();
                    // Otherwise somebody else has answered. RFC 8445 section 7.2.5.2.1.
                    if asked == from.to_string() {
                        self.answered.insert(from);
                        self.mapped.get_or_insert(seen.parse().unwrap());
                    }
                }
                _ => {}
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = Some(now + EVERY);
            let request = |target: &SocketAddr| (*target, format!("{}{target}", char::from(REQUEST)));
            self.to_send.extend(self.targets.iter().map(request));
        }
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        let (remote, text) = self.to_send.pop()?;
        out.start();
        out.segment(text.len())?.copy_from_slice(text.as_bytes());
        out.push(text.len());
        out.finish(Route::Udp(UdpPath { local: self.local, remote }))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}

struct Call {
    simulation: Simulation<Puncher>,
    callers: [HostId; 2],
}

impl Call {
    /// Two hosts with these addresses in these realms, which `build` makes.
    fn new(seed: u64, addresses: [&str; 2], build: impl FnOnce(&mut Simulation<Puncher>) -> [Realm; 2]) -> Self {
        let mut simulation = Simulation::new(seed);
        let reflector: SocketAddr = REFLECTOR.parse().unwrap();
        simulation.network.set_default_link(Link { jitter: Duration::from_millis(5), ..Link::default() });
        simulation.add([reflector.ip()], Puncher::new(REFLECTOR));
        let [one, other] = build(&mut simulation);
        let mut add = |realm, address: &str| {
            let local: SocketAddr = address.parse().unwrap();
            simulation.add_in(realm, [local.ip()], Puncher::new(address))
        };
        let callers = [add(one, addresses[0]), add(other, addresses[1])];
        Self { simulation, callers }
    }

    fn connects(mut self) -> bool {
        self.punches()
    }

    /// Whether both connect within five seconds after each has told the other its outer address.
    fn punches(&mut self) -> bool {
        let [one, other] = self.callers;
        let learned =
            |it: &Simulation<Puncher>| [one, other].iter().all(|host| it.machine(*host).unwrap().mapped.is_some());
        self.simulation.run_until(learned, Duration::from_secs(1)).unwrap();
        for (host, peer) in [(one, other), (other, one)] {
            let mapped = self.simulation.machine(peer).unwrap().mapped.unwrap();
            self.simulation.machine_mut(host).unwrap().ask(mapped);
        }
        let both = |it: &mut Simulation<Puncher>| match [one, other]
            .iter()
            .all(|host| it.machine(*host).unwrap().is_connected())
        {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        self.simulation.run(Duration::from_secs(5), both).is_ok()
    }
}

fn nat(mapping: Behavior, filtering: Behavior) -> Nat {
    Nat { mapping, filtering, ports: Ports::Random, ..Nat::default() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Can two hosts behind these NATs connect, each knowing the other's mapping towards the reflector?
///
/// - Both mappings are stable: each sends to where the other will be let in from.
/// - One is: the other comes from an endpoint that nobody knows yet, so the first must let in any port of an address.
/// - None is: both must, and one of them must settle on an endpoint, or each answer comes from yet another one.
fn theory(one: Nat, other: Nat) -> bool {
    let is_stable = |nat: Nat| nat.mapping == EndpointIndependent;
    let is_lenient = |nat: Nat| nat.filtering != AddressAndPortDependent;
    match (is_stable(one), is_stable(other)) {
        (true, true) => true,
        (true, false) => is_lenient(one),
        (false, true) => is_lenient(other),
        (false, false) => {
            let settles = one.mapping == AddressDependent || other.mapping == AddressDependent;
            is_lenient(one) && is_lenient(other) && settles
        }
    }
}

#[test]
fn two_hosts_connect_exactly_when_theory_says_so() {
    let kinds: Vec<Nat> = ALL.iter().flat_map(|mapping| ALL.map(|filtering| nat(*mapping, filtering))).collect();
    let mut connected = BTreeMap::new();
    for one in &kinds {
        for other in &kinds {
            for seed in wigwag_net::seeds(2) {
                let call = Call::new(seed, ["10.0.0.2:5000", "10.0.0.2:5000"], |simulation| {
                    let mut behind = |nat, address| simulation.network.add_nat(Realm::INTERNET, nat, [ip(address)]);
                    [behind(*one, "198.51.100.1"), behind(*other, "198.51.100.2")]
                });
                let expected = theory(*one, *other);
                assert_eq!(call.connects(), expected, "seed {seed}: {one:?} and {other:?}");
                *connected.entry(expected).or_insert(0) += 1;
            }
        }
    }
    assert!(connected[&true] > 40 && connected[&false] > 40, "{connected:?}");
}

#[test]
fn a_host_without_nat_connects_to_everybody() {
    for mapping in ALL {
        for filtering in ALL {
            let call = Call::new(1, ["10.0.0.2:5000", "203.0.113.77:5000"], |simulation| {
                [
                    simulation.network.add_nat(Realm::INTERNET, nat(mapping, filtering), [ip("198.51.100.1")]),
                    Realm::INTERNET,
                ]
            });
            assert!(call.connects(), "{mapping:?} {filtering:?}");
        }
    }
}

/// A home NAT with stable mappings behind a carrier's: together as the stricter of both.
#[test]
fn a_carrier_makes_it_stricter() {
    for home in ALL {
        for mapping in ALL {
            for filtering in ALL {
                for peer in [Nat::FULL_CONE, Nat::PORT_RESTRICTED, Nat::SYMMETRIC] {
                    let call = Call::new(1, ["10.0.0.2:5000", "10.0.0.2:5000"], |simulation| {
                        let network = &mut simulation.network;
                        let carrier = network.add_nat(Realm::INTERNET, nat(mapping, filtering), [ip("198.51.100.1")]);
                        let behind = network.add_nat(carrier, nat(EndpointIndependent, home), [ip("100.64.0.7")]);
                        [behind, network.add_nat(Realm::INTERNET, peer, [ip("198.51.100.2")])]
                    });
                    let both = nat(mapping, filtering.max(home));
                    assert_eq!(call.connects(), theory(both, peer), "{home:?}, {mapping:?} {filtering:?}, {peer:?}");
                }
            }
        }
    }
}

/// By their outer addresses alone; by their own they would always.
#[test]
fn behind_one_nat_it_takes_a_hairpin() {
    for hairpinning in [false, true] {
        for filtering in ALL {
            let call = Call::new(1, ["10.0.0.2:5000", "10.0.0.3:5000"], |simulation| {
                let nat = Nat { hairpinning, ..nat(EndpointIndependent, filtering) };
                let home = simulation.network.add_nat(Realm::INTERNET, nat, [ip("198.51.100.1")]);
                [home, home]
            });
            assert_eq!(call.connects(), hairpinning, "{filtering:?}");
        }
    }
}

#[test]
fn the_seed_decides_about_ports() {
    let run = |seed| {
        let mut call = Call::new(seed, ["10.0.0.2:5000", "10.0.0.2:5000"], |simulation| {
            let mut behind = |address| simulation.network.add_nat(Realm::INTERNET, Nat::SYMMETRIC, [ip(address)]);
            [behind("198.51.100.1"), behind("198.51.100.2")]
        });
        assert!(!call.punches());
        let mapped = call.callers.map(|host| call.simulation.machine(host).unwrap().mapped.unwrap());
        (call.simulation.network.digest(), mapped)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).1, run(2).1);
    let [one, other] = run(1).1;
    assert_ne!(one.port(), other.port(), "each NAT has dice of its own");
}
