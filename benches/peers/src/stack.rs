//! What a WebRTC implementation must offer to be measured: one connection's end, driven from outside.
//!
//! The trait is shaped by the narrowest contract among the peers. `str0m` wants to be polled dry after every
//! single change, so each changing method is given the [`Sink`] and leaves there what it produced; the others
//! may wait for [`Stack::poll`].
//!
//! Datagrams are handed over in whatever form the stack makes and takes without a copy ([`Stack::Datagram`]), so
//! that what is measured is the stack, and not this program's queues.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

/// Time since the run began. It is virtual: nothing here waits.
pub type Now = Duration;

/// The offering end and the answering end.
pub const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 5000)),
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 2), 5000)),
];

/// One end of a connection.
pub trait Stack: Sized {
    /// The crate's name.
    const NAME: &'static str;

    /// A DTLS certificate, made outside of a measurement.
    type Certificate: Clone;

    /// What goes over the wire: a datagram, or a batch of them that one system call would send.
    type Datagram;

    /// The send buffer with which it moves most in memory, if that is not its default. At least a message is
    /// always allowed.
    const FASTEST_SEND_BUFFER: Option<usize> = None;

    /// A fresh self-signed certificate of the default kind.
    fn certificate() -> Self::Certificate;

    /// Two ends that have exchanged a session description each, with their only candidate ([`ADDRESSES`])
    /// in it, at time zero. The first one offers and has created one reliable, ordered data channel, announced
    /// in band. Nothing was sent yet. Without certificates each end makes its own.
    fn pair(certificates: Option<[Self::Certificate; 2]>, settings: &Settings) -> [Self; 2];

    /// A datagram of the other end arrived.
    fn handle_datagram(&mut self, now: Now, datagram: Self::Datagram, sink: &mut Sink<Self::Datagram>);

    /// The deadline of the last [`Stack::poll`] has passed.
    fn handle_timeout(&mut self, now: Now, sink: &mut Sink<Self::Datagram>);

    /// Takes a message for the channel, or says that there is no room for now.
    fn send(&mut self, now: Now, message: &Bytes, sink: &mut Sink<Self::Datagram>) -> bool;

    /// Moves everything that waits (datagrams, events, messages) into the sink. Returns the next deadline.
    fn poll(&mut self, now: Now, sink: &mut Sink<Self::Datagram>) -> Option<Now>;

    /// Whether the channel is open at this end.
    fn is_open(&self) -> bool;

    /// How many datagrams a batch holds.
    fn datagrams(_: &Self::Datagram) -> u64 {
        1
    }

    /// How many bytes these are, without UDP and IP.
    fn bytes(datagram: &Self::Datagram) -> u64;
}

/// What may be tuned. `None` leaves the stack's default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Bytes that may wait or be in flight in the sender.
    pub send_buffer: Option<usize>,
    /// The largest message that is going to be sent.
    pub message_size: usize,
}

/// What an end produced.
pub struct Sink<D> {
    /// Datagrams for the other end, oldest first.
    pub datagrams: VecDeque<D>,
    /// How many messages arrived.
    pub messages: u64,
    /// How many bytes these had.
    pub bytes: u64,
    expected: Bytes,
    compare_contents: bool,
}

impl<D> Sink<D> {
    /// A sink for an end to which only `expected` is sent, again and again.
    pub fn new(expected: Bytes) -> Self {
        Sink { datagrams: VecDeque::new(), messages: 0, bytes: 0, expected, compare_contents: true }
    }

    /// Checks only the length of messages from now on, so that the comparison is not measured.
    pub fn trust_contents(&mut self) {
        self.compare_contents = false;
    }

    /// A whole message arrived.
    pub fn message(&mut self, data: &[u8]) {
        assert_eq!(data.len(), self.expected.len(), "a message of another length arrived");
        assert!(!self.compare_contents || *data == *self.expected, "a message arrived broken");
        self.messages += 1;
        self.bytes += data.len() as u64;
    }
}
