//! Whatever comes, in whatever order it is called: no panic, no livelock, and what it says of itself is true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::{MEDIA, Pair, RTX, VIDEO, codec, line, ms, nth, packet, send};
use proptest::collection::vec;
use proptest::prelude::*;
use wigwag_media::{Config, LineConfig, LineId, Receive, Session};
use wigwag_net::Link;
use wigwag_proto::{Instant, random};
use wigwag_rtp::rtcp::RtcpWriter;
use wigwag_rtp::{SequenceNumber, Ssrc};

#[derive(Clone, Debug)]
enum Call {
    Rtp(Vec<u8>),
    Rtcp(Vec<u8>),
    /// A packet with a sound header: payload type, number, source, payload.
    Sound(u8, u16, u8, Vec<u8>),
    /// A packet with a transport-wide number.
    Numbered(u16),
    Nack(Vec<u16>),
    Timeout,
    Write(usize),
    Send(u16),
    KeyFrame(bool),
    Line(u8, u8),
    Remove(u8),
    Poll(u8),
    Repeats(bool),
    Close,
}

fn calls() -> impl Strategy<Value = Call> {
    let header = |bytes: Vec<u8>, second: u8| [vec![0x90, second], bytes].concat();
    prop_oneof![
        2 => (vec(any::<u8>(), 0..100), prop_oneof![Just(96_u8), Just(97), any::<u8>()]).prop_map(move |(bytes, second)| Call::Rtp(header(bytes, second))),
        2 => (vec(any::<u8>(), 0..100), 200..208_u8).prop_map(move |(bytes, second)| Call::Rtcp(header(bytes, second))),
        1 => vec(any::<u8>(), 0..100).prop_map(Call::Rtcp),
        10 => (96..99_u8, 0..400_u16, 0..6_u8, vec(any::<u8>(), 0..20)).prop_map(|(a, b, c, d)| Call::Sound(a, b, c, d)),
        1 => (96..99_u8, any::<u16>(), any::<u8>(), vec(any::<u8>(), 0..5)).prop_map(|(a, b, c, d)| Call::Sound(a, b, c, d)),
        3 => prop_oneof![6 => 0..600_u16, 1 => any::<u16>()].prop_map(Call::Numbered),
        2 => vec(0..400_u16, 1..50).prop_map(Call::Nack),
        4 => Just(Call::Timeout),
        6 => prop_oneof![4 => Just(1400_usize), 1 => 0..400_usize].prop_map(Call::Write),
        5 => (0..1500_u16).prop_map(Call::Send),
        1 => any::<bool>().prop_map(Call::KeyFrame),
        2 => (0..3_u8, 0..32_u8).prop_map(|(id, how)| Call::Line(id, how)),
        1 => (0..3_u8).prop_map(Call::Remove),
        3 => any::<u8>().prop_map(Call::Poll),
        1 => any::<bool>().prop_map(Call::Repeats),
    ]
}

/// A line that differs in what `how` has bits for.
fn variant(id: u8, how: u8) -> LineConfig {
    let bit = |at: u8| how & (1 << at) != 0;
    let mut config = line(&id.to_string(), None);
    config.reduced_size = bit(0);
    if bit(1) {
        let ssrc = u32::from(id) * 2 + u32::from(bit(2));
        config.send = send(Ssrc(1000 + ssrc), bit(3).then_some(Ssrc(2000 + ssrc)));
    }
    if bit(4) {
        let ssrcs = vec![(Ssrc(1), Some(Ssrc(2))), (Ssrc(3), bit(3).then_some(Ssrc(1)))];
        config.receive = Some(Receive { ssrcs, rids: vec!["hi".into()] });
    } else if bit(3) {
        config.receive = None;
    }
    config.codecs.push(codec(98, bit(2).then_some(99)));
    config
}

fn check(session: &Session) {
    assert_eq!(session.can_transmit(), session.next_packet_len().is_some());
}

fn run(calls: Vec<(Call, u32)>) -> Vec<u8> {
    let config = Config { max_sources: 8, max_queued: 50, max_received: 40, ..Config::default() };
    let mut session = Session::new(config, random::seeded([9; 32]));
    let (mut now, mut number, mut all) = (Instant(1_000_000), 0_u16, Vec::new());
    session.set_line(now, LineId(0), variant(0, 0b11011));
    for (call, wait) in calls {
        now += Duration::from_micros(u64::from(wait));
        match call {
            Call::Rtp(bytes) => session.handle_rtp(now, &bytes),
            Call::Rtcp(bytes) => session.handle_rtcp(now, &bytes),
            Call::Sound(payload_type, number, ssrc, payload) => {
                let mut bytes = vec![0x80, payload_type, (number >> 8) as u8, number as u8, 0, 0, 0, 1, 0, 0, 0, ssrc];
                bytes.extend(payload);
                session.handle_rtp(now, &bytes);
            }
            Call::Numbered(number) => {
                let [high, low] = number.to_be_bytes();
                let header = [0x90, 96, high, low, 0, 0, 0, 1, 0, 0, 0, 5];
                session.handle_rtp(now, &[&header[..], &[0xBE, 0xDE, 0, 1, 0x51, high, low, 0]].concat());
            }
            Call::Nack(numbers) => {
                let mut room = [0; 400];
                let mut writer = RtcpWriter::new(&mut room);
                writer.nack(Ssrc(1), Ssrc(1000), numbers.into_iter().map(SequenceNumber));
                writer.nack(Ssrc(1), Ssrc(1001), [SequenceNumber(number.wrapping_sub(1))]);
                let len = writer.len();
                session.handle_rtcp(now, &room[..len]);
            }
            Call::Timeout => {
                session.handle_timeout(now);
                assert!(session.poll_timeout().is_none_or(|at| at > now), "livelock");
            }
            Call::Write(len) => {
                let mut room = vec![0; len];
                let promised = session.next_packet_len();
                let written = session.write_packet(now, &mut room);
                if len >= 1400 || promised.is_some_and(|promised| promised <= len) {
                    assert_eq!(written.map(|written| written.len), promised);
                }
                all.extend(written.into_iter().flat_map(|written| room[..written.len].to_vec()));
            }
            Call::Send(len) => {
                let mut out = packet(u64::from(number), usize::from(len));
                out.sequence_number = SequenceNumber(number);
                let id = LineId(u32::from(len % 3));
                number += u16::from(session.write_rtp(now, id, out).is_ok());
            }
            Call::KeyFrame(named) => drop(session.request_key_frame(now, LineId(0), named.then_some("hi"))),
            Call::Line(id, how) => session.set_line(now, LineId(u32::from(id)), variant(id, how)),
            Call::Remove(id) => session.remove_line(now, LineId(u32::from(id))),
            Call::Poll(count) => (0..count).for_each(|_| drop(session.poll_event())),
            Call::Repeats(allow) => session.allow_repeats(allow),
            Call::Close => session.close(now),
        }
        check(&session);
        let _ = session.stats(LineId(0));
    }
    // Everything comes to an end.
    session.close(now);
    let mut room = [0; 1400];
    for _ in 0..100 {
        if session.write_packet(now, &mut room).is_none() {
            break;
        }
    }
    assert!(!session.can_transmit() && session.poll_timeout().is_none());
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_calls_in_any_order(calls in vec((calls(), 0..100_000_u32), 0..200)) {
        let again = run(calls.clone());
        prop_assert_eq!(run(calls), again, "the same seed and calls make the same bytes");
    }

    #[test]
    fn calls_after_the_end(calls in vec((calls(), 0..100_000_u32), 0..60), at in 0..60_usize) {
        let mut calls = calls;
        calls.insert(at.min(calls.len()), (Call::Close, 0));
        run(calls);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any loss, order and duplication: what is delivered is what was sent, each once.
    #[test]
    fn what_is_delivered_was_sent(
        seed: u64,
        loss in 0.0..0.5,
        duplication in 0.0..1.0,
        jitter in 0..200_u64,
        overtaking: bool,
        rtx: bool,
        len in 8..1200_usize,
    ) {
        let link = Link { delay: ms(10), loss, duplication, jitter: ms(jitter), overtaking, ..Link::default() };
        let mut pair = Pair::video(link, seed, rtx);
        pair.sessions[0].allow_repeats(true);
        pair.send_video(0..700, len);
        pair.run_for(Duration::from_secs(2));
        let mut seen = std::collections::BTreeSet::new();
        for received in &pair.received[1] {
            let n = nth(received);
            let sent = packet(n, len);
            prop_assert!(seen.insert(n), "{} came twice", n);
            prop_assert!(n < 700 && received.payload == sent.payload && received.timestamp == sent.timestamp);
            prop_assert_eq!(received.sequence_number as u16, sent.sequence_number.0);
            prop_assert_eq!(received.marker, sent.marker);
        }
        let inbound = pair.sessions[1].stats(VIDEO).unwrap().inbound;
        prop_assert_eq!(inbound.packets, seen.len() as u64);
        if loss < 0.1 {
            prop_assert!(seen.len() > 690 - 10, "{} arrived", seen.len());
        }
    }
}

#[test]
fn the_same_seed_puts_the_same_bytes_on_the_wire() {
    let run = |seed| {
        let link = Link { delay: ms(10), loss: 0.05, jitter: ms(5), ..Link::default() };
        let mut pair = Pair::video(link, seed, true);
        pair.sessions[1].set_line(Instant(0), LineId(9), line("9", send(Ssrc(9), None)));
        pair.send_video(0..1000, 300);
        pair.sessions[0].close(pair.now);
        pair.run_for(ms(100));
        pair.network.digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let _ = (MEDIA, RTX);
}
