//! `rtc`'s SRTP, a crate of its own, with the provider that `rtc` has by default. Gives a new buffer for every packet.

use bytes::BytesMut;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::{HEADER, PACKET, Profile, RING, Srtp};

pub struct Rtc {
    sender: Context,
    receiver: Context,
    packets: Vec<[u8; PACKET]>,
    sealed: Vec<BytesMut>,
    opened: BytesMut,
}

impl Srtp for Rtc {
    fn new(profile: Profile) -> Self {
        let (key, salt) = profile.keys();
        let profile = match profile {
            Profile::Sha1 => ProtectionProfile::Aes128CmHmacSha1_80,
            Profile::Gcm128 => ProtectionProfile::AeadAes128Gcm,
            Profile::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        };
        let provider = rtc_crypto::default_provider().expect("ring is compiled in");
        let context = || Context::new(key, salt, profile, None, None, provider.crypto()).expect("keys of that length");
        Self {
            sender: context(),
            receiver: context(),
            packets: vec![[0; PACKET]; RING],
            sealed: vec![BytesMut::new(); RING],
            opened: BytesMut::new(),
        }
    }

    fn packet(&mut self, n: usize) -> &mut [u8] {
        &mut self.packets[n]
    }

    fn protect(&mut self, n: usize, _: u64) {
        self.sealed[n] = self.sender.encrypt_rtp(&self.packets[n]).expect("protected");
    }

    fn unprotect(&mut self, n: usize, _: u64) -> &[u8] {
        self.opened = self.receiver.decrypt_rtp(&self.sealed[n]).expect("authentic");
        &self.opened[HEADER..]
    }
}
