//! The check list: pairs of candidates, the order in which they are checked, and what came of it.
//!
//! A pair is known by its [`UdpPath`]: the base of the local candidate, which is the socket that checks leave from, and
//! the remote address. So pairs that would send the same datagrams are one (RFC 8445 section 6.1.2.4), and a
//! peer-reflexive local candidate needs no pair of its own. There is one component, since RTP and RTCP are multiplexed
//! and media bundled, and so there is one list.
//!
//! ```text
//! Frozen ──────► Waiting ──────► InProgress ──────► Succeeded
//!   its foundation  │  ▲              │      answered
//!   is free         │  └──────────────┤ a check came in: at once again
//!                   │                 ▼
//!                   └──────────────► Failed   unanswered
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::{Instant, UdpPath};
use wigwag_stun::TransactionId;

/// How far a pair is. RFC 8445 section 6.1.2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairState {
    /// Another pair of the same foundation is tried first.
    Frozen,
    /// To be checked.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// None was.
    Failed,
}

/// Names a pair; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId(u32);

/// The local and the remote foundation, as numbers.
pub(crate) type Foundation = (u32, u32);

/// A check under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) transaction: TransactionId,
    pub(crate) use_candidate: bool,
    /// When it is sent again.
    pub(crate) next_at: Instant,
    /// How long it was waited for this time.
    pub(crate) timeout: Duration,
    /// When it has failed.
    pub(crate) deadline: Instant,
}

/// One pair.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) id: PairId,
    pub(crate) path: UdpPath,
    pub(crate) local_priority: u32,
    pub(crate) remote_priority: u32,
    pub(crate) priority: u64,
    pub(crate) foundation: Foundation,
    pub(crate) state: PairState,
    pub(crate) check: Option<Check>,
    /// A check was answered, and none went unanswered since.
    pub(crate) valid: bool,
    /// Controlling: the next check nominates. Controlled: the pair is nominated as soon as it is valid.
    pub(crate) nominate: bool,
    pub(crate) nominated: bool,
    /// The other side checked it, too: so it has our description.
    pub(crate) heard: bool,
    pub(crate) round_trip_time: Option<Duration>,
    pub(crate) answered_at: Option<Instant>,
}

/// A pair's priority. G is the controlling agent's candidate, D the controlled one's. RFC 8445 section 6.1.2.3.
pub(crate) fn pair_priority(controlling: bool, local: u32, remote: u32) -> u64 {
    let (g, d) = if controlling { (local, remote) } else { (remote, local) };
    u64::from(g.min(d)) << 32 | u64::from(g.max(d)) << 1 | u64::from(g > d)
}

/// The pairs in the order of their priority.
#[derive(Debug, Default)]
pub(crate) struct CheckList {
    pairs: Vec<Pair>,
    triggered: VecDeque<PairId>,
    next_id: u32,
}

impl CheckList {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.pairs.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    pub(crate) fn of_path(&self, path: UdpPath) -> Option<PairId> {
        self.pairs.iter().find(|pair| pair.path == path).map(|pair| pair.id)
    }

    /// A new pair in its place. It waits, unless another of its foundation is there already: then it is frozen until
    /// that one has succeeded. RFC 8838 section 12.
    pub(crate) fn insert(
        &mut self,
        path: UdpPath,
        foundation: Foundation,
        controlling: bool,
        local_priority: u32,
        remote_priority: u32,
    ) -> PairId {
        let id = PairId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let mut state = PairState::Waiting;
        for other in self.pairs.iter().filter(|other| other.foundation == foundation) {
            state = match other.state {
                PairState::Succeeded => PairState::Waiting,
                PairState::Frozen | PairState::Waiting | PairState::InProgress => PairState::Frozen,
                PairState::Failed => continue,
            };
            if state == PairState::Waiting {
                break;
            }
        }
        let priority = pair_priority(controlling, local_priority, remote_priority);
        let place = self.pairs.partition_point(|other| other.priority >= priority);
        self.pairs.insert(
            place,
            Pair {
                id,
                path,
                local_priority,
                remote_priority,
                priority,
                foundation,
                state,
                check: None,
                valid: false,
                nominate: false,
                nominated: false,
                heard: false,
                round_trip_time: None,
                answered_at: None,
            },
        );
        id
    }

    /// The pair to give up when there are too many: the least important of those that nothing came of yet.
    pub(crate) fn evictable(&self) -> Option<PairId> {
        let idle = |pair: &&Pair| !pair.valid && !pair.nominate && pair.state != PairState::InProgress;
        self.pairs.iter().rev().find(idle).map(|pair| pair.id)
    }

    pub(crate) fn remove(&mut self, id: PairId) {
        self.pairs.retain(|pair| pair.id != id);
        self.triggered.retain(|&triggered| triggered != id);
    }

    /// The role changed, or a candidate's priority.
    pub(crate) fn sort(&mut self, controlling: bool) {
        for pair in &mut self.pairs {
            pair.priority = pair_priority(controlling, pair.local_priority, pair.remote_priority);
        }
        self.pairs.sort_by_key(|pair| std::cmp::Reverse(pair.priority));
    }

    /// The pair is checked next, whatever it was. The check that is under way is not repeated, but may still be
    /// answered. RFC 8445 section 7.3.1.4.
    pub(crate) fn trigger(&mut self, id: PairId) {
        let Some(pair) = self.get_mut(id) else { return };
        pair.state = PairState::Waiting;
        pair.check = None;
        if !self.triggered.contains(&id) {
            self.triggered.push_back(id);
        }
    }

    /// RFC 8445 section 6.1.4.2: triggered checks, then the most important that waits, then the most important frozen
    /// one whose foundation is not being tried.
    /// Those that may not be checked yet, since a relay has not said yes, are left out.
    pub(crate) fn next(&self, ordinary: bool, may: impl Fn(&Pair) -> bool) -> Option<PairId> {
        let waits = |pair: &Pair| pair.state == PairState::Waiting && may(pair);
        let waiting = |id: &&PairId| self.get(**id).is_some_and(waits);
        if let Some(&triggered) = self.triggered.iter().find(waiting) {
            return Some(triggered);
        }
        if !ordinary {
            return None;
        }
        let first = self.pairs.iter().find(|pair| waits(pair));
        first.or_else(|| self.pairs.iter().find(|pair| self.may_thaw(pair) && may(pair))).map(|pair| pair.id)
    }

    fn may_thaw(&self, frozen: &Pair) -> bool {
        let tried = |pair: &Pair| pair.foundation == frozen.foundation && pair.state == PairState::InProgress;
        frozen.state == PairState::Frozen && !self.pairs.iter().any(tried)
    }

    /// A check of this pair leaves.
    pub(crate) fn start(&mut self, id: PairId, check: Check) {
        self.triggered.retain(|&triggered| triggered != id);
        if let Some(pair) = self.get_mut(id) {
            pair.state = PairState::InProgress;
            pair.check = Some(check);
        }
    }

    /// What worked for one pair of a foundation may work for the others. RFC 8445 section 7.2.5.3.3.
    pub(crate) fn thaw(&mut self, foundation: Foundation) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.foundation == foundation) {
            if pair.state == PairState::Frozen {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// A pair is nominated: the other checks are not repeated. RFC 8445 section 8.1.2.
    pub(crate) fn settle(&mut self, nominated: PairId) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.id != nominated && pair.state == PairState::InProgress) {
            pair.state = PairState::Waiting;
            pair.check = None;
        }
        self.triggered.retain(|&triggered| triggered == nominated);
    }

    /// The selected pair is silent: all are tried anew.
    pub(crate) fn start_over(&mut self) {
        for pair in &mut self.pairs {
            (pair.valid, pair.nominated) = (false, false);
            (pair.state, pair.check) = (PairState::Waiting, None);
        }
    }

    pub(crate) fn best_valid(&self) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.valid)
    }

    /// Whether something may still come of a pair.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = |pair: &Pair| !matches!(pair.state, PairState::Succeeded | PairState::Failed);
        self.pairs.iter().any(busy)
    }

    /// New checks and those under way, for the retransmission timeout. RFC 8445 section 14.3.
    pub(crate) fn waiting_or_in_progress(&self) -> u32 {
        let counts = |pair: &&Pair| matches!(pair.state, PairState::Waiting | PairState::InProgress);
        self.pairs.iter().filter(counts).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(n: u16) -> UdpPath {
        UdpPath { local: ([10, 0, 0, 1], n).into(), remote: ([10, 0, 0, 2], n).into() }
    }

    fn check() -> Check {
        let (at, timeout) = (Instant(0), Duration::ZERO);
        Check { transaction: TransactionId([0; 12]), use_candidate: false, next_at: at, timeout, deadline: at }
    }

    #[test]
    fn both_sides_compute_one_priority() {
        for (a, b) in [(1, 2), (2, 1), (7, 7), (u32::MAX, 0)] {
            assert_eq!(pair_priority(true, a, b), pair_priority(false, b, a));
        }
        assert!(pair_priority(true, 5, 5) < pair_priority(true, 5, 6));
    }

    #[test]
    fn one_of_a_foundation_at_a_time() {
        let mut list = CheckList::default();
        let worse = list.insert(path(1), (0, 0), true, 1, 1);
        let better = list.insert(path(2), (0, 0), true, 2, 2);
        let other = list.insert(path(3), (0, 1), true, 1, 2);
        assert_eq!(list.next(true, |_| true), Some(other));
        list.start(other, check());
        assert_eq!(list.next(true, |_| true), Some(worse), "it came first, and waits");
        list.start(worse, check());
        assert_eq!(list.next(true, |_| true), None);
        list.thaw((0, 0));
        assert_eq!(list.next(true, |_| true), Some(better));
    }

    #[test]
    fn a_triggered_check_comes_first() {
        let mut list = CheckList::default();
        let low = list.insert(path(1), (0, 0), true, 1, 1);
        let high = list.insert(path(2), (1, 0), true, 9, 9);
        list.trigger(low);
        assert_eq!(list.next(true, |_| true), Some(low));
        list.start(low, check());
        assert_eq!(list.next(true, |_| true), Some(high));
        assert_eq!(list.next(false, |_| true), None);
    }
}
