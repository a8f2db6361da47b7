//! Attacks on SCTP and data channels by a peer whose DTLS is in order: whatever it says inside, the victim does not panic, hang or grow,
//! delivers nothing that was not said rightly, and still works. RFC 9260 section 8.5, RFC 3758, 6525, 8832.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rand::RngExt;
use wigwag::{ConnectionState, random};
use wigwag_scenarios::adversary::sctp::*;
use wigwag_scenarios::adversary::{Attack, Duel, Stage};
use wigwag_scenarios::{config, for_each_seed, memory};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const WINDOW: usize = 256 << 10;

/// What is held more than `before`, without what the adversary remembers.
fn held(duel: &mut Duel, before: isize) -> isize {
    duel.adversary().forget();
    memory::live() - before
}

/// A value that is a right one for each kind of chunk, as far as a wrong tag is concerned.
fn value_for(kind: u8, duel: &mut Duel) -> Vec<u8> {
    let script = &duel.adversary().script;
    match kind {
        DATA => data(script.tsn, 0, 1, BINARY, b"forged"),
        INIT | INIT_ACK => init(0x6666_6666, 1 << 20, 100, 1, Some(b"a cookie")),
        SACK => sack(script.cumulative, 0, &[], &[]),
        HEARTBEAT | HEARTBEAT_ACK => parameter(1, b"information"),
        SHUTDOWN => script.cumulative.to_be_bytes().to_vec(),
        RE_CONFIG => parameter(13, &[script.tsn.to_be_bytes(), [0; 4], script.tsn.to_be_bytes()].concat()),
        FORWARD_TSN => script.tsn.wrapping_add(100).to_be_bytes().to_vec(),
        ABORT | COOKIE_ACK | SHUTDOWN_COMPLETE => Vec::new(),
        _ => vec![0; 16],
    }
}

/// Every type of chunk, with every wrong tag, before the association, within its handshake, when it is up, and while it is closed.
#[test]
fn attack_wrong_tags() {
    for_each_seed(1, |seed| {
        for stage in [Stage::Mute, Stage::Init, Stage::Up] {
            let mut duel = Duel::new(seed, Attack { stage, ..Attack::default() });
            duel.connect();
            let (ours, right) = {
                let script = &duel.adversary().script;
                (script.tag, script.victims_tag)
            };
            for tag in [0, ours, right ^ 1, right.swap_bytes(), 0x1234_5678, u32::MAX] {
                for kind in 0..=255_u8 {
                    for flags in [0, 1, 3] {
                        // An INIT has no tag; with the T bit, an end may carry the receiver's own (section 8.5.1).
                        let is_reflected = flags & 1 == 1 && matches!(kind, ABORT | SHUTDOWN_COMPLETE) && tag == ours;
                        if tag == 0 && kind == INIT || is_reflected || tag == right {
                            continue;
                        }
                        let value = value_for(kind, &mut duel);
                        duel.strike(&packet(tag, &[(kind, flags, &value)]));
                    }
                }
                duel.run_for(Duration::from_millis(20));
                assert!(duel.victim().is_connected(), "{stage:?}, tag {tag:x}");
                assert!(duel.victim().testimony.as_ref().unwrap().messages.is_empty());
            }
            // What was missing is said now, and all is well.
            duel.adversary().script.stage = Stage::Up;
            duel.run_until(MINUTE, |victim| !victim.opened.is_empty()).unwrap();
            duel.still_works();

            // And while the victim leaves: it goes when it should, not before.
            duel.adversary().script.acknowledges = false;
            let channel = duel.channel;
            duel.victim().say(channel, 1, 5000);
            duel.run_for(Duration::from_millis(50));
            let now = duel.now();
            duel.victim().pc.close(now);
            for kind in 0..=255_u8 {
                let value = value_for(kind, &mut duel);
                duel.strike(&packet(right ^ 1, &[(kind, 0, &value)]));
            }
            duel.run_for(SECOND);
            assert_ne!(duel.victim().states.last(), Some(&ConnectionState::Closed));
            duel.run_until(MINUTE, |victim| victim.pc.is_closed()).unwrap();
        }
    });
}

/// Cookies of which any bit is another, of another connection, and of long ago: none makes an association. And ten thousand INITs cost nothing.
#[test]
fn attack_forged_and_stale_cookies() {
    for_each_seed(1, |seed| {
        let ask = |duel: &mut Duel| {
            let value = init(0x0BAD_CAFE, 1 << 20, 1000, 77, None);
            duel.strike(&packet(0, &[(INIT, 0, &value)]));
            duel.run_for(Duration::from_millis(50));
            let answers = find(&duel.adversary().heard, INIT_ACK);
            let answer = answers.last().expect("an INIT is answered").clone();
            (be32(&answer, 0), find_parameter(&answer, 7).expect("with a cookie"))
        };
        let mute = || Attack { stage: Stage::Mute, ..Attack::default() };
        let mut duel = Duel::new(seed, mute());
        duel.connect();
        let (tag, cookie) = ask(&mut duel);
        let acks = |duel: &mut Duel| find(&duel.adversary().heard, COOKIE_ACK).len();
        for bit in 0..cookie.len() * 8 {
            let mut forged = cookie.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            duel.strike(&packet(tag, &[(COOKIE_ECHO, 0, &forged)]));
        }
        for len in 0..cookie.len() {
            duel.strike(&packet(tag, &[(COOKIE_ECHO, 0, &cookie[..len])]));
        }
        let mut other = Duel::new(seed + 1000, mute());
        other.connect();
        let (_, stolen) = ask(&mut other);
        duel.strike(&packet(tag, &[(COOKIE_ECHO, 0, &stolen)]));
        duel.run_for(SECOND);
        assert_eq!(acks(&mut duel), 0);

        let before = held(&mut duel, 0);
        for n in 0..10_000_u32 {
            let value = init(n + 1, 1 << 20, 1000, n, Some(&[7; 100]));
            duel.strike(&packet(0, &[(INIT, 0, &value)]));
        }
        let peak = held(&mut duel, before);
        assert!(peak < 20_000, "{peak} bytes are held for INITs that nobody answered");
        assert!(duel.victim().opened.is_empty() && duel.victim().is_connected());

        // Of an association that is up: who starts anew with a cookie of two minutes ago is told so, and nothing else changes.
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        duel.still_works();
        let (tag, cookie) = ask(&mut duel);
        duel.run_for(2 * MINUTE);
        duel.adversary().forget();
        duel.strike(&packet(tag, &[(COOKIE_ECHO, 0, &cookie)]));
        duel.run_for(SECOND);
        let errors = find(&duel.adversary().heard, ERROR);
        assert_eq!(acks(&mut duel), 0, "a cookie of two minutes ago");
        assert!(errors.iter().any(|it| it.starts_with(&[0, 3])), "Stale Cookie is told: {errors:?}");
        duel.still_works();
    });
}

/// Acknowledgements of what was never sent, gaps that lie, windows that flap: the victim sends no more than it would, and no less in the end.
#[test]
fn attack_crafted_sacks() {
    for_each_seed(2, |seed| {
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        let mut random = random::seeded([seed as u8; 32]);
        duel.adversary().script.acknowledges = false;
        let channel = duel.channel;
        let before = held(&mut duel, 0);
        duel.victim().say(channel, 100, 1000);
        duel.run_for(Duration::from_millis(100));
        let (datagrams, cumulative) = (duel.adversary().datagrams, duel.adversary().script.cumulative);
        for n in 0..3000_u32 {
            // Around what was sent and far away; blocks inverted, overlapping, empty, at the end of the numbers.
            let ack = match n % 4 {
                0 => cumulative.wrapping_sub(random.random_range(1..1000)),
                1 => cumulative.wrapping_add(random.random_range(1000..1 << 31)),
                _ => random.random(),
            };
            let is_near = ack.wrapping_sub(cumulative) < 1000;
            let ack = if is_near { ack ^ 1 << 31 } else { ack };
            let gaps: Vec<(u16, u16)> = (0..random.random_range(0..290)).map(|_| random.random()).collect();
            let duplicates: Vec<u32> = (0..random.random_range(0..5)).map(|_| random.random()).collect();
            let a_rwnd = [0, 1, 1499, 1 << 20, u32::MAX][random.random_range(0..5)];
            let value = sack(ack, a_rwnd, &gaps, &duplicates);
            duel.strike_chunks(&[(SACK, 0, &value)]);
            // The right number, and blocks that lie: empty, inverted, of what was never sent.
            let lies = [(0, 0), (0, u16::MAX), (5, 2), (60_000, u16::MAX), (u16::MAX, 1)];
            let value = sack(cumulative, a_rwnd, &lies[..random.random_range(0..=5)], &[]);
            duel.strike_chunks(&[(SACK, 0, &value)]);
            // What they claim more than they can.
            let mut short = sack(cumulative, a_rwnd, &[(1, 1)], &[]);
            short[9] = 200;
            duel.strike_chunks(&[(SACK, 0, &short)]);
            if n % 100 == 0 {
                duel.run_for(Duration::from_millis(10));
            }
        }
        let sent = duel.adversary().datagrams - datagrams;
        // 300 ms of time: what was lost is sent again, once for each lie at most that a timer allows.
        assert!(sent < 500, "{sent} datagrams of 100 messages");
        // Acknowledged, taken back, acknowledged, at every look.
        for n in 0..200_u32 {
            let gaps: &[(u16, u16)] = if n % 2 == 0 { &[(2, 40)] } else { &[] };
            let value = sack(cumulative, 1 << 20, gaps, &[]);
            duel.strike_chunks(&[(SACK, 0, &value)]);
            duel.run_for(Duration::from_millis(5));
        }
        let peak = memory::take_peak() - before;
        assert!(peak < 4 << 20, "{peak} bytes for 100 kB");
        duel.adversary().script.acknowledges = true;
        duel.run_for(10 * SECOND);
        duel.still_works();
        let heard = &duel.adversary().script.heard;
        assert_eq!(heard.iter().filter(|it| it.1 == BINARY).count(), 101, "each message once");
    });
}

/// Each piece is one byte, and every second is missing; and messages that never end. What is held is bounded by the window.
#[test]
fn attack_one_byte_gaps() {
    for_each_seed(1, |seed| {
        let mut config = config(seed, 1);
        config.receive_window = WINDOW;
        let mut duel = Duel::with(seed, config, Attack::default(), |sdp| sdp);
        duel.connect();
        let (stream, tsn) = (duel.stream(), duel.adversary().script.tsn);
        let before = held(&mut duel, 0);
        let mut most = 0;
        for n in 1..60_000_u32 {
            // Alone, as the beginning of what never ends, and as a middle of what never began; ordered and not.
            let flags = [WHOLE, BEGINNING, 0, WHOLE | UNORDERED, UNORDERED | BEGINNING][n as usize % 5];
            let value = data(tsn.wrapping_add(2 * n), stream, n as u16, BINARY, b"x");
            duel.strike_chunks(&[(DATA, flags, &value)]);
            if n % 1000 == 0 {
                duel.run_for(Duration::from_millis(1));
                most = held(&mut duel, before).max(most);
            }
        }
        println!("seed {seed}: {most} bytes held for 60,000 pieces, with a window of {WINDOW}");
        assert!(most < 3 * WINDOW as isize, "{most} bytes are held, with a window of {WINDOW}");
        duel.run_for(SECOND);
        // Whole and unordered ones come; what has its place in an order waits for the hole.
        let messages = std::mem::take(&mut duel.victim().testimony.as_mut().unwrap().messages);
        assert!(messages.len() <= 12_000 && messages.iter().all(|(_, it)| &it[..] == b"x"));
        // The same TSN with another content, a thousand times.
        for n in 0..1000_u32 {
            let value = data(tsn.wrapping_add(4), stream, n as u16, n, &[n as u8; 900]);
            duel.strike_chunks(&[(DATA, n as u8 & 15, &value)]);
        }
        let more = held(&mut duel, before);
        assert!(more < 3 * WINDOW as isize);
        // A message without an end: as much as the window, or the largest message, has room for.
        let tsn = duel.adversary().script.tsn;
        for n in 0..3000_u32 {
            let flags = if n == 0 { BEGINNING } else { 0 };
            let value = data(tsn.wrapping_add(n), stream, 1, BINARY, &[7; 1100]);
            duel.strike_chunks(&[(DATA, flags, &value)]);
        }
        duel.run_for(SECOND);
        let endless = held(&mut duel, before);
        assert!(endless < 4 * WINDOW as isize, "{endless} bytes of a message without an end");
        let victim = duel.victim();
        assert!(victim.testimony.as_ref().unwrap().messages.is_empty());
        // All of it is gone with the connection.
        let now = duel.now();
        duel.victim().pc.close(now);
        duel.run_until(MINUTE, |victim| victim.pc.is_closed()).unwrap();
    });
}

/// FORWARD-TSN to and fro, of all streams; chunks of extensions that nobody agreed on (I-DATA, I-FORWARD-TSN, AUTH, ASCONF).
#[test]
fn attack_forward_tsn() {
    for_each_seed(3, |seed| {
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        let stream = duel.stream();
        let mut random = random::seeded([seed as u8; 32]);
        let before = held(&mut duel, 0);
        for n in 0..2000_u32 {
            let at = duel.adversary().script.tsn;
            // Backwards, and half around: not taken.
            let back = [at.wrapping_sub(random.random_range(1..1 << 20)), at.wrapping_add(1 << 31)][n as usize % 2];
            let mut value = back.to_be_bytes().to_vec();
            let skipped: Vec<[u16; 2]> =
                (0..random.random_range(0..280)).map(|_| [random.random(), random.random()]).collect();
            // (Not of the stream that is looked at in the end.)
            for [of, ssn] in skipped.iter().filter(|it| it[0] != stream) {
                value.extend_from_slice(&[of.to_be_bytes(), ssn.to_be_bytes()].concat());
            }
            value.truncate(1200);
            duel.strike_chunks(&[(FORWARD_TSN, 0, &value)]);
            // Forwards by a little: taken, whatever streams it names.
            if n % 10 == 0 {
                let skip = random.random_range(1..50);
                duel.adversary().script.tsn = at.wrapping_add(skip);
                value[..4].copy_from_slice(&at.wrapping_add(skip - 1).to_be_bytes());
                duel.strike_chunks(&[(FORWARD_TSN, 0, &value)]);
            }
            let odd = [64, 194, 0x0F, 0xC1, 0x80, 0x84, 12, 13][n as usize % 8];
            let len = random.random_range(0..100);
            let noise: Vec<u8> = (0..len).map(|_| random.random()).collect();
            duel.strike_chunks(&[(odd, random.random(), &noise)]);
            if n % 50 == 0 {
                duel.run_for(Duration::from_millis(1));
            }
        }
        let more = held(&mut duel, before);
        println!("seed {seed}: {more} bytes for 2,200 FORWARD-TSNs that name 280 streams each");
        assert!(more < 2 << 20, "{more} bytes");
        duel.run_for(SECOND);
        assert!(duel.victim().testimony.as_ref().unwrap().messages.is_empty());
        duel.still_works();
        // As far ahead as there is an ahead, with a hole behind and data on either side.
        for far in [1 << 16, 1 << 24, 1 << 30, (1 << 31) - 10] {
            let at = duel.adversary().script.tsn;
            let held = data(at.wrapping_add(2), stream, 40_000, BINARY, b"never");
            duel.strike_chunks(&[(DATA, BEGINNING, &held)]);
            duel.strike_chunks(&[(FORWARD_TSN, 0, &at.wrapping_add(far).to_be_bytes())]);
            duel.adversary().script.tsn = at.wrapping_add(far + 1);
            duel.run_for(Duration::from_millis(300));
            duel.still_works();
        }
    });
}

/// DATA_CHANNEL_OPEN that is none: cut, with lengths that lie, again and again, of the wrong parity, on every stream. And data on streams without a channel.
#[test]
fn attack_dcep_nonsense() {
    for_each_seed(2, |seed| {
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        let stream = duel.stream();
        let mut random = random::seeded([seed as u8; 32]);
        let before = held(&mut duel, 0);
        let mut most = 0;
        let say = |duel: &mut Duel, stream: u16, ssn: u16, ppid: u32, payload: &[u8]| {
            let packet = duel.adversary().script.message(stream, ssn, ppid, payload);
            duel.strike(&packet);
        };
        for n in 0..3000_u16 {
            let on = loop {
                let on: u16 = random.random();
                if on != stream {
                    break on;
                }
            };
            let right = open(random.random(), b"label", b"protocol");
            let mut lies = right.clone();
            lies[8 + n as usize % 4] = random.random();
            say(&mut duel, on, 0, DCEP, &right[..1 + n as usize % right.len()]);
            say(&mut duel, on, 1, DCEP, &lies);
            say(&mut duel, on, 2, DCEP, &right);
            say(&mut duel, on, 3, DCEP, &[2]);
            say(&mut duel, on, 4, DCEP, &[random.random(), random.random()]);
            say(&mut duel, on.wrapping_add(1), 0, [0, 49, 51, 52, 54, 56, 57, 58, u32::MAX][n as usize % 9], b"early");
            if n % 30 == 0 {
                duel.run_for(Duration::from_millis(1));
                most = held(&mut duel, before).max(most);
            }
        }
        for n in 0..20_u16 {
            say(&mut duel, 60_000 + n, 0, DCEP, &open(0, &[0xFF; 1000], &[0xC0; 80]));
        }
        duel.run_for(SECOND);
        most = held(&mut duel, before).max(most);
        let opened = duel.victim().opened.len();
        println!("seed {seed}: {opened} channels, {most} bytes");
        assert!(opened <= 1 + 3100 && most < 6 << 20, "{opened} channels, {most} bytes");
        assert!(duel.victim().closed.is_empty() && duel.victim().is_connected());
        // The next in order on the victim's own channel.
        duel.victim().testimony.as_mut().unwrap().messages.clear();
        duel.still_works();
    });
}

/// Requests to reset streams that are not there, again and again, with wrong numbers, and answers to questions that nobody asked.
#[test]
fn attack_resets() {
    for_each_seed(2, |seed| {
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        let stream = duel.stream();
        let mut random = random::seeded([seed as u8; 32]);
        let before = held(&mut duel, 0);
        let mut most = 0;
        let start = duel.adversary().script.tsn.wrapping_sub(1);
        for n in 0..3000_u32 {
            let number = [start, start.wrapping_add(n), random.random()][n as usize % 3];
            let mut value = [number.to_be_bytes(), random.random::<u32>().to_be_bytes(), start.to_be_bytes()].concat();
            let mut of: Vec<u16> =
                (0..random.random_range(0..500)).map(|_| random.random()).filter(|&of| of != stream).collect();
            of.push(stream ^ 1); // none at all would be all of them
            of.iter().for_each(|of| value.extend_from_slice(&of.to_be_bytes()));
            // RFC 6525 sections 4.1 to 4.6.
            let kind = [13, 13, 13, 14, 16, 17, 18, 15][n as usize % 8];
            let value = if kind == 13 { value } else { value[..12.min(value.len())].to_vec() };
            let request = parameter(kind, &value);
            let more = parameter(16, &[random.random::<u32>().to_be_bytes(), [0, 0, 0, n as u8 % 8]].concat());
            // SSN/TSN resets and added streams are other things than WebRTC does; a TSN reset would end the adversary's own account.
            if kind != 15 {
                duel.strike_chunks(&[(RE_CONFIG, 0, &[request, more].concat())]);
            }
            let noise: Vec<u8> = (0..random.random_range(0..60)).map(|_| random.random()).collect();
            let cut = parameter(16, &noise);
            duel.strike_chunks(&[(RE_CONFIG, 0, &cut)]);
            if n % 100 == 0 {
                duel.run_for(Duration::from_millis(1));
                most = held(&mut duel, before).max(most);
            }
        }
        println!("seed {seed}: {most} bytes");
        assert!(most < 1 << 20, "{most} bytes");
        duel.run_for(SECOND);
        duel.still_works();
    });
}

/// Anything, with the right tag, by a peer that gives a message now and then: no panic, no hang, bounded, and it ends when the application says.
#[test]
fn attack_any_chunks() {
    for_each_seed(12, |seed| {
        let mut config = config(seed, 1);
        config.receive_window = WINDOW;
        let stage = [Stage::Mute, Stage::Init, Stage::Up, Stage::Up][seed as usize % 4];
        let mut duel = Duel::with(seed, config, Attack { stage, ..Attack::default() }, |sdp| sdp);
        duel.connect();
        let mut random = random::seeded([seed as u8; 32]);
        let channel = duel.channel;
        let before = held(&mut duel, 0);
        for _ in 0..400 {
            let kinds = [0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 130, 192, 192, 64, 194, 255];
            let mut all = Vec::new();
            for _ in 0..random.random_range(1..5) {
                let kind = kinds[random.random_range(0..kinds.len())];
                // Ends would make it short.
                if matches!(kind, 6..=8 | 14) && random.random_range(0..50) > 0 {
                    continue;
                }
                let mut value = value_for(kind, &mut duel);
                for _ in 0..random.random_range(0..4) {
                    let at = random.random_range(0..value.len().max(1));
                    if let Some(byte) = value.get_mut(at) {
                        *byte = random.random();
                    }
                }
                if random.random_range(0..4) == 0 {
                    value.truncate(random.random_range(0..=value.len()));
                }
                all.push((kind, random.random::<u8>(), value));
            }
            let chunks: Vec<_> = all.iter().map(|(kind, flags, value)| (*kind, *flags, &value[..])).collect();
            let mut packet = duel.adversary().script.packet(&chunks);
            if random.random_range(0..10) == 0 {
                packet.truncate(random.random_range(0..packet.len()));
                checksum(&mut packet);
            }
            if !duel.adversary().dtls.is_connected() {
                break; // the victim had enough of it
            }
            duel.strike(&packet);
            duel.victim().say(channel, 1, 500);
            if random.random_range(0..5) == 0 {
                duel.run_for(Duration::from_millis(random.random_range(1..200)));
            }
        }
        duel.run_for(SECOND);
        let more = held(&mut duel, before);
        assert!(more < 4 * WINDOW as isize, "{more} bytes");
        let now = duel.now();
        duel.victim().pc.close(now);
        duel.run_until(MINUTE, |victim| victim.pc.is_closed()).unwrap();
    });
}
