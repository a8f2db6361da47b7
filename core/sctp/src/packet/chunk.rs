//! Chunk types, DATA's own layout, and error causes.
//!
//! ```text
//! |   Type = 0    |  Res  |I|U|B|E|            Length             |   DATA, RFC 9260 section 3.3.1
//! |                              TSN                              |
//! |      Stream Identifier S      |   Stream Sequence Number n    |
//! |                  Payload Protocol Identifier                  |
//!
//! |   Type = 64   |  Res  |I|U|B|E|            Length             |   I-DATA, RFC 8260 section 2.1
//! |                              TSN                              |
//! |        Stream Identifier      |           Reserved            |
//! |                      Message Identifier                       |
//! |  Payload Protocol Identifier (B) / Fragment Sequence Number   |
//! ```

use super::take_u32;

/// Payload data. RFC 9260 section 3.3.1.
pub(crate) const DATA: u8 = 0;
/// Section 3.3.2.
pub(crate) const INIT: u8 = 1;
/// Section 3.3.3.
pub(crate) const INIT_ACK: u8 = 2;
/// Section 3.3.4.
pub(crate) const SACK: u8 = 3;
/// Section 3.3.5.
pub(crate) const HEARTBEAT: u8 = 4;
/// Section 3.3.6.
pub(crate) const HEARTBEAT_ACK: u8 = 5;
/// Section 3.3.7.
pub(crate) const ABORT: u8 = 6;
/// Section 3.3.8.
pub(crate) const SHUTDOWN: u8 = 7;
/// Section 3.3.9.
pub(crate) const SHUTDOWN_ACK: u8 = 8;
/// Section 3.3.10.
pub(crate) const ERROR: u8 = 9;
/// Section 3.3.11.
pub(crate) const COOKIE_ECHO: u8 = 10;
/// Section 3.3.12.
pub(crate) const COOKIE_ACK: u8 = 11;
/// Section 3.3.13.
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
/// Payload data whose messages may be mixed. RFC 8260 section 2.1.
pub(crate) const I_DATA: u8 = 64;
/// RFC 6525 section 3.1.
pub(crate) const RE_CONFIG: u8 = 130;
/// RFC 3758 section 3.2.
pub(crate) const FORWARD_TSN: u8 = 192;

/// RFC 8260 section 2.3.
pub(crate) const I_FORWARD_TSN: u8 = 194;

/// The last piece of a message.
pub(crate) const ENDING: u8 = 1;
/// The first piece of a message.
pub(crate) const BEGINNING: u8 = 2;
/// The message has no place in its stream's order.
pub(crate) const UNORDERED: u8 = 4;
/// The sender would like its SACK at once. RFC 7053.
pub(crate) const IMMEDIATE: u8 = 8;

/// The verification tag is the receiver's own, reflected. RFC 9260 section 8.5.1.
pub(crate) const REFLECTED_TAG: u8 = 1;

/// Error cause: Stale Cookie. RFC 9260 section 3.3.10.3.
pub(crate) const CAUSE_STALE_COOKIE: u16 = 3;
/// Error cause: Unrecognized Chunk Type. Section 3.3.10.6.
pub(crate) const CAUSE_UNRECOGNIZED_CHUNK: u16 = 6;
/// Error cause: User-Initiated Abort. Section 3.3.10.12.
pub(crate) const CAUSE_USER_ABORT: u16 = 12;

/// TSN, stream identifier, stream sequence number, payload protocol identifier.
const DATA_HEADER: usize = 12;
/// TSN, stream identifier, message identifier, payload protocol identifier or fragment sequence number.
const I_DATA_HEADER: usize = 16;

/// How pieces of messages travel: agreed on once, for both directions. RFC 8260 section 2.2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// In DATA: the pieces of a message have consecutive TSNs.
    #[default]
    Data,
    /// In I-DATA: each piece says which message it belongs to.
    Interleaved,
}

impl Format {
    /// The length of a chunk's value before the payload.
    pub fn header(self) -> usize {
        match self {
            Self::Data => DATA_HEADER,
            Self::Interleaved => I_DATA_HEADER,
        }
    }

    /// The chunk's type.
    pub fn kind(self) -> u8 {
        match self {
            Self::Data => DATA,
            Self::Interleaved => I_DATA,
        }
    }
}

/// A DATA or I-DATA chunk: one piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Data<'a> {
    pub flags: u8,
    pub tsn: u32,
    pub stream: u16,
    /// Stream sequence number (16 bits), or message identifier.
    pub sequence: u32,
    /// Which piece of its message, from 0: in I-DATA only.
    pub fsn: u32,
    /// Only the first piece says it in I-DATA.
    pub ppid: u32,
    pub payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// `None` when shorter than its header, or empty ("No User Data" is a protocol violation, section 6.2).
    pub fn parse(flags: u8, value: &'a [u8]) -> Option<Self> {
        let (&[t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3], payload) = value.split_first_chunk::<DATA_HEADER>()?;
        (!payload.is_empty()).then_some(Self {
            flags,
            tsn: u32::from_be_bytes([t0, t1, t2, t3]),
            stream: u16::from_be_bytes([s0, s1]),
            sequence: u16::from_be_bytes([n0, n1]).into(),
            fsn: 0,
            ppid: u32::from_be_bytes([p0, p1, p2, p3]),
            payload,
        })
    }

    /// The same of I-DATA.
    pub fn parse_interleaved(flags: u8, value: &'a [u8]) -> Option<Self> {
        let (&[t0, t1, t2, t3, s0, s1, _, _, m0, m1, m2, m3, p0, p1, p2, p3], payload) =
            value.split_first_chunk::<I_DATA_HEADER>()?;
        let last = u32::from_be_bytes([p0, p1, p2, p3]);
        let (ppid, fsn) = if flags & BEGINNING != 0 { (last, 0) } else { (0, last) };
        (!payload.is_empty()).then_some(Self {
            flags,
            tsn: u32::from_be_bytes([t0, t1, t2, t3]),
            stream: u16::from_be_bytes([s0, s1]),
            sequence: u32::from_be_bytes([m0, m1, m2, m3]),
            fsn,
            ppid,
            payload,
        })
    }

    /// Fills `value`, whose length is `format.header() + payload.len()`.
    pub fn write(&self, format: Format, value: &mut [u8]) {
        match format {
            Format::Data => self.write_data(value),
            Format::Interleaved => self.write_interleaved(value),
        }
    }

    fn write_interleaved(&self, value: &mut [u8]) {
        let Some((header, payload)) = value.split_first_chunk_mut::<I_DATA_HEADER>() else { return };
        let last = if self.flags & BEGINNING != 0 { self.ppid } else { self.fsn };
        let [t0, t1, t2, t3] = self.tsn.to_be_bytes();
        let [s0, s1] = self.stream.to_be_bytes();
        let [m0, m1, m2, m3] = self.sequence.to_be_bytes();
        let [p0, p1, p2, p3] = last.to_be_bytes();
        *header = [t0, t1, t2, t3, s0, s1, 0, 0, m0, m1, m2, m3, p0, p1, p2, p3];
        payload.copy_from_slice(self.payload);
    }

    fn write_data(&self, value: &mut [u8]) {
        let Some((header, payload)) = value.split_first_chunk_mut::<DATA_HEADER>() else { return };
        let [t0, t1, t2, t3] = self.tsn.to_be_bytes();
        let [s0, s1] = self.stream.to_be_bytes();
        let [n0, n1] = (self.sequence as u16).to_be_bytes();
        let [p0, p1, p2, p3] = self.ppid.to_be_bytes();
        *header = [t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3];
        payload.copy_from_slice(self.payload);
    }
}

/// The error causes of an ABORT or ERROR: their codes.
pub(crate) fn causes(value: &[u8]) -> impl Iterator<Item = u16> {
    super::Parameters(value).map(|(code, _, _)| code)
}

/// The cumulative TSN ack of a SHUTDOWN.
pub(crate) fn parse_shutdown(value: &[u8]) -> Option<u32> {
    take_u32(value).map(|(tsn, _)| tsn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn data_survives(flags in 0..16_u8, tsn: u32, stream: u16, ssn: u16, ppid: u32, payload in prop::collection::vec(any::<u8>(), 1..100)) {
            let data = Data { flags, tsn, stream, sequence: ssn.into(), fsn: 0, ppid, payload: &payload };
            let mut value = vec![0; Format::Data.header() + payload.len()];
            data.write(Format::Data, &mut value);
            prop_assert_eq!(Data::parse(flags, &value), Some(data));
        }

        #[test]
        fn interleaved_data_survives(flags in 0..16_u8, tsn: u32, stream: u16, sequence: u32, last: u32, payload in prop::collection::vec(any::<u8>(), 1..100)) {
            let (ppid, fsn) = if flags & BEGINNING != 0 { (last, 0) } else { (0, last) };
            let data = Data { flags, tsn, stream, sequence, fsn, ppid, payload: &payload };
            let mut value = vec![0; Format::Interleaved.header() + payload.len()];
            data.write(Format::Interleaved, &mut value);
            prop_assert_eq!(Data::parse_interleaved(flags, &value), Some(data));
        }
    }

    #[test]
    fn empty_data_is_none() {
        assert_eq!(Data::parse(3, &[0; DATA_HEADER]), None);
    }
}
