//! Many connections behind one socket: routing, readiness, and who owns a path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wigwag::transmit::MAX_BATCH_BYTES;
use wigwag::{
    ChannelId, ChannelInit, Config, ConnectionId, ConnectionSet, ConnectionState, Endpoint, EndpointEvent, Event,
    Input, Instant, Key, Message, PeerConnection, Received, Route, TransmitBuffer, UdpPath,
};

const MANY: u16 = 300;
const START: Instant = Instant(1_000_000);
const SERVER: &str = "10.0.0.2:2000";

fn server_address() -> SocketAddr {
    SERVER.parse().unwrap()
}

fn connection(n: u16, side: u8, local: SocketAddr) -> PeerConnection {
    let mut seed = [side; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    let mut connection = PeerConnection::new(Config::new(seed)).unwrap();
    connection.add_udp_socket(START, local).unwrap();
    connection
}

/// A server with one socket, and clients that each have their own.
struct World {
    endpoint: Endpoint,
    set: ConnectionSet,
    clients: BTreeMap<SocketAddr, (PeerConnection, ChannelId)>,
    heard: usize,
    polled: usize,
    memory: Vec<u8>,
}

impl World {
    fn new(clients: u16) -> Self {
        let mut world = Self {
            endpoint: Endpoint::default(),
            set: ConnectionSet::default(),
            clients: BTreeMap::new(),
            heard: 0,
            polled: 0,
            memory: vec![0; MAX_BATCH_BYTES],
        };
        for n in 0..clients {
            let local = SocketAddr::from(([10, 0, 0, 1], 1000 + n));
            let mut client = connection(n, 1, local);
            let channel = client.create_data_channel("data", ChannelInit::default()).unwrap();
            let mut host = connection(n, 2, server_address());
            let offer = client.set_local_description_implicitly(START).unwrap();
            host.set_remote_description(START, offer).unwrap();
            let answer = host.set_local_description_implicitly(START).unwrap();
            client.set_remote_description(START, answer).unwrap();
            world.set.insert(host);
            world.clients.insert(local, (client, channel));
        }
        world
    }

    /// Polls the ready; what they send arrives at once.
    fn poll_server(&mut self, now: Instant) {
        let Self { endpoint, set, clients, heard, polled, memory } = self;
        while let Some(mut ready) = set.next_ready(now) {
            *polled += 1;
            let id = ready.id;
            while let Some(event) = ready.poll_endpoint_event() {
                assert_eq!(endpoint.handle_event(id, event), None);
            }
            while let Some(event) = ready.poll_event() {
                *heard += usize::from(matches!(event, Event::Message { .. }));
            }
            let mut out = TransmitBuffer::new(memory, 64);
            while let Some(transmit) = ready.poll_transmit(now, &mut out) {
                let Route::Udp(path) = transmit.route else { continue };
                let Some((client, _)) = clients.get_mut(&path.remote) else { continue };
                let segment_size = transmit.segment_size;
                let received = Received { path: path.reversed(), bytes: out.bytes(&transmit), segment_size, ecn: 0 };
                client.handle_input(now, Input::Datagrams(received));
            }
            // Sending can teach the endpoint something, too.
            while let Some(event) = ready.poll_endpoint_event() {
                assert_eq!(endpoint.handle_event(id, event), None);
            }
        }
    }

    fn poll_clients(&mut self, now: Instant) {
        let Self { endpoint, set, clients, memory, .. } = self;
        for (client, _) in clients.values_mut() {
            client.handle_timeout(now);
            while client.poll_event().is_some() {}
            while client.poll_endpoint_event().is_some() {}
            let mut out = TransmitBuffer::new(memory, 64);
            while let Some(transmit) = client.poll_transmit(now, &mut out) {
                let Route::Udp(path) = transmit.route else { continue };
                let bytes = out.bytes(&transmit);
                let id = endpoint.route(path.reversed(), bytes).expect("the server knows its clients");
                let received = Received { path: path.reversed(), bytes, segment_size: transmit.segment_size, ecn: 0 };
                set.get_mut(id).unwrap().handle_input(now, Input::Datagrams(received));
            }
        }
    }

    /// Until nobody has anything to say before `until`.
    fn run(&mut self, from: Instant, until: Instant) {
        let mut now = from;
        while now <= until {
            self.poll_server(now);
            self.poll_clients(now);
            self.poll_server(now);
            now.0 += 5_000;
        }
    }

    fn connected(&self) -> usize {
        self.set.ids().filter(|&id| self.set.get(id).unwrap().connection_state() == ConnectionState::Connected).count()
    }
}

#[test]
fn polling_costs_what_the_ready_cost() {
    let mut world = World::new(MANY);
    let connected_by = Instant(START.0 + 2_000_000);
    world.run(START, connected_by);
    assert_eq!(world.connected(), usize::from(MANY));

    // A quiet moment: nobody is ready.
    world.polled = 0;
    world.poll_server(connected_by);
    assert_eq!(world.polled, 0);

    // One of them has something to hear.
    let (client, channel) = world.clients.values_mut().nth(150).unwrap();
    client.send(*channel, Message::text("hello")).unwrap();
    world.heard = 0;
    world.poll_clients(connected_by);
    world.poll_server(connected_by);
    assert_eq!((world.heard, world.polled), (1, 1));
}

#[test]
fn who_is_gone_is_forgotten() {
    let mut world = World::new(20);
    world.run(START, Instant(START.0 + 1_000_000));
    assert_eq!(world.connected(), 20);
    let known = world.endpoint.len();
    assert!((20..200).contains(&known), "{known} keys");
    let ids: Vec<ConnectionId> = world.set.ids().collect();
    for &id in &ids {
        assert!(world.set.remove(id).is_some());
        world.endpoint.remove(id);
        assert!(world.set.get(id).is_none() && world.set.remove(id).is_none());
    }
    assert!(world.endpoint.is_empty() && world.set.is_empty());
    assert!(world.set.next_ready(Instant(u64::MAX / 2)).is_none());
    // A place that is used again has another name.
    let again = world.set.insert(connection(1, 2, server_address()));
    assert!(!ids.contains(&again));
}

/// A connection that is closed takes its keys back itself.
#[test]
fn closing_forgets_every_key() {
    let mut world = World::new(3);
    world.run(START, Instant(START.0 + 1_000_000));
    for id in world.set.ids().collect::<Vec<_>>() {
        world.set.get_mut(id).unwrap().close(Instant(START.0 + 1_000_000));
    }
    world.run(Instant(START.0 + 1_000_000), Instant(START.0 + 3_000_000));
    assert!(world.endpoint.is_empty(), "{} keys are left", world.endpoint.len());
}

#[test]
fn strangers_find_nobody_and_leave_nothing() {
    let mut world = World::new(3);
    world.run(START, Instant(START.0 + 1_000_000));
    let known = world.endpoint.len();
    for n in 0..1000_u16 {
        let path = UdpPath { local: server_address(), remote: SocketAddr::from(([10, 0, 9, 9], 1000 + n)) };
        for bytes in [&[22_u8, 254, 253, 0, 0][..], &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[128, 0], &[]] {
            assert_eq!(world.endpoint.route(path, bytes), None);
        }
    }
    assert_eq!(world.endpoint.len(), known);
    assert_eq!(world.endpoint.unrouted(), 4000);
}

#[test]
fn who_proves_a_path_has_it() {
    let mut endpoint = Endpoint::default();
    let path = UdpPath { local: server_address(), remote: "10.0.0.7:7".parse().unwrap() };
    let key = Key::Path(path);
    let (first, second) = (ConnectionId(1), ConnectionId(2));
    assert_eq!(endpoint.handle_event(first, EndpointEvent::Claimed(key)), None);
    assert_eq!(endpoint.route(path, &[22]), Some(first));
    // A check with a forged address is no proof.
    assert_eq!(endpoint.handle_event(second, EndpointEvent::Claimed(key)), None);
    assert_eq!(endpoint.route(path, &[22]), Some(first));
    let displaced = endpoint.handle_event(second, EndpointEvent::Learned(key)).unwrap();
    assert_eq!((displaced.connection, displaced.path), (first, path));
    assert_eq!(endpoint.route(path, &[22]), Some(second));
    // What the first forgets is not its own any more; but it may prove the contrary.
    assert_eq!(endpoint.handle_event(first, EndpointEvent::Forgotten(key)), None);
    assert_eq!(endpoint.route(path, &[22]), Some(second));
    assert!(endpoint.handle_event(first, EndpointEvent::Learned(key)).is_some());
    assert_eq!(endpoint.route(path, &[22]), Some(first));
    endpoint.remove(second);
    endpoint.remove(first);
    assert_eq!(endpoint.route(path, &[22]), None);
}

/// An attacker with a connection of its own sends checks from a victim's address: the victim's data goes on.
#[test]
fn a_forged_address_takes_nothing() {
    let mut world = World::new(2);
    let connected_by = Instant(START.0 + 1_000_000);
    world.run(START, connected_by);
    assert_eq!(world.connected(), 2);
    let [victim, attacker] = [0, 1].map(|n| SocketAddr::from(([10, 0, 0, 1], 1000 + n)));

    let mut now = connected_by;
    let mut forged = 0;
    for round in 0..2_000_u64 {
        now.0 += 5_000;
        world.poll_server(now);
        // The attacker's own checks, as if they came from the victim.
        let World { endpoint, set, clients, memory, .. } = &mut world;
        let (client, _) = clients.get_mut(&attacker).unwrap();
        client.handle_timeout(now);
        let mut out = TransmitBuffer::new(memory, 1);
        while let Some(transmit) = client.poll_transmit(now, &mut out) {
            let path = UdpPath { local: server_address(), remote: victim };
            let bytes = out.bytes(&transmit);
            if bytes[0] < 4
                && let Some(id) = endpoint.route(path, bytes)
            {
                forged += 1;
                set.get_mut(id).unwrap().handle_input(now, Input::Datagrams(Received::one(path, bytes)));
            }
        }
        if round % 100 == 0 {
            let (client, channel) = world.clients.get_mut(&victim).unwrap();
            client.send(*channel, Message::text("still here")).unwrap();
        }
        let attacker = world.clients.remove_entry(&attacker).unwrap();
        world.poll_clients(now);
        world.clients.insert(attacker.0, attacker.1);
    }
    world.poll_server(now);
    assert!(forged > 1, "{forged} forged checks");
    assert_eq!(world.heard, 20, "all that the victim said arrived");
}
