//! Messages that were accepted and not yet cut: one queue per channel, and whose turn it is.
//!
//! Each queue with something to send has a rank, and the lowest is served: the schedulers of RFC 8260 section 3 differ in nothing but what they
//! rank by. With I-DATA a queue is ranked anew after each piece, so that a message of a megabyte holds up nobody; without, the pieces of a message
//! have consecutive TSNs, and one that has begun is finished first.
//!
//! **Weighted fair queueing** ranks by virtual time, which passes by the bytes that are sent, divided by the weight of who sends them. A queue's next piece is
//! ranked by when it would end if the queue had its share; who was idle begins now, with no claim on the past. So a short message on a channel that is mostly
//! idle goes before the next piece of a bulk transfer.
//!
//! **Long messages at once.** A peer that holds the beginnings of many long messages may have no room left for any of their ends. So those that take turns
//! have half of its window together, or there is only one; the others wait for one of them to end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use wigwag_proto::Instant;

use super::FEW;
use super::message::{Cut, Message, Note};
use crate::Scheduler;

/// What a queued message costs beside its bytes.
const QUEUED_OVERHEAD: usize = 64;

#[derive(Debug, Default)]
struct Queue {
    stream: Option<u16>,
    messages: VecDeque<Message>,
    /// The first message was cut already.
    begun: bool,
    /// The number of the message that has begun, and of its next piece.
    sequence: u32,
    fsn: u32,
    /// The numbers that the next messages have.
    next_ordered: u32,
    next_unordered: u32,
    weight: u16,
    /// When its next piece begins, in virtual time.
    begins_at: u64,
    in_round: bool,
    /// What its message counts among the long ones that are on their way.
    reserved: usize,
    parked: bool,
    /// Messages with a lifetime that has not begun.
    unstamped: usize,
    /// No further message is begun.
    held: bool,
    buffered: usize,
    low_threshold: usize,
    closing: bool,
}

/// What a queue is ranked by, and which came first of those with one rank.
type Rank = (u64, u64);

/// What virtual time counts for a byte at a weight of one.
const BYTE: u64 = 1 << 16;

/// All queues, by the slot of their channel.
#[derive(Debug)]
pub(crate) struct Queues {
    queues: Vec<Queue>,
    /// Slots with messages and a stream to send them on, but for the one whose message must be finished.
    round: BinaryHeap<Reverse<(Rank, usize)>>,
    /// That one: only without interleaving.
    unfinished: Option<usize>,
    scheduler: Scheduler,
    interleaving: bool,
    /// Bytes of the long messages that take turns, and their bound.
    reserved: usize,
    max_reserved: usize,
    /// Slots that wait for one of these to end.
    parked: VecDeque<usize>,
    /// What a piece has at most, roughly.
    piece: usize,
    virtual_time: u64,
    /// Counts entries into the round.
    entries: u64,
    /// Counts messages.
    order: u64,
    total: usize,
    limit: usize,
    refused: bool,
    /// Slots with messages whose lifetime has not begun.
    unstamped: Vec<usize>,
    /// Slots that are held.
    held: Vec<usize>,
    /// Some queue has more than a few places.
    grown: bool,
    pub notes: VecDeque<Note>,
    pub expired: u64,
}

impl Queues {
    pub fn new(limit: usize, scheduler: Scheduler, piece: usize) -> Self {
        Self {
            queues: Vec::new(),
            round: BinaryHeap::new(),
            unfinished: None,
            scheduler,
            interleaving: false,
            reserved: 0,
            max_reserved: 0,
            parked: VecDeque::new(),
            piece,
            virtual_time: 0,
            entries: 0,
            order: 0,
            total: 0,
            limit,
            refused: false,
            unstamped: Vec::new(),
            held: Vec::new(),
            grown: false,
            notes: VecDeque::new(),
            expired: 0,
        }
    }

    /// Whether pieces of several messages may take turns, and the peer's window. Known before the first is cut.
    pub fn set_interleaving(&mut self, interleaving: bool, peer_window: usize) {
        (self.interleaving, self.max_reserved) = (interleaving, peer_window / 2);
        let waiting: Vec<usize> = std::iter::from_fn(|| self.round.pop()).map(|Reverse((_, slot))| slot).collect();
        for slot in waiting {
            if let Some(queue) = self.queues.get_mut(slot) {
                queue.in_round = false;
            }
            self.enter(slot);
        }
    }

    /// A channel takes `slot`.
    pub fn open(&mut self, slot: usize, priority: u16) {
        if self.queues.len() <= slot {
            self.queues.resize_with(slot + 1, Queue::default);
        }
        self.close(slot);
        if let Some(queue) = self.queues.get_mut(slot) {
            queue.weight = priority;
        }
    }

    /// The channel's stream is known: its messages can go.
    pub fn set_stream(&mut self, slot: usize, stream: u16) {
        if let Some(queue) = self.queues.get_mut(slot) {
            queue.stream = Some(stream);
            self.enter(slot);
        }
    }

    /// Drops what `slot` holds.
    pub fn close(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
        if queue.in_round {
            leave(slot, &mut self.round, &mut self.unfinished);
        }
        if queue.parked {
            self.parked.retain(|&other| other != slot);
        }
        self.reserved -= queue.reserved;
        self.total -= queue.messages.iter().map(cost).sum::<usize>();
        *queue = Queue::default();
        self.admit();
    }

    /// Drops what all hold.
    pub fn close_all(&mut self) {
        self.round.clear();
        self.unfinished = None;
        self.parked.clear();
        self.reserved = 0;
        self.queues.clear();
        self.held.clear();
        self.unstamped.clear();
        self.notes.clear();
        self.total = 0;
    }

    pub fn is_full_for(&mut self, len: usize) -> bool {
        let full = !self.fits(len);
        self.refused |= full;
        full
    }

    /// An empty buffer takes a message of any length.
    fn fits(&self, len: usize) -> bool {
        self.total == 0 || self.total.saturating_add(len).saturating_add(QUEUED_OVERHEAD) <= self.limit
    }

    fn is_half_free(&self) -> bool {
        self.total <= self.limit / 2
    }

    /// At least half of the buffer is free, and `len` bytes fit.
    pub fn has_room(&self, len: usize) -> bool {
        self.is_half_free() && self.fits(len)
    }

    /// There is room again for who was refused. Told once.
    pub fn poll_writable(&mut self) -> bool {
        self.refused && self.is_half_free() && std::mem::take(&mut self.refused)
    }

    pub fn push(&mut self, slot: usize, mut message: Message) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
        message.order = self.order;
        self.order += 1;
        self.total += cost(&message);
        queue.buffered += counted(&message);
        if message.lifetime.is_some() {
            queue.unstamped += 1;
            if queue.unstamped == 1 {
                self.unstamped.push(slot);
            }
        }
        queue.messages.push_back(message);
        self.grown |= queue.messages.capacity() > FEW;
        self.enter(slot);
    }

    /// The lifetime of what was pushed since the last call begins `now`.
    pub fn stamp(&mut self, now: Instant) {
        while let Some(slot) = self.unstamped.pop() {
            let Some(queue) = self.queues.get_mut(slot) else { continue };
            let count = std::mem::take(&mut queue.unstamped);
            let fresh = queue.messages.iter_mut().rev().filter(|message| message.lifetime.is_some());
            for message in fresh.take(count) {
                message.limit.expires = message.lifetime.take().map_or(Instant::NEVER, |lifetime| now + lifetime);
            }
        }
    }

    /// Lets `slot` begin no further message; one that has begun is finished.
    pub fn hold(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot).filter(|queue| !queue.held) else { return };
        queue.held = true;
        self.held.push(slot);
        if queue.in_round && !queue.begun {
            queue.in_round = false;
            leave(slot, &mut self.round, &mut self.unfinished);
            self.reserved -= std::mem::take(&mut queue.reserved);
            self.admit();
        }
    }

    /// Those that were held go on.
    pub fn release_held(&mut self) {
        while let Some(slot) = self.held.pop() {
            if let Some(queue) = self.queues.get_mut(slot) {
                queue.held = false;
                self.enter(slot);
            }
        }
    }

    pub fn has_grown(&self) -> bool {
        self.grown || self.round.capacity() > FEW || self.notes.capacity() > FEW
    }

    /// Gives back places that are not used.
    pub fn release_memory(&mut self) {
        for queue in &mut self.queues {
            queue.messages.shrink_to_fit();
        }
        self.round.shrink_to_fit();
        self.notes.shrink_to_fit();
        self.grown = false;
    }

    pub fn buffered(&self, slot: usize) -> usize {
        self.queues.get(slot).map_or(0, |queue| queue.buffered)
    }

    pub fn set_low_threshold(&mut self, slot: usize, bytes: usize) {
        if let Some(queue) = self.queues.get_mut(slot) {
            queue.low_threshold = bytes;
        }
    }

    /// A [`Note::Drained`] is wanted. It may come at once.
    pub fn close_when_empty(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
        queue.closing = true;
        if queue.messages.is_empty() {
            self.notes.push_back(Note::Drained(slot));
        }
    }

    /// Nothing waits that could be sent.
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// Who is served.
    fn first(&self) -> Option<usize> {
        self.unfinished.or_else(|| self.round.peek().map(|&Reverse((_, slot))| slot))
    }

    /// Lets `slot` wait for its turn, if it has something to wait for.
    fn enter(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
        let Some(message) = queue.messages.front() else { return };
        if queue.stream.is_none() || queue.in_round || queue.parked || queue.held && !queue.begun {
            return;
        }
        let len = message.data.len();
        if self.interleaving && len > self.piece && queue.reserved == 0 {
            if self.reserved > 0 && self.reserved + len > self.max_reserved {
                queue.parked = true;
                self.parked.push_back(slot);
                return;
            }
            queue.reserved = len;
            self.reserved += len;
        }
        let rank = match self.scheduler {
            Scheduler::FirstCome => message.order,
            Scheduler::RoundRobin => 0,
            Scheduler::Priority => u64::from(u16::MAX - queue.weight),
            Scheduler::WeightedFair => {
                let len = if self.interleaving { message.data.len().min(self.piece) } else { message.data.len() };
                queue.begins_at = queue.begins_at.max(self.virtual_time);
                queue.begins_at + virtual_length(len, queue.weight)
            }
        };
        queue.in_round = true;
        self.entries += 1;
        self.round.push(Reverse(((rank, self.entries), slot)));
    }

    /// Lets those in that waited for a long message to end, as far as there is room for theirs.
    fn admit(&mut self) {
        while let Some(&slot) = self.parked.front() {
            let len = self.queues.get(slot).and_then(|queue| queue.messages.front()).map_or(0, |it| it.data.len());
            if self.reserved > 0 && self.reserved + len > self.max_reserved {
                return;
            }
            self.parked.pop_front();
            if let Some(queue) = self.queues.get_mut(slot) {
                queue.parked = false;
            }
            self.enter(slot);
        }
    }

    /// The length of what is to be cut next.
    pub fn next_len(&self) -> Option<usize> {
        let queue = self.queues.get(self.first()?)?;
        queue.messages.front().map(|message| message.data.len())
    }

    /// Whether the next message has begun, so that cutting it further needs no decision.
    pub fn next_begun(&self) -> bool {
        self.first().and_then(|slot| self.queues.get(slot)).is_some_and(|queue| queue.begun)
    }

    /// Drops messages at the head whose time is over.
    pub fn drop_expired(&mut self, now: Instant) {
        while let Some(slot) = self.first() {
            let Some(queue) = self.queues.get_mut(slot) else { return };
            let over = !queue.begun && queue.messages.front().is_some_and(|message| message.limit.expires <= now);
            if !over {
                return;
            }
            self.expired += 1;
            self.finish(slot);
        }
    }

    /// Cuts up to `room` bytes off the message whose turn it is.
    pub fn cut(&mut self, room: usize) -> Option<Cut> {
        let slot = self.first()?;
        let queue = self.queues.get_mut(slot)?;
        let stream = queue.stream?;
        let message = queue.messages.front_mut()?;
        let data = message.data.split_to(message.data.len().min(room));
        let begins = !std::mem::replace(&mut queue.begun, true);
        if begins {
            let next = if message.unordered { &mut queue.next_unordered } else { &mut queue.next_ordered };
            (queue.sequence, queue.fsn) = (*next, 0);
            *next = next.wrapping_add(1);
        }
        let ends = message.data.is_empty();
        let cut = Cut {
            slot,
            stream,
            sequence: queue.sequence,
            fsn: queue.fsn,
            ppid: message.ppid,
            unordered: message.unordered,
            begins,
            ends,
            limit: message.limit,
            data,
        };
        queue.fsn = queue.fsn.wrapping_add(1);
        let len = cut.data.len();
        self.virtual_time = self.virtual_time.max(queue.begins_at);
        queue.begins_at += virtual_length(len, queue.weight);
        if message.counted {
            lower(queue, slot, len, &mut self.notes);
            self.total -= len;
        }
        if ends {
            self.finish(slot);
        } else if self.interleaving {
            self.leave(slot);
            self.enter(slot);
        } else if self.unfinished.is_none() {
            self.round.pop();
            self.unfinished = Some(slot);
        }
        Some(cut)
    }

    /// The rest of a message that was begun is not worth sending any more.
    pub fn abandon_begun(&mut self, slot: usize) {
        if self.queues.get(slot).is_some_and(|queue| queue.begun) {
            self.finish(slot);
        }
    }

    fn leave(&mut self, slot: usize) {
        if let Some(queue) = self.queues.get_mut(slot).filter(|queue| queue.in_round) {
            queue.in_round = false;
            leave(slot, &mut self.round, &mut self.unfinished);
        }
    }

    /// Takes out the first message of `slot`, and passes the turn on.
    fn finish(&mut self, slot: usize) {
        self.leave(slot);
        let Some(queue) = self.queues.get_mut(slot) else { return };
        if let Some(message) = queue.messages.pop_front() {
            self.total -= cost(&message);
            lower(queue, slot, counted(&message), &mut self.notes);
        }
        queue.begun = false;
        self.reserved -= std::mem::take(&mut queue.reserved);
        if queue.closing && queue.messages.is_empty() {
            self.notes.push_back(Note::Drained(slot));
        }
        self.admit();
        self.enter(slot);
    }
}

/// Takes `slot` out of the round: at once if it is first, as it is but when a channel closes, waits or gives up.
fn leave(slot: usize, round: &mut BinaryHeap<Reverse<(Rank, usize)>>, unfinished: &mut Option<usize>) {
    if *unfinished == Some(slot) {
        *unfinished = None;
    } else if round.peek().is_some_and(|&Reverse((_, first))| first == slot) {
        round.pop();
    } else {
        round.retain(|&Reverse((_, other))| other != slot);
    }
}

/// How long `len` bytes take a queue of this weight.
fn virtual_length(len: usize, weight: u16) -> u64 {
    len as u64 * BYTE / u64::from(weight.max(1))
}

fn lower(queue: &mut Queue, slot: usize, bytes: usize, notes: &mut VecDeque<Note>) {
    let before = queue.buffered;
    queue.buffered = before - bytes;
    if before > queue.low_threshold && queue.buffered <= queue.low_threshold {
        notes.push_back(Note::Low(slot));
    }
}

/// What counts against the bound: not what the engine says on its own behalf.
fn cost(message: &Message) -> usize {
    if message.counted { message.data.len() + QUEUED_OVERHEAD } else { 0 }
}

fn counted(message: &Message) -> usize {
    if message.counted { message.data.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::send::message::Limit;

    fn message(len: usize) -> Message {
        Message {
            data: Bytes::from(vec![0; len]),
            ppid: 53,
            unordered: false,
            limit: Limit::RELIABLE,
            lifetime: None,
            counted: true,
            order: 0,
        }
    }

    fn queues(scheduler: Scheduler, interleaving: bool, priorities: &[u16]) -> Queues {
        let mut queues = Queues::new(1 << 20, scheduler, 10);
        queues.set_interleaving(interleaving, 1 << 20);
        for (slot, priority) in priorities.iter().enumerate() {
            queues.open(slot, *priority);
            queues.set_stream(slot, slot as u16);
        }
        queues
    }

    /// Streams, in the order in which pieces of at most ten bytes leave.
    fn order(queues: &mut Queues) -> Vec<u16> {
        std::iter::from_fn(|| queues.cut(10)).map(|cut| cut.stream).collect()
    }

    #[test]
    fn a_message_is_finished_before_the_turn_passes() {
        let mut queues = queues(Scheduler::RoundRobin, false, &[256, 256]);
        for slot in [0, 1] {
            queues.push(slot, message(25));
            queues.push(slot, message(5));
        }
        let cuts: Vec<_> =
            std::iter::from_fn(|| queues.cut(10)).map(|cut| (cut.stream, cut.sequence, cut.fsn)).collect();
        assert_eq!(cuts, [(0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 0, 0), (1, 0, 1), (1, 0, 2), (0, 1, 0), (1, 1, 0)]);
        assert_eq!(queues.total, 0);
    }

    #[test]
    fn who_is_served() {
        let fill = |queues: &mut Queues| {
            queues.push(1, message(30));
            queues.push(0, message(30));
            queues.push(1, message(10));
        };
        for (scheduler, interleaving, expected) in [
            (Scheduler::FirstCome, true, [1, 1, 1, 0, 0, 0, 1]),
            (Scheduler::FirstCome, false, [1, 1, 1, 0, 0, 0, 1]),
            (Scheduler::RoundRobin, true, [1, 0, 1, 0, 1, 0, 1]),
            (Scheduler::RoundRobin, false, [1, 1, 1, 0, 0, 0, 1]),
            (Scheduler::Priority, true, [0, 0, 0, 1, 1, 1, 1]),
            (Scheduler::WeightedFair, true, [0, 1, 0, 0, 1, 1, 1]),
        ] {
            let mut queues = queues(scheduler, interleaving, &[512, 256]);
            fill(&mut queues);
            assert_eq!(order(&mut queues), expected, "{scheduler:?}, interleaving: {interleaving}");
        }
    }

    #[test]
    fn shares_are_in_proportion_to_weights_and_idleness_earns_nothing() {
        let mut queues = queues(Scheduler::WeightedFair, true, &[128, 1024, 256]);
        queues.push(0, message(200_000));
        for _ in 0..1000 {
            assert_eq!(queues.cut(10).unwrap().slot, 0, "alone it has everything");
        }
        queues.push(1, message(200_000));
        let mut cut = [0; 3];
        for _ in 0..900 {
            cut[queues.cut(10).unwrap().slot] += 1;
        }
        assert!((795..=805).contains(&cut[1]), "eight ninths: {cut:?}");
        queues.push(2, message(5));
        let waited = (0..).take_while(|_| queues.cut(10).unwrap().slot != 2).count();
        assert!(waited <= 2, "a short message of somebody who was idle: {waited}");
    }

    #[test]
    fn long_messages_that_take_turns_fit_into_the_peers_window() {
        let mut queues = queues(Scheduler::RoundRobin, false, &[256; 4]);
        for slot in 0..3 {
            queues.push(slot, message(40));
        }
        queues.set_interleaving(true, 160);
        queues.push(3, message(9));
        let cuts = order(&mut queues);
        assert_eq!(cuts, [0, 1, 3, 0, 1, 0, 1, 0, 1, 2, 2, 2, 2], "the third waits for an end, the short one for none");
        assert_eq!((queues.total, queues.reserved), (0, 0));
    }

    #[test]
    fn what_is_given_up_or_held_between_others() {
        let mut queues = queues(Scheduler::RoundRobin, true, &[256, 256, 256]);
        for slot in 0..3 {
            queues.push(slot, message(30));
            queues.push(slot, message(10));
        }
        assert_eq!([0, 1, 2].map(|_| queues.cut(10).unwrap().slot), [0, 1, 2]);
        queues.abandon_begun(1);
        queues.hold(2);
        let rest: Vec<_> = std::iter::from_fn(|| queues.cut(10)).map(|cut| (cut.slot, cut.sequence, cut.fsn)).collect();
        assert_eq!(rest, [(0, 0, 1), (2, 0, 1), (1, 1, 0), (0, 0, 2), (2, 0, 2), (0, 1, 0)]);
        queues.release_held();
        assert_eq!(queues.cut(10).map(|cut| (cut.slot, cut.sequence)), Some((2, 1)));
        assert!(queues.is_empty() && queues.total == 0);
    }

    #[test]
    fn the_bound_the_threshold_and_the_drain() {
        let mut queues = Queues::new(1000, Scheduler::default(), 1200);
        queues.open(0, 256);
        queues.set_stream(0, 4);
        assert!(!queues.is_full_for(5000), "a long message goes into an empty queue");
        queues.push(0, message(900));
        assert!(queues.is_full_for(100) && !queues.poll_writable());
        queues.set_low_threshold(0, 500);
        queues.close_when_empty(0);
        queues.cut(400);
        assert_eq!(queues.notes.pop_front(), Some(Note::Low(0)));
        queues.cut(500);
        assert_eq!(queues.notes.pop_front(), Some(Note::Drained(0)));
        assert!(queues.poll_writable() && !queues.poll_writable());
    }
}
