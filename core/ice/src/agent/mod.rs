//! The agent: its state and what a program calls.
//!
//! Everything that happens goes one way: `advance` notes the time and runs the timers, something changes, `schedule` works
//! out what is due and when to come back. So [`can_transmit`](Agent::can_transmit) and [`poll_timeout`](Agent::poll_timeout) only read
//! what was worked out, and all three cost at most a walk over the check list, never over connections.
//!
//! - `session`: one generation's knowledge of the other side, from credentials to pairs; a restart begins another;
//! - `receive`: checks and answers that come in;
//! - `names`: names in place of addresses;
//! - `nominate`: which valid pair is taken;
//! - `timers`: what happens when nothing comes in;
//! - `relay`: what STUN and TURN servers tell, and what goes through them;
//! - `transmit`: what leaves.

mod names;
mod nominate;
mod receive;
mod relay;
mod session;
mod timers;
mod transmit;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use wigwag_crypto::Provider;
use wigwag_proto::request::CloseUdp;
use wigwag_proto::{Answer, Input, Instant, Interface, Random, Request, Route, Transmit, TransmitBuffer, UdpPath};
use wigwag_stun::is_stun;

use crate::candidate::{Candidate, CandidateKind, priority};
use crate::checklist::PairState;
use crate::config::Config;
use crate::consent::Consent;
use crate::credentials::Credentials;
use crate::event::{ConnectionState, EndpointEvent, EndpointEvents, Event, Events, GatheringState};
use crate::gather::{Gathered, Gatherer, MAX_SOCKETS};
use crate::relay::Servers;
use crate::validated::Validated;
use crate::write::Role;
pub use names::MdnsPolicy;
use names::Names;
use receive::Response;
use relay::{FoundationOf, Payload, Reflexive};
use session::{Generation, Session, Transaction};

/// What was received and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Checks sent, repeated ones included, without those for consent.
    pub checks_sent: u64,
    /// Consent checks sent.
    pub consent_checks_sent: u64,
    /// Checks received and authenticated.
    pub checks_received: u64,
    /// Answers sent.
    pub responses_sent: u64,
    /// Answers received and authenticated.
    pub responses_received: u64,
    /// Datagrams that were no STUN message for us.
    pub malformed: u64,
    /// Messages with missing or wrong credentials.
    pub unauthenticated: u64,
    /// Answers to no question of ours, or from elsewhere than it was sent.
    pub unexpected: u64,
    /// Checks that were not answered, because too many answers were waiting.
    pub overflowed: u64,
    /// Remote candidates that were not used: too many, another generation's, TCP, a name, or an address that nobody
    /// can send to.
    pub candidates_ignored: u64,
}

/// One pair of the check list, for statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairStats {
    /// The pair.
    pub path: UdpPath,
    /// How far it is.
    pub state: PairState,
    /// Whether a check was answered.
    pub valid: bool,
    /// Whether it was nominated.
    pub nominated: bool,
    /// RFC 8445 section 6.1.2.3.
    pub priority: u64,
    /// Of the last check that was answered at the first try.
    pub round_trip_time: Option<Duration>,
}

/// Why a socket makes no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// A wildcard address or port zero: nobody could send there. Hand in one socket for each interface.
    #[error("{0} is not an address that anybody can send to")]
    NotAnAddress(SocketAddr),
    /// Enough is enough.
    #[error("the agent has too many sockets")]
    TooManySockets,
    /// The agent was closed.
    #[error("the agent is closed")]
    Closed,
}

/// A socket: of a host candidate, or a relayed address, which is like one.
#[derive(Debug)]
struct Socket {
    local: SocketAddr,
    priority: u32,
    foundation: u32,
    /// Asked for, and so ours to close.
    gathered: bool,
    kind: CandidateKind,
    /// The address that is told with a relayed one.
    related: Option<SocketAddr>,
}

/// The selected path.
#[derive(Debug)]
struct Active {
    consent: Consent,
    generation: u32,
    /// Two lite agents never hear of each other. RFC 7675 binds full agents only.
    watched: bool,
}

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Nothing worked. An authenticated check of the other side opens the matter again.
    NoPair,
    /// The other side stopped answering: silence, until a restart. RFC 7675 section 5.1.
    NoConsent,
}

/// An ICE agent for one component.
///
/// ```
/// use wigwag_ice::{Agent, Config, ConnectionState};
/// use wigwag_proto::{Instant, TransmitBuffer, random};
///
/// let now = Instant(0);
/// let mut agent = Agent::new(Config::default(), random::seeded([7; 32]), wigwag_crypto::aws_lc_rs());
/// let candidate = agent.add_udp_socket("192.0.2.1:5000".parse()?)?;
/// println!("tell the other side: a={candidate}, {}", agent.local_credentials().ufrag);
///
/// agent.set_remote_credentials(wigwag_ice::Credentials::new("abcd", "the other side's password"));
/// agent.add_remote_candidate(now, "candidate:1 1 udp 2122260223 192.0.2.2 6000 typ host".parse()?);
/// assert_eq!(agent.state(), ConnectionState::Checking);
///
/// let mut memory = [0; 1500];
/// let mut out = TransmitBuffer::new(&mut memory, 1);
/// let check = agent.poll_transmit(now, &mut out).expect("the first check leaves at once");
/// println!("send {:?} to {:?}", out.bytes(&check), check.route);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Agent {
    config: Config,
    random: Random,
    provider: Provider,
    role: Role,
    remote_lite: bool,
    sockets: Vec<Socket>,
    /// Sockets that there ever were, of IPv6 and of IPv4: each has a priority of its own.
    sockets_made: [u16; 2],
    foundations_made: u32,
    foundations: Vec<(FoundationOf, u32)>,
    gatherer: Gatherer,
    servers: Servers,
    names: Names,
    reflexive: Vec<Reflexive>,
    payload: Payload,
    session: Session,
    /// The generation before a restart, while its path is in use.
    previous: Option<Generation>,
    active: Option<Active>,
    /// There was a path: without one, that is *disconnected*.
    was_connected: bool,
    failure: Option<Failure>,
    state: ConnectionState,
    transactions: Vec<Transaction>,
    responses: VecDeque<Response>,
    validated: Validated,
    round_trip_time: Option<Duration>,
    events: Events,
    endpoint_events: EndpointEvents,
    stats: Stats,
    /// The latest time that was told.
    now: Instant,
    /// The latest call was `handle_timeout`: the next wake-up is after it.
    timers_ran: bool,
    /// When the next new check may leave.
    next_check_at: Instant,
    /// Worked out by `schedule`: something can leave; when to come back.
    due: bool,
    wake_at: Instant,
}

impl Agent {
    /// An agent that knows nothing yet but its own credentials.
    pub fn new(config: Config, mut random: Random, provider: Provider) -> Self {
        let local = Credentials::random(&mut random);
        let role = Role { controlling: config.controlling, tie_breaker: random.next_u64() };
        let mut agent = Self {
            role,
            remote_lite: false,
            sockets: Vec::new(),
            sockets_made: [0; 2],
            foundations_made: 0,
            foundations: Vec::new(),
            gatherer: Gatherer::new(),
            names: Names::default(),
            servers: Servers::new(&config.servers, config.server_timeout),
            reflexive: Vec::new(),
            payload: Payload::new(),
            session: Session::new(Generation { number: 0, local, remote: None }),
            previous: None,
            active: None,
            was_connected: false,
            failure: None,
            state: ConnectionState::New,
            transactions: Vec::new(),
            responses: VecDeque::new(),
            validated: Validated::default(),
            round_trip_time: None,
            events: Events::default(),
            endpoint_events: EndpointEvents::default(),
            stats: Stats::default(),
            now: Instant(0),
            timers_ran: false,
            next_check_at: Instant(0),
            due: false,
            wake_at: Instant::NEVER,
            config,
            random,
            provider,
        };
        agent.learn_fragment();
        agent
    }

    /// What the other side must be told: of the current generation. The fragment has 8 characters.
    pub fn local_credentials(&self) -> &Credentials {
        &self.session.generation.local
    }

    /// What the other side told, of the current generation.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.session.generation.remote.as_ref()
    }

    /// What the other side told. Other ones than before mean that it restarted: [`restart`](Self::restart) first, so
    /// that ours change too. RFC 8445 section 9.
    pub fn set_remote_credentials(&mut self, remote: Credentials) {
        self.apply_remote_credentials(remote);
        self.update();
    }

    /// The other side is a lite agent (`a=ice-lite`): a full one is controlling then. RFC 8445 section 6.1.1.
    pub fn set_remote_lite(&mut self, lite: bool) {
        self.remote_lite = lite;
        if lite && !self.config.lite {
            self.switch_role(true);
        }
        self.update();
    }

    /// The role: the offerer is controlling. RFC 8445 section 6.1.1.
    pub fn set_controlling(&mut self, controlling: bool) {
        self.switch_role(controlling);
        self.update();
    }

    /// The role now.
    pub fn is_controlling(&self) -> bool {
        self.role.controlling
    }

    /// Whether this is a lite agent.
    pub fn is_lite(&self) -> bool {
        self.config.lite
    }

    /// A socket that is bound to `local` makes a host candidate, told by [`Event::LocalCandidate`] too. (The same
    /// socket twice makes the same candidate, told once.)
    pub fn add_udp_socket(&mut self, local: SocketAddr) -> Result<Candidate, SocketError> {
        self.add_socket(local, false)
    }

    /// The socket is gone, and so are its pairs.
    pub fn remove_udp_socket(&mut self, local: SocketAddr) {
        let Some(index) = self.sockets.iter().position(|socket| socket.local == local) else { return };
        if self.sockets.remove(index).gathered {
            self.gatherer.requests.push_back(Request::CloseUdp(CloseUdp { local }));
        }
        self.servers.forget_base(local);
        self.reflexive.retain(|reflexive| reflexive.base != local);
        self.hear_servers();
        self.forget_socket(local);
        self.update();
    }

    /// The candidates that there are, as the other side should be told them.
    pub fn local_candidates(&self) -> impl Iterator<Item = Candidate> + '_ {
        let shown = self.sockets.iter().filter(|socket| self.is_shown(socket));
        let reflexive = self.reflexive.iter().map(|reflexive| self.candidate_of_reflexive(reflexive));
        shown.map(|socket| self.candidate_of(socket)).chain(reflexive)
    }

    /// Asks the adaptor for the interfaces, then for a socket on each of their addresses, and the servers of the configuration. Ends with
    /// [`Event::GatheringComplete`], even if everything is refused.
    pub fn gather(&mut self, now: Instant) {
        self.advance(now);
        if self.state != ConnectionState::Closed {
            self.gatherer.start(now, self.config.request_timeout);
            self.start_servers();
        }
        self.update();
    }

    /// A candidate that the other side told; before its credentials, if need be. What cannot be used is ignored.
    pub fn add_remote_candidate(&mut self, now: Instant, candidate: Candidate) {
        self.advance(now);
        self.apply_remote_candidate(candidate);
        self.update();
    }

    /// The other side has no more candidates. RFC 8838 section 14.
    pub fn set_remote_end_of_candidates(&mut self) {
        self.session.remote_end = true;
        self.update();
    }

    /// New credentials, and everything anew; the path that is selected stays in use until another is nominated. The
    /// local candidates are told again, as they belong to the new generation. RFC 8445 section 9.
    pub fn restart(&mut self, now: Instant) {
        let local = Credentials::random(&mut self.random);
        self.restart_with(now, local);
    }

    /// [`Self::restart`] with credentials that were told before they come into force: a description is created first
    /// and applied later. They come from [`Credentials::random`].
    pub fn restart_with(&mut self, now: Instant, local: Credentials) {
        self.advance(now);
        if self.state == ConnectionState::Closed {
            return;
        }
        self.begin_generation(local);
        self.learn_fragment();
        for index in 0..self.sockets.len() {
            self.tell_candidate(index);
        }
        for reflexive in &self.reflexive {
            let candidate = self.candidate_of_reflexive(reflexive);
            self.events.push(Event::LocalCandidate(candidate));
        }
        self.update();
    }

    /// How the connection is.
    pub fn state(&self) -> ConnectionState {
        self.state
    }

    /// How gathering is.
    pub fn gathering_state(&self) -> GatheringState {
        self.gatherer.state
    }

    /// Where payload goes; `None` while there is no way, and after consent ended.
    pub fn selected_path(&self) -> Option<UdpPath> {
        self.active.as_ref().map(|active| active.consent.path)
    }

    /// Whether an authenticated check came this way, or was answered: DTLS may be taken from it.
    pub fn is_validated(&self, path: UdpPath) -> bool {
        self.selected_path() == Some(path) || self.validated.contains(path)
    }

    /// Of the selected path, smoothed.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.round_trip_time
    }

    /// Of this path, as the last check on it measured it; smoothed, if it is the selected one.
    pub fn round_trip_time_of(&self, path: UdpPath) -> Option<Duration> {
        match self.selected_path() == Some(path) {
            true => self.round_trip_time,
            false => self.session.list.of_path(path).and_then(|id| self.session.list.get(id)?.round_trip_time),
        }
    }

    /// What was received and what became of it.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The check list, the most important pair first.
    pub fn pairs(&self) -> impl Iterator<Item = PairStats> + '_ {
        self.session.list.iter().map(|pair| PairStats {
            path: pair.path,
            state: pair.state,
            valid: pair.valid,
            nominated: pair.nominated,
            priority: pair.priority,
            round_trip_time: pair.round_trip_time,
        })
    }

    /// What arrived: datagrams of STUN, bytes of streams, answers, changes of the interfaces. Everything else is ignored.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagrams(received) => {
                let path = received.path;
                for datagram in received.datagrams() {
                    self.handle_packet(now, path, datagram);
                }
            }
            Input::Answer(answer) => self.handle_answer(now, answer),
            Input::Interfaces(interfaces) => self.handle_interfaces(now, interfaces),
            Input::Stream { id, bytes } => {
                self.advance(now);
                self.handle_stream(id, bytes);
                self.finish_gathering();
                self.update();
            }
            Input::StreamClosed(id) => {
                self.advance(now);
                self.stream_closed(id);
                self.finish_gathering();
                self.update();
            }
            _ => {}
        }
    }

    /// A datagram that is STUN or ChannelData (the first byte is 0 to 3, or 64 to 79, RFC 7983). In what a relay brought, only STUN
    /// is looked at; see [`open_relayed`](Self::open_relayed).
    pub fn handle_packet(&mut self, now: Instant, path: UdpPath, datagram: &[u8]) {
        self.advance(now);
        match self.servers.open(Route::Udp(path), datagram) {
            None if self.is_mdns_socket(path.local) => self.handle_mdns(path, datagram),
            None => self.receive(path, datagram),
            Some((path, range)) => {
                let inside = datagram.get(range).unwrap_or_default();
                if is_stun(inside) {
                    self.receive(path, inside);
                }
            }
        }
        self.update();
    }

    /// Payload came by `path` and was authentic (DTLS or SRTP verified it): when that stops, the path is doubted long before
    /// the next check for consent is due. Optional, and cheap: once for each datagram.
    pub fn payload_received(&mut self, now: Instant, path: UdpPath) {
        let Some(active) = self.active.as_mut().filter(|active| active.consent.path == path) else { return };
        active.consent.payload_received(self.now.max(now));
        self.wake_at = self.wake_at.min(self.doubt_at().unwrap_or(Instant::NEVER));
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.update();
        self.timers_ran = true;
    }

    /// One message, written into `out`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        if !self.due && (now <= self.now || now < self.wake_at) {
            return None;
        }
        self.advance(now);
        self.update();
        let transmit = self.transmit(out);
        self.update();
        transmit
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) gives something, at the time of the latest call.
    pub fn can_transmit(&self) -> bool {
        self.due
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): a millisecond after the last one, while something waits to
    /// be sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = match (self.due, self.timers_ran) {
            (true, true) => self.now + Duration::from_millis(1),
            (true, false) => self.now,
            (false, _) => Instant::NEVER,
        };
        let at = self.wake_at.min(waiting);
        (at < Instant::NEVER).then_some(at)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// What the adaptor must do.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.gatherer.requests.pop_front()
    }

    /// What an endpoint must know to route datagrams here.
    pub fn poll_endpoint_event(&mut self) -> Option<EndpointEvent> {
        self.endpoint_events.pop()
    }

    /// Another agent of the same endpoint has proved that it owns `path` ([`EndpointEvent::Learned`]), so nothing more
    /// arrives here by it; unless a check of ours on it is answered, which proves the contrary.
    pub fn displace(&mut self, path: UdpPath) {
        self.validated.displace(path);
    }

    /// Gives back what relays lend, sends nothing else any more, forgets all keys, and closes the sockets that were asked for.
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        if self.state == ConnectionState::Closed {
            return;
        }
        self.gatherer.close();
        let (servers, mut context) = self.split();
        servers.close(&mut context);
        self.hear_servers();
        self.payload.clear();
        self.close_names();
        for Socket { local, .. } in self.sockets.drain(..).filter(|socket| socket.gathered) {
            self.gatherer.requests.push_back(Request::CloseUdp(CloseUdp { local }));
        }
        self.drop_previous();
        self.fall_silent();
        self.forget_fragment(self.session.generation.local.fragment());
        self.validated.forget(|_| true, &mut self.endpoint_events);
        self.session.close();
        self.set_state(ConnectionState::Closed);
        self.update();
    }

    fn add_socket(&mut self, local: SocketAddr, gathered: bool) -> Result<Candidate, SocketError> {
        if self.state == ConnectionState::Closed {
            return Err(SocketError::Closed);
        }
        if local.ip().is_unspecified() || local.port() == 0 {
            return Err(SocketError::NotAnAddress(local));
        }
        if let Some(known) = self.sockets.iter().find(|socket| socket.local == local) {
            return Ok(self.candidate_of(known));
        }
        if self.sockets.len() >= MAX_SOCKETS {
            return Err(SocketError::TooManySockets);
        }
        // RFC 8421: the families take turns, IPv6 first. RFC 8445 section 5.1.2.1: no two are equal.
        let [v6, v4] = &mut self.sockets_made;
        let (made, family) = if local.is_ipv4() { (v4, 1) } else { (v6, 0) };
        let preference = u16::MAX - (*made % 0x7F00) * 2 - family;
        *made = made.wrapping_add(1);
        let priority = priority(CandidateKind::Host, preference, 1);
        let of_host = |socket: &&Socket| socket.kind == CandidateKind::Host;
        let same_base = self.sockets.iter().filter(of_host).find(|socket| socket.local.ip() == local.ip());
        let foundation = same_base.map(|socket| socket.foundation).unwrap_or_else(|| {
            self.foundations_made = self.foundations_made.wrapping_add(1);
            self.foundations_made
        });
        let kind = CandidateKind::Host;
        self.sockets.push(Socket { local, priority, foundation, gathered, kind, related: None });
        self.name_host(local.ip());
        let index = self.sockets.len() - 1;
        self.pair_socket(local);
        self.tell_candidate(index);
        self.ask_servers();
        self.update();
        Ok(self.sockets.get(index).map_or_else(
            || Candidate::host(local, foundation.to_string(), priority),
            |socket| self.candidate_of(socket),
        ))
    }

    fn candidate_of(&self, socket: &Socket) -> Candidate {
        let mut candidate = Candidate::host(socket.local, socket.foundation.to_string(), socket.priority);
        candidate.kind = socket.kind;
        candidate.address = self.shown_address(socket.kind, socket.local);
        candidate.related = socket.related;
        candidate.ufrag = Some(self.session.generation.local.ufrag.clone());
        candidate
    }

    fn tell_candidate(&mut self, index: usize) {
        if let Some(socket) = self.sockets.get(index).filter(|socket| self.is_shown(socket)) {
            let candidate = self.candidate_of(socket);
            self.events.push(Event::LocalCandidate(candidate));
        }
    }

    fn handle_answer(&mut self, now: Instant, answer: Answer) {
        self.advance(now);
        let answer = match self.handle_link_answer(answer) {
            Err(answer) => answer,
            Ok(()) => {
                self.update();
                return;
            }
        };
        let (servers, mut context) = self.split();
        let answer = match servers.handle_answer(answer, &mut context) {
            Err(answer) => answer,
            Ok(()) => {
                self.hear_servers();
                self.finish_gathering();
                self.update();
                return;
            }
        };
        let bound = self.sockets.iter().map(|socket| socket.local).collect::<Vec<_>>();
        let gathered = self.gatherer.handle_answer(now, answer, &self.config, &bound);
        if let Gathered::Socket(local) = gathered
            && self.add_socket(local, true).is_err()
        {
            self.gatherer.requests.push_back(Request::CloseUdp(CloseUdp { local }));
        }
        self.finish_gathering();
        self.update();
    }

    /// What is gone is dropped. What is new waits for the next [`gather`](Self::gather): candidates after the last one
    /// would belong to no description.
    fn handle_interfaces(&mut self, now: Instant, interfaces: &[Interface]) {
        self.advance(now);
        let gone = |ip: IpAddr| !interfaces.iter().any(|interface| interface.address == ip);
        let sockets = self.sockets.iter().filter(|socket| socket.gathered && gone(socket.local.ip()));
        for local in sockets.map(|socket| socket.local).collect::<Vec<_>>() {
            self.remove_udp_socket(local);
        }
        let (servers, mut context) = self.split();
        servers.forget_local(gone, &mut context);
        self.hear_servers();
        self.update();
    }

    fn finish_gathering(&mut self) {
        self.ask_servers();
        let busy = self.servers.is_busy();
        if self.gatherer.finish(self.now, busy) {
            self.events.push(Event::GatheringComplete);
        }
    }

    /// Whatever is called, what the time has brought comes first: nothing that has expired is used or sent.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.timers_ran = false;
        self.run_timers();
    }

    /// After every change.
    fn update(&mut self) {
        self.consider_nomination();
        self.update_state();
        self.schedule();
    }
}
