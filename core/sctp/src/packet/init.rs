//! INIT and INIT ACK. RFC 9260 sections 3.3.2 and 3.3.3.
//!
//! ```text
//! |                         Initiate Tag                          |
//! |           Advertised Receiver Window Credit (a_rwnd)          |
//! |  Number of Outbound Streams   |   Number of Inbound Streams   |
//! |                          Initial TSN                          |
//! |                          parameters ...                       |
//! ```

use super::chunk::{FORWARD_TSN, I_DATA, I_FORWARD_TSN, RE_CONFIG};
use super::{Parameters, Unknown, take_u32};

/// State Cookie. RFC 9260 section 3.3.3.1.
const STATE_COOKIE: u16 = 7;
/// Unrecognized Parameter: quotes one of the INIT in the INIT ACK.
const UNRECOGNIZED_PARAMETER: u16 = 8;
/// IPv4 Address, IPv6 Address, Cookie Preservative, Host Name Address, Supported Address Types: known, and of no use over DTLS (RFC 8261 section 5).
const IGNORED: [u16; 5] = [5, 6, 9, 11, 12];
/// The ones of SCTP-AUTH (RFC 4895) and dynamic addresses (RFC 5061), which RFC 8831 does not use.
const IGNORED_EXTENSIONS: [u16; 4] = [0x8002, 0x8003, 0x8004, 0xc006];
/// Zero Checksum Acceptable. RFC 9653 section 4.
const ZERO_CHECKSUM_ACCEPTABLE: u16 = 0x8001;
/// The error detection method that goes with it: DTLS. RFC 9653 section 6.1.
const ERROR_DETECTION_BY_DTLS: u32 = 1;
/// Supported Extensions. RFC 5061 section 4.2.7.
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
/// Forward-TSN-Supported. RFC 3758 section 3.1.
const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
/// What we quote of parameters that nobody knows.
const MAX_QUOTED: usize = 128;

const FIXED: usize = 16;

/// What one side says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Init {
    pub tag: u32,
    pub a_rwnd: u32,
    pub outbound_streams: u16,
    pub inbound_streams: u16,
    pub initial_tsn: u32,
    /// RE-CONFIG among the supported extensions. RFC 6525.
    pub reconfig: bool,
    /// FORWARD-TSN is understood. RFC 3758.
    pub forward_tsn: bool,
    /// I-DATA among the supported extensions. RFC 8260 section 2.2.1.
    pub interleaving: bool,
    /// Packets without a checksum are taken, since DTLS has one. RFC 9653.
    pub zero_checksum: bool,
}

/// An INIT or INIT ACK as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Received<'a> {
    pub init: Init,
    pub cookie: Option<&'a [u8]>,
    /// Parameters to be reported, whole and padded.
    pub unrecognized: Vec<u8>,
}

impl Init {
    /// `None` for what RFC 9260 sections 3.3.2 and 5.1.2 forbid: no tag, no streams, less than the smallest window.
    pub fn parse(value: &[u8]) -> Option<Received<'_>> {
        let (&[t0, t1, t2, t3, w0, w1, w2, w3, o0, o1, i0, i1, n0, n1, n2, n3], rest) =
            value.split_first_chunk::<FIXED>()?;
        let mut init = Self {
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
            a_rwnd: u32::from_be_bytes([w0, w1, w2, w3]),
            outbound_streams: u16::from_be_bytes([o0, o1]),
            inbound_streams: u16::from_be_bytes([i0, i1]),
            initial_tsn: u32::from_be_bytes([n0, n1, n2, n3]),
            reconfig: false,
            forward_tsn: false,
            interleaving: false,
            zero_checksum: false,
        };
        if init.tag == 0 || init.outbound_streams == 0 || init.inbound_streams == 0 || init.a_rwnd < 1500 {
            return None;
        }
        let (mut cookie, mut unrecognized) = (None, Vec::new());
        for (kind, value, whole) in Parameters(rest) {
            match kind {
                STATE_COOKIE => cookie = Some(value),
                SUPPORTED_EXTENSIONS => {
                    init.reconfig |= value.contains(&RE_CONFIG);
                    init.forward_tsn |= value.contains(&FORWARD_TSN);
                    init.interleaving |= value.contains(&I_DATA);
                }
                ZERO_CHECKSUM_ACCEPTABLE => {
                    init.zero_checksum = take_u32(value).is_some_and(|(method, _)| method == ERROR_DETECTION_BY_DTLS);
                }
                FORWARD_TSN_SUPPORTED => init.forward_tsn = true,
                UNRECOGNIZED_PARAMETER => {}
                _ if IGNORED.contains(&kind) || IGNORED_EXTENSIONS.contains(&kind) => {}
                _ => {
                    let unknown = Unknown::parameter(kind);
                    if unknown.report && unrecognized.len() + whole.len() + 3 <= MAX_QUOTED {
                        unrecognized.extend_from_slice(whole);
                        unrecognized.resize(super::padded(unrecognized.len()), 0);
                    }
                    if !unknown.skip {
                        break;
                    }
                }
            }
        }
        Some(Received { init, cookie, unrecognized })
    }

    /// The value of the INIT (no cookie) or INIT ACK.
    pub fn to_value(self, cookie: Option<&[u8]>, unrecognized: &[u8]) -> Vec<u8> {
        let mut value = Vec::with_capacity(FIXED + 64 + cookie.map_or(0, <[u8]>::len) + 2 * unrecognized.len());
        value.extend_from_slice(&self.tag.to_be_bytes());
        value.extend_from_slice(&self.a_rwnd.to_be_bytes());
        value.extend_from_slice(&self.outbound_streams.to_be_bytes());
        value.extend_from_slice(&self.inbound_streams.to_be_bytes());
        value.extend_from_slice(&self.initial_tsn.to_be_bytes());
        let mut extensions = [0; 4];
        let mut count = 0;
        for (supported, chunk) in [
            (self.reconfig, RE_CONFIG),
            (self.forward_tsn, FORWARD_TSN),
            (self.interleaving, I_DATA),
            (self.interleaving && self.forward_tsn, I_FORWARD_TSN),
        ] {
            if let Some(slot) = extensions.get_mut(count).filter(|_| supported) {
                *slot = chunk;
                count += 1;
            }
        }
        if self.forward_tsn {
            push_parameter(&mut value, FORWARD_TSN_SUPPORTED, &[]);
        }
        push_parameter(&mut value, SUPPORTED_EXTENSIONS, extensions.get(..count).unwrap_or_default());
        if self.zero_checksum {
            push_parameter(&mut value, ZERO_CHECKSUM_ACCEPTABLE, &ERROR_DETECTION_BY_DTLS.to_be_bytes());
        }
        if let Some(cookie) = cookie {
            push_parameter(&mut value, STATE_COOKIE, cookie);
        }
        for (_, _, whole) in Parameters(unrecognized) {
            push_parameter(&mut value, UNRECOGNIZED_PARAMETER, whole);
        }
        value
    }
}

/// Appends one parameter and its padding. RFC 9260 section 3.2.1.
pub(crate) fn push_parameter(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&((value.len() + 4) as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(super::padded(out.len()), 0);
}

/// The Measure of Staleness in a Stale Cookie cause is not needed: the cookie is simply fetched anew.
pub(crate) fn stale_cookie_cause(staleness_micros: u32) -> Vec<u8> {
    let mut cause = Vec::new();
    push_parameter(&mut cause, super::chunk::CAUSE_STALE_COOKIE, &staleness_micros.to_be_bytes());
    cause
}

/// The value of a HEARTBEAT, whose information is ours to choose: here eight bytes. RFC 9260 section 3.3.5.
pub(crate) fn heartbeat(nonce: u32, sent_at: u32) -> [u8; 12] {
    let [n0, n1, n2, n3] = nonce.to_be_bytes();
    let [s0, s1, s2, s3] = sent_at.to_be_bytes();
    [0, 1, 0, 12, n0, n1, n2, n3, s0, s1, s2, s3]
}

/// The nonce of a HEARTBEAT ACK, if its information has our shape.
pub(crate) fn heartbeat_nonce(value: &[u8]) -> Option<u32> {
    let rest = value.strip_prefix(&[0, 1, 0, 12])?;
    take_u32(rest).map(|(nonce, _)| nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn init_survives(tag in 1..u32::MAX, a_rwnd in 1500..u32::MAX, streams in 1..u16::MAX, tsn: u32, reconfig: bool, forward_tsn: bool, interleaving: bool, zero_checksum: bool, cookie: Option<Vec<u8>>) {
            let init = Init { tag, a_rwnd, outbound_streams: streams, inbound_streams: 9, initial_tsn: tsn, reconfig, forward_tsn, interleaving, zero_checksum };
            let value = init.to_value(cookie.as_deref(), &[]);
            let read = Init::parse(&value).unwrap();
            prop_assert_eq!(read.init, init);
            prop_assert_eq!(read.cookie, cookie.as_deref());
        }

        #[test]
        fn any_bytes(value: Vec<u8>) {
            let _ = Init::parse(&value);
        }
    }

    #[test]
    fn unknown_parameters_are_treated_by_their_bits() {
        let init = Init {
            tag: 1,
            a_rwnd: 9999,
            outbound_streams: 1,
            inbound_streams: 1,
            initial_tsn: 0,
            reconfig: false,
            forward_tsn: false,
            interleaving: false,
            zero_checksum: false,
        };
        let mut value = init.to_value(None, &[]);
        push_parameter(&mut value, 0x8777, b"skipped in silence");
        push_parameter(&mut value, 0xc777, b"told");
        push_parameter(&mut value, 0x4777, b"told, and stop");
        push_parameter(&mut value, STATE_COOKIE, b"never seen");
        let read = Init::parse(&value).unwrap();
        assert_eq!(read.cookie, None);
        let told: Vec<_> = Parameters(&read.unrecognized).map(|(kind, _, _)| kind).collect();
        assert_eq!(told, [0xc777, 0x4777]);
        let answer = init.to_value(Some(b"cookie"), &read.unrecognized);
        assert_eq!(Init::parse(&answer).unwrap().cookie, Some(&b"cookie"[..]));
    }
}
