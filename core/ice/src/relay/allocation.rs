//! One allocation at a TURN server (RFC 8656), from its socket to its end.
//!
//! ```text
//! Connecting ──► Allocating ──► Ready ──► Leaving ──► Over
//!   socket or      401, 300,      │ Refresh, CreatePermission, ChannelBind, as long as they are needed
//!   stream asked   437, 440: again│
//!      └───────────────┴──────────┴── refused, unanswered, gone ─────► Over
//! ```
//!
//! A peer gets a permission when a pair with it is made, and a channel once it has shown itself; until that is bound, what goes
//! to it travels in Send indications.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use wigwag_crypto::Provider;
use wigwag_proto::{Instant, Random, RequestId, Route, StreamId, UdpPath};
use wigwag_stun::{AttributeType, CHANNEL_NUMBERS, Class, Message, MessageBuilder, Method, TransactionId};

use super::auth::{Challenge, Login};
use crate::server::ServerTransport;
use crate::wire::Wire;

/// Permissions of one allocation: one for each remote candidate that the check list takes.
const MAX_PERMISSIONS: usize = 128;
/// Channels of one allocation: paths on which the peer has shown itself.
const MAX_CHANNELS: usize = 64;
/// RFC 8656 section 9: a permission lasts five minutes; section 12: a channel ten.
const PERMISSION_REFRESH: Duration = Duration::from_secs(240);
const CHANNEL_REFRESH: Duration = Duration::from_secs(540);
/// An allocation is refreshed this long before it ends, or at half of its time.
const REFRESH_MARGIN: Duration = Duration::from_secs(60);
/// RFC 8656 section 8.1; a request is repeated after 500 ms, twice that, and so on.
const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
/// A request that keeps an allocation alive is given up after this.
const REQUEST_PATIENCE: Duration = Duration::from_secs(20);
/// How often a server may send one request around: with stale nonces, to other servers, to a new socket.
const MAX_DETOURS: u8 = 4;
const UDP: u8 = 17;

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Binding(RequestId),
    Opening(RequestId, StreamId),
    Udp(UdpPath),
    Stream(StreamId),
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Until then.
    Connecting(Instant),
    Allocating(Instant),
    Ready,
    Leaving,
    Over,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Allocate,
    Refresh,
    Leave,
    Permit(IpAddr),
    Bind(SocketAddr),
}

#[derive(Debug)]
struct Asked {
    id: TransactionId,
    purpose: Purpose,
    next_at: Instant,
    timeout: Duration,
    deadline: Instant,
    signed: bool,
    detours: u8,
}

/// Whether a peer may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Asked,
    /// To be asked for again then.
    Granted(Instant),
    Refused,
}

#[derive(Debug)]
struct Channel {
    number: u16,
    /// It may be used.
    is_bound: bool,
    /// To be bound again then.
    refresh_at: Instant,
}

/// What an answer, or none, led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    /// There are relayed addresses now.
    Allocated,
    /// There are none; or there were, and they are gone.
    Failed {
        code: u16,
        text: String,
    },
    /// Another socket is to be tried, at this server.
    Again(SocketAddr),
}

#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) server: usize,
    pub(crate) transport: ServerTransport,
    /// The server's address as it was resolved: with `local`, what this is known by.
    pub(crate) origin: SocketAddr,
    /// The server's address, after it may have sent us elsewhere.
    pub(crate) remote: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) link: Link,
    pub(crate) state: State,
    pub(crate) relayed: Vec<SocketAddr>,
    /// As the server sees us.
    pub(crate) mapped: Option<SocketAddr>,
    /// Bytes of the stream, and how many of them were taken.
    pub(crate) buffer: Vec<u8>,
    pub(crate) taken: usize,
    challenge: Option<Challenge>,
    asked: Vec<Asked>,
    permissions: BTreeMap<IpAddr, Permission>,
    channels: BTreeMap<SocketAddr, Channel>,
    next_channel: u16,
    refresh_at: Instant,
    detours: u8,
    only_ipv6: bool,
    /// Of indications: nobody answers those.
    indication: TransactionId,
}

impl Allocation {
    pub(crate) fn new(
        server: usize,
        transport: ServerTransport,
        remote: SocketAddr,
        local: IpAddr,
        deadline: Instant,
        random: &mut Random,
    ) -> Self {
        Self {
            server,
            transport,
            origin: remote,
            remote,
            local,
            link: Link::None,
            state: State::Connecting(deadline),
            relayed: Vec::new(),
            mapped: None,
            buffer: Vec::new(),
            taken: 0,
            challenge: None,
            asked: Vec::new(),
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            next_channel: *CHANNEL_NUMBERS.start(),
            refresh_at: Instant::NEVER,
            detours: 0,
            only_ipv6: false,
            indication: new_id(random),
        }
    }

    pub(crate) fn route(&self) -> Option<Route> {
        match self.link {
            Link::Udp(path) => Some(Route::Udp(path)),
            Link::Stream(id) => Some(Route::Stream(id)),
            Link::Binding(_) | Link::Opening(..) | Link::None => None,
        }
    }

    /// The socket or the stream is there.
    pub(crate) fn connected(&mut self, now: Instant, link: Link, random: &mut Random) {
        self.link = link;
        if let State::Connecting(deadline) = self.state {
            self.state = State::Allocating(deadline);
            self.ask(now, Purpose::Allocate, deadline, random);
        }
    }

    /// Whether something may still come of it that gathering waits for.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Connecting(_) | State::Allocating(_))
    }

    pub(crate) fn owns(&self, relayed: SocketAddr) -> bool {
        self.relayed.contains(&relayed)
    }

    /// How a datagram to `peer` travels; `None` without an allocation.
    pub(crate) fn wire(&self, peer: SocketAddr) -> Option<Wire> {
        let route = self.route().filter(|_| self.state == State::Ready)?;
        if let Some(channel) = self.channels.get(&peer).filter(|channel| channel.is_bound) {
            return Some(Wire::channel(route, channel.number));
        }
        Some(Wire::indication(route, peer, self.indication))
    }

    pub(crate) fn permits(&self, peer: IpAddr) -> bool {
        matches!(self.permissions.get(&peer), Some(Permission::Granted(_)))
    }

    pub(crate) fn refuses(&self, peer: IpAddr) -> bool {
        self.permissions.get(&peer) == Some(&Permission::Refused)
    }

    /// The peer of a channel. RFC 8656 section 12.6.
    pub(crate) fn peer_of(&self, channel: u16) -> Option<SocketAddr> {
        let mut channels = self.channels.iter();
        channels.find(|(_, it)| it.number == channel).map(|(peer, _)| *peer)
    }

    /// The relayed address by which a peer is reached.
    pub(crate) fn relayed_for(&self, peer: SocketAddr) -> Option<SocketAddr> {
        self.relayed.iter().copied().find(|relayed| relayed.is_ipv4() == peer.is_ipv4())
    }

    /// Lets the server know that `peer` may send. RFC 8656 section 9.
    pub(crate) fn permit(&mut self, now: Instant, peer: IpAddr, random: &mut Random) {
        if self.permissions.contains_key(&peer) || self.permissions.len() >= MAX_PERMISSIONS {
            return;
        }
        self.permissions.insert(peer, Permission::Asked);
        self.ask(now, Purpose::Permit(peer), now + REQUEST_PATIENCE, random);
    }

    /// The peer has shown itself: it gets a channel. RFC 8656 section 12.
    pub(crate) fn bind(&mut self, now: Instant, peer: SocketAddr, random: &mut Random) {
        let full = self.channels.len() >= MAX_CHANNELS || !CHANNEL_NUMBERS.contains(&self.next_channel);
        if self.channels.contains_key(&peer) || full {
            return;
        }
        let number = self.next_channel;
        self.next_channel += 1;
        self.channels.insert(peer, Channel { number, is_bound: false, refresh_at: Instant::NEVER });
        self.ask(now, Purpose::Bind(peer), now + REQUEST_PATIENCE, random);
    }

    /// Asks for what would run out, if `needs` says that the peer is still of use.
    pub(crate) fn refresh(&mut self, now: Instant, needs: impl Fn(IpAddr) -> bool, random: &mut Random) {
        if self.state != State::Ready {
            return;
        }
        if self.refresh_at <= now {
            self.refresh_at = Instant::NEVER;
            self.ask(now, Purpose::Refresh, now + REQUEST_PATIENCE, random);
        }
        let is_due = |permission: &Permission| matches!(permission, Permission::Granted(at) if *at <= now);
        let due: Vec<_> = self.permissions.iter().filter(|(_, it)| is_due(it)).map(|(peer, _)| *peer).collect();
        for peer in due {
            if needs(peer) {
                // It is granted for another minute.
                self.permissions.insert(peer, Permission::Granted(Instant::NEVER));
                self.ask(now, Purpose::Permit(peer), now + REQUEST_PATIENCE, random);
            } else {
                self.permissions.remove(&peer);
            }
        }
        let due: Vec<_> = self.channels.iter().filter(|(_, it)| it.refresh_at <= now).map(|(peer, _)| *peer).collect();
        for peer in due {
            let Some(channel) = self.channels.get_mut(&peer) else { continue };
            channel.refresh_at = Instant::NEVER;
            if needs(peer.ip()) {
                self.ask(now, Purpose::Bind(peer), now + REQUEST_PATIENCE, random);
            } else {
                // Its number is not used again for another peer: RFC 8656 section 12 forbids that for a while.
                channel.is_bound = false;
            }
        }
    }

    /// Gives it back. RFC 8656 section 8.1.
    pub(crate) fn leave(&mut self, now: Instant, random: &mut Random) {
        self.asked.clear();
        match self.state {
            State::Ready if self.route().is_some() => {
                self.state = State::Leaving;
                self.ask(now, Purpose::Leave, Instant::NEVER, random);
            }
            _ => self.state = State::Over,
        }
    }

    fn ask(&mut self, now: Instant, purpose: Purpose, deadline: Instant, random: &mut Random) {
        let (id, timeout) = (new_id(random), FIRST_TIMEOUT);
        self.asked.push(Asked { id, purpose, next_at: now, timeout, deadline, signed: false, detours: 0 });
    }

    /// When something is to be sent.
    pub(crate) fn next_transmit(&self) -> Instant {
        self.route().and_then(|_| self.asked.iter().map(|asked| asked.next_at).min()).unwrap_or(Instant::NEVER)
    }

    /// When something else happens.
    pub(crate) fn next_timeout(&self) -> Instant {
        let refusal = self.asked.iter().map(|asked| asked.deadline).min().unwrap_or(Instant::NEVER);
        match self.state {
            State::Connecting(deadline) | State::Allocating(deadline) => deadline.min(refusal),
            State::Ready => {
                let permissions = self.permissions.values().filter_map(|permission| match permission {
                    Permission::Granted(at) => Some(*at),
                    Permission::Asked | Permission::Refused => None,
                });
                let channels = self.channels.values().map(|channel| channel.refresh_at);
                permissions.chain(channels).chain([self.refresh_at, refusal]).min().unwrap_or(Instant::NEVER)
            }
            State::Leaving | State::Over => Instant::NEVER,
        }
    }

    /// Writes the next request that is due.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        room: &mut [u8],
        login: &Login,
        provider: Provider,
    ) -> Option<(Route, usize)> {
        let route = self.route()?;
        let place = self.asked.iter().position(|asked| asked.next_at <= now)?;
        let number = |peer: &SocketAddr| self.channels.get(peer).map(|channel| channel.number);
        let asked = self.asked.get_mut(place)?;
        let method = match asked.purpose {
            Purpose::Allocate => Method::ALLOCATE,
            Purpose::Refresh | Purpose::Leave => Method::REFRESH,
            Purpose::Permit(_) => Method::CREATE_PERMISSION,
            Purpose::Bind(_) => Method::CHANNEL_BIND,
        };
        let mut message = MessageBuilder::new(room, Class::Request, method, asked.id);
        match &asked.purpose {
            Purpose::Allocate => {
                message.requested_transport(UDP);
                match self.only_ipv6 {
                    true => message.address_family(AttributeType::REQUESTED_ADDRESS_FAMILY, true),
                    // Whoever does not know it gives an address of IPv4, as without.
                    false => message.address_family(AttributeType::ADDITIONAL_ADDRESS_FAMILY, true),
                }
            }
            Purpose::Refresh => {}
            Purpose::Leave => message.lifetime(0),
            Purpose::Permit(peer) => message.xor_peer_address(SocketAddr::new(*peer, 0)),
            Purpose::Bind(peer) => {
                message.channel_number(number(peer).unwrap_or_default());
                message.xor_peer_address(*peer);
            }
        }
        if let Some(challenge) = &self.challenge {
            challenge.sign(&mut message, login, provider);
            asked.signed = true;
        }
        message.fingerprint();
        let len = message.finish();
        // A stream repeats by itself.
        asked.next_at = match route {
            Route::Udp(_) if len.is_some() => now + asked.timeout,
            _ => Instant::NEVER,
        };
        asked.timeout = (asked.timeout * 2).min(REQUEST_PATIENCE);
        if asked.purpose == Purpose::Leave {
            // Whether it arrives or not.
            self.asked.clear();
            self.state = State::Over;
        }
        len.map(|len| (route, len))
    }

    pub(crate) fn knows(&self, id: TransactionId) -> bool {
        self.asked.iter().any(|asked| asked.id == id)
    }

    /// What was not answered in time.
    pub(crate) fn expire(&mut self, now: Instant) -> Outcome {
        let no_answer = || Outcome::Failed { code: 701, text: "the server does not answer".to_owned() };
        match self.state {
            State::Connecting(deadline) | State::Allocating(deadline) if deadline <= now => {
                return no_answer();
            }
            State::Over | State::Leaving => return Outcome::Nothing,
            _ => {}
        }
        while let Some(place) = self.asked.iter().position(|asked| asked.deadline <= now) {
            match self.asked.swap_remove(place).purpose {
                Purpose::Allocate | Purpose::Refresh => return no_answer(),
                Purpose::Permit(peer) => drop(self.permissions.insert(peer, Permission::Refused)),
                Purpose::Bind(peer) => self.unbind(peer),
                Purpose::Leave => {}
            }
        }
        Outcome::Nothing
    }

    fn unbind(&mut self, peer: SocketAddr) {
        if let Some(channel) = self.channels.get_mut(&peer) {
            (channel.is_bound, channel.refresh_at) = (false, Instant::NEVER);
        }
    }

    /// An answer to one of its requests. RFC 8656 sections 7.3, 8.3, 10.3, 12.3.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        login: &Login,
        provider: Provider,
        random: &mut Random,
    ) -> Outcome {
        let Some(place) = self.asked.iter().position(|asked| asked.id == message.transaction()) else {
            return Outcome::Nothing;
        };
        let is_signed = message.has_integrity() || message.has_integrity_sha256();
        let is_authentic = self.challenge.as_ref().is_some_and(|challenge| challenge.verifies(message, provider));
        // Errors that say how to sign are not signed themselves. RFC 8489 section 9.2.5.
        let is_success = message.class() == Class::Success;
        if (is_success || is_signed) && !is_authentic {
            return Outcome::Nothing;
        }
        let asked = self.asked.swap_remove(place);
        if is_success && message.not_understood().next().is_none() {
            return self.succeed(now, asked.purpose, message);
        }
        let (code, text) = message.error_code().map_or((400, ""), |error| (error.code, error.reason));
        let failed = || Outcome::Failed { code, text: text.to_owned() };
        let is_new_realm = |challenge: &Challenge| message.realm().is_some_and(|realm| realm != challenge.realm);
        let may_sign = match code {
            // RFC 8489 section 9.2.5: not again with the same credentials in the same realm.
            401 => !asked.signed || self.challenge.as_ref().is_some_and(is_new_realm),
            438 => true,
            _ => false,
        };
        if may_sign && asked.detours < MAX_DETOURS {
            match Challenge::of(message, self.challenge.as_ref(), login, provider) {
                Some(challenge) => self.challenge = Some(challenge),
                None => return failed(),
            }
            let detours = asked.detours + 1;
            self.asked.push(Asked {
                id: new_id(random),
                next_at: now,
                timeout: FIRST_TIMEOUT,
                signed: false,
                detours,
                ..asked
            });
            return Outcome::Nothing;
        }
        match (asked.purpose, code) {
            (Purpose::Allocate, 300) if self.detours < MAX_DETOURS => {
                let alternate = message.address(AttributeType::ALTERNATE_SERVER);
                let usable = alternate.filter(|it| it.is_ipv4() == self.remote.is_ipv4() && it.port() != 0);
                usable.map_or_else(failed, |alternate| self.try_again(alternate))
            }
            // Somebody had the same socket before us: with another, it is another allocation.
            (Purpose::Allocate, 437) if self.detours < MAX_DETOURS => self.try_again(self.remote),
            (Purpose::Allocate, 440) if !self.only_ipv6 => {
                self.only_ipv6 = true;
                self.ask(now, Purpose::Allocate, asked.deadline, random);
                Outcome::Nothing
            }
            (Purpose::Permit(_) | Purpose::Bind(_), 437 | 441) => failed(),
            (Purpose::Permit(peer), _) => {
                self.permissions.insert(peer, Permission::Refused);
                Outcome::Nothing
            }
            (Purpose::Bind(peer), _) => {
                self.unbind(peer);
                Outcome::Nothing
            }
            (Purpose::Leave, _) => Outcome::Nothing,
            (Purpose::Allocate | Purpose::Refresh, _) => failed(),
        }
    }

    fn try_again(&mut self, remote: SocketAddr) -> Outcome {
        self.detours += 1;
        self.challenge = None;
        self.asked.clear();
        Outcome::Again(remote)
    }

    fn succeed(&mut self, now: Instant, purpose: Purpose, message: &Message<'_>) -> Outcome {
        match purpose {
            Purpose::Allocate => {
                let of_relay =
                    |(attribute, _): &(AttributeType, &[u8])| *attribute == AttributeType::XOR_RELAYED_ADDRESS;
                let relayed: Vec<_> = message.attributes().filter(of_relay).collect();
                // One of each family: RFC 8656 section 7.2.
                self.relayed = relayed.iter().take(2).filter_map(|(_, value)| message.xored(value)).collect();
                if self.relayed.is_empty() {
                    return Outcome::Failed { code: 500, text: "no relayed address".to_owned() };
                }
                self.mapped = message.mapped_address();
                self.state = State::Ready;
                self.granted(now, message.lifetime());
                Outcome::Allocated
            }
            Purpose::Refresh => {
                self.granted(now, message.lifetime());
                Outcome::Nothing
            }
            Purpose::Permit(peer) => {
                self.permissions.insert(peer, Permission::Granted(now + PERMISSION_REFRESH));
                Outcome::Nothing
            }
            Purpose::Bind(peer) => {
                if let Some(channel) = self.channels.get_mut(&peer) {
                    (channel.is_bound, channel.refresh_at) = (true, now + CHANNEL_REFRESH);
                }
                Outcome::Nothing
            }
            Purpose::Leave => Outcome::Nothing,
        }
    }

    fn granted(&mut self, now: Instant, seconds: Option<u32>) {
        let lifetime = Duration::from_secs(seconds.unwrap_or(600).max(1).into());
        let pause = lifetime.checked_sub(REFRESH_MARGIN).unwrap_or_default().max(lifetime / 2);
        self.refresh_at = now + pause;
    }
}

fn new_id(random: &mut Random) -> TransactionId {
    let mut id = [0; 12];
    random.fill_bytes(&mut id);
    TransactionId(id)
}
