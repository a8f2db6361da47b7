//! What browsers and other implementations send. Those of Chromium and Firefox were taken from the browsers; the others are
//! written after the manner of theirs.
#![allow(clippy::unwrap_used)]

use wigwag_sdp::{Direction, RidDirection, SessionDescription, Setup};

macro_rules! samples {
    ($($name:ident = $file:literal;)*) => {
        $(const $name: &str = include_str!(concat!("samples/", $file, ".sdp"));)*
        const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

samples! {
    CHROMIUM_DATA_OFFER = "chromium-data-offer";
    CHROMIUM_DATA_ANSWER = "chromium-data-answer";
    CHROMIUM_MEDIA_OFFER = "chromium-media-offer";
    CHROMIUM_MEDIA_ANSWER = "chromium-media-answer";
    FIREFOX_DATA_OFFER = "firefox-data-offer";
    FIREFOX_DATA_ANSWER = "firefox-data-answer";
    FIREFOX_MEDIA_OFFER = "firefox-media-offer";
    FIREFOX_MEDIA_ANSWER = "firefox-media-answer";
    SAFARI_MEDIA_ANSWER = "safari-media-answer";
    AIORTC_DATA_ANSWER = "aiortc-data-answer";
    AIORTC_DRAFT_OFFER = "aiortc-draft-offer";
    PION_DATA_OFFER = "pion-data-offer";
}

fn parsed(text: &str) -> SessionDescription {
    SessionDescription::parse(text).unwrap()
}

#[test]
fn all_come_out_byte_for_byte() {
    for (file, text) in ALL {
        assert!(text.contains("\r\n"), "{file} lost its line ends");
        assert_eq!(&parsed(text).to_string(), text, "{file}");
    }
}

#[test]
fn line_ends_and_indentation_do_not_matter() {
    for (file, text) in ALL {
        let expected = parsed(text);
        let lines = text.replace("\r\n", "\n");
        assert_eq!(parsed(&lines), expected, "{file} with LF");
        assert_eq!(parsed(lines.trim_end()), expected, "{file} without the last line end");
        assert_eq!(parsed(&lines.replace('\n', "\n\t  ")), expected, "{file} indented");
        assert_eq!(parsed(&format!("\u{feff}\n{}", lines.replace('\n', "\n\n"))), expected, "{file} with empty lines");
    }
}

#[test]
fn every_section_can_be_connected_to() {
    for (file, text) in ALL {
        let description = parsed(text);
        for section in description.sections().filter(|section| !section.media.is_rejected()) {
            let transport = section.transport();
            assert!(transport.ice_ufrag().is_some_and(|ufrag| ufrag.len() >= 4), "{file}");
            assert!(transport.ice_pwd().is_some_and(|pwd| pwd.len() >= 22), "{file}");
            assert!(transport.fingerprints().all(|it| it.starts_with("sha-") && it.contains(':')), "{file}");
            assert!(transport.fingerprints().count() >= 1, "{file}");
            let expected = if file.ends_with("offer") { Setup::ActPass } else { Setup::Active };
            assert_eq!(transport.setup(), Some(expected), "{file}");
            assert!(section.media.mid().is_some(), "{file}");
            assert!(section.media.is_data_channel() || section.media.rtcp_mux(), "{file}");
        }
    }
}

#[test]
fn every_data_section_says_its_port_and_size() {
    for (file, text) in ALL {
        let description = parsed(text);
        let data = description.sections().find(|section| section.media.is_data_channel()).unwrap();
        assert_eq!(data.media.sctp_port(), Some(5000), "{file}");
        assert!(data.media.max_message_size() >= Some(65_536), "{file}");
        let bundled = description.bundle_groups().any(|group| group.contains(&data.media.mid().unwrap()));
        assert!(bundled, "{file}");
    }
}

#[test]
fn chromium() {
    for text in [CHROMIUM_DATA_OFFER, CHROMIUM_DATA_ANSWER] {
        let description = parsed(text);
        assert_eq!(description.origin.username, "-");
        assert_eq!(description.origin.session_version, 2);
        assert_eq!(description.origin.address.to_string(), "IN IP4 127.0.0.1");
        assert!(description.is_trickle() && !description.ice_lite());
        assert_eq!(description.section(0).unwrap().media.max_message_size(), Some(262_144));
    }
    let offer = parsed(CHROMIUM_DATA_OFFER);
    let data = offer.section(0).unwrap();
    let candidates: Vec<_> = data.media.candidates().collect();
    assert!(candidates.iter().all(|it| it.starts_with("candidate:")), "{candidates:?}");
    assert!(candidates.iter().any(|it| it.contains(" udp ")) && candidates.iter().any(|it| it.contains("tcptype")));
    assert!(data.extmap_allow_mixed());
    assert!(!data.end_of_candidates());
}

#[test]
fn chromium_with_media() {
    let offer = parsed(CHROMIUM_MEDIA_OFFER);
    let kinds: Vec<_> = offer.media.iter().map(|media| media.media.as_str()).collect();
    assert_eq!(kinds, ["audio", "video", "video", "application"]);
    assert_eq!(offer.bundle_groups().collect::<Vec<_>>(), [["0", "1", "2", "3"]]);
    assert_eq!(offer.section(2).unwrap().direction(), Direction::SendOnly);
    assert_eq!(offer.media[2].attributes.values("rid").collect::<Vec<_>>(), ["h send", "l send"]);
    assert_eq!(offer.media[2].attributes.value("simulcast"), Some("send h;l"));
    let (stream, track) = offer.media[0].msids().next().unwrap();
    assert!(stream.len() == 36 && track.is_some_and(|track| track.len() == 36));
    let answer = parsed(CHROMIUM_MEDIA_ANSWER);
    assert_eq!(answer.section(2).unwrap().direction(), Direction::RecvOnly);
    assert_eq!(answer.section_by_mid("3").unwrap().transport().index, 0);
}

#[test]
fn firefox_speaks_for_its_sections_in_the_session() {
    for text in [FIREFOX_DATA_OFFER, FIREFOX_DATA_ANSWER] {
        let description = parsed(text);
        assert!(description.origin.username.starts_with("mozilla...THIS_IS_SDPARTA-"));
        let data = description.section(0).unwrap();
        assert!(!data.media.attributes.has("fingerprint") && !data.media.attributes.has("ice-options"));
        assert_eq!(data.fingerprints().count(), 1);
        assert!(data.has_ice_option("trickle"));
        assert_eq!(data.direction(), Direction::SendRecv);
        assert_eq!(data.media.max_message_size(), Some(1_073_741_823));
        assert!(data.end_of_candidates());
        assert_eq!(data.media.candidates().count(), 4);
    }
    assert_eq!(parsed(FIREFOX_MEDIA_OFFER).section(2).unwrap().direction(), Direction::SendOnly);
    assert_eq!(parsed(FIREFOX_MEDIA_ANSWER).section(2).unwrap().direction(), Direction::RecvOnly);
}

#[test]
fn safari_rejects_a_section() {
    let answer = parsed(SAFARI_MEDIA_ANSWER);
    let rejected: Vec<_> = answer.media.iter().map(|media| media.is_rejected()).collect();
    assert_eq!(rejected, [false, true, false]);
    assert_eq!(answer.media[0].bandwidth[0].to_string(), "AS:64");
    assert_eq!(answer.media[0].connection.as_ref().unwrap().ip(), Some("192.0.2.19".parse().unwrap()));
    assert_eq!(answer.section(2).unwrap().transport().index, 0);
}

#[test]
fn aiortc_has_several_fingerprints_and_once_wrote_the_draft() {
    let answer = parsed(AIORTC_DATA_ANSWER);
    let data = answer.section(0).unwrap();
    let algorithms: Vec<_> = data.fingerprints().filter_map(|it| it.split(' ').next()).collect();
    assert_eq!(algorithms, ["sha-256", "sha-512"]);
    assert!(!answer.is_trickle());
    assert!(parsed(AIORTC_DRAFT_OFFER).media[0].is_data_channel());
}

#[test]
fn pion_has_its_fingerprint_in_the_session() {
    let offer = parsed(PION_DATA_OFFER);
    assert_eq!(offer.section(0).unwrap().fingerprints().count(), 1);
    assert_eq!(offer.media[0].candidates().count(), 2);
}

/// `<payload type> <name>/<clock rate> <count of feedback>[<parameters>]`, for short.
fn codecs(media: &wigwag_sdp::MediaDescription) -> Vec<String> {
    let codecs = media.codecs();
    let short = |it: &wigwag_sdp::Codec| format!("{} {it} {}[{}]", it.payload_type, it.feedback.len(), it.parameters);
    codecs.iter().map(short).collect()
}

#[test]
fn every_codec_of_every_section_is_known() {
    for (file, text) in ALL {
        for media in parsed(text).media.iter().filter(|media| media.is_rtp() && !media.is_rejected()) {
            let payload_types: Vec<_> = media.codecs().iter().map(|codec| codec.payload_type.to_string()).collect();
            assert_eq!(payload_types, media.formats, "{file}");
            for rtx in media.codecs().iter().filter(|codec| codec.is("rtx")) {
                assert!(rtx.apt().is_some_and(|apt| media.formats.contains(&apt.to_string())), "{file} {rtx:?}");
            }
            let feedback = media.codecs().iter().map(|codec| codec.feedback.len()).sum::<usize>();
            assert_eq!(feedback, media.attributes.values("rtcp-fb").count(), "{file}");
            assert_eq!(media.extensions().len(), media.attributes.values("extmap").count(), "{file}");
            assert!(media.extensions().iter().any(|it| it.uri == "urn:ietf:params:rtp-hdrext:sdes:mid"), "{file}");
            assert_eq!(media.simulcast().is_some(), media.attributes.has("simulcast"), "{file}");
            assert_eq!(media.rids().len(), media.attributes.values("rid").count(), "{file}");
            assert_eq!(media.source_groups().len(), media.attributes.values("ssrc-group").count(), "{file}");
            assert!(media.sources().iter().all(|source| source.cname.is_some()), "{file}");
        }
    }
}

/// What was read and is written again is read again: nothing that a browser says gets lost in the types.
#[test]
fn every_section_can_be_written_from_what_was_read() {
    for (file, text) in ALL {
        for media in parsed(text).media {
            let mut copy = wigwag_sdp::MediaDescription::new(&media.media, &media.protocol, [""; 0]);
            for it in &media.codecs() {
                copy.add_codec(it);
            }
            for it in &media.extensions() {
                copy.add_extension(it);
            }
            for it in &media.source_groups() {
                copy.add_source_group(it);
            }
            for it in &media.sources() {
                copy.add_source(it);
            }
            for it in &media.rids() {
                copy.add_rid(it);
            }
            if let Some(it) = media.simulcast() {
                copy.set_simulcast(&it);
            }
            assert_eq!(copy.codecs(), media.codecs(), "{file}");
            for name in ["rtpmap", "fmtp", "rtcp-fb", "extmap", "ssrc", "ssrc-group", "rid", "simulcast"] {
                let lines = |media: &wigwag_sdp::MediaDescription| {
                    // `/1` need not be said.
                    let mut lines: Vec<_> =
                        media.attributes.values(name).map(|it| it.replace("8000/1", "8000")).collect();
                    lines.sort();
                    lines
                };
                assert_eq!(lines(&copy), lines(&media), "{file} {name}");
            }
        }
    }
}

#[test]
fn chromiums_codecs_extensions_and_sources() {
    let offer = parsed(CHROMIUM_MEDIA_OFFER);
    let [audio, video, simulcast] = [0, 1, 2].map(|index| offer.section(index).unwrap());
    assert_eq!(
        codecs(audio.media),
        [
            "111 opus/48000/2 1[minptime=10;useinbandfec=1]",
            "63 red/48000/2 0[111/111]",
            "9 G722/8000 0[]",
            "0 PCMU/8000 0[]",
            "8 PCMA/8000 0[]",
            "13 CN/8000 0[]",
            "110 telephone-event/48000 0[]",
            "126 telephone-event/8000 0[]",
        ]
    );
    let known = video.media.codecs();
    assert_eq!(known[0].feedback, ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]);
    assert_eq!((known[1].name.as_str(), known[1].apt()), ("rtx", Some(96)));
    let h264 = known.iter().find(|codec| codec.is("h264")).unwrap();
    assert_eq!((h264.parameter("profile-level-id"), h264.parameter("packetization-mode")), (Some("42001f"), Some("1")));
    assert_eq!(video.extensions().len(), 11);
    assert_eq!(video.extensions()[9].uri, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id");
    let group = &video.media.source_groups()[0];
    assert_eq!((group.semantics.as_str(), &group.ssrcs[..]), ("FID", &[2_425_268_560, 1_721_271_476][..]));
    let sources = video.media.sources();
    assert_eq!(sources.iter().map(|source| source.ssrc).collect::<Vec<_>>(), group.ssrcs);
    let msid = sources[0].msid.as_deref().unwrap();
    assert_eq!(video.media.msids().next(), msid.split_once(' ').map(|(stream, track)| (stream, Some(track))));
    assert_eq!(simulcast.media.simulcast().unwrap().to_string(), "send h;l");
    assert_eq!(simulcast.media.sources(), []);
}

#[test]
fn firefoxs_codecs_extensions_and_sources() {
    let offer = parsed(FIREFOX_MEDIA_OFFER);
    let [audio, video, simulcast] = [0, 1, 2].map(|index| offer.section(index).unwrap());
    assert_eq!(
        codecs(audio.media),
        [
            "109 opus/48000/2 1[maxplaybackrate=48000;stereo=1;useinbandfec=1]",
            "9 G722/8000 1[]",
            "0 PCMU/8000 1[]",
            "8 PCMA/8000 1[]",
            "101 telephone-event/8000 0[0-15]",
        ]
    );
    let directions: Vec<_> = audio.extensions().iter().map(|extension| extension.direction).collect();
    assert_eq!(directions, [None, Some(Direction::RecvOnly), None, None]);
    assert_eq!(video.media.codecs()[0].parameter("max-fs"), Some("12288"));
    assert_eq!(simulcast.media.source_groups().len(), 2);
    assert_eq!(simulcast.media.sources().len(), 4);
    assert_eq!(simulcast.media.simulcast().unwrap().to_string(), "send h;l");
    let rids = simulcast.media.rids();
    assert!(rids.iter().all(|rid| rid.direction == RidDirection::Send && rid.parameters.is_empty()));
}
