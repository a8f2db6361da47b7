//! One key of one direction: records are sealed and opened where they lie.
//!
//! ```text
//! DTLS 1.2, RFC 6347 section 4.1, RFC 5288 section 3 and RFC 7905 section 2:
//!   type | 254 253 | epoch (2) | sequence (6) | length (2) | explicit nonce (8, AES-GCM only) | payload | tag (16)
//!
//! DTLS 1.3, RFC 9147 section 4:
//!   001CSLEE | sequence (1 or 2, encrypted) | length (0 or 2) | payload, content type, zeros | tag (16)
//! ```
//!
//! In DTLS 1.2 the explicit nonce of AES-GCM is the epoch and the sequence number, which no key meets twice.

use wigwag_crypto::{Aead, AeadKey, BlockKey, Digest, KeyError, Provider, TAG_LEN};
use zeroize::Zeroizing;

use super::header::{HEADER_12, UNIFIED, UNIFIED_LENGTH, UNIFIED_LONG};
use crate::schedule::{Suite, expand_label};

/// Bytes around a payload in DTLS 1.2: the header and AES-GCM's explicit nonce before, the tag after.
pub(crate) const PREFIX_12: usize = HEADER_12 + EXPLICIT_NONCE;
pub(crate) const SUFFIX_12: usize = TAG_LEN;
/// Bytes around a payload in DTLS 1.3 as we write it: the unified header with two bytes of sequence number and the
/// length before, the content type and the tag after.
pub(crate) const PREFIX_13: usize = 5;
pub(crate) const SUFFIX_13: usize = 1 + TAG_LEN;

const EXPLICIT_NONCE: usize = 8;
/// "If there are less than 16 bytes of ciphertext, the record MUST be discarded." RFC 9147 section 4.2.3.
const SAMPLE: usize = 16;

/// A key, and what goes with it.
#[derive(Debug)]
pub(crate) enum Protection {
    Dtls12 { aead: Box<dyn AeadKey>, nonce: Nonce12 },
    Dtls13 { aead: Box<dyn AeadKey>, iv: Zeroizing<[u8; 12]>, numbers: NumberKey },
}

/// How the nonces of DTLS 1.2 are made of a record's number.
#[derive(Debug)]
pub(crate) enum Nonce12 {
    /// AES-GCM: a salt, and what stands in the record. RFC 5288 section 3.
    Explicit(Zeroizing<[u8; 4]>),
    /// ChaCha20-Poly1305: the number, laid over this. RFC 7905 section 2.
    Implicit(Zeroizing<[u8; 12]>),
}

impl Nonce12 {
    fn explicit_len(&self) -> usize {
        match self {
            Self::Explicit(_) => EXPLICIT_NONCE,
            Self::Implicit(_) => 0,
        }
    }

    /// `explicit` is what stands in the record, if anything does.
    fn nonce(&self, number: [u8; 8], explicit: &[u8]) -> [u8; 12] {
        match self {
            Self::Explicit(salt) => {
                let mut nonce = [0; 12];
                nonce.iter_mut().zip(salt.iter().chain(explicit)).for_each(|(to, from)| *to = *from);
                nonce
            }
            Self::Implicit(iv) => nonce13(iv, u64::from_be_bytes(number)),
        }
    }
}

/// What hides the record numbers of DTLS 1.3. RFC 9147 section 4.2.3.
#[derive(Debug)]
pub(crate) enum NumberKey {
    Aes(Box<dyn BlockKey>),
    ChaCha20(Provider, Zeroizing<[u8; 32]>),
}

impl NumberKey {
    fn mask(&self, sample: &[u8; SAMPLE]) -> [u8; 2] {
        match self {
            Self::Aes(key) => {
                let mut block = *sample;
                key.encrypt_block(&mut block);
                let [first, second, ..] = block;
                [first, second]
            }
            Self::ChaCha20(provider, key) => {
                let [first, second, ..] = provider.chacha20_mask(key, sample);
                [first, second]
            }
        }
    }
}

impl Protection {
    pub(crate) fn dtls12(provider: Provider, aead: Aead, key: &[u8], iv: &[u8]) -> Result<Self, KeyError> {
        let wrong = |_| KeyError::WrongLength;
        let nonce = match aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => Nonce12::Explicit(Zeroizing::new(iv.try_into().map_err(wrong)?)),
            Aead::ChaCha20Poly1305 => Nonce12::Implicit(Zeroizing::new(iv.try_into().map_err(wrong)?)),
        };
        Ok(Self::Dtls12 { aead: provider.aead(aead, key)?, nonce })
    }

    /// The keys that a traffic secret stands for. RFC 8446 section 7.3, RFC 9147 section 4.2.3.
    pub(crate) fn dtls13(provider: Provider, suite: Suite, secret: &Digest) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        let key = key.get_mut(..suite.aead.key_len()).ok_or(KeyError::WrongLength)?;
        let mut iv = Zeroizing::new([0; 12]);
        expand_label(provider, suite.hash, secret, b"key", &[], key);
        expand_label(provider, suite.hash, secret, b"iv", &[], &mut *iv);
        let aead = provider.aead(suite.aead, key)?;
        expand_label(provider, suite.hash, secret, b"sn", &[], key);
        let numbers = match suite.aead {
            Aead::ChaCha20Poly1305 => {
                let key = key.first_chunk().ok_or(KeyError::WrongLength)?;
                NumberKey::ChaCha20(provider, Zeroizing::new(*key))
            }
            Aead::Aes128Gcm | Aead::Aes256Gcm => NumberKey::Aes(provider.aes_block(key)?),
        };
        Ok(Self::Dtls13 { aead, iv, numbers })
    }

    /// Bytes before and after a payload.
    pub(crate) fn overhead(&self) -> (usize, usize) {
        match self {
            Self::Dtls12 { nonce, .. } => (HEADER_12 + nonce.explicit_len(), SUFFIX_12),
            Self::Dtls13 { .. } => (PREFIX_13, SUFFIX_13),
        }
    }

    /// Makes a record of the `len` bytes that lie after the prefix in `segment`; its length, or `None` if it does not
    /// fit.
    pub(crate) fn seal(
        &self,
        content_type: u8,
        epoch: u64,
        sequence: u64,
        segment: &mut [u8],
        len: usize,
    ) -> Option<usize> {
        let (prefix, suffix) = self.overhead();
        let record = segment.get_mut(..prefix + len + suffix)?;
        match self {
            Self::Dtls12 { aead, nonce } => {
                let number = number(epoch, sequence);
                let (header, rest) = record.split_first_chunk_mut::<HEADER_12>()?;
                let (explicit, rest) = rest.split_at_mut_checked(nonce.explicit_len())?;
                let (payload, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
                explicit.iter_mut().zip(number).for_each(|(to, from)| *to = from);
                let inner = u16::try_from(explicit.len() + len + TAG_LEN).ok()?.to_be_bytes();
                *header = plain_header(content_type, number, inner);
                let aad = plain_header_aad(content_type, number, len)?;
                *tag = aead.seal_in_place(&nonce.nonce(number, explicit), &aad, payload);
            }
            Self::Dtls13 { aead, iv, numbers } => {
                let (header, rest) = record.split_first_chunk_mut::<PREFIX_13>()?;
                let [length_high, length_low] = u16::try_from(len + SUFFIX_13).ok()?.to_be_bytes();
                let [.., high, low] = sequence.to_be_bytes();
                let first = UNIFIED | UNIFIED_LONG | UNIFIED_LENGTH | (epoch & 3) as u8;
                *header = [first, high, low, length_high, length_low];
                let (inner, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
                *inner.last_mut()? = content_type;
                *tag = aead.seal_in_place(&nonce13(iv, sequence), header, inner);
                let [one, two] = numbers.mask(rest.first_chunk::<SAMPLE>()?);
                let [_, high, low, ..] = header;
                *high ^= one;
                *low ^= two;
            }
        }
        Some(prefix + len + suffix)
    }

    /// Opens a record of DTLS 1.2 whose header is well-formed; its payload.
    pub(crate) fn open12<'a>(&self, record: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let Self::Dtls12 { aead, nonce } = self else {
            return None;
        };
        let (header, rest) = record.split_first_chunk_mut::<HEADER_12>()?;
        let (explicit, rest) = rest.split_at_mut_checked(nonce.explicit_len())?;
        let (payload, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
        let [content_type, _, _, number @ .., _, _] = *header;
        let aad = plain_header_aad(content_type, number, payload.len())?;
        aead.open_in_place(&nonce.nonce(number, explicit), &aad, payload, tag).ok()?;
        Some(payload)
    }

    /// Uncovers the sequence number in the unified header of `header_len` bytes: its low bits, and how many they are.
    pub(crate) fn uncover(&self, record: &mut [u8], header_len: usize) -> Option<(u64, u32)> {
        let Self::Dtls13 { numbers, .. } = self else {
            return None;
        };
        let (header, body) = record.split_at_mut_checked(header_len)?;
        let [one, two] = numbers.mask(body.first_chunk::<SAMPLE>()?);
        match header {
            [first, high, low, ..] if *first & UNIFIED_LONG != 0 => {
                *high ^= one;
                *low ^= two;
                Some((u64::from(u16::from_be_bytes([*high, *low])), 16))
            }
            [_, low, ..] => {
                *low ^= one;
                Some((u64::from(*low), 8))
            }
            _ => None,
        }
    }

    /// Opens a record of DTLS 1.3 whose sequence number is uncovered; its content type and payload.
    pub(crate) fn open13<'a>(
        &self,
        record: &'a mut [u8],
        header_len: usize,
        sequence: u64,
    ) -> Option<(u8, &'a mut [u8])> {
        let Self::Dtls13 { aead, iv, .. } = self else {
            return None;
        };
        let (header, rest) = record.split_at_mut_checked(header_len)?;
        let (inner, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
        aead.open_in_place(&nonce13(iv, sequence), header, inner, tag).ok()?;
        // The content type is the last byte that is not zero. RFC 8446 section 5.4.
        let at = inner.iter().rposition(|byte| *byte != 0)?;
        let (payload, rest) = inner.split_at_mut_checked(at)?;
        Some((*rest.first()?, payload))
    }
}

/// The epoch and the sequence number in eight bytes.
fn number(epoch: u64, sequence: u64) -> [u8; 8] {
    (epoch << 48 | sequence & ((1 << 48) - 1)).to_be_bytes()
}

fn plain_header(content_type: u8, number: [u8; 8], [high, low]: [u8; 2]) -> [u8; HEADER_12] {
    let [a, b, c, d, e, f, g, h] = number;
    [content_type, 254, 253, a, b, c, d, e, f, g, h, high, low]
}

/// The header of a record in the clear.
pub(crate) fn plaintext_header(content_type: u8, sequence: u64, len: usize) -> Option<[u8; HEADER_12]> {
    Some(plain_header(content_type, number(0, sequence), u16::try_from(len).ok()?.to_be_bytes()))
}

/// "additional_data = seq_num + TLSCompressed.type + TLSCompressed.version + TLSCompressed.length". RFC 5246 section
/// 6.2.3.3; `seq_num` is the epoch and the sequence number, RFC 6347 section 4.1.2.1.
fn plain_header_aad(content_type: u8, number: [u8; 8], len: usize) -> Option<[u8; HEADER_12]> {
    let [a, b, c, d, e, f, g, h] = number;
    let [high, low] = u16::try_from(len).ok()?.to_be_bytes();
    Some([a, b, c, d, e, f, g, h, content_type, 254, 253, high, low])
}

/// The sequence number, without the epoch, laid over the IV. RFC 8446 section 5.3, RFC 9147 section 4.
fn nonce13(iv: &[u8; 12], sequence: u64) -> [u8; 12] {
    let mut nonce = *iv;
    nonce.iter_mut().skip(4).zip(sequence.to_be_bytes()).for_each(|(to, from)| *to ^= from);
    nonce
}
