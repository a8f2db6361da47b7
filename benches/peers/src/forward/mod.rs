//! A server that forwards media: what it must offer to be measured, and the clients around it.
//!
//! The clients are the same ones for every server (`client.rs`), so that every server gets the same offers, the same header
//! extensions and the same packets, byte for byte but for the keys. Only the server's side is measured.

pub mod client;
pub mod rtc;
pub mod str0m;
#[cfg(feature = "ours")]
pub mod wigwag;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use bytes::BytesMut;

use crate::stack::Now;

/// Where the server's only socket is.
pub const SERVER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 5000));

/// Where client `n` is.
pub fn client_address(n: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 1, 1), 1000 + n as u16))
}

/// One of the server's connections.
pub trait Connection: Sized {
    /// The crate's name.
    const NAME: &'static str;

    /// A packet that arrived, as the application gets it.
    type Packet;

    /// Answers client `n`, which offers one m-line of video: to send it, or, if we do (`sends`), to receive it.
    fn answer(n: usize, offer: &str, sends: bool) -> (Self, String);

    /// A datagram of the client arrived.
    fn receive(&mut self, now: Now, datagram: BytesMut, out: &mut Outgoing<Self::Packet>);

    /// The deadline of the last [`Self::poll`] has passed.
    fn handle_timeout(&mut self, now: Now, out: &mut Outgoing<Self::Packet>);

    /// Sends what another connection received, with our own source, and unchanged otherwise.
    fn forward(&mut self, now: Now, packet: &Self::Packet, out: &mut Outgoing<Self::Packet>);

    /// Gives away everything that waits. Returns the next deadline.
    fn poll(&mut self, now: Now, out: &mut Outgoing<Self::Packet>) -> Option<Now>;

    /// Whether media can flow.
    fn is_ready(&self) -> bool;
}

/// What a connection gives away.
pub struct Outgoing<P> {
    /// Packets for the application.
    pub packets: Vec<P>,
    /// Datagrams with RTP that left.
    pub rtp: u64,
    /// Bytes in them.
    pub rtp_bytes: u64,
    /// Datagrams for client n: all but RTP (STUN, DTLS, RTCP), and RTP too if [`keep_rtp`](Self::keep_rtp) says so.
    pub datagrams: Vec<(usize, BytesMut)>,
    /// Whose turn it is.
    pub from: usize,
    /// Whether RTP is kept; otherwise it is counted and thrown away, as when the kernel has taken it.
    pub keep_rtp: bool,
}

impl<P> Outgoing<P> {
    pub fn new() -> Self {
        Self { packets: Vec::new(), rtp: 0, rtp_bytes: 0, datagrams: Vec::new(), from: 0, keep_rtp: true }
    }

    /// A datagram leaves.
    pub fn datagram(&mut self, datagram: &[u8]) {
        let is_rtp = is_rtp(datagram);
        if is_rtp {
            self.rtp += 1;
            self.rtp_bytes += datagram.len() as u64;
        }
        if !is_rtp || self.keep_rtp {
            self.datagrams.push((self.from, datagram.into()));
        }
    }
}

/// RFC 7983, and RFC 5761 section 4.
pub fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, second, ..] if !(192..=223).contains(second))
}
