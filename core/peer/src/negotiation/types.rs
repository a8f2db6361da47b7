//! What signalling carries, and what can be wrong with it.

use std::fmt;

use crate::state::SignalingState;

/// What a description is: RTCSdpType.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SdpType {
    /// Proposes a session.
    Offer,
    /// Accepts one for now.
    Pranswer,
    /// Accepts one.
    Answer,
    /// Takes the last offer back.
    Rollback,
}

impl fmt::Display for SdpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "offer",
            Self::Pranswer => "pranswer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        })
    }
}

/// A session description as signalling carries it.
///
/// ```
/// use wigwag::{SdpType, SessionDescription};
///
/// let offer = SessionDescription::offer("v=0\r\n...");
/// assert_eq!(offer.kind, SdpType::Offer);
/// assert_eq!(offer.kind.to_string(), "offer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    /// What it is; `type` in JSON.
    pub kind: SdpType,
    /// The text. RFC 8866.
    pub sdp: String,
}

impl SessionDescription {
    /// An offer.
    pub fn offer(sdp: impl Into<String>) -> Self {
        Self { kind: SdpType::Offer, sdp: sdp.into() }
    }
    /// An answer.
    pub fn answer(sdp: impl Into<String>) -> Self {
        Self { kind: SdpType::Answer, sdp: sdp.into() }
    }
    /// Takes the last offer back.
    pub fn rollback() -> Self {
        Self { kind: SdpType::Rollback, sdp: String::new() }
    }
}

/// A candidate as signalling carries it: RTCIceCandidateInit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct IceCandidate {
    /// `candidate:...` (RFC 8839), or empty: there are no more.
    pub candidate: String,
    /// The `mid` of the section that it belongs to.
    pub sdp_mid: Option<String>,
    /// That section's place.
    pub sdp_m_line_index: Option<u16>,
    /// The `ice-ufrag` of the generation that it belongs to.
    pub username_fragment: Option<String>,
}

/// Why a description was not made or not applied. The connection is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// InvalidStateError.
    #[error("{what} is not possible in the state {state}")]
    WrongState {
        /// What was tried.
        what: &'static str,
        /// Where offer and answer stand.
        state: SignalingState,
    },
    /// The text is not SDP.
    #[error("not a session description: {0}")]
    Syntax(#[from] wigwag_sdp::ParseError),
    /// The description accepts data channels and lacks what they need.
    #[error("the description has no {0}")]
    Missing(&'static str),
    /// Something in it has no meaning here.
    #[error("the description is not usable: {0}")]
    Invalid(String),
    /// InvalidModificationError: a local description is applied as it was created.
    #[error("not the description that was created last; local descriptions can't be changed")]
    Modified,
}

/// Why a candidate was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// InvalidStateError.
    #[error("there is no remote description yet")]
    NoRemoteDescription,
    /// The text is not a candidate.
    #[error("not a candidate: {0}")]
    Syntax(String),
    /// OperationError: it belongs to another generation.
    #[error("the user fragment {0} is not in the remote description")]
    UnknownUserFragment(String),
    /// OperationError: it belongs to a section that is not there.
    #[error("the remote description has no such media section")]
    UnknownSection,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
}
