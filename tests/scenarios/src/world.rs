//! Two peers on a network, and what scenarios do with them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use wigwag::{
    ChannelId, ChannelInit, Config, Direction, Gathering, Instant, KeyLog, MediaKind, PeerConnection,
    SessionDescription, TransceiverInit, WallClock,
};
use wigwag_net::{Failure, HostId, Nat, Realm, Simulation, Verdict};

use crate::media::Source;
use crate::peer::Peer;

/// Where the offerer and the answerer are.
pub const ADDRESSES: [&str; 2] = ["10.0.0.1:1000", "10.0.0.2:2000"];

const START: Instant = Simulation::<Peer>::START;

/// The randomness of a side, and a wall-clock.
pub fn config(seed: u64, side: u8) -> Config {
    let mut bytes = [side; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let mut config = Config::new(bytes);
    config.wall_clock = WallClock(1_700_000_000_000_000);
    config
}

/// The same with RustCrypto, whose signatures have no randomness of their own (RFC 6979): every byte follows from the seed.
pub fn deterministic(seed: u64, side: u8) -> Config {
    let mut config = config(seed, side);
    config.provider = wigwag::rust_crypto();
    config
}

/// A connection with the socket of its side, 0 or 1.
pub fn reachable(mut config: Config, side: usize) -> Peer {
    let secrets = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&secrets);
    config.key_log = Some(KeyLog::new(move |line| log.lock().unwrap().extend([line, "\n"])));
    let mut pc = PeerConnection::new(config).unwrap();
    pc.add_udp_socket(START, address(side)).unwrap();
    let mut peer = Peer::new(pc);
    peer.secrets = secrets;
    peer
}

fn address(side: usize) -> SocketAddr {
    ADDRESSES[side].parse().unwrap()
}

/// Offer and answer, by a signalling that takes no time and on which `edit` can change what the other side hears.
pub fn exchange(
    now: Instant,
    offerer: &mut PeerConnection,
    answerer: &mut PeerConnection,
    edit: impl Fn(String) -> String,
) {
    let heard = |it: SessionDescription| SessionDescription { sdp: edit(it.sdp), ..it };
    let offer = offerer.set_local_description_implicitly(now).unwrap();
    answerer.set_remote_description(now, heard(offer)).unwrap();
    let all: Vec<_> = answerer.transceivers().filter(|it| !it.is_stopped).map(|it| it.id).collect();
    for id in all {
        answerer.set_direction(id, Direction::SendRecv).unwrap();
    }
    let answer = answerer.set_local_description_implicitly(now).unwrap();
    offerer.set_remote_description(now, heard(answer)).unwrap();
}

/// Two peers, the offerer with a channel, and the network between them.
pub struct World {
    pub simulation: Simulation<Peer>,
    pub offerer: HostId,
    pub answerer: HostId,
    /// The offerer's channel.
    pub channel: ChannelId,
    wire: Option<Arc<Mutex<Sha256>>>,
}

impl World {
    /// With a channel.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, [config(seed, 1), config(seed, 2)])
    }

    /// With a channel.
    pub fn with(seed: u64, configs: [Config; 2]) -> Self {
        Self::edited(seed, configs, |sdp| sdp)
    }

    /// With a channel, and something that changes the descriptions on their way.
    pub fn edited(seed: u64, configs: [Config; 2], edit: impl Fn(String) -> String) -> Self {
        Self::make(seed, configs, &[], edit)
    }

    /// With a channel, audio and video.
    pub fn call(seed: u64, configs: [Config; 2], edit: impl Fn(String) -> String) -> Self {
        Self::make(seed, configs, &[MediaKind::Audio, MediaKind::Video], edit)
    }

    fn make(seed: u64, configs: [Config; 2], kinds: &[MediaKind], edit: impl Fn(String) -> String) -> Self {
        let mut side = 0..2;
        let [mut offerer, mut answerer] = configs.map(|config| reachable(config, side.next().unwrap()));
        let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
        for kind in kinds {
            offerer.pc.add_transceiver(*kind, TransceiverInit::default()).unwrap();
        }
        exchange(START, &mut offerer.pc, &mut answerer.pc, edit);
        Self::join(seed, [offerer, answerer], channel)
    }

    /// Peers whose signalling is the scenario's own.
    pub fn join(seed: u64, [offerer, answerer]: [Peer; 2], channel: ChannelId) -> Self {
        let mut simulation = Simulation::new(seed);
        let offerer = simulation.add([address(0).ip()], offerer);
        let answerer = simulation.add([address(1).ip()], answerer);
        Self { simulation, offerer, answerer, channel, wire: None }
    }

    /// A call, with a channel, in which `behind`, 0 for the offerer or 1 for the answerer, is behind a NAT and the other in
    /// the open.
    pub fn call_from_behind(seed: u64, nat: Nat, behind: usize) -> (Self, Realm) {
        let [mut offerer, mut answerer] = [0, 1].map(|side| reachable(config(seed, side as u8 + 1), side));
        let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            offerer.pc.add_transceiver(kind, TransceiverInit::default()).unwrap();
        }
        exchange(START, &mut offerer.pc, &mut answerer.pc, |sdp| sdp);
        let mut simulation = Simulation::new(seed);
        let home = simulation.network.add_nat(Realm::INTERNET, nat, ["198.51.100.7".parse().unwrap()]);
        let mut side = 0;
        let [offerer, answerer] = [offerer, answerer].map(|peer| {
            let realm = if side == behind { home } else { Realm::INTERNET };
            side += 1;
            simulation.add_in(realm, [address(side - 1).ip()], peer)
        });
        (Self { simulation, offerer, answerer, channel, wire: None }, home)
    }

    /// With a channel. The offerer asks for its sockets, on one interface to begin with; what it finds is to be told.
    pub fn roaming(seed: u64, interface: &str, address: IpAddr) -> Self {
        let mut asks = config(seed, 1);
        asks.gathering = Gathering::Interfaces;
        let mut offerer = Peer::new(PeerConnection::new(asks).unwrap());
        let mut answerer = reachable(config(seed, 2), 1);
        let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
        exchange(START, &mut offerer.pc, &mut answerer.pc, |sdp| sdp);
        let mut simulation = Simulation::new(seed);
        let offerer = simulation.add([], offerer);
        simulation.add_interface(offerer, interface, Realm::INTERNET, address);
        let answerer = simulation.add([self::address(1).ip()], answerer);
        Self { simulation, offerer, answerer, channel, wire: None }
    }

    pub fn now(&self) -> Instant {
        self.simulation.now()
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now() - START
    }

    pub fn offerer(&mut self) -> &mut Peer {
        self.simulation.machine_mut(self.offerer).unwrap()
    }

    pub fn answerer(&mut self) -> &mut Peer {
        self.simulation.machine_mut(self.answerer).unwrap()
    }

    /// Until both sides are as `is_done` says.
    ///
    /// # Errors
    /// A fault of one of the machines, or that they are not within `limit`.
    pub fn run_until(&mut self, limit: Duration, is_done: impl Fn(&Peer) -> bool) -> Result<Instant, Failure> {
        let both = |simulation: &Simulation<Peer>| {
            simulation.hosts().all(|host| simulation.machine(host).is_some_and(&is_done))
        };
        self.simulation.run_until(both, limit)
    }

    /// Until both are connected and the channel is open.
    ///
    /// # Errors
    /// As [`run_until`](Self::run_until).
    pub fn connect(&mut self, limit: Duration) -> Result<Instant, Failure> {
        self.run_until(limit, |peer| peer.is_connected() && !peer.opened.is_empty())
    }

    /// `count` messages of `len` bytes each way, besides those before; all of them have arrived at the end.
    ///
    /// # Errors
    /// As [`run_until`](Self::run_until).
    pub fn transfer(&mut self, count: u64, len: usize, limit: Duration) -> Result<Instant, Failure> {
        let before = [self.offerer, self.answerer].map(|host| self.simulation.machine(host).unwrap().heard());
        let channel = self.channel;
        self.offerer().say(channel, count, len);
        let answerer = self.answerer();
        match answerer.opened.first() {
            Some(&channel) => answerer.say(channel, count, len),
            None => answerer.replies = (count, len),
        }
        let hosts = [self.offerer, self.answerer];
        let done = |simulation: &Simulation<Peer>| {
            let heard = |host| simulation.machine(host).unwrap().heard();
            hosts.iter().zip(before).all(|(&host, before)| heard(host) == before + count)
        };
        self.simulation.run_until(done, limit)
    }

    /// A new offer with new credentials, and its answer, at once.
    pub fn restart_ice(&mut self) {
        let now = self.now();
        let mut offerer = self.simulation.remove(self.offerer).unwrap();
        offerer.pc.restart_ice();
        let skewed = now + offerer.skew;
        exchange(skewed, &mut offerer.pc, &mut self.answerer().pc, |sdp| sdp);
        self.simulation.put(self.offerer, offerer);
    }

    /// Opus at 50 packets a second and video at 500 kbit/s, both ways, from now on.
    pub fn start_media(&mut self) {
        let now = self.now();
        for host in [self.offerer, self.answerer] {
            let peer = self.simulation.machine_mut(host).unwrap();
            let sources: Vec<_> = peer
                .pc
                .transceivers()
                .map(|it| match it.kind {
                    MediaKind::Audio => Source::opus(it.id, now),
                    MediaKind::Video => Source::video(it.id, now),
                })
                .collect();
            peer.sources = sources;
        }
    }

    /// Captures what both sides send and receive, from now on, with the keys that Wireshark needs to read it.
    pub fn capture(&mut self) {
        self.simulation.network.capture_host(self.offerer, "offerer");
        self.simulation.network.capture_host(self.answerer, "answerer");
    }

    /// Computes SHA-256 over every datagram from now on, with its time and path.
    pub fn hash_the_wire(&mut self) {
        let wire = Arc::new(Mutex::new(Sha256::new()));
        self.wire = Some(Arc::clone(&wire));
        self.simulation.network.set_filter(move |sent| {
            let mut hash = wire.lock().unwrap();
            hash.update(sent.at.as_micros().to_be_bytes());
            hash.update(format!("{} {} {};", sent.path.local, sent.path.remote, sent.bytes.len()));
            hash.update(sent.bytes);
            Verdict::Pass
        });
    }

    /// The SHA-256 so far, in hexadecimal digits.
    pub fn wire_hash(&self) -> String {
        let hash = self.wire.as_ref().expect("hash_the_wire() was not called").lock().unwrap().clone();
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
