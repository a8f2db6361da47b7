//! Consent: whoever receives must go on wanting it (RFC 7675).
//!
//! On the path that payload takes, a check leaves every 4 to 6 seconds. While they are answered, there is consent; when
//! none was for 30 seconds, it has ended, and nothing more may be sent that way. Long before, the path is called
//! disconnected, so that a program can show it.
//!
//! Five seconds are long in a call: a NAT that forgets its mapping cuts a path at once. So the path is *in doubt* as soon
//! as payload that flowed has stopped for a second, or a check went unanswered: then it is checked like any pair, with
//! repetitions. If that brings nothing either, it is *suspect*, and all ways are tried anew while it stays in use.
//!
//! ```text
//!            a second of silence,            nothing comes
//!            or an unanswered check          for half a second
//!   given ────────────────────────► doubted ─────────────────► suspect ─── 7 s ──► disconnected ─── 30 s ──► expired
//!     ▲                                │ an answer                │
//!     └────────────────────────────────┴──────────────────────────┘
//! ```

use std::time::Duration;

use rand::Rng;
use wigwag_proto::{Instant, Random, UdpPath};

use crate::config::Config;

/// Payload that came more often than this, and then not for this long, has stopped.
const SILENCE: Duration = Duration::from_secs(1);
/// The least time that an answer may take before the path is doubted.
const LEAST_PATIENCE: Duration = Duration::from_millis(500);

/// The consent on one path.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) path: UdpPath,
    /// When the next check leaves.
    pub(crate) next_at: Instant,
    answered_at: Instant,
    /// When the first check left that had no answer since.
    unanswered_since: Option<Instant>,
    /// When the latest payload came.
    payload_at: Option<Instant>,
    /// It came steadily, up to then.
    is_flowing: bool,
    /// When the path was checked because of a doubt. An answer ends that.
    doubted_at: Option<Instant>,
    /// All ways are tried anew because of it.
    is_suspect: bool,
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
        Self {
            path,
            next_at,
            answered_at,
            unanswered_since: None,
            payload_at: None,
            is_flowing: false,
            doubted_at: None,
            is_suspect: false,
        }
    }

    pub(crate) fn sent(&mut self, now: Instant, config: &Config, random: &mut Random) {
        self.unanswered_since.get_or_insert(now);
        self.next_at = now + interval(config, random);
    }

    pub(crate) fn answered(&mut self, now: Instant) {
        self.answered_at = now;
        self.unanswered_since = None;
        (self.doubted_at, self.is_suspect) = (None, false);
        // If payload has ended, that is not asked about again.
        self.is_flowing &= self.payload_at.is_some_and(|at| now - at < SILENCE);
    }

    /// Authentic payload came this way. It is no consent, but a sign of life.
    pub(crate) fn payload_received(&mut self, now: Instant) {
        self.is_flowing = self.payload_at.is_some_and(|at| now - at < SILENCE);
        self.payload_at = Some(now);
        self.is_suspect = false;
    }

    /// When the path is to be checked because of a doubt, unless something comes before.
    pub(crate) fn doubt_at(&self, round_trip_time: Option<Duration>) -> Option<Instant> {
        if self.doubted_at.is_some() {
            return None;
        }
        let silent_at = self.payload_at.filter(|_| self.is_flowing).map(|at| at + SILENCE);
        let unanswered_at = self.unanswered_since.map(|since| since + patience(round_trip_time));
        silent_at.into_iter().chain(unanswered_at).min()
    }

    /// It is checked now.
    pub(crate) fn doubt(&mut self, now: Instant) {
        self.unanswered_since.get_or_insert(now);
        self.doubted_at = Some(now);
    }

    /// When the doubt becomes suspicion, unless something comes before.
    pub(crate) fn suspect_at(&self, round_trip_time: Option<Duration>) -> Option<Instant> {
        let doubted_at = self.doubted_at.filter(|_| !self.is_suspect)?;
        let at = doubted_at + patience(round_trip_time);
        Some(self.payload_at.map_or(at, |payload_at| at.max(payload_at + SILENCE)))
    }

    /// All ways are tried anew from now on.
    pub(crate) fn suspect(&mut self) {
        self.is_suspect = true;
    }

    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect
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

/// How long an answer may take. RFC 8445 section 14.3.
fn patience(round_trip_time: Option<Duration>) -> Duration {
    round_trip_time.map_or(LEAST_PATIENCE, |round_trip| LEAST_PATIENCE.max(round_trip * 2))
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

    #[test]
    fn silence_is_doubted_once() {
        let (config, mut random) = (Config::default(), wigwag_proto::random::seeded([1; 32]));
        let path = UdpPath { local: ([10, 0, 0, 1], 1).into(), remote: ([10, 0, 0, 2], 1).into() };
        let at = |millis: u64| Instant(millis * 1000);
        let mut consent = Consent::new(path, at(0), &config, &mut random);
        consent.payload_received(at(100));
        assert_eq!(consent.doubt_at(None), None, "one packet is no flow");
        consent.payload_received(at(300));
        assert_eq!(consent.doubt_at(None), Some(at(1300)));
        consent.doubt(at(1300));
        assert_eq!((consent.doubt_at(None), consent.suspect_at(None)), (None, Some(at(1800))));
        assert_eq!(consent.suspect_at(Some(Duration::from_secs(1))), Some(at(3300)), "on a long way");
        consent.suspect();
        assert!(consent.is_suspect() && consent.suspect_at(None).is_none());
        consent.answered(at(1900));
        assert!(!consent.is_suspect());
        assert_eq!(
            (consent.doubt_at(None), consent.suspect_at(None)),
            (None, None),
            "whoever has nothing to send is silent"
        );
    }

    #[test]
    fn payload_keeps_a_doubt_from_becoming_suspicion() {
        let (config, mut random) = (Config::default(), wigwag_proto::random::seeded([1; 32]));
        let path = UdpPath { local: ([10, 0, 0, 1], 1).into(), remote: ([10, 0, 0, 2], 1).into() };
        let at = |millis: u64| Instant(millis * 1000);
        let mut consent = Consent::new(path, at(0), &config, &mut random);
        consent.sent(at(5000), &config, &mut random);
        assert_eq!(consent.doubt_at(None), Some(at(5500)));
        consent.doubt(at(5500));
        consent.payload_received(at(5900));
        assert_eq!(consent.suspect_at(None), Some(at(6900)));
        assert_eq!(consent.doubt_at(None), None, "asked already");
    }
}
