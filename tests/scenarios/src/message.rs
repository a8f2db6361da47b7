//! Messages that say which one they are, and whether they are whole.
//!
//! A message is its number (8 bytes, big-endian) and bytes that follow from number and length. So the receiver can tell
//! one that is missing, repeated, in the wrong place, cut, or changed in a single bit.

use std::collections::BTreeSet;

use bytes::Bytes;
use wigwag::Message;

/// The number of a message.
pub const HEADER: usize = 8;

/// The message with this number, of `len` bytes, at least [`HEADER`].
pub fn numbered(number: u64, len: usize) -> Message {
    Message::binary(bytes(number, len))
}

/// The bytes of a message.
pub fn bytes(number: u64, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(len.max(HEADER) + HEADER);
    bytes.extend_from_slice(&number.to_be_bytes());
    for place in 1..=(len as u64).div_ceil(8) {
        bytes.extend_from_slice(&mix(number, len as u64, place).to_le_bytes());
    }
    bytes.truncate(len.max(HEADER));
    Bytes::from(bytes)
}

/// The number of a message, if it is as it was sent.
pub fn check(data: &[u8]) -> Option<u64> {
    let (header, rest) = data.split_first_chunk::<HEADER>()?;
    let number = u64::from_be_bytes(*header);
    let is_right = |(place, words): (usize, &[u8])| {
        let expected = mix(number, data.len() as u64, place as u64 + 1).to_le_bytes();
        expected.starts_with(words)
    };
    rest.chunks(8).enumerate().all(is_right).then_some(number)
}

/// SplitMix64's finisher: any bit changes all.
fn mix(number: u64, len: u64, place: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (len << 40) ^ place;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What arrived so far on one channel: exactly what its kind promises.
#[derive(Debug)]
pub struct Ledger {
    is_ordered: bool,
    is_reliable: bool,
    /// All before this number arrived, or never will.
    next: u64,
    /// Those after that arrived early.
    early: BTreeSet<u64>,
    /// How many.
    pub count: u64,
}

impl Ledger {
    /// For a channel of this kind.
    pub fn new(is_ordered: bool, is_reliable: bool) -> Self {
        Self { is_ordered, is_reliable, next: 0, early: BTreeSet::new(), count: 0 }
    }

    /// Notes a message; panics if it may not come, or not now.
    pub fn note(&mut self, data: &[u8]) {
        let number = check(data).unwrap_or_else(|| panic!("a message of {} bytes was changed", data.len()));
        let (next, count) = (self.next, self.count);
        assert!(number >= next && self.early.insert(number), "message {number} came twice (or late)");
        if self.is_ordered {
            assert!(!self.is_reliable || number == next, "message {number} came before {next}, after {count} others");
            self.next = number;
        }
        while self.early.remove(&self.next) {
            self.next += 1;
        }
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_is_seen() {
        for len in [8, 9, 16, 1000] {
            let message = bytes(77, len);
            assert_eq!(check(&message), Some(77));
            for bit in 64..len * 8 {
                let mut changed = message.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(check(&changed), None);
            }
            assert_eq!(check(&message[..len - 1]).filter(|_| len > 9), None);
        }
    }

    #[test]
    fn each_kind_has_its_promise() {
        let notes = |ordered, reliable, numbers: &[u64]| {
            let mut ledger = Ledger::new(ordered, reliable);
            std::panic::catch_unwind(move || numbers.iter().for_each(|&n| ledger.note(&bytes(n, 20)))).is_ok()
        };
        assert!(notes(true, true, &[0, 1, 2]));
        assert!(!notes(true, true, &[0, 2]) && !notes(true, true, &[0, 0]) && !notes(true, true, &[1]));
        assert!(notes(true, false, &[0, 2, 5]) && !notes(true, false, &[2, 1]));
        assert!(notes(false, true, &[2, 0, 1]) && !notes(false, true, &[2, 0, 2]));
        assert!(notes(false, false, &[5, 2]) && !notes(false, false, &[5, 5]));
    }
}
