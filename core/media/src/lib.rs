//! What streams of RTP need: whose a packet is, loss and its repair, reports, feedback. Sans-IO: packets and time are arguments.
//!
//! A [`Session`] is one end of all streams of one connection (one BUNDLE transport). It knows neither SDP nor SRTP: lines are configured
//! by the caller, packets go in decrypted and come out to be encrypted. It is driven by the verbs that all machines of the engine share:
//!
//! ```text
//!   a packet arrived    handle_rtp, handle_rtcp             deadline  poll_timeout() -> handle_timeout(now)
//!   room for a packet   write_packet(now, room)             to say?   can_transmit(), next_packet_len(): exact
//!   the application     write_rtp, request_key_frame, poll_event, stats, close
//! ```
//!
//! How it works, from the network to the application and back:
//!
//! - `session/` is the machine: `receive.rs` is a packet's way in, `transmit.rs` its way out, `control.rs` what the peer says by RTCP,
//!   `compose.rs` what we say; `routes.rs` and `learn.rs` find the line and the source;
//! - `reception.rs` places a packet in its stream: extended numbers, duplicates, loss, jitter (RFC 3550 appendix A);
//! - `missing.rs` is the receiver's side of NACK: what is asked for, when, how often; `history.rs` and `budget.rs` are the sender's: what can be
//!   sent again, and how much of it;
//! - `arrivals.rs` is transport-wide feedback; `inbound.rs` and `outbound.rs` are what is known of a source;
//! - `splice.rs` makes one stream of several, for servers that forward.
//!
//! This is RTP mode: each packet is handed on when it arrives, late ones too, with a number that does not wrap. Putting them in order, and
//! deciding when a missing one is not worth waiting for, is up to who plays them, or nobody: a server forwards at once.
//!
//! Payloads are copied once on their way in, into chunks that grow with the traffic and are used again; on their way out never, but into
//! the packet: queue and history share them with the caller.
//!
//! Bounds on what a peer can make us hold: [`Config::max_sources`] sources of about 1 KB, 1,000 missing packets for each; [`Config::max_received`] packets
//! and [`Config::max_received_bytes`] that were not polled; 8,192 arrival times; 128 KiB of retransmissions, and 16 KB for each second that nobody
//! writes them, from a history of two seconds.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

mod arrivals;
mod budget;
mod clock;
mod codecs;
mod config;
mod extensions;
mod history;
mod inbound;
mod missing;
mod outbound;
mod packet;
mod reception;
mod session;
mod splice;
mod stats;
mod waiting;

pub use config::{CodecConfig, Config, LineConfig, LineId, MIN_PACKET, Receive, Send};
pub use extensions::PacketExtensions;
pub use packet::{Event, PacketKind, Rid, RtpIn, RtpOut, WriteError, Written};
pub use session::Session;
pub use splice::Splice;
pub use stats::{Dropped, InboundStats, LastSenderReport, LineStats, OutboundStats};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
pub struct Readme;

#[cfg(test)]
mod tests {
    #[test]
    fn sessions_go_anywhere() {
        fn anywhere<T: Send + Sync>() {}
        anywhere::<crate::Session>();
        anywhere::<crate::Event>();
        anywhere::<crate::Splice>();
    }
}
