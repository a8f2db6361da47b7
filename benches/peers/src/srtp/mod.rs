//! SRTP alone: one packet protected, and unprotected, by each crate and by the ciphers themselves.

pub mod raw;
pub mod rtc;
pub mod str0m;
#[cfg(feature = "ours")]
pub mod wigwag;

/// Bytes of an RTP packet before it is protected.
pub const PACKET: usize = 1200;
/// A header with one extension, as most packets of a browser have it: a transport-wide sequence number.
pub const HEADER: usize = 20;
/// Packets that take turns: they fit the second-level cache, as those of a batch would.
pub const RING: usize = 256;

pub const KEY: [u8; 32] = [7; 32];
pub const SALT: [u8; 14] = [9; 14];
pub const SSRC: u32 = 0x1234_5678;

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Sha1,
    Gcm128,
    Gcm256,
}

impl Profile {
    /// Master key and master salt. RFC 3711 section 4.3, RFC 7714 section 12.
    pub fn keys(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Sha1 => (&KEY[..16], &SALT),
            Self::Gcm128 => (&KEY[..16], &SALT[..12]),
            Self::Gcm256 => (&KEY, &SALT[..12]),
        }
    }

    /// Bytes of a tag.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Sha1 => 10,
            Self::Gcm128 | Self::Gcm256 => 16,
        }
    }
}

/// Both ends of one direction, and the packets that go from the one to the other.
pub trait Srtp {
    /// Made once, with all packets in it.
    fn new(profile: Profile) -> Self;

    /// Where packet `n` is written before it is protected.
    fn packet(&mut self, n: usize) -> &mut [u8];

    /// Protects packet `n`. Its index has been written into it, and never goes back.
    fn protect(&mut self, n: usize, index: u64);

    /// Unprotects packet `n`, and gives its payload.
    fn unprotect(&mut self, n: usize, index: u64) -> &[u8];
}

/// An RTP packet, but for its sequence number.
pub fn rtp() -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[..2].copy_from_slice(&[0x90, 96]);
    packet[8..12].copy_from_slice(&SSRC.to_be_bytes());
    packet[12..HEADER].copy_from_slice(&[0xBE, 0xDE, 0, 1, 0x31, 0, 0, 0]);
    packet[HEADER..].fill(0x5A);
    packet
}
