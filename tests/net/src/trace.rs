//! Capacity that changes, as it was measured or as a model says: traces.
//!
//! The format is that of Mahimahi: each line is a time in milliseconds, never before that of the line above, at which one
//! packet of 1500 bytes can be delivered; after the last one it begins anew. What nobody uses is gone. Smaller packets share
//! an opportunity, larger ones take several.

use std::time::Duration;

use wigwag_proto::Instant;

use crate::seed::{Dice, stream};

/// Bytes of IP packets that one opportunity delivers.
pub(crate) const OPPORTUNITY: usize = 1500;
/// How long the capacity of the cellular model stays the same.
const STEP: Duration = Duration::from_millis(20);

/// When packets can be delivered. Give it to [`Network::add_trace`](crate::Network::add_trace).
///
/// ```
/// use wigwag_net::Trace;
///
/// // Three packets in 10 ms, over and over: 3.6 Mbit/s.
/// let trace = Trace::parse("0\n5\n10\n")?;
/// assert_eq!(trace.mean_rate(), 3_600_000);
/// # Ok::<(), wigwag_net::TraceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In milliseconds; there is at least one, and the last is not zero.
    opportunities: Vec<u64>,
}

/// Why a text is no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A line is no whole number of milliseconds.
    #[error("line {0} is no whole number of milliseconds")]
    NotANumber(usize),
    /// A line is before the one above.
    #[error("line {0} is before the one above")]
    OutOfOrder(usize),
    /// There is no line, or no time until the last one: it could not be repeated.
    #[error("it takes no time")]
    TooShort,
}

impl Trace {
    /// Reads the format of Mahimahi. Empty lines are allowed.
    ///
    /// # Errors
    /// Which line is wrong.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut opportunities = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let millis: u64 = line.trim().parse().map_err(|_| TraceError::NotANumber(index + 1))?;
            if opportunities.last().is_some_and(|last| *last > millis) {
                return Err(TraceError::OutOfOrder(index + 1));
            }
            opportunities.push(millis);
        }
        Self::new(opportunities)
    }

    fn new(opportunities: Vec<u64>) -> Result<Self, TraceError> {
        match opportunities.last() {
            Some(1..) => Ok(Self { opportunities }),
            _ => Err(TraceError::TooShort),
        }
    }

    /// A capacity in bits per second for a while, then the next one, and so on.
    ///
    /// # Errors
    /// [`TraceError::TooShort`] if nothing is ever delivered.
    pub fn from_rates(rates: impl IntoIterator<Item = (Duration, u64)>) -> Result<Self, TraceError> {
        let mut builder = Builder::default();
        for (duration, rate) in rates {
            for _ in 0..duration.as_millis() {
                builder.millisecond(rate as f64);
            }
        }
        Self::new(builder.opportunities)
    }

    /// A cellular link: see [`Cellular`]. The same seed gives the same trace.
    ///
    /// # Errors
    /// [`TraceError::TooShort`] if nothing is ever delivered.
    pub fn cellular(seed: u64, model: Cellular, duration: Duration) -> Result<Self, TraceError> {
        let mut dice = Dice(stream(seed, b"cellular"));
        let mean = model.mean_rate as f64;
        let mut builder = Builder::default();
        let (mut rate, mut outage_left) = (mean, Duration::ZERO);
        for _ in 0..duration.as_millis() / STEP.as_millis() {
            let [outage, length] = dice.roll();
            if outage < STEP.as_secs_f64() * model.outages_per_minute / 60.0 {
                outage_left = model.outage.mul_f64(2.0 * length);
            }
            // The sum of twelve is nearly normal, and the same on every machine.
            let normal = dice.roll::<12>().iter().sum::<f64>() - 6.0;
            let pull = (mean - rate) * 0.5 * STEP.as_secs_f64();
            rate += pull + mean * model.volatility * STEP.as_secs_f64().sqrt() * normal;
            rate = rate.clamp(mean / 20.0, mean * 3.0);
            outage_left = outage_left.saturating_sub(STEP);
            for _ in 0..STEP.as_millis() {
                // Schedulers serve in bursts.
                let [burst] = dice.roll();
                builder.millisecond(if outage_left.is_zero() { rate * 2.0 * burst } else { 0.0 });
            }
        }
        Self::new(builder.opportunities)
    }

    /// Bits per second on average.
    pub fn mean_rate(&self) -> u64 {
        let bits = (self.opportunities.len() * OPPORTUNITY * 8) as u64;
        bits * 1000 / self.period()
    }

    /// In the format of Mahimahi.
    pub fn to_text(&self) -> String {
        self.opportunities.iter().map(|millis| format!("{millis}\n")).collect()
    }

    fn period(&self) -> u64 {
        self.opportunities.last().copied().unwrap_or(1)
    }

    /// When an opportunity is, counted through all repetitions; in milliseconds from the beginning.
    fn time(&self, number: u64) -> u64 {
        let count = self.opportunities.len() as u64;
        let in_round = self.opportunities.get((number % count) as usize).copied().unwrap_or_default();
        (number / count).saturating_mul(self.period()).saturating_add(in_round)
    }

    /// The first opportunity at or after this time.
    fn first_from(&self, millis: u64) -> u64 {
        let (mut round, mut in_round) = (millis / self.period(), millis % self.period());
        if in_round == 0 && round > 0 {
            // Also the last of the round before.
            (round, in_round) = (round - 1, self.period());
        }
        let place = self.opportunities.partition_point(|at| *at < in_round);
        round * self.opportunities.len() as u64 + place as u64
    }
}

/// A cellular link, in the manner of Winstein and others, "Stochastic Forecasts Achieve High Throughput and Low Delay over
/// Cellular Networks" (2013): the capacity wanders, and at times there is none.
///
/// ```
/// use std::time::Duration;
/// use wigwag_net::{Cellular, Trace};
///
/// let lte = Cellular { mean_rate: 8_000_000, ..Cellular::default() };
/// let trace = Trace::cellular(7, lte, Duration::from_secs(60))?;
/// assert_eq!(trace, Trace::cellular(7, lte, Duration::from_secs(60))?);
/// # Ok::<(), wigwag_net::TraceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cellular {
    /// Bits per second that it wanders around. 10 Mbit/s.
    pub mean_rate: u64,
    /// How far it wanders within a second, as a part of the mean. It stays between a twentieth and three times the mean. 0.3.
    pub volatility: f64,
    /// How often there is nothing. 2.
    pub outages_per_minute: f64,
    /// For how long on average, evenly from zero to twice that. 500 ms.
    pub outage: Duration,
}

impl Default for Cellular {
    fn default() -> Self {
        Self { mean_rate: 10_000_000, volatility: 0.3, outages_per_minute: 2.0, outage: Duration::from_millis(500) }
    }
}

/// Opportunities in the making.
#[derive(Default)]
struct Builder {
    opportunities: Vec<u64>,
    millis: u64,
    /// Bits that are not an opportunity yet.
    bits: f64,
}

impl Builder {
    fn millisecond(&mut self, rate: f64) {
        self.millis += 1;
        self.bits += rate / 1000.0;
        while self.bits >= (OPPORTUNITY * 8) as f64 {
            self.bits -= (OPPORTUNITY * 8) as f64;
            self.opportunities.push(self.millis);
        }
    }
}

/// Names a trace of a [`Network`](crate::Network).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub(crate) usize);

/// A trace that began at some time.
pub(crate) struct Running {
    pub trace: Trace,
    pub begin: Instant,
}

/// The place of a line in its trace.
#[derive(Default)]
pub(crate) struct Cursor {
    /// The first opportunity of which nothing is used.
    next: u64,
    /// When the one before it is, in nanoseconds, and the bytes that are left of it.
    current: (u64, usize),
}

impl Cursor {
    /// Delivers a packet that is there from `start` on, in nanoseconds: the answer is when it is through.
    pub fn carry(&mut self, running: &Running, start: u64, packet_len: usize) -> u64 {
        let begin = running.begin.as_micros().saturating_mul(1000);
        let (at, left) = self.current;
        if left == 0 || at < start {
            let millis = start.saturating_sub(begin).div_ceil(1_000_000);
            self.next = self.next.max(running.trace.first_from(millis));
            self.take(running, begin);
        }
        let mut needed = packet_len;
        while needed > self.current.1 {
            needed -= self.current.1;
            self.take(running, begin);
        }
        self.current.1 -= needed;
        self.current.0
    }

    fn take(&mut self, running: &Running, begin: u64) {
        let millis = running.trace.time(self.next);
        self.next += 1;
        self.current = (begin.saturating_add(millis.saturating_mul(1_000_000)), OPPORTUNITY);
    }
}
