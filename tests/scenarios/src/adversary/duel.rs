//! A victim against an adversary.

use std::time::Duration;

use wigwag::{
    Certificate, ChannelId, ChannelInit, Config, Input, Instant, MediaKind, PeerConnection, Provider, Received,
    TransceiverInit, Transmit, TransmitBuffer, UdpPath, WallClock, random,
};
use wigwag_dtls::{Role, Versions};
use wigwag_net::{Failure, HostId, Machine, Simulation};

use super::sctp::BINARY;
use super::{Adversary, Credentials, Ice, Stage};
use crate::message;
use crate::peer::{Peer, Testimony};
use crate::world::{ADDRESSES, config};

const START: Instant = Simulation::<Node>::START;

/// What runs at a host of a duel.
pub enum Node {
    Victim(Box<Peer>),
    Adversary(Box<Adversary>),
}

impl Machine for Node {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match self {
            Self::Victim(it) => it.handle_input(now, input),
            Self::Adversary(it) => it.handle_input(now, input),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Victim(it) => it.handle_timeout(now),
            Self::Adversary(it) => it.handle_timeout(now),
        }
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        match self {
            Self::Victim(it) => it.poll_transmit(now, out),
            Self::Adversary(it) => it.poll_transmit(now, out),
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Victim(it) => it.poll_timeout(),
            Self::Adversary(it) => it.poll_timeout(),
        }
    }
    fn step(&mut self, now: Instant) {
        if let Self::Victim(it) = self {
            it.step(now);
        }
    }
}

/// What the adversary is.
#[derive(Clone, Debug)]
pub struct Attack {
    pub role: Role,
    pub versions: Versions,
    pub stage: Stage,
    /// Audio and video besides the channel.
    pub media: bool,
    /// The fingerprint that its description gives, instead of its certificate's.
    pub fingerprint: Option<String>,
    /// The certificate that it shows, instead of one of its own.
    pub certificate: Option<Certificate>,
    /// Its cryptography: it may lie.
    pub provider: Provider,
    /// After so many records its DTLS 1.3 takes new keys.
    pub records_per_key: u64,
}

impl Default for Attack {
    fn default() -> Self {
        Self {
            role: Role::Client,
            versions: Versions::Any,
            stage: Stage::Up,
            media: false,
            fingerprint: None,
            certificate: None,
            provider: wigwag::default_provider(),
            records_per_key: 1 << 23,
        }
    }
}

/// A victim, which offers a channel, and its adversary.
pub struct Duel {
    pub simulation: Simulation<Node>,
    pub victim: HostId,
    pub adversary: HostId,
    /// The victim's channel.
    pub channel: ChannelId,
    /// What the adversary answered.
    pub answer: String,
    /// The next stream sequence number on the victim's channel.
    ssn: u16,
}

impl Duel {
    pub fn new(seed: u64, attack: Attack) -> Self {
        Self::with(seed, config(seed, 1), attack, |sdp| sdp)
    }

    /// With a victim of this kind, and something that changes the adversary's answer.
    pub fn with(seed: u64, config: Config, attack: Attack, edit: impl Fn(String) -> String) -> Self {
        let [here, there] = ADDRESSES.map(|address| address.parse().unwrap());
        let mut victim = PeerConnection::new(config).unwrap();
        victim.add_udp_socket(START, here).unwrap();
        let channel = victim.create_data_channel("data", ChannelInit::default()).unwrap();
        if attack.media {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                victim.add_transceiver(kind, TransceiverInit::default()).unwrap();
            }
        }
        let offer = victim.set_local_description_implicitly(START).unwrap();
        let victims = Credentials::of(&offer.sdp);

        // The answer is a right one, of somebody who only writes it.
        let mut bytes = [0xEF; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let own = || {
            Certificate::generate(attack.provider, &mut random::seeded(bytes), WallClock(1_700_000_000_000_000))
                .unwrap()
        };
        let certificate = attack.certificate.clone().unwrap_or_else(own);
        let mut config = Config::new(bytes);
        config.certificate = Some(certificate.clone());
        config.snap = false; // the script has its own handshake
        config.snap = false; // the script knows a handshake
        let mut scribe = PeerConnection::new(config).unwrap();
        scribe.add_udp_socket(START, there).unwrap();
        scribe.set_remote_description(START, offer).unwrap();
        let both_ways: Vec<_> = scribe.transceivers().map(|it| it.id).collect();
        both_ways.into_iter().for_each(|id| scribe.set_direction(id, wigwag::Direction::SendRecv).unwrap());
        let mut answer = scribe.set_local_description_implicitly(START).unwrap();
        let setup = if attack.role == Role::Client { "a=setup:active" } else { "a=setup:passive" };
        answer.sdp = answer.sdp.replace("a=setup:active", setup).replace("a=setup:passive", setup);
        if let Some(other) = &attack.fingerprint {
            answer.sdp = answer.sdp.replace(&certificate.fingerprint().to_string(), other);
        }
        answer.sdp = edit(answer.sdp);
        let ice = Ice::new(Credentials::of(&answer.sdp), victims, attack.provider);
        victim.set_remote_description(START, answer.clone()).unwrap();

        let path = UdpPath { local: there, remote: here };
        let fingerprint = Some(victim.local_fingerprint().clone());
        let adversary = Adversary::new(ice, certificate, &attack, path, fingerprint, seed);
        let mut victim = Peer::new(victim);
        victim.testimony = Some(Testimony::default());
        let mut simulation = Simulation::new(seed);
        let victim = simulation.add([here.ip()], Node::Victim(Box::new(victim)));
        let adversary = simulation.add([there.ip()], Node::Adversary(Box::new(adversary)));
        Self { simulation, victim, adversary, channel, answer: answer.sdp, ssn: 1 }
    }

    pub fn now(&self) -> Instant {
        self.simulation.now()
    }

    pub fn victim(&mut self) -> &mut Peer {
        match self.simulation.machine_mut(self.victim) {
            Some(Node::Victim(victim)) => victim,
            _ => panic!("the victim is gone"),
        }
    }

    pub fn adversary(&mut self) -> &mut Adversary {
        match self.simulation.machine_mut(self.adversary) {
            Some(Node::Adversary(adversary)) => adversary,
            _ => panic!("the adversary is gone"),
        }
    }

    /// Until the victim is as `is_done` says.
    ///
    /// # Errors
    /// A fault of one of the machines, or that it is not within `limit`.
    pub fn run_until(&mut self, limit: Duration, is_done: impl Fn(&Peer) -> bool) -> Result<Instant, Failure> {
        let victim = self.victim;
        let done = |simulation: &Simulation<Node>| match simulation.machine(victim) {
            Some(Node::Victim(victim)) => is_done(victim),
            _ => false,
        };
        self.simulation.run_until(done, limit)
    }

    /// Until the victim is connected and, if the adversary goes so far, its channel is open.
    pub fn connect(&mut self) {
        let wants_channel = self.adversary().script.stage == Stage::Up;
        let is_up = |it: &Peer| it.is_connected() && (!wants_channel || !it.opened.is_empty());
        if let Err(failure) = self.run_until(Duration::from_secs(20), is_up) {
            let states = (self.victim().pc.ice_connection_state(), self.victim().pc.dtls_state());
            let victim = self.victim().pc.failure().cloned();
            let adversary = self.adversary();
            let (checks, successes) = (adversary.ice.checks, adversary.ice.successes);
            panic!(
                "{failure}: {states:?}, {victim:?}, {checks} checks, {successes} answers, {:?}",
                adversary.dtls_events
            );
        }
        self.run_for(Duration::from_millis(100));
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.simulation.run_for(duration).unwrap();
    }

    /// A datagram hits the victim now, from the adversary's address; what it brings about happens when the simulation goes on.
    pub fn hit(&mut self, datagram: &[u8]) {
        let path = self.adversary().path.reversed();
        self.hit_from(path, datagram);
    }

    /// The same by any path, as the victim sees it.
    pub fn hit_from(&mut self, path: UdpPath, datagram: &[u8]) {
        let (now, mut bytes) = (self.now(), datagram.to_vec());
        let received = Received { path, segment_size: bytes.len(), bytes: &mut bytes, ecn: 0 };
        self.victim().handle_input(now, Input::Datagrams(received));
    }

    /// A packet of SCTP hits the victim now.
    pub fn strike(&mut self, packet: &[u8]) {
        let datagram = self.adversary().seal(packet);
        self.hit(&datagram);
    }

    /// Chunks with the right tag hit the victim now.
    pub fn strike_chunks(&mut self, chunks: &[super::sctp::Chunk<'_>]) {
        let packet = self.adversary().script.packet(chunks);
        self.strike(&packet);
    }

    /// A packet of RTP or RTCP hits the victim now.
    pub fn shoot(&mut self, packet: &[u8]) {
        let datagram = self.adversary().protect(packet);
        self.hit(&datagram);
    }

    /// The stream of the victim's channel.
    pub fn stream(&mut self) -> u16 {
        let channel = self.channel;
        self.victim().pc.channel(channel).and_then(|it| it.stream).expect("the channel is open")
    }

    /// The victim still does its work: a message each way on its channel.
    pub fn still_works(&mut self) {
        let stream = self.stream();
        let (ssn, number) = (self.ssn, u64::from(self.ssn));
        self.ssn = self.ssn.wrapping_add(1);
        let text = message::bytes(number, 100);
        let packet = self.adversary().script.message(stream, ssn, BINARY, &text);
        self.strike(&packet);
        let channel = self.channel;
        let told = self.victim().said();
        self.victim().say(channel, 1, 200);
        let limit = Duration::from_secs(60);
        let heard =
            |it: &Peer| it.testimony.as_ref().is_some_and(|it| it.messages.last() == Some(&(channel, text.clone())));
        self.run_until(limit, heard).expect("the victim hears no more");
        let (adversary, said) = (self.adversary, message::bytes(told, 200));
        let hears = |simulation: &Simulation<Node>| match simulation.machine(adversary) {
            Some(Node::Adversary(it)) => it.script.heard.iter().any(|(at, _, data)| *at == stream && **data == *said),
            _ => false,
        };
        self.simulation.run_until(hears, limit).expect("the victim says no more");
        let victim = self.victim();
        assert!(victim.is_connected() && victim.closed.is_empty(), "{:?}", victim.states);
    }
}
