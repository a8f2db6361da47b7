//! What happens to a datagram between two addresses, in one direction.
//!
//! ```text
//!              scripted   loss     too big      queue full                     out of order
//!   send ──────── x ────── x ──────── x ──────────── x ─── queue, rate ─── delay + jitter (+ extra) ──▶ delivery
//!                                                                             corrupted, duplicated
//! ```

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use wigwag_proto::Instant;

use crate::seed::{Dice, stream};

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
    /// Bytes that wait for their turn at most; what comes on top is dropped (drop-tail). Matters only with a `rate`. 64 KiB.
    pub queue: usize,
    /// The longest IP packet, in bytes; a longer one vanishes without a word. 1500.
    pub mtu: usize,
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
            queue: 64 << 10,
            mtu: 1500,
        }
    }
}

impl Link {
    /// Between two addresses of one host.
    pub(crate) fn loopback() -> Self {
        Self { delay: Duration::from_micros(50), mtu: 65_536, ..Self::default() }
    }
}

/// What became of a datagram.
pub(crate) enum Passage {
    Lost,
    TooBig,
    QueueFull,
    Passed(Passed),
}

/// It arrives.
pub(crate) struct Passed {
    /// When, and when its copies do.
    pub arrivals: Vec<Instant>,
    /// The bit that is turned over, as a part of the whole.
    pub corrupted: Option<f64>,
    pub reordered: bool,
}

/// A link with what is under way.
pub(crate) struct Road {
    /// As it was set for this pair of addresses; `None`: the network's default.
    pub link: Option<Link>,
    dice: Dice,
    in_burst: bool,
    /// When the line is free, in nanoseconds: a packet may take less than a microsecond.
    free_at: u64,
    /// When each packet that waits leaves, and its length.
    queue: VecDeque<(u64, usize)>,
    queued: usize,
    last_arrival: Instant,
}

impl Road {
    pub fn new(seed: u64, from: IpAddr, to: IpAddr) -> Self {
        Self {
            link: None,
            dice: Dice(stream(seed, format!("{from} {to}").as_bytes())),
            in_burst: false,
            free_at: 0,
            queue: VecDeque::new(),
            queued: 0,
            last_arrival: Instant::default(),
        }
    }

    /// `packet_len` is that of the IP packet.
    pub fn pass(&mut self, now: Instant, link: &Link, packet_len: usize) -> Passage {
        // The same number for each datagram, whatever becomes of it.
        let [loss, burst, burst_loss, jitter, reorder, copies, corrupt, bit] = self.dice.roll();
        let [spread] = self.dice.roll();
        if loss < link.loss || self.lost_in_burst(link.burst_loss, burst, burst_loss) {
            return Passage::Lost;
        }
        if packet_len > link.mtu {
            return Passage::TooBig;
        }
        let Some(departure) = self.departure(now, link, packet_len) else {
            return Passage::QueueFull;
        };
        let earliest = departure + link.delay + link.jitter.mul_f64(jitter);
        let in_order = if link.overtaking { earliest } else { earliest.max(self.last_arrival) };
        let reordering = link.reordering.filter(|reordering| reorder < reordering.probability);
        let arrival = match reordering {
            Some(reordering) => in_order + reordering.extra_delay,
            None => {
                self.last_arrival = self.last_arrival.max(in_order);
                in_order
            }
        };
        let extra = link.duplication.floor() as usize + usize::from(copies < link.duplication.fract());
        let step = link.jitter.max(Duration::from_millis(1)).mul_f64(spread / extra.max(1) as f64);
        let arrivals = (0..=extra).map(|copy| arrival + step * copy as u32).collect();
        let corrupted = (corrupt < link.corruption).then_some(bit);
        Passage::Passed(Passed { arrivals, corrupted, reordered: reordering.is_some() })
    }

    fn lost_in_burst(&mut self, model: Option<BurstLoss>, change: f64, loss: f64) -> bool {
        let Some(model) = model else {
            self.in_burst = false;
            return false;
        };
        self.in_burst = if self.in_burst { change >= model.end } else { change < model.begin };
        self.in_burst && loss < model.loss
    }

    /// When the last bit leaves the queue; `None` if there is no room in it.
    fn departure(&mut self, now: Instant, link: &Link, packet_len: usize) -> Option<Instant> {
        let Some(rate) = link.rate else {
            return Some(now);
        };
        let nanos = now.as_micros().saturating_mul(1000);
        while let Some((_, len)) = self.queue.front().filter(|(departure, _)| *departure <= nanos) {
            self.queued -= len;
            self.queue.pop_front();
        }
        // An idle line takes a packet whatever the queue is.
        if !self.queue.is_empty() && self.queued + packet_len > link.queue {
            return None;
        }
        let duration = (packet_len as u128 * 8 * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
        let start = self.free_at.max(nanos);
        self.free_at = start.saturating_add(duration.try_into().unwrap_or(u64::MAX));
        self.queue.push_back((self.free_at, packet_len));
        self.queued += packet_len;
        Some(Instant::from_micros(self.free_at.div_ceil(1000)))
    }
}
