//! Fuzz targets: bytes that a fuzzer makes, given to every parser of the engine and to whole sessions.
//!
//! A target is a plain function of bytes that panics when something is wrong. What drives it is apart: `main.rs` links
//! LLVM's libFuzzer, which looks for bytes that reach code not reached before; `tests/corpus.rs` runs what libFuzzer found
//! worth keeping (`corpus/TARGET/`), on any compiler, as an ordinary test. `tests/run fuzz` does the former for a while.
//!
//! | target | what is fed | what must hold, beside "no panic" |
//! |---|---|---|
//! | `stun`, `stream`, `rtp`, `rtcp`, `extension` | bytes, to the parser and all that it gives | work in proportion to the bytes |
//! | `sdp`, `candidate` | text | what was read and written is read again |
//! | `mdns` | messages of anybody on the link, and calls | deadlines, memory, `can_transmit` |
//! | `srtp` | packets, to [`Unprotector`](wigwag_rtp::srtp::Unprotector) | lengths; nothing is taken twice |
//! | `endpoint` | datagrams and routes | what is routed was learned |
//! | `description` | session descriptions, to [`PeerConnection`](wigwag::PeerConnection) | a refused one changes nothing; the answer is SDP |
//! | `dtls` | the flights of two ends, changed; any datagrams | deadlines, memory; no payload unless connected |
//! | `sctp` | chunks with the right tag and checksum, to one of two associations | deadlines, memory, `can_transmit` |
//! | `ice` | checks that are authentic, candidates, answers to requests | deadlines, memory |
//! | `media` | RTP and RTCP, to a [`Session`](wigwag_media::Session) | deadlines, memory, `can_transmit` |
//! | `session` | a schedule: what the network and the application do to two connections | see [`session`] |
//!
//! Cryptography would hide whatever lies behind it: a fuzzer does not forge a tag. So the inner machines are driven directly,
//! or the connection is made with a [provider](crypto) that lets every tag pass.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Names that say it; a target may panic.

pub mod bounds;
pub mod crypto;
mod descriptions;
mod dtls;
mod endpoint;
mod ice;
mod mdns;
mod media;
#[path = "../../scenarios/src/memory.rs"]
pub mod memory;
#[path = "../../scenarios/src/message.rs"]
mod message;
mod repair;
mod rtp;
mod script;
mod sctp;
pub mod session;
mod stun;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and its corpus' folder.
    pub name: &'static str,
    /// Runs it on an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 16] = [
    Target { name: "stun", run: stun::message },
    Target { name: "stream", run: stun::stream },
    Target { name: "mdns", run: mdns::run },
    Target { name: "rtp", run: rtp::packet },
    Target { name: "rtcp", run: rtp::control },
    Target { name: "extension", run: rtp::extension },
    Target { name: "srtp", run: rtp::protected },
    Target { name: "sdp", run: text::sdp },
    Target { name: "candidate", run: text::candidate },
    Target { name: "endpoint", run: endpoint::run },
    Target { name: "description", run: descriptions::run },
    Target { name: "dtls", run: dtls::run },
    Target { name: "sctp", run: sctp::run },
    Target { name: "ice", run: ice::run },
    Target { name: "media", run: media::run },
    Target { name: "session", run: session::run },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }
}

static STEPS: AtomicU64 = AtomicU64::new(0);

/// Steps of schedules, so far in this process. A target without a schedule takes one in each execution.
pub fn steps() -> u64 {
    STEPS.load(Ordering::Relaxed)
}

fn count_steps(count: u64) {
    STEPS.fetch_add(count, Ordering::Relaxed);
}
