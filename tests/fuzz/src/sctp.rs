//! Two associations, and chunks that one of them did not send: with the right tag and checksum, and numbers near those in use.
//!
//! (Behind DTLS only the peer itself can send those. It may well be hostile.)

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use wigwag_proto::{Instant, random};
use wigwag_sctp::{Association, ChannelConfig, ChannelId, Config, Event, PayloadKind, Reliability, StreamParity};

use crate::bounds::{Memory, deadline_moved};
use crate::script::Script;
use crate::{count_steps, crypto, repair};

/// Two associations with the buffers below and 64 channels: labels, messages and what is early.
pub const MEMORY: usize = 8 << 20;
/// Datagrams under way; more are lost.
const MAX_FLYING: usize = 64;
/// More packets in a row without time passing are an endless output.
const MAX_PACKETS: usize = 2_000;

const CHUNKS: [u8; 18] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 64, 128, 130, 192, 194];
const PAYLOADS: [u32; 8] = [50, 51, 53, 54, 56, 57, 52, 0];
const LABELS: [&str; 3] = ["", "chat", "a longer label than the others have"];

struct End {
    association: Association,
    channels: Vec<ChannelId>,
    /// Datagrams to it.
    incoming: VecDeque<Vec<u8>>,
    /// The tag that packets to it carry, and the TSN that comes next.
    tag: u32,
    next_tsn: u32,
    /// What it acknowledged last.
    acknowledged: u32,
}

struct Pair {
    ends: [End; 2],
    now: Instant,
    memory: Memory,
}

fn config(how: u8) -> Config {
    Config {
        max_message_size: 16 << 10,
        peer_max_message_size: 16 << 10,
        receive_window: 32 << 10,
        send_buffer: 64 << 10,
        max_channels: 64,
        max_retransmits: (how & 4 != 0).then_some(4),
        max_init_retransmits: (how & 8 != 0).then_some(3),
        // Soon around, in one half of all runs.
        initial_tsn: Some(if how & 16 != 0 { u32::MAX - 3 } else { 1000 }),
        ..Config::default()
    }
}

pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let how = script.byte();
    let memory = Memory::within(MEMORY);
    let end = |seed: u8, parity| {
        let mut association = Association::new(config(how), random::seeded([seed; 32]), crypto::checked());
        association.set_role(parity);
        let incoming = VecDeque::new();
        End { association, channels: Vec::new(), incoming, tag: 0, next_tsn: 0, acknowledged: 0 }
    };
    let ends = [end(1, StreamParity::Even), end(2, StreamParity::Odd)];
    let mut pair = Pair { ends, now: Instant(1_000_000), memory };
    if how & 1 != 0 {
        let now = pair.now;
        pair.ends.iter_mut().for_each(|end| end.association.connect(now));
    }
    if how & 3 == 3 {
        pair.open(0, 0);
        pair.flush();
    }
    let mut steps = 0;
    while let Some(step) = script.next() {
        pair.step(step, &mut script);
        pair.memory.check();
        steps += 1;
    }
    count_steps(steps);
    pair.flush();
    let Pair { ends, memory, .. } = pair;
    drop(ends);
    memory.is_given_back();
}

impl Pair {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let side = usize::from(step & 1);
        let now = self.now;
        match step >> 1 & 0x1F {
            0..=2 => self.deliver(side),
            3 => drop(self.ends[side].incoming.pop_front()),
            4 => {
                let incoming = &mut self.ends[side].incoming;
                incoming.front().cloned().into_iter().for_each(|again| incoming.push_back(again));
            }
            5 => {
                let incoming = &mut self.ends[side].incoming;
                incoming.pop_front().into_iter().for_each(|late| incoming.push_back(late));
            }
            6 => self.change(side, script),
            7 => self.forge(side, script),
            8 => self.forge_data(side, script),
            9 => self.forge_sack(side, script),
            10 => self.forge_reset(side, script),
            11 => self.forge_forward(side, script),
            12 => self.pass(script.duration()),
            13 => {
                let deadlines = self.ends.iter().filter_map(|end| end.association.poll_timeout());
                self.pass(deadlines.min().unwrap_or(now) - now);
            }
            14 | 15 => drop(self.write(side, 1200)),
            16 => drop(self.write(side, usize::from(script.byte()) * 5)),
            17 | 18 => self.flush(),
            19 => self.open(side, script.byte()),
            20..=22 => self.send(side, script),
            23 => {
                let channels = &self.ends[side].channels;
                if let Some(channel) = script.pick(channels) {
                    self.ends[side].association.close_channel(channel);
                }
            }
            24 => self.listen(side, usize::from(script.byte())),
            25 | 26 => self.listen(side, usize::MAX),
            27 => self.ends[side].association.connect(now),
            28 => self.ends[side].association.close(now),
            29 if script.byte() == 7 => self.ends[side].association.abort(),
            30 => self.ends[side].association.handle_packet(now, script.bytes(64)),
            _ => {
                let association = &mut self.ends[side].association;
                association.set_peer_max_message_size(usize::from(script.u16()));
                let _ = (association.stats(), association.round_trip_time(), association.state());
            }
        }
    }

    fn deliver(&mut self, to: usize) {
        let now = self.now;
        if let Some(packet) = self.ends[to].incoming.pop_front() {
            self.ends[to].association.handle_packet(now, &packet);
        }
    }

    fn change(&mut self, to: usize, script: &mut Script<'_>) {
        let Some(packet) = self.ends[to].incoming.front_mut() else { return };
        let (at, mask) = (script.below(packet.len()), script.byte());
        packet.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
        if mask == 0 {
            packet.truncate(at);
        }
        repair::sctp(packet);
    }

    fn packet(&mut self, to: usize, tag: u32, chunks: &[(u8, u8, &[u8])]) {
        let mut packet = [0x13, 0x88, 0x13, 0x88].to_vec();
        packet.extend(tag.to_be_bytes());
        packet.extend([0; 4]);
        for (kind, flags, value) in chunks {
            packet.extend([*kind, *flags]);
            packet.extend((value.len() as u16 + 4).to_be_bytes());
            packet.extend(*value);
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        repair::sctp(&mut packet);
        let now = self.now;
        self.ends[to].association.handle_packet(now, &packet);
    }

    /// Any chunks.
    fn forge(&mut self, to: usize, script: &mut Script<'_>) {
        let how = script.byte();
        let tags = [self.ends[to].tag, self.ends[to].tag, 0, self.ends[1 - to].tag];
        let tag = tags[usize::from(how) % 4];
        let count = 1 + usize::from(how >> 2 & 3);
        let mut chunks = Vec::new();
        for _ in 0..count {
            let kind = script.byte();
            let kind = CHUNKS.get(usize::from(kind)).copied().unwrap_or(kind);
            chunks.push((kind, script.byte(), script.bytes(200)));
        }
        self.packet(to, tag, &chunks);
    }

    /// DATA near what is expected: pieces of messages, also of DCEP.
    fn forge_data(&mut self, to: usize, script: &mut Script<'_>) {
        let (flags, offset) = (script.byte(), script.byte());
        let tsn = self.ends[to].next_tsn.wrapping_add(offset as i8 as u32);
        if offset == 0 {
            self.ends[to].next_tsn = tsn.wrapping_add(1);
        }
        let mut value = tsn.to_be_bytes().to_vec();
        value.extend([0, script.byte(), 0, script.byte()]);
        value.extend(PAYLOADS[usize::from(script.byte() & 7)].to_be_bytes());
        value.extend(script.bytes(100));
        self.packet(to, self.ends[to].tag, &[(0, flags, &value)]);
    }

    fn forge_sack(&mut self, to: usize, script: &mut Script<'_>) {
        // What the other side sent next is what this side expects: its own TSNs are those that the other expects.
        let cumulative = self.ends[1 - to].next_tsn.wrapping_add(script.byte() as i8 as u32);
        let mut value = cumulative.to_be_bytes().to_vec();
        value.extend((u32::from(script.byte()) << 9).to_be_bytes());
        let gaps = script.bytes(16);
        value.extend((gaps.len() as u16 / 2).to_be_bytes());
        value.extend([0, script.byte() & 3]);
        gaps.chunks_exact(2).for_each(|gap| value.extend([0, gap[0], 0, gap[1]]));
        value.extend(script.bytes(12));
        self.packet(to, self.ends[to].tag, &[(3, 0, &value)]);
    }

    fn forge_reset(&mut self, to: usize, script: &mut Script<'_>) {
        let kind = [13_u16, 14, 15, 16, 17, 18][usize::from(script.byte()) % 6];
        // Requests are numbered from the initial TSN on.
        let near = [&self.ends[0], &self.ends[1]][usize::from(script.flag())].acknowledged;
        let mut parameter = kind.to_be_bytes().to_vec();
        let numbers = [script.byte(), script.byte(), script.byte()].map(|it| near.wrapping_add(it as i8 as u32));
        let streams = script.bytes(32);
        parameter.extend((16 + streams.len() as u16).to_be_bytes());
        numbers.iter().for_each(|number| parameter.extend(number.to_be_bytes()));
        parameter.extend(streams);
        self.packet(to, self.ends[to].tag, &[(130, 0, &parameter)]);
    }

    fn forge_forward(&mut self, to: usize, script: &mut Script<'_>) {
        let offset = i32::from(script.byte() as i8) * if script.flag() { 1 } else { 1000 };
        let tsn = self.ends[to].next_tsn.wrapping_add(offset as u32);
        let value = [&tsn.to_be_bytes()[..], script.bytes(32)].concat();
        self.packet(to, self.ends[to].tag, &[(192, 0, &value)]);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        for end in &mut self.ends {
            if end.association.poll_timeout().is_some_and(|at| at <= now) {
                end.association.handle_timeout(now);
                deadline_moved(now, end.association.poll_timeout());
            }
        }
    }

    /// A packet of `from`, if it has one that fits.
    fn write(&mut self, from: usize, room: usize) -> Option<()> {
        let mut memory = [0; 1300];
        let room = room.min(memory.len());
        let promised = self.ends[from].association.can_transmit();
        let next = self.ends[from].association.next_packet_len();
        let len = self.ends[from].association.write_packet(self.now, &mut memory[..room]);
        assert!(room < 1200 || promised == len.is_some(), "can_transmit said {promised}, and {len:?} were written");
        let packet = &memory[..len?];
        assert!(next.is_none() || packet.len() <= room);
        self.note(from, packet);
        let incoming = &mut self.ends[1 - from].incoming;
        if incoming.len() < MAX_FLYING {
            incoming.push_back(packet.to_vec());
        }
        Some(())
    }

    /// Learns tags and numbers from what is sent.
    fn note(&mut self, from: usize, packet: &[u8]) {
        let number = |at: usize| packet.get(at..at + 4).map(|it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]));
        match packet.get(12) {
            Some(1 | 2) => {
                let Some((tag, tsn)) = number(16).zip(number(28)) else { return };
                // The sender wants this tag, and the other side expects that TSN.
                self.ends[from].tag = tag;
                (self.ends[1 - from].next_tsn, self.ends[1 - from].acknowledged) = (tsn, tsn);
            }
            Some(0) => self.ends[1 - from].next_tsn = number(16).unwrap_or_default().wrapping_add(1),
            Some(3) => self.ends[from].acknowledged = number(16).unwrap_or_default(),
            _ => {}
        }
    }

    /// Everything arrives that both have to say now.
    fn flush(&mut self) {
        for count in 0.. {
            assert!(count < MAX_PACKETS, "an endless output");
            let wrote = [0, 1].map(|side| self.write(side, 1200).is_some());
            [0, 1].into_iter().for_each(|side| {
                while !self.ends[side].incoming.is_empty() {
                    self.deliver(side)
                }
            });
            [0, 1].into_iter().for_each(|side| self.listen(side, usize::MAX));
            if wrote == [false; 2] {
                return;
            }
        }
    }

    fn open(&mut self, side: usize, how: u8) {
        let reliability = match how & 3 {
            0 | 1 => Reliability::Reliable,
            2 => Reliability::MaxRetransmits(u16::from(how >> 6)),
            _ => Reliability::MaxLifetime(Duration::from_millis(u64::from(how >> 6) * 300)),
        };
        let config = ChannelConfig {
            label: LABELS[usize::from(how >> 4) % 3].into(),
            ordered: how & 4 == 0,
            negotiated: (how & 8 != 0).then_some(u16::from(how >> 4)),
            reliability,
            ..ChannelConfig::default()
        };
        let end = &mut self.ends[side];
        end.channels.extend(end.association.open_channel(config));
    }

    fn send(&mut self, side: usize, script: &mut Script<'_>) {
        let len = [0, 1, 100, 1100, 1200, 2500, 9000, 16 << 10][usize::from(script.byte() & 7)];
        let end = &mut self.ends[side];
        let Some(channel) = script.pick(&end.channels) else { return };
        let kind = if script.flag() { PayloadKind::Text } else { PayloadKind::Binary };
        let _ = end.association.send(channel, kind, Bytes::from(vec![7; len]));
        assert!(end.association.buffered_amount(channel) <= 64 << 10);
    }

    fn listen(&mut self, side: usize, count: usize) {
        let end = &mut self.ends[side];
        for _ in 0..count {
            let Some(event) = end.association.poll_event() else { return };
            match event {
                Event::ChannelOpened(id) if !end.channels.contains(&id) => end.channels.push(id),
                Event::ChannelClosed(id) => end.channels.retain(|known| *known != id),
                Event::Message { data, .. } => assert!(data.len() <= 16 << 10, "longer than we said we take"),
                _ => {}
            }
        }
    }
}
