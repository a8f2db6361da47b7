//! What was lost is sent again; unless no packet can carry it any more, because packets became shorter since it was cut.
//!
//! A TSN that was sent keeps its bytes: the peer may hold them, and RFC 9260 knows no second cut. What can't be sent must not
//! hinder what can, so such a piece is set aside. It counts in no window, [`can_transmit`](Send::can_transmit) promises nothing for it,
//! and its channel begins no further message, which would only fill the peer's window behind it. It is tried again when
//! packets are long enough, and whenever T3-rtx expires; with nothing else acknowledged meanwhile, that ends the association.

use wigwag_proto::Instant;

use super::{PieceState, Send};
use crate::packet::Writer;
use crate::packet::chunk::IMMEDIATE;

impl Send {
    /// Writes the first of the lost.
    pub(super) fn write_again(&mut self, now: Instant, packet: &mut Writer<'_>) -> bool {
        let Some((tsn, index)) = self.next_lost() else { return false };
        let Some(piece) = self.ring.get_mut(index) else { return false };
        let format = self.format;
        let value_len = format.header() + piece.data.len();
        if value_len > packet.room_for_value() {
            return false;
        }
        self.lost.pop_front();
        self.flight.lost -= 1;
        piece.repeated += 1;
        (piece.state, piece.number, piece.sent_at) = (PieceState::InFlight, self.next_number, now);
        self.counts.repeated += 1;
        self.order.push_back((self.next_number, tsn));
        self.flight.add(piece);
        let flags = piece.flags | IMMEDIATE;
        let data = piece.chunk(flags, tsn);
        self.retransmit_at.get_or_insert(now + self.rtt.rto());
        packet.chunk(format.kind(), flags, value_len, |value| data.write(format, value))
    }

    /// The first of the lost that did not arrive after all.
    fn next_lost(&mut self) -> Option<(u32, usize)> {
        while let Some(&tsn) = self.lost.front() {
            let index = tsn.wrapping_sub(self.base) as usize;
            if self.ring.get(index).is_some_and(|piece| piece.state == PieceState::Lost) {
                return Some((tsn, index));
            }
            self.lost.pop_front();
        }
        None
    }

    /// Something waits for longer packets.
    pub fn is_blocked(&self) -> bool {
        self.flight.too_long > 0
    }

    /// Clears the head of the lost: what has expired is given up, and what is too long for a packet with this room is set aside.
    pub(super) fn set_aside(&mut self, now: Instant, room_for_value: usize) {
        while self.flight.lost > 0 {
            let Some((_, index)) = self.next_lost() else { return };
            if self.give_up_expired(now, index) {
                continue;
            }
            let Some(piece) = self.ring.get_mut(index) else { return };
            let len = self.format.header() + piece.data.len();
            if len <= room_for_value {
                return;
            }
            self.lost.pop_front();
            self.flight.lost -= 1;
            self.flight.too_long += 1;
            piece.state = PieceState::TooLong;
            piece.repeated += 1;
            self.counts.too_long += u64::from(!std::mem::replace(&mut piece.was_too_long, true));
            self.shortest_too_long = self.shortest_too_long.min(len);
            self.queues.hold(piece.slot);
            self.retransmit_at.get_or_insert(now + self.rtt.rto());
        }
    }

    /// Packets may have become long enough for what was set aside.
    pub(super) fn try_too_long(&mut self, room_for_value: usize) {
        if self.flight.too_long == 0 || self.shortest_too_long > room_for_value {
            return;
        }
        for (index, piece) in self.ring.iter_mut().enumerate() {
            if piece.state == PieceState::TooLong {
                piece.state = PieceState::Lost;
                self.flight.lost += 1;
                self.lost.push_back(self.base.wrapping_add(index as u32));
            }
        }
        self.flight.too_long = 0;
        self.unblock();
    }

    /// If nothing is set aside any more, all channels go on.
    pub(super) fn unblock(&mut self) {
        if self.flight.too_long == 0 {
            self.shortest_too_long = usize::MAX;
            self.queues.release_held();
        }
    }
}
