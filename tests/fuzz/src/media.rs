//! RTP and RTCP to a session, as SRTP would hand it in, and all calls in any order.

use bytes::Bytes;
use wigwag_media::{CodecConfig, Config, LineConfig, LineId, PacketExtensions, Receive, RtpOut, Send, Session};
use wigwag_proto::{Instant, WallClock, random};
use wigwag_rtp::rtcp::RtcpWriter;
use wigwag_rtp::{ExtensionKind, ExtensionMap, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

use crate::bounds::{Memory, deadline_moved};
use crate::count_steps;
use crate::script::Script;

/// 3 lines with a history of 64 KiB, 64 KiB received, 64 KiB queued, chunks of up to 64 KiB, and windows of 8 sources.
pub const MEMORY: usize = 2 << 20;

const KINDS: [ExtensionKind; 6] = [
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
    ExtensionKind::AbsSendTime,
    ExtensionKind::TransportSequenceNumber,
    ExtensionKind::VideoOrientation,
];

fn payload_type(number: u8) -> PayloadType {
    PayloadType::new(number & 0x7F).unwrap()
}

/// A line that differs in what `how` has bits for.
fn line(id: u8, how: u8) -> LineConfig {
    let bit = |at: u8| how & (1 << at) != 0;
    let codec = |number, rtx: Option<u8>| CodecConfig {
        payload_type: payload_type(number),
        clock_rate: if bit(5) { 48_000 } else { 90_000 },
        retransmission: rtx.map(payload_type),
        nack: !bit(6),
        pli: true,
        fir: bit(7),
        transport_feedback: !bit(5),
    };
    let mut extensions = ExtensionMap::default();
    KINDS.into_iter().zip(1..).for_each(|(kind, id)| extensions.set(id, kind).unwrap());
    let ssrc = u32::from(id) * 2 + u32::from(bit(2));
    LineConfig {
        mid: Some(id.to_string()),
        codecs: vec![codec(96, Some(97)), codec(98, bit(2).then_some(99))],
        extensions,
        reduced_size: bit(0),
        receive: match (bit(4), bit(3)) {
            (true, named) => Some(Receive {
                ssrcs: vec![(Ssrc(1), Some(Ssrc(2))), (Ssrc(3), named.then_some(Ssrc(1)))],
                rids: vec!["hi".into()],
            }),
            (false, false) => Some(Receive::default()),
            (false, true) => None,
        },
        send: bit(1).then(|| Send {
            ssrc: Ssrc(1000 + ssrc),
            rtx: bit(3).then_some(Ssrc(2000 + ssrc)),
            cname: "alice".into(),
        }),
    }
}

struct Run {
    session: Session,
    now: Instant,
    number: u16,
}

pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let mut memory = Memory::within(MEMORY);
    let config = Config {
        max_sources: 8,
        max_queued: 50,
        max_queued_bytes: 64 << 10,
        max_received: 40,
        max_received_bytes: 64 << 10,
        history: 64 << 10,
        ..Config::default()
    };
    let session = Session::new(config, random::seeded([9; 32]));
    let mut run = Run { session, now: Instant(1_000_000), number: 0 };
    run.session.set_line(run.now, LineId(0), line(0, script.byte()));
    let mut steps = 0;
    while let Some(step) = script.next() {
        run.step(step, &mut script);
        assert_eq!(run.session.can_transmit(), run.session.next_packet_len().is_some());
        memory.check();
        steps += 1;
    }
    count_steps(steps);
    // Everything comes to an end.
    run.session.close(run.now);
    for count in 0.. {
        assert!(count < 200, "an endless output");
        if run.session.write_packet(run.now, &mut [0; 1400]).is_none() {
            break;
        }
    }
    assert!(!run.session.can_transmit() && run.session.poll_timeout().is_none());
    drop(run);
    memory.is_given_back();
}

impl Run {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let now = self.now;
        let id = LineId(u32::from(step >> 5) % 3);
        match step & 0x1F {
            0..=4 => self.packet(script),
            5 => {
                let bytes = [&[0x90, script.byte()], script.bytes(200)].concat();
                self.session.handle_rtp(now, &bytes);
            }
            6 => self.session.handle_rtp(now, script.bytes(200)),
            7 => {
                let bytes = [&[0x80 | script.byte() & 0x1F, 200 + (script.byte() & 7)], script.bytes(200)].concat();
                self.session.handle_rtcp(now, &bytes);
            }
            8 => self.session.handle_rtcp(now, script.bytes(255)),
            9 | 10 => self.feedback(script),
            11 | 12 => self.now += script.duration(),
            13 | 14 => {
                self.session.handle_timeout(now);
                deadline_moved(now, self.session.poll_timeout());
            }
            15 => {
                self.now = self.session.poll_timeout().unwrap_or(now).max(now);
                self.session.handle_timeout(self.now);
                deadline_moved(self.now, self.session.poll_timeout());
            }
            16..=18 => self.write(1400),
            19 => self.write(usize::from(script.byte()) * 3),
            20..=22 => {
                let out = RtpOut {
                    marker: script.flag(),
                    payload_type: payload_type(96 + script.byte() % 4),
                    sequence_number: SequenceNumber(self.number.wrapping_add(65_500)),
                    timestamp: RtpTimestamp(u32::from(self.number).wrapping_mul(3000)),
                    extensions: PacketExtensions::default(),
                    payload: Bytes::from(vec![step; usize::from(script.byte()) * 5]),
                };
                self.number += u16::from(self.session.write_rtp(now, id, out).is_ok());
            }
            23 => drop(self.session.request_key_frame(now, id, script.flag().then_some("hi"))),
            24 => self.session.set_line(now, id, line(id.0 as u8, script.byte())),
            25 => self.session.remove_line(now, id),
            26 | 27 => (0..=script.byte()).for_each(|_| drop(self.session.poll_event())),
            28 => self.session.allow_repeats(script.flag()),
            29 => self.session.set_wall_clock(now, WallClock(u64::from(script.u32()) << 20)),
            30 => {
                let _ = (self.session.stats(id), self.session.dropped());
            }
            _ if script.byte() == 77 => self.session.close(now),
            _ => {}
        }
    }

    /// A packet with a sound header, and numbers that are near each other.
    fn packet(&mut self, script: &mut Script<'_>) {
        let how = script.byte();
        let number = if how & 0x80 == 0 { u16::from(script.byte()) } else { script.u16() };
        let second = (96 + (how & 3)) | (how << 1 & 0x80);
        let [high, low] = number.to_be_bytes();
        let ssrc = script.byte() & 0x0F;
        let mut bytes = vec![0x80, second, high, low, 0, 0, script.byte(), 1, 0, 0, 0, ssrc];
        if how & 8 != 0 {
            let wide = script.u16().to_be_bytes();
            let mid = b'0' + script.byte() % 3;
            bytes[0] |= 0x10;
            bytes.extend([0xBE, 0xDE, 0, 2, 0x10, mid, 0x51, wide[0], wide[1], 0x21, b'h', b'i']);
        }
        bytes.extend(script.bytes(64));
        self.session.handle_rtp(self.now, &bytes);
    }

    /// Feedback that fits what was sent.
    fn feedback(&mut self, script: &mut Script<'_>) {
        let mut room = [0; 400];
        let mut writer = RtcpWriter::new(&mut room);
        let ours = Ssrc([1000, 1001, 1002, 2000, 1, 3][script.below(6)]);
        let near = self.number.wrapping_add(65_500);
        match script.byte() & 3 {
            0 | 1 => {
                let numbers = script.bytes(40).iter().map(|back| SequenceNumber(near.wrapping_sub(u16::from(*back))));
                writer.nack(Ssrc(1), ours, numbers);
            }
            2 => drop(writer.picture_loss_indication(Ssrc(1), ours)),
            _ => drop(writer.bye(&[Ssrc(u32::from(script.byte() & 15))], None)),
        }
        let len = writer.len();
        self.session.handle_rtcp(self.now, &room[..len]);
    }

    fn write(&mut self, room: usize) {
        let mut memory = [0; 1400];
        let promised = self.session.next_packet_len();
        let written = self.session.write_packet(self.now, &mut memory[..room]);
        if room >= 1400 || promised.is_some_and(|promised| promised <= room) {
            assert_eq!(written.map(|written| written.len), promised, "next_packet_len");
        }
    }
}
