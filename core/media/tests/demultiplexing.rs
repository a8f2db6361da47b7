//! Which line a packet belongs to: RFC 9143 section 9.2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{codec, extensions, line, pt, session};
use wigwag_media::{Config, Event, LineConfig, LineId, Receive, RtpIn, Session};
use wigwag_proto::{Instant, random};
use wigwag_rtp::{ExtensionKind, ExtensionValue, RtpBuilder, RtpHeader, RtpTimestamp, SequenceNumber, Ssrc};

const AUDIO: LineId = LineId(1);
const CAMERA: LineId = LineId(2);
const SCREEN: LineId = LineId(3);

struct Peer {
    session: Session,
    now: Instant,
    number: u16,
}

impl Peer {
    /// Three lines; camera and screen have the same payload types.
    fn new() -> Self {
        let mut peer = Self { session: session(1), now: Instant(0), number: 0 };
        let audio = LineConfig { codecs: vec![codec(0, None)], ..line("a", None) };
        peer.session.set_line(Instant(0), AUDIO, audio);
        peer.session.set_line(Instant(0), CAMERA, line("c", None));
        peer.session.set_line(Instant(0), SCREEN, line("s", None));
        peer
    }

    /// Where a packet with these names comes out.
    fn packet(&mut self, payload_type: u8, ssrc: u32, names: &[ExtensionValue<'_>]) -> Option<(LineId, RtpIn)> {
        self.number += 1;
        self.numbered(payload_type, ssrc, names, self.number, b"payload")
    }

    fn numbered(
        &mut self,
        payload_type: u8,
        ssrc: u32,
        names: &[ExtensionValue<'_>],
        number: u16,
        payload: &[u8],
    ) -> Option<(LineId, RtpIn)> {
        let mut room = [0; 600];
        let header = RtpHeader {
            marker: false,
            payload_type: pt(payload_type),
            sequence_number: SequenceNumber(number),
            timestamp: RtpTimestamp(1),
            ssrc: Ssrc(ssrc),
        };
        let mut builder = RtpBuilder::new(&mut room, &header);
        names.iter().for_each(|name| builder.extension_value(&extensions(), name));
        builder.payload(payload);
        let len = builder.finish().unwrap();
        self.session.handle_rtp(self.now, &room[..len]);
        match self.session.poll_event() {
            Some(Event::Rtp { line, packet }) => Some((line, packet)),
            _ => None,
        }
    }

    fn line(&mut self, payload_type: u8, ssrc: u32, names: &[ExtensionValue<'_>]) -> Option<LineId> {
        self.packet(payload_type, ssrc, names).map(|(line, _)| line)
    }
}

fn mid(mid: &str) -> ExtensionValue<'_> {
    ExtensionValue::Mid(mid)
}

#[test]
fn by_payload_type_if_only_one_line_has_it() {
    let mut peer = Peer::new();
    assert_eq!(peer.line(0, 1, &[]), Some(AUDIO));
    assert_eq!(peer.line(96, 2, &[]), None);
    assert_eq!(peer.line(50, 3, &[]), None);
    assert_eq!(peer.session.dropped().unknown_line, 2);
    peer.session.remove_line(Instant(0), SCREEN);
    assert_eq!(peer.line(96, 2, &[]), Some(CAMERA));
}

#[test]
fn by_mid_and_from_then_on_by_source() {
    let mut peer = Peer::new();
    assert_eq!(peer.line(96, 2, &[mid("c")]), Some(CAMERA));
    assert_eq!(peer.line(96, 3, &[mid("s")]), Some(SCREEN));
    assert_eq!(peer.line(96, 2, &[]), Some(CAMERA));
    assert_eq!(peer.line(96, 3, &[]), Some(SCREEN));
    // A source moves only by a mid; its numbers go on.
    let (before, _) = (peer.packet(96, 2, &[]).unwrap(), ());
    let (line, after) = peer.packet(96, 2, &[mid("s")]).unwrap();
    assert_eq!((line, after.sequence_number), (SCREEN, before.1.sequence_number + 1));
    assert_eq!(peer.line(96, 2, &[]), Some(SCREEN));
    // A mid that nobody has, and a payload type that the line has not.
    assert_eq!(peer.line(96, 2, &[mid("x")]), None);
    assert_eq!(peer.line(0, 9, &[mid("c")]), None);
    let dropped = peer.session.dropped();
    assert_eq!((dropped.unknown_line, dropped.unknown_payload_type), (1, 1));
}

#[test]
fn by_the_sources_of_the_description() {
    let mut peer = Peer::new();
    let receive = |ssrcs: &[(u32, Option<u32>)]| {
        let ssrcs = ssrcs.iter().map(|(media, rtx)| (Ssrc(*media), rtx.map(Ssrc))).collect();
        Some(Receive { ssrcs, rids: Vec::new() })
    };
    let set = |peer: &mut Peer, receive| {
        peer.session.set_line(Instant(0), SCREEN, LineConfig { receive, ..line("s", None) });
    };
    set(&mut peer, receive(&[(7, Some(8))]));
    assert_eq!(peer.numbered(96, 7, &[], 5, b"x").unwrap().0, SCREEN);
    let (line, repaired) = peer.numbered(97, 8, &[], 77, &[0, 4, b'y']).unwrap();
    assert_eq!((line, repaired.ssrc, repaired.recovered), (SCREEN, Ssrc(7), true));
    assert_eq!((repaired.payload_type, repaired.sequence_number), (pt(96), 65_540));
    assert_eq!(repaired.payload, b"y"[..]);
    assert!(peer.numbered(97, 8, &[], 78, &[0, 4, b'y']).is_none(), "again");
    assert_eq!(peer.session.stats(SCREEN).unwrap().inbound.duplicates, 1);
    // It goes on when the description says the same, and when it says less.
    set(&mut peer, receive(&[(7, Some(8)), (17, Some(18))]));
    set(&mut peer, receive(&[]));
    assert_eq!(peer.numbered(96, 7, &[], 6, b"x").unwrap().1.sequence_number, 65_542);
    assert!(peer.line(96, 17, &[]).is_none(), "never heard, not named any more");
    // Nothing is received: dropped, then received again.
    set(&mut peer, None);
    assert!(peer.line(96, 7, &[]).is_none());
    assert_eq!(peer.session.dropped().not_receiving, 1);
    set(&mut peer, receive(&[]));
    assert_eq!(peer.session.stats(SCREEN).unwrap().inbound.packets, 3);
}

#[test]
fn by_rid_and_the_repair_of_each() {
    let mut peer = Peer::new();
    let receive = Some(Receive { ssrcs: Vec::new(), rids: vec!["hi".into(), "lo".into()] });
    peer.session.set_line(Instant(0), CAMERA, LineConfig { receive, ..line("c", None) });
    let (line, packet) = peer.numbered(96, 1, &[ExtensionValue::Rid("hi")], 10, b"x").unwrap();
    assert_eq!((line, packet.rid.as_deref()), (CAMERA, Some("hi")));
    assert_eq!(peer.numbered(96, 2, &[mid("c"), ExtensionValue::Rid("lo")], 10, b"x").unwrap().0, CAMERA);
    // The name stays with the source.
    assert_eq!(peer.numbered(96, 2, &[], 12, b"x").unwrap().1.rid.as_deref(), Some("lo"));
    // Two streams: a repair has to say which.
    assert!(peer.numbered(97, 3, &[mid("c")], 1, &[0, 11, 0]).is_none());
    assert_eq!(peer.session.dropped().unknown_repair, 1);
    let (_, repaired) = peer.numbered(97, 3, &[ExtensionValue::RepairedRid("lo")], 1, &[0, 11, 0]).unwrap();
    assert_eq!((repaired.ssrc, repaired.sequence_number), (Ssrc(2), 65_547));
    assert_eq!(repaired.rid.as_deref(), Some("lo"));
    assert_eq!(repaired.extensions.get(ExtensionKind::RepairedRid), None, "as the original would have looked");
    assert_eq!(peer.numbered(97, 3, &[], 2, &[0, 9, 0]).unwrap().1.ssrc, Ssrc(2), "from then on by source");
}

#[test]
fn the_repair_of_an_only_stream_needs_no_name() {
    let mut peer = Peer::new();
    assert!(peer.numbered(97, 3, &[mid("c")], 1, &[0, 11, 0]).is_none());
    peer.numbered(96, 1, &[mid("c")], 10, b"x").unwrap();
    assert_eq!(peer.numbered(97, 3, &[mid("c")], 1, &[0, 9, 0]).unwrap().1.ssrc, Ssrc(1));
}

#[test]
fn sources_are_bounded() {
    let config = Config { max_sources: 10, ..Config::default() };
    let mut peer = Peer::new();
    peer.session = Session::new(config, random::seeded([1; 32]));
    peer.session.set_line(Instant(0), CAMERA, line("c", None));
    let lines = (0..20).filter(|ssrc| peer.line(96, *ssrc, &[]).is_some()).count();
    assert_eq!((lines, peer.session.dropped().too_many_sources), (10, 10));
    // After a while, new ones take the place of those that rest; what was counted stays counted.
    peer.now = Instant(9_999_999);
    assert_eq!(peer.line(96, 5, &[]), Some(CAMERA));
    assert_eq!(peer.line(96, 99, &[]), None);
    peer.now = Instant(10_000_000);
    let lines = (100..120).filter(|ssrc| peer.line(96, *ssrc, &[]).is_some()).count();
    assert_eq!(lines, 9);
    assert_eq!(peer.line(96, 5, &[]), Some(CAMERA));
    assert_eq!(peer.session.stats(CAMERA).unwrap().inbound.packets, 21);
}

#[test]
fn what_is_not_polled_is_dropped_oldest_first() {
    let config = Config { max_received: 100, max_received_bytes: 10_000, ..Config::default() };
    for (len, kept) in [(10, 100), (300, 33), (1200, 8)] {
        let mut session = Session::new(config.clone(), random::seeded([1; 32]));
        session.set_line(Instant(0), CAMERA, line("c", None));
        for number in 0..200_u16 {
            let mut packet = vec![0x80, 96, 0, number as u8, 0, 0, 0, 0, 0, 0, 0, 1];
            packet.resize(12 + len, 7);
            session.handle_rtp(Instant(0), &packet);
        }
        let left: Vec<_> = std::iter::from_fn(|| session.poll_event())
            .map(|event| match event {
                Event::Rtp { packet, .. } => packet.sequence_number - 65_536,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(left, (200 - kept..200).collect::<Vec<_>>());
        assert_eq!(session.dropped().not_polled, 200 - kept);
    }
}
