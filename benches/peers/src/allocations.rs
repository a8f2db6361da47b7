//! Counts what the program allocates: how often, and how much of it is live.
//!
//! Live bytes are those asked for, without the allocator's own rounding and bookkeeping, which is the same
//! for every stack and the choice of whoever links one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was allocated or grown since the program began.
pub fn calls() -> u64 {
    CALLS.load(Relaxed)
}

/// Bytes allocated and not yet freed.
pub fn live() -> i64 {
    LIVE.load(Relaxed)
}

// One thread does all the work here, so a plain load and store is exact, and cheaper than an atomic addition.
fn add(calls: u64, bytes: i64) {
    CALLS.store(CALLS.load(Relaxed) + calls, Relaxed);
    LIVE.store(LIVE.load(Relaxed) + bytes, Relaxed);
}

// SAFETY: counts, and leaves the work to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size() as i64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(1, size as i64 - layout.size() as i64);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(0, -(layout.size() as i64));
        unsafe { System.dealloc(at, layout) }
    }
}
