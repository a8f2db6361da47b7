//! Ciphers over the RustCrypto crates.

use aes::cipher::{Array, BlockCipherEncrypt, InnerIvInit, KeyInit, KeyIvInit, StreamCipher, StreamCipherSeek};
use aes_gcm::aead::{AeadInOut, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;

use crate::types::{Aead, KeyError, TAG_LEN, Tag, Unauthentic};
use crate::{AeadKey, BlockKey, StreamKey};

pub(super) fn aead(aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError> {
    fn keyed<C: KeyInit>(key: &[u8]) -> Result<C, KeyError> {
        C::new_from_slice(key).map_err(|_| KeyError::WrongLength)
    }
    Ok(Box::new(match aead {
        Aead::Aes128Gcm => Key::Aes128Gcm(keyed(key)?),
        Aead::Aes256Gcm => Key::Aes256Gcm(keyed(key)?),
        Aead::ChaCha20Poly1305 => Key::ChaCha20Poly1305(keyed(key)?),
    }))
}

enum Key {
    Aes128Gcm(Aes128Gcm),
    Aes256Gcm(Aes256Gcm),
    ChaCha20Poly1305(ChaCha20Poly1305),
}

impl AeadKey for Key {
    fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> Tag {
        let (nonce, buffer) = (nonce.into(), InOutBuf::from(&mut *payload));
        let sealed = match self {
            Self::Aes128Gcm(key) => key.encrypt_inout_detached(nonce, aad, buffer),
            Self::Aes256Gcm(key) => key.encrypt_inout_detached(nonce, aad, buffer),
            Self::ChaCha20Poly1305(key) => key.encrypt_inout_detached(nonce, aad, buffer),
        };
        // Only a payload beyond the cipher's 64 GiB can fail; nothing of it may leave.
        sealed.map(Into::into).unwrap_or_else(|_| {
            payload.fill(0);
            [0; TAG_LEN]
        })
    }

    fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8], tag: &Tag) -> Result<(), Unauthentic> {
        let (nonce, tag, buffer) = (nonce.into(), tag.into(), InOutBuf::from(payload));
        match self {
            Self::Aes128Gcm(key) => key.decrypt_inout_detached(nonce, aad, buffer, tag),
            Self::Aes256Gcm(key) => key.decrypt_inout_detached(nonce, aad, buffer, tag),
            Self::ChaCha20Poly1305(key) => key.decrypt_inout_detached(nonce, aad, buffer, tag),
        }
        .map_err(|_| Unauthentic)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// The cipher by itself, in blocks and in counter mode.
pub(super) enum Aes {
    Aes128(aes::Aes128),
    Aes256(aes::Aes256),
}

impl Aes {
    pub(super) fn new(key: &[u8]) -> Result<Self, KeyError> {
        if let Ok(aes) = aes::Aes128::new_from_slice(key) {
            return Ok(Self::Aes128(aes));
        }
        aes::Aes256::new_from_slice(key).map(Self::Aes256).map_err(|_| KeyError::WrongLength)
    }
}

impl BlockKey for Aes {
    fn encrypt_block(&self, block: &mut [u8; 16]) {
        let block: &mut Array<u8, _> = block.into();
        match self {
            Self::Aes128(aes) => aes.encrypt_block(block),
            Self::Aes256(aes) => aes.encrypt_block(block),
        }
    }
}

impl StreamKey for Aes {
    fn apply_keystream(&self, iv: &[u8; 16], bytes: &mut [u8]) {
        let iv = iv.into();
        match self {
            Self::Aes128(aes) => ctr::Ctr128BE::from_core(ctr::CtrCore::inner_iv_init(aes, iv)).apply_keystream(bytes),
            Self::Aes256(aes) => ctr::Ctr128BE::from_core(ctr::CtrCore::inner_iv_init(aes, iv)).apply_keystream(bytes),
        }
    }
}

impl std::fmt::Debug for Aes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aes")
    }
}

/// RFC 9147 section 4.2.3: the sample's first four bytes are the counter, the rest the nonce.
pub(super) fn chacha20_mask(key: &[u8; 32], sample: &[u8; 16]) -> [u8; 5] {
    let [a, b, c, d, nonce @ ..] = sample;
    let mut cipher = chacha20::ChaCha20::new(key.into(), nonce.into());
    cipher.seek(u64::from(u32::from_le_bytes([*a, *b, *c, *d])) * 64);
    let mut mask = [0; 5];
    cipher.apply_keystream(&mut mask);
    mask
}
