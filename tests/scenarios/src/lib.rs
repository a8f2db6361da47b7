//! The driver of the scenarios: what `tests/README.md` lists must survive, told through wigwag's public API alone.
//!
//! A [`World`] is two [`Peer`]s on a simulated network in virtual time. A scenario says what the network does to them and
//! what must come of it; what must hold *always* is checked here, so that no scenario can forget it:
//!
//! | always | checked by |
//! |---|---|
//! | no panic | the test |
//! | after `handle_timeout(t)` the deadline is after `t`; output ends and is not forgotten | [`Simulation`], at each wake |
//! | reliable messages arrive once, whole, in their order (if they have one) | [`Peer`], at each message, by [`message`] |
//! | packets of audio and video arrive once and as they were sent | [`Peer`], at each packet, by [`media`] |
//! | nothing is delivered before the peer's certificate was verified | [`Peer`], at each event |
//! | memory stays within a bound | [`memory::live`], where the scenario states one |
//! | same seed, same bytes | [`World::hash_the_wire`], in `tests/same_bytes.rs` |
//!
//! In [`adversary`] is what the attacks (`tests/attack_*.rs`) are made of.
//!
//! A scenario that fails says with which seed, and which command runs only that: [`for_each_seed`] does.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Names that say it; a test may panic.

pub mod adversary;
mod lab;
pub mod media;
pub mod memory;
pub mod message;
mod peer;
pub mod provider;
mod replay;
mod world;

pub use lab::{Lab, SERVERS};
pub use peer::{Peer, Testimony};
pub use replay::for_each_seed;
pub use wigwag_net::{Link, Simulation};
pub use world::{ADDRESSES, World, config, deterministic, exchange, reachable};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
