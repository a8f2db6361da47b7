//! Scenario 17: numbers that wrap around, as far as they can be driven around from outside. (TSN and stream sequence numbers begin at
//! random and at zero: `core/sctp/tests/transfer.rs` sets them.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use wigwag::DtlsVersions;
use wigwag_net::Reordering;
use wigwag_scenarios::media::Source;
use wigwag_scenarios::{Link, World, config, for_each_seed};

const MINUTE: Duration = Duration::from_secs(60);

/// RTP's sequence number twice and with it SRTP's rollover counter, its timestamp, and the number of transport-wide feedback: through loss and
/// disorder on the very border. The driver checks that each packet is extended to the same number in all of it.
#[test]
fn scenario_17_rtp_numbers() {
    // 40 packets in each of 3,500 frames are 140,000: from 65,000 over two borders.
    const FRAMES: u64 = 3_500;
    for_each_seed(1, |seed| {
        let mut world = World::call(seed, [config(seed, 1), config(seed, 2)], |sdp| sdp);
        world.connect(MINUTE).unwrap();
        let reordering = Some(Reordering { probability: 0.02, extra_delay: Duration::from_millis(30) });
        world.simulation.network.set_default_link(Link { loss: 0.02, reordering, ..Link::default() });
        world.start_media();
        for host in [world.offerer, world.answerer] {
            let sources = &mut world.simulation.machine_mut(host).unwrap().sources;
            sources.retain(|source| source.payload_type == 96);
            // Only one side sends much; its timestamps go around in a tenth of the time.
            let source = &mut sources[0];
            let many = host == world.offerer;
            *source = Source {
                frames: FRAMES,
                packets: if many { 40 } else { 1 },
                len: 100,
                ticks: if many { 3_000_000 } else { 3000 },
                interval: Duration::from_millis(20),
                ..source.clone()
            };
        }
        world.simulation.run_for(Duration::from_secs(75)).unwrap();
        let source = world.offerer().sources[0].clone();
        assert_eq!(source.sent, FRAMES * 40);
        assert!(source.number > 3 * 65_536, "twice around, from the first border");
        let sink = &world.answerer().sinks[0];
        assert!(source.number - sink.newest < 10, "{} of {}", sink.newest, source.number);
        let missing = source.sent - sink.count;
        println!("{missing} of {} packets were not repaired", source.sent);
        assert!(missing < source.sent / 200, "{missing} of {} packets are missing", source.sent);
    });
}

/// What is on the wire of the DTLS record number are 16 bits (RFC 9147 section 4), and of a stream's sequence number 16 as well: 70,000 messages
/// go beyond, through loss.
#[test]
fn scenario_17_record_and_stream_numbers() {
    for versions in [DtlsVersions::Dtls13, DtlsVersions::Dtls12] {
        for_each_seed(1, |seed| {
            let configs = [1, 2].map(|side| {
                let mut config = config(seed, side);
                config.dtls_versions = versions;
                config
            });
            let mut world = World::with(seed, configs);
            world.simulation.network.set_default_link(Link { loss: 0.001, ..Link::default() });
            world.connect(MINUTE).unwrap();
            let channel = world.channel;
            // A message of this length fills a packet, and so a record.
            world.offerer().say(channel, 70_000, 1100);
            let answerer = world.answerer;
            let heard_all = |it: &wigwag_scenarios::Simulation<wigwag_scenarios::Peer>| {
                it.machine(answerer).unwrap().heard() == 70_000
            };
            world.simulation.run_until(heard_all, 60 * MINUTE).unwrap();
            assert!(world.simulation.network.stats().sent > 70_000);
        });
    }
}
