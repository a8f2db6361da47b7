//! An agent and everybody who could write to it: with its password (a hostile peer) or without.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wigwag_ice::{Agent, Candidate, Config, Credentials, EndpointEvent, Key};
use wigwag_proto::{Input, Instant, Interface, Received, Refused, Request, Route, TransmitBuffer, UdpPath, random};
use wigwag_stun::{AttributeType, Class, ErrorCode, MessageBuilder, Method, TransactionId};

use crate::bounds::{Memory, deadline_moved};
use crate::script::Script;
use crate::{count_steps, crypto, repair};

/// An agent with its 100 pairs, and what is under way.
pub const MEMORY: usize = 1 << 20;
/// More datagrams in a row without time passing are an endless output.
const MAX_PACKETS: usize = 1000;
/// Keys that nobody takes are bounded; see `core/ice/src/event.rs`.
const MAX_KEYS: usize = 2000;

const LOCALS: [&str; 3] = ["10.0.0.1:1000", "10.0.0.9:1000", "[2001:db8::1]:1000"];
const REMOTES: [&str; 6] =
    ["10.0.0.2:2000", "10.0.0.2:2001", "192.168.1.2:2000", "[2001:db8::2]:2000", "10.0.0.1:1000", "1.2.3.4:9"];

struct Run {
    agent: Agent,
    now: Instant,
    /// Transactions of checks that are under way, with their path.
    asked: VecDeque<(TransactionId, UdpPath)>,
    requests: VecDeque<Request>,
    keys: std::collections::BTreeSet<Key>,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let how = script.byte();
    let mut memory = Memory::within(MEMORY);
    let config = Config { controlling: how & 1 != 0, lite: how & 2 != 0, ..Config::default() };
    // With MACs of zeros, everybody has the password.
    let provider = if how & 4 != 0 { crypto::checked() } else { crypto::credulous() };
    let mut run = Run {
        agent: Agent::new(config, random::seeded([3; 32]), provider),
        now: Instant(1_000_000),
        asked: VecDeque::new(),
        requests: VecDeque::new(),
        keys: std::collections::BTreeSet::new(),
    };
    if how & 8 != 0 {
        run.agent.add_udp_socket(address(LOCALS[0])).unwrap();
        run.agent.set_remote_credentials(Credentials::new("peer", "the password of the peer"));
        run.agent.add_remote_candidate(run.now, Candidate::host(address(REMOTES[0]), "1", 100));
    }
    let mut steps = 0;
    while let Some(step) = script.next() {
        run.step(step, &mut script);
        run.learn();
        memory.check();
        steps += 1;
    }
    count_steps(steps);
    run.agent.close(run.now);
    run.learn();
    assert!(run.keys.is_empty(), "an agent that is closed has forgotten its keys: {:?}", run.keys);
    drop(run);
    memory.is_given_back();
}

impl Run {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let now = self.now;
        match step & 0x1F {
            0..=3 => self.check(script),
            4..=6 => self.respond(script),
            7 => {
                let mut bytes = script.bytes(255).to_vec();
                repair::stun(&mut bytes);
                self.receive(self.path(script), &mut bytes);
            }
            8..=11 => self.transmit(),
            12 | 13 => {
                self.now += script.duration();
                self.time();
            }
            14..=16 => {
                self.now = self.agent.poll_timeout().unwrap_or(now).max(now);
                self.time();
            }
            17 => self.candidate(script),
            18 => self.agent.set_remote_credentials(Credentials::new(["peer", "reep"][script.below(2)], "a password")),
            19 => drop(self.agent.add_udp_socket(address(LOCALS[script.below(3)]))),
            20 => self.agent.remove_udp_socket(address(LOCALS[script.below(3)])),
            21 => self.agent.gather(now),
            22 | 23 => self.answer(script),
            24 => self.agent.restart(now),
            25 => self.agent.set_remote_end_of_candidates(),
            26 => {
                // An endpoint tells only whom it took the path from.
                let path = self.path(script);
                self.keys.remove(&Key::Path(path));
                self.agent.displace(path);
            }
            27 => self.agent.set_controlling(script.flag()),
            28 => self.agent.set_remote_lite(script.flag()),
            29 => {
                let some = [Interface::new("a", address(LOCALS[script.below(3)]).ip())];
                self.agent.handle_input(now, Input::Interfaces(&some[..script.below(2)]));
            }
            30 => {
                while self.agent.poll_event().is_some() {}
                let _ = (self.agent.stats(), self.agent.pairs().count(), self.agent.local_candidates().count());
                let _ = (self.agent.state(), self.agent.gathering_state(), self.agent.round_trip_time());
            }
            _ if script.byte() == 77 => self.agent.close(now),
            _ => {}
        }
    }

    fn path(&self, script: &mut Script<'_>) -> UdpPath {
        let how = script.byte();
        UdpPath {
            local: address(LOCALS[usize::from(how >> 6) % 3]),
            remote: address(REMOTES[usize::from(how & 0x0F) % 6]),
        }
    }

    fn receive(&mut self, path: UdpPath, bytes: &mut [u8]) {
        self.agent.handle_input(self.now, Input::Datagrams(Received::one(path, bytes)));
    }

    /// A check that could be the peer's.
    fn check(&mut self, script: &mut Script<'_>) {
        let (path, how) = (self.path(script), script.byte());
        let class = if how & 0xC0 == 0xC0 { Class::Indication } else { Class::Request };
        let mut room = [0; 400];
        let mut message = MessageBuilder::new(&mut room, class, Method::BINDING, TransactionId([script.byte(); 12]));
        let ours = self.agent.local_credentials().ufrag.clone();
        match how & 7 {
            0 => message.username("somebody:else"),
            1 => message.ice_username(&ours, "reep"),
            _ => message.ice_username(&ours, "peer"),
        }
        if how & 8 != 0 {
            message.use_candidate();
        }
        match how >> 4 & 3 {
            0 => message.ice_controlling(u64::from(script.byte()) << 56),
            1 => message.ice_controlled(u64::from(script.byte()) << 56),
            2 => message.attribute(AttributeType(script.u16()), script.bytes(16)),
            _ => {}
        }
        message.priority(script.u32());
        let password = self.agent.local_credentials().pwd.clone();
        message.message_integrity(password.as_bytes(), crypto::credulous());
        message.fingerprint();
        let len = message.finish().unwrap();
        self.receive(path, &mut room[..len]);
    }

    /// An answer to a check of ours, from where it went or from elsewhere.
    fn respond(&mut self, script: &mut Script<'_>) {
        let Some(&(transaction, to)) = self.asked.get(script.below(self.asked.len())) else { return };
        let how = script.byte();
        let path = if how & 1 == 0 { to } else { self.path(script) };
        let mut room = [0; 400];
        let class = if how & 6 == 6 { Class::Error } else { Class::Success };
        let mut message = MessageBuilder::new(&mut room, class, Method::BINDING, transaction);
        if class == Class::Error {
            let code = [300, 400, 401, 420, 487, 500][script.below(6)];
            message.error_code(ErrorCode { code, reason: "" });
        }
        if how & 8 == 0 {
            message.xor_mapped_address(if how & 16 == 0 { path.local } else { address("203.0.113.7:7") });
        } else {
            message.attribute(AttributeType(script.u16()), script.bytes(32));
        }
        if how & 32 == 0 {
            message.message_integrity(b"", crypto::credulous());
        }
        message.fingerprint();
        let len = message.finish().unwrap();
        self.receive(path, &mut room[..len]);
    }

    fn candidate(&mut self, script: &mut Script<'_>) {
        let text = match script.byte() & 3 {
            0 => String::from_utf8_lossy(script.bytes(200)).into_owned(),
            1 => format!("candidate:1 1 tcp 5 10.0.0.{} 9 typ host tcptype active", script.byte()),
            2 => format!("candidate:1 1 udp {} 10.0.0.{} {} typ host", script.u32(), script.byte(), script.u16()),
            _ => format!("candidate:1 1 udp 9 name{}.local 9 typ host", script.byte()),
        };
        text.parse().into_iter().for_each(|candidate| self.agent.add_remote_candidate(self.now, candidate));
    }

    fn answer(&mut self, script: &mut Script<'_>) {
        self.requests.extend(std::iter::from_fn(|| self.agent.poll_request()));
        let local = address(LOCALS[script.below(3)]);
        let Some(request) = self.requests.pop_front() else { return };
        let refused = script.flag();
        let answer = match request {
            Request::BindUdp(request) if refused => request.failed(Refused::Unsupported),
            Request::BindUdp(request) => request.bound(local),
            Request::WatchInterfaces(request) if refused => request.failed(Refused::NotPermitted),
            Request::WatchInterfaces(request) => {
                request.interfaces(vec![Interface::new("a", local.ip()), Interface::new("b", address(LOCALS[1]).ip())])
            }
            Request::ResolveName(request) => request.resolved(vec![local.ip()]),
            Request::ListenTcp(request) => request.failed(Refused::Unsupported),
            Request::OpenStream(request) => request.failed(Refused::Unsupported),
            Request::JoinMulticast(request) => request.failed(Refused::Unsupported),
            _ => return,
        };
        self.agent.handle_input(self.now, Input::Answer(answer));
    }

    fn time(&mut self) {
        if self.agent.poll_timeout().is_some_and(|at| at <= self.now) {
            self.agent.handle_timeout(self.now);
            deadline_moved(self.now, self.agent.poll_timeout());
        }
    }

    fn transmit(&mut self) {
        let mut memory = [0; 1500];
        let mut out = TransmitBuffer::new(&mut memory, 1);
        for count in 0.. {
            assert!(count < MAX_PACKETS, "an endless output");
            let Some(transmit) = self.agent.poll_transmit(self.now, &mut out) else { break };
            assert!(transmit.len > 0 && transmit.segment_size > 0);
            let (Route::Udp(path), Ok(message)) = (transmit.route, wigwag_stun::Message::parse(out.bytes(&transmit)))
            else {
                panic!("an agent sends STUN over UDP here: {transmit:?}");
            };
            if message.class() == Class::Request {
                self.asked.push_front((message.transaction(), path));
                self.asked.truncate(16);
            }
        }
        assert!(!self.agent.can_transmit());
    }

    /// What it tells an endpoint makes sense.
    fn learn(&mut self) {
        while let Some(event) = self.agent.poll_endpoint_event() {
            match event {
                EndpointEvent::Learned(key) | EndpointEvent::Claimed(key) => drop(self.keys.insert(key)),
                EndpointEvent::Forgotten(key) => assert!(self.keys.remove(&key), "{key:?} was never told"),
            }
        }
        assert!(self.keys.len() <= MAX_KEYS);
    }
}
