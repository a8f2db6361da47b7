//! The engine's own memory for what arrived: a few large chunks, handed out in slices.
//!
//! Two chunks take turns, and each is used again, without an allocation, once the application has dropped what was handed
//! out of it. An application that keeps a slice keeps its chunk alive, and costs one new chunk. They grow with the traffic: a
//! connection that is idle holds nothing.

use bytes::{Bytes, BytesMut};

const MIN_CHUNK: usize = 2 << 10;
/// The largest that `bytes` remembers the size of; a longer message gets a chunk of its own length.
const MAX_CHUNK: usize = 64 << 10;

/// Memory that grows with the traffic, appended to and frozen slice by slice.
///
/// ```
/// let mut chunks = wigwag_proto::Chunks::default();
/// chunks.append(b"what ");
/// chunks.append(b"arrived");
/// let slice = chunks.freeze(); // `bytes::Bytes`, no copy
/// chunks.append(b"the next");
/// assert_eq!(&slice[..], b"what arrived");
/// ```
#[derive(Debug, Default)]
pub struct Chunks {
    current: BytesMut,
    spare: BytesMut,
    size: usize,
}

impl Chunks {
    /// Bytes appended since the last [`Self::freeze`].
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether nothing was appended since the last [`Self::freeze`].
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// Appends to the slice being made, which stays contiguous.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.current.capacity() - self.current.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        self.current.extend_from_slice(bytes);
    }

    /// The slice that was appended; the next begins after it.
    pub fn freeze(&mut self) -> Bytes {
        self.current.split().freeze()
    }

    /// Forgets what was appended since the last [`Self::freeze`].
    pub fn discard(&mut self) {
        self.current.clear();
    }

    /// More than the smallest chunks are held.
    pub fn has_grown(&self) -> bool {
        self.size > MIN_CHUNK
    }

    /// Gives the memory back; an unfinished slice is kept.
    pub fn release(&mut self) {
        self.spare = BytesMut::new();
        if self.current.is_empty() {
            *self = Self::default();
        }
    }

    fn make_room(&mut self, len: usize) {
        if self.current.try_reclaim(len) {
            return;
        }
        self.size = (self.size * 2).clamp(MIN_CHUNK, MAX_CHUNK);
        let wanted = self.size.max(2 * (self.current.len() + len));
        if !self.spare.try_reclaim(wanted) {
            self.spare = BytesMut::with_capacity(wanted);
        }
        self.spare.extend_from_slice(&self.current);
        self.current.clear();
        std::mem::swap(&mut self.current, &mut self.spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_what_they_were() {
        let mut chunks = Chunks::default();
        let mut kept = Vec::new();
        for n in 0..5_000_usize {
            chunks.append(&[n as u8; 7]);
            if n % 3 == 0 {
                chunks.discard();
            }
            chunks.append(&[n as u8; 60]);
            kept.push((n, chunks.freeze()));
            if n % 5 == 0 {
                kept.clear();
            }
            assert!(kept.iter().all(|(n, slice)| slice.iter().all(|&byte| byte == *n as u8)));
        }
        chunks.release();
        assert_eq!(chunks.len(), 0);
    }
}
