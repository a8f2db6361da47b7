//! Two ends on the simulated network, whose driver checks what holds always: deadlines advance, output ends, and
//! `can_transmit` tells the truth.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use wigwag_crypto::default_provider;
use wigwag_dtls::{Certificate, Config, Dtls, Event, Role, Versions};
use wigwag_net::{Diligence, Link, Machine, Reordering, Simulation};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath, WallClock, random};

const MTU: usize = 1200;
/// Payloads that each end sends to the other.
const COUNT: u8 = 50;

/// An end, and an application that sends numbered payloads.
struct End {
    dtls: Dtls,
    path: UdpPath,
    /// Whether it sends payloads: when both are connected, since nothing repeats what comes too early.
    speaks: bool,
    sent: u8,
    received: Vec<u8>,
    events: Vec<Event>,
    /// The last time a timeout was handled: what waits then, goes a millisecond later at the latest.
    handled: Option<Instant>,
    now: Instant,
}

impl End {
    fn new(seed: u64, side: u8, versions: Versions, path: UdpPath) -> Self {
        let mut bytes = [side; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut random = random::seeded(bytes);
        let certificate = Certificate::generate(default_provider(), &mut random, WallClock(1_700_000_000_000_000));
        let mut config = Config::new(certificate.unwrap(), default_provider());
        config.versions = versions;
        Self {
            dtls: Dtls::new(config, random),
            path,
            speaks: false,
            sent: 0,
            received: Vec::new(),
            events: Vec::new(),
            handled: None,
            now: Instant::default(),
        }
    }

    fn has_payload(&self) -> bool {
        self.speaks && self.sent < COUNT
    }
}

impl Machine for End {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { return };
        (self.now, self.handled) = (now, None);
        let Self { dtls, received: payloads, .. } = self;
        for datagram in received.datagrams() {
            dtls.open(now, datagram, |payload| payloads.push(payload[0]));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        (self.now, self.handled) = (now, Some(now));
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        out.start();
        let segment = out.segment(MTU)?;
        let len = if self.dtls.can_transmit() {
            self.dtls.write_packet(now, segment)?
        } else if self.has_payload() {
            let prefix = self.dtls.overhead().prefix;
            segment[prefix..prefix + 100].fill(self.sent);
            self.sent += 1;
            self.dtls.seal(segment, 100)?
        } else {
            return None;
        };
        out.push(len);
        out.finish(Route::Udp(self.path))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let soon = self.handled.map_or(self.now, |handled| handled + Duration::from_millis(1));
        let waits = self.dtls.can_transmit() || self.has_payload();
        [self.dtls.poll_timeout(), waits.then_some(soon)].into_iter().flatten().min()
    }

    fn step(&mut self, _now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            self.events.push(event);
        }
    }

    fn can_transmit(&self) -> Option<bool> {
        Some(self.dtls.can_transmit() || self.has_payload())
    }
}

/// A client and a server that know each other's fingerprint; nothing has been sent.
fn pair(seed: u64, versions: [Versions; 2], link: Link) -> Simulation<End> {
    let path = UdpPath { local: "10.0.0.1:1".parse().unwrap(), remote: "10.0.0.2:2".parse().unwrap() };
    let mut client = End::new(seed, 1, versions[0], path);
    let mut server = End::new(seed, 2, versions[1], path.reversed());
    client.dtls.set_remote_fingerprints(vec![server.dtls.certificate().fingerprint()]);
    server.dtls.set_remote_fingerprints(vec![client.dtls.certificate().fingerprint()]);
    server.dtls.start(Simulation::<End>::START, Role::Server);
    client.dtls.start(Simulation::<End>::START, Role::Client);
    let mut simulation = Simulation::new(seed);
    simulation.add([path.local.ip()], client);
    simulation.add([path.remote.ip()], server);
    simulation.network.set_default_link(link);
    simulation
}

/// Until both ends say so.
fn run_until(simulation: &mut Simulation<End>, both: impl Fn(&End) -> bool) {
    let done =
        |simulation: &Simulation<End>| simulation.hosts().all(|host| simulation.machine(host).is_some_and(&both));
    simulation.run_until(done, Duration::from_secs(30)).unwrap();
}

#[test]
fn every_pair_of_versions_on_a_bad_network() {
    use Versions::{Any, Dtls12, Dtls13};
    for versions in [[Any, Any], [Dtls12, Any], [Any, Dtls12], [Dtls13, Any], [Any, Dtls13]] {
        for seed in wigwag_net::seeds(5) {
            let link = Link {
                loss: 0.1,
                duplication: 0.2,
                reordering: Some(Reordering { probability: 0.1, extra_delay: Duration::from_millis(30) }),
                ..Link::default()
            };
            for diligence in [Diligence::FULL, Diligence::LEAST] {
                let mut simulation = pair(seed, versions, link);
                simulation.diligence = diligence;
                run_until(&mut simulation, |end| end.dtls.is_connected());
                for host in simulation.hosts().collect::<Vec<_>>() {
                    simulation.machine_mut(host).unwrap().speaks = true;
                }
                run_until(&mut simulation, |end| end.sent == COUNT);
                simulation.run_for(Duration::from_secs(2)).unwrap();
                for host in simulation.hosts() {
                    let end = simulation.machine(host).unwrap();
                    assert!(matches!(end.events.as_slice(), [Event::Connected { .. }]), "{:?}", end.events);
                    // What arrived, arrived once.
                    let mut numbers = end.received.clone();
                    numbers.sort_unstable();
                    numbers.dedup();
                    assert_eq!(numbers.len(), end.received.len());
                    assert!(numbers.len() > usize::from(COUNT) / 2, "{} payloads", numbers.len());
                }
            }
        }
    }
}

/// Scenario 3 for this layer: any one packet is lost.
#[test]
fn any_packet_of_the_handshake_may_be_lost() {
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        let connect = |lost: Option<u64>| {
            let mut simulation = pair(1, [versions; 2], Link::default());
            simulation.network.drop_nth(lost);
            run_until(&mut simulation, |end| end.dtls.is_connected());
            simulation.network.stats().sent
        };
        for lost in 0..connect(None) {
            connect(Some(lost));
        }
    }
}
