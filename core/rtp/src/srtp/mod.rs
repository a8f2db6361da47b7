//! SRTP and SRTCP: packets encrypted and authenticated where they lie. RFC 3711, RFC 6188, RFC 7714.
//!
//! ```text
//!            RTP                                     RTCP
//! AES-CM     header | payload* | tag (10)            8 bytes | rest* | E, index (4) | tag (10)
//! AES-GCM    header | payload* | tag (16)            8 bytes | rest* | tag (16) | E, index (4)
//!                     *encrypted; whatever stands before the tag is authenticated (in GCM also E and the index)
//! ```
//!
//! A [`Protector`] is for one direction, an [`Unprotector`] for the other, and a [`SrtpSession`] is both. Their keys
//! come from the DTLS handshake (RFC 5764); session keys are derived once (a key derivation rate of 0). The index of a
//! packet, 48 bits, is never sent: the receiver guesses the upper 32, the rollover counter, from the newest packet of
//! that source, and believes the guess only once the packet is authentic.
//!
//! **New keys** are a new object. Neither half can be told to forget a source: a sender that did so could use an index
//! twice, and a receiver that did so would take an old packet for a new one. So both know a bounded number of sources
//! ([`MAX_SOURCES`]) and refuse more.
//!
//! **No index is used twice** with one key, whatever the caller does: [`Protector`] keeps the same window as the
//! receiver. Sending the very same packet again is safe in counter mode, and can be
//! [allowed](Protector::allow_repeats) there.
//!
//! **What is left out**: master key identifiers, RFC 6904's encrypted extensions, and Cryptex (RFC 9335). The latter
//! moves the beginning of the encrypted part into the header, by the extension's profile 0xC0DE or 0xC2DE; `header_len`
//! in `transform.rs` is the one place that says where the encrypted part begins, for both directions.

mod derive;
mod profile;
mod protect;
mod sources;
mod transform;
mod unprotect;
mod window;

use wigwag_crypto::{KeyError, Provider};

pub use profile::SrtpProfile;
pub use protect::{ProtectStats, Protector};
pub use sources::MAX_SOURCES;
pub use unprotect::{UnprotectStats, Unprotector};
pub use window::REPLAY_WINDOW;

/// RFC 3711 section 9.2: one master key protects at most 2^48 RTP packets,
pub const MAX_RTP_PACKETS: u64 = 1 << 48;

/// and 2^31 RTCP packets.
pub const MAX_RTCP_PACKETS: u64 = 1 << 31;

/// Both directions of a connection.
///
/// ```
/// use wigwag_rtp::srtp::{SrtpProfile, SrtpSession};
///
/// let (provider, profile) = (wigwag_crypto::aws_lc_rs(), SrtpProfile::AeadAes128Gcm);
/// let (one, other) = ((&[1; 16][..], &[2; 12][..]), (&[3; 16][..], &[4; 12][..]));
/// let mut alice = SrtpSession::new(profile, one, other, provider)?;
/// let mut bob = SrtpSession::new(profile, other, one, provider)?;
///
/// let mut packet = [0; 64];
/// packet[..14].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, b'h', b'i']);
/// let len = alice.protector.protect_rtp(&mut packet, 14).expect("there is room for the tag");
/// assert_eq!(len, 14 + profile.rtp_overhead().suffix);
/// let len = bob.unprotector.unprotect_rtp(&mut packet[..len]).expect("it is authentic");
/// assert_eq!(&packet[12..len], b"hi");
/// # Ok::<(), wigwag_crypto::KeyError>(())
/// ```
#[derive(Debug)]
pub struct SrtpSession {
    /// For what is sent.
    pub protector: Protector,
    /// For what is received.
    pub unprotector: Unprotector,
}

impl SrtpSession {
    /// A session with the master key and salt that we send with, and those that the peer sends with. In the role of
    /// the DTLS client ours are the client's. RFC 5764 section 4.2.
    pub fn new(
        profile: SrtpProfile,
        local: (&[u8], &[u8]),
        remote: (&[u8], &[u8]),
        provider: Provider,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            protector: Protector::new(profile, local.0, local.1, provider)?,
            unprotector: Unprotector::new(profile, remote.0, remote.1, provider)?,
        })
    }
}
