//! How much of a link is used, what waits in its queue, and what is left to others.
//!
//! `cargo test --release --test bottleneck -- --nocapture` prints figures. Without optimization the links are slower, with as many round trips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "../../../tests/lib/wire.rs"]
mod wire;

use std::time::Duration;

use bytes::Bytes;
use common::association;
use wigwag_proto::Instant;
use wigwag_sctp::congestion::Congestion;
use wigwag_sctp::{Association, ChannelConfig, ChannelId, Config, Event, PayloadKind, State, StreamParity};
use wire::Wire;

/// IP and UDP.
const HEADERS: usize = 28;
const ROOM: usize = 1200;
/// An SCTP packet's and a DATA chunk's.
const SCTP_HEADERS: usize = 28;

/// One transfer: the sending end and the receiving one.
struct Flow {
    ends: [Association; 2],
    channel: ChannelId,
    starts_at: Duration,
    received: u64,
}

/// Flows that share one link.
struct Line {
    now: Duration,
    flows: Vec<Flow>,
    wires: [Wire<(usize, Vec<u8>)>; 2],
    spare: Vec<Vec<u8>>,
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(now.as_micros() as u64)
}

impl Line {
    /// `queue` in bandwidth-delay products.
    fn new(megabits: u64, round_trip: Duration, queue: f64, loss: f64, seed: u64) -> Self {
        let rate = megabits * 1_000_000;
        let product = rate as f64 / 8.0 * round_trip.as_secs_f64();
        let queue = (product * queue) as usize;
        let wires = [
            Wire::new(rate, round_trip / 2, queue, loss, seed),
            Wire::new(rate, round_trip / 2, 1 << 30, loss, seed + 1),
        ];
        Self { now: Duration::ZERO, flows: Vec::new(), wires, spare: Vec::new() }
    }

    fn add(&mut self, starts_at: Duration, config: Config) -> usize {
        let index = self.flows.len();
        let mut ends = [1, 2].map(|end| association(config.clone(), index as u8 * 2 + end));
        ends[0].set_role(StreamParity::Even);
        ends[1].set_role(StreamParity::Odd);
        let channel = ends[0].open_channel(ChannelConfig::default()).unwrap();
        self.flows.push(Flow { ends, channel, starts_at, received: 0 });
        index
    }

    /// Runs until `until`, with every flow sending all it may.
    fn run(&mut self, until: Duration) {
        let message = Bytes::from(vec![7; 65_536]);
        loop {
            for (index, flow) in self.flows.iter_mut().enumerate().filter(|(_, flow)| flow.starts_at <= self.now) {
                if flow.ends[0].state() == State::New {
                    flow.ends[0].connect(instant(self.now));
                }
                while flow.ends[0].send(flow.channel, PayloadKind::Binary, message.clone()).is_ok() {}
                for (end, association) in flow.ends.iter_mut().enumerate() {
                    if association.poll_timeout().is_some_and(|at| at <= instant(self.now)) {
                        association.handle_timeout(instant(self.now));
                    }
                    while let Some(event) = association.poll_event() {
                        if let Event::Message { data, .. } = event {
                            flow.received += data.len() as u64;
                        }
                    }
                    while association.can_transmit() {
                        let mut packet = self.spare.pop().unwrap_or_default();
                        packet.resize(ROOM, 0);
                        let Some(len) = association.write_packet(instant(self.now), &mut packet) else { break };
                        packet.truncate(len);
                        self.wires[end].send(self.now, len + HEADERS, (index, packet));
                    }
                }
            }
            let starts = self.flows.iter().map(|flow| flow.starts_at).filter(|&at| at > self.now).min();
            let timers =
                self.flows.iter().flat_map(|flow| flow.ends.iter().filter_map(Association::poll_timeout)).min();
            let timers = timers.map(|at| Duration::from_micros(at.as_micros()).max(self.now));
            let arrivals = self.wires.iter().filter_map(Wire::next).min();
            let next = [starts, timers, arrivals].into_iter().flatten().min().unwrap_or(until);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
            for (to, wire) in self.wires.iter_mut().enumerate() {
                while let Some((flow, packet)) = wire.poll(self.now) {
                    self.flows[flow].ends[1 - to].handle_packet(instant(self.now), &packet);
                    self.spare.push(packet);
                }
            }
        }
    }

    /// Runs for `seconds` and returns for each flow the share of the link that its messages took, with the headers of full packets; and the time that
    /// half of the packets, and nearly all, waited.
    fn shares(&mut self, seconds: u64) -> (Vec<f64>, [Duration; 2]) {
        let before: Vec<u64> = self.flows.iter().map(|flow| flow.received).collect();
        self.wires[0].waits.clear();
        self.run(self.now + Duration::from_secs(seconds));
        let possible =
            (self.wires[0].rate * seconds) as f64 / 8.0 * (ROOM - SCTP_HEADERS) as f64 / (ROOM + HEADERS) as f64;
        let shares = self.flows.iter().zip(before).map(|(flow, before)| (flow.received - before) as f64 / possible);
        (shares.collect(), [self.wires[0].wait(0.5), self.wires[0].wait(0.99)])
    }
}

fn config(congestion: Congestion) -> Config {
    // One channel: there is nothing to interleave, and what is counted is the messages' bytes.
    Config { congestion, send_buffer: 4 << 20, receive_window: 8 << 20, interleaving: false, ..Config::default() }
}

/// Fewer bits for a build that is slow.
fn megabits(megabits: u64) -> u64 {
    if cfg!(debug_assertions) { (megabits / 10).max(2) } else { megabits }
}

const RTT: Duration = Duration::from_millis(50);

fn line(loss: f64, queue: f64) -> Line {
    Line::new(megabits(100), RTT, queue, loss, 1)
}

const ALL: [Congestion; 3] = [Congestion::RateBased, Congestion::Cubic, Congestion::NewReno];

/// One flow's share in seconds 5 to 35, and the waits.
fn alone(congestion: Congestion, loss: f64, queue: f64) -> (f64, [Duration; 2]) {
    let mut line = line(loss, queue);
    line.add(Duration::ZERO, config(congestion));
    line.run(Duration::from_secs(5));
    let (shares, waits) = line.shares(30);
    (shares[0], waits)
}

/// The share of the first flow, which starts later, and of the second, in the thirty seconds that begin five after both are there.
fn together(later: Duration, one: Congestion, other: Congestion, seed: u64) -> [f64; 2] {
    let mut line = Line::new(megabits(100), RTT, 1.0, 0.0, seed);
    line.add(later, config(one));
    line.add(Duration::from_millis(10 * seed), config(other));
    line.run(later + Duration::from_secs(5));
    let (shares, _) = line.shares(30);
    [shares[0], shares[1]]
}

#[test]
fn the_link_is_used_and_its_queue_is_not() {
    for (loss, least) in [(0.0, 0.95), (0.001, 0.95), (0.01, 0.8), (0.05, 0.7)] {
        let (share, waits) = alone(Congestion::RateBased, loss, 1.0);
        println!("{:.1} % lost: {:.1} % used, waits {waits:?}", loss * 100.0, share * 100.0);
        assert!(share >= least, "{loss}: {share}");
        assert!(waits[0] < RTT / 5 && waits[1] <= RTT, "{loss}: {waits:?}");
    }
    // A queue that is shallow, and one that is deep.
    for (queue, least) in [(0.1, 0.8), (5.0, 0.95)] {
        let (share, waits) = alone(Congestion::RateBased, 0.0, queue);
        println!("{queue} products of queue: {:.1} % used, waits {waits:?}", share * 100.0);
        assert!(share >= least && waits[1] < RTT, "{queue}: {share}, {waits:?}");
    }
}

#[test]
fn those_that_go_by_loss_use_a_link_that_loses_nothing() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let (share, _) = alone(congestion, 0.0, 1.0);
        assert!(share > 0.9, "{congestion:?}: {share}");
    }
}

#[test]
fn others_keep_their_share() {
    for seed in 1..=3 {
        let [reno, ours] = together(Duration::ZERO, Congestion::NewReno, Congestion::RateBased, seed);
        println!("NewReno {:.1} %, rate-based {:.1} %", reno * 100.0, ours * 100.0);
        assert!(reno >= 0.25 && ours >= 0.25, "{reno} {ours}");
        let [one, other] = together(Duration::ZERO, Congestion::RateBased, Congestion::RateBased, seed);
        println!("rate-based {:.1} %, rate-based {:.1} %", one * 100.0, other * 100.0);
        assert!(one.max(other) / (one + other) <= 0.6 && one + other > 0.9, "{one} {other}");
    }
}

/// When a fifth is lost, the rate is at most half after five round trips.
#[test]
fn heavy_loss_halves_the_rate() {
    for congestion in ALL {
        // Of the real rate, also in a debug build: a tenth of it has too few packets in two round trips to be counted.
        let mut line = Line::new(100, RTT, 1.0, 0.0, 1);
        line.add(Duration::ZERO, config(congestion));
        line.run(Duration::from_secs(5));
        let sent_in = |line: &mut Line, time: Duration| {
            let before = line.flows[0].ends[0].stats().packets_sent;
            line.run(line.now + time);
            line.flows[0].ends[0].stats().packets_sent - before
        };
        let before = sent_in(&mut line, 2 * RTT);
        line.wires[0].loss = 0.2;
        line.run(line.now + 5 * RTT);
        let after = sent_in(&mut line, 2 * RTT);
        println!("{congestion:?}: {before} packets in two round trips, then {after}");
        assert!(after * 2 <= before, "{congestion:?}: {before} {after}");
    }
}

/// Whatever the size of the send buffer.
#[test]
fn a_short_fast_link_is_used() {
    for buffer in [256 << 10, 1 << 20, 16 << 20] {
        let mut line = Line::new(1000, Duration::from_millis(1), 1.0, 0.0, 1);
        line.add(Duration::ZERO, Config { send_buffer: buffer, ..config(Congestion::RateBased) });
        line.run(Duration::from_secs(1));
        let (shares, waits) = line.shares(1);
        println!("buffer of {buffer}: {:.1} %, waits {waits:?}", shares[0] * 100.0);
        assert!(shares[0] >= 0.9, "{buffer}: {}", shares[0]);
    }
}

/// A path that stops for longer than T3-rtx and then delivers everything: nothing is sent again but what asked, and the rate is what it was.
#[test]
fn a_timeout_that_was_too_early_is_taken_back() {
    for congestion in ALL {
        let mut line = line(0.0, 1.0);
        line.add(Duration::ZERO, config(congestion));
        line.run(Duration::from_secs(3));
        // Acknowledgements stand still for 700 ms.
        line.wires[1].delay += Duration::from_millis(700);
        line.run(line.now + Duration::from_millis(5));
        line.wires[1].delay = RTT / 2;
        let before = line.flows[0].ends[0].stats();
        line.run(line.now + Duration::from_millis(1500));
        let (shares, _) = line.shares(2);
        let stats = line.flows[0].ends[0].stats();
        println!("{congestion:?}: {:.1} %, {stats:?}", shares[0] * 100.0);
        assert!(stats.timeouts > before.timeouts && stats.spurious_timeouts > before.spurious_timeouts, "{stats:?}");
        assert!(shares[0] > 0.9, "{congestion:?}: {}", shares[0]);
    }
}

/// The figures of the README. `cargo test --release --test bottleneck -- --ignored --nocapture`.
#[test]
#[ignore = "a table, not a test"]
fn figures() {
    for (megabits, millis) in [(10, 20), (10, 100), (100, 20), (100, 50), (100, 100), (1000, 50)] {
        for loss in [0.0, 0.001, 0.01, 0.05] {
            for congestion in ALL {
                let mut line = Line::new(megabits, Duration::from_millis(millis), 1.0, loss, 1);
                line.add(Duration::ZERO, Config { receive_window: 32 << 20, ..config(congestion) });
                line.run(Duration::from_secs(5));
                let (shares, waits) = line.shares(if megabits == 1000 { 5 } else { 30 });
                let loss = loss * 100.0;
                println!(
                    "{megabits} Mbit/s, {millis} ms, {loss} % lost, {congestion:?}: {:.1} %, {waits:?}",
                    shares[0] * 100.0
                );
            }
        }
    }
    for one in ALL {
        for other in ALL {
            for later in [0, 4] {
                let [first, second] = together(Duration::from_secs(later), one, other, 1);
                println!("{one:?} from {later} s, {other:?}: {:.1} : {:.1}", first * 100.0, second * 100.0);
            }
        }
    }
}
