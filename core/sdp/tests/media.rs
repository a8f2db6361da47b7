//! Codecs, header extensions, sources, rids and simulcast: what is written is read, and what is malformed is left out.
#![allow(clippy::unwrap_used)]

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use wigwag_sdp::*;

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._+-]{1,8}"
}

/// Words with a space between them, or nothing.
fn text() -> impl Strategy<Value = String> {
    "([!-~]{1,6}( [!-~]{1,6}){0,2})?"
}

fn codecs() -> impl Strategy<Value = Vec<Codec>> {
    let codec = (word(), 1..=u32::MAX, 1..=u8::MAX, text(), btree_set("[a-z-]{1,8}( [a-z]{1,4})?", 0..MAX_FEEDBACK));
    (btree_set(0_u8..128, 0..128).prop_map(Vec::from_iter).prop_shuffle(), vec(codec, 128)).prop_map(
        |(types, codecs)| {
            let codec = |(payload_type, (name, clock_rate, channels, parameters, feedback))| Codec {
                payload_type,
                name,
                clock_rate,
                channels,
                parameters,
                feedback: Vec::from_iter(feedback),
            };
            types.into_iter().zip(codecs).map(codec).collect()
        },
    )
}

fn direction() -> impl Strategy<Value = Option<Direction>> {
    option::of(proptest::sample::select(&Direction::ALL))
}

fn extensions() -> impl Strategy<Value = Vec<ExtMap>> {
    let ids = btree_set(prop_oneof![1_u16..=255, 4096_u16..=4351], 0..40);
    (ids, vec((direction(), "[!-~]{1,12}", text()), 40)).prop_map(|(ids, rest)| {
        let extension = |(id, (direction, uri, parameters))| ExtMap { id, direction, uri, parameters };
        ids.into_iter().zip(rest).map(extension).collect()
    })
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    let said = || option::of("[!-~]{1,6}( [!-~]{1,6})?");
    proptest::collection::btree_map(any::<u32>(), (said(), said()), 0..20)
        .prop_map(|map| map.into_iter().map(|(ssrc, (cname, msid))| Source { ssrc, cname, msid }).collect())
}

fn source_groups() -> impl Strategy<Value = Vec<SourceGroup>> {
    vec((word(), vec(any::<u32>(), 0..4)).prop_map(|(semantics, ssrcs)| SourceGroup { semantics, ssrcs }), 0..4)
}

fn rids() -> impl Strategy<Value = Vec<Rid>> {
    let directions = proptest::sample::select(vec![RidDirection::Send, RidDirection::Recv]);
    proptest::collection::btree_map("[a-zA-Z0-9_-]{1,5}", (directions, text()), 0..6).prop_map(|map| {
        map.into_iter().map(|(id, (direction, parameters))| Rid { id, direction, parameters }).collect()
    })
}

fn simulcast() -> impl Strategy<Value = Simulcast> {
    let layer = ("[a-zA-Z0-9_-]{1,5}", any::<bool>()).prop_map(|(rid, paused)| Layer { rid, paused });
    let layers = move || vec(vec(layer.clone(), 1..4), 0..4);
    (layers(), layers()).prop_map(|(send, receive)| Simulcast { send, receive })
}

/// As it comes out at the other end.
fn sent(media: MediaDescription) -> MediaDescription {
    let mut description = SessionDescription::new(1);
    description.media.push(media);
    SessionDescription::parse(&description.to_string()).unwrap().media.remove(0)
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        codecs in codecs(), extensions in extensions(), sources in sources(), groups in source_groups(), rids in rids(),
        simulcast in simulcast(),
    ) {
        let mut media = MediaDescription::new("video", "UDP/TLS/RTP/SAVPF", [""; 0]);
        for codec in &codecs {
 media.add_codec(codec);
}
        for extension in &extensions {
 media.add_extension(extension);
}
        for group in &groups {
 media.add_source_group(group);
}
        for source in &sources {
 media.add_source(source);
}
        for rid in &rids {
 media.add_rid(rid);
}
        media.set_simulcast(&Simulcast { send: vec![vec![Layer::new("old")]], receive: vec![] }).set_simulcast(&simulcast);

        let media = sent(media);
        prop_assert_eq!(media.codecs(), codecs);
        prop_assert_eq!(media.extensions(), extensions);
        prop_assert_eq!(media.sources(), sources);
        prop_assert_eq!(media.source_groups(), groups);
        prop_assert_eq!(media.rids(), rids);
        prop_assert_eq!(media.simulcast().unwrap_or_default(), simulcast);
    }

    /// However the lines of a section are ordered, they mean the same (as long as no two are about one thing).
    #[test]
    fn order_does_not_matter(codecs in codecs(), seed in any::<u64>()) {
        let mut media = MediaDescription::new("audio", "UDP/TLS/RTP/SAVPF", [""; 0]);
        for codec in &codecs {
 media.add_codec(codec);
}
        let key = |attribute: &Attribute| attribute.text().bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        media.attributes.sort_by_key(key);
        let sorted = |mut codecs: Vec<Codec>| {
            codecs.iter_mut().for_each(|codec| codec.feedback.sort());
            codecs
        };
        prop_assert_eq!(sorted(media.codecs()), sorted(codecs));
    }
}

fn media(formats: &str, attributes: &[&str]) -> MediaDescription {
    let mut media = MediaDescription::new("audio", "UDP/TLS/RTP/SAVPF", formats.split_whitespace());
    for text in attributes {
        media.attributes.add_text(*text);
    }
    media
}

fn rtpmaps(media: &MediaDescription) -> Vec<String> {
    media.codecs().iter().map(|codec| format!("{} {codec}", codec.payload_type)).collect()
}

#[test]
fn well_known_payload_types_need_no_rtpmap() {
    assert_eq!(rtpmaps(&media("13 9 8 0 18 3", &[])), ["13 CN/8000", "9 G722/8000", "8 PCMA/8000", "0 PCMU/8000"]);
    assert_eq!(rtpmaps(&media("0", &["rtpmap:0 opus/48000/2"])), ["0 opus/48000/2"]);
    let codec = &media("0", &["fmtp:0 ptime=20", "rtcp-fb:0 nack"]).codecs()[0];
    assert_eq!((codec.parameter("ptime"), codec.has_feedback("nack")), (Some("20"), true));
}

#[test]
fn malformed_and_unlisted_codecs_are_left_out() {
    let media = media(
        "96 97 98 99 100 101 102 103 104 105 106 128 300 x 107 107",
        &[
            "rtpmap:96 VP8",
            "rtpmap:97 VP8/0",
            "rtpmap:98 VP8/x",
            "rtpmap:99 /90000",
            "rtpmap:100 VP8/90000/0",
            "rtpmap:101 VP8/90000/256",
            "rtpmap:102 VP8/90000/1/1",
            "rtpmap:103 V P8/90000",
            "rtpmap:104",
            "rtpmap:105 ",
            "rtpmap",
            "rtpmap:128 VP8/90000",
            "rtpmap:300 VP8/90000",
            "rtpmap:x VP8/90000",
            "rtpmap:* VP8/90000",
            "rtpmap:1 VP8/90000",
            "rtpmap:107 VP8",
            "rtpmap:107  VP9/90000 ",
            "rtpmap:107 AV1/90000",
        ],
    );
    assert_eq!(rtpmaps(&media), ["107 VP9/90000"]);
}

#[test]
fn feedback_for_all_is_everyones() {
    let media = media(
        "0 8",
        &[
            "rtcp-fb:* nack  pli",
            "rtcp-fb:8 ccm fir",
            "rtcp-fb:* ccm fir",
            "rtcp-fb:8 nack",
            "rtcp-fb:8 NACK",
            "rtcp-fb:* ",
        ],
    );
    let feedback: Vec<_> = media.codecs().into_iter().map(|codec| codec.feedback).collect();
    assert_eq!(feedback, [vec!["nack pli", "ccm fir"], vec!["ccm fir", "nack", "nack pli"]]);
}

#[test]
fn feedback_is_bounded() {
    let mut media = media("0 8", &[]);
    for n in 0..2 * MAX_FEEDBACK {
        media.attributes.add("rtcp-fb", format_args!("* x{n}")).add("rtcp-fb", format_args!("8 y{n}"));
    }
    media.attributes.0.insert(0, Attribute::new("rtcp-fb", format_args!("* {}", "x".repeat(MAX_FEEDBACK_LENGTH + 1))));
    assert!(media.codecs().iter().all(|codec| codec.feedback.len() == MAX_FEEDBACK));
    assert_eq!(media.codecs()[0].feedback[0], "x0");
}

#[test]
fn parameters_in_any_case_and_with_spaces() {
    let parameters = "A=1; b = 2 ;flag;b=3;empty=;url=x=y".to_owned();
    let codec = Codec { parameters, ..Codec::new(96, "H264", 90_000) };
    let all = ["a", "B", "flag", "empty", "url", "c"].map(|name| codec.parameter(name));
    assert_eq!(all, [Some("1"), Some("2"), Some(""), Some(""), Some("x=y"), None]);
    for (name, parameters, apt) in
        [("RTX", "APT=96;rtx-time=1", Some(96)), ("rtx", "apt=128", None), ("rtx", "", None), ("VP8", "apt=96", None)]
    {
        assert_eq!(Codec { parameters: parameters.to_owned(), ..Codec::new(97, name, 1) }.apt(), apt);
    }
}

#[test]
fn malformed_extensions_are_left_out_and_the_session_fills_the_gaps() {
    let mut description = SessionDescription::new(1);
    description.attributes.add("extmap", "1 session:a").add("extmap", "2/sendonly session:b x  y");
    let bad = ["extmap:0 x", "extmap:256 x", "extmap:4352 x", "extmap:x x", "extmap:3", "extmap:4/both x", "extmap"];
    let mut audio = media("0", &bad);
    audio.attributes.add("extmap", "1/inactive own:a").add("extmap", "1 own:b");
    audio.attributes.add("extmap", format_args!("9 {}", "x".repeat(MAX_EXTENSION_LENGTH + 1)));
    description.media.push(audio);

    let own = ExtMap { direction: Some(Direction::Inactive), ..ExtMap::new(1, "own:a") };
    assert_eq!(description.media[0].extensions(), std::slice::from_ref(&own));
    let direction = Some(Direction::SendOnly);
    let session = ExtMap { direction, parameters: "x  y".to_owned(), ..ExtMap::new(2, "session:b") };
    assert_eq!(description.section(0).unwrap().extensions(), [own, session]);
}

#[test]
fn what_sources_say_first_counts() {
    let media = media(
        "0",
        &[
            "ssrc:1 msid:s t",
            "ssrc:2 cname:b",
            "ssrc:1 label:x",
            "ssrc:1 cname:a",
            "ssrc:1 cname:c",
            "ssrc:x cname:x",
            "ssrc:-1",
            "ssrc:3",
        ],
    );
    let [cname, other] = ["a", "b"].map(|name| Some(name.to_owned()));
    let first = Source { ssrc: 1, cname, msid: Some("s t".to_owned()) };
    let rest = [Source { ssrc: 2, cname: other, msid: None }, Source { ssrc: 3, cname: None, msid: None }];
    assert_eq!(media.sources(), [vec![first], rest.to_vec()].concat());
}

#[test]
fn sources_are_bounded() {
    let mut media = media("0", &["ssrc-group:FID 1 x", "ssrc-group: ", "ssrc-group:FID 4294967296"]);
    assert_eq!(media.source_groups(), []);
    for ssrc in 0..MAX_SOURCES + 9 {
        media.attributes.add("ssrc", ssrc).add("ssrc-group", format_args!("FID {ssrc}"));
    }
    media.attributes.add("ssrc", "7 cname:late");
    assert_eq!((media.sources().len(), media.source_groups().len()), (MAX_SOURCES, MAX_SOURCES));
    assert_eq!(media.sources()[7].cname.as_deref(), Some("late"));
}

#[test]
fn malformed_rids_are_left_out() {
    let bad = ["rid:a", "rid:a both", "rid:a; send", "rid: send", "rid", "rid:\u{e9} send"];
    let mut media = media("0", &bad);
    assert_eq!(media.rids(), []);
    media.attributes.add_text("rid:a recv pt=1,2;max-width=3").add_text("rid:a send").add_text("rid:b send");
    let rids = media.rids();
    assert_eq!(rids.iter().map(|rid| rid.id.as_str()).collect::<String>(), "ab");
    assert_eq!((rids[0].direction, rids[0].parameter("max-width")), (RidDirection::Recv, Some("3")));
    for id in 0..2 * MAX_RIDS {
        media.attributes.add("rid", format_args!("{id} send"));
    }
    assert_eq!(media.rids().len(), MAX_RIDS);
}

#[test]
fn simulcast_as_in_rfc_8853() {
    let simulcast = |value: &str| media("0", &[&format!("simulcast:{value}")]).simulcast();
    let read = simulcast(" send 1;~4,5 recv 6;7 ").unwrap();
    let names = |layers: &[Vec<Layer>]| layers.iter().map(|it| it.len()).collect::<Vec<_>>();
    assert_eq!((names(&read.send), names(&read.receive)), (vec![1, 2], vec![1, 1]));
    assert_eq!((read.send[1][0].rid.as_str(), read.send[1][0].paused, read.send[1][1].paused), ("4", true, false));
    assert_eq!(simulcast(&read.to_string()), Some(read));
    for bad in
        ["", "send", "send ;", "send 1;;2", "send 1,", "both 1", "send 1 send 2", "send 1 recv", "send ~", "send a b"]
    {
        assert_eq!(simulcast(bad), None, "{bad:?}");
    }
    assert!(simulcast(&format!("send 1{}", ";1".repeat(MAX_RIDS - 1))).is_some());
    assert!(simulcast(&format!("send 1{}", ";1".repeat(MAX_RIDS))).is_none());
    assert!(!media("0", &[]).set_simulcast(&Simulcast::default()).attributes.has("simulcast"));
}

#[test]
fn rtp_is_what_rfc_9429_accepts() {
    let is_rtp = |media: &str, protocol: &str| MediaDescription::new(media, protocol, ["0"]).is_rtp();
    for protocol in ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP", "RTP/AVP", "TCP/DTLS/RTP/SAVPF"]
    {
        assert!(is_rtp("audio", protocol) && is_rtp("video", protocol), "{protocol}");
        assert!(!is_rtp("application", protocol), "{protocol}");
    }
    for protocol in ["UDP/DTLS/SCTP", "udp", "UDP/TLS/UDP/TLS/RTP/SAVPF", "RTP/SAVPFX"] {
        assert!(!is_rtp("audio", protocol), "{protocol}");
    }
}

#[test]
fn no_value_begins_another_line() {
    let mut media = media("", &[]);
    let evil = || "x\r\na=ice-lite".to_owned();
    media.add_codec(&Codec { parameters: evil(), feedback: vec![evil()], ..Codec::new(96, evil(), 1) });
    media.add_extension(&ExtMap { parameters: evil(), ..ExtMap::new(1, evil()) });
    media.add_source(&Source { ssrc: 1, cname: Some(evil()), msid: Some(evil()) });
    media.add_source_group(&SourceGroup { semantics: evil(), ssrcs: vec![1] });
    media.add_rid(&Rid { parameters: evil(), ..Rid::new(evil(), RidDirection::Send) });
    media.set_simulcast(&Simulcast { send: vec![vec![Layer::new(evil())]], receive: vec![] });
    assert!(!sent(media).attributes.has("ice-lite"));
}
