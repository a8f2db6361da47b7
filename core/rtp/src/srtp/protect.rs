//! The sender's half.

use wigwag_crypto::{KeyError, Provider};

use super::derive::Traffic;
use super::profile::SrtpProfile;
use super::sources::Sources;
use super::transform::{Transform, header_len, rtcp_sender};
use super::window::Seen;
use super::{MAX_RTCP_PACKETS, MAX_RTP_PACKETS};
use crate::number::{SequenceNumber, Ssrc};
use crate::wire::{be16, be32};

/// What a [`Protector`] did and refused, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtectStats {
    /// RTP packets protected.
    pub rtp: u64,
    /// RTCP packets protected.
    pub rtcp: u64,
    /// No packets, or without room for the tag.
    pub malformed: u64,
    /// Their index was used before, or is too old to know.
    pub repeated: u64,
    /// Their source was one too many: see [`MAX_SOURCES`](super::MAX_SOURCES).
    pub too_many_sources: u64,
    /// The key has protected as much as it may: new keys are needed.
    pub exhausted: u64,
}

/// Protects what is sent; see the [module](super).
#[derive(Debug)]
pub struct Protector {
    profile: SrtpProfile,
    rtp: Transform,
    rtcp: Transform,
    sources: Sources,
    /// Indices are one sequence for all sources: so no source repeats one, and each sees them grow.
    next_rtcp_index: u64,
    allow_repeats: bool,
    stats: ProtectStats,
}

impl Protector {
    /// A protector with this master key and salt.
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
            sources: Sources::default(),
            next_rtcp_index: 0,
            allow_repeats: false,
            stats: ProtectStats::default(),
        })
    }

    /// How it protects, and so how many bytes it adds.
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// What was done and refused so far.
    pub fn stats(&self) -> ProtectStats {
        self.stats
    }

    /// Sources so far, at most [`MAX_SOURCES`](super::MAX_SOURCES).
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Whether the same sequence number may be protected again: to retransmit without RTX (RFC 4588) in counter mode,
    /// where the very same payload comes out the same. A different payload must never go out under it. With AES-GCM it
    /// stays forbidden: two headers under one nonce would give the key of the authentication away.
    pub fn allow_repeats(&mut self, allow: bool) {
        self.allow_repeats = allow && matches!(self.rtp, Transform::CounterMode { .. });
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer`, and gives its new length, greater by
    /// [`rtp_overhead`](SrtpProfile::rtp_overhead). `None`: it was refused, and [`stats`](Self::stats) says why.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let sealed_len = len.checked_add(self.profile.tag_len());
        let fields = buffer
            .get(..len)
            .and_then(|packet| Some((header_len(packet)?, Ssrc(be32(packet, 8)?), SequenceNumber(be16(packet, 2)?))));
        let packet = sealed_len.and_then(|sealed_len| buffer.get_mut(..sealed_len));
        let (Some((header_len, ssrc, number)), Some(packet)) = (fields, packet) else {
            self.stats.malformed += 1;
            return None;
        };
        let Some(place) = self.sources.find(ssrc) else {
            self.stats.too_many_sources += 1;
            return None;
        };
        let index = self.sources.guess(place, number);
        if self.stats.rtp >= MAX_RTP_PACKETS || index >= MAX_RTP_PACKETS {
            self.stats.exhausted += 1;
            return None;
        }
        if self.sources.seen(place, index) != Seen::No && !self.allow_repeats {
            self.stats.repeated += 1;
            return None;
        }
        if self.sources.seen(place, index) != Seen::TooOld {
            self.sources.commit(ssrc, place, index);
        }
        self.rtp.seal_rtp(packet, header_len, ssrc, index)?;
        self.stats.rtp += 1;
        sealed_len
    }

    /// Protects the RTCP packet, compound or not, in the first `len` bytes of `buffer`, and gives its new length,
    /// greater by [`rtcp_overhead`](SrtpProfile::rtcp_overhead). `None`: it was refused.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let sealed_len = len.checked_add(self.profile.rtcp_overhead().suffix);
        let ssrc = buffer.get(..len).and_then(rtcp_sender);
        let packet = sealed_len.and_then(|sealed_len| buffer.get_mut(..sealed_len));
        let (Some(ssrc), Some(packet)) = (ssrc, packet) else {
            self.stats.malformed += 1;
            return None;
        };
        let index = u32::try_from(self.next_rtcp_index).ok().filter(|_| self.next_rtcp_index < MAX_RTCP_PACKETS);
        let Some(index) = index else {
            self.stats.exhausted += 1;
            return None;
        };
        self.next_rtcp_index += 1;
        self.rtcp.seal_rtcp(packet, len, ssrc, index)?;
        self.stats.rtcp += 1;
        sealed_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Unprotector;
    use crate::srtp::transform::tests::{hex, providers};

    /// The packets of libsrtp's test driver: `srtp_validate`, `srtp_validate_aes_256`, `srtp_validate_gcm`.
    #[test]
    fn libsrtp_reference_packets() {
        let rtp = format!("800f1234decafbadcafebabe{}", "ab".repeat(16));
        let rtcp = format!("81c8000bcafebabe{}", "ab".repeat(16));
        for (profile, key, salt, srtp, srtcp) in [
            (
                SrtpProfile::Aes128CmHmacSha1_80,
                "e1f97a0d3e018be0d64fa32c06de4139",
                "0ec675ad498afeebb6960b3aabe6",
                "4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
                Some("7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"),
            ),
            (
                SrtpProfile::Aes256CmHmacSha1_80,
                "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
                "3b04803de51ee7c96423ab5b78d2",
                "f1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b",
                None,
            ),
            (
                SrtpProfile::AeadAes128Gcm,
                "000102030405060708090a0b0c0d0e0f",
                "a0a1a2a3a4a5a6a7a8a9aaab",
                "c5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
                Some("c98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001"),
            ),
            (
                SrtpProfile::AeadAes256Gcm,
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "a0a1a2a3a4a5a6a7a8a9aaab",
                "0af7f21e8a90bdad7a425c9c31ed4bb1d90238917e7390a2793500e1681acaea",
                None,
            ),
        ] {
            for provider in providers() {
                let mut sender = Protector::new(profile, &hex(key), &hex(salt), provider).unwrap();
                let mut receiver = Unprotector::new(profile, &hex(key), &hex(salt), provider).unwrap();

                let mut packet = hex(&rtp);
                packet.resize(28 + profile.rtp_overhead().suffix, 0);
                assert_eq!(sender.protect_rtp(&mut packet, 28), Some(packet.len()));
                assert_eq!(packet[12..], hex(srtp), "{profile:?} {provider:?}");
                assert_eq!(receiver.unprotect_rtp(&mut packet), Some(28));
                assert_eq!(packet[..28], hex(&rtp));

                let Some(srtcp) = srtcp else { continue };
                let mut packet = hex(&rtcp);
                packet.resize(24 + profile.rtcp_overhead().suffix, 0);
                sender.next_rtcp_index = 1; // where libsrtp begins
                assert_eq!(sender.protect_rtcp(&mut packet, 24), Some(packet.len()));
                assert_eq!(packet[8..], hex(srtcp), "{profile:?} {provider:?}");
                assert_eq!(receiver.unprotect_rtcp(&mut packet), Some(24));
                assert_eq!(packet[..24], hex(&rtcp));
            }
        }
    }

    fn protector(profile: SrtpProfile) -> Protector {
        let (key, salt) = ([1; 32], [2; 14]);
        Protector::new(profile, &key[..profile.key_len()], &salt[..profile.salt_len()], providers()[0]).unwrap()
    }

    fn rtp(number: u16) -> [u8; 64] {
        let mut packet = [0; 64];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&number.to_be_bytes());
        packet[11] = 1;
        packet
    }

    #[test]
    fn keys_wear_out() {
        for profile in SrtpProfile::ALL {
            let mut sender = protector(profile);
            sender.next_rtcp_index = MAX_RTCP_PACKETS - 1;
            assert!(sender.protect_rtcp(&mut rtp(0), 20).is_some());
            assert!(sender.protect_rtcp(&mut rtp(0), 20).is_none());
            assert!(sender.protect_rtp(&mut rtp(0), 20).is_some());
            sender.stats.rtp = MAX_RTP_PACKETS;
            assert!(sender.protect_rtp(&mut rtp(1), 20).is_none());
            assert_eq!(sender.stats().exhausted, 2);

            let mut sender = protector(profile);
            sender.sources.start(Ssrc(1), MAX_RTP_PACKETS - 2);
            assert!(sender.protect_rtp(&mut rtp(u16::MAX), 20).is_some());
            assert!(sender.protect_rtp(&mut rtp(0), 20).is_none());
            assert_eq!(sender.stats().exhausted, 1);
        }
    }

    #[test]
    fn an_index_is_used_once() {
        for profile in SrtpProfile::ALL {
            let mut sender = protector(profile);
            assert!(sender.protect_rtp(&mut rtp(5), 20).is_some());
            assert!(sender.protect_rtp(&mut rtp(5), 20).is_none());
            assert_eq!(sender.stats().repeated, 1);
            sender.allow_repeats(true);
            let gcm = profile.tag_len() == 16;
            assert_eq!(sender.protect_rtp(&mut rtp(5), 20).is_some(), !gcm);
        }
    }

    #[test]
    fn no_room_no_packet() {
        for profile in SrtpProfile::ALL {
            let mut sender = protector(profile);
            let mut buffer = rtp(0);
            for len in 0..100 {
                let fits = (12..=64 - profile.tag_len()).contains(&len);
                buffer[..12].copy_from_slice(&rtp(len as u16)[..12]);
                assert_eq!(sender.protect_rtp(&mut buffer, len).is_some(), fits, "{len}");
            }
            assert!(sender.protect_rtp(&mut buffer, usize::MAX).is_none());
            assert!(sender.protect_rtcp(&mut buffer, usize::MAX).is_none());
            buffer[0] = 0x80;
            for len in 0..100 {
                let fits = (8..=64 - profile.rtcp_overhead().suffix).contains(&len);
                assert_eq!(sender.protect_rtcp(&mut buffer, len).is_some(), fits, "{len}");
            }
        }
    }
}
