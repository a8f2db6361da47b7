//! Messages from fragments, in order. RFC 9147 section 5.5, RFC 6347 section 4.2.3.
//!
//! Fragments come in any order, overlap, and come again. What is kept is bounded: so many messages ahead of the next
//! one, so many bytes together, so many gaps in each. A message's fragments must all be of one epoch: those that are
//! protected supersede those that anybody could have sent. Of those in the clear that contradict each other the latest
//! wins: so a forged one does harm only until the peer sends its own again.

use crate::wire::message::{Fragment, Message};

/// Messages from the next one on that are kept: no flight has as many.
const MAX_AHEAD: u16 = 16;
/// Bytes of all messages together that are not complete or not due: a long chain of RSA certificates has some ten thousand. With the
/// ranges (8 KiB) and the records that wait for keys (20 KiB), a handshake holds less than 64 KiB, whatever comes.
const MAX_BYTES: usize = 32 * 1024;
/// Ranges of a message that do not touch each other. All of them have room for every second fragment of the longest message.
const MAX_RANGES: usize = 32;

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is kept, or was there already.
    Kept,
    /// Of a message that was handled before.
    Old,
    /// It contradicts others, or is beyond the bounds.
    Refused,
}

#[derive(Debug)]
struct Partial {
    kind: u8,
    seq: u16,
    epoch: u64,
    body: Vec<u8>,
    /// What is there: sorted, not touching each other.
    ranges: Vec<(usize, usize)>,
}

#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    /// `next_receive_seq`.
    next: u16,
    partial: Vec<Partial>,
    bytes: usize,
}

impl Reassembly {
    /// The `message_seq` of the message that is due.
    pub(crate) fn next(&self) -> u16 {
        self.next
    }

    /// Takes a fragment that came in `epoch`.
    pub(crate) fn take(&mut self, epoch: u64, fragment: &Fragment<'_>) -> Taken {
        if fragment.seq < self.next {
            return Taken::Old;
        }
        if fragment.seq - self.next >= MAX_AHEAD {
            return Taken::Refused;
        }
        if let Some(at) = self.partial.iter().position(|partial| partial.yields_to(epoch, fragment)) {
            self.remove(at);
        }
        let at = match self.partial.iter().position(|partial| partial.seq == fragment.seq) {
            Some(at) => at,
            None => {
                if fragment.part.is_empty() && fragment.len > 0 || self.bytes + fragment.len > MAX_BYTES {
                    return Taken::Refused;
                }
                self.bytes += fragment.len;
                let Fragment { kind, seq, .. } = *fragment;
                self.partial.push(Partial { kind, seq, epoch, body: vec![0; fragment.len], ranges: Vec::new() });
                self.partial.len() - 1
            }
        };
        match self.partial.get_mut(at) {
            Some(partial) if partial.epoch == epoch => partial.take(fragment),
            _ => Taken::Refused,
        }
    }

    /// The message that is due, if it is complete and came in `epoch`. One of an earlier epoch is forgotten: it was
    /// not the peer's.
    pub(crate) fn pop(&mut self, epoch: u64) -> Option<Message> {
        let at = self.partial.iter().position(|partial| partial.seq == self.next && partial.is_complete())?;
        let partial = self.remove(at)?;
        if partial.epoch < epoch {
            return None;
        }
        self.next = self.next.checked_add(1)?;
        let Partial { kind, seq, epoch, body, .. } = partial;
        Some(Message { kind, seq, epoch, body })
    }

    fn remove(&mut self, at: usize) -> Option<Partial> {
        if at >= self.partial.len() {
            return None;
        }
        let partial = self.partial.swap_remove(at);
        self.bytes -= partial.body.len();
        Some(partial)
    }
}

impl Partial {
    fn yields_to(&self, epoch: u64, fragment: &Fragment<'_>) -> bool {
        let contradicts = (fragment.kind, fragment.len) != (self.kind, self.body.len());
        self.seq == fragment.seq && (self.epoch < epoch || self.epoch == 0 && epoch == 0 && contradicts)
    }

    fn is_complete(&self) -> bool {
        self.body.is_empty() || matches!(self.ranges[..], [(0, end)] if end == self.body.len())
    }

    fn take(&mut self, fragment: &Fragment<'_>) -> Taken {
        if (fragment.kind, fragment.len) != (self.kind, self.body.len()) {
            return Taken::Refused;
        }
        if fragment.part.is_empty() {
            return Taken::Kept;
        }
        let (mut start, mut end) = (fragment.offset, fragment.offset + fragment.part.len());
        let touching = |range: &&(usize, usize)| range.0 <= end && start <= range.1;
        let apart = self.ranges.iter().filter(|range| !touching(range)).count();
        if apart >= MAX_RANGES {
            return Taken::Refused;
        }
        let Some(place) = self.body.get_mut(start..end) else {
            return Taken::Refused;
        };
        place.copy_from_slice(fragment.part);
        // One pass is enough: the ranges there do not touch each other.
        let (first, last) = (start, end);
        self.ranges.retain(|range| {
            let touches = range.0 <= last && first <= range.1;
            if touches {
                (start, end) = (start.min(range.0), end.max(range.1));
            }
            !touches
        });
        let at = self.ranges.partition_point(|range| range.0 < start);
        self.ranges.insert(at, (start, end));
        Taken::Kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fragment(seq: u16, body: &[u8], part: std::ops::Range<usize>) -> Fragment<'_> {
        Fragment { kind: 11, len: body.len(), seq, offset: part.start, part: &body[part] }
    }

    #[test]
    fn in_any_order_and_twice() {
        let body: Vec<u8> = (0..100).collect();
        let mut reassembly = Reassembly::default();
        for part in [60..100, 0..10, 5..40, 60..100, 39..61] {
            assert_eq!(reassembly.pop(0), None);
            assert_eq!(reassembly.take(0, &fragment(0, &body, part)), Taken::Kept);
        }
        assert_eq!(reassembly.pop(0).unwrap().body, body);
        assert_eq!(reassembly.take(0, &fragment(0, &body, 0..9)), Taken::Old);
        assert!(reassembly.partial.is_empty() && reassembly.bytes == 0);
    }

    #[test]
    fn what_is_protected_supersedes() {
        let (forged, genuine) = ([1; 20], [2; 30]);
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.take(0, &fragment(0, &forged, 0..20)), Taken::Kept);
        assert_eq!(reassembly.take(2, &fragment(0, &genuine, 0..30)), Taken::Kept);
        assert_eq!(reassembly.take(0, &fragment(0, &forged, 0..20)), Taken::Refused);
        assert_eq!(reassembly.pop(2).unwrap().body, genuine);
        assert_eq!(reassembly.take(0, &fragment(1, &forged, 0..20)), Taken::Kept);
        assert_eq!(reassembly.pop(2), None);
        assert_eq!(reassembly.take(2, &fragment(1, &genuine, 0..30)), Taken::Kept, "and the forged is forgotten");
    }

    #[test]
    fn a_forged_beginning_does_not_last() {
        let (forged, genuine) = ([1; 20], [2; 30]);
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.take(0, &fragment(0, &forged, 0..10)), Taken::Kept);
        assert_eq!(reassembly.take(0, &fragment(0, &genuine, 0..30)), Taken::Kept);
        assert_eq!(reassembly.pop(0).unwrap().body, genuine);
    }

    #[test]
    fn bounds() {
        let mut reassembly = Reassembly::default();
        let long = vec![0; 1 << 20];
        assert_eq!(reassembly.take(0, &fragment(0, &long, 0..10)), Taken::Refused);
        let long = &long[..MAX_BYTES / 2];
        assert_eq!(reassembly.take(0, &fragment(15, long, 0..10)), Taken::Kept);
        assert_eq!(reassembly.take(0, &fragment(3, long, 0..10)), Taken::Kept);
        assert_eq!(reassembly.take(0, &fragment(4, long, 0..10)), Taken::Refused);
        assert_eq!(reassembly.take(0, &fragment(16, &[1], 0..1)), Taken::Refused);
        assert_eq!(reassembly.take(0, &fragment(2, &[1; 4], 0..0)), Taken::Refused, "nothing of something");
        let kept = (0..1000).filter(|n| reassembly.take(0, &fragment(3, long, n * 9..n * 9 + 1)) == Taken::Kept);
        assert!(kept.count() <= MAX_RANGES + 2);
        assert_eq!(reassembly.take(2, &fragment(3, &long[1..], 0..5)), Taken::Kept, "a protected one supersedes");
        assert_eq!(reassembly.take(2, &fragment(3, long, 0..5)), Taken::Refused, "of another length");
    }

    proptest! {
        #[test]
        fn never_more_than_the_bounds(
            fragments in prop::collection::vec((0..20_u16, 0..2_u64, 0..70_000_usize, 0..70_000_usize, 0..300_usize), 0..200),
        ) {
            let mut reassembly = Reassembly::default();
            for (seq, epoch, len, offset, part) in fragments {
                let offset = offset.min(len);
                let part = vec![7; part.min(len - offset)];
                reassembly.take(epoch, &Fragment { kind: 1, len, seq, offset, part: &part });
                while reassembly.pop(0).is_some() {}
                prop_assert!(reassembly.bytes <= MAX_BYTES && reassembly.partial.len() <= usize::from(MAX_AHEAD));
                prop_assert!(reassembly.partial.iter().all(|partial| partial.ranges.len() <= MAX_RANGES + 1));
            }
        }

        #[test]
        fn a_message_cut_anyhow(len in 1..2_000_usize, mut cuts in prop::collection::vec(0..2_000_usize, 0..20), seed: u64) {
            let body: Vec<u8> = (0..len).map(|n| n as u8).collect();
            cuts.retain(|cut| *cut < len);
            cuts.extend([0, len]);
            cuts.sort();
            let mut parts: Vec<_> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
            parts.sort_by_key(|part| (part.start as u64 + 1).wrapping_mul(seed));
            let mut reassembly = Reassembly::default();
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                reassembly.take(0, &fragment(0, &body, part));
            }
            prop_assert_eq!(reassembly.pop(0).map(|message| message.body), Some(body));
        }
    }
}
