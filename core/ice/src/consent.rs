//! Consent: whoever receives must go on wanting it (RFC 7675).
//!
//! On the path that payload takes, a check leaves every 4 to 6 seconds. While they are answered, there is consent; when
//! none was for 30 seconds, it has ended, and nothing more may be sent that way. Long before, the path is called
//! disconnected, so that a program can show it.

use std::time::Duration;

use rand::Rng;
use wigwag_proto::{Instant, Random, UdpPath};

use crate::config::Config;

/// The consent on one path.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) path: UdpPath,
    /// When the next check leaves.
    pub(crate) next_at: Instant,
    answered_at: Instant,
    /// When the first check left that had no answer since.
    unanswered_since: Option<Instant>,
}

/// How consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Given,
    /// Checks go unanswered.
    Doubtful,
    Expired,
}

impl Consent {
    /// A check on `path` was answered at `answered_at`: that is consent.
    pub(crate) fn new(path: UdpPath, answered_at: Instant, config: &Config, random: &mut Random) -> Self {
        let next_at = answered_at + interval(config, random);
        Self { path, next_at, answered_at, unanswered_since: None }
    }

    pub(crate) fn sent(&mut self, now: Instant, config: &Config, random: &mut Random) {
        self.unanswered_since.get_or_insert(now);
        self.next_at = now + interval(config, random);
    }

    pub(crate) fn answered(&mut self, now: Instant) {
        self.answered_at = now;
        self.unanswered_since = None;
    }

    /// Whether the latest checks were answered, as far as can be known: one that left a moment ago does not count.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.unanswered_since.is_none_or(|since| now - since < Duration::from_secs(1))
    }

    pub(crate) fn standing(&self, now: Instant, config: &Config) -> Standing {
        if self.answered_at + config.consent_timeout <= now {
            Standing::Expired
        } else if self.doubtful_at(config).is_some_and(|at| at <= now) {
            Standing::Doubtful
        } else {
            Standing::Given
        }
    }

    fn doubtful_at(&self, config: &Config) -> Option<Instant> {
        self.unanswered_since.map(|since| since + config.disconnected_timeout)
    }

    /// When the standing changes next, seen from `now`, if no answer comes.
    pub(crate) fn changes_at(&self, now: Instant, config: &Config) -> Instant {
        let expires_at = self.answered_at + config.consent_timeout;
        self.doubtful_at(config).filter(|&at| at > now).map_or(expires_at, |at| at.min(expires_at))
    }
}

/// 0.8 to 1.2 times the interval. RFC 7675 section 5.1.
fn interval(config: &Config, random: &mut Random) -> Duration {
    config.consent_interval * (800 + random.next_u32() % 401) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_fades_and_comes_back() {
        let (config, mut random) = (Config::default(), wigwag_proto::random::seeded([1; 32]));
        let path = UdpPath { local: ([10, 0, 0, 1], 1).into(), remote: ([10, 0, 0, 2], 1).into() };
        let at = |seconds: u64| Instant(seconds * 1_000_000);
        let mut consent = Consent::new(path, at(0), &config, &mut random);
        assert!(at(4) <= consent.next_at && consent.next_at <= at(6));
        consent.sent(at(5), &config, &mut random);
        assert_eq!(consent.standing(at(11), &config), Standing::Given);
        assert_eq!(consent.changes_at(at(11), &config), at(12));
        assert_eq!(consent.standing(at(12), &config), Standing::Doubtful);
        assert_eq!(consent.changes_at(at(12), &config), at(30));
        assert_eq!(consent.standing(at(30), &config), Standing::Expired);
        consent.answered(at(13));
        assert_eq!(consent.standing(at(14), &config), Standing::Given);
    }
}
