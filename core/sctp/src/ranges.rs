//! Runs of TSNs: what arrived beyond a hole, seen from either side.
//!
//! A SACK repeats every run each time; [`Ranges::insert`] says which part of a run is news, so that nobody walks over TSNs
//! twice. Finding the place is a binary search, and the common cases (a run grows at its end, or is known) change one entry.

use std::collections::VecDeque;

use wigwag_proto::Serial;

/// Disjoint runs `(first, last)`, ascending, never adjacent, all after a base that the caller moves.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    runs: VecDeque<(u32, u32)>,
}

impl Ranges {
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Holds more places than few holes need.
    pub fn has_grown(&self) -> bool {
        self.runs.capacity() > 64
    }

    /// Gives back places that are not used.
    pub fn shrink_to_fit(&mut self) {
        self.runs.shrink_to_fit();
    }

    pub fn clear(&mut self) {
        self.runs.clear();
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        self.runs.iter().copied()
    }

    /// The last TSN of all.
    pub fn last(&self) -> Option<u32> {
        self.runs.back().map(|&(_, last)| last)
    }

    /// Adds `first..=last`, both after `base`, and tells `news` the parts that were not known.
    pub fn insert(&mut self, base: u32, first: u32, last: u32, mut news: impl FnMut(u32, u32)) {
        let place = |tsn: u32| tsn.distance_from(base);
        let index = self.runs.partition_point(|&(_, end)| place(end).saturating_add(1) < place(first));
        let (mut merged_first, mut merged_last) = (first, last);
        let mut unknown_from = first;
        let mut touched = 0;
        for &(run_first, run_last) in self.runs.range(index..) {
            if place(run_first) > place(last).saturating_add(1) {
                break;
            }
            touched += 1;
            if place(run_first) > place(unknown_from) {
                news(unknown_from, run_first.wrapping_sub(1));
            }
            if place(run_last) >= place(unknown_from) {
                unknown_from = run_last.wrapping_add(1);
            }
            if place(run_first) < place(merged_first) {
                merged_first = run_first;
            }
            if place(run_last) > place(merged_last) {
                merged_last = run_last;
            }
        }
        if place(unknown_from) <= place(last) && place(unknown_from) != 0 {
            news(unknown_from, last);
        }
        match self.runs.get_mut(index).filter(|_| touched > 0) {
            None => self.runs.insert(index, (merged_first, merged_last)),
            Some(run) => {
                *run = (merged_first, merged_last);
                if touched > 1 {
                    self.runs.drain(index + 1..index + touched);
                }
            }
        }
    }

    /// Forgets everything up to and including `upto`; all runs are after `base`.
    pub fn forget(&mut self, base: u32, upto: u32) {
        let place = |tsn: u32| tsn.distance_from(base);
        while let Some(run) = self.runs.front_mut() {
            if place(run.1) <= place(upto) {
                self.runs.pop_front();
                continue;
            }
            if place(run.0) <= place(upto) {
                run.0 = upto.wrapping_add(1);
            }
            break;
        }
    }

    /// Takes the first run if it follows `tsn` without a hole; returns its end.
    pub fn take_following(&mut self, tsn: u32) -> Option<u32> {
        let &(first, last) = self.runs.front()?;
        (first == tsn.wrapping_add(1)).then(|| {
            self.runs.pop_front();
            last
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn like_a_set(base: u32, inserts in prop::collection::vec((1..200_u32, 0..20_u32), 0..60), upto in 0..250_u32) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (first, more) in inserts {
                let mut news = BTreeSet::new();
                ranges.insert(base, base.wrapping_add(first), base.wrapping_add(first + more), |a, b| {
                    news.extend(a.wrapping_sub(base)..=b.wrapping_sub(base));
                });
                let expected: BTreeSet<u32> = (first..=first + more).filter(|n| !set.contains(n)).collect();
                prop_assert_eq!(&news, &expected);
                set.extend(news);
            }
            ranges.forget(base, base.wrapping_add(upto));
            set.retain(|&n| n > upto);
            let listed: BTreeSet<u32> = ranges.iter().flat_map(|(a, b)| a.wrapping_sub(base)..=b.wrapping_sub(base)).collect();
            prop_assert_eq!(listed, set);
            let runs: Vec<_> = ranges.iter().collect();
            for pair in runs.windows(2) {
                prop_assert!(pair[1].0.wrapping_sub(base) > pair[0].1.wrapping_sub(base) + 1, "adjacent runs are one");
            }
        }
    }
}
