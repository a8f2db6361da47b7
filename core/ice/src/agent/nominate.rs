//! Which valid pair is taken.
//!
//! Payload may go over any valid pair before one is nominated (RFC 8445 section 12.1): the first one is selected at once,
//! which saves a round trip. Then the controlling side nominates the best: as soon as nothing better can follow, or after a
//! short patience. The controlled side follows, also if the other side nominates several, as agents of RFC 5245 did.

use std::time::Duration;

use wigwag_proto::{Instant, UdpPath};

use super::session::{Patience, Purpose};
use super::{Active, Agent, Failure};
use crate::checklist::{Pair, PairId, PairState, pair_priority};
use crate::consent::{Consent, Standing};
use crate::event::{ConnectionState, Event};

/// How long a valid pair that the other side has not checked waits to be nominated. An agent that knows us checks what it
/// was checked on, at once; one that does not know us yet answers, and may forget that the check nominated. So this is for
/// agents that are lite and do not say so.
const UNHEARD_PATIENCE: Duration = Duration::from_secs(3);

/// An agent of RFC 5245 nominates whatever it checks, in every check: those of one flurry belong together.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Agent {
    /// RFC 8445 section 8.1.1.
    pub(super) fn consider_nomination(&mut self) {
        let is_suspect = self.is_suspect();
        let session = &mut self.session;
        let busy = session.nominated.is_some() && !is_suspect || session.list.iter().any(|pair| pair.nominate);
        let possible = self.role.controlling && !self.config.lite && self.failure.is_none() && !busy;
        let Some(valid) = session.list.best_valid().filter(|_| possible) else {
            session.nominate_at = None;
            return;
        };
        let is_known = |pair: &&Pair| self.remote_lite || pair.heard;
        let known = session.list.iter().filter(|pair| pair.valid).find(is_known);
        let best = known.unwrap_or(valid);
        let (id, priority) = (best.id, best.priority);
        let may_come = |pair: &Pair| {
            pair.valid || matches!(pair.state, PairState::Frozen | PairState::Waiting | PairState::InProgress)
        };
        let better = session.list.iter().any(|pair| pair.priority > priority && may_come(pair));
        let patience = match known {
            Some(_) if !better => Duration::ZERO,
            Some(_) => self.config.nomination_patience,
            None => UNHEARD_PATIENCE,
        };
        let at = session.nominate_at.unwrap_or(Instant::NEVER).min(self.now + patience);
        session.nominate_at = Some(at);
        if at > self.now {
            return;
        }
        session.nominate_at = None;
        if let Some(pair) = session.list.get_mut(id) {
            pair.nominate = true;
        }
        session.list.trigger(id);
    }

    /// The pair is nominated, and valid.
    pub(super) fn nominated(&mut self, id: PairId) {
        let session = &mut self.session;
        let before = session.nominated.and_then(|before| session.list.get(before)).map(|pair| pair.priority);
        let Some(pair) = session.list.get_mut(id) else { return };
        pair.nominate = false;
        pair.nominated = true;
        let (path, answered_at) = (pair.path, pair.answered_at.unwrap_or(self.now));
        // Of pairs that are nominated all at once, the most important is taken (RFC 5245 section 8.1.1.2); of those that
        // are nominated one after the other, the latest: the other side moved.
        let alive = self.active.as_ref().is_some_and(|active| active.consent.is_fresh(self.now));
        let at_once = self.now - session.nominated_at < AT_ONCE;
        if !self.role.controlling && alive && at_once && before.is_some_and(|before| before > pair.priority) {
            return;
        }
        session.nominated = Some(id);
        session.nominated_at = self.now;
        session.list.settle(id);
        self.select(path, answered_at);
        self.drop_previous();
        // Checks that were cancelled need no answer any more.
        self.forget_transactions(
            |transaction| matches!(transaction.purpose, Purpose::Check { pair, .. } if pair != id),
        );
    }

    /// After a restart, the path of before stays in use until one is nominated.
    pub(super) fn select_if_none(&mut self) {
        if self.active.is_some() {
            return;
        }
        let best = self.session.list.best_valid().map(|pair| (pair.path, pair.answered_at.unwrap_or(self.now)));
        if let Some((path, answered_at)) = best {
            self.select(path, answered_at);
        }
    }

    fn select(&mut self, path: UdpPath, answered_at: Instant) {
        let generation = self.session.generation.number;
        let before = self.selected_path();
        if before != Some(path) || self.active.as_ref().is_some_and(|active| active.generation != generation) {
            let mut consent = Consent::new(path, answered_at, &self.config, &mut self.random);
            if self.config.lite {
                consent.next_at = self.now + self.config.keep_alive_interval;
            }
            let watched = !(self.config.lite && self.remote_lite);
            self.active = Some(Active { consent, generation, watched });
        }
        self.was_connected = true;
        self.failure = None;
        if before != Some(path) {
            let pair = self.session.list.iter().find(|pair| pair.path == path);
            self.round_trip_time = pair.and_then(|pair| pair.round_trip_time);
            self.events.push(Event::SelectedPath(path));
        }
    }

    /// A lite agent takes what the other side nominates. RFC 8445 section 7.3.2.
    pub(super) fn handle_check_as_lite(&mut self, path: UdpPath, use_candidate: bool) {
        let selected = self.active.as_ref().map(|active| (active.consent.path, active.generation));
        let current = selected == Some((path, self.session.generation.number));
        if use_candidate && !current {
            self.select(path, self.now);
            self.drop_previous();
        } else if let (true, Some(active)) = (current, &mut self.active) {
            active.consent.answered(self.now);
        }
    }

    /// Two lite agents send no checks: the most important pair is taken as it is. RFC 8445 section 8.2.
    pub(super) fn select_between_lites(&mut self) {
        let generation = &self.session.generation;
        let current = self.active.as_ref().is_some_and(|active| active.generation == generation.number);
        if !self.config.lite || !self.remote_lite || generation.remote.is_none() || current {
            return;
        }
        let controlling = self.role.controlling;
        let pairs = self.sockets.iter().flat_map(|socket| {
            let remotes = self.session.remotes.iter();
            let remotes = remotes.filter(|remote| remote.address.is_ipv4() == socket.local.is_ipv4());
            remotes.map(move |remote| {
                let path = UdpPath { local: socket.local, remote: remote.address };
                (pair_priority(controlling, socket.priority, remote.priority), path)
            })
        });
        if let Some((_, path)) = pairs.max() {
            self.validate(path, true);
            self.select(path, self.now);
            self.drop_previous();
        }
    }

    pub(super) fn fail_pair(&mut self, id: PairId) {
        let Some(pair) = self.session.list.get_mut(id) else { return };
        (pair.state, pair.check) = (PairState::Failed, None);
        (pair.valid, pair.nominate) = (false, false);
    }

    /// The selected path is gone or has no consent: another valid one, or what can be done to find one.
    pub(super) fn lose_path(&mut self) {
        let Some(lost) = self.active.take() else { return };
        let path = lost.consent.path;
        self.round_trip_time = None;
        self.session.nominated = None;
        if lost.generation != self.session.generation.number {
            self.drop_previous();
        }
        if let Some(pair) = self.session.list.of_path(path) {
            self.fail_pair(pair);
        }
        let (now, fresh) = (self.now, self.config.consent_timeout);
        for pair in self.session.list.iter_mut() {
            pair.valid &= pair.answered_at.is_some_and(|at| at + fresh > now);
        }
        self.select_if_none();
        if self.active.is_none() {
            self.session.list.start_over();
            self.session.patience = match self.session.generation.remote {
                Some(_) => Patience::Until(now + self.config.patience),
                None => Patience::NotStarted,
            };
        }
    }

    /// Nothing more is sent, not even answers.
    pub(super) fn fall_silent(&mut self) {
        self.active = None;
        self.round_trip_time = None;
        self.session.nominated = None;
        self.session.nominate_at = None;
        self.session.list.start_over();
        self.responses.clear();
        self.forget_transactions(|_| true);
    }

    /// Consent, seen now.
    pub(super) fn check_consent(&mut self) {
        let Some(active) = self.active.as_ref().filter(|active| active.watched) else { return };
        if active.consent.standing(self.now, &self.config) != Standing::Expired {
            return;
        }
        let restarting = active.generation != self.session.generation.number;
        self.lose_path();
        if self.active.is_none() && !restarting {
            self.failure = Some(Failure::NoConsent);
            self.fall_silent();
        } else if self.active.is_none() && self.session.generation.remote.is_none() {
            self.failure = Some(Failure::NoPair);
        }
    }

    pub(super) fn update_state(&mut self) {
        if self.state == ConnectionState::Closed {
            return;
        }
        let state = self.current_state();
        let lost = state == ConnectionState::Disconnected
            && matches!(self.state, ConnectionState::Connected | ConnectionState::Completed);
        self.set_state(state);
        // Both sides try every way anew, and keep the old one until another is nominated.
        let number = self.session.generation.number;
        let of_session = self.active.as_ref().is_some_and(|active| active.generation == number);
        if lost && of_session && !self.config.lite {
            self.session.list.start_over();
            if self.role.controlling {
                self.session.nominated = None;
                self.session.list.iter_mut().for_each(|pair| pair.nominate = false);
            }
        }
    }

    pub(super) fn set_state(&mut self, state: ConnectionState) {
        if self.state != state {
            tracing::debug!(from = ?self.state, to = ?state, path = ?self.selected_path(), "connection state");
            self.state = state;
            self.events.push(Event::StateChanged(state));
            if state == ConnectionState::Failed {
                self.validated.forget(|_| true, &mut self.endpoint_events);
            }
        }
    }

    fn current_state(&self) -> ConnectionState {
        if self.failure.is_some() {
            return ConnectionState::Failed;
        }
        let session = &self.session;
        let Some(active) = &self.active else {
            let begun = session.generation.remote.is_some() || session.generation.number > 0;
            return match (self.was_connected, begun) {
                (true, _) => ConnectionState::Disconnected,
                (false, true) => ConnectionState::Checking,
                (false, false) => ConnectionState::New,
            };
        };
        let current = active.generation == session.generation.number;
        let settled = session.nominated.is_some() || self.config.lite;
        let gathering = self.gatherer.state == crate::event::GatheringState::Gathering;
        if active.watched && active.consent.standing(self.now, &self.config) != Standing::Given {
            ConnectionState::Disconnected
        } else if current && settled && session.remote_end && !gathering {
            ConnectionState::Completed
        } else {
            ConnectionState::Connected
        }
    }
}
