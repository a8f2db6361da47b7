//! Queues: what waits for the line, who is next, and who is dropped or marked so that senders slow down.
//!
//! A drop-tail queue knows when a packet leaves as soon as it comes, so it holds only times and lengths (in the road).
//! The others decide when a packet leaves: a [`Backlog`] holds the packets themselves.

mod codel;
mod dual_pi2;

use std::collections::VecDeque;

pub use codel::CoDel;
pub use dual_pi2::DualPi2;

use crate::packet::{Fate, Packet};

/// ECN: Not ECN-Capable Transport.
pub(crate) const NOT_ECT: u8 = 0;
/// ECN-Capable Transport with a scalable congestion control. RFC 9331.
pub(crate) const ECT_1: u8 = 1;
/// ECN-Capable Transport.
pub(crate) const ECT_0: u8 = 2;
/// Congestion Experienced.
pub(crate) const CE: u8 = 3;

/// Which of the datagrams that wait is next, and which is dropped or marked before the queue is full.
///
/// ```
/// use wigwag_net::{CoDel, Discipline, Link};
///
/// let home = Link { rate: Some(20_000_000), queue: 1 << 20, discipline: Discipline::CoDel(CoDel::default()), ..Link::default() };
/// assert_ne!(home.discipline, Discipline::DropTail);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Discipline {
    /// First in, first out; dropped is what finds the queue full.
    #[default]
    DropTail,
    /// Controlled delay: drops at the head when packets have waited too long for too long. RFC 8289.
    CoDel(CoDel),
    /// Two queues, one of them nearly empty, for classic and for scalable (L4S) traffic. RFC 9332.
    DualPi2(DualPi2),
}

/// A packet that waits.
pub(crate) struct Waiting {
    pub packet: Packet,
    pub fate: Fate,
    /// When it came, in nanoseconds.
    pub since: u64,
    /// Of the IP packet.
    pub len: usize,
}

/// What a queue says about its next packet.
pub(crate) enum Verdict {
    /// It is sent, as it is.
    Send(Waiting),
    /// It is sent, with Congestion Experienced.
    Mark(Waiting),
    /// It is dropped, and there may be another.
    Drop(Waiting),
}

/// One queue, and the bytes in it.
#[derive(Default)]
pub(crate) struct Fifo {
    packets: VecDeque<Waiting>,
    bytes: usize,
}

impl Fifo {
    pub fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.len;
        self.packets.push_back(waiting);
    }

    pub fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.packets.pop_front()?;
        self.bytes -= waiting.len;
        Some(waiting)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// How long the first has waited, in nanoseconds; zero if there is none.
    pub fn sojourn(&self, now: u64) -> u64 {
        self.packets.front().map_or(0, |first| now.saturating_sub(first.since))
    }

    fn next_len(&self) -> Option<usize> {
        self.packets.front().map(|first| first.len)
    }
}

/// The packets that wait for a line, under any discipline.
#[derive(Default)]
pub(crate) struct Backlog {
    /// All, but for DualPI2: the classic ones.
    classic: Fifo,
    /// For DualPI2: those that ask for low latency.
    low_latency: Fifo,
    codel: codel::State,
    dual_pi2: dual_pi2::State,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.classic.len() + self.low_latency.len() == 0
    }

    pub fn bytes(&self) -> usize {
        self.classic.bytes() + self.low_latency.bytes()
    }

    pub fn push(&mut self, discipline: &Discipline, waiting: Waiting) {
        if let Discipline::DualPi2(config) = discipline {
            // What happened to the probabilities until now, before there is one more.
            self.dual_pi2.update(config, waiting.since, &self.classic);
            if matches!(waiting.packet.ecn & 3, ECT_1 | CE) {
                return self.low_latency.push(waiting);
            }
        }
        self.classic.push(waiting);
    }

    /// The next packet, at a time in nanoseconds; `mtu` is that of the link.
    pub fn pop(&mut self, discipline: &Discipline, now: u64, mtu: usize) -> Option<Verdict> {
        match discipline {
            // Also what is left when the discipline was changed.
            Discipline::DropTail => self.low_latency.pop().or_else(|| self.classic.pop()).map(Verdict::Send),
            Discipline::CoDel(_) if self.low_latency.len() > 0 => self.low_latency.pop().map(Verdict::Send),
            Discipline::CoDel(config) => self.codel.pop(config, now, mtu, &mut self.classic),
            Discipline::DualPi2(config) => self.dual_pi2.pop(config, now, &mut self.low_latency, &mut self.classic),
        }
    }
}
