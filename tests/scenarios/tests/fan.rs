//! Scenario 27: one sender, five hundred receivers behind one socket.
//!
//! Work is counted in what a server does, which is the same on every machine: connections that were looked at, and batches that were sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::time::Duration;

use wigwag::{
    ConnectionId, ConnectionSet, ConnectionState, Direction, Endpoint, Input, Instant, MediaKind, OutboundStats,
    PeerConnection, TransceiverId, TransceiverInit, Transmit, TransmitBuffer,
};
use wigwag_net::{HostId, Machine};
use wigwag_scenarios::media::Source;
use wigwag_scenarios::{Link, Peer, Simulation, config, for_each_seed};

const START: Instant = Simulation::<Peer>::START;
const SERVER: &str = "10.1.0.1:5000";
const SECONDS: u64 = 5;

/// Many connections, and one picture for all of them.
struct Server {
    endpoint: Endpoint,
    set: ConnectionSet,
    tracks: Vec<(ConnectionId, TransceiverId, Source)>,
    outbox: VecDeque<(Transmit, Vec<u8>)>,
    memory: Vec<u8>,
    looks: u64,
}

impl Server {
    fn new() -> Self {
        Self {
            endpoint: Endpoint::default(),
            set: ConnectionSet::default(),
            tracks: Vec::new(),
            outbox: VecDeque::new(),
            memory: vec![0; wigwag::transmit::MAX_BATCH_BYTES],
            looks: 0,
        }
    }

    /// Writes what is due and polls the ready.
    fn work(&mut self, now: Instant) {
        let Self { endpoint, set, tracks, outbox, memory, looks } = self;
        for (id, _, source) in tracks.iter_mut().filter(|(_, _, source)| source.due().is_some_and(|due| due <= now)) {
            source.write(now, set.get_mut(*id).unwrap());
        }
        while let Some(mut ready) = set.next_ready(now) {
            *looks += 1;
            let mut out = TransmitBuffer::new(memory, 64);
            while ready.poll_event().is_some() {}
            while let Some(transmit) = ready.poll_transmit(now, &mut out) {
                outbox.push_back((transmit, out.bytes(&transmit).to_vec()));
            }
            while let Some(event) = ready.poll_endpoint_event() {
                assert_eq!(endpoint.handle_event(ready.id, event), None);
            }
        }
    }
}

/// What runs at a host.
enum Node {
    Server(Box<Server>),
    Client(Box<Peer>),
}

impl Machine for Node {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match (self, input) {
            (Self::Client(peer), input) => peer.handle_input(now, input),
            (Self::Server(server), Input::Datagrams(received)) => {
                let first = received.segment_size.min(received.bytes.len());
                if let Some(id) = server.endpoint.route(received.path, &received.bytes[..first]) {
                    server.set.get_mut(id).unwrap().handle_input(now, Input::Datagrams(received));
                }
            }
            _ => {}
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Client(peer) => peer.handle_timeout(now),
            Self::Server(server) => server.work(now),
        }
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        let server = match self {
            Self::Client(peer) => return peer.poll_transmit(now, out),
            Self::Server(server) => server,
        };
        let (transmit, bytes) = server.outbox.pop_front()?;
        out.start();
        for datagram in bytes.chunks(transmit.segment_size) {
            out.segment(datagram.len()).unwrap().copy_from_slice(datagram);
            out.push(datagram.len());
        }
        out.finish(transmit.route)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Client(peer) => peer.poll_timeout(),
            Self::Server(server) => {
                server.tracks.iter().filter_map(|(_, _, source)| source.due()).chain(server.set.poll_timeout()).min()
            }
        }
    }
    fn step(&mut self, now: Instant) {
        match self {
            Self::Client(peer) => peer.step(now),
            Self::Server(server) => server.work(now),
        }
    }
}

struct Outcome {
    looks: u64,
    sent: u64,
    outbound: Vec<OutboundStats>,
    heard: Vec<u64>,
}

/// So many receivers connect; then each gets the same video, over links that lose.
fn fan(seed: u64, receivers: u16, packets: u32, loss: f64) -> Outcome {
    let mut simulation: Simulation<Node> = Simulation::new(seed);
    let mut server = Server::new();
    let mut clients: Vec<HostId> = Vec::new();
    for n in 0..receivers {
        let side = |side: u8| {
            let mut config = config(seed, side);
            config.seed[16..18].copy_from_slice(&n.to_be_bytes());
            config
        };
        let mut host = PeerConnection::new(side(1)).unwrap();
        host.add_udp_socket(START, SERVER.parse().unwrap()).unwrap();
        let address = std::net::SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 1000));
        let mut client = PeerConnection::new(side(2)).unwrap();
        client.add_udp_socket(START, address).unwrap();
        let init = TransceiverInit { direction: Direction::SendOnly, ..Default::default() };
        let track = host.add_transceiver(MediaKind::Video, init).unwrap();
        let offer = host.set_local_description_implicitly(START).unwrap();
        client.set_remote_description(START, offer).unwrap();
        let answer = client.set_local_description_implicitly(START).unwrap();
        host.set_remote_description(START, answer).unwrap();
        let id = server.set.insert(host);
        server.tracks.push((id, track, Source { frames: 0, ..Source::video(track, START) }));
        clients.push(simulation.add([address.ip()], Node::Client(Box::new(Peer::new(client)))));
    }
    let server = simulation.add(["10.1.0.1".parse().unwrap()], Node::Server(Box::new(server)));
    simulation.run_for(Duration::from_secs(2)).unwrap();

    simulation.network.set_default_link(Link { loss, ..Link::default() });
    let now = simulation.now();
    let before = simulation.network.stats().sent;
    let Some(Node::Server(it)) = simulation.machine_mut(server) else { panic!("no server") };
    it.looks = 0;
    for (id, _, source) in &mut it.tracks {
        assert_eq!(it.set.get(*id).unwrap().connection_state(), ConnectionState::Connected);
        (source.due, source.frames, source.packets) = (now, 25 * SECONDS, packets);
    }
    simulation.run_for(Duration::from_secs(SECONDS + 2)).unwrap();
    let heard = clients.iter().map(|&host| match simulation.machine(host) {
        Some(Node::Client(peer)) => peer.sinks.iter().map(|sink| sink.count).sum(),
        _ => 0,
    });
    let heard = heard.collect();
    let Some(Node::Server(it)) = simulation.machine(server) else { panic!("no server") };
    let stats = it.tracks.iter().map(|(id, track, _)| it.set.get(*id).unwrap().media_stats(*track).unwrap().outbound);
    Outcome { looks: it.looks, sent: simulation.network.stats().sent - before, outbound: stats.collect(), heard }
}

#[test]
fn scenario_27_work_is_linear_in_the_receivers() {
    for_each_seed(1, |seed| {
        let [few, many] = [50, 500].map(|receivers| {
            let outcome = fan(seed, receivers, 1, 0.0);
            assert!(outcome.heard.iter().all(|&heard| heard == 25 * SECONDS), "all of it arrives everywhere");
            [outcome.looks, outcome.sent].map(|count| count as f64 / f64::from(receivers))
        });
        println!("looks and datagrams for each of 50 receivers: {few:?}, of 500: {many:?}");
        assert!(many.iter().zip(few).all(|(&many, few)| many < few * 1.1));
    });
}

/// All lose most of what comes, and ask for it again and again. What is sent again stays within its share, and the rest is refused.
#[test]
fn scenario_27_a_storm_of_nacks_is_capped() {
    // As core/media promises: half of what is sent, 16 kB in a second, and 128 kB saved up; a tenth more for the headers, which
    // only one of the two numbers has.
    let share = |stats: &OutboundStats| (stats.bytes / 2 + 16_000 * (SECONDS + 4) + (128 << 10)) * 11 / 10;
    for_each_seed(1, |seed| {
        let outcome = fan(seed, 30, 12, 0.7);
        let total = |count: fn(&OutboundStats) -> u64| outcome.outbound.iter().map(count).sum::<u64>();
        let [sent, asked, refused] =
            [total(|it| it.packets), total(|it| it.nacks_received), total(|it| it.nacks_refused)];
        println!("{sent} packets, {asked} asked for again, {refused} refused");
        assert!(asked > sent / 2 && refused > 0, "{asked} is no storm");
        for stats in &outcome.outbound {
            assert!(stats.retransmitted_bytes <= share(stats), "{stats:?}");
        }
    });
}
