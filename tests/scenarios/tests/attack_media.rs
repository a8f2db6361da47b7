//! Attacks on audio and video: SRTP replayed, cut and turned around, RTP whose inside lies, and feedback that would make the victim work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rand::RngExt;
use wigwag::random;
use wigwag::rtp::srtp::MAX_SOURCES;
use wigwag_scenarios::adversary::sctp::be32;
use wigwag_scenarios::adversary::{Attack, Duel, Man};
use wigwag_scenarios::media::Source;
use wigwag_scenarios::{Link, World, config, for_each_seed, memory};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Opus.
const AUDIO: u8 = 111;

fn duel(seed: u64) -> Duel {
    let mut duel = Duel::new(seed, Attack { media: true, ..Attack::default() });
    duel.connect();
    duel
}

fn rtp(number: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let timestamp = u32::from(number).wrapping_mul(960);
    let head = [&[0x80, AUDIO][..], &number.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A compound packet: an empty receiver report, and this.
fn rtcp(count: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1, 0xAD, 0xAD, 0xAD, 0xAD];
    let words = (body.len() / 4) as u16;
    packet.extend_from_slice(&[0x80 | count, kind]);
    packet.extend_from_slice(&words.to_be_bytes());
    [&packet, body].concat()
}

fn packets(duel: &mut Duel) -> Vec<wigwag::RtpIn> {
    duel.run_for(Duration::from_millis(1));
    std::mem::take(&mut duel.victim().testimony.as_mut().unwrap().packets)
}

/// The payloads that arrive of what is heard from the victim's own sources. The SSRC of its video.
fn victims_video(duel: &mut Duel) -> u32 {
    let now = duel.now();
    let victim = duel.victim();
    let ids: Vec<_> = victim.pc.transceivers().map(|it| (it.id, it.kind)).collect();
    let video = ids.iter().find(|(_, kind)| *kind == wigwag::MediaKind::Video).unwrap().0;
    victim.sources = vec![Source::video(video, now)];
    duel.run_for(SECOND);
    let heard = &duel.adversary().rtp;
    be32(heard.iter().find(|it| it[1] & 127 == 96).expect("the victim sends"), 8)
}

/// Every packet of a call comes again, in order and backwards, at once and later: each is delivered once (the driver asserts it), and the counts stay.
#[test]
fn attack_replay_of_everything() {
    for_each_seed(2, |seed| {
        let mut world = World::call(seed, [config(seed, 1), config(seed, 2)], |sdp| sdp);
        let link = Link { loss: 0.02, ..Link::default() };
        world.simulation.network.set_default_link(link);
        world.connect(MINUTE).unwrap();
        let man = Man::new(&mut world.simulation.network);
        world.start_media();
        world.simulation.run_for(5 * SECOND).unwrap();
        for host in [world.offerer, world.answerer] {
            world.simulation.machine_mut(host).unwrap().sources.iter_mut().for_each(|it| it.frames = 0);
        }
        world.simulation.run_for(2 * SECOND).unwrap();
        let counts = |world: &mut World| -> Vec<u64> {
            let hosts = [world.offerer, world.answerer];
            let sinks = hosts.iter().flat_map(|host| &world.simulation.machine(*host).unwrap().sinks);
            sinks.map(|sink| sink.count).collect()
        };
        let before = counts(&mut world);
        assert!(before.len() == 4 && before.iter().all(|count| *count > 200), "{before:?}");
        world.simulation.network.set_default_link(Link::default());
        let seen: Vec<_> = man.seen().into_iter().filter(|it| matches!(it.bytes[0], 128..=191)).collect();
        let dropped =
            |world: &mut World| world.offerer().pc.stats().dropped_media + world.answerer().pc.stats().dropped_media;
        let dropped_before = dropped(&mut world);
        for round in 0..3 {
            let all: Vec<_> = if round == 1 { seen.iter().rev().collect() } else { seen.iter().collect() };
            for it in all {
                let now = world.now();
                man.say(&mut world.simulation.network, now, it.path, &it.bytes);
            }
            world.simulation.run_for(SECOND).unwrap();
        }
        let (after, dropped) = (counts(&mut world), dropped(&mut world) - dropped_before);
        // What was lost of the first sending may come now, once, if it is not too old; all else was there.
        let late: u64 = after.iter().sum::<u64>() - before.iter().sum::<u64>();
        println!("seed {seed}: of {} replayed, {late} were new, {dropped} dropped", 3 * seen.len());
        assert!(late as usize <= seen.len() / 20, "{late} of {} came by a replay", seen.len());
        assert!(dropped as usize >= 3 * seen.len() * 9 / 10);
        world.transfer(5, 1000, MINUTE).unwrap();
    });
}

/// All lengths from 0 to 64 with every first byte, before the keys and after, and right packets that were cut: dropped before any cryptography
/// reads beyond them.
#[test]
fn attack_short_packets() {
    for_each_seed(1, |seed| {
        let mut duel = Duel::new(seed, Attack { media: true, ..Attack::default() });
        let mut random = random::seeded([seed as u8; 32]);
        for round in 0..3 {
            for (first, len) in (0..=255_u8).flat_map(|first| (0..=64).map(move |len| (first, len))) {
                let mut datagram: Vec<u8> = (0..len).map(|_| random.random()).collect();
                if let [one, ..] = &mut datagram[..] {
                    *one = first;
                }
                if let [_, two, ..] = &mut datagram[..]
                    && round == 1
                {
                    *two = [AUDIO, 200, 205, 255][first as usize % 4];
                }
                duel.hit(&datagram);
            }
            match round {
                0 => duel.run_for(Duration::from_millis(25)), // in the middle of the set-up
                _ => duel.connect(),
            }
        }
        for n in 0..200_u16 {
            let rtp = duel.adversary().protect(&rtp(n, 7, &[n as u8; 30]));
            let rtcp = duel.adversary().protect(&rtcp(1, 206, &[0xAD; 8]));
            for cut in 0..rtp.len() {
                duel.hit(&rtp[..cut]);
            }
            for cut in 0..rtcp.len() {
                duel.hit(&rtcp[..cut]);
            }
        }
        assert!(packets(&mut duel).is_empty());
        duel.still_works();
    });
}

/// SRTP's rollover counter around its border several times, with up to 30,000 packets lost at each, while forged packets claim to be far ahead: no
/// packet that is right is lost for it, and each has its number.
#[test]
fn attack_rollover_with_loss() {
    for_each_seed(3, |seed| {
        let mut duel = duel(seed);
        let mut random = random::seeded([seed as u8; 32]);
        let mut number = 65_000_u64;
        let mut sent = Vec::new();
        while number < 65_536 * 6 {
            for _ in 0..random.random_range(1..20) {
                let datagram = duel.adversary().protect(&rtp(number as u16, 7, &number.to_be_bytes()));
                let ahead = datagram.clone();
                for _ in 0..3 {
                    let mut forged = ahead.clone();
                    forged[2..4].copy_from_slice(&random.random::<u16>().to_be_bytes());
                    if forged != datagram {
                        duel.hit(&forged);
                    }
                }
                duel.hit(&datagram);
                sent.push(number);
                number += 1;
            }
            // The sender's own packets, which are lost; the protector must see those at the border, as a sender's does.
            let gap = random.random_range(2..30_000);
            for lost in [number + gap / 2, number + gap] {
                let _ = duel.adversary().protect(&rtp(lost as u16, 7, b"lost"));
            }
            number += gap + 1;
        }
        let heard = packets(&mut duel);
        let offset = heard[0].sequence_number.wrapping_sub(sent[0]);
        let numbers: Vec<u64> = heard.iter().map(|it| it.sequence_number.wrapping_sub(offset)).collect();
        assert_eq!(numbers, sent);
        assert!(heard.iter().zip(&sent).all(|(it, number)| it.payload[..] == number.to_be_bytes()));
        duel.still_works();
    });
}

/// Every number of padding with every length, CSRCs and extensions that lie: what is delivered is what RFC 3550 section 5.1 says, or nothing.
#[test]
fn attack_padding() {
    for_each_seed(1, |seed| {
        let mut duel = duel(seed);
        let mut number = 0_u16;
        for len in 0..=40_usize {
            for padding in 0..=255_u8 {
                number = number.wrapping_add(1);
                let mut payload = vec![0x77; len];
                if let Some(last) = payload.last_mut() {
                    *last = padding;
                }
                let mut packet = rtp(number, 7, &payload);
                packet[0] |= 0x20;
                duel.shoot(&packet);
                let heard = packets(&mut duel);
                let is_right = padding > 0 && usize::from(padding) <= len;
                match heard.as_slice() {
                    [] => assert!(!is_right || usize::from(padding) == len, "{padding} of {len} is right"),
                    [one] => {
                        assert!(is_right, "{padding} of {len} is wrong");
                        assert_eq!(one.payload.len(), len - usize::from(padding));
                    }
                    _ => panic!("one packet became {}", heard.len()),
                }
            }
        }
        let mut random = random::seeded([seed as u8; 32]);
        for n in 0..4000_usize {
            number = number.wrapping_add(1);
            let body: Vec<u8> = (0..random.random_range(0..80)).map(|_| random.random()).collect();
            let mut packet = rtp(number, 7, &body);
            let len = packet.len();
            packet[0] = 0x80 | random.random_range(0..64); // padding, extension, CSRCs
            // A packet whose header is beyond its end can't be protected as SRTP wants it: it is none.
            let header = 12 + 4 * usize::from(packet[0] & 15);
            let has_extension = packet[0] & 0x10 != 0;
            if len < header + 4 {
                continue;
            }
            if has_extension {
                packet[header..header + 2].copy_from_slice(&[[0xBE, 0xDE], [0x10, 0], [0, 0]][n % 3]);
                let words = random.random_range(0..=(len - header - 4) / 4);
                packet[header + 2..header + 4].copy_from_slice(&(words as u16).to_be_bytes());
            }
            duel.shoot(&packet);
            let heard = packets(&mut duel);
            assert!(heard.len() <= 1 && heard.iter().all(|it| it.payload.len() <= len - header));
        }
        // RTX without the number of what it repairs, and with little else. RFC 4588 section 4.
        for payload_type in 0..128_u8 {
            for len in 0..4 {
                number = number.wrapping_add(1);
                let mut packet = rtp(number, 1000 + u32::from(payload_type), &[0; 4][..len]);
                packet[1] = payload_type;
                if !(64..96).contains(&payload_type) {
                    duel.shoot(&packet);
                }
            }
        }
        duel.run_for(SECOND);
        duel.still_works();
    });
}

/// All that the victim ever sent is asked for again, a thousand times a second: it sends at most half as much again as it did, and 128 kbit/s.
#[test]
fn attack_nack_everything() {
    for_each_seed(1, |seed| {
        let mut duel = duel(seed);
        let ssrc = victims_video(&mut duel);
        let before = duel.adversary().bytes;
        duel.run_for(5 * SECOND);
        let usual = duel.adversary().bytes - before;
        let held = memory::live();
        let before = duel.adversary().bytes;
        let mut number = 0_u16;
        for _ in 0..5000 {
            // 250 times seventeen packets: in sixteen of these, all numbers that there are.
            let mut body = [0xADAD_ADAD_u32.to_be_bytes(), ssrc.to_be_bytes()].concat();
            for _ in 0..250 {
                body.extend_from_slice(&[&number.to_be_bytes()[..], &[0xFF, 0xFF]].concat());
                number = number.wrapping_add(17);
            }
            duel.shoot(&rtcp(1, 205, &body));
            duel.run_for(Duration::from_millis(1));
        }
        let (asked, more) = (duel.adversary().bytes - before, memory::live() - held);
        let bound = usual * 3 / 2 + 5 * 16_000 + (128 << 10) + usual / 5;
        println!("seed {seed}: {usual} bytes in 5 s, {asked} when everything is asked for 5000 times");
        assert!(asked < bound, "{asked} bytes, of {bound}");
        assert!(more < 4 << 20, "{more} bytes more are held");
        duel.still_works();
    });
}

/// Requests for key frames, receiver estimates, goodbyes and reports of every kind, with counts that lie, a thousand times a second; an application
/// that does not listen. What waits for it is bounded.
#[test]
fn attack_rtcp_of_every_kind() {
    for_each_seed(2, |seed| {
        let mut duel = duel(seed);
        let ssrc = victims_video(&mut duel);
        let mut random = random::seeded([seed as u8; 32]);
        duel.victim().listens = false;
        duel.victim().sources.clear();
        duel.run_for(SECOND);
        duel.adversary().forget();
        let (before, datagrams) = (memory::live(), duel.adversary().datagrams);
        for n in 0..8000_u32 {
            let mut body = [random.random::<u32>().to_be_bytes(), ssrc.to_be_bytes()].concat();
            body.extend((0..4 * random.random_range(0..40)).map(|_| random.random::<u8>()));
            let kind = 192 + (n % 32) as u8;
            let mut packet = rtcp(random.random_range(0..32), kind, &body);
            if n % 5 == 0 {
                packet[10..12].copy_from_slice(&random.random::<u16>().to_be_bytes());
            }
            duel.shoot(&packet);
            duel.shoot(&rtcp(1, 206, &[0xADAD_ADAD_u32.to_be_bytes(), ssrc.to_be_bytes()].concat()));
            // FIR: each a new one. RFC 5104 section 4.3.1.
            let fir = [[0; 4], [0; 4], ssrc.to_be_bytes(), [n as u8, 0, 0, 0]].concat();
            duel.shoot(&rtcp(4, 206, &fir));
            if n % 8 == 0 {
                duel.run_for(Duration::from_millis(1));
            }
        }
        duel.adversary().forget();
        let (more, said) = (memory::live() - before, duel.adversary().datagrams - datagrams);
        println!("seed {seed}: {more} bytes wait, {said} datagrams were said");
        assert!(more < 200_000, "{more} bytes wait for an application that does not listen");
        assert!(said < 500, "{said} datagrams in a second");
        duel.victim().listens = true;
        duel.still_works();
    });
}

/// Packets of as many sources as SRTP takes, and many of one, for an application that does not listen.
#[test]
fn attack_media_flood() {
    for_each_seed(1, |seed| {
        let mut duel = duel(seed);
        duel.victim().listens = false;
        let before = memory::live();
        for n in 0..MAX_SOURCES as u32 {
            for of in 0..20 {
                duel.shoot(&rtp(of, n, &[7; 500]));
            }
        }
        for n in 0..20_000_u16 {
            duel.shoot(&rtp(100 + n.wrapping_mul(3), 0, &[7; 1000]));
            if n % 100 == 0 {
                duel.run_for(Duration::from_millis(1));
            }
        }
        let held = memory::live() - before;
        println!("seed {seed}: {held} bytes of 22 MB");
        assert!(held < 4 << 20, "{held} bytes are held of 22 MB");
        duel.victim().listens = true;
        duel.still_works();
    });
}

/// Transport-wide numbers that jump, repeat and go backwards, with names (mid, rid) of nobody: what the victim keeps of them is bounded, and what it
/// reports of them is less than it was sent.
#[test]
fn attack_transport_numbers() {
    for_each_seed(2, |seed| {
        let mut duel = duel(seed);
        let id = |of: &str| {
            let line = duel.answer.lines().find(|line| line.starts_with("a=extmap:") && line.ends_with(of)).unwrap();
            line["a=extmap:".len()..].split([' ', '/']).next().unwrap().parse::<u8>().unwrap()
        };
        let (transport, mid) = (id("transport-wide-cc-extensions-01"), id("sdes:mid"));
        let mut random = random::seeded([seed as u8; 32]);
        duel.adversary().forget();
        let (before, heard) = (memory::live(), duel.adversary().bytes);
        let mut sent = 0;
        for n in 0..20_000_u16 {
            let number: u16 = match n % 4 {
                0 => random.random(),
                1 => n,
                2 => n.wrapping_mul(32_767),
                _ => n.wrapping_sub(20_000),
            };
            // One-byte elements: the number, and a name of four letters. RFC 8285 section 4.2.
            let mut elements = vec![transport << 4 | 1];
            elements.extend_from_slice(&number.to_be_bytes());
            match n % 5 {
                0 => {
                    elements.push(mid << 4 | 3);
                    elements.extend((0..4).map(|_| random.random_range(b'a'..=b'z')));
                }
                _ => elements.extend_from_slice(&[0; 5]),
            }
            let extension = [&[0xBE, 0xDE, 0, 2][..], &elements].concat();
            let mut packet = rtp(n, 7, &[&extension[..], &[7; 20]].concat());
            packet[0] |= 0x10;
            sent += packet.len() as u64;
            duel.shoot(&packet);
            if n % 4 == 0 {
                duel.run_for(Duration::from_millis(1));
                duel.victim().testimony.as_mut().unwrap().packets.clear();
            }
        }
        duel.run_for(SECOND);
        duel.adversary().forget();
        let (held, said) = (memory::live() - before, duel.adversary().bytes - heard);
        println!("seed {seed}: {held} bytes held, {said} said of {sent} heard");
        assert!(held < 1 << 20, "{held} bytes");
        assert!((sent / 1000..sent / 2).contains(&said), "{said} bytes of reports about {sent}");
        duel.still_works();
    });
}

/// Feedback about 65,535 packets in thirty bytes, against feedback of the same length about a few: about the same work.
#[test]
fn attack_transport_feedback_bomb() {
    for_each_seed(1, |seed| {
        let mut duel = duel(seed);
        let ssrc = victims_video(&mut duel);
        let feedback = |count: u16, chunks: &[u16]| {
            let mut body = [0xADAD_ADAD_u32.to_be_bytes(), ssrc.to_be_bytes()].concat();
            body.extend_from_slice(&[0, 1]);
            body.extend_from_slice(&count.to_be_bytes());
            body.extend_from_slice(&[0, 0, 1, 0]);
            chunks.iter().for_each(|chunk| body.extend_from_slice(&chunk.to_be_bytes()));
            body.resize(body.len().next_multiple_of(4), 0);
            rtcp(15, 205, &body)
        };
        // Runs of what did not arrive: 8,191 each. draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.3.
        let bomb = feedback(65_535, &[0x1FFF, 0x1FFF, 0x1FFF, 0x1FFF, 0x1FFF, 0x1FFF, 0x1FFF, 0x1FFF, 7]);
        // What arrived, with steps that are not there.
        let lies = feedback(65_535, &[0x3FFF; 9]);
        let small = feedback(9, &[1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(bomb.len(), small.len());
        let mut time = |packet: &[u8]| {
            let run = |duel: &mut Duel| {
                let datagrams: Vec<_> = (0..200).map(|_| duel.adversary().protect(packet)).collect();
                let began = std::time::Instant::now();
                datagrams.iter().for_each(|it| duel.hit(it));
                began.elapsed()
            };
            (0..7).map(|_| run(&mut duel)).min().unwrap()
        };
        let [small, bomb, lies] = [&small, &bomb, &lies].map(|it| time(it));
        println!("200 of nine packets in {small:?}, of 65,535 in {bomb:?}, with lies in {lies:?}");
        assert!(bomb < small * 4 && lies < small * 4, "{small:?}, {bomb:?}, {lies:?}");
        duel.run_for(SECOND);
        duel.still_works();
    });
}
