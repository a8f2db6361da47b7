//! Queues and ECN: do senders that listen to them get what the RFCs promise?
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use wigwag_net::{CoDel, Discipline, DualPi2, EcnTreatment, Link, Network};
use wigwag_proto::{Instant, UdpPath};

const MS: Duration = Duration::from_millis(1);
/// Of the IP packet: at 12 Mbit/s one leaves each millisecond.
const PACKET: usize = 1500;
const RATE: u64 = 12_000_000;
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

fn path(flow: u8) -> UdpPath {
    let local = format!("10.0.0.1:{}", 5000 + u16::from(flow)).parse().unwrap();
    UdpPath { local, remote: "10.0.0.2:6000".parse().unwrap() }
}

fn network(link: Link) -> Network {
    let mut network = Network::new(1);
    let hosts = [network.add_host(["10.0.0.1".parse().unwrap()]), network.add_host(["10.0.0.2".parse().unwrap()])];
    network.set_link(hosts[0], hosts[1], link);
    network
}

/// A window that grows by one per round trip, and by what it shrinks when it hears of congestion.
struct Flow {
    ecn: u8,
    window: f64,
    in_flight: u32,
    next: u32,
    expected: u32,
    /// Marks and losses of before this number have been answered.
    recovered: u32,
    delays: Vec<f64>,
}

impl Flow {
    fn new(ecn: u8) -> Self {
        Self { ecn, window: 4.0, in_flight: 0, next: 0, expected: 0, recovered: 0, delays: Vec::new() }
    }

    /// An acknowledgement of one packet.
    fn acknowledged(&mut self, number: u32, ecn: u8) {
        let lost = number.saturating_sub(self.expected);
        self.in_flight -= 1 + lost;
        self.expected = number + 1;
        let is_scalable = self.ecn == ECT_1;
        if ecn == CE && is_scalable {
            self.window -= 0.5;
        } else if (ecn == CE || lost > 0) && number >= self.recovered {
            self.window /= 2.0;
            self.recovered = self.next;
        }
        self.window = (self.window + 1.0 / self.window).max(2.0);
    }

    fn mean_delay(&self) -> f64 {
        self.delays.iter().sum::<f64>() / self.delays.len() as f64
    }

    fn percentile(&self, part: f64) -> f64 {
        let mut delays = self.delays.clone();
        delays.sort_by(f64::total_cmp);
        delays[(delays.len() as f64 * part) as usize]
    }
}

/// Runs flows for a minute; their delays in milliseconds (without the link's own) are of its second half.
fn run(network: &mut Network, flows: &mut [Flow], delay: Duration) {
    let end = Instant::from_micros(60_000_000);
    let half = Instant::from_micros(30_000_000);
    let mut now = Instant::from_micros(0);
    let mut acknowledgements: BTreeMap<(Instant, usize, u32), u8> = BTreeMap::new();
    while now < end {
        while let Some(delivery) = network.deliver(now) {
            let flow = usize::from(delivery.bytes[0]);
            let number = u32::from_be_bytes(delivery.bytes[1..5].try_into().unwrap());
            let sent = Instant::from_micros(u64::from_be_bytes(delivery.bytes[5..13].try_into().unwrap()));
            if now > half {
                flows[flow].delays.push((now - sent - delay).as_secs_f64() * 1000.0);
            }
            acknowledgements.insert((now + delay, flow, number), delivery.ecn);
        }
        while let Some(entry) = acknowledgements.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, flow, number), ecn) = entry.remove_entry();
            flows[flow].acknowledged(number, ecn);
        }
        for (index, flow) in flows.iter_mut().enumerate() {
            // A new round when everything was lost.
            if acknowledgements.is_empty() && network.next_arrival().is_none() {
                (flow.in_flight, flow.expected) = (0, flow.next);
            }
            while f64::from(flow.in_flight) < flow.window {
                let mut bytes = vec![0; PACKET - 28];
                bytes[0] = index as u8;
                bytes[1..5].copy_from_slice(&flow.next.to_be_bytes());
                bytes[5..13].copy_from_slice(&now.as_micros().to_be_bytes());
                network.inject(now, path(index as u8), flow.ecn, &bytes);
                flow.next += 1;
                flow.in_flight += 1;
            }
        }
        let next = acknowledgements.keys().next().map(|(at, ..)| *at);
        now = next.into_iter().chain(network.next_arrival()).min().unwrap();
    }
}

fn bottleneck(discipline: Discipline) -> Link {
    Link { delay: 20 * MS, rate: Some(RATE), queue: 400 * PACKET, discipline, ..Link::default() }
}

#[test]
fn a_long_drop_tail_queue_is_full_and_codel_empties_it() {
    let one = |discipline, ecn| {
        let mut network = network(bottleneck(discipline));
        let mut flows = [Flow { window: 390.0, ..Flow::new(ecn) }];
        run(&mut network, &mut flows, 20 * MS);
        let [flow] = flows;
        (flow, network.stats())
    };
    let (bloated, stats) = one(Discipline::DropTail, NOT_ECT);
    assert!(bloated.mean_delay() > 150.0, "{} ms", bloated.mean_delay());
    assert!(stats.queue_full > 0 && stats.queue_dropped == 0);

    let (dropped, stats) = one(Discipline::CoDel(CoDel::default()), NOT_ECT);
    assert!(dropped.mean_delay() < 15.0, "{} ms", dropped.mean_delay());
    assert!(dropped.delays.len() > 25_000, "the line is well used: {}", dropped.delays.len());
    assert!(stats.queue_dropped > 0 && stats.queue_full == 0 && stats.marked == 0);

    let (marked, stats) = one(Discipline::CoDel(CoDel::default()), ECT_0);
    assert!(marked.mean_delay() < 15.0, "{} ms", marked.mean_delay());
    assert!(stats.marked > 0 && stats.queue_dropped == 0);
}

#[test]
fn below_the_capacity_nobody_is_dropped_or_marked() {
    for discipline in [Discipline::CoDel(CoDel::default()), Discipline::DualPi2(DualPi2::default())] {
        let mut network = network(bottleneck(discipline));
        for n in 0..10_000_u32 {
            network.inject(Instant::default() + MS * n * 2, path(0), n as u8 & 3, &[0; PACKET - 28]);
        }
        while let Some(at) = network.next_arrival() {
            while network.deliver(at).is_some() {}
        }
        let stats = network.stats();
        assert_eq!((stats.delivered, stats.marked), (10_000, 0));
    }
}

/// RFC 8289: after an interval above the target the first goes, the next after an interval, then faster and faster.
#[test]
fn codel_drops_at_the_times_of_its_law() {
    let mut network = network(Link { delay: Duration::ZERO, ..bottleneck(Discipline::CoDel(CoDel::default())) });
    for number in 0..400_u32 {
        network.inject(Instant::from_micros(0), path(0), NOT_ECT, &[&number.to_be_bytes()[..], &[0; 1468]].concat());
    }
    let mut missing = Vec::new();
    let mut expected = 0;
    while let Some(at) = network.next_arrival() {
        while let Some(delivery) = network.deliver(at) {
            let number = u32::from_be_bytes(delivery.bytes[..4].try_into().unwrap());
            // Each leaves at a millisecond; so the one before it would have left a millisecond before.
            missing.extend((expected..number).map(|_| at.as_micros() / 1000 - 1));
            expected = number + 1;
        }
    }
    // Above 5 ms since 5 ms: the first at 105 ms, and then 100/sqrt(n) apart.
    assert_eq!(missing, [105, 205, 276, 334, 384]);
}

#[test]
fn dual_pi2_gives_scalable_traffic_no_delay_and_both_their_share() {
    let mut network = network(bottleneck(Discipline::DualPi2(DualPi2::default())));
    let mut flows = [Flow::new(NOT_ECT), Flow::new(ECT_1)];
    run(&mut network, &mut flows, 20 * MS);
    let [classic, scalable] = &flows;
    assert!((8.0..25.0).contains(&classic.mean_delay()), "classic: {} ms", classic.mean_delay());
    // A packet takes a millisecond, and one of the other kind may be before it.
    assert!(scalable.percentile(0.95) < 5.0, "scalable: {} ms", scalable.percentile(0.95));
    let (classic, scalable) = (classic.delays.len() as f64, scalable.delays.len() as f64);
    assert!(classic + scalable > 27_000.0, "the line is used: {classic} + {scalable}");
    assert!((0.25..4.0).contains(&(classic / scalable)), "{classic} to {scalable}");
}

#[test]
fn dual_pi2_drops_who_does_not_listen() {
    let mut network = network(bottleneck(Discipline::DualPi2(DualPi2::default())));
    let mut delays = Vec::new();
    for n in 0..20_000_u32 {
        let now = Instant::default() + MS / 2 * n;
        while let Some(at) = network.next_arrival().filter(|at| *at <= now) {
            while let Some(delivery) = network.deliver(at) {
                let sent = Instant::from_micros(u64::from_be_bytes(delivery.bytes[..8].try_into().unwrap()));
                delays.push(at - sent);
            }
        }
        network.inject(now, path(0), ECT_0, &[&now.as_micros().to_be_bytes()[..], &[0; 1464]].concat());
    }
    let stats = network.stats();
    assert!(stats.marked > 10 && stats.queue_dropped > 5_000, "{stats:?}");
    assert!(*delays.last().unwrap() < 100 * MS, "{:?}", delays.last());
}

#[test]
fn what_waits_is_served_when_the_discipline_changes() {
    for before in [Discipline::CoDel(CoDel::default()), Discipline::DualPi2(DualPi2::default())] {
        for after in
            [Discipline::DropTail, Discipline::CoDel(CoDel::default()), Discipline::DualPi2(DualPi2::default())]
        {
            let mut network = network(bottleneck(before));
            let send = |network: &mut Network, ms| {
                for ecn in 0..8 {
                    network.inject(Instant::default() + MS * ms, path(0), ecn & 3, &[0; PACKET - 28]);
                }
            };
            send(&mut network, 0);
            network.set_default_link(bottleneck(after));
            let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
            network.set_one_way(from, to, bottleneck(after));
            send(&mut network, 1);
            network.set_one_way(from, to, Link { rate: None, ..bottleneck(after) });
            send(&mut network, 2);
            let mut arrived = 0;
            while let Some(at) = network.next_arrival() {
                arrived += std::iter::from_fn(|| network.deliver(at)).count();
            }
            assert_eq!(arrived as u64 + network.stats().queue_dropped, 24);
        }
    }
}

#[test]
fn links_mark_bleach_and_drop() {
    let arrives = |link: Link| {
        let mut network = network(link);
        (0..4).for_each(|ecn| network.inject(Instant::from_micros(0), path(0), ecn, b"x"));
        let arrived: Vec<u8> = std::iter::from_fn(|| network.deliver(Instant::NEVER)).map(|it| it.ecn).collect();
        (arrived, network.stats())
    };
    let treated = |ecn| arrives(Link { ecn, ..Link::default() });
    assert_eq!(treated(EcnTreatment::Kept).0, [NOT_ECT, ECT_1, ECT_0, CE]);
    let (bleached, stats) = treated(EcnTreatment::Bleached);
    assert_eq!((bleached, stats.bleached), (vec![NOT_ECT; 4], 3));
    assert_eq!(treated(EcnTreatment::Ect0).0, [NOT_ECT, ECT_0, ECT_0, CE]);
    assert_eq!(treated(EcnTreatment::AllMarked).0, [CE; 4]);
    let (passed, stats) = treated(EcnTreatment::Dropped);
    assert_eq!((passed, stats.lost), (vec![NOT_ECT], 3));
    let (marked, stats) = arrives(Link { marking: 1.0, ..Link::default() });
    assert_eq!((marked, stats.marked), (vec![NOT_ECT, CE, CE, CE], 2));
}

#[test]
fn marking_is_as_likely_as_said_and_shifts_nothing_else() {
    let run = |marking| {
        let mut network = network(Link { marking, loss: 0.1, jitter: 5 * MS, ..Link::default() });
        (0..10_000).for_each(|n| network.inject(Instant::default() + MS * n, path(0), ECT_0, b"x"));
        let mut arrived = Vec::new();
        while let Some(at) = network.next_arrival() {
            arrived.extend(network.deliver(at).map(|it| (at, it.ecn)));
        }
        arrived
    };
    let (plain, marked) = (run(0.0), run(0.2));
    assert!(plain.iter().map(|(at, _)| at).eq(marked.iter().map(|(at, _)| at)));
    let part = marked.iter().filter(|(_, ecn)| *ecn == CE).count() as f64 / marked.len() as f64;
    assert!((0.18..0.22).contains(&part), "{part}");
}

#[test]
fn who_sends_too_long_packets_is_told_or_not() {
    for mtu_notice in [false, true] {
        let mut network = network(Link { mtu: 1280, mtu_notice, ..Link::default() });
        let transmit = wigwag_proto::Transmit {
            route: wigwag_proto::Route::Udp(path(0)),
            len: 1253,
            segment_size: 1253,
            ecn: 0,
            dscp: 0,
        };
        network.send(Instant::from_micros(0), &transmit, &[0; 1253]);
        let at = network.next_arrival();
        assert_eq!(at, mtu_notice.then_some(Instant::from_micros(10_000)));
        let notice = network.poll_notice(Instant::from_micros(9_999));
        assert_eq!(notice, None);
        let notice = network.poll_notice(Instant::from_micros(10_000));
        assert_eq!(notice.map(|it| (it.path, it.mtu)), mtu_notice.then_some((path(0), 1280)));
        assert_eq!(network.stats().too_big, 1);
    }
}
