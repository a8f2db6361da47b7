//! Any text: no panic, nothing lost, no time lost.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use wigwag_sdp::*;

fn read_everything(description: &SessionDescription) {
    let _ = (description.ice_lite(), description.is_trickle(), description.bundle_groups().count());
    for section in description.sections() {
        let media = section.media;
        let _ = (section.ice_ufrag(), section.ice_pwd(), section.ice_options().count(), section.fingerprints().count());
        let _ = (section.setup(), section.direction(), section.end_of_candidates(), section.transport().index);
        let _ = (media.mid(), media.is_rejected(), media.is_data_channel(), media.sctp_port(), media.msids().count());
        let _ = (media.max_message_size(), media.candidates().count(), section.tls_id());
        let _ = (media.is_rtp(), media.sources(), media.source_groups(), section.extensions(), media.extensions());
        let _ = (media.rids().iter().all(|it| it.parameter("pt").is_none()), media.simulcast());
        let _ =
            media.codecs().iter().all(|it| it.apt().is_none() && it.parameter("x").is_none() && !it.has_feedback("x"));
    }
}

/// Lines that mean something, and lines that nearly do.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[vosiuepcbtrzkamx]=[ -~]{0,24}",
        1 => "m=(audio|video|application) [0-9]{1,5}(/[0-9])? [A-Z/]{1,9}( [0-9]{1,3}){0,4}",
        1 => "c=IN IP[46] [0-9.:]{1,9}( x)?",
        1 => "b=[A-Z]{0,4}:[0-9]{1,3}",
        1 => "t=[0-9]{1,2} [0-9]{1,2}",
        1 => "a=(mid|group|setup|ice-ufrag|fingerprint|msid|candidate|sctp-port)(:[ -~]{0,12})?",
        1 => "a=(rtpmap|fmtp|rtcp-fb|extmap|ssrc|ssrc-group):[0-9*]{1,4}[ /=:A-Za-z0-9]{0,12}",
        1 => "a=(rid|simulcast):[ ;,~a-c]{0,4}(send|recv)?[ ;,~=a-c]{0,8}",
        1 => any::<String>(),
    ]
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9/._-]{1,8}"
}

fn address() -> impl Strategy<Value = Address> {
    (word(), word(), word()).prop_map(|(network_type, address_type, address)| Address {
        network_type,
        address_type,
        address,
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec("[a-z-]{1,8}(:[ -~]{0,12})?".prop_map(Attribute::from_text), 0..6).prop_map(Attributes)
}

fn bandwidth() -> impl Strategy<Value = Vec<Bandwidth>> {
    vec((word(), any::<u64>()).prop_map(|(kind, value)| Bandwidth { kind, value }), 0..2)
}

fn media() -> impl Strategy<Value = MediaDescription> {
    let head = (word(), any::<u16>(), any::<Option<u16>>(), word(), vec(word(), 0..4));
    (head, proptest::option::of(address()), bandwidth(), attributes()).prop_map(
        |(head, connection, bandwidth, attributes)| {
            let (media, port, port_count, protocol, formats) = head;
            MediaDescription {
                media,
                port,
                port_count,
                protocol,
                formats,
                connection,
                bandwidth,
                attributes,
                other: Vec::new(),
            }
        },
    )
}

fn description() -> impl Strategy<Value = SessionDescription> {
    let origin = (word(), any::<u64>(), any::<u64>(), address());
    let head = (origin, "[ -~]{0,9}", proptest::option::of(address()), bandwidth(), any::<(u64, u64)>());
    (head, attributes(), vec(media(), 0..4)).prop_map(|(head, attributes, media)| {
        let ((username, session_id, session_version, address), name, connection, bandwidth, (start, stop)) = head;
        let origin = Origin { username, session_id, session_version, address };
        let (timing, other) = (Timing { start, stop }, Vec::new());
        SessionDescription { origin, name, connection, bandwidth, timing, other, attributes, media }
    })
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        let _ = SessionDescription::parse(&text);
    }

    #[test]
    fn what_was_read_is_read_again(lines in vec(line(), 0..24), end in "\r\n|\n|\r") {
        let text = format!("v=0{end}{}", lines.join(&end));
        if let Ok(description) = SessionDescription::parse(&text) {
            read_everything(&description);
            prop_assert_eq!(SessionDescription::parse(&description.to_string()).unwrap(), description);
        }
    }

    #[test]
    fn what_was_written_is_read(description in description()) {
        read_everything(&description);
        prop_assert_eq!(SessionDescription::parse(&description.to_string()).unwrap(), description);
    }
}

#[test]
fn errors_say_where_and_why() {
    let at = |text: &str| SessionDescription::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(at(""), ParseError { line: 1, reason: Reason::NoVersion });
    assert_eq!(at("<html>\n</html>"), ParseError { line: 2, reason: Reason::NoVersion });
    assert_eq!(at("v=1\r\n"), ParseError { line: 1, reason: Reason::UnknownVersion });
    assert_eq!(at("o=-\r\nm=audio 9 RTP/AVP 0"), ParseError { line: 2, reason: Reason::NoVersion });
    for bad in
        ["", "audio", "audio 9", "audio x RTP/AVP 0", "audio 65536 RTP/AVP 0", "audio 9/x RTP/AVP 0", "audio -1 x 0"]
    {
        assert_eq!(
            at(&format!("v=0\r\ns=-\r\nm={bad}\r\n")),
            ParseError { line: 3, reason: Reason::MalformedMedia },
            "{bad}"
        );
    }
    let formats = " 0".repeat(MAX_FORMATS + 1);
    assert_eq!(at(&format!("v=0\nm=audio 9 x{formats}")).reason, Reason::TooManyFormats);
    assert_eq!(at(&format!("v=0\n{}", "a=\n".repeat(MAX_LINES))).reason, Reason::TooManyLines);
    assert_eq!(at(&format!("v=0\n{}", "m=a 9 x\n".repeat(MAX_MEDIA + 1))).reason, Reason::TooManyMedia);
    assert_eq!(at(&" ".repeat(MAX_SIZE + 1)).reason, Reason::TooLong);
    assert_eq!(at("v=2").to_string(), "SDP line 1: the version is not 0");
}

#[test]
fn order_and_repetition_are_forgiven() {
    let text = "t=0 0\na=ice-lite\nt=1 2\nc=IN IP4 1.2.3.4\nv=0\ni=info\no=\ny=?\nb=AS\nv=0\nm=audio 9 x\nk=prompt\nc=?\ni=title\nb=AS:1\n";
    let description = SessionDescription::parse(text).unwrap();
    let kinds = |other: &[OtherLine]| other.iter().map(|line| line.kind).collect::<String>();
    assert_eq!(kinds(&description.other), "itybv");
    assert_eq!(kinds(&description.media[0].other), "ikc");
    assert!(description.ice_lite());
    assert_eq!(description.origin, Origin::default());
    assert_eq!(SessionDescription::parse(&description.to_string()).unwrap(), description);
}

/// What takes milliseconds (seconds, where each of a thousand sections asks for all it can) would take minutes if
/// anything were quadratic in the text.
#[test]
#[expect(clippy::disallowed_types, reason = "this is about the time that passes")]
fn long_text_takes_linear_time() {
    use std::time::{Duration, Instant};

    let fill = |head: &str, piece: &str| format!("v=0\n{head}{}", piece.repeat((MAX_SIZE - 64) / piece.len()));
    let lines = |piece: &str, count: usize| format!("v=0\n{}", piece.repeat(count));
    let numbered = |head: &str, count: usize, piece: fn(usize) -> String| match head {
        "\n" => format!("\n{}", (0..count).map(piece).collect::<String>()),
        _ => format!("v=0\n{head}{}", (0..count).map(piece).collect::<String>()),
    };
    let many_groups = lines("a=group:BUNDLE 1 2 3 4 5 6 7 8 9 a b c\n", MAX_LINES / 2);
    let bombs = [
        fill("a=x", ":"),
        fill("", " "),
        fill("", "\r"),
        fill("", "m=audio 9 x "),
        fill("a=group:BUNDLE", " 0"),
        fill("m=audio 9 x 0\na=msid:", "a "),
        lines("z=y\n", MAX_LINES - 1),
        lines("m=a 9 x\n", MAX_MEDIA),
        lines("a=mid:0\n", MAX_LINES - 1),
        lines("z=1\ni=1\n", MAX_LINES / 2 - 1),
        format!("{many_groups}{}", "m=a 9 x\na=mid:c\n".repeat(MAX_MEDIA)),
        format!(
            "{}{}",
            fill("a=group:BUNDLE 0", " 0").get(..MAX_SIZE - 20_000).unwrap(),
            "\nm=a 9 x\na=mid:0".repeat(1000)
        ),
        numbered("m=audio 9 RTP/AVP", 256, |n| format!(" {n}"))
            + &numbered("\n", 32_000, |n| format!("a=rtcp-fb:* x{n}\n")),
        numbered("m=audio 9 RTP/AVP 0\n", 32_000, |n| format!("a=rtcp-fb:0 x{n}\n")),
        numbered("m=audio 9 RTP/AVP 96\na=rtpmap:96 rtx/1\na=fmtp:96 ", 120_000, |n| format!("a{n};")),
        numbered("m=audio 9 RTP/AVP 0\n", 32_000, |n| format!("a=ssrc:{n} cname:x\n")),
        numbered("m=audio 9 RTP/AVP 0\na=ssrc-group:FID", 120_000, |n| format!(" {n}")),
        numbered("m=audio 9 RTP/AVP 0\n", 32_000, |n| format!("a=ssrc-group:FID {n}\n")),
        numbered("m=audio 9 RTP/AVP 0\n", 32_000, |n| format!("a=rid:{n} send\n")),
        numbered("m=audio 9 RTP/AVP 0\na=simulcast:send ", 120_000, |n| format!("{n};")),
        numbered("", 10_000, |n| format!("a=extmap:{n} x\n")) + &"m=a 9 x\n".repeat(MAX_MEDIA),
        numbered("", 250, |n| format!("a=extmap:{n} {}\n", "x".repeat(3000))) + &"m=a 9 x\n".repeat(MAX_MEDIA),
        numbered("", 400, |n| format!("a=extmap:{n} {}\n", "x".repeat(250))) + &"m=a 9 x\n".repeat(MAX_MEDIA),
    ];
    for bomb in bombs {
        let start = Instant::now();
        if let Ok(description) = SessionDescription::parse(&bomb) {
            let _ = description.to_string();
            read_everything(&description);
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{:?} in {:?}", bomb.get(..40), start.elapsed());
    }
}
