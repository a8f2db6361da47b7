//! Congestion control: how much may be on its way, and how fast it leaves.
//!
//! The sending half finds out what happened (which packets arrived, how fast, which are lost, which losses were false); a [`Controller`] decides
//! what follows from it. There are three, and a program may bring its own:
//!
//! | [`Congestion`] | what it goes by | for |
//! |---|---|---|
//! | `RateBased` (default) | the rate at which packets arrive and the shortest round trip | any path: keeps its rate under random loss, and the queue short |
//! | `Cubic` | losses, RFC 9438 | who wants what most of the internet does |
//! | `NewReno` | losses, RFC 9260 section 7.2 | who wants to be as meek as SCTP always was |
//!
//! "How fast, and why" in the crate's README has the measurements that made the choice.

mod cubic;
mod new_reno;
mod rate_based;
mod slow_start;

use std::fmt;
use std::time::Duration;

use wigwag_proto::Instant;

pub use cubic::Cubic;
pub use new_reno::NewReno;
pub use rate_based::RateBased;

/// Packets in the initial window. RFC 6928.
pub const INITIAL_PACKETS: usize = 10;
/// The least that a loss leaves, in packets. RFC 9260 section 7.2.3.
pub const MIN_PACKETS: usize = 4;
/// More than any path needs that this protocol is used on, in bytes.
pub const MAX_WINDOW: usize = 64 << 20;

/// Which congestion control an association uses; [`Config::congestion`](crate::Config::congestion).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Congestion {
    /// [`RateBased`].
    #[default]
    RateBased,
    /// [`Cubic`].
    Cubic,
    /// [`NewReno`].
    NewReno,
    /// The caller's own: called once per association, with the packet size in bytes.
    Custom(fn(usize) -> Box<dyn Controller>),
}

impl Congestion {
    /// A controller that knows nothing of its path yet.
    pub fn start(self, mtu: usize) -> Box<dyn Controller> {
        match self {
            Self::RateBased => Box::new(RateBased::new(mtu)),
            Self::Cubic => Box::new(Cubic::new(mtu)),
            Self::NewReno => Box::new(NewReno::new(mtu)),
            Self::Custom(start) => start(mtu),
        }
    }
}

/// Decides how much may be in flight and how fast it leaves.
///
/// Byte counts are those of DATA chunks with their headers and padding.
pub trait Controller: fmt::Debug + Send + Sync {
    /// Bytes that may be in flight. The packet that reaches it may exceed it.
    fn window(&self) -> usize;

    /// Bytes per second at which packets leave; `None`: as fast as the window allows. Packets leave in bursts of a millisecond.
    fn pacing_rate(&self) -> Option<u64>;

    /// Something arrived; once per SACK.
    fn on_ack(&mut self, ack: &Ack);

    /// A packet is lost.
    fn on_loss(&mut self, loss: &Loss);

    /// The retransmission timer expired: nothing was heard for a while. RFC 9260 section 7.2.3.
    fn on_timeout(&mut self);

    /// All that was called lost since [`Loss::begins_recovery`], or the timeout, arrived after all, only late: what was done about it is taken back.
    fn undo(&mut self);

    /// Sending begins again after nothing was in flight for `idle`.
    fn on_idle(&mut self, idle: Duration, rto: Duration);
}

/// What a SACK told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// When it came.
    pub now: Instant,
    /// Bytes that it newly acknowledges.
    pub acked: usize,
    /// Bytes in flight before it.
    pub in_flight_before: usize,
    /// Bytes in flight after it.
    pub in_flight: usize,
    /// The round trip of the newest packet that it acknowledges, unless that was ambiguous (Karn's rule).
    pub round_trip: Option<Duration>,
    /// Smoothed. RFC 9260 section 6.3.1.
    pub smoothed_round_trip: Duration,
    /// The newest packet acknowledged left after the last [`Ack`] that began a round: a round trip is over.
    pub begins_round: bool,
    /// The newest packet acknowledged left before the last loss was answered.
    pub in_recovery: bool,
    /// How fast packets arrive.
    pub delivery: Option<Delivery>,
}

/// How fast packets arrive, measured over the time between one packet's leaving and its acknowledgement. Draft-ietf-ccwg-bbr section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Bytes per second.
    pub rate: u64,
    /// There was not always something to send: the path may be faster than that.
    pub is_app_limited: bool,
}

/// A packet that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its bytes.
    pub bytes: usize,
    /// What was in flight before it was missed, itself included.
    pub in_flight: usize,
    /// It left after the last loss was answered: a new occasion, to be answered once.
    pub begins_recovery: bool,
}
