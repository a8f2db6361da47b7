//! `dimpl`'s clock: `std::time::Instant`s made of our microseconds.
//!
//! An `Instant` can be had only from the system, so one is taken once in the process and every other is that one plus
//! what the caller's clock says. `dimpl` sees nothing but differences, so its behaviour depends on the caller's clock
//! only. (The one exception: the `gmt_unix_time` in a DTLS 1.2 hello is the system's. Nobody reads it.)
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::sync::LazyLock;
use std::time::{Duration, Instant as SystemInstant};

use wigwag_proto::Instant;

static BASE: LazyLock<SystemInstant> = LazyLock::new(SystemInstant::now);

/// What lies further ahead than this is `dimpl`'s way to say "no timer".
const FAR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// One connection's clock: it starts with the connection, and never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    latest: Instant,
}

impl Clock {
    pub(crate) fn new(now: Instant) -> Self {
        Self { origin: now, latest: now }
    }

    /// `now` for `dimpl`.
    pub(crate) fn system(&mut self, now: Instant) -> SystemInstant {
        self.latest = self.latest.max(now);
        let elapsed = self.latest - self.origin;
        BASE.checked_add(elapsed).unwrap_or(*BASE)
    }

    /// A deadline of `dimpl`'s, rounded up, and never in the past; `None` if it is no deadline at all.
    pub(crate) fn deadline(&self, deadline: SystemInstant) -> Option<Instant> {
        let after = deadline.saturating_duration_since(*BASE);
        let micros = Duration::from_micros(after.as_nanos().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let mut deadline = self.origin + micros;
        if deadline <= self.latest {
            deadline = self.latest + Duration::from_millis(1);
        }
        (deadline - self.latest < FAR).then_some(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut clock = Clock::new(Instant(1_000));
        let system = clock.system(Instant(2_000));
        assert_eq!(clock.deadline(system + Duration::from_nanos(1)), Some(Instant(2_001)));
        assert_eq!(clock.deadline(system), Some(Instant(3_000)), "never now");
        assert_eq!(clock.deadline(system + Duration::from_secs(1 << 30)), None);
        assert_eq!(clock.system(Instant(5)), system, "never back");
        clock.system(Instant::NEVER);
        assert_eq!(clock.deadline(system), Some(Instant::NEVER));
    }
}
