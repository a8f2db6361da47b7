//! The machine.

use std::collections::{BTreeMap, VecDeque};

use wigwag_proto::{Chunks, Instant, Random, WallClock};
use wigwag_rtp::{RtpBuilder, RtpHeader, RtpPacket};

use crate::extensions::belongs_to_the_transport;
use crate::{
    Config, Dropped, Event, LineConfig, LineId, LineStats, PacketExtensions, PacketKind, RtpIn, RtpOut, WriteError,
    Written,
};

/// All streams of RTP of one connection.
#[derive(Debug)]
pub struct Session {
    config: Config,
    lines: BTreeMap<LineId, LineConfig>,
    dropped: Dropped,
    queue: VecDeque<(LineId, RtpOut)>,
    events: VecDeque<Event>,
    chunks: Chunks,
}

impl Session {
    /// Without lines.
    pub fn new(config: Config, _random: Random) -> Self {
        Self {
            config,
            lines: BTreeMap::new(),
            dropped: Dropped::default(),
            queue: VecDeque::new(),
            events: VecDeque::new(),
            chunks: Chunks::default(),
        }
    }

    /// The time of day, for NTP times.
    pub fn set_wall_clock(&mut self, _now: Instant, _wall_clock: WallClock) {}

    /// Adds a line or changes it; streams that go on keep their state and counters.
    pub fn set_line(&mut self, _now: Instant, id: LineId, config: LineConfig) {
        self.lines.insert(id, config);
    }

    /// Removes a line: BYE for what was sent.
    pub fn remove_line(&mut self, _now: Instant, id: LineId) {
        self.lines.remove(&id);
    }

    /// Packets may be repeated where there is no RTX.
    pub fn allow_repeats(&mut self, _allow: bool) {}

    /// A decrypted RTP packet.
    pub fn handle_rtp(&mut self, now: Instant, packet: &[u8]) {
        let Ok(packet) = RtpPacket::parse(packet) else {
            self.dropped.malformed += 1;
            return;
        };
        let mut lines = self.lines.iter().filter(|(_, line)| {
            line.receive.is_some() && line.codecs.iter().any(|codec| codec.payload_type == packet.payload_type())
        });
        let Some((id, line)) = lines.next() else {
            self.dropped.unknown_line += 1;
            return;
        };
        let extensions = PacketExtensions::read(&packet, &line.extensions, &mut self.chunks);
        self.chunks.append(packet.payload());
        let packet = RtpIn {
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            sequence_number: u64::from(packet.sequence_number().0),
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc(),
            rid: None,
            arrival: now,
            recovered: false,
            extensions,
            payload: self.chunks.freeze(),
        };
        self.events.push_back(Event::Rtp { line: *id, packet });
    }

    /// A decrypted RTCP packet, compound or reduced-size.
    pub fn handle_rtcp(&mut self, _now: Instant, _packet: &[u8]) {}

    /// The deadline passed.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Whether [`write_packet`](Self::write_packet) would give something.
    pub fn can_transmit(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The length that the next packet will have.
    pub fn next_packet_len(&self) -> Option<usize> {
        self.queue.front().map(|(_, packet)| 12 + packet.payload.len())
    }

    /// The next packet, without SRTP's tag.
    pub fn write_packet(&mut self, _now: Instant, room: &mut [u8]) -> Option<Written> {
        let (id, packet) = self.queue.pop_front()?;
        let send = self.lines.get(&id)?.send.as_ref()?;
        let header = RtpHeader {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence_number: packet.sequence_number,
            timestamp: packet.timestamp,
            ssrc: send.ssrc,
        };
        let mut builder = RtpBuilder::new(room, &header);
        let extensions = self.lines.get(&id).map(|line| &line.extensions);
        for (kind, value) in packet.extensions.iter().filter(|(kind, _)| !belongs_to_the_transport(*kind)) {
            if let Some(id) = extensions.and_then(|map| map.id(kind)) {
                builder.extension(id, value);
            }
        }
        builder.payload(&packet.payload);
        Some(Written { len: builder.finish()?, kind: PacketKind::Rtp })
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues a packet.
    pub fn write_rtp(&mut self, _now: Instant, line: LineId, packet: RtpOut) -> Result<(), WriteError> {
        let config = self.lines.get(&line).ok_or(WriteError::UnknownLine)?;
        config.send.as_ref().ok_or(WriteError::NotSending)?;
        if self.queue.len() >= self.config.max_queued {
            return Err(WriteError::QueueFull);
        }
        self.queue.push_back((line, packet));
        Ok(())
    }

    /// Asks the sender of what this line receives for a key frame.
    pub fn request_key_frame(&mut self, _now: Instant, _line: LineId, _rid: Option<&str>) -> bool {
        false
    }

    /// Everything ends.
    pub fn close(&mut self, _now: Instant) {
        self.queue.clear();
    }

    /// Counters of a line.
    pub fn stats(&self, line: LineId) -> Option<LineStats> {
        self.lines.contains_key(&line).then(LineStats::default)
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}
