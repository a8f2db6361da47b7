//! Audio and video through two connections: SDP, transceivers, packets both ways, repair, renegotiation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{call, connect, exchange, packet, renegotiate, send};
use common::{App, Pair, address, connection, events, needs_negotiation, negotiate, with};
use wigwag::rtp::ExtensionKind;
use wigwag::{
    ChannelId, ConnectionState, Direction, Event, Instant, MediaKind, PeerConnection, SessionDescription,
    TransceiverError, TransceiverId, TransceiverInit, WriteRtpError, default_codecs,
};
use wigwag_net::Simulation;

const NOW: Instant = Instant(1_000_000);
const LIMIT: Duration = Duration::from_secs(20);

fn tracks(connection: &mut PeerConnection) -> Vec<TransceiverId> {
    let track = |event: Event| if let Event::Track(id) = event { Some(id) } else { None };
    events(connection).into_iter().filter_map(track).collect()
}

fn section<'a>(sdp: &'a str, start: &str) -> &'a str {
    let from = sdp.find(start).unwrap_or_else(|| panic!("no {start} in\n{sdp}"));
    let rest = &sdp[from + 2..];
    &sdp[from..from + 2 + rest.find("\r\nm=").map_or(rest.len(), |at| at + 2)]
}

#[test]
fn an_offer_says_what_browsers_say() {
    let (mut alice, ids) = with(1, &[MediaKind::Audio, MediaKind::Video]);
    assert!(needs_negotiation(&mut alice));
    let offer = alice.create_offer().unwrap().sdp;
    let (audio, video) = (section(&offer, "m=audio"), section(&offer, "m=video"));
    for expected in
        ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtcp-mux", "a=sendrecv", "a=mid:0"]
    {
        assert!(audio.lines().any(|line| line == expected), "no {expected} in\n{audio}");
    }
    let transceiver = alice.transceiver(ids[1]).unwrap();
    let fid = format!("a=ssrc-group:FID {} {}", transceiver.ssrc, transceiver.rtx_ssrc);
    for expected in [
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 transport-cc",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rtcp-rsize",
        "a=mid:1",
        &fid,
    ] {
        assert!(video.lines().any(|line| line == expected), "no {expected} in\n{video}");
    }
    assert!(offer.contains("a=group:BUNDLE 0 1\r\n") && offer.contains("a=extmap-allow-mixed\r\n"), "{offer}");
    assert!(video.contains(&format!("a=msid:- {}\r\n", transceiver.track)), "{video}");
    assert_eq!(transceiver.mid, None, "creating changes nothing");
}

#[test]
fn what_is_offered_is_received_and_what_is_wanted_is_sent() {
    let (mut alice, sent) = with(1, &[MediaKind::Audio, MediaKind::Video]);
    let mut bob = connection(2);
    let offer = alice.set_local_description_implicitly(NOW).unwrap();
    bob.set_remote_description(NOW, offer).unwrap();
    let heard = tracks(&mut bob);
    assert_eq!(heard.len(), 2);
    let audio = bob.transceiver(heard[0]).unwrap();
    assert_eq!((audio.kind, audio.direction, audio.current_direction), (MediaKind::Audio, Direction::RecvOnly, None));
    assert_eq!(audio.remote_track.as_deref(), Some(alice.transceiver(sent[0]).unwrap().track.as_str()));
    bob.set_direction(heard[1], Direction::SendRecv).unwrap();
    let answer = bob.set_local_description_implicitly(NOW).unwrap();
    assert!(section(&answer.sdp, "m=audio").contains("a=recvonly\r\n"), "{}", answer.sdp);
    assert!(section(&answer.sdp, "m=video").contains("a=sendrecv\r\n"), "{}", answer.sdp);
    alice.set_remote_description(NOW, answer).unwrap();
    let directions = |pc: &PeerConnection| pc.transceivers().map(|it| it.current_direction).collect::<Vec<_>>();
    assert_eq!(directions(&alice), [Some(Direction::SendOnly), Some(Direction::SendRecv)]);
    assert_eq!(directions(&bob), [Some(Direction::RecvOnly), Some(Direction::SendRecv)]);
    assert_eq!(tracks(&mut alice), [sent[1]]);
    assert!(!needs_negotiation(&mut alice) && !needs_negotiation(&mut bob));
    let codec = &alice.transceiver(sent[1]).unwrap().codecs[0];
    assert_eq!((codec.name.as_str(), codec.payload_type), ("VP8", 96));
}

#[test]
fn preferences_choose_the_codec() {
    let codec = |kind, name: &str| default_codecs(kind).into_iter().filter(|codec| codec.is(name)).collect::<Vec<_>>();
    let (mut alice, _) = with(1, &[MediaKind::Video]);
    let mut bob = connection(2);
    bob.set_remote_description(NOW, alice.set_local_description_implicitly(NOW).unwrap()).unwrap();
    let id = tracks(&mut bob)[0];
    let nonsense = wigwag::Codec::new(100, "H999", 90_000);
    assert_eq!(bob.set_codec_preferences(id, vec![nonsense]), Err(TransceiverError::NoCodec));
    bob.set_codec_preferences(id, codec(MediaKind::Video, "AV1")).unwrap();
    let answer = bob.set_local_description_implicitly(NOW).unwrap();
    assert!(answer.sdp.contains("m=video ") && answer.sdp.contains("SAVPF 45 46\r\n"), "{}", answer.sdp);
    alice.set_remote_description(NOW, answer).unwrap();
    for pc in [&alice, &bob] {
        let names: Vec<_> = pc.transceivers().flat_map(|it| &it.codecs).map(|codec| codec.name.as_str()).collect();
        assert_eq!(names, ["AV1"]);
    }
}

#[test]
fn a_track_that_waits_goes_out_with_the_answer() {
    let (mut alice, _) = with(1, &[MediaKind::Video]);
    let mut bob = connection(2);
    let waiting = bob.add_track(MediaKind::Video, None, vec!["cam".to_owned()]).unwrap();
    negotiate(NOW, &mut alice, &mut bob);
    assert_eq!(bob.transceivers().count(), 1);
    assert_eq!(bob.transceiver(waiting).unwrap().current_direction, Some(Direction::SendRecv));
    let alices = alice.transceivers().next().unwrap();
    assert_eq!(alices.remote_streams, ["cam"]);
    // A transceiver that the application made as such is not taken.
    let mut carol = connection(2);
    carol.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    let (mut alice, _) = with(1, &[MediaKind::Video]);
    negotiate(NOW, &mut alice, &mut carol);
    assert_eq!(carol.transceivers().count(), 2);
    assert!(needs_negotiation(&mut carol));
}

#[test]
fn a_rollback_undoes_transceivers() {
    let (mut alice, ids) = with(1, &[MediaKind::Audio]);
    let mut bob = connection(2);
    let offer = alice.set_local_description_implicitly(NOW).unwrap();
    assert_eq!(alice.transceiver(ids[0]).unwrap().mid.as_deref(), Some("0"));
    alice.set_local_description(NOW, SessionDescription::rollback()).unwrap();
    assert_eq!(alice.transceiver(ids[0]).unwrap().mid, None);
    assert!(needs_negotiation(&mut alice));
    bob.set_remote_description(NOW, offer.clone()).unwrap();
    bob.set_remote_description(NOW, SessionDescription::rollback()).unwrap();
    assert_eq!(bob.transceivers().count(), 0);
    let told = events(&mut bob);
    assert!(told.iter().any(|event| matches!(event, Event::TrackRemoved(_))), "{told:?}");
    // One that was taken for a track of our own stays.
    bob.set_remote_description(NOW, offer).unwrap();
    let mine = bob.add_track(MediaKind::Audio, None, Vec::new()).unwrap();
    assert_eq!(tracks(&mut bob), [mine]);
    bob.set_remote_description(NOW, SessionDescription::rollback()).unwrap();
    assert_eq!(bob.transceivers().map(|it| it.id).collect::<Vec<_>>(), [mine]);
}

#[test]
fn sections_are_stopped_and_used_again() {
    let (mut alice, ids) = with(1, &[MediaKind::Audio, MediaKind::Video]);
    let mut bob = connection(2);
    negotiate(NOW, &mut alice, &mut bob);
    events(&mut bob);
    alice.stop_transceiver(ids[0]).unwrap();
    assert_eq!(alice.stop_transceiver(ids[0]), Err(TransceiverError::Stopped));
    assert!(needs_negotiation(&mut alice));
    negotiate(NOW, &mut alice, &mut bob);
    assert!(alice.transceiver(ids[0]).is_none_or(|it| it.is_stopped));
    assert_eq!(bob.transceivers().filter(|it| !it.is_stopped).count(), 1);
    assert!(events(&mut bob).iter().any(|event| matches!(event, Event::TrackRemoved(_))));
    assert!(!needs_negotiation(&mut alice));
    let again = alice.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    assert!(needs_negotiation(&mut alice));
    let offer = alice.create_offer().unwrap().sdp;
    assert_eq!(offer.matches("m=").count(), 2, "the free place is used\n{offer}");
    assert!(offer.contains("a=group:BUNDLE 2 1\r\n"), "{offer}");
    negotiate(NOW, &mut alice, &mut bob);
    assert_eq!(alice.transceiver(again).unwrap().mid.as_deref(), Some("2"));
    assert_eq!(bob.transceivers().filter(|it| !it.is_stopped).count(), 2);
    assert_eq!((needs_negotiation(&mut alice), needs_negotiation(&mut bob)), (false, false));
}

#[test]
fn a_direction_that_changes_wants_an_offer_and_only_one() {
    let (mut alice, ids) = with(1, &[MediaKind::Video]);
    let mut bob = connection(2);
    negotiate(NOW, &mut alice, &mut bob);
    assert!(!needs_negotiation(&mut bob), "it receives, as it wanted");
    let bobs = bob.transceivers().next().unwrap().id;
    alice.set_direction(ids[0], Direction::Inactive).unwrap();
    assert!(needs_negotiation(&mut alice));
    negotiate(NOW, &mut alice, &mut bob);
    assert!(!needs_negotiation(&mut alice) && !needs_negotiation(&mut bob));
    assert_eq!(bob.transceiver(bobs).unwrap().current_direction, Some(Direction::Inactive));
    bob.set_direction(bobs, Direction::SendRecv).unwrap();
    alice.set_direction(ids[0], Direction::SendRecv).unwrap();
    assert!(needs_negotiation(&mut alice));
    negotiate(NOW, &mut bob, &mut alice);
    assert_eq!(alice.transceiver(ids[0]).unwrap().current_direction, Some(Direction::SendRecv));
    assert!(!needs_negotiation(&mut bob));
}

#[test]
fn packets_go_there_and_back() {
    let (mut pair, ids) = call(1);
    let early = pair.offerer().pc.write_rtp(NOW, ids[0], packet(111, 0, 80));
    assert_eq!(early, Err(WriteRtpError::NotConnected));
    connect(&mut pair);
    send(&mut pair, &ids, 100);
    pair.simulation.run_for(Duration::from_millis(200)).unwrap();
    for (id, payload_type, len) in [(ids[0], 111, 80), (ids[1], 96, 1100)] {
        let back: Vec<_> =
            pair.offerer().packets.iter().filter(|(it, _)| *it == id).map(|(_, it)| it.clone()).collect();
        assert_eq!(back.len(), 100);
        for (n, got) in back.iter().enumerate() {
            let sent = packet(payload_type, n as u16, len);
            assert_eq!((&got.payload, got.timestamp, got.marker), (&sent.payload, sent.timestamp, sent.marker));
            assert_eq!(got.sequence_number as u16, sent.sequence_number.0);
            assert_eq!(got.payload_type.number(), payload_type);
            let level = sent.extensions.get(ExtensionKind::AudioLevel);
            assert_eq!(got.extensions.get(ExtensionKind::AudioLevel), level);
        }
        assert!(back.windows(2).all(|pair| pair[1].sequence_number == pair[0].sequence_number + 1), "it wrapped");
    }
    let stats = pair.offerer().pc.media_stats(ids[1]).unwrap();
    assert_eq!((stats.outbound.packets, stats.inbound.packets, stats.inbound.lost), (100, 100, 0));
    assert_eq!(pair.offerer().pc.stats().dropped_media, 0);
    let wrong = packet(120, 0, 10);
    let now = pair.simulation.now();
    assert!(matches!(pair.offerer().pc.write_rtp(now, ids[1], wrong), Err(WriteRtpError::Packet(_))));
}

#[test]
fn what_is_lost_is_sent_again() {
    let (mut pair, ids) = call(2);
    connect(&mut pair);
    let link = wigwag_net::Link { loss: 0.05, delay: Duration::from_millis(20), ..Default::default() };
    pair.simulation.network.set_default_link(link);
    send(&mut pair, &ids, 1000);
    pair.simulation.run_for(Duration::from_secs(2)).unwrap();
    let mut video: Vec<_> =
        pair.offerer().packets.iter().filter(|(it, _)| *it == ids[1]).map(|(_, it)| it.sequence_number).collect();
    video.sort_unstable();
    video.dedup();
    assert!(video.len() >= 998, "{} of 1000", video.len());
    let stats = pair.offerer().pc.media_stats(ids[1]).unwrap();
    assert!(stats.inbound.recovered > 20 && stats.outbound.retransmitted_packets > 20, "{stats:?}");
    assert!(stats.outbound.round_trip_time.is_some_and(|it| (38..80).contains(&it.as_millis())), "{stats:?}");
}

#[test]
fn key_frames_are_asked_for() {
    let (mut pair, ids) = call(3);
    connect(&mut pair);
    send(&mut pair, &ids, 2);
    let now = pair.simulation.now();
    let bobs = pair.answerer().tracks[1];
    assert!(pair.answerer().pc.request_key_frame(now, bobs, None));
    assert!(!pair.answerer().pc.request_key_frame(now, TransceiverId::clone(&bobs), Some("nobody")));
    pair.simulation.run_for(Duration::from_millis(50)).unwrap();
    assert_eq!(pair.offerer().key_frame_requests, [ids[1]]);
    assert_eq!(pair.offerer().pc.media_stats(ids[1]).unwrap().outbound.plis_received, 1);
}

#[test]
fn media_joins_a_connection_that_has_data_and_leaves_it() {
    let mut pair = Pair::new(4);
    connect(&mut pair);
    let audio = pair.offerer().pc.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let video = pair.offerer().pc.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    renegotiate(&mut pair);
    send(&mut pair, &[audio, video], 10);
    pair.simulation.run_for(Duration::from_millis(100)).unwrap();
    assert_eq!(pair.offerer().packets.len(), 20);

    // Stopped: nothing is accepted any more, the channel goes on.
    pair.offerer().pc.stop_transceiver(video).unwrap();
    renegotiate(&mut pair);
    let now = pair.simulation.now();
    let refused = pair.offerer().pc.write_rtp(now, video, packet(96, 99, 10));
    assert_eq!(refused, Err(WriteRtpError::Stopped));
    let channel: ChannelId = pair.channel;
    pair.offerer().outbox.push_back((channel, common::numbered(0, 100)));
    pair.simulation
        .run_until(
            |it| {
                it.hosts().any(|host| {
                    it.machine(host).unwrap().heard() > 1 || it.machine(host).unwrap().inbox.contains_key(&channel)
                })
            },
            LIMIT,
        )
        .unwrap();

    // The channels' section can't be rejected without the rest going on.
    pair.offerer().pc.close(now);
    pair.simulation.run_for(Duration::from_secs(1)).unwrap();
    assert!(pair.offerer().pc.is_closed() && pair.answerer().pc.is_closed());
}

#[test]
fn a_call_without_data_channels_connects_and_ends() {
    let mut sides = [connection(1), connection(2)].map(App::new);
    let [offerer, answerer] = &mut sides;
    answerer.echoes = true;
    let id = offerer.pc.add_transceiver(MediaKind::Video, TransceiverInit::default()).unwrap();
    exchange(offerer, answerer);
    let mut simulation = Simulation::new(5);
    let hosts: Vec<_> =
        sides.into_iter().enumerate().map(|(side, app)| simulation.add([address(side).ip()], app)).collect();
    let is_connected = |app: &App| app.states.contains(&ConnectionState::Connected);
    simulation.run_until(|it| common::both(it, is_connected), LIMIT).unwrap();
    let now = simulation.now();
    let app = simulation.machine_mut(hosts[0]).unwrap();
    app.pc.write_rtp(now, id, packet(96, 0, 500)).unwrap();
    simulation.run_for(Duration::from_secs(40)).unwrap();
    assert_eq!(simulation.machine(hosts[0]).unwrap().packets.len(), 1);
    let now = simulation.now();
    simulation.machine_mut(hosts[0]).unwrap().pc.close(now);
    simulation.run_for(Duration::from_secs(1)).unwrap();
    assert!(common::both(&simulation, |app| app.pc.is_closed()));
}
