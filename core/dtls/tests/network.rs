//! Two ends on the simulated network, whose driver checks what holds always: deadlines advance, output ends, and
//! `can_transmit` tells the truth.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use wigwag_crypto::default_provider;
use wigwag_dtls::{Certificate, Config, Dtls, Event, PostQuantum, Role, Versions};
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
    fn new(seed: u64, side: u8, (versions, post_quantum): Kind, path: UdpPath) -> Self {
        let mut bytes = [side; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut random = random::seeded(bytes);
        let certificate = Certificate::generate(default_provider(), &mut random, WallClock(1_700_000_000_000_000));
        let mut config = Config::new(certificate.unwrap(), default_provider());
        (config.versions, config.post_quantum) = (versions, post_quantum);
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

/// What is negotiated.
type Kind = (Versions, PostQuantum);

const KINDS: [Kind; 3] = [
    (Versions::Dtls12, PostQuantum::Accept),
    (Versions::Dtls13, PostQuantum::Accept),
    (Versions::Dtls13, PostQuantum::Offer),
];

/// A client and a server that know each other's fingerprint; nothing has been sent.
fn pair(seed: u64, kinds: [Kind; 2], link: Link) -> Simulation<End> {
    pair_that_knows(None, seed, kinds, link)
}

/// The same, with a round trip that is known.
fn pair_that_knows(round_trip_time: Option<Duration>, seed: u64, kinds: [Kind; 2], link: Link) -> Simulation<End> {
    let path = UdpPath { local: "10.0.0.1:1".parse().unwrap(), remote: "10.0.0.2:2".parse().unwrap() };
    let mut client = End::new(seed, 1, kinds[0], path);
    let mut server = End::new(seed, 2, kinds[1], path.reversed());
    client.dtls.set_remote_fingerprints(vec![server.dtls.certificate().fingerprint()]);
    server.dtls.set_remote_fingerprints(vec![client.dtls.certificate().fingerprint()]);
    if let Some(time) = round_trip_time {
        client.dtls.set_round_trip_time(time);
        server.dtls.set_round_trip_time(time);
    }
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
            let kinds = versions.map(|versions| (versions, PostQuantum::Offer));
            for diligence in [Diligence::FULL, Diligence::LEAST] {
                let mut simulation = pair(seed, kinds, link);
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

/// A handshake without these packets: how many were sent, and how long it took. Each end is done within ten seconds.
fn connect_without(kind: Kind, lost: &[u64]) -> (u64, Duration) {
    let mut simulation = pair(1, [kind; 2], Link::default());
    simulation.network.drop_nth(lost.iter().copied());
    run_until(&mut simulation, |end| end.dtls.is_connected());
    let took = simulation.now() - Simulation::<End>::START;
    assert!(took < Duration::from_secs(10), "{kind:?} without {lost:?}: {took:?}");
    (simulation.network.stats().sent, took)
}

/// Scenarios 3 and 4 for this layer: any packet is lost, and any two. Which there are to lose after the first is
/// enumerated from the run that lost it.
#[test]
fn any_two_packets_of_the_handshake_may_be_lost() {
    for kind in KINDS {
        let (packets, mut slowest) = connect_without(kind, &[]);
        let mut pairs = 0;
        for first in 0..packets {
            let (packets, took) = connect_without(kind, &[first]);
            slowest = slowest.max(took);
            for second in first + 1..packets {
                slowest = slowest.max(connect_without(kind, &[first, second]).1);
                pairs += 1;
            }
        }
        println!("{kind:?}: {packets} packets, {pairs} pairs, {slowest:?} at most");
    }
}

/// Of every ten packets three are lost, and a round trip takes 100 ms.
#[test]
fn the_median_with_a_third_lost() {
    for kind in KINDS {
        let link = Link { loss: 0.3, delay: Duration::from_millis(50), ..Link::default() };
        let mut all: Vec<Duration> = (0..41)
            .map(|seed| {
                let mut simulation = pair(seed, [kind; 2], link);
                run_until(&mut simulation, |end| end.dtls.is_connected());
                simulation.now() - Simulation::<End>::START
            })
            .collect();
        all.sort();
        println!("{kind:?}: median {:?}, slowest {:?}", all[20], all[40]);
        assert!(all[20] < Duration::from_secs(2), "{kind:?}: {all:?}");
    }
}

/// A round trip that is known sets the timers: nothing is sent twice on a long path, and on a short one what is lost is
/// soon sent again.
#[test]
fn a_known_round_trip_sets_the_timers() {
    for kind in KINDS {
        let run = |delay: Duration, lost: Option<u64>, known: bool| {
            let link = Link { delay, ..Link::default() };
            let mut simulation = pair_that_knows(known.then_some(2 * delay), 1, [kind; 2], link);
            simulation.network.drop_nth(lost);
            run_until(&mut simulation, |end| end.dtls.is_connected());
            (simulation.network.stats().sent, simulation.now() - Simulation::<End>::START)
        };
        let (long, short) = (Duration::from_millis(400), Duration::from_millis(5));
        let (least, _) = run(short, None, true);
        assert_eq!(run(long, None, true).0, least);
        assert!(run(long, None, false).0 > least);
        let (_, soon) = run(short, Some(0), true);
        assert!(soon < Duration::from_millis(100), "{soon:?}");
        assert!(run(short, Some(0), false).1 > Duration::from_millis(250));
    }
}
