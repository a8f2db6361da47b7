//! What we decrypt is what an implementation that shares nothing with ours decrypts: see `openssl/mod.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod openssl;

use std::collections::BTreeSet;

use openssl::{Kind, Recording, decrypt};
use wigwag_crypto::Provider;
use wigwag_rtp::srtp::{Protector, SrtpProfile, Unprotector};
use wigwag_rtp::{RtpPacket, rtcp};

fn providers() -> [Provider; 2] {
    [wigwag_crypto::aws_lc_rs(), wigwag_crypto::rust_crypto()]
}

/// Both decrypt the same, packet by packet. Gives how many were authentic.
fn compare(recording: &Recording) -> usize {
    let expected = decrypt(recording);
    let profile = SrtpProfile::from_dtls_id(recording.profile).unwrap();
    for provider in providers() {
        let mut unprotector = Unprotector::new(profile, &recording.key, &recording.salt, provider).unwrap();
        for (at, (kind, packet)) in recording.packets.iter().enumerate() {
            let mut packet = packet.clone();
            let len = match kind {
                Kind::Rtp => unprotector.unprotect_rtp(&mut packet),
                Kind::Rtcp => unprotector.unprotect_rtcp(&mut packet),
            };
            assert_eq!(len.map(|len| &packet[..len]), expected[at].as_deref(), "packet {at}, {provider:?}");
        }
    }
    expected.iter().flatten().count()
}

/// A recording of ours: RTP of two sources, with and without an extension and contributing sources, across the turn of
/// the sequence numbers, out of order; RTCP between.
fn ours(profile: SrtpProfile, provider: Provider) -> (Recording, Vec<Vec<u8>>) {
    let key: Vec<u8> = (0..profile.key_len() as u8).map(|byte| byte ^ 0x35).collect();
    let salt: Vec<u8> = (0..profile.salt_len() as u8).map(|byte| byte ^ 0xC9).collect();
    let mut protector = Protector::new(profile, &key, &salt, provider).unwrap();
    let (mut packets, mut plain) = (Vec::new(), Vec::new());
    for at in 0..64_u16 {
        // Two of eight change places.
        let place = match at % 8 {
            3 => at + 3,
            6 => at - 3,
            _ => at,
        };
        let number = 65_500_u16.wrapping_add(place);
        let mut packet = match at % 3 {
            0 => vec![0x80, 96, 0, 0, 0, 0, 0, 9, 0xFE, 0, 0, 1],
            1 => vec![0x92, 111, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0xBE, 0xDE, 0, 1, 0x10, 7, 0, 0],
            _ => vec![0x81, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 1, 2, 3, 4],
        };
        packet[2..4].copy_from_slice(&number.to_be_bytes());
        packet.extend((0..place * 7 % 211).map(|byte| (byte ^ at) as u8));
        let mut keep = |kind, packet: Vec<u8>, suffix: usize| {
            let (len, mut sealed) = (packet.len(), packet.clone());
            sealed.resize(len + suffix, 0);
            let sealed_len = match kind {
                Kind::Rtp => protector.protect_rtp(&mut sealed, len),
                Kind::Rtcp => protector.protect_rtcp(&mut sealed, len),
            };
            assert_eq!(sealed_len, Some(sealed.len()));
            packets.push((kind, sealed));
            plain.push(packet);
        };
        keep(Kind::Rtp, packet, profile.rtp_overhead().suffix);
        if at % 5 == 0 {
            let report = [&[0x80, 201, 0, 1, 0, 0, 0, 3][..], &vec![at as u8; usize::from(at)]].concat();
            keep(Kind::Rtcp, report, profile.rtcp_overhead().suffix);
        }
    }
    (Recording { profile: profile.dtls_id().unwrap(), key, salt, packets }, plain)
}

#[test]
fn openssl_reads_what_we_write() {
    for profile in SrtpProfile::ALL.into_iter().filter(|profile| profile.dtls_id().is_some()) {
        let [one, other] = providers().map(|provider| ours(profile, provider));
        assert_eq!(one, other);
        let (recording, plain) = one;
        assert_eq!(decrypt(&recording), plain.into_iter().map(Some).collect::<Vec<_>>(), "{profile:?}");
        assert_eq!(compare(&recording), recording.packets.len());
        assert_eq!(Recording::parse(&recording.to_string()), recording);
    }
}

#[test]
fn openssl_refuses_what_we_refuse() {
    for profile in SrtpProfile::ALL.into_iter().filter(|profile| profile.dtls_id().is_some()) {
        let (mut recording, _) = ours(profile, providers()[0]);
        // Every third is changed in one bit: not in the sequence number, which would move the window; nor in the version.
        let mut good = recording.packets.len();
        for (at, (_, packet)) in recording.packets.iter_mut().enumerate().skip(1).step_by(3) {
            let byte = 12 + at * 31 % (packet.len() - 12);
            packet[byte] ^= 1 << (at % 8);
            good -= 1;
        }
        // And some come again.
        let again = recording.packets[..9].to_vec();
        recording.packets.extend(again);
        assert_eq!(compare(&recording), good, "{profile:?}");
    }
}

/// What browsers sent: see `recordings/record.py`. All of it was authentic to the libsrtp of who recorded it.
#[test]
fn what_browsers_send() {
    for (name, text) in [
        ("chromium-1", include_str!("recordings/chromium-1.txt")),
        ("chromium-7", include_str!("recordings/chromium-7.txt")),
        ("chromium-8", include_str!("recordings/chromium-8.txt")),
        ("firefox-1", include_str!("recordings/firefox-1.txt")),
        ("firefox-7", include_str!("recordings/firefox-7.txt")),
        ("firefox-8", include_str!("recordings/firefox-8.txt")),
    ] {
        let recording = Recording::parse(text);
        assert!(name.ends_with(&recording.profile.to_string()), "{name}");
        assert_eq!(compare(&recording), recording.packets.len(), "{name}");

        let (mut sources, mut reports, mut longest) = (BTreeSet::new(), 0, 0);
        for ((kind, _), plain) in recording.packets.iter().zip(decrypt(&recording)) {
            let plain = plain.unwrap();
            match kind {
                Kind::Rtp => {
                    let packet = RtpPacket::parse(&plain).unwrap();
                    assert!(packet.extensions().count() > 0, "{name}");
                    sources.insert(packet.ssrc().0);
                    longest = longest.max(plain.len());
                }
                Kind::Rtcp => reports += rtcp::packets(&plain).collect::<Result<Vec<_>, _>>().unwrap().len(),
            }
        }
        assert!(sources.len() >= 2 && reports >= 3 && longest > 500, "{name}: {sources:?} {reports} {longest}");
    }
}

/// The packets of libsrtp's test driver: `srtp_validate` and `srtp_validate_gcm`.
#[test]
fn libsrtps_reference_packets() {
    let rtp = openssl_hex(&format!("800f1234decafbadcafebabe{}", "ab".repeat(16)));
    for text in [
        "profile 1\nkey e1f97a0d3e018be0d64fa32c06de4139\nsalt 0ec675ad498afeebb6960b3aabe6\n\
         rtp 800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb\n\
         rtcp 81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798\n",
        "profile 7\nkey 000102030405060708090a0b0c0d0e0f\nsalt a0a1a2a3a4a5a6a7a8a9aaab\n\
         rtp 800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392\n\
         rtcp 81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001\n",
        "profile 8\nkey 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\nsalt a0a1a2a3a4a5a6a7a8a9aaab\n\
         rtp 800f1234decafbadcafebabe0af7f21e8a90bdad7a425c9c31ed4bb1d90238917e7390a2793500e1681acaea\n",
    ] {
        let recording = Recording::parse(text);
        assert_eq!(decrypt(&recording)[0], Some(rtp.clone()));
        assert_eq!(compare(&recording), recording.packets.len());
    }
}

fn openssl_hex(text: &str) -> Vec<u8> {
    Recording::parse(&format!("key {text}")).key
}
