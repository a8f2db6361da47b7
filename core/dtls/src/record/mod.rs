//! The record layer: epochs, sequence numbers and keys of both directions.
//!
//! ```text
//! epoch   DTLS 1.2                  DTLS 1.3
//!   0     hellos, certificates      hellos, in the clear
//!   1     Finished, then data       -
//!   2     -                         the rest of the handshake
//!   3..   -                         data; a KeyUpdate makes the next
//! ```
//!
//! To send, every epoch of the present flight is kept, so that it can be sent again; the last is what data goes in. To
//! read, the last three are kept, for records that were overtaken. A record is opened where it lies.

mod header;
mod protection;
mod window;

use wigwag_crypto::{Aead, Digest, KeyError, Provider};

pub(crate) use header::{ACK, ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Header, first_record};
use header::{HEADER_12, reconstruct};
use protection::plaintext_header;
pub(crate) use protection::{PREFIX_12, PREFIX_13, Protection, SUFFIX_12, SUFFIX_13};
use window::Window;

use crate::schedule::{Suite, next_traffic_secret};

/// Epochs that are kept to read.
const MAX_READ_EPOCHS: usize = 3;
/// Sequence numbers have 48 bits on the wire.
const MAX_SEQUENCE: u64 = (1 << 48) - 1;
/// Records that one key of AES-GCM may protect: 2^24.5. RFC 9147 section 4.5.3.
const MAX_SEALED_GCM: u64 = 23_726_566;
/// Records that did not open with one key: "2^36 [...] for AEAD_AES_128_GCM, AEAD_AES_256_GCM, and
/// AEAD_CHACHA20_POLY1305". RFC 9147 section 4.5.3.
const MAX_FORGED: u64 = 1 << 36;

/// A number that no two records share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordNumber {
    pub epoch: u64,
    pub sequence: u64,
}

/// What came of a record.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    /// Anybody could have sent it.
    Plain { content_type: u8, number: RecordNumber, body: &'a mut [u8] },
    /// Only the peer could have.
    Protected { content_type: u8, number: RecordNumber, body: &'a mut [u8] },
    /// There is no key for it, yet.
    Early,
    /// Forged, repeated, or broken.
    Refused,
}

/// Where a traffic secret led, and where the next key comes from. DTLS 1.3 only.
#[derive(Debug)]
struct Origin {
    suite: Suite,
    secret: Digest,
}

#[derive(Debug)]
struct Write {
    epoch: u64,
    next: u64,
    limit: u64,
    protection: Protection,
    origin: Option<Origin>,
}

#[derive(Debug)]
struct Read {
    epoch: u64,
    window: Window,
    forged: u64,
    protection: Protection,
    origin: Option<Origin>,
}

/// Both directions. See [the module](self).
#[derive(Debug, Default)]
pub(crate) struct Records {
    plain_next: u64,
    /// The last is the present one.
    write: Vec<Write>,
    /// The latest first.
    read: Vec<Read>,
}

impl Records {
    /// The epoch that data, alerts and acknowledgements are sent in; zero: in the clear.
    pub(crate) fn write_epoch(&self) -> u64 {
        self.write.last().map_or(0, |write| write.epoch)
    }

    /// The latest epoch that can be read; zero: none but the clear.
    pub(crate) fn read_epoch(&self) -> u64 {
        self.read.first().map_or(0, |read| read.epoch)
    }

    /// Whether anything came in the latest epoch that can be read.
    pub(crate) fn has_received(&self) -> bool {
        self.read.first().is_some_and(|read| read.window.next() > 0)
    }

    /// Records that were sealed with the present key.
    pub(crate) fn sealed(&self) -> u64 {
        self.write.last().map_or(0, |write| write.next)
    }

    pub(crate) fn write_with(&mut self, epoch: u64, protection: Protection) {
        self.write.push(Write { epoch, next: 0, limit: MAX_SEQUENCE, protection, origin: None });
    }

    pub(crate) fn read_with(&mut self, epoch: u64, protection: Protection) {
        self.read.insert(0, Read { epoch, window: Window::default(), forged: 0, protection, origin: None });
        self.read.truncate(MAX_READ_EPOCHS);
    }

    /// Sends in `epoch` of DTLS 1.3 from now on.
    pub(crate) fn write_from(
        &mut self,
        provider: Provider,
        epoch: u64,
        suite: Suite,
        secret: &Digest,
    ) -> Result<(), KeyError> {
        self.write_with(epoch, Protection::dtls13(provider, suite, secret)?);
        if let Some(write) = self.write.last_mut() {
            write.limit = if suite.aead == Aead::ChaCha20Poly1305 { MAX_SEQUENCE } else { MAX_SEALED_GCM };
            write.origin = Some(Origin { suite, secret: secret.clone() });
        }
        Ok(())
    }

    /// Reads `epoch` of DTLS 1.3 from now on, too.
    pub(crate) fn read_from(
        &mut self,
        provider: Provider,
        epoch: u64,
        suite: Suite,
        secret: &Digest,
    ) -> Result<(), KeyError> {
        self.read_with(epoch, Protection::dtls13(provider, suite, secret)?);
        if let Some(read) = self.read.first_mut() {
            read.origin = Some(Origin { suite, secret: secret.clone() });
        }
        Ok(())
    }

    /// The next key to send with, once the peer has acknowledged our KeyUpdate. RFC 9147 section 8.
    pub(crate) fn update_write(&mut self, provider: Provider) -> Result<(), KeyError> {
        let Some(Write { epoch, origin: Some(origin), .. }) = self.write.last() else {
            return Ok(());
        };
        let (epoch, suite) = (epoch + 1, origin.suite);
        let secret = next_traffic_secret(provider, suite, &origin.secret);
        self.write.clear();
        self.write_from(provider, epoch, suite, &secret)
    }

    /// The next key to read with, once the peer has sent a KeyUpdate.
    pub(crate) fn update_read(&mut self, provider: Provider) -> Result<(), KeyError> {
        let Some(Read { epoch, origin: Some(origin), .. }) = self.read.first() else {
            return Ok(());
        };
        let (epoch, suite) = (epoch + 1, origin.suite);
        let secret = next_traffic_secret(provider, suite, &origin.secret);
        self.read_from(provider, epoch, suite, &secret)
    }

    /// Seals the `len` bytes after the prefix in `segment` with the present key; the length of the record. `None` if
    /// there is no key, or no room, or the key has done its work.
    pub(crate) fn seal(&mut self, content_type: u8, segment: &mut [u8], len: usize) -> Option<usize> {
        let write = self.write.last_mut()?;
        write.seal(content_type, segment, len).map(|(_, len)| len)
    }

    /// Whether the present key may seal no more.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.write.last().is_some_and(|write| write.next >= write.limit)
    }

    /// Forgets the keys of flights that the peer has: nothing is sent again with them.
    pub(crate) fn forget_old_writes(&mut self) {
        let old = self.write.len().saturating_sub(1);
        self.write.drain(..old);
        self.write.shrink_to_fit();
        self.read.shrink_to_fit();
    }

    /// Bytes before and after a payload that is sealed with the present key.
    pub(crate) fn present_overhead(&self) -> Option<(usize, usize)> {
        self.write.last().map(|write| write.protection.overhead())
    }

    /// Bytes of a record in `epoch` around its payload.
    pub(crate) fn overhead(&self, epoch: u64) -> usize {
        let write = self.write.iter().find(|write| write.epoch == epoch);
        write.map_or(HEADER_12, |write| {
            let (prefix, suffix) = write.protection.overhead();
            prefix + suffix
        })
    }

    /// Appends a record in `epoch` to a datagram.
    pub(crate) fn append(
        &mut self,
        epoch: u64,
        content_type: u8,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<RecordNumber> {
        let at = out.len();
        if epoch == 0 {
            let sequence = self.plain_next;
            out.extend_from_slice(&plaintext_header(content_type, sequence, payload.len())?);
            out.extend_from_slice(payload);
            self.plain_next += 1;
            return Some(RecordNumber { epoch, sequence });
        }
        let write = self.write.iter_mut().find(|write| write.epoch == epoch)?;
        let (prefix, suffix) = write.protection.overhead();
        out.resize(at + prefix, 0);
        out.extend_from_slice(payload);
        out.resize(at + prefix + payload.len() + suffix, 0);
        let sealed = out.get_mut(at..).and_then(|segment| write.seal(content_type, segment, payload.len()));
        if sealed.is_none() {
            out.truncate(at);
        }
        sealed.map(|(number, _)| number)
    }

    /// Opens one whole record.
    pub(crate) fn open<'a>(&mut self, header: Header, record: &'a mut [u8]) -> Opened<'a> {
        match header {
            Header::Plain { content_type, sequence } => match record.get_mut(HEADER_12..) {
                Some(body) => {
                    let number = RecordNumber { epoch: 0, sequence };
                    Opened::Plain { content_type, number, body }
                }
                None => Opened::Refused,
            },
            Header::Dtls12 { content_type, epoch, sequence } => self.open12(content_type, epoch, sequence, record),
            Header::Dtls13 { epoch_bits, header_len } => self.open13(epoch_bits, header_len, record),
        }
    }

    fn open12<'a>(&mut self, content_type: u8, epoch: u64, sequence: u64, record: &'a mut [u8]) -> Opened<'a> {
        let Some(read) = self.read.iter_mut().find(|read| read.epoch == epoch) else {
            return Opened::Early;
        };
        if !read.window.is_new(sequence) || read.forged >= MAX_FORGED {
            return Opened::Refused;
        }
        let Some(body) = read.protection.open12(record) else {
            read.forged += 1;
            return Opened::Refused;
        };
        read.window.mark(sequence);
        Opened::Protected { content_type, number: RecordNumber { epoch, sequence }, body }
    }

    fn open13<'a>(&mut self, epoch_bits: u64, header_len: usize, record: &'a mut [u8]) -> Opened<'a> {
        let Some(read) = self.read.iter_mut().find(|read| read.epoch & 3 == epoch_bits) else {
            return Opened::Early;
        };
        let Some((low, bits)) = read.protection.uncover(record, header_len) else {
            return Opened::Refused;
        };
        let sequence = reconstruct(read.window.next(), low, bits);
        if !read.window.is_new(sequence) || read.forged >= MAX_FORGED {
            return Opened::Refused;
        }
        let Some((content_type, body)) = read.protection.open13(record, header_len, sequence) else {
            read.forged += 1;
            return Opened::Refused;
        };
        read.window.mark(sequence);
        Opened::Protected { content_type, number: RecordNumber { epoch: read.epoch, sequence }, body }
    }
}

impl Write {
    fn seal(&mut self, content_type: u8, segment: &mut [u8], len: usize) -> Option<(RecordNumber, usize)> {
        if self.next >= self.limit {
            return None;
        }
        let number = RecordNumber { epoch: self.epoch, sequence: self.next };
        let len = self.protection.seal(content_type, number.epoch, number.sequence, segment, len)?;
        self.next += 1;
        Some((number, len))
    }
}

#[cfg(test)]
mod tests {
    use wigwag_crypto::{Hash, default_provider};

    use super::*;

    const SUITES: [Suite; 3] = [
        Suite { aead: Aead::Aes128Gcm, hash: Hash::Sha256 },
        Suite { aead: Aead::Aes256Gcm, hash: Hash::Sha384 },
        Suite { aead: Aead::ChaCha20Poly1305, hash: Hash::Sha256 },
    ];

    fn pair(suite: Suite) -> [Records; 2] {
        let secret = Digest::new(&vec![3; suite.hash.len()]);
        let mut ends = [Records::default(), Records::default()];
        ends[0].write_from(default_provider(), 3, suite, &secret).unwrap();
        ends[1].read_from(default_provider(), 3, suite, &secret).unwrap();
        ends
    }

    fn open(records: &mut Records, record: &[u8]) -> Option<(u8, RecordNumber, Vec<u8>)> {
        let mut record = record.to_vec();
        let (header, len) = first_record(&record)?;
        match records.open(header, &mut record[..len]) {
            Opened::Protected { content_type, number, body } => Some((content_type, number, body.to_vec())),
            _ => None,
        }
    }

    #[test]
    fn records_of_every_suite() {
        for suite in SUITES {
            let [mut sender, mut receiver] = pair(suite);
            for (n, len) in [0, 1, 100, 1200, 16_384].into_iter().enumerate() {
                let mut record = Vec::new();
                let number = sender.append(3, APPLICATION_DATA, &vec![9; len], &mut record).unwrap();
                assert_eq!(number, RecordNumber { epoch: 3, sequence: n as u64 });
                assert_eq!(record.len(), len + sender.overhead(3));
                assert_eq!(open(&mut receiver, &record), Some((APPLICATION_DATA, number, vec![9; len])));
                assert_eq!(open(&mut receiver, &record), None, "never twice");
            }
        }
    }

    #[test]
    fn records_of_dtls_12() {
        for Suite { aead, .. } in SUITES {
            let iv_len = if aead == Aead::ChaCha20Poly1305 { 12 } else { 4 };
            let key =
                || Protection::dtls12(default_provider(), aead, &vec![3; aead.key_len()], &vec![5; iv_len]).unwrap();
            let (mut sender, mut receiver) = (Records::default(), Records::default());
            sender.write_with(1, key());
            receiver.read_with(1, key());
            // What stands in the record of the nonce.
            let explicit = if aead == Aead::ChaCha20Poly1305 { 0 } else { 8 };
            assert_eq!(sender.present_overhead(), Some((13 + explicit, 16)));
            for (n, len) in [0, 1, 100, 1200, 16_384].into_iter().enumerate() {
                let mut record = Vec::new();
                let number = sender.append(1, APPLICATION_DATA, &vec![9; len], &mut record).unwrap();
                assert_eq!(
                    (number, record.len()),
                    (RecordNumber { epoch: 1, sequence: n as u64 }, 29 + explicit + len)
                );
                let mut changed = record.clone();
                changed[10] ^= 1; // of the sequence number
                assert_eq!(open(&mut receiver, &changed), None);
                assert_eq!(open(&mut receiver, &record), Some((APPLICATION_DATA, number, vec![9; len])));
                assert_eq!(open(&mut receiver, &record), None, "never twice");
            }
            assert!(Protection::dtls12(default_provider(), aead, &vec![3; aead.key_len()], &[5; 5]).is_err());
        }
    }

    /// What other implementations may send: one byte of sequence number, no length, padding.
    #[test]
    fn records_of_other_shapes() {
        for suite in SUITES {
            let [mut sender, mut receiver] = pair(suite);
            let write = sender.write.last_mut().unwrap();
            let Protection::Dtls13 { aead, iv, numbers } = &write.protection else { panic!() };
            let _ = (aead, iv, numbers);
            let record = protection_of_short_shape(&write.protection, 0, b"short\x17\0\0\0");
            let opened = open(&mut receiver, &record).unwrap();
            assert_eq!((opened.0, &opened.2[..]), (APPLICATION_DATA, &b"short"[..]));
        }
    }

    fn protection_of_short_shape(protection: &Protection, sequence: u8, inner: &[u8]) -> Vec<u8> {
        let Protection::Dtls13 { aead, iv, .. } = protection else { panic!() };
        let header = [0b0010_0011, sequence];
        let mut nonce = **iv;
        nonce[11] ^= sequence;
        let mut inner = inner.to_vec();
        let tag = aead.seal_in_place(&nonce, &header, &mut inner);
        let mut record = [&header[..], &inner, &tag].concat();
        // Uncovering is its own inverse.
        protection.uncover(&mut record, 2).unwrap();
        record
    }

    #[test]
    fn keys_follow_each_other() {
        let [mut sender, mut receiver] = pair(SUITES[0]);
        let mut old = Vec::new();
        sender.append(3, APPLICATION_DATA, b"overtaken", &mut old).unwrap();
        for n in 0..10 {
            sender.update_write(default_provider()).unwrap();
            let mut record = Vec::new();
            let epoch = sender.write_epoch();
            assert_eq!(epoch, 4 + n);
            sender.append(epoch, APPLICATION_DATA, b"new", &mut record).unwrap();
            assert_eq!(open(&mut receiver, &record), None, "not before the KeyUpdate");
            receiver.update_read(default_provider()).unwrap();
            assert!(open(&mut receiver, &record).is_some());
            if n == 1 {
                assert!(open(&mut receiver, &old).is_some());
            }
        }
    }

    #[test]
    fn a_key_has_its_limit() {
        let [mut sender, _] = pair(SUITES[0]);
        sender.write.last_mut().unwrap().next = MAX_SEALED_GCM - 1;
        assert!(sender.append(3, 23, b"the last", &mut Vec::new()).is_some() && sender.is_exhausted());
        let mut out = vec![1];
        assert_eq!(sender.append(3, 23, b"no more", &mut out), None);
        assert_eq!(out, [1]);
    }
}
