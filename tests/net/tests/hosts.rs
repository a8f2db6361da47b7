//! Hosts that move, sleep, jump in time, die and are born again.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wigwag_net::{Fault, HostId, Link, Machine, Nat, Realm, Simulation, TooBig};
use wigwag_proto::{Input, Instant, Interface, Route, Transmit, TransmitBuffer, UdpPath};

const SECOND: Duration = Duration::from_secs(1);
const START: Instant = Simulation::<Beacon>::START;

/// Sends a number each second from its first address, and notes all that happens.
struct Beacon {
    local: IpAddr,
    peer: IpAddr,
    sent: u8,
    is_due: bool,
    deadline: Instant,
    heard: Vec<(Instant, SocketAddr, u8)>,
    timeouts: Vec<Instant>,
    interfaces: Vec<Vec<Interface>>,
    told_at: Vec<Instant>,
    notices: Vec<(Instant, TooBig)>,
}

impl Beacon {
    fn new(local: &str, peer: &str) -> Self {
        Self {
            local: ip(local),
            peer: ip(peer),
            sent: 0,
            is_due: false,
            deadline: START,
            heard: Vec::new(),
            timeouts: Vec::new(),
            interfaces: Vec::new(),
            told_at: Vec::new(),
            notices: Vec::new(),
        }
    }
}

impl Machine for Beacon {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagrams(received) => self.heard.push((now, received.path.remote, received.bytes[0])),
            Input::Interfaces(interfaces) => {
                self.interfaces.push(interfaces.to_vec());
                self.told_at.push(now);
                self.local = interfaces.first().map_or(self.local, |first| first.address);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.timeouts.push(now);
        self.is_due = true;
        self.deadline = now + SECOND;
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        if !std::mem::take(&mut self.is_due) {
            return None;
        }
        self.sent = self.sent.wrapping_add(1);
        out.start();
        out.segment(1)?.fill(self.sent);
        out.push(1);
        let [local, remote] = [self.local, self.peer].map(|ip| SocketAddr::new(ip, 5000));
        out.finish(Route::Udp(UdpPath { local, remote }))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn handle_too_big(&mut self, now: Instant, notice: TooBig) {
        self.notices.push((now, notice));
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pair() -> (Simulation<Beacon>, HostId, HostId) {
    let mut simulation = Simulation::new(1);
    let one = simulation.add([ip("203.0.113.1")], Beacon::new("203.0.113.1", "203.0.113.2"));
    let other = simulation.add([ip("203.0.113.2")], Beacon::new("203.0.113.2", "203.0.113.1"));
    (simulation, one, other)
}

fn heard(simulation: &Simulation<Beacon>, host: HostId) -> Vec<u8> {
    simulation.machine(host).unwrap().heard.iter().map(|(.., number)| *number).collect()
}

#[test]
fn who_sleeps_hears_nothing_and_wakes_late() {
    let (mut simulation, one, other) = pair();
    simulation.run_for(SECOND * 3 / 2).unwrap();
    simulation.sleep(one, 8 * 3600 * SECOND);
    assert!(!simulation.is_awake(one));
    simulation.run_for(100 * SECOND).unwrap();
    // Being touched does not wake it, nor does a second word about its sleep make it longer than that says.
    simulation.machine_mut(one).unwrap();
    simulation.run_for(SECOND).unwrap();
    assert_eq!(simulation.machine(one).unwrap().timeouts.len(), 2);
    simulation.sleep(one, 3600 * SECOND);
    let asleep = simulation.now();
    assert_eq!(heard(&simulation, one), [1, 2]);
    assert_eq!(heard(&simulation, other), [1, 2], "nothing while it sleeps");

    simulation.run_for(3600 * SECOND).unwrap();
    assert!(simulation.is_awake(one));
    let machine = simulation.machine(one).unwrap();
    // One deadline, an hour late; then it goes on.
    assert_eq!(machine.timeouts, [START, START + SECOND, asleep + 3600 * SECOND]);
    simulation.run_for(SECOND * 5 / 2).unwrap();
    assert_eq!(heard(&simulation, other), [1, 2, 3, 4, 5]);
    assert!(heard(&simulation, one).len() > 3);
}

#[test]
fn sleep_ends_early_and_leaves_the_plug_as_it_was() {
    let (mut simulation, one, other) = pair();
    simulation.network.set_up(one, false);
    simulation.sleep(one, 3600 * SECOND);
    simulation.run_for(10 * SECOND).unwrap();
    simulation.wake_up(one);
    assert!(!simulation.network.is_up(one));
    simulation.run_for(SECOND).unwrap();
    assert_eq!(simulation.machine(one).unwrap().timeouts[0], START + 10 * SECOND);
    assert_eq!(heard(&simulation, other), []);
    // A host that dies while it sleeps is born again awake.
    simulation.network.set_up(one, true);
    simulation.sleep(one, 3600 * SECOND);
    simulation.remove(one).unwrap();
    simulation.put(one, Beacon::new("203.0.113.1", "203.0.113.2"));
    simulation.run_for(SECOND * 3 / 2).unwrap();
    assert_eq!(heard(&simulation, other), [1, 2]);
}

#[test]
fn everybody_asleep_is_no_stall() {
    let (mut simulation, one, other) = pair();
    simulation.sleep(one, 3600 * SECOND);
    simulation.sleep(other, 2 * 3600 * SECOND);
    let awake = |it: &Simulation<Beacon>| it.is_awake(one) && it.is_awake(other);
    assert_eq!(simulation.run_until(awake, 3 * 3600 * SECOND).unwrap(), START + 2 * 3600 * SECOND);
    simulation.sleep(one, 3600 * SECOND);
    assert_eq!(simulation.run_until(|_| false, SECOND).unwrap_err().fault, Fault::TimedOut);
}

#[test]
fn clocks_jump_forward() {
    let (mut simulation, one, other) = pair();
    simulation.run_for(SECOND / 2).unwrap();
    simulation.jump_clock(one, 3600 * SECOND);
    assert_eq!(simulation.clock(one), simulation.now() + 3600 * SECOND);
    assert_eq!(simulation.clock(other), simulation.now());
    simulation.run_for(2 * SECOND).unwrap();
    // Its deadline passed with the jump; after that its seconds are as long as those of others.
    let jumped = START + 3600 * SECOND;
    let expected = [START, jumped + SECOND / 2, jumped + SECOND * 3 / 2, jumped + SECOND * 5 / 2];
    assert_eq!(simulation.machine(one).unwrap().timeouts, expected);
    let times: Vec<_> = simulation.machine(other).unwrap().heard.iter().map(|(at, ..)| *at - START).collect();
    let delay = Duration::from_millis(10);
    assert_eq!(times, [delay, delay + SECOND / 2, delay + SECOND * 3 / 2]);
    // What it hears has the time of its own clock.
    assert!(simulation.machine(one).unwrap().heard.last().unwrap().0 > jumped);
}

#[test]
fn interfaces_come_and_go() {
    let (mut simulation, one, other) = pair();
    let home = simulation.network.add_nat(Realm::INTERNET, Nat::default(), [ip("198.51.100.1")]);
    simulation.run_for(SECOND / 2).unwrap();
    simulation.add_interface(one, "wlan0", home, ip("192.168.1.2"));
    simulation.run_for(SECOND).unwrap();
    simulation.remove_interface(one, "eth0");
    simulation.remove_interface(one, "none of this name");
    simulation.run_for(SECOND).unwrap();
    simulation.remove_interface(one, "wlan0");
    simulation.run_for(SECOND).unwrap();

    let machine = simulation.machine(one).unwrap();
    let (ethernet, wifi) = (Interface::new("eth0", ip("203.0.113.1")), Interface::new("wlan0", ip("192.168.1.2")));
    assert_eq!(machine.interfaces, [vec![ethernet, wifi.clone()], vec![wifi], vec![]]);
    assert_eq!(machine.told_at, [1, 3, 5].map(|halves| START + SECOND / 2 * halves));
    // At 0 s and 1 s by Ethernet, at 2 s through the NAT, at 3 s from an address that it has no more.
    let from: Vec<_> = simulation.machine(other).unwrap().heard.iter().map(|(_, from, _)| from.ip()).collect();
    assert_eq!(from, ["203.0.113.1", "203.0.113.1", "198.51.100.1"].map(ip));
    assert_eq!(simulation.interfaces(one), []);
    assert!(simulation.machine(other).unwrap().interfaces.is_empty(), "nobody else is told");
}

#[test]
fn who_sleeps_is_told_when_it_awakes() {
    let (mut simulation, one, _) = pair();
    simulation.sleep(one, 60 * SECOND);
    simulation.add_interface(one, "wlan0", Realm::INTERNET, ip("198.51.100.9"));
    simulation.run_for(59 * SECOND).unwrap();
    assert!(simulation.machine(one).unwrap().interfaces.is_empty());
    simulation.remove_interface(one, "eth0");
    simulation.run_for(2 * SECOND).unwrap();
    let machine = simulation.machine(one).unwrap();
    assert_eq!(machine.interfaces, [[Interface::new("wlan0", ip("198.51.100.9"))]]);
    assert_eq!(machine.told_at, [START + 60 * SECOND]);
    assert!(simulation.network.is_up(one));
}

#[test]
fn the_born_again_know_nothing() {
    let (mut simulation, one, other) = pair();
    simulation.run_for(SECOND * 5 / 2).unwrap();
    assert_eq!(simulation.remove(one).unwrap().sent, 3);
    simulation.run_for(10 * SECOND).unwrap();
    assert_eq!(heard(&simulation, other), [1, 2, 3]);
    simulation.put(one, Beacon::new("203.0.113.1", "203.0.113.2"));
    simulation.run_for(SECOND * 3 / 2).unwrap();
    assert_eq!(heard(&simulation, other), [1, 2, 3, 1, 2]);
    // The clock is the host's and goes on.
    assert_eq!(simulation.machine(one).unwrap().timeouts[0], START + SECOND * 25 / 2);
}

#[test]
fn who_sends_too_much_is_told_with_its_own_path() {
    let mut simulation = Simulation::new(1);
    let home = simulation.network.add_nat(Realm::INTERNET, Nat::default(), [ip("198.51.100.1")]);
    let one = simulation.add_in(home, [ip("192.168.1.2")], Beacon::new("192.168.1.2", "203.0.113.2"));
    // An IP packet of 29 bytes is a beacon. It is too big behind the NAT, and goes a millisecond to it.
    simulation.network.set_default_link(Link { mtu: 28, mtu_notice: true, ..Link::default() });
    simulation.run_for(SECOND / 2).unwrap();
    let path = UdpPath { local: "192.168.1.2:5000".parse().unwrap(), remote: "203.0.113.2:5000".parse().unwrap() };
    let expected = (START + Duration::from_millis(11), TooBig { to: one, path, mtu: 28 });
    assert_eq!(simulation.machine(one).unwrap().notices, [expected]);
}
