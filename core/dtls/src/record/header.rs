//! Where a record ends, and what it claims to be.

/// Content types. RFC 8446 section 5.1, RFC 9147 section 7.
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;
pub(crate) const ACK: u8 = 26;

/// DTLSPlaintext and the records of DTLS 1.2: type, version, epoch, sequence number, length. RFC 6347 section 4.1.
pub(crate) const HEADER_12: usize = 13;

/// The bits of a unified header. RFC 9147 section 4.
pub(crate) const UNIFIED: u8 = 0b0010_0000;
const UNIFIED_MASK: u8 = 0b1110_0000;
const UNIFIED_CONNECTION_ID: u8 = 0b0001_0000;
pub(crate) const UNIFIED_LONG: u8 = 0b0000_1000;
pub(crate) const UNIFIED_LENGTH: u8 = 0b0000_0100;

/// The header of a record, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Epoch zero: unprotected.
    Plain { content_type: u8, sequence: u64 },
    /// A protected record of DTLS 1.2.
    Dtls12 { content_type: u8, epoch: u64, sequence: u64 },
    /// A protected record of DTLS 1.3: the low bits of its epoch, and the bytes of its header.
    Dtls13 { epoch_bits: u64, header_len: usize },
}

/// The first record's header and its whole length; `None` if there is no telling.
pub(crate) fn first_record(bytes: &[u8]) -> Option<(Header, usize)> {
    let first = *bytes.first()?;
    if first & UNIFIED_MASK == UNIFIED {
        return unified(bytes);
    }
    let header: &[u8; HEADER_12] = bytes.first_chunk()?;
    let [content_type, major, minor, epoch_high, epoch_low, s1, s2, s3, s4, s5, s6, length_high, length_low] = *header;
    let len = HEADER_12 + usize::from(u16::from_be_bytes([length_high, length_low]));
    let epoch = u64::from(u16::from_be_bytes([epoch_high, epoch_low]));
    let sequence = u64::from_be_bytes([0, 0, s1, s2, s3, s4, s5, s6]);
    // A first hello may say {254, 255}. RFC 9147 section 4.
    if len > bytes.len() || major != 254 || epoch != 0 && minor != 253 {
        return None;
    }
    let header = match epoch {
        0 => Header::Plain { content_type, sequence },
        _ => Header::Dtls12 { content_type, epoch, sequence },
    };
    Some((header, len))
}

/// We negotiate no connection ids.
fn unified(bytes: &[u8]) -> Option<(Header, usize)> {
    let flags = *bytes.first()?;
    if flags & UNIFIED_CONNECTION_ID != 0 {
        return None;
    }
    let length_at = if flags & UNIFIED_LONG != 0 { 3 } else { 2 };
    let (header_len, len) = if flags & UNIFIED_LENGTH == 0 {
        (length_at, bytes.len())
    } else {
        let length: [u8; 2] = *bytes.get(length_at..)?.first_chunk()?;
        (length_at + 2, length_at + 2 + usize::from(u16::from_be_bytes(length)))
    };
    let header = Header::Dtls13 { epoch_bits: u64::from(flags & 3), header_len };
    (header_len <= len && len <= bytes.len()).then_some((header, len))
}

/// The sequence number whose low bits were sent, closest to the one that is expected. RFC 9147 section 4.2.2.
pub(crate) fn reconstruct(expected: u64, low: u64, bits: u32) -> u64 {
    let width = 1_u64 << bits;
    let candidate = expected & !(width - 1) | low;
    if candidate + width / 2 < expected {
        candidate + width
    } else if candidate > expected + width / 2 && candidate >= width {
        candidate - width
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers() {
        let plain = [22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 99, 1, 2, 3];
        assert_eq!(first_record(&plain), Some((Header::Plain { content_type: 22, sequence: 7 }, 14)));
        assert_eq!(first_record(&plain[..13]), None);
        let mut other = plain;
        other[4] = 1;
        assert_eq!(first_record(&other), None, "{{254, 255}} is for hellos");
        other[2] = 253;
        let header = Header::Dtls12 { content_type: 22, epoch: 1, sequence: 7 };
        assert_eq!(first_record(&other), Some((header, 14)));
        let short = Header::Dtls13 { epoch_bits: 3, header_len: 2 };
        assert_eq!(first_record(&[0x23, 1, 2, 3]), Some((short, 4)));
        let long = Header::Dtls13 { epoch_bits: 2, header_len: 5 };
        assert_eq!(first_record(&[0x2E, 1, 2, 0, 1, 9, 9]), Some((long, 6)));
        assert_eq!(first_record(&[0x3E, 1, 2, 0, 1, 9, 9]), None, "a connection id");
        assert_eq!(first_record(&[]), None);
    }

    proptest! {
        #[test]
        fn never_beyond_the_end(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some((_, len)) = first_record(&bytes) {
                prop_assert!(0 < len && len <= bytes.len());
            }
        }

        #[test]
        fn numbers_near_the_expected_come_back(expected in 0..1_u64 << 40, off in -120..120_i64, long: bool) {
            let bits = if long { 16 } else { 8 };
            let actual = expected.saturating_add_signed(off);
            prop_assert_eq!(reconstruct(expected, actual & ((1 << bits) - 1), bits), actual);
        }
    }
}
