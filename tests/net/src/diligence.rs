//! How the simulated program treats its machine.

/// How careful the simulated program is: what it does in a wake before it waits again.
///
/// ```
/// use wigwag_net::Diligence;
///
/// let no_gso = Diligence { segments: 1, ..Diligence::FULL };
/// assert!(no_gso.batches > Diligence::LEAST.batches);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diligence {
    /// The most calls of `poll_transmit` in one wake.
    pub batches: usize,
    /// The most datagrams in a batch (GSO): 1 to 64.
    pub segments: usize,
    /// The most datagrams in one input, of those that arrive together (GRO): 1 to 64.
    pub received: usize,
    /// The most inputs before somebody is woken for them, of those that arrive together.
    pub inputs: usize,
    /// Calls `handle_timeout` in every wake, not only when the deadline has passed.
    pub eager_timers: bool,
}

impl Diligence {
    /// Everything is drained, and in large batches.
    pub const FULL: Self =
        Self { batches: usize::MAX, segments: 64, received: 64, inputs: usize::MAX, eager_timers: false };
    /// One datagram in, one out, back to sleep.
    pub const LEAST: Self = Self { batches: 1, segments: 1, received: 1, inputs: 1, eager_timers: false };
}
