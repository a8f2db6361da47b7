//! Which ciphers, with which lengths.

use wigwag_crypto::TAG_LEN;
use wigwag_proto::Overhead;

/// How packets are protected: what DTLS negotiates. RFC 5764 section 4.1.2, RFC 7714 section 14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SrtpProfile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80`: AES-128 in counter mode, 80 bits of HMAC-SHA1. RFC 3711.
    Aes128CmHmacSha1_80,
    /// The same with AES-256. RFC 6188; DTLS has no number for it.
    Aes256CmHmacSha1_80,
    /// `SRTP_AEAD_AES_128_GCM`. RFC 7714.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`. RFC 7714.
    AeadAes256Gcm,
}

/// Bytes of an HMAC-SHA1 tag of 80 bits.
pub(super) const HMAC_TAG_LEN: usize = 10;

/// Bytes of the E bit and the SRTCP index.
pub(super) const INDEX_LEN: usize = 4;

impl SrtpProfile {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Aes128CmHmacSha1_80, Self::Aes256CmHmacSha1_80, Self::AeadAes128Gcm, Self::AeadAes256Gcm];

    /// The number in DTLS's `use_srtp`, if it has one.
    pub const fn dtls_id(self) -> Option<u16> {
        match self {
            Self::Aes128CmHmacSha1_80 => Some(0x0001),
            Self::Aes256CmHmacSha1_80 => None,
            Self::AeadAes128Gcm => Some(0x0007),
            Self::AeadAes256Gcm => Some(0x0008),
        }
    }

    /// The profile with this number in DTLS's `use_srtp`.
    pub fn from_dtls_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.dtls_id() == Some(id))
    }

    /// Bytes of a master key, and of a session key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::AeadAes128Gcm => 16,
            Self::Aes256CmHmacSha1_80 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt, and of a session salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::Aes256CmHmacSha1_80 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes of an authentication tag.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::Aes256CmHmacSha1_80 => HMAC_TAG_LEN,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => TAG_LEN,
        }
    }

    /// What goes around an RTP packet.
    pub const fn rtp_overhead(self) -> Overhead {
        Overhead { prefix: 0, suffix: self.tag_len() }
    }

    /// What goes around an RTCP packet.
    pub const fn rtcp_overhead(self) -> Overhead {
        Overhead { prefix: 0, suffix: self.tag_len() + INDEX_LEN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths() {
        assert_eq!(SrtpProfile::from_dtls_id(7), Some(SrtpProfile::AeadAes128Gcm));
        assert_eq!(SrtpProfile::from_dtls_id(2), None);
        assert_eq!(SrtpProfile::Aes128CmHmacSha1_80.rtp_overhead().total(), 10);
        assert_eq!(SrtpProfile::Aes128CmHmacSha1_80.rtcp_overhead().total(), 14);
        assert_eq!(SrtpProfile::AeadAes256Gcm.rtp_overhead().total(), 16);
        assert_eq!(SrtpProfile::AeadAes256Gcm.rtcp_overhead().total(), 20);
    }
}
