//! An ICE agent (RFC 8445), sans-IO: it finds a way by which two hosts can send each other datagrams, shows that both
//! want it, and notices when it breaks.
//!
//! Each side learns its own addresses (*candidates*), tells the other through signalling, and pairs its own with
//! those it was told. From each pair's socket a *check* leaves: a STUN request that is signed with the other side's
//! password. A check that is answered makes its pair *valid*. One side is *controlling*: it *nominates* one valid pair,
//! and both use that. Candidates may come one by one, in any order (trickle ICE, RFC 8838): whatever is known is tried.
//!
//! ```text
//!               tell the other side                       told by the other side
//!                      ▲                                         │
//!  sockets ─► host candidates ──────┐            ┌─── remote candidates, credentials
//!                                   ▼            ▼
//!                                  the check list: pairs        a check from an unknown address
//!                                         │      ◄───────────── makes a peer-reflexive candidate
//!                        paced, repeated  │
//!                                         ▼
//!                              valid ─► nominated ─► selected ─► consent, every 4 to 6 s
//! ```
//!
//! - [`agent`]: [`Agent`], the machine, and how it does all that;
//! - [`candidate`]: [`Candidate`] and its text in SDP (RFC 8839);
//! - [`credentials`]: [`Credentials`], the user fragment and the password;
//! - [`config`]: [`Config`], every number that may be chosen;
//! - [`mdns`]: [`Mdns`](mdns::Mdns), names that stand for addresses on the same link;
//! - [`server`]: [`IceServer`], the STUN and TURN servers that are asked;
//! - [`wire`]: [`Wire`], how the datagrams of a path travel: by themselves, or through a relay;
//! - [`event`]: [`Event`], what the application hears, and [`EndpointEvent`], what whoever routes datagrams hears.
//!
//! A host behind a NAT asks servers (STUN) how it is seen, and those that relay for it (TURN, over UDP, TCP or TLS) for an
//! address where it can be reached whatever the NAT is. A relayed address is a socket like any other here: pairs are made with it,
//! checks leave from it, and [`Agent::wire`] says what is put around its datagrams.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

pub mod agent;
pub mod candidate;
mod checklist;
pub mod config;
mod consent;
pub mod credentials;
pub mod event;
mod gather;
pub mod mdns;
mod relay;
pub mod server;
mod validated;
pub mod wire;
mod write;

pub use agent::{Agent, MdnsPolicy, PairStats, SocketError, Stats};
pub use candidate::{Candidate, CandidateAddress, CandidateKind, ParseCandidateError, TcpType, Transport};
pub use checklist::PairState;
pub use config::Config;
pub use credentials::{Credentials, UFRAG_LEN};
pub use event::{ConnectionState, EndpointEvent, Event, GatheringState, Key};
pub use server::{IceServer, ParseUriError, ServerKind, ServerTransport, ServerUri, TransportPolicy};
pub use wire::{MAX_RELAY_OVERHEAD, Wire};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
pub struct Readme;
