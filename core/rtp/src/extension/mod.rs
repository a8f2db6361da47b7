//! Header extensions: small values between an RTP header and its payload. RFC 8285.
//!
//! ```text
//! one-byte form, profile 0xBEDE        two-byte form, profile 0x100 and four bits of the application's
//!  0                                    0                   1
//!  0 1 2 3 4 5 6 7                      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//! +-+-+-+-+-+-+-+-+                    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  id   | len-1 | 1 to 16 bytes      |      id       |      len      | 0 to 255 bytes
//! +-+-+-+-+-+-+-+-+                    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ids 1 to 14; 15 ends all             ids 1 to 255
//! ```
//!
//! What an id means is agreed on by both ends, with a URI in the session description: [`ExtensionMap`] keeps that,
//! [`ExtensionKind`] names what this crate knows, [`ExtensionValue`] is what the bytes say.

mod kind;
mod value;

use std::ops::Range;

pub use kind::{BadExtensionId, ExtensionKind, ExtensionMap};
pub use value::{AbsCaptureTime, AbsSendTime, AudioLevel, ExtensionValue, PlayoutDelay, VideoOrientation};

/// The profile of the one-byte form. RFC 8285 section 4.2.
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;

/// The profile of the two-byte form; its lower four bits are the application's. RFC 8285 section 4.3.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// One header extension, as it lies in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The id, 1 to 255, never 15 in the one-byte form.
    pub id: u8,
    /// The value.
    pub value: &'a [u8],
}

/// How elements are headed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Id and length in one byte.
    OneByte,
    /// One byte each.
    TwoByte,
}

impl Form {
    pub(crate) fn of(profile: u16) -> Option<Self> {
        match profile {
            ONE_BYTE_PROFILE => Some(Self::OneByte),
            _ if profile & 0xFFF0 == TWO_BYTE_PROFILE => Some(Self::TwoByte),
            _ => None,
        }
    }
}

/// The header extensions of a packet, in order. One that is cut off ends them, as does an id that the form forbids.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: Option<Form>,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Extensions<'a> {
    /// The elements in `bytes`; none, if `profile` is not of RFC 8285.
    pub fn new(profile: u16, bytes: &'a [u8]) -> Self {
        Self { form: Form::of(profile), bytes, at: 0 }
    }

    /// Where the next value lies, with its id.
    fn next_range(&mut self) -> Option<(u8, Range<usize>)> {
        let form = self.form?;
        loop {
            let first = *self.bytes.get(self.at)?;
            if first == 0 {
                self.at += 1; // padding, also between elements
                continue;
            }
            let (id, start, len) = match form {
                Form::OneByte => (first >> 4, self.at + 1, usize::from(first & 0x0F) + 1),
                Form::TwoByte => (first, self.at + 2, usize::from(*self.bytes.get(self.at + 1)?)),
            };
            // RFC 8285 section 4.2: an id of 0 with a length, and the id 15, end the processing.
            let forbidden = form == Form::OneByte && (id == 0 || id == 15);
            if forbidden || start + len > self.bytes.len() {
                self.form = None;
                return None;
            }
            self.at = start + len;
            return Some((id, start..start + len));
        }
    }

    /// Where the first value with this id lies.
    pub(crate) fn find_range(&mut self, wanted: u8) -> Option<Range<usize>> {
        while let Some((id, range)) = self.next_range() {
            if id == wanted {
                return Some(range);
            }
        }
        None
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        let (id, range) = self.next_range()?;
        Some(Extension { id, value: self.bytes.get(range)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(profile: u16, bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Extensions::new(profile, bytes).map(|extension| (extension.id, extension.value.to_vec())).collect()
    }

    #[test]
    fn one_byte_form() {
        let bytes = [0x10, 0xAA, 0, 0, 0x21, 1, 2, 0x30, 3];
        assert_eq!(all(ONE_BYTE_PROFILE, &bytes), [(1, vec![0xAA]), (2, vec![1, 2]), (3, vec![3])]);
        assert_eq!(all(ONE_BYTE_PROFILE, &[0x10, 1, 0xF0, 2, 0x20, 3]), [(1, vec![1])]);
        assert_eq!(all(ONE_BYTE_PROFILE, &[0x10, 1, 0x01, 2, 3, 0x20, 3]), [(1, vec![1])]);
        assert_eq!(all(ONE_BYTE_PROFILE, &[0x10, 1, 0x23, 1, 2, 3]), [(1, vec![1])]);
    }

    #[test]
    fn two_byte_form() {
        let bytes = [1, 0, 0, 15, 1, 7, 255, 2, 8, 9, 0];
        assert_eq!(all(0x1005, &bytes), [(1, vec![]), (15, vec![7]), (255, vec![8, 9])]);
        assert_eq!(all(0x1000, &[1]), []);
        assert_eq!(all(0x1000, &[1, 2, 3]), []);
        assert_eq!(all(0x2000, &bytes), []);
    }

    proptest! {
        #[test]
        fn any_bytes(two: bool, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let profile = if two { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
            let mut extensions = Extensions::new(profile, &bytes);
            prop_assert!(extensions.by_ref().count() <= bytes.len());
            prop_assert_eq!(extensions.next(), None);
        }
    }
}
