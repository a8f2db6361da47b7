//! The time of day, for sender reports.

use wigwag_proto::{Instant, WallClock};
use wigwag_rtp::NtpTimestamp;

/// Microseconds from the epoch of [`Instant`] to that of [`WallClock`]; before it is told, the former counts as 1970. Streams that are to
/// be played in step need only that it is the same for all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    offset: i64,
}

impl Clock {
    pub fn set(&mut self, now: Instant, wall_clock: WallClock) {
        self.offset = (wall_clock.0 as i64).wrapping_sub(now.as_micros() as i64);
    }

    pub fn ntp(self, now: Instant) -> NtpTimestamp {
        NtpTimestamp::from_wall_clock(WallClock(now.as_micros().saturating_add_signed(self.offset)))
    }
}
