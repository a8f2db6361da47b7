//! Attacks by signalling: descriptions of a megabyte in one line or in as many as can be, candidates without end. What comes of each is a
//! typed error or an agreement, in time and memory that grow with the text, and the connection can be used afterwards. And what a
//! description must not give away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use wigwag::{
    CandidateError, DescriptionError, Event, Gathering, IceCandidate, Input, Interface, MediaKind, PeerConnection,
    Request, SdpType, SessionDescription, SignalingState, TransceiverInit, TransmitBuffer,
};
use wigwag_scenarios::{ADDRESSES, World, config, exchange, for_each_seed, memory, reachable};

const NOW: wigwag::Instant = wigwag::Instant(1_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const MEGABYTE: usize = 1 << 20;

/// An offer as it should be, of data, audio and video.
fn right(seed: u64) -> String {
    let mut peer = reachable(config(seed, 1), 0);
    peer.pc.create_data_channel("data", Default::default()).unwrap();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        peer.pc.add_transceiver(kind, TransceiverInit::default()).unwrap();
    }
    peer.pc.set_local_description_implicitly(NOW).unwrap().sdp
}

/// A line that begins with `head`, of this length in all, by repeating `body`.
fn line(head: &str, body: &str, len: usize) -> String {
    let count = len.saturating_sub(head.len() + 2) / body.len();
    format!("{head}{}\r\n", body.repeat(count))
}

/// Lines from `make`, until they are that long together.
fn lines(len: usize, make: impl Fn(usize) -> String) -> String {
    let mut all = String::new();
    for n in 0.. {
        let one = make(n);
        if all.len() + one.len() + 2 > len {
            break;
        }
        all += &one;
        all += "\r\n";
    }
    all
}

type Bomb = (&'static str, fn(&str, usize) -> String);

/// Texts made of a right one, of about a length.
const BOMBS: &[Bomb] = &[
    ("nothing", |_, len| "\0".repeat(len)),
    ("one line", |_, len| "a".repeat(len)),
    ("line ends", |_, len| "\r\n".repeat(len / 2)),
    ("v=", |sdp, len| sdp.replacen("v=0\r\n", &line("v=", "0", len), 1)),
    ("o=", |sdp, len| sdp.replacen("o=", &(line("o=- ", "1 ", len) + "o="), 1)),
    ("s=", |sdp, len| sdp.replacen("s=", &line("s=", "x", len), 1)),
    ("groups", |sdp, len| sdp.replacen("m=", &(line("a=group:BUNDLE ", "0 ", len) + "m="), 1)),
    ("an attribute", |sdp, len| sdp.to_owned() + &line("a=", "x", len)),
    ("colons", |sdp, len| sdp.to_owned() + &line("a=", ":", len)),
    ("a candidate", |sdp, len| sdp.to_owned() + &line("a=candidate:1 1 udp 1 10.0.0.1 9 typ host ", "x y ", len)),
    ("candidates", |sdp, len| {
        sdp.to_owned()
            + &lines(len, |n| {
                format!("a=candidate:c{n} 1 udp {n} 10.1.{}.{} {} typ host", n / 256 % 256, n % 256, n % 65536)
            })
    }),
    ("a fingerprint", |sdp, len| sdp.to_owned() + &line("a=fingerprint:sha-256 ", "AB:", len)),
    ("fingerprints", |sdp, len| {
        sdp.to_owned() + &lines(len, |n| format!("a=fingerprint:sha-256 {}{:02X}", "AB:".repeat(31), n % 256))
    }),
    ("formats", |sdp, len| {
        sdp.replacen("m=audio 9 UDP/TLS/RTP/SAVPF", &line("m=audio 9 UDP/TLS/RTP/SAVPF", " 111", len), 1)
    }),
    ("rtpmaps", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("a=rtpmap:{} codec{n}/90000", n % 256))),
    ("an fmtp", |sdp, len| sdp.to_owned() + &line("a=fmtp:96 ", "x=y;", len)),
    ("fmtps", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("a=fmtp:{} apt={}", n % 128, (n + 1) % 128))),
    ("feedback", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("a=rtcp-fb:* x{n}"))),
    ("extmaps", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("a=extmap:{} urn:x:{n}", n % 300))),
    ("rids", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("a=rid:r{n} send pt=96"))),
    ("a simulcast", |sdp, len| sdp.to_owned() + &line("a=simulcast:send ", "a,~b;", len)),
    ("sources", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("a=ssrc:{n} cname:x"))),
    ("a source group", |sdp, len| sdp.to_owned() + &line("a=ssrc-group:FID ", "1 2 ", len)),
    ("sections", |sdp, len| {
        let (head, _) = sdp.split_once("m=").unwrap();
        head.to_owned()
            + &lines(len.saturating_sub(head.len()), |n| format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{n}"))
    }),
    ("sections with the same mid", |sdp, len| {
        let (head, _) = sdp.split_once("m=").unwrap();
        head.to_owned()
            + &lines(len.saturating_sub(head.len()), |_| "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0".to_owned())
    }),
    ("numbers", |sdp, len| {
        sdp.to_owned() + &line("a=sctp-port:", "9", len) + &line("a=max-message-size:", "9", len / 2)
    }),
    ("bandwidths", |sdp, len| sdp.to_owned() + &lines(len, |n| format!("b=AS:{n}"))),
    ("ice options", |sdp, len| sdp.to_owned() + &line("a=ice-options:", "x ", len)),
    ("a fragment", |sdp, len| sdp.replace("a=ice-ufrag:", &format!("a=ice-ufrag:{}", "a".repeat(len / 4)))),
    ("a password", |sdp, len| sdp.replace("a=ice-pwd:", &format!("a=ice-pwd:{}", "a".repeat(len / 4)))),
    ("a mid", |sdp, len| sdp.replacen("a=mid:", &format!("a=mid:{}", "m".repeat(len)), 1)),
    ("letters of four bytes", |sdp, len| sdp.to_owned() + &line("a=x:", "\u{1F600}", len)),
];

/// What applying it took: time, and bytes held afterwards.
fn apply(seed: u64, text: &str) -> (Duration, isize, Result<(), DescriptionError>) {
    let mut peer = reachable(config(seed, 2), 1);
    let offer = SessionDescription { kind: SdpType::Offer, sdp: text.to_owned() };
    let before = memory::live();
    memory::take_peak();
    let began = Instant::now();
    let outcome = peer.pc.set_remote_description(NOW, offer);
    // The answer says as much as can be said.
    let answered = outcome.clone().and_then(|()| peer.pc.set_local_description_implicitly(NOW).map(|_| ()));
    let took = began.elapsed();
    let peak = memory::take_peak() - before;
    assert!(peak < 40 * MEGABYTE as isize, "{peak} bytes at most");
    let held = memory::live() - before;
    if outcome.is_err() {
        assert_eq!(peer.pc.signaling_state(), SignalingState::Stable, "a refused description changes nothing");
        let mut other = reachable(config(seed, 3), 0);
        other.pc.create_data_channel("data", Default::default()).unwrap();
        exchange(NOW, &mut other.pc, &mut peer.pc, |sdp| sdp);
    }
    (took, held, outcome.and(answered))
}

/// Each bomb at half a megabyte and at nearly one: the second takes about twice as long, not four times, and what is held is of the text's order.
#[test]
fn attack_sdp_bombs() {
    for_each_seed(1, |seed| {
        let right = right(seed);
        assert!(apply(seed, &right).2.is_ok());
        let (mut slowest, mut largest) = ((Duration::ZERO, ""), (0, ""));
        for (name, bomb) in BOMBS {
            let size = MEGABYTE - 6000;
            let [half, whole] = [size / 2, size].map(|len| bomb(&right, len));
            let best = |text: &str| (0..2).map(|_| apply(seed, text)).min_by_key(|it| it.0).unwrap();
            let ((half_time, ..), (time, held, outcome)) = (best(&half), best(&whole));
            // Below some time, only noise differs.
            let is_linear = time < half_time * 3 || time < Duration::from_millis(60);
            let again = || best(&whole).0 < best(&half).0 * 3; // others may have wanted the processor
            assert!(is_linear || again(), "{name}: {half_time:?} for a half, {time:?} for the whole, {outcome:?}");
            assert!(time < Duration::from_secs(3), "{name} takes {time:?}");
            assert!(held < 16 * MEGABYTE as isize, "{name}: {held} bytes are held of {}", whole.len());
            (slowest, largest) = (slowest.max((time, name)), largest.max((held, name)));
        }
        println!("slowest {slowest:?}, largest {largest:?}");
        // More than is read is said to be so, at once.
        for text in [right.clone() + &line("a=", "x", MEGABYTE), "a=x\r\n".repeat(MEGABYTE), "m=".repeat(8 * MEGABYTE)]
        {
            let (_, held, outcome) = apply(seed, &text);
            assert!(matches!(outcome, Err(DescriptionError::Syntax(_))), "{outcome:?}");
            assert!(held < 10_000);
        }
    });
}

/// A right description and its every prefix, and each with one byte changed: an error or an agreement, never a panic. Then the right one.
#[test]
fn attack_mutated_descriptions() {
    for_each_seed(3, |seed| {
        let right = right(seed);
        let mut random = wigwag::random::seeded([seed as u8; 32]);
        let mut outcomes = [0, 0];
        for n in 0..400_usize {
            let mut bytes = right.clone().into_bytes();
            match n % 4 {
                0 => bytes.truncate(rand::RngExt::random_range(&mut random, 0..bytes.len())),
                _ => {
                    for _ in 0..n % 4 {
                        let at = rand::RngExt::random_range(&mut random, 0..bytes.len());
                        bytes[at] = b" :;/,=*-0129az\r\n\x00\x7F"[rand::RngExt::random_range(&mut random, 0..18)];
                    }
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            outcomes[usize::from(apply(seed, &text).2.is_ok())] += 1;
        }
        println!("seed {seed}: {} refused, {} taken", outcomes[0], outcomes[1]);
        assert!(outcomes[0] > 10 && outcomes[1] > 10);
    });
}

/// Candidates that are none, of a megabyte, and by the thousand: refused with a reason or bounded, and the connection comes up.
#[test]
fn attack_candidate_bombs() {
    for_each_seed(1, |seed| {
        let mut world = World::new(seed);
        let before = memory::live();
        let now = world.now();
        let offer = |world: &mut World, candidate: String| {
            let candidate = IceCandidate { candidate, sdp_m_line_index: Some(0), ..IceCandidate::default() };
            world.answerer().pc.add_ice_candidate(now, &candidate)
        };
        for text in [
            "candidate:",
            "x",
            "candidate:1 1 udp 1 10.0.0.1 9 typ",
            "candidate:1 1 udp 99999999999 10.0.0.1 9 typ host",
        ] {
            assert!(matches!(offer(&mut world, text.into()), Err(CandidateError::Syntax(_))), "{text}");
        }
        let long = "candidate:1 1 udp 1 10.0.0.1 9 typ host";
        let _ = offer(&mut world, line("candidate:", "x", MEGABYTE));
        let _ = offer(&mut world, line(long, " generation 0", MEGABYTE));
        let _ = offer(&mut world, format!("candidate:{} 1 udp 1 10.0.0.1 9 typ host", "f".repeat(MEGABYTE)));
        let _ = offer(&mut world, format!("candidate:1 1 udp 1 {} 9 typ host", "h.".repeat(MEGABYTE / 2)));
        for n in 0..20_000_u32 {
            let [_, a, b, c] = n.to_be_bytes();
            let host =
                [format!("10.{a}.{b}.{c}"), format!("{n}.local"), format!("2001:db8::{n:x}")][n as usize % 3].clone();
            let protocol = ["udp", "tcp", "sctp"][n as usize / 3 % 3];
            let _ = offer(&mut world, format!("candidate:f{n} {} {protocol} {n} {host} 9 typ host", n % 5));
        }
        let held = memory::live() - before;
        println!("seed {seed}: {held} bytes are held of 20,000 candidates");
        assert!(held < 200_000, "{held} bytes");
        world.connect(MINUTE).unwrap();
        world.transfer(5, 1000, MINUTE).unwrap();
    });
}

/// `a=sctp-init` (SNAP) that lies, in the offer, in the answer, in both: taken out, cut, no base64, of a megabyte, with any letter another. Whatever
/// the two sides believe of each other then, nobody hears what was not said (the driver asserts it), holds or sends without end; and what is no such attribute
/// is as none: the handshake is done.
#[test]
fn attack_sctp_init_lies() {
    const NAME: &str = "a=sctp-init:";
    fn lie(sdp: &str, with: impl Fn(&str) -> Option<String>) -> String {
        let line = |line: &str| match line.strip_prefix(NAME) {
            Some(value) => with(value).map(|value| format!("{NAME}{value}\r\n")).unwrap_or_default(),
            None => format!("{line}\r\n"),
        };
        sdp.lines().map(line).collect()
    }
    for_each_seed(1, |seed| {
        let (mut outcomes, mut heard) = ([0, 0], 0);
        for (n, whose) in (0..90_usize).flat_map(|n| [(n, "offer"), (n, "answer"), (n, "both")]) {
            let turn = move |value: &str| -> Option<String> {
                let mut value = value.to_owned().into_bytes();
                match n {
                    0 => return None,
                    1 => value.clear(),
                    2 => value = b"!!!".to_vec(),
                    3 => value = vec![b'A'; 500_000],
                    4..30 => value.truncate(n * 2 - 7),
                    _ => {
                        // Each letter another one of base64's.
                        let at = (n - 30) % value.len();
                        value[at] = if value[at] == b'A' { b'/' } else { b'A' };
                    }
                }
                Some(String::from_utf8(value).unwrap())
            };
            let edit = move |sdp: String| {
                let is_offer = sdp.contains("a=setup:actpass");
                let is_meant = whose == "both" || (whose == "offer") == is_offer;
                if is_meant { lie(&sdp, turn) } else { sdp }
            };
            let before = memory::live();
            let mut world = World::edited(seed, [1, 2].map(|side| config(seed, side)), edit);
            let is_up = world.connect(MINUTE).is_ok();
            outcomes[usize::from(is_up)] += 1;
            // Unreadable for one side or both.
            assert!(is_up || n > 3, "{n}, {whose}");
            if is_up {
                // Where the numbers are others than the peer's, nothing arrives, and what waits is bounded; where they are right, all does.
                let is_heard = world.transfer(5, 1000, MINUTE).is_ok();
                heard += usize::from(is_heard);
            }
            let sent = world.simulation.network.stats().sent;
            assert!(sent < 2000, "{n}, {whose}: {sent} datagrams");
            assert!(memory::live() - before < 4 * MEGABYTE as isize);
        }
        println!("seed {seed}: {} came up, {} did not; {heard} heard all", outcomes[1], outcomes[0]);
    });
}

/// The policies that there are say that loopback and link-local addresses are not gathered: then no description, no candidate, no datagram names
/// one. (What `TransportPolicy::Relay` hides: `attack_relays.rs`.)
#[test]
fn attack_address_leaks() {
    for_each_seed(1, |seed| {
        let hidden = ["127.0.0.1", "::1", "169.254.77.1", "fe80::77"];
        let shown = "10.0.0.1";
        let mut config = config(seed, 1);
        config.gathering = Gathering::Interfaces;
        let mut pc = PeerConnection::new(config).unwrap();
        pc.create_data_channel("data", Default::default()).unwrap();
        let offer = pc.set_local_description_implicitly(NOW).unwrap();
        let mut said = vec![offer.sdp.clone()];
        let mut answers = Vec::new();
        for round in 0..3 {
            while let Some(request) = pc.poll_request() {
                let all = hidden.iter().chain([&shown]).map(|it| Interface::new("eth0", it.parse().unwrap())).collect();
                let answer = match request {
                    Request::WatchInterfaces(request) => request.interfaces(all),
                    Request::BindUdp(request) => {
                        assert_eq!(request.local.ip().to_string(), shown, "a socket was asked for");
                        let local = ADDRESSES[0].parse().unwrap();
                        request.bound(local)
                    }
                    other => panic!("{other:?}"),
                };
                pc.handle_input(NOW, Input::Answer(answer));
            }
            while let Some(event) = pc.poll_event() {
                if let Event::IceCandidate(candidate) = &event {
                    said.push(candidate.candidate.clone());
                }
                said.push(format!("{event:?}"));
            }
            said.push(pc.create_offer().map(|it| it.sdp).unwrap_or_default());
            said.push(format!("{:?}", pc.stats()));
            if round == 0 {
                let mut other = reachable(wigwag_scenarios::config(seed, 2), 1);
                other.pc.set_remote_description(NOW, offer.clone()).unwrap();
                answers.push(other.pc.set_local_description_implicitly(NOW).unwrap());
                pc.set_remote_description(NOW, answers[0].clone()).unwrap();
            }
        }
        let mut memory = [0; 1500];
        let mut out = TransmitBuffer::new(&mut memory, 1);
        let transmit = pc.poll_transmit(NOW, &mut out).expect("it checks");
        let datagram = out.bytes(&transmit).to_vec();
        assert!(said.iter().any(|text| text.contains(shown)), "what may be said is said");
        for address in hidden {
            let bytes: Vec<u8> = match address.parse().unwrap() {
                std::net::IpAddr::V4(it) => it.octets().to_vec(),
                std::net::IpAddr::V6(it) => it.octets().to_vec(),
            };
            assert!(!datagram.windows(bytes.len()).any(|window| window == bytes));
            for text in &said {
                // (The default address 127.0.0.1 of a session's o= line names nobody: RFC 8829 section 5.2.1.)
                let text: String = text.lines().filter(|line| !line.starts_with("o=")).collect();
                assert!(!text.contains(&format!(" {address} ")), "{address} is in {text}");
            }
        }
    });
}
