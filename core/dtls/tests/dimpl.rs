//! Ours and `dimpl`'s, at the two ends of a link in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant as SystemInstant};

use common::{BAD, End, GOOD, Link};
use dimpl::crypto::CryptoProvider;
use dimpl::{DtlsCertificate, Output};
use rand::RngExt;
use wigwag_crypto::{Provider, default_provider};
use wigwag_dtls::{Certificate, Config, Dtls, Event, Failure, Role, Version, Versions};
use wigwag_proto::{Instant, Random, WallClock, random};

const START: Instant = Instant(1_000_000);
const DELAY: Duration = Duration::from_millis(10);

struct Theirs {
    inner: dimpl::Dtls,
    base: SystemInstant,
    timeout: Option<Instant>,
    connected: bool,
    closed: bool,
    keys: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    received: Vec<Vec<u8>>,
}

impl Theirs {
    fn system(&self, now: Instant) -> SystemInstant {
        self.base + (now - START)
    }

    fn handle(&mut self, now: Instant, datagram: Option<&[u8]>) -> Vec<Vec<u8>> {
        let system = self.system(now);
        let timed = self.inner.handle_timeout(system);
        assert!(timed.is_ok() || self.closed, "{timed:?}");
        if let Some(datagram) = datagram
            && let Err(error) = self.inner.handle_packet(datagram)
        {
            // Its client of both versions cannot wait for what comes before: no harm done.
            let noise = ["queue full", "unrecognized response"];
            assert!(noise.iter().any(|noise| error.to_string().contains(noise)), "{error}");
        }
        self.drain()
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut room = vec![0; 1 << 16];
        loop {
            match self.inner.poll_output(&mut room) {
                Output::Packet(packet) => packets.push(packet.to_vec()),
                Output::Timeout(at) => {
                    let after = at.saturating_duration_since(self.base);
                    let after = after + Duration::from_micros(1);
                    self.timeout = (after < Duration::from_secs(1_000_000)).then(|| START + after);
                    return packets;
                }
                Output::Connected => self.connected = true,
                Output::PeerCert(certificate) => self.certificate = Some(certificate.to_vec()),
                Output::KeyingMaterial(material, _) => self.keys = Some(material.to_vec()),
                Output::ApplicationData(payload) => self.received.push(payload.to_vec()),
                Output::CloseNotify => self.closed = true,
                _ => {}
            }
        }
    }
}

/// What a test varies.
struct Setup {
    ours: Versions,
    theirs: Versions,
    our_role: Role,
    link: Link,
    seed: u64,
    provider: Provider,
    backend: CryptoProvider,
    cookie: bool,
    records_per_key: [u64; 2],
    mtu: usize,
}

impl Setup {
    fn new(ours: Versions, theirs: Versions, our_role: Role) -> Self {
        Self {
            ours,
            theirs,
            our_role,
            link: GOOD,
            seed: 1,
            provider: default_provider(),
            backend: dimpl::crypto::aws_lc_rs::default_provider(),
            cookie: false,
            records_per_key: [1 << 23; 2],
            mtu: 1200,
        }
    }

    fn meet(self) -> Meeting {
        let mut random = common::seeded(self.seed);
        let certificate = Certificate::generate(self.provider, &mut random, WallClock(1_700_000_000_000_000)).unwrap();
        let their_certificate =
            Certificate::generate(default_provider(), &mut random, WallClock(1_700_000_000_000_000)).unwrap();
        let mut config = Config::new(certificate, self.provider);
        config.versions = self.ours;
        config.records_per_key = self.records_per_key[0];
        config.mtu = self.mtu;
        let mut dtls = Dtls::new(config, random::fork(&mut random));
        dtls.set_remote_fingerprints(vec![their_certificate.fingerprint()]);

        let config = dimpl::Config::builder()
            .with_crypto_provider(self.backend)
            .mtu(self.mtu)
            .use_server_cookie(self.cookie)
            .require_client_certificate(true)
            .flight_start_rto(Duration::from_millis(250))
            .flight_retries(32)
            .handshake_timeout(Duration::from_secs(60))
            .aead_encryption_limit(self.records_per_key[1])
            .build()
            .unwrap();
        let theirs = DtlsCertificate {
            certificate: their_certificate.der().to_vec(),
            private_key: their_certificate.private_key().to_vec(),
        };
        let (base, config) = (SystemInstant::now(), Arc::new(config));
        let mut inner = match self.theirs {
            Versions::Any => dimpl::Dtls::new_auto(config, theirs, base),
            Versions::Dtls12 => dimpl::Dtls::new_12(config, theirs, base),
            Versions::Dtls13 => dimpl::Dtls::new_13(config, theirs, base),
        };
        inner.set_active(self.our_role == Role::Server);
        let theirs = Theirs {
            inner,
            base,
            timeout: Some(START),
            connected: false,
            closed: false,
            keys: None,
            certificate: None,
            received: Vec::new(),
        };
        let mut ours = End::new(dtls);
        ours.dtls.start(START, self.our_role);
        Meeting { now: START, ours, theirs, link: self.link, random, flying: Vec::new() }
    }
}

struct Meeting {
    now: Instant,
    ours: End,
    theirs: Theirs,
    link: Link,
    random: Random,
    /// When, to us or not, what.
    flying: Vec<(Instant, bool, Vec<u8>)>,
}

impl Meeting {
    fn send(&mut self, to_us: bool, datagram: Vec<u8>) {
        for _ in 0..1 + usize::from(self.random.random_bool(self.link.duplication)) {
            if !self.random.random_bool(self.link.loss) {
                let jitter = self.link.jitter.mul_f64(self.random.random::<f64>());
                self.flying.push((self.now + DELAY + jitter, to_us, datagram.clone()));
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for packet in self.ours.packets(self.now) {
                self.send(false, packet);
            }
            let timers = [self.ours.dtls.poll_timeout(), self.theirs.timeout];
            let next = self.flying.iter().map(|(at, ..)| *at).chain(timers.into_iter().flatten()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let (due, later) = std::mem::take(&mut self.flying).into_iter().partition(|(at, ..)| *at <= self.now);
            self.flying = later;
            for (_, to_us, mut datagram) in due {
                if to_us {
                    self.ours.open(self.now, &mut datagram);
                } else {
                    let now = self.now;
                    self.theirs.handle(now, Some(&datagram)).into_iter().for_each(|packet| self.send(true, packet));
                }
            }
            if self.ours.dtls.poll_timeout().is_some_and(|at| at <= self.now) {
                self.ours.dtls.handle_timeout(self.now);
            }
            if self.theirs.timeout.is_some_and(|at| at <= self.now) {
                let now = self.now;
                self.theirs.handle(now, None).into_iter().for_each(|packet| self.send(true, packet));
            }
        }
    }

    fn assert_connected(&mut self, version: Version, context: &str) {
        assert!(self.ours.dtls.is_connected() && self.theirs.connected, "{context}: {:?}", self.ours.dtls);
        let events = self.ours.take_events();
        let [Event::Connected { version: actual, srtp: Some(keys) }] = &events[..] else {
            panic!("{context}: {events:?}");
        };
        assert_eq!(*actual, version);
        let material =
            [&keys.client_key[..], &keys.server_key[..], &keys.client_salt[..], &keys.server_salt[..]].concat();
        assert_eq!(self.theirs.keys.as_deref(), Some(&material[..]), "{context}");
        assert_eq!(self.theirs.certificate.as_deref(), Some(self.ours.dtls.certificate().der()));
    }

    /// Payloads in both directions.
    fn exchange(&mut self, count: u32) {
        self.link = GOOD;
        self.ours.received.clear();
        self.theirs.received.clear();
        for n in 0..count {
            let record = self.ours.seal(&n.to_be_bytes()).expect("connected");
            self.send(false, record);
            self.theirs.inner.send_application_data(&n.to_be_bytes()).unwrap();
            self.theirs.drain().into_iter().for_each(|packet| self.send(true, packet));
            self.run(Duration::from_millis(25));
        }
        let expected: Vec<_> = (0..count).map(|n| n.to_be_bytes().to_vec()).collect();
        assert_eq!(self.ours.received, expected);
        assert_eq!(self.theirs.received, expected);
    }
}

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const MATRIX: [(Versions, Versions, Version); 7] = [
    (Versions::Dtls13, Versions::Dtls13, Version::Dtls13),
    (Versions::Dtls12, Versions::Dtls12, Version::Dtls12),
    (Versions::Any, Versions::Dtls13, Version::Dtls13),
    (Versions::Any, Versions::Dtls12, Version::Dtls12),
    (Versions::Dtls13, Versions::Any, Version::Dtls13),
    (Versions::Dtls12, Versions::Any, Version::Dtls12),
    (Versions::Any, Versions::Any, Version::Dtls13),
];

#[test]
fn every_combination() {
    for role in ROLES {
        for (ours, theirs, version) in MATRIX {
            let context = format!("{role:?} {ours:?} {theirs:?}");
            let mut meeting = Setup::new(ours, theirs, role).meet();
            meeting.run(Duration::from_secs(3));
            meeting.assert_connected(version, &context);
            meeting.exchange(20);
            assert_eq!(meeting.ours.dtls.poll_timeout(), None, "{context}");
        }
    }
}

#[test]
fn bad_links() {
    for role in ROLES {
        for (ours, theirs, version) in MATRIX {
            for seed in 0..10 {
                let context = format!("{role:?} {ours:?} {theirs:?} seed {seed}");
                let mut setup = Setup::new(ours, theirs, role);
                (setup.link, setup.seed) = (BAD, seed);
                let mut meeting = setup.meet();
                meeting.run(Duration::from_secs(29));
                meeting.assert_connected(version, &context);
                meeting.link = GOOD;
                meeting.run(Duration::from_secs(5));
                meeting.exchange(3);
            }
        }
    }
}

#[test]
fn small_datagrams() {
    for role in ROLES {
        for (ours, theirs, version) in MATRIX {
            let mut setup = Setup::new(ours, theirs, role);
            (setup.mtu, setup.link.loss) = (300, 0.1);
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(29));
            meeting.assert_connected(version, &format!("{role:?} {ours:?} {theirs:?}"));
        }
    }
}

/// HelloVerifyRequest, and a HelloRetryRequest with a cookie.
#[test]
fn a_server_that_wants_a_cookie() {
    for (ours, theirs, version) in MATRIX {
        let mut setup = Setup::new(ours, theirs, Role::Client);
        setup.cookie = true;
        let mut meeting = setup.meet();
        meeting.run(Duration::from_secs(3));
        meeting.assert_connected(version, &format!("{ours:?} {theirs:?}"));
        meeting.exchange(3);
    }
}

/// A HelloRetryRequest for another group.
#[test]
fn a_server_that_wants_another_group() {
    for cookie in [false, true] {
        for group in 0..2 {
            let mut setup = Setup::new(Versions::Any, Versions::Dtls13, Role::Client);
            let groups = setup.backend.kx_groups;
            let groups = groups.iter().copied().filter(|group| group.name() != dimpl::crypto::NamedGroup::X25519);
            let Some(group) = groups.clone().nth(group) else {
                continue;
            };
            setup.backend.kx_groups = Box::leak(Box::new([group]));
            setup.cookie = cookie;
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(3));
            meeting.assert_connected(Version::Dtls13, &format!("{:?}", group.name()));
            meeting.exchange(3);
        }
    }
}

#[test]
fn every_group_and_suite_as_a_server() {
    let backend = dimpl::crypto::aws_lc_rs::default_provider();
    for version in [Versions::Dtls12, Versions::Dtls13] {
        for group in backend.kx_groups {
            let mut setup = Setup::new(Versions::Any, version, Role::Server);
            setup.backend.kx_groups = Box::leak(Box::new([*group]));
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(3));
            assert!(meeting.ours.dtls.is_connected(), "{:?} {:?}", group.name(), meeting.ours.take_events());
            meeting.exchange(3);
        }
    }
    for role in ROLES {
        for suite in backend.dtls13_cipher_suites {
            let mut setup = Setup::new(Versions::Any, Versions::Dtls13, role);
            setup.backend.dtls13_cipher_suites = Box::leak(Box::new([*suite]));
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(3));
            meeting.assert_connected(Version::Dtls13, &format!("{suite:?}"));
            meeting.exchange(10);
        }
        for suite in backend.cipher_suites {
            let name = format!("{suite:?}");
            if !name.contains("GCM") && !name.contains("Gcm") {
                continue;
            }
            let mut setup = Setup::new(Versions::Any, Versions::Dtls12, role);
            setup.backend.cipher_suites = Box::leak(Box::new([*suite]));
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(3));
            meeting.assert_connected(Version::Dtls12, &name);
            meeting.exchange(10);
        }
    }
}

#[test]
fn new_keys() {
    for role in ROLES {
        for limits in [[40, 1 << 23], [1 << 23, 40]] {
            let mut setup = Setup::new(Versions::Any, Versions::Dtls13, role);
            setup.records_per_key = limits;
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(3));
            meeting.assert_connected(Version::Dtls13, "new keys");
            meeting.exchange(400);
        }
    }
}

#[test]
fn closing() {
    for role in ROLES {
        for version in [Versions::Dtls12, Versions::Dtls13] {
            let mut meeting = Setup::new(Versions::Any, version, role).meet();
            meeting.run(Duration::from_secs(3));
            meeting.ours.take_events();
            meeting.theirs.inner.close().unwrap();
            meeting.theirs.drain().into_iter().for_each(|packet| meeting.send(true, packet));
            meeting.theirs.closed = true;
            meeting.run(Duration::from_secs(1));
            assert_eq!(meeting.ours.take_events(), [Event::Closed]);

            let mut meeting = Setup::new(Versions::Any, version, role).meet();
            meeting.run(Duration::from_secs(3));
            meeting.ours.dtls.close(meeting.now);
            meeting.run(Duration::from_secs(1));
            assert!(meeting.theirs.closed, "{role:?} {version:?}");
        }
    }
}

#[test]
fn a_wrong_fingerprint() {
    for role in ROLES {
        for version in [Versions::Dtls12, Versions::Dtls13] {
            let mut meeting = Setup::new(Versions::Any, version, role).meet();
            let other = meeting.ours.dtls.certificate().fingerprint();
            meeting.ours.dtls.set_remote_fingerprints(vec![other]);
            meeting.theirs.closed = true; // it may fail
            let now = meeting.now;
            for _ in 0..10 {
                let system = meeting.theirs.system(now);
                let _ = meeting.theirs.inner.handle_timeout(system);
                for packet in meeting.ours.packets(now) {
                    let _ = meeting.theirs.inner.handle_packet(&packet);
                }
                for mut packet in meeting.theirs.drain() {
                    meeting.ours.open(now, &mut packet);
                }
            }
            assert_eq!(meeting.ours.take_events(), [Event::Failed(Failure::FingerprintMismatch)]);
        }
    }
}

#[cfg(feature = "rust-crypto")]
#[test]
fn with_the_other_provider() {
    for role in ROLES {
        for (ours, theirs, version) in MATRIX {
            let mut setup = Setup::new(ours, theirs, role);
            setup.provider = wigwag_crypto::rust_crypto();
            let mut meeting = setup.meet();
            meeting.run(Duration::from_secs(3));
            meeting.assert_connected(version, "rust-crypto");
            meeting.exchange(3);
        }
    }
}
