//! STUN and TURN servers: what is gathered from them, what goes through them, and what they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Side, agent, at, full};
use wigwag_ice::{CandidateKind, Config, ConnectionState, Event, GatheringState, IceServer, TransportPolicy};
use wigwag_net::{HostId, Nat, Realm, Simulation, TurnConfig, TurnServer, Verdict};
use wigwag_proto::Instant;
use wigwag_stun::{Method, PasswordAlgorithm};

const SERVER: &str = "203.0.113.1:3478";
const TLS: &str = "203.0.113.1:5349";
const SECOND: Duration = Duration::from_secs(1);

fn turn(urls: &[&str]) -> Vec<IceServer> {
    vec![IceServer::new(urls.iter().copied(), "user", "pass").unwrap()]
}

/// Whose address the other's relay must know, to let it in.
fn stun() -> Vec<IceServer> {
    vec![IceServer::stun("stun:203.0.113.1").unwrap()]
}

fn with(servers: Vec<IceServer>, controlling: bool) -> Config {
    Config { servers, ..full(controlling) }
}

/// Two agents, each behind a NAT of its own if it has one, and a server.
struct World {
    simulation: Simulation<Side>,
    sides: [HostId; 2],
    server: HostId,
}

impl World {
    fn new(nats: [Option<Nat>; 2], configs: [Config; 2], server: TurnConfig) -> Self {
        let mut simulation = Simulation::new(1);
        let relays = server.relays.clone();
        let machine = TurnServer::new(server, wigwag_crypto::aws_lc_rs(), 1);
        let server = simulation.add_service(relays, machine);
        simulation.network.listen_at(server, at(TLS), Some(&["turn.example"]));
        simulation.network.set_name("turn.example", [at(SERVER).ip()]);
        let mut seed = 0;
        let mut sides = nats.into_iter().zip(configs).map(|(nat, config)| {
            seed += 1;
            let side = Side::new(agent(config, seed));
            match nat {
                None => simulation.add([format!("198.51.100.{seed}").parse().unwrap()], side),
                Some(nat) => {
                    let outer = format!("192.0.2.{seed}").parse().unwrap();
                    let realm = simulation.network.add_nat(Realm::INTERNET, nat, [outer]);
                    simulation.add_in(realm, [format!("10.0.{seed}.2").parse().unwrap()], side)
                }
            }
        });
        let sides = [sides.next().unwrap(), sides.next().unwrap()];
        Self { simulation, sides, server }
    }

    /// One side that gathers.
    fn alone(nat: Option<Nat>, config: Config, server: TurnConfig) -> Self {
        let mut world = Self::new([nat, None], [config, full(false)], server);
        world.gather(0);
        world
    }

    fn now(&self) -> Instant {
        self.simulation.now()
    }

    fn side(&mut self, side: usize) -> &mut Side {
        self.simulation.machine_mut(self.sides[side]).unwrap()
    }

    fn server(&mut self) -> &mut TurnServer {
        self.simulation.service_mut(self.server).unwrap()
    }

    fn gather(&mut self, side: usize) {
        let now = self.now();
        self.side(side).agent.gather(now);
    }

    fn run(&mut self, duration: Duration) {
        self.simulation.run_for(duration).unwrap();
    }

    /// Until gathering ends; how long that took.
    fn gathered(&mut self) -> Duration {
        let (begin, host) = (self.now(), self.sides[0]);
        let done = |simulation: &Simulation<Side>| {
            simulation.machine(host).unwrap().agent.gathering_state() == GatheringState::Complete
        };
        self.simulation.run_until(done, 60 * SECOND).unwrap() - begin
    }

    fn candidates(&mut self, kind: CandidateKind) -> Vec<SocketAddr> {
        let candidates = self.side(0).agent.local_candidates();
        candidates.filter(|candidate| candidate.kind == kind).filter_map(|it| it.socket_addr()).collect()
    }

    fn errors(&mut self) -> Vec<(u16, String)> {
        let error = |event: &Event| match event {
            Event::CandidateError { url, code, .. } => Some((*code, url.clone())),
            _ => None,
        };
        self.side(0).events.iter().filter_map(error).collect()
    }

    /// Both gather, tell each other all, and try.
    fn connect(&mut self, limit: Duration) -> bool {
        self.gather(0);
        self.gather(1);
        let hosts = self.sides;
        let done = move |simulation: &Simulation<Side>| {
            let complete = |host| simulation.machine(host).unwrap().agent.gathering_state() == GatheringState::Complete;
            complete(hosts[0]) && complete(hosts[1])
        };
        self.simulation.run_until(done, 60 * SECOND).unwrap();
        for to in [0, 1] {
            let from = &self.side(1 - to).agent;
            let credentials = from.local_credentials().clone();
            let candidates: Vec<_> = from.local_candidates().map(|candidate| candidate.to_string()).collect();
            let now = self.now();
            let agent = &mut self.side(to).agent;
            agent.set_remote_credentials(credentials);
            for candidate in candidates {
                agent.add_remote_candidate(now, candidate.parse().unwrap());
            }
            agent.set_remote_end_of_candidates();
        }
        let done = move |simulation: &Simulation<Side>| {
            hosts.iter().all(|host| simulation.machine(*host).unwrap().agent.state() == ConnectionState::Completed)
        };
        self.simulation.run_until(done, limit).is_ok()
    }

    fn is_relayed(&mut self) -> bool {
        let relays = self.server().config.relays.clone();
        let paths = [0, 1].map(|side| self.side(side).agent.selected_path().unwrap());
        paths.iter().any(|path| relays.contains(&path.local.ip()) || relays.contains(&path.remote.ip()))
    }

    /// No UDP leaves either NAT.
    fn block_udp(&mut self) {
        self.simulation.network.set_filter(|sent| {
            let is_inside = sent.path.local.to_string().starts_with("10.");
            if is_inside && !sent.is_stream { Verdict::Drop } else { Verdict::Pass }
        });
    }
}

fn config() -> TurnConfig {
    TurnConfig::new(at(SERVER), "user", "pass")
}

#[test]
fn a_stun_server_tells_how_it_sees_us() {
    let servers = vec![IceServer::stun("stun:203.0.113.1").unwrap(), IceServer::stun("stun:turn.example").unwrap()];
    let mut world = World::alone(Some(Nat::PORT_RESTRICTED), with(servers, true), config());
    assert!(world.gathered() < Duration::from_millis(200));
    assert_eq!(world.candidates(CandidateKind::Host), [at("10.0.1.2:49152")]);
    assert_eq!(world.candidates(CandidateKind::ServerReflexive), [at("192.0.2.1:49152")], "told once");
    let candidate = world.side(0).agent.local_candidates().nth(1).unwrap().to_string();
    assert!(candidate.contains("typ srflx raddr 10.0.1.2 rport 49152"), "{candidate}");
    assert!(world.errors().is_empty());

    // Without a NAT, that is nothing new.
    let mut world = World::alone(None, with(vec![IceServer::stun("stun:203.0.113.1").unwrap()], true), config());
    world.gathered();
    assert!(world.candidates(CandidateKind::ServerReflexive).is_empty());
}

#[test]
fn the_mapping_is_kept_until_there_is_a_path() {
    let nat = Nat { timeout: 30 * SECOND, ..Nat::SYMMETRIC };
    let servers = vec![IceServer::stun("stun:203.0.113.1").unwrap()];
    let mut world = World::alone(Some(nat), with(servers, true), config());
    world.gathered();
    let before = world.simulation.network.stats();
    world.run(300 * SECOND);
    let after = world.simulation.network.stats();
    assert_eq!(after.sent - before.sent, 20, "one each 15 s, and no answers");
}

#[test]
fn relays_over_udp_tcp_and_tls() {
    for (url, blocked) in [
        ("turn:203.0.113.1", false),
        ("turn:turn.example?transport=udp", false),
        ("turn:turn.example?transport=tcp", true),
        ("turns:turn.example", true),
    ] {
        let configs = [with(turn(&[url]), true), with(turn(&[url]), false)];
        let mut world = World::new([Some(Nat::SYMMETRIC), Some(Nat::SYMMETRIC)], configs, config());
        if blocked {
            world.block_udp();
        }
        assert!(world.connect(10 * SECOND), "{url}: {:?}", world.errors());
        assert!(world.is_relayed());
        // Consent goes on for hours, since everything is refreshed; and all of it in channels.
        world.server().revoke_nonces();
        world.run(4 * 3600 * SECOND);
        assert_eq!(world.side(0).agent.state(), ConnectionState::Completed, "{url}");
        assert!(!world.side(0).states().contains(&ConnectionState::Disconnected), "{url}");
        let stats = world.server().stats().clone();
        assert!(stats.to_peers[1] > 100 * stats.to_peers[0], "{stats:?}");
        assert!(stats.errors.keys().all(|code| [401, 438].contains(code)), "{stats:?}");

        // Nothing is left behind.
        let now = world.now();
        for side in [0, 1] {
            world.side(side).agent.close(now);
        }
        world.run(SECOND);
        assert_eq!(world.server().allocations().count(), 0, "{url}");
    }
}

#[test]
fn one_relay_is_enough() {
    let configs = [with(turn(&["turn:203.0.113.1"]), true), with(stun(), false)];
    let mut world = World::new([Some(Nat::SYMMETRIC), Some(Nat::SYMMETRIC)], configs, config());
    assert!(world.connect(10 * SECOND) && world.is_relayed());
}

#[test]
fn passwords_hashed_with_sha_256() {
    let algorithms = vec![PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
    let server = TurnConfig { algorithms, ..config() };
    let mut world = World::alone(None, with(turn(&["turn:203.0.113.1"]), true), server);
    world.gathered();
    assert_eq!(world.candidates(CandidateKind::Relayed).len(), 1);
}

#[test]
fn addresses_of_both_families_or_of_ipv6_only() {
    let (v4, v6) = (at(SERVER).ip(), "2001:db8::1".parse().unwrap());
    for (relays, count) in [(vec![v4, v6], 2), (vec![v4], 1), (vec![v6], 1)] {
        let mut simulated = relays.clone();
        simulated.push(v4);
        let server = TurnConfig { relays, ..config() };
        let mut world = World::new([None, None], [with(turn(&["turn:203.0.113.1"]), true), full(false)], server);
        world.simulation.network.add_address(world.server, v4);
        world.gather(0);
        world.gathered();
        assert_eq!(world.candidates(CandidateKind::Relayed).len(), count, "{:?}", world.errors());
    }
}

#[test]
fn only_relayed_candidates_if_so_configured() {
    let relay = |controlling| Config {
        transport_policy: TransportPolicy::Relay,
        ..with(turn(&["turn:203.0.113.1"]), controlling)
    };
    let mut world = World::new([None, None], [relay(true), relay(false)], config());
    assert!(world.connect(10 * SECOND));
    let candidates: Vec<_> = world.side(0).agent.local_candidates().map(|it| it.to_string()).collect();
    assert!(candidates.iter().all(|it| it.contains("typ relay raddr 0.0.0.0 rport 9")), "{candidates:?}");
    let paths = [0, 1].map(|side| world.side(side).agent.selected_path().unwrap());
    assert!(paths.iter().all(|path| path.local.ip() == at(SERVER).ip()), "{paths:?}");
}

#[test]
fn what_servers_refuse_is_told() {
    let wrong = || IceServer::new(["turn:203.0.113.1"], "user", "wrong").unwrap();
    for (server, servers, code) in [
        (config(), vec![wrong()], 401),
        (TurnConfig { quota: 0, ..config() }, turn(&["turn:203.0.113.1"]), 486),
        (TurnConfig { capacity: 0, ..config() }, turn(&["turn:203.0.113.1"]), 508),
        (TurnConfig { relays: vec![], ..config() }, turn(&["turn:203.0.113.1"]), 440),
        (config(), turn(&["turn:203.0.113.9:3478"]), 701),
        (config(), turn(&["turn:203.0.113.1:99?transport=tcp"]), 701),
        (config(), turn(&["turns:203.0.113.1"]), 701), // the certificate has no such name
        (config(), turn(&["turn:nobody.example"]), 701),
        (config(), vec![IceServer::stun("stun:nobody.example").unwrap()], 701),
    ] {
        let url = servers[0].urls[0].to_string();
        let mut world = World::new([None, None], [with(servers, true), full(false)], server);
        world.simulation.network.add_address(world.server, at(SERVER).ip());
        world.gather(0);
        world.run(Duration::from_millis(10));
        assert_eq!(world.candidates(CandidateKind::Host).len(), 1, "at once");
        let took = world.gathered();
        assert!(took <= 5 * SECOND, "{took:?}");
        let errors = world.errors();
        assert!(errors.contains(&(code, url.clone())), "{code} {url}: {errors:?}");
        assert!(world.candidates(CandidateKind::Relayed).is_empty());
    }
}

#[test]
fn a_server_sends_us_to_another() {
    let mut world = World::new(
        [None, None],
        [with(turn(&["turn:203.0.113.1"]), true), full(false)],
        TurnConfig { alternate: Some(at("203.0.113.2:3478")), ..config() },
    );
    let other = TurnServer::new(TurnConfig::new(at("203.0.113.2:3478"), "user", "pass"), wigwag_crypto::aws_lc_rs(), 2);
    world.simulation.add_service([at("203.0.113.2:0").ip()], other);
    world.gather(0);
    world.gathered();
    let relayed = world.candidates(CandidateKind::Relayed);
    assert_eq!(relayed.iter().map(SocketAddr::ip).collect::<Vec<_>>(), [at("203.0.113.2:0").ip()]);

    // In circles: there is an end to it.
    let alternate = Some(at(SERVER));
    let mut world = World::alone(None, with(turn(&["turn:203.0.113.1"]), true), TurnConfig { alternate, ..config() });
    world.gathered();
    assert_eq!(world.errors().last().map(|(code, _)| *code), Some(300));
}

#[test]
fn ten_dead_servers_delay_nothing() {
    let dead: Vec<_> = (10..20).map(|n| format!("turn:203.0.113.{n}")).collect();
    let mut urls: Vec<_> = dead.iter().map(String::as_str).collect();
    urls.push("turn:203.0.113.1");
    let mut world = World::alone(Some(Nat::SYMMETRIC), with(turn(&urls), true), config());
    world.run(Duration::from_millis(1));
    assert_eq!(world.candidates(CandidateKind::Host).len(), 1, "at once");
    world.run(Duration::from_millis(150));
    assert_eq!(world.candidates(CandidateKind::Relayed).len(), 1, "as soon as the server answers");
    world.gathered();
    assert_eq!(world.now() - Simulation::<Side>::START, 5 * SECOND, "when the patience ends");
    let dead_ones = world.errors().iter().filter(|(code, _)| *code == 701).count();
    assert_eq!(dead_ones, 20, "each for its query and its allocation");
}

#[test]
fn a_relay_that_goes_is_told_and_left() {
    let configs = [with(turn(&["turn:203.0.113.1"]), true), with(stun(), false)];
    let mut world = World::new([Some(Nat::SYMMETRIC), Some(Nat::SYMMETRIC)], configs, config());
    assert!(world.connect(10 * SECOND));
    world.server().restart();
    world.run(700 * SECOND);
    assert_eq!(world.errors().last().map(|(code, _)| *code), Some(437));
    assert!(world.candidates(CandidateKind::Relayed).is_empty());
    assert_eq!(world.side(0).agent.state(), ConnectionState::Failed);

    // A restart finds another.
    let now = world.now();
    for side in [0, 1] {
        world.side(side).agent.restart(now);
    }
    assert!(world.connect(10 * SECOND) && world.is_relayed());
}

#[test]
fn a_stream_that_breaks_takes_its_allocation_along() {
    let servers = turn(&["turn:203.0.113.1?transport=tcp"]);
    let mut world = World::alone(Some(Nat::SYMMETRIC), with(servers, true), config());
    world.gathered();
    assert_eq!(world.candidates(CandidateKind::Relayed).len(), 1);
    world.server().restart();
    world.run(SECOND);
    assert!(world.candidates(CandidateKind::Relayed).is_empty());
    assert_eq!(world.errors().last().map(|(code, _)| *code), Some(701));
}

#[test]
fn what_is_not_needed_runs_out() {
    let mut world = World::alone(None, with(turn(&["turn:203.0.113.1"]), true), config());
    world.gathered();
    world.run(3600 * SECOND);
    let stats = world.server().stats().clone();
    assert_eq!(world.server().allocations().count(), 1, "the allocation is kept");
    assert_eq!(stats.successes.get(&Method::CREATE_PERMISSION.0), None);
    assert_eq!(stats.successes.get(&Method::REFRESH.0), Some(&6), "{stats:?}");
}

mod evil {
    //! A server that answers whatever it likes, by the right transactions.

    use proptest::prelude::*;
    use wigwag_ice::{Agent, Event};
    use wigwag_proto::{Input, Instant, Request, Route, StreamId, TransmitBuffer, UdpPath};
    use wigwag_stun::{AttributeType, Class, MessageBuilder, Method, TransactionId, routing};

    use super::{IceServer, agent, at, with};

    /// An answer: class, method, attributes, to which request, and whether it is signed.
    type Step = (u8, u16, Vec<(u16, Vec<u8>)>, usize, bool);

    /// Known attributes with values of the right length, wrong ones, and any.
    fn attributes() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
        let known = prop_oneof![
            Just(0x0009),
            Just(0x000C),
            Just(0x000D),
            Just(0x0012),
            Just(0x0013),
            Just(0x0014),
            Just(0x0015),
            Just(0x0016),
            Just(0x0020),
            Just(0x8002),
            Just(0x8003),
            Just(0x8023),
            any::<u16>()
        ];
        let value = prop_oneof![
            Just(vec![0, 0, 4, 1]),
            Just(vec![0, 0, 4, 38]),
            Just(vec![0, 0, 3, 0]),
            Just(vec![0, 0, 4, 37]),
            Just(vec![0, 0, 4, 40]),
            Just(vec![0, 1, 0, 7, 10, 0, 0, 9]),
            Just(b"obMatJos2gAAAnonce".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40)
        ];
        proptest::collection::vec((known, value), 0..6)
    }

    fn step() -> impl Strategy<Value = Step> {
        (
            0_u8..4,
            prop_oneof![Just(1_u16), Just(3), Just(4), Just(7), Just(8), Just(9)],
            attributes(),
            0_usize..8,
            any::<bool>(),
        )
    }

    fn answer_requests(agent: &mut Agent, now: Instant) {
        let mut port = 5000;
        while let Some(request) = agent.poll_request() {
            port += 1;
            let answer = match request {
                Request::BindUdp(request) => {
                    let local = (request.local.ip(), port).into();
                    request.bound(local)
                }
                Request::OpenStream(request) => request.opened((at("10.0.0.1:1").ip(), port).into()),
                _ => continue,
            };
            agent.handle_input(now, Input::Answer(answer));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..Default::default() })]
        #[test]
        fn whatever_a_server_answers(steps in proptest::collection::vec(step(), 0..40)) {
            let urls = ["turn:10.0.0.9", "turn:10.0.0.9:99?transport=tcp", "stun:10.0.0.9:88"];
            let servers = vec![IceServer::new(urls, "user", "pass").unwrap()];
            let mut agent = agent(with(servers, true), 7);
            let mut now = Instant(1_000_000);
            agent.add_udp_socket(at("10.0.0.1:1000")).unwrap();
            agent.set_remote_credentials(wigwag_ice::Credentials::new("abcd", "the other side's password"));
            agent.add_remote_candidate(now, "candidate:1 1 udp 99 10.0.0.7 7 typ host".parse().unwrap());
            agent.gather_from_servers(now);
            let mut asked = vec![(Route::Stream(StreamId::opened(0)), TransactionId([0; 12]))];
            let mut memory = [0; 1500];
            for (class, method, attributes, pick, sign) in steps {
                answer_requests(&mut agent, now);
                let mut out = TransmitBuffer::new(&mut memory, 1);
                while let Some(transmit) = agent.poll_transmit(now, &mut out) {
                    let id = routing(out.bytes(&transmit)).map(|routing| routing.transaction);
                    asked.extend(id.map(|id| (transmit.route, id)));
                }
                let (route, id) = asked[asked.len() - 1 - pick % asked.len()];
                let class = [Class::Request, Class::Indication, Class::Success, Class::Error][usize::from(class)];
                let mut room = [0; 600];
                let mut message = MessageBuilder::new(&mut room, class, Method(method), id);
                for (attribute, value) in &attributes {
                    message.attribute(AttributeType(*attribute), value);
                }
                if sign {
                    let provider = wigwag_crypto::aws_lc_rs();
                    let md5 = wigwag_stun::PasswordAlgorithm::Md5;
                    let key = wigwag_stun::LongTermKey::new(md5, "user", "\0\0\u{4}\u{1}", "pass", provider);
                    message.message_integrity(key.as_ref(), provider);
                }
                let len = message.finish().unwrap();
                match route {
                    Route::Udp(UdpPath { local, remote }) => {
                        agent.handle_packet(now, UdpPath { local, remote }, &room[..len]);
                    }
                    Route::Stream(id) => agent.handle_input(now, Input::Stream { id, bytes: &room[..len] }),
                }
                now = Instant(now.as_micros() + 300_000);
                agent.handle_timeout(now);
                prop_assert!(agent.poll_timeout().is_none_or(|at| at > now));
                prop_assert!(agent.local_candidates().count() <= 64);
                while agent.poll_payload().is_some() {}
                while let Some(event) = agent.poll_event() {
                    if let Event::CandidateError { code, .. } = event {
                        prop_assert!((300..=701).contains(&code));
                    }
                }
            }
            agent.close(now);
        }

        #[test]
        fn whatever_a_stream_brings(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..20)) {
            let servers = vec![IceServer::new(["turn:10.0.0.9?transport=tcp"], "user", "pass").unwrap()];
            let mut agent = agent(with(servers, true), 7);
            let now = Instant(1_000_000);
            agent.add_udp_socket(at("10.0.0.1:1000")).unwrap();
            agent.gather_from_servers(now);
            answer_requests(&mut agent, now);
            for mut piece in pieces {
                if let Some(first) = piece.first_mut() {
                    *first &= 0x43;
                }
                agent.handle_input(now, Input::Stream { id: StreamId::opened(0), bytes: &piece });
            }
            agent.handle_timeout(now);
            prop_assert!(agent.poll_timeout().is_none_or(|at| at > now));
        }
    }
}
