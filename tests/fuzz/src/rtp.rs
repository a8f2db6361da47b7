//! RTP, RTCP, header extensions, SRTP.

use std::collections::BTreeSet;

use wigwag_rtp::rtcp::{self, RtcpPacket};
use wigwag_rtp::srtp::{SrtpProfile, Unprotector};
use wigwag_rtp::{
    ExtensionKind, ExtensionValue, Extensions, PayloadType, RtpPacket, RtpPacketMut, RtpTimestamp, SequenceNumber, Ssrc,
};

use crate::script::Script;
use crate::{count_steps, crypto};

const KINDS: [ExtensionKind; 18] = [
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
    ExtensionKind::AudioLevel,
    ExtensionKind::MixerAudioLevels,
    ExtensionKind::AbsSendTime,
    ExtensionKind::TransportSequenceNumber,
    ExtensionKind::TransportSequenceNumberV2,
    ExtensionKind::VideoOrientation,
    ExtensionKind::PlayoutDelay,
    ExtensionKind::TransmissionOffset,
    ExtensionKind::AbsCaptureTime,
    ExtensionKind::VideoLayersAllocation,
    ExtensionKind::DependencyDescriptor,
    ExtensionKind::VideoContentType,
    ExtensionKind::VideoTiming,
    ExtensionKind::ColorSpace,
    ExtensionKind::CorruptionDetection,
];

/// A packet of RTP, read and changed.
pub fn packet(data: &[u8]) {
    count_steps(1);
    if let Ok(packet) = RtpPacket::parse(data) {
        let parts = packet.header_len() + packet.payload().len() + packet.padding_len();
        assert_eq!((parts, packet.as_bytes()), (data.len(), data));
        let _ = (packet.marker(), packet.payload_type(), packet.sequence_number(), packet.timestamp(), packet.ssrc());
        assert!(packet.csrcs().count() <= 15 && packet.extension_bytes().len() <= packet.header_len());
        let _ = packet.extension_profile();
        for extension in packet.extensions() {
            assert!(packet.extension(extension.id).is_some());
            values(extension.value);
        }
    }
    let padding = RtpPacket::parse(data).map_or(0, |packet| packet.padding_len());
    let mut bytes = data.to_vec();
    let Ok(mut packet) = RtpPacketMut::parse(&mut bytes) else { return };
    packet.set_marker(true);
    packet.set_payload_type(PayloadType::new(96).unwrap());
    packet.set_sequence_number(SequenceNumber(7));
    packet.set_timestamp(RtpTimestamp(8));
    packet.set_ssrc(Ssrc(9));
    for id in 0..=u8::MAX {
        packet.extension_mut(id).into_iter().for_each(|value| value.fill(0xAA));
    }
    let payload = packet.payload_mut();
    let end = payload.len() - padding;
    payload[..end].fill(0xBB);
    let packet = RtpPacket::parse(&bytes).expect("it was one before");
    assert_eq!(
        (packet.sequence_number(), packet.timestamp(), packet.ssrc()),
        (SequenceNumber(7), RtpTimestamp(8), Ssrc(9))
    );
}

fn values(bytes: &[u8]) {
    for kind in KINDS {
        let Some(value) = ExtensionValue::parse(kind, bytes) else { continue };
        let mut room = [0; 256];
        // What has no room for itself (a longer one than the forms have) is not written.
        let Some(len) = value.write(&mut room) else { continue };
        assert_eq!(ExtensionValue::parse(kind, &room[..len]), Some(value), "what was written is read again");
    }
}

/// Header extensions by themselves: the profile, then elements; and values.
pub fn extension(data: &[u8]) {
    count_steps(1);
    values(data);
    let mut script = Script(data);
    let profile = script.u16();
    let elements = script.0;
    let lens = Extensions::new(profile, elements).map(|it| it.value.len() + 1);
    assert!(lens.sum::<usize>() <= elements.len());
}

/// A compound packet of RTCP.
pub fn control(data: &[u8]) {
    count_steps(1);
    let _ = rtcp::is_compound(data);
    let mut packets = 0;
    for packet in rtcp::packets(data) {
        packets += 1;
        packet.into_iter().for_each(|packet| read(&packet, data.len()));
    }
    assert!(packets <= data.len());
}

/// All that can be asked, in time that the bytes bound.
fn read(packet: &RtcpPacket<'_>, len: usize) {
    match packet {
        RtcpPacket::SenderReport(report) => assert!(report.blocks().count() <= 31),
        RtcpPacket::ReceiverReport(report) => assert!(report.blocks().count() <= 31),
        RtcpPacket::SourceDescription(description) => {
            assert!(description.items().count() <= len);
            let _ = description.cname();
        }
        RtcpPacket::Bye(bye) => {
            let _ = (bye.ssrcs().count(), bye.reason());
        }
        RtcpPacket::App(app) => assert!(app.data.len() <= len),
        RtcpPacket::Nack(nack) => assert!(nack.sequence_numbers().count() <= len * 17 / 4),
        RtcpPacket::FullIntraRequest(request) => assert!(request.entries().count() <= len / 8),
        RtcpPacket::Remb(remb) => assert!(remb.ssrcs().count() <= 255),
        RtcpPacket::TransportFeedback(feedback) => {
            assert!(feedback.received().count() <= feedback.received_count().max(len * 8));
        }
        RtcpPacket::CongestionFeedback(feedback) => {
            let reports: usize = feedback.streams().map(|stream| stream.reports().count()).sum();
            assert!(reports <= len);
        }
        RtcpPacket::ExtendedReport(report) => {
            assert!(report.blocks().count() <= len / 4 && report.delays().count() <= len / 12);
            let now = wigwag_rtp::NtpTimestamp(1 << 40);
            report.delays().for_each(|delay| _ = delay.round_trip_time(now));
            let blocks = report.blocks().map(|block| block.delays().count());
            assert_eq!(blocks.sum::<usize>(), report.delays().count());
        }
        other => drop(format!("{other:?}")),
    }
}

/// Packets, one after another, to an unprotector that takes every tag (or none that was not made with its key).
pub fn protected(data: &[u8]) {
    let mut script = Script(data);
    let how = script.byte();
    let profiles = [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmHmacSha1_80];
    let profile = profiles[usize::from(how >> 1) % 3];
    let credulous = how & 1 == 1;
    let provider = if credulous { crypto::credulous() } else { crypto::checked() };
    let (key, salt) = ([7; 32], [8; 14]);
    let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
    let mut unprotector = Unprotector::new(profile, &key[..key_len], &salt[..salt_len], provider).unwrap();
    let mut taken = BTreeSet::new();
    while !script.0.is_empty() {
        count_steps(1);
        let mut packet = script.bytes(255).to_vec();
        if credulous && profile == SrtpProfile::Aes128CmHmacSha1_80 {
            // Its tag is a MAC, and the MACs of this provider are zeros.
            packet.extend([0; 10]);
        }
        let before = packet.clone();
        match unprotector.unprotect_rtp(&mut packet) {
            Some(len) => {
                assert!(credulous && len <= before.len());
                assert!(RtpPacket::parse(&packet[..len]).is_ok() || before.len() - len > 0);
                taken.insert(before.clone());
                let again = unprotector.unprotect_rtp(&mut before.clone());
                assert_eq!(again, None, "a packet is taken once");
            }
            None => drop(unprotector.unprotect_rtcp(&mut before.clone()).map(|len| assert!(len <= before.len()))),
        }
        let _ = unprotector.stats();
    }
}
