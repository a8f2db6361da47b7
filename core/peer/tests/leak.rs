//! Five hundred connections are opened, used and dropped: the allocator's live bytes come back to where they were.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::time::Duration;

use common::{App, Pair};
use wigwag::{ConnectionState, Message};
use wigwag_net::Simulation;

struct Counting;
static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: counts, and leaves the work to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Opened, a message there and back; then closed by one side, by nobody, or in the middle of the set-up.
fn open_and_drop(seed: u64) {
    let mut pair = Pair::new(seed);
    let channel = pair.channel;
    pair.offerer().outbox.push_back((channel, Message::binary(vec![7; 20_000])));
    if seed % 5 == 4 {
        pair.simulation.run_for(Duration::from_millis(seed % 100)).unwrap();
        return;
    }
    let offerer = pair.offerer;
    let echoed = |simulation: &Simulation<App>| simulation.machine(offerer).unwrap().heard() == 1;
    pair.simulation.run_until(echoed, Duration::from_secs(60)).unwrap();
    assert_eq!(pair.offerer().pc.connection_state(), ConnectionState::Connected);
    if seed.is_multiple_of(2) {
        let now = pair.simulation.now();
        pair.answerer().pc.close(now);
        pair.simulation.run_until(|it| common::both(it, |app| app.pc.is_closed()), Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn what_is_dropped_is_freed() {
    // What is made once for all connections (the provider's tables) is made by the first.
    for seed in 0..10 {
        open_and_drop(seed);
    }
    let before = LIVE.load(Relaxed);
    // What one costs while it lives, for a sense of proportion.
    let pair = Pair::new(1);
    let cost = LIVE.load(Relaxed) - before;
    drop(pair);
    for seed in 0..500 {
        open_and_drop(seed);
    }
    let after = LIVE.load(Relaxed);
    println!("{before} bytes before, {after} after 500 pairs; a new pair has {cost}");
    assert!((after - before).abs() <= before / 100, "{before} bytes before, {after} after");
}
