//! The floor: the ciphers of aws-lc-rs on the same bytes, with a nonce that is counted up, and nothing around them.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::{HEADER, PACKET, Profile, RING, Srtp};

#[expect(clippy::large_enum_variant, reason = "there is one, and a box would be in the way of what is measured")]
enum Key {
    CounterMode { cipher: EncryptingKey, mac: hmac::Key },
    Gcm(LessSafeKey),
}

pub struct Raw {
    key: Key,
    tag_len: usize,
    packets: Vec<[u8; PACKET + 16]>,
}

impl Srtp for Raw {
    fn new(profile: Profile) -> Self {
        let (key, _) = profile.keys();
        let gcm = |algorithm| Key::Gcm(LessSafeKey::new(UnboundKey::new(algorithm, key).expect("its length")));
        let key = match profile {
            Profile::Sha1 => Key::CounterMode {
                cipher: EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key).expect("its length")).expect("AES"),
                mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[3; 20]),
            },
            Profile::Gcm128 => gcm(&AES_128_GCM),
            Profile::Gcm256 => gcm(&AES_256_GCM),
        };
        Self { key, tag_len: profile.tag_len(), packets: vec![[0; PACKET + 16]; RING] }
    }

    fn packet(&mut self, n: usize) -> &mut [u8] {
        &mut self.packets[n][..PACKET]
    }

    fn protect(&mut self, n: usize, index: u64) {
        let (packet, room) = self.packets[n].split_at_mut(PACKET);
        match &self.key {
            Key::CounterMode { cipher, mac } => {
                cipher.less_safe_encrypt(&mut packet[HEADER..], counter(index)).expect("encrypted");
                let tag = hmac::sign(mac, packet);
                room[..self.tag_len].copy_from_slice(&tag.as_ref()[..self.tag_len]);
            }
            Key::Gcm(key) => {
                let (header, payload) = packet.split_at_mut(HEADER);
                let tag = key.seal_in_place_separate_tag(nonce(index), Aad::from(&*header), payload);
                room.copy_from_slice(tag.expect("sealed").as_ref());
            }
        }
    }

    fn unprotect(&mut self, n: usize, index: u64) -> &[u8] {
        let (packet, tag) = self.packets[n].split_at_mut(PACKET);
        match &self.key {
            Key::CounterMode { cipher, mac } => {
                let expected = hmac::sign(mac, packet);
                let (expected, tag) = (&expected.as_ref()[..self.tag_len], &tag[..self.tag_len]);
                verify_slices_are_equal(expected, tag).expect("authentic");
                cipher.less_safe_encrypt(&mut packet[HEADER..], counter(index)).expect("decrypted");
            }
            Key::Gcm(key) => {
                let (header, payload) = packet.split_at_mut(HEADER);
                key.open_in_place_separate_tag(nonce(index), Aad::from(&*header), tag, payload).expect("authentic");
            }
        }
        &packet[HEADER..]
    }
}

fn nonce(index: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn counter(index: u64) -> EncryptionContext {
    let mut iv = [0; 16];
    iv[6..14].copy_from_slice(&index.to_be_bytes());
    EncryptionContext::Iv128(iv.into())
}
