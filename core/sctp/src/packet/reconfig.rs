//! RE-CONFIG. RFC 6525 sections 3.1 and 4.
//!
//! ```text
//! | Parameter Type = 13           | Parameter Length = 16 + 2 * N |   Outgoing SSN Reset Request
//! |           Re-configuration Request Sequence Number            |
//! |           Re-configuration Response Sequence Number           |
//! |                Sender's Last Assigned TSN                     |
//! |  Stream Number 1 (optional)   |    Stream Number 2 (optional) |
//!
//! | Parameter Type = 16           |      Parameter Length         |   Re-configuration Response
//! |         Re-configuration Response Sequence Number             |
//! |                            Result                             |
//! ```

use super::{Parameters, take_u32};

const OUTGOING_RESET: u16 = 13;
const INCOMING_RESET: u16 = 14;
const RESPONSE: u16 = 16;
/// SSN/TSN reset, add outgoing streams, add incoming streams.
const NOT_FOR_US: [u16; 3] = [15, 17, 18];

/// How a request ended. RFC 6525 section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Outcome {
    Performed = 1,
    Denied = 2,
    BadSequenceNumber = 5,
    InProgress = 6,
}

/// One parameter of a RE-CONFIG chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter<'a> {
    /// The peer resets its outgoing streams: `streams`, or all of them if there are none.
    OutgoingReset { sequence: u32, last_tsn: u32, streams: Streams<'a> },
    /// The peer would like us to reset ours.
    IncomingReset { sequence: u32, streams: Streams<'a> },
    /// Our request `sequence` ended.
    Response { sequence: u32, result: u32 },
    /// A request that data channels do not use.
    Other { sequence: u32 },
}

/// Stream numbers in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams<'a>(&'a [[u8; 2]]);

impl<'a> Streams<'a> {
    pub fn iter(self) -> impl Iterator<Item = u16> + use<'a> {
        self.0.iter().map(|&stream| u16::from_be_bytes(stream))
    }
}

/// The parameters of a RE-CONFIG chunk that we know.
pub(crate) fn parse(value: &[u8]) -> impl Iterator<Item = Parameter<'_>> {
    Parameters(value).filter_map(|(kind, value, _)| {
        let (sequence, rest) = take_u32(value)?;
        match kind {
            OUTGOING_RESET => {
                let (_, rest) = take_u32(rest)?;
                let (last_tsn, rest) = take_u32(rest)?;
                Some(Parameter::OutgoingReset { sequence, last_tsn, streams: Streams(rest.as_chunks().0) })
            }
            INCOMING_RESET => Some(Parameter::IncomingReset { sequence, streams: Streams(rest.as_chunks().0) }),
            RESPONSE => Some(Parameter::Response { sequence, result: take_u32(rest)?.0 }),
            _ if NOT_FOR_US.contains(&kind) => Some(Parameter::Other { sequence }),
            _ => None,
        }
    })
}

/// The bytes of an outgoing reset request before its streams.
pub(crate) const OUTGOING_RESET_FIXED: usize = 16;
/// The bytes of a response.
pub(crate) const RESPONSE_LEN: usize = 12;

/// An outgoing reset request, `OUTGOING_RESET_FIXED + 2 * streams.len()` bytes.
pub(crate) fn write_outgoing_reset(
    out: &mut [u8],
    sequence: u32,
    response_sequence: u32,
    last_tsn: u32,
    streams: &[u16],
) {
    let length = (OUTGOING_RESET_FIXED + 2 * streams.len()) as u16;
    let head = (u32::from(OUTGOING_RESET) << 16) | u32::from(length);
    put_words(out, &[head, sequence, response_sequence, last_tsn]);
    let (halves, _) = out.get_mut(OUTGOING_RESET_FIXED..).unwrap_or_default().as_chunks_mut::<2>();
    for (slot, stream) in halves.iter_mut().zip(streams) {
        *slot = stream.to_be_bytes();
    }
}

/// A response, `RESPONSE_LEN` bytes.
pub(crate) fn write_response(out: &mut [u8], sequence: u32, result: Outcome) {
    put_words(out, &[(u32::from(RESPONSE) << 16) | RESPONSE_LEN as u32, sequence, result as u32]);
}

fn put_words(out: &mut [u8], words: &[u32]) {
    for (slot, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *slot = word.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn requests_survive(sequence: u32, last: u32, streams in prop::collection::vec(any::<u16>(), 0..9)) {
            let mut value = vec![0; OUTGOING_RESET_FIXED + 2 * streams.len()];
            write_outgoing_reset(&mut value, sequence, 3, last, &streams);
            let read: Vec<_> = parse(&value).collect();
            let [Parameter::OutgoingReset { sequence: s, last_tsn, streams: list }] = read[..] else { panic!("{read:?}") };
            prop_assert_eq!((s, last_tsn), (sequence, last));
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), streams);
        }

        #[test]
        fn any_bytes(value: Vec<u8>) {
            let _ = parse(&value).count();
        }
    }

    #[test]
    fn responses_survive() {
        let mut value = [0; RESPONSE_LEN];
        write_response(&mut value, 77, Outcome::InProgress);
        assert_eq!(parse(&value).collect::<Vec<_>>(), [Parameter::Response { sequence: 77, result: 6 }]);
    }
}
