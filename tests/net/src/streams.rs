//! Streams: reliable, ordered bytes between two hosts, as TCP and TLS give them.
//!
//! ```text
//!   opener                                   listener
//!     │ Syn ──────────────────────────────────▶ │
//!     │ ◀─────────────────────── SynAck, Reset  │  nobody listens: refused
//!     │ Hello ────────────────────────────────▶ │  TLS: one more round trip, and nothing is encrypted
//!     │ ◀───────────────────────────── HelloBack│
//!     │ Data ... ◀──────────────────────▶ ... Data, Fin
//! ```
//!
//! Each segment goes over the same roads as datagrams do: it takes their delay, waits in their queues, and is lost where they
//! lose it (a corrupted one is, too: TCP has a checksum). What is lost leaves again after twice the round trip, at least 200 ms,
//! twice that the next time, and so on; what came meanwhile waits for it. So loss costs a stream time, as it does in reality. What is
//! simplified: no acknowledgements travel, there is no congestion control, segments are never too big, and no capture has them.
//!
//! NATs let streams out and none in: each has an outer port of its own, and lasts as long as its ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wigwag_proto::{Instant, StreamId, UdpPath};

use crate::link::Link;
use crate::network::{Network, Owner};
use crate::packet::Packet;
use crate::realm::Realm;
use crate::schedule::Schedule;
use crate::stats::{HostId, Sent, Verdict};
use crate::transit::{End, Event, RoadId};

/// Bytes of one direction that have not arrived: what a kernel holds. A write that does not fit is lost as a whole.
pub(crate) const WINDOW: usize = 256 << 10;
/// IP and TCP headers, with timestamps, over IPv6.
const HEADERS: usize = 72;
const MIN_RESEND: Duration = Duration::from_millis(200);
const MAX_RESEND: Duration = Duration::from_secs(60);
const FIRST_RESEND: Duration = Duration::from_secs(1);
/// A handshake is given up after a minute, data after some minutes.
const MAX_ATTEMPTS: [u32; 2] = [6, 10];
const FIRST_OUTER_PORT: u16 = 40_000;
const FIRST_EPHEMERAL_PORT: u16 = 49_152;

/// A piece of a stream on its way.
#[derive(Clone)]
pub(crate) struct Segment {
    stream: usize,
    /// Which end sent it: 0 is who opened the stream.
    side: usize,
    number: u64,
    kind: Kind,
    hop: usize,
    attempt: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Hello,
    HelloBack,
    Data,
    Fin,
    Reset,
}

/// A road, and where it is.
#[derive(Clone, Copy)]
struct Hop {
    road: RoadId,
    end: End,
    realm: Realm,
    from: IpAddr,
    to: IpAddr,
}

struct Stream {
    hosts: [HostId; 2],
    /// In which realm, and with which address; to look up whether it is still theirs.
    places: [(Realm, SocketAddr); 2],
    /// Whom the listener sees.
    outer: SocketAddr,
    ids: [Option<StreamId>; 2],
    hops: [Vec<Hop>; 2],
    flows: [Flow; 2],
    /// The name that a certificate must have.
    server_name: Option<String>,
    is_over: bool,
}

/// One direction.
#[derive(Default)]
struct Flow {
    next: u64,
    expected: u64,
    early: BTreeMap<u64, (Kind, Vec<u8>)>,
    outstanding: usize,
}

/// Who accepts.
struct Listener {
    /// TLS, with a certificate for these names.
    names: Option<Vec<String>>,
}

/// What a host is told of its streams.
pub(crate) enum StreamEvent {
    Opened { to: HostId, id: StreamId, local: SocketAddr },
    Refused { to: HostId, id: StreamId },
    Accepted { to: HostId, id: StreamId, local: SocketAddr, remote: SocketAddr },
    Data { to: HostId, id: StreamId, bytes: Vec<u8> },
    Closed { to: HostId, id: StreamId },
}

#[derive(Default)]
pub(crate) struct Streams {
    all: Vec<Stream>,
    by_id: BTreeMap<(HostId, StreamId), (usize, usize)>,
    listeners: BTreeMap<(HostId, SocketAddr), Listener>,
    accepted: BTreeMap<HostId, u32>,
    next_port: BTreeMap<(Realm, IpAddr), u16>,
    events: Schedule<StreamEvent>,
    /// Ports of datagrams that were asked for.
    pub bound: BTreeSet<(HostId, SocketAddr)>,
}

impl Streams {
    pub fn next(&self) -> Option<Instant> {
        self.events.next()
    }

    fn port(&mut self, realm: Realm, address: IpAddr, first: u16) -> u16 {
        let next = self.next_port.entry((realm, address)).or_insert(first);
        let port = *next;
        *next = next.checked_add(1).unwrap_or(first);
        port
    }
}

impl Network {
    /// Accepts streams; with TLS for certificates with these `names`.
    pub(crate) fn listen(&mut self, host: HostId, local: SocketAddr, names: Option<Vec<String>>) {
        self.streams.listeners.insert((host, local), Listener { names });
    }

    pub(crate) fn close_listener(&mut self, host: HostId, local: SocketAddr) {
        self.streams.listeners.remove(&(host, local));
    }

    /// A port that is free at the host: of datagrams or streams.
    pub(crate) fn free_port(&mut self, host: HostId, address: IpAddr) -> u16 {
        let realm = self.realm_of(Some(host), address).map_or(Realm::INTERNET, |(realm, _)| realm);
        self.streams.port(realm, address, FIRST_EPHEMERAL_PORT)
    }

    /// Begins to open a stream; `false` if the host has no address to do so from.
    pub(crate) fn open_stream(
        &mut self,
        now: Instant,
        host: HostId,
        id: StreamId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        server_name: Option<String>,
    ) -> bool {
        let mut places = self.places(host).into_iter();
        let fits = |ip: IpAddr| local.map_or(ip.is_ipv4() == remote.is_ipv4(), |local| local.ip() == ip);
        let Some((realm, ip)) = places.find(|(_, ip)| fits(*ip)) else { return false };
        let port = match local.map_or(0, |local| local.port()) {
            0 => self.streams.port(realm, ip, FIRST_EPHEMERAL_PORT),
            port => port,
        };
        let local = SocketAddr::new(ip, port);
        let route = self.route(realm, local, remote);
        let index = self.streams.all.len();
        self.streams.by_id.insert((host, id), (index, 0));
        let Some((hops, outer, far_realm, far)) = route else {
            // Nobody is there, or a NAT: silence, until it is given up.
            let patience = FIRST_RESEND * (1 << (MAX_ATTEMPTS[0] - 1));
            self.streams.events.push(now + patience, StreamEvent::Refused { to: host, id });
            self.stats.unroutable += 1;
            return true;
        };
        self.streams.all.push(Stream {
            hosts: [host, far],
            places: [(realm, local), (far_realm, remote)],
            outer,
            ids: [Some(id), None],
            hops,
            flows: [Flow::default(), Flow::default()],
            server_name,
            is_over: false,
        });
        self.say(now, index, 0, Kind::Syn, Vec::new());
        true
    }

    /// The roads there and back, the address that is seen there, and who is there.
    fn route(
        &mut self,
        mut realm: Realm,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<([Vec<Hop>; 2], SocketAddr, Realm, HostId)> {
        let to = remote.ip();
        let (mut there, mut back) = (Vec::new(), Vec::new());
        let mut from = local;
        while self.way_out(realm, to).is_some() {
            let [up, down] = self.access_roads(realm)?;
            let (outer, address) = self.stream_exit(realm, from.ip())?;
            there.push(Hop { road: up, end: End::Nat(realm), realm, from: from.ip(), to });
            back.push(Hop { road: down, end: End::Address(realm), realm, from: to, to: from.ip() });
            from = SocketAddr::new(address, self.streams.port(outer, address, FIRST_OUTER_PORT));
            realm = outer;
        }
        let Some(Owner::Host(host)) = self.owner(realm, to) else { return None };
        let hop = |network: &mut Self, from, to| {
            let road = network.road_id(realm, from, to);
            Hop { road, end: End::Address(realm), realm, from, to }
        };
        there.push(hop(self, from.ip(), to));
        back.push(hop(self, to, from.ip()));
        back.reverse();
        Some(([there, back], from, realm, host))
    }

    /// Sends bytes of a stream. What does not fit into the window is lost, and counted.
    pub(crate) fn send_stream(&mut self, now: Instant, host: HostId, id: StreamId, bytes: &[u8]) {
        let Some(&(index, side)) = self.streams.by_id.get(&(host, id)) else {
            self.stats.unroutable += 1;
            return;
        };
        let Some(stream) = self.streams.all.get(index).filter(|stream| !stream.is_over) else { return };
        let hops = stream.hops[side].clone();
        if stream.flows[side].outstanding + bytes.len() > WINDOW {
            self.stats.queue_full += 1;
            return;
        }
        let mtu = hops.iter().map(|hop| self.link_of(hop.road, hop.realm, hop.from, hop.to).mtu).min();
        let size = mtu.unwrap_or(1500).saturating_sub(HEADERS).max(1);
        for piece in bytes.chunks(size) {
            self.say(now, index, side, Kind::Data, piece.to_vec());
        }
    }

    /// Ends a stream, after what was sent on it.
    pub(crate) fn close_stream(&mut self, now: Instant, host: HostId, id: StreamId) {
        if let Some((index, side)) = self.streams.by_id.remove(&(host, id)) {
            if let Some(stream) = self.streams.all.get_mut(index) {
                stream.ids[side] = None;
            }
            self.say(now, index, side, Kind::Fin, Vec::new());
        }
    }

    /// The next that a host is told by `now`.
    pub(crate) fn poll_stream(&mut self, now: Instant) -> Option<StreamEvent> {
        self.advance(now);
        loop {
            let (_, event) = self.streams.events.pop(now)?;
            // It was closed from inside meanwhile.
            let (to, id) = match event {
                StreamEvent::Opened { to, id, .. } | StreamEvent::Refused { to, id } => (to, id),
                StreamEvent::Accepted { to, id, .. } | StreamEvent::Data { to, id, .. } => (to, id),
                StreamEvent::Closed { to, id } => (to, id),
            };
            let is_known = self.streams.by_id.contains_key(&(to, id));
            if matches!(event, StreamEvent::Closed { .. } | StreamEvent::Refused { .. }) {
                self.streams.by_id.remove(&(to, id));
            }
            if is_known {
                return Some(event);
            }
        }
    }

    fn say(&mut self, now: Instant, stream: usize, side: usize, kind: Kind, bytes: Vec<u8>) {
        let Some(it) = self.streams.all.get_mut(stream).filter(|it| !it.is_over) else { return };
        let flow = &mut it.flows[side];
        let number = flow.next;
        flow.next += 1;
        flow.outstanding += bytes.len();
        let segment = Segment { stream, side, number, kind, hop: 0, attempt: 0 };
        let ends = if side == 0 { [it.places[0].1, it.places[1].1] } else { [it.places[1].1, it.outer] };
        let path = UdpPath { local: ends[0], remote: ends[1] };
        // A handshake of TLS has a certificate in it.
        let bytes = match kind {
            Kind::Hello => vec![0x16; 517],
            Kind::HelloBack => vec![0x16; 1200],
            _ => bytes,
        };
        let packet = Packet { path, bytes, ecn: 0, origin: None, is_ghost: false, segment: Some(Box::new(segment)) };
        self.put_segment(now, packet);
    }

    /// A segment leaves, perhaps not for the first time.
    pub(crate) fn put_segment(&mut self, now: Instant, packet: Packet) {
        self.advance(now);
        let Some(segment) = packet.segment.as_deref() else { return };
        let Some(stream) = self.streams.all.get(segment.stream).filter(|stream| !stream.is_over) else { return };
        let (realm, address) = stream.places[segment.side];
        let is_there = self.owner(realm, address.ip()) == Some(Owner::Host(stream.hosts[segment.side]));
        let number = self.stats.sent;
        self.count_sent(now, &packet);
        let verdict = match self.filter.as_mut() {
            None => Verdict::Pass,
            Some(filter) => filter(&Sent { number, at: now, path: packet.path, bytes: &packet.bytes, is_stream: true }),
        };
        if !is_there {
            self.stats.unroutable += 1;
            self.resend(now, packet);
        } else if self.scripted.contains(&number) || verdict == Verdict::Drop {
            self.stats.dropped += 1;
            self.resend(now, packet);
        } else {
            self.enter_hop(now, packet);
        }
    }

    fn enter_hop(&mut self, now: Instant, packet: Packet) {
        let Some(segment) = packet.segment.as_deref() else { return };
        let hops = self.streams.all.get(segment.stream).map(|stream| &stream.hops[segment.side]);
        let Some(Hop { road, end, realm, from, to }) = hops.and_then(|hops| hops.get(segment.hop)).copied() else {
            return;
        };
        let link = self.link_of(road, realm, from, to);
        let loss = link.loss + link.corruption - link.loss * link.corruption;
        let link = Link { loss, corruption: 0.0, duplication: 0.0, mtu: usize::MAX, ..link };
        self.enter(now, road, &link, end, packet);
    }

    /// A segment was lost: it leaves again later.
    pub(crate) fn resend(&mut self, now: Instant, mut packet: Packet) {
        let Some(segment) = packet.segment.as_deref_mut() else { return };
        let index = segment.stream;
        let is_handshake = !matches!(segment.kind, Kind::Data | Kind::Fin);
        segment.attempt += 1;
        segment.hop = 0;
        let attempt = segment.attempt;
        if attempt >= MAX_ATTEMPTS[usize::from(!is_handshake)] {
            self.end(now, index);
            return;
        }
        let first = if is_handshake { FIRST_RESEND } else { MIN_RESEND.max(self.round_trip(index) * 2) };
        let pause = (first * (1 << (attempt - 1).min(16))).min(MAX_RESEND);
        self.inner.push(now + pause, Event::Resend(packet));
    }

    /// Without queues.
    fn round_trip(&self, index: usize) -> Duration {
        let hops = self.streams.all.get(index).into_iter().flat_map(|stream| stream.hops.iter().flatten());
        hops.map(|hop| self.link_of(hop.road, hop.realm, hop.from, hop.to).delay).sum()
    }

    /// A segment is at the end of a road.
    pub(crate) fn segment_arrived(&mut self, now: Instant, mut packet: Packet) {
        let Some(segment) = packet.segment.as_deref_mut() else { return };
        let Some(stream) = self.streams.all.get(segment.stream).filter(|stream| !stream.is_over) else { return };
        segment.hop += 1;
        if segment.hop < stream.hops[segment.side].len() {
            self.enter_hop(now, packet);
            return;
        }
        let other = 1 - segment.side;
        let (realm, address) = stream.places[other];
        if self.owner(realm, address.ip()) != Some(Owner::Host(stream.hosts[other])) {
            self.stats.unroutable += 1;
            self.resend(now, packet);
            return;
        }
        self.stats.delivered += 1;
        let (index, side, number, kind) = (segment.stream, segment.side, segment.number, segment.kind);
        let Some(stream) = self.streams.all.get_mut(index) else { return };
        let flow = &mut stream.flows[side];
        if number >= flow.expected {
            flow.early.insert(number, (kind, packet.bytes));
        }
        while let Some((kind, bytes)) = self.next_in_order(index, side) {
            self.take_in(now, index, side, kind, bytes);
        }
    }

    fn next_in_order(&mut self, index: usize, side: usize) -> Option<(Kind, Vec<u8>)> {
        let flow = &mut self.streams.all.get_mut(index)?.flows[side];
        let taken = flow.early.remove(&flow.expected)?;
        flow.expected += 1;
        Some(taken)
    }

    fn take_in(&mut self, now: Instant, index: usize, side: usize, kind: Kind, bytes: Vec<u8>) {
        let Some(stream) = self.streams.all.get_mut(index).filter(|stream| !stream.is_over) else { return };
        let other = 1 - side;
        let (to, id) = (stream.hosts[other], stream.ids[other]);
        match kind {
            Kind::Syn => {
                let (_, local) = stream.places[1];
                let is_tls = stream.server_name.is_some();
                let listener = self.streams.listeners.get(&(to, local));
                match listener.filter(|listener| listener.names.is_some() == is_tls) {
                    None => self.say(now, index, 1, Kind::Reset, Vec::new()),
                    Some(_) => {
                        if !is_tls {
                            self.accept(now, index);
                        }
                        self.say(now, index, 1, Kind::SynAck, Vec::new());
                    }
                }
            }
            Kind::SynAck if stream.server_name.is_some() => self.say(now, index, 0, Kind::Hello, Vec::new()),
            Kind::Hello => {
                let listener = self.streams.listeners.get(&(to, stream.places[1].1));
                let names = listener.and_then(|listener| listener.names.as_ref());
                let is_named = |name: &String| names.is_some_and(|names| names.contains(name));
                match stream.server_name.as_ref().is_some_and(is_named) {
                    false => self.say(now, index, 1, Kind::Reset, Vec::new()),
                    true => {
                        self.accept(now, index);
                        self.say(now, index, 1, Kind::HelloBack, Vec::new());
                    }
                }
            }
            Kind::SynAck | Kind::HelloBack => {
                let (_, local) = stream.places[0];
                if let Some(id) = id {
                    self.streams.events.push(now, StreamEvent::Opened { to, id, local });
                }
            }
            Kind::Data => {
                stream.flows[side].outstanding -= bytes.len();
                if let Some(id) = id {
                    self.streams.events.push(now, StreamEvent::Data { to, id, bytes });
                }
            }
            Kind::Reset => {
                stream.is_over = true;
                if let Some(id) = id {
                    self.streams.events.push(now, StreamEvent::Refused { to, id });
                }
            }
            Kind::Fin => self.end(now, index),
        }
    }

    fn accept(&mut self, now: Instant, index: usize) {
        let Some(stream) = self.streams.all.get_mut(index) else { return };
        let (to, local, remote) = (stream.hosts[1], stream.places[1].1, stream.outer);
        let count = self.streams.accepted.entry(to).or_default();
        let id = StreamId::accepted(*count);
        *count += 1;
        stream.ids[1] = Some(id);
        self.streams.by_id.insert((to, id), (index, 1));
        self.streams.events.push(now, StreamEvent::Accepted { to, id, local, remote });
    }

    /// Nothing more comes of a stream.
    fn end(&mut self, now: Instant, index: usize) {
        let Some(stream) = self.streams.all.get_mut(index) else { return };
        stream.is_over = true;
        stream.flows = [Flow::default(), Flow::default()];
        for (to, id) in stream.hosts.into_iter().zip(stream.ids) {
            if let Some(id) = id {
                self.streams.events.push(now, StreamEvent::Closed { to, id });
            }
        }
    }

    /// The machine of a host is gone, and with it the kernel that kept its streams: no word is said.
    pub(crate) fn forget_streams(&mut self, host: HostId) {
        let Streams { all, by_id, listeners, bound, .. } = &mut self.streams;
        by_id.retain(|(of, _), (index, side)| {
            if *of == host
                && let Some(stream) = all.get_mut(*index)
            {
                stream.ids[*side] = None;
            }
            *of != host
        });
        listeners.retain(|(of, _), _| *of != host);
        bound.retain(|(of, _)| *of != host);
    }
}
