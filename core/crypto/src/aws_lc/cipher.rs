//! Ciphers over `aws-lc-rs`.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use crate::types::{Aead, KeyError, TAG_LEN, Tag, Unauthentic};
use crate::{AeadKey, BlockKey, StreamKey};

pub(super) fn aead(aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError> {
    let algorithm = match aead {
        Aead::Aes128Gcm => &aead::AES_128_GCM,
        Aead::Aes256Gcm => &aead::AES_256_GCM,
        Aead::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
    };
    let key = UnboundKey::new(algorithm, key).map_err(|_| KeyError::WrongLength)?;
    Ok(Box::new(Key(LessSafeKey::new(key))))
}

#[derive(Debug)]
struct Key(LessSafeKey);

impl AeadKey for Key {
    fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> Tag {
        let mut tag = [0; TAG_LEN];
        match self.0.seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), payload) {
            Ok(sealed) => tag.copy_from_slice(sealed.as_ref()),
            // Only a payload beyond the cipher's 64 GiB can fail; nothing of it may leave.
            Err(_) => payload.fill(0),
        }
        tag
    }

    fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8], tag: &Tag) -> Result<(), Unauthentic> {
        self.0
            .open_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), tag, payload)
            .map(|_| ())
            .map_err(|_| Unauthentic)
    }
}

fn aes(key: &[u8]) -> Result<UnboundCipherKey, KeyError> {
    let algorithm = match key.len() {
        16 => &cipher::AES_128,
        32 => &cipher::AES_256,
        _ => return Err(KeyError::WrongLength),
    };
    UnboundCipherKey::new(algorithm, key).map_err(|_| KeyError::WrongLength)
}

pub(super) fn ctr(key: &[u8]) -> Result<Box<dyn StreamKey>, KeyError> {
    Ok(Box::new(Ctr(EncryptingKey::ctr(aes(key)?).map_err(|_| KeyError::Refused)?)))
}

struct Ctr(EncryptingKey);

impl StreamKey for Ctr {
    fn apply_keystream(&self, iv: &[u8; 16], bytes: &mut [u8]) {
        let context = EncryptionContext::Iv128(FixedLength::from(*iv));
        if self.0.less_safe_encrypt(bytes, context).is_err() {
            bytes.fill(0); // it never fails; if it did, the plaintext must not leave
        }
    }
}

impl std::fmt::Debug for Ctr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ctr")
    }
}

pub(super) fn block(key: &[u8]) -> Result<Box<dyn BlockKey>, KeyError> {
    Ok(Box::new(Block(EncryptingKey::ecb(aes(key)?).map_err(|_| KeyError::Refused)?)))
}

struct Block(EncryptingKey);

impl BlockKey for Block {
    fn encrypt_block(&self, block: &mut [u8; 16]) {
        if self.0.less_safe_encrypt(block, EncryptionContext::None).is_err() {
            block.fill(0);
        }
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Block")
    }
}

pub(super) fn chacha20_mask(key: &[u8; 32], sample: &[u8; 16]) -> [u8; 5] {
    quic::HeaderProtectionKey::new(&quic::CHACHA20, key).and_then(|key| key.new_mask(sample)).unwrap_or_default()
}
