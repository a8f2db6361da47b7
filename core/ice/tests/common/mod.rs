//! Two agents, one link, virtual time.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use wigwag_ice::{Agent, Config, ConnectionState, EndpointEvent, Event, Key};
use wigwag_proto::{Instant, Random, Route, TransmitBuffer, UdpPath, random};
use wigwag_stun::{Class, routing};

pub const DELAY: Duration = Duration::from_millis(20);

pub fn agent(config: Config, seed: u8) -> Agent {
    Agent::new(config, random::seeded([seed; 32]), wigwag_crypto::aws_lc_rs())
}

pub fn full(controlling: bool) -> Config {
    Config { controlling, ..Config::default() }
}

pub fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// One side, and what it told.
pub struct Side {
    pub agent: Agent,
    pub events: Vec<Event>,
    pub keys: Vec<Key>,
    pub sent: u64,
    pub last_sent: Instant,
}

impl Side {
    pub fn states(&self) -> Vec<ConnectionState> {
        let state = |event: &Event| if let Event::StateChanged(state) = event { Some(*state) } else { None };
        self.events.iter().filter_map(state).collect()
    }
}

type Filter = Box<dyn Fn(UdpPath, Class) -> bool>;

pub struct Pair {
    pub sides: [Side; 2],
    pub now: Instant,
    pub loss: u32,
    pub duplicates: u32,
    pub jitter: Duration,
    /// Whether a datagram may pass: where it goes, as its sender sees it, and what it is.
    pub filter: Filter,
    /// FNV-1a over everything that was sent.
    pub digest: u64,
    random: Random,
    flying: BTreeMap<(Instant, u64), (usize, UdpPath, Vec<u8>)>,
    count: u64,
}

impl Pair {
    pub fn new(left: Agent, right: Agent, seed: u8) -> Self {
        let side = |agent| Side { agent, events: Vec::new(), keys: Vec::new(), sent: 0, last_sent: Instant(0) };
        Self {
            sides: [side(left), side(right)],
            now: Instant(0),
            loss: 0,
            duplicates: 0,
            jitter: Duration::ZERO,
            filter: Box::new(|_, _| true),
            digest: 0xCBF2_9CE4_8422_2325,
            random: random::seeded([seed; 32]),
            flying: BTreeMap::new(),
            count: 0,
        }
    }

    /// Full agents with one socket each that know everything of each other.
    pub fn introduced(seed: u8) -> Self {
        let mut pair = Self::new(agent(full(true), seed), agent(full(false), seed.wrapping_add(100)), seed);
        pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
        pair.introduce();
        pair
    }

    pub fn bind(&mut self, left: &[&str], right: &[&str]) {
        for (side, addresses) in self.sides.iter_mut().zip([left, right]) {
            for address in addresses {
                side.agent.add_udp_socket(at(address)).unwrap();
            }
        }
    }

    /// Each is told the other's credentials and candidates.
    pub fn introduce(&mut self) {
        self.tell(0);
        self.tell(1);
    }

    /// Side `to` is told everything of the other.
    pub fn tell(&mut self, to: usize) {
        let from = &self.sides[1 - to].agent;
        let (credentials, lite) = (from.local_credentials().clone(), from.is_lite());
        let candidates = from.local_candidates().collect::<Vec<_>>();
        let agent = &mut self.sides[to].agent;
        agent.set_remote_lite(lite);
        agent.set_remote_credentials(credentials);
        for candidate in candidates {
            agent.add_remote_candidate(self.now, candidate.to_string().parse().unwrap());
        }
        agent.set_remote_end_of_candidates();
    }

    fn transmit(&mut self, from: usize) {
        let mut memory = [0; 1500];
        let mut out = TransmitBuffer::new(&mut memory, 1);
        loop {
            let side = &mut self.sides[from];
            let expected = side.agent.can_transmit();
            let Some(transmit) = side.agent.poll_transmit(self.now, &mut out) else {
                assert!(!expected, "can_transmit promised something");
                return;
            };
            let bytes = out.bytes(&transmit).to_vec();
            side.sent += 1;
            side.last_sent = self.now;
            for &byte in &bytes {
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
            let Route::Udp(path) = transmit.route else { panic!("no stream was asked for") };
            let class = routing(&bytes).unwrap().class;
            let copies = 1 + u32::from(self.random.next_u32() % 100 < self.duplicates);
            for _ in 0..copies {
                if self.random.next_u32() % 100 < self.loss || !(self.filter)(path, class) {
                    continue;
                }
                let jitter = self.random.next_u32() % (self.jitter.as_micros() as u32 + 1);
                let arrival = self.now + DELAY + Duration::from_micros(u64::from(jitter));
                self.count += 1;
                self.flying.insert((arrival, self.count), (1 - from, path.reversed(), bytes.clone()));
            }
        }
    }

    fn collect(&mut self) {
        for side in &mut self.sides {
            side.events.extend(std::iter::from_fn(|| side.agent.poll_event()));
            while let Some(event) = side.agent.poll_endpoint_event() {
                match event {
                    EndpointEvent::Learned(key) => {
                        assert!(!side.keys.contains(&key), "{key:?} learned twice");
                        side.keys.push(key);
                    }
                    EndpointEvent::Forgotten(key) => {
                        let known = side.keys.iter().position(|&known| known == key);
                        side.keys.swap_remove(known.unwrap_or_else(|| panic!("{key:?} was never learned")));
                    }
                }
            }
        }
    }

    /// Until `end`, as a loop would: transmit, wait, receive, timers.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            for from in 0..2 {
                self.transmit(from);
            }
            self.collect();
            let arrival = self.flying.keys().next().map(|&(at, _)| at);
            let timeouts = self.sides.iter().filter_map(|side| side.agent.poll_timeout());
            let next = timeouts.chain(arrival).min().unwrap_or(Instant::NEVER);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, path, bytes) = entry.remove();
                self.sides[to].agent.handle_packet(self.now, path, &bytes);
            }
            for side in &mut self.sides {
                if side.agent.poll_timeout().is_some_and(|at| at <= self.now) {
                    side.agent.handle_timeout(self.now);
                    let next = side.agent.poll_timeout();
                    assert!(next.is_none_or(|at| at > self.now), "woken at {:?}, again at {next:?}", self.now);
                }
            }
        }
    }

    pub fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs until both say so; fails after `limit`.
    pub fn run_while(&mut self, limit: Duration, until: impl Fn(&Agent) -> bool) -> Duration {
        let (start, end) = (self.now, self.now + limit);
        while !self.sides.iter().all(|side| until(&side.agent)) {
            assert!(self.now < end, "{:#?}", self.sides.each_ref().map(|side| (side.states(), side.agent.stats())));
            self.run(Duration::from_millis(1));
        }
        self.now - start
    }

    pub fn connect(&mut self, limit: Duration) -> Duration {
        self.run_while(limit, |agent| agent.selected_path().is_some())
    }

    pub fn complete(&mut self, limit: Duration) -> Duration {
        self.run_while(limit, |agent| agent.state() == ConnectionState::Completed)
    }

    pub fn assert_agreed(&self) -> UdpPath {
        let [left, right] = self.sides.each_ref().map(|side| side.agent.selected_path().unwrap());
        assert_eq!(left.reversed(), right);
        left
    }

    pub fn states(&self) -> [ConnectionState; 2] {
        self.sides.each_ref().map(|side| side.agent.state())
    }
}
