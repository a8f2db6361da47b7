//! Pieces that came before their turn: a ring by TSN.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use bytes::Bytes;
use wigwag_proto::Chunks;

use super::{FEW, Head};
use crate::packet::chunk::{BEGINNING, Data, ENDING};

/// One place in the ring.
#[derive(Debug, Default)]
pub(crate) enum Slot {
    /// Nothing arrived.
    #[default]
    Empty,
    /// Its message was whole, and left; or it is kept elsewhere.
    Done,
    Held(Piece),
}

#[derive(Debug)]
pub(crate) struct Piece {
    pub head: Head,
    pub flags: u8,
    pub data: Bytes,
    /// At the ends of a run of pieces of one message: how many pieces the run has.
    run: u32,
}

/// The ring; index 0 is the TSN after the cumulative ack.
#[derive(Debug, Default)]
pub(crate) struct Early {
    slots: VecDeque<Slot>,
    chunks: Chunks,
}

impl Early {
    pub fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn has(&self, ahead: u32) -> bool {
        !matches!(self.slots.get(ahead as usize), None | Some(Slot::Empty))
    }

    /// Keeps a piece; returns its message's head and pieces if it is now whole.
    pub fn insert(&mut self, ahead: u32, data: &Data<'_>) -> Option<(Head, RangeInclusive<u32>)> {
        let head = Head::of(data);
        if self.slots.len() <= ahead as usize {
            self.slots.resize_with(ahead as usize + 1, Slot::default);
        }
        let before = match ahead.checked_sub(1).and_then(|left| self.piece(left)) {
            Some(left) if data.flags & BEGINNING == 0 && left.flags & ENDING == 0 && left.head.continues_in(head) => {
                left.run
            }
            _ => 0,
        };
        let after = match self.piece(ahead + 1) {
            Some(right)
                if data.flags & ENDING == 0 && right.flags & BEGINNING == 0 && head.continues_in(right.head) =>
            {
                right.run
            }
            _ => 0,
        };
        self.chunks.append(data.payload);
        let run = before + 1 + after;
        let piece = Piece { head, flags: data.flags, data: self.chunks.freeze(), run };
        if let Some(slot) = self.slots.get_mut(ahead as usize) {
            *slot = Slot::Held(piece);
        }
        let (first, last) = (ahead - before, ahead + after);
        for end in [first, last] {
            if let Some(Slot::Held(piece)) = self.slots.get_mut(end as usize) {
                piece.run = run;
            }
        }
        let (begin, end) = (self.piece(first)?, self.piece(last)?);
        let whole = begin.flags & BEGINNING != 0 && end.flags & ENDING != 0;
        whole.then_some((begin.head, first..=last))
    }

    /// Marks what came as settled: it is kept elsewhere.
    pub fn mark(&mut self, ahead: u32) {
        if self.slots.len() <= ahead as usize {
            self.slots.resize_with(ahead as usize + 1, Slot::default);
        }
        if let Some(slot) = self.slots.get_mut(ahead as usize) {
            *slot = Slot::Done;
        }
    }

    /// Bytes and number of the pieces of a message.
    pub fn measure(&self, pieces: RangeInclusive<u32>) -> (usize, usize) {
        let count = pieces.clone().count();
        (pieces.filter_map(|index| self.piece(index)).map(|piece| piece.data.len()).sum(), count)
    }

    /// Takes a message out: without a copy if it is one piece.
    pub fn join(&mut self, pieces: RangeInclusive<u32>) -> Bytes {
        let alone = pieces.start() == pieces.end();
        for index in pieces {
            let Some(slot) = self.slots.get_mut(index as usize) else { break };
            let Slot::Held(piece) = std::mem::replace(slot, Slot::Done) else { continue };
            if alone {
                return piece.data;
            }
            self.chunks.append(&piece.data);
        }
        self.chunks.freeze()
    }

    /// Drops a message.
    pub fn discard(&mut self, pieces: RangeInclusive<u32>) {
        for index in pieces {
            if let Some(slot) = self.slots.get_mut(index as usize) {
                *slot = Slot::Done;
            }
        }
    }

    pub fn pop_front(&mut self) -> Slot {
        self.slots.pop_front().unwrap_or_default()
    }

    /// Gives back what a long hole made grow.
    pub fn shrink(&mut self) {
        if self.slots.is_empty() && self.slots.capacity() > 1024 {
            self.slots = VecDeque::new();
        }
    }

    pub fn has_grown(&self) -> bool {
        self.chunks.has_grown() || self.slots.capacity() > FEW
    }

    pub fn release(&mut self) {
        self.chunks.release();
        self.slots.shrink_to_fit();
    }

    fn piece(&self, index: u32) -> Option<&Piece> {
        match self.slots.get(index as usize) {
            Some(Slot::Held(piece)) => Some(piece),
            _ => None,
        }
    }
}

impl Head {
    /// Whether two neighbours belong to one message.
    fn continues_in(self, next: Self) -> bool {
        self.stream == next.stream
            && self.unordered == next.unordered
            && (self.unordered || self.sequence == next.sequence)
    }
}
