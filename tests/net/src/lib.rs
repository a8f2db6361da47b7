//! A simulated network in virtual time, deterministic from one seed, and a driver for sans-IO protocol machines on it.
//!
//! ```text
//!  Simulation ─ wakes ──▶ Machine (yours)      handle_input, handle_timeout, poll_transmit, poll_timeout
//!      │                    │
//!      │ now                ▼ Transmit
//!      └───────────▶ Network ── hosts with addresses, a Link in each direction ──▶ Delivery
//! ```
//!
//! - [`Network`]: hosts, and between each two addresses a [`Link`] with delay, jitter, loss, reordering, duplication,
//!   corruption, rate, queue, MTU and ECN, all of which can change at any time. It can be used alone.
//! - [`Discipline`]: what waits for a slow link may do so in a drop-tail queue, under [`CoDel`] or under [`DualPi2`], which
//!   drop or mark before the queue is full.
//! - [`Trace`]: capacity over time, measured (in Mahimahi's format) or from a cellular model.
//! - [`Realm`] and [`Nat`]: hosts with private addresses, behind NATs of every kind of RFC 4787, one behind another.
//! - [`Simulation`]: owns machines, moves their bytes, and jumps from one moment at which something happens to the
//!   next, so hours take seconds. It checks in every run what must always hold (see [`Fault`]): no scenario can forget to.
//!   Hosts get and lose interfaces, sleep, die and are born again, and their clocks jump.
//! - Streams, as TCP and TLS give them, names and ports: a machine [asks](Machine::poll_request) for them as it asks a real
//!   adaptor, and the simulation answers. Loss costs a stream time, never bytes; see `streams.rs` for what is simplified.
//! - [`Service`]: machines of other types beside those that are simulated; [`TurnServer`] is one: STUN and TURN over UDP and
//!   streams, which expires, refuses, forgets and dies at the test's word.
//! - [`Capture`]: what hosts and links saw, as bytes of a pcapng file, with keys, for Wireshark.
//! - [`Diligence`]: how careful the simulated program is. A machine must survive a careless one.
//! - [`seeds`]: the seeds to run a scenario with; a failure prints its seed and the command that runs that
//!   one again ([`Replay`]).
//!
//! *Deterministic* means: the same seed, the same calls and the same machines put the same bytes on the wire at the same
//! times, on every platform. [`Network::digest`] is a fingerprint of that. Each direction of each pair of addresses has a
//! random stream of its own, from which each datagram takes the same share, so what happens on one link (a
//! scripted drop, a change of its loss) does not shift the dice of another.
#![forbid(unsafe_code)]

mod capture;
mod diligence;
mod drive;
mod fault;
mod hosts;
mod line;
mod link;
mod machine;
mod nat;
mod network;
mod packet;
mod queue;
mod realm;
mod replay;
mod requests;
mod road;
mod schedule;
mod seed;
mod service;
mod simulation;
mod stats;
mod streams;
mod trace;
mod transit;
mod turn;

pub use capture::{Capture, Direction, InterfaceId};
pub use diligence::Diligence;
pub use fault::{Failure, Fault};
pub use link::{BurstLoss, EcnTreatment, Link, Reordering};
pub use machine::Machine;
pub use nat::{Behavior, Nat, Pooling, Ports};
pub use network::Network;
pub use queue::{CoDel, Discipline, DualPi2};
pub use realm::Realm;
pub use replay::Replay;
pub use seed::{SEED_VARIABLE, seeds};
pub use service::Service;
pub use simulation::Simulation;
pub use stats::{Delivery, Digest, HostId, Sent, Stats, TooBig, Verdict};
pub use trace::{Cellular, Trace, TraceError, TraceId};
pub use turn::{Allocation, Client, TurnConfig, TurnServer, TurnStats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
