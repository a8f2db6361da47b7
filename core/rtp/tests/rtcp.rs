//! What is written is read again, and nothing that is read does harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use wigwag_rtp::rtcp::{
    self, Arrival, DelaySinceLast, ExtendedReportBlock, FullIntraRequestEntry, ReportBlock, RtcpError, RtcpPacket,
    RtcpWriter, SdesKind, SenderInfo, StreamReport, TransportFeedback,
};
use wigwag_rtp::{NtpTimestamp, RtpTimestamp, SequenceNumber, Ssrc, is_rtcp};

/// Writes with enough room, then with every smaller room, and gives the bytes.
fn written(write: impl Fn(&mut RtcpWriter<'_>) -> bool) -> Vec<u8> {
    let mut room = vec![0xEE; 70_000];
    let mut writer = RtcpWriter::new(&mut room);
    assert!(writer.is_empty() && write(&mut writer));
    let len = writer.len();
    assert_eq!(len % 4, 0);
    assert!(is_rtcp(&room[..len]));
    for short in 0..len.min(200) {
        let mut room = vec![0; short];
        let mut writer = RtcpWriter::new(&mut room);
        assert!(!write(&mut writer) && writer.is_empty(), "{short} of {len}");
    }
    room.truncate(len);
    room
}

fn only(bytes: &[u8]) -> RtcpPacket<'_> {
    let mut packets = rtcp::packets(bytes);
    let packet = packets.next().unwrap().unwrap();
    assert!(packets.next().is_none());
    packet
}

fn block(number: u32) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(number),
        fraction_lost: 7,
        cumulative_lost: -5,
        highest_sequence_number: 0x0001_FFFF,
        jitter: 90,
        last_sender_report: 0x1234_5678,
        delay_since_last: 65_536,
    }
}

#[test]
fn reports() {
    let info = SenderInfo { ntp: NtpTimestamp(1 << 40), rtp: RtpTimestamp(9), packets: 3, octets: 4 };
    for count in [0, 1, 31] {
        let blocks: Vec<_> = (0..count).map(block).collect();
        let bytes = written(|writer| writer.sender_report(Ssrc(1), &info, &blocks));
        let RtcpPacket::SenderReport(report) = only(&bytes) else { panic!() };
        assert_eq!((report.ssrc, report.info), (Ssrc(1), info));
        assert!(report.blocks().eq(blocks.iter().copied()));
        let bytes = written(|writer| writer.receiver_report(Ssrc(1), &blocks));
        let RtcpPacket::ReceiverReport(report) = only(&bytes) else { panic!() };
        assert!(report.blocks().eq(blocks.iter().copied()));
    }
    let blocks: Vec<_> = (0..32).map(block).collect();
    assert!(!RtcpWriter::new(&mut [0; 2000]).receiver_report(Ssrc(1), &blocks));
    // More blocks than there are bytes.
    assert_eq!(rtcp::packets(&[0x81, 201, 0, 1, 0, 0, 0, 1]).next().unwrap().unwrap_err(), RtcpError::Malformed(201));
}

#[test]
fn cumulative_loss_is_clamped() {
    for (lost, expected) in [(i32::MAX, 0x7F_FFFF), (i32::MIN, -0x80_0000), (-1, -1), (0x7F_FFFF, 0x7F_FFFF)] {
        let bytes =
            written(|writer| writer.receiver_report(Ssrc(1), &[ReportBlock { cumulative_lost: lost, ..block(1) }]));
        let RtcpPacket::ReceiverReport(report) = only(&bytes) else { panic!() };
        assert_eq!(report.blocks().next().unwrap().cumulative_lost, expected);
    }
}

#[test]
fn descriptions_and_goodbyes() {
    for name in ["", "a", "ab", "abc", "abcd", "someone@example"] {
        let bytes = written(|writer| {
            writer.source_description(&[
                (Ssrc(1), &[(SdesKind::CNAME, name), (SdesKind::MID, "0")]),
                (Ssrc(2), &[]),
                (Ssrc(3), &[(SdesKind::RID, "hi")]),
            ])
        });
        let RtcpPacket::SourceDescription(description) = only(&bytes) else { panic!() };
        let items: Vec<_> = description.items().map(|item| (item.ssrc.0, item.kind, item.value)).collect();
        let expected =
            [(1, SdesKind::CNAME, name.as_bytes()), (1, SdesKind::MID, &b"0"[..]), (3, SdesKind::RID, &b"hi"[..])];
        assert_eq!(items, expected);
        assert_eq!(description.cname(), Some((Ssrc(1), name)));

        let bytes = written(|writer| writer.bye(&[Ssrc(4), Ssrc(5)], Some(name)));
        let RtcpPacket::Bye(bye) = only(&bytes) else { panic!() };
        assert!(bye.ssrcs().eq([Ssrc(4), Ssrc(5)]));
        assert_eq!(bye.reason(), Some(name));
    }
    let bytes = written(|writer| writer.bye(&[], None));
    let RtcpPacket::Bye(bye) = only(&bytes) else { panic!() };
    assert_eq!((bye.ssrcs().count(), bye.reason()), (0, None));
    let long = "x".repeat(256);
    assert!(!RtcpWriter::new(&mut [0; 2000]).cname(Ssrc(1), &long));
    assert!(!RtcpWriter::new(&mut [0; 2000]).bye(&[], Some(&long)));
}

#[test]
fn small_feedback() {
    let bytes = written(|writer| writer.app(31, Ssrc(1), *b"wave", &[1, 2, 3, 4]));
    let RtcpPacket::App(app) = only(&bytes) else { panic!() };
    assert_eq!((app.subtype, app.ssrc, app.name, app.data), (31, Ssrc(1), *b"wave", &[1, 2, 3, 4][..]));
    assert!(!RtcpWriter::new(&mut [0; 100]).app(32, Ssrc(1), *b"wave", &[]));

    let entries = [(1, 9), (2, 255)].map(|(ssrc, number)| FullIntraRequestEntry { ssrc: Ssrc(ssrc), number });
    let bytes = written(|writer| writer.full_intra_request(Ssrc(1), &entries));
    let RtcpPacket::FullIntraRequest(request) = only(&bytes) else { panic!() };
    assert!(request.entries().eq(entries));

    for bitrate in [0, 1, 0x3_FFFF, 0x4_0000, 2_500_000, u64::MAX] {
        let bytes = written(|writer| writer.remb(Ssrc(1), bitrate, &[Ssrc(2), Ssrc(3)]));
        let RtcpPacket::Remb(remb) = only(&bytes) else { panic!() };
        assert!(remb.bitrate <= bitrate && remb.bitrate >= bitrate - (bitrate >> 17), "{bitrate}");
        assert!(remb.ssrcs().eq([Ssrc(2), Ssrc(3)]));
    }
    // A bitrate beyond 64 bits.
    let mut bytes = written(|writer| writer.remb(Ssrc(1), 1 << 40, &[]));
    bytes[17..20].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
    assert_eq!(rtcp::packets(&bytes).next().unwrap().unwrap_err(), RtcpError::Malformed(206));
}

#[test]
fn extended_reports() {
    let bytes = written(|writer| writer.reference_time(Ssrc(1), NtpTimestamp(77)));
    let RtcpPacket::ExtendedReport(report) = only(&bytes) else { panic!() };
    assert_eq!(report.ssrc, Ssrc(1));
    let Some(ExtendedReportBlock::ReferenceTime(time)) = report.blocks().next() else { panic!() };
    assert_eq!(time, NtpTimestamp(77));

    let delays = [1, 2].map(|ssrc| DelaySinceLast { ssrc: Ssrc(ssrc), last_receiver_report: 1 << 16, delay: 1 << 15 });
    let bytes = written(|writer| writer.delays_since_last(Ssrc(1), &delays));
    let RtcpPacket::ExtendedReport(report) = only(&bytes) else { panic!() };
    assert!(report.delays().eq(delays));
    assert_eq!(delays[0].round_trip_time(NtpTimestamp(2 << 32)), Some(Duration::from_millis(500)));
    assert_eq!(delays[0].round_trip_time(NtpTimestamp(1 << 32)), None);
}

#[test]
fn nacks_that_do_not_fit_go_on_in_the_next() {
    let numbers: Vec<_> = (0..50).map(|at| SequenceNumber(65_000).plus(at * 20)).collect();
    let mut rest = &numbers[..];
    let mut read = Vec::new();
    while !rest.is_empty() {
        let mut room = [0; 50];
        let mut writer = RtcpWriter::new(&mut room);
        let count = writer.nack(Ssrc(1), Ssrc(2), rest.iter().copied());
        assert_eq!(count, rest.len().min(9));
        let len = writer.len();
        let RtcpPacket::Nack(nack) = only(&room[..len]) else { panic!() };
        read.extend(nack.sequence_numbers());
        rest = &rest[count..];
    }
    assert_eq!(read, numbers);
    let mut room = [0; 50];
    let mut writer = RtcpWriter::new(&mut room);
    assert_eq!((writer.nack(Ssrc(1), Ssrc(2), []), writer.len()), (0, 0));
}

fn twcc(bytes: &[u8]) -> TransportFeedback<'_> {
    let RtcpPacket::TransportFeedback(feedback) = only(bytes) else { panic!() };
    feedback
}

/// A packet of libwebrtc's shape: padded by fewer than four bytes, and saying so.
#[test]
fn transport_feedback_by_hand() {
    let bytes = [
        0xAF,
        205,
        0,
        6,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2, // header, sender, media
        0xFF,
        0xFE,
        0,
        5,
        0xFF,
        0xFF,
        0xFF,
        9, // base 65534, 5 packets, reference -1, count 9
        0b1101_0010,
        0b0100_0000, // pairs: small, missing?, ...
        4,
        0xFF,
        0xFC,
        8,
        0,
        2,
    ];
    // 11 | 01 00 10 01 00 00 00: small, missing, large, small, missing.
    let feedback = twcc(&bytes);
    assert_eq!((feedback.base, feedback.status_count), (SequenceNumber(65_534), 5));
    assert_eq!((feedback.reference_time, feedback.feedback_count, feedback.received_count()), (-1, 9, 3));
    let received: Vec<_> =
        feedback.received().map(|packet| (packet.sequence_number.0, packet.arrival_micros)).collect();
    assert_eq!(received, [(65_534, -63_000), (0, -64_000), (1, -62_000)]);
}

#[test]
fn transport_feedback_that_lies() {
    let good = |content: &[u8]| {
        let mut bytes = vec![0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0];
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = bytes.len() / 4 - 1;
        bytes[2..4].copy_from_slice(&(words as u16).to_be_bytes());
        rtcp::packets(&bytes).next().unwrap().is_ok()
    };
    assert!(good(&[0x00, 5])); // a run of missing
    assert!(!good(&[])); // no chunk
    assert!(!good(&[0x00, 4])); // one packet too few: the zeros behind are runs of no packets
    assert!(!good(&[0x20, 5])); // deltas are missing: two bytes of padding stand for two
    assert!(good(&[0x20, 5, 1, 2, 3, 4, 5]));
    assert!(!good(&[0x60, 5, 0, 0, 0, 0, 0, 0])); // the reserved symbol
    assert!(!good(&[0xFF, 0xFF, 0, 0, 0, 0, 0, 0]));
    assert!(good(&[0x3F, 0xFF, 1, 2, 3, 4, 5])); // a run beyond the count is cut
}

#[test]
fn the_largest_claims_cost_nothing() {
    // 65,535 packets that did not arrive but for the first and the last.
    let arrivals = |at: u32| (at == 0 || at == 65_534).then_some(i64::from(at));
    let mut room = [0; 60];
    let mut writer = RtcpWriter::new(&mut room);
    let all = (0..65_535).map(arrivals);
    assert_eq!(writer.transport_feedback(Ssrc(1), Ssrc(2), SequenceNumber(9), 0, all), 65_535);
    let len = writer.len();
    // Gone through packet by packet, these were three thousand million: it would be noticed.
    for _ in 0..50_000 {
        let feedback = twcc(&room[..len]);
        assert_eq!(feedback.status_count, 65_535);
        assert_eq!(feedback.received().count(), 2);
    }
}

#[test]
fn transport_feedback_ends_where_it_must() {
    let mut room = [0; 1200];
    let feedback = |room: &mut [u8], arrivals: &[Option<i64>]| {
        let mut writer = RtcpWriter::new(room);
        let count = writer.transport_feedback(Ssrc(1), Ssrc(2), SequenceNumber(0), 0, arrivals.iter().copied());
        (count, writer.len())
    };
    assert_eq!(feedback(&mut room, &[]), (0, 0));
    assert_eq!(feedback(&mut room, &[None, None]), (0, 0));
    // 8.2 seconds are too far for a delta.
    assert_eq!(feedback(&mut room, &[Some(0), Some(8_000_000), Some(17_000_000), None]).0, 2);
    assert_eq!(feedback(&mut room, &[Some(i64::MAX), Some(i64::MIN)]).0, 1);
    // 1200 bytes have room for about 1030 packets with small deltas.
    let arrivals: Vec<_> = (0..5000).map(|at| Some(at * 1000)).collect();
    let (count, len) = feedback(&mut room, &arrivals);
    assert!((1100..1180).contains(&count) && len == 1200, "{count} {len}");
    assert_eq!(twcc(&room).received().count(), count);
}

fn arrivals() -> impl Strategy<Value = Vec<Option<i64>>> {
    let step = prop_oneof![4 => 0..60_000_i64, 1 => -70_000..100_000_i64];
    let one = prop_oneof![3 => step.prop_map(Some), 1 => Just(None)];
    let run = (one, prop_oneof![5 => 1..4_usize, 1 => 1..40_usize]);
    vec(run, 0..100).prop_map(|runs| {
        let mut now = 100_000;
        let mut all = Vec::new();
        for (step, count) in runs {
            for _ in 0..count {
                all.push(step.map(|step| {
                    now += step;
                    now
                }));
            }
        }
        all
    })
}

proptest! {
    #[test]
    fn nacks(base: u16, ahead in vec(1..40_u16, 1..200)) {
        let mut next = SequenceNumber(base);
        let numbers: Vec<_> = ahead.iter().map(|step| { next = next.plus(*step); next }).collect();
        let mut room = [0; 1200];
        let mut writer = RtcpWriter::new(&mut room);
        prop_assert_eq!(writer.nack(Ssrc(1), Ssrc(2), numbers.iter().copied()), numbers.len());
        let len = writer.len();
        let RtcpPacket::Nack(nack) = only(&room[..len]) else { panic!() };
        prop_assert!(nack.sequence_numbers().eq(numbers));
    }

    #[test]
    fn transport_feedback(base: u16, arrivals in arrivals(), room in 0..1200_usize) {
        let mut room = vec![0xEE; room];
        let mut writer = RtcpWriter::new(&mut room);
        let count = writer.transport_feedback(Ssrc(1), Ssrc(2), SequenceNumber(base), 3, arrivals.iter().copied());
        prop_assert!(count <= arrivals.len());
        let len = writer.len();
        prop_assert_eq!(count == 0, len == 0);
        if len > 0 {
            let feedback = twcc(&room[..len]);
            prop_assert_eq!(usize::from(feedback.status_count), count);
            let expected: Vec<_> = arrivals[..count].iter().zip(0..).filter_map(|(arrival, at)| {
                Some((SequenceNumber(base).plus(at), (*arrival)?.div_euclid(250) * 250))
            }).collect();
            prop_assert_eq!(feedback.received_count(), expected.len());
            let received: Vec<_> = feedback.received().map(|packet| (packet.sequence_number, packet.arrival_micros)).collect();
            prop_assert_eq!(received, expected);
        }
    }

    #[test]
    fn congestion_feedback(streams in vec((any::<u32>(), any::<u16>(), vec(prop::option::of((0..4_u8, 0..0x2000_u16)), 0..30)), 0..5)) {
        let streams: Vec<_> = streams.into_iter().map(|(ssrc, begin, reports)| {
            let reports: Vec<_> = reports.into_iter().map(|report| report.map(|(ecn, offset)| Arrival { ecn, offset })).collect();
            (Ssrc(ssrc), SequenceNumber(begin), reports)
        }).collect();
        let reports: Vec<_> = streams.iter().map(|(ssrc, begin, reports)| StreamReport { ssrc: *ssrc, begin: *begin, reports }).collect();
        let bytes = written(|writer| writer.congestion_feedback(Ssrc(1), 99, &reports));
        let RtcpPacket::CongestionFeedback(feedback) = only(&bytes) else { panic!() };
        prop_assert_eq!(feedback.timestamp, 99);
        let read: Vec<_> = feedback.streams().map(|stream| {
            assert!(stream.reports().zip(0..).all(|((number, _), at)| number == stream.begin.plus(at)));
            (stream.ssrc, stream.begin, stream.reports().map(|(_, arrival)| arrival).collect::<Vec<_>>())
        }).collect();
        prop_assert_eq!(read, streams);
    }

    #[test]
    fn any_bytes_do_no_harm(
        packets in vec((0x80..=0xBF_u8, prop_oneof![Just(192_u8), 200..=207_u8], vec(any::<u8>(), 0..80), 0..3_u8), 0..4),
        tail in vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = Vec::new();
        for (first, packet_type, mut body, kind) in packets {
            body.resize(body.len().next_multiple_of(4), 0);
            match (kind, body.get_mut(8..20)) {
                (1, Some(place)) => place[..4].copy_from_slice(b"REMB"),
                (2, Some(place)) => place[2] = 0, // few packets
                _ => {}
            }
            bytes.extend_from_slice(&[first, packet_type, 0, (body.len() / 4) as u8]);
            bytes.extend_from_slice(&body);
        }
        bytes.extend_from_slice(&tail);
        read_all(&bytes);
        read_all(&tail);
    }

    #[test]
    fn feedback_of_any_bytes(content in vec(any::<u8>(), 0..120), format in prop_oneof![Just(1_u8), Just(11), Just(15)], count in 0..2000_u16) {
        let mut bytes = vec![0x80 | format, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes[3] = (bytes.len() / 4 - 1) as u8;
        read_all(&bytes);
    }
}

/// Reads whatever can be read; no iterator gives more than the bytes can hold.
fn read_all(bytes: &[u8]) {
    let bound = 17 * bytes.len() + 1;
    assert!(rtcp::packets(bytes).count() <= bytes.len());
    for packet in rtcp::packets(bytes).flatten() {
        let count = match packet {
            RtcpPacket::SenderReport(report) => report.blocks().count(),
            RtcpPacket::ReceiverReport(report) => report.blocks().count(),
            RtcpPacket::SourceDescription(description) => description.items().count(),
            RtcpPacket::Bye(bye) => bye.ssrcs().count() + usize::from(bye.reason().is_some()),
            RtcpPacket::Nack(nack) => nack.sequence_numbers().count(),
            RtcpPacket::FullIntraRequest(request) => request.entries().count(),
            RtcpPacket::Remb(remb) => remb.ssrcs().count(),
            RtcpPacket::TransportFeedback(feedback) => {
                assert_eq!(feedback.received().count(), feedback.received_count());
                feedback.received_count()
            }
            RtcpPacket::CongestionFeedback(feedback) => feedback.streams().map(|stream| stream.reports().count()).sum(),
            RtcpPacket::ExtendedReport(report) => report.blocks().count() + report.delays().count(),
            _ => 0,
        };
        assert!(count <= bound);
    }
}
