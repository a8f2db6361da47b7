//! Messages whose pieces are mixed with those of others: I-DATA. RFC 8260 section 2.
//!
//! Each piece names its message and its place there, so that TSNs say nothing about what belongs together. One message at a time, whose pieces come
//! in their order, is put together where DATA's are (the `assembly` of [`Receive`](super::Receive)); this is the place of all others, and of pieces that
//! are early within their message.

use std::collections::BTreeMap;

use bytes::Bytes;
use wigwag_proto::Serial;

use super::Head;
use crate::HELD_OVERHEAD;
use crate::packet::chunk::{BEGINNING, Data, ENDING};

/// What an unfinished message counts beside its bytes.
const UNFINISHED_OVERHEAD: usize = 4 * HELD_OVERHEAD;

/// Stream, unordered, message identifier: ordered and unordered messages are counted apart.
pub(crate) type Key = (u16, bool, u32);

/// Messages that are not whole.
#[derive(Debug, Default)]
pub(crate) struct Interleaved {
    messages: BTreeMap<Key, Unfinished>,
    held: usize,
}

#[derive(Debug, Default)]
struct Unfinished {
    ppid: u32,
    /// Its beginning, unless the assembly has that.
    data: Vec<u8>,
    /// The fragment sequence number that `data` waits for.
    next: u32,
    early: BTreeMap<u32, (bool, Bytes)>,
    early_bytes: usize,
}

/// What became of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It waits for others.
    Waits,
    /// The message is whole.
    Whole(Head, Bytes),
    /// The message would be too long, and is forgotten.
    TooLong,
    /// It was there before.
    Repeated,
}

impl Interleaved {
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes and overhead that are held here.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Keeps a piece that is not the assembly's next.
    pub fn keep(&mut self, data: &Data<'_>, max_message_size: usize) -> Kept {
        let head = Head::of(data);
        let key = head.key();
        let message = self.messages.entry(key).or_insert_with(|| {
            self.held += UNFINISHED_OVERHEAD;
            Unfinished::default()
        });
        if data.flags & BEGINNING != 0 {
            message.ppid = data.ppid;
        }
        if data.fsn < message.next || message.early.contains_key(&data.fsn) {
            return Kept::Repeated;
        }
        if message.data.len() + message.early_bytes + data.payload.len() > max_message_size {
            self.discard(key);
            return Kept::TooLong;
        }
        let ends = data.flags & ENDING != 0;
        self.held += data.payload.len();
        if data.fsn != message.next {
            message.early.insert(data.fsn, (ends, Bytes::copy_from_slice(data.payload)));
            message.early_bytes += data.payload.len();
            self.held += HELD_OVERHEAD;
            return Kept::Waits;
        }
        message.data.extend_from_slice(data.payload);
        message.next = message.next.wrapping_add(1);
        let mut ended = ends;
        while !ended && let Some((ends, bytes)) = message.early.remove(&message.next) {
            message.data.extend_from_slice(&bytes);
            message.next = message.next.wrapping_add(1);
            message.early_bytes -= bytes.len();
            self.held -= HELD_OVERHEAD;
            ended = ends;
        }
        if !ended {
            return Kept::Waits;
        }
        let Some(message) = self.messages.remove(&key) else { return Kept::Repeated };
        self.held -= message.held();
        Kept::Whole(Head { ppid: message.ppid, ..head }, message.data.into())
    }

    /// The piece `fsn` of the assembly's message, if it came early: whether it ends the message, and its bytes.
    pub fn take(&mut self, key: Key, fsn: u32) -> Option<(bool, Bytes)> {
        let message = self.messages.get_mut(&key)?;
        let (ends, bytes) = message.early.remove(&fsn)?;
        message.early_bytes -= bytes.len();
        self.held -= bytes.len() + HELD_OVERHEAD;
        if message.early.is_empty() {
            self.discard(key);
        }
        Some((ends, bytes))
    }

    /// Whether the beginning of the message is here.
    pub fn has_begun(&self, key: Key) -> bool {
        self.messages.get(&key).is_some_and(|message| message.next > 0)
    }

    /// Forgets a message.
    pub fn discard(&mut self, key: Key) {
        if let Some(message) = self.messages.remove(&key) {
            self.held -= message.held();
        }
    }

    /// The peer gives up the messages of a stream up to `sequence`. Returns how many they were.
    pub fn skip(&mut self, stream: u16, unordered: bool, sequence: u32) -> u64 {
        self.discard_those((stream, unordered, 0)..=(stream, unordered, u32::MAX), |&(_, _, it)| !it.is_after(sequence))
    }

    /// The stream begins anew.
    pub fn reset(&mut self, stream: u16) -> u64 {
        self.discard_those((stream, false, 0)..=(stream, true, u32::MAX), |_| true)
    }

    /// Every stream begins anew.
    pub fn reset_all(&mut self) -> u64 {
        self.discard_those((0, false, 0)..=(u16::MAX, true, u32::MAX), |_| true)
    }

    fn discard_those(&mut self, range: std::ops::RangeInclusive<Key>, which: impl Fn(&Key) -> bool) -> u64 {
        let keys: Vec<Key> = self.messages.range(range).map(|(key, _)| *key).filter(which).collect();
        let count = keys.len() as u64;
        keys.into_iter().for_each(|key| self.discard(key));
        count
    }
}

impl Unfinished {
    fn held(&self) -> usize {
        UNFINISHED_OVERHEAD + self.data.len() + self.early_bytes + self.early.len() * HELD_OVERHEAD
    }
}
