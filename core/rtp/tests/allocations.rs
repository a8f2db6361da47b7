//! No packet costs an allocation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../tests/lib/counting.rs"]
mod counting;

use wigwag_rtp::rtcp::{self, RtcpPacket, RtcpWriter};
use wigwag_rtp::srtp::{Protector, SrtpProfile, Unprotector};
use wigwag_rtp::{PayloadType, RtpBuilder, RtpHeader, RtpPacket, RtpTimestamp, SequenceNumber, Ssrc};

/// A packet there, and feedback about it back.
fn exchange(protector: &mut Protector, unprotector: &mut Unprotector, number: u16) {
    let mut room = [0; 1300];
    let header = RtpHeader {
        marker: false,
        payload_type: PayloadType::PCMU,
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(1),
        ssrc: Ssrc(u32::from(number % 5)),
    };
    let mut packet = RtpBuilder::new(&mut room, &header);
    packet.extension(1, b"mid");
    packet.extension(15, b"long");
    packet.payload(&[7; 1200]);
    let len = packet.finish().unwrap();
    let len = protector.protect_rtp(&mut room, len).unwrap();
    let len = unprotector.unprotect_rtp(&mut room[..len]).unwrap();
    let packet = RtpPacket::parse(&room[..len]).unwrap();
    assert_eq!(packet.extensions().count(), 2);

    let mut room = [0; 1300];
    let mut writer = RtcpWriter::new(&mut room);
    writer.receiver_report(Ssrc(1), &[]);
    writer.cname(Ssrc(1), "name");
    writer.nack(Ssrc(1), Ssrc(2), (0..20).map(|at| SequenceNumber(number).plus(at * 3)));
    writer.transport_feedback(Ssrc(1), Ssrc(2), SequenceNumber(number), 0, (0..40).map(|at| Some(at * 900)));
    let len = writer.len();
    let len = protector.protect_rtcp(&mut room, len).unwrap();
    let len = unprotector.unprotect_rtcp(&mut room[..len]).unwrap();
    let count: usize = rtcp::packets(&room[..len])
        .map(|packet| match packet.unwrap() {
            RtcpPacket::Nack(nack) => nack.sequence_numbers().count(),
            RtcpPacket::TransportFeedback(feedback) => feedback.received().count(),
            _ => 0,
        })
        .sum();
    assert_eq!(count, 60);
}

#[test]
fn packets_do_not_allocate() {
    for provider in [wigwag_crypto::aws_lc_rs(), wigwag_crypto::rust_crypto()] {
        for profile in SrtpProfile::ALL {
            let (key, salt) = (&[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]);
            let mut protector = Protector::new(profile, key, salt, provider).unwrap();
            let mut unprotector = Unprotector::new(profile, key, salt, provider).unwrap();
            (0..10).for_each(|number| exchange(&mut protector, &mut unprotector, number));
            let before = counting::allocations();
            (10..110).for_each(|number| exchange(&mut protector, &mut unprotector, number));
            assert_eq!(counting::allocations() - before, 0, "{provider:?} {profile:?}");
        }
    }
}
