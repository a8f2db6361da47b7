//! What goes out: the caller's memory, filled with datagrams of one size.

use std::net::SocketAddr;
use std::ops::Add;

/// The longest UDP payload over IPv4.
pub const MAX_BATCH_BYTES: usize = 65_507;
/// The most segments that Linux takes in one GSO send.
pub const MAX_BATCH_SEGMENTS: usize = 64;

/// The two ends of a UDP path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UdpPath {
    /// The socket's own address.
    pub local: SocketAddr,
    /// Who is at the other end.
    pub remote: SocketAddr,
}

impl UdpPath {
    /// The path as the other end sees it.
    pub fn reversed(self) -> Self {
        Self { local: self.remote, remote: self.local }
    }
}

/// Names a stream (ICE-TCP, TURN over TCP or TLS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    const ACCEPTED: u32 = 1 << 31;

    /// A stream that the engine asked to open: it counts them.
    pub fn opened(n: u32) -> Self {
        Self(n & !Self::ACCEPTED)
    }

    /// A stream that the adaptor accepted: it counts them. Never equal to one that was opened.
    pub fn accepted(n: u32) -> Self {
        Self(n | Self::ACCEPTED)
    }
}

/// Where a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Datagrams, from one socket to one address.
    Udp(UdpPath),
    /// Bytes of a stream.
    Stream(StreamId),
}

/// A batch that was written into the [`TransmitBuffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub route: Route,
    /// Bytes in all.
    pub len: usize,
    /// Bytes in each datagram but the last, which may be shorter.
    pub segment_size: usize,
    /// The two ECN bits of the IP header.
    pub ecn: u8,
    /// The six DSCP bits above them.
    pub dscp: u8,
}

/// The bytes that a layer puts before and after what it carries.
///
/// ```
/// use wigwag_proto::Overhead;
///
/// let record = Overhead { prefix: 13, suffix: 16 };
/// let relay = Overhead { prefix: 4, suffix: 0 };
/// assert_eq!(record + relay, Overhead { prefix: 17, suffix: 16 });
/// assert_eq!(record.inside(&mut [0; 100]).map(|room| room.len()), Some(71));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Bytes before.
    pub prefix: usize,
    /// Bytes after.
    pub suffix: usize,
}

impl Overhead {
    /// Both together.
    pub const fn total(self) -> usize {
        self.prefix + self.suffix
    }

    /// The part of `segment` that is left for the layer above; `None` if nothing is.
    pub fn inside(self, segment: &mut [u8]) -> Option<&mut [u8]> {
        let end = segment.len().checked_sub(self.suffix)?;
        segment.get_mut(self.prefix..end)
    }
}

impl Add for Overhead {
    type Output = Self;
    /// One layer inside another.
    fn add(self, outer: Self) -> Self {
        Self { prefix: self.prefix + outer.prefix, suffix: self.suffix + outer.suffix }
    }
}

/// The caller's memory, being filled with datagrams of one size.
///
/// A batch is ready for one GSO send: the first segment sets the size, a shorter one is the last, and all go to one
/// destination. The memory need not be cleared between batches. One call of `poll_transmit` is one batch.
///
/// ```
/// use wigwag_proto::{Route, TransmitBuffer, UdpPath};
///
/// let path = UdpPath { local: "10.0.0.1:9".parse()?, remote: "10.0.0.2:9".parse()? };
/// let mut memory = [0; 4096];
/// let mut out = TransmitBuffer::new(&mut memory, 64);
/// // What a machine does:
/// out.start();
/// while let Some(segment) = out.segment(1200) {
///     segment.fill(1);
///     out.push(1200);
/// }
/// let transmit = out.finish(Route::Udp(path)).unwrap();
/// // What an adaptor does:
/// assert_eq!((transmit.len, transmit.segment_size), (3600, 1200));
/// assert_eq!(out.bytes(&transmit).len(), 3600);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct TransmitBuffer<'a> {
    memory: &'a mut [u8],
    max_segments: usize,
    len: usize,
    segment_size: usize,
    segments: usize,
    closed: bool,
    ecn: u8,
    dscp: u8,
}

impl<'a> TransmitBuffer<'a> {
    /// At most `max_segments` datagrams to a batch: one for a socket without GSO.
    pub fn new(memory: &'a mut [u8], max_segments: usize) -> Self {
        let usable = memory.len().min(MAX_BATCH_BYTES);
        let max_segments = max_segments.clamp(1, MAX_BATCH_SEGMENTS);
        let memory = memory.get_mut(..usable).unwrap_or_default();
        Self { memory, max_segments, len: 0, segment_size: 0, segments: 0, closed: false, ecn: 0, dscp: 0 }
    }

    /// Starts a batch; what was in it is forgotten. For machines.
    pub fn start(&mut self) {
        (self.len, self.segment_size, self.segments, self.closed) = (0, 0, 0, false);
        (self.ecn, self.dscp) = (0, 0);
    }

    /// Room for the next datagram: `mtu` bytes for the first (or what the memory has), the size of the first from
    /// then on; `None` when the batch is full. For machines.
    pub fn segment(&mut self, mtu: usize) -> Option<&mut [u8]> {
        let size = if self.segments == 0 { mtu.min(self.memory.len()) } else { self.segment_size };
        if self.closed || self.segments == self.max_segments || size == 0 {
            return None;
        }
        self.memory.get_mut(self.len..self.len + size)
    }

    /// The first `len` bytes of the room that was given are a datagram. For machines.
    pub fn push(&mut self, len: usize) {
        if self.segments == 0 {
            self.segment_size = len;
        }
        debug_assert!(len <= self.segment_size && self.len + len <= self.memory.len(), "a datagram beyond its room");
        self.closed = len < self.segment_size;
        self.len += len;
        self.segments += 1;
    }

    /// Marks the whole batch. For machines.
    pub fn mark(&mut self, ecn: u8, dscp: u8) {
        (self.ecn, self.dscp) = (ecn, dscp);
    }

    /// Datagrams in the batch so far.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// The batch, addressed; `None` if nothing was written. For machines.
    pub fn finish(&self, route: Route) -> Option<Transmit> {
        let Self { len, segment_size, ecn, dscp, .. } = *self;
        (len > 0).then_some(Transmit { route, len, segment_size, ecn, dscp })
    }

    /// What `transmit` says is to be sent.
    pub fn bytes(&mut self, transmit: &Transmit) -> &mut [u8] {
        let len = transmit.len.min(self.memory.len());
        self.memory.get_mut(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_segment_closes_the_batch() {
        let mut memory = [0; 64];
        let mut out = TransmitBuffer::new(&mut memory, 8);
        for (room, used) in [(20, 10), (10, 10), (10, 4)] {
            assert_eq!(out.segment(20).map(|segment| segment.len()), Some(room));
            out.push(used);
        }
        assert!(out.segment(20).is_none());
        out.start();
        assert!(out.segment(20).is_some());
    }

    #[test]
    fn the_batch_ends_with_the_memory_or_the_count() {
        let mut memory = [0; 64];
        for (max, expected) in [(64, 6), (2, 2)] {
            let mut out = TransmitBuffer::new(&mut memory, max);
            while out.segment(10).is_some() {
                out.push(10);
            }
            assert_eq!(out.segments(), expected);
        }
    }

    #[test]
    fn accepted_streams_have_names_of_their_own() {
        assert_ne!(StreamId::opened(1), StreamId::accepted(1));
    }
}
