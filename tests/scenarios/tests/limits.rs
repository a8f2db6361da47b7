//! Scenarios 23 and 24: many channels, and consumers that are slow. Memory is what is bounded in both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use wigwag::{ChannelInit, ConnectionState};
use wigwag_scenarios::{Link, World, for_each_seed, memory};

const MINUTE: Duration = Duration::from_secs(60);

/// A thousand channels, fifty at a time, opened and closed by both sides by turns: each reset completes at both ends, stream identifiers
/// are used again, and nothing is left.
#[test]
fn scenario_23_a_thousand_channels() {
    const AT_ONCE: u64 = 50;
    const ROUNDS: u64 = 20;
    for_each_seed(2, |seed| {
        let mut world = World::new(seed);
        world.simulation.network.set_default_link(Link { loss: 0.02, ..Link::default() });
        world.connect(MINUTE).unwrap();
        let mut highest = 0;
        let mut held = Vec::new();
        for round in 0..ROUNDS {
            world.offerer().forget_closed();
            world.answerer().forget_closed();
            let opener = if round.is_multiple_of(2) { world.offerer() } else { world.answerer() };
            let ids: Vec<_> = (0..AT_ONCE)
                .map(|n| {
                    let id = opener.pc.create_data_channel(&format!("{round} {n}"), ChannelInit::default()).unwrap();
                    opener.say(id, 3, 500);
                    id
                })
                .collect();
            world.simulation.run_for(Duration::from_secs(3)).unwrap();
            let opener = if round.is_multiple_of(2) { world.offerer() } else { world.answerer() };
            let streams = ids.iter().filter_map(|&id| opener.pc.channel(id)?.stream);
            highest = streams.max().unwrap().max(highest);
            ids.into_iter().for_each(|id| opener.pc.close_channel(id));
            let all_closed = |peer: &wigwag_scenarios::Peer| peer.closed.len() as u64 == AT_ONCE;
            world.run_until(MINUTE, all_closed).unwrap();
            let listener = if round.is_multiple_of(2) { world.answerer() } else { world.offerer() };
            assert!(listener.heard() >= AT_ONCE * 3, "what was accepted arrived before the channel closed");
            held.push(memory::live());
        }
        assert!(u64::from(highest) < 3 * AT_ONCE, "stream {highest}: identifiers are not used again");
        let (early, late) = (held[3], *held.last().unwrap());
        println!("seed {seed}: {early} bytes after 200 channels, {late} after 1000; streams up to {highest}");
        assert!(late < early + 20_000, "{held:?}");
    });
}

/// Nobody takes what arrives: the window closes, and the sender holds its buffer and a window, however long it goes on. Then all of it comes.
#[test]
fn scenario_24_a_consumer_that_stops() {
    const MEGABYTES: u64 = 20;
    const SEND_BUFFER: usize = 1 << 20;
    const WINDOW: usize = 512 << 10;
    for_each_seed(3, |seed| {
        let configs = [1, 2].map(|side| {
            let mut config = wigwag_scenarios::config(seed, side);
            config.send_buffer = SEND_BUFFER;
            config.receive_window = WINDOW;
            config
        });
        let mut world = World::with(seed, configs);
        world.simulation.network.set_default_link(Link { loss: 0.01, ..Link::default() });
        world.transfer(1, 100, MINUTE).unwrap();
        let before = memory::live();
        memory::take_peak();
        world.answerer().listens = false;
        let channel = world.channel;
        world.offerer().say(channel, MEGABYTES * 100, 10_000);
        world.simulation.run_for(5 * MINUTE).unwrap();
        assert!(world.offerer().unsaid() > MEGABYTES * 100 * 8 / 10, "it is taken, though nobody listens");
        let held = memory::take_peak() - before;
        println!("seed {seed}: {held} bytes are held by both, of {MEGABYTES} MB");
        // What waits, what is in flight, what arrived; and what the network and the chunks need on top.
        let bound = SEND_BUFFER + 2 * WINDOW + (1 << 20);
        assert!(held < bound as isize, "{held} bytes are held, more than {bound}");

        // A slow one: it listens a moment in each second.
        for _ in 0..10 {
            world.answerer().listens = true;
            world.simulation.run_for(Duration::from_millis(20)).unwrap();
            world.answerer().listens = false;
            world.simulation.run_for(Duration::from_secs(1)).unwrap();
        }
        assert!(memory::take_peak() - before < bound as isize);
        world.answerer().listens = true;
        let answerer = world.answerer;
        let heard_all = |it: &wigwag_scenarios::Simulation<wigwag_scenarios::Peer>| {
            it.machine(answerer).unwrap().heard() == MEGABYTES * 100 + 1
        };
        world.simulation.run_until(heard_all, 10 * MINUTE).unwrap();
        assert!(world.offerer().is_connected() && !world.offerer().states.contains(&ConnectionState::Failed));
        world.simulation.run_for(MINUTE).unwrap();
        let left = memory::live() - before;
        assert!(left < 300_000, "{left} bytes are still held");
    });
}
