//! Scenario 8: a NAT forgets a call that goes through it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use wigwag::ConnectionState;
use wigwag_net::{Behavior, Nat, Ports};
use wigwag_scenarios::{Link, Peer, World, for_each_seed};

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
