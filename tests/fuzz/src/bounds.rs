//! What no input may exceed.

use wigwag_proto::Instant;

use crate::memory;

/// Bytes on the heap since it was made, and how many there may be.
#[derive(Debug)]
pub struct Memory {
    before: isize,
    bound: usize,
    /// The most that was seen.
    pub peak: usize,
}

impl Memory {
    pub fn within(bound: usize) -> Self {
        Self { before: memory::live(), bound, peak: 0 }
    }

    /// Panics if there is more than the bound.
    pub fn check(&mut self) {
        let held = usize::try_from(memory::live() - self.before).unwrap_or(0);
        self.peak = self.peak.max(held);
        assert!(held <= self.bound, "{held} bytes are held, of at most {}", self.bound);
    }

    /// Panics if something is left behind. Call it when everything else is gone.
    pub fn is_given_back(&self) {
        let left = memory::live() - self.before;
        assert!(left <= 0, "{left} bytes were not given back");
    }
}

/// After `handle_timeout(now)`, the deadline is later, or time would stand still.
pub fn deadline_moved(now: Instant, deadline: Option<Instant>) {
    assert!(
        deadline.is_none_or(|at| at > now),
        "a livelock: after handle_timeout({now:?}), poll_timeout is {deadline:?}"
    );
}
