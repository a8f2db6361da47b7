//! The states of webrtc-pc, under their own names.

use std::fmt;

/// Where offer and answer stand. webrtc-pc section 4.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalingState {
    /// No exchange is in progress.
    Stable,
    /// An offer of ours waits for its answer.
    HaveLocalOffer,
    /// The peer's offer waits for our answer.
    HaveRemoteOffer,
    /// We gave a provisional answer.
    HaveLocalPranswer,
    /// The peer gave a provisional answer.
    HaveRemotePranswer,
    /// The connection was closed.
    Closed,
}

/// Whether our own candidates are known. webrtc-pc section 4.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceGatheringState {
    /// Gathering has not begun: it does with the local description.
    New,
    /// Candidates are being found.
    Gathering,
    /// All are known.
    Complete,
}

/// Whether there is a path to the peer. webrtc-pc section 4.3.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceConnectionState {
    /// Nothing was tried.
    New,
    /// Paths are being checked.
    Checking,
    /// One works; better ones may still be found.
    Connected,
    /// One works, and all were checked.
    Completed,
    /// The path has not answered for some seconds.
    Disconnected,
    /// No path works.
    Failed,
    /// The connection was closed.
    Closed,
}

/// Where the secure channel stands. webrtc-pc section 5.5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsTransportState {
    /// Nothing was sent.
    New,
    /// The handshake is in progress.
    Connecting,
    /// The peer's certificate matches its fingerprint and its proof was verified.
    Connected,
    /// Ended, by either side's will.
    Closed,
    /// Ended by an error.
    Failed,
}

/// All together. webrtc-pc section 4.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Nothing was tried.
    New,
    /// ICE or DTLS are at work.
    Connecting,
    /// The peer is there.
    Connected,
    /// The peer has not answered for some seconds.
    Disconnected,
    /// It did not, or no longer, work: [`failure`](crate::PeerConnection::failure) says why.
    Failed,
    /// Ended, by either side's will.
    Closed,
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No pair of candidates works, or the path stopped answering for 30 seconds.
    #[error("no path to the peer works")]
    NoPath,
    /// The secure channel could not be made: for example, the peer's certificate does not match its fingerprint.
    #[error("the secure channel failed: {0}")]
    Dtls(String),
    /// The SCTP association could not be made or was lost; data channels are closed.
    #[error("the data channels failed: {0}")]
    Sctp(String),
}

/// Writes the names that webrtc-pc gives, such as `have-local-offer`.
macro_rules! display_as {
    ($state:ty { $($variant:ident => $name:literal),* $(,)? }) => {
        impl fmt::Display for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }
    };
}

display_as!(SignalingState {
    Stable => "stable",
    HaveLocalOffer => "have-local-offer",
    HaveRemoteOffer => "have-remote-offer",
    HaveLocalPranswer => "have-local-pranswer",
    HaveRemotePranswer => "have-remote-pranswer",
    Closed => "closed",
});
display_as!(IceGatheringState { New => "new", Gathering => "gathering", Complete => "complete" });
display_as!(IceConnectionState {
    New => "new",
    Checking => "checking",
    Connected => "connected",
    Completed => "completed",
    Disconnected => "disconnected",
    Failed => "failed",
    Closed => "closed",
});
display_as!(DtlsTransportState {
    New => "new",
    Connecting => "connecting",
    Connected => "connected",
    Closed => "closed",
    Failed => "failed",
});
display_as!(ConnectionState {
    New => "new",
    Connecting => "connecting",
    Connected => "connected",
    Disconnected => "disconnected",
    Failed => "failed",
    Closed => "closed",
});

impl ConnectionState {
    /// The state of the whole, from its parts: the rules of webrtc-pc section 4.3.3, for one transport.
    pub(crate) fn of(ice: IceConnectionState, dtls: DtlsTransportState) -> Self {
        use {DtlsTransportState as Dtls, IceConnectionState as Ice};
        match (ice, dtls) {
            (Ice::Failed, _) | (_, Dtls::Failed) => Self::Failed,
            (Ice::Closed, _) | (_, Dtls::Closed) => Self::Closed,
            (Ice::Disconnected, _) => Self::Disconnected,
            (Ice::New, Dtls::New) => Self::New,
            (Ice::Connected | Ice::Completed, Dtls::Connected) => Self::Connected,
            _ => Self::Connecting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_needs_both() {
        use {DtlsTransportState as Dtls, IceConnectionState as Ice};
        assert_eq!(ConnectionState::of(Ice::Connected, Dtls::Connecting), ConnectionState::Connecting);
        assert_eq!(ConnectionState::of(Ice::Completed, Dtls::Connected), ConnectionState::Connected);
        assert_eq!(ConnectionState::of(Ice::Disconnected, Dtls::Connected), ConnectionState::Disconnected);
        assert_eq!(ConnectionState::of(Ice::Failed, Dtls::Connected), ConnectionState::Failed);
        assert_eq!(ConnectionState::of(Ice::New, Dtls::New), ConnectionState::New);
    }

    #[test]
    fn names_are_those_of_the_standard() {
        assert_eq!(SignalingState::HaveLocalOffer.to_string(), "have-local-offer");
        assert_eq!(ConnectionState::Disconnected.to_string(), "disconnected");
    }
}
