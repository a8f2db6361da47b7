//! Our DTLS and BoringSSL's, the one that Chromium has, over a wire that loses, repeats and reorders, in one process.
//!
//! BoringSSL's timers follow the system's clock, so time is real here; its first timeout is made as short as ours.
//! (OpenSSL, for DTLS 1.2, is the command `openssl`: `core/dtls/tests/openssl.rs`.)

mod boringssl;
mod identity;
mod wire;

use std::time::{Duration, Instant as SystemInstant};

use wigwag_crypto::default_provider;
use wigwag_dtls::{Config, Dtls, Event, Fingerprint, PostQuantum, Role, SrtpKeys, Version};
use wigwag_proto::{Instant, random};

pub use boringssl::{Options, Theirs};
pub use identity::{Identity, KeyKind};
pub use wire::{Quality, Wire};

/// A side that hears nothing sends again after this time.
pub const TIMEOUT: Duration = Duration::from_millis(40);
/// No handshake takes longer, on whatever wire.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Both sides.
pub struct Pair {
    pub ours: Dtls,
    pub theirs: Theirs,
    pub received: Vec<Vec<u8>>,
    pub events: Vec<Event>,
    wire: Wire,
    began: SystemInstant,
}

impl Pair {
    /// Ours as `role`, and theirs in the other.
    pub fn new(role: Role, ours: &Identity, theirs: &Identity, options: &Options, quality: Quality) -> Self {
        let mut config = Config::new(ours.certificate.clone(), default_provider());
        config.retransmission_timeout = TIMEOUT;
        config.mtu = options.mtu;
        config.post_quantum = options.post_quantum;
        if let Some(records) = options.records_per_key {
            config.records_per_key = records;
        }
        let mut dtls = Dtls::new(config, random::seeded([7; 32]));
        dtls.set_remote_fingerprints(vec![Fingerprint::sha256(default_provider(), &theirs.der())]);
        let began = SystemInstant::now();
        dtls.start(Instant(1_000_000), role);
        let theirs = Theirs::new(role == Role::Server, theirs, options);
        Self { ours: dtls, theirs, received: Vec::new(), events: Vec::new(), wire: Wire::new(quality), began }
    }

    fn now(&self) -> Instant {
        Instant(1_000_000) + self.began.elapsed()
    }

    /// Moves datagrams until `done`; false, if that took too long.
    pub fn run(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        let limit = SystemInstant::now() + LIMIT;
        let mut room = [0; 2048];
        loop {
            let now = self.now();
            if self.ours.poll_timeout().is_some_and(|at| at <= now) {
                self.ours.handle_timeout(now);
            }
            while let Some(len) = self.ours.write_packet(now, &mut room) {
                self.wire.send(0, &room[..len]);
            }
            self.theirs.advance();
            for datagram in self.theirs.take() {
                self.wire.send(1, &datagram);
            }
            let mut moved = false;
            for (to, mut datagram) in self.wire.deliver() {
                moved = true;
                match to {
                    0 => self.ours.open(now, &mut datagram, |payload| self.received.push(payload.to_vec())),
                    _ => self.theirs.give(datagram),
                }
            }
            self.events.extend(std::iter::from_fn(|| self.ours.poll_event()));
            if done(self) {
                return true;
            }
            if SystemInstant::now() > limit {
                return false;
            }
            if !moved {
                // Nothing is under way: what comes next, a timer brings.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Until both are connected: what was negotiated.
    pub fn connect(&mut self) -> (Version, SrtpKeys) {
        let connected = self.run(|pair| pair.ours.is_connected() && pair.theirs.is_connected());
        let Some(Event::Connected { version, srtp: Some(keys) }) = self.events.first() else {
            panic!("{connected} {:?} {:?} {:?}", self.events, self.theirs.failure(), self.ours);
        };
        assert!(connected, "{:?}", self.theirs.failure());
        (*version, keys.clone())
    }

    /// From ours to theirs.
    pub fn send(&mut self, payload: &[u8]) {
        let mut room = [0; 2048];
        let prefix = self.ours.overhead().prefix;
        room[prefix..prefix + payload.len()].copy_from_slice(payload);
        let len = self.ours.seal(&mut room, payload.len()).expect("connected");
        self.wire.send(0, &room[..len]);
    }

    /// From now on nothing is lost.
    pub fn mend(&mut self) {
        self.wire.quality = Quality::GOOD;
    }
}

/// Ours takes X25519MLKEM768, and offers it.
pub const OFFER: PostQuantum = PostQuantum::Offer;
