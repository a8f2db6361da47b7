//! SACK. RFC 9260 section 3.3.4.
//!
//! ```text
//! |                      Cumulative TSN Ack                       |
//! |          Advertised Receiver Window Credit (a_rwnd)           |
//! | Number of Gap Ack Blocks = N  |  Number of Duplicate TSNs = M |
//! |  Gap Ack Block #1 Start       |   Gap Ack Block #1 End        |   N times, offsets from the cumulative TSN ack
//! |                       Duplicate TSN 1                         |   M times
//! ```

pub(crate) const FIXED: usize = 12;

/// A received SACK. The duplicate TSNs are of no use to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sack<'a> {
    pub cumulative_tsn_ack: u32,
    pub a_rwnd: u32,
    gaps: &'a [[u8; 4]],
}

impl<'a> Sack<'a> {
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (&[c0, c1, c2, c3, w0, w1, w2, w3, n0, n1, m0, m1], rest) = value.split_first_chunk::<FIXED>()?;
        let blocks = usize::from(u16::from_be_bytes([n0, n1]));
        let duplicates = usize::from(u16::from_be_bytes([m0, m1]));
        let (lists, _) = rest.as_chunks::<4>();
        lists.get(..blocks + duplicates)?;
        Some(Self {
            cumulative_tsn_ack: u32::from_be_bytes([c0, c1, c2, c3]),
            a_rwnd: u32::from_be_bytes([w0, w1, w2, w3]),
            gaps: lists.get(..blocks)?,
        })
    }

    /// The cumulative ack that a SHUTDOWN carries, as a SACK without gaps and without a word about the window.
    pub fn cumulative(cumulative_tsn_ack: u32, a_rwnd: u32) -> Self {
        Self { cumulative_tsn_ack, a_rwnd, gaps: &[] }
    }

    /// Runs beyond the cumulative ack, as offsets from it: first and last.
    pub fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + Clone + use<'a> {
        self.gaps.iter().map(|&[s0, s1, e0, e1]| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([e0, e1])))
    }
}

/// Writes a SACK's value into `out`: as many `gaps` and `duplicates` as were counted to make its length.
pub(crate) fn write(
    out: &mut [u8],
    cumulative_tsn_ack: u32,
    a_rwnd: u32,
    gaps: impl ExactSizeIterator<Item = (u16, u16)>,
    duplicates: &[u32],
) {
    let Some((fixed, lists)) = out.split_first_chunk_mut::<FIXED>() else { return };
    let [c0, c1, c2, c3] = cumulative_tsn_ack.to_be_bytes();
    let [w0, w1, w2, w3] = a_rwnd.to_be_bytes();
    let [n0, n1] = (gaps.len() as u16).to_be_bytes();
    let [m0, m1] = (duplicates.len() as u16).to_be_bytes();
    *fixed = [c0, c1, c2, c3, w0, w1, w2, w3, n0, n1, m0, m1];
    let gaps = gaps.map(|(start, end)| {
        let ([s0, s1], [e0, e1]) = (start.to_be_bytes(), end.to_be_bytes());
        [s0, s1, e0, e1]
    });
    let (lists, _) = lists.as_chunks_mut::<4>();
    for (slot, word) in lists.iter_mut().zip(gaps.chain(duplicates.iter().map(|tsn| tsn.to_be_bytes()))) {
        *slot = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sack_survives(ack: u32, window: u32, gaps in prop::collection::vec(any::<(u16, u16)>(), 0..20), duplicates in prop::collection::vec(any::<u32>(), 0..9)) {
            let mut value = vec![0; FIXED + 4 * (gaps.len() + duplicates.len())];
            write(&mut value, ack, window, gaps.iter().copied(), &duplicates);
            let read = Sack::parse(&value).unwrap();
            prop_assert_eq!((read.cumulative_tsn_ack, read.a_rwnd), (ack, window));
            prop_assert_eq!(read.gaps().collect::<Vec<_>>(), gaps);
        }

        #[test]
        fn any_bytes(value: Vec<u8>) {
            if let Some(sack) = Sack::parse(&value) {
                prop_assert!(sack.gaps().count() * 4 <= value.len());
            }
        }
    }
}
