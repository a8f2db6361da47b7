//! What the primitives are given, and what they give.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of an AEAD's tag: the same for all of [`Aead`].
pub const TAG_LEN: usize = 16;

/// What an AEAD puts after the ciphertext.
pub type Tag = [u8; TAG_LEN];

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// SHA-1: for STUN, SRTP and fingerprints of old only.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Bytes of the hash.
    pub const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Never: it is here for the sake of [`len`](Self::len).
    pub const fn is_empty(self) -> bool {
        false
    }
}

/// A hash, or an HMAC, of as many bytes as its function has. Forgotten when dropped: it may be a key.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Digest {
    bytes: [u8; 64],
    len: usize,
}

impl Digest {
    /// Takes at most 64 bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let mut digest = Self { bytes: [0; 64], len: bytes.len().min(64) };
        digest.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        digest
    }

    /// The first `N` bytes (zeros, where there are none).
    pub fn first<const N: usize>(&self) -> [u8; N] {
        let mut first = [0; N];
        first.iter_mut().zip(self.as_ref()).for_each(|(to, from)| *to = *from);
        first
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl std::ops::Deref for Digest {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

/// Bytes that are forgotten when dropped, and not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes them over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// A cipher that encrypts and authenticates. All have nonces of 12 bytes and tags of 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aead {
    /// AES-128 in Galois/counter mode. NIST SP 800-38D.
    Aes128Gcm,
    /// AES-256 in Galois/counter mode.
    Aes256Gcm,
    /// ChaCha20-Poly1305. RFC 8439.
    ChaCha20Poly1305,
}

impl Aead {
    /// Bytes of a key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }
}

/// Where keys are agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// X25519. RFC 7748.
    X25519,
    /// The NIST curve P-256 (secp256r1).
    P256,
    /// The NIST curve P-384 (secp384r1).
    P384,
    /// X25519 and ML-KEM-768 together, so that what is recorded today stays secret from the quantum computers of
    /// tomorrow. draft-ietf-tls-ecdhe-mlkem.
    X25519MlKem768,
}

/// A kind of signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// ECDSA on P-256, with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384, with SHA-384.
    EcdsaP384,
    /// Ed25519. RFC 8032.
    Ed25519,
    /// RSA, from 2,048 to 8,192 bits: given keys only, and only with `aws-lc-rs`. RFC 8017.
    Rsa,
}

impl KeyType {
    /// How a key of this type signs, the preferred first.
    pub const fn schemes(self) -> &'static [SignatureScheme] {
        match self {
            Self::EcdsaP256 => &[SignatureScheme::EcdsaP256Sha256],
            Self::EcdsaP384 => &[SignatureScheme::EcdsaP384Sha384],
            Self::Ed25519 => &[SignatureScheme::Ed25519],
            Self::Rsa => &[
                SignatureScheme::RsaPssSha256,
                SignatureScheme::RsaPssSha384,
                SignatureScheme::RsaPkcs1Sha256,
                SignatureScheme::RsaPkcs1Sha384,
            ],
        }
    }

    /// The first of its [`schemes`](Self::schemes).
    pub const fn scheme(self) -> SignatureScheme {
        match self {
            Self::Rsa => SignatureScheme::RsaPssSha256,
            Self::EcdsaP256 => SignatureScheme::EcdsaP256Sha256,
            Self::EcdsaP384 => SignatureScheme::EcdsaP384Sha384,
            Self::Ed25519 => SignatureScheme::Ed25519,
        }
    }
}

/// How something was signed. RFC 8446 section 4.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// `ecdsa_secp256r1_sha256`.
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-384: DTLS 1.2 only.
    EcdsaP256Sha384,
    /// ECDSA on P-384 with SHA-256: DTLS 1.2 only.
    EcdsaP384Sha256,
    /// `ecdsa_secp384r1_sha384`.
    EcdsaP384Sha384,
    /// `ed25519`.
    Ed25519,
    /// `rsa_pkcs1_sha256`: DTLS 1.2 only.
    RsaPkcs1Sha256,
    /// `rsa_pkcs1_sha384`: DTLS 1.2 only.
    RsaPkcs1Sha384,
    /// `rsa_pss_rsae_sha256`.
    RsaPssSha256,
    /// `rsa_pss_rsae_sha384`.
    RsaPssSha384,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key has not the length that the algorithm wants.
    #[error("a key of the wrong length")]
    WrongLength,
    /// The document holds no key that is understood.
    #[error("not a key that is understood")]
    Unreadable,
    /// The provider has no keys of this kind, or does not make them.
    #[error("not supported by the provider")]
    Unsupported,
    /// The library refused; for all that is known, it never does.
    #[error("the cryptographic library refused")]
    Refused,
}

/// A ciphertext was not made with this key, nonce and data, or was changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not authentic")]
pub struct Unauthentic;

/// The peer's public key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid public key")]
pub struct InvalidPublicKey;

/// A signature was not made by that key over that message, or its scheme is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid signature")]
pub struct BadSignature;
