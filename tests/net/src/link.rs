//! What a link is like: one direction between two places.
//!
//! ```text
//!              scripted   loss    too big     full     AQM                     out of order
//!   send ──────── x ────── x ────── x ───────── x ────── x ── line ─── delay + jitter (+ extra) ──▶ delivery
//!                                                 marked                 corrupted, duplicated, bleached
//! ```

use std::time::Duration;

use crate::queue::Discipline;
use crate::trace::TraceId;

/// One direction between two addresses.
///
/// Write it with `..Link::default()`: it may get more fields. Probabilities are from 0 to 1.
///
/// ```
/// use std::time::Duration;
/// use wigwag_net::Link;
///
/// let dsl = Link { delay: Duration::from_millis(25), loss: 0.01, rate: Some(10_000_000), ..Link::default() };
/// assert_eq!(dsl.mtu, 1500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// How long a datagram takes at least. 10 ms.
    pub delay: Duration,
    /// Up to this much more, evenly. It does not reorder, unless there is `overtaking`.
    pub jitter: Duration,
    /// Whether a datagram with less jitter overtakes those with more, as where packets take several ways.
    pub overtaking: bool,
    /// The probability that a datagram is lost, each for itself.
    pub loss: f64,
    /// Losses that come together, besides `loss`.
    pub burst_loss: Option<BurstLoss>,
    /// Datagrams that others overtake.
    pub reordering: Option<Reordering>,
    /// Copies of each datagram on average, besides the first: 0.1 is one more for every tenth, 2.5 two or three more for
    /// each. They arrive within a millisecond (or within `jitter`, if that is longer) of the first.
    pub duplication: f64,
    /// The probability that a bit of a datagram is turned over. (The UDP checksum does not notice.)
    pub corruption: f64,
    /// Bits per second, IP and UDP headers included; `None`: no limit. A change concerns what is sent from then on.
    pub rate: Option<u64>,
    /// A capacity that changes, which takes the place of `rate`: see [`Network::add_trace`](crate::Network::add_trace). Links
    /// that follow one trace do so each for itself.
    pub trace: Option<TraceId>,
    /// Bytes that wait for their turn at most; what comes on top is dropped. Matters only with a `rate` or a `trace`. 64 KiB.
    pub queue: usize,
    /// Which of those that wait is next, and which is dropped or marked before the queue is full. Drop-tail.
    pub discipline: Discipline,
    /// The longest IP packet, in bytes; a longer one vanishes. 1500.
    pub mtu: usize,
    /// Whether the sender of a longer one is told, by what stands for ICMP: see [`TooBig`](crate::TooBig). The notice is never
    /// lost, and takes the `delay` of this link. By default nobody is told: a black hole.
    pub mtu_notice: bool,
    /// The probability that a datagram which says that it can be marked (ECT) is, as by a queue further on. RFC 3168.
    pub marking: f64,
    /// What becomes of the ECN bits. They are kept.
    pub ecn: EcnTreatment,
}

/// What a link does to the ECN bits of the IP header, besides marking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnTreatment {
    /// Leaves them as they are.
    #[default]
    Kept,
    /// Clears them: who looks at them sees that ECN does not work here. So do some routers that still take them for a part of
    /// the old type of service.
    Bleached,
    /// Turns ECT(1) into ECT(0), as does who knows only RFC 3168: L4S becomes classic.
    Ect0,
    /// Marks every datagram as Congestion Experienced, even those that did not ask (a broken box; RFC 9000 section 13.4.2.1).
    AllMarked,
    /// Drops what has any of them set.
    Dropped,
}

/// Losses that come together: the Gilbert-Elliott model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurstLoss {
    /// The probability, per datagram, that a burst begins.
    pub begin: f64,
    /// The probability, per datagram, that it ends: one over its mean length in datagrams.
    pub end: f64,
    /// The probability that a datagram in a burst is lost.
    pub loss: f64,
}

/// Datagrams that others overtake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reordering {
    /// How likely it is for each datagram.
    pub probability: f64,
    /// How much later it arrives.
    pub extra_delay: Duration,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            overtaking: false,
            loss: 0.0,
            burst_loss: None,
            reordering: None,
            duplication: 0.0,
            corruption: 0.0,
            rate: None,
            trace: None,
            queue: 64 << 10,
            discipline: Discipline::DropTail,
            mtu: 1500,
            mtu_notice: false,
            marking: 0.0,
            ecn: EcnTreatment::Kept,
        }
    }
}

impl Link {
    /// Between two addresses of one host.
    pub(crate) fn loopback() -> Self {
        Self { delay: Duration::from_micros(50), mtu: 65_536, ..Self::default() }
    }
}
