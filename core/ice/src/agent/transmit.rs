//! What leaves: answers first, since somebody waits for them, then consent, repeated checks, new checks.

use rand::Rng;
use wigwag_proto::{Instant, Route, Transmit, TransmitBuffer, UdpPath};
use wigwag_stun::TransactionId;

use super::Agent;
use super::session::{MAX_TRANSACTIONS, Purpose, Transaction};
use crate::candidate::CandidateKind;
use crate::checklist::{Check, PairId, PairState};
use crate::event::Key;
use crate::write::{self, CheckMessage};

/// Room for the longest message: a check with a fragment of 256 characters, in an indication; or a request to a server, with its
/// realm and nonce.
const MAX_MESSAGE: usize = 1200;

impl Agent {
    pub(super) fn transmit(&mut self, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        if self.names.mdns.can_transmit() {
            return self.names.mdns.poll_transmit(self.now, out);
        }
        out.start();
        let room = out.segment(MAX_MESSAGE)?;
        let (route, len) = match self.write_for_servers(room) {
            Some(written) => written,
            None => {
                let (path, len) = self.write(room)?;
                self.wrap(path, room, len)?
            }
        };
        out.push(len);
        out.finish(route)
    }

    fn write_for_servers(&mut self, room: &mut [u8]) -> Option<(Route, usize)> {
        let keeps = self.keeps_mappings();
        let is_idle = self.responses.is_empty() && self.servers.next_transmit(keeps) <= self.now;
        let (servers, mut context) = self.split();
        let written = is_idle.then(|| servers.write(room, keeps, &mut context))?;
        self.hear_servers();
        written
    }

    /// Puts around a message what its path wants. Short and rare as they are, they may be moved for that.
    fn wrap(&mut self, path: UdpPath, room: &mut [u8], len: usize) -> Option<(Route, usize)> {
        let wire = self.wire(path)?;
        let prefix = wire.overhead().prefix;
        if prefix > 0 {
            room.get(..prefix + len)?;
            room.copy_within(..len, prefix);
        }
        Some((wire.route(), wire.frame(room, len)?))
    }

    /// What does not fit into `room` stays where it is.
    fn write(&mut self, room: &mut [u8]) -> Option<(UdpPath, usize)> {
        if !self.responses.is_empty() {
            return self.write_response(room);
        }
        if self.active.as_ref().is_some_and(|active| active.consent.next_at <= self.now) {
            return if self.config.lite { self.write_keep_alive(room) } else { self.write_consent(room) };
        }
        if let Some(pair) = self.unanswered() {
            return self.write_again(pair, room);
        }
        let pair = self.next_check().filter(|_| self.next_check_at <= self.now)?;
        self.write_new(pair, room)
    }

    fn write_response(&mut self, room: &mut [u8]) -> Option<(UdpPath, usize)> {
        let response = self.responses.front()?;
        let pwd = &self.generation(response.generation)?.local.pwd;
        let (path, transaction) = (response.path, response.transaction);
        let len = write::answer(room, response.verdict, transaction, path.remote, pwd, self.provider)?;
        self.responses.pop_front();
        self.stats.responses_sent += 1;
        Some((path, len))
    }

    fn write_keep_alive(&mut self, room: &mut [u8]) -> Option<(UdpPath, usize)> {
        let transaction = self.new_transaction();
        let len = write::keep_alive(room, transaction)?;
        let active = self.active.as_mut()?;
        active.consent.next_at = self.now + self.config.keep_alive_interval;
        Some((active.consent.path, len))
    }

    /// RFC 7675 section 5.1: each has a transaction of its own, and none is repeated.
    fn write_consent(&mut self, room: &mut [u8]) -> Option<(UdpPath, usize)> {
        let id = self.new_transaction();
        let active = self.active.as_ref()?;
        let (path, generation) = (active.consent.path, active.generation);
        let len = self.write_check(room, id, path, generation, self.is_nominated_by_us(path, generation))?;
        if let Some(active) = &mut self.active {
            active.consent.sent(self.now, &self.config, &mut self.random);
        }
        self.stats.consent_checks_sent += 1;
        self.begin(id, path, generation, Purpose::Consent);
        Some((path, len))
    }

    /// Each check on the pair that was nominated says so again: behind a NAT that forgot us, it comes from an address that the
    /// other side does not know, and is to be followed there.
    fn is_nominated_by_us(&self, path: UdpPath, generation: u32) -> bool {
        let nominated = self.session.nominated.and_then(|id| self.session.list.get(id));
        let is_current = generation == self.session.generation.number;
        self.role.controlling && is_current && nominated.is_some_and(|pair| pair.path == path)
    }

    /// A pair whose check is to be repeated.
    fn unanswered(&self) -> Option<PairId> {
        let late = |check: Check| check.next_at <= self.now;
        let mut pairs = self.session.list.iter().filter(|pair| pair.state == PairState::InProgress);
        pairs.find(|pair| pair.check.is_some_and(late)).map(|pair| pair.id)
    }

    fn write_again(&mut self, id: PairId, room: &mut [u8]) -> Option<(UdpPath, usize)> {
        let pair = self.session.list.get(id)?;
        let (path, mut check) = (pair.path, pair.check?);
        let generation = self.session.generation.number;
        let len = self.write_check(room, check.transaction, path, generation, check.use_candidate)?;
        check.timeout *= 2;
        check.next_at = self.now + check.timeout;
        if check.next_at >= check.deadline {
            check.next_at = Instant::NEVER;
        }
        if let Some(pair) = self.session.list.get_mut(id) {
            pair.check = Some(check);
        }
        if let Some(transaction) = self.transactions.iter_mut().find(|known| known.id == check.transaction) {
            transaction.repeated = true;
        }
        self.stats.checks_sent += 1;
        Some((path, len))
    }

    fn write_new(&mut self, id: PairId, room: &mut [u8]) -> Option<(UdpPath, usize)> {
        let transaction = self.new_transaction();
        let pair = self.session.list.get(id)?;
        let (path, generation) = (pair.path, self.session.generation.number);
        let use_candidate = pair.nominate && self.role.controlling || self.is_nominated_by_us(path, generation);
        let len = self.write_check(room, transaction, path, generation, use_candidate)?;
        // RFC 8445 section 14.3.
        let load = self.config.pacing * self.session.list.waiting_or_in_progress();
        let timeout = self.config.retransmission_timeout.max(load);
        let (next_at, deadline) = (self.now + timeout, self.now + self.config.check_timeout);
        self.session.list.start(id, Check { transaction, use_candidate, next_at, timeout, deadline });
        self.session.checks_sent = self.session.checks_sent.saturating_add(1);
        let first = self.session.checks_sent <= self.config.initial_checks;
        self.next_check_at = self.now + if first { self.config.initial_pacing } else { self.config.pacing };
        self.stats.checks_sent += 1;
        tracing::trace!(?path, use_candidate, "check");
        self.begin(transaction, path, generation, Purpose::Check { pair: id, use_candidate });
        Some((path, len))
    }

    fn write_check(
        &self,
        room: &mut [u8],
        transaction: TransactionId,
        path: UdpPath,
        generation: u32,
        use_candidate: bool,
    ) -> Option<usize> {
        let generation = self.generation(generation)?;
        let socket = self.sockets.iter().find(|socket| socket.local == path.local)?;
        // RFC 8445 section 7.1.1: the priority of the peer-reflexive candidate that the check may bring to light.
        let kind = u32::from(CandidateKind::PeerReflexive.type_preference()) << 24;
        let priority = kind | socket.priority & 0x00FF_FFFF;
        let (local, remote, role) = (&generation.local, generation.remote.as_ref()?, self.role);
        CheckMessage { transaction, local, remote, priority, role, use_candidate }.write(room, self.provider)
    }

    fn new_transaction(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.random.fill_bytes(&mut id);
        TransactionId(id)
    }

    fn begin(&mut self, id: TransactionId, path: UdpPath, generation: u32, purpose: Purpose) {
        if self.transactions.len() >= MAX_TRANSACTIONS {
            let oldest = self.transactions.remove(0);
            self.endpoint_events.forget(Key::Transaction(oldest.id));
        }
        let (controlling, sent_at) = (self.role.controlling, self.now);
        self.transactions.push(Transaction { id, path, generation, purpose, controlling, sent_at, repeated: false });
        self.endpoint_events.learn(Key::Transaction(id));
    }
}
