//! One packet, one key, one index: no state. RFC 3711 section 4, RFC 7714 sections 8 and 9.

use wigwag_crypto::{Aead, AeadKey, Hash, KeyError, MacKey, Provider, StreamKey, TAG_LEN, Tag, ct_eq};

use super::derive::{SessionKeys, Traffic};
use super::profile::{HMAC_TAG_LEN, INDEX_LEN, SrtpProfile};
use crate::number::Ssrc;
use crate::packet::Layout;

/// Bytes at the beginning of RTCP that are never encrypted: the first header, and the sender's SSRC.
const RTCP_CLEAR_LEN: usize = 8;

/// The bit before the SRTCP index that says that the packet is encrypted.
const E_BIT: u32 = 1 << 31;

/// The largest packet: no datagram is larger, and the counter of AES-CM has 16 bits, for blocks of 16 bytes.
const MAX_PACKET_LEN: usize = 65_535;

/// The keys for RTP, or for RTCP, in one direction.
#[derive(Debug)]
pub(super) enum Transform {
    /// Counter mode, and a MAC over the result.
    CounterMode { cipher: Box<dyn StreamKey>, mac: Box<dyn MacKey>, salt: [u8; 14] },
    /// Galois/counter mode.
    Gcm { key: Box<dyn AeadKey>, salt: [u8; 12] },
}

/// Where the encrypted part of an RTP packet begins, if these bytes (with or without a tag) are one.
pub(super) fn header_len(bytes: &[u8]) -> Option<usize> {
    Layout::of(bytes).ok().filter(|_| bytes.len() <= MAX_PACKET_LEN).map(|layout| layout.header_len)
}

/// The sender of an RTCP packet, if these bytes are one.
pub(super) fn rtcp_sender(bytes: &[u8]) -> Option<Ssrc> {
    let &[first, _, _, _, a, b, c, d] = bytes.first_chunk::<RTCP_CLEAR_LEN>()?;
    (first >> 6 == 2 && bytes.len() <= MAX_PACKET_LEN).then_some(Ssrc(u32::from_be_bytes([a, b, c, d])))
}

impl Transform {
    pub(super) fn new(
        profile: SrtpProfile,
        traffic: Traffic,
        master_key: &[u8],
        master_salt: &[u8],
        provider: Provider,
    ) -> Result<Self, KeyError> {
        Self::with(profile, &SessionKeys::derive(profile, traffic, master_key, master_salt, provider)?, provider)
    }

    pub(super) fn with(profile: SrtpProfile, keys: &SessionKeys, provider: Provider) -> Result<Self, KeyError> {
        let aead = match profile {
            SrtpProfile::Aes128CmHmacSha1_80 | SrtpProfile::Aes256CmHmacSha1_80 => {
                return Ok(Self::CounterMode {
                    cipher: provider.aes_ctr(&keys.encryption)?,
                    mac: provider.mac_key(Hash::Sha1, &keys.authentication),
                    salt: keys.salt.first_chunk().copied().ok_or(KeyError::WrongLength)?,
                });
            }
            SrtpProfile::AeadAes128Gcm => Aead::Aes128Gcm,
            SrtpProfile::AeadAes256Gcm => Aead::Aes256Gcm,
        };
        Ok(Self::Gcm {
            key: provider.aead(aead, &keys.encryption)?,
            salt: keys.salt.first_chunk().copied().ok_or(KeyError::WrongLength)?,
        })
    }

    /// Protects an RTP packet that ends where the tag is to begin; `packet` ends with the tag.
    pub(super) fn seal_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: Ssrc, index: u64) -> Option<()> {
        match self {
            Self::CounterMode { cipher, mac, salt } => {
                let (body, tag) = packet.split_last_chunk_mut::<HMAC_TAG_LEN>()?;
                cipher.apply_keystream(&counter_iv(salt, ssrc, index), body.get_mut(header_len..)?);
                *tag = mac.sign(&[body, &rollovers(index)]).first();
            }
            Self::Gcm { key, salt } => {
                let (body, tag) = packet.split_last_chunk_mut::<TAG_LEN>()?;
                let (header, payload) = body.split_at_mut_checked(header_len)?;
                *tag = key.seal_in_place(&gcm_nonce(salt, ssrc, index), header, payload);
            }
        }
        Some(())
    }

    /// Checks an RTP packet that ends with its tag, and decrypts it if it is authentic.
    pub(super) fn open_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: Ssrc, index: u64) -> Option<()> {
        match self {
            Self::CounterMode { cipher, mac, salt } => {
                let (body, tag) = packet.split_last_chunk_mut::<HMAC_TAG_LEN>()?;
                let expected: [u8; HMAC_TAG_LEN] = mac.sign(&[body, &rollovers(index)]).first();
                if !ct_eq(&expected, tag) {
                    return None;
                }
                cipher.apply_keystream(&counter_iv(salt, ssrc, index), body.get_mut(header_len..)?);
                Some(())
            }
            Self::Gcm { key, salt } => {
                let (body, tag) = packet.split_last_chunk_mut::<TAG_LEN>()?;
                let (header, payload) = body.split_at_mut_checked(header_len)?;
                key.open_in_place(&gcm_nonce(salt, ssrc, index), header, payload, tag).ok()
            }
        }
    }

    /// Protects an RTCP packet of `len` bytes; `packet` ends with the tag, or the index.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], len: usize, ssrc: Ssrc, index: u32) -> Option<()> {
        let word = (E_BIT | index).to_be_bytes();
        match self {
            Self::CounterMode { cipher, mac, salt } => {
                let (body, tag) = packet.split_last_chunk_mut::<HMAC_TAG_LEN>()?;
                let iv = counter_iv(salt, ssrc, u64::from(index));
                cipher.apply_keystream(&iv, body.get_mut(RTCP_CLEAR_LEN..len)?);
                body.get_mut(len..)?.copy_from_slice(&word);
                *tag = mac.sign(&[body]).first();
            }
            Self::Gcm { key, salt } => {
                let (packet, trailer) = packet.split_at_mut_checked(len)?;
                let (header, payload) = packet.split_first_chunk_mut::<RTCP_CLEAR_LEN>()?;
                let (tag, trailing_word) = trailer.split_first_chunk_mut::<TAG_LEN>()?;
                *tag =
                    key.seal_in_place(&gcm_nonce(salt, ssrc, u64::from(index)), &gcm_rtcp_aad(header, word), payload);
                trailing_word.copy_from_slice(&word);
            }
        }
        Some(())
    }

    /// The index that an SRTCP packet names.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let packet = match self {
            Self::CounterMode { .. } => packet.split_last_chunk::<HMAC_TAG_LEN>()?.0,
            Self::Gcm { .. } => packet,
        };
        packet.last_chunk().map(|word| u32::from_be_bytes(*word) & !E_BIT)
    }

    /// Checks an SRTCP packet, and decrypts it if it is authentic, and encrypted at all: one without the E bit is as
    /// authentic as any. RFC 3711 section 3.4.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, index: u32) -> Option<()> {
        match self {
            Self::CounterMode { cipher, mac, salt } => {
                let (authenticated, tag) = packet.split_last_chunk_mut::<HMAC_TAG_LEN>()?;
                let expected: [u8; HMAC_TAG_LEN] = mac.sign(&[authenticated]).first();
                if !ct_eq(&expected, tag) {
                    return None;
                }
                let (body, word) = authenticated.split_last_chunk_mut::<INDEX_LEN>()?;
                if u32::from_be_bytes(*word) & E_BIT != 0 {
                    let iv = counter_iv(salt, ssrc, u64::from(index));
                    cipher.apply_keystream(&iv, body.get_mut(RTCP_CLEAR_LEN..)?);
                }
                Some(())
            }
            Self::Gcm { key, salt } => {
                let nonce = gcm_nonce(salt, ssrc, u64::from(index));
                let (sealed, word) = packet.split_last_chunk_mut::<INDEX_LEN>()?;
                let (body, tag) = sealed.split_last_chunk_mut::<TAG_LEN>()?;
                if u32::from_be_bytes(*word) & E_BIT != 0 {
                    let (header, payload) = body.split_first_chunk_mut::<RTCP_CLEAR_LEN>()?;
                    return key.open_in_place(&nonce, &gcm_rtcp_aad(header, *word), payload, tag).ok();
                }
                // RFC 7714 section 9.3: all is associated data, and so must lie together: the index is moved to the
                // packet's end, where the tag was.
                let (tag, body_len) = (*tag, body.len());
                packet.copy_within(packet.len() - INDEX_LEN.., body_len);
                key.open_in_place(&nonce, packet.get(..body_len + INDEX_LEN)?, &mut [], &Tag::from(tag)).ok()
            }
        }
    }
}

/// The upper 32 bits of an index: the rollover counter, as it is authenticated. RFC 3711 section 4.2.
fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// RFC 3711 section 4.1.1: (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16).
fn counter_iv(salt: &[u8; 14], ssrc: Ssrc, index: u64) -> [u8; 16] {
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13] = *salt;
    let salt = u128::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, 0, 0]);
    (salt ^ (u128::from(ssrc.0) << 64) ^ (u128::from(index) << 16)).to_be_bytes()
}

/// RFC 7714 section 8.1: 16 zeros, SSRC, rollover counter, sequence number; XOR the salt. And section 9.1: 16 zeros, SSRC,
/// 16 zeros, SRTCP index; XOR the salt.
///
/// In two words, as the cipher reads it: what is written in smaller ones has to reach the memory first.
fn gcm_nonce(salt: &[u8; 12], ssrc: Ssrc, index: u64) -> [u8; 12] {
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11] = *salt;
    let upper = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]) ^ (u64::from(ssrc.0) << 16) ^ (index >> 32);
    let lower = u32::from_be_bytes([s8, s9, s10, s11]) ^ index as u32;
    let ([n0, n1, n2, n3, n4, n5, n6, n7], [n8, n9, n10, n11]) = (upper.to_be_bytes(), lower.to_be_bytes());
    [n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11]
}

/// RFC 7714 section 9.2: the first eight bytes, then E and the index.
fn gcm_rtcp_aad(header: &[u8; RTCP_CLEAR_LEN], word: [u8; INDEX_LEN]) -> [u8; RTCP_CLEAR_LEN + INDEX_LEN] {
    let (h, w) = (u64::from_be_bytes(*header), u32::from_be_bytes(word));
    let [_, _, _, _, aad @ ..] = (u128::from(h) << 32 | u128::from(w)).to_be_bytes();
    aad
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use wigwag_crypto::Secret;

    pub(in crate::srtp) fn hex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    pub(in crate::srtp) fn providers() -> [Provider; 2] {
        [wigwag_crypto::aws_lc_rs(), wigwag_crypto::rust_crypto()]
    }

    fn session(encryption: &str, salt: &str) -> SessionKeys {
        let secret = |text| Secret::new(hex(text));
        SessionKeys { encryption: secret(encryption), authentication: secret("00"), salt: secret(salt) }
    }

    /// RFC 3711 appendix B.2, RFC 6188 section 7.1: the keystream, seen through a payload of zeros.
    #[test]
    fn counter_mode_keystream() {
        for (profile, key, stream) in [
            (
                SrtpProfile::Aes128CmHmacSha1_80,
                "2B7E151628AED2A6ABF7158809CF4F3C",
                "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0",
            ),
            (
                SrtpProfile::Aes256CmHmacSha1_80,
                "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
                "92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac63c4868b7096d88421b563b8c94c9a31",
            ),
        ] {
            for provider in providers() {
                let keys = session(key, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
                let transform = Transform::with(profile, &keys, provider).unwrap();
                let mut packet = [0; 12 + 48 + HMAC_TAG_LEN];
                transform.seal_rtp(&mut packet, 12, Ssrc(0), 0).unwrap();
                assert_eq!(packet[12..60], hex(stream), "{profile:?} {provider:?}");
            }
        }
    }

    /// RFC 3711 appendix B.2: the last blocks of a keystream of 0xFF02.
    #[test]
    fn counter_mode_does_not_wrap_early() {
        for provider in providers() {
            let mut iv = [0; 16];
            iv[..14].copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
            let mut stream = vec![0; 0xFF02 * 16];
            provider.aes_ctr(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap().apply_keystream(&iv, &mut stream);
            let last =
                "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE6A2CC3787889374FBEB4C81B17BA6C44";
            assert_eq!(stream[stream.len() - 48..], hex(last));
        }
    }

    const RTP: &str =
        "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
    const RTCP: &str =
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    const SALT: &str = "517569642070726f2071756f";
    const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    /// RFC 7714 sections 16.1.1, 16.1.2, 16.2.1, 16.2.2.
    #[test]
    fn rfc7714_srtp() {
        for (profile, key, expected) in [
            (
                SrtpProfile::AeadAes128Gcm,
                KEY_128,
                "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            ),
            (
                SrtpProfile::AeadAes256Gcm,
                KEY_256,
                "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ] {
            for provider in providers() {
                let transform = Transform::with(profile, &session(key, SALT), provider).unwrap();
                let mut packet = hex(RTP);
                packet.resize(packet.len() + TAG_LEN, 0);
                transform.seal_rtp(&mut packet, 12, Ssrc(0x5501_A0B2), 0xF17B).unwrap();
                assert_eq!(packet, hex(expected), "{profile:?} {provider:?}");
                transform.open_rtp(&mut packet, 12, Ssrc(0x5501_A0B2), 0xF17B).unwrap();
                assert_eq!(packet[..packet.len() - TAG_LEN], hex(RTP));
            }
        }
    }

    /// RFC 7714 sections 17.1, 17.2.
    #[test]
    fn rfc7714_srtcp() {
        for (profile, key, expected) in [
            (
                SrtpProfile::AeadAes128Gcm,
                KEY_128,
                "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
            ),
            (
                SrtpProfile::AeadAes256Gcm,
                KEY_256,
                "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
            ),
        ] {
            for provider in providers() {
                let transform = Transform::with(profile, &session(key, SALT), provider).unwrap();
                let mut packet = hex(RTCP);
                let len = packet.len();
                packet.resize(len + TAG_LEN + INDEX_LEN, 0);
                transform.seal_rtcp(&mut packet, len, Ssrc(0x4D61_7273), 0x5D4).unwrap();
                assert_eq!(packet, hex(expected), "{profile:?} {provider:?}");
                assert_eq!(transform.rtcp_index(&packet), Some(0x5D4));
                transform.open_rtcp(&mut packet, Ssrc(0x4D61_7273), 0x5D4).unwrap();
                assert_eq!(packet[..len], hex(RTCP));
            }
        }
    }

    /// RFC 7714 sections 17.3 and 17.4: tagged, not encrypted.
    #[test]
    fn rfc7714_srtcp_in_the_clear() {
        for (profile, key, tag) in [
            (SrtpProfile::AeadAes128Gcm, KEY_128, "841dd9683dd78ec92ae58790125f62b3"),
            (SrtpProfile::AeadAes256Gcm, KEY_256, "91db4afbfeee5a978fab4393ed2615fe"),
        ] {
            for provider in providers() {
                let transform = Transform::with(profile, &session(key, SALT), provider).unwrap();
                let packet = hex(&[RTCP, tag, "000005d4"].concat());
                let mut good = packet.clone();
                transform.open_rtcp(&mut good, Ssrc(0x4D61_7273), 0x5D4).unwrap();
                assert_eq!(good[..hex(RTCP).len()], hex(RTCP));
                for at in 0..packet.len() {
                    let mut bad = packet.clone();
                    bad[at] ^= 1;
                    assert_eq!(transform.open_rtcp(&mut bad, Ssrc(0x4D61_7273), 0x5D4), None, "byte {at}");
                }
            }
        }
    }

    /// Counter mode knows packets without the E bit too: authentic, but not encrypted.
    #[test]
    fn srtcp_in_the_clear_in_counter_mode() {
        for provider in providers() {
            let keys = session(KEY_128, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
            let transform = Transform::with(SrtpProfile::Aes128CmHmacSha1_80, &keys, provider).unwrap();
            let mut packet = hex(&[RTCP, "000005d4"].concat());
            packet.extend_from_slice(&provider.hmac_sha1(&[0], &[&packet])[..HMAC_TAG_LEN]);
            assert_eq!(transform.rtcp_index(&packet), Some(0x5D4));
            let mut bad = packet.clone();
            bad[20] ^= 1;
            assert_eq!(transform.open_rtcp(&mut bad, Ssrc(0x4D61_7273), 0x5D4), None);
            transform.open_rtcp(&mut packet, Ssrc(0x4D61_7273), 0x5D4).unwrap();
            assert_eq!(packet[..52], hex(RTCP));
        }
    }
}
