//! Offers and answers that nobody makes on a good day: replaced ones, hostile ones, huge ones, those of peers that number things
//! differently. RFC 9429, RFC 3264, RFC 9143.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write;

use common::{connection, events, needs_negotiation, negotiate, with};
use wigwag::{
    CandidateError, ChannelInit, DescriptionError, Direction, Event, IceCandidate, Instant, MediaKind,
    SessionDescription, SignalingState, TransceiverInit, default_codecs,
};

const NOW: Instant = Instant(1_000_000);

fn section<'a>(sdp: &'a str, start: &str) -> &'a str {
    let from = sdp.find(start).unwrap_or_else(|| panic!("no {start} in\n{sdp}"));
    let rest = &sdp[from + 2..];
    &sdp[from..from + 2 + rest.find("\r\nm=").map_or(rest.len(), |at| at + 2)]
}

/// The head of an offer by somebody else, with these sections in its bundle.
fn head(mids: impl IntoIterator<Item = String>) -> String {
    let mids: Vec<_> = mids.into_iter().collect();
    let fingerprint = connection(1).local_fingerprint().to_string();
    format!(
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:{fingerprint}\r\na=setup:actpass\r\n",
        mids.join(" ")
    )
}

fn offer(sdp: impl Into<String>) -> SessionDescription {
    SessionDescription::offer(sdp)
}

/// Data channels that are wanted, but were not offered yet, are not rejected by who could not know of them.
#[test]
fn channels_that_were_not_offered_are_not_rejected() {
    // Wanted by the answerer.
    let (mut alice, _) = with(1, &[MediaKind::Audio]);
    let mut bob = connection(2);
    let channel = bob.create_data_channel("data", ChannelInit::default()).unwrap();
    negotiate(NOW, &mut alice, &mut bob);
    let told = events(&mut bob);
    assert!(!told.iter().any(|event| matches!(event, Event::ChannelClosed(_))), "{told:?}");
    assert!(told.iter().any(|event| matches!(event, Event::NegotiationNeeded)), "{told:?}");
    negotiate(NOW, &mut bob, &mut alice);
    assert!(bob.channel(channel).is_some());
    assert!(!needs_negotiation(&mut bob));
    // Wanted by the offerer, after it made its offer.
    let (mut alice, _) = with(1, &[MediaKind::Audio]);
    let mut bob = connection(2);
    let sent = alice.set_local_description_implicitly(NOW).unwrap();
    let channel = alice.create_data_channel("data", ChannelInit::default()).unwrap();
    bob.set_remote_description(NOW, sent).unwrap();
    events(&mut alice);
    alice.set_remote_description(NOW, bob.set_local_description_implicitly(NOW).unwrap()).unwrap();
    assert!(needs_negotiation(&mut alice));
    negotiate(NOW, &mut alice, &mut bob);
    assert!(alice.channel(channel).is_some());
}

/// An offer takes the place of the one before it, whose m-lines it need not have.
#[test]
fn an_offer_that_replaces_another_leaves_nothing_of_it() {
    let mut bob = connection(2);
    let (mut alice, ids) = with(1, &[MediaKind::Audio, MediaKind::Video, MediaKind::Video]);
    let first = alice.set_local_description_implicitly(NOW).unwrap();
    let (mut carol, _) = with(1, &[MediaKind::Audio]);
    let second = carol.set_local_description_implicitly(NOW).unwrap();
    bob.set_remote_description(NOW, first.clone()).unwrap();
    let kept = bob.transceivers().next().unwrap().id;
    assert_eq!(bob.transceivers().count(), ids.len());
    events(&mut bob);
    bob.set_remote_description(NOW, second).unwrap();
    let told = events(&mut bob);
    let removed = told.iter().filter(|event| matches!(event, Event::TrackRemoved(_))).count();
    assert_eq!((removed, bob.transceivers().count()), (2, 1), "{told:?}");
    assert_eq!(bob.transceivers().next().unwrap().id, kept, "it is the same m-line still");
    let answer = bob.set_local_description_implicitly(NOW).unwrap();
    carol.set_remote_description(NOW, answer).unwrap();
    assert!(!needs_negotiation(&mut bob), "there is nothing to offer");
    // Of another kind in the same place.
    let mut bob = connection(2);
    let (mut carol, _) = with(1, &[MediaKind::Video]);
    bob.set_remote_description(NOW, first).unwrap();
    bob.set_remote_description(NOW, carol.set_local_description_implicitly(NOW).unwrap()).unwrap();
    assert_eq!(bob.transceivers().map(|it| it.kind).collect::<Vec<_>>(), [MediaKind::Video]);
    carol.set_remote_description(NOW, bob.set_local_description_implicitly(NOW).unwrap()).unwrap();
    assert_eq!(carol.transceivers().filter(|it| it.can_send()).count(), 1);
}

/// A track of ours that waits takes the m-line of the second offer, if it took one of the first.
#[test]
fn a_waiting_track_survives_a_replaced_offer() {
    let mut bob = connection(2);
    let waiting = bob.add_track(MediaKind::Video, None, Vec::new()).unwrap();
    let (mut alice, _) = with(1, &[MediaKind::Audio, MediaKind::Video]);
    let (mut carol, _) = with(1, &[MediaKind::Video]);
    bob.set_remote_description(NOW, alice.set_local_description_implicitly(NOW).unwrap()).unwrap();
    bob.set_remote_description(NOW, carol.set_local_description_implicitly(NOW).unwrap()).unwrap();
    carol.set_remote_description(NOW, bob.set_local_description_implicitly(NOW).unwrap()).unwrap();
    assert!(bob.transceiver(waiting).unwrap().can_send());
    assert_eq!(bob.transceivers().count(), 1);
}

/// RFC 3264 section 5: an m-line has at least one format. Chromium refuses one without.
#[test]
fn every_section_has_a_format() {
    let (mut alice, ids) = with(1, &[MediaKind::Audio, MediaKind::Video]);
    alice.set_local_description_implicitly(NOW).unwrap();
    alice.stop_transceiver(ids[0]).unwrap();
    let again = alice.create_offer().unwrap().sdp;
    assert!(again.contains("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"), "{again}");
}

#[test]
fn what_is_stopped_before_it_was_offered_is_gone() {
    let mut alice = connection(1);
    for _ in 0..2000 {
        let id = alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
        alice.stop_transceiver(id).unwrap();
    }
    assert_eq!(alice.transceivers().count(), 0);
    assert!(!alice.create_offer().unwrap().sdp.contains("m="));
    // Its offer was made, but not applied: it has a section in there, and the next offer ends it.
    let mut bob = connection(2);
    let id = alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let made = alice.create_offer().unwrap();
    alice.stop_transceiver(id).unwrap();
    events(&mut alice);
    alice.set_local_description(NOW, made.clone()).unwrap();
    bob.set_remote_description(NOW, made).unwrap();
    alice.set_remote_description(NOW, bob.set_local_description_implicitly(NOW).unwrap()).unwrap();
    assert!(needs_negotiation(&mut alice));
    negotiate(NOW, &mut alice, &mut bob);
    assert_eq!(alice.transceivers().chain(bob.transceivers()).filter(|it| !it.is_stopped).count(), 0);
}

/// Names of streams are words in `a=msid`. RFC 8830 section 2.
#[test]
fn streams_are_words_however_they_are_set() {
    let (mut alice, ids) = with(1, &[MediaKind::Audio, MediaKind::Video]);
    alice.set_streams(ids[0], vec!["my camera".to_owned(), String::new()]).unwrap();
    alice.set_direction(ids[1], Direction::RecvOnly).unwrap();
    let mut bob = connection(2);
    let idle = TransceiverInit { direction: Direction::RecvOnly, ..Default::default() };
    bob.add_transceiver(MediaKind::Video, idle).unwrap();
    bob.add_track(MediaKind::Video, Some("a b".to_owned()), vec!["c d".to_owned(), "  ".to_owned()]).unwrap();
    events(&mut alice);
    negotiate(NOW, &mut alice, &mut bob);
    assert_eq!(bob.transceivers().find(|it| it.kind == MediaKind::Audio).unwrap().remote_streams, ["mycamera"]);
    let offered = bob.create_offer().unwrap().sdp;
    assert!(offered.contains("a=msid:cd ab\r\n"), "{offered}");
    assert!(!needs_negotiation(&mut alice));
}

/// RFC 9143 section 9.1 lets one format have several numbers, on several lines; and RFC 3264 section 8.3.2 lets none of them
/// mean something else later.
#[test]
fn a_line_keeps_its_own_numbers() {
    let video = |mid: u8, vp8: u8| {
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF {vp8} {rtx}\r\na=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:{vp8} VP8/90000\r\n\
             a=rtcp-fb:{vp8} nack\r\na=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={vp8}\r\n",
            rtx = vp8 + 1
        )
    };
    let sdp = head(["0".to_owned(), "1".to_owned()]) + &video(0, 120) + &video(1, 100);
    let mut bob = connection(2);
    bob.set_remote_description(NOW, offer(sdp)).unwrap();
    bob.set_local_description_implicitly(NOW).unwrap();
    let sdp = bob.create_offer().unwrap().sdp;
    let (first, second) = (section(&sdp, "m=video"), section(sdp.rsplit_once("m=video").unwrap().1, " "));
    let says = |section: &str, line: &str| assert!(section.contains(line), "no {line} in\n{section}");
    says(first, "SAVPF 120 121 ");
    says(first, "a=fmtp:121 apt=120\r\n");
    says(second, "SAVPF 100 101 ");
    says(second, "a=fmtp:101 apt=100\r\n");
    // Within the bundle, a number of the one never means another format on the other.
    for number in ["100", "101", "120", "121"] {
        let meanings = |section: &str| -> Option<String> {
            let line = section.lines().find(|line| line.starts_with(&format!("a=rtpmap:{number} ")))?;
            Some(line.to_owned())
        };
        let (one, other) = (meanings(first), meanings(second));
        assert!(one.is_none() || other.is_none() || one == other, "{one:?} {other:?}");
    }
}

/// `a=fmtp` says what its writer can receive: what the peer wrote of itself is not ours to say.
#[test]
fn parameters_are_each_sides_own() {
    let opus = |parameters: &str| {
        let mut codec = default_codecs(MediaKind::Audio).swap_remove(0);
        codec.parameters = parameters.to_owned();
        TransceiverInit { codecs: vec![codec], ..Default::default() }
    };
    let mut alice = connection(1);
    alice.add_transceiver(MediaKind::Audio, opus("minptime=10")).unwrap();
    alice.add_transceiver(MediaKind::Audio, opus("stereo=1")).unwrap();
    let first = alice.create_offer().unwrap().sdp;
    assert!(first.contains("minptime=10\r\n") && first.contains("stereo=1\r\n"), "{first}");
    let mut bob = connection(2);
    negotiate(NOW, &mut alice, &mut bob);
    let second = alice.create_offer().unwrap().sdp;
    let fmtp = |sdp: &str| sdp.lines().filter(|it| it.starts_with("a=fmtp:")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(fmtp(&first), fmtp(&second));
    let numbers: Vec<_> = fmtp(&first).iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
    assert_ne!(numbers[0], numbers[1], "one number has one set of parameters");
}

/// RFC 5761 section 4: a payload type from 64 to 95, with the marker, looks like RTCP.
#[test]
fn payload_types_that_look_like_rtcp_are_not_used() {
    let sdp = head(["0".to_owned()])
        + "m=video 9 UDP/TLS/RTP/SAVPF 72 96\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:72 VP8/90000\r\na=rtpmap:96 VP9/90000\r\n";
    let mut bob = connection(2);
    bob.set_remote_description(NOW, offer(sdp)).unwrap();
    let answer = bob.create_answer().unwrap().sdp;
    assert!(answer.contains("UDP/TLS/RTP/SAVPF 96\r\n"), "{answer}");
    let mut codec = default_codecs(MediaKind::Video).swap_remove(0);
    codec.payload_type = 72;
    let mut alice = connection(1);
    let init = TransceiverInit { codecs: vec![codec], ..Default::default() };
    alice.add_transceiver(MediaKind::Video, init).unwrap();
    let offered = alice.create_offer().unwrap().sdp;
    assert!(!offered.contains("rtpmap:72 "), "{offered}");
}

/// The peer has a number for everything already: a line of ours finds one all the same.
#[test]
fn a_line_without_free_numbers_has_codecs_still() {
    let mut sdp = head((0..70).map(|mid| mid.to_string()));
    for (mid, number) in (96..=127).chain(35..=63).enumerate() {
        write!(
            sdp,
            "m=audio 9 UDP/TLS/RTP/SAVPF {number}\r\na=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:{number} opus/48000/2\r\n"
        )
        .unwrap();
    }
    let mut bob = connection(2);
    bob.set_remote_description(NOW, offer(sdp)).unwrap();
    bob.set_local_description_implicitly(NOW).unwrap();
    bob.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    let offered = bob.create_offer().unwrap().sdp;
    assert!(section(&offered, "m=video").contains(" VP8/90000\r\n"), "{}", section(&offered, "m=video"));
}

/// The direction of an extension is its writer's, as that of the section. RFC 8285 section 5.
#[test]
fn extensions_that_go_one_way_are_answered_the_other_way() {
    let sdp = head(["0".to_owned()])
        + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=rtcp-mux\r\n\
           a=extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
           a=extmap:20 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
    let mut bob = connection(2);
    bob.set_remote_description(NOW, offer(sdp.clone())).unwrap();
    let answer = bob.create_answer().unwrap().sdp;
    assert!(answer.contains("a=extmap:1/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"), "{answer}");
    assert!(!answer.contains("a=extmap:20 "), "long ids are for who mixes\n{answer}");
    let mixed = sdp.replace("a=mid:0\r\n", "a=mid:0\r\na=extmap-allow-mixed\r\n");
    bob.set_remote_description(NOW, offer(mixed)).unwrap();
    let answer = bob.create_answer().unwrap().sdp;
    assert!(answer.contains("a=extmap:20 ") && answer.contains("a=extmap-allow-mixed\r\n"), "{answer}");
}

/// An answer that accepts a section takes something of what was offered in it.
#[test]
fn an_answer_with_nothing_that_was_offered_is_refused() {
    let (mut alice, ids) = with(1, &[MediaKind::Audio]);
    let mut bob = connection(2);
    bob.set_remote_description(NOW, alice.set_local_description_implicitly(NOW).unwrap()).unwrap();
    let answer = bob.set_local_description_implicitly(NOW).unwrap().sdp;
    let other = answer.replace(" 111", " 97").replace(":111", ":97");
    let head = other.find("SAVPF ").unwrap() + "SAVPF ".len();
    let other = other.replacen(&other[head..other[head..].find("\r\n").unwrap() + head], "97", 1);
    let error = alice.set_remote_description(NOW, SessionDescription::answer(other)).unwrap_err();
    assert!(matches!(error, DescriptionError::Invalid(_)), "{error}");
    assert_eq!(alice.signaling_state(), SignalingState::HaveLocalOffer);
    assert_eq!(alice.transceiver(ids[0]).unwrap().current_direction, None);
    // It sends although it was not asked to: nobody listens.
    alice.set_remote_description(NOW, SessionDescription::answer(answer)).unwrap();
    alice.set_direction(ids[0], Direction::SendOnly).unwrap();
    bob.set_remote_description(NOW, alice.set_local_description_implicitly(NOW).unwrap()).unwrap();
    let answer = bob.set_local_description_implicitly(NOW).unwrap().sdp.replace("a=recvonly", "a=sendrecv");
    events(&mut alice);
    alice.set_remote_description(NOW, SessionDescription::answer(answer)).unwrap();
    assert!(!events(&mut alice).iter().any(|event| matches!(event, Event::Track(_))));
    assert_eq!(alice.transceiver(ids[0]).unwrap().current_direction, Some(Direction::SendOnly));
}

/// Data channels that were not offered can't be accepted.
#[test]
fn an_answer_brings_no_channels_by_itself() {
    let mut alice = connection(1);
    alice.create_data_channel("data", ChannelInit::default()).unwrap();
    let audio = alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let mut bob = connection(2);
    bob.set_remote_description(NOW, alice.set_local_description_implicitly(NOW).unwrap()).unwrap();
    let accepted = bob.set_local_description_implicitly(NOW).unwrap().sdp;
    let port = section(&accepted, "m=application").split(' ').nth(1).unwrap();
    let rejected = accepted.replace(&format!("m=application {port}"), "m=application 0");
    alice.set_remote_description(NOW, SessionDescription::answer(rejected)).unwrap();
    let offered = alice.set_local_description_implicitly(NOW).unwrap().sdp;
    assert!(section(&offered, "m=application").starts_with("m=application 0 "), "{offered}");
    alice.set_remote_description(NOW, SessionDescription::answer(accepted)).unwrap();
    let next = alice.create_offer().unwrap().sdp;
    assert!(section(&next, "m=application").starts_with("m=application 0 "), "{next}");
    assert!(alice.transceiver(audio).unwrap().can_send());
}

/// What can't share the one transport is rejected in its place.
#[test]
fn sections_that_can_not_be_had_are_rejected() {
    let audio =
        |mid: &str, more: &str| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n{more}");
    let mux = "a=rtcp-mux\r\n";
    let bundle = head(["0".to_owned(), "1".to_owned()]);
    let none = bundle.replace("a=group:BUNDLE 0 1\r\n", "");
    let other = bundle.replace("BUNDLE 0 1", "BUNDLE 0");
    let only = audio("1", mux).replace("m=audio 9", "m=audio 0") + "a=bundle-only\r\n";
    for (sdp, ports) in [
        // Both in the bundle, the second only there.
        (bundle.clone() + &audio("0", mux) + &only, [true, true]),
        // RTCP on a port of its own.
        (bundle.clone() + &audio("0", "") + &audio("1", mux), [false, true]),
        (bundle.clone() + &audio("0", "") + &audio("1", ""), [false, false]),
        // No bundle, or one of one: one transport is all that we have.
        (none.clone() + &audio("0", mux) + &audio("1", mux), [true, false]),
        (other.clone() + &audio("0", mux) + &audio("1", mux), [true, false]),
        // To be used within a bundle or not at all.
        (other + &audio("0", mux) + &only, [true, false]),
        // The names of streams at the level of the session mean nothing.
        (bundle + "a=msid:stream track\r\n" + &audio("0", mux) + &audio("1", mux), [true, true]),
    ] {
        let mut bob = connection(2);
        bob.set_remote_description(NOW, offer(sdp.clone())).unwrap();
        assert!(bob.transceivers().all(|it| it.remote_streams.is_empty()));
        let answer = bob.set_local_description_implicitly(NOW).unwrap().sdp;
        let used: Vec<_> =
            answer.lines().filter(|line| line.starts_with("m=")).map(|line| !line.starts_with("m=audio 0 ")).collect();
        assert_eq!(used, ports, "{sdp}\n{answer}");
        assert_eq!(bob.transceivers().filter(|it| it.can_receive()).count(), used.iter().filter(|used| **used).count());
        let group = answer.lines().find(|line| line.starts_with("a=group:")).unwrap_or_default();
        let is_named = |mid: &str| group.split(' ').any(|it| it == mid);
        let has_group = sdp.contains("a=group:");
        assert_eq!([is_named("0"), is_named("1")], used.iter().map(|used| *used && has_group).collect::<Vec<_>>()[..]);
        assert!(!needs_negotiation(&mut bob));
    }
}

/// An association that was rejected is over, and can't begin again: who offers channels anew is told so at once.
#[test]
fn channels_that_were_rejected_stay_rejected() {
    let mut alice = connection(1);
    alice.create_data_channel("data", ChannelInit::default()).unwrap();
    alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let with_data = alice.create_offer().unwrap().sdp;
    let port = section(&with_data, "m=application").split(' ').nth(1).unwrap();
    let without = with_data.replace(&format!("m=application {port} "), "m=application 0 ");
    let mut bob = connection(2);
    for (sdp, is_accepted) in [(&with_data, true), (&without, false), (&with_data, false)] {
        bob.set_remote_description(NOW, offer(sdp.clone())).unwrap();
        let answer = bob.set_local_description_implicitly(NOW).unwrap().sdp;
        assert_eq!(!section(&answer, "m=application").starts_with("m=application 0 "), is_accepted, "{answer}");
        assert!(section(&answer, "m=audio").contains("a=recvonly\r\n"));
    }
    assert!(bob.create_data_channel("late", ChannelInit::default()).is_err());
    assert!(!needs_negotiation(&mut bob));
}

/// RFC 9143 section 7.3.1: of a bundle's sections the one that the group names first carries the transport, wherever it stands.
#[test]
fn the_group_says_who_carries_the_transport() {
    let section_of = |mid: &str| {
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\na=rtcp-mux\r\na=ice-ufrag:ufrag{mid}\r\n\
             a=ice-pwd:abcdefghijklmnopqrstuv\r\n"
        )
    };
    let sdp = head(["1".to_owned(), "0".to_owned()]) + &section_of("0") + &section_of("1");
    let mut bob = connection(2);
    bob.set_remote_description(NOW, offer(sdp)).unwrap();
    let answer = bob.set_local_description_implicitly(NOW).unwrap().sdp;
    assert!(answer.contains("a=group:BUNDLE 1 0\r\n"), "{answer}");
    let carrier = answer.rsplit_once("m=audio").unwrap().1;
    assert!(carrier.contains("a=mid:1\r\n") && carrier.contains("a=candidate:"), "{answer}");
    let candidate = |fragment: &str| IceCandidate {
        candidate: "candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host".to_owned(),
        sdp_mid: Some("1".to_owned()),
        username_fragment: Some(fragment.to_owned()),
        ..Default::default()
    };
    assert_eq!(bob.add_ice_candidate(NOW, &candidate("ufrag1")), Ok(()));
    let other = bob.add_ice_candidate(NOW, &candidate("ufrag0"));
    assert_eq!(other, Err(CandidateError::UnknownUserFragment("ufrag0".to_owned())));
    let told = events(&mut bob).into_iter().find_map(|event| match event {
        Event::IceCandidate(candidate) => Some(candidate),
        _ => None,
    });
    assert_eq!(told.unwrap().sdp_mid.as_deref(), Some("1"));
}
