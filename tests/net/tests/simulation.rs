//! The driver: does it run what is right, and see what is wrong?
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::time::Duration;

use wigwag_net::{Diligence, Failure, Fault, HostId, Link, Machine, Replay, Simulation};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath};

const MS: Duration = Duration::from_millis(1);
const SIZE: usize = 100;

/// What is wrong with a machine.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// Its deadline stays.
    Livelock,
    /// It wants to be woken at the time of the last call, and that is after every call but `handle_timeout`.
    Busy,
    /// It always has something to send.
    Endless,
    /// It never repeats what was lost.
    NoRetransmission,
    /// It has output and does not ask to be woken; nor does it repeat.
    Forgetful,
    /// It says that it has output when it has none.
    Boaster,
    /// It gives a batch of empty datagrams.
    Impossible,
}

/// Stop-and-wait with windows: sends `window` numbered datagrams, waits until all are echoed, and repeats them each 100 ms.
struct Ping {
    path: UdpPath,
    flaw: Flaw,
    rounds_left: u32,
    window: Vec<u8>,
    unacknowledged: Vec<u8>,
    to_send: Vec<u8>,
    deadline: Option<Instant>,
    last_call: Instant,
    largest_input: usize,
    /// Since the last wake, and the most between two.
    inputs: usize,
    most_inputs: usize,
    is_echo: bool,
}

impl Ping {
    fn new(path: UdpPath, rounds: u32, window: u8, flaw: Flaw) -> Self {
        let window: Vec<u8> = (0..window).collect();
        let to_send = if rounds > 0 { window.clone() } else { Vec::new() };
        Self {
            path,
            flaw,
            rounds_left: rounds,
            unacknowledged: to_send.clone(),
            to_send,
            window,
            deadline: None,
            last_call: Instant::default(),
            largest_input: 0,
            inputs: 0,
            most_inputs: 0,
            is_echo: rounds == 0,
        }
    }

    fn is_done(&self) -> bool {
        self.rounds_left == 0
    }
}

impl Machine for Ping {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { return };
        assert_eq!(received.path, self.path);
        self.last_call = now;
        self.inputs += 1;
        self.most_inputs = self.most_inputs.max(self.inputs);
        self.largest_input = self.largest_input.max(received.bytes.len().div_ceil(received.segment_size));
        for datagram in received.datagrams() {
            assert_eq!(datagram.len(), SIZE);
            if self.is_echo {
                self.to_send.push(datagram[0]);
            } else {
                self.unacknowledged.retain(|number| *number != datagram[0]);
            }
        }
        if !self.is_echo && self.unacknowledged.is_empty() && self.rounds_left > 0 {
            self.rounds_left -= 1;
            self.deadline = None;
            if self.rounds_left > 0 {
                self.unacknowledged.clone_from(&self.window);
                self.to_send.clone_from(&self.window);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.last_call = now + MS;
        if self.flaw == Flaw::Livelock || self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = Some(now + 100 * MS);
        self.to_send.clone_from(&self.unacknowledged);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.last_call = now;
        out.start();
        if self.flaw == Flaw::Impossible {
            let transmit = Transmit { route: Route::Udp(self.path), len: 10, segment_size: 0, ecn: 0, dscp: 0 };
            return Some(transmit);
        }
        while !self.to_send.is_empty() {
            let Some(segment) = out.segment(SIZE) else { break };
            segment.fill(self.to_send.remove(0));
            out.push(SIZE);
            let repeats = !self.is_echo && !matches!(self.flaw, Flaw::NoRetransmission | Flaw::Forgetful);
            self.deadline = repeats.then_some(now + 100 * MS);
        }
        if self.flaw == Flaw::Endless {
            self.to_send.push(0);
        }
        out.finish(Route::Udp(self.path))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let waiting = (!self.to_send.is_empty() && self.flaw != Flaw::Forgetful) || self.flaw == Flaw::Busy;
        waiting.then_some(self.last_call).or(self.deadline)
    }

    fn step(&mut self, _now: Instant) {
        self.inputs = 0;
    }

    fn can_transmit(&self) -> Option<bool> {
        match self.flaw {
            Flaw::Boaster => Some(true),
            Flaw::None | Flaw::Livelock => Some(!self.to_send.is_empty()),
            _ => None,
        }
    }
}

fn pair(seed: u64, rounds: u32, window: u8, flaw: Flaw) -> (Simulation<Ping>, HostId, HostId) {
    let path = UdpPath { local: "10.0.0.1:5000".parse().unwrap(), remote: "10.0.0.2:6000".parse().unwrap() };
    let mut simulation = Simulation::new(seed);
    let one = simulation.add([path.local.ip()], Ping::new(path, rounds, window, flaw));
    let other = simulation.add([path.remote.ip()], Ping::new(path.reversed(), 0, window, Flaw::None));
    (simulation, one, other)
}

fn run(simulation: &mut Simulation<Ping>, host: HostId, limit: Duration) -> Result<Instant, Failure> {
    simulation.run_until(|simulation| simulation.machine(host).unwrap().is_done(), limit)
}

fn lossy() -> Link {
    Link { loss: 0.2, duplication: 0.1, jitter: 20 * MS, ..Link::default() }
}

#[test]
fn a_round_takes_a_round_trip() {
    let (mut simulation, one, _) = pair(1, 5, 3, Flaw::None);
    let done = run(&mut simulation, one, Duration::from_secs(1)).unwrap();
    assert_eq!(done, Simulation::<Ping>::START + 100 * MS);
    assert_eq!(simulation.network.stats().sent, 30);
}

#[test]
fn the_same_seed_puts_the_same_bytes_on_the_wire() {
    let digest = |seed, diligence| {
        let (mut simulation, one, _) = pair(seed, 20, 10, Flaw::None);
        simulation.diligence = diligence;
        simulation.network.set_default_link(lossy());
        run(&mut simulation, one, Duration::from_secs(60)).unwrap();
        simulation.network.digest()
    };
    for diligence in [Diligence::FULL, Diligence::LEAST] {
        for seed in 1..20 {
            assert_eq!(digest(seed, diligence), digest(seed, diligence));
            assert_ne!(digest(seed, diligence), digest(seed + 1, diligence));
        }
    }
}

#[test]
fn any_diligence_gets_there() {
    for eager_timers in [false, true] {
        for (batches, segments, received) in
            [(usize::MAX, 64, 64), (1, 64, 1), (usize::MAX, 1, 64), (1, 1, 1), (2, 3, 4)]
        {
            let (mut simulation, one, other) = pair(1, 20, 10, Flaw::None);
            simulation.diligence = Diligence { batches, segments, received, eager_timers, ..Diligence::FULL };
            let done = run(&mut simulation, one, Duration::from_secs(10)).unwrap();
            assert_eq!(done - Simulation::<Ping>::START, 400 * MS, "{:?}", simulation.diligence);
            let largest = simulation.machine(other).unwrap().largest_input;
            assert_eq!(largest, received.min(10));
        }
    }
}

#[test]
fn what_arrives_together_may_need_several_wakes() {
    for (inputs, received, most) in [(usize::MAX, 64, 1), (usize::MAX, 1, 10), (4, 1, 4), (1, 1, 1), (1, 64, 1)] {
        let (mut simulation, one, other) = pair(1, 20, 10, Flaw::None);
        simulation.diligence = Diligence { inputs, received, ..Diligence::FULL };
        let done = run(&mut simulation, one, Duration::from_secs(10)).unwrap();
        assert_eq!(done - Simulation::<Ping>::START, 400 * MS);
        assert_eq!(simulation.machine(other).unwrap().most_inputs, most);
        assert_eq!(simulation.network.stats().delivered, 20 * 10 * 2);
    }
}

#[test]
fn hours_take_seconds() {
    let (mut simulation, one, _) = pair(1, 100_000, 1, Flaw::None);
    simulation.network.set_default_link(Link { delay: 100 * MS, loss: 0.05, ..Link::default() });
    let done = run(&mut simulation, one, Duration::from_secs(20 * 3600)).unwrap();
    assert!(done - Simulation::<Ping>::START > Duration::from_secs(3 * 3600));
}

#[test]
fn each_flaw_is_seen() {
    let (full, least) = (Diligence::FULL, Diligence::LEAST);
    let expected = [
        (Flaw::Livelock, full, Fault::Livelock),
        (Flaw::Livelock, least, Fault::Livelock),
        (Flaw::Busy, full, Fault::Busy),
        (Flaw::Endless, full, Fault::EndlessOutput),
        (Flaw::Endless, least, Fault::Busy),
        (Flaw::NoRetransmission, full, Fault::Stalled),
        (Flaw::Forgetful, least, Fault::ForgottenOutput),
        (Flaw::Boaster, full, Fault::WrongCanTransmit),
        (Flaw::Boaster, least, Fault::ForgottenOutput),
        (Flaw::Impossible, full, Fault::ImpossibleTransmit),
    ];
    for (flaw, diligence, fault) in expected {
        let (mut simulation, one, _) = pair(42, 10, 4, flaw);
        simulation.diligence = diligence;
        simulation.network.drop_nth([1]);
        let failure = run(&mut simulation, one, Duration::from_secs(10)).unwrap_err();
        let host = (fault != Fault::Stalled).then_some(one);
        assert_eq!((failure.fault, failure.host, failure.seed), (fault, host, 42));
    }
}

#[test]
fn a_failure_says_how_to_see_it_again() {
    let (mut simulation, one, _) = pair(42, 10, 4, Flaw::NoRetransmission);
    simulation.network.drop_nth([1]);
    let failure = run(&mut simulation, one, Duration::from_secs(10)).unwrap_err();
    // The thread of a test has its name; but not if all tests run in the first one.
    let of_this = match std::thread::current().name() {
        Some("main") => "",
        _ => " -- --exact a_failure_says_how_to_see_it_again",
    };
    let again = format!("again: WIGWAG_SEED=42 cargo test -p wigwag-net{of_this}");
    let text = format!("stalled: no deadline and no datagram under way; at 1000020000 us, seed 42; {again}");
    assert_eq!(failure.to_string(), text);
    assert_eq!(format!("{failure:?}"), text);
    assert_eq!(Replay { seed: 42 }.to_string(), again["again: ".len()..]);

    let (mut simulation, one, _) = pair(42, 10, 4, Flaw::Busy);
    simulation.scenario = Some("busy bees");
    let failure = run(&mut simulation, one, Duration::from_secs(10)).unwrap_err();
    assert!(failure.to_string().contains("; scenario \"busy bees\", host 0, at "), "{failure}");
}

#[test]
fn time_runs_out_exactly() {
    let (mut simulation, one, other) = pair(1, 10, 4, Flaw::None);
    simulation.network.set_up(other, false);
    let failure = run(&mut simulation, one, Duration::from_secs(3)).unwrap_err();
    assert_eq!((failure.fault, failure.at), (Fault::TimedOut, Simulation::<Ping>::START + Duration::from_secs(3)));
    simulation.network.set_up(other, true);
    run(&mut simulation, one, Duration::from_secs(3)).unwrap();
}

#[test]
fn silence_is_no_fault_when_one_only_waits() {
    let (mut simulation, one, _) = pair(1, 1, 1, Flaw::None);
    simulation.run_for(Duration::from_secs(5)).unwrap();
    assert!(simulation.machine(one).unwrap().is_done());
    assert_eq!(simulation.now(), Simulation::<Ping>::START + Duration::from_secs(5));
}

#[test]
fn a_step_may_act_and_break() {
    let (mut simulation, one, _) = pair(1, 3, 2, Flaw::None);
    let mut again = true;
    let at = simulation
        .run_with(
            |host, machine, now| {
                if host != one || !machine.is_done() {
                    return ControlFlow::Continue(());
                }
                if std::mem::take(&mut again) {
                    // What the application sends in a step goes out without anything else happening.
                    machine.rounds_left = 1;
                    machine.to_send = vec![1];
                    machine.unacknowledged = vec![1];
                    return ControlFlow::Continue(());
                }
                ControlFlow::Break(now)
            },
            Duration::from_secs(5),
        )
        .unwrap();
    assert_eq!(at - Simulation::<Ping>::START, 80 * MS);
}

#[test]
fn machines_die_and_come_back() {
    let (mut simulation, one, other) = pair(1, 10, 1, Flaw::None);
    simulation.run_for(50 * MS).unwrap();
    let echo = simulation.remove(other).unwrap();
    simulation.run_for(Duration::from_secs(1)).unwrap();
    assert!(!simulation.machine(one).unwrap().is_done());
    simulation.put(other, echo);
    run(&mut simulation, one, Duration::from_secs(1)).unwrap();
}
