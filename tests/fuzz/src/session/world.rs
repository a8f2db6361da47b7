//! Two sides, and what is under way between them.

use std::collections::VecDeque;

use wigwag::{
    ChannelInit, Instant, MediaKind, PeerConnection, Received, Route, SdpType, SessionDescription, TransceiverInit,
    TransmitBuffer, UdpPath,
};
use wigwag_crypto::Hasher;

use super::side::Side;
use super::{Glass, START, Setup, Temper};
use crate::bounds::deadline_moved;
use crate::crypto;

/// Datagrams under way in one direction; a router drops what is more.
const MAX_FLYING: usize = 256;
/// More batches in a row of one side without time passing are an endless output.
const MAX_BATCHES: usize = 5_000;
/// More rounds of everybody answering without time passing are an endless conversation.
const MAX_ROUNDS: usize = 2_000;
/// The longest pause of a schedule that is not wild: consent lasts much longer.
const MAX_PAUSE: std::time::Duration = std::time::Duration::from_secs(3);
/// How late a machine may ask for what it has: see `PeerConnection::poll_timeout`.
const MAX_OUTPUT_DELAY: std::time::Duration = std::time::Duration::from_millis(1);

pub const ADDRESSES: [&str; 2] = ["10.0.0.1:1000", "10.0.0.2:2000"];

/// A datagram under way.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// As its receiver sees it.
    pub path: UdpPath,
    pub bytes: Vec<u8>,
}

/// See the [module](self).
pub struct World {
    pub setup: Setup,
    pub sides: [Side; 2],
    /// To each side.
    pub flying: [VecDeque<Datagram>; 2],
    pub now: Instant,
    /// A description was changed on its way: what one side says may not be what the other hears.
    pub is_mangled: bool,
    /// For streams of negotiated channels, which are used once.
    pub next_stream: u16,
    hash: Box<dyn Hasher>,
    memory: Vec<u8>,
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let is_honest = setup.glass != Glass::Credulous;
        let side = |at: usize| {
            let mut pc = PeerConnection::new(setup.config(at)).unwrap();
            let address = ADDRESSES[at].parse().unwrap();
            pc.add_udp_socket(START, address).unwrap();
            Side::new(pc, address, is_honest, setup.distrust && at == 1)
        };
        let mut world = Self {
            setup,
            sides: [side(0), side(1)],
            flying: Default::default(),
            now: START,
            is_mangled: false,
            next_stream: 500,
            hash: crypto::checked().hasher(wigwag_crypto::Hash::Sha256),
            memory: vec![0; 65_507],
        };
        if setup.established {
            world.establish();
        }
        world
    }

    /// Up to an open channel, or a call.
    fn establish(&mut self) {
        let offerer = &mut self.sides[0];
        let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
        offerer.channels.insert(channel, 0);
        if self.setup.has_media {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                offerer.pc.add_transceiver(kind, brief(kind)).unwrap();
            }
        }
        self.negotiate(0);
        for _ in 0..200 {
            self.exchange();
            if self.sides.iter().all(|side| side.is_connected() && !side.ledgers.is_empty()) {
                return;
            }
            self.pass_to_deadline();
        }
        assert!(
            self.setup.distrust || self.setup.versions_differ(),
            "not connected: {:?}",
            self.sides.each_ref().map(|it| it.pc.connection_state())
        );
    }

    /// Offer and answer, as far as both sides are in a state for it.
    pub fn negotiate(&mut self, offerer: usize) -> bool {
        let now = self.now;
        let Ok(offer) = self.sides[offerer].pc.set_local_description_implicitly(now) else { return false };
        self.sides[offerer].post(offer.clone());
        if offer.kind != SdpType::Offer || self.hear_description(1 - offerer, offer).is_err() {
            return false;
        }
        let answerer = &mut self.sides[1 - offerer];
        let all: Vec<_> = answerer.pc.transceivers().filter(|it| !it.is_stopped).map(|it| it.id).collect();
        for id in all {
            let _ = answerer.pc.set_direction(id, wigwag::Direction::SendRecv);
        }
        let answer =
            answerer.pc.set_local_description_implicitly(now).expect("an offer that was taken can be answered");
        answerer.post(answer.clone());
        self.hear_description(offerer, answer).is_ok()
    }

    /// Gives a description to a side.
    pub fn hear_description(&mut self, to: usize, description: SessionDescription) -> Result<(), ()> {
        let now = self.now;
        let side = &mut self.sides[to];
        let description = if side.distrusts { forged(description) } else { description };
        side.pc.set_remote_description(now, description).map_err(drop)
    }

    /// The same with one that may well be refused: then nothing has changed.
    pub fn try_description(&mut self, to: usize, description: SessionDescription) -> bool {
        let state = |pc: &PeerConnection| (pc.signaling_state(), pc.local_description(), pc.remote_description());
        let before = state(&self.sides[to].pc);
        let is_taken = self.hear_description(to, description).is_ok();
        assert!(is_taken || before == state(&self.sides[to].pc), "a refused description changed something");
        is_taken
    }

    /// Gives a datagram to a side.
    pub fn deliver(&mut self, to: usize, mut datagram: Datagram) {
        let Datagram { path, bytes } = &mut datagram;
        let received = Received { path: *path, segment_size: bytes.len(), bytes, ecn: 0 };
        self.sides[to].take(self.now, received);
        self.sides[to].learn();
    }

    pub fn deliver_next(&mut self, to: usize) {
        if let Some(datagram) = self.flying[to].pop_front() {
            self.deliver(to, datagram);
        }
    }

    /// One batch of a side's output, in so much memory; false if there was none.
    pub fn transmit(&mut self, from: usize, segments: usize, room: usize) -> bool {
        let now = self.now;
        let mut out = TransmitBuffer::new(&mut self.memory[..room], segments);
        let pc = &mut self.sides[from].pc;
        let promised = pc.poll_timeout();
        let Some(transmit) = pc.poll_transmit(now, &mut out) else { return false };
        let is_announced = promised.is_some_and(|at| at <= now + MAX_OUTPUT_DELAY);
        assert!(is_announced, "it is {now:?}, there is output, and the deadline was {promised:?}");
        let bytes = out.bytes(&transmit);
        assert!(bytes.len() == transmit.len && (1..=transmit.len).contains(&transmit.segment_size), "{transmit:?}");
        assert!(transmit.len.div_ceil(transmit.segment_size) <= segments.max(1), "{transmit:?}");
        let Route::Udp(path) = transmit.route else { panic!("no stream was opened") };
        self.hash.update(&now.as_micros().to_be_bytes());
        self.hash.update(format!("{path:?}").as_bytes());
        let to = 1 - from;
        for bytes in bytes.chunks(transmit.segment_size) {
            self.hash.update(bytes);
            let is_there = path.remote.ip() == self.sides[to].address.ip();
            if is_there && self.flying[to].len() < MAX_FLYING {
                self.flying[to].push_back(Datagram { path: path.reversed(), bytes: bytes.to_vec() });
            }
        }
        self.sides[from].learn();
        true
    }

    /// All output of a side.
    pub fn flush(&mut self, from: usize) -> bool {
        let mut batches = 0;
        while self.transmit(from, 64, 65_507) {
            batches += 1;
            assert!(batches < MAX_BATCHES, "an endless output");
        }
        batches > 0
    }

    /// Both say what they have to say, and it arrives at once, until nobody has anything to say.
    pub fn exchange(&mut self) {
        for round in 0.. {
            assert!(round < MAX_ROUNDS, "an endless conversation");
            let mut is_quiet = true;
            for side in [0, 1] {
                is_quiet &= !self.flush(side) && self.flying[1 - side].is_empty();
                while !self.flying[1 - side].is_empty() {
                    self.deliver_next(1 - side);
                }
            }
            self.sides.iter_mut().for_each(Side::listen);
            if is_quiet {
                return;
            }
        }
    }

    pub fn pass(&mut self, time: std::time::Duration) {
        let most = if matches!(self.setup.temper, Temper::Orderly | Temper::Steady) { MAX_PAUSE } else { time };
        self.now += time.min(most);
        for side in [0, 1] {
            if self.sides[side].pc.poll_timeout().is_some_and(|at| at <= self.now) {
                self.wake(side);
            }
        }
    }

    pub fn wake(&mut self, side: usize) {
        let now = self.now;
        let side = &mut self.sides[side];
        side.pc.handle_timeout(now);
        deadline_moved(now, side.pc.poll_timeout());
        side.learn();
    }

    /// To when the first wants to be woken; false if nobody does.
    pub fn pass_to_deadline(&mut self) -> bool {
        let Some(next) = self.sides.iter().filter_map(|side| side.pc.poll_timeout()).min() else { return false };
        self.pass(next - self.now);
        true
    }

    pub fn digest(&self) -> u64 {
        u64::from_be_bytes(self.hash.digest().first())
    }
}

/// A transceiver with two codecs: a description with all of them takes longer than a session.
pub fn brief(kind: MediaKind) -> TransceiverInit {
    let mut codecs = wigwag::default_codecs(kind);
    codecs.truncate(2);
    TransceiverInit { codecs, ..TransceiverInit::default() }
}

impl Setup {
    /// One speaks only DTLS 1.2 and the other only 1.3.
    fn versions_differ(self) -> bool {
        use wigwag::DtlsVersions::{Dtls12, Dtls13};
        matches!(self.versions, [Dtls12, Dtls13] | [Dtls13, Dtls12])
    }
}

/// With another one's fingerprint.
fn forged(mut description: SessionDescription) -> SessionDescription {
    let is_other = |line: &str| line.starts_with("a=fingerprint:");
    let lines = description.sdp.split_inclusive('\n').map(|line| {
        if !is_other(line) {
            return line.to_owned();
        }
        line.replace("A", "0").replace("B", "1").replace(":C", ":2").replace(":D", ":3").replace(":5", ":6")
    });
    description.sdp = lines.collect();
    description
}
