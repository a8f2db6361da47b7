//! Checks and answers that come in. Nothing changes before the message's integrity is verified.

use std::time::Duration;

use wigwag_proto::{Route, UdpPath};
use wigwag_stun::{Class, ErrorCode, Message, Method, TransactionId};

use super::session::{Early, Generation, MAX_EARLY, MAX_UFRAG, Patience, Purpose, Transaction};
use super::{Agent, Failure};
use crate::checklist::{PairId, PairState};
use crate::event::{ConnectionState, Event};
use crate::write::{MAX_UNKNOWN, Verdict};

/// Answers that wait to be sent: the other side repeats what was lost.
const MAX_RESPONSES: usize = 32;

/// Nominations that are remembered: more are never under way.
const MAX_NOMINATIONS: usize = 16;
/// An answer this old says that the pair worked, not that it works.
const RECENT: Duration = Duration::from_secs(5);

/// An answer that is owed.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) path: UdpPath,
    pub(super) transaction: TransactionId,
    pub(super) verdict: Verdict,
    /// Whose password signs it.
    pub(super) generation: u32,
}

impl Agent {
    pub(super) fn receive(&mut self, path: UdpPath, datagram: &[u8]) {
        if self.state == ConnectionState::Closed {
            return;
        }
        let message = Message::parse(datagram).ok();
        if let Some(message) = &message
            && matches!(message.class(), Class::Success | Class::Error)
            && self.handle_server_response(Route::Udp(path), message)
        {
            self.finish_gathering();
            return;
        }
        let message = message.filter(|message| message.method() == Method::BINDING);
        let Some(message) = message.filter(|message| message.verify_fingerprint() != Some(false)) else {
            self.stats.malformed += 1;
            return;
        };
        match message.class() {
            Class::Request => self.handle_check(path, &message),
            Class::Success | Class::Error => self.handle_response(path, &message),
            Class::Indication => {} // a keep-alive: RFC 8445 section 11
        }
    }

    /// RFC 8445 section 7.3.
    fn handle_check(&mut self, path: UdpPath, message: &Message<'_>) {
        let Some((generation, theirs)) = self.authenticate(message) else {
            self.stats.unauthenticated += 1;
            return;
        };
        let has_socket = self.sockets.iter().any(|socket| socket.local == path.local && self.is_shown(socket));
        if !has_socket || self.failure == Some(Failure::NoConsent) {
            self.stats.unexpected += 1;
            return;
        }
        self.stats.checks_received += 1;
        let transaction = message.transaction();
        if let Some(verdict) = self.objection(message) {
            self.respond(Response { path, transaction, verdict, generation });
            return;
        }
        self.respond(Response { path, transaction, verdict: Verdict::Success, generation });
        self.validate(path, false);
        if generation != self.session.generation.number {
            return;
        }
        if self.failure.take() == Some(Failure::NoPair) {
            self.session.patience = Patience::Until(self.now + self.config.patience);
        }
        let priority = message.priority().unwrap_or_default();
        let use_candidate = message.use_candidate() && self.is_new_nomination(transaction);
        if self.config.lite {
            self.handle_check_as_lite(path, use_candidate);
            return;
        }
        match &self.session.generation.remote {
            Some(remote) if remote.ufrag == theirs => self.triggered(path, priority, use_candidate),
            _ => self.remember(Early { path, ufrag: theirs.to_owned(), priority, use_candidate }),
        }
    }

    /// The generation that a request names, if it is signed with its password, and the fragment of its sender.
    fn authenticate<'a>(&self, message: &Message<'a>) -> Option<(u32, &'a str)> {
        let (ours, theirs) = message.username()?.split_once(':')?;
        let generations = std::iter::once(&self.session.generation).chain(&self.previous);
        // The fragment of one generation with ours of another is from somebody who restarts and does not know our new one
        // yet. Chromium would take an answer for the new path, keep our old fragment there, and refuse our checks with the new.
        let is_theirs = |generation: &Generation| generation.remote.as_ref().is_none_or(|it| it.ufrag == theirs);
        let mut of_ours = generations.filter(|generation| generation.local.ufrag == ours);
        let generation = of_ours.find(|generation| is_theirs(generation))?;
        let signed = message.verify_integrity(generation.local.pwd.as_bytes(), self.provider);
        signed.then_some((generation.number, theirs))
    }

    /// Why a check cannot succeed, if so: RFC 8489 section 6.3.1, RFC 8445 section 7.3.1.1.
    fn objection(&mut self, message: &Message<'_>) -> Option<Verdict> {
        if message.not_understood().next().is_some() {
            let mut unknown = [None; MAX_UNKNOWN];
            for (place, attribute) in unknown.iter_mut().zip(message.not_understood()) {
                *place = Some(attribute);
            }
            return Some(Verdict::Unknown(unknown));
        }
        let ours = self.role.tie_breaker;
        match (self.role.controlling, message.ice_controlling(), message.ice_controlled()) {
            (true, Some(theirs), _) if ours >= theirs => Some(Verdict::RoleConflict),
            (true, Some(_), _) => {
                self.lose_conflict(false);
                None
            }
            // Whoever is lite is controlled: the other side must give way.
            (false, _, Some(_)) if self.config.lite => Some(Verdict::RoleConflict),
            (false, _, Some(theirs)) if ours >= theirs => {
                self.lose_conflict(true);
                None
            }
            (false, _, Some(_)) => Some(Verdict::RoleConflict),
            _ => None,
        }
    }

    pub(super) fn lose_conflict(&mut self, controlling: bool) {
        self.switch_role(controlling);
        self.events.push(Event::RoleChanged { controlling });
    }

    pub(super) fn switch_role(&mut self, controlling: bool) {
        if self.role.controlling == controlling {
            return;
        }
        self.role.controlling = controlling;
        self.session.nominate_at = None;
        self.session.list.iter_mut().for_each(|pair| pair.nominate = false);
        self.session.list.sort(controlling);
    }

    /// One answer to each check, and no more than a few at a time.
    fn respond(&mut self, response: Response) {
        if self.responses.len() >= MAX_RESPONSES {
            self.stats.overflowed += 1;
            return;
        }
        self.responses.push_back(response);
    }

    /// The other side has shown itself on `path`: by a check, or, if that is `proved`, by an answer to ours.
    pub(super) fn validate(&mut self, path: UdpPath, proved: bool) {
        self.bind_channel(path);
        let keep = self.selected_path();
        self.validated.add(path, proved || self.config.lite, keep, &mut self.endpoint_events);
    }

    /// Datagrams are repeated and overtake each other: an old nomination must not undo the latest.
    fn is_new_nomination(&mut self, transaction: TransactionId) -> bool {
        let nominations = &mut self.session.nominations;
        let new = !nominations.contains(&transaction);
        if new {
            nominations.truncate(MAX_NOMINATIONS - 1);
            nominations.push_front(transaction);
        }
        new
    }

    /// A check that cannot be followed up yet. RFC 8445 section 7.3: the answer may overtake the description.
    fn remember(&mut self, early: Early) {
        if early.ufrag.len() > MAX_UFRAG {
            return;
        }
        let all = &mut self.session.early;
        if let Some(known) = all.iter_mut().find(|known| known.path == early.path && known.ufrag == early.ufrag) {
            known.use_candidate |= early.use_candidate;
            return;
        }
        if all.len() >= MAX_EARLY {
            all.pop_front();
        }
        all.push_back(early);
    }

    /// RFC 8445 sections 7.3.1.3 to 7.3.1.5: whoever reaches us this way may be reached this way.
    pub(super) fn triggered(&mut self, path: UdpPath, priority: u32, use_candidate: bool) {
        let Some(id) = self.pair_of_check(path, priority) else { return };
        let controlled = !self.role.controlling;
        let settled = self.session.nominated.is_some_and(|nominated| nominated != id);
        let idle = settled && !self.is_searching();
        let selected = self.active.as_ref().is_some_and(|active| active.consent.path == path);
        // The same again: each check for consent may say so.
        if use_candidate && selected && self.session.nominated == Some(id) {
            return;
        }
        let Some(pair) = self.session.list.get_mut(id) else { return };
        if use_candidate && controlled {
            pair.nominate = true;
        }
        // Nominated before the other side knew us: it may have forgotten.
        let was_heard = std::mem::replace(&mut pair.heard, true);
        if !was_heard && pair.nominated && !controlled {
            pair.nominate = true;
            self.session.list.trigger(id);
            return;
        }
        // RFC 7675: what is selected has consent, so a pair that was checked long ago is checked again before.
        let recent = pair.answered_at.is_some_and(|at| self.now - at < RECENT);
        if pair.valid && (recent || selected || !pair.nominate) {
            if pair.nominate && controlled {
                self.nominated(id);
            }
        } else if !idle || pair.nominate {
            self.session.list.trigger(id);
        }
    }

    /// RFC 8445 section 7.2.5.
    fn handle_response(&mut self, path: UdpPath, message: &Message<'_>) {
        let Some(transaction) = self.transactions.iter().find(|known| known.id == message.transaction()).copied()
        else {
            self.stats.unexpected += 1;
            return;
        };
        let remote = self.generation(transaction.generation).and_then(|generation| generation.remote.as_ref());
        if !remote.is_some_and(|remote| message.verify_integrity(remote.pwd.as_bytes(), self.provider)) {
            self.stats.unauthenticated += 1;
            return;
        }
        self.stats.responses_received += 1;
        self.forget_transactions(|known| known.id == transaction.id);
        // RFC 8445 section 7.2.5.2.1: an answer from elsewhere says that there is no such path.
        if path != transaction.path || message.not_understood().next().is_some() {
            self.stats.unexpected += 1;
            self.fail(&transaction);
            return;
        }
        match (message.class(), message.error_code()) {
            (Class::Success, _) if message.mapped_address().is_some() => self.succeed(&transaction),
            (Class::Error, Some(ErrorCode { code: 487, .. })) => self.give_way(&transaction),
            _ => self.fail(&transaction),
        }
    }

    /// RFC 8445 section 7.2.5.1: the role switches, the check is repeated, the tie-breaker is another.
    fn give_way(&mut self, transaction: &Transaction) {
        if transaction.controlling == self.role.controlling && !self.remote_lite {
            self.role.tie_breaker = rand::Rng::next_u64(&mut self.random);
            self.lose_conflict(!transaction.controlling);
        }
        if let Some(pair) = self.pair_of(transaction) {
            self.session.list.trigger(pair);
        }
    }

    fn fail(&mut self, transaction: &Transaction) {
        if let Some(pair) = self.pair_of(transaction) {
            self.fail_pair(pair);
        }
    }

    /// The pair that the transaction is, or was, a check of.
    fn pair_of(&self, transaction: &Transaction) -> Option<PairId> {
        match transaction.purpose {
            Purpose::Check { pair, .. } if transaction.generation == self.session.generation.number => Some(pair),
            _ => None,
        }
    }

    fn succeed(&mut self, transaction: &Transaction) {
        let path = transaction.path;
        let sample = (!transaction.repeated).then(|| self.now - transaction.sent_at);
        self.validate(path, true);
        if let Some(active) = &mut self.active
            && active.consent.path == path
            && active.generation == transaction.generation
        {
            active.consent.answered(self.now);
            if let Some(sample) = sample {
                let smoothed = self.round_trip_time.map_or(sample, |known| (known * 7 + sample) / 8);
                self.round_trip_time = Some(smoothed);
            }
        }
        if transaction.generation != self.session.generation.number {
            return;
        }
        let of_consent = || self.session.list.of_path(path);
        let Some(id) = self.pair_of(transaction).or_else(of_consent) else { return };
        let use_candidate = matches!(transaction.purpose, Purpose::Check { use_candidate: true, .. });
        let controlling = self.role.controlling;
        let Some(pair) = self.session.list.get_mut(id) else { return };
        // While a nomination is under way, an answer to the check before it does not end it.
        let nominating = controlling && pair.nominate && !use_candidate;
        if !nominating {
            (pair.state, pair.check) = (PairState::Succeeded, None);
        }
        pair.valid = true;
        pair.answered_at = Some(self.now);
        pair.round_trip_time = sample.or(pair.round_trip_time);
        let nominated = pair.nominate && if controlling { use_candidate } else { true };
        let foundation = pair.foundation;
        self.session.list.thaw(foundation);
        if nominated {
            self.nominated(id);
        }
        self.select_if_none();
    }
}
