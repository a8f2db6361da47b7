//! The provider over `aws-lc-rs`.

mod cipher;
mod key;
mod ml_kem;

use aws_lc_rs::{digest, hmac};
use rand::Rng;

use crate::hybrid;
use crate::types::{
    Aead, BadSignature, Digest, Group, Hash, InvalidPublicKey, KeyError, KeyType, Secret, SignatureScheme,
};
use crate::{AeadKey, BlockKey, CryptoProvider, Hasher, KeyAgreement, MacKey, Provider, SigningKey, StreamKey};

/// The provider over `aws-lc-rs`.
pub fn aws_lc_rs() -> Provider {
    &AwsLcRs
}

#[derive(Debug)]
struct AwsLcRs;

impl CryptoProvider for AwsLcRs {
    fn name(&self) -> &'static str {
        "aws-lc-rs"
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        let mut context = digest::Context::new(digest_algorithm(hash));
        parts.iter().for_each(|part| context.update(part));
        Digest::new(context.finish().as_ref())
    }

    fn hasher(&self, hash: Hash) -> Box<dyn Hasher> {
        Box::new(RunningHash(digest::Context::new(digest_algorithm(hash))))
    }

    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        mac(&hmac::Key::new(hmac_algorithm(hash), key), parts)
    }

    fn mac_key(&self, hash: Hash, key: &[u8]) -> Box<dyn MacKey> {
        Box::new(HmacKey(hmac::Key::new(hmac_algorithm(hash), key)))
    }

    fn aead(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError> {
        cipher::aead(aead, key)
    }

    fn aes_ctr(&self, key: &[u8]) -> Result<Box<dyn StreamKey>, KeyError> {
        cipher::ctr(key)
    }

    fn aes_block(&self, key: &[u8]) -> Result<Box<dyn BlockKey>, KeyError> {
        cipher::block(key)
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
}

fn digest_algorithm(hash: Hash) -> &'static digest::Algorithm {
    match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    }
}

fn hmac_algorithm(hash: Hash) -> hmac::Algorithm {
    match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> Digest {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    Digest::new(context.sign().as_ref())
}

struct RunningHash(digest::Context);

impl Hasher for RunningHash {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn digest(&self) -> Digest {
        Digest::new(self.0.clone().finish().as_ref())
    }
}

impl std::fmt::Debug for RunningHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunningHash")
    }
}

struct HmacKey(hmac::Key);

impl MacKey for HmacKey {
    fn sign(&self, parts: &[&[u8]]) -> Digest {
        mac(&self.0, parts)
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey")
    }
}
