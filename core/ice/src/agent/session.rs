//! What one generation knows of the other side: credentials, candidates, pairs. A restart begins another.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use wigwag_proto::{Instant, UdpPath};
use wigwag_stun::TransactionId;

use super::{Agent, Failure, Socket};
use crate::candidate::{Candidate, CandidateAddress, CandidateKind, Transport};
use crate::checklist::{CheckList, PairId, pair_priority};
use crate::config::Config;
use crate::credentials::{Credentials, UFRAG_LEN};
use crate::event::{ConnectionState, Key};

/// Checks that came before we knew whose they are, each path once: enough for every pair of a usual host.
pub(super) const MAX_EARLY: usize = 16;
/// One for each pair, a few that were cancelled, and consent.
pub(super) const MAX_TRANSACTIONS: usize = 256;
/// RFC 8839 section 5.4.
pub(super) const MAX_UFRAG: usize = 256;

/// The credentials of both sides.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) local: Credentials,
    pub(super) remote: Option<Credentials>,
}

/// A remote candidate.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) address: SocketAddr,
    pub(super) priority: u32,
    pub(super) kind: CandidateKind,
    pub(super) foundation: u32,
    /// `None` for a peer-reflexive one: it shares its foundation with none. RFC 8445 section 7.3.1.3.
    foundation_text: Option<String>,
    ufrag: Option<String>,
}

/// A check that came before the credentials of its sender.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) path: UdpPath,
    pub(super) ufrag: String,
    pub(super) priority: u32,
    pub(super) use_candidate: bool,
}

/// What a request of ours was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Check { pair: PairId, use_candidate: bool },
    Consent,
}

/// A request of ours that may be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    pub(super) id: TransactionId,
    pub(super) path: UdpPath,
    pub(super) generation: u32,
    pub(super) purpose: Purpose,
    /// The role that it claimed.
    pub(super) controlling: bool,
    pub(super) sent_at: Instant,
    pub(super) repeated: bool,
}

/// How long nothing counts as failed. RFC 8863.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    NotStarted,
    /// It starts with the next call that tells the time.
    Starting,
    Until(Instant),
    Over,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) generation: Generation,
    pub(super) remotes: Vec<Remote>,
    foundations: u32,
    pub(super) remote_end: bool,
    pub(super) list: CheckList,
    pub(super) early: VecDeque<Early>,
    pub(super) nominated: Option<PairId>,
    /// When the other side last nominated that pair.
    pub(super) nominated_at: Instant,
    /// The other side's latest nominations: one that comes late, or twice, is not a new one.
    pub(super) nominations: VecDeque<TransactionId>,
    /// When the best valid pair is nominated, though a better one may follow.
    pub(super) nominate_at: Option<Instant>,
    pub(super) patience: Patience,
    pub(super) checks_sent: u32,
}

impl Session {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            generation,
            remotes: Vec::new(),
            foundations: 0,
            remote_end: false,
            list: CheckList::default(),
            early: VecDeque::new(),
            nominated: None,
            nominated_at: Instant(0),
            nominations: VecDeque::new(),
            nominate_at: None,
            patience: Patience::NotStarted,
            checks_sent: 0,
        }
    }

    pub(super) fn start_patience(&mut self, now: Instant, config: &Config) {
        if self.patience == Patience::Starting {
            self.patience = Patience::Until(now + config.patience);
        }
    }

    pub(super) fn close(&mut self) {
        self.remotes.clear();
        self.early.clear();
        self.list = CheckList::default();
        self.nominated = None;
        self.nominate_at = None;
        self.patience = Patience::NotStarted;
    }

    fn foundation(&mut self, text: Option<&str>) -> u32 {
        let same = self.remotes.iter().find(|remote| text.is_some() && remote.foundation_text.as_deref() == text);
        same.map(|remote| remote.foundation).unwrap_or_else(|| {
            self.foundations = self.foundations.wrapping_add(1);
            self.foundations
        })
    }
}

impl Agent {
    pub(super) fn generation(&self, number: u32) -> Option<&Generation> {
        let generations = std::iter::once(&self.session.generation).chain(&self.previous);
        generations.into_iter().find(|generation| generation.number == number)
    }

    /// The session is another from now on; the path in use keeps its credentials.
    pub(super) fn begin_generation(&mut self, local: Credentials) {
        self.names.forget_candidates();
        let number = self.session.generation.number.wrapping_add(1);
        let session = Session::new(Generation { number, local, remote: None });
        let old = std::mem::replace(&mut self.session, session).generation;
        if self.active.as_ref().is_some_and(|active| active.generation == old.number) {
            self.drop_previous();
            self.previous = Some(old);
        } else {
            self.retire(&old);
        }
        let kept = self.active.as_ref().map(|active| active.consent.path);
        self.validated.forget(|path| Some(path) != kept, &mut self.endpoint_events);
        let checks = |transaction: &Transaction| transaction.purpose != Purpose::Consent;
        self.forget_transactions(checks);
        self.was_connected = self.active.is_some();
        self.failure = None;
        self.next_check_at = self.now;
    }

    /// The path of the generation before is no longer in use.
    pub(super) fn drop_previous(&mut self) {
        if let Some(old) = self.previous.take() {
            self.retire(&old);
        }
    }

    fn retire(&mut self, old: &Generation) {
        self.forget_transactions(|transaction| transaction.generation == old.number);
        self.responses.retain(|response| response.generation != old.number);
        // New remote credentials alone begin a generation too: that shares our fragment.
        let mut others = std::iter::once(&self.session.generation).chain(&self.previous);
        if others.all(|other| other.local != old.local) {
            self.forget_fragment(old.local.fragment());
        }
    }

    pub(super) fn learn_fragment(&mut self) {
        if let Some(fragment) = self.session.generation.local.fragment() {
            self.endpoint_events.learn(Key::Fragment(fragment));
        }
    }

    pub(super) fn forget_fragment(&mut self, fragment: Option<[u8; UFRAG_LEN]>) {
        if let Some(fragment) = fragment {
            self.endpoint_events.forget(Key::Fragment(fragment));
        }
    }

    pub(super) fn forget_transactions(&mut self, which: impl Fn(&Transaction) -> bool) {
        let endpoint_events = &mut self.endpoint_events;
        self.transactions.retain(|transaction| {
            let forget = which(transaction);
            if forget {
                endpoint_events.forget(Key::Transaction(transaction.id));
            }
            !forget
        });
    }

    pub(super) fn apply_remote_credentials(&mut self, remote: Credentials) {
        let known = &self.session.generation.remote;
        if self.state == ConnectionState::Closed || known.as_ref() == Some(&remote) {
            return;
        }
        if known.is_some() {
            let local = self.session.generation.local.clone();
            self.begin_generation(local);
        }
        let session = &mut self.session;
        let of_another = |candidate: &Remote| candidate.ufrag.as_ref().is_some_and(|ufrag| *ufrag != remote.ufrag);
        let strangers = session.remotes.extract_if(.., |candidate| of_another(candidate)).collect::<Vec<_>>();
        session.patience = Patience::Starting;
        session.generation.remote = Some(remote);
        if self.failure == Some(Failure::NoPair) {
            self.failure = None;
        }
        for stranger in strangers {
            self.stats.candidates_ignored += 1;
            self.remove_pairs(|path| path.remote == stranger.address);
        }
        for early in std::mem::take(&mut self.session.early) {
            if self.session.generation.remote.as_ref().is_some_and(|remote| remote.ufrag == early.ufrag) {
                self.triggered(early.path, early.priority, early.use_candidate);
            }
        }
        self.select_between_lites();
    }

    pub(super) fn apply_remote_candidate(&mut self, candidate: Candidate) {
        if self.state == ConnectionState::Closed {
            return;
        }
        let remote = self.session.generation.remote.as_ref();
        let of_another = candidate.ufrag.as_ref().zip(remote).is_some_and(|(ufrag, remote)| *ufrag != remote.ufrag);
        let usable = candidate.component == 1 && candidate.transport == Transport::Udp && !of_another;
        if let CandidateAddress::Name(name, _) = &candidate.address
            && usable
        {
            let name = name.clone();
            self.look_up(&name, candidate);
            return;
        }
        let address = candidate.socket_addr().map(canonical).filter(|&address| is_reachable(address));
        let (true, Some(address)) = (usable, address) else {
            self.stats.candidates_ignored += 1;
            return;
        };
        if let Some(known) = self.session.remotes.iter().position(|known| known.address == address) {
            self.confirm_remote(known, candidate);
            return;
        }
        let foundation = self.session.foundation(Some(&candidate.foundation));
        let Candidate { priority, kind, ufrag, foundation: text, .. } = candidate;
        let remote = Remote { address, priority, kind, foundation, foundation_text: Some(text), ufrag };
        if self.insert_remote(remote) {
            for index in 0..self.sockets.len() {
                self.pair(index, address, false);
            }
            self.select_between_lites();
        }
    }

    /// A peer-reflexive candidate turns out to be one that the other side told later than it checked. RFC 8445 section
    /// 7.3.1.3.
    fn confirm_remote(&mut self, known: usize, candidate: Candidate) {
        let foundation = self.session.foundation(Some(&candidate.foundation));
        let session = &mut self.session;
        let Some(remote) = session.remotes.get_mut(known) else { return };
        if remote.kind != CandidateKind::PeerReflexive {
            return;
        }
        remote.kind = candidate.kind;
        remote.priority = candidate.priority;
        remote.foundation = foundation;
        remote.foundation_text = Some(candidate.foundation);
        for pair in session.list.iter_mut().filter(|pair| pair.path.remote == remote.address) {
            pair.remote_priority = remote.priority;
            pair.foundation.1 = foundation;
        }
        session.list.sort(self.role.controlling);
        let address = remote.address;
        for index in 0..self.sockets.len() {
            self.pair(index, address, false);
        }
    }

    /// Whether there is room, perhaps instead of a less important one.
    fn insert_remote(&mut self, remote: Remote) -> bool {
        let same_ip = self.session.remotes.iter().filter(|known| known.address.ip() == remote.address.ip());
        let crowded = same_ip.count() >= self.config.max_remote_candidates_per_address;
        let full = self.session.remotes.len() >= self.config.max_remote_candidates;
        // Who was heard comes in before any that was only told of, whatever priorities those were given.
        let least = if remote.kind == CandidateKind::PeerReflexive { u32::MAX } else { remote.priority };
        if crowded || (full && !self.evict_remote(least)) {
            self.stats.candidates_ignored += 1;
            return false;
        }
        self.session.remotes.push(remote);
        true
    }

    /// Makes room for one of this priority.
    fn evict_remote(&mut self, priority: u32) -> bool {
        let session = &mut self.session;
        let in_use = |address| session.list.iter().any(|pair| pair.path.remote == address && pair.valid);
        let idle = session.remotes.iter().enumerate().filter(|(_, remote)| !in_use(remote.address));
        let Some((index, least)) = idle.min_by_key(|(_, remote)| remote.priority) else { return false };
        if least.priority >= priority {
            return false;
        }
        let address = session.remotes.swap_remove(index).address;
        self.stats.candidates_ignored += 1;
        self.remove_pairs(|path| path.remote == address);
        true
    }

    /// The pair of a check that came from an address which nobody told.
    pub(super) fn pair_of_check(&mut self, path: UdpPath, priority: u32) -> Option<PairId> {
        if let Some(known) = self.session.list.of_path(path) {
            return Some(known);
        }
        if !self.session.remotes.iter().any(|remote| remote.address == path.remote) {
            let foundation = self.session.foundation(None);
            let (address, kind) = (path.remote, CandidateKind::PeerReflexive);
            let remote = Remote { address, priority, kind, foundation, foundation_text: None, ufrag: None };
            if !self.insert_remote(remote) {
                return None;
            }
        }
        let index = self.sockets.iter().position(|socket| socket.local == path.local)?;
        self.pair(index, path.remote, true);
        self.session.list.of_path(path)
    }

    pub(super) fn pair_socket(&mut self, local: SocketAddr) {
        let Some(index) = self.sockets.iter().position(|socket| socket.local == local) else { return };
        let told = self.session.remotes.iter().filter(|remote| remote.kind != CandidateKind::PeerReflexive);
        for address in told.map(|remote| remote.address).collect::<Vec<_>>() {
            self.pair(index, address, false);
        }
        self.select_between_lites();
    }

    /// RFC 8445 section 6.1.2.2; `works` says that a check came this way.
    fn pair(&mut self, index: usize, address: SocketAddr, works: bool) {
        let Some(socket) = self.sockets.get(index) else { return };
        let (&Socket { local, priority, foundation, .. }, is_shown) = (socket, self.is_shown(socket));
        let session = &mut self.session;
        let Some(remote) = session.remotes.iter().find(|remote| remote.address == address) else { return };
        let path = UdpPath { local, remote: address };
        if self.config.lite
            || !is_shown
            || session.list.of_path(path).is_some()
            || !(works || may_pair(local.ip(), address.ip()))
        {
            return;
        }
        let (foundation, remote_priority) = ((foundation, remote.foundation), remote.priority);
        if session.list.len() >= self.config.max_pairs {
            let new = pair_priority(self.role.controlling, priority, remote_priority);
            let Some(least) = session.list.evictable() else { return };
            if session.list.get(least).is_some_and(|least| least.priority >= new) && !works {
                return;
            }
            self.remove_pair(least);
        }
        self.session.list.insert(path, foundation, self.role.controlling, priority, remote_priority);
        self.ask_permission(path);
    }

    fn remove_pair(&mut self, id: PairId) {
        self.session.list.remove(id);
        self.forget_transactions(
            |transaction| matches!(transaction.purpose, Purpose::Check { pair, .. } if pair == id),
        );
        if self.session.nominated == Some(id) {
            self.session.nominated = None;
        }
    }

    pub(super) fn remove_pairs(&mut self, which: impl Fn(UdpPath) -> bool) {
        let pairs = self.session.list.iter().filter(|pair| which(pair.path));
        for id in pairs.map(|pair| pair.id).collect::<Vec<_>>() {
            self.remove_pair(id);
        }
    }

    pub(super) fn forget_socket(&mut self, local: SocketAddr) {
        self.remove_pairs(|path| path.local == local);
        self.forget_transactions(|transaction| transaction.path.local == local);
        self.responses.retain(|response| response.path.local != local);
        self.session.early.retain(|early| early.path.local != local);
        self.validated.forget(|path| path.local == local, &mut self.endpoint_events);
        if self.active.as_ref().is_some_and(|active| active.consent.path.local == local) {
            self.lose_path();
        }
        self.forget_name(local.ip());
    }
}

/// An IPv4 address in IPv6's clothes is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether anybody could be there: no check is ever sent to many at once.
fn is_reachable(address: SocketAddr) -> bool {
    let broadcast = matches!(address.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    !address.ip().is_unspecified() && !address.ip().is_multicast() && !broadcast && address.port() != 0
}

/// RFC 8445 section 6.1.2.2: the same family, and link-local with link-local in IPv6. And nobody makes us speak to our
/// own loopback, unless we chose to be there.
fn may_pair(local: IpAddr, remote: IpAddr) -> bool {
    if remote.is_loopback() && !local.is_loopback() {
        return false;
    }
    match (local, remote) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(local), IpAddr::V6(remote)) => local.is_unicast_link_local() == remote.is_unicast_link_local(),
        _ => false,
    }
}
