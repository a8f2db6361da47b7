//! Two agents at two hosts of the simulated network.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::time::Duration;

use wigwag_ice::{Agent, Config, ConnectionState, EndpointEvent, Event, Key};
use wigwag_net::{Digest, HostId, Link, Machine, Simulation, Verdict};
use wigwag_proto::{Input, Instant, Request, Transmit, TransmitBuffer, UdpPath, random};
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

/// What the tests begin with; what jitter they add reorders.
pub fn link() -> Link {
    Link { delay: DELAY, overtaking: true, ..Link::default() }
}

/// One side, and what it told.
pub struct Side {
    pub agent: Agent,
    pub events: Vec<Event>,
    pub keys: Vec<Key>,
    /// Those of them that are claimed and not proved.
    pub claims: Vec<Key>,
    pub sent: u64,
    pub last_sent: Instant,
}

impl Side {
    pub fn new(agent: Agent) -> Self {
        Self { agent, events: Vec::new(), keys: Vec::new(), claims: Vec::new(), sent: 0, last_sent: Instant(0) }
    }

    pub fn states(&self) -> Vec<ConnectionState> {
        let state = |event: &Event| if let Event::StateChanged(state) = event { Some(*state) } else { None };
        self.events.iter().filter_map(state).collect()
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.agent.poll_event()));
        while let Some(event) = self.agent.poll_endpoint_event() {
            match event {
                EndpointEvent::Claimed(key) => {
                    assert!(!self.keys.contains(&key), "{key:?} claimed though it is known");
                    self.keys.push(key);
                    self.claims.push(key);
                }
                EndpointEvent::Learned(key) => {
                    let claim = self.claims.iter().position(|&claim| claim == key);
                    match claim {
                        Some(claim) => drop(self.claims.swap_remove(claim)),
                        None => {
                            assert!(!self.keys.contains(&key), "{key:?} learned twice");
                            self.keys.push(key);
                        }
                    }
                }
                EndpointEvent::Forgotten(key) => {
                    self.claims.retain(|&claim| claim != key);
                    let known = self.keys.iter().position(|&known| known == key);
                    self.keys.swap_remove(known.unwrap_or_else(|| panic!("{key:?} was never learned")));
                }
            }
        }
    }
}

impl Machine for Side {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.agent.handle_input(now, input);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        let transmit = self.agent.poll_transmit(now, out);
        if let Some(transmit) = &transmit {
            self.sent += transmit.len.div_ceil(transmit.segment_size) as u64;
            self.last_sent = now;
        }
        self.collect();
        transmit
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }
    fn step(&mut self, _now: Instant) {
        self.collect();
    }
    fn poll_request(&mut self) -> Option<Request> {
        self.agent.poll_request()
    }
    fn can_transmit(&self) -> Option<bool> {
        Some(self.agent.can_transmit())
    }
}

/// Indexed by side.
pub struct Pair {
    pub simulation: Simulation<Side>,
    hosts: [HostId; 2],
}

impl Index<usize> for Pair {
    type Output = Side;
    fn index(&self, side: usize) -> &Side {
        self.simulation.machine(self.hosts[side]).unwrap()
    }
}

impl IndexMut<usize> for Pair {
    fn index_mut(&mut self, side: usize) -> &mut Side {
        self.simulation.machine_mut(self.hosts[side]).unwrap()
    }
}

impl Pair {
    pub fn new(left: Agent, right: Agent, seed: u8) -> Self {
        let mut simulation = Simulation::new(seed.into());
        simulation.network.set_default_link(link());
        let hosts = [left, right].map(|agent| simulation.add([], Side::new(agent)));
        Self { simulation, hosts }
    }

    /// Full agents with one socket each that know everything of each other.
    pub fn introduced(seed: u8) -> Self {
        let mut pair = Self::new(agent(full(true), seed), agent(full(false), seed.wrapping_add(100)), seed);
        pair.bind(&["10.0.0.1:1000"], &["10.0.0.2:2000"]);
        pair.introduce();
        pair
    }

    pub fn sides(&self) -> [&Side; 2] {
        [&self[0], &self[1]]
    }

    pub fn now(&self) -> Instant {
        self.simulation.now()
    }

    /// A fingerprint of everything that was sent.
    pub fn digest(&self) -> Digest {
        self.simulation.network.digest()
    }

    pub fn bind(&mut self, left: &[&str], right: &[&str]) {
        for (side, addresses) in [left, right].into_iter().enumerate() {
            for address in addresses {
                self.simulation.network.add_address(self.hosts[side], at(address).ip());
                self[side].agent.add_udp_socket(at(address)).unwrap();
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
        let from = &self[1 - to].agent;
        let (credentials, lite) = (from.local_credentials().clone(), from.is_lite());
        let candidates = from.local_candidates().collect::<Vec<_>>();
        let now = self.now();
        let agent = &mut self[to].agent;
        agent.set_remote_lite(lite);
        agent.set_remote_credentials(credentials);
        for candidate in candidates {
            agent.add_remote_candidate(now, candidate.to_string().parse().unwrap());
        }
        agent.set_remote_end_of_candidates();
    }

    /// The link in both directions from now on.
    pub fn set_link(&mut self, link: Link) {
        self.simulation.network.set_default_link(link);
    }

    /// Whether a datagram may pass: where it goes, as its sender sees it, and what it is.
    pub fn set_filter(&mut self, may_pass: impl Fn(UdpPath, Class) -> bool + Send + 'static) {
        self.simulation.network.set_filter(move |sent| {
            let class = routing(sent.bytes).unwrap().class;
            if may_pass(sent.path, class) { Verdict::Pass } else { Verdict::Drop }
        });
    }

    pub fn run(&mut self, duration: Duration) {
        self.simulation.run_for(duration).unwrap();
    }

    /// Runs until both say so; fails after `limit`.
    pub fn run_while(&mut self, limit: Duration, until: impl Fn(&Agent) -> bool) -> Duration {
        let start = self.now();
        let hosts = self.hosts;
        let both = |simulation: &Simulation<Side>| {
            hosts.iter().all(|host| simulation.machine(*host).is_some_and(|side| until(&side.agent)))
        };
        let end = self.simulation.run_until(both, limit).unwrap_or_else(|failure| {
            panic!("{failure}: {:#?}", self.sides().map(|side| (side.states(), side.agent.stats())))
        });
        end - start
    }

    pub fn connect(&mut self, limit: Duration) -> Duration {
        self.run_while(limit, |agent| agent.selected_path().is_some())
    }

    pub fn complete(&mut self, limit: Duration) -> Duration {
        self.run_while(limit, |agent| agent.state() == ConnectionState::Completed)
    }

    pub fn assert_agreed(&self) -> UdpPath {
        let [left, right] = self.sides().map(|side| side.agent.selected_path().unwrap());
        assert_eq!(left.reversed(), right);
        left
    }

    pub fn states(&self) -> [ConnectionState; 2] {
        self.sides().map(|side| side.agent.state())
    }
}
