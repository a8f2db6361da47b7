//! Scenarios 10, 16 and 18: restarts, clocks that jump, devices that sleep, peers that die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ops::ControlFlow;
use std::time::Duration;

use wigwag::{ConnectionState, Input, SignalingState, WallClock};
use wigwag_net::Machine;
use wigwag_scenarios::{Link, Peer, Simulation, World, config, for_each_seed, memory};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// RFC 7675 section 5.1, and a check's interval.
const CONSENT: Duration = Duration::from_secs(36);

/// The answer takes its time, twice; data flows both ways meanwhile, and nothing of it is lost.
#[test]
fn scenario_10_ice_restart_in_mid_transfer() {
    for_each_seed(5, |seed| {
        let mut world = World::new(seed);
        world.simulation.network.set_default_link(Link { loss: 0.01, rate: Some(20_000_000), ..Link::default() });
        world.connect(MINUTE).unwrap();
        let (channel, answerer_channel) = (world.channel, world.answerer().opened[0]);
        world.offerer().say(channel, 300, 20_000);
        world.answerer().say(answerer_channel, 300, 20_000);
        for round in 1..=2 {
            world.simulation.run_for(Duration::from_millis(800)).unwrap();
            assert!(world.offerer().heard() < 300, "the restart is in the middle of it");
            let now = world.now();
            let (offer, answer);
            {
                let pc = &mut world.offerer().pc;
                pc.restart_ice();
                offer = pc.set_local_description_implicitly(now).unwrap();
            }
            world.simulation.run_for(Duration::from_millis(100 * round)).unwrap();
            let now = world.now();
            {
                let pc = &mut world.answerer().pc;
                pc.set_remote_description(now, offer).unwrap();
                answer = pc.set_local_description_implicitly(now).unwrap();
            }
            world.simulation.run_for(Duration::from_millis(300 * round)).unwrap();
            let now = world.now();
            world.offerer().pc.set_remote_description(now, answer).unwrap();
        }
        world.run_until(5 * MINUTE, |peer| peer.heard() == 300).unwrap();
        let is_steady = |peer: &Peer| peer.states == [ConnectionState::Connecting, ConnectionState::Connected];
        assert!(is_steady(world.offerer()) && is_steady(world.answerer()));
        assert_eq!(world.answerer().pc.signaling_state(), SignalingState::Stable);
    });
}

/// Sleeps of one side: short, it goes on by itself; long, consent is gone (RFC 7675) and a restart brings it back.
#[test]
fn scenario_16_a_device_sleeps() {
    for_each_seed(3, |seed| {
        for sleep in [Duration::from_secs(3), Duration::from_secs(15), MINUTE, 8 * HOUR] {
            let mut world = World::new(seed);
            world.transfer(5, 1000, MINUTE).unwrap();
            let (host, channel) = (world.answerer, world.channel);
            let sleeper = world.simulation.remove(host).unwrap();
            // Said while nobody hears, and not lost.
            world.offerer().say(channel, 10, 5000);
            world.simulation.run_for(sleep).unwrap();
            world.simulation.put(host, sleeper);
            if sleep > CONSENT {
                assert_eq!(world.offerer().pc.connection_state(), ConnectionState::Failed);
                // It is not the sleeper's to say that nothing happened: it was told nothing for longer than consent lasts.
                world.simulation.run_for(CONSENT).unwrap();
                assert_eq!(world.answerer().pc.connection_state(), ConnectionState::Failed, "after {sleep:?}");
                silent(&mut world);
                world.restart_ice();
            }
            world.run_until(MINUTE, Peer::is_connected).unwrap();
            let heard = |simulation: &Simulation<Peer>| simulation.machine(host).unwrap().heard() == 5 + 10;
            world.simulation.run_until(heard, MINUTE).unwrap();
            world.transfer(20, 5000, 2 * MINUTE).unwrap();
        }
    });
}

/// Both sleep, as two laptops do that are closed in the evening.
#[test]
fn scenario_16_both_sleep() {
    for_each_seed(3, |seed| {
        let mut world = World::new(seed);
        world.transfer(5, 1000, MINUTE).unwrap();
        let hosts = [world.offerer, world.answerer];
        let asleep = hosts.map(|host| world.simulation.remove(host).unwrap());
        world.simulation.run_for(8 * HOUR).unwrap();
        for (host, peer) in hosts.into_iter().zip(asleep) {
            world.simulation.put(host, peer);
        }
        world.simulation.run_for(CONSENT).unwrap();
        if !world.offerer().is_connected() {
            world.restart_ice();
        }
        world.run_until(MINUTE, Peer::is_connected).unwrap();
        world.transfer(20, 5000, 2 * MINUTE).unwrap();
    });
}

/// Ours goes on by an hour from one moment to the next, in the middle of a transfer. The other's answers are old then: consent is
/// lost cleanly, or was renewed; after a restart all arrives that was accepted.
#[test]
fn scenario_16_a_clock_jumps() {
    for_each_seed(3, |seed| {
        for jumps_first in [true, false] {
            let mut world = World::new(seed);
            world.simulation.network.set_default_link(Link { rate: Some(5_000_000), ..Link::default() });
            world.connect(MINUTE).unwrap();
            let (channel, answerer_channel) = (world.channel, world.answerer().opened[0]);
            world.offerer().say(channel, 50, 20_000);
            world.answerer().say(answerer_channel, 50, 20_000);
            world.simulation.run_for(Duration::from_millis(300)).unwrap();
            let jumper = if jumps_first { world.offerer() } else { world.answerer() };
            jumper.skew = HOUR;
            world.simulation.run_for(CONSENT).unwrap();
            if !world.offerer().is_connected() || !world.answerer().is_connected() {
                world.restart_ice();
            }
            world.run_until(5 * MINUTE, |peer| peer.is_connected() && peer.heard() == 50).unwrap();
        }
    });
}

/// The time of day jumps by an hour, back and forth: nothing but reports has to do with it.
#[test]
fn scenario_16_the_wall_clock_jumps() {
    for_each_seed(2, |seed| {
        let mut world = World::call(seed, [config(seed, 1), config(seed, 2)], |sdp| sdp);
        world.connect(MINUTE).unwrap();
        world.start_media();
        for hours in [0, 1, 0, 100_000, 1] {
            let wall_clock = WallClock(1_700_000_000_000_000 + hours * 3_600_000_000);
            let now = world.now();
            world.offerer().handle_input(now, Input::WallClock(wall_clock));
            world.transfer(10, 1000, MINUTE).unwrap();
            world.simulation.run_for(Duration::from_secs(3)).unwrap();
        }
        assert_eq!(world.offerer().states.last(), Some(&ConnectionState::Connected));
        for peer in [world.offerer, world.answerer] {
            let peer = world.simulation.machine(peer).unwrap();
            let sent: u64 = peer.sources.iter().map(|it| it.sent).sum();
            let heard: u64 = peer.sinks.iter().map(|it| it.count).sum();
            assert!(sent - heard < 10, "{sent} sent, {heard} heard");
        }
    });
}

/// Whichever side dies, after whichever packet of the set-up and in mid-transfer: noticed in time, said, and all of it freed.
#[test]
fn scenario_18_the_peer_dies() {
    /// Waiting for a first answer lasts longest.
    const NOTICED: Duration = Duration::from_secs(60);
    let run = |packets: u64, offerer_dies: bool| {
        let mut world = World::new(7);
        let channel = world.channel;
        world.offerer().say(channel, 2000, 1000);
        let happened = |simulation: &mut Simulation<Peer>| match simulation.network.stats().sent >= packets {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        world.simulation.run(MINUTE, happened).unwrap();
        let (dead, alive) =
            if offerer_dies { (world.offerer, world.answerer) } else { (world.answerer, world.offerer) };
        drop(world.simulation.remove(dead));
        let died = world.now();
        world.run_until(NOTICED, |peer| peer.states.last() == Some(&ConnectionState::Failed)).unwrap();
        let noticed = world.now() - died;
        assert!(world.simulation.machine(alive).unwrap().pc.failure().is_some());
        silent(&mut world);
        let now = world.now();
        world.simulation.machine_mut(alive).unwrap().pc.close(now);
        world.run_until(MINUTE, |peer| peer.pc.is_closed()).unwrap();
        world.simulation.run_for(MINUTE).unwrap();
        assert_eq!(world.simulation.machine(alive).unwrap().pc.poll_timeout(), None, "nothing is left to do");
        noticed
    };
    let numbers = || (0..24).chain([30, 100, 1000]);
    // What is made once for all (the provider's tables) is made before.
    run(100, true);
    let before = memory::live();
    let slowest = numbers().flat_map(|n| [run(n, true), run(n, false)]).max().unwrap();
    println!("noticed after {slowest:?} at most");
    let left = memory::live() - before;
    assert!(left.abs() < 10_000, "{left} bytes are left of 54 connections");
}

/// Who has no consent says nothing. RFC 7675 section 5.1.
fn silent(world: &mut World) {
    let before = world.simulation.network.stats().sent;
    world.simulation.run_for(MINUTE).unwrap();
    let sent = world.simulation.network.stats().sent - before;
    assert_eq!(sent, 0, "datagrams were sent without consent");
}
