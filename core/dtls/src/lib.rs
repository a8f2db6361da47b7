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
//! ```text
//! connection   the interface                    handshake   which message when; flights, reassembly, transcript
//! session      datagrams in, timers             wire        what messages look like, numbers, certificates
//! record       epochs, keys, replay windows     schedule    keys of DTLS 1.3; prf: those of 1.2
//! ```
//!
//! - Fingerprints are checked as RFC 8122 section 5 says, and known late if the answer is late.
//! - Records are sealed and opened where they lie, without an allocation. The handshake allocates.
//! - An alert in the clear, which anybody can forge, ends a handshake only if that does not go on by itself.
//! - Everything that is random comes from the [`Random`](wigwag_proto::Random) given: the same seeds and the same network
//!   give the same bytes. (With a certificate of `aws-lc-rs` the signatures differ: it draws their nonces itself.)
//!
//! # What is negotiated
//! ```text
//!                DTLS 1.3                                DTLS 1.2
//! ciphers        AES-128-GCM, AES-256-GCM,               the same
//!                ChaCha20-Poly1305
//! groups         X25519MLKEM768, X25519, P-256, P-384    X25519, P-256, P-384
//! proofs         ECDSA on P-256 or P-384, Ed25519,       and RSA PKCS #1 v1.5
//!                RSA-PSS
//! ```
//!
//! RSA is for the provider `aws-lc-rs`. A server asks for no cookie, since datagrams come from paths that ICE has validated; a client gives one to
//! who asks. The extended master secret is used when the peer has it.
//!
//! # Limits
//! No resumption, no renegotiation, no connection ids, no early data. DTLS 1.2 has no way to change keys; its key is
//! good for 2^48 records.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

mod alert;
mod certificate;
mod config;
mod connection;
mod event;
mod fingerprint;
mod handshake;
mod key_log;
mod prf;
mod queues;
mod record;
mod schedule;
mod session;
mod wire;

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("enable the feature `aws-lc-rs` or `rust-crypto`");

pub use certificate::{Certificate, CertificateError};
pub use config::{Config, PostQuantum, Role, Version, Versions};
pub use connection::{Dtls, Stats};
pub use event::{Event, Failure, SrtpKeys, SrtpProfile};
pub use fingerprint::{Fingerprint, MalformedFingerprint};
pub use key_log::KeyLog;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
