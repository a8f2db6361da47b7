//! How much may be sent again. A receiver that asks for everything, or many at once, must not crowd out what is new: on a path that is
//! full already, that loses more.

use std::time::Duration;

use wigwag_proto::Instant;

/// Of what is sent, so much may be sent again: one part in this. More loss than a third is no case for sending more.
const SHARE: u64 = 2;
/// And so many bytes in a second, for a stream that is small or rests: 128 kbit/s.
const FLOOR: u64 = 16_000;
/// Bytes that can be saved up, for a burst of losses: a key frame of a large picture.
const MAX_SAVED: u64 = 128 << 10;

/// A bucket of bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    /// Until when the floor was paid in.
    paid: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MAX_SAVED, paid: Instant(0) }
    }
}

impl Budget {
    /// So many bytes were sent for the first time.
    pub fn earn(&mut self, len: usize) {
        self.bytes = (self.bytes + len as u64 / SHARE).min(MAX_SAVED);
    }

    /// Whether so many may be sent again; they count as sent.
    pub fn spend(&mut self, now: Instant, len: usize) -> bool {
        let rested = (now - self.paid).min(Duration::from_secs(60)).as_micros() as u64;
        let earned = rested * FLOOR / 1_000_000;
        if earned > 0 {
            self.bytes = (self.bytes + earned).min(MAX_SAVED);
            self.paid = now;
        }
        let Some(left) = self.bytes.checked_sub(len as u64) else { return false };
        self.bytes = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_sent_and_a_floor() {
        let mut budget = Budget::default();
        let mut spent = 0;
        for ms in 0..10_000_u64 {
            budget.earn(1000);
            while budget.spend(Instant(ms * 1000), 500) {
                spent += 500;
            }
        }
        let most = 10_000 * 1000 / 2 + 10 * FLOOR + MAX_SAVED;
        assert!(spent <= most && spent > most - 5000, "{spent}");
    }
}
