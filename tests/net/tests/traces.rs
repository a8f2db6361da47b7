//! Traces: is delivered what they allow, when they do?
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use wigwag_net::{Cellular, CoDel, Discipline, Link, Network, Trace, TraceError};
use wigwag_proto::{Instant, UdpPath};

const BEGIN: Instant = Instant::from_micros(1_000_000_000);

fn network(trace: Trace, link: Link) -> Network {
    let mut network = Network::new(1);
    network.add_host(["10.0.0.2".parse().unwrap()]);
    let trace = Some(network.add_trace(BEGIN, trace));
    network.set_default_link(Link { trace, delay: Duration::ZERO, queue: usize::MAX, mtu: 9000, ..link });
    network
}

/// Sends IP packets of these lengths at these milliseconds; the answer is the milliseconds at which they arrive.
fn arrivals(network: &mut Network, sent: &[(u32, usize)]) -> Vec<u64> {
    let path = UdpPath { local: "10.0.0.1:1".parse().unwrap(), remote: "10.0.0.2:1".parse().unwrap() };
    for (millis, len) in sent {
        network.inject(BEGIN + Duration::from_millis(1) * *millis, path, 0, &vec![0; len - 28]);
    }
    let mut arrivals = Vec::new();
    while let Some(at) = network.next_arrival() {
        while network.deliver(at).is_some() {
            arrivals.push((at - BEGIN).as_micros() as u64);
        }
    }
    assert!(arrivals.iter().all(|micros| micros % 1000 == 0));
    arrivals.into_iter().map(|micros| micros / 1000).collect()
}

#[test]
fn texts_are_read_and_refused() {
    let trace = Trace::parse("1\n1\n\n 7 \n").unwrap();
    assert_eq!((trace.to_text().as_str(), trace.mean_rate()), ("1\n1\n7\n", 3 * 12_000 * 1000 / 7));
    assert_eq!(Trace::parse("1\nx\n"), Err(TraceError::NotANumber(2)));
    assert_eq!(Trace::parse("1\n\n-2\n"), Err(TraceError::NotANumber(3)));
    assert_eq!(Trace::parse("3\n2\n"), Err(TraceError::OutOfOrder(2)));
    assert_eq!(Trace::parse(""), Err(TraceError::TooShort));
    assert_eq!(Trace::parse("0\n0\n"), Err(TraceError::TooShort));
}

#[test]
fn each_opportunity_delivers_1500_bytes() {
    for discipline in [Discipline::DropTail, Discipline::CoDel(CoDel::default())] {
        let run = |sent: &[(u32, usize)]| {
            let trace = Trace::parse("2\n5\n5\n10\n").unwrap();
            arrivals(&mut network(trace, Link { discipline, ..Link::default() }), sent)
        };
        // It repeats after 10 ms.
        assert_eq!(run(&[(0, 1500); 9]), [2, 5, 5, 10, 12, 15, 15, 20, 22]);
        // Small ones share, large ones wait for the next.
        assert_eq!(run(&[(0, 700), (0, 700), (0, 700), (0, 3000), (0, 1500)]), [2, 2, 5, 10, 12]);
        // What nobody used is gone: at 3 ms the one of 2 ms, and what was left of the one of 5 ms.
        assert_eq!(run(&[(3, 100), (6, 100), (6, 1500)]), [5, 10, 12]);
        // At the very moment is in time; so is the end of a round, which is the beginning of the next.
        assert_eq!(run(&[(5, 1500), (10, 1500), (20, 1500), (20, 1500)]), [5, 10, 20, 22]);
    }
    assert_eq!(Trace::parse("2\n5\n5\n10\n").unwrap().mean_rate(), 4_800_000);
}

#[test]
fn rates_become_opportunities() {
    let second = Duration::from_secs(1);
    let trace = Trace::from_rates([(second, 12_000_000), (second, 1_200_000)]).unwrap();
    // A packet each millisecond, then each ten.
    let sent = [(0, 1500); 1_050];
    let arrived = arrivals(&mut network(trace, Link::default()), &sent);
    assert_eq!((arrived[0], arrived[499], arrived[999]), (1, 500, 1000));
    assert_eq!((arrived[1000], arrived[1049]), (1010, 1500));
    assert_eq!(Trace::from_rates([(second, 0)]), Err(TraceError::TooShort));
}

#[test]
fn a_link_changes_its_trace() {
    let mut network = network(Trace::parse("1\n").unwrap(), Link::default());
    assert_eq!(arrivals(&mut network, &[(0, 1500); 3]), [1, 2, 3]);
    let trace = Some(network.add_trace(BEGIN, Trace::parse("100\n").unwrap()));
    network.set_default_link(Link { trace, delay: Duration::ZERO, ..Link::default() });
    assert_eq!(arrivals(&mut network, &[(4, 1500); 2]), [100, 200]);
}

#[test]
fn cellular_links_wander_around_their_mean_and_pause() {
    let model = Cellular::default();
    let minutes = Duration::from_secs(600);
    let traces: Vec<Trace> = (1..=2).map(|seed| Trace::cellular(seed, model, minutes).unwrap()).collect();
    assert_eq!(traces[0], Trace::cellular(1, model, minutes).unwrap());
    assert_ne!(traces[0], traces[1]);
    assert_eq!(Trace::parse(&traces[0].to_text()).unwrap(), traces[0]);
    let mut pauses = 0;
    for trace in &traces {
        let rate = trace.mean_rate();
        assert!((7_000_000..13_000_000).contains(&rate), "{rate}");
        let times: Vec<u64> = trace.to_text().lines().map(|line| line.parse().unwrap()).collect();
        pauses += times.windows(2).filter(|pair| pair[1] - pair[0] > 200).count();
        let seconds = times.chunk_by(|one, other| one / 1000 == other / 1000).map(<[u64]>::len);
        let (least, most) = (seconds.clone().min().unwrap(), seconds.max().unwrap());
        assert!(most > 3 * least, "{least} to {most} packets in a second");
    }
    // Two a minute, eight of ten of them longer than 200 ms.
    assert!((20..45).contains(&pauses), "{pauses} pauses");
    let steady = Cellular { volatility: 0.0, outages_per_minute: 0.0, ..model };
    let rate = Trace::cellular(1, steady, minutes).unwrap().mean_rate();
    assert!((9_900_000..10_100_000).contains(&rate), "{rate}");
}

proptest! {
    /// Against the plainest way to do it: go through the milliseconds.
    #[test]
    fn deliveries_are_those_of_a_plain_model(
        mut opportunities in proptest::collection::vec(0..40_u64, 1..20),
        mut sent in proptest::collection::vec((0..200_u32, 28..4000_usize), 0..40),
    ) {
        opportunities.sort_unstable();
        sent.sort_unstable();
        prop_assume!(opportunities.last() != Some(&0));
        let text: String = opportunities.iter().map(|millis| format!("{millis}\n")).collect();
        let arrived = arrivals(&mut network(Trace::parse(&text).unwrap(), Link::default()), &sent);

        let period = *opportunities.last().unwrap();
        let mut times = (0..).flat_map(|round| opportunities.iter().map(move |at| round * period + at));
        let (mut expected, mut waiting) = (Vec::new(), sent.into_iter().peekable());
        let mut partly = 0;
        while waiting.peek().is_some() {
            let (now, mut room) = (times.next().unwrap(), 1500);
            while let Some((_, len)) = waiting.peek().filter(|(at, _)| u64::from(*at) <= now && room > 0) {
                let step = room.min(len - partly);
                (room, partly) = (room - step, partly + step);
                if partly == *len {
                    expected.push(now);
                    (partly, _) = (0, waiting.next());
                }
            }
        }
        prop_assert_eq!(arrived, expected);
    }
}
