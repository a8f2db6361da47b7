//! What a SACK and the timers say about the pieces that are outstanding.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::{Instant, Serial};

use super::{Cause, Flight, PacketNumber, Piece, PieceState, Send};
use crate::congestion::{Ack, Loss};
use crate::packet::sack::Sack;

/// TSNs that were sent again whose duplicates are recognized.
const MAX_REPEATS: usize = 64;

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
    now: Instant,
    min_rtt: Duration,
    newest_before: PacketNumber,
    bytes: usize,
    pieces: usize,
    /// Its latest packet, when that left, and whether the piece had been sent once only.
    newest: Option<(PacketNumber, Instant, bool)>,
    false_losses: u32,
    /// Something arrived late that T3-rtx had given up.
    is_late: bool,
    /// Something arrived after what left later.
    is_overtaken: bool,
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
        let (min_rtt, newest_before) = (self.rtt.min(), self.newest_acked);
        let mut news = News { now, min_rtt, newest_before, ..News::default() };
        for (piece, tsn) in self.ring.drain(..count).zip(self.base as u64..) {
            if news.add(&piece, &mut self.flight) {
                remember(&mut self.repeats, tsn as u32);
            }
        }
        self.received.forget(before, cumulative);
        self.base = cumulative.wrapping_add(1);
        self.partial.acknowledged(count);
        for (first, last) in sack.gaps() {
            let absolute = |offset: u16| cumulative.wrapping_add(offset.into());
            let (ring, flight, repeats, base) = (&mut self.ring, &mut self.flight, &mut self.repeats, self.base);
            self.received.insert(cumulative, absolute(first), absolute(last), |first, last| {
                let (first, last) = (first.wrapping_sub(base) as usize, last.wrapping_sub(base) as usize);
                for (piece, index) in ring.range_mut(first..=last).zip(first as u32..) {
                    if news.add(piece, flight) {
                        remember(repeats, base.wrapping_add(index));
                    }
                    if piece.state != PieceState::Abandoned {
                        piece.state = PieceState::Received;
                    }
                }
            });
        }
        // What we sent again came twice: it had not been lost (RFC 8985 section 7.4.2, by duplicates as of RFC 2883).
        for tsn in sack.duplicates() {
            if let Some(place) = self.repeats.iter().position(|&repeat| repeat == tsn) {
                self.repeats.swap_remove_back(place);
                news.false_losses += 1;
            }
        }
        self.peer_window = sack.a_rwnd as usize;
        self.hear(now, news, flight_before)
    }

    fn hear(&mut self, now: Instant, news: News, flight_before: usize) -> SackOutcome {
        let newest = news.newest.map_or(0, |(number, ..)| number).max(self.newest_acked);
        if news.is_overtaken {
            self.reordering.see();
        }
        if news.false_losses > 0 {
            self.counts.spurious += u64::from(news.false_losses);
            self.reordering.on_false_loss(newest, self.next_number);
            self.take_back(news.false_losses);
        }
        if news.is_late && self.timed_out {
            self.undo_timeout();
        }
        if let Some((number, sent_at, once)) = news.newest {
            self.timed_out &= !once || number < self.recovery_until;
            if once {
                self.rtt.measure(now - sent_at);
            }
            self.newest_acked = newest;
            let (delivery, begins_round) = self.deliveries.on_delivered(now, news.bytes, number);
            self.congestion.on_ack(&Ack {
                now,
                acked: news.bytes,
                in_flight_before: flight_before,
                in_flight: self.flight.bytes,
                round_trip: once.then(|| now - sent_at),
                smoothed_round_trip: self.rtt.usual(),
                begins_round,
                in_recovery: number < self.recovery_until,
                delivery,
            });
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
            self.arm_tail_probe(now);
        }
        self.pacer.set_rate(self.congestion.pacing_rate(), self.rtt.smoothed());
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
        let delay = self.reordering.delay(&self.rtt);
        while let Some(&(number, tsn)) = self.order.front() {
            let index = tsn.wrapping_sub(self.base) as usize;
            let current =
                self.ring.get(index).filter(|piece| piece.number == number && piece.state == PieceState::InFlight);
            let Some(piece) = current else {
                self.order.pop_front();
                continue;
            };
            let is_last = number >= self.newest_acked;
            let time = piece.sent_at + delay;
            if is_last || !self.reordering.is_lost(self.newest_acked - number) && time > now {
                self.lost_at = (!is_last).then_some(time);
                break;
            }
            self.order.pop_front();
            self.lose(number, tsn, index);
        }
        let oldest = self.order.front().map_or(self.next_number, |&(number, _)| number);
        self.deliveries.forget_before(oldest);
    }

    fn lose(&mut self, number: PacketNumber, tsn: u32, index: usize) {
        let Some(piece) = self.ring.get_mut(index) else { return };
        let begins_recovery = number >= self.recovery_until;
        let loss = Loss { bytes: piece.size(), in_flight: self.flight.bytes, begins_recovery };
        self.flight.remove(piece);
        self.flight.lost += 1;
        (piece.state, piece.cause) = (PieceState::Lost, Cause::Overtaken);
        self.lost.push_back(tsn);
        self.give_up_repeated(index);
        if begins_recovery {
            self.recovery_until = self.next_number;
            self.true_losses = Some(0);
            self.one_more = true;
            self.reordering.on_recovery();
        }
        if let Some(losses) = &mut self.true_losses {
            *losses += 1;
        }
        self.congestion.on_loss(&loss);
        self.pacer.set_rate(self.congestion.pacing_rate(), self.rtt.smoothed());
    }

    /// So many of what was called lost arrived after all. When all did, there was no congestion.
    fn take_back(&mut self, false_losses: u32) {
        let Some(losses) = &mut self.true_losses else { return };
        *losses = losses.saturating_sub(false_losses);
        if *losses == 0 {
            self.true_losses = None;
            self.recovery_until = 0;
            self.congestion.undo();
        }
    }

    /// Says whether T3-rtx expired.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.lost_at.is_some_and(|at| at <= now) {
            self.find_lost(now);
            self.partial.advance(&self.ring);
        }
        if self.tail_probe_at.is_some_and(|at| at <= now) {
            self.probe_tail();
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
            self.congestion.on_timeout();
            self.pacer.set_rate(self.congestion.pacing_rate(), self.rtt.smoothed());
            self.recovery_until = self.next_number;
            self.timed_out = true;
        }
        self.true_losses = None;
        self.rtt.back_off();
        // A peer that acknowledged the first piece in a gap, but not cumulatively, has dropped it again (section 6.2.1 allows that).
        let reneged = self.ring.front().is_some_and(|piece| piece.state == PieceState::Received);
        if reneged {
            self.received.clear();
            self.timed_out = false;
        }
        self.lost.clear();
        self.order.clear();
        (self.lost_at, self.tail_probe_at) = (None, None);
        self.flight = Flight::default();
        self.unblock();
        for (index, piece) in self.ring.iter_mut().enumerate() {
            if piece.state == PieceState::Abandoned || piece.state == PieceState::Received && !reneged {
                continue;
            }
            if piece.state != PieceState::Lost {
                piece.cause = Cause::Timeout;
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

    /// What T3-rtx gave up arrives: it expired too early (RFC 5682). What was not sent again since is under way as before.
    fn undo_timeout(&mut self) {
        self.timed_out = false;
        self.counts.spurious_timeouts += 1;
        self.congestion.undo();
        self.recovery_until = 0;
        for piece in &mut self.ring {
            if piece.state == PieceState::Lost && piece.cause == Cause::Timeout {
                (piece.state, piece.cause) = (PieceState::InFlight, Cause::Never);
                self.flight.lost -= 1;
                self.flight.add(piece);
            }
        }
        let in_flight =
            self.ring.iter().zip(self.base as u64..).filter(|(piece, _)| piece.state == PieceState::InFlight);
        self.order = in_flight.map(|(piece, tsn)| (piece.number, tsn as u32)).collect();
        self.order.make_contiguous().sort_unstable();
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
            (piece.state, piece.cause) = (PieceState::Lost, Cause::Timeout);
            self.lost.push_back(self.base.wrapping_add(index as u32));
        }
        self.unblock();
        self.order.clear();
        (self.retransmit_at, self.tail_probe_at) = (None, None);
    }
}

/// TSNs of which a duplicate means something.
fn remember(repeats: &mut VecDeque<u32>, tsn: u32) {
    if repeats.len() >= MAX_REPEATS {
        repeats.pop_front();
    }
    repeats.push_back(tsn);
}

impl News {
    /// Says whether a duplicate of it would mean that it had not been lost.
    fn add(&mut self, piece: &Piece, flight: &mut Flight) -> bool {
        let once = piece.repeated == 0;
        // What arrives sooner than anything can travel was sent before its repetition: no word about that one's packet (RFC 8985).
        let too_soon = !once && self.now - piece.sent_at < self.min_rtt;
        match piece.state {
            PieceState::Received => return false,
            PieceState::Abandoned => {
                self.pieces += 1;
                return false;
            }
            PieceState::InFlight => flight.remove(piece),
            PieceState::TooLong => flight.too_long -= 1,
            PieceState::Lost => flight.lost -= 1,
        }
        self.pieces += 1;
        self.bytes += piece.size();
        let is_false = piece.state == PieceState::Lost || piece.state == PieceState::InFlight && too_soon;
        self.false_losses += u32::from(is_false && piece.cause == Cause::Overtaken);
        self.is_late |= is_false && piece.cause == Cause::Timeout;
        self.is_overtaken |= once && piece.number < self.newest_before;
        if !too_soon && self.newest.is_none_or(|(newest, ..)| piece.number > newest) {
            self.newest = Some((piece.number, piece.sent_at, once));
        }
        !is_false && !once && piece.cause == Cause::Overtaken
    }
}
