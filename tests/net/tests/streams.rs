//! Streams: whole and in order, whatever the links do; and the time that costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Script, at};
use wigwag_net::{Fault, HostId, Link, Nat, Realm, Simulation};
use wigwag_proto::request::{CloseStream, ListenTcp, OpenStream, ResolveName, StreamSecurity};
use wigwag_proto::{Instant, Outcome, Refused, Request, RequestId, StreamId};

const CLIENT: &str = "10.0.0.1:0";
const SERVER: &str = "10.0.0.2:443";
const SECOND: Duration = Duration::from_secs(1);

fn open(security: StreamSecurity) -> Request {
    Request::OpenStream(OpenStream::new(RequestId(7), StreamId::opened(0), None, at(SERVER), security))
}

fn tls(name: &str) -> StreamSecurity {
    StreamSecurity::Tls { server_name: name.to_owned() }
}

fn world(seed: u64) -> (Simulation<Script>, HostId, HostId) {
    let mut simulation = Simulation::new(seed);
    let client = simulation.add([at(CLIENT).ip()], Script::default());
    let server = simulation.add([at(SERVER).ip()], Script::default());
    simulation.machine_mut(server).unwrap().requests.push_back(Request::ListenTcp(ListenTcp::new(
        RequestId(1),
        at(SERVER),
        None,
    )));
    simulation.run_for(Duration::from_millis(1)).unwrap();
    (simulation, client, server)
}

fn connect(simulation: &mut Simulation<Script>, client: HostId, security: StreamSecurity) -> Instant {
    simulation.machine_mut(client).unwrap().requests.push_back(open(security));
    simulation.run_until(|it| !it.machine(client).unwrap().answers.is_empty(), 120 * SECOND).unwrap()
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 % 251) as u8).collect()
}

#[test]
fn bytes_arrive_whole_and_in_order() {
    let links = [
        Link::default(),
        Link { loss: 0.2, ..Link::default() },
        Link {
            corruption: 0.1,
            duplication: 2.0,
            jitter: Duration::from_millis(50),
            overtaking: true,
            ..Link::default()
        },
        Link { rate: Some(2_000_000), queue: 20_000, mtu: 576, ..Link::default() },
        Link {
            rate: Some(2_000_000),
            discipline: wigwag_net::Discipline::CoDel(Default::default()),
            ..Link::default()
        },
    ];
    for seed in wigwag_net::seeds(10) {
        for link in links {
            let (mut simulation, client, server) = world(seed);
            simulation.network.set_default_link(link);
            connect(&mut simulation, client, StreamSecurity::Plain);
            let data = bytes(60_000);
            simulation.machine_mut(client).unwrap().write(StreamId::opened(0), &data);
            let id = StreamId::accepted(0);
            simulation.run_until(|it| it.machine(server).unwrap().read(id).len() >= data.len(), 600 * SECOND).unwrap();
            assert_eq!(simulation.machine(server).unwrap().read(id), data);
            simulation.machine_mut(server).unwrap().write(id, &data);
            let close = Request::CloseStream(CloseStream { stream: id });
            simulation.run_for(Duration::from_millis(1)).unwrap();
            simulation.machine_mut(server).unwrap().requests.push_back(close);
            simulation.run_until(|it| !it.machine(client).unwrap().closed.is_empty(), 600 * SECOND).unwrap();
            assert_eq!(simulation.machine(client).unwrap().read(StreamId::opened(0)), data, "before the end is told");
        }
    }
}

#[test]
fn opening_takes_a_round_trip_and_tls_two() {
    let (mut simulation, client, _) = world(1);
    let begin = simulation.now();
    let opened = connect(&mut simulation, client, StreamSecurity::Plain);
    assert_eq!(opened - begin, Duration::from_millis(20));
    let (mut simulation, client, server) = world(1);
    simulation.network.listen_at(server, at(SERVER), Some(&["turn.example"]));
    let begin = simulation.now();
    let opened = connect(&mut simulation, client, tls("turn.example"));
    assert_eq!(opened - begin, Duration::from_millis(40));
}

#[test]
fn who_does_not_listen_refuses_and_who_is_not_there_is_silent() {
    let refused = |simulation: &Simulation<Script>, client| {
        matches!(simulation.machine(client).unwrap().answers[..], [Err(Refused::Failed(_))])
    };
    let (mut simulation, client, _) = world(1);
    let begin = simulation.now();
    let told = connect(&mut simulation, client, tls("turn.example"));
    assert!(refused(&simulation, client) && told - begin == Duration::from_millis(20), "plain, not TLS");

    let (mut simulation, client, server) = world(1);
    simulation.network.listen_at(server, at(SERVER), Some(&["turn.example"]));
    connect(&mut simulation, client, tls("another.example"));
    assert!(refused(&simulation, client));

    let (mut simulation, client, server) = world(1);
    simulation.network.set_up(server, false);
    let begin = simulation.now();
    let told = connect(&mut simulation, client, StreamSecurity::Plain);
    assert!(refused(&simulation, client) && told - begin > 30 * SECOND);
}

#[test]
fn nats_let_streams_out_and_none_in() {
    let mut simulation = Simulation::new(1);
    let home = simulation.network.add_nat(Realm::INTERNET, Nat::SYMMETRIC, ["198.51.100.1".parse().unwrap()]);
    let client = simulation.add_in(home, [at("192.168.0.2:0").ip()], Script::default());
    let server = simulation.add([at(SERVER).ip()], Script::default());
    simulation.network.listen_at(server, at(SERVER), None);
    simulation.network.listen_at(client, at("192.168.0.2:443"), None);
    connect(&mut simulation, client, StreamSecurity::Plain);
    let (id, seen) = simulation.machine(server).unwrap().accepted[0];
    assert_eq!(seen.ip(), at("198.51.100.1:0").ip());
    simulation.machine_mut(server).unwrap().write(id, b"hello");
    simulation.run_for(SECOND).unwrap();
    assert_eq!(simulation.machine(client).unwrap().read(StreamId::opened(0)), b"hello");

    let inwards =
        OpenStream::new(RequestId(1), StreamId::opened(0), None, at("198.51.100.1:443"), StreamSecurity::Plain);
    simulation.machine_mut(server).unwrap().requests.push_back(Request::OpenStream(inwards));
    simulation.run_for(60 * SECOND).unwrap();
    assert!(matches!(simulation.machine(server).unwrap().answers[..], [Err(_)]));
}

#[test]
fn a_broken_stream_ends_for_both() {
    let (mut simulation, client, server) = world(1);
    connect(&mut simulation, client, StreamSecurity::Plain);
    simulation.network.set_default_link(Link { loss: 1.0, ..Link::default() });
    simulation.machine_mut(client).unwrap().write(StreamId::opened(0), b"into the void");
    simulation.run_for(1000 * SECOND).unwrap();
    assert_eq!(simulation.machine(client).unwrap().closed, [StreamId::opened(0)]);
    assert_eq!(simulation.machine(server).unwrap().closed, [StreamId::accepted(0)]);
}

#[test]
fn a_window_bounds_what_is_under_way() {
    let (mut simulation, client, _) = world(1);
    connect(&mut simulation, client, StreamSecurity::Plain);
    let before = simulation.network.stats().queue_full;
    for _ in 0..10 {
        simulation.machine_mut(client).unwrap().write(StreamId::opened(0), &bytes(60_000));
    }
    simulation.run_for(Duration::from_millis(1)).unwrap();
    assert_eq!(simulation.network.stats().queue_full - before, 6);
}

#[test]
fn names_are_resolved() {
    let (mut simulation, client, _) = world(1);
    simulation.network.set_name("turn.example", [at(SERVER).ip()]);
    for name in ["turn.example", "nobody.example"] {
        let request = Request::ResolveName(ResolveName::new(RequestId(1), name.to_owned()));
        simulation.machine_mut(client).unwrap().requests.push_back(request);
    }
    simulation.run_for(SECOND).unwrap();
    let answers = &simulation.machine(client).unwrap().answers;
    assert!(matches!(&answers[..], [Ok(Outcome::Resolved(found)), Err(_)] if *found == [at(SERVER).ip()]));
}

#[test]
fn the_same_seed_the_same_bytes() {
    let run = |seed| {
        let (mut simulation, client, server) = world(seed);
        simulation.network.set_default_link(Link { loss: 0.3, ..Link::default() });
        connect(&mut simulation, client, StreamSecurity::Plain);
        simulation.machine_mut(client).unwrap().write(StreamId::opened(0), &bytes(50_000));
        let id = StreamId::accepted(0);
        match simulation.run_until(|it| it.machine(server).unwrap().read(id).len() >= 50_000, 60 * SECOND) {
            Ok(_) => {}
            Err(failure) => assert_eq!(failure.fault, Fault::TimedOut),
        }
        simulation.network.digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
