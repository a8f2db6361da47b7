//! What servers tell, and what goes through them: server-reflexive and relayed candidates, and the datagrams of relayed paths.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use wigwag_proto::{Instant, Route, StreamId, UdpPath};
use wigwag_stun::{Message, is_stun};

use super::{Agent, Socket};
use crate::candidate::{Candidate, CandidateAddress, CandidateKind, priority};
use crate::checklist::PairState;
use crate::event::{ConnectionState, Event, GatheringState, Key};
use crate::relay::{Context, News, Servers};
use crate::server::{ServerTransport, TransportPolicy};
use crate::wire::Wire;

/// Payload that came by streams and was not taken; the oldest makes room. More than one read brings.
const MAX_PAYLOAD: usize = 4096;

/// A server-reflexive candidate. Checks leave from its base, so that it has no pairs of its own.
#[derive(Debug)]
pub(super) struct Reflexive {
    pub(super) base: SocketAddr,
    mapped: SocketAddr,
    priority: u32,
    foundation: u32,
}

/// Candidates of the same kind, base address and server live and die together. RFC 8445 section 5.1.1.3.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundationOf {
    kind: CandidateKind,
    base: IpAddr,
    server: IpAddr,
    transport: ServerTransport,
}

/// Payload of relayed paths that came by streams.
pub(super) type Payload = VecDeque<(UdpPath, Vec<u8>)>;

impl Agent {
    /// How the datagrams of a path travel: through a relay, if its local address is a relayed one. `None`: the relay is gone.
    pub fn wire(&self, path: UdpPath) -> Option<Wire> {
        match self.is_relayed(path.local) {
            true => self.servers.wire(path),
            false => Some(Wire::direct(path)),
        }
    }

    /// What a relay brought in `datagram`, if it did: by which path, and where it lies. [`handle_packet`](Self::handle_packet) looks
    /// into it by itself; what is there and is no STUN is the program's.
    pub fn open_relayed(&self, path: UdpPath, datagram: &[u8]) -> Option<(UdpPath, Range<usize>)> {
        self.servers.open(Route::Udp(path), datagram)
    }

    /// Payload that came by a relay's stream, one datagram after the other; to be asked for after
    /// [`Input::Stream`](wigwag_proto::Input::Stream).
    pub fn poll_payload(&mut self) -> Option<(UdpPath, Vec<u8>)> {
        self.payload.pop_front()
    }

    /// Asks the servers of the configuration only, from the sockets that were handed in. Ends with
    /// [`Event::GatheringComplete`].
    pub fn gather_from_servers(&mut self, now: Instant) {
        self.advance(now);
        if self.state != ConnectionState::Closed {
            self.gatherer.state = GatheringState::Gathering;
            self.start_servers();
        }
        self.finish_gathering();
        self.update();
    }

    pub(super) fn is_relayed(&self, local: SocketAddr) -> bool {
        !self.servers.is_empty() && self.servers.allocation_of(local).is_some()
    }

    /// Whether a socket may be used and told of.
    pub(super) fn is_shown(&self, socket: &Socket) -> bool {
        self.config.transport_policy == TransportPolicy::All || socket.kind == CandidateKind::Relayed
    }

    pub(super) fn start_servers(&mut self) {
        if !self.config.lite {
            let (servers, mut context) = self.split();
            servers.start(&mut context);
        }
    }

    /// The servers, and what they need of the agent.
    pub(super) fn split(&mut self) -> (&mut Servers, Context<'_>) {
        let Self { servers, random, gatherer, now, provider, .. } = self;
        let requests = &mut gatherer.requests;
        let next_request = &mut gatherer.next_id;
        (servers, Context { now: *now, random, provider: *provider, requests, next_request })
    }

    /// Asks from what there is by now.
    pub(super) fn ask_servers(&mut self) {
        if self.servers.is_empty() || self.config.lite || self.gatherer.state != GatheringState::Gathering {
            return;
        }
        let hosts = || self.sockets.iter().filter(|socket| socket.kind == CandidateKind::Host);
        let bases: Vec<_> = match self.config.transport_policy {
            TransportPolicy::All => hosts().map(|socket| socket.local).collect(),
            TransportPolicy::Relay => Vec::new(),
        };
        let mut locals: Vec<_> =
            hosts().map(|socket| socket.local.ip()).chain(self.gatherer.addresses.clone()).collect();
        locals.sort();
        locals.dedup();
        let (servers, mut context) = self.split();
        servers.ask(&bases, &locals, &mut context);
        self.hear_servers();
    }

    /// Whether mappings in NATs are to be kept for the sake of candidates: until there is a path, which is used.
    pub(super) fn keeps_mappings(&self) -> bool {
        self.active.is_none() && self.state != ConnectionState::Closed && self.failure.is_none()
    }

    pub(super) fn run_server_timers(&mut self) {
        if self.servers.next_timeout() > self.now {
            return;
        }
        let Self { servers, random, gatherer, session, active, now, provider, .. } = self;
        let requests = &mut gatherer.requests;
        let next_request = &mut gatherer.next_id;
        let mut context = Context { now: *now, random, provider: *provider, requests, next_request };
        let selected = active.as_ref().map(|active| active.consent.path);
        let needs = |relayed: SocketAddr, peer: IpAddr| {
            let mut paths = session.list.iter().map(|pair| pair.path).chain(selected);
            paths.any(|path| path.local == relayed && path.remote.ip() == peer)
        };
        servers.run_timers(needs, &mut context);
        self.hear_servers();
    }

    /// Whether a response was a server's.
    pub(super) fn handle_server_response(&mut self, route: Route, message: &Message<'_>) -> bool {
        if self.servers.is_empty() {
            return false;
        }
        let (servers, mut context) = self.split();
        let is_its = servers.handle_response(route, message, &mut context);
        if is_its {
            self.hear_servers();
        }
        is_its
    }

    /// A relay's stream brought bytes.
    pub(super) fn handle_stream(&mut self, id: StreamId, bytes: &[u8]) {
        if !self.servers.handle_stream(id, bytes) {
            return;
        }
        let take = |agent: &mut Self| {
            let (servers, mut context) = agent.split();
            servers.take_frame(id, &mut context)
        };
        while let Some(mut frame) = take(self) {
            match self.servers.open(Route::Stream(id), &frame) {
                Some((path, range)) => {
                    frame.truncate(range.end);
                    frame.drain(..range.start);
                    if is_stun(&frame) {
                        self.receive(path, &frame);
                        continue;
                    }
                    if self.payload.len() >= MAX_PAYLOAD {
                        self.payload.pop_front();
                    }
                    self.payload.push_back((path, frame));
                }
                None => match Message::parse(&frame) {
                    Ok(message) if self.handle_server_response(Route::Stream(id), &message) => {}
                    Ok(_) => self.stats.unexpected += 1,
                    Err(_) => self.stats.malformed += 1,
                },
            }
        }
        self.hear_servers();
    }

    pub(super) fn stream_closed(&mut self, id: StreamId) {
        let (servers, mut context) = self.split();
        servers.stream_closed(id, &mut context);
        self.hear_servers();
    }

    /// What servers brought about.
    pub(super) fn hear_servers(&mut self) {
        while let Some(news) = self.servers.poll_news() {
            match news {
                News::Asked(id) => self.endpoint_events.learn(Key::Transaction(id)),
                News::Forgotten(id) => self.endpoint_events.forget(Key::Transaction(id)),
                News::Bound(path) => self.endpoint_events.learn(Key::Path(path)),
                News::Unbound(path) => self.endpoint_events.forget(Key::Path(path)),
                News::Error { url, local, code, text } => {
                    self.events.push(Event::CandidateError { url, local, code, text });
                }
                News::Reflexive { base, mapped, server } => self.add_reflexive(base, mapped, server),
                News::Relayed { relayed, mapped, server, transport } => {
                    for local in relayed {
                        self.add_relayed(local, mapped, server, transport);
                    }
                }
                News::Lost(relayed) => {
                    for local in relayed {
                        self.sockets.retain(|socket| socket.local != local);
                        self.forget_socket(local);
                    }
                }
            }
        }
        self.fail_refused();
    }

    /// Pairs whose remote side the relay does not let us speak to.
    fn fail_refused(&mut self) {
        let refused = |agent: &Self| {
            let mut pairs = agent.session.list.iter().filter(|pair| pair.state != PairState::Failed);
            let refuses = |path: UdpPath| {
                agent.servers.allocation_of(path.local).is_some_and(|relay| relay.refuses(path.remote.ip()))
            };
            pairs.find(|pair| refuses(pair.path)).map(|pair| pair.id)
        };
        if self.servers.is_empty() {
            return;
        }
        while let Some(pair) = refused(self) {
            self.fail_pair(pair);
        }
    }

    fn foundation_of(&mut self, of: FoundationOf) -> u32 {
        if let Some((_, known)) = self.foundations.iter().find(|(known, _)| *known == of) {
            return *known;
        }
        self.foundations_made = self.foundations_made.wrapping_add(1);
        self.foundations.push((of, self.foundations_made));
        self.foundations_made
    }

    fn add_reflexive(&mut self, base: SocketAddr, mapped: SocketAddr, server: IpAddr) {
        let mapped = SocketAddr::new(mapped.ip().to_canonical(), mapped.port());
        let Some(socket) = self.sockets.iter().find(|socket| socket.local == base) else { return };
        // RFC 8445 section 5.1.3: the same address and base are one candidate; the same address as the base is that.
        let is_known = self.reflexive.iter().any(|known| (known.base, known.mapped) == (base, mapped));
        if is_known || self.sockets.iter().any(|socket| socket.local == mapped) {
            return;
        }
        let preference = (socket.priority >> 8) as u16;
        let (kind, transport) = (CandidateKind::ServerReflexive, ServerTransport::Udp);
        let foundation = self.foundation_of(FoundationOf { kind, base: base.ip(), server, transport });
        let priority = priority(kind, preference, 1);
        self.reflexive.push(Reflexive { base, mapped, priority, foundation });
        if let Some(reflexive) = self.reflexive.last() {
            let candidate = self.candidate_of_reflexive(reflexive);
            self.events.push(Event::LocalCandidate(candidate));
        }
    }

    fn add_relayed(
        &mut self,
        local: SocketAddr,
        mapped: Option<SocketAddr>,
        server: IpAddr,
        transport: ServerTransport,
    ) {
        if self.sockets.iter().any(|socket| socket.local == local) {
            return;
        }
        let [v6, v4] = &mut self.sockets_made;
        let (made, family) = if local.is_ipv4() { (v4, 1) } else { (v6, 0) };
        // What takes one more header, or waits for what was lost, comes after what does not.
        let best = match transport {
            ServerTransport::Udp => u16::MAX,
            ServerTransport::Tcp => 0xBFFF,
            ServerTransport::Tls => 0x7FFF,
        };
        let preference = best - (*made % 0x1F00) * 2 - family;
        *made = made.wrapping_add(1);
        let kind = CandidateKind::Relayed;
        let foundation = self.foundation_of(FoundationOf { kind, base: local.ip(), server, transport });
        let priority = priority(kind, preference, 1);
        // Of relayed candidates, the peer is told the mapped address, unless it is not to know any of ours. RFC 8839 section 5.1.
        let hidden = SocketAddr::new(if local.is_ipv4() { [0; 4].into() } else { IpAddr::from([0; 16]) }, 9);
        let related = match self.config.transport_policy {
            TransportPolicy::All => mapped.filter(|mapped| mapped.is_ipv4() == local.is_ipv4()).unwrap_or(hidden),
            TransportPolicy::Relay => hidden,
        };
        self.sockets.push(Socket { local, priority, foundation, gathered: false, kind, related: Some(related) });
        let index = self.sockets.len() - 1;
        self.pair_socket(local);
        self.tell_candidate(index);
    }

    pub(super) fn candidate_of_reflexive(&self, reflexive: &Reflexive) -> Candidate {
        let mut candidate = Candidate::host(reflexive.mapped, reflexive.foundation.to_string(), reflexive.priority);
        candidate.kind = CandidateKind::ServerReflexive;
        candidate.address = CandidateAddress::Socket(reflexive.mapped);
        candidate.related = Some(self.shown_base(reflexive.base));
        candidate.ufrag = Some(self.session.generation.local.ufrag.clone());
        candidate
    }

    /// The pair's relay lets its remote side in, and out.
    pub(super) fn ask_permission(&mut self, path: UdpPath) {
        let Self { servers, random, now, .. } = self;
        if let Some(allocation) = servers.allocation_of_mut(path.local) {
            allocation.permit(*now, path.remote.ip(), random);
        }
    }

    /// The peer has shown itself on a relayed path.
    pub(super) fn bind_channel(&mut self, path: UdpPath) {
        let Self { servers, random, now, .. } = self;
        if let Some(allocation) = servers.allocation_of_mut(path.local) {
            allocation.bind(*now, path.remote, random);
        }
    }

    /// Whether a check may leave on this path.
    pub(super) fn is_permitted(&self, path: UdpPath) -> bool {
        if self.servers.is_empty() {
            return true;
        }
        self.servers.allocation_of(path.local).is_none_or(|relay| relay.permits(path.remote.ip()))
    }
}
