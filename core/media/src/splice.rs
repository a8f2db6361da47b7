//! One continuous stream of several.

use wigwag_proto::Instant;
use wigwag_rtp::{RtpTimestamp, SequenceNumber};

use crate::RtpIn;

/// One continuous stream of several.
#[derive(Clone, Debug, Default)]
pub struct Splice {}

impl Splice {
    /// The numbers that a packet has in the outgoing stream.
    pub fn next(&mut self, _now: Instant, packet: &RtpIn, _clock_rate: u32) -> (SequenceNumber, RtpTimestamp) {
        (SequenceNumber(packet.sequence_number as u16), packet.timestamp)
    }
}
