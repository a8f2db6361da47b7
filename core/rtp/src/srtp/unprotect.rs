//! The receiver's half.

use wigwag_crypto::{KeyError, Provider};

use super::derive::Traffic;
use super::profile::SrtpProfile;
use super::sources::{Place, Sources};
use super::transform::{Transform, header_len, rtcp_sender};
use super::window::Seen;
use super::{MAX_RTP_PACKETS, REPLAY_WINDOW};
use crate::number::{SequenceNumber, Ssrc};
use crate::wire::{be16, be32};

/// What an [`Unprotector`] accepted and dropped, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnprotectStats {
    /// RTP packets accepted.
    pub rtp: u64,
    /// RTCP packets accepted.
    pub rtcp: u64,
    /// Too short, or no packets at all.
    pub malformed: u64,
    /// Seen before.
    pub replayed: u64,
    /// More than [`REPLAY_WINDOW`] behind the newest.
    pub too_old: u64,
    /// Not authentic: changed on the way, or made with another key.
    pub unauthentic: u64,
    /// Their source was one too many: see [`MAX_SOURCES`](super::MAX_SOURCES).
    pub too_many_sources: u64,
}

/// Checks and decrypts what is received; see the [module](super).
#[derive(Debug)]
pub struct Unprotector {
    profile: SrtpProfile,
    rtp: Transform,
    rtcp: Transform,
    rtp_sources: Sources,
    rtcp_sources: Sources,
    stats: UnprotectStats,
}

impl Unprotector {
    /// An unprotector with this master key and salt.
    pub fn new(
        profile: SrtpProfile,
        master_key: &[u8],
        master_salt: &[u8],
        provider: Provider,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            profile,
            rtp: Transform::new(profile, Traffic::Rtp, master_key, master_salt, provider)?,
            rtcp: Transform::new(profile, Traffic::Rtcp, master_key, master_salt, provider)?,
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
            stats: UnprotectStats::default(),
        })
    }

    /// How it was protected.
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// What was accepted and dropped so far.
    pub fn stats(&self) -> UnprotectStats {
        self.stats
    }

    /// Decrypts the SRTP packet that fills `packet` where it lies, and gives the length of what is RTP then. `None`:
    /// it was dropped, [`stats`](Self::stats) says why, and what `packet` holds means nothing.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let fields = packet.len().checked_sub(self.profile.tag_len()).and_then(|len| {
            let body = packet.get(..len)?;
            Some((len, header_len(body)?, Ssrc(be32(body, 8)?), SequenceNumber(be16(body, 2)?)))
        });
        let Some((len, header_len, ssrc, number)) = fields else {
            self.stats.malformed += 1;
            return None;
        };
        let place = self.place(self.rtp_sources.find(ssrc))?;
        let index = self.rtp_sources.guess(place, number);
        if index >= MAX_RTP_PACKETS {
            self.stats.too_old += 1;
            return None;
        }
        self.unseen(self.rtp_sources.seen(place, index))?;
        if self.rtp.open_rtp(packet, header_len, ssrc, index).is_none() {
            self.stats.unauthentic += 1;
            return None;
        }
        self.rtp_sources.commit(ssrc, place, index);
        self.stats.rtp += 1;
        Some(len)
    }

    /// Decrypts the SRTCP packet that fills `packet` where it lies, and gives the length of what is RTCP then. `None`:
    /// it was dropped.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let fields = packet
            .len()
            .checked_sub(self.profile.rtcp_overhead().suffix)
            .and_then(|len| Some((len, rtcp_sender(packet.get(..len)?)?, self.rtcp.rtcp_index(packet)?)));
        let Some((len, ssrc, index)) = fields else {
            self.stats.malformed += 1;
            return None;
        };
        let place = self.place(self.rtcp_sources.find(ssrc))?;
        self.unseen(self.rtcp_sources.seen(place, u64::from(index)))?;
        if self.rtcp.open_rtcp(packet, ssrc, index).is_none() {
            self.stats.unauthentic += 1;
            return None;
        }
        self.rtcp_sources.commit(ssrc, place, u64::from(index));
        self.stats.rtcp += 1;
        Some(len)
    }

    fn place(&mut self, place: Option<Place>) -> Option<Place> {
        if place.is_none() {
            self.stats.too_many_sources += 1;
        }
        place
    }

    fn unseen(&mut self, seen: Seen) -> Option<()> {
        match seen {
            Seen::No => return Some(()),
            Seen::Yes => self.stats.replayed += 1,
            Seen::TooOld => self.stats.too_old += 1,
        }
        None
    }
}

/// A packet may be as late as the window is wide, and the guess of its index must still be right.
const _: () = assert!(REPLAY_WINDOW < 0x8000);
