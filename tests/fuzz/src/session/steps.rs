//! The steps of a schedule: what each byte means.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag::rtp::{PayloadType, RtpTimestamp, SequenceNumber};
use wigwag::{
    Answer, ChannelInit, Direction, IceCandidate, Input, Interface, MediaKind, Message, PacketExtensions, Refused,
    Reliability, Request, RtpOut, SdpType, SessionDescription, StreamId, TransceiverId, TransceiverInit, UdpPath,
    WallClock,
};

use super::Temper;
use super::world::{Datagram, World, brief};
use crate::script::Script;
use crate::{message, repair};

/// More of these tell nothing more, and make every description longer.
const MAX_TRANSCEIVERS: usize = 8;
const MAX_CHANNELS: usize = 16;

const SIZES: [usize; 8] = [8, 50, 1100, 1200, 1201, 5000, 20_000, 32 << 10];
const DIRECTIONS: [Direction; 4] = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
const PAYLOAD_TYPES: [u8; 6] = [111, 96, 0, 8, 97, 127];

impl World {
    /// The six lower bits say what, bit 6 on which side, and bit 7 that then both say what they have
    /// to say (and, where the network is prompt, hear it).
    pub fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let side = usize::from(step >> 6 & 1);
        match self.tempered(step & 0x3F) {
            0..=15 => self.network_step(step & 0x0F, side, script),
            16..=23 => self.loop_step(step & 0x07, side, script),
            step @ 24..=39 => self.signalling_step(step, side, script),
            40..=47 => self.channel_step(step & 0x07, side, script),
            step => self.media_step(step, side, script),
        }
        self.sides[side].learn();
        match (step & 0x80 != 0, self.setup.prompt) {
            (true, true) => self.exchange(),
            (true, false) => {
                self.flush(0);
                self.flush(1);
            }
            (false, _) => {}
        }
    }

    /// The step, or what stands for it in a schedule that is not so wild. Those up to 23 are left to all.
    fn tempered(&self, step: u8) -> u8 {
        const NEGOTIATE: u8 = 33;
        const RESTART: u8 = 36;
        const OTHER_INPUT: u8 = 39;
        const SEND: u8 = 42;
        const WRITE: u8 = 54;
        match (self.setup.temper, step) {
            (Temper::Wild, _) => step,
            (_, 32) => NEGOTIATE,
            (_, OTHER_INPUT | 60) => WRITE,
            (Temper::Fair, _) => step,
            (Temper::Orderly, 24..=31) => NEGOTIATE,
            (Temper::Orderly, 35 | 37 | 38) => RESTART,
            (Temper::Orderly, _) => step,
            (Temper::Steady, 24..=39) => SEND,
            (Temper::Steady, 48..=53) => WRITE,
            (Temper::Steady, _) => step,
        }
    }

    fn network_step(&mut self, step: u8, to: usize, script: &mut Script<'_>) {
        let flying = &mut self.flying[to];
        match step {
            0 => self.deliver_next(to),
            1 => {
                let at = script.below(flying.len());
                flying.remove(at).into_iter().for_each(|datagram| self.deliver(to, datagram));
            }
            2 => drop(flying.pop_front()),
            3 => {
                let again = flying.front().cloned();
                again.into_iter().for_each(|again| self.deliver(to, again));
            }
            4 => flying.pop_front().into_iter().for_each(|late| flying.push_back(late)),
            5 | 6 => self.corrupt(to, step == 6, script),
            7 => {
                let bytes = script.bytes(255).to_vec();
                self.deliver(to, Datagram { path: self.path_to(to), bytes });
            }
            8 => {
                // From where nobody is known: a rebinding, or a forger.
                let Some(mut datagram) = flying.pop_front() else { return };
                datagram.path.remote.set_port(3000 + u16::from(script.byte() & 3));
                self.deliver(to, datagram);
            }
            9 => flying.clear(),
            10 => self.merge(to),
            11 | 12 => self.pass(script.duration()),
            13 | 14 => _ = self.pass_to_deadline(),
            _ => self.wake(to),
        }
    }

    /// The path on which the other side's datagrams come.
    fn path_to(&self, to: usize) -> UdpPath {
        UdpPath { local: self.sides[to].address, remote: self.sides[1 - to].address }
    }

    /// Changes the next datagram; what can be computed without a key is made right, if wanted.
    fn corrupt(&mut self, to: usize, repairs: bool, script: &mut Script<'_>) {
        let Some(datagram) = self.flying[to].front_mut() else { return };
        let bytes = &mut datagram.bytes;
        let at = script.below(bytes.len());
        match script.byte() {
            0 => bytes.truncate(at),
            1 => {
                let more = script.bytes(64);
                bytes.splice(at..at, more.iter().copied());
            }
            2 => {
                let new = script.bytes(64);
                bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new);
            }
            mask => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask),
        }
        if repairs {
            repair::datagram(bytes);
        }
    }

    /// Datagrams of one length come in one buffer, as from a kernel with GRO.
    fn merge(&mut self, to: usize) {
        let Some(first) = self.flying[to].pop_front() else { return };
        let mut bytes = first.bytes.clone();
        while bytes.len() < 40_000 {
            let next = self.flying[to].front();
            if next.is_none_or(|next| next.path != first.path || next.bytes.len() != first.bytes.len()) {
                break;
            }
            bytes.extend(self.flying[to].pop_front().into_iter().flat_map(|next| next.bytes));
        }
        let received =
            wigwag::Received { path: first.path, bytes: &mut bytes, segment_size: first.bytes.len(), ecn: 1 };
        self.sides[to].take(self.now, received);
    }

    fn loop_step(&mut self, step: u8, side: usize, script: &mut Script<'_>) {
        match step {
            0 => {
                let (segments, room) = (script.below(65), usize::from(script.u16()).min(65_507));
                self.transmit(side, segments, room);
            }
            1 | 2 => drop(self.flush(side)),
            3 | 4 => self.exchange(),
            5 => (0..=script.byte() & 7).for_each(|_| _ = self.sides[side].hear_next()),
            6 => {
                let this = &mut self.sides[side];
                this.listens = !this.listens;
            }
            _ => {
                let this = &mut self.sides[side];
                while let Some(event) = this.pc.poll_state_event() {
                    this.hear(event);
                }
                while let Some(event) = this.pc.poll_media_event() {
                    this.hear(event);
                }
            }
        }
    }

    fn signalling_step(&mut self, step: u8, side: usize, script: &mut Script<'_>) {
        let now = self.now;
        let this = &mut self.sides[side];
        match step {
            24 => this.made = this.pc.create_offer().ok(),
            25 => this.made = this.pc.create_answer().ok(),
            26 => {
                let Some(made) = this.made.take() else { return };
                if this.pc.set_local_description(now, made.clone()).is_ok() {
                    this.post(made);
                }
            }
            27 => {
                if let Ok(made) = this.pc.set_local_description_implicitly(now) {
                    this.post(made);
                }
            }
            28 => drop(this.pc.set_local_description(now, SessionDescription::rollback())),
            29 | 30 => {
                let other = &self.sides[1 - side].mail;
                let Some(mut description) = other.get(if step == 29 { 0 } else { script.below(other.len()) }).cloned()
                else {
                    return;
                };
                if step == 30 && script.byte() == 1 && description.kind == SdpType::Answer {
                    description.kind = SdpType::Pranswer;
                }
                self.try_description(side, description);
            }
            31 => drop(self.hear_description(side, SessionDescription::rollback())),
            32 => self.mangle(side, script),
            33 => _ = self.negotiate(side),
            34 => {
                let other = &self.sides[1 - side].candidates;
                let Some(candidate) = other.get(script.below(other.len())).cloned() else { return };
                let _ = self.sides[side].pc.add_ice_candidate(now, &candidate);
            }
            35 => {
                let candidate = match script.byte() & 3 {
                    0 => String::new(),
                    1 => String::from_utf8_lossy(script.bytes(80)).into_owned(),
                    2 => {
                        format!("candidate:1 1 udp {} 10.0.0.{} {} typ host", script.u32(), script.byte(), script.u16())
                    }
                    _ => "candidate:1 1 udp 1 some-name.local 9 typ host".to_owned(),
                };
                let sdp_m_line_index = Some(u16::from(script.byte() & 3));
                let candidate = IceCandidate { candidate, sdp_m_line_index, ..IceCandidate::default() };
                let _ = this.pc.add_ice_candidate(now, &candidate);
            }
            36 => this.pc.restart_ice(),
            37 => {
                let mut address = this.address;
                address.set_port(address.port() + u16::from(script.byte() & 1));
                match script.flag() {
                    true => this.pc.remove_udp_socket(now, address),
                    false => drop(this.pc.add_udp_socket(now, address)),
                }
            }
            38 => self.answer(side, script),
            _ => self.other_input(side, script),
        }
    }

    /// The other's latest description, changed on its way.
    fn mangle(&mut self, to: usize, script: &mut Script<'_>) {
        let Some(mut description) = self.sides[1 - to].mail.front().cloned() else { return };
        let lines: Vec<&str> = description.sdp.split_inclusive('\n').collect();
        let at = script.below(lines.len());
        let mut changed: VecDeque<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        match script.byte() & 7 {
            0 => drop(changed.remove(at)),
            1 => changed.insert(at, lines[at].to_owned()),
            2 => changed.swap(at, script.below(lines.len())),
            3 => changed.insert(at, format!("{}\r\n", String::from_utf8_lossy(script.bytes(100)))),
            4 => changed.truncate(at),
            5 => changed[at] = changed[at].replace("sendrecv", ["inactive", "sendonly", "recvonly"][script.below(3)]),
            6 => {
                let line = &mut changed[at];
                let place = script.below(line.len().saturating_sub(2));
                if line.is_ascii() {
                    line.replace_range(place..=place, &char::from(script.byte() & 0x7F).to_string());
                }
            }
            _ => {
                let digit = char::from(b'0' + script.byte() % 10).to_string();
                changed[at] = changed[at].replace(char::is_numeric, &digit);
            }
        }
        description.sdp = changed.into_iter().collect();
        self.is_mangled |= self.try_description(to, description);
    }

    /// What an adaptor answers.
    fn answer(&mut self, side: usize, script: &mut Script<'_>) {
        let this = &mut self.sides[side];
        this.requests.extend(std::iter::from_fn(|| this.pc.poll_request()));
        let Some(request) = this.requests.pop_front() else { return };
        let (local, refused) = (this.address, script.byte() == 1);
        let interface = Interface::new("eth0", local.ip());
        let answer: Answer = match request {
            Request::BindUdp(request) if refused => request.failed(Refused::NotPermitted),
            Request::BindUdp(request) => request.bound(local),
            Request::WatchInterfaces(request) if refused => request.failed(Refused::Unsupported),
            Request::WatchInterfaces(request) => request.interfaces(vec![interface]),
            Request::ResolveName(request) => request.resolved(vec![local.ip()]),
            Request::ListenTcp(request) => request.failed(Refused::Unsupported),
            Request::OpenStream(request) => request.failed(Refused::Unsupported),
            Request::JoinMulticast(request) => request.failed(Refused::Unsupported),
            _ => return,
        };
        this.pc.handle_input(self.now, Input::Answer(answer));
    }

    /// What else an adaptor could say, also what nobody asked for.
    fn other_input(&mut self, side: usize, script: &mut Script<'_>) {
        let now = self.now;
        let path = self.path_to(side);
        let pc = &mut self.sides[side].pc;
        let id = if script.flag() { StreamId::opened(1) } else { StreamId::accepted(1) };
        match script.byte() & 7 {
            0 => pc.handle_input(now, Input::WallClock(WallClock(u64::from(script.u32()) << 20))),
            1 => {
                let some = [Interface::new("eth0", path.local.ip()), Interface::new("eth1", [10, 0, 0, 9].into())];
                pc.handle_input(now, Input::Interfaces(&some[..script.below(3)]));
            }
            2 => pc.handle_input(now, Input::Stream { id, bytes: script.bytes(64) }),
            3 => pc.handle_input(now, Input::StreamAccepted { id, local: path.local, remote: path.remote }),
            4 => pc.handle_input(now, Input::StreamWritable(id)),
            5 => pc.handle_input(now, Input::StreamClosed(id)),
            6 => {
                // An endpoint tells only whom it took the path from.
                pc.handle_displaced(now, path);
                self.sides[side].keys.remove(&wigwag::Key::Path(path));
            }
            _ if script.byte() & 0x0F == 7 => pc.close(now),
            _ => {}
        }
    }

    fn channel_step(&mut self, step: u8, side: usize, script: &mut Script<'_>) {
        match step {
            0 => self.open_channel(side, script.byte(), None),
            1 => {
                let how = script.byte();
                self.next_stream += 1;
                self.open_channel(0, how, Some(self.next_stream));
                self.open_channel(1, how, Some(self.next_stream));
            }
            2..=5 => self.send(side, script),
            6 => {
                let this = &mut self.sides[side];
                let at = script.below(this.channels.len());
                this.channels.keys().nth(at).copied().into_iter().for_each(|id| {
                    this.pc.close_channel(id);
                });
            }
            _ => {
                let this = &mut self.sides[side];
                let at = script.below(this.channels.len());
                let Some(id) = this.channels.keys().nth(at).copied() else { return };
                this.pc.set_buffered_amount_low_threshold(id, usize::from(script.u16()));
                let waits = this.pc.buffered_amount(id);
                assert!(waits <= 64 << 10, "{waits} bytes wait");
                let _ = (this.pc.channel(id), this.pc.has_send_room(1000));
            }
        }
    }

    fn open_channel(&mut self, side: usize, how: u8, negotiated: Option<u16>) {
        let this = &mut self.sides[side];
        if this.channels.len() >= MAX_CHANNELS {
            return;
        }
        let reliability = match how & 7 {
            0..=4 => Reliability::Reliable,
            5 | 6 => Reliability::MaxRetransmits(u16::from(how >> 6)),
            _ => Reliability::MaxLifetime(Duration::from_millis(u64::from(how >> 6) * 200)),
        };
        let init = ChannelInit {
            ordered: how & 8 == 0,
            reliability,
            negotiated,
            protocol: if how & 16 == 0 { String::new() } else { "p".repeat(usize::from(how)) },
            priority: if how & 32 == 0 { 256 } else { 1024 },
            ..ChannelInit::default()
        };
        if let Ok(id) = this.pc.create_data_channel("channel", init) {
            this.channels.insert(id, 0);
        }
    }

    fn send(&mut self, side: usize, script: &mut Script<'_>) {
        let this = &mut self.sides[side];
        let how = script.byte();
        let at = script.below(this.channels.len());
        let Some((&id, sent)) = this.channels.iter_mut().nth(at) else { return };
        // A burst, or one.
        for _ in 0..=how >> 3 & 7 {
            let message = message::numbered(*sent, SIZES[usize::from(how & 7)]);
            let message = Message { is_text: how & 64 != 0, ..message };
            *sent += u64::from(this.pc.send(id, message).is_ok());
        }
    }

    fn media_step(&mut self, step: u8, side: usize, script: &mut Script<'_>) {
        let now = self.now;
        let this = &mut self.sides[side];
        let kind = |flag| if flag { MediaKind::Audio } else { MediaKind::Video };
        let ids: Vec<_> = this.pc.transceivers().map(|it| it.id).collect();
        match step {
            48 | 49 if ids.len() < MAX_TRANSCEIVERS => {
                let kind = kind(script.flag());
                let direction = DIRECTIONS[script.below(4)];
                match step {
                    48 => drop(this.pc.add_transceiver(kind, TransceiverInit { direction, ..brief(kind) })),
                    _ => drop(this.pc.add_track(kind, Some("track".into()), vec!["stream".into()])),
                }
            }
            59 => {
                let _ = (this.pc.stats(), this.pc.media_dropped(), this.pc.srtp_profile(), this.pc.failure());
                let _ = (this.pc.local_description(), this.pc.remote_description(), this.pc.round_trip_time());
                let _ = (this.pc.selected_path(), this.pc.dtls_version(), this.pc.ice_connection_state());
                ids.iter().for_each(|id| _ = this.pc.media_stats(*id));
            }
            60 if script.byte() < 8 => this.pc.close(now),
            _ => {
                let Some(id) = script.pick(&ids) else { return };
                match step {
                    50 => drop(this.pc.set_direction(id, DIRECTIONS[script.below(4)])),
                    51 => {
                        let some = ["one".to_owned(), "two".to_owned()];
                        let _ = this.pc.set_streams(id, some[..script.below(3)].to_vec());
                    }
                    52 => {
                        let kind = this.pc.transceiver(id).map_or(MediaKind::Audio, |it| it.kind);
                        let mut codecs = wigwag::default_codecs(kind);
                        let first = script.below(codecs.len());
                        codecs.rotate_left(first);
                        codecs.truncate(script.below(5));
                        let _ = this.pc.set_codec_preferences(id, codecs);
                    }
                    53 => drop(this.pc.stop_transceiver(id)),
                    54..=56 => self.write(side, id, script.byte()),
                    57 => drop(this.pc.request_key_frame(now, id, script.flag().then_some("hi"))),
                    _ => self.write(side, id, 0x70 | script.byte() & 0x8F),
                }
            }
        }
    }

    /// Packets of audio or video: a number of them, of a size.
    fn write(&mut self, side: usize, id: TransceiverId, how: u8) {
        let this = &mut self.sides[side];
        let agreed = this.pc.transceiver(id).and_then(|it| it.codecs.first().map(|codec| codec.payload_type));
        let number = agreed.filter(|_| how & 0x80 == 0).unwrap_or(PAYLOAD_TYPES[usize::from(how) % 6]);
        for _ in 0..=how >> 4 & 7 {
            let sequence = this.sequence.entry(id).or_insert(65_530);
            let out = RtpOut {
                marker: *sequence & 3 == 0,
                payload_type: PayloadType::new(number & 0x7F).unwrap(),
                sequence_number: SequenceNumber(*sequence),
                timestamp: RtpTimestamp(u32::from(*sequence).wrapping_mul(3000)),
                extensions: PacketExtensions::default(),
                payload: message::bytes(this.next_packet, [8, 80, 400, 1100][usize::from(how & 3)]),
            };
            // A number that was refused is left out: a gap as any other.
            if how & 4 == 0 {
                *sequence = sequence.wrapping_add(1);
            }
            this.next_packet += 1;
            let _ = this.pc.write_rtp(self.now, id, out);
        }
    }
}
