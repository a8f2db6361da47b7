//! How fast packets arrive. Draft-ietf-ccwg-bbr section 4.1.
//!
//! Each packet remembers how much had arrived when it left; when it is acknowledged, what arrived since, over the time since, is a measurement of
//! the path: over the longer one of the times in which these packets left and were acknowledged, since either end may have bunched them.

use std::collections::VecDeque;

use wigwag_proto::Instant;

use super::{FEW, PacketNumber};
use crate::congestion::Delivery;

/// What a packet remembers.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    /// When the packet left with which the time of leaving begins.
    first_at: Instant,
    delivered: u64,
    delivered_at: Instant,
    is_app_limited: bool,
}

#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// By packet number; the first is `first`.
    sent: VecDeque<Sent>,
    first: PacketNumber,
    /// Bytes that arrived, of all.
    delivered: u64,
    delivered_at: Instant,
    first_at: Instant,
    /// Until more than so many arrived, there was not always something to send.
    app_limited_until: u64,
    /// A packet that left when so much had arrived begins the next round.
    round_began: u64,
}

impl Deliveries {
    /// Packet `number` leaves.
    pub fn on_sent(&mut self, now: Instant, number: PacketNumber, was_idle: bool) {
        if was_idle {
            (self.first_at, self.delivered_at) = (now, now);
        }
        if self.sent.is_empty() {
            self.first = number;
        }
        self.sent.push_back(Sent {
            at: now,
            first_at: self.first_at,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            is_app_limited: self.delivered <= self.app_limited_until,
        });
    }

    /// There is nothing to send, although more could be in flight than `in_flight`.
    pub fn on_app_limited(&mut self, in_flight: usize) {
        self.app_limited_until = self.delivered + in_flight as u64;
    }

    /// `bytes` arrived, `number` the newest packet among them. Says how fast, and whether a round trip is over.
    pub fn on_delivered(&mut self, now: Instant, bytes: usize, number: PacketNumber) -> (Option<Delivery>, bool) {
        self.delivered += bytes as u64;
        self.delivered_at = now;
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(&sent) = index.and_then(|index| self.sent.get(index)) else { return (None, false) };
        self.first_at = self.first_at.max(sent.at);
        let begins_round = sent.delivered >= self.round_began;
        if begins_round {
            self.round_began = self.delivered;
        }
        let micros = (sent.at - sent.first_at).max(now - sent.delivered_at).as_micros() as u64;
        let amount = self.delivered - sent.delivered;
        let delivery =
            (amount * 1_000_000).checked_div(micros).map(|rate| Delivery { rate, is_app_limited: sent.is_app_limited });
        (delivery, begins_round)
    }

    /// No packet before `number` is waited for.
    pub fn forget_before(&mut self, number: PacketNumber) {
        while self.first < number && self.sent.pop_front().is_some() {
            self.first += 1;
        }
    }

    pub fn has_grown(&self) -> bool {
        self.sent.capacity() > FEW
    }

    pub fn shrink_to_fit(&mut self) {
        self.sent.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two megabytes a second, packets of a thousand bytes, half of which leave together; a round trip of 50 ms.
    #[test]
    fn the_rate_of_a_path() {
        let mut deliveries = Deliveries::default();
        let arrives = |number: u64| Instant(50_000 + number * 500);
        let (mut rates, mut rounds) = (Vec::new(), 0);
        for millis in 0..200_u64 {
            let now = Instant(millis * 1000);
            for number in [2 * millis, 2 * millis + 1] {
                deliveries.on_sent(now, number + 1, number == 0);
            }
            if let Some(number) = (now.as_micros() / 500).checked_sub(100) {
                for number in [number, number + 1] {
                    let (delivery, begins) = deliveries.on_delivered(arrives(number), 1000, number + 1);
                    rates.extend(delivery.map(|delivery| delivery.rate));
                    rounds += u32::from(begins);
                    deliveries.forget_before(number + 1);
                }
            }
        }
        let last = &rates[200..];
        assert!(last.iter().all(|rate| (1_900_000..2_100_000).contains(rate)), "{last:?}");
        assert_eq!(rounds, 3);
        assert!(deliveries.sent.len() <= 101);
    }
}
