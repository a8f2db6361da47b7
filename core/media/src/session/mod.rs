//! The machine: all streams of RTP of one connection.
//!
//! - `receive.rs`: a packet's way in; `learn.rs`: whose it is; `routes.rs`: what mid, rid and payload type tell of that;
//! - `control.rs`: what the peer says by RTCP;
//! - `compose.rs`: what we say by RTCP, in as few packets as can be;
//! - `transmit.rs`: a packet's way out, retransmissions included;
//! - `line.rs`: what is known of a line and a source.
//!
//! What is to be said by RTCP is noted where it arises, as a count or a short list in [`Due`], and composed only when a packet is asked
//! for: so NACKs of several streams, and of several packets that arrived together, share one.

mod compose;
mod control;
mod learn;
mod line;
mod receive;
mod routes;
mod transmit;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::Rng;
use wigwag_proto::{Chunks, Instant, Random, WallClock};
use wigwag_rtp::{PayloadType, Ssrc};

use crate::arrivals::Arrivals;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::missing::earlier;
use crate::outbound::Outbound;
use crate::waiting::Waiting;
use crate::{Config, Dropped, Event, LineConfig, LineId, LineStats, MIN_PACKET, RtpOut};
use line::{Line, Role, Source};
use routes::Routes;

/// Between two reports, on average: RFC 3550 section 6.2 says five seconds for sessions of unknown size, and RFC 4585 section 3.4 less for
/// those that can afford it.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The round trip before it was measured.
const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(100);

/// All streams of RTP of one connection (one BUNDLE transport).
///
/// Decrypted packets go in by [`handle_rtp`](Self::handle_rtp) and [`handle_rtcp`](Self::handle_rtcp), packets to be encrypted come out by
/// [`write_packet`](Self::write_packet); the README has a complete example.
///
/// ```
/// use wigwag_media::{Config, LineConfig, LineId, Session};
/// use wigwag_proto::{Instant, random};
///
/// let mut session = Session::new(Config::default(), random::seeded([1; 32]));
/// session.set_line(Instant(0), LineId(0), LineConfig::default());
/// assert!(!session.can_transmit() && session.poll_timeout().is_none());
/// ```
#[derive(Debug)]
pub struct Session {
    config: Config,
    random: Random,
    clock: Clock,
    closed: bool,
    /// The protector can send the same sequence number twice.
    repeats: bool,
    /// Who reports while nothing of ours is sent, and its name.
    local: (Ssrc, String),

    lines: BTreeMap<LineId, Line>,
    routes: Routes,
    sources: BTreeMap<Ssrc, Source>,
    arrivals: Arrivals,
    chunks: Chunks,
    waiting: Waiting,

    resend: VecDeque<Resend>,
    queue: VecDeque<(LineId, RtpOut)>,
    queued_bytes: usize,
    budget: Budget,
    /// Smoothed, of whatever measured it.
    round_trip: Option<Duration>,

    due: Due,
    report_at: Option<Instant>,
    nack_at: Option<Instant>,
    dropped: Dropped,
}

/// A packet that is to be sent again.
#[derive(Debug)]
struct Resend {
    line: LineId,
    packet: RtpOut,
    /// With this payload type as RTX; `None`: as it was.
    rtx: Option<PayloadType>,
}

/// What is to be said by RTCP as soon as may be.
#[derive(Debug, Default)]
struct Due {
    /// Sender reports.
    senders: Vec<LineId>,
    /// Report blocks.
    blocks: Vec<Ssrc>,
    byes: Vec<Ssrc>,
    /// Missing packets, over all sources.
    nacks: usize,
    /// Sources that are asked for key frames.
    plis: usize,
    firs: usize,
    /// Transport-wide feedback.
    feedback: bool,
}

impl Due {
    fn any(&self) -> bool {
        let lists = [&self.blocks, &self.byes].into_iter().any(|list| !list.is_empty());
        lists || !self.senders.is_empty() || self.nacks + self.plis + self.firs > 0 || self.feedback
    }
}

impl Session {
    /// Without lines. The same `random` and the same calls make the same packets.
    pub fn new(config: Config, mut random: Random) -> Self {
        let config = Config { max_packet: config.max_packet.max(MIN_PACKET), ..config };
        let local = (Ssrc(random.next_u32()), format!("{:016x}", random.next_u64()));
        Self {
            config,
            random,
            clock: Clock::default(),
            closed: false,
            repeats: false,
            local,
            lines: BTreeMap::new(),
            routes: Routes::default(),
            sources: BTreeMap::new(),
            arrivals: Arrivals::default(),
            chunks: Chunks::default(),
            waiting: Waiting::default(),
            resend: VecDeque::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            budget: Budget::default(),
            round_trip: None,
            due: Due::default(),
            report_at: None,
            nack_at: None,
            dropped: Dropped::default(),
        }
    }

    /// What time it is, for the NTP times of sender reports; without it they count from 1970 at the epoch of [`Instant`]. It may be
    /// told again: round trips are measured without it.
    pub fn set_wall_clock(&mut self, now: Instant, wall_clock: WallClock) {
        self.clock.set(now, wall_clock);
    }

    /// Adds a line or changes it; streams that go on (the same SSRC) keep their state and counters. A source of ours that is replaced, or
    /// stops, says BYE, and what it had queued is dropped; if it is the next one to send on this line, it goes on where it was.
    pub fn set_line(&mut self, now: Instant, id: LineId, config: LineConfig) {
        self.set_lines(now, [(id, Some(config))]);
    }

    /// Adds, changes (`Some`) and removes (`None`) lines. The same as one after the other, but what all lines together decide is decided
    /// once: hundreds of lines take linear time.
    pub fn set_lines(&mut self, _now: Instant, lines: impl IntoIterator<Item = (LineId, Option<LineConfig>)>) {
        if self.closed {
            return;
        }
        for (id, config) in lines {
            match config {
                Some(config) => self.place_line(id, config),
                None => self.take_line(id),
            }
        }
        self.routes = Routes::new(&self.lines);
        self.recount();
    }

    fn place_line(&mut self, id: LineId, config: LineConfig) {
        let before = self.lines.remove(&id);
        let mut line = Line::new(config);
        let wanted = line.config.send.clone();
        if let Some(before) = before {
            (line.past_inbound, line.past_outbound) = (before.past_inbound, before.past_outbound);
            (line.outbound, line.resting) = (before.outbound, before.resting);
        }
        let ssrc = wanted.as_ref().map(|send| send.ssrc);
        if let Some(mut gone) = line.outbound.take_if(|outbound| Some(outbound.ssrc) != ssrc) {
            self.retire(id, &gone);
            gone.history.clear();
            if let Some(older) = line.resting.replace(gone) {
                line.past_outbound.add(&older.stats);
            }
        }
        if let Some(send) = wanted {
            let resting = line.resting.take_if(|resting| resting.ssrc == send.ssrc);
            let outbound = line.outbound.take().or(resting);
            let mut outbound = outbound.unwrap_or_else(|| Outbound::new(&send, self.config.history, &mut self.random));
            outbound.set(&send);
            line.outbound = Some(outbound);
        }
        self.resend.retain(|resend| resend.line != id);
        self.lines.insert(id, line);
        self.expect_sources(id);
    }

    /// Removes a line: BYE for what it sent; its packets are dropped from then on.
    pub fn remove_line(&mut self, now: Instant, id: LineId) {
        self.set_lines(now, [(id, None)]);
    }

    fn take_line(&mut self, id: LineId) {
        let Some(line) = self.lines.remove(&id) else { return };
        if let Some(outbound) = &line.outbound {
            self.retire(id, outbound);
        }
        self.resend.retain(|resend| resend.line != id);
        self.sources.retain(|_, source| source.line != id);
        self.waiting.forget(id);
    }

    /// A source of ours ends.
    fn retire(&mut self, id: LineId, outbound: &Outbound) {
        if outbound.stats.packets > 0 {
            self.due.byes.push(outbound.ssrc);
            self.due.byes.extend(outbound.rtx.filter(|_| outbound.stats.retransmitted_packets > 0));
        }
        self.due.senders.retain(|line| *line != id);
        self.queue.retain(|(line, _)| *line != id);
        self.queued_bytes = self.queue.iter().map(|(_, packet)| packet.payload.len()).sum();
    }

    /// Counts anew what is due, after sources went.
    fn recount(&mut self) {
        let (lines, sources) = (&self.lines, &mut self.sources);
        (self.due.nacks, self.due.plis, self.due.firs) = (0, 0, 0);
        for source in sources.values_mut() {
            let receives = lines.get(&source.line).is_some_and(|line| line.config.receive.is_some());
            let Role::Media(inbound) = &mut source.role else { continue };
            if !receives {
                inbound.stats.given_up += inbound.missing.clear();
                (inbound.wants_pli, inbound.wants_fir) = (false, false);
            }
            self.due.nacks += inbound.missing.due();
            self.due.plis += usize::from(inbound.wants_pli);
            self.due.firs += usize::from(inbound.wants_fir);
        }
        self.due.blocks.retain(|ssrc| sources.contains_key(ssrc));
    }

    /// Whether whoever protects the packets can send the same sequence number twice: SRTP in counter mode with HMAC can, with GCM never.
    /// Only then are packets repeated where there is no RTX. Not allowed at first.
    pub fn allow_repeats(&mut self, allow: bool) {
        self.repeats = allow;
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.report_at.is_some_and(|at| at <= now) {
            self.gather_reports(now);
        }
        if self.nack_at.is_some_and(|at| at <= now) {
            self.nack_at = None;
            for inbound in self.sources.values_mut().filter_map(Source::inbound_mut) {
                self.due.nacks -= inbound.missing.due();
                let (given_up, next) = inbound.missing.handle_timeout(now);
                inbound.stats.given_up += given_up;
                self.due.nacks += inbound.missing.due();
                self.nack_at = earlier(self.nack_at, next);
            }
        }
        if self.arrivals.handle_timeout(now) {
            self.due.feedback = true;
        }
    }

    /// Reports are due: of what was sent, and of what was received.
    fn gather_reports(&mut self, now: Instant) {
        self.due.senders.clear();
        self.due.blocks.clear();
        let mut active = false;
        for (id, line) in &mut self.lines {
            let Some(outbound) = &mut line.outbound else { continue };
            outbound.history.forget(now);
            if outbound.reports_left > 0 {
                outbound.reports_left -= 1;
                self.due.senders.push(*id);
            }
            active |= outbound.reports_left > 0 || !outbound.history.is_empty();
        }
        for (ssrc, source) in &mut self.sources {
            let Role::Media(inbound) = &mut source.role else { continue };
            if inbound.reports_left > 0 {
                inbound.reports_left -= 1;
                self.due.blocks.push(*ssrc);
            }
            active |= inbound.reports_left > 0;
        }
        if !active {
            self.chunks.release();
        }
        self.report_at = active.then(|| now + self.report_interval());
    }

    /// RFC 3550 section 6.3.1: between half and one and a half of the interval, so that reports do not fall into step.
    fn report_interval(&mut self) -> Duration {
        let spread = REPORT_INTERVAL.mul_f64(f64::from(self.random.next_u32()) / f64::from(u32::MAX));
        REPORT_INTERVAL / 2 + spread
    }

    /// Something is sent or received: there will be something to report.
    fn schedule_reports(&mut self, now: Instant) {
        if self.report_at.is_none() {
            // RFC 3550 section 6.2: the first comes after half the time.
            self.report_at = Some(now + self.report_interval() / 2);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): reports, NACKs, feedback. After it, this is never in the past. That packets wait to be
    /// written makes no deadline: see [`can_transmit`](Self::can_transmit).
    pub fn poll_timeout(&self) -> Option<Instant> {
        earlier(self.report_at, earlier(self.nack_at, self.arrivals.report_at()))
    }

    /// What happened, for the application: requests for key frames, then packets in the order of arrival, then ends.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.waiting.pop()
    }

    fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(INITIAL_ROUND_TRIP)
    }

    fn measured_round_trip(&mut self, sample: Option<Duration>) {
        let Some(sample) = sample else { return };
        self.round_trip = Some(self.round_trip.map_or(sample, |before| before * 7 / 8 + sample / 8));
    }

    /// Everything ends: BYE for all that was sent. What waits to be written is dropped, what comes from now on is ignored; events that
    /// happened before can still be polled.
    pub fn close(&mut self, now: Instant) {
        let lines: Vec<_> = self.lines.keys().map(|line| (*line, None)).collect();
        self.set_lines(now, lines);
        self.closed = true;
        self.arrivals = Arrivals::default();
        self.due.feedback = false;
        (self.report_at, self.nack_at) = (None, None);
    }

    /// Counters of a line, summed over its streams.
    pub fn stats(&self, line: LineId) -> Option<LineStats> {
        let known = self.lines.get(&line)?;
        let mut stats = LineStats { inbound: known.past_inbound, outbound: known.past_outbound };
        for source in self.sources.values().filter(|source| source.line == line) {
            source.inbound().into_iter().for_each(|inbound| stats.inbound.add(&inbound.stats()));
        }
        known.resting.iter().chain(&known.outbound).for_each(|outbound| stats.outbound.add(&outbound.stats));
        Some(stats)
    }

    /// What was dropped, over all lines.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}
