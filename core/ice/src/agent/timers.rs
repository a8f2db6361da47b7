//! What happens when nothing comes in, and when.

use wigwag_proto::Instant;

use super::session::Patience;
use super::{Agent, Failure};
use crate::checklist::{PairId, PairState};
use crate::consent::Consent;
use crate::event::ConnectionState;

impl Agent {
    pub(super) fn run_timers(&mut self) {
        if self.state == ConnectionState::Closed {
            return;
        }
        self.session.start_patience(self.now, &self.config);
        self.run_server_timers();
        self.run_name_timers();
        self.finish_gathering();
        self.fail_unanswered();
        self.check_consent();
        self.mind_doubts();
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

    /// The selected path, if it is the session's, and checks may find another.
    fn watched_path(&self) -> Option<&Consent> {
        let number = self.session.generation.number;
        let active = self.active.as_ref().filter(|active| active.generation == number && self.may_check())?;
        Some(&active.consent)
    }

    /// Whether the selected path went quiet, and another would be welcome.
    pub(super) fn is_suspect(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.consent.is_suspect())
    }

    /// When the selected path is to be checked because of a doubt.
    pub(super) fn doubt_at(&self) -> Option<Instant> {
        self.watched_path()?.doubt_at(self.round_trip_time)
    }

    fn suspect_at(&self) -> Option<Instant> {
        self.watched_path()?.suspect_at(self.round_trip_time)
    }

    /// A path that has gone quiet is checked, with repetitions; if that helps nothing, all ways are tried.
    fn mind_doubts(&mut self) {
        let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= self.now);
        let (doubted, suspect) = (is_past(self.doubt_at()), is_past(self.suspect_at()));
        let Some(active) = &mut self.active else { return };
        if doubted {
            active.consent.doubt(self.now);
            let path = active.consent.path;
            if let Some(id) = self.session.list.of_path(path) {
                self.session.list.trigger(id);
            }
        } else if suspect {
            active.consent.suspect();
            tracing::debug!(path = ?active.consent.path, "the path went quiet: all are tried");
            self.session.list.start_over();
            // Controlled, what the other side nominates is still to be followed as soon as it answers.
            if self.role.controlling {
                self.session.list.iter_mut().for_each(|pair| pair.nominate = false);
            }
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
        self.session.nominated.is_none() || self.state == ConnectionState::Disconnected || self.is_suspect()
    }

    /// The pair that a new check would be sent for, whenever that may be.
    pub(super) fn next_check(&self) -> Option<PairId> {
        if !self.may_check() {
            return None;
        }
        self.session.list.next(self.is_searching(), |pair| self.is_permitted(pair.path))
    }

    /// Works out what can leave now, and when something else happens.
    pub(super) fn schedule(&mut self) {
        let mut wake_at = self.gatherer.deadline().unwrap_or(Instant::NEVER);
        let mut due = !self.responses.is_empty();
        let servers_at = self.servers.next_transmit(self.keeps_mappings());
        let mut transmit_at = |at: Instant| if at <= self.now { due = true } else { wake_at = wake_at.min(at) };
        transmit_at(servers_at);
        transmit_at(if self.names.mdns.can_transmit() { self.now } else { Instant::NEVER });
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
        let doubt = [self.doubt_at(), self.suspect_at()].into_iter().flatten().min();
        wake_at = wake_at.min(doubt.unwrap_or(Instant::NEVER));
        let patience = match self.session.patience {
            Patience::Starting => self.now,
            Patience::Until(at) if self.active.is_none() && self.failure.is_none() => at,
            _ => Instant::NEVER,
        };
        wake_at = wake_at
            .min(patience)
            .min(self.servers.next_timeout())
            .min(self.names.mdns.next_at())
            .min(self.session.nominate_at.unwrap_or(Instant::NEVER));
        (self.due, self.wake_at) = (due, wake_at);
    }
}
