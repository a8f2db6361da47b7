//! `str0m`'s SRTP. Its `SrtpContext` is private, but what that is made of is public: the ciphers of its crypto
//! provider, and the profiles' own functions. They are called here in the same steps, with the same buffers, as in
//! `src/rtp/srtp.rs` of 0.25.0; the header and the index come from elsewhere there too, so neither is in the figure.

use str0m::crypto::{
    AeadAes128Gcm, AeadAes128GcmCipher, AeadAes256Gcm, AeadAes256GcmCipher, Aes128CmSha1_80, Aes128CmSha1_80Cipher,
    CryptoProvider, from_feature_flags,
};

use super::{HEADER, KEY, PACKET, Profile, RING, SALT, SSRC, Srtp};

/// What AES-CTR of aws-lc-rs is given at the end of a buffer.
const CTR_BUFFER_PADDING: usize = 15;

enum Cipher {
    Sha1(Box<dyn Aes128CmSha1_80Cipher>),
    Gcm128(Box<dyn AeadAes128GcmCipher>),
    Gcm256(Box<dyn AeadAes256GcmCipher>),
}

pub struct Str0m {
    crypto: CryptoProvider,
    sender: Cipher,
    receiver: Cipher,
    /// For one packet, used again.
    scratch: Vec<u8>,
    packets: Vec<[u8; PACKET]>,
    sealed: Vec<Vec<u8>>,
}

/// Session keys and salts: any will do.
const MAC_KEY: [u8; 20] = [3; 20];

fn salt() -> [u8; 12] {
    *SALT.first_chunk().expect("longer")
}

impl Srtp for Str0m {
    fn new(profile: Profile) -> Self {
        let crypto = from_feature_flags();
        let srtp = crypto.srtp_provider;
        let short = *KEY.first_chunk::<16>().expect("longer");
        let cipher = |encrypt| match profile {
            Profile::Sha1 => Cipher::Sha1(srtp.aes_128_cm_sha1_80().create_cipher(short, encrypt)),
            Profile::Gcm128 => Cipher::Gcm128(srtp.aead_aes_128_gcm().create_cipher(short, encrypt)),
            Profile::Gcm256 => Cipher::Gcm256(srtp.aead_aes_256_gcm().create_cipher(KEY, encrypt)),
        };
        let (sender, receiver) = (cipher(true), cipher(false));
        let (packets, sealed) = (vec![[0; PACKET]; RING], vec![Vec::new(); RING]);
        Self { crypto, sender, receiver, scratch: Vec::new(), packets, sealed }
    }

    fn packet(&mut self, n: usize) -> &mut [u8] {
        &mut self.packets[n]
    }

    fn protect(&mut self, n: usize, index: u64) {
        let packet = &self.packets[n];
        let (header, payload) = packet.split_at(HEADER);
        let (rollovers, number) = ((index >> 16) as u32, index as u16);
        let mut output;
        match &mut self.sender {
            Cipher::Sha1(cipher) => {
                let padding = CTR_BUFFER_PADDING - Aes128CmSha1_80::HMAC_TAG_LEN;
                output = vec![0; PACKET + Aes128CmSha1_80::HMAC_TAG_LEN + padding];
                let iv = Aes128CmSha1_80::rtp_iv(SALT, SSRC, index);
                cipher.encrypt(&iv, payload, &mut output[HEADER..]).expect("encrypted");
                output[..HEADER].copy_from_slice(header);
                let sha1 = |key: &[u8], parts: &[&[u8]]| self.crypto.sha1_hmac_provider.sha1_hmac(key, parts);
                Aes128CmSha1_80::rtp_hmac(sha1, &MAC_KEY, &mut output, index, PACKET);
                output.truncate(PACKET + Aes128CmSha1_80::HMAC_TAG_LEN);
            }
            Cipher::Gcm128(cipher) => {
                let iv = AeadAes128Gcm::rtp_iv(salt(), SSRC, rollovers, number);
                output = vec![0; PACKET + AeadAes128Gcm::TAG_LEN];
                cipher.encrypt(&iv, header, payload, &mut output[HEADER..]).expect("encrypted");
                output[..HEADER].copy_from_slice(header);
            }
            Cipher::Gcm256(cipher) => {
                let iv = AeadAes256Gcm::rtp_iv(salt(), SSRC, rollovers, number);
                output = vec![0; PACKET + AeadAes256Gcm::TAG_LEN];
                cipher.encrypt(&iv, header, payload, &mut output[HEADER..]).expect("encrypted");
                output[..HEADER].copy_from_slice(header);
            }
        }
        self.sealed[n] = output;
    }

    fn unprotect(&mut self, n: usize, index: u64) -> &[u8] {
        let sealed = &self.sealed[n];
        let (rollovers, number) = ((index >> 16) as u32, index as u16);
        let (header, body) = sealed.split_at(HEADER);
        let len = match &mut self.receiver {
            Cipher::Sha1(cipher) => {
                let (packet, tag) = sealed.split_at(sealed.len() - Aes128CmSha1_80::HMAC_TAG_LEN);
                let sha1 = |key: &[u8], parts: &[&[u8]]| self.crypto.sha1_hmac_provider.sha1_hmac(key, parts);
                assert!(Aes128CmSha1_80::rtp_verify(sha1, &MAC_KEY, packet, index, tag), "authentic");
                let iv = Aes128CmSha1_80::rtp_iv(SALT, SSRC, index);
                let input = &packet[HEADER..];
                self.scratch.resize(input.len() + CTR_BUFFER_PADDING, 0);
                cipher.decrypt(&iv, input, &mut self.scratch).expect("decrypted");
                input.len()
            }
            Cipher::Gcm128(cipher) => {
                let iv = AeadAes128Gcm::rtp_iv(salt(), SSRC, rollovers, number);
                self.scratch.resize(body.len() - AeadAes128Gcm::TAG_LEN, 0);
                cipher.decrypt(&iv, &[header], body, &mut self.scratch).expect("authentic")
            }
            Cipher::Gcm256(cipher) => {
                let iv = AeadAes256Gcm::rtp_iv(salt(), SSRC, rollovers, number);
                self.scratch.resize(body.len() - AeadAes256Gcm::TAG_LEN, 0);
                cipher.decrypt(&iv, &[header], body, &mut self.scratch).expect("authentic")
            }
        };
        &self.scratch[..len]
    }
}
