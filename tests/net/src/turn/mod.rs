//! A STUN and TURN server (RFC 8489, RFC 8656) as a state machine, for tests: what a client must expect of servers, it does, and
//! at the test's word it fails as they do.
//!
//! ```text
//!  client ── Allocate, CreatePermission, ChannelBind, Refresh ──▶ TurnServer
//!         ── Send indication, ChannelData ──▶  relayed address ──▶ peer
//!         ◀── Data indication, ChannelData ──  relayed address ◀── peer, if it is permitted
//! ```
//!
//! - `auth`: long-term credentials with MD5 and SHA-256, and nonces that go stale;
//! - `methods`: what each request does;
//! - `relay`: data in both directions;
//! - `allocation`: what is remembered.
//!
//! Clients come over UDP and over streams (TCP; TLS is the network's). It is no server for the internet: it has no access to files
//! or databases, and one thread has all of it.

mod allocation;
mod auth;
mod methods;
mod relay;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::Rng;
use wigwag_crypto::Provider;
use wigwag_proto::request::{CloseStream, ListenTcp};
use wigwag_proto::{
    Input, Instant, Random, Request, RequestId, Route, StreamId, Transmit, TransmitBuffer, UdpPath, random,
};
use wigwag_stun::{Frame, PasswordAlgorithm, frame};

use crate::machine::Machine;
pub use allocation::Allocation;
use allocation::Reservation;

/// Datagrams and messages that wait to be sent; more are lost, as at a server that can't keep up.
const MAX_OUTPUT: usize = 4096;
/// Bytes of a stream that are no whole message yet.
const MAX_FRAGMENT: usize = 1 << 17;

/// What a [`TurnServer`] does. Change it at any time through [`TurnServer::config`].
#[derive(Clone, Debug)]
pub struct TurnConfig {
    /// Where it waits for clients, over UDP and over TCP (which it asks for when it first wakes).
    pub listen: Vec<SocketAddr>,
    /// Of which addresses allocations are; families that are not among them are refused with 440.
    pub relays: Vec<IpAddr>,
    /// The ports of allocations: 49152 to 65535, chosen at random.
    pub ports: RangeInclusive<u16>,
    /// The realm that is told with 401.
    pub realm: String,
    /// Who may have allocations, and the passwords.
    pub users: BTreeMap<String, String>,
    /// What is offered in PASSWORD-ALGORITHMS, the best first. Empty: a server of RFC 5389, which knows MD5 and says nothing.
    pub algorithms: Vec<PasswordAlgorithm>,
    /// How long an allocation lives if nothing else is asked for: 600 s. RFC 8656 section 3.2.
    pub default_lifetime: Duration,
    /// How long it may live: 3600 s.
    pub max_lifetime: Duration,
    /// 300 s. RFC 8656 section 9.
    pub permission_lifetime: Duration,
    /// 600 s. RFC 8656 section 12.
    pub channel_lifetime: Duration,
    /// After this, a nonce is stale (438): an hour. RFC 8656 section 5 wants no more.
    pub nonce_lifetime: Duration,
    /// Allocations of one user, and then 486.
    pub quota: usize,
    /// Allocations at all, and then 508.
    pub capacity: usize,
    /// Send clients who want an allocation there (300).
    pub alternate: Option<SocketAddr>,
    /// Peers that are refused with 403.
    pub forbidden: Vec<IpAddr>,
}

impl TurnConfig {
    /// One that listens at `listen`, relays from the same address, and has one user.
    pub fn new(listen: SocketAddr, user: &str, password: &str) -> Self {
        Self {
            listen: vec![listen],
            relays: vec![listen.ip()],
            ports: 49_152..=u16::MAX,
            realm: "example.org".to_owned(),
            users: BTreeMap::from([(user.to_owned(), password.to_owned())]),
            algorithms: Vec::new(),
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            permission_lifetime: Duration::from_secs(300),
            channel_lifetime: Duration::from_secs(600),
            nonce_lifetime: Duration::from_secs(3600),
            quota: usize::MAX,
            capacity: usize::MAX,
            alternate: None,
            forbidden: Vec::new(),
        }
    }
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnStats {
    /// Requests that were answered with success, by their method's number.
    pub successes: BTreeMap<u16, u64>,
    /// Those that were not, by the error's code.
    pub errors: BTreeMap<u16, u64>,
    /// Datagrams relayed to peers from Send indications, and from ChannelData.
    pub to_peers: [u64; 2],
    /// Datagrams relayed to clients in Data indications, and in ChannelData.
    pub to_clients: [u64; 2],
    /// Datagrams for or from peers without permission, or on unbound channels.
    pub unpermitted: u64,
    /// What is neither STUN nor ChannelData.
    pub malformed: u64,
    /// Allocations that expired.
    pub expired: u64,
    /// Lost since too much waited to be sent.
    pub overflowed: u64,
}

/// By what a client is known: its five-tuple. RFC 8656 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// A socket.
    Udp(UdpPath),
    /// A connection.
    Stream(StreamId),
}

#[derive(Debug)]
struct Connection {
    path: UdpPath,
    buffer: Vec<u8>,
}

/// A STUN and TURN server. See `examples/turn.rs`.
#[derive(Debug)]
pub struct TurnServer {
    /// What it does.
    pub config: TurnConfig,
    provider: Provider,
    random: Random,
    secret: [u8; 32],
    /// Nonces of another epoch are stale.
    epoch: u32,
    is_silent: bool,
    allocations: BTreeMap<Client, Allocation>,
    by_relay: BTreeMap<SocketAddr, Client>,
    reservations: BTreeMap<[u8; 8], Reservation>,
    connections: BTreeMap<StreamId, Connection>,
    output: VecDeque<(Route, Vec<u8>)>,
    requests: VecDeque<Request>,
    stats: TurnStats,
    now: Instant,
    timers_ran: bool,
}

impl TurnServer {
    /// A server without clients. Its randomness follows from `seed`.
    pub fn new(config: TurnConfig, provider: Provider, seed: u64) -> Self {
        let mut bytes = [0x7E; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut random = random::seeded(bytes);
        let mut secret = [0; 32];
        random.fill_bytes(&mut secret);
        let addresses = config.listen.iter().enumerate();
        let listen = addresses.map(|(number, &local)| ListenTcp::new(RequestId(number as u32), local, None));
        let requests = listen.map(Request::ListenTcp).collect();
        Self {
            config,
            provider,
            random,
            secret,
            epoch: 0,
            is_silent: false,
            allocations: BTreeMap::new(),
            by_relay: BTreeMap::new(),
            reservations: BTreeMap::new(),
            connections: BTreeMap::new(),
            output: VecDeque::new(),
            requests,
            stats: TurnStats::default(),
            now: Instant::default(),
            timers_ran: false,
        }
    }

    /// Whether it does nothing at all, as a server that died; what it knows stays.
    pub fn set_silent(&mut self, is_silent: bool) {
        self.is_silent = is_silent;
    }

    /// Starts anew: allocations and connections are gone, and all nonces are stale.
    pub fn restart(&mut self) {
        self.allocations.clear();
        self.by_relay.clear();
        self.reservations.clear();
        self.output.clear();
        for stream in std::mem::take(&mut self.connections).into_keys() {
            self.requests.push_back(Request::CloseStream(CloseStream { stream }));
        }
        self.revoke_nonces();
    }

    /// All allocations are another user's from now on: who made them is told 441.
    pub fn give_to(&mut self, user: &str) {
        self.allocations.values_mut().for_each(|allocation| allocation.user = user.to_owned());
    }

    /// Every nonce that was given out is stale from now on.
    pub fn revoke_nonces(&mut self) {
        self.epoch += 1;
    }

    /// What there is.
    pub fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.values()
    }

    /// What was counted.
    pub fn stats(&self) -> &TurnStats {
        &self.stats
    }

    fn handle_datagrams(&mut self, path: UdpPath, bytes: &[u8]) {
        if self.by_relay.contains_key(&path.local) {
            self.handle_peer(path, bytes);
        } else if self.config.listen.contains(&path.local) {
            self.handle_client(Client::Udp(path), bytes);
        } else {
            self.stats.unpermitted += 1;
        }
    }

    fn handle_client(&mut self, client: Client, bytes: &[u8]) {
        match bytes.first() {
            Some(0..=3) => self.handle_message(client, bytes),
            Some(0x40..=0x4F) => self.handle_channel_data(client, bytes),
            _ => self.stats.malformed += 1,
        }
    }

    fn handle_stream(&mut self, id: StreamId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.buffer.extend_from_slice(bytes);
        let mut buffer = std::mem::take(&mut connection.buffer);
        let mut done = 0;
        let is_understood = loop {
            let rest = buffer.get(done..).unwrap_or_default();
            match frame(rest) {
                Frame::Whole(len) if len <= rest.len() => {
                    let message = rest.get(..len).unwrap_or_default();
                    self.handle_client(Client::Stream(id), message);
                    done += len;
                }
                Frame::Whole(_) | Frame::Unknown => break rest.len() <= MAX_FRAGMENT,
                Frame::Invalid => break false,
            }
        };
        if !is_understood {
            self.stats.malformed += 1;
            self.requests.push_back(Request::CloseStream(CloseStream { stream: id }));
            self.forget_connection(id);
            return;
        }
        buffer.drain(..done);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.buffer = buffer;
        }
    }

    /// An allocation lives no longer than its connection. RFC 8656 section 3.1.
    fn forget_connection(&mut self, id: StreamId) {
        self.connections.remove(&id);
        self.free(Client::Stream(id));
    }

    fn push(&mut self, route: Route, bytes: Vec<u8>) {
        if self.output.len() >= MAX_OUTPUT {
            self.stats.overflowed += 1;
            return;
        }
        self.output.push_back((route, bytes));
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.timers_ran = false;
        self.expire();
    }
}

impl Machine for TurnServer {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.advance(now);
        if self.is_silent {
            return;
        }
        match input {
            Input::Datagrams(received) => {
                let path = received.path;
                received.datagrams().for_each(|datagram| self.handle_datagrams(path, datagram));
            }
            Input::StreamAccepted { id, local, remote } => {
                let path = UdpPath { local, remote };
                self.connections.insert(id, Connection { path, buffer: Vec::new() });
            }
            Input::Stream { id, bytes } => self.handle_stream(id, bytes),
            Input::StreamClosed(id) => self.forget_connection(id),
            // Where it cannot listen for TCP, it has no clients there.
            Input::Answer(_) | Input::StreamWritable(_) | Input::WallClock(_) | Input::Interfaces(_) => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.timers_ran = true;
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.advance(now);
        out.start();
        let (route, bytes) = self.output.pop_front()?;
        out.segment(bytes.len())?.get_mut(..bytes.len())?.copy_from_slice(&bytes);
        out.push(bytes.len());
        out.finish(route)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.next_expiry();
        let waiting = match (self.output.is_empty(), self.timers_ran) {
            (true, _) => None,
            (false, true) => Some(self.now + Duration::from_millis(1)),
            (false, false) => Some(self.now),
        };
        expiry.into_iter().chain(waiting).min()
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    fn can_transmit(&self) -> Option<bool> {
        Some(!self.output.is_empty())
    }
}
