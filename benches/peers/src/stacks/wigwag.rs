//! Ours, with its own defaults.

use std::cell::{Cell, RefCell};

use ::wigwag::{
    Certificate, ChannelId, ChannelInit, Config, Event, Input, Instant, Message, PeerConnection, Received, Route,
    TransmitBuffer, UdpPath,
};
use bytes::Bytes;
use wigwag_proto::random;

use crate::stack::{ADDRESSES, Now, Settings, Sink, Stack};

/// What one GSO send takes.
pub const BATCH_BYTES: usize = 65_507;
pub const BATCH_SEGMENTS: usize = 64;

/// One end.
pub struct Wigwag {
    pc: PeerConnection,
    channel: Option<ChannelId>,
    is_open: bool,
}

/// One GSO send, which is one GRO receive at the other end.
pub struct Batch {
    memory: Vec<u8>,
    len: usize,
    segment_size: usize,
    path: UdpPath,
}

// A program's adaptor has some such buffers for all of its connections, so they count for none.
thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static SEED: Cell<u64> = const { Cell::new(0) };
}

fn buffer() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BATCH_BYTES])
}

fn recycle(memory: Vec<u8>) {
    POOL.with_borrow_mut(|pool| pool.push(memory));
}

/// Never the same twice; a program takes it from the system.
pub fn seed() -> [u8; 32] {
    let count = SEED.get() + 1;
    SEED.set(count);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&count.to_be_bytes());
    seed
}

pub fn instant(now: Now) -> Instant {
    Instant::from_micros(now.as_micros() as u64)
}

impl Wigwag {
    fn new(local: usize, certificate: Option<Certificate>, settings: &Settings) -> Self {
        let mut config = Config::new(seed());
        config.certificate = certificate;
        if let Some(bytes) = settings.send_buffer {
            config.send_buffer = bytes.max(settings.message_size);
        }
        let mut pc = PeerConnection::new(config).expect("a connection");
        pc.add_udp_socket(Instant::default(), ADDRESSES[local]).expect("an address");
        Wigwag { pc, channel: None, is_open: false }
    }
}

impl Stack for Wigwag {
    const NAME: &'static str = "wigwag";
    type Certificate = Certificate;
    type Datagram = Batch;

    fn certificate() -> Certificate {
        let Config { provider, wall_clock, .. } = Config::new(seed());
        Certificate::generate(provider, &mut random::seeded(seed()), wall_clock).expect("a certificate")
    }

    fn pair(certificates: Option<[Certificate; 2]>, settings: &Settings) -> [Self; 2] {
        let start = Instant::default();
        let [first, second] = certificates.map_or([None, None], |pair| pair.map(Some));
        let mut offerer = Wigwag::new(0, first, settings);
        let mut answerer = Wigwag::new(1, second, settings);
        offerer.channel = Some(offerer.pc.create_data_channel("bench", ChannelInit::default()).expect("a channel"));
        let offer = offerer.pc.create_offer().expect("an offer");
        offerer.pc.set_local_description(start, offer.clone()).expect("an offer");
        answerer.pc.set_remote_description(start, offer).expect("an offer");
        let answer = answerer.pc.create_answer().expect("an answer");
        answerer.pc.set_local_description(start, answer.clone()).expect("an answer");
        offerer.pc.set_remote_description(start, answer).expect("an answer");
        [offerer, answerer]
    }

    fn handle_datagram(&mut self, now: Now, mut batch: Batch, _: &mut Sink<Batch>) {
        let bytes = &mut batch.memory[..batch.len];
        let received = Received { path: batch.path.reversed(), bytes, segment_size: batch.segment_size, ecn: 0 };
        self.pc.handle_input(instant(now), Input::Datagrams(received));
        recycle(batch.memory);
    }

    fn handle_timeout(&mut self, now: Now, _: &mut Sink<Batch>) {
        self.pc.handle_timeout(instant(now));
    }

    fn send(&mut self, _now: Now, message: &Bytes, _: &mut Sink<Batch>) -> bool {
        let Some(channel) = self.channel else { return false };
        self.pc.send(channel, Message::binary(message.clone())).is_ok()
    }

    fn poll(&mut self, now: Now, sink: &mut Sink<Batch>) -> Option<Now> {
        while let Some(event) = self.pc.poll_event() {
            match event {
                Event::Message { message, .. } => sink.message(&message.data),
                Event::ChannelOpen(_) => self.is_open = true,
                Event::DataChannel(id) => (self.channel, self.is_open) = (Some(id), true),
                _ => {}
            }
        }
        loop {
            let mut memory = buffer();
            let mut out = TransmitBuffer::new(&mut memory, BATCH_SEGMENTS);
            let Some(transmit) = self.pc.poll_transmit(instant(now), &mut out) else {
                recycle(memory);
                break;
            };
            let Route::Udp(path) = transmit.route else { unreachable!("nobody asked for a stream") };
            sink.datagrams.push_back(Batch { memory, len: transmit.len, segment_size: transmit.segment_size, path });
        }
        self.pc.poll_timeout().map(|at| Now::from_micros(at.as_micros()))
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn datagrams(batch: &Batch) -> u64 {
        batch.len.div_ceil(batch.segment_size) as u64
    }

    fn bytes(batch: &Batch) -> u64 {
        batch.len as u64
    }
}
