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

use wigwag_proto::transmit::{MAX_BATCH_BYTES, MAX_BATCH_SEGMENTS};
use wigwag_proto::{Input, Instant, Received, Transmit, TransmitBuffer};

use crate::diligence::Diligence;
use crate::fault::{Failure, Fault};
use crate::network::Network;
use crate::realm::Realm;
use crate::seed::SEED_VARIABLE;
use crate::stats::{Delivery, HostId, TooBig};

/// More wakes of one machine without time passing are a livelock.
const MAX_WAKES_PER_MOMENT: usize = 100_000;
/// More batches in one wake are an endless output.
const MAX_BATCHES_PER_WAKE: usize = 100_000;
/// A machine with output waiting asks to be woken within this time.
const MAX_OUTPUT_DELAY: Duration = Duration::from_millis(1);

/// What is simulated: a protocol machine, or several in layers, with its application.
pub trait Machine {
    /// Something arrived.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);
    /// The deadline passed.
    fn handle_timeout(&mut self, now: Instant);
    /// What to send.
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit>;
    /// When to come back.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The application's part of a wake, after input and timers and before transmits: take events, answer requests,
    /// send. Nothing, unless it is written.
    fn step(&mut self, _now: Instant) {}

    /// A router says that a packet was too big: see [`Link::mtu_notice`](crate::Link::mtu_notice). Nothing, unless it is
    /// written.
    fn handle_too_big(&mut self, _now: Instant, _notice: TooBig) {}

    /// Would [`poll_transmit`](Self::poll_transmit) give something right after [`handle_timeout`](Self::handle_timeout)?
    /// A machine that can tell exactly is held to it; `None`: it cannot tell.
    fn can_transmit(&self) -> Option<bool> {
        None
    }
}

/// Machines on a network, and the time.
///
/// The example in the crate's README is complete.
pub struct Simulation<M> {
    /// The network: its links, scripts and statistics.
    pub network: Network,
    /// How careful the simulated programs are.
    pub diligence: Diligence,
    now: Instant,
    machines: BTreeMap<HostId, M>,
    /// What each machine said last, by time.
    deadlines: BTreeSet<(Instant, HostId)>,
    deadline_of: BTreeMap<HostId, Instant>,
    /// To be woken now: the application had its hands on them, or bytes came.
    touched: BTreeSet<HostId>,
    /// An input that waits for the next wake: its segment size, and how many there are.
    arrived: Option<(Delivery, usize, usize)>,
    memory: Vec<u8>,
}

impl<M> Simulation<M> {
    /// When a simulation begins: not at zero, so that machines which look back do not meet the epoch.
    pub const START: Instant = Instant::from_micros(1_000_000_000);

    /// A simulation without hosts. It begins at [`START`](Self::START).
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::new(seed),
            diligence: Diligence::FULL,
            now: Self::START,
            machines: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: BTreeMap::new(),
            touched: BTreeSet::new(),
            arrived: None,
            memory: vec![0; MAX_BATCH_BYTES],
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
        self.set_deadline(host, None);
        self.touched.remove(&host);
        self.machines.remove(&host)
    }

    /// A machine that runs at a host where none does.
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

    /// The machine of a host, which is woken when the simulation goes on.
    pub fn machine_mut(&mut self, host: HostId) -> Option<&mut M> {
        let machine = self.machines.get_mut(&host)?;
        self.touched.insert(host);
        Some(machine)
    }

    fn set_deadline(&mut self, host: HostId, deadline: Option<Instant>) {
        if let Some(before) = self.deadline_of.remove(&host) {
            self.deadlines.remove(&(before, host));
        }
        if let Some(deadline) = deadline {
            self.deadline_of.insert(host, deadline);
            self.deadlines.insert((deadline, host));
        }
    }

    fn failure(&self, fault: Fault, host: Option<HostId>) -> Failure {
        Failure { fault, host, at: self.now, seed: self.seed() }
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
            let now = simulation.now;
            for (host, machine) in &mut simulation.machines {
                simulation.touched.insert(*host);
                step(*host, machine, now)?;
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

    /// Wakes everybody who has something to do now, until nobody has.
    fn settle(&mut self) -> Result<(), Failure> {
        let mut wakes: BTreeMap<HostId, usize> = BTreeMap::new();
        loop {
            self.deliver();
            while let Some((_, host)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= self.now) {
                let host = *host;
                self.touched.insert(host);
                self.set_deadline(host, None);
            }
            let Some(host) = self.touched.pop_first() else {
                if self.arrived.is_some() {
                    continue;
                }
                return Ok(());
            };
            let count = wakes.entry(host).or_default();
            *count += 1;
            if *count > MAX_WAKES_PER_MOMENT {
                return Err(self.failure(Fault::Busy, Some(host)));
            }
            self.wake(host)?;
        }
    }

    /// Hands over what has arrived, together what came together.
    fn deliver(&mut self) {
        while let Some(notice) = self.network.poll_notice(self.now) {
            let now = self.now;
            if let Some(machine) = self.machine_mut(notice.to) {
                machine.handle_too_big(now, notice);
            }
        }
        let mut held = self.arrived.take();
        let mut inputs = 0;
        while let Some(delivery) = self.network.deliver(self.now) {
            let len = delivery.bytes.len();
            if let Some((first, size, count)) = &mut held {
                let fits = len <= *size && first.bytes.len() == *size * *count && *size > 0 && len > 0;
                let same = (first.to, first.path, first.ecn) == (delivery.to, delivery.path, delivery.ecn);
                let most = self.diligence.received.min(MAX_BATCH_SEGMENTS);
                if same && fits && *count < most && first.bytes.len() + len <= MAX_BATCH_BYTES {
                    first.bytes.extend_from_slice(&delivery.bytes);
                    *count += 1;
                    continue;
                }
            }
            if let Some((first, size, _)) = held.replace((delivery, len, 1)) {
                self.hand_over(first, size);
                inputs += 1;
                if inputs >= self.diligence.inputs {
                    self.arrived = held;
                    return;
                }
            }
        }
        if let Some((first, size, _)) = held {
            self.hand_over(first, size);
        }
    }

    fn hand_over(&mut self, delivery: Delivery, segment_size: usize) {
        let Delivery { to, path, mut bytes, ecn } = delivery;
        let now = self.now;
        if let Some(machine) = self.machine_mut(to) {
            machine.handle_input(now, Input::Datagrams(Received { path, bytes: &mut bytes, segment_size, ecn }));
        }
    }

    fn wake(&mut self, host: HostId) -> Result<(), Failure> {
        let Self { now, diligence, .. } = *self;
        let Some(machine) = self.machines.get_mut(&host) else {
            return Ok(());
        };
        let is_due = machine.poll_timeout().is_some_and(|deadline| deadline <= now);
        if is_due || diligence.eager_timers {
            machine.handle_timeout(now);
            if machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
                return Err(self.failure(Fault::Livelock, Some(host)));
            }
        }
        machine.step(now);
        let outcome = transmit_all(machine, host, &mut self.network, now, diligence, &mut self.memory);
        let (can_transmit, deadline) = (machine.can_transmit(), machine.poll_timeout());
        outcome.map_err(|fault| self.failure(fault, Some(host)))?;
        if can_transmit == Some(true) && deadline.is_none_or(|deadline| deadline > now + MAX_OUTPUT_DELAY) {
            return Err(self.failure(Fault::ForgottenOutput, Some(host)));
        }
        self.set_deadline(host, deadline);
        Ok(())
    }

    /// Nothing will ever happen again. Is it because somebody sits on output?
    fn stalled(&mut self) -> Failure {
        let mut out = TransmitBuffer::new(&mut self.memory, 1);
        let mut machines = self.machines.iter_mut();
        let sitting = machines.find_map(|(host, it)| it.poll_transmit(self.now, &mut out).map(|_| *host));
        match sitting {
            Some(host) => self.failure(Fault::ForgottenOutput, Some(host)),
            None => self.failure(Fault::Stalled, None),
        }
    }
}

fn transmit_all(
    machine: &mut impl Machine,
    host: HostId,
    network: &mut Network,
    now: Instant,
    diligence: Diligence,
    memory: &mut [u8],
) -> Result<(), Fault> {
    let mut out = TransmitBuffer::new(memory, diligence.segments);
    for batch in 0..diligence.batches {
        if batch == MAX_BATCHES_PER_WAKE {
            return Err(Fault::EndlessOutput);
        }
        let promised = machine.can_transmit();
        let transmit = machine.poll_transmit(now, &mut out);
        if promised.is_some_and(|promised| promised != transmit.is_some()) {
            return Err(Fault::WrongCanTransmit);
        }
        let Some(transmit) = transmit else {
            return Ok(());
        };
        let bytes = out.bytes(&transmit);
        let is_whole = bytes.len() == transmit.len && (1..=transmit.len).contains(&transmit.segment_size);
        if !is_whole || transmit.len.div_ceil(transmit.segment_size) > diligence.segments.max(1) {
            return Err(Fault::ImpossibleTransmit);
        }
        network.send_from(host, now, &transmit, bytes);
    }
    Ok(())
}

impl<M> Drop for Simulation<M> {
    /// A test that panics while it holds a simulation says with which seed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (at, seed) = (self.now.as_micros(), self.seed());
            eprintln!("simulation with seed {seed}, at {at} us (again with {SEED_VARIABLE}={seed})");
        }
    }
}

impl<M> fmt::Debug for Simulation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now).field("network", &self.network).finish_non_exhaustive()
    }
}
