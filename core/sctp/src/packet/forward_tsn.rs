//! FORWARD-TSN. RFC 3758 section 3.2.
//!
//! ```text
//! |                      New Cumulative TSN                       |
//! |         Stream-1              |       Stream Sequence-1       |   one pair for each stream with ordered messages skipped
//! ```

use super::take_u32;

/// The peer gives up what comes up to `new_cumulative_tsn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForwardTsn<'a> {
    pub new_cumulative_tsn: u32,
    skipped: &'a [[u8; 4]],
}

impl<'a> ForwardTsn<'a> {
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (new_cumulative_tsn, rest) = take_u32(value)?;
        Some(Self { new_cumulative_tsn, skipped: rest.as_chunks().0 })
    }

    /// Streams, and the last sequence number that is skipped in each.
    pub fn skipped(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        self.skipped.iter().map(|&[s0, s1, n0, n1]| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([n0, n1])))
    }
}

/// Writes the value: `4 + 4 * skipped.len()` bytes.
pub(crate) fn write(out: &mut [u8], new_cumulative_tsn: u32, skipped: &[(u16, u16)]) {
    let (words, _) = out.as_chunks_mut::<4>();
    let pairs = skipped.iter().map(|&(stream, ssn)| {
        let ([s0, s1], [n0, n1]) = (stream.to_be_bytes(), ssn.to_be_bytes());
        [s0, s1, n0, n1]
    });
    for (slot, word) in words.iter_mut().zip(std::iter::once(new_cumulative_tsn.to_be_bytes()).chain(pairs)) {
        *slot = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn forward_tsn_survives(tsn: u32, skipped in prop::collection::vec(any::<(u16, u16)>(), 0..20)) {
            let mut value = vec![0; 4 + 4 * skipped.len()];
            write(&mut value, tsn, &skipped);
            let read = ForwardTsn::parse(&value).unwrap();
            prop_assert_eq!(read.new_cumulative_tsn, tsn);
            prop_assert_eq!(read.skipped().collect::<Vec<_>>(), skipped);
        }
    }
}
