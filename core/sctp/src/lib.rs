//! SCTP over DTLS and WebRTC data channels: RFC 9260, 8261, 8831, 8832, with stream resets (6525), partial
//! reliability (3758), messages that take turns (8260), packets without a checksum (9653), and no handshake where descriptions carry the INITs (SNAP). Sans-IO: packets and time are arguments.
//!
//! An [`Association`] is one end. It is driven by the verbs that all machines of the engine share, in any order:
//!
//! ```text
//!   a packet arrived    handle_packet(now, bytes)          deadline  poll_timeout() -> handle_timeout(now)
//!   room for a packet   write_packet(now, room) -> len     to say?   can_transmit(), exact and O(1)
//!   the application     open_channel, send, close_channel, poll_event, close, abort
//! ```
//!
//! How it works, from the socket to the application and back:
//!
//! - `packet/` reads and writes chunks in place, one file per chunk that has a shape of its own;
//! - `association/` is the state machine: `mod.rs` dispatches each chunk on one screen, `setup.rs` is the handshake (with the MACed cookie of
//!   `handshake.rs`), `teardown.rs` the end, `transmit.rs` what is written, `channels.rs` what the application sees, `idle.rs` what is given back;
//! - `receive/` keeps what arrived in chunks of its own, copied once, and owes SACKs; unordered messages and other streams do not wait for a hole;
//! - `send/` cuts messages when they leave, so that packets of a batch have one length, and remembers the pieces in a ring: by reference,
//!   never copied but into the packet;
//! - `channel.rs`, `dcep.rs` and `reconfig.rs` make streams into data channels that open, close and are used again.
//!
//! No cost grows with what is in flight, and in steady state nothing is allocated: a message of one piece is handed through, one of
//! several costs at most the allocation that `Bytes` makes to be shared.
//!
//! **Packets that become shorter.** A message is cut when it leaves, and what was cut keeps its length: SCTP cannot cut a TSN again. If
//! the room for packets shrinks (a new path, a lower MTU) while longer chunks are unacknowledged, and these were lost, they wait for a packet that is
//! long enough, and their channel with them. Other channels and all control go on, for 16,384 chunks; but a channel that closes waits
//! too, since the peer resets a stream only when everything before has arrived (RFC 6525). If nothing at all is acknowledged for as long as
//! [`Config::max_retransmits`] lasts (a minute), the association ends; on a channel with limits the message is given up like any other that
//! does not arrive. So choose a room that every path has: 1,200 bytes, less what lies below.
//!
//! An association in which nothing moved for two seconds gives back what traffic made grow: some 1.3 KB are left, and its channels.
//!
//! Bounds on what a peer can make us hold: twice [`Config::receive_window`] of data (with [`HELD_OVERHEAD`] for each message and
//! early piece), 32,768 places for early pieces, 1,024 holes, [`Config::max_channels`] channels with labels of at most 64 KiB each, 256 messages or 256 KiB for channels
//! that are not there yet, and four answers.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

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
pub use config::{ChannelConfig, Config, Reliability, Scheduler, StreamParity};
pub use event::{ChannelId, CloseReason, Event, InvalidInit, OpenError, PayloadKind, SendError, State, Stats};

/// What each held message or early piece counts against the receive window beside its bytes.
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

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
