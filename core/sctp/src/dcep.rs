//! The Data Channel Establishment Protocol: two messages. RFC 8832 section 5.
//!
//! ```text
//! |  Message Type |  Channel Type |            Priority           |   DATA_CHANNEL_OPEN = 3
//! |                    Reliability Parameter                      |
//! |         Label Length          |       Protocol Length         |
//! |                             Label, Protocol                   |
//! ```

use std::time::Duration;

use bytes::Bytes;

use crate::{ChannelConfig, PayloadKind, Reliability};

/// Payload protocol identifier of DCEP. RFC 8831 section 8.
pub(crate) const DCEP: u32 = 50;
const STRING: u32 = 51;
const BINARY: u32 = 53;
const STRING_EMPTY: u32 = 56;
const BINARY_EMPTY: u32 = 57;

const OPEN: u8 = 3;
const ACK: u8 = 2;

const UNORDERED: u8 = 0x80;
const RELIABLE: u8 = 0;
const MAX_RETRANSMITS: u8 = 1;
const MAX_LIFETIME: u8 = 2;

/// What a DCEP message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dcep {
    Open(ChannelConfig),
    Ack,
}

pub(crate) const ACK_MESSAGE: Bytes = Bytes::from_static(&[ACK]);

impl Dcep {
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (&kind, _) = message.split_first()?;
        match kind {
            ACK => Some(Self::Ack),
            OPEN => parse_open(message).map(Self::Open),
            _ => None,
        }
    }
}

fn parse_open(message: &[u8]) -> Option<ChannelConfig> {
    let (&[_, channel_type, p0, p1, r0, r1, r2, r3, l0, l1, n0, n1], rest) = message.split_first_chunk()?;
    let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
    let (label, rest) = rest.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
    let protocol = rest.get(..usize::from(u16::from_be_bytes([n0, n1])))?;
    let reliability = match channel_type & !UNORDERED {
        RELIABLE => Reliability::Reliable,
        MAX_RETRANSMITS => Reliability::MaxRetransmits(parameter.try_into().unwrap_or(u16::MAX)),
        MAX_LIFETIME => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
        _ => return None,
    };
    Some(ChannelConfig {
        label: String::from_utf8_lossy(label).into_owned(),
        protocol: String::from_utf8_lossy(protocol).into_owned(),
        ordered: channel_type & UNORDERED == 0,
        reliability,
        negotiated: None,
        priority: u16::from_be_bytes([p0, p1]),
    })
}

/// The DATA_CHANNEL_OPEN of `config`, whose label and protocol are at most 65,535 bytes.
pub(crate) fn open(config: &ChannelConfig) -> Bytes {
    let (kind, parameter) = match config.reliability {
        Reliability::Reliable => (RELIABLE, 0),
        Reliability::MaxRetransmits(count) => (MAX_RETRANSMITS, count.into()),
        Reliability::MaxLifetime(lifetime) => (MAX_LIFETIME, lifetime.as_millis().try_into().unwrap_or(u32::MAX)),
    };
    let mut message = Vec::with_capacity(12 + config.label.len() + config.protocol.len());
    message.extend_from_slice(&[OPEN, kind | if config.ordered { 0 } else { UNORDERED }]);
    message.extend_from_slice(&config.priority.to_be_bytes());
    message.extend_from_slice(&u32::to_be_bytes(parameter));
    message.extend_from_slice(&(config.label.len() as u16).to_be_bytes());
    message.extend_from_slice(&(config.protocol.len() as u16).to_be_bytes());
    message.extend_from_slice(config.label.as_bytes());
    message.extend_from_slice(config.protocol.as_bytes());
    message.into()
}

/// How a message travels: SCTP has no empty ones, so that they are a byte with an identifier of their own. RFC 8831 section 6.6.
pub(crate) fn wrap(kind: PayloadKind, data: Bytes) -> (u32, Bytes) {
    const ZERO: Bytes = Bytes::from_static(&[0]);
    match (kind, data.is_empty()) {
        (PayloadKind::Text, false) => (STRING, data),
        (PayloadKind::Text, true) => (STRING_EMPTY, ZERO),
        (PayloadKind::Binary, false) => (BINARY, data),
        (PayloadKind::Binary, true) => (BINARY_EMPTY, ZERO),
    }
}

/// The other way.
pub(crate) fn unwrap(ppid: u32, data: Bytes) -> Option<(PayloadKind, Bytes)> {
    match ppid {
        STRING => Some((PayloadKind::Text, data)),
        BINARY => Some((PayloadKind::Binary, data)),
        STRING_EMPTY => Some((PayloadKind::Text, Bytes::new())),
        BINARY_EMPTY => Some((PayloadKind::Binary, Bytes::new())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn open_survives(label in ".{0,40}", protocol in ".{0,9}", ordered: bool, priority: u16, which in 0..3, parameter: u16) {
            let reliability = match which {
                0 => Reliability::Reliable,
                1 => Reliability::MaxRetransmits(parameter),
                _ => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
            };
            let config = ChannelConfig { label, protocol, ordered, reliability, negotiated: None, priority };
            prop_assert_eq!(Dcep::parse(&open(&config)), Some(Dcep::Open(config)));
        }

        #[test]
        fn any_bytes(message: Vec<u8>) {
            let _ = Dcep::parse(&message);
        }
    }

    #[test]
    fn empty_messages_are_told_apart() {
        for kind in [PayloadKind::Text, PayloadKind::Binary] {
            for data in [Bytes::new(), Bytes::from_static(b"x")] {
                let (ppid, wire) = wrap(kind, data.clone());
                assert_eq!(wire.len(), 1);
                assert_eq!(unwrap(ppid, wire), Some((kind, data)));
            }
        }
    }
}
