//! What streams of RTP need: loss and its repair, reports, feedback.
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
