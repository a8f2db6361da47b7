//! The servers of one agent: which are asked what, from which socket, and what they said.
//!
//! ```text
//!  names ─► addresses ─┬─ STUN, and TURN over UDP: a Binding request from each host socket ─► server-reflexive
//!                      └─ TURN: an allocation from each address of ours ─► relayed
//!                           UDP: a socket of its own   TCP, TLS: a stream
//! ```
//!
//! None waits for another: each has the same patience, counted from when gathering began, and tells what it has as soon as it has
//! it. What fails is told once, with the numbers of webrtc-pc section 4.8.2: the error's code of STUN, or 701 for a server that
//! cannot be reached.
//!
//! - `allocation`: one allocation at a TURN server;
//! - `auth`: how its requests are signed.

mod allocation;
mod auth;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use rand::Rng;
use wigwag_crypto::Provider;
use wigwag_proto::request::{BindUdp, CloseStream, CloseUdp, OpenStream, ResolveName, StreamSecurity};
use wigwag_proto::{Answer, Instant, Outcome as Done, Random, Request, RequestId, Route, StreamId, UdpPath};
use wigwag_stun::{Class, Frame, Message, MessageBuilder, Method, TransactionId, frame, parse_channel_data};

pub(crate) use allocation::Allocation;
use allocation::{Link, Outcome, State};
use auth::Login;

use crate::server::{IceServer, ServerKind, ServerTransport, ServerUri};
use crate::wire::Wire;

/// URIs that are looked at; whoever has more does not know which are good.
const MAX_SERVERS: usize = 16;
/// Allocations of one agent: each costs a socket, and the server a port.
const MAX_ALLOCATIONS: usize = 16;
/// Questions for our address: from each socket to each server.
const MAX_QUERIES: usize = 128;
/// RFC 8489 section 6.2.1.
const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a NAT is shown that a mapping is in use, before there is a peer to do that. RFC 8445 section 11.
const KEEP_INTERVAL: Duration = Duration::from_secs(15);
/// Bytes of a stream that are no whole message yet: one message is shorter.
const MAX_FRAGMENT: usize = 1 << 17;
/// Unreachable, or silent. webrtc-pc section 4.8.2.
const UNREACHABLE: u16 = 701;

/// A server, as it was configured.
#[derive(Debug)]
struct Server {
    uri: ServerUri,
    login: Login,
    resolving: Option<RequestId>,
    addresses: Vec<IpAddr>,
    /// Its name was asked for, or need not be.
    is_known: bool,
}

/// A question for our address.
#[derive(Debug)]
struct Query {
    server: usize,
    path: UdpPath,
    id: TransactionId,
    next_at: Instant,
    timeout: Duration,
    state: Asking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Until(Instant),
    /// It was answered: the mapping is kept.
    Answered,
    Failed,
}

/// What the agent is to know.
#[derive(Debug)]
pub(crate) enum News {
    /// A server saw the socket `base` as `mapped`.
    Reflexive {
        base: SocketAddr,
        mapped: SocketAddr,
        server: IpAddr,
    },
    /// Relayed addresses.
    Relayed {
        relayed: Vec<SocketAddr>,
        mapped: Option<SocketAddr>,
        server: IpAddr,
        transport: ServerTransport,
    },
    /// They are gone.
    Lost(Vec<SocketAddr>),
    /// `icecandidateerror`.
    Error {
        url: String,
        local: Option<SocketAddr>,
        code: u16,
        text: String,
    },
    /// A socket of an allocation is bound, and whatever comes by this path is for us.
    Bound(UdpPath),
    Unbound(UdpPath),
    /// A question left, or is over.
    Asked(TransactionId),
    Forgotten(TransactionId),
}

/// What was asked of the adaptor.
pub(crate) type Requests = VecDeque<Request>;

#[derive(Debug)]
pub(crate) struct Servers {
    servers: Vec<Server>,
    queries: Vec<Query>,
    allocations: Vec<Allocation>,
    news: VecDeque<News>,
    /// Of streams that end, and sockets that close, when what waits has left.
    next_stream: u32,
    /// When the servers' patience ends; `None`: not begun.
    deadline: Option<Instant>,
    timeout: Duration,
}

/// What a call needs besides.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) random: &'a mut Random,
    pub(crate) provider: Provider,
    pub(crate) requests: &'a mut Requests,
    pub(crate) next_request: &'a mut u32,
}

impl Context<'_> {
    fn new_request(&mut self) -> RequestId {
        *self.next_request = self.next_request.wrapping_add(1);
        RequestId(*self.next_request)
    }
}

impl Servers {
    pub(crate) fn new(configured: &[IceServer], timeout: Duration) -> Self {
        let all = configured.iter().flat_map(|server| server.urls.iter().map(move |uri| (server, uri)));
        let servers = all.take(MAX_SERVERS).map(|(server, uri)| Server {
            uri: uri.clone(),
            login: Login { username: server.username.clone(), password: server.password.clone() },
            resolving: None,
            addresses: uri.ip().into_iter().collect(),
            is_known: uri.ip().is_some(),
        });
        Self {
            servers: servers.collect(),
            queries: Vec::new(),
            allocations: Vec::new(),
            news: VecDeque::new(),
            next_stream: 0,
            deadline: None,
            timeout,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Begins, or begins again with what failed or is new since.
    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.deadline = Some(context.now + self.timeout);
        self.queries.retain(|query| query.state != Asking::Failed);
        self.allocations.retain(|allocation| allocation.state != State::Over);
        for server in self.servers.iter_mut().filter(|server| !server.is_known && server.resolving.is_none()) {
            let id = context.new_request();
            server.resolving = Some(id);
            context.requests.push_back(Request::ResolveName(ResolveName::new(id, server.uri.host.clone())));
        }
    }

    /// Asks from what there is: `bases` are the host sockets, `locals` the addresses of this host.
    pub(crate) fn ask(&mut self, bases: &[SocketAddr], locals: &[IpAddr], context: &mut Context<'_>) {
        let Some(deadline) = self.deadline.filter(|deadline| *deadline > context.now) else { return };
        for (index, server) in self.servers.iter().enumerate() {
            for is_ipv4 in [true, false] {
                let Some(ip) = server.addresses.iter().find(|ip| ip.is_ipv4() == is_ipv4) else { continue };
                let remote = SocketAddr::new(*ip, server.uri.port);
                if server.uri.transport == ServerTransport::Udp {
                    for &local in bases.iter().filter(|base| can_reach(base.ip(), remote.ip())) {
                        let path = UdpPath { local, remote };
                        if self.queries.len() >= MAX_QUERIES || self.queries.iter().any(|query| query.path == path) {
                            continue;
                        }
                        let id = new_id(context.random);
                        let state = Asking::Until(deadline);
                        self.news.push_back(News::Asked(id));
                        let (server, next_at, timeout) = (index, context.now, FIRST_TIMEOUT);
                        self.queries.push(Query { server, path, id, next_at, timeout, state });
                    }
                }
                if server.uri.kind == ServerKind::Turn {
                    for &local in locals.iter().filter(|local| can_reach(**local, remote.ip())) {
                        let is_known = |it: &Allocation| (it.server, it.local, it.origin) == (index, local, remote);
                        if self.allocations.len() >= MAX_ALLOCATIONS || self.allocations.iter().any(is_known) {
                            continue;
                        }
                        let transport = server.uri.transport;
                        let random = &mut *context.random;
                        let mut allocation = Allocation::new(index, transport, remote, local, deadline, random);
                        connect(&mut allocation, &server.uri, &mut self.next_stream, context);
                        self.allocations.push(allocation);
                    }
                }
            }
        }
    }

    /// Whether gathering waits for any of them.
    pub(crate) fn is_busy(&self) -> bool {
        self.servers.iter().any(|server| server.resolving.is_some())
            || self.queries.iter().any(|query| matches!(query.state, Asking::Until(_)))
            || self.allocations.iter().any(Allocation::is_busy)
    }

    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// An answer of the adaptor's to one of its requests; another is given back.
    pub(crate) fn handle_answer(&mut self, answer: Answer, context: &mut Context<'_>) -> Result<(), Answer> {
        let id = answer.id();
        if let Some(server) = self.servers.iter_mut().find(|server| server.resolving == Some(id)) {
            server.resolving = None;
            match answer.into_outcome() {
                Ok(Done::Resolved(addresses)) if !addresses.is_empty() => {
                    server.addresses = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
                    server.is_known = true;
                }
                refused => {
                    let reason = refused.err().map_or("it has no address".to_owned(), |refused| refused.to_string());
                    let text = format!("the name {} cannot be resolved: {reason}", server.uri.host);
                    let url = server.uri.to_string();
                    self.news.push_back(News::Error { url, local: None, code: UNREACHABLE, text });
                }
            }
            return Ok(());
        }
        let is_its = |it: &Allocation| match it.link {
            Link::Binding(asked) | Link::Opening(asked, _) => asked == id,
            _ => false,
        };
        let Some(index) = self.allocations.iter().position(is_its) else { return Err(answer) };
        let Some(allocation) = self.allocations.get_mut(index) else { return Ok(()) };
        match (answer.into_outcome(), allocation.link) {
            (Ok(Done::Bound(local)), _) => {
                let path = UdpPath { local, remote: allocation.remote };
                allocation.connected(context.now, Link::Udp(path), context.random);
                self.news.push_back(News::Bound(path));
            }
            (Ok(Done::Opened(_)), Link::Opening(_, stream)) => {
                allocation.connected(context.now, Link::Stream(stream), context.random);
            }
            (refused, _) => {
                allocation.link = Link::None;
                let reason = refused.err().map(|refused| refused.to_string()).unwrap_or_default();
                let text = format!("the server cannot be reached: {reason}");
                self.fail(index, UNREACHABLE, text, context);
            }
        }
        Ok(())
    }

    fn fail(&mut self, index: usize, code: u16, text: String, context: &mut Context<'_>) {
        let Some(allocation) = self.allocations.get_mut(index) else { return };
        let local = match allocation.link {
            Link::Udp(path) => Some(path.local),
            _ => None,
        };
        let url = self.servers.get(allocation.server).map(|server| server.uri.to_string()).unwrap_or_default();
        tracing::debug!(url, code, text, "an allocation failed");
        self.news.push_back(News::Error { url, local, code, text });
        if !allocation.relayed.is_empty() {
            self.news.push_back(News::Lost(std::mem::take(&mut allocation.relayed)));
        }
        allocation.state = State::Over;
        disconnect(allocation, &mut self.news, context);
    }

    /// What the time has brought.
    pub(crate) fn run_timers(&mut self, needs: impl Fn(SocketAddr, IpAddr) -> bool, context: &mut Context<'_>) {
        let now = context.now;
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            for server in self.servers.iter_mut().filter(|server| server.resolving.is_some()) {
                server.resolving = None;
                let (url, text) = (server.uri.to_string(), "the name is not resolved in time".to_owned());
                self.news.push_back(News::Error { url, local: None, code: UNREACHABLE, text });
            }
        }
        for query in &mut self.queries {
            if matches!(query.state, Asking::Until(deadline) if deadline <= now) {
                query.state = Asking::Failed;
                self.news.push_back(News::Forgotten(query.id));
                let url = self.servers.get(query.server).map(|server| server.uri.to_string()).unwrap_or_default();
                let (local, text) = (Some(query.path.local), "the server does not answer".to_owned());
                self.news.push_back(News::Error { url, local, code: UNREACHABLE, text });
            }
        }
        for index in 0..self.allocations.len() {
            let Some(allocation) = self.allocations.get_mut(index) else { continue };
            let outcome = allocation.expire(now);
            let relayed = allocation.relayed.clone();
            let of_any = |peer| relayed.iter().any(|relayed| needs(*relayed, peer));
            allocation.refresh(now, of_any, context.random);
            self.follow_up(index, outcome, context);
        }
    }

    fn follow_up(&mut self, index: usize, outcome: Outcome, context: &mut Context<'_>) {
        let Some(allocation) = self.allocations.get_mut(index) else { return };
        match outcome {
            Outcome::Nothing => {}
            Outcome::Allocated => self.news.push_back(News::Relayed {
                relayed: allocation.relayed.clone(),
                mapped: allocation.mapped,
                server: allocation.remote.ip(),
                transport: allocation.transport,
            }),
            Outcome::Failed { code, text } => self.fail(index, code, text, context),
            Outcome::Again(remote) if !can_reach(allocation.local, remote.ip()) => {
                self.fail(index, 300, format!("sent on to {remote}"), context);
            }
            Outcome::Again(remote) => {
                disconnect(allocation, &mut self.news, context);
                allocation.remote = remote;
                if let State::Allocating(deadline) = allocation.state {
                    allocation.state = State::Connecting(deadline);
                }
                if let Some(server) = self.servers.get(allocation.server) {
                    connect(allocation, &server.uri, &mut self.next_stream, context);
                }
            }
        }
    }

    /// Whether a response is the answer to a question of these; if so, it is dealt with.
    pub(crate) fn handle_response(&mut self, route: Route, message: &Message<'_>, context: &mut Context<'_>) -> bool {
        let id = message.transaction();
        if let Some(query) = self.queries.iter_mut().find(|query| query.id == id) {
            if route != Route::Udp(query.path) || !matches!(query.state, Asking::Until(_)) {
                return true;
            }
            self.news.push_back(News::Forgotten(id));
            let uri = self.servers.get(query.server).map(|server| &server.uri);
            match message.mapped_address().filter(|_| message.class() == Class::Success) {
                Some(mapped) => {
                    query.state = Asking::Answered;
                    query.next_at = context.now + KEEP_INTERVAL;
                    let (base, server) = (query.path.local, query.path.remote.ip());
                    self.news.push_back(News::Reflexive { base, mapped, server });
                }
                None => {
                    query.state = Asking::Failed;
                    let error = message.error_code();
                    let (code, text) = error.map_or((400, String::new()), |it| (it.code, it.reason.to_owned()));
                    let (url, local) = (uri.map(ServerUri::to_string).unwrap_or_default(), Some(query.path.local));
                    // A TURN server may want credentials for this, too: then there is the allocation to tell us.
                    if uri.is_some_and(|uri| uri.kind == ServerKind::Stun) {
                        self.news.push_back(News::Error { url, local, code, text });
                    }
                }
            }
            return true;
        }
        let Some(index) = self.allocations.iter().position(|allocation| allocation.knows(id)) else { return false };
        let Some(allocation) = self.allocations.get_mut(index) else { return true };
        let Some(login) = self.servers.get(allocation.server).map(|server| &server.login) else { return true };
        if allocation.route() == Some(route) {
            let outcome = allocation.handle_answer(context.now, message, login, context.provider, context.random);
            self.follow_up(index, outcome, context);
        }
        true
    }

    /// What a relay brought by `route`: the path of it, and where it lies in `datagram`. RFC 8656 sections 11.3 and 12.6.
    pub(crate) fn open(&self, route: Route, datagram: &[u8]) -> Option<(UdpPath, Range<usize>)> {
        if !matches!(datagram.first(), Some(0..=3 | 0x40..=0x4F)) {
            return None;
        }
        let allocation = self.allocations.iter().find(|allocation| allocation.route() == Some(route))?;
        let (peer, range) = match parse_channel_data(datagram) {
            Some((channel, range)) => (allocation.peer_of(channel)?, range),
            None => {
                let message = Message::parse(datagram).ok()?;
                let is_data = (message.class(), message.method()) == (Class::Indication, Method::DATA);
                let data = message.data().filter(|_| is_data)?;
                let start = data.as_ptr() as usize - datagram.as_ptr() as usize;
                (message.peer_address()?, start..start + data.len())
            }
        };
        let local = allocation.relayed_for(peer)?;
        Some((UdpPath { local, remote: peer }, range))
    }

    /// Takes bytes of a stream; the whole messages in it, which are [taken](Self::take_frame) one after the other.
    pub(crate) fn handle_stream(&mut self, id: StreamId, bytes: &[u8]) -> bool {
        match self.allocations.iter_mut().find(|allocation| allocation.link == Link::Stream(id)) {
            Some(allocation) => {
                allocation.buffer.extend_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// The next whole message of a stream.
    pub(crate) fn take_frame(&mut self, id: StreamId, context: &mut Context<'_>) -> Option<Vec<u8>> {
        let index = self.allocations.iter().position(|allocation| allocation.link == Link::Stream(id))?;
        let Allocation { buffer, taken, .. } = self.allocations.get_mut(index)?;
        let rest = buffer.get(*taken..).unwrap_or_default();
        match frame(rest) {
            Frame::Whole(len) if len <= rest.len() => {
                *taken += len;
                return Some(rest.get(..len).unwrap_or_default().to_vec());
            }
            Frame::Whole(_) | Frame::Unknown if rest.len() <= MAX_FRAGMENT => {
                buffer.drain(..std::mem::take(taken));
                return None;
            }
            _ => {}
        }
        self.fail(index, UNREACHABLE, "the server sent what is neither STUN nor ChannelData".to_owned(), context);
        None
    }

    pub(crate) fn stream_closed(&mut self, id: StreamId, context: &mut Context<'_>) {
        let Some(index) = self.allocations.iter().position(|allocation| allocation.link == Link::Stream(id)) else {
            return;
        };
        if let Some(allocation) = self.allocations.get_mut(index) {
            allocation.link = Link::None;
        }
        self.fail(index, UNREACHABLE, "the server closed the connection".to_owned(), context);
    }

    /// The allocation of a relayed address.
    pub(crate) fn allocation_of(&self, relayed: SocketAddr) -> Option<&Allocation> {
        self.allocations.iter().find(|allocation| allocation.owns(relayed))
    }

    pub(crate) fn allocation_of_mut(&mut self, relayed: SocketAddr) -> Option<&mut Allocation> {
        self.allocations.iter_mut().find(|allocation| allocation.owns(relayed))
    }

    /// How what is sent from a relayed address travels; `None`: not now.
    pub(crate) fn wire(&self, path: UdpPath) -> Option<Wire> {
        self.allocation_of(path.local)?.wire(path.remote)
    }

    /// A socket of this host is gone.
    pub(crate) fn forget_base(&mut self, base: SocketAddr) {
        let news = &mut self.news;
        self.queries.extract_if(.., |query| query.path.local == base).for_each(|query| {
            if matches!(query.state, Asking::Until(_)) {
                news.push_back(News::Forgotten(query.id));
            }
        });
    }

    /// An address of this host is gone, and with it the allocations that were made from there.
    pub(crate) fn forget_local(&mut self, gone: impl Fn(IpAddr) -> bool, context: &mut Context<'_>) {
        for index in 0..self.allocations.len() {
            let Some(allocation) = self.allocations.get_mut(index) else { continue };
            if gone(allocation.local) && allocation.state != State::Over {
                allocation.state = State::Over;
                if !allocation.relayed.is_empty() {
                    self.news.push_back(News::Lost(std::mem::take(&mut allocation.relayed)));
                }
                disconnect(allocation, &mut self.news, context);
            }
        }
    }

    /// When something is to be sent. `keeps`: mappings are to be kept.
    pub(crate) fn next_transmit(&self, keeps: bool) -> Instant {
        let of_query = |query: &Query| match query.state {
            Asking::Until(_) => query.next_at,
            Asking::Answered if keeps => query.next_at,
            Asking::Answered | Asking::Failed => Instant::NEVER,
        };
        let queries = self.queries.iter().map(of_query);
        let allocations = self.allocations.iter().map(Allocation::next_transmit);
        queries.chain(allocations).min().unwrap_or(Instant::NEVER)
    }

    /// When something else happens.
    pub(crate) fn next_timeout(&self) -> Instant {
        let of_query = |query: &Query| match query.state {
            Asking::Until(deadline) => deadline,
            Asking::Answered | Asking::Failed => Instant::NEVER,
        };
        let names = self.servers.iter().any(|server| server.resolving.is_some()).then_some(self.deadline).flatten();
        let queries = self.queries.iter().map(of_query);
        let allocations = self.allocations.iter().map(Allocation::next_timeout);
        queries.chain(allocations).chain(names).min().unwrap_or(Instant::NEVER)
    }

    /// The next request that is due.
    pub(crate) fn write(&mut self, room: &mut [u8], keeps: bool, context: &mut Context<'_>) -> Option<(Route, usize)> {
        let now = context.now;
        let is_due = |query: &&mut Query| match query.state {
            Asking::Until(_) => query.next_at <= now,
            Asking::Answered => keeps && query.next_at <= now,
            Asking::Failed => false,
        };
        if let Some(query) = self.queries.iter_mut().find(is_due) {
            let (class, id) = match query.state {
                Asking::Until(_) => (Class::Request, query.id),
                // Nobody need answer.
                _ => (Class::Indication, new_id(context.random)),
            };
            let mut message = MessageBuilder::new(room, class, Method::BINDING, id);
            message.fingerprint();
            let len = message.finish()?;
            query.next_at = now + if class == Class::Request { query.timeout } else { KEEP_INTERVAL };
            query.timeout = (query.timeout * 2).min(KEEP_INTERVAL);
            return Some((Route::Udp(query.path), len));
        }
        for index in 0..self.allocations.len() {
            let Some(allocation) = self.allocations.get_mut(index) else { continue };
            if allocation.next_transmit() > now {
                continue;
            }
            let Some(login) = self.servers.get(allocation.server).map(|server| &server.login) else { continue };
            let was_leaving = allocation.state == State::Leaving;
            let written = allocation.write(now, room, login, context.provider);
            if was_leaving && allocation.state == State::Over {
                disconnect(allocation, &mut self.news, context);
            }
            if written.is_some() {
                return written;
            }
        }
        None
    }

    /// Gives back what there is; its sockets close when that was said.
    pub(crate) fn close(&mut self, context: &mut Context<'_>) {
        for server in &mut self.servers {
            server.resolving = None;
        }
        for query in self.queries.drain(..).filter(|query| matches!(query.state, Asking::Until(_))) {
            self.news.push_back(News::Forgotten(query.id));
        }
        for allocation in &mut self.allocations {
            allocation.leave(context.now, context.random);
            if allocation.state == State::Over {
                disconnect(allocation, &mut self.news, context);
            }
        }
    }
}

/// Asks for a socket or a stream.
fn connect(allocation: &mut Allocation, uri: &ServerUri, next_stream: &mut u32, context: &mut Context<'_>) {
    let id = context.new_request();
    let local = SocketAddr::new(allocation.local, 0);
    let security = match allocation.transport {
        ServerTransport::Udp => {
            allocation.link = Link::Binding(id);
            context.requests.push_back(Request::BindUdp(BindUdp::new(id, local, None)));
            return;
        }
        ServerTransport::Tcp => StreamSecurity::Plain,
        ServerTransport::Tls => StreamSecurity::Tls { server_name: uri.host.clone() },
    };
    let stream = StreamId::opened(*next_stream);
    *next_stream = next_stream.wrapping_add(1);
    allocation.link = Link::Opening(id, stream);
    let open = OpenStream::new(id, stream, Some(local), allocation.remote, security);
    context.requests.push_back(Request::OpenStream(open));
}

/// Closes the socket or the stream.
fn disconnect(allocation: &mut Allocation, news: &mut VecDeque<News>, context: &mut Context<'_>) {
    match std::mem::replace(&mut allocation.link, Link::None) {
        Link::Udp(path) => {
            news.push_back(News::Unbound(path));
            context.requests.push_back(Request::CloseUdp(CloseUdp { local: path.local }));
        }
        Link::Stream(stream) | Link::Opening(_, stream) => {
            context.requests.push_back(Request::CloseStream(CloseStream { stream }));
        }
        Link::Binding(_) | Link::None => {}
    }
    (allocation.buffer, allocation.taken) = (Vec::new(), 0);
}

/// Nobody asks his own loopback for the way out, nor the world from there.
fn can_reach(local: IpAddr, remote: IpAddr) -> bool {
    let link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let is_somewhere = !remote.is_unspecified() && !remote.is_multicast();
    is_somewhere
        && local.is_ipv4() == remote.is_ipv4()
        && local.is_loopback() == remote.is_loopback()
        && link_local(local) == link_local(remote)
}

fn new_id(random: &mut Random) -> TransactionId {
    let mut id = [0; 12];
    random.fill_bytes(&mut id);
    TransactionId(id)
}
