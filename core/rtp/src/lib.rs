//! RTP and RTCP (RFC 3550), header extensions (RFC 8285), SRTP and SRTCP (RFC 3711): functions over bytes.
//!
//! Packets are parsed by borrowing and written into memory that the caller owns; SRTP encrypts and decrypts them where
//! they lie. Nothing here knows the time, and only SRTP keeps state: which indices of which source were seen.
//!
//! ```text
//! leave   RtpBuilder, rtcp::RtcpWriter    write a packet into the segment, leaving the suffix free
//!         srtp::Protector                 encrypts it in place, the tag goes into the suffix
//!
//! enter   is_rtcp                         which of both it is (RFC 5761)
//!         srtp::Unprotector               authenticates, then decrypts in place
//!         RtpPacket, rtcp::packets        read what it says
//! ```
//!
//! - [`number`]: [`Ssrc`], [`SequenceNumber`], [`RtpTimestamp`], [`PayloadType`], and counters that do not wrap;
//! - [`packet`]: [`RtpPacket`], parsed; [`RtpPacketMut`], changed in place;
//! - [`builder`]: [`RtpBuilder`], written in place;
//! - [`extension`]: header extensions: [`ExtensionMap`], [`ExtensionValue`];
//! - [`rtcp`]: reports, feedback, and their writer;
//! - [`srtp`]: keys, protection, replay.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

pub mod builder;
pub mod extension;
pub mod number;
pub mod packet;
pub mod rtcp;
pub mod srtp;
mod wire;

pub use builder::{RtpBuilder, RtpHeader};
pub use extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, BadExtensionId, Extension, ExtensionKind, ExtensionMap, ExtensionValue,
    Extensions, PlayoutDelay, VideoOrientation,
};
pub use number::{NtpTimestamp, PayloadType, RtpTimestamp, SequenceExtender, SequenceNumber, Ssrc, TimestampExtender};
pub use packet::{RtpError, RtpPacket, RtpPacketMut};

/// Whether a datagram is RTP or RTCP, and not STUN, DTLS or TURN's channels. RFC 7983 section 7.
pub fn is_rtp_or_rtcp(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (128..=191).contains(first))
}

/// Whether a datagram, protected or not, is RTCP: packet types 192 to 223, which RTP with payload types 64 to 95 and a
/// marker would resemble. RFC 5761 section 4.
///
/// ```
/// assert!(wigwag_rtp::is_rtcp(&[0x80, 200, 0, 6]));
/// assert!(!wigwag_rtp::is_rtcp(&[0x80, 0x80 | 96, 0, 6]));
/// ```
pub fn is_rtcp(datagram: &[u8]) -> bool {
    is_rtp_or_rtcp(datagram) && datagram.get(1).is_some_and(|second| (192..=223).contains(second))
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
pub struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtcp_is_told_from_rtp() {
        for (second, rtcp) in [(191, false), (192, true), (200, true), (223, true), (224, false), (96, false)] {
            assert_eq!(is_rtcp(&[0x80, second]), rtcp, "{second}");
        }
        for first in [0, 20, 64, 127, 192, 255] {
            assert!(!is_rtcp(&[first, 200]) && !is_rtp_or_rtcp(&[first]));
        }
        assert!(!is_rtcp(&[]) && !is_rtcp(&[0x80]) && is_rtp_or_rtcp(&[0xBF]));
    }

    #[test]
    fn sessions_go_anywhere() {
        fn anywhere<T: Send + Sync>() {}
        anywhere::<srtp::SrtpSession>();
        anywhere::<RtpBuilder<'_>>();
        anywhere::<rtcp::RtcpPacket<'_>>();
    }
}
