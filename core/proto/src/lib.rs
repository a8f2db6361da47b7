//! What all rooms of the engine share.
//!
//! The engine is *sans-IO*: it opens no socket, reads no clock and draws no randomness of its own. A program
//! (the *adaptor*) moves bytes and time in and out of it with a few verbs, the same for every protocol machine:
//!
//! ```text
//! handle_input(now, Input)            what arrived: datagrams, stream bytes, answers to requests
//! handle_timeout(now)                 the deadline passed
//! poll_transmit(now, out) -> Transmit what to send, written into the caller's TransmitBuffer
//! poll_event() -> Event               what happened, for the application
//! poll_request() -> Request           what the adaptor must do besides moving bytes
//! poll_timeout() -> Instant           when to come back
//! ```
//!
//! This crate is the vocabulary of those verbs:
//!
//! - [`time`]: [`Instant`], microseconds from an epoch of the caller's choosing, and the [`WallClock`];
//! - [`input`]: [`Input`], what a machine can be told; [`Received`], one buffer as the kernel delivered it;
//! - [`transmit`]: [`TransmitBuffer`], the caller's memory being filled; [`Transmit`], a batch ready for one GSO
//!   send; [`Overhead`], what a layer puts around what it carries;
//! - [`request`]: [`Request`] and the [`Answer`]s that it makes of itself;
//! - [`serial`]: numbers that wrap around (RFC 1982);
//! - [`random`]: the one source of randomness, a seed;
//! - [`chunks`]: [`Chunks`], the engine's own memory for what arrived.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

pub mod chunks;
pub mod input;
pub mod random;
pub mod request;
pub mod serial;
pub mod time;
pub mod transmit;

pub use chunks::Chunks;
pub use input::{Input, Interface, Received};
pub use random::Random;
pub use request::{Answer, Outcome, Refused, Request, RequestId};
pub use serial::Serial;
pub use time::{Instant, WallClock};
pub use transmit::{Overhead, Route, StreamId, Transmit, TransmitBuffer, UdpPath};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
