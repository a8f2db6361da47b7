//! Packets as the application sees them, and what happens.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use wigwag_proto::Instant;
use wigwag_rtp::{PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

use crate::{LineId, PacketExtensions};

/// The name of one of several encodings of a source (`a=rid`). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid(Arc<str>);

impl From<&str> for Rid {
    fn from(rid: &str) -> Self {
        Self(rid.into())
    }
}

impl Deref for Rid {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Rid {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

/// A received packet. One that RTX repaired looks as the original would have.
#[derive(Clone, Debug)]
pub struct RtpIn {
    /// The marker bit: mostly the last packet of a video frame.
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// Its place in the stream, extended: it does not wrap, and the lower 16 bits are those of the packet. RFC 3550 appendix A.1.
    pub sequence_number: u64,
    /// The payload's time, in units of its clock rate.
    pub timestamp: RtpTimestamp,
    /// The source.
    pub ssrc: Ssrc,
    /// The encoding, if the packets of this source ever named it.
    pub rid: Option<Rid>,
    /// When it arrived.
    pub arrival: Instant,
    /// It came by RTX.
    pub recovered: bool,
    /// Its header extensions, as far as they were agreed on.
    pub extensions: PacketExtensions,
    /// The payload, without padding. A kept slice keeps the chunk of up to 64 KiB that it lies in.
    pub payload: Bytes,
}

/// A packet to send. The session owns SSRC, RTX, NACK, reports, mid and send times; the caller owns what is here.
///
/// ```
/// use bytes::Bytes;
/// use wigwag_media::{PacketExtensions, RtpOut};
/// use wigwag_rtp::{AudioLevel, ExtensionKind, ExtensionValue, PayloadType, RtpTimestamp, SequenceNumber};
///
/// let level = AudioLevel { voice: true, below_overload: 12 };
/// let packet = RtpOut {
///     marker: false,
///     payload_type: PayloadType::PCMU,
///     sequence_number: SequenceNumber(7),
///     timestamp: RtpTimestamp(160),
///     extensions: [(ExtensionKind::AudioLevel, [0x8C])].into_iter().collect(),
///     payload: Bytes::from_static(b"sound"),
/// };
/// assert_eq!(packet.extensions.value(ExtensionKind::AudioLevel), Some(ExtensionValue::AudioLevel(level)));
/// ```
#[derive(Clone, Debug)]
pub struct RtpOut {
    /// The marker bit.
    pub marker: bool,
    /// One of the line's codecs.
    pub payload_type: PayloadType,
    /// The next of the stream, or that of a packet that comes late.
    pub sequence_number: SequenceNumber,
    /// The payload's time, in units of its clock rate.
    pub timestamp: RtpTimestamp,
    /// Header extensions; those that belong to the transport (mid, rid, send times, transport-wide numbers) are left out, the session
    /// writes its own.
    pub extensions: PacketExtensions,
    /// The payload.
    pub payload: Bytes,
}

/// To forward a packet unchanged; [`Splice`](crate::Splice) gives numbers that go on when the source changes.
impl From<&RtpIn> for RtpOut {
    fn from(packet: &RtpIn) -> Self {
        Self {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence_number: SequenceNumber(packet.sequence_number as u16),
            timestamp: packet.timestamp,
            extensions: packet.extensions.clone(),
            payload: packet.payload.clone(),
        }
    }
}

/// What happened, for the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A packet, in the order of arrival.
    Rtp {
        /// Where it belongs.
        line: LineId,
        /// The packet.
        packet: RtpIn,
    },
    /// The peer asks for a key frame of what this line sends (PLI or FIR). Asking again before this was polled makes no second event.
    KeyFrameRequest {
        /// Which sends.
        line: LineId,
    },
    /// A source says that it ends. RFC 3550 section 6.6.
    Bye {
        /// Where it belonged.
        line: LineId,
        /// The source.
        ssrc: Ssrc,
    },
}

/// What [`Session::write_packet`](crate::Session::write_packet) wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes at the beginning of the room.
    pub len: usize,
    /// Which protection it needs.
    pub kind: PacketKind,
    /// It was written before, byte for byte but for its header extensions, and goes out again under its own number: only where
    /// [`Session::allow_repeats`](crate::Session::allow_repeats) said so. Any other packet that comes a second time under a number must not
    /// be protected: in counter mode both would have the same key stream.
    pub is_repeat: bool,
}

/// SRTP or SRTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// To be protected with SRTP.
    Rtp,
    /// To be protected with SRTCP.
    Rtcp,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no such line.
    #[error("there is no such line")]
    UnknownLine,
    /// The line does not send.
    #[error("the line does not send")]
    NotSending,
    /// The payload type is not one of the line's codecs.
    #[error("the payload type is not one of the line's")]
    UnknownPayloadType,
    /// With headers and extensions, it is longer than [`Config::max_packet`](crate::Config::max_packet); its retransmission is two bytes longer.
    #[error("the packet is too long")]
    TooLong,
    /// Too much waits to be written.
    #[error("too many packets wait to leave")]
    QueueFull,
    /// The session was closed.
    #[error("the session was closed")]
    Closed,
}
