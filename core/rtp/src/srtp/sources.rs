//! What is known of each source: its newest index, and the window below it.

use super::window::{Seen, Window};
use crate::number::{SequenceNumber, Ssrc};

/// Sources in one direction, for RTP and for RTCP each: enough for the largest conference on one connection, and at
/// most 320 KiB, however many sources an authentic peer invents.
pub const MAX_SOURCES: usize = 2048;

/// The sources so far. Looking up costs a binary search, and nothing for the source that was last.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Sorted.
    order: Vec<(Ssrc, usize)>,
    windows: Vec<Window>,
    last: Option<(Ssrc, usize)>,
}

/// Where the next packet of a source would go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The source is known.
    Known(usize),
    /// The source is new, and belongs here in the order.
    New(usize),
}

impl Sources {
    /// `None` if the source is new and there are too many.
    pub(super) fn find(&self, ssrc: Ssrc) -> Option<Place> {
        if let Some((_, at)) = self.last.filter(|(last, _)| *last == ssrc) {
            return Some(Place::Known(at));
        }
        match self.order.binary_search_by_key(&ssrc, |(ssrc, _)| *ssrc) {
            Ok(at) => self.order.get(at).map(|(_, window)| Place::Known(*window)),
            Err(at) => (self.windows.len() < MAX_SOURCES).then_some(Place::New(at)),
        }
    }

    fn window(&self, place: Place) -> Option<&Window> {
        match place {
            Place::Known(at) => self.windows.get(at),
            Place::New(_) => None,
        }
    }

    pub(super) fn seen(&self, place: Place, index: u64) -> Seen {
        self.window(place).map_or(Seen::No, |window| window.seen(index))
    }

    /// The index that a packet with this sequence number most likely has. RFC 3711 section 3.3.1 and appendix A.
    pub(super) fn guess(&self, place: Place, number: SequenceNumber) -> u64 {
        let number = u64::from(number.0);
        let Some(newest) = self.window(place).map(Window::newest) else { return number };
        let (rollovers, newest_number) = (newest >> 16, newest & 0xFFFF);
        let rollovers = if newest_number < 0x8000 {
            // Nothing comes before the first turn: there, what seems far behind lies far ahead.
            if number > newest_number + 0x8000 { rollovers.saturating_sub(1) } else { rollovers }
        } else if newest_number - 0x8000 > number {
            rollovers + 1
        } else {
            rollovers
        };
        rollovers << 16 | number
    }

    /// Remembers an index that was found to be authentic, or is about to be sent.
    pub(super) fn commit(&mut self, ssrc: Ssrc, place: Place, index: u64) {
        let at = match place {
            Place::Known(at) => {
                if let Some(window) = self.windows.get_mut(at) {
                    window.insert(index);
                }
                at
            }
            Place::New(at) => {
                let window = self.windows.len();
                self.windows.push(Window::new(index));
                self.order.insert(at.min(self.order.len()), (ssrc, window));
                window
            }
        };
        self.last = Some((ssrc, at));
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// Begins a source in the middle, for tests.
    #[cfg(test)]
    pub(super) fn start(&mut self, ssrc: Ssrc, index: u64) {
        let place = self.find(ssrc).unwrap();
        self.commit(ssrc, place, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(newest: u64, number: u16) -> u64 {
        let mut sources = Sources::default();
        sources.start(Ssrc(1), newest);
        sources.guess(sources.find(Ssrc(1)).unwrap(), SequenceNumber(number))
    }

    #[test]
    fn guesses_the_nearest() {
        assert_eq!(guess(0x1_0000, 0xFFFF), 0x0_FFFF);
        assert_eq!(guess(0x1_7FFF, 0xFFFF), 0x1_FFFF);
        assert_eq!(guess(0x1_7FFE, 0xFFFF), 0x0_FFFF);
        assert_eq!(guess(0x1_8000, 0), 0x1_0000);
        assert_eq!(guess(0x1_8001, 0), 0x2_0000);
        assert_eq!(guess(0x1_FFFF, 0x7FFE), 0x2_7FFE);
        assert_eq!(guess(0x1_FFFF, 0x7FFF), 0x1_7FFF);
        assert_eq!(guess(0, 0xFFFF), 0xFFFF);
    }

    #[test]
    fn sources_are_bounded() {
        let mut sources = Sources::default();
        for ssrc in 0..MAX_SOURCES as u32 {
            sources.start(Ssrc(ssrc.wrapping_mul(0x9E37_79B9)), u64::from(ssrc));
        }
        assert_eq!(sources.len(), MAX_SOURCES);
        assert!(sources.find(Ssrc(12_345)).is_none());
        for ssrc in 0..MAX_SOURCES as u32 {
            let place = sources.find(Ssrc(ssrc.wrapping_mul(0x9E37_79B9))).unwrap();
            assert_eq!(sources.seen(place, u64::from(ssrc)), Seen::Yes);
        }
    }
}
