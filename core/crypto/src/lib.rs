//! The engine's cryptography: one trait, [`CryptoProvider`], and its providers.
//!
//! No crate of the engine calls a cryptographic library itself. Each takes a [`Provider`], a value that the caller
//! chose, so that a program decides in one place what its secrets meet:
//!
//! - [`aws_lc_rs()`] (feature `aws-lc-rs`, the default): fast, of FIPS lineage, needs a C compiler;
//! - `rust_crypto()` (feature `rust-crypto`): the RustCrypto crates, no C.
//!
//! What protocols use for every packet is a *key*, an object made once: [`AeadKey`] seals and opens where the bytes
//! lie, [`StreamKey`] and [`BlockKey`] are AES as SRTP and the DTLS 1.3 record numbers want it, [`MacKey`] is an HMAC
//! whose key is already absorbed. None of them allocates when used.
//!
//! ```text
//! hash, hmac            Digest           transcript hashes, STUN integrity, HKDF, PRF, SRTP authentication
//! aead                  AeadKey          DTLS records, SRTP with AES-GCM
//! aes_ctr, aes_block    StreamKey, ...   SRTP with AES-CM, DTLS 1.3 record numbers
//! key_agreement         KeyAgreement     X25519, P-256, P-384, X25519MLKEM768
//! signing_key, verify   SigningKey       ECDSA, Ed25519, RSA (aws-lc-rs)
//! ```
//!
//! Private keys are drawn from the [`rand::Rng`] that is handed in, never from the system. Two exceptions cannot be
//! helped: `aws-lc-rs` takes the nonce of an ECDSA signature from the system (RustCrypto computes it as RFC 6979 says),
//! and what it draws for ML-KEM.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

mod hkdf;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod hybrid;
mod types;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "rust-crypto")]
mod rust_crypto;

use std::fmt::Debug;

use rand::Rng;

#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::aws_lc_rs;
pub use hkdf::{InvalidLength, hkdf_expand, hkdf_extract};
#[cfg(feature = "rust-crypto")]
pub use rust_crypto::rust_crypto;
pub use types::{
    Aead, BadSignature, Digest, Group, Hash, InvalidPublicKey, KeyError, KeyType, Secret, SignatureScheme, TAG_LEN,
    Tag, Unauthentic,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// A provider, as every crate of the engine takes it: a value given by the caller.
pub type Provider = &'static dyn CryptoProvider;

/// The provider that the enabled features make the default: `aws-lc-rs`, or else RustCrypto.
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub fn default_provider() -> Provider {
    #[cfg(feature = "aws-lc-rs")]
    return aws_lc_rs();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rust_crypto();
}

/// The primitives that the protocols are made of.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")] {
/// use wigwag_crypto::{Aead, aws_lc_rs};
///
/// let key = aws_lc_rs().aead(Aead::Aes128Gcm, &[7; 16])?;
/// let mut payload = *b"seen by nobody";
/// let tag = key.seal_in_place(&[0; 12], b"header", &mut payload);
/// assert!(key.open_in_place(&[0; 12], b"header", &mut payload, &tag).is_ok());
/// assert_eq!(&payload, b"seen by nobody");
/// # }
/// # Ok::<(), wigwag_crypto::KeyError>(())
/// ```
pub trait CryptoProvider: Debug + Send + Sync {
    /// The provider's name: `aws-lc-rs` or `rust-crypto` for those of this crate.
    fn name(&self) -> &'static str;

    /// The hash of the concatenation of `parts`.
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest;

    /// A hash that grows, such as that of a handshake's transcript.
    fn hasher(&self, hash: Hash) -> Box<dyn Hasher>;

    /// The HMAC of the concatenation of `parts`. RFC 2104.
    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest;

    /// An HMAC key for many messages.
    fn mac_key(&self, hash: Hash, key: &[u8]) -> Box<dyn MacKey>;

    /// A key of `aead`; it has [`Aead::key_len`] bytes.
    fn aead(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError>;

    /// AES in counter mode with a key of 16 or 32 bytes (SRTP's AES-CM). RFC 3711 section 4.1.1.
    fn aes_ctr(&self, key: &[u8]) -> Result<Box<dyn StreamKey>, KeyError>;

    /// AES on single blocks with a key of 16 or 32 bytes (DTLS 1.3 record numbers, SRTP key derivation).
    fn aes_block(&self, key: &[u8]) -> Result<Box<dyn BlockKey>, KeyError>;

    /// The mask that hides a record number when the cipher is ChaCha20. RFC 9147 section 4.2.3.
    fn chacha20_mask(&self, key: &[u8; 32], sample: &[u8; 16]) -> [u8; 5];

    /// A fresh key pair; its private half is drawn from `random`.
    fn key_agreement(&self, group: Group, random: &mut dyn Rng) -> Result<Box<dyn KeyAgreement>, KeyError>;

    /// Answers the peer's half of a key agreement at once: our half, and the secret. The one way for
    /// [`Group::X25519MlKem768`], whose two halves differ; the same as [`key_agreement`](Self::key_agreement) and
    /// [`KeyAgreement::agree`] for the others, unless a provider says otherwise.
    fn answer_key_agreement(
        &self,
        group: Group,
        peer_public_key: &[u8],
        random: &mut dyn Rng,
    ) -> Result<(Vec<u8>, Secret), InvalidPublicKey> {
        let ours = self.key_agreement(group, random).map_err(|_| InvalidPublicKey)?;
        let public = ours.public_key().to_vec();
        Ok((public, ours.agree(peer_public_key)?))
    }

    /// Whether there is this group at all, so that a protocol offers no other.
    fn agrees(&self, group: Group) -> bool {
        let _ = group;
        true
    }

    /// A fresh signing key, drawn from `random`.
    fn generate_signing_key(&self, key_type: KeyType, random: &mut dyn Rng) -> Result<Box<dyn SigningKey>, KeyError>;

    /// The signing key in a PKCS#8 document (DER). RFC 5208.
    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, KeyError>;

    /// Checks a signature. `public_key` is the content of the certificate's `subjectPublicKey`: an uncompressed point,
    /// 32 bytes for Ed25519, a DER `RSAPublicKey` for RSA. RustCrypto's provider takes no RSA signature as good.
    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature>;

    /// Whether [`verify`](Self::verify) knows this scheme at all, so that a protocol offers no other.
    fn verifies(&self, scheme: SignatureScheme) -> bool {
        let _ = scheme;
        true
    }

    /// HMAC-SHA1 over the concatenation of `parts` (STUN's MESSAGE-INTEGRITY). RFC 2104.
    fn hmac_sha1(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
        self.hmac(Hash::Sha1, key, parts).first()
    }

    /// HMAC-SHA256 over the concatenation of `parts`. RFC 2104.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        self.hmac(Hash::Sha256, key, parts).first()
    }

    /// HMAC-SHA384 over the concatenation of `parts`. RFC 2104.
    fn hmac_sha384(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 48] {
        self.hmac(Hash::Sha384, key, parts).first()
    }

    /// SHA-256 of the concatenation of `parts`.
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.hash(Hash::Sha256, parts).first()
    }
}

/// A hash that grows.
pub trait Hasher: Debug + Send + Sync {
    /// Takes in more.
    fn update(&mut self, bytes: &[u8]);
    /// The hash of what was taken in so far; more may follow.
    fn digest(&self) -> Digest;
}

/// An HMAC key.
pub trait MacKey: Debug + Send + Sync {
    /// The HMAC of the concatenation of `parts`.
    fn sign(&self, parts: &[&[u8]]) -> Digest;
}

/// A key for authenticated encryption. The caller sees to it that no nonce is used twice.
pub trait AeadKey: Debug + Send + Sync {
    /// Encrypts `payload` where it lies and authenticates it together with `aad`.
    fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> Tag;
    /// Decrypts `payload` where it lies. If `tag` does not fit, what `payload` holds afterwards means nothing.
    fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8], tag: &Tag) -> Result<(), Unauthentic>;
}

/// AES in counter mode.
pub trait StreamKey: Debug + Send + Sync {
    /// Encrypts or decrypts `bytes`; `iv` is the first counter block, counted up as a 128-bit number.
    fn apply_keystream(&self, iv: &[u8; 16], bytes: &mut [u8]);
}

/// AES on single blocks.
pub trait BlockKey: Debug + Send + Sync {
    /// Encrypts `block` where it lies.
    fn encrypt_block(&self, block: &mut [u8; 16]);
}

/// Our half of a key agreement; good for one.
pub trait KeyAgreement: Debug + Send + Sync {
    /// The group it is of.
    fn group(&self) -> Group;
    /// What to tell the peer: 32 bytes for X25519, 1,216 for X25519MLKEM768, an uncompressed point else.
    fn public_key(&self) -> &[u8];
    /// The secret that the peer computes too. A key off the curve, or one that makes the secret zero (RFC 7748
    /// section 6.1), is refused.
    fn agree(self: Box<Self>, peer_public_key: &[u8]) -> Result<Secret, InvalidPublicKey>;
}

/// A private key that signs.
pub trait SigningKey: Debug + Send + Sync {
    /// What kind it is.
    fn key_type(&self) -> KeyType;
    /// Its public half, as [`CryptoProvider::verify`] takes it.
    fn public_key(&self) -> &[u8];
    /// The private key as a PKCS#8 document (DER).
    fn to_pkcs8(&self) -> Result<Secret, KeyError>;
    /// Signs `message` as the key's type prefers ([`KeyType::scheme`]); ECDSA as an ASN.1 sequence.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
    /// Signs `message` in one of the ways of the key's type ([`KeyType::schemes`]).
    fn sign_with(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if scheme == self.key_type().scheme() { self.sign(message) } else { Err(KeyError::Unsupported) }
    }
}

/// Whether `a` and `b` are equal, in a time that depends on their lengths only.
///
/// ```
/// assert!(wigwag_crypto::ct_eq(b"tag", b"tag"));
/// assert!(!wigwag_crypto::ct_eq(b"tag", b"tags"));
/// ```
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}
