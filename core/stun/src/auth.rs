//! Long-term credentials: a user name, a realm and a password make the key of a message's integrity. RFC 8489 section 9.2.
//!
//! ```text
//! client                                server
//!   | request                             |
//!   |------------------------------------>|
//!   |       401, REALM, NONCE, PASSWORD-ALGORITHMS
//!   |<------------------------------------|
//!   | request, USERNAME, REALM, NONCE, PASSWORD-ALGORITHM(S), MESSAGE-INTEGRITY(-SHA256)
//!   |------------------------------------>|
//! ```
//!
//! User name, realm and password are taken as they are given: what is not ASCII must have been prepared (the OpaqueString
//! profile of RFC 8265).

use std::fmt;

use md5::{Digest, Md5};
use wigwag_crypto::Provider;

/// What a nonce begins with that says something about the server: a cookie and 24 bits of features. RFC 8489 section 9.2.
pub const NONCE_COOKIE: &[u8; 9] = b"obMatJos2";

/// How a password becomes a key. RFC 8489 section 18.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PasswordAlgorithm {
    /// MD5, all that RFC 5389 knew. (It makes a key of the password, no more: its collisions do not matter here.)
    Md5,
    /// SHA-256.
    Sha256,
}

impl PasswordAlgorithm {
    /// Its number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
        }
    }

    /// The one with this number, if it is known.
    pub const fn of_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Md5),
            2 => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// The algorithms in the value of PASSWORD-ALGORITHMS or PASSWORD-ALGORITHM, without those that are not known, or that
/// have parameters (none of the known has any).
///
/// ```text
/// |          Algorithm 1           | Algorithm 1 Parameters Length |
/// |                    Algorithm 1 Parameters (variable)
/// ```
pub(crate) fn parse_algorithms(mut value: &[u8]) -> impl Iterator<Item = PasswordAlgorithm> + '_ {
    std::iter::from_fn(move || {
        let (&[n1, n2, l1, l2], rest) = value.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        let (_, rest) = rest.split_at_checked(len.next_multiple_of(4))?;
        value = rest;
        Some(PasswordAlgorithm::of_number(u16::from_be_bytes([n1, n2])).filter(|_| len == 0))
    })
    .flatten()
}

/// The key of long-term credentials. Forget the password, keep this.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LongTermKey {
    bytes: [u8; 32],
    len: usize,
}

impl LongTermKey {
    /// The hash of user name, realm and password, with colons between. RFC 8489 sections 9.2.2 and 18.5.1.
    ///
    /// ```
    /// use wigwag_stun::{LongTermKey, PasswordAlgorithm};
    ///
    /// let key = LongTermKey::new(PasswordAlgorithm::Md5, "user", "realm", "pass", wigwag_crypto::aws_lc_rs());
    /// assert_eq!(key.as_ref()[..4], [0x84, 0x93, 0xFB, 0xC5]);
    /// ```
    pub fn new(algorithm: PasswordAlgorithm, username: &str, realm: &str, password: &str, provider: Provider) -> Self {
        let parts = [username.as_bytes(), b":", realm.as_bytes(), b":", password.as_bytes()];
        let mut key = Self { bytes: [0; 32], len: 32 };
        match algorithm {
            PasswordAlgorithm::Sha256 => key.bytes = provider.sha256(&parts),
            PasswordAlgorithm::Md5 => {
                let mut hash = Md5::new();
                parts.iter().for_each(|part| hash.update(part));
                key.bytes.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
                key.len = 16;
            }
        }
        key
    }
}

impl AsRef<[u8]> for LongTermKey {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for LongTermKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LongTermKey")
    }
}

/// What stands in USERHASH instead of the user name. RFC 8489 section 14.4.
pub fn userhash(username: &str, realm: &str, provider: Provider) -> [u8; 32] {
    provider.sha256(&[username.as_bytes(), b":", realm.as_bytes()])
}

/// The features that a server names in its nonce. RFC 8489 section 9.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityFeatures {
    /// It knows PASSWORD-ALGORITHMS: if those are missing in its answer, somebody took them out.
    pub password_algorithms: bool,
    /// It knows USERHASH.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// What a nonce says; nothing, if it has no cookie (a server of RFC 5389).
    pub fn of_nonce(nonce: &[u8]) -> Self {
        let encoded = nonce.strip_prefix(NONCE_COOKIE).and_then(|rest| rest.first_chunk::<4>());
        let bits =
            encoded.and_then(|encoded| encoded.iter().try_fold(0, |bits, &byte| Some(bits << 6 | sextet(byte)?)));
        let bit = |n: u32| bits.is_some_and(|bits: u32| bits >> (23 - n) & 1 == 1);
        Self { password_algorithms: bit(0), username_anonymity: bit(1) }
    }

    /// What a nonce must begin with to say so: 13 bytes.
    pub fn nonce_prefix(self) -> [u8; 13] {
        let mut prefix = [b'A'; 13];
        prefix[..9].copy_from_slice(NONCE_COOKIE);
        // Base64 of 24 bits of which the first two may be set.
        prefix[9] = match (self.password_algorithms, self.username_anonymity) {
            (false, false) => b'A',
            (false, true) => b'Q',
            (true, false) => b'g',
            (true, true) => b'w',
        };
        prefix
    }
}

/// Of Base64.
fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn features_are_written_and_read() {
        for (password_algorithms, username_anonymity) in [(false, false), (false, true), (true, false), (true, true)] {
            let features = SecurityFeatures { password_algorithms, username_anonymity };
            assert_eq!(SecurityFeatures::of_nonce(&features.nonce_prefix()), features);
        }
        assert_eq!(SecurityFeatures::of_nonce(b"a nonce of RFC 5389"), SecurityFeatures::default());
        assert_eq!(SecurityFeatures::of_nonce(b"obMatJos2w"), SecurityFeatures::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_algorithms_or_none(value: Vec<u8>) {
            prop_assert!(parse_algorithms(&value).count() <= value.len() / 4);
            SecurityFeatures::of_nonce(&value);
        }
    }
}
