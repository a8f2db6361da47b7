//! What of a datagram `dimpl` gets to see.
//!
//! Records that are protected authenticate themselves. Those that are not could come from anybody: `dimpl` would end a
//! handshake for an alert in the clear. So of the unprotected records only those pass that a handshake needs, and the
//! alerts are noted. Nor do records pass whose shape is not that of the version: whatever `dimpl` would make of
//! application data in the clear (it refuses it), it does not come to see any.

use crate::config::Version;

/// DTLSPlaintext and the records of DTLS 1.2: type, version, epoch, sequence number, length. RFC 6347 section 4.1.
const HEADER: usize = 13;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const ACK: u8 = 26;
const FATAL: u8 = 2;

/// The bits that tell a unified header. RFC 9147 section 4.
const UNIFIED_MASK: u8 = 0b1110_0000;
const UNIFIED: u8 = 0b0010_0000;
const CONNECTION_ID: u8 = 0b0001_0000;
const LONG_SEQUENCE: u8 = 0b0000_1000;
const LENGTH: u8 = 0b0000_0100;

/// What is left of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Screened {
    /// The first so many bytes are the records that passed.
    pub len: usize,
    /// Records that did not.
    pub dropped: u64,
    /// One of them was a fatal alert in the clear: its description.
    pub alert: Option<u8>,
}

/// Moves the records that may pass to the front of `datagram`.
pub(crate) fn screen(datagram: &mut [u8], version: Option<Version>) -> Screened {
    let mut screened = Screened::default();
    let mut start = 0;
    while let Some(rest) = datagram.get(start..).filter(|rest| !rest.is_empty()) {
        let Some((record, passes)) = first_record(rest, version) else {
            screened.dropped += 1;
            break;
        };
        if passes {
            datagram.copy_within(start..start + record, screened.len);
            screened.len += record;
        } else {
            screened.alert = screened.alert.or(fatal_alert(rest.get(..record).unwrap_or_default()));
            screened.dropped += 1;
        }
        start += record;
    }
    screened
}

/// The length of the first record, and whether it may pass; `None` if there is none.
fn first_record(bytes: &[u8], version: Option<Version>) -> Option<(usize, bool)> {
    let first = *bytes.first()?;
    if first & UNIFIED_MASK == UNIFIED {
        return Some((unified_len(bytes)?, version != Some(Version::Dtls12)));
    }
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let [.., epoch_high, epoch_low, _, _, _, _, _, _, length_high, length_low] = *header;
    let record = HEADER + usize::from(u16::from_be_bytes([length_high, length_low]));
    if record > bytes.len() {
        return None;
    }
    let passes = match u16::from_be_bytes([epoch_high, epoch_low]) {
        0 => matches!(first, CHANGE_CIPHER_SPEC | HANDSHAKE | ACK),
        _ => version == Some(Version::Dtls12) && matches!(first, ALERT | HANDSHAKE | APPLICATION_DATA),
    };
    Some((record, passes))
}

/// The length of a record with a unified header. RFC 9147 section 4. We negotiate no connection ids.
fn unified_len(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.first()?;
    if flags & CONNECTION_ID != 0 {
        return None;
    }
    let length_at = 1 + if flags & LONG_SEQUENCE != 0 { 2 } else { 1 };
    if flags & LENGTH == 0 {
        return (bytes.len() > length_at).then_some(bytes.len());
    }
    let length: [u8; 2] = *bytes.get(length_at..)?.first_chunk()?;
    let record = length_at + 2 + usize::from(u16::from_be_bytes(length));
    (record <= bytes.len()).then_some(record)
}

fn fatal_alert(record: &[u8]) -> Option<u8> {
    let (header, body) = record.split_at_checked(HEADER)?;
    match (header, body) {
        ([ALERT, _, _, 0, 0, ..], [FATAL, description]) => Some(*description),
        _ => None,
    }
}

/// A fatal alert in the clear, to tell a peer that waits in vain for the rest of a handshake. Its sequence number lies
/// beyond those of any handshake, so that it is no repetition.
pub(crate) fn plaintext_alert(description: u8) -> [u8; HEADER + 2] {
    [ALERT, 254, 253, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 2, FATAL, description]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 1, 0, body.len() as u8];
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn only_the_handshake_passes_unprotected() {
        for version in [None, Some(Version::Dtls12), Some(Version::Dtls13)] {
            let mut datagram = [
                record(HANDSHAKE, 0, b"hello"),
                record(APPLICATION_DATA, 0, b"forged"),
                record(ALERT, 0, &[FATAL, 40]),
                record(CHANGE_CIPHER_SPEC, 0, &[1]),
            ]
            .concat();
            let expected = [record(HANDSHAKE, 0, b"hello"), record(CHANGE_CIPHER_SPEC, 0, &[1])].concat();
            let screened = screen(&mut datagram, version);
            assert_eq!(screened, Screened { len: expected.len(), dropped: 2, alert: Some(40) });
            assert_eq!(datagram[..screened.len], expected);
        }
    }

    #[test]
    fn protected_records_are_those_of_the_version() {
        let (old, new) = (record(APPLICATION_DATA, 1, &[0; 30]), [[0x2F, 1, 2, 0, 20].as_slice(), &[0; 20]].concat());
        let passes = |bytes: &Vec<u8>, version| screen(&mut bytes.clone(), version).len == bytes.len();
        assert!(passes(&old, Some(Version::Dtls12)) && !passes(&new, Some(Version::Dtls12)));
        assert!(passes(&new, Some(Version::Dtls13)) && !passes(&old, Some(Version::Dtls13)));
        assert!(passes(&new, None) && !passes(&old, None));
    }

    #[test]
    fn our_alert_is_one() {
        let mut alert = plaintext_alert(42);
        assert_eq!(screen(&mut alert, None), Screened { len: 0, dropped: 1, alert: Some(42) });
    }

    proptest! {
        #[test]
        fn what_passed_passes_again(mut datagram in prop::collection::vec(any::<u8>(), 0..200), version in 0..3) {
            let version = [None, Some(Version::Dtls12), Some(Version::Dtls13)][version as usize];
            let screened = screen(&mut datagram, version);
            datagram.truncate(screened.len);
            let again = screen(&mut datagram, version);
            prop_assert_eq!(again, Screened { len: screened.len, dropped: 0, alert: None });
        }
    }
}
