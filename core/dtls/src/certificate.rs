//! Self-signed certificates.

use std::fmt;
use std::sync::Arc;

use rand::Rng;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, SerialNumber,
};
use time::OffsetDateTime;
use wigwag_crypto::{KeyError, KeyType, Provider, Secret, SignatureScheme, SigningKey};
use wigwag_proto::{Random, WallClock};

use crate::fingerprint::Fingerprint;

/// A certificate and its private key; cheap to clone.
///
/// One certificate can serve many connections (RFC 8826 section 5.5 has a word on privacy: the peers can tell that
/// they talk to the same one).
///
/// ```
/// use wigwag_crypto::default_provider;
/// use wigwag_dtls::Certificate;
/// use wigwag_proto::{WallClock, random};
///
/// let provider = default_provider();
/// let ours = Certificate::generate(provider, &mut random::seeded([7; 32]), WallClock(1_700_000_000_000_000))?;
/// println!("a=fingerprint:{}", ours.fingerprint());
/// // Kept for next time:
/// let same = Certificate::from_der(provider, ours.der(), ours.private_key())?;
/// assert_eq!(same.fingerprint(), ours.fingerprint());
/// # Ok::<(), wigwag_dtls::CertificateError>(())
/// ```
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    private_key: Secret,
    key: Box<dyn SigningKey>,
    fingerprint: Fingerprint,
}

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The private key cannot be used.
    #[error("the private key: {0}")]
    Key(#[from] KeyError),
    /// The certificate is of another key.
    #[error("the certificate is not of this private key")]
    WrongKey,
    /// The certificate could not be written down.
    #[error("the certificate could not be made: {0}")]
    Unwritable(String),
}

const DAY: u64 = 24 * 60 * 60;
/// Peers look at the fingerprint only; still, let no certificate live for ever. A day back is for clocks that differ.
const VALID_BEFORE: u64 = DAY;
const VALID_AFTER: u64 = 365 * DAY;
/// A certificate's dates lie between 1970 and the last second of the year 9999, or parsers refuse it.
const END_OF_DATES: u64 = 253_402_300_799;

impl Certificate {
    /// A fresh key on P-256, drawn from `random`, and a self-signed certificate for a year from `now`.
    ///
    /// With a provider that signs as RFC 6979 says (RustCrypto's) the same `random` gives the same certificate.
    pub fn generate(provider: Provider, random: &mut Random, now: WallClock) -> Result<Self, CertificateError> {
        Self::generate_with(provider, KeyType::EcdsaP256, random, now)
    }

    /// As [`generate`](Self::generate), with a key of another type; not RSA, whose keys take seconds to make.
    pub fn generate_with(
        provider: Provider,
        key_type: KeyType,
        random: &mut Random,
        now: WallClock,
    ) -> Result<Self, CertificateError> {
        let key = provider.generate_signing_key(key_type, random)?;
        let mut serial = [0; 16];
        random.fill_bytes(&mut serial);
        // Some peers tell certificates apart by issuer and serial number, which is positive and has no leading zeros.
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7F | 0x40;
        }
        let date = |seconds: u64| {
            OffsetDateTime::from_unix_timestamp(seconds.cast_signed()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        };
        let now = now.as_secs().min(END_OF_DATES - VALID_AFTER);

        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = date(now.saturating_sub(VALID_BEFORE));
        params.not_after = date(now.saturating_add(VALID_AFTER));
        let certificate =
            params.self_signed(&Signer(&*key)).map_err(|error| CertificateError::Unwritable(error.to_string()))?;
        let private_key = key.to_pkcs8()?;
        Ok(Self::new(provider, certificate.der().to_vec(), private_key, key))
    }

    /// A certificate in DER and its private key in PKCS#8 DER: ECDSA on P-256 or P-384, Ed25519, or, with `aws-lc-rs`,
    /// RSA. (Browsers take ECDSA and RSA.)
    pub fn from_der(provider: Provider, certificate: &[u8], private_key: &[u8]) -> Result<Self, CertificateError> {
        let key = provider.signing_key(private_key)?;
        let public = key.public_key();
        // The public key stands in a certificate as it is, so there is no need to take the certificate apart.
        if !certificate.windows(public.len().max(1)).any(|window| window == public) {
            return Err(CertificateError::WrongKey);
        }
        Ok(Self::new(provider, certificate.to_vec(), Secret::new(private_key.to_vec()), key))
    }

    fn new(provider: Provider, der: Vec<u8>, private_key: Secret, key: Box<dyn SigningKey>) -> Self {
        let fingerprint = Fingerprint::sha256(provider, &der);
        Self(Arc::new(Inner { der, private_key, key, fingerprint }))
    }

    /// What signs with the private key: of the provider that the certificate was made or read with.
    pub(crate) fn key(&self) -> &dyn SigningKey {
        &*self.0.key
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The private key, PKCS#8 DER. A secret.
    pub fn private_key(&self) -> &[u8] {
        &self.0.private_key
    }

    /// What to tell the peer through the signalling: SHA-256.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint.clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.0.fingerprint)
    }
}

/// Our key as `rcgen` wants it.
struct Signer<'a>(&'a dyn SigningKey);

impl rcgen::PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.0.key_type() {
            KeyType::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            KeyType::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
            KeyType::Ed25519 => &PKCS_ED25519,
            KeyType::Rsa => &PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let scheme = match self.0.key_type() {
            KeyType::Rsa => SignatureScheme::RsaPkcs1Sha256, // as the algorithm above says
            other => other.scheme(),
        };
        self.0.sign_with(scheme, message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use wigwag_crypto::default_provider;
    use wigwag_proto::random;

    use super::*;

    fn generate(seed: u8) -> Certificate {
        let now = WallClock(1_700_000_000_000_000);
        Certificate::generate(default_provider(), &mut random::seeded([seed; 32]), now).unwrap()
    }

    #[test]
    fn the_key_comes_from_the_seed() {
        assert_eq!(generate(1).private_key(), generate(1).private_key());
        assert_ne!(generate(1).private_key(), generate(2).private_key());
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let (one, other) = (generate(1), generate(2));
        let import = |der: &[u8], key: &[u8]| Certificate::from_der(default_provider(), der, key).map(|_| ());
        assert_eq!(import(one.der(), one.private_key()), Ok(()));
        assert_eq!(import(one.der(), other.private_key()), Err(CertificateError::WrongKey));
        assert_eq!(import(one.der(), b"?"), Err(CertificateError::Key(KeyError::Unreadable)));
    }

    #[test]
    fn keys_of_every_type_that_can_be_made() {
        let make = |key_type| {
            let mut random = random::seeded([1; 32]);
            Certificate::generate_with(default_provider(), key_type, &mut random, WallClock(1))
        };
        for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519] {
            let made = make(key_type).unwrap();
            assert_eq!(made.key().key_type(), key_type);
            let same = Certificate::from_der(default_provider(), made.der(), made.private_key()).unwrap();
            assert_eq!((same.fingerprint(), same.key().key_type()), (made.fingerprint(), key_type));
        }
        assert_eq!(make(KeyType::Rsa).map(|_| ()), Err(CertificateError::Key(KeyError::Unsupported)));
    }

    #[test]
    fn any_time_of_day_will_do() {
        for micros in [0, u64::MAX] {
            let provider = default_provider();
            assert!(Certificate::generate(provider, &mut random::seeded([3; 32]), WallClock(micros)).is_ok());
        }
    }
}
