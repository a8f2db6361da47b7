//! Counters.

use std::time::Duration;

use wigwag_proto::Instant;
use wigwag_rtp::{NtpTimestamp, RtpTimestamp};

/// What is known of a line's streams, summed over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineStats {
    /// What is received.
    pub inbound: InboundStats,
    /// What is sent.
    pub outbound: OutboundStats,
}

/// What is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboundStats {
    /// Packets that were delivered, those that RTX repaired included.
    pub packets: u64,
    /// Bytes of their payload, without headers and padding.
    pub bytes: u64,
    /// Packets that the network lost: expected less arrived. What RTX repaired stays lost here (see `recovered`), and what arrived twice
    /// counts against it. RFC 3550 section 6.4.1.
    pub lost: i64,
    /// How much the packets' travel times differ; the largest of the streams. RFC 3550 section 6.4.1.
    pub jitter: Duration,
    /// Packets that were asked for again, each time counted.
    pub nacks_sent: u64,
    /// Key frames that were asked for by PLI.
    pub plis_sent: u64,
    /// Key frames that were asked for by FIR.
    pub firs_sent: u64,
    /// Packets that RTX repaired.
    pub recovered: u64,
    /// Packets that had arrived already, RTX included; dropped.
    pub duplicates: u64,
    /// Packets that came more than the window of 2048 behind the newest; dropped.
    pub too_late: u64,
    /// Packets that were asked for in vain, until we gave up.
    pub given_up: u64,
    /// Bytes of RTX packets that carried nothing: probes for bandwidth.
    pub probe_bytes: u64,
    /// How many packets these were.
    pub probes: u64,
    /// The last sender report of any of the streams.
    pub last_sender_report: Option<LastSenderReport>,
}

/// What a sender said of itself. RFC 3550 section 6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSenderReport {
    /// When it arrived.
    pub arrival: Instant,
    /// The sender's time.
    pub ntp: NtpTimestamp,
    /// The same time in the payload's clock.
    pub rtp: RtpTimestamp,
    /// Packets sent so far, modulo 2^32.
    pub packets: u32,
    /// Bytes of payload sent so far, modulo 2^32.
    pub octets: u32,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboundStats {
    /// Packets written, without retransmissions.
    pub packets: u64,
    /// Bytes of their payload, without headers.
    pub bytes: u64,
    /// Packets written again.
    pub retransmitted_packets: u64,
    /// Bytes of their payload, without headers.
    pub retransmitted_bytes: u64,
    /// Packets that the peer asked for again, each time counted.
    pub nacks_received: u64,
    /// Of those, the ones beyond the share of the send rate that retransmissions may have.
    pub nacks_refused: u64,
    /// PLIs.
    pub plis_received: u64,
    /// FIRs, repetitions of the same request not counted.
    pub firs_received: u64,
    /// Packets that the peer says the network lost.
    pub remote_lost: i64,
    /// The part lost since the report before, in 256ths.
    pub remote_fraction_lost: u8,
    /// The jitter that the peer sees.
    pub remote_jitter: Duration,
    /// From the last report block that answered one of our sender reports.
    pub round_trip_time: Option<Duration>,
}

/// What was dropped, of no known line or before its line was known. All counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// No RTP or RTCP, or impossible inside.
    pub malformed: u64,
    /// Neither mid, rid, SSRC nor payload type told the line.
    pub unknown_line: u64,
    /// The payload type is none of the line's.
    pub unknown_payload_type: u64,
    /// The line does not receive.
    pub not_receiving: u64,
    /// Retransmissions of a source that is not known.
    pub unknown_repair: u64,
    /// One source too many.
    pub too_many_sources: u64,
    /// Packets that had arrived already.
    pub duplicates: u64,
    /// Packets that came too late to be told from duplicates.
    pub too_late: u64,
    /// Packets (the oldest first) and other events that were not polled in time.
    pub not_polled: u64,
    /// Packets that did not fit the room they were to be written into.
    pub too_long: u64,
}
