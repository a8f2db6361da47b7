//! Time is an argument.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment: microseconds since an epoch of the caller's choosing.
///
/// Adaptors convert from a clock that goes on while the device sleeps (`CLOCK_BOOTTIME`, `elapsedRealtime`,
/// `mach_continuous_time`). Arithmetic saturates: a late or confused clock never panics.
///
/// ```
/// use std::time::Duration;
/// use wigwag_proto::Instant;
///
/// let start = Instant::from_micros(5_000);
/// assert_eq!((start + Duration::from_millis(2)) - start, Duration::from_millis(2));
/// assert_eq!(start - (start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// The end of time: no deadline lies after it.
    pub const NEVER: Self = Self(u64::MAX);

    /// `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    /// Saturates: `now + Duration::MAX` is [`Instant::NEVER`].
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_micros().try_into().unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Zero when `earlier` is in fact later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    /// Saturates at the epoch.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_micros().try_into().unwrap_or(u64::MAX)))
    }
}

/// The time of day: microseconds since 1970-01-01T00:00:00Z, for NTP times and certificates only.
///
/// ```
/// use wigwag_proto::WallClock;
/// assert_eq!(WallClock(1_700_000_000_000_000).as_secs(), 1_700_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallClock(pub u64);

impl WallClock {
    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates() {
        assert_eq!(Instant(5) - Instant(7), Duration::ZERO);
        assert_eq!(Instant(5) + Duration::MAX, Instant::NEVER);
        assert_eq!(Instant(5) - Duration::from_secs(1), Instant(0));
    }
}
