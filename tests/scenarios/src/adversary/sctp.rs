//! Packets of SCTP, written by hand: whatever is to be said, with a right checksum. RFC 9260 section 3.
//!
//! [`Script`] is a peer that says what it should up to a point: it never starts an association (the victim does), and answers as far as
//! its [`Stage`] goes.

use std::collections::BTreeSet;

/// Chunk types.
pub const DATA: u8 = 0;
pub const INIT: u8 = 1;
pub const INIT_ACK: u8 = 2;
pub const SACK: u8 = 3;
pub const HEARTBEAT: u8 = 4;
pub const HEARTBEAT_ACK: u8 = 5;
pub const ABORT: u8 = 6;
pub const SHUTDOWN: u8 = 7;
pub const ERROR: u8 = 9;
pub const COOKIE_ECHO: u8 = 10;
pub const COOKIE_ACK: u8 = 11;
pub const SHUTDOWN_COMPLETE: u8 = 14;
pub const RE_CONFIG: u8 = 130;
pub const FORWARD_TSN: u8 = 192;

/// Payload protocol identifiers. RFC 8831 section 8.
pub const DCEP: u32 = 50;
pub const BINARY: u32 = 53;

/// A piece that is a whole message.
pub const WHOLE: u8 = 3;
pub const BEGINNING: u8 = 2;
pub const UNORDERED: u8 = 4;

/// A chunk: type, flags, value.
pub type Chunk<'a> = (u8, u8, &'a [u8]);

/// A packet of these chunks.
pub fn packet(tag: u32, chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut packet = [5000_u16.to_be_bytes(), 5000_u16.to_be_bytes()].concat();
    packet.extend_from_slice(&tag.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    for (kind, flags, value) in chunks {
        packet.extend_from_slice(&[*kind, *flags]);
        packet.extend_from_slice(&((value.len() + 4) as u16).to_be_bytes());
        packet.extend_from_slice(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    checksum(&mut packet);
    packet
}

/// Makes the checksum right.
pub fn checksum(packet: &mut [u8]) {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let crc = crc32c::crc32c(packet);
        packet[8..12].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The chunks of a packet, as far as they can be read.
pub fn chunks(packet: &[u8]) -> Vec<Chunk<'_>> {
    let (mut chunks, mut rest) = (Vec::new(), packet.get(12..).unwrap_or_default());
    while let [kind, flags, high, low, ..] = *rest {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(value) = rest.get(4..len) else { break };
        chunks.push((kind, flags, value));
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    chunks
}

/// The values of all chunks of a type in these packets.
pub fn find(packets: &[Vec<u8>], kind: u8) -> Vec<Vec<u8>> {
    let all = packets.iter().flat_map(|packet| chunks(packet));
    all.filter(|chunk| chunk.0 == kind).map(|chunk| chunk.2.to_vec()).collect()
}

/// The value of DATA.
pub fn data(tsn: u32, stream: u16, ssn: u16, ppid: u32, payload: &[u8]) -> Vec<u8> {
    let head = [&tsn.to_be_bytes()[..], &stream.to_be_bytes(), &ssn.to_be_bytes(), &ppid.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The value of SACK.
pub fn sack(cumulative: u32, a_rwnd: u32, gaps: &[(u16, u16)], duplicates: &[u32]) -> Vec<u8> {
    let mut value = [cumulative.to_be_bytes(), a_rwnd.to_be_bytes()].concat();
    value.extend_from_slice(&(gaps.len() as u16).to_be_bytes());
    value.extend_from_slice(&(duplicates.len() as u16).to_be_bytes());
    for (start, end) in gaps {
        value.extend_from_slice(&start.to_be_bytes());
        value.extend_from_slice(&end.to_be_bytes());
    }
    duplicates.iter().for_each(|tsn| value.extend_from_slice(&tsn.to_be_bytes()));
    value
}

/// The value of INIT, and of INIT ACK with a cookie.
pub fn init(tag: u32, a_rwnd: u32, streams: u16, tsn: u32, cookie: Option<&[u8]>) -> Vec<u8> {
    let mut value = [tag.to_be_bytes(), a_rwnd.to_be_bytes()].concat();
    value.extend_from_slice(&[streams.to_be_bytes(), streams.to_be_bytes()].concat());
    value.extend_from_slice(&tsn.to_be_bytes());
    // Forward-TSN-Supported; RE-CONFIG and FORWARD-TSN among the supported extensions.
    value.extend_from_slice(&[0xC0, 0, 0, 4, 0x80, 8, 0, 6, RE_CONFIG, FORWARD_TSN, 0, 0]);
    if let Some(cookie) = cookie {
        value.extend_from_slice(&parameter(7, cookie));
    }
    value
}

/// A parameter, padded.
pub fn parameter(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut parameter = [kind.to_be_bytes(), (value.len() as u16 + 4).to_be_bytes()].concat();
    parameter.extend_from_slice(value);
    parameter.resize(parameter.len().next_multiple_of(4), 0);
    parameter
}

/// The value of a parameter in the value of INIT ACK.
pub fn find_parameter(init_ack: &[u8], kind: u16) -> Option<Vec<u8>> {
    let mut rest = init_ack.get(16..)?;
    while let [k0, k1, l0, l1, ..] = *rest {
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if u16::from_be_bytes([k0, k1]) == kind {
            return Some(rest.get(4..len)?.to_vec());
        }
        rest = rest.get(len.next_multiple_of(4).max(4)..).unwrap_or_default();
    }
    None
}

/// DATA_CHANNEL_OPEN. RFC 8832 section 5.1.
pub fn open(kind: u8, label: &[u8], protocol: &[u8]) -> Vec<u8> {
    let mut message = vec![3, kind, 1, 0, 0, 0, 0, 0];
    message.extend_from_slice(&(label.len() as u16).to_be_bytes());
    message.extend_from_slice(&(protocol.len() as u16).to_be_bytes());
    [&message, label, protocol].concat()
}

/// How far it speaks as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not at all.
    Mute,
    /// It answers an INIT, and no cookie.
    Init,
    /// All: it acknowledges what comes, opens channels, answers heartbeats and resets.
    Up,
}

/// An association as the other side sees it.
#[derive(Debug)]
pub struct Script {
    pub stage: Stage,
    /// Whether it acknowledges data.
    pub acknowledges: bool,
    /// The tag that the victim's packets carry.
    pub tag: u32,
    /// The tag that the victim wants to see; 0: not known yet.
    pub victims_tag: u32,
    /// The number of the next piece of ours.
    pub tsn: u32,
    /// All of the victim's up to this one arrived.
    pub cumulative: u32,
    early: BTreeSet<u32>,
    /// Messages of one piece that arrived: stream, PPID, payload.
    pub heard: Vec<(u16, u32, Vec<u8>)>,
    /// Packets to be sealed and sent.
    pub outbox: Vec<Vec<u8>>,
}

impl Script {
    pub fn new(stage: Stage) -> Self {
        Self {
            stage,
            acknowledges: true,
            tag: 0x0BAD_CAFE,
            victims_tag: 0,
            tsn: 0x1000_0000,
            cumulative: 0,
            early: BTreeSet::new(),
            heard: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// A packet with the right tag.
    pub fn packet(&self, chunks: &[Chunk<'_>]) -> Vec<u8> {
        packet(self.victims_tag, chunks)
    }

    /// A whole ordered message as it should be, with the next number.
    pub fn message(&mut self, stream: u16, ssn: u16, ppid: u32, payload: &[u8]) -> Vec<u8> {
        let value = data(self.tsn, stream, ssn, ppid, payload);
        self.tsn = self.tsn.wrapping_add(1);
        self.packet(&[(DATA, WHOLE, &value)])
    }

    /// What should be said to a packet, as far as the stage goes.
    pub fn handle(&mut self, packet: &[u8]) {
        let mut owes_sack = false;
        for (kind, flags, value) in chunks(packet) {
            match kind {
                INIT if self.stage >= Stage::Init => {
                    self.victims_tag = be32(value, 0);
                    self.cumulative = be32(value, 12).wrapping_sub(1);
                    let answer = init(self.tag, 1 << 20, 65_535, self.tsn, Some(b"a cookie of the adversary's"));
                    self.answer(INIT_ACK, &answer);
                }
                _ if self.stage < Stage::Up => {}
                COOKIE_ECHO => self.answer(COOKIE_ACK, &[]),
                HEARTBEAT => self.answer(HEARTBEAT_ACK, value),
                DATA if value.len() > 12 => {
                    self.note(flags, value);
                    owes_sack = true;
                }
                RE_CONFIG if value.get(..2) == Some(&[0, 13]) => {
                    // Success - Performed. RFC 6525 section 4.4.
                    let answer = parameter(16, &[value.get(4..8).unwrap_or(&[0; 4]), &[0, 0, 0, 1]].concat());
                    self.answer(RE_CONFIG, &answer);
                }
                _ => {}
            }
        }
        if owes_sack && self.acknowledges {
            let value = sack(self.cumulative, 1 << 20, &[], &[]);
            self.answer(SACK, &value);
        }
    }

    fn note(&mut self, flags: u8, value: &[u8]) {
        let tsn = be32(value, 0);
        let is_new = tsn.wrapping_sub(self.cumulative).wrapping_sub(1) < 1 << 31;
        if !is_new || !self.early.insert(tsn) {
            return;
        }
        while self.early.remove(&self.cumulative.wrapping_add(1)) {
            self.cumulative = self.cumulative.wrapping_add(1);
        }
        let stream = u16::from_be_bytes([value[4], value[5]]);
        let (ppid, payload) = (be32(value, 8), &value[12..]);
        if ppid == DCEP && payload[0] == 3 {
            let packet = self.message(stream, 0, DCEP, &[2]);
            self.outbox.push(packet);
        } else if flags & WHOLE == WHOLE {
            self.heard.push((stream, ppid, payload.to_vec()));
        }
    }

    fn answer(&mut self, kind: u8, value: &[u8]) {
        let packet = self.packet(&[(kind, 0, value)]);
        self.outbox.push(packet);
    }
}

/// Four bytes; zero where there are none.
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]))
}
