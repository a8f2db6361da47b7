//! Numbers and length-prefixed lists, as all of TLS writes them. RFC 8446 section 3.

/// Takes bytes from the front; `None` once there are too few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Some` if nothing is left over.
    pub(crate) fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        Some(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn vec8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.bytes(usize::from(len))
    }

    pub(crate) fn vec16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    pub(crate) fn vec24(&mut self) -> Option<&'a [u8]> {
        let len = self.u24()?;
        self.bytes(len)
    }
}

/// The 16-bit numbers of a list, such as cipher suites; an odd byte at the end is not one.
pub(crate) fn numbers(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
}

/// The low 24 bits of a length.
pub(crate) fn u24(len: usize) -> [u8; 3] {
    let [.., high, middle, low] = len.to_be_bytes();
    [high, middle, low]
}

/// What `write` appends, after its length in `N` bytes. What does not fit such a length is not written by us.
pub(crate) fn prefixed<const N: usize>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; N]);
    write(out);
    let len = (out.len() - at - N).to_be_bytes();
    if let (Some(place), Some(len)) = (out.get_mut(at..at + N), len.last_chunk::<N>()) {
        place.copy_from_slice(len);
    }
}

pub(crate) fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut out = Vec::new();
        prefixed::<1>(&mut out, |out| out.extend_from_slice(b"a"));
        prefixed::<2>(&mut out, |out| put_u16(out, 0x1234));
        prefixed::<3>(&mut out, |out| out.extend_from_slice(&[7; 300]));
        let mut reader = Reader(&out);
        assert_eq!(reader.vec8(), Some(&b"a"[..]));
        assert_eq!(numbers(reader.vec16().unwrap()).collect::<Vec<_>>(), [0x1234]);
        assert_eq!(reader.vec24().map(<[u8]>::len), Some(300));
        assert_eq!(reader.end(), Some(()));
        assert_eq!(reader.u8(), None);
        assert_eq!(u24(0x01_02_03), [1, 2, 3]);
    }
}
