//! Which indices of a source were seen. RFC 3711 section 3.3.2.

/// Indices that are remembered below the newest one, newest included: a second of video at 10 Mbit/s, so that what
/// arrives late by reordering is told from what is replayed.
pub const REPLAY_WINDOW: u64 = 1024;

const WORDS: usize = REPLAY_WINDOW as usize / 64;

/// A bit for each index in the window; index `i` has bit `i % REPLAY_WINDOW`.
#[derive(Clone, Debug)]
pub(super) struct Window {
    newest: u64,
    seen: [u64; WORDS],
}

/// What is known of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    No,
    Yes,
    /// Below the window: nobody knows.
    TooOld,
}

impl Window {
    /// A window that has seen `index`.
    pub(super) fn new(index: u64) -> Self {
        let mut window = Self { newest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn seen(&self, index: u64) -> Seen {
        if index > self.newest {
            return Seen::No;
        }
        if self.newest - index >= REPLAY_WINDOW {
            return Seen::TooOld;
        }
        let (word, bit) = place(index);
        if self.seen.get(word).is_some_and(|seen| seen & bit != 0) { Seen::Yes } else { Seen::No }
    }

    /// Remembers an index that was not [`TooOld`](Seen::TooOld).
    pub(super) fn insert(&mut self, index: u64) {
        if index > self.newest {
            if index - self.newest >= REPLAY_WINDOW {
                self.seen = [0; WORDS];
            } else {
                (self.newest + 1..index).for_each(|skipped| self.clear(skipped));
            }
            self.newest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(seen) = self.seen.get_mut(word) {
            *seen |= bit;
        }
    }

    fn clear(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(seen) = self.seen.get_mut(word) {
            *seen &= !bit;
        }
    }
}

fn place(index: u64) -> (usize, u64) {
    let at = index % REPLAY_WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn remembers_as_a_set_does(start in 0..3000_u64, steps in prop::collection::vec(-1200..1500_i64, 0..300)) {
            let (mut window, mut set) = (Window::new(start), BTreeSet::from([start]));
            for step in steps {
                let newest = *set.last().unwrap();
                let index = newest.saturating_add_signed(step);
                let expected = match () {
                    () if newest.saturating_sub(index) >= REPLAY_WINDOW => Seen::TooOld,
                    () if set.contains(&index) => Seen::Yes,
                    () => Seen::No,
                };
                prop_assert_eq!(window.seen(index), expected);
                if expected == Seen::No {
                    window.insert(index);
                    set.insert(index);
                }
                prop_assert_eq!(window.newest(), *set.last().unwrap());
            }
        }
    }
}
