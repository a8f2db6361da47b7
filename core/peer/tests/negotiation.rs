//! Offer and answer, without a network: webrtc-pc section 4.4.1 and RFC 9429.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wigwag::{
    CandidateError, ChannelInit, Config, DescriptionError, Event, IceCandidate, IceGatheringState, Instant,
    PeerConnection, SdpType, SessionDescription, SignalingState,
};

const NOW: Instant = Instant(1_000_000);

fn connection(n: u8) -> PeerConnection {
    let mut connection = PeerConnection::new(Config::new([n; 32])).unwrap();
    connection.add_udp_socket(NOW, format!("10.0.0.{n}:{n}000").parse().unwrap()).unwrap();
    connection
}

fn with_channel(n: u8) -> PeerConnection {
    let mut connection = connection(n);
    connection.create_data_channel("data", ChannelInit::default()).unwrap();
    connection
}

fn events(connection: &mut PeerConnection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

/// One whole exchange; both are stable after it.
fn negotiate(offerer: &mut PeerConnection, answerer: &mut PeerConnection) -> (String, String) {
    let offer = offerer.set_local_description_implicitly(NOW).unwrap();
    answerer.set_remote_description(NOW, offer.clone()).unwrap();
    let answer = answerer.set_local_description_implicitly(NOW).unwrap();
    offerer.set_remote_description(NOW, answer.clone()).unwrap();
    for side in [offerer, answerer] {
        assert_eq!(side.signaling_state(), SignalingState::Stable);
    }
    (offer.sdp, answer.sdp)
}

fn line<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| line.strip_prefix(name))
}

#[test]
fn an_offer_says_what_data_channels_need() {
    let mut alice = with_channel(1);
    assert!(matches!(events(&mut alice).as_slice(), [Event::NegotiationNeeded]));
    let offer = alice.create_offer().unwrap();
    assert_eq!(alice.signaling_state(), SignalingState::Stable, "creating changes nothing");
    for expected in [
        "a=group:BUNDLE 0",
        "m=application 1000 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 10.0.0.1",
        "a=mid:0",
        "a=setup:actpass",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "a=ice-options:trickle",
    ] {
        assert!(offer.sdp.lines().any(|line| line == expected), "no {expected} in\n{}", offer.sdp);
    }
    assert!(line(&offer.sdp, "a=candidate:").unwrap().contains("10.0.0.1 1000 typ host"));
    assert!(line(&offer.sdp, "a=fingerprint:sha-256 ").is_some());

    alice.set_local_description(NOW, offer).unwrap();
    let events = events(&mut alice);
    assert!(events.iter().any(|event| matches!(event, Event::SignalingStateChange(SignalingState::HaveLocalOffer))));
    let told = events.iter().filter(|event| matches!(event, Event::IceCandidate(_))).count();
    assert_eq!(told, 2, "the candidate, and that there are no more");
    assert_eq!(alice.ice_gathering_state(), IceGatheringState::Complete);
    assert!(alice.local_description().unwrap().sdp.contains("a=end-of-candidates"));
}

#[test]
fn an_answer_is_passive_and_mirrors_the_sections() {
    let (mut alice, mut bob) = (with_channel(1), connection(2));
    let (offer, answer) = negotiate(&mut alice, &mut bob);
    assert_eq!(line(&answer, "a=setup:"), Some("passive"));
    assert_eq!(line(&answer, "a=mid:"), line(&offer, "a=mid:"));
    // Nothing is needed any more, on either side, though only one created a channel.
    assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::NegotiationNeeded)));
}

#[test]
fn what_an_offer_has_beside_data_is_rejected_in_its_place() {
    let mut bob = connection(2);
    let offer = with_channel(1).create_offer().unwrap().sdp;
    let (session, data) = offer.split_at(offer.find("m=").unwrap());
    let media =
        |kind: &str, mid: &str| format!("m={kind} 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n");
    let session = session.replace("BUNDLE 0", "BUNDLE a v 0");
    let offer = format!("{session}{}{}{data}", media("audio", "a"), media("video", "v"));
    bob.set_remote_description(NOW, SessionDescription::offer(offer)).unwrap();
    let answer = bob.create_answer().unwrap().sdp;
    let sections: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(sections.len(), 3, "{answer}");
    assert!(sections[0].starts_with("m=audio 0 ") && sections[1].starts_with("m=video 0 "), "{answer}");
    assert!(sections[2].starts_with("m=application 2000 "), "{answer}");
    assert_eq!(line(&answer, "a=group:"), Some("BUNDLE 0"));
}

#[test]
fn wrong_states_are_typed_errors_and_change_nothing() {
    let (mut alice, mut bob) = (with_channel(1), connection(2));
    let wrong = |result: Result<_, DescriptionError>| matches!(result, Err(DescriptionError::WrongState { .. }));
    assert!(wrong(alice.create_answer()));
    let offer = alice.create_offer().unwrap();
    let answer = SessionDescription::answer(offer.sdp.clone());
    assert!(wrong(alice.set_remote_description(NOW, answer.clone()).map(|()| answer)));
    assert!(wrong(alice.set_local_description(NOW, SessionDescription::rollback()).map(|()| offer.clone())));
    bob.set_remote_description(NOW, offer).unwrap();
    assert!(wrong(bob.create_offer()));
    assert_eq!(alice.signaling_state(), SignalingState::Stable);
}

#[test]
fn a_local_description_is_applied_as_it_was_created() {
    let mut alice = with_channel(1);
    let mut offer = alice.create_offer().unwrap();
    offer.sdp.push_str("a=x-munged\r\n");
    assert_eq!(alice.set_local_description(NOW, offer), Err(DescriptionError::Modified));
    let foreign = with_channel(3).create_offer().unwrap();
    assert_eq!(alice.set_local_description(NOW, foreign), Err(DescriptionError::Modified));
    assert!(alice.set_local_description_implicitly(NOW).is_ok());
}

#[test]
fn what_is_missing_is_named() {
    let offer = with_channel(1).create_offer().unwrap().sdp;
    for missing in ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint"] {
        let without: String = offer.split_inclusive('\n').filter(|line| !line.starts_with(missing)).collect();
        let error = connection(2).set_remote_description(NOW, SessionDescription::offer(without)).unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
    let error = connection(2).set_remote_description(NOW, SessionDescription::offer("hello")).unwrap_err();
    assert!(matches!(error, DescriptionError::Syntax(_)), "{error}");
}

#[test]
fn rollback_takes_either_offer_back() {
    let (mut alice, mut bob) = (with_channel(1), with_channel(2));
    let first = alice.set_local_description_implicitly(NOW).unwrap();
    alice.set_local_description(NOW, SessionDescription::rollback()).unwrap();
    assert_eq!(alice.signaling_state(), SignalingState::Stable);
    assert!(alice.local_description().is_none());

    bob.set_remote_description(NOW, first).unwrap();
    bob.set_remote_description(NOW, SessionDescription::rollback()).unwrap();
    assert_eq!(bob.signaling_state(), SignalingState::Stable);
    assert!(bob.remote_description().is_none());
    negotiate(&mut bob, &mut alice);
}

/// Perfect negotiation: both offer at once; the polite side gives way.
#[test]
fn glare_ends_well() {
    let (mut polite, mut impolite) = (with_channel(1), with_channel(2));
    polite.set_local_description_implicitly(NOW).unwrap();
    let winning = impolite.set_local_description_implicitly(NOW).unwrap();
    polite.set_remote_description(NOW, winning).unwrap();
    assert_eq!(polite.signaling_state(), SignalingState::HaveRemoteOffer);
    let answer = polite.set_local_description_implicitly(NOW).unwrap();
    assert_eq!(answer.kind, SdpType::Answer);
    impolite.set_remote_description(NOW, answer).unwrap();
    assert_eq!(
        (polite.signaling_state(), impolite.signaling_state()),
        (SignalingState::Stable, SignalingState::Stable)
    );
}

#[test]
fn a_broken_offer_does_not_roll_ours_back() {
    let mut alice = with_channel(1);
    alice.set_local_description_implicitly(NOW).unwrap();
    assert!(alice.set_remote_description(NOW, SessionDescription::offer("v=9")).is_err());
    assert_eq!(alice.signaling_state(), SignalingState::HaveLocalOffer);
}

#[test]
fn a_restart_has_new_credentials_on_both_sides_and_keeps_the_roles() {
    let (mut alice, mut bob) = (with_channel(1), connection(2));
    let (offer, answer) = negotiate(&mut alice, &mut bob);
    events(&mut bob);
    bob.restart_ice();
    assert!(events(&mut bob).iter().any(|event| matches!(event, Event::NegotiationNeeded)));
    let (second_offer, second_answer) = negotiate(&mut bob, &mut alice);
    let ufrag = |sdp: &str| line(sdp, "a=ice-ufrag:").unwrap().to_owned();
    assert_ne!(ufrag(&second_offer), ufrag(&answer));
    assert_ne!(ufrag(&second_answer), ufrag(&offer));
    // Bob answered passive, so he is the server for ever: now alice says that she is active.
    assert_eq!(line(&second_offer, "a=setup:"), Some("actpass"));
    assert_eq!(line(&second_answer, "a=setup:"), Some("active"));
    // Without a restart, nothing changes.
    let (third_offer, _) = negotiate(&mut alice, &mut bob);
    assert_eq!(ufrag(&third_offer), ufrag(&second_answer));
    assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::NegotiationNeeded)));
}

#[test]
fn another_certificate_wants_another_connection() {
    let (mut alice, mut bob) = (with_channel(1), connection(2));
    let (offer, _) = negotiate(&mut alice, &mut bob);
    let other = with_channel(3).create_offer().unwrap().sdp;
    let changed = offer.replace(line(&offer, "a=fingerprint:").unwrap(), line(&other, "a=fingerprint:").unwrap());
    let error = bob.set_remote_description(NOW, SessionDescription::offer(changed)).unwrap_err();
    assert!(error.to_string().contains("fingerprint"), "{error}");
}

#[test]
fn candidates_must_belong_to_something() {
    let (mut alice, mut bob) = (with_channel(1), connection(2));
    let text = "candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host".to_owned();
    let candidate = IceCandidate { candidate: text.clone(), sdp_mid: Some("0".to_owned()), ..Default::default() };
    assert_eq!(bob.add_ice_candidate(NOW, &candidate), Err(CandidateError::NoRemoteDescription));
    let offer = alice.set_local_description_implicitly(NOW).unwrap();
    bob.set_remote_description(NOW, offer.clone()).unwrap();

    assert_eq!(bob.add_ice_candidate(NOW, &candidate), Ok(()));
    let stray = IceCandidate { sdp_mid: Some("7".to_owned()), ..candidate.clone() };
    assert_eq!(bob.add_ice_candidate(NOW, &stray), Err(CandidateError::UnknownSection));
    let stale = IceCandidate { username_fragment: Some("stale".to_owned()), ..candidate.clone() };
    assert_eq!(bob.add_ice_candidate(NOW, &stale), Err(CandidateError::UnknownUserFragment("stale".to_owned())));
    let broken = IceCandidate { candidate: "candidate:1 1 udp".to_owned(), ..candidate.clone() };
    assert!(matches!(bob.add_ice_candidate(NOW, &broken), Err(CandidateError::Syntax(_))));
    let hidden = text.replace("192.0.2.7", "0e5ae29c-90d5-4aa9-b6b5-b4e5a6a63a0a.local");
    for candidate in [hidden, text.replace("udp", "tcp") + " tcptype active", String::new()] {
        let candidate = IceCandidate { candidate, sdp_mid: Some("0".to_owned()), ..Default::default() };
        assert_eq!(bob.add_ice_candidate(NOW, &candidate), Ok(()), "{candidate:?}");
    }
}

#[test]
fn a_closed_connection_says_so() {
    let mut alice = with_channel(1);
    alice.close(NOW);
    assert!(alice.is_closed(), "nobody is there to say goodbye to");
    assert!(matches!(alice.create_offer(), Err(DescriptionError::WrongState { state: SignalingState::Closed, .. })));
    assert_eq!(alice.create_data_channel("late", ChannelInit::default()), Err(wigwag::OpenError::Closed));
    assert_eq!(alice.add_ice_candidate(NOW, &IceCandidate::default()), Err(CandidateError::Closed));
}

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\na=ice-ufrag:other\r\n";

#[test]
fn a_rejected_section_may_come_back_as_another_kind() {
    let mut bob = connection(2);
    let offer = with_channel(1).create_offer().unwrap().sdp;
    let (session, data) = offer.split_at(offer.find("m=").unwrap());
    for section in [AUDIO.to_owned(), AUDIO.replace("m=audio", "m=video").replace("mid:a", "mid:v")] {
        let offer = format!("{session}{section}{data}");
        bob.set_remote_description(NOW, SessionDescription::offer(offer)).unwrap();
        bob.set_local_description_implicitly(NOW).unwrap();
    }
    // The section with the data channels stays what it is.
    let moved = format!("{session}{data}{AUDIO}");
    assert!(bob.set_remote_description(NOW, SessionDescription::offer(moved)).is_err());
}

#[test]
fn candidates_of_other_sections_are_nobodys() {
    let mut bob = connection(2);
    let offer = with_channel(1).create_offer().unwrap().sdp;
    let (session, data) = offer.split_at(offer.find("m=").unwrap());
    let offer = format!("{session}{AUDIO}{data}");
    bob.set_remote_description(NOW, SessionDescription::offer(offer.clone())).unwrap();
    let candidate = |mid: &str, ufrag: Option<&str>| IceCandidate {
        candidate: "candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host".to_owned(),
        sdp_mid: Some(mid.to_owned()),
        username_fragment: ufrag.map(str::to_owned),
        ..Default::default()
    };
    let ours = line(&offer, "a=ice-ufrag:other").map(|_| ()).and(Some(()));
    assert!(ours.is_some());
    for (mid, ufrag) in [("a", Some("other")), ("a", None), ("0", None)] {
        assert_eq!(bob.add_ice_candidate(NOW, &candidate(mid, ufrag)), Ok(()), "{mid} {ufrag:?}");
    }
    let stale = bob.add_ice_candidate(NOW, &candidate("0", Some("other")));
    assert_eq!(stale, Err(CandidateError::UnknownUserFragment("other".to_owned())));
}

#[test]
fn data_channels_that_are_rejected_are_closed() {
    let mut alice = connection(1);
    let channel = alice.create_data_channel("data", ChannelInit::default()).unwrap();
    let offer = alice.set_local_description_implicitly(NOW).unwrap();
    let answer = offer.sdp.replace("m=application 1000", "m=application 0").replace("setup:actpass", "setup:passive");
    events(&mut alice);
    alice.set_remote_description(NOW, SessionDescription::answer(answer)).unwrap();
    let events = events(&mut alice);
    assert!(events.iter().any(|event| matches!(event, Event::ChannelClosed(closed) if *closed == channel)));
    assert!(!events.iter().any(|event| matches!(event, Event::NegotiationNeeded)), "offers without end");
}

/// The network changed: a restart looks for what there is now.
#[test]
fn a_restart_gathers_again() {
    let mut config = Config::new([1; 32]);
    config.gathering = wigwag::Gathering::Interfaces;
    let mut alice = PeerConnection::new(config).unwrap();
    alice.create_data_channel("data", ChannelInit::default()).unwrap();
    let gather = |alice: &mut PeerConnection, address: &str| {
        let mut bound = 0;
        while let Some(request) = alice.poll_request() {
            let answer = match request {
                wigwag::Request::WatchInterfaces(request) => {
                    request.interfaces(vec![wigwag::Interface::new("if0", address.parse().unwrap())])
                }
                wigwag::Request::BindUdp(request) => {
                    bound += 1;
                    let local = std::net::SocketAddr::new(request.local.ip(), 4000 + bound);
                    request.bound(local)
                }
                wigwag::Request::CloseUdp(_) => continue,
                other => panic!("{other:?}"),
            };
            alice.handle_input(NOW, wigwag::Input::Answer(answer));
        }
        bound
    };
    let mut bob = connection(2);
    let offer = alice.set_local_description_implicitly(NOW).unwrap();
    assert_eq!(gather(&mut alice, "192.0.2.1"), 1);
    bob.set_remote_description(NOW, offer).unwrap();
    let answer = bob.set_local_description_implicitly(NOW).unwrap();
    alice.set_remote_description(NOW, answer).unwrap();
    assert!(alice.local_description().unwrap().sdp.contains("192.0.2.1"));

    let moved = [wigwag::Interface::new("if1", "198.51.100.1".parse().unwrap())];
    alice.handle_input(NOW, wigwag::Input::Interfaces(&moved));
    alice.restart_ice();
    events(&mut alice);
    alice.set_local_description_implicitly(NOW).unwrap();
    assert_eq!(gather(&mut alice, "198.51.100.1"), 1);
    let sdp = alice.local_description().unwrap().sdp;
    assert!(sdp.contains("198.51.100.1") && !sdp.contains("192.0.2.1"), "{sdp}");
    let told: Vec<IceCandidate> = events(&mut alice)
        .into_iter()
        .filter_map(|event| if let Event::IceCandidate(candidate) = event { Some(candidate) } else { None })
        .collect();
    let ufrag = line(&sdp, "a=ice-ufrag:").unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].candidate.contains(&format!("ufrag {ufrag}")) && told[1].candidate.is_empty(), "{told:?}");
    assert!(told.iter().all(|candidate| candidate.username_fragment.as_deref() == Some(ufrag)));
}
