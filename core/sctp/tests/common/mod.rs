//! Two associations on a virtual link: time passes only when nothing else can happen.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rand::{Rng, RngExt};
use wigwag_proto::{Instant, Random, random};
use wigwag_sctp::{Association, ChannelConfig, ChannelId, Config, Event, State, StreamParity};

/// What the link does to packets. Rates are per cent.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub delay: Duration,
    pub jitter: Duration,
    pub loss: u32,
    pub duplication: u32,
    pub corruption: u32,
    /// Bytes a second, and how many may wait for their turn; 0 for no limit.
    pub rate: u64,
    pub queue: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::ZERO,
            loss: 0,
            duplication: 0,
            corruption: 0,
            rate: 0,
            queue: 0,
        }
    }
}

pub struct Pair {
    pub now: Instant,
    pub ends: [Association; 2],
    pub link: Link,
    pub random: Random,
    /// By arrival and number: for whom, and what.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    pub sent: u64,
    busy_until: [Instant; 2],
    /// Packets, by number, that do not arrive.
    pub drop: Vec<u64>,
    pub events: [Vec<Event>; 2],
    /// Every packet, in order.
    pub trace: Option<Vec<(usize, Vec<u8>)>>,
    /// Who takes its events.
    pub consuming: [bool; 2],
    pub room: usize,
    /// One packet per wake-up.
    pub lazy: bool,
}

pub fn association(config: Config, seed: u8) -> Association {
    Association::new(config, random::seeded([seed; 32]), wigwag_crypto::aws_lc_rs())
}

impl Pair {
    pub fn new(link: Link, seed: u64) -> Self {
        Self::with(link, seed, Config::default(), Config::default())
    }

    pub fn with(link: Link, seed: u64, one: Config, two: Config) -> Self {
        let mut seeds = [0; 32];
        seeds[..8].copy_from_slice(&seed.to_le_bytes());
        let mut source = random::seeded(seeds);
        let provider = wigwag_crypto::aws_lc_rs();
        let mut ends = [
            Association::new(one, random::fork(&mut source), provider),
            Association::new(two, random::fork(&mut source), provider),
        ];
        ends[0].set_role(StreamParity::Even);
        ends[1].set_role(StreamParity::Odd);
        Self {
            now: Instant(1_000_000),
            ends,
            link,
            random: source,
            flying: BTreeMap::new(),
            sent: 0,
            busy_until: [Instant(0); 2],
            drop: Vec::new(),
            events: [Vec::new(), Vec::new()],
            trace: None,
            consuming: [true, true],
            room: 1200,
            lazy: false,
        }
    }

    pub fn connected(link: Link, seed: u64) -> Self {
        let mut pair = Self::new(link, seed);
        pair.connect();
        pair
    }

    /// Both sides call `connect`.
    pub fn connect(&mut self) {
        let now = self.now;
        self.ends[0].connect(now);
        self.ends[1].connect(now);
        self.run_until(Duration::from_secs(60), |pair| pair.ends.iter().all(|end| end.state() == State::Connected));
    }

    pub fn open(&mut self, end: usize, label: &str) -> ChannelId {
        self.ends[end].open_channel(ChannelConfig { label: label.into(), ..ChannelConfig::default() }).unwrap()
    }

    /// The channel of that label at the other end.
    pub fn named(&self, end: usize, label: &str) -> Option<ChannelId> {
        self.events[end].iter().rev().find_map(|event| match event {
            Event::ChannelOpened(id) => {
                self.ends[end].channel(*id).filter(|info| info.config.label == label).map(|_| *id)
            }
            _ => None,
        })
    }

    /// Messages that `end` got, with their channels.
    pub fn messages(&self, end: usize) -> Vec<(ChannelId, Bytes)> {
        let message = |event: &Event| match event {
            Event::Message { channel, data, .. } => Some((*channel, data.clone())),
            _ => None,
        };
        self.events[end].iter().filter_map(message).collect()
    }

    fn transmit(&mut self, end: usize) -> bool {
        let mut room = vec![0; self.room];
        let promised = self.ends[end].can_transmit();
        let written = self.ends[end].write_packet(self.now, &mut room);
        assert_eq!(promised, written.is_some(), "can_transmit is exact");
        let Some(len) = written else { return false };
        self.fly(1 - end, room[..len].to_vec());
        true
    }

    /// Puts a packet on the link.
    pub fn fly(&mut self, to: usize, packet: Vec<u8>) {
        if let Some(trace) = &mut self.trace {
            trace.push((to, packet.clone()));
        }
        self.sent += 1;
        let Link { mut delay, jitter, loss, duplication, corruption, rate, queue } = self.link;
        if self.drop.contains(&self.sent) || self.random.random_range(0..100) < loss {
            return;
        }
        if rate > 0 {
            let busy_until = self.busy_until[to].max(self.now);
            let waits = busy_until - self.now;
            if waits.as_micros() as u64 * rate / 1_000_000 > queue {
                return;
            }
            let takes = Duration::from_nanos(packet.len() as u64 * 1_000_000_000 / rate);
            self.busy_until[to] = busy_until + takes;
            delay += waits + takes;
        }
        let copies = if self.random.random_range(0..100) < duplication { 2 } else { 1 };
        for copy in 0..copies {
            let mut packet = packet.clone();
            if self.random.random_range(0..100) < corruption {
                let index = self.random.random_range(0..packet.len());
                packet[index] ^= 1 << self.random.random_range(0..8);
            }
            let late = Duration::from_micros(self.random.next_u64() % (jitter.as_micros() as u64 + 1));
            self.flying.insert((self.now + delay + late, self.sent * 2 + copy), (to, packet));
        }
    }

    fn take_events(&mut self, end: usize) -> bool {
        let mut any = false;
        while self.consuming[end] {
            let Some(event) = self.ends[end].poll_event() else { break };
            self.events[end].push(event);
            any = true;
        }
        any
    }

    /// Lets one thing happen. `false`: nothing will, ever.
    pub fn step(&mut self) -> bool {
        for end in 0..2 {
            if self.take_events(end) {
                return true;
            }
            let mut wrote = false;
            while self.transmit(end) {
                wrote = true;
                if self.lazy {
                    break;
                }
            }
            if wrote {
                return true;
            }
        }
        let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
        let timeout = self.ends.iter().filter_map(Association::poll_timeout).min();
        let Some(next) = arrival.into_iter().chain(timeout).min() else { return false };
        self.now = self.now.max(next);
        for end in &mut self.ends {
            if end.poll_timeout().is_some_and(|at| at <= self.now) {
                end.handle_timeout(self.now);
                assert!(end.poll_timeout().is_none_or(|at| at > self.now), "a deadline that stays is a livelock");
            }
        }
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, packet) = entry.remove();
            self.ends[to].handle_packet(self.now, &packet);
            if self.lazy {
                break;
            }
        }
        true
    }

    /// Until `done`, or fails after `limit` of virtual time.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        loop {
            self.take_events(0);
            self.take_events(1);
            if done(self) {
                return;
            }
            assert!(self.now <= end, "not done in time: {:?} {:?}", self.ends[0].stats(), self.ends[1].stats());
            assert!(self.step(), "nothing happens any more: {:?}", [self.ends[0].state(), self.ends[1].state()]);
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end && self.step() {}
    }
}
