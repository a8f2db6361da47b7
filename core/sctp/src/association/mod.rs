//! The association: one state machine, and what each packet does to it. RFC 9260 section 4.
//!
//! ```text
//!            connect()                INIT ACK                COOKIE ACK
//!   New ----------------> CookieWait ----------> CookieEchoed ----------> Established
//!    |                                                                      ^  |
//!    +---------------------------- COOKIE ECHO -----------------------------+  | close(), SHUTDOWN
//!                                                                              v
//!   Closed <-- SHUTDOWN COMPLETE or ACK -- ShutdownSent, ShutdownAckSent <-- ShutdownPending, ShutdownReceived
//! ```
//! `setup.rs` has the way up, `teardown.rs` the way down, `transmit.rs` what is written, `channels.rs` what the
//! application sees, `idle.rs` what is given back when nothing moves.

mod channels;
mod idle;
mod setup;
mod snap;
mod teardown;
mod transmit;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use rand::Rng;
use wigwag_crypto::Provider;
use wigwag_proto::{Instant, Random};

use crate::channel::Channels;
use crate::packet::chunk::{
    ABORT, COOKIE_ACK, COOKIE_ECHO, DATA, Data, ERROR, FORWARD_TSN, Format, HEARTBEAT, HEARTBEAT_ACK, I_DATA,
    I_FORWARD_TSN, INIT, INIT_ACK, RE_CONFIG, REFLECTED_TAG, SACK, SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE,
    parse_shutdown,
};
use crate::packet::forward_tsn::ForwardTsn;
use crate::packet::init::Init;
use crate::packet::reconfig::{self as wire, Parameter};
use crate::packet::sack::Sack;
use crate::packet::{Malformed, Packet, RawChunk, Unknown, init};
use crate::receive::{Delivered, Receive};
use crate::reconfig::Reconfig;
use crate::send::{SackOutcome, Send};
use crate::{CloseReason, Config, Event, State, Stats};
use transmit::Due;

/// What a peer may ask us to echo.
const MAX_HEARTBEAT: usize = 512;
/// What we quote of a chunk that nobody knows.
const MAX_QUOTED: usize = 64;

/// An SCTP association over DTLS, and its data channels.
///
/// The caller moves packets and time:
///
/// ```
/// use bytes::Bytes;
/// use wigwag_proto::{Instant, random};
/// use wigwag_sctp::{Association, ChannelConfig, Config, Event, PayloadKind, StreamParity};
///
/// let provider = wigwag_crypto::aws_lc_rs();
/// let now = Instant::from_micros(0);
/// let mut one = Association::new(Config::default(), random::seeded([1; 32]), provider);
/// let mut two = Association::new(Config::default(), random::seeded([2; 32]), provider);
/// one.set_role(StreamParity::Even);
/// two.set_role(StreamParity::Odd);
/// one.connect(now);
/// two.connect(now);
/// let chat = one.open_channel(ChannelConfig { label: "chat".into(), ..ChannelConfig::default() }).unwrap();
/// one.send(chat, PayloadKind::Text, Bytes::from_static(b"hello")).unwrap();
///
/// let mut room = [0; 1200];
/// while one.can_transmit() || two.can_transmit() {
///     if let Some(len) = one.write_packet(now, &mut room) {
///         two.handle_packet(now, &room[..len]);
///     }
///     if let Some(len) = two.write_packet(now, &mut room) {
///         one.handle_packet(now, &room[..len]);
///     }
/// }
/// let heard = std::iter::from_fn(|| two.poll_event())
///     .any(|event| matches!(event, Event::Message { data, .. } if data == "hello"));
/// assert!(heard);
/// ```
pub struct Association {
    config: Config,
    random: Random,
    provider: Provider,
    phase: Phase,
    /// The tag that packets to us carry, and our first TSN.
    local_tag: u32,
    local_tsn: u32,
    /// What cookies are sealed with.
    secret: [u8; 32],
    peer: Option<Peer>,
    /// The peer's INIT, which came with its description.
    remote_init: Option<Init>,
    /// Established by what the descriptions said, and nothing heard from the peer yet.
    unproven: bool,
    skipped_handshake: bool,
    send: Send,
    reconfig: Reconfig,
    channels: Channels,
    events: VecDeque<Event>,
    /// Messages on streams that are no channel yet.
    early_messages: VecDeque<Delivered>,
    due: Due,
    timers: Timers,
    /// Transmissions without an answer, in a row.
    errors: u32,
    heartbeat: Option<(u32, Instant)>,
    /// [`Association::close`] was called.
    closing: bool,
    /// When a packet last came or went.
    stirred_at: Instant,
    /// The latest time that we were told.
    now: Instant,
    stats: Stats,
}

impl fmt::Debug for Association {
    /// Without tags and secrets, which do not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association").field("phase", &self.phase).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// RFC 9260 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    CookieWait,
    CookieEchoed,
    Established,
    /// We will shut down when everything is acknowledged.
    ShutdownPending,
    /// The peer wants to, and we still have something to deliver.
    ShutdownReceived,
    ShutdownSent,
    ShutdownAckSent,
    Closed,
}

/// What is known about the peer from its INIT or INIT ACK on.
#[derive(Debug)]
struct Peer {
    tag: u32,
    /// The streams that we may use.
    streams: u32,
    /// It takes packets without a checksum, and ours are in DTLS.
    zero_checksum: bool,
    cookie: Vec<u8>,
    receive: Receive,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timers {
    /// T1-init and T1-cookie.
    setup: Option<Instant>,
    /// T2-shutdown.
    shutdown: Option<Instant>,
    /// T5-shutdown-guard.
    guard: Option<Instant>,
    heartbeat: Option<Instant>,
    /// Something large is held that may not be needed any more.
    release: Option<Instant>,
}

/// Whether the rest of a packet is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

impl Association {
    /// An association that knows nothing of its peer. All its randomness comes from `random`.
    pub fn new(config: Config, mut random: Random, provider: Provider) -> Self {
        let mut secret = [0; 32];
        random.fill_bytes(&mut secret);
        let local_tag = setup::tag(&mut random);
        let local_tsn = config.initial_tsn.unwrap_or(random.next_u32());
        Self {
            send: Send::new(&config),
            channels: Channels::new(config.max_channels),
            config,
            random,
            provider,
            phase: Phase::New,
            local_tag,
            local_tsn,
            secret,
            peer: None,
            remote_init: None,
            unproven: false,
            skipped_handshake: false,
            reconfig: Reconfig::default(),
            events: VecDeque::new(),
            early_messages: VecDeque::new(),
            due: Due::default(),
            timers: Timers::default(),
            errors: 0,
            heartbeat: None,
            closing: false,
            stirred_at: Instant(0),
            now: Instant(0),
            stats: Stats::default(),
        }
    }

    /// What the peer's description said about the longest message that it accepts; see [`Config::peer_max_message_size`].
    pub fn set_peer_max_message_size(&mut self, bytes: usize) {
        self.config.peer_max_message_size = bytes;
    }

    /// What the peer's description said about its port (`a=sctp-port`).
    pub fn set_remote_port(&mut self, port: u16) {
        self.config.remote_port = port;
    }

    /// Where the association stands.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::New => State::New,
            Phase::CookieWait | Phase::CookieEchoed => State::Connecting,
            Phase::Established => State::Connected,
            Phase::Closed => State::Closed,
            Phase::ShutdownPending | Phase::ShutdownReceived | Phase::ShutdownSent | Phase::ShutdownAckSent => {
                State::ShuttingDown
            }
        }
    }

    /// Round-trip time, smoothed; `None` before the first measurement. RFC 9260 section 6.3.1.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.send.rtt.smoothed()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        let sent = self.send.counts;
        let received = self.peer.as_ref().map(|peer| peer.receive.counts).unwrap_or_default();
        Stats {
            messages_sent: sent.messages,
            retransmissions: sent.repeated,
            spurious_retransmissions: sent.spurious,
            chunks_too_long: sent.too_long,
            timeouts: sent.timeouts,
            messages_abandoned: sent.abandoned + self.send.queues.expired,
            duplicates_received: received.duplicates,
            data_refused: received.refused,
            messages_dropped: self.stats.messages_dropped + received.dropped,
            ..self.stats
        }
    }

    /// A packet arrived. Whatever is wrong with it is counted in [`Stats`], and has no other effect.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.advance(now);
        let packet = match Packet::parse(packet, self.config.zero_checksum) {
            Ok(packet) => packet,
            Err(Malformed::TooShort) => return self.stats.malformed += 1,
            Err(Malformed::Checksum) => return self.stats.bad_checksum += 1,
        };
        if packet.source_port != self.config.remote_port || packet.destination_port != self.config.local_port {
            return self.stats.malformed += 1;
        }
        if !self.is_for_us(&packet) {
            return self.stats.bad_tag += 1;
        }
        self.stats.packets_received += 1;
        if self.phase == Phase::New && self.remote_init.is_some() {
            self.connect(now); // the peer's packets may come before our own start
        }
        let mut chunks = packet.chunks;
        while let Some(chunk) = chunks.next() {
            if self.handle_chunk(now, &packet, chunk) == Then::Stop {
                chunks.0 = &[];
            }
        }
        self.stats.malformed += u64::from(!chunks.is_spent());
        self.end_of_packet(now);
    }

    /// The verification tag. RFC 9260 section 8.5.
    fn is_for_us(&mut self, packet: &Packet<'_>) -> bool {
        let Some(first) = { packet.chunks }.next() else { return false };
        let peers_tag = self.peer.as_ref().map(|peer| peer.tag);
        match first.kind {
            // Section 8.5.1, rule A; an INIT travels alone.
            INIT => packet.verification_tag == 0 && { packet.chunks }.count() == 1,
            // Rules B and C.
            ABORT | SHUTDOWN_COMPLETE if first.flags & REFLECTED_TAG != 0 => peers_tag == Some(packet.verification_tag),
            // Rule D: the cookie says which tag it must be.
            COOKIE_ECHO => true,
            _ => packet.verification_tag == self.local_tag,
        }
    }

    fn handle_chunk(&mut self, now: Instant, packet: &Packet<'_>, chunk: RawChunk<'_>) -> Then {
        self.unproven &= matches!(chunk.kind, INIT | COOKIE_ECHO);
        match (chunk.kind, self.phase) {
            (INIT, _) => self.handle_init(now, chunk.value),
            (COOKIE_ECHO, _) => return self.handle_cookie_echo(now, packet.verification_tag, chunk.value),
            (ABORT, Phase::New | Phase::Closed) => {}
            (ABORT, _) => {
                self.finish(CloseReason::RemoteAbort);
                return Then::Stop;
            }
            (_, Phase::Closed) => return self.answer_after_the_end(packet),
            (INIT_ACK, Phase::CookieWait) => self.handle_init_ack(now, chunk.value),
            (ERROR, Phase::CookieEchoed) => self.handle_setup_error(chunk.value),
            (_, Phase::New | Phase::CookieWait) => return Then::Stop,
            (COOKIE_ACK, Phase::CookieEchoed) => self.establish(),
            (DATA, _) => self.handle_data(Format::Data, chunk),
            (I_DATA, _) => self.handle_data(Format::Interleaved, chunk),
            (SACK, _) => self.handle_sack(now, chunk.value),
            (FORWARD_TSN, _) => self.handle_forward_tsn(Format::Data, chunk.value),
            (I_FORWARD_TSN, _) => self.handle_forward_tsn(Format::Interleaved, chunk.value),
            (RE_CONFIG, _) => self.handle_reconfig(chunk.value),
            (HEARTBEAT, _) => {
                self.due.heartbeat_ack = Some(chunk.value.get(..MAX_HEARTBEAT).unwrap_or(chunk.value).to_vec())
            }
            (HEARTBEAT_ACK, _) => self.handle_heartbeat_ack(now, chunk.value),
            (SHUTDOWN, _) => self.handle_shutdown(now, chunk.value),
            (SHUTDOWN_ACK, _) => self.handle_shutdown_ack(),
            (SHUTDOWN_COMPLETE, Phase::ShutdownAckSent) => self.finish(self.how_it_ended()),
            (INIT_ACK | ERROR | COOKIE_ACK | SHUTDOWN_COMPLETE, _) => {}
            (kind, _) => {
                let unknown = Unknown::chunk(kind);
                if unknown.report {
                    self.due.unrecognized = chunk.whole.get(..MAX_QUOTED).unwrap_or(chunk.whole).to_vec();
                }
                if !unknown.skip {
                    return Then::Stop;
                }
            }
        }
        Then::GoOn
    }

    fn handle_data(&mut self, format: Format, chunk: RawChunk<'_>) {
        let data = match format {
            _ if format != self.send.format() => None,
            Format::Data => Data::parse(chunk.flags, chunk.value),
            Format::Interleaved => Data::parse_interleaved(chunk.flags, chunk.value),
        };
        let Some(data) = data else { return self.stats.malformed += 1 };
        // Whoever sends data under our tag has our cookie: a COOKIE ACK that was lost is not waited for.
        self.establish();
        if matches!(self.phase, Phase::ShutdownReceived | Phase::ShutdownAckSent) {
            return;
        }
        if let Some(peer) = &mut self.peer {
            peer.receive.data(data);
        }
        if self.phase == Phase::ShutdownSent {
            self.due.shutdown = true; // section 9.2: answered at once, with the SACK
            self.owe_sack();
        }
    }

    fn handle_forward_tsn(&mut self, format: Format, value: &[u8]) {
        let forward = match format {
            _ if format != self.send.format() => None,
            Format::Data => ForwardTsn::parse(value),
            Format::Interleaved => ForwardTsn::parse_interleaved(value),
        };
        let Some(forward) = forward else { return self.stats.malformed += 1 };
        self.establish();
        if let Some(peer) = &mut self.peer {
            peer.receive.forward_tsn(forward);
        }
    }

    fn handle_sack(&mut self, now: Instant, value: &[u8]) {
        let Some(sack) = Sack::parse(value) else { return self.stats.malformed += 1 };
        self.establish();
        match self.send.handle_sack(now, sack) {
            SackOutcome::Bad => self.stats.bad_sack += 1,
            SackOutcome::Progress => self.errors = 0,
            SackOutcome::Old | SackOutcome::Heard => {}
        }
    }

    fn handle_reconfig(&mut self, value: &[u8]) {
        for parameter in wire::parse(value) {
            let Some(peer) = &mut self.peer else { return };
            match parameter {
                Parameter::OutgoingReset { sequence, last_tsn, streams } => {
                    let reset = self.reconfig.handle_request(sequence, last_tsn, streams, peer.receive.cumulative());
                    // What arrived before belongs to the old stream.
                    self.deliver();
                    if let Some(reset) = reset {
                        self.reset_incoming(reset);
                    }
                }
                Parameter::IncomingReset { sequence, .. } | Parameter::Other { sequence } => {
                    self.reconfig.deny(sequence)
                }
                Parameter::Response { sequence, result } => {
                    let streams = self.reconfig.handle_response(sequence, result).unwrap_or_default();
                    self.errors = 0;
                    for channel in streams.into_iter().filter_map(|(_, channel)| channel) {
                        self.outgoing_was_reset(channel);
                    }
                }
            }
        }
    }

    fn handle_heartbeat_ack(&mut self, now: Instant, value: &[u8]) {
        let Some((nonce, sent_at)) = self.heartbeat else { return };
        if init::heartbeat_nonce(value) == Some(nonce) {
            self.heartbeat = None;
            if !self.send.is_blocked() {
                self.errors = 0; // that the peer lives does not bring a chunk through that no packet can carry
            }
            self.send.rtt.measure(now - sent_at);
        }
    }

    /// It is `now`, also for what was handed in without a word about the time.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.send.queues.stamp(self.now);
    }

    fn owe_sack(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.receive.owe_now();
        }
    }

    fn end_of_packet(&mut self, now: Instant) {
        let Some(peer) = &mut self.peer else { return };
        peer.receive.end_of_packet(now);
        let cumulative = peer.receive.cumulative();
        if self.phase == Phase::Closed {
            return;
        }
        if self.timers.heartbeat.is_some() && self.heartbeat.is_none() {
            self.timers.heartbeat = Some(now + self.config.heartbeat_interval);
        }
        self.deliver();
        while let Some(reset) = self.reconfig.advance(cumulative) {
            self.reset_incoming(reset);
        }
        self.settle();
        self.stir();
    }

    /// What follows from anything that was sent or acknowledged.
    fn settle(&mut self) {
        self.take_notes();
        self.go_on_shutting_down();
    }

    /// The deadline of [`Self::poll_timeout`] passed. Early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let passed = |timer: &mut Option<Instant>| timer.take_if(|at| *at <= now).is_some();
        if passed(&mut self.timers.setup) {
            self.setup_timed_out();
        }
        if passed(&mut self.timers.guard) {
            self.finish(CloseReason::TimedOut);
        }
        if passed(&mut self.timers.shutdown) {
            self.shutdown_timed_out();
        }
        if passed(&mut self.timers.heartbeat) {
            self.heartbeat_is_due(now);
        }
        if passed(&mut self.timers.release) {
            self.release_if_idle(now);
        }
        if self.reconfig.handle_timeout(now) {
            self.count_error();
        }
        if let Some(peer) = &mut self.peer {
            peer.receive.handle_timeout(now);
        }
        // Before the handshake ends, T1 decides about what travelled with the COOKIE ECHO.
        if self.send.handle_timeout(now) && self.phase != Phase::CookieEchoed {
            self.count_error();
        }
    }

    /// One more transmission without an answer. RFC 9260 section 8.1.
    fn count_error(&mut self) {
        self.errors += 1;
        if self.config.max_retransmits.is_some_and(|max| self.errors > max) {
            self.finish(CloseReason::TimedOut);
        }
    }

    /// RFC 9260 section 8.3.
    fn heartbeat_is_due(&mut self, now: Instant) {
        if self.heartbeat.is_some() {
            self.send.rtt.back_off();
            self.count_error();
        }
        if self.phase == Phase::Closed {
            return;
        }
        self.heartbeat = Some((self.random.next_u32(), now));
        self.due.heartbeat = true;
        self.timers.heartbeat = Some(now + self.send.rtt.rto());
    }

    /// When [`Self::handle_timeout`] is to be called. O(1).
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        let Timers { setup, shutdown, guard, heartbeat, release } = self.timers;
        let receive = self.peer.as_ref().and_then(|peer| peer.receive.poll_timeout());
        [setup, shutdown, guard, heartbeat, release, receive, self.send.poll_timeout(), self.reconfig.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The cumulative ack of a SHUTDOWN. RFC 9260 section 9.2.
    fn acknowledge_cumulatively(&mut self, now: Instant, value: &[u8]) {
        let Some(tsn) = parse_shutdown(value) else { return };
        let sack = Sack::cumulative(tsn, self.send.peer_window());
        if self.send.handle_sack(now, sack) == SackOutcome::Progress {
            self.errors = 0;
        }
    }
}
