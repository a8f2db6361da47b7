//! ChannelData, and how it and STUN messages follow each other in a stream. RFC 8656 section 12.4.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Channel Number        |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       Application Data                        |
//! ```
//!
//! In a stream, each message is padded to a multiple of four bytes, which its length does not count.

use std::ops::RangeInclusive;

use crate::HEADER_LEN;

/// Bytes before the data.
pub const CHANNEL_HEADER_LEN: usize = 4;

/// The channels that can be bound. RFC 8656 section 12.
pub const CHANNEL_NUMBERS: RangeInclusive<u16> = 0x4000..=0x4FFF;

/// Whether `datagram` is ChannelData, by its first byte (RFC 7983).
pub fn is_channel_data(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(64..=79))
}

/// The header of `len` bytes on `channel`.
pub fn channel_header(channel: u16, len: u16) -> [u8; CHANNEL_HEADER_LEN] {
    let ([c1, c2], [l1, l2]) = (channel.to_be_bytes(), len.to_be_bytes());
    [c1, c2, l1, l2]
}

/// The channel and where its data lies in `datagram`; what follows it is padding. `None` if it is no ChannelData or is cut
/// off.
///
/// ```
/// use wigwag_stun::{channel_header, parse_channel_data};
///
/// let mut datagram = channel_header(0x4001, 5).to_vec();
/// datagram.extend_from_slice(b"hello\0\0\0");
/// assert_eq!(parse_channel_data(&datagram), Some((0x4001, 4..9)));
/// ```
pub fn parse_channel_data(datagram: &[u8]) -> Option<(u16, std::ops::Range<usize>)> {
    let (&[c1, c2, l1, l2], rest) = datagram.split_first_chunk::<CHANNEL_HEADER_LEN>()?;
    let (channel, len) = (u16::from_be_bytes([c1, c2]), usize::from(u16::from_be_bytes([l1, l2])));
    let range = CHANNEL_HEADER_LEN..CHANNEL_HEADER_LEN + len;
    (CHANNEL_NUMBERS.contains(&channel) && len <= rest.len()).then_some(range).map(|range| (channel, range))
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// More bytes are needed to tell.
    Unknown,
    /// A STUN message, or ChannelData with its padding, of so many bytes.
    Whole(usize),
    /// Neither: whoever sends such is not understood any more.
    Invalid,
}

/// How long the STUN message or ChannelData is that a stream of TURN begins with. RFC 8656 section 12.5, RFC 8489 section
/// 6.2.2.
///
/// ```
/// use wigwag_stun::{Frame, channel_header, frame};
///
/// assert_eq!(frame(&channel_header(0x4001, 5)), Frame::Whole(12));
/// assert_eq!(frame(&[0x16, 3, 1, 2]), Frame::Invalid);
/// ```
pub fn frame(stream: &[u8]) -> Frame {
    let Some(&[first, second, l1, l2]) = stream.first_chunk::<4>() else {
        return match stream.first() {
            None | Some(0..=3 | 0x40..=0x4F) => Frame::Unknown,
            Some(_) => Frame::Invalid,
        };
    };
    let len = usize::from(u16::from_be_bytes([l1, l2]));
    match first {
        0..=3 if len % 4 == 0 => Frame::Whole(HEADER_LEN + len),
        _ if CHANNEL_NUMBERS.contains(&u16::from_be_bytes([first, second])) => {
            Frame::Whole(CHANNEL_HEADER_LEN + len.next_multiple_of(4))
        }
        _ => Frame::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            if let Some((channel, range)) = parse_channel_data(&bytes) {
                prop_assert!(CHANNEL_NUMBERS.contains(&channel) && range.end <= bytes.len());
                prop_assert!(is_channel_data(&bytes));
            }
            frame(&bytes);
        }

        #[test]
        fn what_is_written_is_read(channel in CHANNEL_NUMBERS, data in proptest::collection::vec(any::<u8>(), 0..50)) {
            let mut datagram = channel_header(channel, data.len() as u16).to_vec();
            datagram.extend_from_slice(&data);
            prop_assert_eq!(parse_channel_data(&datagram), Some((channel, 4..4 + data.len())));
            prop_assert_eq!(frame(&datagram), Frame::Whole(datagram.len().next_multiple_of(4)));
        }
    }
}
