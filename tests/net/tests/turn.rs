//! The STUN and TURN server, method by method and error by error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Script, at};
use wigwag_net::{HostId, Simulation, TurnConfig, TurnServer};
use wigwag_proto::request::{OpenStream, StreamSecurity};
use wigwag_proto::{Request, RequestId, StreamId};
use wigwag_stun::{
    AttributeType, Class, LongTermKey, Message, MessageBuilder, Method, PasswordAlgorithm, TransactionId,
    channel_header, parse_channel_data, userhash,
};

const SERVER: &str = "203.0.113.1:3478";
const CLIENT: &str = "198.51.100.2:5000";
const PEER: &str = "198.51.100.3:6000";
const TRIP: Duration = Duration::from_millis(30);
const SECOND: Duration = Duration::from_secs(1);

/// How a client signs.
#[derive(Clone)]
struct Identity {
    user: String,
    password: String,
    nonce: Vec<u8>,
    algorithm: Option<PasswordAlgorithm>,
    is_hidden: bool,
}

struct World {
    simulation: Simulation<Script>,
    server: HostId,
    client: HostId,
    peer: HostId,
    identity: Identity,
    transactions: u8,
    /// Where requests go, if not by UDP.
    stream: Option<StreamId>,
}

fn config() -> TurnConfig {
    TurnConfig::new(at(SERVER), "user", "pass")
}

impl World {
    fn new(config: TurnConfig) -> Self {
        let mut simulation = Simulation::new(1);
        let relays = config.relays.clone();
        let server = TurnServer::new(config, wigwag_crypto::aws_lc_rs(), 1);
        let mut addresses = vec![at(SERVER).ip()];
        addresses.extend(relays.into_iter().filter(|relay| *relay != at(SERVER).ip()));
        let server = simulation.add_service(addresses, server);
        let client = simulation.add([at(CLIENT).ip()], Script::default());
        let peer = simulation.add([at(PEER).ip(), "2001:db8::3".parse().unwrap()], Script::default());
        let identity = Identity {
            user: "user".to_owned(),
            password: "pass".to_owned(),
            nonce: Vec::new(),
            algorithm: None,
            is_hidden: false,
        };
        Self { simulation, server, client, peer, identity, transactions: 0, stream: None }
    }

    fn server(&mut self) -> &mut TurnServer {
        self.simulation.service_mut(self.server).unwrap()
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.send_from(at(CLIENT), bytes)
    }

    /// What comes back within a round trip.
    fn send_from(&mut self, local: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let client = self.simulation.machine_mut(self.client).unwrap();
        client.datagrams.clear();
        client.streams.clear();
        match self.stream {
            Some(id) => client.write(id, bytes),
            None => client.send(local, at(SERVER), bytes),
        }
        self.simulation.run_for(TRIP).unwrap();
        let client = self.simulation.machine(self.client).unwrap();
        let datagrams = client.datagrams.iter().map(|(_, bytes)| bytes.clone());
        datagrams.chain(client.streams.iter().map(|(_, bytes)| bytes.clone())).collect()
    }

    fn write(&mut self, method: Method, signed: bool, write: impl FnOnce(&mut MessageBuilder<'_>)) -> Vec<u8> {
        self.transactions += 1;
        let mut room = [0; 512];
        let id = TransactionId([self.transactions; 12]);
        let mut message = MessageBuilder::new(&mut room, Class::Request, method, id);
        write(&mut message);
        let provider = wigwag_crypto::aws_lc_rs();
        let Identity { user, password, nonce, algorithm, is_hidden } = self.identity.clone();
        if signed {
            match is_hidden {
                true => message.attribute(AttributeType::USERHASH, &userhash(&user, "example.org", provider)),
                false => message.username(&user),
            }
            message.realm("example.org");
            message.nonce(&nonce);
            if let Some(algorithm) = algorithm {
                message.password_algorithms([PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]);
                message.password_algorithm(algorithm);
            }
            let used = algorithm.unwrap_or(PasswordAlgorithm::Md5);
            let key = LongTermKey::new(used, &user, "example.org", &password, provider);
            match algorithm {
                Some(_) => message.message_integrity_sha256(key.as_ref(), provider),
                None => message.message_integrity(key.as_ref(), provider),
            }
        }
        message.fingerprint();
        let len = message.finish().unwrap();
        room[..len].to_vec()
    }

    /// The error's code, or 0; and the answer.
    fn ask(&mut self, method: Method, write: impl FnOnce(&mut MessageBuilder<'_>)) -> (u16, Vec<u8>) {
        let request = self.write(method, true, write);
        let answers = self.send(&request);
        self.told(&answers)
    }

    fn told(&mut self, answers: &[Vec<u8>]) -> (u16, Vec<u8>) {
        let [answer] = answers else { panic!("{} answers", answers.len()) };
        let message = Message::parse(answer).unwrap();
        assert_eq!(message.verify_fingerprint(), Some(true));
        if let Some(nonce) = message.nonce() {
            self.identity.nonce = nonce.to_vec();
        }
        (message.error_code().map_or(0, |error| error.code), answer.clone())
    }

    /// Learns a nonce.
    fn challenge(&mut self) {
        let request = self.write(Method::ALLOCATE, false, |it| it.requested_transport(17));
        let answers = self.send(&request);
        assert_eq!(self.told(&answers).0, 401);
    }

    fn allocate(&mut self) -> SocketAddr {
        self.challenge();
        let (code, answer) = self.ask(Method::ALLOCATE, |it| it.requested_transport(17));
        assert_eq!(code, 0);
        Message::parse(&answer).unwrap().relayed_address().unwrap()
    }

    fn permit(&mut self, peer: &str) -> u16 {
        self.ask(Method::CREATE_PERMISSION, |it| it.xor_peer_address(at(peer))).0
    }

    fn bind(&mut self, channel: u16, peer: &str) -> u16 {
        self.ask(Method::CHANNEL_BIND, |it| {
            it.channel_number(channel);
            it.xor_peer_address(at(peer));
        })
        .0
    }

    fn refresh(&mut self, seconds: u32) -> (u16, Option<u32>) {
        let (code, answer) = self.ask(Method::REFRESH, |it| it.lifetime(seconds));
        (code, Message::parse(&answer).unwrap().lifetime())
    }

    fn say(&mut self, peer: &str, data: &[u8]) {
        let mut room = [0; 512];
        let mut message = MessageBuilder::new(&mut room, Class::Indication, Method::SEND, TransactionId([9; 12]));
        message.xor_peer_address(at(peer));
        message.attribute(AttributeType::DATA, data);
        let len = message.finish().unwrap();
        self.send(&room[..len]);
    }

    fn heard_by_peer(&mut self) -> Vec<Vec<u8>> {
        let peer = self.simulation.machine_mut(self.peer).unwrap();
        peer.datagrams.drain(..).map(|(_, bytes)| bytes).collect()
    }

    /// What the client hears of what the peer says to `relayed`.
    fn peer_says(&mut self, relayed: SocketAddr, data: &[u8]) -> Vec<Vec<u8>> {
        let client = self.simulation.machine_mut(self.client).unwrap();
        client.datagrams.clear();
        client.streams.clear();
        self.simulation.machine_mut(self.peer).unwrap().send(at(PEER), relayed, data);
        self.simulation.run_for(TRIP).unwrap();
        let client = self.simulation.machine(self.client).unwrap();
        let datagrams = client.datagrams.iter().map(|(_, bytes)| bytes.clone());
        datagrams.chain(client.streams.iter().map(|(_, bytes)| bytes.clone())).collect()
    }
}

#[test]
fn binding_tells_the_address() {
    let mut world = World::new(config());
    let request = world.write(Method::BINDING, false, |_| {});
    let answers = world.send(&request);
    let answer = Message::parse(&answers[0]).unwrap();
    assert_eq!(answer.mapped_address(), Some(at(CLIENT)));

    let request = world.write(Method::BINDING, false, |it| it.attribute(AttributeType(0x7777), b""));
    let answers = world.send(&request);
    assert_eq!(world.told(&answers).0, 420);
    assert!(world.send(b"nonsense").is_empty());
}

#[test]
fn data_goes_both_ways() {
    let mut world = World::new(config());
    let relayed = world.allocate();
    assert_eq!(relayed.ip(), at(SERVER).ip());
    world.say(PEER, b"too early");
    assert!(world.heard_by_peer().is_empty() && world.peer_says(relayed, b"too early").is_empty());

    assert_eq!(world.permit(PEER), 0);
    world.say(PEER, b"hello");
    assert_eq!(world.heard_by_peer(), [b"hello"]);
    let heard = world.peer_says(relayed, b"odd");
    let indication = Message::parse(&heard[0]).unwrap();
    assert_eq!((indication.method(), indication.class()), (Method::DATA, Class::Indication));
    assert_eq!((indication.peer_address(), indication.data()), (Some(at(PEER)), Some(&b"odd"[..])));

    assert_eq!(world.bind(0x4001, PEER), 0);
    world.send(&[&channel_header(0x4001, 3)[..], b"yes"].concat());
    assert_eq!(world.heard_by_peer(), [b"yes"]);
    let heard = world.peer_says(relayed, b"and back");
    assert_eq!(parse_channel_data(&heard[0]), Some((0x4001, 4..12)));
    world.send(&[&channel_header(0x4002, 3)[..], b"not"].concat());
    assert!(world.heard_by_peer().is_empty(), "a channel that nobody bound");
}

#[test]
fn who_is_not_known_is_told_so() {
    let mut world = World::new(config());
    world.challenge();
    let nonce = world.identity.nonce.clone();
    world.identity.password = "wrong".to_owned();
    assert_eq!(world.ask(Method::ALLOCATE, |it| it.requested_transport(17)).0, 401);
    world.identity.user = "nobody".to_owned();
    assert_eq!(world.ask(Method::ALLOCATE, |it| it.requested_transport(17)).0, 401);
    world.identity = Identity { user: "user".to_owned(), password: "pass".to_owned(), nonce, ..world.identity };
    // A request that is signed and does not say by whom.
    let request = {
        let mut room = [0; 128];
        let mut message = MessageBuilder::new(&mut room, Class::Request, Method::ALLOCATE, TransactionId([77; 12]));
        message.message_integrity(b"key", wigwag_crypto::aws_lc_rs());
        let len = message.finish().unwrap();
        room[..len].to_vec()
    };
    let answers = world.send(&request);
    assert_eq!(world.told(&answers).0, 400);
}

#[test]
fn nonces_go_stale() {
    let mut world = World::new(TurnConfig { nonce_lifetime: 60 * SECOND, ..config() });
    world.allocate();
    world.simulation.run_for(61 * SECOND).unwrap();
    assert_eq!(world.permit(PEER), 438);
    assert_eq!(world.permit(PEER), 0, "with the new one, which came with the error");
    world.server().revoke_nonces();
    assert_eq!((world.permit(PEER), world.permit(PEER)), (438, 0));
}

#[test]
fn sha_256_and_hidden_names() {
    let algorithms = vec![PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
    let mut world = World::new(TurnConfig { algorithms, ..config() });
    world.identity.algorithm = Some(PasswordAlgorithm::Sha256);
    world.identity.is_hidden = true;
    world.allocate();
    assert_eq!(world.permit(PEER), 0);
    // As a client of RFC 5389 does it.
    world.identity.algorithm = None;
    world.identity.is_hidden = false;
    assert_eq!(world.permit(PEER), 0);

    // One that was bidden down.
    let mut world = World::new(TurnConfig { algorithms: vec![PasswordAlgorithm::Sha256], ..config() });
    world.challenge();
    assert_eq!(world.ask(Method::ALLOCATE, |it| it.requested_transport(17)).0, 400);
}

#[test]
fn what_an_allocation_may_be() {
    let relays = vec![at(SERVER).ip(), "2001:db8::1".parse().unwrap()];
    let mut world = World::new(TurnConfig { relays, ..config() });
    world.challenge();
    assert_eq!(world.ask(Method::ALLOCATE, |_| {}).0, 400, "no transport");
    assert_eq!(world.ask(Method::ALLOCATE, |it| it.requested_transport(6)).0, 442);
    let family = AttributeType::REQUESTED_ADDRESS_FAMILY;
    let (code, answer) = world.ask(Method::ALLOCATE, |it| {
        it.requested_transport(17);
        it.address_family(family, true);
    });
    assert_eq!(code, 0);
    assert!(Message::parse(&answer).unwrap().relayed_address().unwrap().is_ipv6());
    assert_eq!(world.ask(Method::ALLOCATE, |it| it.requested_transport(17)).0, 437, "there is one");
    assert_eq!(world.permit(PEER), 443);
    assert_eq!(world.bind(0x4000, PEER), 443);
    assert_eq!(world.permit("[2001:db8::3]:6000"), 0);

    let mut world = World::new(config());
    world.challenge();
    let wish = |it: &mut MessageBuilder<'_>| {
        it.requested_transport(17);
        it.address_family(family, true);
    };
    assert_eq!(world.ask(Method::ALLOCATE, wish).0, 440);
}

#[test]
fn both_families_at_once() {
    let wish = |it: &mut MessageBuilder<'_>| {
        it.requested_transport(17);
        it.address_family(AttributeType::ADDITIONAL_ADDRESS_FAMILY, true);
    };
    let relays = vec![at(SERVER).ip(), "2001:db8::1".parse().unwrap()];
    let mut world = World::new(TurnConfig { relays, ..config() });
    world.challenge();
    let (code, answer) = world.ask(Method::ALLOCATE, wish);
    let answer = Message::parse(&answer).unwrap();
    let relayed = answer.attributes().filter(|(it, _)| *it == AttributeType::XOR_RELAYED_ADDRESS).count();
    assert_eq!((code, relayed), (0, 2));
    assert_eq!((world.permit(PEER), world.permit("[2001:db8::3]:6000")), (0, 0));

    let mut world = World::new(config());
    world.challenge();
    let (code, answer) = world.ask(Method::ALLOCATE, wish);
    let answer = Message::parse(&answer).unwrap();
    let error = answer.attribute(AttributeType::ADDRESS_ERROR_CODE).unwrap();
    assert_eq!((code, error), (0, &[2, 0, 4, 40][..]));
}

#[test]
fn even_ports_and_the_next_one() {
    let mut world = World::new(config());
    world.challenge();
    let (code, answer) = world.ask(Method::ALLOCATE, |it| {
        it.requested_transport(17);
        it.even_port(true);
    });
    let answer = Message::parse(&answer).unwrap();
    let first = answer.relayed_address().unwrap();
    assert_eq!((code, first.port() % 2), (0, 0));
    let token = answer.attribute(AttributeType::RESERVATION_TOKEN).unwrap().to_vec();
    let request = world.write(Method::ALLOCATE, true, |it| {
        it.requested_transport(17);
        it.attribute(AttributeType::RESERVATION_TOKEN, &token);
    });
    let answers = world.send_from(at("198.51.100.2:5001"), &request);
    let (code, answer) = world.told(&answers);
    let second = Message::parse(&answer).unwrap().relayed_address().unwrap();
    assert_eq!((code, second.port()), (0, first.port() + 1));
    let request = world.write(Method::ALLOCATE, true, |it| {
        it.requested_transport(17);
        it.attribute(AttributeType::RESERVATION_TOKEN, &token);
    });
    let answers = world.send_from(at("198.51.100.2:5002"), &request);
    assert_eq!(world.told(&answers).0, 508, "it was used");
}

#[test]
fn limits_are_told() {
    for (config, code) in [
        (TurnConfig { quota: 0, ..config() }, 486),
        (TurnConfig { capacity: 0, ..config() }, 508),
        (TurnConfig { ports: 3478..=3478, ..config() }, 508),
        (TurnConfig { alternate: Some(at("203.0.113.9:3478")), ..config() }, 300),
    ] {
        let mut world = World::new(config);
        world.challenge();
        let (told, answer) = world.ask(Method::ALLOCATE, |it| it.requested_transport(17));
        assert_eq!(told, code);
        let alternate = Message::parse(&answer).unwrap().address(AttributeType::ALTERNATE_SERVER);
        assert_eq!(alternate, (code == 300).then_some(at("203.0.113.9:3478")));
    }
}

#[test]
fn another_user_may_not_touch_it() {
    let mut config = config();
    config.users.insert("other".to_owned(), "secret".to_owned());
    let mut world = World::new(config);
    world.allocate();
    (world.identity.user, world.identity.password) = ("other".to_owned(), "secret".to_owned());
    assert_eq!((world.permit(PEER), world.bind(0x4000, PEER), world.refresh(600).0), (441, 441, 441));
}

#[test]
fn without_an_allocation_there_is_nothing_to_do() {
    let mut world = World::new(config());
    world.challenge();
    assert_eq!((world.permit(PEER), world.bind(0x4000, PEER), world.refresh(600).0), (437, 437, 437));
    world.allocate();
    assert_eq!(world.refresh(0), (0, Some(0)));
    assert_eq!(world.permit(PEER), 437);
    assert_eq!(world.server().allocations().count(), 0);
}

#[test]
fn channels_keep_to_their_peers() {
    let mut world = World::new(TurnConfig { forbidden: vec!["10.0.0.1".parse().unwrap()], ..config() });
    world.allocate();
    assert_eq!(world.bind(0x4000, PEER), 0);
    assert_eq!(world.bind(0x4000, PEER), 0, "again: a refresh");
    assert_eq!(world.bind(0x4000, "198.51.100.9:1"), 400);
    assert_eq!(world.bind(0x4001, PEER), 400);
    assert_eq!(world.bind(0x3FFF, "198.51.100.9:1"), 400);
    assert_eq!(world.bind(0x5000, "198.51.100.9:1"), 400);
    assert_eq!(world.permit("10.0.0.1:1"), 403);
    assert_eq!(world.permit("[::ffff:10.0.0.1]:1"), 403, "in any spelling");
    assert_eq!(world.bind(0x4002, "[::ffff:10.0.0.1]:1"), 403);
}

#[test]
fn everything_runs_out() {
    let mut world = World::new(config());
    let relayed = world.allocate();
    assert_eq!(world.bind(0x4000, PEER), 0);
    world.simulation.run_for(299 * SECOND).unwrap();
    assert_eq!(world.peer_says(relayed, b"in time").len(), 1);
    world.simulation.run_for(2 * SECOND).unwrap();
    assert_eq!(world.peer_says(relayed, b"too late").len(), 0, "no permission any more");
    world.send(&[&channel_header(0x4000, 2)[..], b"ok"].concat());
    assert_eq!(world.heard_by_peer(), [b"ok"], "the channel lasts longer");
    assert_eq!(world.permit(PEER), 0);
    assert_eq!(world.refresh(7200), (0, Some(3600)));
    world.simulation.run_for(300 * SECOND).unwrap();
    world.send(&[&channel_header(0x4000, 2)[..], b"no"].concat());
    assert!(world.heard_by_peer().is_empty());
    assert_eq!(world.server().allocations().count(), 1);
    world.simulation.run_for(3601 * SECOND).unwrap();
    assert_eq!((world.server().allocations().count(), world.server().stats().expired), (0, 1));
}

#[test]
fn a_repeated_request_gets_the_same_answer() {
    let mut world = World::new(config());
    world.challenge();
    let request = world.write(Method::ALLOCATE, true, |it| it.requested_transport(17));
    let (first, again) = (world.send(&request), world.send(&request));
    let relayed = |answers: &[Vec<u8>]| Message::parse(&answers[0]).unwrap().relayed_address();
    assert!(relayed(&first).is_some() && relayed(&first) == relayed(&again));
    assert_eq!(world.server().allocations().count(), 1);
}

#[test]
fn over_a_stream() {
    let mut world = World::new(config());
    let id = StreamId::opened(0);
    let open = OpenStream::new(RequestId(1), id, None, at(SERVER), StreamSecurity::Plain);
    world.simulation.machine_mut(world.client).unwrap().requests.push_back(Request::OpenStream(open));
    world.simulation.run_for(SECOND).unwrap();
    world.stream = Some(id);
    let relayed = world.allocate();
    assert_eq!(world.bind(0x4000, PEER), 0);
    // Two of them, cut in the middle of the second; the padding is not relayed.
    let both = [&channel_header(0x4000, 3)[..], b"one\0", &channel_header(0x4000, 5), b"seven\0\0\0"].concat();
    world.send(&both[..10]);
    world.send(&both[10..]);
    assert_eq!(world.heard_by_peer(), [b"one".to_vec(), b"seven".to_vec()]);
    let heard = world.peer_says(relayed, b"back!").concat();
    assert_eq!((heard.len(), parse_channel_data(&heard)), (12, Some((0x4000, 4..9))));

    // Neither STUN nor ChannelData: the server hangs up, and the allocation is gone.
    world.send(b"\x16\x03\x01\x02");
    world.simulation.run_for(SECOND).unwrap();
    assert_eq!(world.simulation.machine(world.client).unwrap().closed, [id]);
    assert_eq!(world.server().allocations().count(), 0);
}

#[test]
fn a_dead_server_is_silent_and_one_that_starts_anew_forgets() {
    let mut world = World::new(config());
    let relayed = world.allocate();
    assert_eq!(world.permit(PEER), 0);
    world.server().set_silent(true);
    let request = world.write(Method::REFRESH, true, |_| {});
    assert!(world.send(&request).is_empty() && world.peer_says(relayed, b"hello").is_empty());
    world.server().set_silent(false);
    world.server().restart();
    assert_eq!(world.permit(PEER), 438);
    assert_eq!(world.permit(PEER), 437);
}
