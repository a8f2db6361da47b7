//! Against `sctp-proto`, which str0m is built on: who starts, both ways, with loss, and closing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

mod common;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::side::Side;
use common::{End, association, path};
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload,
    PayloadProtocolIdentifier as Ppid, ServerConfig, StreamEvent,
};
use wigwag_net::{Link, Machine, Simulation};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer};
use wigwag_sctp::{ChannelConfig, Config, Event, PayloadKind, State, StreamParity};

/// The other implementation, at its host.
struct Other {
    start: std::time::Instant,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    packets: VecDeque<Bytes>,
    events: Vec<sctp_proto::Event>,
    timers_ran: Instant,
}

impl Other {
    fn new(starts: bool) -> Self {
        let config = Arc::new(EndpointConfig::new());
        let mut endpoint = Endpoint::new(config, Some(Arc::new(ServerConfig::new())));
        let association = starts.then(|| endpoint.connect(ClientConfig::new(), path(1).remote).unwrap());
        Self {
            start: std::time::Instant::now(),
            endpoint,
            association,
            packets: VecDeque::new(),
            events: Vec::new(),
            timers_ran: Instant(0),
        }
    }

    fn clock(&self, now: Instant) -> std::time::Instant {
        self.start + Duration::from_micros(now.as_micros())
    }

    fn collect_packets(&mut self, now: Instant) {
        let now = self.clock(now);
        let mut transmits: Vec<_> = std::iter::from_fn(|| self.endpoint.poll_transmit()).collect();
        if let Some((_, association)) = &mut self.association {
            transmits.extend(std::iter::from_fn(|| association.poll_transmit(now)));
        }
        for transmit in transmits {
            let Payload::RawEncode(packets) = transmit.payload else { continue };
            self.packets.extend(packets);
        }
    }
}

impl Machine for Other {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { panic!("{input:?}") };
        let now = self.clock(now);
        for packet in received.datagrams() {
            let packet = Bytes::copy_from_slice(packet);
            match self.endpoint.handle(now, path(1).remote, None, None, packet) {
                Some((handle, DatagramEvent::NewAssociation(new))) => self.association = Some((handle, new)),
                Some((_, DatagramEvent::AssociationEvent(event))) => {
                    self.association.as_mut().unwrap().1.handle_event(event)
                }
                None => {}
            }
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.timers_ran = now;
        let now = self.clock(now);
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        if self.packets.is_empty() {
            self.collect_packets(now);
        }
        let packet = self.packets.pop_front()?;
        out.start();
        out.segment(packet.len())?.copy_from_slice(&packet);
        out.push(packet.len());
        out.finish(Route::Udp(path(1)))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let at = self.association.as_ref()?.1.poll_timeout()?;
        let at = Instant((at - self.start).as_micros() as u64 + 1);
        Some(at.max(self.timers_ran + Duration::from_micros(1)))
    }
    fn step(&mut self, _now: Instant) {
        if let Some((_, association)) = &mut self.association {
            self.events.extend(std::iter::from_fn(|| association.poll()));
        }
    }
}

type Interop = Simulation<Side<Other>>;

fn interop(we_start: bool, they_start: bool, loss: f64, seed: u8) -> Interop {
    let mut ours = association(Config { max_retransmits: None, ..Config::default() }, seed);
    ours.set_role(StreamParity::Even);
    let mut pair = Simulation::new(seed.into());
    if we_start {
        ours.connect(pair.now());
    }
    pair.network.set_default_link(Link { loss, ..Link::default() });
    pair.add([path(0).local.ip()], Side::Ours(End::new(ours, path(0))));
    pair.add([path(1).local.ip()], Side::Theirs(Other::new(they_start)));
    pair
}

trait Both {
    fn side(&mut self, index: usize) -> &mut Side<Other>;
    fn ours(&mut self) -> &mut End;
    fn other(&mut self) -> &mut Other;
    fn theirs(&mut self) -> &mut Association;
    fn until(&mut self, done: impl FnMut(&mut Self) -> bool);
    fn read(&mut self, stream: u16) -> Vec<(Ppid, Bytes)>;
}

impl Both for Interop {
    fn side(&mut self, index: usize) -> &mut Side<Other> {
        let host = self.hosts().nth(index).unwrap();
        self.machine_mut(host).unwrap()
    }

    fn ours(&mut self) -> &mut End {
        let Side::Ours(end) = self.side(0) else { panic!() };
        end
    }

    fn other(&mut self) -> &mut Other {
        let Side::Theirs(other) = self.side(1) else { panic!() };
        other
    }

    fn theirs(&mut self) -> &mut Association {
        &mut self.other().association.as_mut().unwrap().1
    }

    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let look = |pair: &mut Self| if done(pair) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        if let Err(failure) = self.run(Duration::from_secs(600), look) {
            let stats = self.ours().stats();
            panic!("{failure}: {stats:?} {:?}", self.other().events.last());
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
        [(true, false, 0.0), (false, true, 0.0), (true, true, 0.0), (true, false, 0.05), (true, true, 0.1)]
            .into_iter()
            .enumerate()
    {
        let mut pair = interop(we_start, they_start, loss, seed as u8);
        let channel =
            pair.ours().open_channel(ChannelConfig { label: "x".into(), ..ChannelConfig::default() }).unwrap();
        pair.until(|pair| {
            pair.ours().state() == State::Connected
                && pair.other().association.is_some()
                && !pair.theirs().is_handshaking()
        });

        // Ours to them: the announcement, then messages.
        for n in 0..40 {
            pair.ours().send(channel, PayloadKind::Binary, message(n)).unwrap();
        }
        let mut got = Vec::new();
        pair.until(|pair| {
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
        pair.until(|pair| {
            pair.ours().events.iter().filter(|event| matches!(event, Event::Message { .. })).count() == 41
        });
        let ours = &*pair.ours();
        let announced = ours.events.iter().filter_map(|event| match event {
            Event::ChannelOpened(id) => ours.channel(*id).filter(|info| info.remote).map(|info| (*id, info)),
            _ => None,
        });
        let (theirs, info) = announced.last().unwrap();
        assert_eq!((info.config.label.as_str(), info.stream), ("their", Some(1)));
        let data = pair.ours().events.iter().filter_map(|event| match event {
            Event::Message { channel, data, .. } if *channel == theirs => Some(data.clone()),
            _ => None,
        });
        let data = data.collect::<Vec<_>>();
        assert!(data.iter().enumerate().all(|(n, data)| *data == message(n)) && data.len() == 40);

        // One is closed by us, the other by them.
        pair.ours().close_channel(channel);
        let _ = pair.theirs().stream(1).unwrap().close();
        pair.until(|pair| [channel, theirs].iter().all(|id| pair.ours().events.contains(&Event::ChannelClosed(*id))));
        let finished =
            |event: &sctp_proto::Event| matches!(event, sctp_proto::Event::Stream(StreamEvent::Finished { .. }));
        pair.until(|pair| pair.other().events.iter().filter(|event| finished(event)).count() == 2);

        // And the end, by us.
        let now = pair.now();
        pair.ours().close(now);
        pair.until(|pair| pair.ours().state() == State::Closed && pair.theirs().is_closed());
    }
}
