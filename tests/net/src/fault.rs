//! What a run can fail with.

use std::fmt;

use wigwag_proto::Instant;

use crate::replay::Replay;
use crate::stats::HostId;

/// What must never happen, or did not happen in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// After `handle_timeout(t)`, the deadline was not after `t`.
    #[error("livelock: after handle_timeout(t), poll_timeout() is not after t")]
    Livelock,
    /// The machine was woken a hundred thousand times without time passing.
    #[error("busy: woken again and again without time passing")]
    Busy,
    /// `poll_transmit` gave a hundred thousand batches in one wake.
    #[error("poll_transmit() does not end")]
    EndlessOutput,
    /// `poll_transmit` gave a batch with a size of zero, or a longer one than the buffer.
    #[error("poll_transmit() gave an impossible batch")]
    ImpossibleTransmit,
    /// `can_transmit` and `poll_transmit` disagreed.
    #[error("can_transmit() and poll_transmit() disagree")]
    WrongCanTransmit,
    /// There is output, but the machine did not ask to be woken for it within a millisecond.
    #[error("output waits, and poll_timeout() does not say so")]
    ForgottenOutput,
    /// Nobody has a deadline, nothing is under way, and what was waited for has not happened.
    #[error("stalled: no deadline and no datagram under way")]
    Stalled,
    /// What was waited for has not happened within the limit.
    #[error("not within the limit of time")]
    TimedOut,
}

/// A run that failed: what, where, when, and the command that shows it again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub fault: Fault,
    /// At which host, where it is one's fault.
    pub host: Option<HostId>,
    /// When.
    pub at: Instant,
    /// The network's seed.
    pub seed: u64,
    /// The name of the [scenario](crate::Simulation::scenario), if it has one.
    pub scenario: Option<&'static str>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, host, at, seed, scenario } = *self;
        write!(f, "{fault}; ")?;
        scenario.map_or(Ok(()), |scenario| write!(f, "scenario \"{scenario}\", "))?;
        host.map_or(Ok(()), |host| write!(f, "host {}, ", host.0))?;
        write!(f, "at {} us, seed {seed}; again: {}", at.as_micros(), Replay { seed })
    }
}

/// The same as `Display`, since that is what `unwrap` and failing tests print.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
