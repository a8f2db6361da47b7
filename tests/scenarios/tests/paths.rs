//! Scenarios 8 and 11: a NAT forgets a call that goes through it; a device moves to another network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use wigwag::ConnectionState;
use wigwag_net::{Behavior, Nat, Ports, Realm};
use wigwag_scenarios::{Link, Peer, World, for_each_seed};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);
/// How long nothing may arrive.
const BAR: Duration = Duration::from_secs(3);

/// What may stand at home; each gives another port to those it forgot.
const NATS: [Nat; 3] = [
    Nat { ports: Ports::Random, ..Nat::FULL_CONE },
    Nat { ports: Ports::Random, ..Nat::PORT_RESTRICTED },
    Nat { mapping: Behavior::AddressAndPortDependent, ports: Ports::Random, ..Nat::PORT_RESTRICTED },
];

fn arrived(peer: &Peer) -> u64 {
    peer.sinks.iter().map(|sink| sink.count).sum()
}

/// Until audio and video arrive at both sides again; how long that took.
fn interruption(world: &mut World) -> Duration {
    let hosts = [world.offerer, world.answerer];
    // What is under way still arrives.
    world.simulation.run_for(Duration::from_millis(300)).unwrap();
    let before = hosts.map(|host| arrived(world.simulation.machine(host).unwrap()));
    let began = world.now();
    let flows = |world: &World| {
        hosts.iter().zip(before).all(|(&host, before)| arrived(world.simulation.machine(host).unwrap()) > before + 10)
    };
    while !flows(world) {
        assert!(world.now() - began < MINUTE, "for good");
        world.simulation.run_for(STEP).unwrap();
    }
    world.now() - began + Duration::from_millis(300)
}

/// Whichever side is behind the NAT, whoever controls ICE: media flows again within the bar, twice, nobody hears of a
/// disconnection, and the channel goes on with the keys that it had.
#[test]
fn scenario_08_a_nat_forgets() {
    let mut longest = Duration::ZERO;
    for_each_seed(4, |seed| {
        for (nat, behind) in NATS.into_iter().flat_map(|nat| [(nat, 0), (nat, 1)]) {
            let (mut world, home) = World::call_from_behind(seed, nat, behind);
            if seed % 2 == 0 {
                let link = Link { delay: Duration::from_millis(40), loss: 0.02, ..Link::default() };
                world.simulation.network.set_default_link(link);
            }
            world.connect(MINUTE).unwrap();
            world.start_media();
            world.simulation.run_for(Duration::from_millis(3000 + 700 * seed)).unwrap();
            for _ in 0..2 {
                let selected = [world.offerer().pc.selected_path(), world.answerer().pc.selected_path()];
                world.simulation.network.forget_mappings(home);
                let took = interruption(&mut world);
                assert!(took < BAR, "{took:?}, {nat:?}, side {behind} behind it");
                longest = longest.max(took);
                let open =
                    if behind == 0 { world.answerer().pc.selected_path() } else { world.offerer().pc.selected_path() };
                assert_ne!(open, selected[1 - behind], "the side in the open followed");
                world.simulation.run_for(10 * STEP).unwrap();
                world.transfer(20, 5000, MINUTE).unwrap();
            }
            for host in [world.offerer, world.answerer] {
                let peer = world.simulation.machine(host).unwrap();
                assert_eq!(peer.states, [ConnectionState::Connecting, ConnectionState::Connected]);
            }
        }
    });
    println!("longest interruption: {longest:?}");
}

/// The candidates that each side has found since, told to the other.
fn trickle(world: &mut World) {
    let now = world.now();
    for (from, to) in [(world.offerer, world.answerer), (world.answerer, world.offerer)] {
        let found = std::mem::take(&mut world.simulation.machine_mut(from).unwrap().candidates);
        let pc = &mut world.simulation.machine_mut(to).unwrap().pc;
        for candidate in found {
            pc.add_ice_candidate(now, &candidate).unwrap();
        }
    }
}

/// Steps, with what is found told, until both sides have heard `count` messages.
fn finish(world: &mut World, count: u64) -> Duration {
    let began = world.now();
    let hosts = [world.offerer, world.answerer];
    while hosts.iter().any(|&host| world.simulation.machine(host).unwrap().heard() < count) {
        assert!(world.now() - began < 5 * MINUTE, "for good");
        world.simulation.run_for(STEP).unwrap();
        trickle(world);
    }
    world.now() - began
}

/// From Wi-Fi to a cellular network that is slower and farther away, in the middle of a transfer both ways: with both there for a
/// moment, and with nothing for five seconds. The application does what browsers' do: an ICE restart when the interfaces have
/// changed. No byte is lost, and neither side gives up.
#[test]
fn scenario_11_from_wifi_to_cellular() {
    const WIFI: &str = "10.1.0.1";
    const CELLULAR: &str = "10.2.0.1";
    const MESSAGES: u64 = 300;
    let link = Link { rate: Some(20_000_000), loss: 0.001, ..Link::default() };
    let slow = Link { rate: Some(5_000_000), delay: Duration::from_millis(40), ..link };
    for_each_seed(2, |seed| {
        for gap in [Duration::ZERO, 5 * SECOND] {
            let mut world = World::roaming(seed, "wifi", WIFI.parse().unwrap());
            let network = &mut world.simulation.network;
            network.set_default_link(link);
            let there = network.addresses(world.answerer).next().unwrap();
            for (from, to) in [(CELLULAR.parse().unwrap(), there), (there, CELLULAR.parse().unwrap())] {
                network.set_one_way(from, to, slow);
            }
            world.simulation.run_for(STEP).unwrap();
            trickle(&mut world);
            world.connect(MINUTE).unwrap();
            let (channel, answerer_channel) = (world.channel, world.answerer().opened[0]);
            world.offerer().say(channel, MESSAGES, 20_000);
            world.answerer().say(answerer_channel, MESSAGES, 20_000);
            world.simulation.run_for(Duration::from_millis(800)).unwrap();
            assert!(world.offerer().heard() < MESSAGES, "the move is in the middle of it");
            let device = world.offerer;
            if gap > Duration::ZERO {
                world.simulation.remove_interface(device, "wifi");
                world.simulation.run_for(gap).unwrap();
            }
            world.simulation.add_interface(device, "cellular", Realm::INTERNET, CELLULAR.parse().unwrap());
            world.simulation.run_for(STEP).unwrap();
            world.restart_ice();
            for _ in 0..25 {
                world.simulation.run_for(STEP).unwrap();
                trickle(&mut world);
            }
            if gap == Duration::ZERO {
                world.simulation.remove_interface(device, "wifi");
            }
            let took = finish(&mut world, MESSAGES);
            println!("seed {seed}, {gap:?} without a network: the rest of it took {took:?}");
            // 6 MB each way over 5 Mbit/s are ten seconds.
            assert!(took < 30 * SECOND, "{took:?} after a gap of {gap:?}");
            let path = world.offerer().pc.selected_path().unwrap();
            assert_eq!(path.local.ip().to_string(), CELLULAR);
            for host in [world.offerer, world.answerer] {
                let peer = world.simulation.machine(host).unwrap();
                assert!(!peer.states.contains(&ConnectionState::Failed), "{:?}", peer.states);
            }
        }
    });
}
