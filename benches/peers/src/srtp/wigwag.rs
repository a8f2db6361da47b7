//! Ours: in place.

use wigwag_rtp::srtp::{Protector, SrtpProfile, Unprotector};

use super::{HEADER, PACKET, Profile, RING, Srtp};

pub struct Wigwag {
    protector: Protector,
    unprotector: Unprotector,
    sealed_len: usize,
    packets: Vec<[u8; PACKET + 16]>,
}

impl Srtp for Wigwag {
    fn new(profile: Profile) -> Self {
        let (key, salt) = profile.keys();
        let provider = wigwag_crypto::aws_lc_rs();
        let sealed_len = PACKET + profile.tag_len();
        let profile = match profile {
            Profile::Sha1 => SrtpProfile::Aes128CmHmacSha1_80,
            Profile::Gcm128 => SrtpProfile::AeadAes128Gcm,
            Profile::Gcm256 => SrtpProfile::AeadAes256Gcm,
        };
        Self {
            protector: Protector::new(profile, key, salt, provider).expect("keys of that length"),
            unprotector: Unprotector::new(profile, key, salt, provider).expect("keys of that length"),
            sealed_len,
            packets: vec![[0; PACKET + 16]; RING],
        }
    }

    fn packet(&mut self, n: usize) -> &mut [u8] {
        &mut self.packets[n][..PACKET]
    }

    fn protect(&mut self, n: usize, _: u64) {
        assert_eq!(self.protector.protect_rtp(&mut self.packets[n], PACKET), Some(self.sealed_len));
    }

    fn unprotect(&mut self, n: usize, _: u64) -> &[u8] {
        let packet = &mut self.packets[n][..self.sealed_len];
        let len = self.unprotector.unprotect_rtp(packet).expect("authentic");
        &packet[HEADER..len]
    }
}
