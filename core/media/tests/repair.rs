//! Loss and its repair over a simulated network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::{MEDIA, Pair, RTX, VIDEO, codec, line, ms, nth, packet, send, session};
use wigwag_media::{LineConfig, Session};
use wigwag_net::{BurstLoss, Link, Reordering};
use wigwag_proto::Instant;
use wigwag_rtp::rtcp::RtcpWriter;
use wigwag_rtp::{SequenceNumber, Ssrc};

fn link(loss: f64) -> Link {
    Link { delay: ms(20), loss, ..Link::default() }
}

/// Each of `0..count` came once, as it was sent.
fn assert_all(pair: &Pair, count: u64) {
    let mut received: Vec<_> = pair.received[1].iter().collect();
    received.sort_by_key(|packet| packet.sequence_number);
    let numbers: Vec<_> = received.iter().map(|packet| nth(packet)).collect();
    let missing: Vec<_> = (0..count).filter(|n| numbers.binary_search(n).is_err()).collect();
    assert_eq!((numbers.len() as u64, missing), (count, Vec::new()));
    for (n, received) in (0..).zip(received) {
        let sent = packet(n, received.payload.len());
        assert_eq!((received.ssrc, received.payload_type), (MEDIA, sent.payload_type));
        assert_eq!((received.marker, received.timestamp), (sent.marker, sent.timestamp));
        assert_eq!(received.sequence_number, 65_536 + 65_000 + n);
        assert_eq!(received.payload, sent.payload);
    }
}

#[test]
fn with_rtx_all_arrives_whatever_is_lost() {
    for seed in wigwag_net::seeds(3) {
        for loss in [0.02, 0.05, 0.1] {
            // The first packet is no loss to anybody who does not know of it, and nothing comes after the last that would show its loss.
            let mut pair = Pair::video(link(0.0), seed, true);
            pair.send_video(0..1, 1000);
            pair.network.set_default_link(link(loss));
            pair.send_video(1..2999, 1000);
            pair.network.set_default_link(link(0.0));
            pair.send_video(2999..3000, 1000);
            pair.run_for(ms(1500));
            assert_all(&pair, 3000);
            let (sender, receiver) = (pair.sessions[0].stats(VIDEO).unwrap(), pair.sessions[1].stats(VIDEO).unwrap());
            let lost = receiver.inbound.lost as f64 / 3000.0;
            assert!((lost - loss).abs() < 0.02, "{lost}");
            assert_eq!(receiver.inbound.recovered as i64, receiver.inbound.lost);
            assert!(sender.outbound.retransmitted_packets as f64 <= 3000.0 * loss * 2.0);
            assert!(sender.outbound.nacks_received <= receiver.inbound.nacks_sent);
            assert_eq!(sender.outbound.nacks_refused, 0);
            assert_eq!(receiver.inbound.given_up, 0);
        }
    }
}

#[test]
fn bursts_disorder_and_duplication() {
    for seed in wigwag_net::seeds(3) {
        let link = Link {
            delay: ms(20),
            jitter: ms(8),
            overtaking: true,
            duplication: 0.05,
            reordering: Some(Reordering { probability: 0.02, extra_delay: ms(30) }),
            ..Link::default()
        };
        let mut pair = Pair::video(link, seed, true);
        pair.send_video(0..100, 500);
        let bursts = BurstLoss { begin: 0.01, end: 0.2, loss: 0.9 };
        pair.network.set_default_link(Link { burst_loss: Some(bursts), ..link });
        pair.send_video(100..2000, 500);
        pair.network.set_default_link(link);
        pair.send_video(2000..2100, 500);
        pair.run_for(ms(1500));
        assert_all(&pair, 2100);
        let inbound = pair.sessions[1].stats(VIDEO).unwrap().inbound;
        assert!(inbound.duplicates > 50 && inbound.recovered > 50, "{inbound:?}");
        assert!(inbound.jitter > ms(1) && inbound.jitter < ms(20), "{inbound:?}");
    }
}

#[test]
fn without_rtx_only_if_packets_can_be_repeated() {
    for repeats in [false, true] {
        let mut pair = Pair::video(link(0.0), 1, false);
        pair.sessions[0].allow_repeats(repeats);
        pair.send_video(0..100, 500);
        pair.network.set_default_link(link(0.05));
        pair.send_video(100..1000, 500);
        pair.network.set_default_link(link(0.0));
        pair.send_video(1000..1100, 500);
        pair.run_for(ms(1500));
        let outbound = pair.sessions[0].stats(VIDEO).unwrap().outbound;
        if repeats {
            assert_all(&pair, 1100);
            assert!(outbound.retransmitted_packets > 0);
            assert_eq!(outbound.retransmitted_packets, pair.repeats[0] as u64, "SRTP has to know of them");
            assert!(pair.received[1].iter().all(|packet| !packet.recovered));
        } else {
            assert_eq!(outbound.retransmitted_packets, 0);
            assert!(outbound.nacks_received > 0 && pair.received[1].len() < 1100);
        }
        // Other keys, perhaps: what was kept must not be repeated with them.
        let next = pair.network.stats().sent;
        pair.network.drop_nth([next]);
        pair.send_video(1100..1110, 500);
        pair.sessions[0].allow_repeats(false);
        pair.send_video(1110..1300, 500);
        assert!(pair.sessions[0].stats(VIDEO).unwrap().outbound.nacks_received > outbound.nacks_received);
        let later = pair.sessions[0].stats(VIDEO).unwrap().outbound;
        assert_eq!(later.retransmitted_packets, outbound.retransmitted_packets);
    }
}

#[test]
fn what_nobody_repairs_is_given_up() {
    let mut pair = Pair::video(link(0.0), 1, true);
    // The sender keeps nothing.
    let mut config = line("0", send(MEDIA, Some(RTX)));
    config.codecs[0].nack = false;
    pair.sessions[0].set_line(Instant(0), VIDEO, config);
    pair.send_video(0..10, 500);
    let next = pair.network.stats().sent;
    pair.network.drop_nth(next..next + 10);
    pair.send_video(10..40, 500);
    pair.run_for(Duration::from_secs(3));
    let inbound = pair.sessions[1].stats(VIDEO).unwrap().inbound;
    assert_eq!(inbound.given_up as i64, inbound.lost);
    assert!(inbound.lost >= 9, "{inbound:?}");
    // Ten times each, at most, and within a second.
    let each = inbound.nacks_sent / inbound.given_up;
    assert!((5..=10).contains(&each), "{inbound:?}");
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.sessions[1].stats(VIDEO).unwrap().inbound.nacks_sent, inbound.nacks_sent);
}

#[test]
fn a_stream_that_is_held_goes_on() {
    let mut alice = session(1);
    let (hold, resume) = (line("0", None), line("0", send(MEDIA, Some(RTX))));
    let mut numbers = Vec::new();
    for n in 0..5 {
        alice.set_line(Instant(0), VIDEO, resume.clone());
        alice.write_rtp(Instant(0), VIDEO, packet(n, 100)).unwrap();
        drain(&mut alice, Instant(0));
        let mut room = [0; 1400];
        let mut writer = RtcpWriter::new(&mut room);
        writer.nack(Ssrc(9), MEDIA, [packet(n, 8).sequence_number]);
        let len = writer.len();
        let request = room[..len].to_vec();
        alice.handle_rtcp(Instant(0), &request);
        let len = alice.write_packet(Instant(0), &mut room).unwrap().len;
        let again = wigwag_rtp::RtpPacket::parse(&room[..len]).unwrap();
        assert_eq!(again.ssrc(), RTX);
        numbers.push(again.sequence_number());
        alice.set_line(Instant(0), VIDEO, hold.clone());
        assert!(alice.can_transmit(), "BYE");
        drain(&mut alice, Instant(0));
        alice.handle_rtcp(Instant(0), &request);
        assert!(!alice.can_transmit());
    }
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].next()), "{numbers:?}");
    assert_eq!(alice.stats(VIDEO).unwrap().outbound.packets, 5);
}

#[test]
fn a_jump_starts_over_without_asking() {
    let mut pair = Pair::video(link(0.0), 1, true);
    pair.send_video(0..10, 500);
    pair.send_video(5000..5010, 500);
    pair.run_for(Duration::from_secs(2));
    let inbound = pair.sessions[1].stats(VIDEO).unwrap().inbound;
    assert_eq!((inbound.packets, inbound.lost, inbound.nacks_sent), (20, 0, 0));
}

/// Everything that a session writes: bytes and packets.
fn drain(session: &mut Session, now: Instant) -> (usize, usize) {
    let mut room = [0; 1400];
    let mut sum = (0, 0);
    while let Some(written) = session.write_packet(now, &mut room) {
        sum = (sum.0 + written.len, sum.1 + 1);
    }
    sum
}

#[test]
fn a_storm_of_requests_is_capped() {
    let mut alice = session(1);
    alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    let (mut now, mut media, mut all, mut next) = (Instant(0), 0, 0, 0);
    // 8 Mbit/s for ten seconds, and a peer that asks for everything, all the time.
    while now < Instant(10_000_000) {
        for _ in 0..10 {
            let sent = packet(next, 1000);
            media += sent.payload.len() + 12;
            alice.write_rtp(now, VIDEO, sent).unwrap();
            next += 1;
        }
        all += drain(&mut alice, now).0;
        let newest = 65_000_u64.wrapping_add(next) as u16;
        let mut memory = [0; 1400];
        let mut writer = RtcpWriter::new(&mut memory);
        let numbers = (1..1000).rev().map(|back| SequenceNumber(newest.wrapping_sub(back)));
        writer.nack(Ssrc(9), MEDIA, numbers);
        let len = writer.len();
        for _ in 0..5 {
            alice.handle_rtcp(now, &memory[..len]);
        }
        all += drain(&mut alice, now).0;
        if alice.poll_timeout().is_some_and(|at| at <= now) {
            alice.handle_timeout(now);
        }
        now += ms(10);
    }
    let outbound = alice.stats(VIDEO).unwrap().outbound;
    assert!(outbound.nacks_refused > 100_000, "{outbound:?}");
    // Half as much again, a floor, and what was saved up; 3 % for mid, send time and reports.
    let most = media as f64 * 1.03 * 1.5 + 16_000.0 * 10.0 + 131_072.0;
    assert!((all as f64) < most && all as f64 > media as f64 * 1.4, "{all} of {media}");
}

#[test]
fn not_again_within_a_round_trip() {
    let mut alice = session(1);
    alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    alice.write_rtp(Instant(0), VIDEO, packet(0, 100)).unwrap();
    drain(&mut alice, Instant(0));
    let ask = |alice: &mut Session, now| {
        let mut memory = [0; 100];
        let mut writer = RtcpWriter::new(&mut memory);
        writer.nack(Ssrc(9), MEDIA, [SequenceNumber(65_000)]);
        let len = writer.len();
        alice.handle_rtcp(now, &memory[..len]);
        drain(alice, now).1
    };
    let answers: Vec<_> = [0, 1, 9, 10, 15, 20].map(|at| ask(&mut alice, Instant(at * 1000))).into();
    assert_eq!(answers, [1, 0, 0, 1, 0, 1]);
    assert_eq!(ask(&mut alice, Instant(2_500_000)), 0, "too old");
}

#[test]
fn repair_begins_before_the_first_report() {
    // One way: the receiver learns the round trip from the repair itself.
    let mut pair = Pair::video(Link { delay: ms(100), ..Link::default() }, 1, true);
    pair.send_video(0..100, 100);
    let next = pair.network.stats().sent;
    pair.network.drop_nth([next, next + 5]);
    pair.send_video(100..800, 100);
    assert_all(&pair, pair.received[1].len() as u64);
    let inbound = pair.sessions[1].stats(VIDEO).unwrap().inbound;
    assert_eq!(inbound.recovered, inbound.lost as u64);
    assert!(inbound.recovered > 0);
}

#[test]
fn empty_retransmissions_are_counted_only() {
    let mut bob = session(2);
    let config = LineConfig { codecs: vec![codec(96, Some(97))], ..line("0", None) };
    bob.set_line(Instant(0), VIDEO, config);
    let mut alice = session(1);
    alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
    alice.write_rtp(Instant(0), VIDEO, packet(0, 100)).unwrap();
    let mut room = [0; 1400];
    let len = alice.write_packet(Instant(0), &mut room).unwrap().len;
    bob.handle_rtp(Instant(0), &room[..len]);
    // 97, the only stream's repair; padding only.
    let probe = [0xA0, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 4];
    bob.handle_rtp(Instant(0), &probe);
    let inbound = bob.stats(VIDEO).unwrap().inbound;
    assert_eq!((inbound.probe_bytes, inbound.packets), (16, 1));
}
