//! A datagram on its way, and what the dice have in store for it.

use std::time::Duration;

use wigwag_proto::{Instant, UdpPath};

use crate::link::Link;
use crate::stats::HostId;
use crate::streams::Segment;

/// A datagram on its way.
#[derive(Clone)]
pub(crate) struct Packet {
    /// From and to, as the last NAT wrote it.
    pub path: UdpPath,
    pub bytes: Vec<u8>,
    pub ecn: u8,
    /// Who sent it, and with which path: to be told if it is too big.
    pub origin: Option<(HostId, UdpPath)>,
    /// A script took it out: it only takes the place in the queue that it would have had. It is counted already.
    pub is_ghost: bool,
    /// It is a piece of a stream.
    pub segment: Option<Box<Segment>>,
}

impl Packet {
    /// Of the IP packet, in bytes.
    pub fn len(&self) -> usize {
        let ip = if self.path.remote.is_ipv4() { 20 } else { 40 };
        let transport = if self.segment.is_some() { 32 } else { 8 };
        self.bytes.len() + ip + transport
    }
}

/// What the dice of one link have decided for a packet that is not lost, each number evenly in `0.0 .. 1.0`.
#[derive(Clone, Copy)]
pub(crate) struct Fate {
    pub jitter: f64,
    pub reorder: f64,
    pub copies: f64,
    pub corrupt: f64,
    pub bit: f64,
    pub spread: f64,
}

/// When a packet arrives, and its copies do.
#[derive(Clone, Copy)]
pub(crate) struct Arrivals {
    pub first: Instant,
    /// Copies besides the first, each that much after the one before.
    pub extra: u32,
    pub step: Duration,
    pub is_reordered: bool,
}

impl Fate {
    /// For a packet that has left the queue; `last_arrival` is that of the one before.
    pub fn arrivals(&self, link: &Link, departure: Instant, last_arrival: &mut Instant) -> Arrivals {
        let earliest = departure + link.delay + link.jitter.mul_f64(self.jitter);
        let in_order = if link.overtaking { earliest } else { earliest.max(*last_arrival) };
        let reordering = link.reordering.filter(|reordering| self.reorder < reordering.probability);
        let first = match reordering {
            Some(reordering) => in_order + reordering.extra_delay,
            None => {
                *last_arrival = (*last_arrival).max(in_order);
                in_order
            }
        };
        let extra = link.duplication.floor() as u32 + u32::from(self.copies < link.duplication.fract());
        let step = match extra {
            0 => Duration::ZERO,
            _ => link.jitter.max(Duration::from_millis(1)).mul_f64(self.spread / f64::from(extra)),
        };
        Arrivals { first, extra, step, is_reordered: reordering.is_some() }
    }

    /// Turns a bit over, if that is what happens.
    pub fn corrupts(&self, link: &Link, bytes: &mut [u8]) -> bool {
        if self.corrupt >= link.corruption || bytes.is_empty() {
            return false;
        }
        let bit = ((bytes.len() * 8) as f64 * self.bit) as usize;
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        true
    }
}
