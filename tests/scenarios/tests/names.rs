//! Names in place of addresses: two on one link find each other without having told an address to anybody (RFC 8828, mDNS).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::time::Duration;

use wigwag::{ChannelInit, Gathering, MdnsPolicy, PeerConnection};
use wigwag_scenarios::{Link, Peer, Simulation, World, config, exchange, for_each_seed};

const MINUTE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);
const ADDRESSES: [&str; 2] = ["10.1.0.1", "10.1.0.2"];

/// Two that ask for their sockets, on one link, and hide their addresses as `hides` says.
fn on_one_link(seed: u64, hides: [bool; 2]) -> World {
    let [mut offerer, mut answerer] = [0, 1].map(|side: usize| {
        let mut config = config(seed, side as u8 + 1);
        config.gathering = Gathering::Interfaces;
        config.mdns = if hides[side] { MdnsPolicy::Hide } else { MdnsPolicy::Resolve };
        Peer::new(PeerConnection::new(config).unwrap())
    });
    let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
    exchange(Simulation::<Peer>::START, &mut offerer.pc, &mut answerer.pc, |sdp| sdp);
    let mut world = World::join(seed, [offerer, answerer], channel);
    for (host, address) in [world.offerer, world.answerer].into_iter().zip(ADDRESSES) {
        let address: IpAddr = address.parse().unwrap();
        world.simulation.add_interface(host, "wifi", wigwag_net::Realm::INTERNET, address);
    }
    world
}

/// Steps, telling each side what the other has found, until both are connected; all that was told.
fn connect(world: &mut World) -> Vec<String> {
    let mut told = Vec::new();
    let hosts = [world.offerer, world.answerer];
    let began = world.now();
    while hosts.iter().any(|&host| !world.simulation.machine(host).unwrap().is_connected()) {
        assert!(world.now() - began < MINUTE, "not connected");
        world.simulation.run_for(STEP).unwrap();
        for (from, to) in [(hosts[0], hosts[1]), (hosts[1], hosts[0])] {
            let found = std::mem::take(&mut world.simulation.machine_mut(from).unwrap().candidates);
            let now = world.now();
            for candidate in found {
                world.simulation.machine_mut(to).unwrap().pc.add_ice_candidate(now, &candidate).unwrap();
                told.push(candidate.candidate);
            }
        }
    }
    told
}

#[test]
fn two_on_a_link_connect_without_telling_an_address() {
    for_each_seed(5, |seed| {
        for hides in [[true, true], [true, false], [false, true]] {
            let mut world = on_one_link(seed, hides);
            let loss = if seed % 2 == 0 { 0.1 } else { 0.0 };
            world.simulation.network.set_default_link(Link { loss, ..Link::default() });
            let mut told = connect(&mut world);
            world.transfer(10, 1000, MINUTE).unwrap();
            for host in [world.offerer, world.answerer] {
                let description = world.simulation.machine(host).unwrap().pc.local_description().unwrap();
                told.push(description.sdp.clone());
            }
            let names = told.iter().filter(|text| text.contains(".local ")).count();
            assert!(names > 0, "{told:?}");
            for (hides, address) in hides.into_iter().zip(ADDRESSES) {
                let is_told = told.iter().any(|text| text.contains(address));
                assert_eq!(is_told, !hides, "{told:?}");
            }
        }
    });
}

/// A name that nobody has costs nothing but itself.
#[test]
fn a_name_of_nobody_is_given_up() {
    let mut world = on_one_link(1, [false, false]);
    let stranger = wigwag::IceCandidate {
        candidate: "candidate:9 1 udp 2122260223 00000000-0000-4000-8000-000000000000.local 9 typ host".into(),
        sdp_m_line_index: Some(0),
        ..Default::default()
    };
    let now = world.now();
    world.offerer().pc.add_ice_candidate(now, &stranger).unwrap();
    connect(&mut world);
    world.simulation.run_for(MINUTE / 6).unwrap();
    world.transfer(10, 1000, MINUTE).unwrap();
}
