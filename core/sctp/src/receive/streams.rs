//! The order within each stream. RFC 9260 section 6.6.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use wigwag_proto::Serial;

use super::Delivered;
use crate::HELD_OVERHEAD;
use crate::packet::chunk::Format;

/// A waiting message shorter than this is copied, so that a peer cannot keep a large chunk alive with a byte.
const WORTH_A_CHUNK: usize = 1024;

/// Stream sequence numbers of all streams that ever carried an ordered message: at most 65,536 small entries.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: BTreeMap<u16, Stream>,
    /// Messages are numbered with 32 bits (I-DATA), not 16.
    wide: bool,
}

#[derive(Debug, Default)]
struct Stream {
    /// Counted on beyond the bits that travel, so that what waits is sorted.
    next: u64,
    waiting: BTreeMap<u64, Delivered>,
}

impl Streams {
    pub fn new(format: Format) -> Self {
        Self { wide: format == Format::Interleaved, ..Self::default() }
    }

    /// Whether an ordered message was delivered or skipped before.
    pub fn is_over(&self, stream: u16, sequence: u32) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.place(sequence, self.wide).is_none())
    }

    /// An ordered message: what its arrival lets go ahead is `ready`. One that was delivered or skipped before comes back.
    pub fn arrive(
        &mut self,
        sequence: u32,
        mut message: Delivered,
        ready: &mut VecDeque<Delivered>,
    ) -> Result<(), Delivered> {
        let stream = self.streams.entry(message.stream).or_default();
        let Some(place) = stream.place(sequence, self.wide) else { return Err(message) };
        if place == stream.next {
            stream.next += 1;
            ready.push_back(message);
            stream.go_on(ready);
            return Ok(());
        }
        if message.data.len() < WORTH_A_CHUNK {
            message.data = Bytes::copy_from_slice(&message.data);
        }
        match stream.waiting.insert(place, message) {
            None => Ok(()),
            Some(same) => Err(same),
        }
    }

    /// Nothing up to `sequence` comes any more; what did arrive is delivered.
    pub fn skip(&mut self, stream: u16, sequence: u32, ready: &mut VecDeque<Delivered>) {
        let stream = self.streams.entry(stream).or_default();
        let Some(last) = stream.place(sequence, self.wide) else { return };
        while let Some(first) = stream.waiting.first_entry().filter(|entry| *entry.key() <= last) {
            ready.push_back(first.remove());
        }
        stream.next = last + 1;
        stream.go_on(ready);
    }

    /// The stream begins anew; returns what the dropped messages had held.
    pub fn reset(&mut self, stream: u16) -> usize {
        self.streams.remove(&stream).map_or(0, |stream| stream.held())
    }

    pub fn reset_all(&mut self) -> usize {
        std::mem::take(&mut self.streams).values().map(Stream::held).sum()
    }
}

impl Stream {
    /// The count that `sequence` stands for, unless it lies behind.
    fn place(&self, sequence: u32, wide: bool) -> Option<u64> {
        let ahead = match wide {
            true => Some(sequence.distance_from(self.next as u32)).filter(|ahead| *ahead < 1 << 31)?,
            false => Some((sequence as u16).distance_from(self.next as u16)).filter(|ahead| *ahead < 1 << 15)?.into(),
        };
        Some(self.next + u64::from(ahead))
    }

    fn go_on(&mut self, ready: &mut VecDeque<Delivered>) {
        while let Some(first) = self.waiting.first_entry().filter(|entry| *entry.key() == self.next) {
            self.next += 1;
            ready.push_back(first.remove());
        }
    }

    fn held(&self) -> usize {
        self.waiting.values().map(|message| message.data.len() + HELD_OVERHEAD).sum()
    }
}
