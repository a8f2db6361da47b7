//! Transceivers: what is sent and received on one m-line with audio or video. webrtc-pc section 5.4.

use std::fmt;

use wigwag_rtp::Ssrc;
use wigwag_sdp::{Codec, Direction};

/// Which transceiver of a [`PeerConnection`](crate::PeerConnection); never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransceiverId(pub(crate) u32);

impl fmt::Display for TransceiverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a track is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// As the m-line and the W3C write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    pub(crate) fn from_media(media: &str) -> Option<Self> {
        [Self::Audio, Self::Video].into_iter().find(|kind| kind.as_str() == media)
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a transceiver begins with: RTCRtpTransceiverInit.
///
/// ```
/// use wigwag::{Direction, TransceiverInit};
///
/// let init = TransceiverInit { direction: Direction::SendOnly, streams: vec!["camera".to_owned()], ..Default::default() };
/// assert_eq!(init.track, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransceiverInit {
    /// What we would like; both ways, if nothing is said.
    pub direction: Direction,
    /// The streams that our track belongs to, for the peer: tracks of one stream are played in step.
    pub streams: Vec<String>,
    /// Our track's name for the peer; one is made if there is none.
    pub track: Option<String>,
    /// The codecs to be offered and accepted, the best first; empty: [those that browsers have](crate::default_codecs).
    pub codecs: Vec<Codec>,
}

/// What is sent and received on one m-line: RTCRtpTransceiver, with its sender and its receiver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transceiver {
    /// Its name here.
    pub id: TransceiverId,
    /// What it carries.
    pub kind: MediaKind,
    /// The name of its m-line, once a description that has it was applied.
    pub mid: Option<String>,
    /// What we would like.
    pub direction: Direction,
    /// What both sides agreed on, seen from here; `None` before the first agreement, and once it is stopped.
    pub current_direction: Option<Direction>,
    /// Stopped for good, by either side; its m-line may be used for another one.
    pub is_stopped: bool,
    /// The name of the track that we send, and the streams that it belongs to.
    pub track: String,
    /// See [`track`](Self::track).
    pub streams: Vec<String>,
    /// The source of what we send.
    pub ssrc: Ssrc,
    /// The source of what we send again (RTX, RFC 4588), where that was agreed on.
    pub rtx_ssrc: Ssrc,
    /// The track that the peer says it sends, if it names it. RFC 8830.
    pub remote_track: Option<String>,
    /// The streams that the peer says its track belongs to.
    pub remote_streams: Vec<String>,
    /// What both sides can send, what the peer wants most first, with the payload types that both use; without RTX.
    pub codecs: Vec<Codec>,

    /// The codecs that the application wants, if it said.
    pub(crate) preferences: Vec<Codec>,
    /// The place of its m-line, once a description that has it was applied.
    pub(crate) section: Option<usize>,
    /// It is to be stopped with the next agreement.
    pub(crate) is_stopping: bool,
    /// Made by `add_track`: a remote offer may take it. RFC 9429 section 5.10.
    pub(crate) is_from_add_track: bool,
    /// The application was told that the peer sends.
    pub(crate) is_heard: bool,
    /// The application uses it to send, or did.
    pub(crate) has_sent: bool,
}

impl Transceiver {
    /// Whether the peer may be sent something: both sides agreed that we send.
    pub fn can_send(&self) -> bool {
        self.current_direction.is_some_and(Direction::sends)
    }

    /// Whether the peer may send something.
    pub fn can_receive(&self) -> bool {
        self.current_direction.is_some_and(Direction::receives)
    }

    /// The codec that a payload type stands for.
    pub fn codec(&self, payload_type: wigwag_rtp::PayloadType) -> Option<&Codec> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type.number())
    }
}

/// Why a transceiver can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransceiverError {
    /// InvalidStateError: the connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// There is none of this name, or it was stopped.
    #[error("there is no such transceiver, or it was stopped")]
    Stopped,
    /// There are as many as one connection can have.
    #[error("there are too many transceivers")]
    TooMany,
    /// InvalidModificationError: none of the codecs is one of this kind.
    #[error("none of these codecs can be used")]
    NoCodec,
}
