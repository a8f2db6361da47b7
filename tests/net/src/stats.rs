//! What goes in and out of a network, and what is counted.

use wigwag_proto::{Instant, UdpPath};

/// Names a host of a [`Network`](crate::Network).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// A fingerprint of every byte that was put on the wire, with its time and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

/// A datagram that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose address it came to.
    pub to: HostId,
    /// The path as the receiver sees it.
    pub path: UdpPath,
    /// What it carries.
    pub bytes: Vec<u8>,
    /// The two ECN bits of the IP header.
    pub ecn: u8,
}

/// What a router tells the sender of a packet that was too big: ICMP "fragmentation needed" or ICMPv6 "packet too big".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// Who sent the packet, and is told.
    pub to: HostId,
    /// The path of the packet, as its sender sees it.
    pub path: UdpPath,
    /// The longest IP packet that the link takes, in bytes.
    pub mtu: usize,
}

/// A datagram that was put on the wire, for a [filter](crate::Network::set_filter).
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Its number: the first that was sent on this network is zero.
    pub number: u64,
    /// When.
    pub at: Instant,
    /// The path as the sender sees it.
    pub path: UdpPath,
    /// What it carries.
    pub bytes: &'a [u8],
    /// It is a piece of a stream, which comes again if it is lost.
    pub is_stream: bool,
}

/// What a [filter](crate::Network::set_filter) decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, and perhaps be lost.
    Pass,
    /// Be lost.
    Drop,
}

/// What was sent, and what became of it. All but `bytes_sent` are numbers of datagrams, and of pieces of streams.
///
/// When nothing is under way any more, `sent + duplicated` is the sum of `delivered` and of all that says why not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Put on the wire.
    pub sent: u64,
    /// Their payload.
    pub bytes_sent: u64,
    /// Taken out again with [`Network::deliver`](crate::Network::deliver), copies included.
    pub delivered: u64,
    /// Lost by a link.
    pub lost: u64,
    /// Dropped by a script or a filter.
    pub dropped: u64,
    /// Dropped by a full queue.
    pub queue_full: u64,
    /// Dropped by a queue that is not full, to signal congestion: CoDel or DualPI2.
    pub queue_dropped: u64,
    /// Longer than the link's MTU.
    pub too_big: u64,
    /// From or to an address that no host has, or on a stream that is not open.
    pub unroutable: u64,
    /// Not let through by a NAT: no mapping, filtered, no hairpinning, or no port left.
    pub filtered: u64,
    /// Extra copies.
    pub duplicated: u64,
    /// With a bit turned over.
    pub corrupted: u64,
    /// Held back so that others could overtake.
    pub reordered: u64,
    /// Marked Congestion Experienced, by a link or a queue. RFC 3168.
    pub marked: u64,
    /// Whose ECN bits were cleared on the way.
    pub bleached: u64,
}
