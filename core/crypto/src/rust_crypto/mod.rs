//! The provider over the RustCrypto crates.

mod cipher;
mod key;
mod ml_kem;

use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::hybrid;
use crate::types::{
    Aead, BadSignature, Digest, Group, Hash, InvalidPublicKey, KeyError, KeyType, Secret, SignatureScheme,
};
use crate::{AeadKey, BlockKey, CryptoProvider, Hasher, KeyAgreement, MacKey, Provider, SigningKey, StreamKey};

/// The provider over the RustCrypto crates.
pub fn rust_crypto() -> Provider {
    &RustCrypto
}

#[derive(Debug)]
struct RustCrypto;

impl CryptoProvider for RustCrypto {
    fn name(&self) -> &'static str {
        "rust-crypto"
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        let mut running = RunningHash::new(hash);
        parts.iter().for_each(|part| running.update(part));
        running.digest()
    }

    fn hasher(&self, hash: Hash) -> Box<dyn Hasher> {
        Box::new(RunningHash::new(hash))
    }

    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        HmacKey::new(hash, key).sign(parts)
    }

    fn mac_key(&self, hash: Hash, key: &[u8]) -> Box<dyn MacKey> {
        Box::new(HmacKey::new(hash, key))
    }

    fn aead(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError> {
        cipher::aead(aead, key)
    }

    fn aes_ctr(&self, key: &[u8]) -> Result<Box<dyn StreamKey>, KeyError> {
        Ok(Box::new(cipher::Aes::new(key)?))
    }

    fn aes_block(&self, key: &[u8]) -> Result<Box<dyn BlockKey>, KeyError> {
        Ok(Box::new(cipher::Aes::new(key)?))
    }

    fn chacha20_mask(&self, key: &[u8; 32], sample: &[u8; 16]) -> [u8; 5] {
        cipher::chacha20_mask(key, sample)
    }

    fn key_agreement(&self, group: Group, random: &mut dyn Rng) -> Result<Box<dyn KeyAgreement>, KeyError> {
        match group {
            Group::X25519MlKem768 => hybrid::ask(self, ml_kem::generate(random)?, random),
            _ => key::agreement(group, random),
        }
    }

    fn answer_key_agreement(
        &self,
        group: Group,
        peer_public_key: &[u8],
        random: &mut dyn Rng,
    ) -> Result<(Vec<u8>, Secret), InvalidPublicKey> {
        if group == Group::X25519MlKem768 {
            return hybrid::answer(self, peer_public_key, random, ml_kem::encapsulate);
        }
        let ours = key::agreement(group, random).map_err(|_| InvalidPublicKey)?;
        let public = ours.public_key().to_vec();
        Ok((public, ours.agree(peer_public_key)?))
    }

    fn generate_signing_key(&self, key_type: KeyType, random: &mut dyn Rng) -> Result<Box<dyn SigningKey>, KeyError> {
        key::generate(key_type, random)
    }

    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, KeyError> {
        key::from_pkcs8(pkcs8)
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        key::verify(scheme, public_key, message, signature)
    }

    fn verifies(&self, scheme: SignatureScheme) -> bool {
        !matches!(
            scheme,
            SignatureScheme::RsaPkcs1Sha256
                | SignatureScheme::RsaPkcs1Sha384
                | SignatureScheme::RsaPssSha256
                | SignatureScheme::RsaPssSha384
        )
    }
}

#[derive(Clone)]
enum RunningHash {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl RunningHash {
    fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(Sha1::new()),
            Hash::Sha256 => Self::Sha256(Sha256::new()),
            Hash::Sha384 => Self::Sha384(Sha384::new()),
            Hash::Sha512 => Self::Sha512(Sha512::new()),
        }
    }
}

impl Hasher for RunningHash {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    fn digest(&self) -> Digest {
        match self.clone() {
            Self::Sha1(hash) => Digest::new(&hash.finalize()),
            Self::Sha256(hash) => Digest::new(&hash.finalize()),
            Self::Sha384(hash) => Digest::new(&hash.finalize()),
            Self::Sha512(hash) => Digest::new(&hash.finalize()),
        }
    }
}

impl std::fmt::Debug for RunningHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunningHash")
    }
}

enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl HmacKey {
    fn new(hash: Hash, key: &[u8]) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(keyed(key)),
            Hash::Sha256 => Self::Sha256(keyed(key)),
            Hash::Sha384 => Self::Sha384(keyed(key)),
            Hash::Sha512 => Self::Sha512(keyed(key)),
        }
    }
}

/// An HMAC takes a key of any length.
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).unwrap_or_else(|_| M::new(&Default::default()))
}

fn mac<M: Mac + Clone>(key: &M, parts: &[&[u8]]) -> Digest {
    let mut mac = key.clone();
    parts.iter().for_each(|part| mac.update(part));
    Digest::new(&mac.finalize().into_bytes())
}

impl MacKey for HmacKey {
    fn sign(&self, parts: &[&[u8]]) -> Digest {
        match self {
            Self::Sha1(key) => mac(key, parts),
            Self::Sha256(key) => mac(key, parts),
            Self::Sha384(key) => mac(key, parts),
            Self::Sha512(key) => mac(key, parts),
        }
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey")
    }
}
