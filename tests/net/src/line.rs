//! When the bits of a packet have left: the line that a queue waits for.

/// What a link can carry.
#[derive(Clone, Copy)]
pub(crate) enum Capacity {
    Unlimited,
    /// Bits per second.
    Rate(u64),
}

/// The line of one link, with what it has taken on.
#[derive(Default)]
pub(crate) struct Line {
    /// When it is free, in nanoseconds: a packet may take less than a microsecond.
    free_at: u64,
}

impl Line {
    /// When the line is free, in nanoseconds.
    pub fn free_at(&self) -> u64 {
        self.free_at
    }

    /// Takes a packet that is there from `start` on: the answer is when its last bit has left, in nanoseconds.
    pub fn carry(&mut self, start: u64, packet_len: usize, capacity: Capacity) -> u64 {
        let start = self.free_at.max(start);
        self.free_at = match capacity {
            Capacity::Unlimited => start,
            Capacity::Rate(rate) => {
                let bits = packet_len as u128 * 8;
                let duration = (bits * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
                start.saturating_add(duration.try_into().unwrap_or(u64::MAX))
            }
        };
        self.free_at
    }
}
