//! STUN messages (RFC 8489), as ICE (RFC 8445) and TURN (RFC 8656) use them: pure functions over bytes.
//!
//! A [`Message`] borrows the datagram that it was parsed from, and copies nothing. A [`MessageBuilder`] writes into
//! memory that the caller owns. Neither keeps state nor knows the time: transactions, retransmission and
//! authentication belong to the protocol machines above.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0 0|     Method and class      |         Message Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         Magic Cookie                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                                                               |
//! |                     Transaction ID (96 bits)                  |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  attributes: type (16), length (16), value, padding to 32 bits
//! ```
//!
//! Three attributes speak about the bytes before them, and so stand at the end, in this order: MESSAGE-INTEGRITY,
//! MESSAGE-INTEGRITY-SHA256 and FINGERPRINT. Whatever else a sender puts behind the first of them is not covered, and
//! is never shown: an attribute that [`Message`] gives out is under the message's integrity, if it has one.
//!
//! - [`message`]: [`Message`], parsed;
//! - [`builder`]: [`MessageBuilder`], written in place;
//! - [`kind`]: [`Class`], [`Method`], [`TransactionId`];
//! - [`attribute`]: the numbers of the attributes, [`AttributeType`], and of the errors, [`ErrorCode`];
//! - [`auth`]: long-term credentials: [`LongTermKey`], [`PasswordAlgorithm`];
//! - [`channel`]: TURN's ChannelData, and how messages follow each other in a stream;
//! - [`mod@routing`]: what an endpoint must know about a datagram before it knows whose it is.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

pub mod attribute;
pub mod auth;
pub mod builder;
pub mod channel;
mod fingerprint;
pub mod kind;
pub mod message;
pub mod routing;

pub use attribute::{AttributeType, ErrorCode};
pub use auth::{LongTermKey, PasswordAlgorithm, SecurityFeatures, userhash};
pub use builder::MessageBuilder;
pub use channel::{
    CHANNEL_HEADER_LEN, CHANNEL_NUMBERS, Frame, channel_header, frame, is_channel_data, parse_channel_data,
};
pub use kind::{Class, MAGIC_COOKIE, Method, TransactionId};
pub use message::{Attributes, Message, ParseError};
pub use routing::{Routing, is_stun, routing};

/// Bytes in a message before its attributes.
pub const HEADER_LEN: usize = 20;

/// The port of STUN and TURN servers, over UDP and TCP.
pub const DEFAULT_PORT: u16 = 3478;

/// The port of STUN and TURN servers over TLS.
pub const DEFAULT_TLS_PORT: u16 = 5349;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
pub struct Readme;
