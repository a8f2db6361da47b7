//! Messages that were accepted and not yet cut: one queue per channel, served in turns.
//!
//! A message that has begun is finished before the next channel's turn: without interleaving (RFC 8260) its pieces have
//! consecutive TSNs.

use std::collections::VecDeque;

use wigwag_proto::Instant;

use super::FEW;
use super::message::{Cut, Message, Note};

/// What a queued message costs beside its bytes.
const QUEUED_OVERHEAD: usize = 64;

#[derive(Debug, Default)]
struct Queue {
    stream: Option<u16>,
    messages: VecDeque<Message>,
    /// The first message was cut already.
    begun: bool,
    next_ssn: u16,
    in_round: bool,
    /// Messages with a lifetime that has not begun.
    unstamped: usize,
    /// No further message is begun.
    held: bool,
    buffered: usize,
    low_threshold: usize,
    closing: bool,
}

/// All queues, by the slot of their channel.
#[derive(Debug)]
pub(crate) struct Queues {
    queues: Vec<Queue>,
    /// Slots with messages and a stream to send them on; the first is being served.
    round: VecDeque<usize>,
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
    pub fn new(limit: usize) -> Self {
        Self {
            queues: Vec::new(),
            round: VecDeque::new(),
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

    /// A channel takes `slot`.
    pub fn open(&mut self, slot: usize) {
        if self.queues.len() <= slot {
            self.queues.resize_with(slot + 1, Queue::default);
        }
        self.close(slot);
    }

    /// The channel's stream is known: its messages can go.
    pub fn set_stream(&mut self, slot: usize, stream: u16) {
        if let Some(queue) = self.queues.get_mut(slot) {
            queue.stream = Some(stream);
            enter_round(queue, slot, &mut self.round);
        }
    }

    /// Drops what `slot` holds.
    pub fn close(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
        if queue.in_round {
            self.round.retain(|&other| other != slot);
        }
        self.total -= queue.messages.iter().map(cost).sum::<usize>();
        *queue = Queue::default();
    }

    /// Drops what all hold.
    pub fn close_all(&mut self) {
        self.round.clear();
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

    pub fn push(&mut self, slot: usize, message: Message) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
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
        enter_round(queue, slot, &mut self.round);
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
            self.round.retain(|&other| other != slot);
        }
    }

    /// Those that were held go on.
    pub fn release_held(&mut self) {
        while let Some(slot) = self.held.pop() {
            if let Some(queue) = self.queues.get_mut(slot) {
                queue.held = false;
                enter_round(queue, slot, &mut self.round);
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
        self.round.is_empty()
    }

    /// The length of what is to be cut next.
    pub fn next_len(&self) -> Option<usize> {
        let queue = self.queues.get(*self.round.front()?)?;
        queue.messages.front().map(|message| message.data.len())
    }

    /// Whether the next message has begun, so that cutting it further needs no decision.
    pub fn next_begun(&self) -> bool {
        self.round.front().and_then(|&slot| self.queues.get(slot)).is_some_and(|queue| queue.begun)
    }

    /// Drops messages at the head whose time is over.
    pub fn drop_expired(&mut self, now: Instant) {
        while let Some(&slot) = self.round.front() {
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
        let &slot = self.round.front()?;
        let queue = self.queues.get_mut(slot)?;
        let stream = queue.stream?;
        let message = queue.messages.front_mut()?;
        let data = message.data.split_to(message.data.len().min(room));
        let begins = !std::mem::replace(&mut queue.begun, true);
        let ends = message.data.is_empty();
        let cut = Cut {
            slot,
            stream,
            ssn: queue.next_ssn,
            ppid: message.ppid,
            unordered: message.unordered,
            begins,
            ends,
            limit: message.limit,
            data,
        };
        let len = cut.data.len();
        if message.counted {
            lower(queue, slot, len, &mut self.notes);
            self.total -= len;
        }
        if ends {
            if !cut.unordered {
                queue.next_ssn = queue.next_ssn.wrapping_add(1);
            }
            self.finish(slot);
        }
        Some(cut)
    }

    /// The rest of a message that was begun is not worth sending any more.
    pub fn abandon_begun(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot).filter(|queue| queue.begun) else { return };
        if queue.messages.front().is_some_and(|message| !message.unordered) {
            queue.next_ssn = queue.next_ssn.wrapping_add(1);
        }
        self.finish(slot);
    }

    /// Takes out the first message of `slot`, which is first in the round, and passes the turn on.
    fn finish(&mut self, slot: usize) {
        let Some(queue) = self.queues.get_mut(slot) else { return };
        if let Some(message) = queue.messages.pop_front() {
            self.total -= cost(&message);
            lower(queue, slot, counted(&message), &mut self.notes);
        }
        queue.begun = false;
        if self.round.front() == Some(&slot) {
            self.round.pop_front();
        }
        queue.in_round = !queue.messages.is_empty() && !queue.held;
        if queue.in_round {
            self.round.push_back(slot);
        } else if queue.closing && queue.messages.is_empty() {
            self.notes.push_back(Note::Drained(slot));
        }
    }
}

fn enter_round(queue: &mut Queue, slot: usize, round: &mut VecDeque<usize>) {
    if queue.stream.is_some() && !queue.in_round && !queue.held && !queue.messages.is_empty() {
        queue.in_round = true;
        round.push_back(slot);
    }
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
        }
    }

    #[test]
    fn a_message_is_finished_before_the_turn_passes() {
        let mut queues = Queues::new(1 << 20);
        for slot in [0, 1] {
            queues.open(slot);
            queues.set_stream(slot, slot as u16);
            queues.push(slot, message(25));
            queues.push(slot, message(5));
        }
        let cuts: Vec<_> =
            std::iter::from_fn(|| queues.cut(10)).map(|cut| (cut.stream, cut.ssn, cut.data.len())).collect();
        assert_eq!(cuts, [(0, 0, 10), (0, 0, 10), (0, 0, 5), (1, 0, 10), (1, 0, 10), (1, 0, 5), (0, 1, 5), (1, 1, 5)]);
        assert_eq!(queues.total, 0);
    }

    #[test]
    fn the_bound_the_threshold_and_the_drain() {
        let mut queues = Queues::new(1000);
        queues.open(0);
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
