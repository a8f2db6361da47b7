//! SCTP over DTLS and WebRTC data channels, sans-IO.
#![forbid(unsafe_code)]

mod association;
mod channel;
mod config;
mod dcep;
mod event;
mod handshake;
mod packet;
mod ranges;
mod receive;
mod reconfig;
mod send;

pub use association::Association;
pub use config::{ChannelConfig, Config, Reliability, StreamParity};
pub use event::{ChannelId, CloseReason, Event, OpenError, PayloadKind, SendError, State, Stats};

/// What each held message or piece counts against the receive window beside its bytes.
pub const HELD_OVERHEAD: usize = 64;

/// What is known about a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    /// What it was opened with, here or by the peer.
    pub config: ChannelConfig,
    /// The stream identifier, once it is known.
    pub stream: Option<u16>,
    /// The peer opened it.
    pub remote: bool,
}
