//! WebRTC as a sans-IO engine: `RTCPeerConnection`, data channels, audio and video, without sockets, clocks or threads.
//!
//! A [`PeerConnection`] is a state machine. A program (or an adaptor, such as the crate `wigwag-tokio`) moves datagrams
//! and time in and out of it:
//!
//! ```text
//!               application
//!      create_offer, send, ... |  ^ poll_event
//!                              v  |
//!   +--------------------- PeerConnection ---------------------+
//!   |   sdp      ice      dtls      sctp      srtp, media      |
//!   +----------------------------------------------------------+
//!        ^ handle_input   | poll_transmit   ^ handle_timeout   | poll_request
//!        | datagrams      v datagrams       | time             v sockets wanted
//!                       the program's loop
//! ```
//!
//! A loop's natural order is: timers, requests, events (where the application sends), transmits, wait. Any other order
//! works too, a little slower. `examples/blocking.rs` is one over `std::net::UdpSocket`, `examples/mio.rs` one over
//! readiness.
//!
//! For many connections behind one socket there are [`Endpoint`], which says whose a datagram is, and [`ConnectionSet`],
//! which knows who wants to be polled.
//!
//! Everything that is random comes from [`Config::seed`]: with the same seed and the same input, the same bytes leave.
//! (With aws-lc-rs, all but the signatures of the handshake, whose nonces it draws itself.)
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

mod config;
mod connection;
mod endpoint;
mod event;
mod negotiation;
mod set;
mod state;
mod transceiver;
mod w3c;

pub use config::{
    Config, DEFAULT_CLOSE_TIMEOUT, DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MTU, DtlsVersions, Gathering, KeyLog, PostQuantum,
};
pub use connection::{ChannelInit, DataChannel, MediaDropped, MediaStats, PeerConnection, Stats, WriteRtpError};
pub use endpoint::{ConnectionId, Displaced, Endpoint};
pub use event::{Event, Message};
pub use negotiation::{CandidateError, DescriptionError, IceCandidate, SdpType, SessionDescription, default_codecs};
pub use set::{ConnectionSet, Ready};
pub use state::{ConnectionState, DtlsTransportState, Failure, IceConnectionState, IceGatheringState, SignalingState};
pub use transceiver::{MediaKind, Transceiver, TransceiverError, TransceiverId, TransceiverInit};
pub use w3c::W3cName;

#[cfg(feature = "aws-lc-rs")]
pub use wigwag_crypto::aws_lc_rs;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use wigwag_crypto::default_provider;
#[cfg(feature = "rust-crypto")]
pub use wigwag_crypto::rust_crypto;
pub use wigwag_crypto::{CryptoProvider, Provider};
pub use wigwag_dtls::{Certificate, CertificateError, Fingerprint, Version as DtlsVersion};
pub use wigwag_ice::{
    Candidate, Config as IceConfig, EndpointEvent, IceServer, Key, MdnsPolicy, ParseUriError, ServerUri, SocketError,
    TransportPolicy,
};
pub use wigwag_media::{
    InboundStats, LastSenderReport, OutboundStats, PacketExtensions, Rid, RtpIn, RtpOut, Splice, WriteError,
};
pub use wigwag_proto::{
    Answer, Input, Instant, Interface, Outcome, Overhead, Received, Refused, Request, RequestId, Route, StreamId,
    Transmit, TransmitBuffer, UdpPath, WallClock, random, request, transmit,
};
/// Packets, header extensions and their values; numbers that wrap.
pub use wigwag_rtp as rtp;
/// To look into a description before it is applied.
pub use wigwag_sdp as sdp;
pub use wigwag_sdp::{Codec, Direction};

pub use wigwag_sctp::{ChannelId, OpenError, Reliability, SendError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
