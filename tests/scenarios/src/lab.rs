//! Two peers behind NATs, STUN and TURN servers, and signalling that trickles.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use wigwag::{
    ChannelId, ChannelInit, Config, ConnectionState, Gathering, IceServer, MediaKind, PeerConnection, TransceiverInit,
};
use wigwag_net::{Failure, Fault, HostId, Nat, Realm, Simulation, TurnConfig, TurnServer};

use crate::media::Source;
use crate::peer::Peer;
use crate::world::{config, exchange};

/// Where the servers are: the first is asked by everybody, the second is for scenarios that want two.
pub const SERVERS: [&str; 2] = ["203.0.113.1:3478", "203.0.113.2:3478"];

/// How long a candidate takes to the other side: the signalling server's round trip.
const SIGNALLING: Duration = Duration::from_millis(50);

/// Two peers behind NATs, and servers.
pub struct Lab {
    pub simulation: Simulation<Peer>,
    pub peers: [HostId; 2],
    pub servers: [HostId; 2],
    pub channel: ChannelId,
    /// Candidates on their way: when they arrive, and to whom.
    signals: BTreeMap<(wigwag::Instant, usize), (usize, wigwag::IceCandidate)>,
    sent: usize,
}

impl Lab {
    /// `urls` are what each side asks; `nats` what each is behind.
    pub fn new(seed: u64, nats: [Nat; 2], urls: [&[&str]; 2]) -> Self {
        Self::with(seed, nats, urls, |_, _| ())
    }

    /// With audio and video.
    pub fn call(seed: u64, nats: [Nat; 2], urls: [&[&str]; 2]) -> Self {
        Self::make(seed, nats, urls, &[MediaKind::Audio, MediaKind::Video], |_, _| ())
    }

    /// The same, with sides whose configuration is changed.
    pub fn with(seed: u64, nats: [Nat; 2], urls: [&[&str]; 2], change: impl Fn(usize, &mut Config)) -> Self {
        Self::make(seed, nats, urls, &[], change)
    }

    fn make(
        seed: u64,
        nats: [Nat; 2],
        urls: [&[&str]; 2],
        kinds: &[MediaKind],
        change: impl Fn(usize, &mut Config),
    ) -> Self {
        let mut simulation = Simulation::new(seed);
        let servers = SERVERS.map(|server| {
            let address = server.parse().unwrap();
            let machine = TurnServer::new(TurnConfig::new(address, "user", "pass"), wigwag::default_provider(), seed);
            let host = simulation.add_service([address.ip()], machine);
            let tls = std::net::SocketAddr::new(address.ip(), 5349);
            let name = if server == SERVERS[0] { "turn.example" } else { "other.example" };
            simulation.network.listen_at(host, tls, Some(&[name]));
            simulation.network.set_name(name, [address.ip()]);
            host
        });
        let start = simulation.now();
        let pc = |side: usize| {
            let mut config: Config = config(seed, side as u8 + 1);
            config.gathering = Gathering::Interfaces;
            change(side, &mut config);
            if !urls[side].is_empty() {
                config.ice_servers = vec![IceServer::new(urls[side].iter().copied(), "user", "pass").unwrap()];
            }
            PeerConnection::new(config).unwrap()
        };
        let (mut offerer, mut answerer) = (Peer::new(pc(0)), Peer::new(pc(1)));
        let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
        for kind in kinds {
            offerer.pc.add_transceiver(*kind, TransceiverInit::default()).unwrap();
        }
        exchange(start, &mut offerer.pc, &mut answerer.pc, |sdp| sdp);
        let mut side = 0;
        let peers = [offerer, answerer].map(|peer| {
            side += 1;
            let outer = format!("192.0.2.{side}").parse().unwrap();
            let realm = simulation.network.add_nat(Realm::INTERNET, nats[side - 1], [outer]);
            simulation.add_in(realm, [format!("10.0.{side}.2").parse().unwrap()], peer)
        });
        Self { simulation, peers, servers, channel, signals: BTreeMap::new(), sent: 0 }
    }

    pub fn peer(&mut self, side: usize) -> &mut Peer {
        self.simulation.machine_mut(self.peers[side]).unwrap()
    }

    pub fn server(&mut self, server: usize) -> &mut TurnServer {
        self.simulation.service_mut(self.servers[server]).unwrap()
    }

    /// Runs with signalling until `is_done`.
    ///
    /// # Errors
    /// A fault of one of the machines, or that it is not within `limit`.
    pub fn run_until(&mut self, limit: Duration, is_done: impl Fn(&[&Peer; 2]) -> bool) -> Result<Duration, Failure> {
        let begin = self.simulation.now();
        let end = begin + limit;
        loop {
            self.signal();
            let now = self.simulation.now();
            let next = self.signals.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= end);
            // A candidate arrives in its time, even where nothing else happens until then.
            let outcome = self.simulation.run(next.unwrap_or(end) - now, |simulation| {
                let peers = self.peers.map(|host| simulation.machine(host).unwrap());
                let has_news = peers.iter().any(|peer| !peer.candidates.is_empty());
                match is_done(&peers) {
                    true => ControlFlow::Break(true),
                    false if has_news => ControlFlow::Break(false),
                    false => ControlFlow::Continue(()),
                }
            });
            match (outcome, next) {
                (Ok(true), _) => return Ok(self.simulation.now() - begin),
                (Ok(false), _) => {}
                (Err(Failure { fault: Fault::Stalled | Fault::TimedOut, .. }), Some(next)) => {
                    self.simulation.run_for(next - self.simulation.now())?;
                }
                (Err(failure), _) => return Err(failure),
            }
        }
    }

    /// Sends the candidates that were found, and delivers those that have arrived.
    fn signal(&mut self) {
        let Self { simulation, peers, signals, sent, .. } = self;
        let now = simulation.now();
        for (side, host) in peers.iter().enumerate() {
            // Only who said something is touched: a machine that is looked at is woken.
            if simulation.machine(*host).is_some_and(|peer| !peer.candidates.is_empty()) {
                for candidate in simulation.machine_mut(*host).unwrap().candidates.drain(..) {
                    signals.insert((now + SIGNALLING, *sent), (1 - side, candidate));
                    *sent += 1;
                }
            }
        }
        while let Some(entry) = signals.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, candidate) = entry.remove();
            simulation.machine_mut(peers[to]).unwrap().pc.add_ice_candidate(now, &candidate).unwrap();
        }
    }

    /// Until both are connected and the channel is open, or one side has failed; whether the former.
    pub fn connect(&mut self, limit: Duration) -> bool {
        let is_up = |peer: &Peer| peer.is_connected() && !peer.opened.is_empty();
        let has_failed = |peer: &Peer| peer.pc.connection_state() == ConnectionState::Failed;
        self.run_until(limit, |peers| peers.iter().all(|it| is_up(it)) || peers.iter().any(|it| has_failed(it)))
            .unwrap();
        self.peers.iter().all(|host| is_up(self.simulation.machine(*host).unwrap()))
    }

    /// Opus at 50 packets a second and video at 500 kbit/s, both ways, from now on.
    pub fn start_media(&mut self) {
        let now = self.simulation.now();
        for side in [0, 1] {
            let peer = self.peer(side);
            let sources = peer.pc.transceivers().map(|it| match it.kind {
                MediaKind::Audio => Source::opus(it.id, now),
                MediaKind::Video => Source::video(it.id, now),
            });
            peer.sources = sources.collect();
        }
    }

    /// For a while.
    ///
    /// # Errors
    /// A fault of one of the machines.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Failure> {
        self.simulation.run_for(duration)
    }

    /// `count` messages each way; all have arrived at the end.
    ///
    /// # Errors
    /// As [`run_until`](Self::run_until).
    pub fn transfer(&mut self, count: u64, len: usize, limit: Duration) -> Result<Duration, Failure> {
        let before = [0, 1].map(|side| self.peer(side).heard());
        for side in [0, 1] {
            let channel = self.peer(side).opened[0];
            self.peer(side).say(channel, count, len);
        }
        self.run_until(limit, |peers| peers.iter().zip(before).all(|(peer, before)| peer.heard() == before + count))
    }

    /// Whether data takes its way through a server.
    pub fn is_relayed(&mut self) -> bool {
        let servers = SERVERS.map(|server| server.parse::<std::net::SocketAddr>().unwrap().ip());
        let path = self.peer(0).pc.selected_path().unwrap();
        servers.contains(&path.local.ip()) || servers.contains(&path.remote.ip())
    }

    /// No datagram leaves either NAT, as in some companies; streams do.
    pub fn block_udp(&mut self) {
        self.simulation.network.set_filter(|sent| {
            let is_inside = matches!(sent.path.local.ip(), std::net::IpAddr::V4(ip) if ip.octets()[0] == 10);
            if is_inside && !sent.is_stream { wigwag_net::Verdict::Drop } else { wigwag_net::Verdict::Pass }
        });
    }
}
