//! Two connections with their applications on the simulated network.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod calls;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use wigwag::{
    ChannelId, ChannelInit, Config, ConnectionState, Event, Input, Instant, MediaKind, Message, PeerConnection, RtpIn,
    RtpOut, SendError, TransceiverId, TransceiverInit, Transmit, TransmitBuffer,
};
use wigwag_net::{HostId, Machine, Simulation};

/// A connection and what an application does with it.
pub struct App {
    pub pc: PeerConnection,
    /// Everything that arrives on a channel goes back.
    pub echoes: bool,
    /// While false, no event is taken.
    pub listens: bool,
    /// What is to be sent, as far as there is room.
    pub outbox: VecDeque<(ChannelId, Message)>,
    pub inbox: BTreeMap<ChannelId, Vec<Message>>,
    pub opened: Vec<ChannelId>,
    pub closed: Vec<ChannelId>,
    pub states: Vec<ConnectionState>,
    /// Tracks that the peer sends now, packets that arrived, requests for key frames.
    pub tracks: Vec<TransceiverId>,
    pub packets: Vec<(TransceiverId, RtpIn)>,
    pub key_frame_requests: Vec<TransceiverId>,
    /// The most datagrams that one transmit had.
    pub largest_batch: usize,
}

impl App {
    pub fn new(pc: PeerConnection) -> Self {
        Self {
            pc,
            echoes: false,
            listens: true,
            outbox: VecDeque::new(),
            inbox: BTreeMap::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            states: Vec::new(),
            tracks: Vec::new(),
            packets: Vec::new(),
            key_frame_requests: Vec::new(),
            largest_batch: 0,
        }
    }

    /// Messages that arrived, on all channels.
    pub fn heard(&self) -> usize {
        self.inbox.values().map(Vec::len).sum()
    }

    fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Track(id) => self.tracks.push(id),
            Event::TrackRemoved(id) => self.tracks.retain(|track| *track != id),
            Event::KeyFrameRequest(id) => self.key_frame_requests.push(id),
            Event::Rtp { transceiver, packet } => {
                if self.echoes {
                    self.pc.write_rtp(now, transceiver, RtpOut::from(&packet)).unwrap();
                }
                self.packets.push((transceiver, packet));
            }
            Event::Message { channel, message } => {
                if self.echoes {
                    self.outbox.push_back((channel, message.clone()));
                }
                self.inbox.entry(channel).or_default().push(message);
            }
            Event::DataChannel(id) | Event::ChannelOpen(id) => self.opened.push(id),
            Event::ChannelClosed(id) => self.closed.push(id),
            Event::ConnectionStateChange(state) => self.states.push(state),
            _ => {}
        }
    }
}

impl Machine for App {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.pc.handle_input(now, input);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.pc.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        let transmit = self.pc.poll_transmit(now, out)?;
        self.largest_batch = self.largest_batch.max(transmit.len.div_ceil(transmit.segment_size));
        Some(transmit)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.pc.poll_timeout()
    }
    fn step(&mut self, now: Instant) {
        while self.listens
            && let Some(event) = self.pc.poll_event()
        {
            self.hear(now, event);
        }
        while let Some((channel, message)) = self.outbox.pop_front() {
            match self.pc.send(channel, message.clone()) {
                Ok(()) => {}
                Err(SendError::Full) => return self.outbox.push_front((channel, message)),
                Err(error) => panic!("not sent: {error}"),
            }
        }
    }
}

pub const ADDRESSES: [&str; 2] = ["10.0.0.1:1000", "10.0.0.2:2000"];

pub fn address(side: usize) -> SocketAddr {
    ADDRESSES[side].parse().unwrap()
}

pub fn config(seed: u64, side: u8) -> Config {
    let mut bytes = [side; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    Config::new(bytes)
}

/// One side, with its socket, without a network: for offers and answers alone.
pub fn connection(n: u8) -> PeerConnection {
    let mut connection = PeerConnection::new(config(7, n)).unwrap();
    connection.add_udp_socket(Instant(1_000_000), address(usize::from(n) - 1)).unwrap();
    connection
}

/// The same, with a transceiver of each of these kinds.
pub fn with(n: u8, kinds: &[MediaKind]) -> (PeerConnection, Vec<TransceiverId>) {
    let mut connection = connection(n);
    let ids = kinds.iter().map(|kind| connection.add_transceiver(*kind, TransceiverInit::default()).unwrap()).collect();
    (connection, ids)
}

/// All that it has told and nobody has taken.
pub fn events(connection: &mut PeerConnection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

/// Whether it told that an offer should be made. Takes all events.
pub fn needs_negotiation(connection: &mut PeerConnection) -> bool {
    events(connection).iter().any(|event| matches!(event, Event::NegotiationNeeded))
}

/// An offerer with a channel and an answerer that echoes; nothing is said yet.
pub fn apps(configs: [Config; 2]) -> ([App; 2], ChannelId) {
    let [mut offerer, mut answerer] = configs.map(|config| App::new(PeerConnection::new(config).unwrap()));
    for (side, app) in [&mut offerer, &mut answerer].into_iter().enumerate() {
        app.pc.add_udp_socket(Simulation::<App>::START, address(side)).unwrap();
    }
    let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
    answerer.echoes = true;
    ([offerer, answerer], channel)
}

/// Offer and answer, carried by a signalling that takes no time.
pub fn negotiate(now: Instant, offerer: &mut PeerConnection, answerer: &mut PeerConnection) {
    let offer = offerer.set_local_description_implicitly(now).unwrap();
    answerer.set_remote_description(now, offer).unwrap();
    let answer = answerer.set_local_description_implicitly(now).unwrap();
    offerer.set_remote_description(now, answer).unwrap();
}

pub struct Pair {
    pub simulation: Simulation<App>,
    pub offerer: HostId,
    pub answerer: HostId,
    /// The offerer's channel.
    pub channel: ChannelId,
}

impl Pair {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, [config(seed, 1), config(seed, 2)])
    }

    pub fn with(seed: u64, configs: [Config; 2]) -> Self {
        let ([mut offerer, mut answerer], channel) = apps(configs);
        negotiate(Simulation::<App>::START, &mut offerer.pc, &mut answerer.pc);
        Self::join(seed, [offerer, answerer], channel)
    }

    pub fn join(seed: u64, [offerer, answerer]: [App; 2], channel: ChannelId) -> Self {
        let mut simulation = Simulation::new(seed);
        let offerer = simulation.add([address(0).ip()], offerer);
        let answerer = simulation.add([address(1).ip()], answerer);
        Self { simulation, offerer, answerer, channel }
    }

    pub fn offerer(&mut self) -> &mut App {
        self.simulation.machine_mut(self.offerer).unwrap()
    }

    pub fn answerer(&mut self) -> &mut App {
        self.simulation.machine_mut(self.answerer).unwrap()
    }
}

/// Both ends, to look at.
pub fn both(simulation: &Simulation<App>, find: impl Fn(&App) -> bool) -> bool {
    simulation.hosts().all(|host| simulation.machine(host).is_some_and(&find))
}

/// A message that says which one it is.
pub fn numbered(n: usize, len: usize) -> Message {
    let mut bytes = vec![n as u8; len.max(8)];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    Message::binary(bytes)
}

/// Whether exactly the messages 0 to `count` arrived, in order.
pub fn in_order(messages: &[Message], count: usize) -> bool {
    messages.len() == count
        && messages.iter().enumerate().all(|(n, message)| message.data[..8] == (n as u64).to_be_bytes())
}
