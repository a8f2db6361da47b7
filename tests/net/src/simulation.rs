//! The driver: machines at hosts, woken when something is for them, and watched.
//!
//! Time stands still while machines work, and jumps to the next arrival or deadline. A machine is woken when a datagram
//! arrives, when its deadline is there, and after the application touched it. A wake is what an adaptor's loop
//! does: input, timers, events, transmits; how much of the last, [`Diligence`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use wigwag_proto::Instant;
pub(crate) use wigwag_proto::transmit::MAX_BATCH_BYTES as MEMORY;

use crate::diligence::Diligence;
use crate::fault::{Failure, Fault};
use crate::hosts::Hosts;
use crate::machine::Machine;
use crate::network::Network;
use crate::realm::Realm;
use crate::replay::Replay;
use crate::requests::Pending;
use crate::service::Service;
use crate::stats::{Delivery, HostId};

/// Machines on a network, and the time.
///
/// The example in the crate's README is complete.
pub struct Simulation<M> {
    /// The network: its links, scripts and statistics.
    pub network: Network,
    /// How careful the simulated programs are.
    pub diligence: Diligence,
    /// What a failure calls this run, where one test has several scenarios.
    pub scenario: Option<&'static str>,
    pub(crate) now: Instant,
    pub(crate) machines: BTreeMap<HostId, M>,
    pub(crate) services: BTreeMap<HostId, Box<dyn Service>>,
    pub(crate) pending: Pending,
    pub(crate) hosts: Hosts,
    /// What each machine said last, by time.
    pub(crate) deadlines: BTreeSet<(Instant, HostId)>,
    deadline_of: BTreeMap<HostId, Instant>,
    /// To be woken now: the application had its hands on them, or bytes came.
    pub(crate) touched: BTreeSet<HostId>,
    /// An input that waits for the next wake: its segment size, and how many there are.
    pub(crate) arrived: Option<(Delivery, usize, usize)>,
    pub(crate) memory: Vec<u8>,
}

impl<M> Simulation<M> {
    /// When a simulation begins: not at zero, so that machines which look back do not meet the epoch.
    pub const START: Instant = Instant::from_micros(1_000_000_000);

    /// A simulation without hosts. It begins at [`START`](Self::START).
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::new(seed),
            diligence: Diligence::FULL,
            scenario: None,
            now: Self::START,
            machines: BTreeMap::new(),
            services: BTreeMap::new(),
            pending: Pending::default(),
            hosts: Hosts::default(),
            deadlines: BTreeSet::new(),
            deadline_of: BTreeMap::new(),
            touched: BTreeSet::new(),
            arrived: None,
            memory: vec![0; MEMORY],
        }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The network's seed.
    pub fn seed(&self) -> u64 {
        self.network.seed()
    }

    /// A host with these addresses, and the machine that runs there.
    pub fn add(&mut self, addresses: impl IntoIterator<Item = IpAddr>, machine: M) -> HostId {
        self.add_in(Realm::INTERNET, addresses, machine)
    }

    /// A host with these addresses behind a [NAT](Network::add_nat).
    pub fn add_in(&mut self, realm: Realm, addresses: impl IntoIterator<Item = IpAddr>, machine: M) -> HostId {
        let host = self.network.add_host_in(realm, addresses);
        self.machines.insert(host, machine);
        self.touched.insert(host);
        host
    }

    /// Takes a machine away, without a word to anybody: it died. Its host stays; what arrives there is lost.
    pub fn remove(&mut self, host: HostId) -> Option<M> {
        self.end_sleep(host);
        self.set_deadline(host, None);
        self.touched.remove(&host);
        self.network.forget_streams(host);
        self.machines.remove(&host)
    }

    /// A machine that runs at a host where none does: it is born, or born again.
    pub fn put(&mut self, host: HostId, machine: M) {
        self.machines.insert(host, machine);
        self.touched.insert(host);
    }

    /// The hosts at which machines run.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.machines.keys().copied()
    }

    /// The machine of a host.
    pub fn machine(&self, host: HostId) -> Option<&M> {
        self.machines.get(&host)
    }

    /// The machine of a host, which is woken when the simulation goes on (or, if it sleeps, when it awakes).
    pub fn machine_mut(&mut self, host: HostId) -> Option<&mut M> {
        let machine = self.machines.get_mut(&host)?;
        self.touched.insert(host);
        Some(machine)
    }

    pub(crate) fn set_deadline(&mut self, host: HostId, deadline: Option<Instant>) {
        if let Some(before) = self.deadline_of.remove(&host) {
            self.deadlines.remove(&(before, host));
        }
        if let Some(deadline) = deadline {
            self.deadline_of.insert(host, deadline);
            self.deadlines.insert((deadline, host));
        }
    }

    pub(crate) fn failure(&self, fault: Fault, host: Option<HostId>) -> Failure {
        Failure { fault, host, at: self.now, seed: self.seed(), scenario: self.scenario }
    }
}

impl<M: Machine> Simulation<M> {
    /// Runs until `is_done`, looking after each moment at which something happened; the answer is the time.
    ///
    /// # Errors
    /// A [`Fault`]; among them that it is not done after `limit`.
    pub fn run_until(&mut self, mut is_done: impl FnMut(&Self) -> bool, limit: Duration) -> Result<Instant, Failure> {
        self.run(limit, |simulation| match is_done(simulation) {
            true => ControlFlow::Break(simulation.now),
            false => ControlFlow::Continue(()),
        })
    }

    /// Runs for a while, whatever happens or does not. At the end it is exactly that much later.
    ///
    /// # Errors
    /// A [`Fault`], but not for silence: [`Fault::Stalled`] and [`Fault::TimedOut`] are no faults here.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Failure> {
        let end = self.now + duration;
        match self.run(duration, |_| ControlFlow::<()>::Continue(())) {
            Err(Failure { fault: Fault::Stalled | Fault::TimedOut, .. }) | Ok(()) => {
                self.now = end;
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Runs with `step` for each machine after each moment at which something happened: for events, requests and
    /// signalling, where they are not part of the machine. It ends when `step` breaks.
    ///
    /// # Errors
    /// A [`Fault`]; among them that `step` has not broken after `limit`.
    pub fn run_with<T>(
        &mut self,
        mut step: impl FnMut(HostId, &mut M, Instant) -> ControlFlow<T>,
        limit: Duration,
    ) -> Result<T, Failure> {
        self.run(limit, |simulation| {
            let Self { now, machines, hosts, touched, .. } = simulation;
            for (host, machine) in machines.iter_mut().filter(|(host, _)| hosts.is_awake(**host)) {
                touched.insert(*host);
                step(*host, machine, *now + hosts.ahead(*host))?;
            }
            ControlFlow::Continue(())
        })
    }

    /// Runs with `look` after each moment at which something happened; it may do what it likes with machines and network,
    /// and breaks when it has seen what it waited for. The other ways to run are made of this one.
    ///
    /// # Errors
    /// A [`Fault`]; among them that `look` has not broken after `limit`.
    pub fn run<T>(&mut self, limit: Duration, mut look: impl FnMut(&mut Self) -> ControlFlow<T>) -> Result<T, Failure> {
        let end = self.now + limit;
        // Looks since something last happened: a second one may see what the wakes after the first brought about.
        let mut idle_looks = 0;
        loop {
            self.settle()?;
            if let ControlFlow::Break(value) = look(self) {
                return Ok(value);
            }
            self.settle()?;
            let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
            let next = deadline.into_iter().chain(self.network.next_arrival()).min();
            match next {
                None if idle_looks == 0 => idle_looks = 1,
                None => return Err(self.stalled()),
                Some(next) if next > end => {
                    self.now = end;
                    return Err(self.failure(Fault::TimedOut, None));
                }
                Some(next) => {
                    idle_looks = 0;
                    self.now = next.max(self.now);
                }
            }
        }
    }
}

impl<M> Drop for Simulation<M> {
    /// A test that panics while it holds a simulation says how to see that again.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let scenario = self.scenario.map(|scenario| format!("\"{scenario}\" ")).unwrap_or_default();
            let (at, seed) = (self.now.as_micros(), self.seed());
            eprintln!("simulation {scenario}with seed {seed}, at {at} us; again: {}", Replay { seed });
        }
    }
}

impl<M> fmt::Debug for Simulation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now).field("network", &self.network).finish_non_exhaustive()
    }
}
