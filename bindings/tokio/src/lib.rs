//! The wigwag engine on tokio: sockets, timers, and an async [`PeerConnection`].
//!
//! The engine ([`wigwag`]) does all of WebRTC and opens no socket. This crate moves its datagrams and its time, and
//! answers its requests. It adds no policy of its own.
//!
//! - [`Endpoint::bind`]: one UDP port (on one or several addresses) for any number of connections: a server.
//! - [`PeerConnection::new`]: a connection with sockets of its own, one on each interface.
//!
//! ```text
//!   DataChannel, PeerConnection          handles; many, cheap, in any task
//!            |   lock, call, wake
//!            v
//!   Driver:  ConnectionSet + Endpoint    who is ready, whose datagram is this
//!     ^   |
//!     |   v                              one task that sends and keeps the time, one for each socket that receives
//!   sockets (quinn-udp: GSO, GRO, ECN), streams to relays (TCP, TLS)
//! ```
//!
//! Back-pressure is kept from end to end: [`DataChannel::send`] waits while the engine's send buffer is full, and messages
//! that nobody receives stay in the engine, where they close the peer's window.
//!
//! Dropping the last handle of a connection says goodbye to the peer, in the background, as
//! [`PeerConnection::close`] does.
#![forbid(unsafe_code)]

mod channel;
mod clock;
mod connection;
mod driver;
mod endpoint;
mod inbox;
mod interfaces;
mod key_log;
mod lines;
mod multicast;
mod requests;
mod socket;
mod stream;
mod tls;
mod transceiver;

pub use channel::{ChannelClosed, DataChannel, SendError};
pub use clock::random_seed;
pub use connection::{ConnectError, PeerConnection};
pub use endpoint::Endpoint;
pub use interfaces::{local_addresses, local_interfaces};
pub use key_log::key_log_from_env;
pub use tls::Tls;
pub use transceiver::Transceiver;
/// The engine.
pub use wigwag;
pub use wigwag::{
    Candidate, ChannelInit, Codec, Config, ConnectionState, DescriptionError, Direction, Event, Failure, Gathering,
    IceCandidate, IceServer, KeyLog, MediaKind, Message, Reliability, RtpIn, RtpOut, SdpType, SessionDescription,
    TransceiverError, TransceiverId, TransceiverInit, WriteRtpError,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The example of the repository's front page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct FrontPage;
