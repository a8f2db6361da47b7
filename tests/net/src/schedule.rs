//! What happens when: by time, and in the order of scheduling where that is the same.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use wigwag_proto::Instant;

/// Things that will happen.
pub(crate) struct Schedule<T> {
    heap: BinaryHeap<Entry<T>>,
    next_key: u64,
}

struct Entry<T> {
    at: Instant,
    key: u64,
    what: T,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Schedule<T> {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_key: 0 }
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn push(&mut self, at: Instant, what: T) {
        self.heap.push(Entry { at, key: self.next_key, what });
        self.next_key += 1;
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// The next thing, if it happens by `now`, and when it does.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.next().filter(|at| *at <= now)?;
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Entry<T> {
    fn rank(&self) -> (Instant, u64) {
        (self.at, self.key)
    }
}

/// The earliest is the greatest, since that is what the heap gives first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank().cmp(&self.rank())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl<T> Eq for Entry<T> {}
