//! Writes transport-wide feedback: symbols into chunks, as few as a greedy choice makes them; then the deltas.

use super::transport::{DELTA_MICROS, REFERENCE_DELTAS, Symbol};
use crate::wire::to_be24;

/// Symbols that two bits each fill a chunk with.
const PAIRS: usize = 7;
/// Symbols that one bit each fills a chunk with.
const BITS: usize = 14;
/// The longest run.
const MAX_RUN: usize = 0x1FFF;

/// The symbols that are not yet in a chunk. They always fit one.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// The first ones; of a run, all are the same.
    symbols: [Symbol; BITS],
    len: usize,
    all_same: bool,
    any_large: bool,
}

impl Pending {
    const EMPTY: Self = Self { symbols: [Symbol::Missing; BITS], len: 0, all_same: true, any_large: false };

    fn first(&self) -> Symbol {
        let [first, ..] = self.symbols;
        first
    }

    /// Whether there is a chunk for what is pending together with `symbol`.
    fn takes(&self, symbol: Symbol) -> bool {
        self.len < PAIRS
            || self.len < BITS && !self.any_large && symbol != Symbol::Large
            || self.len < MAX_RUN && self.all_same && symbol == self.first()
    }

    fn push(&mut self, symbol: Symbol) {
        if let Some(place) = self.symbols.get_mut(self.len) {
            *place = symbol;
        }
        self.len += 1;
        self.all_same &= symbol == self.first();
        self.any_large |= symbol == Symbol::Large;
    }

    /// Takes as many as make a full chunk.
    fn take(&mut self) -> u16 {
        let taken = *self;
        *self = Self::EMPTY;
        if taken.all_same || taken.len == BITS {
            return taken.chunk();
        }
        let (full, rest) = taken.symbols.split_at(PAIRS);
        rest.iter().take(taken.len.saturating_sub(PAIRS)).for_each(|symbol| self.push(*symbol));
        pairs(full)
    }

    /// All of them as a chunk.
    fn chunk(&self) -> u16 {
        if self.all_same {
            (self.first() as u16) << 13 | self.len as u16
        } else if self.len <= PAIRS {
            pairs(self.symbols.get(..self.len).unwrap_or_default())
        } else {
            let symbols = self.symbols.iter().take(self.len).zip((0..BITS).rev());
            symbols.fold(0x8000, |bits, (symbol, at)| bits | (*symbol as u16) << at)
        }
    }
}

fn pairs(symbols: &[Symbol]) -> u16 {
    symbols.iter().zip((0..PAIRS).rev()).fold(0xC000, |bits, (symbol, at)| bits | (*symbol as u16) << (2 * at))
}

/// The symbol and the delta of each packet, in units of 250 us, until a delta is too large.
fn symbols(arrivals: impl Iterator<Item = Option<i64>>, reference: i64) -> impl Iterator<Item = (Symbol, i16)> {
    let mut last = reference * REFERENCE_DELTAS;
    arrivals.map_while(move |arrival| {
        let Some(arrival) = arrival else { return Some((Symbol::Missing, 0)) };
        let ticks = arrival.div_euclid(DELTA_MICROS);
        let delta = i16::try_from(ticks.checked_sub(last)?).ok()?;
        last = ticks;
        Some((if (0..256).contains(&delta) { Symbol::Small } else { Symbol::Large }, delta))
    })
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Bytes, without padding.
    pub(super) len: usize,
    /// Packets that are spoken of.
    pub(super) count: u16,
}

/// Writes reference time, count of feedback, chunks and deltas into `room`: as many packets as fit. `None` if there is
/// no packet that arrived among them.
pub(super) fn write(
    room: &mut [u8],
    feedback_count: u8,
    arrivals: impl Iterator<Item = Option<i64>> + Clone,
) -> Option<Written> {
    let first = arrivals.clone().take(usize::from(u16::MAX)).flatten().next()?;
    let reference = first.div_euclid(DELTA_MICROS * REFERENCE_DELTAS);
    let [a, b, c] = to_be24(reference as u32);
    let (head, room) = room.split_first_chunk_mut::<4>()?;
    *head = [a, b, c, feedback_count];

    // Where the deltas begin is known only when all chunks are written: so the packets are gone through twice.
    let (mut pending, mut chunks_len, mut deltas_len, mut count) = (Pending::EMPTY, 0, 0, 0);
    let mut any = false;
    for (symbol, _) in symbols(arrivals.clone(), reference).take(usize::from(u16::MAX)) {
        let full = !pending.takes(symbol);
        let needed = chunks_len + if full { 4 } else { 2 } + deltas_len + symbol.delta_len();
        if needed > room.len() {
            break;
        }
        if full {
            room.get_mut(chunks_len..chunks_len + 2)?.copy_from_slice(&pending.take().to_be_bytes());
            chunks_len += 2;
        }
        pending.push(symbol);
        deltas_len += symbol.delta_len();
        count += 1;
        any |= symbol != Symbol::Missing;
    }
    if !any {
        return None;
    }
    room.get_mut(chunks_len..chunks_len + 2)?.copy_from_slice(&pending.chunk().to_be_bytes());
    chunks_len += 2;

    let mut rest = room.get_mut(chunks_len..chunks_len + deltas_len)?;
    for (symbol, delta) in symbols(arrivals, reference).take(usize::from(count)) {
        let (place, after) = rest.split_at_mut_checked(symbol.delta_len())?;
        match symbol {
            Symbol::Missing => {}
            Symbol::Small => place.copy_from_slice(&[delta as u8]),
            Symbol::Large => place.copy_from_slice(&delta.to_be_bytes()),
        }
        rest = after;
    }
    Some(Written { len: head.len() + chunks_len + deltas_len, count })
}
