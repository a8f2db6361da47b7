//! What a session and its lines are asked to be.

use wigwag_rtp::{ExtensionMap, PayloadType, Ssrc};

/// One m-line with audio or video, numbered by the caller: the peer's transceiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub u32);

/// How a [`Session`](crate::Session) is to behave.
///
/// ```
/// let config = wigwag_media::Config { history: 512 << 10, ..Default::default() };
/// assert_eq!(config.max_packet, 1400);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of the longest RTP or RTCP packet that is written, without SRTP's tag; at least [`MIN_PACKET`]. 1400: a path of 1500 bytes
    /// less IPv6, UDP, a TURN channel and the longest tag, rounded down.
    pub max_packet: usize,
    /// Bytes of payload that each outgoing stream keeps for retransmission. They are shared with the caller, not copied. 2 MiB: two
    /// seconds at 8 Mbit/s.
    pub history: usize,
    /// Incoming sources, RTX included, over all lines. 256.
    pub max_sources: usize,
    /// Packets that wait to be polled; beyond, the oldest is dropped and counted. 1024.
    pub max_received: usize,
    /// Bytes of payload that wait to be polled; beyond, the oldest packet is dropped and counted. 2 MiB.
    pub max_received_bytes: usize,
    /// Packets that [`write_rtp`](crate::Session::write_rtp) queues before it refuses. 4096.
    pub max_queued: usize,
    /// Bytes of payload that [`write_rtp`](crate::Session::write_rtp) queues before it refuses. 4 MiB.
    pub max_queued_bytes: usize,
}

/// The least [`Config::max_packet`]: room for a report with its name, whatever its length.
pub const MIN_PACKET: usize = 512;

impl Default for Config {
    fn default() -> Self {
        Self {
            max_packet: 1400,
            history: 2 << 20,
            max_sources: 256,
            max_received: 1024,
            max_received_bytes: 2 << 20,
            max_queued: 4096,
            max_queued_bytes: 4 << 20,
        }
    }
}

/// What both sides agreed on for an m-line.
#[derive(Clone, Debug, Default)]
pub struct LineConfig {
    /// `a=mid`: written into every packet, and read from them, if `extensions` has [`Mid`](wigwag_rtp::ExtensionKind::Mid).
    pub mid: Option<String>,
    /// What may be sent and received.
    pub codecs: Vec<CodecConfig>,
    /// Header extensions; the ids are the same in both directions. (In a BUNDLE group, the same id means the same on every line: RFC 9143
    /// section 9.1.)
    pub extensions: ExtensionMap,
    /// `a=rtcp-rsize`: feedback may travel without a report (RFC 5506). Used when all lines have it.
    pub reduced_size: bool,
    /// How packets are received; `None`: those of this line are dropped and counted.
    pub receive: Option<Receive>,
    /// How packets are sent; `None`: [`write_rtp`](crate::Session::write_rtp) refuses.
    pub send: Option<Send>,
}

/// A payload type, and the feedback that was agreed on for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecConfig {
    /// Of its packets.
    pub payload_type: PayloadType,
    /// Ticks of its timestamp in a second.
    pub clock_rate: u32,
    /// The payload type of its retransmissions (RFC 4588: `rtx` with `apt`).
    pub retransmission: Option<PayloadType>,
    /// `a=rtcp-fb` `nack`.
    pub nack: bool,
    /// `a=rtcp-fb` `nack pli`.
    pub pli: bool,
    /// `a=rtcp-fb` `ccm fir`.
    pub fir: bool,
    /// `a=rtcp-fb` `transport-cc`.
    pub transport_feedback: bool,
}

/// What a line receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receive {
    /// From `a=ssrc` and `a=ssrc-group:FID`: each source with its RTX. May be empty: then mid, rid and payload type tell.
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
    /// `a=rid` of the encodings that the peer may send.
    pub rids: Vec<String>,
}

/// What a line sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Of the packets.
    pub ssrc: Ssrc,
    /// Of their retransmissions.
    pub rtx: Option<Ssrc>,
    /// The canonical name: the same for all sources that are to be played in step. At most 255 bytes, the rest is cut off.
    pub cname: String,
}
