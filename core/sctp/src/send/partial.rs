//! Partial reliability: messages that are given up, and the FORWARD-TSN that says so. RFC 3758.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use wigwag_proto::Instant;

use super::{Piece, PieceState, Send};
use crate::packet::chunk::{BEGINNING, ENDING, FORWARD_TSN, Format, I_FORWARD_TSN, UNORDERED};
use crate::packet::forward_tsn::Skipped;
use crate::packet::{Writer, forward_tsn};

/// Streams named in one FORWARD-TSN.
const MAX_STREAMS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Partial {
    /// The peer understands FORWARD-TSN: without that, what was begun is sent to its end.
    pub supported: bool,
    /// Pieces at the front of the ring that the peer need not wait for: up to the Advanced.Peer.Ack.Point.
    advanced: usize,
    due: bool,
    told_at: Instant,
}

impl Partial {
    /// A FORWARD-TSN was not acknowledged yet.
    pub fn is_pending(&self) -> bool {
        self.advanced > 0
    }

    pub fn is_due(&self) -> bool {
        self.due
    }

    /// `count` pieces left the front of the ring.
    pub fn acknowledged(&mut self, count: usize) {
        self.advanced = self.advanced.saturating_sub(count);
        self.due &= self.advanced > 0;
    }

    /// Section 3.5, rules C1 to C3. What was walked over is not walked again.
    pub fn advance(&mut self, ring: &VecDeque<Piece>) {
        if !self.supported {
            return;
        }
        // Not over what arrived: it may be the beginning of a message that goes on, and some receivers drop it (dcsctp: what is unordered).
        let is_given_up = |piece: &&Piece| piece.state == PieceState::Abandoned;
        let first_is_given_up = ring.front().is_some_and(|piece| piece.state == PieceState::Abandoned);
        if !first_is_given_up {
            // What the peer received needs no telling.
            self.advanced = 0;
            self.due = false;
            return;
        }
        let more = ring.range(self.advanced..).take_while(is_given_up).count();
        self.advanced += more;
        self.due |= more > 0;
    }

    /// Rule C4, at most once a round trip.
    pub fn repeat_if_unheard(&mut self, now: Instant, round_trip: Duration) {
        self.due |= self.advanced > 0 && now - self.told_at > round_trip;
    }

    pub fn repeat(&mut self) {
        self.due |= self.advanced > 0;
    }
}

impl Send {
    /// A FORWARD-TSN is to be sent.
    pub fn forward_due(&self) -> bool {
        self.partial.is_due()
    }

    /// The piece has been sent as often as its message is worth.
    pub(super) fn give_up_repeated(&mut self, index: usize) {
        let over = |piece: &Piece| piece.state == PieceState::Lost && piece.repeated >= piece.limit.retransmits;
        if self.partial.supported && self.ring.get(index).is_some_and(over) {
            self.abandon(index);
        }
    }

    /// The piece's time is over. Says so.
    pub(super) fn give_up_expired(&mut self, now: Instant, index: usize) -> bool {
        let expired = self.partial.supported && self.ring.get(index).is_some_and(|piece| piece.limit.expires <= now);
        if expired {
            self.abandon(index);
            self.partial.advance(&self.ring);
            self.retransmit_at.get_or_insert(now + self.rtt.rto());
        }
        expired
    }

    /// Gives up the message that the piece belongs to: all its pieces, and what was not cut yet.
    fn abandon(&mut self, index: usize) {
        self.counts.abandoned += 1;
        let Some(message) = self.ring.get(index).map(Piece::message) else { return };
        let has = |index: usize, flag: u8| {
            self.ring.get(index).is_none_or(|piece| piece.message() == message && piece.flags & flag != 0)
        };
        // Pieces of other messages may lie between.
        let mut first = index;
        while first > 0 && !has(first, BEGINNING) {
            first -= 1;
        }
        let mut end = index;
        while end + 1 < self.ring.len() && !has(end, ENDING) {
            end += 1;
        }
        let mut last = index;
        for (index, piece) in (first..).zip(self.ring.range_mut(first..=end)) {
            if piece.message() != message {
                continue;
            }
            last = index;
            match piece.state {
                PieceState::InFlight => self.flight.remove(piece),
                PieceState::Lost => self.flight.lost -= 1,
                PieceState::TooLong => self.flight.too_long -= 1,
                PieceState::Received | PieceState::Abandoned => {}
            }
            piece.state = PieceState::Abandoned;
            piece.data = Bytes::new();
        }
        if let Some(piece) = self.ring.get_mut(last).filter(|piece| piece.flags & ENDING == 0) {
            piece.flags |= ENDING;
            self.queues.abandon_begun(piece.slot);
        }
        self.unblock();
    }

    /// Writes the FORWARD-TSN that is due.
    pub fn write_forward_tsn(&mut self, now: Instant, packet: &mut Writer<'_>) -> bool {
        let Some(room) = packet.room_for_value().checked_sub(4).filter(|_| self.partial.is_due()) else { return false };
        let format = self.format;
        let pair_len = forward_tsn::pair_len(format);
        let capacity = (room / pair_len).min(MAX_STREAMS);
        let mut skipped: Vec<Skipped> = Vec::new();
        let mut upto = 0;
        for piece in self.ring.range(..self.partial.advanced.min(self.ring.len())) {
            let unordered = piece.flags & UNORDERED != 0;
            // Without I-DATA, what is unordered has no number that could be told.
            if piece.state == PieceState::Abandoned && (!unordered || format == Format::Interleaved) {
                let full = skipped.len() >= capacity;
                let known = skipped.iter().position(|it| it.stream == piece.stream && it.unordered == unordered);
                match known.and_then(|index| skipped.get_mut(index)) {
                    Some(known) => known.sequence = piece.sequence,
                    None if full => break,
                    None => skipped.push(Skipped { stream: piece.stream, unordered, sequence: piece.sequence }),
                }
            }
            upto += 1;
        }
        let new_cumulative_tsn = self.base.wrapping_add(upto).wrapping_sub(1);
        let kind = if format == Format::Data { FORWARD_TSN } else { I_FORWARD_TSN };
        packet.chunk(kind, 0, 4 + pair_len * skipped.len(), |out| {
            forward_tsn::write(format, out, new_cumulative_tsn, &skipped);
        });
        self.partial.due = false;
        self.partial.told_at = now;
        self.retransmit_at.get_or_insert(now + self.rtt.rto());
        true
    }
}
