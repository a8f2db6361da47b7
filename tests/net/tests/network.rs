//! The network alone: are its statistics those of the links?
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use wigwag_net::{BurstLoss, CoDel, Discipline, DualPi2, EcnTreatment, HostId, Link, Network, Reordering, Verdict};
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

const MS: Duration = Duration::from_millis(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn path() -> UdpPath {
    UdpPath { local: "10.0.0.1:5000".parse().unwrap(), remote: "10.0.0.2:6000".parse().unwrap() }
}

fn network(seed: u64, link: Link) -> (Network, [HostId; 2]) {
    let mut network = Network::new(seed);
    let hosts = [network.add_host([ip("10.0.0.1")]), network.add_host([ip("10.0.0.2")])];
    network.set_link(hosts[0], hosts[1], link);
    (network, hosts)
}

fn send(network: &mut Network, now: Instant, bytes: &[u8]) {
    let transmit = Transmit { route: Route::Udp(path()), len: bytes.len(), segment_size: bytes.len(), ecn: 2, dscp: 0 };
    network.send(now, &transmit, bytes);
}

/// The number in each datagram and when it arrived, in the order of arrival; one is sent each `every`.
fn traffic(network: &mut Network, count: u32, every: Duration, len: usize) -> Vec<(u32, Instant)> {
    for n in 0..count {
        let mut bytes = vec![0; len.max(4)];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        send(network, Instant::from_micros(0) + every * n, &bytes);
    }
    let mut arrived = Vec::new();
    while let Some(now) = network.next_arrival() {
        let delivery = network.deliver(now).unwrap();
        assert_eq!(delivery.path, path().reversed());
        arrived.push((u32::from_be_bytes(delivery.bytes[..4].try_into().unwrap()), now));
    }
    arrived
}

fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} where about {expected} is expected");
}

#[test]
fn a_batch_is_split_and_arrives_in_order() {
    let (mut network, [_, bob]) = network(1, Link::default());
    let bytes: Vec<u8> = (0..25).collect();
    let transmit = Transmit { route: Route::Udp(path()), len: 25, segment_size: 10, ecn: 1, dscp: 0 };
    network.send(Instant::from_micros(5), &transmit, &bytes);
    let now = network.next_arrival().unwrap();
    assert_eq!(now, Instant::from_micros(10_005));
    assert_eq!(network.deliver(Instant::from_micros(10_004)), None);
    let arrived: Vec<_> = std::iter::from_fn(|| network.deliver(now)).collect();
    assert_eq!(arrived.iter().map(|it| it.bytes.len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(arrived.iter().flat_map(|it| it.bytes.clone()).collect::<Vec<_>>(), bytes);
    assert!(arrived.iter().all(|it| it.to == bob && it.ecn == 1));
}

#[test]
fn the_seed_decides() {
    let link = Link { loss: 0.2, jitter: 20 * MS, duplication: 0.1, corruption: 0.1, ..Link::default() };
    let run = |seed| {
        let (mut network, _) = network(seed, link);
        let arrived = traffic(&mut network, 200, MS, 50);
        (network.digest(), arrived)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).1, run(2).1);
    // The digest is of what was sent, which here did not depend on what arrived.
    assert_eq!(run(1).0, run(2).0);
}

#[test]
fn the_digest_sees_bytes_times_and_paths() {
    let digest = |now, path: UdpPath, bytes: &[u8]| {
        let (mut network, _) = network(1, Link::default());
        network.inject(Instant::from_micros(now), path, 0, bytes);
        network.digest()
    };
    let digests =
        [digest(0, path(), b"a"), digest(1, path(), b"a"), digest(0, path(), b"b"), digest(0, path().reversed(), b"a")];
    assert_eq!(digests.iter().map(|digest| digest.0).collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn losses_are_as_many_as_said() {
    for loss in [0.0, 0.01, 0.3, 1.0] {
        let (mut network, _) = network(1, Link { loss, ..Link::default() });
        let arrived = traffic(&mut network, 20_000, MS, 10);
        assert_near(1.0 - arrived.len() as f64 / 20_000.0, loss, 0.01);
        assert_eq!(network.stats().lost + network.stats().delivered, 20_000);
    }
}

#[test]
fn bursts_are_as_long_as_said() {
    let burst_loss = Some(BurstLoss { begin: 0.01, end: 0.1, loss: 1.0 });
    let (mut network, _) = network(1, Link { burst_loss, ..Link::default() });
    let arrived = traffic(&mut network, 50_000, MS, 10);
    // In a burst 0.01 / (0.01 + 0.1) of the time, for ten datagrams on average.
    assert_near(1.0 - arrived.len() as f64 / 50_000.0, 0.0909, 0.015);
    let bursts = arrived.windows(2).filter(|pair| pair[1].0 > pair[0].0 + 1).count();
    assert_near(network.stats().lost as f64 / bursts as f64, 10.0, 1.5);
}

#[test]
fn delay_and_jitter_keep_the_order() {
    let (mut network, _) = network(1, Link { delay: 50 * MS, jitter: 30 * MS, ..Link::default() });
    let arrived = traffic(&mut network, 10_000, 10 * MS, 10);
    assert!(arrived.is_sorted_by_key(|(n, _)| *n));
    let delays: Vec<f64> =
        arrived.iter().map(|(n, at)| (*at - (Instant::default() + 10 * MS * *n)).as_secs_f64()).collect();
    assert!(delays.iter().all(|delay| (0.05..0.0801).contains(delay)));
    assert_near(delays.iter().sum::<f64>() / delays.len() as f64, 0.066, 0.003);
}

#[test]
fn jitter_overtakes_where_there_are_several_ways() {
    let link = Link { delay: 50 * MS, jitter: 30 * MS, overtaking: true, ..Link::default() };
    let (mut network, _) = network(1, link);
    let arrived = traffic(&mut network, 10_000, 10 * MS, 10);
    assert!(!arrived.is_sorted_by_key(|(n, _)| *n));
    let delays: Vec<f64> =
        arrived.iter().map(|(n, at)| (*at - (Instant::default() + 10 * MS * *n)).as_secs_f64()).collect();
    assert!(delays.iter().all(|delay| (0.05..0.0801).contains(delay)));
    assert_near(delays.iter().sum::<f64>() / delays.len() as f64, 0.065, 0.001);
}

#[test]
fn some_are_overtaken() {
    let reordering = Some(Reordering { probability: 0.1, extra_delay: 35 * MS });
    let (mut network, _) = network(1, Link { reordering, ..Link::default() });
    let arrived = traffic(&mut network, 10_000, 10 * MS, 10);
    let late = arrived.iter().filter(|(n, at)| *at - (Instant::default() + 10 * MS * *n) == 45 * MS).count();
    assert_near(late as f64 / 10_000.0, 0.1, 0.01);
    assert_eq!(network.stats().reordered, late as u64);
    assert!(!arrived.is_sorted_by_key(|(n, _)| *n));
}

#[test]
fn copies_are_as_many_as_said() {
    for duplication in [0.0, 0.25, 1.0, 2.5] {
        let (mut network, _) = network(1, Link { duplication, ..Link::default() });
        let arrived = traffic(&mut network, 10_000, 5 * MS, 10);
        assert_near(arrived.len() as f64 / 10_000.0, 1.0 + duplication, 0.015);
        assert!(arrived.is_sorted_by_key(|(n, _)| *n), "copies come within a millisecond");
    }
}

#[test]
fn corruption_turns_one_bit() {
    let (mut network, _) = network(1, Link { corruption: 0.5, ..Link::default() });
    (0..2_000).for_each(|n| send(&mut network, Instant::from_micros(n), &[0; 100]));
    let mut places = BTreeSet::new();
    while let Some(delivery) = network.deliver(Instant::NEVER) {
        let ones: u32 = delivery.bytes.iter().map(|byte| byte.count_ones()).sum();
        assert!(ones <= 1);
        places.extend(delivery.bytes.iter().position(|byte| *byte != 0));
    }
    assert_near(network.stats().corrupted as f64, 1_000.0, 80.0);
    assert!(places.len() > 95, "bits everywhere");
}

#[test]
fn the_rate_spreads_and_the_queue_drops() {
    // 100 packets of 1000 bytes at once, at one per millisecond, and room for 20 to wait.
    let link = Link { rate: Some(8_000_000), queue: 20_000, ..Link::default() };
    let (mut network, _) = network(1, link);
    let arrived = traffic(&mut network, 100, Duration::ZERO, 972);
    assert_eq!(arrived.len(), 20);
    assert_eq!(network.stats().queue_full, 80);
    let expected: Vec<_> = (1..=20).map(|n| Instant::default() + 10 * MS + MS * n).collect();
    assert_eq!(arrived.iter().map(|(_, at)| *at).collect::<Vec<_>>(), expected);
    // Slower than the line: nothing waits.
    let (mut network, _) = self::network(1, link);
    let arrived = traffic(&mut network, 100, Duration::from_secs(1), 972);
    assert_eq!(arrived.len(), 100);
}

#[test]
fn a_fast_line_is_not_rounded_away() {
    let (mut network, _) = network(1, Link { rate: Some(10_000_000_000), queue: usize::MAX, ..Link::default() });
    let arrived = traffic(&mut network, 10_000, Duration::ZERO, 1_222);
    assert_eq!(arrived.last().unwrap().1, Instant::default() + 20 * MS);
}

#[test]
fn too_long_packets_vanish() {
    let (mut network, [alice, bob]) = network(1, Link { mtu: 1280, ..Link::default() });
    send(&mut network, Instant::default(), &[0; 1252]);
    send(&mut network, Instant::default(), &[0; 1253]);
    assert_eq!((network.stats().too_big, network.next_arrival().is_some()), (1, true));
    network.add_address(alice, ip("2001:db8::1"));
    network.add_address(bob, ip("2001:db8::2"));
    network.set_default_link(Link { mtu: 1280, ..Link::default() });
    let path = UdpPath { local: "[2001:db8::1]:1".parse().unwrap(), remote: "[2001:db8::2]:1".parse().unwrap() };
    network.inject(Instant::default(), path, 0, &[0; 1232]);
    network.inject(Instant::default(), path, 0, &[0; 1233]);
    assert_eq!(network.stats().too_big, 2);
}

#[test]
fn scripts_drop_what_they_name_and_change_nothing_else() {
    let link = Link { loss: 0.3, jitter: 5 * MS, ..Link::default() };
    let (mut plain, _) = network(7, link);
    let (mut scripted, _) = network(7, link);
    let before = traffic(&mut plain, 100, 10 * MS, 10);
    let named = before[3].0;
    scripted.drop_nth([u64::from(named)]);
    scripted.drop_nth(50..52);
    let after = traffic(&mut scripted, 100, 10 * MS, 10);
    let expected: Vec<_> = before.into_iter().filter(|(n, _)| *n != named && !(50..52).contains(n)).collect();
    assert_eq!(after, expected);
    assert_eq!(scripted.stats().dropped, 3);
}

#[test]
fn a_filter_sees_and_drops() {
    let (mut network, _) = network(1, Link::default());
    network.set_filter(|sent| if sent.bytes[3] % 2 == 0 { Verdict::Drop } else { Verdict::Pass });
    let arrived = traffic(&mut network, 10, MS, 4);
    assert!(arrived.iter().all(|(n, _)| n % 2 == 1) && arrived.len() == 5);
    network.clear_filter();
    assert_eq!(traffic(&mut network, 10, MS, 4).len(), 10);
}

#[test]
fn links_change_and_are_one_way() {
    let (mut network, _) = network(1, Link::default());
    network.set_one_way(ip("10.0.0.1"), ip("10.0.0.2"), Link { loss: 1.0, ..Link::default() });
    send(&mut network, Instant::default(), b"lost");
    network.inject(Instant::default(), path().reversed(), 0, b"back");
    assert_eq!(network.deliver(Instant::NEVER).unwrap().bytes, b"back");
    assert_eq!(network.deliver(Instant::NEVER), None);
    assert_eq!(network.link(ip("10.0.0.2"), ip("10.0.0.1")), Link::default());
}

#[test]
fn addresses_move_and_hosts_go_down() {
    let (mut network, [alice, bob]) = network(1, Link::default());
    send(&mut network, Instant::default(), b"1");
    network.add_address(alice, ip("10.0.0.2"));
    assert_eq!(network.deliver(Instant::NEVER).unwrap().to, alice);
    network.add_address(bob, ip("10.0.0.2"));
    send(&mut network, Instant::default(), b"2");
    network.set_up(bob, false);
    assert_eq!(network.deliver(Instant::NEVER), None);
    network.set_up(bob, true);
    network.remove_address(ip("10.0.0.1"));
    send(&mut network, Instant::default(), b"3");
    assert_eq!(network.next_arrival(), None);
    assert_eq!(network.stats().unroutable, 2);
}

fn link() -> impl Strategy<Value = Link> {
    let jitter = (0..100_u64, any::<bool>());
    let parts = (0..200_u64, jitter, 0.0..0.5, 0.0..3.0, 0.0..0.5, 0.0..0.5);
    let line = (proptest::option::of(1_000..100_000_000_u64), 0..100_000_usize, 100..2000_usize);
    (parts, line).prop_map(
        |((delay, (jitter, overtaking), loss, duplication, corruption, probability), (rate, queue, mtu))| Link {
            delay: MS * delay as u32,
            jitter: MS * jitter as u32,
            overtaking,
            loss,
            burst_loss: Some(BurstLoss { begin: loss, end: 0.5, loss: 0.5 }),
            reordering: Some(Reordering { probability, extra_delay: MS * jitter as u32 }),
            duplication,
            corruption,
            rate,
            trace: None,
            queue,
            discipline: match queue % 3 {
                0 => Discipline::DropTail,
                1 => Discipline::CoDel(CoDel::default()),
                _ => Discipline::DualPi2(DualPi2::default()),
            },
            mtu,
            mtu_notice: false,
            marking: loss,
            ecn: EcnTreatment::Kept,
        },
    )
}

proptest! {
    /// Every datagram is accounted for, and time never runs backwards.
    #[test]
    fn the_sums_are_right(seed: u64, link in link(), sizes in proptest::collection::vec(0..3000_usize, 0..200)) {
        let (mut network, _) = network(seed, link);
        network.drop_nth(0..3);
        for (n, size) in sizes.iter().enumerate() {
            network.inject(Instant::default() + MS * n as u32, path(), n as u8 & 3, &vec![0; *size]);
        }
        let mut last = Instant::default();
        while let Some(now) = network.next_arrival() {
            prop_assert!(now >= last);
            last = now;
            while network.deliver(now).is_some() {}
        }
        let stats = network.stats();
        let ended = stats.lost + stats.dropped + stats.queue_full + stats.queue_dropped + stats.too_big + stats.unroutable + stats.delivered;
        prop_assert_eq!(stats.sent + stats.duplicated, ended);
        prop_assert_eq!(stats.bytes_sent, sizes.iter().sum::<usize>() as u64);
    }
}
