//! What is asked of the adaptor, and what its answers lead to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{agent, at, full};
use wigwag_ice::{Agent, Config, Event, GatheringState};
use wigwag_proto::{Answer, Input, Instant, Interface, Refused, Request};

fn interfaces() -> Vec<Interface> {
    let addresses = ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "2001:db8::1", "169.254.0.1"];
    addresses.map(|address| Interface::new("eth0", address.parse().unwrap())).to_vec()
}

/// Answers as a willing adaptor would; each socket gets the next port.
fn serve(agent: &mut Agent, now: Instant) {
    let mut port = 5000;
    while let Some(request) = agent.poll_request() {
        let answer = match request {
            Request::WatchInterfaces(request) => request.interfaces(interfaces()),
            Request::BindUdp(request) => {
                port += 1;
                let local = (request.local.ip(), port).into();
                request.bound(local)
            }
            other => panic!("{other:?}"),
        };
        agent.handle_input(now, Input::Answer(answer));
    }
}

fn events(agent: &mut Agent) -> Vec<String> {
    let text = |event| match event {
        Event::LocalCandidate(candidate) => candidate.socket_addr().unwrap().to_string(),
        other => format!("{other:?}"),
    };
    std::iter::from_fn(|| agent.poll_event()).map(text).collect()
}

#[test]
fn a_socket_for_each_address() {
    let mut agent = agent(full(true), 1);
    agent.gather(Instant(0));
    assert_eq!(agent.gathering_state(), GatheringState::Gathering);
    serve(&mut agent, Instant(0));
    assert_eq!(events(&mut agent), ["10.0.0.1:5001", "[2001:db8::1]:5002", "GatheringComplete"]);
    assert_eq!(agent.gathering_state(), GatheringState::Complete);

    // Again, when nothing is new.
    agent.gather(Instant(1));
    serve(&mut agent, Instant(1));
    assert_eq!(events(&mut agent), ["GatheringComplete"]);

    // An interface is gone.
    agent.handle_input(Instant(2), Input::Interfaces(&interfaces()[..2]));
    assert!(matches!(agent.poll_request(), Some(Request::CloseUdp(close)) if close.local == at("[2001:db8::1]:5002")));
    assert_eq!(agent.local_candidates().count(), 1);

    agent.close(Instant(3));
    assert!(matches!(agent.poll_request(), Some(Request::CloseUdp(close)) if close.local == at("10.0.0.1:5001")));
    assert!(agent.poll_request().is_none());
}

#[test]
fn loopback_if_wanted() {
    let config = Config { include_loopback: true, ports: Some(4000..=4010), ..full(true) };
    let mut agent = agent(config, 1);
    agent.gather(Instant(0));
    serve(&mut agent, Instant(0));
    assert_eq!(events(&mut agent).len(), 5);
}

#[test]
fn everything_is_refused() {
    let refuse = |request| -> Option<Answer> {
        match request {
            Request::WatchInterfaces(request) => Some(request.failed(Refused::Unsupported)),
            other => panic!("{other:?}"),
        }
    };
    let mut agent = agent(full(true), 1);
    agent.gather(Instant(0));
    let answer = refuse(agent.poll_request().unwrap()).unwrap();
    agent.handle_input(Instant(0), Input::Answer(answer));
    assert_eq!(events(&mut agent), ["GatheringComplete"]);
}

#[test]
fn some_is_refused() {
    let mut agent = agent(full(true), 1);
    agent.gather(Instant(0));
    while let Some(request) = agent.poll_request() {
        let answer = match request {
            Request::WatchInterfaces(request) => request.interfaces(interfaces()),
            Request::BindUdp(request) => request.failed(Refused::NotPermitted),
            other => panic!("{other:?}"),
        };
        agent.handle_input(Instant(0), Input::Answer(answer));
    }
    assert_eq!(events(&mut agent), ["GatheringComplete"]);
}

#[test]
fn nobody_answers_and_then_too_late() {
    let mut agent = agent(full(true), 1);
    agent.gather(Instant(0));
    let Some(Request::WatchInterfaces(watch)) = agent.poll_request() else { panic!() };
    agent.handle_input(Instant(0), Input::Answer(watch.interfaces(interfaces())));
    let Some(Request::BindUdp(bind)) = agent.poll_request() else { panic!() };
    let deadline = agent.poll_timeout().unwrap();
    assert_eq!(deadline, Instant(0) + Duration::from_secs(5));
    agent.handle_timeout(deadline);
    assert_eq!(events(&mut agent), ["GatheringComplete"]);
    agent.handle_input(deadline, Input::Answer(bind.bound(at("10.0.0.1:7"))));
    assert_eq!(agent.local_candidates().count(), 0);
    let requests = std::iter::from_fn(|| agent.poll_request()).collect::<Vec<_>>();
    assert!(matches!(requests[..], [Request::BindUdp(_), Request::CloseUdp(_)]), "{requests:?}");
}
