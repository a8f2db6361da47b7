//! Scenarios 19, 21, 22 and 26: how a connection begins when the two sides do not agree on the order of things, on who
//! is who, on what is new, or on how long a packet may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wigwag::{
    ChannelInit, DtlsVersion, DtlsVersions, IceCandidate, Instant, PeerConnection, SessionDescription, SignalingState,
};
use wigwag_net::Verdict;
use wigwag_scenarios::{Link, Peer, Simulation, World, config, for_each_seed, memory, reachable};

const MINUTE: Duration = Duration::from_secs(60);
const START: Instant = Simulation::<Peer>::START;
const ROUND_TRIP: Duration = Duration::from_millis(20);

fn offer(pc: &mut PeerConnection) -> SessionDescription {
    pc.set_local_description_implicitly(START).unwrap()
}

/// Both made an offer, and a broken signalling tells each that the other's was the answer: both control (a conflict that
/// checks must resolve, RFC 8445 section 7.3.1.1), both start at once, and both open the association.
#[test]
fn scenario_19_both_sides_start_at_once() {
    for_each_seed(20, |seed| {
        let mut peers = [0, 1].map(|side| reachable(config(seed, side + 1), usize::from(side)));
        let channels = [0, 1].map(|n: usize| peers[n].pc.create_data_channel("mine", ChannelInit::default()).unwrap());
        let offers = [0, 1].map(|n: usize| offer(&mut peers[n].pc));
        let roles = ["a=setup:active", "a=setup:passive"];
        for (n, offer) in offers.into_iter().enumerate() {
            let sdp = offer.sdp.replace("a=setup:actpass", roles[n]);
            peers[1 - n].pc.set_remote_description(START, SessionDescription::answer(sdp)).unwrap();
        }
        let mut world = World::join(seed, peers, channels[0]);
        if seed > 5 {
            world.simulation.network.set_default_link(Link { loss: 0.1, ..Link::default() });
        }
        world.run_until(MINUTE, |peer| peer.is_connected() && peer.opened.len() == 2).unwrap();
        world.offerer().say(channels[0], 20, 2000);
        world.answerer().say(channels[1], 20, 2000);
        world.run_until(MINUTE, |peer| peer.heard() == 20).unwrap();
    });
}

/// Counts the datagrams with a handshake, by their first byte. RFC 7983.
fn count_handshakes(world: &mut World) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    world.simulation.network.set_filter(move |sent| {
        counter.fetch_add(usize::from(sent.bytes.first() == Some(&22)), Ordering::Relaxed);
        Verdict::Pass
    });
    count
}

/// The answerer connects and is told nothing; the ClientHello comes before the offerer knows whom to trust.
#[test]
fn scenario_21_a_hello_before_the_answer() {
    for_each_seed(3, |seed| {
        for (answer_after, answerer_is_client) in
            [0, 1, 15, 25, 35, 50, 200, 1000, 5000].into_iter().flat_map(|millis| [(millis, true), (millis, false)])
        {
            let mut offerer = reachable(config(seed, 1), 0);
            let mut answerer = reachable(config(seed, 2), 1);
            let channel = offerer.pc.create_data_channel("data", ChannelInit::default()).unwrap();
            offerer.say(channel, 5, 1000);
            answerer.replies = (5, 1000);
            let role = if answerer_is_client { "a=setup:passive" } else { "a=setup:active" };
            let offer = offer(&mut offerer.pc);
            let offer = SessionDescription { sdp: offer.sdp.replace("a=setup:actpass", role), ..offer };
            answerer.pc.set_remote_description(START, offer).unwrap();
            let answer = answerer.pc.set_local_description_implicitly(START).unwrap();

            let mut world = World::join(seed, [offerer, answerer], channel);
            let before = memory::live();
            let hellos = count_handshakes(&mut world);
            world.simulation.run_for(Duration::from_millis(answer_after)).unwrap();
            assert!(world.offerer().opened.is_empty() && world.offerer().heard() == 0);
            let held = memory::live() - before;
            assert!(held < 200_000, "{held} bytes are held before the answer");
            let early = hellos.load(Ordering::Relaxed);
            // A check takes 20 ms there and back, and its turn among others is drawn.
            if !(20..50).contains(&answer_after) {
                assert_eq!(early > 0, answerer_is_client && answer_after >= 50, "{early} after {answer_after} ms");
            }
            let now = world.now();
            world.offerer().pc.set_remote_description(now, answer).unwrap();
            assert_eq!(world.offerer().pc.signaling_state(), SignalingState::Stable);
            world.run_until(Duration::from_secs(6), |peer| peer.heard() == 5).unwrap();
        }
    });
}

/// Descriptions without candidates, which follow by and by.
#[test]
fn scenario_21_the_answer_before_the_candidates() {
    for_each_seed(3, |seed| {
        let configs = [config(seed, 1), config(seed, 2)];
        let bare = |sdp: String| {
            let lines = sdp.split_inclusive('\n');
            lines.filter(|it| !it.starts_with("a=candidate") && !it.starts_with("a=end-of")).collect()
        };
        let mut world = World::edited(seed, configs, bare);
        world.simulation.run_for(Duration::from_secs(3)).unwrap();
        assert_eq!(world.simulation.network.stats().sent, 0, "nobody knows where to send");
        let candidates = [world.offerer, world.answerer].map(|host| {
            let sdp = world.simulation.machine(host).unwrap().pc.local_description().unwrap().sdp;
            sdp.lines()
                .find_map(|line| line.strip_prefix("a=").filter(|it| it.starts_with("candidate")))
                .unwrap()
                .to_owned()
        });
        let [ofs_offerer, ofs_answerer] =
            candidates.map(|candidate| IceCandidate { candidate, sdp_mid: Some("0".to_owned()), ..Default::default() });
        let now = world.now();
        world.answerer().pc.add_ice_candidate(now, &ofs_offerer).unwrap();
        world.simulation.run_for(Duration::from_secs(2)).unwrap();
        let now = world.now();
        world.offerer().pc.add_ice_candidate(now, &ofs_answerer).unwrap();
        world.transfer(5, 1000, Duration::from_secs(5)).unwrap();
    });
}

/// An engine that sends 1,200 bytes at most passes all but the narrowest, which the application has to know of.
#[test]
fn scenario_22_mtu_black_hole() {
    const HEADERS: usize = 20 + 8;
    for_each_seed(3, |seed| {
        for (mtu, payload) in [(1400, None), (1280, None), (1228, None), (1200, Some(1200 - HEADERS))] {
            let configs = [1, 2].map(|side| {
                let mut config = config(seed, side);
                config.mtu = payload.unwrap_or(config.mtu);
                config
            });
            let mut world = World::with(seed, configs);
            world.simulation.network.set_default_link(Link { mtu, ..Link::default() });
            world.connect(Duration::from_secs(5)).unwrap();
            world.transfer(50, 20_000, MINUTE).unwrap();
            assert_eq!(world.simulation.network.stats().too_big, 0);
        }
    });
}

/// One side knows DTLS 1.2 only: that is what both speak, and it costs a round trip more at most than if both had known.
#[test]
fn scenario_26_a_peer_with_dtls_1_2_only() {
    let connect = |seed, versions: [DtlsVersions; 2]| {
        let configs = [1, 2].map(|side| {
            let mut config = config(seed, side);
            config.dtls_versions = versions[usize::from(side) - 1];
            config
        });
        let mut world = World::with(seed, configs);
        world.connect(MINUTE).unwrap();
        let time = world.elapsed();
        world.transfer(20, 2000, MINUTE).unwrap();
        (time, world.offerer().pc.dtls_version().unwrap())
    };
    use DtlsVersions::{Any, Dtls12};
    for_each_seed(3, |seed| {
        let (newest, version) = connect(seed, [Any, Any]);
        assert_eq!(version, DtlsVersion::Dtls13);
        let (old, version) = connect(seed, [Dtls12, Dtls12]);
        assert_eq!(version, DtlsVersion::Dtls12);
        assert!(old <= newest + ROUND_TRIP, "{old:?} instead of {newest:?}");
        for versions in [[Any, Dtls12], [Dtls12, Any]] {
            let (fallback, version) = connect(seed, versions);
            assert_eq!(version, DtlsVersion::Dtls12);
            assert!(fallback <= old + ROUND_TRIP, "{versions:?}: {fallback:?} instead of {old:?}");
        }
    });
}

/// A peer that knows nothing of SCTP's INIT in descriptions (SNAP): there is a handshake then, whichever side it is, and also if the line was lost
/// only on the way back. What the line saves is a round trip and a half.
#[test]
fn scenario_26_a_peer_without_sctp_init() {
    let ready = |seed, snap: [bool; 2], lost_on_the_way_back: bool| {
        let configs = [1, 2].map(|side| {
            let mut config = config(seed, side);
            config.snap = snap[usize::from(side) - 1];
            config.dtls_versions = DtlsVersions::Dtls13;
            config
        });
        let edit = |sdp: String| match lost_on_the_way_back && sdp.contains("a=setup:passive") {
            true => without(&sdp, &["a=sctp-init"]),
            false => sdp,
        };
        let mut world = World::edited(seed, configs, edit);
        // Before, so that the answerer's reply counts: a message there and back.
        world.transfer(1, 10, MINUTE).unwrap();
        let time = world.elapsed();
        world.transfer(20, 2000, MINUTE).unwrap();
        time
    };
    for_each_seed(3, |seed| {
        let with = ready(seed, [true, true], false);
        for snap in [[true, false], [false, true], [false, false]] {
            let fallback = ready(seed, snap, false);
            println!("{fallback:?} with a handshake, {with:?} without");
            assert!(with + ROUND_TRIP <= fallback, "{with:?} is not earlier than {fallback:?}");
            assert!(fallback <= with + 3 * ROUND_TRIP, "{snap:?}: {fallback:?} instead of {with:?}");
        }
        ready(seed, [true, true], true);
    });
}

/// One side's description lacks what is newer than RTP itself: RTX, NACK, all header extensions. The call goes on without.
#[test]
fn scenario_26_a_peer_without_feedback_and_extensions() {
    for_each_seed(3, |seed| {
        for lacking in [&["a=rtcp-fb", "a=extmap", "rtx"][..], &["rtx"], &["a=extmap"], &["a=rtcp-fb"]] {
            let plain = |sdp: String| without(&sdp, lacking);
            let mut world = World::call(seed, [config(seed, 1), config(seed, 2)], plain);
            world.connect(Duration::from_secs(5)).unwrap();
            world.simulation.network.set_default_link(Link { loss: 0.05, ..Link::default() });
            world.start_media();
            world.transfer(10, 1000, MINUTE).unwrap();
            world.simulation.run_for(Duration::from_secs(5)).unwrap();
            for (host, other) in [(world.offerer, world.answerer), (world.answerer, world.offerer)] {
                let sent = world.simulation.machine(other).unwrap().sources.iter().map(|source| source.sent);
                let sent: u64 = sent.sum();
                let peer = world.simulation.machine(host).unwrap();
                assert_eq!(peer.sinks.len(), 2, "audio and video");
                let heard: u64 = peer.sinks.iter().map(|sink| sink.count).sum();
                assert!((sent * 85 / 100..=sent).contains(&heard), "{lacking:?}: {heard} of {sent}");
                let ids: Vec<_> = peer.pc.transceivers().map(|it| it.id).collect();
                let stats = ids.iter().filter_map(|&id| peer.pc.media_stats(id));
                let (nacks, repaired) = stats.fold((0, 0), |(nacks, repaired), it| {
                    (nacks + it.inbound.nacks_sent, repaired + it.inbound.recovered)
                });
                assert!(!lacking.contains(&"a=rtcp-fb") || nacks == 0, "{nacks} packets asked for");
                assert!(!lacking.contains(&"rtx") || repaired == 0, "{repaired} packets by RTX");
                assert!(
                    lacking != ["a=extmap"] || repaired > 0,
                    "RTX needs no extension where the description names it"
                );
            }
        }
    });
}

/// A description without the lines that begin with one of these, and without the formats of that name.
fn without(sdp: &str, lacking: &[&str]) -> String {
    let gone: Vec<&str> = match lacking.contains(&"rtx") {
        true => sdp
            .lines()
            .filter(|it| it.contains(" rtx/"))
            .map(|it| it["a=rtpmap:".len()..].split(' ').next().unwrap())
            .collect(),
        false => Vec::new(),
    };
    let is_gone = |line: &str| {
        lacking.iter().any(|name| line.starts_with(name))
            || (lacking.contains(&"rtx") && (line.starts_with("a=ssrc-group:FID")))
            || gone.iter().any(|number| {
                ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().any(|it| line.starts_with(&format!("{it}{number} ")))
            })
    };
    let line = |line: &str| match line.starts_with("m=audio") || line.starts_with("m=video") {
        true => {
            let words = line.split(' ').enumerate().filter(|(n, word)| *n < 3 || !gone.contains(word));
            words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
        }
        false => line.to_owned(),
    };
    sdp.lines().filter(|it| !is_gone(it)).map(|it| line(it) + "\r\n").collect()
}
