//! Against `sctp-proto`, which str0m is built on: who starts, both ways, with loss, and closing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::association;
use rand::RngExt;
use sctp_proto::{
    Association as Theirs, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload,
    PayloadProtocolIdentifier as Ppid, ServerConfig, StreamEvent,
};
use wigwag_proto::{Instant, Random, random};
use wigwag_sctp::{Association, ChannelConfig, Config, Event, PayloadKind, State, StreamParity};

const DELAY: Duration = Duration::from_millis(10);

struct Interop {
    start: std::time::Instant,
    now: Instant,
    ours: Association,
    endpoint: Endpoint,
    theirs: Option<(AssociationHandle, Theirs)>,
    /// By arrival: to us, or to them.
    flying: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    count: u64,
    loss: u32,
    random: Random,
    events: Vec<Event>,
    their_events: Vec<sctp_proto::Event>,
}

impl Interop {
    fn new(we_start: bool, they_start: bool, loss: u32, seed: u8) -> Self {
        let mut ours = association(Config { max_retransmits: None, ..Config::default() }, seed);
        ours.set_role(StreamParity::Even);
        let config = Arc::new(EndpointConfig::new());
        let mut endpoint = Endpoint::new(config, Some(Arc::new(ServerConfig::new())));
        let mut theirs = None;
        if they_start {
            theirs = Some(endpoint.connect(ClientConfig::new(), "10.0.0.1:5000".parse().unwrap()).unwrap());
        }
        if we_start {
            ours.connect(Instant(0));
        }
        Self {
            start: std::time::Instant::now(),
            now: Instant(0),
            ours,
            endpoint,
            theirs,
            flying: BTreeMap::new(),
            count: 0,
            loss,
            random: random::seeded([seed; 32]),
            events: Vec::new(),
            their_events: Vec::new(),
        }
    }

    fn theirs(&mut self) -> &mut Theirs {
        &mut self.theirs.as_mut().unwrap().1
    }

    fn their_now(&self) -> std::time::Instant {
        self.start + Duration::from_micros(self.now.as_micros())
    }

    fn fly(&mut self, to_us: bool, packet: Vec<u8>) {
        self.count += 1;
        if self.random.random_range(0..100) >= self.loss {
            self.flying.insert((self.now + DELAY, self.count), (to_us, packet));
        }
    }

    fn step(&mut self) {
        let mut room = [0; 1200];
        while let Some(len) = self.ours.write_packet(self.now, &mut room) {
            self.fly(false, room[..len].to_vec());
        }
        let now = self.their_now();
        let mut transmits: Vec<_> = std::iter::from_fn(|| self.endpoint.poll_transmit()).collect();
        if let Some((_, theirs)) = &mut self.theirs {
            while let Some(transmit) = theirs.poll_transmit(now) {
                transmits.push(transmit);
            }
            while let Some(event) = theirs.poll() {
                self.their_events.push(event);
            }
        }
        for transmit in transmits {
            let Payload::RawEncode(packets) = transmit.payload else { continue };
            for packet in packets {
                self.fly(true, packet.to_vec());
            }
        }
        while let Some(event) = self.ours.poll_event() {
            self.events.push(event);
        }
        if self.ours.can_transmit() {
            return;
        }
        let their_timeout = self.theirs.as_ref().and_then(|(_, theirs)| theirs.poll_timeout());
        let their_timeout = their_timeout.map(|at| Instant((at - self.start).as_micros() as u64 + 1));
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let next = [their_timeout, arrival, self.ours.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
            .expect("something to wait for");
        self.now = self.now.max(next);
        let now = self.their_now();
        self.ours.handle_timeout(self.now);
        if let Some((_, theirs)) = &mut self.theirs {
            theirs.handle_timeout(now);
        }
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to_us, packet) = entry.remove();
            if to_us {
                self.ours.handle_packet(self.now, &packet);
                continue;
            }
            match self.endpoint.handle(now, "10.0.0.1:5000".parse().unwrap(), None, None, packet.into()) {
                Some((handle, DatagramEvent::NewAssociation(theirs))) => self.theirs = Some((handle, theirs)),
                Some((_, DatagramEvent::AssociationEvent(event))) => self.theirs().handle_event(event),
                None => {}
            }
        }
    }

    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let limit = self.now + Duration::from_secs(600);
        while !done(self) {
            assert!(self.now < limit, "{:?} {:?}", self.ours.stats(), self.their_events.last());
            self.step();
        }
    }

    fn read(&mut self, stream: u16) -> Vec<(Ppid, Bytes)> {
        let Ok(mut stream) = self.theirs().stream(stream) else { return Vec::new() };
        std::iter::from_fn(|| stream.read_sctp().ok().flatten())
            .map(|chunks| {
                let mut bytes = vec![0; chunks.len()];
                chunks.read(&mut bytes).unwrap();
                (chunks.ppi, bytes.into())
            })
            .collect()
    }
}

fn message(n: usize) -> Bytes {
    let len = [1, 10, 1000, 1300, 5000, 16_384, 60_000][n % 7];
    (0..len).map(|k| (k + n) as u8).collect::<Vec<_>>().into()
}

#[test]
fn messages_both_ways_and_closing() {
    for (seed, (we_start, they_start, loss)) in
        [(true, false, 0), (false, true, 0), (true, true, 0), (true, false, 5), (true, true, 10)]
            .into_iter()
            .enumerate()
    {
        let mut pair = Interop::new(we_start, they_start, loss, seed as u8);
        let channel = pair.ours.open_channel(ChannelConfig { label: "x".into(), ..ChannelConfig::default() }).unwrap();
        pair.run_until(|pair| {
            pair.ours.state() == State::Connected && pair.theirs.is_some() && !pair.theirs().is_handshaking()
        });

        // Ours to them: the announcement, then messages.
        for n in 0..40 {
            pair.ours.send(channel, PayloadKind::Binary, message(n)).unwrap();
        }
        let mut got = Vec::new();
        pair.run_until(|pair| {
            got.extend(pair.read(0));
            got.len() == 41
        });
        assert_eq!((got[0].0, got[0].1[0]), (Ppid::Dcep, 3));
        assert!((0..40).all(|n| got[n + 1] == (Ppid::Binary, message(n))));

        // Theirs to us: the acknowledgement, messages, and a channel of their own.
        let theirs = pair.theirs();
        theirs.stream(0).unwrap().write_with_ppi(&[2], Ppid::Dcep).unwrap();
        let mut stream = theirs.open_stream(1, Ppid::Binary).unwrap();
        stream.write_with_ppi(b"\x03\x00\x01\x00\x00\x00\x00\x00\x00\x05\x00\x00their", Ppid::Dcep).unwrap();
        for n in 0..40 {
            stream.write_with_ppi(&message(n), Ppid::Binary).unwrap();
        }
        theirs.stream(0).unwrap().write_with_ppi(b"hi", Ppid::String).unwrap();
        pair.run_until(|pair| pair.events.iter().filter(|event| matches!(event, Event::Message { .. })).count() == 41);
        let announced = pair.events.iter().filter_map(|event| match event {
            Event::ChannelOpened(id) => pair.ours.channel(*id).filter(|info| info.remote).map(|info| (*id, info)),
            _ => None,
        });
        let (theirs, info) = announced.last().unwrap();
        assert_eq!((info.config.label.as_str(), info.stream), ("their", Some(1)));
        let data = pair.events.iter().filter_map(|event| match event {
            Event::Message { channel, data, .. } if *channel == theirs => Some(data.clone()),
            _ => None,
        });
        let data = data.collect::<Vec<_>>();
        assert!(data.iter().enumerate().all(|(n, data)| *data == message(n)) && data.len() == 40);

        // One is closed by us, the other by them.
        pair.ours.close_channel(channel);
        let _ = pair.theirs().stream(1).unwrap().close();
        pair.run_until(|pair| [channel, theirs].iter().all(|id| pair.events.contains(&Event::ChannelClosed(*id))));
        let finished =
            |event: &sctp_proto::Event| matches!(event, sctp_proto::Event::Stream(StreamEvent::Finished { .. }));
        pair.run_until(|pair| pair.their_events.iter().filter(|event| finished(event)).count() == 2);

        // And the end, by us.
        let now = pair.now;
        pair.ours.close(now);
        pair.run_until(|pair| pair.ours.state() == State::Closed && pair.theirs().is_closed());
    }
}
