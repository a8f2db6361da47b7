//! What happened, for the application.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::negotiation::IceCandidate;
use crate::state::{ConnectionState, IceConnectionState, IceGatheringState, SignalingState};
use crate::transceiver::TransceiverId;
use wigwag_media::RtpIn;
use wigwag_sctp::ChannelId;

/// What happened, for the application. Taken with [`PeerConnection::poll_event`](crate::PeerConnection::poll_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An offer should be made: a first data channel was created, a transceiver was added or changed, or [`restart_ice`](crate::PeerConnection::restart_ice)
    /// was called. webrtc-pc section 4.7.3.
    NegotiationNeeded,
    /// Offer and answer moved on.
    SignalingStateChange(SignalingState),
    /// Gathering moved on.
    IceGatheringStateChange(IceGatheringState),
    /// A candidate of ours, to be told to the peer (trickle, RFC 8838).
    IceCandidate(IceCandidate),
    /// A STUN or TURN server brought no candidate, or a relayed one is gone: `icecandidateerror`. webrtc-pc section 4.8.2.
    IceCandidateError {
        /// The server.
        url: String,
        /// The socket that it was asked from, if there was one.
        address: Option<SocketAddr>,
        /// 300 to 699, as STUN numbers them; 701: the server can't be reached, or does not answer.
        error_code: u16,
        /// For people.
        error_text: String,
    },
    /// The path to the peer changed its state.
    IceConnectionStateChange(IceConnectionState),
    /// The connection changed its state.
    ConnectionStateChange(ConnectionState),
    /// The peer opened a data channel; [`channel`](crate::PeerConnection::channel) tells its label.
    DataChannel(ChannelId),
    /// A data channel that we created is open.
    ChannelOpen(ChannelId),
    /// A message arrived.
    Message {
        /// On which channel.
        channel: ChannelId,
        /// What it says.
        message: Message,
    },
    /// What waits to be sent on this channel fell to its threshold.
    BufferedAmountLow(ChannelId),
    /// There is room again after [`SendError::Full`](crate::SendError::Full).
    Writable,
    /// A data channel is closed: by us, by the peer, or with the connection.
    ChannelClosed(ChannelId),
    /// The peer's description says that it sends on this transceiver from now on; set its
    /// [direction](crate::PeerConnection::set_direction) before the answer, to send something back.
    Track(TransceiverId),
    /// The peer's description says that it ceases to send on this transceiver.
    TrackRemoved(TransceiverId),
    /// A packet of audio or video arrived.
    Rtp {
        /// On which transceiver.
        transceiver: TransceiverId,
        /// What it is.
        packet: RtpIn,
    },
    /// The peer can't decode what we send on this transceiver until a key frame comes (PLI, FIR).
    KeyFrameRequest(TransceiverId),
}

/// A message of a data channel.
///
/// ```
/// use wigwag::Message;
///
/// let message = Message::text("hello");
/// assert_eq!(message.as_str(), Some("hello"));
/// assert!(Message::binary(vec![1, 2, 3]).as_str().is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether it is text for the other side (a string in a browser) or binary.
    pub is_text: bool,
    /// The bytes. A slice of the engine's own memory: keeping it keeps up to 64 KiB alive.
    pub data: Bytes,
}

impl Message {
    /// A message that a browser receives as a string.
    pub fn text(text: impl Into<String>) -> Self {
        Self { is_text: true, data: Bytes::from(text.into()) }
    }

    /// A message that a browser receives as an `ArrayBuffer` or a `Blob`.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self { is_text: false, data: data.into() }
    }

    /// The text; `None` if the message is binary, or is not the UTF-8 that it should be.
    pub fn as_str(&self) -> Option<&str> {
        self.is_text.then(|| std::str::from_utf8(&self.data).ok())?
    }
}
