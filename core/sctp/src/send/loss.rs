//! What a SACK and the timers say about the pieces that are outstanding.

use std::time::Duration;

use wigwag_proto::{Instant, Serial};

use super::{Flight, PacketNumber, Piece, PieceState, REORDERING, Send};
use crate::packet::sack::Sack;

/// More reordering than this is loss.
const MAX_REORDERING: PacketNumber = 256;

/// What became of a SACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SackOutcome {
    /// It acknowledges what was never sent.
    Bad,
    /// A later one was here before.
    Old,
    /// It said what was known.
    Heard,
    /// The peer got something, or is alive behind a window that is shut.
    Progress,
}

/// What a SACK newly acknowledged.
#[derive(Default)]
struct News {
    bytes: usize,
    pieces: usize,
    /// Its latest packet, when that left, and whether the piece had been sent once only.
    newest: Option<(PacketNumber, Instant, bool)>,
    false_losses: usize,
}

impl Send {
    /// RFC 9260 section 6.2.1.
    pub fn handle_sack(&mut self, now: Instant, sack: Sack<'_>) -> SackOutcome {
        let cumulative = sack.cumulative_tsn_ack;
        let before = self.base.wrapping_sub(1);
        if before.is_after(cumulative) {
            return SackOutcome::Old;
        }
        let count = cumulative.distance_from(before) as usize;
        let beyond =
            |(first, last): (u16, u16)| first == 0 || first > last || count + usize::from(last) > self.ring.len();
        if count > self.ring.len() || sack.gaps().any(beyond) {
            return SackOutcome::Bad;
        }
        let flight_before = self.flight.bytes;
        let (min_rtt, timed_out_before) = (self.rtt.min(), self.timed_out_before);
        let mut news = News::default();
        for piece in self.ring.drain(..count) {
            news.add(&piece, &mut self.flight, now, min_rtt, timed_out_before);
        }
        self.received.forget(before, cumulative);
        self.base = cumulative.wrapping_add(1);
        self.partial.acknowledged(count);
        for (first, last) in sack.gaps() {
            let absolute = |offset: u16| cumulative.wrapping_add(offset.into());
            let (ring, flight, base) = (&mut self.ring, &mut self.flight, self.base);
            self.received.insert(cumulative, absolute(first), absolute(last), |first, last| {
                let (first, last) = (first.wrapping_sub(base) as usize, last.wrapping_sub(base) as usize);
                for piece in ring.range_mut(first..=last) {
                    news.add(piece, flight, now, min_rtt, timed_out_before);
                    if piece.state != PieceState::Abandoned {
                        piece.state = PieceState::Received;
                    }
                }
            });
        }
        self.peer_window = sack.a_rwnd as usize;
        self.hear(now, news, flight_before)
    }

    fn hear(&mut self, now: Instant, news: News, flight_before: usize) -> SackOutcome {
        if news.false_losses > 0 {
            self.reordering = (self.reordering * 2).min(MAX_REORDERING);
        }
        for _ in 0..news.false_losses {
            self.counts.spurious += 1;
            self.congestion.on_false_loss();
        }
        if let Some((number, sent_at, once)) = news.newest {
            if once {
                self.rtt.measure(now - sent_at);
                self.congestion.on_round_trip(number, self.next_number, now - sent_at);
            }
            self.newest_acked = self.newest_acked.max(number);
            self.congestion.on_ack(news.bytes, flight_before, number);
        }
        self.find_lost(now);
        self.partial.advance(&self.ring);
        self.partial.repeat_if_unheard(now, self.rtt.smoothed().unwrap_or(self.rtt.rto()));
        self.unblock();
        let probed = self.settle_probe();
        if self.flight.lost == 0 {
            self.lost.clear();
        }
        if news.pieces > 0 {
            self.retransmit_at = self.needs_timer().then_some(now + self.rtt.rto());
        }
        if news.pieces > 0 || probed { SackOutcome::Progress } else { SackOutcome::Heard }
    }

    /// Something is on its way whose loss only the timer would tell.
    fn needs_timer(&self) -> bool {
        self.flight.bytes > 0 || self.partial.is_pending() || self.is_blocked()
    }

    /// A probe that did not fit is sent again as soon as the window opens. Says whether one was out.
    fn settle_probe(&mut self) -> bool {
        let Some(tsn) = self.probe else { return false };
        let index = tsn.wrapping_sub(self.base) as usize;
        let Some(piece) = self.ring.get_mut(index).filter(|piece| piece.state == PieceState::InFlight) else {
            self.probe = None;
            return true;
        };
        if self.peer_window >= piece.data.len().max(self.mtu) {
            self.probe = None;
            self.flight.remove(piece);
            self.flight.lost += 1;
            piece.state = PieceState::Lost;
            self.lost.push_back(tsn);
        }
        true
    }

    /// Walks the order of sending from its front, as far as it is settled.
    fn find_lost(&mut self, now: Instant) {
        self.lost_at = None;
        let delay = self.rtt.loss_delay();
        while let Some(&(number, tsn)) = self.order.front() {
            let index = tsn.wrapping_sub(self.base) as usize;
            let current =
                self.ring.get(index).filter(|piece| piece.number == number && piece.state == PieceState::InFlight);
            let Some(piece) = current else {
                self.order.pop_front();
                continue;
            };
            if number >= self.newest_acked {
                return;
            }
            let time = piece.sent_at + delay;
            if number + self.reordering > self.newest_acked && time > now {
                self.lost_at = Some(time);
                return;
            }
            self.order.pop_front();
            self.lose(tsn, index);
            self.fast_retransmit |= self.congestion.on_loss(number, self.next_number);
        }
    }

    fn lose(&mut self, tsn: u32, index: usize) {
        let Some(piece) = self.ring.get_mut(index) else { return };
        self.flight.remove(piece);
        self.flight.lost += 1;
        piece.state = PieceState::Lost;
        self.lost.push_back(tsn);
        self.give_up_repeated(index);
    }

    /// Says whether T3-rtx expired.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.lost_at.is_some_and(|at| at <= now) {
            self.find_lost(now);
            self.partial.advance(&self.ring);
        }
        if self.retransmit_at.is_none_or(|at| at > now) {
            return false;
        }
        self.retransmit_at = None;
        let expired = self.needs_timer();
        if expired {
            self.time_out(now);
        }
        expired
    }

    /// RFC 9260 section 6.3.3: everything that was not acknowledged is to be sent again.
    fn time_out(&mut self, now: Instant) {
        self.counts.timeouts += 1;
        if self.flight.bytes > 0 {
            self.congestion.on_timeout(self.next_number);
            self.timed_out_before = self.next_number;
        }
        self.rtt.back_off();
        // A peer that acknowledged the first piece in a gap, but not cumulatively, has dropped it again (section 6.2.1 allows that).
        let reneged = self.ring.front().is_some_and(|piece| piece.state == PieceState::Received);
        if reneged {
            self.received.clear();
        }
        self.lost.clear();
        self.order.clear();
        self.lost_at = None;
        self.reordering = REORDERING;
        self.flight = Flight::default();
        self.unblock();
        for (index, piece) in self.ring.iter_mut().enumerate() {
            if piece.state == PieceState::Abandoned || piece.state == PieceState::Received && !reneged {
                continue;
            }
            piece.state = PieceState::Lost;
            self.flight.lost += 1;
            self.lost.push_back(self.base.wrapping_add(index as u32));
        }
        if self.partial.supported {
            for index in 0..self.ring.len() {
                self.give_up_repeated(index);
            }
        }
        self.partial.advance(&self.ring);
        self.partial.repeat();
        self.retransmit_at = self.partial.is_pending().then_some(now + self.rtt.rto());
    }

    /// The COOKIE ECHO is repeated: what travelled with it goes along again, without blaming the network twice.
    pub fn repeat_all(&mut self) {
        for (index, piece) in self.ring.iter_mut().enumerate() {
            match piece.state {
                PieceState::InFlight => self.flight.remove(piece),
                PieceState::TooLong => self.flight.too_long -= 1,
                PieceState::Lost | PieceState::Received | PieceState::Abandoned => continue,
            }
            self.flight.lost += 1;
            piece.state = PieceState::Lost;
            self.lost.push_back(self.base.wrapping_add(index as u32));
        }
        self.unblock();
        self.order.clear();
        self.retransmit_at = None;
    }
}

impl News {
    fn add(
        &mut self,
        piece: &Piece,
        flight: &mut Flight,
        now: Instant,
        min_rtt: Duration,
        timed_out_before: PacketNumber,
    ) {
        let once = piece.repeated == 0;
        match piece.state {
            PieceState::Received => return,
            PieceState::Abandoned => {
                self.pieces += 1;
                return;
            }
            PieceState::InFlight => flight.remove(piece),
            PieceState::TooLong => flight.too_long -= 1,
            PieceState::Lost => {
                flight.lost -= 1;
                // That a timeout was too early says nothing about the order on the path.
                self.false_losses += usize::from(piece.number >= timed_out_before);
            }
        }
        self.pieces += 1;
        self.bytes += piece.size();
        // What arrives sooner than anything can travel was sent before its repetition: no word about that one's packet (RFC 8985).
        let too_soon = !once && now - piece.sent_at < min_rtt;
        if too_soon && piece.state == PieceState::InFlight {
            self.false_losses += 1;
        }
        if !too_soon && self.newest.is_none_or(|(newest, ..)| piece.number > newest) {
            self.newest = Some((piece.number, piece.sent_at, once));
        }
    }
}
