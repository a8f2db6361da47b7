//! Audio and video at a steady pace, and what must hold for every packet of them.

use std::collections::BTreeSet;
use std::time::Duration;

use wigwag::rtp::{PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
use wigwag::{Instant, PacketExtensions, PeerConnection, RtpIn, RtpOut, TransceiverId, WriteRtpError};

use crate::message;

/// How far behind the newest a packet may still come: what the engine promises to tell from a duplicate.
const WINDOW: u64 = 2048;

/// Frames at a steady pace, until `frames` of them were sent.
#[derive(Clone, Debug)]
pub struct Source {
    pub transceiver: TransceiverId,
    pub payload_type: u8,
    /// From one frame to the next.
    pub interval: Duration,
    /// The payload's clock, in ticks for each frame.
    pub ticks: u32,
    /// Packets for each frame.
    pub packets: u32,
    /// Bytes in each.
    pub len: usize,
    /// When the next frame is due.
    pub due: Instant,
    /// Frames that are still to be sent.
    pub frames: u64,
    /// The number of the next packet. Its lower bits are the sequence number.
    pub number: u64,
    /// The timestamp of the next frame.
    pub timestamp: u32,
    /// Packets that were taken.
    pub sent: u64,
}

impl Source {
    /// Opus: 50 packets a second of 80 bytes, that is 32 kbit/s.
    pub fn opus(transceiver: TransceiverId, now: Instant) -> Self {
        let interval = Duration::from_millis(20);
        Self { payload_type: 111, interval, ticks: 960, packets: 1, len: 80, ..Self::video(transceiver, now) }
    }

    /// Video at 500 kbit/s: 25 frames a second, of three packets each.
    pub fn video(transceiver: TransceiverId, now: Instant) -> Self {
        Self {
            transceiver,
            payload_type: 96,
            interval: Duration::from_millis(40),
            ticks: 3600,
            packets: 3,
            len: 833,
            due: now,
            frames: u64::MAX,
            number: 65_000, // soon around
            timestamp: u32::MAX - 90_000,
            sent: 0,
        }
    }

    /// Writes what is due by now. Without a path it is not written, as a live source would not.
    pub fn write(&mut self, now: Instant, pc: &mut PeerConnection) {
        while self.due <= now && self.frames > 0 {
            for packet in 1..=self.packets {
                let out = RtpOut {
                    marker: packet == self.packets,
                    payload_type: PayloadType::new(self.payload_type).unwrap(),
                    sequence_number: SequenceNumber(self.number as u16),
                    timestamp: RtpTimestamp(self.timestamp),
                    extensions: PacketExtensions::default(),
                    payload: message::bytes(self.number, self.len),
                };
                match pc.write_rtp(now, self.transceiver, out) {
                    Ok(()) => (self.number, self.sent) = (self.number + 1, self.sent + 1),
                    Err(WriteRtpError::NotConnected) => {}
                    Err(error) => panic!("not written: {error}"),
                }
            }
            self.due += self.interval;
            self.timestamp = self.timestamp.wrapping_add(self.ticks);
            self.frames -= 1;
        }
    }

    /// When it wants to write again.
    pub fn due(&self) -> Option<Instant> {
        (self.frames > 0).then_some(self.due)
    }
}

/// What arrived of one source.
#[derive(Debug)]
pub struct Sink {
    pub transceiver: TransceiverId,
    pub ssrc: Ssrc,
    recent: BTreeSet<u64>,
    /// The number of the newest packet, as its payload says; not of 16 bits.
    pub newest: u64,
    /// How many arrived, each once.
    pub count: u64,
    /// From the number that the engine extended to that of the payload: the same for all, or a wrap was lost.
    offset: u64,
}

impl Sink {
    /// For the source of this packet.
    pub fn new(transceiver: TransceiverId, packet: &RtpIn) -> Self {
        let number = message::check(&packet.payload).expect("a packet that was changed");
        let offset = packet.sequence_number.wrapping_sub(number);
        Self { transceiver, ssrc: packet.ssrc, recent: BTreeSet::new(), newest: number, count: 0, offset }
    }

    /// Notes a packet; panics if it was changed, came before, or has a wrong number.
    pub fn note(&mut self, packet: &RtpIn) {
        let number = message::check(&packet.payload).expect("a packet that was changed");
        assert_eq!(packet.sequence_number.wrapping_sub(number), self.offset, "packet {number} is extended wrongly");
        assert!(self.recent.insert(number), "packet {number} came twice");
        self.newest = self.newest.max(number);
        self.count += 1;
        while self.recent.first().is_some_and(|&oldest| oldest + 2 * WINDOW < self.newest) {
            self.recent.pop_first();
        }
    }
}
