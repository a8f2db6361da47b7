//! Rate-based: a model of the path (how fast packets arrive, and how long they take when nothing waits) says how fast to send and how much may
//! be under way. In the spirit of BBR, versions 2 and 3 (draft-ietf-ccwg-bbr); what follows is our own.
//!
//! ```text
//!  Startup ──── no faster, a queue, or loss ───▶ Drain ── no queue ──▶ Cruise ◀──────────────────────────┐
//!  x 2.77, doubles each round                    x 0.5                 x 1.0, two or three seconds       │ no queue
//!                                                                        │                               │
//!                                                                        ▼ a round without short bounds  │
//!                        ProbeRtt: half, 200 ms                        Refill ──▶ Up x 1.25 ──────────▶ Down x 0.75
//!                        (when no empty queue was seen for 5 s)                   too much loss, or no faster
//! ```
//!
//! **Random loss** is no reason to slow down, a full queue is. They are told apart by how much is lost in a round trip, and by whether the round trip is longer
//! than the shortest one at the time: with a queue in sight, 2 % is too much (as in BBR); without one, 10 %, since a packet that found no queue was
//! not dropped for its length. What is too much lowers the short-term bounds by 0.7 each round, to what got through if it was less than a fifth, until
//! the next probe; and where it happened on a probe, the amount that was in flight then becomes the long-term bound.
//!
//! **No overshoot.** Startup ends in the round in which arrival becomes no faster while every packet of it waited; without that sign, after three
//! rounds without growth. At most twice what the path holds is in flight then, and it drains in a round trip or two.

use std::time::Duration;

use wigwag_proto::Instant;

use super::{Ack, Controller, INITIAL_PACKETS, Loss, MAX_WINDOW, MIN_PACKETS};

/// In percent: doubles each round trip while what arrives is a round trip old (2 / ln 2).
const STARTUP_GAIN: u64 = 277;
const DRAIN_GAIN: u64 = 50;
const UP_GAIN: u64 = 125;
const DOWN_GAIN: u64 = 75;
/// While cruising, when every packet of a round waited for a quarter of the shortest round trip: others are there too.
const CROWDED_GAIN: u64 = 88;
/// In flight at most, in percent of what the path holds: acknowledgements come in lumps.
const WINDOW_GAIN: u64 = 150;
/// Startup's rate has grown if it did by this, in percent.
const GROWTH: u64 = 125;
/// A probe's: who has little of a full link gets this much more by probing, who has most of it does not, so that shares become equal.
const UP_GROWTH: u64 = 110;
/// Rounds without growth that end Startup.
const FULL_ROUNDS: u32 = 3;
/// What a short-term bound is lowered to, in percent.
const BETA: u64 = 70;
/// Of the long-term bound, what is left to others while cruising, in percent.
const HEADROOM: u64 = 85;
/// Lost in a round, in percent: too much with a queue in sight, without, and too much to look at what got through.
const TOO_MUCH_QUEUED: u64 = 2;
const TOO_MUCH: u64 = 10;
const FAR_TOO_MUCH: u64 = 18;
/// Fewer losses than this in a round are never too much.
const FEW_LOSSES: u32 = 3;
/// The shortest round trip must be seen this often.
const MIN_ROUND_TRIP_LASTS: Duration = Duration::from_secs(5);
const PROBE_ROUND_TRIP: Duration = Duration::from_millis(200);
/// Between two probes for more: this, and up to a second more, which keeps flows from probing together.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// And at most as many rounds, so that NewReno finds room beside it on short paths.
const PROBE_ROUNDS: u32 = 62;
/// Bytes that one send may hand to the kernel.
const MAX_BURST: u64 = 64 << 10;

/// Goes by the rate at which packets arrive.
#[derive(Clone, Copy, Debug)]
pub struct RateBased {
    mtu: usize,
    window: usize,
    pacing_rate: Option<u64>,
    phase: Phase,
    /// The fastest arrival of this probe cycle and the one before, in bytes per second.
    fastest: [u64; 2],
    /// Short-term bounds, lowered by loss and lifted by the next probe.
    rate_bound: u64,
    in_flight_bound: usize,
    /// Long-term: what was in flight when a probe lost too much.
    in_flight_ceiling: usize,
    min_round_trip: Option<Duration>,
    /// When it was last seen.
    min_seen: Instant,
    /// The rate that Startup or a probe began its round with.
    full_rate: u64,
    full_rounds: u32,
    /// Every packet of the last round waited, for others' too.
    is_crowded: bool,
    /// In this cycle there was not always something to send.
    is_app_limited: bool,
    round: Round,
    before_timeout: Option<Bounds>,
    before_loss: Option<Bounds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Startup,
    Drain,
    /// Rounds so far.
    Down {
        rounds: u32,
    },
    /// Until then, or for so many rounds.
    Cruise {
        until: Instant,
        rounds: u32,
    },
    Refill,
    /// Rounds so far.
    Up {
        rounds: u32,
    },
    ProbeRtt {
        until: Option<Instant>,
        shortest: Duration,
        rounds: u32,
    },
}

/// What this round trip brought.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    acked: u64,
    lost: u64,
    losses: u32,
    fastest: u64,
    shortest: Option<Duration>,
    most_in_flight: usize,
    is_app_limited: bool,
}

/// What a loss lowers.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    window: usize,
    rate: u64,
    in_flight: usize,
    ceiling: usize,
}

fn percent(value: u64, percent: u64) -> u64 {
    value.saturating_mul(percent) / 100
}

impl RateBased {
    /// `mtu`: the packet size that is counted in, in bytes.
    pub fn new(mtu: usize) -> Self {
        Self {
            mtu,
            window: INITIAL_PACKETS * mtu,
            pacing_rate: None,
            phase: Phase::Startup,
            fastest: [0; 2],
            rate_bound: u64::MAX,
            in_flight_bound: usize::MAX,
            in_flight_ceiling: usize::MAX,
            min_round_trip: None,
            min_seen: Instant(0),
            full_rate: 0,
            full_rounds: 0,
            is_crowded: false,
            is_app_limited: false,
            round: Round::default(),
            before_timeout: None,
            before_loss: None,
        }
    }

    /// The path's, in bytes per second; zero before the first measurement.
    fn bandwidth(&self) -> u64 {
        let [now, before] = self.fastest;
        now.max(before)
    }

    fn rate(&self) -> u64 {
        self.bandwidth().min(self.rate_bound)
    }

    /// Bytes that the path holds at `rate` when nothing waits.
    fn held(&self, rate: u64) -> u64 {
        let micros = self.min_round_trip.unwrap_or_default().as_micros() as u64;
        (u128::from(rate) * u128::from(micros) / 1_000_000) as u64
    }

    fn floor(&self) -> usize {
        MIN_PACKETS * self.mtu
    }

    fn bounds(&self) -> Bounds {
        let Self { window, rate_bound: rate, in_flight_bound: in_flight, in_flight_ceiling: ceiling, .. } = *self;
        Bounds { window, rate, in_flight, ceiling }
    }

    fn restore(&mut self, bounds: Bounds) {
        self.window = self.window.max(bounds.window);
        self.rate_bound = self.rate_bound.max(bounds.rate);
        self.in_flight_bound = self.in_flight_bound.max(bounds.in_flight);
        self.in_flight_ceiling = self.in_flight_ceiling.max(bounds.ceiling);
    }

    fn measure(&mut self, ack: &Ack) {
        self.round.acked += ack.acked as u64;
        self.round.most_in_flight = self.round.most_in_flight.max(ack.in_flight_before);
        if let Some(delivery) = ack.delivery {
            self.round.fastest = self.round.fastest.max(delivery.rate);
            self.round.is_app_limited |= delivery.is_app_limited;
            self.is_app_limited |= delivery.is_app_limited;
            if !delivery.is_app_limited || delivery.rate > self.bandwidth() {
                let [now, _] = &mut self.fastest;
                *now = (*now).max(delivery.rate);
            }
        }
        let Some(round_trip) = ack.round_trip else { return };
        self.round.shortest = Some(self.round.shortest.map_or(round_trip, |shortest| shortest.min(round_trip)));
        match self.min_round_trip {
            // A thirty-second more is what bursts and timers make: the queue was empty.
            Some(min) if round_trip > min + min / 32 => {}
            min => {
                self.min_round_trip = Some(min.map_or(round_trip, |min| min.min(round_trip)));
                self.min_seen = ack.now;
            }
        }
    }

    /// Whether every packet of the round waited.
    fn is_queued(&self) -> bool {
        let min = self.min_round_trip.unwrap_or_default();
        self.round.shortest.is_some_and(|shortest| shortest > min + (min / 10).max(Duration::from_millis(1)))
    }

    fn lost_percent(&self) -> u64 {
        let Round { acked, lost, losses, .. } = self.round;
        if losses < FEW_LOSSES { 0 } else { lost * 100 / (acked + lost).max(1) }
    }

    fn loses_too_much(&self) -> bool {
        self.lost_percent() >= if self.is_queued() { TOO_MUCH_QUEUED } else { TOO_MUCH }
    }

    /// The same before the round is over: of all that is in flight.
    fn probe_loses_too_much(&self) -> bool {
        let Round { lost, losses, most_in_flight, .. } = self.round;
        let too_much = if self.is_queued() { TOO_MUCH_QUEUED } else { TOO_MUCH };
        losses >= FEW_LOSSES && lost * 100 >= most_in_flight as u64 * too_much
    }

    /// A round trip is over.
    fn end_round(&mut self) {
        // A rate that was never tried is none that the path was found to have.
        let is_untried = self.phase == Phase::Startup && self.round.is_app_limited;
        let too_much = self.loses_too_much() && !is_untried;
        let rate = self.bandwidth();
        let growth = if self.phase == Phase::Startup { GROWTH } else { UP_GROWTH };
        let has_grown = rate >= percent(self.full_rate, growth);
        match &mut self.phase {
            Phase::Startup => {
                if has_grown {
                    (self.full_rate, self.full_rounds) = (rate, 0);
                } else if !is_untried {
                    self.full_rounds += 1;
                }
                let is_full = self.full_rounds >= FULL_ROUNDS || self.full_rounds > 0 && self.is_queued();
                if too_much {
                    self.in_flight_ceiling = (self.held(rate) as usize).max(self.round.most_in_flight * 7 / 10);
                }
                if is_full && rate > 0 || too_much {
                    self.phase = Phase::Drain;
                }
            }
            Phase::Up { rounds } => {
                *rounds += 1;
                let begun = *rounds > 1;
                if begun && !has_grown && self.round.most_in_flight as u64 >= percent(self.held(rate), UP_GAIN - 5) {
                    self.go_down();
                } else {
                    if has_grown {
                        self.full_rate = rate;
                    }
                    // The ceiling is tried, and was not one.
                    self.in_flight_ceiling = self.in_flight_ceiling.saturating_add(self.in_flight_ceiling / 4);
                }
            }
            Phase::Refill => {
                self.full_rate = rate;
                self.phase = Phase::Up { rounds: 0 };
            }
            Phase::Cruise { rounds, .. } => {
                *rounds = rounds.saturating_sub(1);
                if too_much {
                    self.lower();
                }
            }
            // What a probe lost is found out in the round after it.
            Phase::Down { rounds } => {
                *rounds += 1;
                if too_much && *rounds > 1 {
                    self.lower();
                }
            }
            Phase::ProbeRtt { rounds, .. } => {
                *rounds += 1;
                if too_much {
                    self.lower();
                }
            }
            Phase::Drain => {}
        }
        let min = self.min_round_trip.unwrap_or_default();
        self.is_crowded = self.is_queued() && self.round.shortest.is_some_and(|shortest| shortest > min + min / 4);
        self.round = Round::default();
    }

    /// Lowers the short-term bounds.
    fn lower(&mut self) {
        let far = self.lost_percent() >= FAR_TOO_MUCH;
        let (rate, held) = (self.rate(), self.held(self.rate()) as usize);
        let got_through = if far { 0 } else { self.round.fastest };
        self.rate_bound = percent(rate, BETA).max(got_through);
        let in_flight = self.in_flight_bound.min(self.round.most_in_flight.max(held));
        self.in_flight_bound = (in_flight * 7 / 10).max(if far { 0 } else { held }).max(self.floor());
    }

    fn go_down(&mut self) {
        // A cycle is over: what was fastest two cycles ago is forgotten, unless nothing was tried since.
        if !std::mem::take(&mut self.is_app_limited) {
            let [now, _] = self.fastest;
            self.fastest = [0, now];
        }
        self.phase = Phase::Down { rounds: 0 };
    }

    fn advance(&mut self, ack: &Ack) {
        let held = self.held(self.rate());
        let in_flight = ack.in_flight as u64;
        let mtu = self.mtu as u64;
        match self.phase {
            Phase::Drain | Phase::Down { .. } if in_flight <= held.max(self.floor() as u64) + mtu => {
                self.cruise(ack.now)
            }
            // At once: a probe is not worth a round of losses.
            Phase::Up { .. } if self.probe_loses_too_much() => {
                self.in_flight_ceiling = (self.round.most_in_flight * 7 / 10).max(self.held(self.rate()) as usize);
                self.go_down();
            }
            Phase::Cruise { until, rounds } if ack.now >= until || rounds == 0 => {
                self.rate_bound = u64::MAX;
                self.in_flight_bound = usize::MAX;
                self.phase = Phase::Refill;
            }
            Phase::ProbeRtt { until: None, shortest, .. } if in_flight <= held / 2 + self.floor() as u64 => {
                self.phase = Phase::ProbeRtt { until: Some(ack.now + PROBE_ROUND_TRIP), shortest, rounds: 0 };
            }
            Phase::ProbeRtt { until, shortest, rounds } => {
                let shortest = ack.round_trip.map_or(shortest, |round_trip| round_trip.min(shortest));
                self.phase = Phase::ProbeRtt { until, shortest, rounds };
                if until.is_some_and(|until| ack.now >= until) && rounds > 0 {
                    self.min_round_trip = Some(shortest).filter(|&it| it < Duration::MAX).or(self.min_round_trip);
                    self.min_seen = ack.now;
                    self.cruise(ack.now);
                }
            }
            _ => {}
        }
        let is_stale = ack.now - self.min_seen > MIN_ROUND_TRIP_LASTS;
        if is_stale && !matches!(self.phase, Phase::Startup | Phase::ProbeRtt { .. }) {
            self.phase = Phase::ProbeRtt { until: None, shortest: Duration::MAX, rounds: 0 };
        }
    }

    fn cruise(&mut self, now: Instant) {
        // Not random, but different for each flow and each time.
        let spread = now.as_micros().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
        let until = now + PROBE_INTERVAL + Duration::from_micros(spread);
        let packets = self.held(self.rate()) / self.mtu as u64;
        let rounds = (packets as u32).clamp(8, PROBE_ROUNDS);
        self.phase = Phase::Cruise { until, rounds };
    }

    fn set(&mut self, ack: &Ack) {
        let rate = self.rate();
        if rate == 0 || self.min_round_trip.is_none() {
            // Nothing measured: as slow start does.
            self.window = (self.window + ack.acked).min(MAX_WINDOW);
            return;
        }
        let gain = match self.phase {
            Phase::Startup => STARTUP_GAIN,
            Phase::Drain => DRAIN_GAIN,
            Phase::Up { .. } => UP_GAIN,
            Phase::Down { .. } => DOWN_GAIN,
            Phase::Cruise { .. } if self.is_crowded => CROWDED_GAIN,
            Phase::Cruise { .. } | Phase::Refill | Phase::ProbeRtt { .. } => 100,
        };
        // The least window leaves within a round trip, and within a second, however little arrived before and however late: a path that was bad
        // for minutes, a device that slept, or a program that had nothing to say is not sounded at a packet a minute.
        let micros = self.min_round_trip.unwrap_or_default().as_micros().clamp(1, 1_000_000) as u64;
        let least = self.floor() as u64 * 1_000_000 / micros;
        let pacing_rate = percent(rate, gain).max(least);
        // What one has measured so far is little: never slower than the initial window, before the path is known.
        let initial = super::new_reno::spread(INITIAL_PACKETS * self.mtu, ack.smoothed_round_trip, true).unwrap_or(0);
        self.pacing_rate = Some(if self.phase == Phase::Startup { pacing_rate.max(initial) } else { pacing_rate });
        let held = self.held(rate);
        // Packets leave and are acknowledged in lumps; on short paths these are more than it holds.
        let lumps = (rate / 1000).clamp(2 * self.mtu as u64, MAX_BURST) * 2;
        let target = match self.phase {
            Phase::ProbeRtt { .. } => held / 2,
            Phase::Startup => 2 * held + lumps,
            _ => percent(held, WINDOW_GAIN) + lumps,
        };
        let ceiling = match self.phase {
            Phase::Cruise { .. } | Phase::Down { .. } | Phase::Drain => {
                percent(self.in_flight_ceiling as u64, HEADROOM).max(held)
            }
            _ => self.in_flight_ceiling as u64,
        };
        let target = target.min(ceiling).min(self.in_flight_bound as u64) as usize;
        let target = target.clamp(self.floor(), MAX_WINDOW);
        self.window = match self.phase {
            Phase::Startup => self.window.max((self.window + ack.acked).min(target.max(INITIAL_PACKETS * self.mtu))),
            _ => (self.window + ack.acked).min(target),
        };
    }
}

impl Controller for RateBased {
    fn window(&self) -> usize {
        self.window
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.pacing_rate
    }

    fn on_ack(&mut self, ack: &Ack) {
        self.measure(ack);
        if ack.begins_round {
            self.end_round();
        }
        self.advance(ack);
        self.set(ack);
    }

    fn on_loss(&mut self, loss: &Loss) {
        if loss.begins_recovery {
            self.before_loss = Some(self.bounds());
        }
        self.round.lost += loss.bytes as u64;
        self.round.losses += 1;
    }

    /// The model stands: when packets arrive again, the window doubles each round trip until it is what it was.
    fn on_timeout(&mut self) {
        self.before_timeout = Some(self.bounds());
        self.window = self.mtu;
    }

    fn undo(&mut self) {
        if let Some(bounds) = self.before_timeout.take().or(self.before_loss.take()) {
            self.restore(bounds);
        }
        (self.round.lost, self.round.losses) = (0, 0);
    }

    /// A pause says nothing about the path's rate; what comes after it is paced.
    fn on_idle(&mut self, _: Duration, _: Duration) {}
}
