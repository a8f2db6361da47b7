//! How fast bytes go through two associations in memory, on one thread. `cargo test --release --test throughput -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::association;
use wigwag_proto::Instant;
use wigwag_sctp::{Association, ChannelConfig, ChannelId, Config, Event, PayloadKind, StreamParity};

/// Fifty packets at a time each way, as a batched adaptor would move them; a round takes 100 microseconds of virtual time.
struct Rig {
    ends: [Association; 2],
    now: Instant,
    batch: Vec<u8>,
    lens: Vec<usize>,
    packets: u64,
}

impl Rig {
    fn new() -> (Self, ChannelId) {
        let mut ends = [association(Config::default(), 1), association(Config::default(), 2)];
        ends[0].set_role(StreamParity::Even);
        ends[1].set_role(StreamParity::Odd);
        ends[0].connect(Instant(0));
        let channel = ends[0].open_channel(ChannelConfig::default()).unwrap();
        let mut rig = Self { ends, now: Instant(0), batch: vec![0; 50 * 1200], lens: Vec::new(), packets: 0 };
        for _ in 0..10 {
            rig.round();
        }
        (rig, channel)
    }

    fn round(&mut self) {
        self.now += Duration::from_micros(100);
        for end in 0..2 {
            self.lens.clear();
            for room in self.batch.chunks_exact_mut(1200) {
                let Some(len) = self.ends[end].write_packet(self.now, room) else { break };
                self.lens.push(len);
            }
            self.packets += self.lens.len() as u64;
            for (packet, &len) in self.batch.chunks_exact(1200).zip(&self.lens) {
                self.ends[1 - end].handle_packet(self.now, &packet[..len]);
            }
            if self.ends[end].poll_timeout().is_some_and(|at| at <= self.now) {
                self.ends[end].handle_timeout(self.now);
            }
        }
    }

    fn transfer(&mut self, channel: ChannelId, len: usize, total: usize) -> usize {
        let message = Bytes::from(vec![7; len]);
        let (mut sent, mut received) = (0, 0);
        while received < total {
            while sent < total && self.ends[0].send(channel, PayloadKind::Binary, message.clone()).is_ok() {
                sent += len;
            }
            self.round();
            while let Some(event) = self.ends[1].poll_event() {
                if let Event::Message { data, .. } = event {
                    assert_eq!(data.len(), len);
                    received += data.len();
                }
            }
            while self.ends[0].poll_event().is_some() {}
        }
        received
    }
}

#[test]
fn megabytes_per_second() {
    let megabytes = if cfg!(debug_assertions) { 2 } else { 400 };
    for len in [64, 1000, 16 << 10, 64 << 10, 256 << 10] {
        let (mut rig, channel) = Rig::new();
        let total = if len == 64 { megabytes << 17 } else { megabytes << 20 };
        let before = std::time::Instant::now();
        let received = rig.transfer(channel, len, total);
        let took = before.elapsed();
        let rate = received as f64 / took.as_secs_f64() / 1e6;
        let per_packet = took.as_nanos() as f64 / rig.packets as f64;
        println!("{len:>7} bytes: {rate:>7.0} MB/s, {per_packet:.0} ns a packet");
        assert_eq!(rig.ends[0].stats().retransmissions, 0);
    }
}

/// The same with packets that take `depth` rounds: what is in flight must not make a packet dearer.
#[test]
fn what_is_in_flight_costs_nothing() {
    let megabytes = if cfg!(debug_assertions) { 4 } else { 400 };
    for depth in [1, 10, 100, 250] {
        let config = Config { receive_window: 64 << 20, send_buffer: 4 << 20, ..Config::default() };
        let mut ends = [association(config.clone(), 1), association(config, 2)];
        ends[0].set_role(StreamParity::Even);
        ends[1].set_role(StreamParity::Odd);
        ends[0].connect(Instant(0));
        let channel = ends[0].open_channel(ChannelConfig::default()).unwrap();
        let message = Bytes::from(vec![7; 65_536]);
        let mut flying = std::collections::VecDeque::new();
        let mut spare: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
        let (mut now, mut received, mut packets, mut most) = (Instant(0), 0, 0_u64, 0);
        let mut before = std::time::Instant::now();
        let mut measured_from = (0, 0);
        while received < megabytes << 20 {
            if measured_from.0 == 0 && received > megabytes << 18 {
                measured_from = (packets, received);
                before = std::time::Instant::now();
            }
            while ends[0].send(channel, PayloadKind::Binary, message.clone()).is_ok() {}
            now += Duration::from_micros(100);
            for (end, other) in [(0, 1), (1, 0)] {
                let (mut batch, mut lens) = spare.pop().unwrap_or_else(|| (vec![0; 50 * 1200], Vec::new()));
                lens.clear();
                for room in batch.chunks_exact_mut(1200) {
                    let Some(len) = ends[end].write_packet(now, room) else { break };
                    lens.push(len);
                }
                packets += lens.len() as u64;
                flying.push_back((other, batch, lens));
            }
            most = most.max(flying.iter().filter(|(to, ..)| *to == 1).map(|(_, _, lens)| lens.len()).sum());
            while flying.len() > 2 * depth {
                let (to, batch, lens) = flying.pop_front().unwrap();
                for (packet, &len) in batch.chunks_exact(1200).zip(&lens) {
                    ends[to].handle_packet(now, &packet[..len]);
                }
                spare.push((batch, lens));
            }
            for end in &mut ends {
                end.handle_timeout(now);
                while let Some(event) = end.poll_event() {
                    if let Event::Message { data, .. } = event {
                        received += data.len();
                    }
                }
            }
        }
        let took = before.elapsed();
        let per_packet = took.as_nanos() as f64 / (packets - measured_from.0) as f64;
        let rate = (received - measured_from.1) as f64 / took.as_secs_f64() / 1e6;
        println!("{most:>6} packets in flight: {per_packet:.0} ns a packet, {rate:.0} MB/s");
        assert_eq!(ends[0].stats().retransmissions, 0);
    }
}
