//! What a machine can be told.

use std::net::{IpAddr, SocketAddr};

use crate::request::Answer;
use crate::time::WallClock;
use crate::transmit::{StreamId, UdpPath};

/// What arrived.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes from the network. Many buffers are many calls: answers are decided in `poll_transmit`.
    Datagrams(Received<'a>),
    /// Bytes from a stream, cut anywhere.
    Stream {
        /// Which stream.
        id: StreamId,
        /// What it brought.
        bytes: &'a [u8],
    },
    /// A stream was accepted on an address that [`ListenTcp`](crate::request::ListenTcp) asked for.
    StreamAccepted {
        /// The adaptor's name for it: see [`StreamId::accepted`].
        id: StreamId,
        /// The address that was listened on.
        local: SocketAddr,
        /// Who connected.
        remote: SocketAddr,
    },
    /// A stream that did not take everything has room again.
    StreamWritable(StreamId),
    /// A stream ended, by either side's will or by an error.
    StreamClosed(StreamId),
    /// What became of a [`Request`](crate::Request).
    Answer(Answer),
    /// The time of day, as often as the adaptor likes; once is enough.
    WallClock(WallClock),
    /// The interfaces changed: all that there are now. (The first list is the answer to
    /// [`WatchInterfaces`](crate::request::WatchInterfaces).)
    Interfaces(&'a [Interface]),
}

/// One buffer as the kernel delivered it: one datagram, or several of `segment_size` bytes of which the last may be
/// shorter (GRO). The engine decrypts in `bytes`.
///
/// ```
/// use wigwag_proto::{Received, UdpPath};
///
/// let path = UdpPath { local: "10.0.0.1:9".parse()?, remote: "10.0.0.2:9".parse()? };
/// let mut bytes = [0; 25];
/// let received = Received { path, bytes: &mut bytes, segment_size: 10, ecn: 0 };
/// assert_eq!(received.datagrams().map(|datagram| datagram.len()).collect::<Vec<_>>(), [10, 10, 5]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Received<'a> {
    /// The socket it came in by, and who sent it.
    pub path: UdpPath,
    /// The datagrams, one after the other.
    pub bytes: &'a mut [u8],
    /// Bytes in each datagram but the last, which may be shorter.
    pub segment_size: usize,
    /// The two ECN bits of the IP header.
    pub ecn: u8,
}

impl<'a> Received<'a> {
    /// A buffer that holds one datagram.
    pub fn one(path: UdpPath, bytes: &'a mut [u8]) -> Self {
        let segment_size = bytes.len();
        Self { path, bytes, segment_size, ecn: 0 }
    }

    /// Each datagram. (A `segment_size` of zero is taken as one datagram.)
    pub fn datagrams(self) -> impl Iterator<Item = &'a mut [u8]> {
        let size = if self.segment_size == 0 { self.bytes.len() } else { self.segment_size };
        self.bytes.chunks_mut(size.max(1))
    }
}

/// A network interface's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The system's name for it, such as `eth0`.
    pub name: String,
    /// One of its addresses; an interface with several is listed several times.
    pub address: IpAddr,
}

impl Interface {
    /// `address` on the interface `name`.
    pub fn new(name: impl Into<String>, address: IpAddr) -> Self {
        Self { name: name.into(), address }
    }
}
