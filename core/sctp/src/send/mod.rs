//! The sending half: cuts messages into pieces when they leave, remembers them until acknowledged, repeats the lost.
//!
//! ```text
//! send() -> queues, one per channel --- cut to what the packet has room for ---> DATA
//!                                                  |
//!                            outstanding: a ring by TSN, in flight | lost | received | abandoned
//!                                                  |
//! SACK   -> cumulative: the front leaves; gaps: what is news in them is marked received
//!        -> losses: the order of sending, walked from its front once -> lost -> sent again first
//! ```
//!
//! **Loss.** RFC 9260 section 7.2.4 counts three SACKs that miss a TSN. One SACK may answer a whole batch here, so the count is
//! of packets instead (RFC 9002 section 6.1.1): a piece is lost when a packet sent three later arrived, or when one sent later
//! arrived and a round trip and its variation have passed. As each repetition is a packet of its own in that order, a lost repetition is
//! found the same way and needs no timeout. Where a loss turns out to be mere reordering, the count grows.
//!
//! Nothing here walks over what is in flight but a timeout: each piece enters and leaves the ring, the order and the
//! list of the lost once per sending.

mod again;
pub(crate) mod congestion;
mod loss;
pub(crate) mod message;
mod partial;
pub(crate) mod queue;
pub(crate) mod rtt;
mod slow_start;

use std::collections::VecDeque;

use bytes::Bytes;
use wigwag_proto::Instant;

use crate::Config;
use crate::packet::chunk::{BEGINNING, Data, ENDING, Format, IMMEDIATE, UNORDERED};
use crate::packet::{CHUNK_HEADER, Writer, padded};
use crate::ranges::Ranges;
use congestion::Congestion;
use message::Limit;
use queue::Queues;
use rtt::{Limits, Rtt};

pub(crate) use loss::SackOutcome;

/// Counts packets with data, from 1.
pub(crate) type PacketNumber = u64;

/// Pieces that may be outstanding; a gap ack block can name 65,535.
const MAX_OUTSTANDING: usize = 16_384;
/// What is left of a packet is filled up to this, so that all packets of a batch have one length.
const MAX_PADDING: usize = 64;
/// A piece shorter than this is not worth its header, unless it ends a message.
const MIN_PIECE: usize = 16;
/// Padding. RFC 4820; who does not know it skips it, by the bits of its type.
const PAD: u8 = 0x84;
/// Places in rings and queues that an idle association keeps.
const FEW: usize = 64;
/// Reordering that is always put up with, in packets.
const REORDERING: PacketNumber = 3;

/// A piece of a message that was sent and not yet acknowledged cumulatively.
#[derive(Debug)]
struct Piece {
    data: Bytes,
    slot: usize,
    stream: u16,
    sequence: u32,
    fsn: u32,
    ppid: u32,
    flags: u8,
    format: Format,
    state: PieceState,
    was_too_long: bool,
    /// How often it was sent again.
    repeated: u32,
    limit: Limit,
    /// The packet that it was sent in last, and when.
    number: PacketNumber,
    sent_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PieceState {
    InFlight,
    /// To be sent again.
    Lost,
    /// To be sent again, if packets become longer.
    TooLong,
    /// In a gap ack block.
    Received,
    /// Given up. RFC 3758.
    Abandoned,
}

/// Sums over the ring.
#[derive(Clone, Copy, Debug, Default)]
struct Flight {
    /// What congestion control counts: with headers and padding.
    bytes: usize,
    /// What the peer's window counts.
    payload: usize,
    /// Pieces to be sent again.
    lost: usize,
    /// Pieces set aside.
    too_long: usize,
}

/// What the sending half counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub messages: u64,
    pub repeated: u64,
    pub spurious: u64,
    pub timeouts: u64,
    pub abandoned: u64,
    pub too_long: u64,
}

#[derive(Debug)]
pub(crate) struct Send {
    pub queues: Queues,
    format: Format,
    /// Outstanding pieces; the first has the TSN `base`.
    ring: VecDeque<Piece>,
    base: u32,
    /// What gap ack blocks told, beyond `base - 1`.
    received: Ranges,
    flight: Flight,
    /// TSNs to be sent again; some may have arrived since.
    lost: VecDeque<u32>,
    /// TSNs in the order of their sending; stale where a piece was sent again or acknowledged.
    order: VecDeque<(PacketNumber, u32)>,
    next_number: PacketNumber,
    newest_acked: PacketNumber,
    reordering: PacketNumber,
    /// Packets before this one were repeated because of a timeout.
    timed_out_before: PacketNumber,
    congestion: Congestion,
    pub rtt: Rtt,
    mtu: usize,
    peer_window: usize,
    /// The shortest of what was set aside, with its header.
    shortest_too_long: usize,
    /// A piece that was sent although the peer's window was shut.
    probe: Option<u32>,
    /// One packet may leave whatever the window says. RFC 9260 section 7.2.4, rule 3.
    fast_retransmit: bool,
    last_sent: Instant,
    /// T3-rtx.
    retransmit_at: Option<Instant>,
    /// When the oldest piece in flight counts as lost.
    lost_at: Option<Instant>,
    partial: partial::Partial,
    /// The association is about to end: acknowledge at once.
    pub hurry: bool,
    pub counts: Counts,
}

/// What may be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Again,
    New,
}

impl Send {
    pub fn new(config: &Config) -> Self {
        let limits = Limits { initial: config.rto_initial, min: config.rto_min, max: config.rto_max };
        Self {
            queues: Queues::new(config.send_buffer, config.scheduler, config.mtu),
            format: Format::default(),
            ring: VecDeque::new(),
            base: 0,
            received: Ranges::default(),
            flight: Flight::default(),
            lost: VecDeque::new(),
            order: VecDeque::new(),
            next_number: 1,
            newest_acked: 0,
            reordering: REORDERING,
            timed_out_before: 0,
            congestion: Congestion::new(config.mtu),
            rtt: Rtt::new(limits),
            mtu: config.mtu,
            peer_window: 0,
            shortest_too_long: usize::MAX,
            probe: None,
            fast_retransmit: false,
            last_sent: Instant(0),
            retransmit_at: None,
            lost_at: None,
            partial: partial::Partial::default(),
            hurry: false,
            counts: Counts::default(),
        }
    }

    /// The peer is known.
    pub fn start(&mut self, initial_tsn: u32, peer_window: u32, peer_knows_forward_tsn: bool, format: Format) {
        self.format = format;
        self.queues.set_interleaving(format == Format::Interleaved, peer_window as usize);
        self.base = initial_tsn;
        self.peer_window = peer_window as usize;
        self.partial.supported = peer_knows_forward_tsn;
    }

    /// How pieces travel, both ways.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Everything that was cut is acknowledged, and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.ring.is_empty() && self.queues.is_empty()
    }

    /// The peer's window as it was announced.
    pub fn peer_window(&self) -> u32 {
        u32::try_from(self.peer_window).unwrap_or(u32::MAX)
    }

    /// The TSN given last.
    pub fn last_tsn(&self) -> u32 {
        self.base.wrapping_add(self.ring.len() as u32).wrapping_sub(1)
    }

    /// Everything is forgotten.
    pub fn stop(&mut self) {
        self.queues.close_all();
        self.ring.clear();
        self.received.clear();
        self.lost.clear();
        self.order.clear();
        self.flight = Flight::default();
        (self.retransmit_at, self.lost_at, self.probe, self.fast_retransmit) = (None, None, None, false);
        self.partial = partial::Partial::default();
        self.shortest_too_long = usize::MAX;
    }

    /// Whether [`Self::write_data`] would write, in a packet of its own. O(1).
    pub fn can_transmit(&self) -> bool {
        self.next().is_some()
    }

    /// The padded length of the DATA chunk that would be next, if it is new and not cut.
    pub fn next_chunk_len(&self) -> Option<usize> {
        let Some(Next::New) = self.next() else { return None };
        self.queues.next_len().map(|len| padded(CHUNK_HEADER + self.format.header() + len))
    }

    fn next(&self) -> Option<Next> {
        let window_open = self.flight.bytes == 0 || self.flight.bytes < self.congestion.window();
        if self.flight.lost > 0 {
            return (window_open || self.fast_retransmit).then_some(Next::Again);
        }
        let len = self.queues.next_len()?;
        if self.ring.len() >= MAX_OUTSTANDING || !window_open {
            return None;
        }
        // Section 6.1, rule A: with nothing in flight one piece may probe a window that is shut.
        let fits = self.peer_room() >= len.min(self.mtu) || self.flight.bytes == 0;
        fits.then_some(Next::New)
    }

    fn peer_room(&self) -> usize {
        self.peer_window.saturating_sub(self.flight.payload)
    }

    /// Fills what is left of `packet` with data. Says whether it wrote.
    pub fn write_data(&mut self, now: Instant, packet: &mut Writer<'_>) -> bool {
        let mut wrote = false;
        if self.flight.bytes == 0 && self.ring.is_empty() {
            self.congestion.on_idle(now - self.last_sent, self.rtt.rto());
        }
        let alone = packet.room_for_value_alone();
        self.try_too_long(alone);
        loop {
            self.set_aside(now, alone);
            let Some(next) = self.next() else { break };
            let written = match next {
                Next::Again => self.write_again(now, packet),
                Next::New => self.write_new(now, packet),
            };
            if !written {
                break;
            }
            wrote = true;
        }
        if wrote {
            let padding = packet.room_for_value();
            if padding > 0 && padding <= MAX_PADDING && self.next().is_some() {
                packet.chunk(PAD, 0, padding, |out| out.fill(0));
            }
            self.next_number += 1;
            self.last_sent = now;
            self.fast_retransmit = false;
        }
        wrote
    }

    /// Cuts and writes the next piece.
    fn write_new(&mut self, now: Instant, packet: &mut Writer<'_>) -> bool {
        self.queues.drop_expired(now);
        let Some(len) = self.queues.next_len() else { return false };
        let format = self.format;
        let Some(room) = packet.room_for_value().checked_sub(format.header()) else { return false };
        // RFC 9260 section 6.9: what fits into a packet of its own is not cut.
        let whole_elsewhere = !self.queues.next_begun() && format.header() + len <= packet.room_for_value_alone();
        if room < len && (whole_elsewhere || room < MIN_PIECE) {
            return false;
        }
        let peer_room = self.peer_room();
        let probing = peer_room < len.min(self.mtu);
        if probing && self.flight.bytes > 0 {
            return false;
        }
        let room = if probing { room } else { room.min(peer_room.max(MIN_PIECE)) };
        let Some(cut) = self.queues.cut(room) else { return false };
        let mut flags = 0;
        for (set, flag) in [(cut.begins, BEGINNING), (cut.ends, ENDING), (cut.unordered, UNORDERED)] {
            flags |= if set { flag } else { 0 };
        }
        let tsn = self.base.wrapping_add(self.ring.len() as u32);
        let piece = Piece {
            data: cut.data,
            slot: cut.slot,
            stream: cut.stream,
            // Without I-DATA the number of what is unordered means nothing. RFC 9260 section 3.3.1.
            sequence: if cut.unordered && format == Format::Data { 0 } else { cut.sequence },
            fsn: cut.fsn,
            ppid: cut.ppid,
            flags,
            format,
            state: PieceState::InFlight,
            was_too_long: false,
            repeated: 0,
            limit: cut.limit,
            number: self.next_number,
            sent_at: now,
        };
        self.flight.add(&piece);
        self.counts.messages += u64::from(cut.ends);
        self.order.push_back((self.next_number, tsn));
        self.retransmit_at.get_or_insert(now + self.rtt.rto());
        if probing {
            self.probe = Some(tsn);
        }
        // A peer that delays its SACK must not delay us when the window is small, or when we are about to leave (RFC 7053).
        let small = self.congestion.window() <= 4 * self.mtu && self.flight.bytes >= self.congestion.window();
        if small || self.hurry && self.queues.is_empty() {
            flags |= IMMEDIATE;
        }
        let data = piece.chunk(flags, tsn);
        let len = format.header() + piece.data.len();
        let written = packet.chunk(format.kind(), flags, len, |value| data.write(format, value));
        self.ring.push_back(piece);
        written
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.retransmit_at, self.lost_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Holds more than a few small messages need. O(1).
    pub fn has_grown(&self) -> bool {
        let places = self.ring.capacity().max(self.order.capacity()).max(self.lost.capacity());
        places > FEW || self.received.has_grown() || self.queues.has_grown()
    }

    /// Gives back what a transfer made grow.
    pub fn release_memory(&mut self) {
        self.ring.shrink_to_fit();
        self.order.shrink_to_fit();
        self.lost.shrink_to_fit();
        self.received.shrink_to_fit();
        self.queues.release_memory();
    }
}

impl Piece {
    /// On the wire.
    fn size(&self) -> usize {
        padded(CHUNK_HEADER + self.format.header() + self.data.len())
    }

    /// What tells its message from all others that are outstanding.
    fn message(&self) -> (usize, u32, bool) {
        (self.slot, self.sequence, self.flags & UNORDERED != 0)
    }

    fn chunk(&self, flags: u8, tsn: u32) -> Data<'_> {
        let &Self { stream, sequence, fsn, ppid, .. } = self;
        Data { flags, tsn, stream, sequence, fsn, ppid, payload: &self.data }
    }
}

impl Flight {
    fn add(&mut self, piece: &Piece) {
        self.bytes += piece.size();
        self.payload += piece.data.len();
    }

    fn remove(&mut self, piece: &Piece) {
        self.bytes -= piece.size();
        self.payload -= piece.data.len();
    }
}
