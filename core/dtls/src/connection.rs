//! One end of a connection.

use std::time::Duration;

use wigwag_proto::{Instant, Overhead, Random};

use crate::certificate::Certificate;
use crate::config::{Config, Role, Version};
use crate::event::{Event, Failure};
use crate::fingerprint::Fingerprint;
use crate::queues::Queues;
use crate::record::{PREFIX_12, PREFIX_13, SUFFIX_12, SUFFIX_13};
use crate::session::{Deliver, Known, MAX_EARLY_DATAGRAM, Session, Turn};

/// Datagrams kept until [`Dtls::start`]: the hello of a client that was faster than the signalling, or its fragments.
const MAX_EARLY: usize = 4;
/// The longest payload of a record. RFC 9147 section 4.
const MAX_PAYLOAD: usize = 1 << 14;

/// Type, version, epoch, sequence number, length, AES-GCM's explicit nonce; tag. RFC 6347 section 4.1, RFC 5288 section 3.
const OVERHEAD_12: Overhead = Overhead { prefix: PREFIX_12, suffix: SUFFIX_12 };
/// The unified header with two bytes of sequence number, and the length; inner content type, tag. RFC 9147 section 4.
const OVERHEAD_13: Overhead = Overhead { prefix: PREFIX_13, suffix: SUFFIX_13 };

/// One end of a DTLS connection. See [the crate](crate).
///
/// ```
/// use wigwag_crypto::default_provider;
/// use wigwag_dtls::{Certificate, Config, Dtls, Event, Role};
/// use wigwag_proto::{Instant, WallClock, random};
///
/// let now = Instant(0);
/// let mut end = |seed| {
///     let mut random = random::seeded([seed; 32]);
///     let certificate = Certificate::generate(default_provider(), &mut random, WallClock::default()).unwrap();
///     (certificate.fingerprint(), Dtls::new(Config::new(certificate, default_provider()), random))
/// };
/// let ((client_fingerprint, mut client), (server_fingerprint, mut server)) = (end(1), end(2));
/// client.set_remote_fingerprints(vec![server_fingerprint]);
/// server.set_remote_fingerprints(vec![client_fingerprint]);
/// client.start(now, Role::Client);
/// server.start(now, Role::Server);
///
/// // The network:
/// let mut datagram = [0; 1500];
/// while client.can_transmit() || server.can_transmit() {
///     while let Some(len) = client.write_packet(now, &mut datagram) {
///         server.open(now, &mut datagram[..len], |_| ());
///     }
///     while let Some(len) = server.write_packet(now, &mut datagram) {
///         client.open(now, &mut datagram[..len], |_| ());
///     }
/// }
/// assert!(matches!(client.poll_event(), Some(Event::Connected { .. })));
///
/// // A payload is sealed where it lies.
/// let prefix = client.overhead().prefix;
/// datagram[prefix..prefix + 5].copy_from_slice(b"hello");
/// let len = client.seal(&mut datagram, 5).unwrap();
/// let mut received = Vec::new();
/// server.open(now, &mut datagram[..len], |payload| received.extend_from_slice(payload));
/// assert_eq!(received, b"hello");
/// ```
pub struct Dtls {
    config: Config,
    random: Random,
    state: State,
    fingerprints: Vec<Fingerprint>,
    queues: Queues,
}

#[derive(Debug)]
enum State {
    /// `start` has not been called.
    New { early: Vec<Vec<u8>> },
    /// The handshake, or the connection.
    Open(Box<Session>),
    /// Closed or failed. What is in the outbox may still go.
    Over,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that were handed in.
    pub datagrams_received: u64,
    /// Datagrams that were dropped: too many or too long before the start, or after the end.
    pub datagrams_dropped: u64,
    /// Records, or parts of them, that were dropped: unprotected where they must not be, malformed, or out of bounds.
    pub screened: u64,
    /// Records that did not open: forged, damaged, repeated, or of keys that are not there.
    pub refused: u64,
    /// Payloads that were delivered.
    pub payloads_received: u64,
    /// Payloads that came before the peer was known, and were too many to be held back.
    pub payloads_dropped: u64,
    /// Payloads that were sealed.
    pub payloads_sent: u64,
}

impl Dtls {
    /// An end that has not started. All its randomness is drawn from `random`.
    pub fn new(config: Config, random: Random) -> Self {
        let state = State::New { early: Vec::new() };
        Self { config, random, state, fingerprints: Vec::new(), queues: Queues::default() }
    }

    /// Starts the handshake; only the first call counts. Datagrams that a server was handed before are used now.
    pub fn start(&mut self, now: Instant, role: Role) {
        let State::New { early } = &mut self.state else {
            return;
        };
        let early = std::mem::take(early);
        match Session::new(&self.config, &mut self.random, now, role) {
            Ok(session) => self.state = State::Open(Box::new(session)),
            Err(failure) => return self.end(Event::Failed(failure)),
        }
        self.handle_timeout(now);
        if role == Role::Server {
            for mut datagram in early {
                self.handle_packet(now, &mut datagram);
            }
        }
    }

    /// Which certificates the peer may have: every `a=fingerprint` that holds for it. May come late, and again; an
    /// empty list changes nothing. If the certificate that was already shown is none of them, the connection fails.
    ///
    /// Payloads that were held back until now are there for [`deliver_held`](Self::deliver_held).
    pub fn set_remote_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) {
        if fingerprints.is_empty() {
            return;
        }
        self.fingerprints = fingerprints;
        if let State::Open(session) = &mut self.state {
            let known = Known { config: &self.config, fingerprints: &self.fingerprints };
            let outcome = session.judge(known, &mut self.queues);
            self.settle(outcome.map(|()| Turn::Goes));
        }
    }

    /// How long a datagram and its answer take on the path, as ICE has measured it: flights that are sent from now on are
    /// repeated after twice that time (50 ms at least, 5 s at most) instead of [`Config::retransmission_timeout`]. So
    /// nothing is repeated in vain on a long path, nor waited for on a short one. RFC 9147 section 5.8.2.
    pub fn set_round_trip_time(&mut self, round_trip_time: Duration) {
        const TIMEOUTS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];
        let [least, most] = TIMEOUTS;
        let timeout = round_trip_time.saturating_mul(2).clamp(least, most);
        self.config.retransmission_timeout = timeout;
        if let State::Open(session) = &mut self.state {
            session.set_retransmission_timeout(timeout);
        }
    }

    /// Takes a datagram in. Its payloads are handed to `deliver`, if the peer is known; before that they are held back
    /// within a bound. The bytes of `datagram` are overwritten.
    pub fn open(&mut self, now: Instant, datagram: &mut [u8], mut deliver: impl FnMut(&[u8])) {
        self.input(now, datagram, Some(&mut deliver));
        self.deliver_held(deliver);
    }

    /// Takes a datagram in, as [`open`](Self::open) does, but holds all payloads back.
    pub fn handle_packet(&mut self, now: Instant, datagram: &mut [u8]) {
        self.input(now, datagram, None);
    }

    /// Hands out what was held back, if the peer is known by now.
    pub fn deliver_held(&mut self, mut deliver: impl FnMut(&[u8])) {
        if self.queues.held.is_empty() || !self.is_connected() {
            return;
        }
        self.queues.held_bytes = 0;
        for payload in std::mem::take(&mut self.queues.held) {
            self.queues.stats.payloads_received += 1;
            deliver(&payload);
        }
    }

    /// Seals the `len` bytes that lie after the [`overhead`](Self::overhead)'s prefix in `segment` into a record, which
    /// begins where `segment` begins, and returns its length. `None`, and nothing written, if there is no connection,
    /// or if the payload is longer than 16,384 bytes, or the record than `segment`.
    pub fn seal(&mut self, segment: &mut [u8], len: usize) -> Option<usize> {
        let State::Open(session) = &mut self.state else {
            return None;
        };
        session.connected?;
        let overhead = session.overhead()?;
        if len > MAX_PAYLOAD || segment.len() < overhead.total() + len {
            return None;
        }
        match session.seal(segment, len, &mut self.queues) {
            Ok(sealed) => {
                self.queues.stats.payloads_sent += u64::from(sealed.is_some());
                sealed
            }
            Err(failure) => {
                self.end(Event::Failed(failure));
                None
            }
        }
    }

    /// What a record puts around a payload; exact once connected (it depends on version and cipher), the larger of the
    /// possible before.
    pub fn overhead(&self) -> Overhead {
        let known = match &self.state {
            State::Open(session) => session.overhead(),
            _ => None,
        };
        known.unwrap_or(match self.version() {
            Some(Version::Dtls13) => OVERHEAD_13,
            _ => OVERHEAD_12,
        })
    }

    /// Whether data can flow.
    pub fn is_connected(&self) -> bool {
        matches!(&self.state, State::Open(session) if session.connected.is_some())
    }

    /// Whether there is nothing more to come but what [`write_packet`](Self::write_packet) still gives: closed or
    /// failed.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The version, once it is negotiated.
    pub fn version(&self) -> Option<Version> {
        match &self.state {
            State::Open(session) => session.version(),
            _ => None,
        }
    }

    /// The certificate that the peer has shown (DER), whether it has been found good or not.
    pub fn remote_certificate(&self) -> Option<&[u8]> {
        match &self.state {
            State::Open(session) => session.remote_certificate(),
            _ => None,
        }
    }

    /// Our own.
    pub fn certificate(&self) -> &Certificate {
        &self.config.certificate
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.queues.stats
    }

    /// Time has come to [`poll_timeout`](Self::poll_timeout); harmless at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Open(session) = &mut self.state else {
            return;
        };
        let known = Known { config: &self.config, fingerprints: &self.fingerprints };
        let outcome = session.handle_timeout(now, known, &mut self.queues);
        self.settle(outcome);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Open(session) => session.poll_timeout(),
            _ => None,
        }
    }

    /// Whether [`write_packet`](Self::write_packet) has something, given room for the configured MTU.
    pub fn can_transmit(&self) -> bool {
        !self.queues.outbox.is_empty()
    }

    /// Writes one datagram of a handshake flight, an acknowledgement or an alert into `room`; never application data.
    pub fn write_packet(&mut self, _now: Instant, room: &mut [u8]) -> Option<usize> {
        let packet = self.queues.outbox.front()?;
        room.get_mut(..packet.len())?.copy_from_slice(packet);
        self.queues.outbox.pop_front().map(|packet| packet.len())
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.queues.events.pop_front()
    }

    /// Closes: what was not delivered yet is dropped, and a connected peer is told with a `close_notify`, which
    /// [`write_packet`](Self::write_packet) gives. There is no event for this.
    pub fn close(&mut self, _now: Instant) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.queues.forget_held();
        if let State::Open(mut session) = state {
            session.say_goodbye(&mut self.queues);
        }
    }

    fn input(&mut self, now: Instant, datagram: &mut [u8], deliver: Deliver<'_>) {
        self.queues.stats.datagrams_received += 1;
        match &mut self.state {
            State::Open(session) => {
                let known = Known { config: &self.config, fingerprints: &self.fingerprints };
                let outcome = session.handle_packet(now, datagram, known, &mut self.queues, deliver);
                self.settle(outcome);
            }
            State::New { early } if early.len() < MAX_EARLY && datagram.len() <= MAX_EARLY_DATAGRAM => {
                early.push(datagram.to_vec());
            }
            State::New { .. } | State::Over => self.queues.stats.datagrams_dropped += 1,
        }
    }

    fn settle(&mut self, outcome: Result<Turn, Failure>) {
        match outcome {
            Ok(Turn::Goes) => {}
            Ok(Turn::Closed) => self.end(Event::Closed),
            Err(failure) => self.end(Event::Failed(failure)),
        }
    }

    fn end(&mut self, event: Event) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.queues.forget_held();
        if let (State::Open(session), Event::Failed(failure)) = (state, &event) {
            session.complain(failure, &mut self.queues);
        }
        self.queues.events.push_back(event);
    }
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dtls").field("state", &self.state).field("stats", &self.queues.stats).finish_non_exhaustive()
    }
}
