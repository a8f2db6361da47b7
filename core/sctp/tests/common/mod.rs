//! Two associations at two hosts of the simulated network.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod side;

use std::net::SocketAddr;
use std::ops::{ControlFlow, Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use wigwag_net::{HostId, Link, Machine, Simulation, Verdict};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath, random};
use wigwag_sctp::{Association, ChannelConfig, ChannelId, Config, Event, State, StreamParity};

/// What the tests begin with; what jitter they add reorders.
pub fn link() -> Link {
    Link { delay: Duration::from_millis(20), overtaking: true, ..Link::default() }
}

pub fn association(config: Config, seed: u8) -> Association {
    Association::new(config, random::seeded([seed; 32]), wigwag_crypto::aws_lc_rs())
}

/// One end, and what it told.
pub struct End {
    pub association: Association,
    pub events: Vec<Event>,
    /// Whether it takes its events.
    pub consuming: bool,
    /// The size of its packets.
    pub room: usize,
    path: UdpPath,
    /// When to come back for output that is left.
    output_at: Instant,
}

impl Deref for End {
    type Target = Association;
    fn deref(&self) -> &Association {
        &self.association
    }
}

impl DerefMut for End {
    fn deref_mut(&mut self) -> &mut Association {
        &mut self.association
    }
}

impl End {
    pub fn new(association: Association, path: UdpPath) -> Self {
        Self { association, events: Vec::new(), consuming: true, room: 1200, path, output_at: Instant(0) }
    }

    pub fn open(&mut self, label: &str) -> ChannelId {
        self.open_channel(ChannelConfig { label: label.into(), ..ChannelConfig::default() }).unwrap()
    }

    /// Messages that it got, with their channels.
    pub fn messages(&self) -> Vec<(ChannelId, Bytes)> {
        let message = |event: &Event| match event {
            Event::Message { channel, data, .. } => Some((*channel, data.clone())),
            _ => None,
        };
        self.events.iter().filter_map(message).collect()
    }

    pub fn closed_channels(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::ChannelClosed(_))).count()
    }

    fn take_events(&mut self) {
        while self.consuming
            && let Some(event) = self.association.poll_event()
        {
            self.events.push(event);
        }
    }
}

impl Machine for End {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { panic!("{input:?}") };
        for packet in received.datagrams() {
            self.association.handle_packet(now, packet);
        }
        self.output_at = now;
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.output_at = now + Duration::from_micros(1);
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.output_at = now;
        out.start();
        let len = self.association.write_packet(now, out.segment(self.room)?);
        self.take_events();
        out.push(len?);
        out.finish(Route::Udp(self.path))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let output = self.association.can_transmit().then_some(self.output_at);
        output.into_iter().chain(self.association.poll_timeout()).min()
    }
    fn step(&mut self, _now: Instant) {
        self.take_events();
    }
    fn can_transmit(&self) -> Option<bool> {
        Some(self.association.can_transmit())
    }
}

pub type Pair = Simulation<End>;

pub const ADDRESSES: [&str; 2] = ["10.0.0.1:5000", "10.0.0.2:5000"];

/// The path between the two, as `end` sees it.
pub fn path(end: usize) -> UdpPath {
    let [one, two] = ADDRESSES.map(|address| address.parse::<SocketAddr>().unwrap());
    let path = UdpPath { local: one, remote: two };
    if end == 0 { path } else { path.reversed() }
}

pub fn new_pair(link: Link, seed: u64) -> Pair {
    pair_with(link, seed, Config::default(), Config::default())
}

pub fn pair_with(link: Link, seed: u64, one: Config, two: Config) -> Pair {
    let mut seeds = [0; 32];
    seeds[..8].copy_from_slice(&seed.to_le_bytes());
    let mut source = random::seeded(seeds);
    let mut pair = Simulation::new(seed);
    pair.network.set_default_link(link);
    for (end, (config, parity)) in [(one, StreamParity::Even), (two, StreamParity::Odd)].into_iter().enumerate() {
        let mut association = Association::new(config, random::fork(&mut source), wigwag_crypto::aws_lc_rs());
        association.set_role(parity);
        pair.add([path(end).local.ip()], End::new(association, path(end)));
    }
    pair
}

pub fn connected_pair(link: Link, seed: u64) -> Pair {
    let mut pair = new_pair(link, seed);
    pair.connect();
    pair
}

/// Every packet that was put on the wire: to which end, and what.
pub type Trace = Arc<Mutex<Vec<(usize, Vec<u8>)>>>;

/// What the tests do with both ends.
pub trait Ends {
    fn host(&self, end: usize) -> HostId;
    fn end(&self, end: usize) -> &End;
    fn end_mut(&mut self, end: usize) -> &mut End;
    fn both(&self, is: impl Fn(&End) -> bool) -> bool;
    /// Both sides call `connect`.
    fn connect(&mut self);
    /// The channel of that label at the other end.
    fn named(&self, end: usize, label: &str) -> Option<ChannelId>;
    /// Begins to record.
    fn trace(&mut self) -> Trace;
    fn set_loss(&mut self, loss: f64);
    /// Runs until `done`, which sees all events; fails after `limit`.
    fn until(&mut self, limit: Duration, done: impl FnMut(&mut Self) -> bool);
}

impl Ends for Pair {
    fn host(&self, end: usize) -> HostId {
        self.hosts().nth(end).unwrap()
    }

    fn end(&self, end: usize) -> &End {
        self.machine(self.host(end)).unwrap()
    }

    fn end_mut(&mut self, end: usize) -> &mut End {
        self.machine_mut(self.host(end)).unwrap()
    }

    fn both(&self, is: impl Fn(&End) -> bool) -> bool {
        is(self.end(0)) && is(self.end(1))
    }

    fn connect(&mut self) {
        let now = self.now();
        self.end_mut(0).association.connect(now);
        self.end_mut(1).association.connect(now);
        self.until(Duration::from_secs(60), |pair| pair.both(|end| end.state() == State::Connected));
    }

    fn named(&self, end: usize, label: &str) -> Option<ChannelId> {
        let end = self.end(end);
        end.events.iter().rev().find_map(|event| match event {
            Event::ChannelOpened(id) => end.channel(*id).filter(|info| info.config.label == label).map(|_| *id),
            _ => None,
        })
    }

    fn trace(&mut self) -> Trace {
        let trace = Trace::default();
        let record = trace.clone();
        self.network.set_filter(move |sent| {
            let to = usize::from(sent.path.remote == path(1).local);
            record.lock().unwrap().push((to, sent.bytes.to_vec()));
            Verdict::Pass
        });
        trace
    }

    fn set_loss(&mut self, loss: f64) {
        let link = self.network.link(path(0).local.ip(), path(1).local.ip());
        self.network.set_default_link(Link { loss, ..link });
    }

    fn until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let outcome = self.run(limit, |pair| {
            pair.end_mut(0).take_events();
            pair.end_mut(1).take_events();
            if done(pair) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(failure) = outcome {
            let ends = [self.end(0), self.end(1)].map(|end| (end.state(), end.stats()));
            panic!("{failure}: {ends:?}");
        }
    }
}

/// A packet of chunks, each a type, flags and a value.
pub fn packet(tag: u32, chunks: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut packet = [5000_u16.to_be_bytes(), 5000_u16.to_be_bytes()].concat();
    packet.extend_from_slice(&tag.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    for (kind, flags, value) in chunks {
        packet.extend_from_slice(&[*kind, *flags]);
        packet.extend_from_slice(&((value.len() + 4) as u16).to_be_bytes());
        packet.extend_from_slice(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    checksum(&mut packet);
    packet
}

/// Makes the checksum right.
pub fn checksum(packet: &mut [u8]) {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let crc = crc32c::crc32c(packet);
        packet[8..12].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The verification tag.
pub fn tag_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[4..8].try_into().unwrap())
}

/// The types of a packet's chunks.
pub fn chunk_types(packet: &[u8]) -> Vec<u8> {
    let (mut types, mut rest) = (Vec::new(), &packet[12..]);
    while let [kind, _, l0, l1, ..] = *rest {
        types.push(kind);
        let length = usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4);
        rest = &rest[length.min(rest.len())..];
    }
    types
}
