//! What happened and was not polled yet. Media is of no use when it is late: beyond a bound, the oldest packet is dropped.

use std::collections::VecDeque;

use wigwag_rtp::Ssrc;

use crate::{Config, Event, LineId, RtpIn};

/// Ends of sources that wait to be polled.
const MAX_BYES: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Lines that are asked for a key frame, each once.
    key_frames: VecDeque<LineId>,
    packets: VecDeque<(LineId, RtpIn)>,
    bytes: usize,
    byes: VecDeque<(LineId, Ssrc)>,
}

impl Waiting {
    /// Gives how many packets were dropped.
    pub fn packet(&mut self, config: &Config, line: LineId, packet: RtpIn) -> u64 {
        self.bytes += packet.payload.len();
        self.packets.push_back((line, packet));
        let mut dropped = 0;
        while self.packets.len() > config.max_received.max(1)
            || self.bytes > config.max_received_bytes && self.packets.len() > 1
        {
            self.pop_packet();
            dropped += 1;
        }
        dropped
    }

    fn pop_packet(&mut self) -> Option<(LineId, RtpIn)> {
        let (line, packet) = self.packets.pop_front()?;
        self.bytes -= packet.payload.len();
        Some((line, packet))
    }

    pub fn key_frame(&mut self, line: LineId) {
        if !self.key_frames.contains(&line) {
            self.key_frames.push_back(line);
        }
    }

    /// Gives whether another was dropped for it.
    pub fn bye(&mut self, line: LineId, ssrc: Ssrc) -> bool {
        self.byes.push_back((line, ssrc));
        self.byes.len() > MAX_BYES && self.byes.pop_front().is_some()
    }

    /// Requests first, ends last.
    pub fn pop(&mut self) -> Option<Event> {
        if let Some(line) = self.key_frames.pop_front() {
            return Some(Event::KeyFrameRequest { line });
        }
        if let Some((line, packet)) = self.pop_packet() {
            return Some(Event::Rtp { line, packet });
        }
        self.byes.pop_front().map(|(line, ssrc)| Event::Bye { line, ssrc })
    }

    /// Nobody can answer for a line that is gone.
    pub fn forget(&mut self, line: LineId) {
        self.key_frames.retain(|other| *other != line);
    }
}
