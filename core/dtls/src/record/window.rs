//! Which records of an epoch have been seen. RFC 9147 section 4.5.1.

/// How far behind the latest a record may be. At least 64 is recommended; more costs nothing here.
const WIDTH: u64 = 128;

/// Bit `n` says whether the record `n` before the latest has been seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// One more than the latest; zero if there is none yet.
    next: u64,
    seen: u128,
}

impl Window {
    /// One more than the latest sequence number that was seen.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn is_new(&self, sequence: u64) -> bool {
        match self.next.checked_sub(sequence) {
            None | Some(0) => true,
            Some(age) if age > WIDTH => false,
            Some(age) => self.seen >> (age - 1) & 1 == 0,
        }
    }

    /// "The window MUST NOT be updated due to a received record until that record has been deprotected successfully."
    pub(crate) fn mark(&mut self, sequence: u64) {
        let next = sequence.saturating_add(1);
        if next > self.next {
            let ahead = u32::try_from(next - self.next).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.next = next;
        } else if let Some(age) = self.next.checked_sub(next).filter(|age| *age < WIDTH) {
            self.seen |= 1 << age;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_set(sequences in prop::collection::vec(0..400_u64, 0..300)) {
            let (mut window, mut seen) = (Window::default(), BTreeSet::new());
            for sequence in sequences {
                let old = seen.last().is_some_and(|latest: &u64| latest + 1 > sequence + WIDTH);
                prop_assert_eq!(window.is_new(sequence), !old && !seen.contains(&sequence));
                window.mark(sequence);
                seen.insert(sequence);
            }
        }
    }
}
