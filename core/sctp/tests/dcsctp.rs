//! Against `dcsctp`, the SCTP of Chromium in Rust: I-DATA, zero checksum and partial reliability with and without each, whoever starts, through loss and
//! reordering; and in the end both have the same view.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use common::side::Side;
use common::{End, Trace, association, chunk_types, path};
use dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime, StreamId,
    ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS as DTLS,
    ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_NONE as NO_METHOD,
};
use wigwag_net::{Link, Machine, Simulation, Verdict};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer};
use wigwag_sctp::{ChannelConfig, ChannelId, Config, Event, PayloadKind, Reliability, State, StreamParity};

const BINARY: PpId = PpId(53);
const DCEP: PpId = PpId(50);

/// The other implementation, at its host.
struct Other {
    socket: Box<dyn DcSctpSocket>,
    packets: VecDeque<Vec<u8>>,
    events: Vec<SocketEvent>,
    messages: Vec<(u16, u32, Vec<u8>)>,
    now: Instant,
    timers_ran: Instant,
}

impl Other {
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.socket.advance_time(SocketTime::zero() + Duration::from_micros(now.as_micros()));
    }

    fn collect(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.packets.push_back(packet),
                other => self.events.push(other),
            }
        }
        while let Some(message) = self.socket.get_next_message() {
            self.messages.push((message.stream_id.0, message.ppid.0, message.payload));
        }
    }

    fn say(&mut self, stream: u16, ppid: PpId, payload: Vec<u8>, options: &SendOptions) {
        self.socket.send(Message::new(StreamId(stream), ppid, payload), options).unwrap();
        self.collect();
    }
}

impl Machine for Other {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { panic!("{input:?}") };
        self.advance(now);
        for packet in received.datagrams() {
            self.socket.handle_input(packet);
        }
        self.collect();
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.collect();
        self.timers_ran = now;
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.advance(now);
        self.collect();
        let packet = self.packets.pop_front()?;
        out.start();
        out.segment(packet.len())?.copy_from_slice(&packet);
        out.push(packet.len());
        out.finish(Route::Udp(path(1)))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let later = self.timers_ran + Duration::from_micros(1);
        if !self.packets.is_empty() {
            return Some(self.now.max(later));
        }
        let at = self.socket.poll_timeout();
        if at == SocketTime::infinite_future() {
            return None;
        }
        let micros = (at - SocketTime::zero()).as_nanos().div_ceil(1000) as u64;
        Some(Instant(micros).max(later))
    }
    fn step(&mut self, _now: Instant) {
        self.collect();
    }
}

struct Interop {
    simulation: Simulation<Side<Other>>,
    trace: Trace,
}

impl Interop {
    fn new(ours: Config, theirs: Options, link: Link, we_start: bool, they_start: bool, seed: u8) -> Self {
        let mut simulation = Simulation::new(seed.into());
        let mut association = association(ours, seed);
        association.set_role(StreamParity::Even);
        let mut socket = dcsctp::new_socket("theirs", &theirs);
        if we_start {
            association.connect(simulation.now());
        }
        socket.advance_time(SocketTime::zero() + Duration::from_micros(simulation.now().as_micros()));
        if they_start {
            socket.connect();
        }
        let now = simulation.now();
        let other =
            Other { socket, packets: VecDeque::new(), events: Vec::new(), messages: Vec::new(), now, timers_ran: now };
        simulation.network.set_default_link(link);
        let trace = Trace::default();
        let record = trace.clone();
        simulation.network.set_filter(move |sent| {
            let to = usize::from(sent.path.remote == path(1).local);
            record.lock().unwrap().push((to, sent.bytes.to_vec()));
            Verdict::Pass
        });
        simulation.add([path(0).local.ip()], Side::Ours(End::new(association, path(0))));
        simulation.add([path(1).local.ip()], Side::Theirs(other));
        Self { simulation, trace }
    }

    fn ours(&mut self) -> &mut End {
        let host = self.simulation.hosts().next().unwrap();
        let Some(Side::Ours(end)) = self.simulation.machine_mut(host) else { panic!() };
        end
    }

    fn other(&mut self) -> &mut Other {
        let host = self.simulation.hosts().nth(1).unwrap();
        let Some(Side::Theirs(other)) = self.simulation.machine_mut(host) else { panic!() };
        other
    }

    /// Runs in small steps until `done`.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..600_000 {
            if done(self) {
                return;
            }
            self.simulation.run_for(Duration::from_millis(1)).unwrap();
        }
        let stats = self.ours().stats();
        let events = &self.other().events;
        let events: Vec<_> = events.iter().rev().take(5).map(|it| format!("{it:?}")).collect();
        panic!("{what}: {stats:?} {events:?}");
    }
}

fn payload(channel: usize, n: usize) -> Vec<u8> {
    let len = [1, 1000, 5000, 30_000][(channel + n) % 4];
    [&[channel as u8, n as u8][..], &vec![(channel * 17 + n) as u8; len]].concat()
}

/// What came on one channel: whole, in order if that was asked for, nothing twice; and all of it if it is reliable.
fn check(what: &str, channel: usize, heard: &[Vec<u8>], ordered: bool, reliable: bool) {
    let mut numbers: Vec<u8> = heard.iter().map(|data| data[1]).collect();
    assert!(heard.iter().all(|data| *data == payload(channel, data[1].into())), "{what}");
    assert!(!ordered || numbers.is_sorted(), "{what}: {numbers:?}");
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), heard.len(), "{what}: twice");
    assert!(!reliable || heard.len() == 12, "{what}: {numbers:?}");
}

const KINDS: [(bool, Option<u16>); 4] = [(true, None), (false, None), (true, Some(0)), (false, Some(0))];

#[test]
fn everything_that_both_have() {
    let mut seed = 0;
    for (we_can, they_can) in [(true, true), (true, false), (false, true)] {
        for (we_start, they_start) in [(true, false), (false, true), (true, true)] {
            for loss in [0.0, 0.03] {
                seed += 1;
                let what = format!("seed {seed}: {we_can} {they_can}, started by {we_start} {they_start}, loss {loss}");
                let ours =
                    Config { interleaving: we_can, zero_checksum: we_can, max_retransmits: None, ..Config::default() };
                let theirs = Options {
                    enable_message_interleaving: they_can,
                    zero_checksum_alternate_error_detection_method: if they_can { DTLS } else { NO_METHOD },
                    max_retransmissions: None,
                    max_init_retransmits: None,
                    ..Options::default()
                };
                let jitter = if loss > 0.0 { Duration::from_millis(5) } else { Duration::ZERO };
                let link = Link { loss, jitter, delay: Duration::from_millis(10), overtaking: true, ..Link::default() };
                run(&what, Interop::new(ours, theirs, link, we_start, they_start, seed), we_can && they_can);
            }
        }
    }
}

fn run(what: &str, mut pair: Interop, both_can: bool) {
    pair.until(what, |pair| {
        pair.ours().state() == State::Connected && pair.other().socket.state() == SocketState::Connected
    });
    let channels: Vec<ChannelId> = KINDS
        .iter()
        .enumerate()
        .map(|(n, &(ordered, retransmits))| {
            let reliability = retransmits.map_or(Reliability::Reliable, Reliability::MaxRetransmits);
            let negotiated = Some(n as u16);
            let config = ChannelConfig { ordered, reliability, negotiated, ..ChannelConfig::default() };
            pair.ours().open_channel(config).unwrap()
        })
        .collect();
    for n in 0..12 {
        for (index, channel) in channels.iter().enumerate() {
            pair.ours().send(*channel, PayloadKind::Binary, Bytes::from(payload(index, n))).unwrap();
            let (ordered, retransmits) = KINDS[index];
            let options =
                SendOptions { unordered: !ordered, max_retransmissions: retransmits, ..SendOptions::default() };
            pair.other().say(index as u16, BINARY, payload(index, n), &options);
        }
        pair.until(what, {
            let mut steps = 0;
            move |_| {
                steps += 1;
                steps > 20
            }
        });
    }
    let theirs = |pair: &mut Interop, index: usize| -> Vec<Vec<u8>> {
        let it = pair.other().messages.iter().filter(|it| usize::from(it.0) == index && it.1 == BINARY.0);
        it.map(|it| it.2.clone()).collect()
    };
    let ours = |pair: &mut Interop, channel: ChannelId| -> Vec<Vec<u8>> {
        let messages = pair.ours().messages().into_iter();
        messages.filter(|it| it.0 == channel).map(|it| it.1.to_vec()).collect()
    };
    // What is reliable arrives; and when one more message after all has arrived on each channel that is in order, nothing is on its way.
    pair.until(what, |pair| {
        (0..2).all(|n| theirs(pair, n).len() == 12 && ours(pair, channels[n]).len() == 12) && !pair.ours().has_unsent()
    });
    for (index, (ordered, retransmits)) in KINDS.into_iter().enumerate() {
        check(what, index, &theirs(&mut pair, index), ordered, retransmits.is_none());
        check(what, index, &ours(&mut pair, channels[index]), ordered, retransmits.is_none());
    }
    // One channel each is closed, and a new one opened by DCEP on a stream that is used again.
    pair.ours().close_channel(channels[0]);
    pair.other().socket.reset_streams(&[StreamId(0)]).unwrap();
    pair.other().collect();
    pair.until(what, |pair| {
        let was_told = |it: &SocketEvent| matches!(it, SocketEvent::OnIncomingStreamReset(_));
        pair.other().events.iter().any(was_told) && pair.ours().events.contains(&Event::ChannelClosed(channels[0]))
    });
    let again = pair.ours().open_channel(ChannelConfig { label: "again".into(), ..ChannelConfig::default() }).unwrap();
    pair.ours().send(again, PayloadKind::Binary, Bytes::from(payload(0, 0))).unwrap();
    let stream = pair.ours().channel(again).unwrap().stream.unwrap();
    pair.until(what, |pair| pair.other().messages.iter().any(|it| it.0 == stream && it.1 == DCEP.0));
    pair.other().say(stream, DCEP, vec![2], &SendOptions::default());
    pair.other().say(stream, BINARY, payload(0, 1), &SendOptions::default());
    pair.until(what, |pair| ours(pair, again) == [payload(0, 1)]);

    let now = pair.simulation.now();
    pair.ours().close(now);
    pair.until(what, |pair| pair.ours().state() == State::Closed && pair.other().socket.state() == SocketState::Closed);
    let stats = pair.ours().stats();
    assert_eq!((stats.malformed, stats.bad_checksum, stats.bad_sack, stats.data_refused), (0, 0, 0, 0), "{what}");
    // What was agreed on was used, both ways, and nothing else.
    let trace = pair.trace.lock().unwrap();
    for to in [0, 1] {
        let packets = || trace.iter().filter(|it| it.0 == to).map(|it| &it.1);
        let has = |kind: u8| packets().any(|packet| chunk_types(packet).contains(&kind));
        assert_eq!((has(64), has(0)), (both_can, !both_can), "{what}, to {to}");
        let unchecked = packets().filter(|packet| packet[8..12] == [0; 4]).count();
        assert_eq!(unchecked > 0, both_can, "{what}, to {to}: {unchecked}");
    }
}
