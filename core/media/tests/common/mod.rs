//! Two sessions joined over a simulated network, without SRTP between.
#![allow(dead_code)] // no test needs all of it

use std::time::Duration;

use bytes::Bytes;
use wigwag_media::{
    CodecConfig, Config, Event, LineConfig, LineId, PacketExtensions, PacketKind, Receive, RtpIn, RtpOut, Send, Session,
};
use wigwag_net::{HostId, Link, Network};
use wigwag_proto::{Instant, Route, Transmit, UdpPath, random};
use wigwag_rtp::{ExtensionKind, ExtensionMap, PayloadType, RtpTimestamp, SequenceNumber, Ssrc, is_rtcp};

pub const VIDEO: LineId = LineId(1);
pub const MEDIA: Ssrc = Ssrc(100);
pub const RTX: Ssrc = Ssrc(200);

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn pt(number: u8) -> PayloadType {
    PayloadType::new(number).unwrap()
}

pub fn codec(payload_type: u8, rtx: Option<u8>) -> CodecConfig {
    CodecConfig {
        payload_type: pt(payload_type),
        clock_rate: 90_000,
        retransmission: rtx.map(pt),
        nack: true,
        pli: true,
        fir: true,
        transport_feedback: true,
    }
}

pub fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    let kinds = [
        ExtensionKind::Mid,
        ExtensionKind::Rid,
        ExtensionKind::RepairedRid,
        ExtensionKind::AbsSendTime,
        ExtensionKind::TransportSequenceNumber,
        ExtensionKind::VideoOrientation,
    ];
    kinds.into_iter().zip(1..).for_each(|(kind, id)| map.set(id, kind).unwrap());
    map
}

/// A line that receives whatever names it, and sends if `send`.
pub fn line(mid: &str, send: Option<Send>) -> LineConfig {
    LineConfig {
        mid: Some(mid.into()),
        codecs: vec![codec(96, Some(97))],
        extensions: extensions(),
        reduced_size: true,
        receive: Some(Receive::default()),
        send,
    }
}

pub fn send(ssrc: Ssrc, rtx: Option<Ssrc>) -> Option<Send> {
    Some(Send { ssrc, rtx, cname: "alice".into() })
}

pub fn session(seed: u8) -> Session {
    Session::new(Config::default(), random::seeded([seed; 32]))
}

/// The `n`th packet of a stream of 1000 packets a second, beginning just before its numbers wrap.
pub fn packet(n: u64, len: usize) -> RtpOut {
    let mut payload = vec![n as u8; len.max(8)];
    payload[..8].copy_from_slice(&n.to_be_bytes());
    RtpOut {
        marker: n % 10 == 9,
        payload_type: pt(96),
        sequence_number: SequenceNumber((65_000 + n) as u16),
        timestamp: RtpTimestamp((u64::from(u32::MAX) - 9_000 + n * 90) as u32),
        extensions: PacketExtensions::default(),
        payload: Bytes::from(payload),
    }
}

/// Which of [`packet`]'s it is.
pub fn nth(packet: &RtpIn) -> u64 {
    u64::from_be_bytes(packet.payload[..8].try_into().unwrap())
}

pub struct Pair {
    pub network: Network,
    pub sessions: [Session; 2],
    pub now: Instant,
    hosts: [HostId; 2],
    paths: [UdpPath; 2],
    pub received: [Vec<RtpIn>; 2],
    pub key_frames: [usize; 2],
    pub byes: [Vec<Ssrc>; 2],
    /// Bytes of RTP and RTCP that each sent.
    pub sent: [[usize; 2]; 2],
    /// Packets that each sent again under their own number.
    pub repeats: [usize; 2],
}

impl Pair {
    pub fn new(link: Link, seed: u64, sessions: [Session; 2]) -> Self {
        let path = UdpPath { local: "10.0.0.1:7".parse().unwrap(), remote: "10.0.0.2:7".parse().unwrap() };
        let paths = [path, path.reversed()];
        let mut network = Network::new(seed);
        network.set_default_link(link);
        let hosts = paths.map(|path| network.add_host([path.local.ip()]));
        Self {
            network,
            sessions,
            now: Instant(0),
            hosts,
            paths,
            received: Default::default(),
            key_frames: [0; 2],
            repeats: [0; 2],
            byes: Default::default(),
            sent: [[0; 2]; 2],
        }
    }

    /// The first sends video to the second.
    pub fn video(link: Link, seed: u64, rtx: bool) -> Self {
        let (mut alice, mut bob) = (session(1), session(2));
        let mut config = line("0", send(MEDIA, rtx.then_some(RTX)));
        if !rtx {
            config.codecs = vec![codec(96, None)];
        }
        alice.set_line(Instant(0), VIDEO, config.clone());
        bob.set_line(Instant(0), VIDEO, LineConfig { send: None, ..config });
        Self::new(link, seed, [alice, bob])
    }

    /// Puts on the wire what both have to say now, and checks what they say of it.
    pub fn flush(&mut self) {
        for at in 0..2 {
            let session = &mut self.sessions[at];
            let mut room = [0; 1400];
            while session.can_transmit() {
                let len = session.next_packet_len();
                let written = session.write_packet(self.now, &mut room).expect("can_transmit said so");
                assert_eq!(Some(written.len), len);
                self.repeats[at] += usize::from(written.is_repeat);
                let bytes = &room[..written.len];
                assert_eq!(is_rtcp(bytes), written.kind == PacketKind::Rtcp);
                self.sent[at][usize::from(is_rtcp(bytes))] += bytes.len();
                let transmit = Transmit {
                    route: Route::Udp(self.paths[at]),
                    len: bytes.len(),
                    segment_size: bytes.len(),
                    ecn: 0,
                    dscp: 0,
                };
                self.network.send(self.now, &transmit, bytes);
            }
            assert_eq!(session.next_packet_len(), None);
            assert_eq!(session.write_packet(self.now, &mut room), None);
        }
    }

    fn events(&mut self) {
        for at in 0..2 {
            while let Some(event) = self.sessions[at].poll_event() {
                match event {
                    Event::Rtp { packet, .. } => self.received[at].push(packet),
                    Event::KeyFrameRequest { .. } => self.key_frames[at] += 1,
                    Event::Bye { ssrc, .. } => self.byes[at].push(ssrc),
                    _ => panic!("what is this?"),
                }
            }
        }
    }

    pub fn run_until(&mut self, end: Instant) {
        loop {
            self.flush();
            let timeouts = self.sessions.iter().filter_map(Session::poll_timeout);
            let next = timeouts.chain(self.network.next_arrival()).chain([end]).min().unwrap();
            self.now = self.now.max(next);
            while let Some(delivery) = self.network.deliver(self.now) {
                let at = usize::from(delivery.to == self.hosts[1]);
                match is_rtcp(&delivery.bytes) {
                    true => self.sessions[at].handle_rtcp(self.now, &delivery.bytes),
                    false => self.sessions[at].handle_rtp(self.now, &delivery.bytes),
                }
            }
            for session in &mut self.sessions {
                if session.poll_timeout().is_some_and(|at| at <= self.now) {
                    session.handle_timeout(self.now);
                    assert!(session.poll_timeout().is_none_or(|at| at > self.now), "livelock");
                }
            }
            self.events();
            if self.now >= end {
                self.flush();
                return;
            }
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// The first sends packets `from..to`, one each millisecond.
    pub fn send_video(&mut self, packets: std::ops::Range<u64>, len: usize) {
        for n in packets {
            self.sessions[0].write_rtp(self.now, VIDEO, packet(n, len)).unwrap();
            self.run_for(ms(1));
        }
    }
}
