//! The receiving half: which TSNs arrived, messages out of their pieces, streams in order, and the SACK that says so.
//!
//! ```text
//! DATA -> in order?  yes -> assembly: copied once, to the end of a chunk; frozen when the message is complete
//!                    no  -> early pieces: a ring by TSN; a run of pieces that is a whole message leaves at once
//!      -> ordered?   no  -> ready
//!                    yes -> when its stream's turn has come: ready; else it waits in its stream
//! ```
//!
//! Pieces of one message have consecutive TSNs (RFC 9260 section 6.9), so that a message is a run from B to E in the ring.
//! Both ends of each run of pieces know where the other end is: adding a piece, and seeing whether that completes its message, is O(1).
//!
//! With I-DATA, TSNs do not say what belongs together: `interleaved.rs` has the messages whose pieces are mixed with others.
//!
//! What is held counts against the window: bytes, and [`HELD_OVERHEAD`] for each message and early piece. New data is
//! taken up to half a window beyond what was announced (the sender does not count overhead), what fills a hole up to a whole one.

pub(crate) mod acknowledgement;
pub(crate) mod early;
mod interleaved;
mod streams;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use wigwag_proto::{Chunks, Instant, Serial};

use crate::HELD_OVERHEAD;
use crate::packet::chunk::{BEGINNING, Data, ENDING, Format, IMMEDIATE, SACK, UNORDERED};
use crate::packet::forward_tsn::{ForwardTsn, Skipped};
use crate::packet::{Writer, sack};
use crate::ranges::Ranges;
use acknowledgement::Owed;
use early::{Early, Slot};
use interleaved::{Interleaved, Kept, Key};
use streams::Streams;

/// How far beyond the cumulative ack a TSN may lie. Gap ack blocks reach 65,535; each place in the ring costs 64 bytes.
const MAX_AHEAD: u32 = 32_768;
/// Holes that are kept apart; more come only from an attacker, or a path that loses every other packet at a window of a megabyte.
const MAX_RUNS: usize = 1024;
/// Duplicates told in a SACK.
const MAX_DUPLICATES: usize = 16;
/// Holes told in a SACK, the first ones: what was told once and then no more would count as dropped (RFC 9260 section 6.2.1).
const MAX_GAPS: usize = 280;
/// Places in queues that an idle association keeps.
const FEW: usize = 64;

/// What a message is made of, beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub stream: u16,
    /// Stream sequence number or message identifier.
    pub sequence: u32,
    pub ppid: u32,
    pub unordered: bool,
}

/// A message in its stream's order.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub stream: u16,
    pub ppid: u32,
    pub data: Bytes,
}

/// What the receiving half counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub duplicates: u64,
    pub refused: u64,
    pub dropped: u64,
}

/// The receiving half of an association that knows its peer.
#[derive(Debug)]
pub(crate) struct Receive {
    /// The cumulative TSN ack.
    cumulative: u32,
    /// Beyond `cumulative`.
    runs: Ranges,
    early: Early,
    /// The message at `cumulative`, begun and not ended.
    assembly: Option<Head>,
    /// The piece that the assembly waits for: only with I-DATA.
    assembly_fsn: u32,
    format: Format,
    interleaved: Interleaved,
    chunks: Chunks,
    streams: Streams,
    ready: VecDeque<Delivered>,
    /// A stream whose message was too long.
    oversized: Option<u16>,
    held: usize,
    window: usize,
    announced: usize,
    max_message_size: usize,
    owed: Owed,
    /// This packet brought data, and data that should be acknowledged at once.
    packet: (bool, bool),
    duplicates: Vec<u32>,
    delay: Duration,
    pub counts: Counts,
}

impl Receive {
    pub fn new(
        peers_initial_tsn: u32,
        format: Format,
        window: usize,
        max_message_size: usize,
        delay: Duration,
    ) -> Self {
        Self {
            cumulative: peers_initial_tsn.wrapping_sub(1),
            runs: Ranges::default(),
            early: Early::default(),
            assembly: None,
            assembly_fsn: 0,
            format,
            interleaved: Interleaved::default(),
            chunks: Chunks::default(),
            streams: Streams::new(format),
            ready: VecDeque::new(),
            oversized: None,
            held: 0,
            window,
            announced: window,
            max_message_size,
            owed: Owed::default(),
            packet: (false, false),
            duplicates: Vec::new(),
            delay,
            counts: Counts::default(),
        }
    }

    pub fn cumulative(&self) -> u32 {
        self.cumulative
    }

    pub fn data(&mut self, data: Data<'_>) {
        self.packet.0 = true;
        let ahead = data.tsn.wrapping_sub(self.cumulative).wrapping_sub(1);
        self.packet.1 |= ahead > 0 || !self.runs.is_empty() || data.flags & IMMEDIATE != 0;
        if ahead >= 1 << 31 || self.early.has(ahead) {
            self.counts.duplicates += 1;
            if self.duplicates.len() < MAX_DUPLICATES {
                self.duplicates.push(data.tsn);
            }
            return;
        }
        let fills_a_hole = self.runs.last().is_some_and(|last| last.is_after(data.tsn));
        let limit = if fills_a_hole { 2 * self.window } else { self.window + self.window / 2 };
        if self.held + self.interleaved.held() + data.payload.len() > limit
            || ahead >= MAX_AHEAD
            || ahead > 0 && self.runs.len() >= MAX_RUNS
        {
            self.counts.refused += 1;
            self.packet.1 = true;
            return;
        }
        if ahead > 0 && self.format == Format::Data {
            return self.keep_early(ahead, data);
        }
        if ahead > 0 {
            self.runs.insert(self.cumulative, data.tsn, data.tsn, |_, _| {});
            self.early.mark(ahead);
            return self.piece(&data);
        }
        self.cumulative = data.tsn;
        self.early.pop_front();
        if self.format == Format::Interleaved {
            self.piece(&data);
            return self.follow();
        }
        self.append(data.flags, Head::of(&data), data.payload);
        self.follow();
    }

    fn keep_early(&mut self, ahead: u32, data: Data<'_>) {
        self.runs.insert(self.cumulative, data.tsn, data.tsn, |_, _| {});
        self.held += data.payload.len() + HELD_OVERHEAD;
        let Some((head, pieces)) = self.early.insert(ahead, &data) else { return };
        // A whole message, though something before it is missing.
        let (len, count) = self.early.measure(pieces.clone());
        self.held -= count * HELD_OVERHEAD + len;
        if len > self.max_message_size {
            self.early.discard(pieces);
            return self.too_long(head.stream);
        }
        let message = self.early.join(pieces);
        self.complete(head, message);
    }

    /// What came early and now is next.
    fn follow(&mut self) {
        while let Some(last) = self.runs.take_following(self.cumulative) {
            while self.cumulative != last {
                self.cumulative = self.cumulative.wrapping_add(1);
                if let Slot::Held(piece) = self.early.pop_front() {
                    self.held -= piece.data.len() + HELD_OVERHEAD;
                    self.append(piece.flags, piece.head, &piece.data);
                }
            }
        }
        self.early.shrink();
    }

    /// The next piece of all.
    fn append(&mut self, flags: u8, head: Head, payload: &[u8]) {
        if flags & BEGINNING != 0 {
            self.drop_assembly();
            self.assembly = Some(head);
        }
        let Some(begun) = self.assembly else {
            self.counts.dropped += u64::from(flags & ENDING != 0);
            return;
        };
        let fits = begun.stream == head.stream
            && begun.unordered == head.unordered
            && (head.unordered || begun.sequence == head.sequence);
        if !fits {
            return self.drop_assembly();
        }
        if self.chunks.len() + payload.len() > self.max_message_size {
            self.drop_assembly();
            return self.too_long(head.stream);
        }
        self.chunks.append(payload);
        self.held += payload.len();
        if flags & ENDING != 0 {
            self.assembly = None;
            let message = self.chunks.freeze();
            self.held -= message.len();
            self.complete(begun, message);
        }
    }

    /// A piece in I-DATA, whenever it comes: of the message being put together, of a short one, or of one among others.
    fn piece(&mut self, data: &Data<'_>) {
        let head = Head::of(data);
        let key = head.key();
        let (begins, ends) = (data.flags & BEGINNING != 0, data.flags & ENDING != 0);
        if !head.unordered && self.streams.is_over(head.stream, head.sequence) {
            self.counts.dropped += u64::from(ends);
            return;
        }
        if begins && ends {
            if data.payload.len() > self.max_message_size {
                return self.too_long(head.stream);
            }
            // The chunk is the assembly's while there is one.
            let message = match self.assembly {
                Some(_) => Bytes::copy_from_slice(data.payload),
                None => {
                    self.chunks.append(data.payload);
                    self.chunks.freeze()
                }
            };
            return self.complete(head, message);
        }
        let continues = self.assembly.is_some_and(|begun| begun.key() == key && data.fsn == self.assembly_fsn);
        let may_begin = begins && self.assembly.is_none() && !self.interleaved.has_begun(key);
        if may_begin {
            (self.assembly, self.assembly_fsn) = (Some(head), 0);
        }
        if continues || may_begin {
            return self.assemble(key, ends, data.payload);
        }
        if self.assembly.is_some_and(|begun| begun.key() == key && data.fsn < self.assembly_fsn) {
            self.counts.duplicates += 1;
            return;
        }
        match self.interleaved.keep(data, self.max_message_size) {
            Kept::Waits => {}
            Kept::Whole(head, message) => self.complete(head, message),
            Kept::TooLong => self.too_long(head.stream),
            Kept::Repeated => self.counts.duplicates += 1,
        }
    }

    /// The next piece of the message being put together, and those after it that came early.
    fn assemble(&mut self, key: Key, ends: bool, payload: &[u8]) {
        let mut ends = ends;
        let mut early = Bytes::new();
        loop {
            let payload = if early.is_empty() { payload } else { &early };
            if self.chunks.len() + payload.len() > self.max_message_size {
                self.drop_assembly();
                self.interleaved.discard(key);
                return self.too_long(key.0);
            }
            self.chunks.append(payload);
            self.held += payload.len();
            self.assembly_fsn = self.assembly_fsn.wrapping_add(1);
            if ends || self.interleaved.is_empty() {
                break;
            }
            let Some((early_ends, bytes)) = self.interleaved.take(key, self.assembly_fsn) else { break };
            (ends, early) = (early_ends, bytes);
        }
        if ends && let Some(begun) = self.assembly.take() {
            let message = self.chunks.freeze();
            self.held -= message.len();
            self.complete(begun, message);
        }
    }

    /// Forgets a message that did not end.
    fn drop_assembly(&mut self) {
        if self.assembly.take().is_some() {
            self.counts.dropped += 1;
            self.held -= self.chunks.len();
            self.chunks.discard();
        }
    }

    fn too_long(&mut self, stream: u16) {
        self.counts.dropped += 1;
        self.oversized = Some(stream);
    }

    fn complete(&mut self, head: Head, data: Bytes) {
        self.held += data.len() + HELD_OVERHEAD;
        let message = Delivered { stream: head.stream, ppid: head.ppid, data };
        if head.unordered {
            self.ready.push_back(message);
        } else if let Err(old) = self.streams.arrive(head.sequence, message, &mut self.ready) {
            self.held -= old.data.len() + HELD_OVERHEAD;
            self.counts.dropped += 1;
        }
    }

    /// The peer gives up. RFC 3758 section 3.6.
    pub fn forward_tsn(&mut self, forward: ForwardTsn<'_>) {
        self.packet = (true, true);
        let upto = forward.new_cumulative_tsn;
        if !upto.is_after(self.cumulative) {
            return;
        }
        // What did arrive up to there may be the beginning of a message that goes on behind; only what has a hole is over.
        let skipped = upto.wrapping_sub(self.cumulative);
        let known = self.early.len();
        for _ in 0..skipped.min(known) {
            match self.early.pop_front() {
                Slot::Held(piece) => {
                    self.held -= piece.data.len() + HELD_OVERHEAD;
                    self.append(piece.flags, piece.head, &piece.data);
                }
                Slot::Empty | Slot::Done if self.format == Format::Data => self.drop_assembly(),
                Slot::Empty | Slot::Done => {}
            }
        }
        if skipped > known && self.format == Format::Data {
            self.drop_assembly();
        }
        self.runs.forget(self.cumulative, upto);
        self.cumulative = upto;
        for skipped in forward.skipped() {
            self.skip(skipped);
        }
        self.follow();
    }

    fn skip(&mut self, Skipped { stream, unordered, sequence }: Skipped) {
        let is_over =
            |begun: &Head| begun.stream == stream && begun.unordered == unordered && !begun.sequence.is_after(sequence);
        if self.format == Format::Interleaved {
            if self.assembly.as_ref().is_some_and(is_over) {
                self.drop_assembly();
            }
            self.counts.dropped += self.interleaved.skip(stream, unordered, sequence);
        }
        if !unordered {
            self.streams.skip(stream, sequence, &mut self.ready);
        }
    }

    /// The peer's stream begins anew. RFC 6525 section 5.2.2.
    pub fn reset_stream(&mut self, stream: u16) {
        if self.assembly.is_some_and(|begun| begun.stream == stream) {
            self.drop_assembly();
        }
        self.counts.dropped += self.interleaved.reset(stream);
        self.held -= self.streams.reset(stream);
    }

    /// Every stream begins anew.
    pub fn reset_all(&mut self) {
        self.drop_assembly();
        self.counts.dropped += self.interleaved.reset_all();
        self.held -= self.streams.reset_all();
    }

    pub fn poll_ready(&mut self) -> Option<Delivered> {
        self.ready.pop_front()
    }

    /// A stream that brought a message longer than agreed, since the last call.
    pub fn poll_oversized(&mut self) -> Option<u16> {
        self.oversized.take()
    }

    /// A message of `len` bytes left the engine.
    pub fn release(&mut self, len: usize) {
        self.held = self.held.saturating_sub(len + HELD_OVERHEAD);
        if self.announced < self.window / 4 && self.held < self.window / 2 {
            self.owed = Owed::Now; // the peer may be waiting for the window
        }
    }

    /// A message turned out shorter than it travelled.
    pub fn shrink_held(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Bytes and overhead that are held.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.held + self.interleaved.held()
    }

    /// A packet was read to its end: what does that owe?
    pub fn end_of_packet(&mut self, now: Instant) {
        let (brought_data, urgent) = std::mem::take(&mut self.packet);
        if brought_data {
            self.owed.packet(now, urgent, self.delay);
        }
    }

    pub fn owe_now(&mut self) {
        self.owed = Owed::Now;
    }

    pub fn sack_due(&self) -> bool {
        self.owed == Owed::Now
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.owed.handle_timeout(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.owed.poll_timeout()
    }

    /// Holds more than a few small messages need. O(1).
    pub fn has_grown(&self) -> bool {
        self.chunks.has_grown() || self.early.has_grown() || self.ready.capacity() > FEW || self.runs.has_grown()
    }

    /// Nothing moved for a while.
    pub fn release_memory(&mut self) {
        self.chunks.release();
        self.early.release();
        self.ready.shrink_to_fit();
        self.runs.shrink_to_fit();
        self.duplicates.shrink_to_fit();
    }

    /// Writes the SACK that is due, or merely owed if a packet leaves anyway.
    pub fn write_sack(&mut self, packet_leaves_anyway: bool, packet: &mut Writer<'_>) -> bool {
        let wanted = match self.owed {
            Owed::Nothing => false,
            Owed::Later { .. } => packet_leaves_anyway,
            Owed::Now => true,
        };
        let Some(room) = packet.room_for_value().checked_sub(sack::FIXED).filter(|_| wanted) else { return false };
        let gaps = self.runs.len().min(MAX_GAPS).min(room / 4);
        let duplicates = self.duplicates.get(..self.duplicates.len().min(room / 4 - gaps)).unwrap_or_default();
        let (cumulative, window) = (self.cumulative, self.window.saturating_sub(self.held + self.interleaved.held()));
        let offsets = self
            .runs
            .iter()
            .take(gaps)
            .map(|(first, last)| (first.distance_from(cumulative) as u16, last.distance_from(cumulative) as u16));
        let len = sack::FIXED + 4 * (gaps + duplicates.len());
        let a_rwnd = u32::try_from(window).unwrap_or(u32::MAX);
        packet.chunk(SACK, 0, len, |out| sack::write(out, cumulative, a_rwnd, offsets, duplicates));
        self.owed = Owed::Nothing;
        self.announced = window;
        self.duplicates.clear();
        true
    }
}

impl Head {
    fn of(data: &Data<'_>) -> Self {
        let &Data { stream, sequence, ppid, flags, .. } = data;
        Self { stream, sequence, ppid, unordered: flags & UNORDERED != 0 }
    }

    /// Names its message, with I-DATA.
    fn key(&self) -> Key {
        (self.stream, self.unordered, self.sequence)
    }
}

#[cfg(test)]
mod tests;
