//! The public key of a certificate, and nothing else of it.
//!
//! What makes a certificate good is its fingerprint, so there is no chain, no date and no name to check. The walk goes
//! down to `subjectPublicKeyInfo`: RFC 5280 section 4.1.
//!
//! ```text
//! Certificate ── tbsCertificate ── [0] version, serial, signature, issuer, validity, subject, ► subjectPublicKeyInfo
//!                                                                                              algorithm, BIT STRING
//! ```

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

/// A key, as [`wigwag_crypto::CryptoProvider::verify`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub kind: KeyKind,
    pub bytes: Vec<u8>,
}

/// The key in a certificate; `None` if it is none that is understood.
pub(crate) fn public_key(certificate: &[u8]) -> Option<PublicKey> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    (_, fields) = expect(fields, INTEGER)?;
    for _signature_issuer_validity_subject in 0..4 {
        (_, fields) = expect(fields, SEQUENCE)?;
    }
    let (info, _) = expect(fields, SEQUENCE)?;
    let (algorithm, key) = expect(info, SEQUENCE)?;
    let (oid, parameters) = expect(algorithm, OBJECT_IDENTIFIER)?;
    let (bits, _) = expect(key, BIT_STRING)?;
    let [0, bytes @ ..] = bits else {
        return None; // unused bits at the end
    };
    let kind = match oid {
        EC_PUBLIC_KEY => match expect(parameters, OBJECT_IDENTIFIER)?.0 {
            PRIME256V1 => KeyKind::P256,
            SECP384R1 => KeyKind::P384,
            _ => return None,
        },
        ED25519 => KeyKind::Ed25519,
        RSA_ENCRYPTION => KeyKind::Rsa,
        _ => return None,
    };
    Some(PublicKey { kind, bytes: bytes.to_vec() })
}

/// The content of the first element, which must have this tag, and what follows it. Lengths are definite (DER).
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[actual, first], rest) = der.split_first_chunk()?;
    if actual != tag {
        return None;
    }
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let count = usize::from(first & 0x7F);
    if !(1..=3).contains(&count) {
        return None;
    }
    let (len, rest) = rest.split_at_checked(count)?;
    let len = len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wigwag_crypto::{KeyType, default_provider};
    use wigwag_proto::{WallClock, random};

    use super::*;
    use crate::Certificate;

    fn certificate() -> Certificate {
        Certificate::generate(default_provider(), &mut random::seeded([1; 32]), WallClock(1)).unwrap()
    }

    #[test]
    fn the_key_of_our_own() {
        let certificate = certificate();
        let key = default_provider().signing_key(certificate.private_key()).unwrap();
        assert_eq!(key.key_type(), KeyType::EcdsaP256);
        let found = public_key(certificate.der()).unwrap();
        assert_eq!((found.kind, &found.bytes[..]), (KeyKind::P256, key.public_key()));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = public_key(&bytes);
        }

        #[test]
        fn any_certificate(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut der = certificate().der().to_vec();
            let at = at.index(der.len());
            der[at] = byte;
            der.truncate(cut.index(der.len() * 2));
            let _ = public_key(&der);
        }
    }
}
