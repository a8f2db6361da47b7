//! What waits to be taken.

use std::collections::VecDeque;

use crate::connection::Stats;
use crate::event::Event;

/// Payloads held back until the peer's fingerprint is known: an SCTP association's setup, and the first messages.
const MAX_HELD: usize = 32;
/// And their bytes.
const MAX_HELD_BYTES: usize = 32 * 1024;
/// Handshake datagrams that wait to be written. A flight has at most about ten; the oldest go first.
const MAX_OUTBOX: usize = 64;

/// See [the module](self).
#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// Datagrams of handshake flights, alerts and the like, the next first.
    pub outbox: VecDeque<Vec<u8>>,
    /// Payloads that came before the peer was known.
    pub held: VecDeque<Vec<u8>>,
    pub held_bytes: usize,
    pub events: VecDeque<Event>,
    pub stats: Stats,
}

impl Queues {
    pub(crate) fn send(&mut self, packet: &[u8]) {
        if self.outbox.len() == MAX_OUTBOX {
            self.outbox.pop_front();
        }
        self.outbox.push_back(packet.to_vec());
    }

    pub(crate) fn hold(&mut self, payload: &[u8]) {
        if self.held.len() == MAX_HELD || self.held_bytes + payload.len() > MAX_HELD_BYTES {
            self.stats.payloads_dropped += 1;
            return;
        }
        self.held_bytes += payload.len();
        self.held.push_back(payload.to_vec());
    }

    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
        self.held_bytes = 0;
    }
}
