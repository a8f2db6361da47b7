//! FORWARD-TSN, RFC 3758 section 3.2; and I-FORWARD-TSN, RFC 8260 section 2.3.1.
//!
//! ```text
//! |                      New Cumulative TSN                       |
//! |         Stream-1              |       Stream Sequence-1       |   one pair for each stream with ordered messages skipped
//!
//! |                      New Cumulative TSN                       |
//! |       Stream Identifier       |          Reserved           |U|   for each stream, ordered and unordered messages apart
//! |                       Message Identifier                      |
//! ```

use super::chunk::Format;
use super::take_u32;

/// The peer gives up what comes up to `new_cumulative_tsn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForwardTsn<'a> {
    pub new_cumulative_tsn: u32,
    skipped: Pairs<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs<'a> {
    Short(&'a [[u8; 4]]),
    Long(&'a [[u8; 8]]),
}

/// The last message that is skipped in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub stream: u16,
    /// Only I-FORWARD-TSN names these.
    pub unordered: bool,
    pub sequence: u32,
}

impl<'a> ForwardTsn<'a> {
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (new_cumulative_tsn, rest) = take_u32(value)?;
        Some(Self { new_cumulative_tsn, skipped: Pairs::Short(rest.as_chunks().0) })
    }

    pub fn parse_interleaved(value: &'a [u8]) -> Option<Self> {
        let (new_cumulative_tsn, rest) = take_u32(value)?;
        Some(Self { new_cumulative_tsn, skipped: Pairs::Long(rest.as_chunks().0) })
    }

    /// What is skipped in each stream.
    pub fn skipped(&self) -> impl Iterator<Item = Skipped> + use<'a> {
        let (short, long) = match self.skipped {
            Pairs::Short(pairs) => (pairs, &[][..]),
            Pairs::Long(pairs) => (&[][..], pairs),
        };
        let short = short.iter().map(|&[s0, s1, n0, n1]| Skipped {
            stream: u16::from_be_bytes([s0, s1]),
            unordered: false,
            sequence: u16::from_be_bytes([n0, n1]).into(),
        });
        let long = long.iter().map(|&[s0, s1, _, flags, m0, m1, m2, m3]| Skipped {
            stream: u16::from_be_bytes([s0, s1]),
            unordered: flags & 1 != 0,
            sequence: u32::from_be_bytes([m0, m1, m2, m3]),
        });
        short.chain(long)
    }
}

/// What each skipped message takes in the chunk.
pub(crate) fn pair_len(format: Format) -> usize {
    match format {
        Format::Data => 4,
        Format::Interleaved => 8,
    }
}

/// Writes the value: `4 + pair_len(format) * skipped.len()` bytes.
pub(crate) fn write(format: Format, out: &mut [u8], new_cumulative_tsn: u32, skipped: &[Skipped]) {
    let Some((first, pairs)) = out.split_first_chunk_mut::<4>() else { return };
    *first = new_cumulative_tsn.to_be_bytes();
    for (pair, skipped) in pairs.chunks_exact_mut(pair_len(format)).zip(skipped) {
        let [s0, s1] = skipped.stream.to_be_bytes();
        let [m0, m1, m2, m3] = skipped.sequence.to_be_bytes();
        match format {
            Format::Data => pair.copy_from_slice(&[s0, s1, m2, m3]),
            Format::Interleaved => pair.copy_from_slice(&[s0, s1, 0, skipped.unordered.into(), m0, m1, m2, m3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn forward_tsn_survives(tsn: u32, skipped in prop::collection::vec(any::<(u16, u16)>(), 0..20)) {
            let skipped: Vec<_> = skipped.into_iter().map(|(stream, ssn)| Skipped { stream, unordered: false, sequence: ssn.into() }).collect();
            let mut value = vec![0; 4 + 4 * skipped.len()];
            write(Format::Data, &mut value, tsn, &skipped);
            let read = ForwardTsn::parse(&value).unwrap();
            prop_assert_eq!(read.new_cumulative_tsn, tsn);
            prop_assert_eq!(read.skipped().collect::<Vec<_>>(), skipped);
        }

        #[test]
        fn interleaved_forward_tsn_survives(tsn: u32, skipped in prop::collection::vec(any::<(u16, bool, u32)>(), 0..20)) {
            let skipped: Vec<_> = skipped.into_iter().map(|(stream, unordered, sequence)| Skipped { stream, unordered, sequence }).collect();
            let mut value = vec![0; 4 + 8 * skipped.len()];
            write(Format::Interleaved, &mut value, tsn, &skipped);
            let read = ForwardTsn::parse_interleaved(&value).unwrap();
            prop_assert_eq!(read.new_cumulative_tsn, tsn);
            prop_assert_eq!(read.skipped().collect::<Vec<_>>(), skipped);
        }
    }
}
