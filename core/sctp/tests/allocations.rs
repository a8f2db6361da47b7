//! Allocations in steady state: none a packet, at most one a message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::association;
use wigwag_proto::Instant;
use wigwag_sctp::{ChannelConfig, Config, Event, PayloadKind, StreamParity};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
                before = COUNT.load(Ordering::Relaxed);
            }
            while ends[0].send(channel, PayloadKind::Binary, message.clone()).is_ok() {}
            now += Duration::from_micros(100);
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
        let allocations = COUNT.load(Ordering::Relaxed) - before;
        println!("{len:>6} bytes: {allocations} allocations for {packets} packets with {messages} messages");
        assert!(packets > 10_000 && messages > 500);
        assert!(allocations * 100 < packets, "{allocations} for {packets} packets");
    }
}
