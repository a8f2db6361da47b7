//! What happened.

use std::fmt;

use wigwag_crypto::Secret;

use crate::config::Version;

/// What a [`Dtls`](crate::Dtls) tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer is who the fingerprint says, and data can flow.
    Connected {
        /// What was negotiated.
        version: Version,
        /// The keys for SRTP, if both ends have a profile in common. RFC 5764.
        srtp: Option<SrtpKeys>,
    },
    /// There is no connection, or no longer. Nothing more will come.
    Failed(Failure),
    /// The peer closed the connection (an authenticated `close_notify`). Nothing more will come.
    Closed,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The peer's certificate is not one that its fingerprints speak of: somebody is in between.
    #[error("the peer's certificate does not match its fingerprint")]
    FingerprintMismatch,
    /// The peer showed no certificate.
    #[error("the peer has no certificate")]
    NoCertificate,
    /// The handshake did not come to an end in its time.
    #[error("the handshake timed out")]
    TimedOut,
    /// The peer gave up, for this reason. RFC 8446 section 6.2.
    #[error("the peer sent the alert {0}")]
    Alert(u8),
    /// What the peer sent broke the protocol's rules; the text is for logs.
    #[error("the handshake failed: {0}")]
    Protocol(String),
}

/// How SRTP is protected. RFC 5764 section 4.1.2, RFC 7714 section 14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SrtpProfile {
    /// `SRTP_AEAD_AES_256_GCM`.
    AeadAes256Gcm,
    /// `SRTP_AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`.
    Aes128CmHmacSha1_80,
}

impl SrtpProfile {
    /// Bytes of a master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmHmacSha1_80 => 16,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::Aes128CmHmacSha1_80 => 14,
        }
    }
}

/// Master keys for SRTP, both directions. RFC 5764 section 4.2.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What they are for.
    pub profile: SrtpProfile,
    /// What the DTLS client protects with.
    pub client_key: Secret,
    /// What the DTLS server protects with.
    pub server_key: Secret,
    /// The salt of the DTLS client.
    pub client_salt: Secret,
    /// The salt of the DTLS server.
    pub server_salt: Secret,
}

impl SrtpKeys {
    /// Cuts the exported keying material: both keys, then both salts, the client's first.
    pub(crate) fn cut(profile: SrtpProfile, material: &[u8]) -> Option<Self> {
        let (client_key, rest) = material.split_at_checked(profile.key_len())?;
        let (server_key, rest) = rest.split_at_checked(profile.key_len())?;
        let (client_salt, server_salt) = rest.split_at_checked(profile.salt_len())?;
        if server_salt.len() != profile.salt_len() {
            return None;
        }
        let secret = |bytes: &[u8]| Secret::new(bytes.to_vec());
        let (client_key, server_key) = (secret(client_key), secret(server_key));
        Some(Self {
            profile,
            client_key,
            server_key,
            client_salt: secret(client_salt),
            server_salt: secret(server_salt),
        })
    }
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKeys({:?})", self.profile)
    }
}
