//! Big-endian numbers, read from and written to bytes that may be too few.

/// The number in two bytes at `at`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The number in three bytes at `at`.
pub(crate) fn be24(bytes: &[u8], at: usize) -> Option<u32> {
    let &[a, b, c] = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

/// The number in four bytes at `at`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// The number in eight bytes at `at`.
pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_be_bytes)
}

/// The lower 24 bits, big-endian.
pub(crate) fn to_be24(value: u32) -> [u8; 3] {
    let [_, a, b, c] = value.to_be_bytes();
    [a, b, c]
}

/// Bytes written one after another; what does not fit is remembered, and nothing is written any more.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    room: &'a mut [u8],
    /// `None` when something did not fit.
    len: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Self { room, len: Some(0) }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.len = self.len.and_then(|len| {
            let end = len.checked_add(bytes.len())?;
            self.room.get_mut(len..end)?.copy_from_slice(bytes);
            Some(end)
        });
    }

    pub(crate) fn put8(&mut self, value: u8) {
        self.put(&[value]);
    }

    pub(crate) fn put16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn put32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Zeros up to a multiple of four bytes.
    pub(crate) fn align(&mut self) {
        if let Some(len) = self.len {
            self.put([0; 3].get(..len.next_multiple_of(4) - len).unwrap_or_default());
        }
    }

    /// Whether `count` bytes more would fit.
    pub(crate) fn fits(&self, count: usize) -> bool {
        self.len.is_some_and(|len| self.room.len() - len >= count)
    }

    /// Nothing that was written shall count.
    pub(crate) fn fail(&mut self) {
        self.len = None;
    }

    /// What was not written yet, as many whole words as there are.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        let end = self.room.len() / 4 * 4;
        self.len.and_then(|len| self.room.get_mut(len..end)).unwrap_or_default()
    }

    /// The first `count` bytes of [`rest`](Self::rest) were written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.len = self.len.and_then(|len| len.checked_add(count)).filter(|len| *len <= self.room.len());
    }

    /// Writes over what was written at `at`.
    pub(crate) fn overwrite(&mut self, at: Option<usize>, bytes: &[u8]) {
        if let Some(place) = at.and_then(|at| self.room.get_mut(at..at + bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    /// Bytes written, if all fitted.
    pub(crate) fn len(&self) -> Option<usize> {
        self.len
    }
}
