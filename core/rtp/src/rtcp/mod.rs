//! RTCP: reports about RTP, and feedback for it. RFC 3550 section 6, RFC 4585, RFC 5104, RFC 3611, RFC 8888.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P| RC, FMT |  packet type  |  length in 32-bit words - 1   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                  SSRC of the sender; then more                |
//! ```
//!
//! A datagram holds several such packets one after another: a compound packet, which begins with a report, or one of
//! reduced size, which need not (RFC 5506). [`packets`] goes through either without allocating, [`RtcpWriter`] writes
//! them in place. Each parsed packet borrows its bytes, and was checked as a whole, so that its own iterators cannot
//! fail; checking and iterating cost what the bytes cost that were received, not what they claim to stand for.

mod congestion;
mod description;
mod extended;
mod feedback;
mod report;
mod transport;
mod transport_writer;
mod writer;

pub use congestion::{Arrival, CongestionFeedback, CongestionStream, StreamReport};
pub use description::{App, Bye, SdesItem, SdesKind, SourceDescription};
pub use extended::{DelaySinceLast, ExtendedReport, ExtendedReportBlock};
pub use feedback::{FullIntraRequest, FullIntraRequestEntry, Nack, PictureLossIndication, Remb};
pub use report::{ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use transport::{ReceivedPacket, TransportFeedback};
pub use writer::RtcpWriter;

use crate::wire::be16;

/// The types of RTCP packets.
pub mod packet_type {
    /// Sender report. RFC 3550 section 6.4.1.
    pub const SENDER_REPORT: u8 = 200;
    /// Receiver report. RFC 3550 section 6.4.2.
    pub const RECEIVER_REPORT: u8 = 201;
    /// Source description. RFC 3550 section 6.5.
    pub const SOURCE_DESCRIPTION: u8 = 202;
    /// Goodbye. RFC 3550 section 6.6.
    pub const BYE: u8 = 203;
    /// Of an application. RFC 3550 section 6.7.
    pub const APP: u8 = 204;
    /// Feedback about the transport. RFC 4585 section 6.2.
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    /// Feedback about the payload. RFC 4585 section 6.3.
    pub const PAYLOAD_FEEDBACK: u8 = 206;
    /// Extended report. RFC 3611.
    pub const EXTENDED_REPORT: u8 = 207;
}

/// The formats of feedback packets.
pub(crate) mod format {
    /// RFC 4585 section 6.2.1.
    pub(crate) const NACK: u8 = 1;
    /// RFC 8888 section 3.1.
    pub(crate) const CONGESTION: u8 = 11;
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
    pub(crate) const TRANSPORT_WIDE: u8 = 15;
    /// RFC 4585 section 6.3.1.
    pub(crate) const PICTURE_LOSS: u8 = 1;
    /// RFC 5104 section 4.3.1.
    pub(crate) const FULL_INTRA: u8 = 4;
    /// RFC 4585 section 6.4; REMB is one.
    pub(crate) const APPLICATION: u8 = 15;
}

/// Bytes of the header of each packet.
pub(crate) const HEADER_LEN: usize = 4;

/// Why a part of a datagram is no RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// Too few bytes for a header.
    #[error("too short for an RTCP header")]
    TooShort,
    /// The version is not 2.
    #[error("not RTCP version 2")]
    WrongVersion,
    /// The packet reaches beyond the datagram.
    #[error("an RTCP packet is cut off")]
    CutOff,
    /// The padding's length is zero, or more than the packet's.
    #[error("the RTCP padding has an impossible length")]
    BadPadding,
    /// What a packet of this type says does not fit its length.
    #[error("an RTCP packet of type {0} is malformed")]
    Malformed(u8),
}

/// One RTCP packet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RtcpPacket<'a> {
    /// SR.
    SenderReport(SenderReport<'a>),
    /// RR.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES.
    SourceDescription(SourceDescription<'a>),
    /// BYE.
    Bye(Bye<'a>),
    /// APP.
    App(App<'a>),
    /// Generic NACK.
    Nack(Nack<'a>),
    /// PLI.
    PictureLossIndication(PictureLossIndication),
    /// FIR.
    FullIntraRequest(FullIntraRequest<'a>),
    /// REMB.
    Remb(Remb<'a>),
    /// Transport-wide feedback.
    TransportFeedback(TransportFeedback<'a>),
    /// RFC 8888.
    CongestionFeedback(CongestionFeedback<'a>),
    /// XR.
    ExtendedReport(ExtendedReport<'a>),
    /// What this crate does not know (and SLI, which nobody should send).
    Other(RawPacket<'a>),
}

/// A packet as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPacket<'a> {
    /// See [`packet_type`].
    pub packet_type: u8,
    /// Five bits: a count, or the format of feedback.
    pub count: u8,
    /// What follows the four bytes of the header, without padding.
    pub body: &'a [u8],
}

/// The packets in a datagram of RTCP. One that is malformed gives an error, and the next one follows; if it is not even
/// clear where it ends, that was the last.
///
/// ```
/// use wigwag_rtp::Ssrc;
/// use wigwag_rtp::rtcp::{self, RtcpPacket, RtcpWriter};
///
/// let mut memory = [0; 100];
/// let mut writer = RtcpWriter::new(&mut memory);
/// writer.receiver_report(Ssrc(1), &[]);
/// writer.picture_loss_indication(Ssrc(1), Ssrc(2));
/// let len = writer.len();
///
/// let mut wanted = None;
/// for packet in rtcp::packets(&memory[..len]).flatten() {
///     if let RtcpPacket::PictureLossIndication(pli) = packet {
///         wanted = Some(pli.media);
///     }
/// }
/// assert_eq!(wanted, Some(Ssrc(2)));
/// ```
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

/// Whether a datagram begins with a report, as a compound packet must; if not, it is of reduced size. RFC 5506
/// section 3.4.1.
pub fn is_compound(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(&(packet_type::SENDER_REPORT | packet_type::RECEIVER_REPORT)))
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        Some(split(bytes).and_then(|(packet, rest)| {
            self.rest = rest;
            RtcpPacket::parse(RawPacket::parse(packet)?)
        }))
    }
}

/// The first packet, header and all, and what follows it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), RtcpError> {
    let first = bytes.first().ok_or(RtcpError::TooShort)?;
    let words = be16(bytes, 2).ok_or(RtcpError::TooShort)?;
    if first >> 6 != 2 {
        return Err(RtcpError::WrongVersion);
    }
    bytes.split_at_checked(HEADER_LEN + 4 * usize::from(words)).ok_or(RtcpError::CutOff)
}

impl<'a> RawPacket<'a> {
    /// Takes the header and the padding off.
    fn parse(packet: &'a [u8]) -> Result<Self, RtcpError> {
        let (&[first, packet_type, _, _], body) =
            packet.split_first_chunk::<HEADER_LEN>().ok_or(RtcpError::TooShort)?;
        // RFC 3550 section 6.4.1 wants a multiple of four, but libwebrtc pads transport-wide feedback by less.
        let padding = match (first & 0x20, body.last()) {
            (0, _) => 0,
            (_, Some(&count)) if count != 0 => usize::from(count),
            _ => return Err(RtcpError::BadPadding),
        };
        let len = body.len().checked_sub(padding).ok_or(RtcpError::BadPadding)?;
        Ok(Self { packet_type, count: first & 0x1F, body: body.get(..len).unwrap_or_default() })
    }
}

impl<'a> RtcpPacket<'a> {
    /// Understands a packet.
    pub fn parse(raw: RawPacket<'a>) -> Result<Self, RtcpError> {
        let RawPacket { packet_type, count, body } = raw;
        let parsed = match (packet_type, count) {
            (packet_type::SENDER_REPORT, _) => SenderReport::parse(count, body).map(Self::SenderReport),
            (packet_type::RECEIVER_REPORT, _) => ReceiverReport::parse(count, body).map(Self::ReceiverReport),
            (packet_type::SOURCE_DESCRIPTION, _) => SourceDescription::parse(count, body).map(Self::SourceDescription),
            (packet_type::BYE, _) => Bye::parse(count, body).map(Self::Bye),
            (packet_type::APP, _) => App::parse(count, body).map(Self::App),
            (packet_type::TRANSPORT_FEEDBACK, format::NACK) => Nack::parse(body).map(Self::Nack),
            (packet_type::TRANSPORT_FEEDBACK, format::TRANSPORT_WIDE) => {
                TransportFeedback::parse(body).map(Self::TransportFeedback)
            }
            (packet_type::TRANSPORT_FEEDBACK, format::CONGESTION) => {
                CongestionFeedback::parse(body).map(Self::CongestionFeedback)
            }
            (packet_type::PAYLOAD_FEEDBACK, format::PICTURE_LOSS) => {
                PictureLossIndication::parse(body).map(Self::PictureLossIndication)
            }
            (packet_type::PAYLOAD_FEEDBACK, format::FULL_INTRA) => {
                FullIntraRequest::parse(body).map(Self::FullIntraRequest)
            }
            (packet_type::PAYLOAD_FEEDBACK, format::APPLICATION) if Remb::is(body) => Remb::parse(body).map(Self::Remb),
            (packet_type::EXTENDED_REPORT, _) => ExtendedReport::parse(body).map(Self::ExtendedReport),
            _ => Some(Self::Other(raw)),
        };
        parsed.ok_or(RtcpError::Malformed(packet_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<(), RtcpError>> {
        packets(bytes).map(|packet| packet.map(drop)).collect()
    }

    #[test]
    fn broken_packets_are_errors() {
        assert_eq!(all(&[]), []);
        assert_eq!(all(&[0x80]), [Err(RtcpError::TooShort)]);
        assert_eq!(all(&[0x40, 201, 0, 0]), [Err(RtcpError::WrongVersion)]);
        assert_eq!(all(&[0x80, 201, 0, 1]), [Err(RtcpError::CutOff)]);
        // The second is malformed, the third is reached all the same.
        let bytes = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 206, 0, 0, 0x80, 201, 0, 1, 0, 0, 0, 1];
        assert_eq!(all(&bytes), [Ok(()), Err(RtcpError::Malformed(206)), Ok(())]);
        assert!(is_compound(&bytes) && !is_compound(&bytes[8..]));
    }

    #[test]
    fn padding_is_checked() {
        for (count, good) in [(0, false), (1, true), (4, true), (8, true), (12, false), (255, false)] {
            let bytes = [0xA0, 192, 0, 2, 0, 0, 0, 0, 0, 0, 0, count];
            assert_eq!(all(&bytes), [if good { Ok(()) } else { Err(RtcpError::BadPadding) }], "{count}");
        }
        assert_eq!(all(&[0xA0, 192, 0, 0]), [Err(RtcpError::BadPadding)]);
        let bytes = [0xA7, 192, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4];
        let Some(Ok(RtcpPacket::Other(raw))) = packets(&bytes).next() else { panic!() };
        assert_eq!(raw, RawPacket { packet_type: 192, count: 7, body: &[1, 2, 3, 4] });
    }

    #[test]
    fn slice_loss_and_other_feedback_stay_raw() {
        for (format, packet_type) in [(2, packet_type::PAYLOAD_FEEDBACK), (3, packet_type::TRANSPORT_FEEDBACK)] {
            let bytes = [0x80 | format, packet_type, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0];
            let Some(Ok(RtcpPacket::Other(raw))) = packets(&bytes).next() else { panic!() };
            assert_eq!((raw.packet_type, raw.count, raw.body.len()), (packet_type, format, 12));
        }
    }
}
