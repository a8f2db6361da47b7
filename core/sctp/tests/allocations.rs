//! Allocations in steady state: none a packet, at most one a message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "../../../tests/lib/counting.rs"]
mod counting;

use std::time::Duration;

use bytes::Bytes;
use common::association;
use counting::allocations;
use wigwag_proto::Instant;
use wigwag_sctp::{ChannelConfig, Config, Event, PayloadKind, StreamParity};

#[test]
fn no_allocation_a_packet() {
    for len in [64, 1000, 16 << 10, 64 << 10] {
        let mut ends = [association(Config::default(), 1), association(Config::default(), 2)];
        ends[0].set_role(StreamParity::Even);
        ends[1].set_role(StreamParity::Odd);
        ends[0].connect(Instant(0));
        let channel = ends[0].open_channel(ChannelConfig::default()).unwrap();
        let message = Bytes::from(vec![7; len]);
        let mut room = [0; 1200];
        let mut now = Instant(0);
        let (mut packets, mut messages) = (0_u64, 0_u64);
        let mut before = 0;
        for round in 0..3000 {
            if round == 1000 {
                (packets, messages) = (0, 0);
                before = allocations();
            }
            while ends[0].send(channel, PayloadKind::Binary, message.clone()).is_ok() {}
            now += Duration::from_millis(1); // long enough for every timer to pass
            for end in 0..2 {
                for _ in 0..20 {
                    let Some(len) = ends[end].write_packet(now, &mut room) else { break };
                    ends[1 - end].handle_packet(now, &room[..len]);
                    packets += 1;
                }
                ends[end].handle_timeout(now);
                while let Some(event) = ends[end].poll_event() {
                    messages += u64::from(matches!(event, Event::Message { .. }));
                }
            }
        }
        let allocations = allocations() - before;
        println!("{len:>6} bytes: {allocations} allocations for {packets} packets with {messages} messages");
        assert!(packets > 10_000 && messages > 500);
        assert!(allocations * 100 < packets, "{allocations} for {packets} packets");
    }
}
