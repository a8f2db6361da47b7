//! tokio's clock as the engine's; the system's randomness as its seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::TryRng;
use rand::rngs::SysRng;
use tokio::time::Instant as TokioInstant;
use wigwag::{Instant, WallClock};

/// Microseconds since it was made. It follows tokio's clock, so that tests may pause it. (On Linux that clock stands still
/// while the device sleeps, and so do tokio's timers: a connection that slept finds out when it is not answered.)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(TokioInstant);

impl Clock {
    /// Starts an hour after the engine's epoch, so that moments before the start can be expressed.
    const START: Duration = Duration::from_secs(3600);

    pub fn start() -> Self {
        Self(TokioInstant::now())
    }

    pub fn now(&self) -> Instant {
        Instant::default() + Self::START + self.0.elapsed()
    }

    /// `deadline` on tokio's clock.
    pub fn at(&self, deadline: Instant) -> TokioInstant {
        self.0 + (deadline - (Instant::default() + Self::START)).min(Duration::from_secs(24 * 3600))
    }
}

/// The time of day.
pub(crate) fn wall_clock() -> WallClock {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallClock(since_1970.as_micros().try_into().unwrap_or(u64::MAX))
}

/// 32 bytes of the system's randomness, for [`Config`](crate::Config)'s seed.
///
/// # Errors
/// When the system has none to give.
pub fn random_seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(std::io::Error::other)?;
    Ok(seed)
}
