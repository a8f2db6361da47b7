//! Certificate fingerprints, as `a=fingerprint` carries them. RFC 8122 section 5.

use std::fmt;
use std::str::FromStr;

use wigwag_crypto::{Hash, Provider, ct_eq};

/// The hash of a certificate, as the signalling tells it.
///
/// `Display` and `FromStr` are the text after `a=fingerprint:`. A fingerprint of any algorithm can be read and shown;
/// only those of SHA-256, SHA-384 and SHA-512 count when a certificate is checked.
///
/// ```
/// use wigwag_dtls::Fingerprint;
///
/// let fingerprint: Fingerprint = "sha-256 AB:cd:0F".parse()?;
/// assert_eq!(fingerprint.bytes, [0xAB, 0xCD, 0x0F]);
/// assert_eq!(fingerprint.to_string(), "sha-256 AB:CD:0F");
/// # Ok::<(), wigwag_dtls::MalformedFingerprint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// The hash function's name in lower case, such as `sha-256`.
    pub algorithm: String,
    /// The hash.
    pub bytes: Vec<u8>,
}

/// Not a fingerprint: a name, a space, and pairs of hexadecimal digits between colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint")]
pub struct MalformedFingerprint;

/// The longest hash there is has 64 bytes; no line needs more.
const MAX_BYTES: usize = 64;

/// Those that count, the preferred first.
const SUPPORTED: [(&str, Hash); 3] = [("sha-512", Hash::Sha512), ("sha-384", Hash::Sha384), ("sha-256", Hash::Sha256)];

impl Fingerprint {
    /// The SHA-256 fingerprint of a certificate in DER.
    pub fn sha256(provider: Provider, certificate: &[u8]) -> Self {
        Self { algorithm: "sha-256".into(), bytes: provider.sha256(&[certificate]).to_vec() }
    }
}

/// Whether `certificate` is one of those that `fingerprints` speak of. "An endpoint MUST select the set of
/// fingerprints that use its most preferred hash function (out of those offered by the peer) and verify that each
/// certificate used matches one fingerprint out of that set." RFC 8122 section 5.
pub(crate) fn matches(provider: Provider, certificate: &[u8], fingerprints: &[Fingerprint]) -> bool {
    let preferred = SUPPORTED.iter().find(|(name, _)| fingerprints.iter().any(|line| line.algorithm == *name));
    let Some((name, hash)) = preferred else {
        return false;
    };
    let actual = provider.hash(*hash, &[certificate]);
    fingerprints.iter().any(|line| line.algorithm == *name && ct_eq(&line.bytes, &actual))
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.algorithm)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = MalformedFingerprint;

    fn from_str(text: &str) -> Result<Self, MalformedFingerprint> {
        let mut words = text.split_ascii_whitespace();
        let (Some(algorithm), Some(hash), None) = (words.next(), words.next(), words.next()) else {
            return Err(MalformedFingerprint);
        };
        let pair = |pair: &str| match pair.as_bytes() {
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => u8::from_str_radix(pair, 16).ok(),
            _ => None,
        };
        let bytes = hash.split(':').take(MAX_BYTES + 1).map(pair).collect::<Option<Vec<_>>>();
        match bytes {
            Some(bytes) if bytes.len() <= MAX_BYTES => Ok(Self { algorithm: algorithm.to_ascii_lowercase(), bytes }),
            _ => Err(MalformedFingerprint),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wigwag_crypto::default_provider;

    use super::*;

    fn of(hash: Hash, algorithm: &str, certificate: &[u8]) -> Fingerprint {
        Fingerprint {
            algorithm: algorithm.into(),
            bytes: default_provider().hash(hash, &[certificate]).as_ref().to_vec(),
        }
    }

    #[test]
    fn the_preferred_hash_decides() {
        let certificate = b"any bytes will do";
        let check = |fingerprints: &[Fingerprint]| matches(default_provider(), certificate, fingerprints);
        let (sha1, sha256) = (of(Hash::Sha1, "sha-1", certificate), of(Hash::Sha256, "sha-256", certificate));
        let (sha384, sha512) = (of(Hash::Sha384, "sha-384", certificate), of(Hash::Sha512, "sha-512", certificate));
        let other = of(Hash::Sha256, "sha-256", b"another");
        let (unknown, other512) = ("md5 00".parse().unwrap(), of(Hash::Sha512, "sha-512", b"another"));

        assert!(check(std::slice::from_ref(&sha256)));
        assert!(check(std::slice::from_ref(&sha384)));
        assert!(check(&[other.clone(), sha256.clone()]), "one of several certificates");
        assert!(check(&[sha1.clone(), unknown, sha256.clone()]), "what is not supported is ignored");
        assert!(check(&[sha512, other.clone()]));
        assert!(!check(&[other512, sha256.clone()]), "the strongest hash decides");
        assert!(!check(&[sha1]), "SHA-1 is no proof");
        assert!(!check(&[other]));
        assert!(!check(&[]));
        let mut short = sha256;
        short.bytes.truncate(31);
        assert!(!check(&[short]));
    }

    #[test]
    fn what_is_no_fingerprint() {
        for text in ["", "sha-256", "sha-256 ", "sha-256 A", "sha-256 AB:", "sha-256 AB:G0", "sha-256 +1", "a AB CD"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(MalformedFingerprint), "{text}");
        }
        assert!(format!("x {}", vec!["00"; 65].join(":")).parse::<Fingerprint>().is_err());
    }

    proptest! {
        #[test]
        fn read_what_was_written(algorithm in "[a-z0-9-]{1,12}", bytes in prop::collection::vec(any::<u8>(), 1..=64)) {
            let fingerprint = Fingerprint { algorithm, bytes };
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn anything_can_be_read(text in ".*") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
