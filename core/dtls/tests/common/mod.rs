//! Two ends and a link between them, in virtual time.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rand::RngExt;
use wigwag_crypto::default_provider;
use wigwag_dtls::{Certificate, Config, Dtls, Event, Role, Version, Versions};
use wigwag_proto::{Instant, Random, WallClock, random};

/// What a link does to datagrams; the numbers are chances.
#[derive(Clone, Copy, Default)]
pub struct Link {
    pub loss: f64,
    pub duplication: f64,
    /// Up to so long a datagram takes longer than the one before or after it.
    pub jitter: Duration,
}

pub const GOOD: Link = Link { loss: 0.0, duplication: 0.0, jitter: Duration::ZERO };
pub const BAD: Link = Link { loss: 0.25, duplication: 0.2, jitter: Duration::from_millis(80) };
const DELAY: Duration = Duration::from_millis(10);

pub fn seeded(seed: u64) -> Random {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    random::seeded(bytes)
}

pub fn config(random: &mut Random, versions: Versions) -> Config {
    let certificate = Certificate::generate(default_provider(), random, WallClock(1_700_000_000_000_000)).unwrap();
    let mut config = Config::new(certificate, default_provider());
    config.versions = versions;
    config
}

pub struct End {
    pub dtls: Dtls,
    pub events: Vec<Event>,
    pub received: Vec<Vec<u8>>,
}

impl End {
    pub fn new(dtls: Dtls) -> Self {
        Self { dtls, events: Vec::new(), received: Vec::new() }
    }

    pub fn open(&mut self, now: Instant, datagram: &mut [u8]) {
        let Self { dtls, events, received } = self;
        dtls.open(now, datagram, |payload| received.push(payload.to_vec()));
        events.extend(std::iter::from_fn(|| dtls.poll_event()));
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.extend(std::iter::from_fn(|| self.dtls.poll_event()));
        std::mem::take(&mut self.events)
    }

    pub fn packets(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut room = [0; 1500];
        let mut packets = Vec::new();
        while self.dtls.can_transmit() {
            let len = self.dtls.write_packet(now, &mut room).expect("can_transmit said so");
            assert!(len <= 1200, "{len}");
            packets.push(room[..len].to_vec());
        }
        assert!(self.dtls.write_packet(now, &mut room).is_none());
        packets
    }

    /// A record with `payload`, if connected.
    pub fn seal(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let overhead = self.dtls.overhead();
        let mut segment = vec![0xA5; overhead.total() + payload.len() + 7];
        segment[overhead.prefix..overhead.prefix + payload.len()].copy_from_slice(payload);
        let len = self.dtls.seal(&mut segment, payload.len())?;
        assert_eq!(len, overhead.total() + payload.len(), "overhead is exact");
        assert!(segment[len..].iter().all(|byte| *byte == 0xA5), "written beyond the record");
        segment.truncate(len);
        Some(segment)
    }

    pub fn version(&self) -> Option<Version> {
        self.dtls.version()
    }
}

/// A client, a server and what is on its way between them.
pub struct Pair {
    pub now: Instant,
    pub ends: [End; 2],
    pub link: Link,
    pub random: Random,
    flying: Vec<(Instant, usize, Vec<u8>)>,
    pub datagrams: Vec<Vec<u8>>,
}

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

impl Pair {
    /// Both know each other's fingerprint, and neither has started.
    pub fn new(seed: u64, versions: [Versions; 2], link: Link) -> Self {
        let mut random = seeded(seed);
        let configs = versions.map(|versions| config(&mut random, versions));
        Self::of(configs, random, link)
    }

    pub fn of(configs: [Config; 2], mut random: Random, link: Link) -> Self {
        let fingerprints = configs.each_ref().map(|config| config.certificate.fingerprint());
        let mut ends = configs.map(|config| End::new(Dtls::new(config, random::fork(&mut random))));
        ends[CLIENT].dtls.set_remote_fingerprints(vec![fingerprints[SERVER].clone()]);
        ends[SERVER].dtls.set_remote_fingerprints(vec![fingerprints[CLIENT].clone()]);
        Self { now: Instant(1_000_000), ends, link, random, flying: Vec::new(), datagrams: Vec::new() }
    }

    /// Connected over a good link, with no events left.
    pub fn connected(versions: Versions) -> Self {
        let mut pair = Self::new(7, [versions; 2], GOOD);
        pair.start();
        pair.run(Duration::from_secs(1));
        assert!(pair.ends.iter().all(|end| end.dtls.is_connected()), "{:?}", pair.ends[0].dtls);
        pair.ends.iter_mut().for_each(|end| {
            end.take_events();
        });
        pair
    }

    pub fn start(&mut self) {
        self.ends[CLIENT].dtls.start(self.now, Role::Client);
        self.ends[SERVER].dtls.start(self.now, Role::Server);
    }

    pub fn send(&mut self, from: usize, datagram: Vec<u8>) {
        self.datagrams.push(datagram.clone());
        let copies = 1 + usize::from(self.random.random_bool(self.link.duplication));
        for _ in 0..copies {
            if self.random.random_bool(self.link.loss) {
                continue;
            }
            let jitter = self.link.jitter.mul_f64(self.random.random::<f64>());
            self.flying.push((self.now + DELAY + jitter, 1 - from, datagram.clone()));
        }
    }

    /// Everything that happens until `time` has passed, or nothing can happen any more.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for from in [CLIENT, SERVER] {
                for packet in self.ends[from].packets(self.now) {
                    self.send(from, packet);
                }
            }
            let timers = self.ends.iter().filter_map(|end| end.dtls.poll_timeout());
            let Some(next) = self.flying.iter().map(|(at, ..)| *at).chain(timers).min().filter(|next| *next <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let (due, later) = std::mem::take(&mut self.flying).into_iter().partition(|(at, ..)| *at <= self.now);
            self.flying = later;
            for (_, to, mut datagram) in due {
                self.ends[to].open(self.now, &mut datagram);
            }
            for end in &mut self.ends {
                if end.dtls.poll_timeout().is_some_and(|timeout| timeout <= self.now) {
                    end.dtls.handle_timeout(self.now);
                    assert!(end.dtls.poll_timeout().is_none_or(|timeout| timeout > self.now), "no livelock");
                    end.events.extend(std::iter::from_fn(|| end.dtls.poll_event()));
                }
            }
        }
    }
}
