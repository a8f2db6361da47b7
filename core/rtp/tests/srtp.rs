//! Two ends of a connection, and what may happen between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;
use wigwag_crypto::Provider;
use wigwag_rtp::srtp::{MAX_SOURCES, Protector, REPLAY_WINDOW, SrtpProfile, SrtpSession, Unprotector};
use wigwag_rtp::{PayloadType, RtpBuilder, RtpHeader, RtpPacket, RtpTimestamp, SequenceNumber, Ssrc};

fn providers() -> [Provider; 2] {
    [wigwag_crypto::aws_lc_rs(), wigwag_crypto::rust_crypto()]
}

fn pair(profile: SrtpProfile, provider: Provider) -> (Protector, Unprotector) {
    let (key, salt) = (&[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]);
    let protector = Protector::new(profile, key, salt, provider).unwrap();
    (protector, Unprotector::new(profile, key, salt, provider).unwrap())
}

fn rtp(ssrc: u32, number: u16, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader {
        marker: false,
        payload_type: PayloadType::PCMU,
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(1),
        ssrc: Ssrc(ssrc),
    };
    let mut room = vec![0; 100 + payload.len()];
    let mut packet = RtpBuilder::new(&mut room, &header);
    packet.csrc(Ssrc(5));
    packet.extension(1, b"mid");
    packet.payload(payload);
    let len = packet.finish().unwrap();
    room.truncate(len);
    room
}

fn protect(protector: &mut Protector, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + protector.profile().rtp_overhead().suffix, 0);
    let len = protector.protect_rtp(&mut buffer, packet.len())?;
    assert_eq!(len, buffer.len());
    Some(buffer)
}

fn unprotect(unprotector: &mut Unprotector, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    let len = unprotector.unprotect_rtp(&mut buffer)?;
    buffer.truncate(len);
    Some(buffer)
}

#[test]
fn what_is_sent_arrives_once() {
    for (profile, provider) in SrtpProfile::ALL.into_iter().flat_map(|profile| providers().map(|p| (profile, p))) {
        let (mut protector, mut unprotector) = pair(profile, provider);
        for len in 0..64 {
            let packet = rtp(1, len, &vec![0xAB; usize::from(len)]);
            let sealed = protect(&mut protector, &packet).unwrap();
            assert_eq!(sealed[..24], packet[..24], "the header stays");
            assert!(len < 8 || sealed[24..packet.len()] != packet[24..]);
            assert_eq!(unprotect(&mut unprotector, &sealed).as_ref(), Some(&packet));
            assert_eq!(unprotect(&mut unprotector, &sealed), None);
        }
        assert_eq!((protector.stats().rtp, unprotector.stats().rtp, unprotector.stats().replayed), (64, 64, 64));
    }
}

#[test]
fn both_providers_speak_alike() {
    for profile in SrtpProfile::ALL {
        let (mut one, _) = pair(profile, providers()[0]);
        let (mut other, _) = pair(profile, providers()[1]);
        for number in 0..50 {
            let packet = rtp(3, number, &[number as u8; 333]);
            assert_eq!(protect(&mut one, &packet), protect(&mut other, &packet));
        }
    }
}

#[test]
fn one_changed_bit_is_noticed() {
    for (profile, provider) in SrtpProfile::ALL.into_iter().flat_map(|profile| providers().map(|p| (profile, p))) {
        let (mut protector, mut unprotector) = pair(profile, provider);
        let packet = rtp(1, 9, b"payload");
        let sealed = protect(&mut protector, &packet).unwrap();
        for bit in 0..8 * sealed.len() {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unprotect(&mut unprotector, &bad), None, "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(unprotect(&mut unprotector, &sealed[..len]), None);
        }
        assert_eq!(unprotector.stats().rtp, 0);
        // None of them left a trace.
        assert_eq!(unprotect(&mut unprotector, &sealed), Some(packet));

        let mut rtcp = vec![0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let len = rtcp.len();
        let plain = rtcp.clone();
        rtcp.resize(len + profile.rtcp_overhead().suffix, 0);
        protector.protect_rtcp(&mut rtcp, len).unwrap();
        assert_ne!(rtcp[8..len], plain[8..]);
        for bit in 0..8 * rtcp.len() {
            let mut bad = rtcp.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unprotector.unprotect_rtcp(&mut bad), None, "bit {bit}");
        }
        for len in 0..rtcp.len() {
            assert_eq!(unprotector.unprotect_rtcp(&mut rtcp.clone()[..len]), None);
        }
        let replay = rtcp.clone();
        assert_eq!(unprotector.unprotect_rtcp(&mut rtcp), Some(len));
        assert_eq!(rtcp[..len], plain);
        assert_eq!(unprotector.unprotect_rtcp(&mut replay.clone()), None);
        assert_eq!((unprotector.stats().rtcp, unprotector.stats().replayed), (1, 1));
    }
}

/// Sequence numbers wrap several times, with a gap over each wrap and packets that come late.
#[test]
fn rollovers_survive_loss_and_reordering() {
    for profile in SrtpProfile::ALL {
        let (mut protector, mut unprotector) = pair(profile, providers()[0]);
        let mut late: Option<(Vec<u8>, Vec<u8>)> = None;
        for index in (60_000_u32..400_000).step_by(97) {
            let packet = rtp(1, index as u16, &index.to_be_bytes());
            let sealed = protect(&mut protector, &packet).unwrap();
            // About every fourth is lost, and 10,000 around each second wrap; some come behind the one after them.
            if (131_000..141_000).contains(&index) || index % 4 == 1 {
                continue;
            }
            if index % 8 == 2 && late.is_none() {
                late = Some((packet, sealed));
                continue;
            }
            assert_eq!(unprotect(&mut unprotector, &sealed), Some(packet), "{index}");
            if let Some((packet, sealed)) = late.take() {
                assert_eq!(unprotect(&mut unprotector, &sealed), Some(packet), "{index}, late");
            }
        }
        assert_eq!(unprotector.stats().unauthentic, 0);
    }
}

#[test]
fn a_late_packet_from_before_the_wrap() {
    let (mut protector, mut unprotector) = pair(SrtpProfile::AeadAes128Gcm, providers()[0]);
    let sealed: Vec<_> =
        (65_530..65_542_u32).map(|index| protect(&mut protector, &rtp(1, index as u16, b"x")).unwrap()).collect();
    for at in [0, 11, 5, 1, 6, 10, 2] {
        assert!(unprotect(&mut unprotector, &sealed[at]).is_some(), "{at}");
    }
    for at in [0, 11, 5, 1, 6, 10, 2] {
        assert!(unprotect(&mut unprotector, &sealed[at]).is_none(), "{at}");
    }
    assert_eq!(unprotector.stats().replayed, 7);
}

#[test]
fn what_is_too_old_is_dropped() {
    let (mut protector, mut unprotector) = pair(SrtpProfile::Aes128CmHmacSha1_80, providers()[0]);
    let old = protect(&mut protector, &rtp(1, 0, b"x")).unwrap();
    let edge = protect(&mut protector, &rtp(1, 1, b"x")).unwrap();
    let new = protect(&mut protector, &rtp(1, REPLAY_WINDOW as u16, b"x")).unwrap();
    assert!(unprotect(&mut unprotector, &new).is_some());
    assert!(unprotect(&mut unprotector, &old).is_none());
    assert!(unprotect(&mut unprotector, &edge).is_some());
    assert_eq!(unprotector.stats().too_old, 1);
}

/// A forged packet with a number far ahead must not move the rollover counter.
#[test]
fn forgeries_do_not_move_the_rollover_counter() {
    for profile in SrtpProfile::ALL {
        let (mut protector, mut unprotector) = pair(profile, providers()[0]);
        let sealed = protect(&mut protector, &rtp(1, 40_000, b"x")).unwrap();
        unprotect(&mut unprotector, &sealed).unwrap();
        for number in (0..=u16::MAX).step_by(100) {
            assert!(unprotect(&mut unprotector, &rtp(1, number, &[0; 30])).is_none());
        }
        let next = protect(&mut protector, &rtp(1, 40_001, b"y")).unwrap();
        assert!(unprotect(&mut unprotector, &next).is_some());
        // Nor does it cost memory.
        for ssrc in 0..10_000 {
            assert!(unprotect(&mut unprotector, &rtp(ssrc + 100, 0, &[0; 30])).is_none());
        }
        assert_eq!(unprotector.stats().too_many_sources, 0);
    }
}

#[test]
fn sources_are_bounded_and_independent() {
    let (mut protector, mut unprotector) = pair(SrtpProfile::AeadAes256Gcm, providers()[0]);
    for ssrc in 0..MAX_SOURCES as u32 {
        let packet = rtp(ssrc.reverse_bits(), ssrc as u16, b"x");
        let sealed = protect(&mut protector, &packet).unwrap();
        assert_eq!(unprotect(&mut unprotector, &sealed), Some(packet));
    }
    assert_eq!(protect(&mut protector, &rtp(u32::MAX, 0, b"x")), None);
    assert_eq!((protector.sources(), protector.stats().too_many_sources), (MAX_SOURCES, 1));
    let sealed = protect(&mut protector, &rtp(0, 1, b"x")).unwrap();
    assert!(unprotect(&mut unprotector, &sealed).is_some());
}

#[test]
fn directions_have_keys_of_their_own() {
    let one = (&[1; 16][..], &[2; 12][..]);
    let other = (&[3; 16][..], &[4; 12][..]);
    let mut alice = SrtpSession::new(SrtpProfile::AeadAes128Gcm, one, other, providers()[0]).unwrap();
    let mut bob = SrtpSession::new(SrtpProfile::AeadAes128Gcm, other, one, providers()[1]).unwrap();
    let packet = rtp(1, 1, b"x");
    let there = protect(&mut alice.protector, &packet).unwrap();
    let back = protect(&mut bob.protector, &packet).unwrap();
    assert_eq!(unprotect(&mut alice.unprotector, &there), None);
    assert_eq!(unprotect(&mut bob.unprotector, &there), Some(packet.clone()));
    assert_eq!(unprotect(&mut alice.unprotector, &back), Some(packet));
    assert!(SrtpSession::new(SrtpProfile::AeadAes128Gcm, one, (&[3; 17], &[4; 12]), providers()[0]).is_err());
}

proptest! {
    #[test]
    fn any_packet(numbers in vec((any::<u16>(), 0..3_u32), 1..60), payload in vec(any::<u8>(), 0..100), at in 0..4_usize) {
        let (mut protector, mut unprotector) = pair(SrtpProfile::ALL[at], providers()[0]);
        for (number, ssrc) in numbers {
            let packet = rtp(ssrc, number, &payload);
            if let Some(sealed) = protect(&mut protector, &packet) {
                // Both ends guess alike, so what the sender lets out, the receiver lets in.
                prop_assert_eq!(unprotect(&mut unprotector, &sealed), Some(packet));
            }
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200), first in 0x80..=0xBF_u8, at in 0..4_usize) {
        for provider in providers() {
            let (mut protector, mut unprotector) = pair(SrtpProfile::ALL[at], provider);
            let mut forged = bytes.clone();
            if let Some(byte) = forged.first_mut() { *byte = first; }
            for bytes in [&bytes, &forged] {
                prop_assert_eq!(unprotector.unprotect_rtp(&mut bytes.clone()), None);
                prop_assert_eq!(unprotector.unprotect_rtcp(&mut bytes.clone()), None);
                for len in [bytes.len(), bytes.len().saturating_sub(20), bytes.len() / 2] {
                    let sealed = protector.protect_rtp(&mut bytes.clone(), len);
                    prop_assert!(sealed.is_none() || RtpPacket::parse(&bytes[..len]).is_ok() || bytes[0] & 0x20 != 0);
                    protector.protect_rtcp(&mut bytes.clone(), len);
                }
            }
        }
    }
}

#[test]
fn every_length_of_zeros_and_ones() {
    for (profile, provider) in SrtpProfile::ALL.into_iter().flat_map(|profile| providers().map(|p| (profile, p))) {
        let (mut protector, mut unprotector) = pair(profile, provider);
        for len in 0..=64 {
            for fill in [0x00, 0x80, 0x90, 0xBF, 0xFF] {
                let mut bytes = vec![fill; len];
                assert_eq!(unprotector.unprotect_rtp(&mut bytes), None);
                assert_eq!(unprotector.unprotect_rtcp(&mut bytes), None);
                for inner in 0..=len + 1 {
                    protector.protect_rtp(&mut bytes.clone(), inner);
                    protector.protect_rtcp(&mut bytes.clone(), inner);
                }
            }
        }
    }
}
