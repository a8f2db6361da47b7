//! Reports, feedback, requests for key frames, ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{MEDIA, Pair, RTX, VIDEO, codec, extensions, line, ms, packet, pt, send, session};
use wigwag_media::{Event, LineConfig, LineId, PacketKind, Receive, Session, WriteError};
use wigwag_net::Link;
use wigwag_proto::{Instant, WallClock};
use wigwag_rtp::rtcp::{self, FullIntraRequestEntry, RtcpPacket, RtcpWriter};
use wigwag_rtp::{
    ExtensionKind, ExtensionValue, NtpTimestamp, RtpBuilder, RtpHeader, RtpTimestamp, SequenceNumber, Ssrc,
};

/// The RTCP that a session wants to send now, names of packets only.
fn control(session: &mut Session, now: Instant) -> Vec<Vec<String>> {
    let mut room = [0; 1400];
    let mut all = Vec::new();
    while let Some(written) = session.write_packet(now, &mut room) {
        if written.kind == PacketKind::Rtcp {
            all.push(rtcp::packets(&room[..written.len]).map(|packet| name(&packet.unwrap())).collect());
        }
    }
    all
}

fn name(packet: &RtcpPacket<'_>) -> String {
    match packet {
        RtcpPacket::SenderReport(report) => format!("SR {}", report.blocks().count()),
        RtcpPacket::ReceiverReport(report) => format!("RR {}", report.blocks().count()),
        RtcpPacket::SourceDescription(_) => "SDES".into(),
        RtcpPacket::Nack(nack) => format!("NACK {}", nack.sequence_numbers().count()),
        RtcpPacket::PictureLossIndication(pli) => format!("PLI {}", pli.media),
        RtcpPacket::FullIntraRequest(fir) => format!("FIR {}", fir.entries().next().unwrap().ssrc),
        RtcpPacket::TransportFeedback(feedback) => format!("TWCC {}", feedback.received_count()),
        RtcpPacket::Bye(bye) => format!("BYE {}", bye.ssrcs().count()),
        other => format!("{other:?}"),
    }
}

/// A packet as a peer might send it.
fn rtp(payload_type: u8, number: u16, ssrc: u32, extended: &[ExtensionValue<'_>]) -> Vec<u8> {
    let mut room = vec![0; 200];
    let header = RtpHeader {
        marker: false,
        payload_type: pt(payload_type),
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(7),
        ssrc: Ssrc(ssrc),
    };
    let mut builder = RtpBuilder::new(&mut room, &header);
    extended.iter().for_each(|value| builder.extension_value(&extensions(), value));
    builder.payload(b"payload");
    let len = builder.finish().unwrap();
    room.truncate(len);
    room
}

#[test]
fn round_trip_loss_and_jitter_are_reported() {
    let mut pair = Pair::video(Link { delay: ms(40), ..Link::default() }, 1, true);
    let wall_clock = WallClock(1_700_000_000_000_000);
    pair.sessions[0].set_wall_clock(Instant(0), wall_clock);
    pair.send_video(0..3000, 200);
    let outbound = pair.sessions[0].stats(VIDEO).unwrap().outbound;
    assert_eq!((outbound.packets, outbound.bytes, outbound.remote_lost), (3000, 600_000, 0));
    let round_trip = outbound.round_trip_time.unwrap();
    assert!(round_trip.abs_diff(ms(80)) < ms(1), "{round_trip:?}");
    let report = pair.sessions[1].stats(VIDEO).unwrap().inbound.last_sender_report.unwrap();
    let sent = report.arrival.as_micros() - 40_000;
    assert_eq!(report.ntp, NtpTimestamp::from_wall_clock(WallClock(wall_clock.0 + sent)));
    // 90 ticks in a millisecond, from the beginning on.
    let elapsed = report.rtp.0.wrapping_sub(packet(0, 8).timestamp.0);
    assert!(u64::from(elapsed).abs_diff(sent * 9 / 100) < 100, "{elapsed} {sent}");
    assert!(u64::from(report.packets).abs_diff(sent / 1000) <= 1);
    assert_eq!(report.octets, report.packets * 200);

    // A tenth is lost, unrepaired in the report though repaired by RTX.
    pair.network.set_default_link(Link { delay: ms(40), loss: 0.1, ..Link::default() });
    pair.send_video(3000..8000, 200);
    let outbound = pair.sessions[0].stats(VIDEO).unwrap().outbound;
    assert!((300..700).contains(&outbound.remote_lost), "{outbound:?}");
    assert!((10..45).contains(&outbound.remote_fraction_lost), "{outbound:?}");
    assert!(outbound.remote_jitter < ms(1));

    // The fraction is that since the report before, and the timestamp goes on while nothing is sent.
    pair.network.set_default_link(Link { delay: ms(40), ..Link::default() });
    pair.send_video(8000..11_000, 200);
    let later = pair.sessions[0].stats(VIDEO).unwrap().outbound;
    assert_eq!((later.remote_fraction_lost, later.remote_lost > 300), (0, true));
    let last = (pair.now.as_micros() - 1000, packet(10_999, 8).timestamp);
    pair.run_for(Duration::from_secs(2));
    let report = pair.sessions[1].stats(VIDEO).unwrap().inbound.last_sender_report.unwrap();
    let elapsed = report.arrival.as_micros() - 40_000 - last.0;
    assert!(elapsed > 300_000);
    assert!(u64::from(report.rtp.0.wrapping_sub(last.1.0)).abs_diff(elapsed * 9 / 100) < 2);
}

#[test]
fn reports_come_about_every_second_and_end_with_the_stream() {
    let mut pair = Pair::video(Link::default(), 1, true);
    let mut config = line("0", send(MEDIA, Some(RTX)));
    config.codecs[0].transport_feedback = false;
    pair.sessions[1].set_line(Instant(0), VIDEO, LineConfig { send: None, ..config });
    pair.send_video(0..1, 100);
    let mut before = pair.sent;
    for round in 0..20 {
        pair.send_video(1 + round * 1000..1 + (round + 1) * 1000, 100);
    }
    for at in 0..2 {
        // SR with SDES, 28 + 16 bytes; RR with a block and SDES, 32 + 28 bytes.
        let count = (pair.sent[at][1] - before[at][1]) / [28 + 16, 32 + 28][at];
        assert!((16..=27).contains(&count), "{count}");
    }
    pair.run_for(Duration::from_secs(10));
    assert!(pair.sessions.iter().all(|session| session.poll_timeout().is_none()), "an idle session sleeps");
    before = pair.sent;
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.sent, before);
}

#[test]
fn a_compound_begins_with_a_report_unless_reduced_size_was_agreed_on() {
    for reduced_size in [false, true] {
        let mut bob = session(2);
        let mut config = line("0", None);
        config.reduced_size = reduced_size;
        config.receive = Some(Receive { ssrcs: vec![(MEDIA, Some(RTX))], rids: Vec::new() });
        bob.set_line(Instant(0), VIDEO, config);
        bob.handle_rtp(Instant(0), &rtp(96, 1, MEDIA.0, &[]));
        bob.handle_rtp(Instant(0), &rtp(96, 4, MEDIA.0, &[]));
        assert!(bob.request_key_frame(Instant(0), VIDEO, None) && bob.request_key_frame(Instant(0), VIDEO, None));
        let expected = ["RR 0", "SDES", "NACK 2", "PLI 100"];
        assert_eq!(control(&mut bob, Instant(0)), [&expected[if reduced_size { 2 } else { 0 }..]]);
        let inbound = bob.stats(VIDEO).unwrap().inbound;
        assert_eq!((inbound.nacks_sent, inbound.plis_sent), (2, 1));
    }
}

#[test]
fn many_sources_take_many_reports() {
    let mut bob = session(2);
    bob.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    for ssrc in 1000..1100 {
        bob.handle_rtp(Instant(0), &rtp(96, 1, ssrc, &[ExtensionValue::Mid("0")]));
    }
    for more in 0..5 {
        bob.set_line(Instant(0), LineId(10 + more), line("x", send(Ssrc(500 + more), None)));
        bob.write_rtp(Instant(0), LineId(10 + more), packet(0, 10)).unwrap();
    }
    while bob.write_packet(Instant(0), &mut [0; 1400]).is_some() {}
    let at = bob.poll_timeout().unwrap();
    bob.handle_timeout(at);
    let packets = control(&mut bob, at);
    let reports: Vec<_> = packets.iter().flatten().filter(|name| *name != "SDES").map(String::as_str).collect();
    assert_eq!(reports, ["SR 31", "SR 0", "SR 0", "SR 0", "SR 0", "RR 31", "RR 31", "RR 7"]);
    assert_eq!(packets.len(), 4);
    assert!(!bob.can_transmit());
}

#[test]
fn key_frames_are_asked_for_once_and_by_what_was_agreed_on() {
    let mut alice = session(1);
    alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    let ask = |alice: &mut Session, pli: Option<Ssrc>, fir: Option<u8>| {
        let mut memory = [0; 100];
        let mut writer = RtcpWriter::new(&mut memory);
        pli.into_iter().for_each(|media| assert!(writer.picture_loss_indication(Ssrc(9), media)));
        let entry = |number| [FullIntraRequestEntry { ssrc: MEDIA, number }];
        fir.into_iter().for_each(|number| assert!(writer.full_intra_request(Ssrc(9), &entry(number))));
        let len = writer.len();
        alice.handle_rtcp(Instant(0), &memory[..len]);
    };
    let events = |alice: &mut Session| std::iter::from_fn(|| alice.poll_event()).count();
    (0..3).for_each(|_| ask(&mut alice, Some(MEDIA), Some(1)));
    assert_eq!(events(&mut alice), 1);
    ask(&mut alice, Some(RTX), Some(1));
    ask(&mut alice, Some(Ssrc(77)), None);
    assert_eq!(events(&mut alice), 0);
    ask(&mut alice, None, Some(2));
    assert!(matches!(alice.poll_event(), Some(Event::KeyFrameRequest { line: VIDEO })));
    let outbound = alice.stats(VIDEO).unwrap().outbound;
    assert_eq!((outbound.plis_received, outbound.firs_received), (3, 2));

    // The other way.
    let mut bob = session(2);
    let mut config = line("0", None);
    assert!(!bob.request_key_frame(Instant(0), VIDEO, None), "no such line");
    bob.set_line(Instant(0), VIDEO, config.clone());
    assert!(!bob.request_key_frame(Instant(0), VIDEO, None), "no source is known");
    config.codecs[0].pli = false;
    config.receive = Some(Receive { ssrcs: Vec::new(), rids: vec!["hi".into(), "lo".into()] });
    bob.set_line(Instant(0), VIDEO, config.clone());
    for (ssrc, rid) in [(1, "hi"), (2, "lo"), (3, "unknown")] {
        bob.handle_rtp(Instant(0), &rtp(96, 1, ssrc, &[ExtensionValue::Mid("0"), ExtensionValue::Rid(rid)]));
    }
    assert!(bob.request_key_frame(Instant(0), VIDEO, Some("lo")));
    assert!(!bob.request_key_frame(Instant(0), VIDEO, Some("unknown")));
    assert_eq!(control(&mut bob, Instant(0)), [["FIR 2"]]);
    assert!(bob.request_key_frame(Instant(0), VIDEO, None));
    assert_eq!(control(&mut bob, Instant(0)), [["FIR 1", "FIR 2", "FIR 3"]]);
    config.codecs[0].fir = false;
    bob.set_line(Instant(0), VIDEO, config);
    assert!(!bob.request_key_frame(Instant(0), VIDEO, None), "nothing was agreed on");
}

#[test]
fn what_ends_says_so() {
    let mut pair = Pair::video(Link::default(), 1, true);
    pair.send_video(0..10, 100);
    pair.network.drop_nth([pair.network.stats().sent]);
    pair.send_video(10..100, 100);
    assert!(pair.sessions[0].stats(VIDEO).unwrap().outbound.retransmitted_packets > 0);
    // Replaced: the line goes on with another source.
    let now = pair.now;
    pair.sessions[0].set_line(now, VIDEO, line("0", send(Ssrc(101), Some(Ssrc(201)))));
    pair.send_video(100..120, 100);
    assert_eq!(pair.byes[1], [MEDIA]);
    assert_eq!(pair.sessions[0].stats(VIDEO).unwrap().outbound.packets, 120);
    // Closed.
    pair.sessions[0].close(pair.now);
    assert_eq!(pair.sessions[0].write_rtp(pair.now, VIDEO, packet(0, 9)), Err(WriteError::Closed));
    pair.run_for(ms(100));
    assert_eq!(pair.byes[1], [MEDIA, Ssrc(101)]);
    assert_eq!(pair.sessions[0].poll_timeout(), None);
    assert_eq!(pair.received[1].len(), 120);
    pair.run_for(Duration::from_secs(5));
    assert!(!pair.sessions[0].can_transmit());
}

#[test]
fn a_line_that_never_sent_says_no_bye() {
    let mut alice = session(1);
    alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    alice.remove_line(Instant(0), VIDEO);
    assert!(!alice.can_transmit());
    assert_eq!(alice.stats(VIDEO), None);
}

#[test]
fn the_callers_mistakes_are_errors() {
    let mut alice = session(1);
    let write = |alice: &mut Session, out| alice.write_rtp(Instant(0), VIDEO, out);
    assert_eq!(write(&mut alice, packet(0, 10)), Err(WriteError::UnknownLine));
    alice.set_line(Instant(0), VIDEO, line("0", None));
    assert_eq!(write(&mut alice, packet(0, 10)), Err(WriteError::NotSending));
    alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    let mut wrong = packet(0, 10);
    wrong.payload_type = pt(97);
    assert_eq!(write(&mut alice, wrong), Err(WriteError::UnknownPayloadType));
    // 12 of header, 4 + 8 of extensions (mid, send time), 2 for RTX.
    assert_eq!(write(&mut alice, packet(0, 1400 - 25)), Err(WriteError::TooLong));
    assert_eq!(write(&mut alice, packet(0, 1400 - 26)), Ok(()));
    assert_eq!(alice.next_packet_len(), Some(1398));
    let refused = (1..5000).find(|n| write(&mut alice, packet(*n, 10)).is_err());
    assert_eq!(refused, Some(4096));
    // Too little room: it is lost, and counted, and the next one is tried.
    let written = alice.write_packet(Instant(0), &mut [0; 100]).unwrap();
    assert_eq!((written.len, alice.dropped().too_long), (34, 1));
}

/// Transport-wide feedback as the sender reads it: what arrived, over the whole run.
#[test]
fn transport_feedback_through_loss_and_wrap() {
    let mut bob = session(2);
    bob.set_line(Instant(0), VIDEO, line("0", None));
    let mut plain = line("1", None);
    plain.codecs = vec![codec(100, None)];
    plain.codecs[0].transport_feedback = false;
    bob.set_line(Instant(0), LineId(2), plain);
    let (mut arrived, mut told, mut last_count) = (Vec::new(), Vec::new(), None);
    let mut now = Instant(1_000_000);
    for n in 0..70_000_u64 {
        now += Duration::from_micros(250 * (1 + n % 5));
        let number = SequenceNumber((65_000 + n) as u16);
        let extended = [ExtensionValue::TransportSequenceNumber(number)];
        // Another line, that did not agree to it.
        bob.handle_rtp(now, &rtp(100, n as u16, 5, &extended));
        // Some are lost, at times many.
        if n % 7 != 3 && n % 1000 > 40 {
            bob.handle_rtp(now, &rtp(96, n as u16, MEDIA.0, &extended));
            arrived.push((number.0, now.as_micros() as i64 / 250 * 250));
        }
        if bob.poll_timeout().is_some_and(|at| at <= now) {
            bob.handle_timeout(now);
        }
        while bob.poll_event().is_some() {}
        let mut room = [0; 1400];
        while let Some(written) = bob.write_packet(now, &mut room) {
            for packet in rtcp::packets(&room[..written.len]) {
                let RtcpPacket::TransportFeedback(feedback) = packet.unwrap() else { continue };
                assert_eq!(feedback.media, MEDIA);
                assert_eq!(feedback.feedback_count, last_count.map_or(0, |count: u8| count.wrapping_add(1)));
                last_count = Some(feedback.feedback_count);
                told.extend(feedback.received().map(|packet| (packet.sequence_number.0, packet.arrival_micros)));
            }
        }
    }
    assert!(told.len() + 100 > arrived.len(), "all but the last 50 ms");
    assert_eq!(told, arrived[..told.len()]);
}

#[test]
fn feedback_that_does_not_fit_a_packet_follows_at_once() {
    let mut bob = session(2);
    bob.set_line(Instant(0), VIDEO, line("0", None));
    for n in 0..3000 {
        let number = ExtensionValue::TransportSequenceNumber(SequenceNumber(2 * n));
        bob.handle_rtp(Instant(u64::from(n) * 10), &rtp(96, n, MEDIA.0, &[number]));
    }
    bob.handle_timeout(Instant(50_000));
    let mut told = 0;
    let packets = control(&mut bob, Instant(50_000));
    for name in packets.iter().flatten() {
        told += name.strip_prefix("TWCC ").map_or(0, |count| count.parse::<usize>().unwrap());
    }
    assert_eq!(told, 3000);
    assert!(packets.len() > 1);
}

#[test]
fn what_was_missing_before_a_jump_is_not_asked_for() {
    let mut bob = session(2);
    bob.set_line(Instant(0), VIDEO, line("0", None));
    [1, 5].into_iter().for_each(|n| bob.handle_rtp(Instant(0), &rtp(96, n, MEDIA.0, &[])));
    assert!(bob.can_transmit());
    bob.handle_rtp(Instant(0), &rtp(96, 20_000, MEDIA.0, &[]));
    assert!(!bob.can_transmit());
    assert_eq!(bob.stats(VIDEO).unwrap().inbound.given_up, 3);
}

#[test]
fn every_packet_says_where_it_belongs() {
    let mut alice = session(1);
    alice.set_line(Instant(0), VIDEO, line("video", send(MEDIA, Some(RTX))));
    let mut out = packet(0, 10);
    out.extensions = [
        (ExtensionKind::Mid, &b"other"[..]),
        (ExtensionKind::VideoOrientation, &[3]),
        (ExtensionKind::AbsSendTime, &[0; 3]),
        (ExtensionKind::TransportSequenceNumber, &[0; 2]),
        (ExtensionKind::PlayoutDelay, &[0; 3]),
    ]
    .into_iter()
    .collect();
    alice.write_rtp(Instant(0), VIDEO, out).unwrap();
    let mut room = [0; 1400];
    let written = alice.write_packet(Instant(1_000_000), &mut room).unwrap();
    let packet = wigwag_rtp::RtpPacket::parse(&room[..written.len]).unwrap();
    let found: Vec<_> = packet.extensions().map(|extension| (extension.id, extension.value.to_vec())).collect();
    assert_eq!(found, [(1, b"video".to_vec()), (6, vec![3]), (4, vec![4, 0, 0])]);
}

#[test]
fn a_bye_is_told_once_until_more_comes() {
    let mut bob = session(2);
    bob.set_line(Instant(0), VIDEO, line("0", None));
    bob.handle_rtp(Instant(0), &rtp(96, 1, 5, &[]));
    let mut memory = [0; 100];
    let mut writer = RtcpWriter::new(&mut memory);
    writer.bye(&[Ssrc(5), Ssrc(6)], Some("enough"));
    let len = writer.len();
    let mut told = BTreeSet::new();
    for _ in 0..3 {
        bob.handle_rtcp(Instant(0), &memory[..len]);
    }
    let mut count = 0;
    while let Some(event) = bob.poll_event() {
        if let Event::Bye { line, ssrc } = event {
            told.insert((line, ssrc));
            count += 1;
        }
    }
    assert_eq!((told, count), (BTreeSet::from([(VIDEO, Ssrc(5))]), 1));
}
