//! When the bits of a packet have left: the line that a queue waits for.

use crate::link::Link;
use crate::trace::{Cursor, Running, TraceId};

/// The line of one link, with what it has taken on.
#[derive(Default)]
pub(crate) struct Line {
    /// When it is free, in nanoseconds: a packet may take less than a microsecond.
    free_at: u64,
    /// The trace that it follows, and where it is there.
    following: Option<(TraceId, Cursor)>,
}

/// Whether a packet may have to wait on this link.
pub(crate) fn is_limited(link: &Link) -> bool {
    link.rate.is_some() || link.trace.is_some()
}

impl Line {
    /// When the line is free, in nanoseconds.
    pub fn free_at(&self) -> u64 {
        self.free_at
    }

    /// Takes a packet that is there from `start` on: the answer is when its last bit has left, in nanoseconds.
    pub fn carry(&mut self, start: u64, packet_len: usize, link: &Link, traces: &[Running]) -> u64 {
        let start = self.free_at.max(start);
        let traced = link.trace.and_then(|id| Some((id, traces.get(id.0)?)));
        self.free_at = match (traced, link.rate) {
            (Some((id, running)), _) => self.cursor(id).carry(running, start, packet_len),
            (None, Some(rate)) => {
                let bits = packet_len as u128 * 8;
                let duration = (bits * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
                start.saturating_add(duration.try_into().unwrap_or(u64::MAX))
            }
            (None, None) => start,
        };
        self.free_at
    }

    fn cursor(&mut self, id: TraceId) -> &mut Cursor {
        if self.following.as_ref().is_none_or(|(before, _)| *before != id) {
            self.following = None;
        }
        &mut self.following.get_or_insert_with(|| (id, Cursor::default())).1
    }
}
