//! Ten thousand connections in one process that have nothing to say: what they hold, and what they cost.
//!
//! Half of them are the other halves' peers, over a network of 5 ms; each has a data channel and a certificate of its own. All are in two
//! [`ConnectionSet`]s, and work is counted in connections looked at, which is the same on every machine; time is measured, and reported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use wigwag::{
    ChannelId, ChannelInit, ConnectionId, ConnectionSet, ConnectionState, Endpoint, Event, Input, Instant, Message,
    Received, Route, TransmitBuffer, UdpPath,
};
use wigwag_scenarios::{config, exchange, memory, reachable};

const START: Instant = Instant(1_000_000_000);
const SERVER: &str = "10.0.0.2:2000";
const DELAY: Duration = Duration::from_millis(5);

/// What was done for all of one side.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    /// Connections that were looked at.
    looks: u64,
    /// Of these, the ones that had neither heard anything nor had anything to say.
    idle_looks: u64,
    datagrams: u64,
    messages: u64,
}

/// One side: clients, each with a socket of its own, or a server with one for all.
struct Side {
    endpoint: Endpoint,
    set: ConnectionSet,
    /// By their sockets, where each has its own.
    clients: BTreeMap<SocketAddr, ConnectionId>,
    /// Who heard something since it was looked at.
    heard: BTreeSet<ConnectionId>,
    work: Work,
}

impl Side {
    fn new() -> Self {
        let (endpoint, set, clients) = (Endpoint::default(), ConnectionSet::default(), BTreeMap::new());
        Self { endpoint, set, clients, heard: BTreeSet::new(), work: Work::default() }
    }

    fn take(&mut self, now: Instant, path: UdpPath, bytes: &mut [u8]) {
        let id = match self.clients.get(&path.local) {
            Some(id) => Some(*id),
            None => self.endpoint.route(path, bytes),
        };
        let Some(id) = id else { return };
        if let Some(connection) = self.set.get_mut(id) {
            self.heard.insert(id);
            connection.handle_input(now, Input::Datagrams(Received::one(path, bytes)));
        }
    }
}

struct Crowd {
    now: Instant,
    sides: [Side; 2],
    channels: Vec<(ConnectionId, ChannelId)>,
    under_way: VecDeque<(Instant, usize, UdpPath, Vec<u8>)>,
    memory: Vec<u8>,
}

impl Crowd {
    fn new(pairs: u32) -> Self {
        let mut crowd = Self {
            now: START,
            sides: [Side::new(), Side::new()],
            channels: Vec::new(),
            under_way: VecDeque::new(),
            memory: vec![0; wigwag::transmit::MAX_BATCH_BYTES],
        };
        for n in 0..pairs {
            let [_, _, high, low] = n.to_be_bytes();
            let local = SocketAddr::from(([10, 1, high, low], 1000));
            let make = |side: u8, local: SocketAddr| {
                let mut pc = wigwag::PeerConnection::new(config(u64::from(n), side)).unwrap();
                pc.add_udp_socket(START, local).unwrap();
                pc
            };
            let (mut client, mut server) = (make(1, local), make(2, SERVER.parse().unwrap()));
            let channel = client.create_data_channel("data", ChannelInit::default()).unwrap();
            exchange(START, &mut client, &mut server, |sdp| sdp);
            let id = crowd.sides[0].set.insert(client);
            crowd.sides[0].clients.insert(local, id);
            crowd.channels.push((id, channel));
            crowd.sides[1].set.insert(server);
        }
        crowd
    }

    /// Looks at all that are ready, until none is.
    fn work(&mut self) {
        let Self { now, sides, under_way, memory, .. } = self;
        for (n, Side { endpoint, set, clients, heard, work }) in sides.iter_mut().enumerate() {
            while let Some(mut ready) = set.next_ready(*now) {
                let mut is_idle = !heard.remove(&ready.id);
                work.looks += 1;
                while let Some(event) = ready.poll_event() {
                    is_idle = false;
                    work.messages += u64::from(matches!(event, Event::Message { .. }));
                }
                let mut out = TransmitBuffer::new(memory, 64);
                while let Some(transmit) = ready.poll_transmit(*now, &mut out) {
                    let Route::Udp(path) = transmit.route else { continue };
                    is_idle = false;
                    for datagram in out.bytes(&transmit).chunks(transmit.segment_size) {
                        work.datagrams += 1;
                        under_way.push_back((*now + DELAY, 1 - n, path.reversed(), datagram.to_vec()));
                    }
                }
                while let Some(event) = ready.poll_endpoint_event() {
                    if clients.is_empty() {
                        assert_eq!(endpoint.handle_event(ready.id, event), None);
                    }
                }
                work.idle_looks += u64::from(is_idle);
            }
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            self.work();
            let timers = self.sides.iter().filter_map(|side| side.set.poll_timeout());
            let next = timers.chain(self.under_way.front().map(|it| it.0)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while self.under_way.front().is_some_and(|it| it.0 <= self.now)
                && let Some((_, side, path, mut bytes)) = self.under_way.pop_front()
            {
                self.sides[side].take(self.now, path, &mut bytes);
            }
        }
        self.now = end;
    }

    fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    fn take_work(&mut self) -> Work {
        let [one, other] = self.sides.each_mut().map(|side| std::mem::take(&mut side.work));
        Work {
            looks: one.looks + other.looks,
            idle_looks: one.idle_looks + other.idle_looks,
            datagrams: one.datagrams + other.datagrams,
            messages: one.messages + other.messages,
        }
    }

    fn connected(&self) -> usize {
        let is_up = |side: &Side, id| side.set.get(id).unwrap().connection_state() == ConnectionState::Connected;
        self.sides.iter().map(|side| side.set.ids().filter(|id| is_up(side, *id)).count()).sum()
    }
}

/// What this thread has used of a processor; what went by, where the system does not say.
fn processor() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let began = BEGAN.get_or_init(std::time::Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| began.elapsed(), Duration::from_nanos)
}

/// `connections` of them, idle for so long.
fn idle(connections: u32, duration: Duration) {
    reachable(config(0, 9), 0); // what is made once for all is made before
    let (before, began) = (memory::live(), processor());
    let mut crowd = Crowd::new(connections / 2);
    crowd.run_for(Duration::from_secs(20));
    assert_eq!(crowd.connected(), connections as usize);
    let setup = (processor() - began) / connections;
    let each = |bytes: isize| (bytes - before) / connections as isize;
    let held = each(memory::live());

    crowd.take_work();
    let began = processor();
    crowd.run_for(duration);
    let used = processor() - began;
    let work = crowd.take_work();
    assert_eq!(crowd.connected(), connections as usize, "all are there");
    let after = each(memory::live());
    let hours = f64::from(connections) * duration.as_secs_f64() / 3600.0;
    let per_hour = |count: u64| count as f64 / hours;
    println!(
        "{connections} connections: {held} bytes each once idle, {after} after {duration:?} more; set up in {setup:?} of a processor each"
    );
    println!(
        "a connection-hour: {:.2} ms of a processor, {:.0} datagrams sent, {:.0} looks of which {:.0} found nothing",
        used.as_secs_f64() * 1000.0 / hours,
        per_hour(work.datagrams),
        per_hour(work.looks),
        per_hour(work.idle_looks),
    );
    assert!(after < held + 1000 && after < 40_000, "{held} bytes each became {after}");
    // Consent each way every five seconds (RFC 7675) and an answer to each, a heartbeat each way every thirty and its answer: with each a look.
    let expected = 2.0 * 720.0 * 1.25 + 4.0 * 120.0 + 200.0;
    assert!(per_hour(work.datagrams) < expected, "{} datagrams in a connection-hour", per_hour(work.datagrams));
    // A look where something was heard, and one where something was due; and hardly any for nothing.
    assert!(work.looks <= 2 * work.datagrams + work.idle_looks, "{work:?}");
    // (An entry of the set that is too early is not moved, but looked at: after each exchange, that of a repetition which is not needed.)
    assert!(work.idle_looks < work.looks / 3, "{work:?}");

    // One of them speaks: it is looked at, and its peer is.
    crowd.run_for(Duration::from_millis(100));
    let until = crowd.now;
    crowd.take_work();
    crowd.work();
    assert_eq!(crowd.take_work().looks, 0, "nobody is ready, and nobody is looked at");
    let (id, channel) = crowd.channels[connections as usize / 4];
    crowd.sides[0].set.get_mut(id).unwrap().send(channel, Message::text("hello")).unwrap();
    crowd.work();
    let work = crowd.take_work();
    assert_eq!((work.looks, work.datagrams, until), (1, 1, crowd.now));
    crowd.run_for(Duration::from_millis(6));
    assert_eq!(crowd.take_work().messages, 1);
}

/// A thousand, for five minutes.
#[test]
fn a_thousand_idle_connections() {
    idle(1000, Duration::from_secs(300));
}

/// Ten thousand, for an hour.
#[test]
#[ignore = "long: minutes of a release build"]
fn ten_thousand_idle_connections() {
    idle(10_000, Duration::from_secs(3600));
}
