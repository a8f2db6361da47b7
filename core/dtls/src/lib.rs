//! DTLS 1.2 (RFC 6347) and 1.3 (RFC 9147) as WebRTC uses them (RFC 8827), sans-IO.
//!
//! A [`Dtls`] is one end of one connection. Both ends show a self-signed [`Certificate`] and prove that they have its
//! key; what makes the peer trusted is that its certificate's [`Fingerprint`] came through the signalling. Nothing the
//! peer says is delivered, and [`Event::Connected`] is not told, before both have been seen to hold.
//!
//! ```text
//!            start(role)                the peer's proof and fingerprint hold
//!   new ───────────────► handshake ──────────────────────────────────────────► connected
//!    │ keeps a few            │ Event::Failed                                      │ close, Event::Closed,
//!    │ early datagrams        ▼                                                    ▼ Event::Failed
//!    └────────────────►      over  ◄───────────────────────────────────────────────┘
//!
//!   datagram ──► open ─────► payloads, to a callback      payload ──► seal ───► a record, in the same memory
//!                 └───────► events, timers, answers       answers ──► write_packet
//! ```
//!
//! # How
//! The protocol itself is that of the crate [`dimpl`], hidden here: its types appear nowhere in this interface. Around
//! it this crate does what WebRTC needs and `dimpl` leaves to its user:
//!
//! - fingerprints: checked as RFC 8122 section 5 says, and known late if the answer is late;
//! - unprotected records are screened first ([`Stats::screened`]): an alert in the clear, which anybody can forge, ends
//!   a handshake only if that does not go on by itself;
//! - time is microseconds given by the caller, as everywhere in the engine;
//! - payloads are sealed from, and records written into, the caller's segment. Inside they are still copied.
//!
//! # Randomness and the provider
//! `dimpl` has ciphers of its own: the [`Provider`](wigwag_crypto::Provider)'s name chooses between those over
//! `aws-lc-rs` and those over RustCrypto; the provider itself makes certificates and fingerprints. In production
//! `dimpl` draws from the system's randomness. With the feature `test-provider`, `Config::deterministic` makes it draw
//! from the seed instead.
//!
//! # Limits
//! Peers need an ECDSA certificate (P-256 or P-384; every browser's default), AES-GCM in DTLS 1.2 and the extended
//! master secret. In DTLS 1.2 `dimpl` draws the explicit nonce of each record at random, which is sound for some 2^32
//! records (RFC 5288 section 3 would count). In DTLS 1.3 it asks for new keys when a datagram comes in or time passes,
//! never while sealing. There is no resumption and no renegotiation; no cookie exchange either, since datagrams come from
//! paths that ICE has validated.
#![forbid(unsafe_code)]

mod certificate;
mod clock;
mod config;
mod connection;
#[cfg(feature = "test-provider")]
mod deterministic;
mod engine;
mod event;
mod fingerprint;
mod records;
mod session;

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("enable the feature `aws-lc-rs` or `rust-crypto`");

pub use certificate::{Certificate, CertificateError};
pub use config::{Config, Role, Version, Versions};
pub use connection::{Dtls, Stats};
pub use event::{Event, Failure, SrtpKeys, SrtpProfile};
pub use fingerprint::{Fingerprint, MalformedFingerprint};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
