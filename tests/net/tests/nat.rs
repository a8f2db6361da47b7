//! NATs: do they let through what RFC 4787 says, and nothing else?
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use wigwag_net::Behavior::{self, AddressAndPortDependent, AddressDependent, EndpointIndependent};
use wigwag_net::{Delivery, HostId, Link, Nat, Network, Pooling, Ports, Realm};
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

const SECOND: Duration = Duration::from_secs(1);
const ALL: [Behavior; 3] = [EndpointIndependent, AddressDependent, AddressAndPortDependent];

/// A client behind a NAT, and two servers (RFC 5780 wants two addresses and two ports).
struct Lab {
    network: Network,
    now: Instant,
    behind: Realm,
    client: HostId,
    server: HostId,
}

const CLIENT: &str = "10.0.0.2:5000";
const OUTER: &str = "198.51.100.1";
/// Another address, another port, and both.
const SERVERS: [&str; 4] = ["203.0.113.1:3478", "203.0.113.1:3479", "203.0.113.2:3478", "203.0.113.2:3479"];

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Lab {
    fn new(nat: Nat) -> Self {
        let mut network = Network::new(1);
        let behind = network.add_nat(Realm::INTERNET, nat, [ip(OUTER)]);
        let client = network.add_host_in(behind, [ip("10.0.0.2")]);
        let server = network.add_host([ip("203.0.113.1"), ip("203.0.113.2")]);
        Self { network, now: Instant::default() + SECOND, behind, client, server }
    }

    fn send(&mut self, host: HostId, from: SocketAddr, to: SocketAddr) -> Option<Delivery> {
        let path = UdpPath { local: from, remote: to };
        let transmit = Transmit { route: Route::Udp(path), len: 1, segment_size: 1, ecn: 0, dscp: 0 };
        self.network.send_from(host, self.now, &transmit, b"x");
        self.now += SECOND;
        self.network.deliver(self.now)
    }

    /// What the client looks like to a server.
    fn mapped(&mut self, from: &str, server: &str) -> SocketAddr {
        let delivery = self.send(self.client, at(from), at(server)).unwrap();
        assert_eq!((delivery.to, delivery.path.local), (self.server, at(server)));
        delivery.path.remote
    }

    /// Whether something comes through to the client.
    fn comes_in(&mut self, server: &str, mapped: SocketAddr) -> bool {
        let filtered = self.network.stats().filtered;
        let delivery = self.send(self.server, at(server), mapped);
        if let Some(delivery) = &delivery {
            assert_eq!(delivery.to, self.client);
            assert_eq!(delivery.path.remote, at(server));
        }
        assert_eq!(self.network.stats().filtered - filtered, u64::from(delivery.is_none()));
        delivery.is_some()
    }
}

#[test]
fn mappings_depend_on_what_they_say() {
    let expected = [(EndpointIndependent, 1), (AddressDependent, 2), (AddressAndPortDependent, 4)];
    for (mapping, count) in expected {
        for ports in [Ports::Preserved, Ports::Sequential, Ports::Random] {
            let mut lab = Lab::new(Nat { mapping, ports, ..Nat::default() });
            let outer = SERVERS.map(|server| lab.mapped(CLIENT, server));
            assert!(outer.iter().all(|outer| outer.ip() == ip(OUTER)));
            assert_eq!(outer.iter().collect::<BTreeSet<_>>().len(), count, "{mapping:?} {ports:?} {outer:?}");
            assert_eq!(SERVERS.map(|server| lab.mapped(CLIENT, server)), outer, "they stay");
            assert!(!outer.contains(&lab.mapped("10.0.0.2:5002", SERVERS[0])), "each endpoint has its own");
        }
    }
}

/// The table of RFC 4787 section 5: after a packet to the first server, who may answer?
#[test]
fn filters_let_in_what_they_say() {
    let expected = [
        (EndpointIndependent, [true, true, true, true]),
        (AddressDependent, [true, true, false, false]),
        (AddressAndPortDependent, [true, false, false, false]),
    ];
    for mapping in ALL {
        for (filtering, expected) in expected {
            let mut lab = Lab::new(Nat { mapping, filtering, ..Nat::default() });
            let mapped = lab.mapped(CLIENT, SERVERS[0]);
            assert_eq!(SERVERS.map(|server| lab.comes_in(server, mapped)), expected, "{mapping:?} {filtering:?}");
            // What the endpoint inside sends to opens the filter, by whichever mapping it went.
            lab.mapped(CLIENT, SERVERS[3]);
            assert!(lab.comes_in(SERVERS[3], mapped), "{mapping:?} {filtering:?}");
            // Nothing is mapped there.
            assert!(!lab.comes_in(SERVERS[0], SocketAddr::new(ip(OUTER), 9)));
        }
    }
}

#[test]
fn mappings_end_with_silence() {
    for inbound_refresh in [false, true] {
        let nat = Nat { timeout: 60 * SECOND, inbound_refresh, ports: Ports::Random, ..Nat::PORT_RESTRICTED };
        let mut lab = Lab::new(nat);
        let mapped = lab.mapped(CLIENT, SERVERS[0]);
        lab.now += 57 * SECOND;
        assert!(lab.comes_in(SERVERS[0], mapped));
        lab.now += 30 * SECOND;
        assert_eq!(lab.comes_in(SERVERS[0], mapped), inbound_refresh);
        lab.now += 100 * SECOND;
        assert!(!lab.comes_in(SERVERS[0], mapped));
        assert_ne!(lab.mapped(CLIENT, SERVERS[0]), mapped);
        // Packets out keep it.
        let mapped = lab.mapped(CLIENT, SERVERS[0]);
        for _ in 0..5 {
            lab.now += 50 * SECOND;
            assert_eq!(lab.mapped(CLIENT, SERVERS[0]), mapped);
        }
    }
}

#[test]
fn mappings_are_forgotten_on_command() {
    let mut lab = Lab::new(Nat { ports: Ports::Random, ..Nat::default() });
    let before = lab.mapped(CLIENT, SERVERS[0]);
    lab.network.forget_mappings(lab.behind);
    assert!(!lab.comes_in(SERVERS[0], before));
    assert_ne!(lab.mapped(CLIENT, SERVERS[0]), before);
    lab.network.set_nat_addresses(lab.behind, [ip("198.51.100.9")]);
    assert_eq!(lab.mapped(CLIENT, SERVERS[0]).ip(), ip("198.51.100.9"));
    assert_eq!(lab.send(lab.server, at(SERVERS[0]), before), None, "the old address is nobody's");
    lab.network.set_nat(lab.behind, Nat { mapping: AddressAndPortDependent, ..Nat::default() });
    assert_ne!(lab.mapped(CLIENT, SERVERS[0]), lab.mapped(CLIENT, SERVERS[1]));
}

#[test]
fn ports_are_given_as_said() {
    let mut lab = Lab::new(Nat::default());
    let other = lab.network.add_host_in(lab.behind, [ip("10.0.0.3")]);
    assert_eq!(lab.mapped(CLIENT, SERVERS[0]).port(), 5000);
    let taken = lab.send(other, at("10.0.0.3:5000"), at(SERVERS[0])).unwrap().path.remote.port();
    assert!(taken != 5000 && taken.is_multiple_of(2), "{taken}");

    let mut lab = Lab::new(Nat { ports: Ports::Sequential, ..Nat::SYMMETRIC });
    let ports = SERVERS.map(|server| lab.mapped(CLIENT, server).port());
    assert_eq!(ports, [1024, 1025, 1026, 1027]);
}

#[test]
fn a_pool_is_paired_or_not() {
    for (pooling, paired) in [(Pooling::Paired, true), (Pooling::Arbitrary, false)] {
        let mut lab = Lab::new(Nat { pooling, ..Nat::SYMMETRIC });
        let pool: Vec<IpAddr> = (1..=8).map(|n| ip(&format!("198.51.100.{n}"))).collect();
        lab.network.set_nat_addresses(lab.behind, pool.clone());
        let of = |lab: &mut Lab, host: u8| -> BTreeSet<IpAddr> {
            let address = ip(&format!("10.0.0.{host}"));
            let id = lab.network.add_host_in(lab.behind, [address]);
            let send = |port| lab.send(id, SocketAddr::new(address, port), at(SERVERS[0])).unwrap().path.remote.ip();
            (5000..5020).map(send).collect()
        };
        let first = of(&mut lab, 10);
        assert_eq!(first.len() == 1, paired);
        let everybody: BTreeSet<IpAddr> = (10..40).flat_map(|host| of(&mut lab, host)).collect();
        assert_eq!(everybody, pool.into_iter().collect());
    }
}

#[test]
fn without_a_free_port_nothing_goes_out() {
    let mut lab = Lab::new(Nat { mapping: AddressAndPortDependent, ..Nat::default() });
    let server = ip("203.0.113.1");
    let mut outer = BTreeSet::new();
    for port in 1..=u16::MAX {
        let to = SocketAddr::new(server, port);
        lab.now += Duration::from_millis(1);
        let path = UdpPath { local: at(CLIENT), remote: to };
        let transmit = Transmit { route: Route::Udp(path), len: 1, segment_size: 1, ecn: 0, dscp: 0 };
        lab.network.send_from(lab.client, lab.now, &transmit, b"x");
        while let Some(delivery) = lab.network.deliver(lab.now) {
            assert!(outer.insert(delivery.path.remote), "one endpoint, one mapping");
        }
    }
    while let Some(delivery) = lab.network.deliver(Instant::NEVER) {
        assert!(outer.insert(delivery.path.remote));
    }
    assert_eq!((outer.len(), lab.network.stats().filtered), (64_512, 1_023));
}

#[test]
fn hairpins_turn_or_do_not() {
    for hairpinning in [false, true] {
        for filtering in ALL {
            let mut lab = Lab::new(Nat { hairpinning, filtering, ..Nat::default() });
            let other = lab.network.add_host_in(lab.behind, [ip("10.0.0.3")]);
            let mapped = lab.mapped(CLIENT, SERVERS[0]);
            let there = lab.send(other, at("10.0.0.3:7000"), mapped);
            assert_eq!(there.is_some(), hairpinning && filtering == EndpointIndependent);
            if let Some(delivery) = there {
                // RFC 4787 section 6: from its outer address.
                let expected = UdpPath { local: at(CLIENT), remote: at("198.51.100.1:7000") };
                assert_eq!((delivery.to, delivery.path), (lab.client, expected));
            }
            let back = lab.send(lab.client, at(CLIENT), at("198.51.100.1:7000"));
            assert_eq!(back.is_some(), hairpinning);
        }
    }
}

#[test]
fn behind_two_nats_with_the_same_addresses_inside() {
    let mut network = Network::new(1);
    let carrier = network.add_nat(Realm::INTERNET, Nat::default(), [ip(OUTER)]);
    let homes = [7, 8].map(|n| network.add_nat(carrier, Nat::default(), [ip(&format!("100.64.0.{n}"))]));
    let hosts = homes.map(|home| network.add_host_in(home, [ip("10.0.0.2")]));
    let server = network.add_host([ip("203.0.113.1")]);
    let mut lab = Lab { network, now: Instant::default() + SECOND, behind: carrier, client: hosts[0], server };
    let outer = hosts.map(|host| lab.send(host, at(CLIENT), at(SERVERS[0])).unwrap().path.remote);
    assert_ne!(outer[0], outer[1]);
    for (host, outer) in hosts.into_iter().zip(outer) {
        let delivery = lab.send(server, at(SERVERS[0]), outer).unwrap();
        assert_eq!((delivery.to, delivery.path.local), (host, at(CLIENT)));
    }
    // From home to home: by the carrier's outer addresses (a hairpin there), or by its own.
    assert_eq!(lab.send(hosts[0], at(CLIENT), outer[1]).unwrap().to, hosts[1]);
    let delivery = lab.send(hosts[0], at(CLIENT), at("100.64.0.8:5000")).unwrap();
    assert_eq!((delivery.to, delivery.path.remote), (hosts[1], at("100.64.0.7:5000")));
    // A private address means nothing elsewhere.
    assert_eq!(lab.send(server, at(SERVERS[0]), at("100.64.0.8:5000")), None);
    assert_eq!(lab.send(hosts[0], at(CLIENT), at("10.9.9.9:1")), None);
}

#[test]
fn an_access_link_is_shared() {
    let mut lab = Lab::new(Nat::default());
    let other = lab.network.add_host_in(lab.behind, [ip("10.0.0.3")]);
    let slow = Link { delay: Duration::ZERO, rate: Some(29 * 8 * 1000), ..Link::default() };
    lab.network.set_access_link(lab.behind, slow, Link::default());
    for host in [lab.client, other] {
        let local = if host == other { at("10.0.0.3:5000") } else { at(CLIENT) };
        let path = UdpPath { local, remote: at(SERVERS[0]) };
        let transmit = Transmit { route: Route::Udp(path), len: 10, segment_size: 1, ecn: 0, dscp: 0 };
        lab.network.send_from(host, lab.now, &transmit, &[0; 10]);
    }
    let mut last = lab.now;
    while let Some(at) = lab.network.next_arrival() {
        last = at;
        while lab.network.deliver(at).is_some() {}
    }
    // Twenty packets of a millisecond each, and the link behind the NAT.
    assert_eq!(last - lab.now, Duration::from_millis(20 + 10));
    assert_eq!(lab.network.stats().delivered, 20);
}

fn behavior() -> impl Strategy<Value = Behavior> {
    prop_oneof![Just(EndpointIndependent), Just(AddressDependent), Just(AddressAndPortDependent)]
}

proptest! {
    /// Whatever is sent: an outer endpoint belongs to one endpoint inside at a time, and nothing gets lost uncounted.
    #[test]
    fn no_two_share_a_mapping(
        seed: u64, mapping in behavior(), filtering in behavior(), timeout in 1..20_u64,
        sends in proptest::collection::vec((0..6_u8, 0..4_usize, 0..3_u64, any::<bool>()), 0..150),
    ) {
        let nat = Nat { mapping, filtering, timeout: SECOND * timeout as u32, ports: Ports::Random, ..Nat::default() };
        let mut lab = Lab::new(nat);
        lab.network = { let mut network = Network::new(seed); network.add_nat(Realm::INTERNET, nat, [ip(OUTER)]); network };
        let clients: Vec<_> = (0..6).map(|n| (lab.network.add_host_in(lab.behind, [ip(&format!("10.0.0.{n}"))]), n)).collect();
        lab.server = lab.network.add_host([ip("203.0.113.1"), ip("203.0.113.2")]);
        let mut last: Vec<(SocketAddr, u8, Instant)> = Vec::new();
        for (client, server, pause, is_answer) in sends {
            lab.now += SECOND * pause as u32;
            if is_answer && let Some((outer, owner, _)) = last.iter().rev().nth(usize::from(client)).copied() {
                let delivery = lab.send(lab.server, at(SERVERS[server]), outer);
                let is_newest = last.iter().rev().find(|(other, ..)| *other == outer).is_some_and(|it| it.1 == owner);
                if let (Some(delivery), true) = (delivery, is_newest) {
                    prop_assert_eq!(delivery.to, clients[usize::from(owner)].0);
                }
                continue;
            }
            let (host, number) = clients[usize::from(client)];
            let from = SocketAddr::new(ip(&format!("10.0.0.{number}")), 5000);
            let outer = lab.send(host, from, at(SERVERS[server])).unwrap().path.remote;
            let alive = lab.now - SECOND * (timeout as u32);
            prop_assert!(last.iter().all(|(other, owner, at)| *other != outer || *owner == client || *at <= alive));
            last.push((outer, client, lab.now));
        }
        let stats = lab.network.stats();
        prop_assert_eq!(stats.sent, stats.delivered + stats.filtered + stats.unroutable);
    }
}
