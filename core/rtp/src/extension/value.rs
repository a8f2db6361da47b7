//! What the bytes of a header extension say.

use std::time::Duration;

use crate::extension::ExtensionKind;
use crate::number::{NtpTimestamp, SequenceNumber};
use crate::wire::{Cursor, be16, be24, be64, to_be24};

/// The value of a header extension, read from or to be written to a packet.
///
/// ```
/// use wigwag_rtp::{ExtensionKind, ExtensionValue, PlayoutDelay};
///
/// let mut bytes = [0; 16];
/// let delay = ExtensionValue::PlayoutDelay(PlayoutDelay { min_10ms: 0, max_10ms: 40 });
/// let len = delay.write(&mut bytes).unwrap();
/// assert_eq!(ExtensionValue::parse(ExtensionKind::PlayoutDelay, &bytes[..len]), Some(delay));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionValue<'a> {
    /// The m-line's `a=mid`.
    Mid(&'a str),
    /// The encoding's `a=rid`.
    Rid(&'a str),
    /// The `a=rid` of the encoding that is repaired.
    RepairedRid(&'a str),
    /// How loud the packet is.
    AudioLevel(AudioLevel),
    /// How loud each contributing source is: one byte for each, in dB below the loudest (0 to 127).
    MixerAudioLevels(&'a [u8]),
    /// When the packet left.
    AbsSendTime(AbsSendTime),
    /// The packet's number among all of the transport.
    TransportSequenceNumber(SequenceNumber),
    /// The same, and the 16 bits of a request for feedback, if there is one: the upper bit asks for arrival times,
    /// the others say about how many packets.
    TransportSequenceNumberV2(SequenceNumber, Option<u16>),
    /// How the picture is to be turned.
    VideoOrientation(VideoOrientation),
    /// How long the receiver may hold a frame back.
    PlayoutDelay(PlayoutDelay),
    /// How long after its timestamp the packet left, in units of the payload's clock rate; 24 bits, signed.
    TransmissionOffset(i32),
    /// When the first sample was captured.
    AbsCaptureTime(AbsCaptureTime),
    /// An extension that is opaque here.
    Opaque(ExtensionKind, &'a [u8]),
}

impl<'a> ExtensionValue<'a> {
    /// Reads a value; `None` if it is malformed.
    pub fn parse(kind: ExtensionKind, bytes: &'a [u8]) -> Option<Self> {
        Some(match kind {
            ExtensionKind::Mid => Self::Mid(identifier(bytes)?),
            ExtensionKind::Rid => Self::Rid(identifier(bytes)?),
            ExtensionKind::RepairedRid => Self::RepairedRid(identifier(bytes)?),
            ExtensionKind::AudioLevel => Self::AudioLevel(AudioLevel::from_byte(*bytes.first()?)),
            ExtensionKind::MixerAudioLevels => Self::MixerAudioLevels(bytes),
            ExtensionKind::AbsSendTime => Self::AbsSendTime(AbsSendTime(be24(bytes, 0)?)),
            ExtensionKind::TransportSequenceNumber => Self::TransportSequenceNumber(SequenceNumber(be16(bytes, 0)?)),
            ExtensionKind::TransportSequenceNumberV2 => {
                Self::TransportSequenceNumberV2(SequenceNumber(be16(bytes, 0)?), be16(bytes, 2))
            }
            ExtensionKind::VideoOrientation => Self::VideoOrientation(VideoOrientation::from_byte(*bytes.first()?)),
            ExtensionKind::PlayoutDelay => Self::PlayoutDelay(PlayoutDelay::from_bits(be24(bytes, 0)?)),
            // The shifts carry the sign from bit 23 to bit 31 and back.
            ExtensionKind::TransmissionOffset => Self::TransmissionOffset((be24(bytes, 0)? << 8) as i32 >> 8),
            ExtensionKind::AbsCaptureTime => Self::AbsCaptureTime(AbsCaptureTime {
                capture: NtpTimestamp(be64(bytes, 0)?),
                clock_offset: be64(bytes, 8).map(|offset| offset as i64),
            }),
            _ => Self::Opaque(kind, bytes),
        })
    }

    /// What it is a value of.
    pub const fn kind(&self) -> ExtensionKind {
        match self {
            Self::Mid(_) => ExtensionKind::Mid,
            Self::Rid(_) => ExtensionKind::Rid,
            Self::RepairedRid(_) => ExtensionKind::RepairedRid,
            Self::AudioLevel(_) => ExtensionKind::AudioLevel,
            Self::MixerAudioLevels(_) => ExtensionKind::MixerAudioLevels,
            Self::AbsSendTime(_) => ExtensionKind::AbsSendTime,
            Self::TransportSequenceNumber(_) => ExtensionKind::TransportSequenceNumber,
            Self::TransportSequenceNumberV2(..) => ExtensionKind::TransportSequenceNumberV2,
            Self::VideoOrientation(_) => ExtensionKind::VideoOrientation,
            Self::PlayoutDelay(_) => ExtensionKind::PlayoutDelay,
            Self::TransmissionOffset(_) => ExtensionKind::TransmissionOffset,
            Self::AbsCaptureTime(_) => ExtensionKind::AbsCaptureTime,
            Self::Opaque(kind, _) => *kind,
        }
    }

    /// Writes it at the beginning of `room`; gives its length, or `None` if `room` is too small.
    pub fn write(&self, room: &mut [u8]) -> Option<usize> {
        let mut out = Cursor::new(room);
        match *self {
            Self::Mid(text) | Self::Rid(text) | Self::RepairedRid(text) => out.put(text.as_bytes()),
            Self::AudioLevel(level) => out.put8(level.to_byte()),
            Self::MixerAudioLevels(bytes) | Self::Opaque(_, bytes) => out.put(bytes),
            Self::AbsSendTime(time) => out.put(&to_be24(time.0)),
            Self::TransportSequenceNumber(number) => out.put16(number.0),
            Self::TransportSequenceNumberV2(number, request) => {
                out.put16(number.0);
                if let Some(request) = request {
                    out.put16(request);
                }
            }
            Self::VideoOrientation(orientation) => out.put8(orientation.to_byte()),
            Self::PlayoutDelay(delay) => out.put(&to_be24(delay.to_bits())),
            Self::TransmissionOffset(offset) => out.put(&to_be24(offset as u32)),
            Self::AbsCaptureTime(time) => {
                out.put(&time.capture.0.to_be_bytes());
                if let Some(offset) = time.clock_offset {
                    out.put(&offset.to_be_bytes());
                }
            }
        }
        out.len()
    }
}

/// RFC 8852 section 3.3 and RFC 9143 section 15.1: an identifier is a token of at least one character; some senders
/// end it with zeros.
fn identifier(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

/// How loud a packet is. RFC 6464 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Whether the sender takes it for speech.
    pub voice: bool,
    /// In dB below the loudest: 0 is as loud as can be, 127 is silence.
    pub below_overload: u8,
}

impl AudioLevel {
    const fn from_byte(byte: u8) -> Self {
        Self { voice: byte & 0x80 != 0, below_overload: byte & 0x7F }
    }

    fn to_byte(self) -> u8 {
        u8::from(self.voice) << 7 | self.below_overload.min(127)
    }
}

/// A time modulo 64 seconds, in units of 2^-18 second (3.8 us): 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    /// The time since any epoch.
    ///
    /// ```
    /// use wigwag_rtp::AbsSendTime;
    /// assert_eq!(AbsSendTime::from_micros(64_000_000), AbsSendTime::from_micros(0));
    /// assert_eq!(AbsSendTime::from_micros(1_000_000).0, 1 << 18);
    /// ```
    pub const fn from_micros(micros: u64) -> Self {
        Self((((micros % 64_000_000) << 18) / 1_000_000) as u32)
    }

    /// How long after `earlier` it is, at most 64 seconds.
    pub const fn since(self, earlier: Self) -> Duration {
        let units = self.0.wrapping_sub(earlier.0) & 0x00FF_FFFF;
        Duration::from_nanos(((units as u64) * 1_000_000_000) >> 18)
    }
}

/// How a picture is to be turned before it is shown. 3GPP TS 26.114 section 7.4.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoOrientation {
    /// Whether it was taken by the camera at the back.
    pub back_camera: bool,
    /// Whether it is mirrored left to right.
    pub flip: bool,
    /// Quarters of a turn, 0 to 3, clockwise.
    pub quarter_turns: u8,
}

impl VideoOrientation {
    const fn from_byte(byte: u8) -> Self {
        Self { back_camera: byte & 8 != 0, flip: byte & 4 != 0, quarter_turns: byte & 3 }
    }

    fn to_byte(self) -> u8 {
        u8::from(self.back_camera) << 3 | u8::from(self.flip) << 2 | self.quarter_turns & 3
    }
}

/// Bounds for the time between capture and show; each has 12 bits, in units of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The least, 0 to 4095.
    pub min_10ms: u16,
    /// The most, 0 to 4095.
    pub max_10ms: u16,
}

impl PlayoutDelay {
    const fn from_bits(bits: u32) -> Self {
        Self { min_10ms: (bits >> 12) as u16 & 0xFFF, max_10ms: bits as u16 & 0xFFF }
    }

    fn to_bits(self) -> u32 {
        u32::from(self.min_10ms.min(0xFFF)) << 12 | u32::from(self.max_10ms.min(0xFFF))
    }
}

/// When a sample was captured, by the clock of whoever captured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsCaptureTime {
    /// The time of capture.
    pub capture: NtpTimestamp,
    /// What a forwarder adds: the capturer's clock minus its own, in units of 2^-32 second.
    pub clock_offset: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let parse = ExtensionValue::parse;
        assert_eq!(
            parse(ExtensionKind::AudioLevel, &[0x85]),
            Some(ExtensionValue::AudioLevel(AudioLevel { voice: true, below_overload: 5 }))
        );
        assert_eq!(
            parse(ExtensionKind::TransmissionOffset, &[0xFF, 0xFF, 0xFE]),
            Some(ExtensionValue::TransmissionOffset(-2))
        );
        assert_eq!(
            parse(ExtensionKind::VideoOrientation, &[0b1101]),
            Some(ExtensionValue::VideoOrientation(VideoOrientation {
                back_camera: true,
                flip: true,
                quarter_turns: 1
            }))
        );
        assert_eq!(parse(ExtensionKind::Mid, b"video\0"), Some(ExtensionValue::Mid("video")));
        for bad in [&b""[..], b"\0", b"a b", b"\xFF"] {
            assert_eq!(parse(ExtensionKind::Rid, bad), None);
        }
        assert_eq!(parse(ExtensionKind::AbsSendTime, &[1, 2]), None);
        let (before, after) = (AbsSendTime::from_micros(63_999_000), AbsSendTime::from_micros(64_001_000));
        assert!(after.since(before).as_micros().abs_diff(2000) < 5);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(at in 0..ExtensionKind::ALL.len(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let kind = ExtensionKind::ALL[at];
            if let Some(value) = ExtensionValue::parse(kind, &bytes) {
                prop_assert_eq!(value.kind(), kind);
                let mut room = [0; 64];
                let len = value.write(&mut room).unwrap();
                prop_assert_eq!(ExtensionValue::parse(kind, &room[..len]), Some(value));
                prop_assert!(len == 0 || value.write(&mut room[..len - 1]).is_none());
            }
        }
    }
}
