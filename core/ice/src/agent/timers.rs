//! What happens when nothing comes in, and when.

use wigwag_proto::Instant;

use super::session::Patience;
use super::{Agent, Failure};
use crate::checklist::PairState;
use crate::event::ConnectionState;

impl Agent {
    pub(super) fn run_timers(&mut self) {
        if self.state == ConnectionState::Closed {
            return;
        }
        self.session.start_patience(self.now, &self.config);
        self.finish_gathering();
        self.fail_unanswered();
        self.check_consent();
        self.lose_patience();
    }

    fn fail_unanswered(&mut self) {
        let now = self.now;
        let overdue = |check: crate::checklist::Check| check.deadline <= now;
        let next = |agent: &Self| {
            let mut pairs = agent.session.list.iter();
            pairs.find(|pair| pair.check.is_some_and(overdue)).map(|pair| pair.id)
        };
        while let Some(pair) = next(self) {
            self.fail_pair(pair);
        }
        let timeout = self.config.check_timeout;
        self.forget_transactions(|transaction| transaction.sent_at + timeout <= now);
    }

    /// RFC 8863 section 4: without a valid pair, it is over when patience has ended and nothing is under way.
    fn lose_patience(&mut self) {
        if let Patience::Until(at) = self.session.patience
            && at <= self.now
        {
            self.session.patience = Patience::Over;
        }
        if self.session.patience != Patience::Over || self.active.is_some() || self.failure.is_some() {
            return;
        }
        if !self.session.list.is_busy() {
            self.failure = Some(Failure::NoPair);
            self.responses.clear();
            self.forget_transactions(|_| true);
        }
    }

    /// Whether checks may be sent at all.
    fn may_check(&self) -> bool {
        self.state != ConnectionState::Closed
            && self.failure.is_none()
            && !self.config.lite
            && self.session.generation.remote.is_some()
    }

    /// Whether pairs are still being tried, and not only those that something came in for.
    pub(super) fn is_searching(&self) -> bool {
        self.session.nominated.is_none() || self.state == ConnectionState::Disconnected
    }

    /// The pair that a new check would be sent for, whenever that may be.
    pub(super) fn next_check(&self) -> Option<crate::checklist::PairId> {
        if !self.may_check() {
            return None;
        }
        self.session.list.next(self.is_searching())
    }

    /// Works out what can leave now, and when something else happens.
    pub(super) fn schedule(&mut self) {
        let mut wake_at = self.gatherer.deadline().unwrap_or(Instant::NEVER);
        let mut due = !self.responses.is_empty();
        let mut transmit_at = |at: Instant| if at <= self.now { due = true } else { wake_at = wake_at.min(at) };
        if self.next_check().is_some() {
            transmit_at(self.next_check_at);
        }
        if self.may_check() {
            for pair in self.session.list.iter().filter(|pair| pair.state == PairState::InProgress) {
                pair.check.iter().for_each(|check| transmit_at(check.next_at));
            }
        }
        if let Some(active) = &self.active {
            transmit_at(active.consent.next_at);
        }
        for check in self.session.list.iter().filter_map(|pair| pair.check) {
            wake_at = wake_at.min(check.deadline);
        }
        if let Some(active) = self.active.as_ref().filter(|active| active.watched) {
            wake_at = wake_at.min(active.consent.changes_at(self.now, &self.config));
        }
        let patience = match self.session.patience {
            Patience::Starting => self.now,
            Patience::Until(at) if self.active.is_none() && self.failure.is_none() => at,
            _ => Instant::NEVER,
        };
        wake_at = wake_at.min(patience).min(self.session.nominate_at.unwrap_or(Instant::NEVER));
        (self.due, self.wake_at) = (due, wake_at);
    }
}
