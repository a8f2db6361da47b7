//! When a SACK is owed: nothing, later, or now. RFC 9260 section 6.2.

use std::time::Duration;

use wigwag_proto::Instant;

/// At least every second packet is acknowledged without delay.
const PACKETS_PER_SACK: u32 = 2;

/// The acknowledgement that the peer waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Owed {
    #[default]
    Nothing,
    /// For `packets`; alone when `at` passes, or with whatever leaves before.
    Later {
        at: Instant,
        packets: u32,
    },
    Now,
}

impl Owed {
    /// A packet with data arrived.
    pub fn packet(&mut self, now: Instant, urgent: bool, delay: Duration) {
        *self = match *self {
            Self::Now => Self::Now,
            _ if urgent => Self::Now,
            Self::Nothing => Self::Later { at: now + delay, packets: 1 },
            Self::Later { packets, .. } if packets + 1 >= PACKETS_PER_SACK => Self::Now,
            Self::Later { at, packets } => Self::Later { at, packets: packets + 1 },
        };
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if matches!(self, Self::Later { at, .. } if *at <= now) {
            *self = Self::Now;
        }
    }

    pub fn poll_timeout(self) -> Option<Instant> {
        match self {
            Self::Later { at, .. } => Some(at),
            Self::Nothing | Self::Now => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_packet_or_when_the_time_comes() {
        let delay = Duration::from_millis(20);
        let mut owed = Owed::default();
        owed.packet(Instant(0), false, delay);
        assert_eq!(owed.poll_timeout(), Some(Instant(20_000)));
        owed.packet(Instant(5), false, delay);
        assert_eq!(owed, Owed::Now);

        let mut owed = Owed::default();
        owed.packet(Instant(0), false, delay);
        owed.handle_timeout(Instant(19_999));
        assert_ne!(owed, Owed::Now);
        owed.handle_timeout(Instant(20_000));
        assert_eq!(owed, Owed::Now);

        let mut owed = Owed::default();
        owed.packet(Instant(0), true, delay);
        assert_eq!(owed, Owed::Now);
    }
}
