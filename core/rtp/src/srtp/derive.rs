//! Session keys from a master key. RFC 3711 section 4.3, RFC 6188 section 3, RFC 7714 section 11.

use wigwag_crypto::{KeyError, Provider, Secret};

use super::profile::SrtpProfile;

/// What a session key is for. RFC 3711 section 4.3.2.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Bytes of a key for HMAC-SHA1.
const AUTHENTICATION_KEY_LEN: usize = 20;

/// The keys of RTP, or of RTCP, in one direction.
#[derive(Debug)]
pub(super) struct SessionKeys {
    pub(super) encryption: Secret,
    /// Not used with AES-GCM.
    pub(super) authentication: Secret,
    pub(super) salt: Secret,
}

/// Which of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    Rtp,
    Rtcp,
}

impl SessionKeys {
    pub(super) fn derive(
        profile: SrtpProfile,
        traffic: Traffic,
        master_key: &[u8],
        master_salt: &[u8],
        provider: Provider,
    ) -> Result<Self, KeyError> {
        if master_key.len() != profile.key_len() || master_salt.len() != profile.salt_len() {
            return Err(KeyError::WrongLength);
        }
        let (encryption, authentication, salt) = match traffic {
            Traffic::Rtp => (Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt),
            Traffic::Rtcp => (Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt),
        };
        let prf = provider.aes_ctr(master_key)?;
        let expand = |label: Label, len: usize| {
            // The salt stands at the left of 112 bits (one of 96 is padded at its right, RFC 7714 section 11), the
            // counter in the 16 bits after them. The label lies above the 48 bits of r, which is 0.
            let mut iv = [0; 16];
            iv.iter_mut().zip(master_salt).for_each(|(to, from)| *to = *from);
            let [_, _, _, _, _, _, _, label_byte, ..] = &mut iv;
            *label_byte ^= label as u8;
            let mut bytes = vec![0; len];
            prf.apply_keystream(&iv, &mut bytes);
            Secret::new(bytes)
        };
        Ok(Self {
            encryption: expand(encryption, profile.key_len()),
            authentication: expand(authentication, AUTHENTICATION_KEY_LEN),
            salt: expand(salt, profile.salt_len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::transform::tests::{hex, providers};

    fn check(profile: SrtpProfile, master: (&str, &str), expected: (&str, &str, &str)) {
        for provider in providers() {
            let keys = SessionKeys::derive(profile, Traffic::Rtp, &hex(master.0), &hex(master.1), provider).unwrap();
            assert_eq!(keys.encryption.to_vec(), hex(expected.0));
            assert_eq!(keys.salt.to_vec(), hex(expected.1));
            assert_eq!(keys.authentication.to_vec(), hex(expected.2));
        }
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn rfc3711_b3() {
        check(
            SrtpProfile::Aes128CmHmacSha1_80,
            ("E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6"),
            (
                "C61E7A93744F39EE10734AFE3FF7A087",
                "30CBBC08863D8C85D49DB34A9AE1",
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
            ),
        );
    }

    /// RFC 6188 section 7.2.
    #[test]
    fn rfc6188_7_2() {
        check(
            SrtpProfile::Aes256CmHmacSha1_80,
            ("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6", "3b04803de51ee7c96423ab5b78d2"),
            (
                "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
                "fa31791685ca444a9e07c6c64e93",
                "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
            ),
        );
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let [provider, ..] = providers();
        for profile in SrtpProfile::ALL {
            for (key, salt) in [(0, 0), (1, 0), (0, 1)] {
                let (key, salt) = (vec![0; profile.key_len() + key], vec![0; profile.salt_len() + salt]);
                let good = key.len() == profile.key_len() && salt.len() == profile.salt_len();
                assert_eq!(SessionKeys::derive(profile, Traffic::Rtcp, &key, &salt, provider).is_ok(), good);
            }
        }
    }
}
