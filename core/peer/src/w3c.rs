//! Errors under the names that webrtc-pc and WebIDL give them: for bindings, whose users know those.

use wigwag_dtls::CertificateError;
use wigwag_ice::{ParseUriError, SocketError};
use wigwag_sctp::{OpenError, SendError};

use crate::connection::WriteRtpError;
use crate::negotiation::{CandidateError, DescriptionError};
use crate::transceiver::TransceiverError;

/// The name of an error: that of a `DOMException`, `RTCError`, or `TypeError`.
///
/// ```
/// use wigwag::{DescriptionError, SendError, W3cName};
///
/// assert_eq!(DescriptionError::Modified.w3c_name(), "InvalidModificationError");
/// assert_eq!(SendError::TooLarge.w3c_name(), "TypeError");
/// ```
pub trait W3cName {
    /// Such as `InvalidStateError`.
    fn w3c_name(&self) -> &'static str;
}

impl W3cName for DescriptionError {
    fn w3c_name(&self) -> &'static str {
        match self {
            Self::WrongState { .. } => "InvalidStateError",
            Self::Syntax(_) => "RTCError", // sdp-syntax-error
            Self::Missing(_) | Self::Invalid(_) => "InvalidAccessError",
            Self::Modified => "InvalidModificationError",
        }
    }
}

impl W3cName for CandidateError {
    fn w3c_name(&self) -> &'static str {
        match self {
            Self::NoRemoteDescription | Self::Closed => "InvalidStateError",
            Self::Syntax(_) | Self::UnknownUserFragment(_) | Self::UnknownSection => "OperationError",
        }
    }
}

impl W3cName for TransceiverError {
    fn w3c_name(&self) -> &'static str {
        match self {
            Self::Closed | Self::Stopped => "InvalidStateError",
            Self::TooMany => "OperationError",
            Self::NoCodec => "InvalidModificationError",
        }
    }
}

impl W3cName for WriteRtpError {
    fn w3c_name(&self) -> &'static str {
        match self {
            Self::Stopped | Self::NotSending | Self::NotConnected => "InvalidStateError",
            Self::Packet(_) => "OperationError",
        }
    }
}

impl W3cName for OpenError {
    fn w3c_name(&self) -> &'static str {
        match self {
            Self::Closed => "InvalidStateError",
            Self::TooMany | Self::StreamInUse => "OperationError",
            Self::LabelTooLong => "TypeError",
        }
    }
}

impl W3cName for SendError {
    fn w3c_name(&self) -> &'static str {
        match self {
            Self::Full => "OperationError",
            Self::Closed => "InvalidStateError",
            Self::TooLarge => "TypeError",
        }
    }
}

impl W3cName for ParseUriError {
    fn w3c_name(&self) -> &'static str {
        "SyntaxError"
    }
}

impl W3cName for SocketError {
    fn w3c_name(&self) -> &'static str {
        "InvalidAccessError"
    }
}

impl W3cName for CertificateError {
    fn w3c_name(&self) -> &'static str {
        "NotSupportedError"
    }
}
