//! Whole sessions: two connections, and a schedule made of the fuzzer's bytes.
//!
//! The first bytes say what the connections are like and where the schedule begins (before the first offer, or in the middle of a
//! call); each step after them is a byte and what it needs: what the network does to a datagram, time that passes, or a
//! call of a public method. `steps` has them all.
//!
//! Checked after each step, or where the step gives the occasion:
//!
//! | what | where |
//! |---|---|
//! | after `handle_timeout(t)` the deadline is after `t` | `world` |
//! | output ends, and is announced: what `poll_transmit` gives, `poll_timeout` asked for | `world` |
//! | what is held stays below [`MEMORY`], and all is given back | here |
//! | reliable messages once, whole and in order; packets of audio and video once and whole | `side` |
//! | nothing is delivered before the certificate was verified, and nothing ever if it is another one's | `side` |
//! | a description that is refused changes nothing | `steps` |
//! | when the network is good again, everything that was accepted arrives | `calm` |
//! | a connection that is closed ends: no deadline, no output, no key at an endpoint | `calm` |
//! | the same schedule puts the same bytes on the wire | here |
//!
//! With the credulous provider the fuzzer's changes reach the machines behind the cryptography, as if the peer itself
//! were hostile; what only an honest peer can promise is not asked for then.

mod calm;
mod side;
mod steps;
mod world;

use std::sync::OnceLock;

use wigwag::{Certificate, Config, DtlsVersions, Gathering, Instant, Provider, WallClock};

use crate::bounds::Memory;
use crate::script::Script;
use crate::{count_steps, crypto};
use world::World;

/// What both connections and all that is under way between them may hold. The configuration below has buffers of 64 KiB for
/// messages each way; the rest is what was written as audio and video (kept for two seconds, up to 2 MiB a stream), and descriptions.
pub const MEMORY: usize = 8 << 20;

/// When everything begins.
const START: Instant = Instant(1_000_000);

/// Who does the cryptography.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glass {
    /// Fast, and what was changed is refused.
    Checked,
    /// Fast, and what was changed is taken.
    Credulous,
    /// The real one.
    RustCrypto,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug)]
struct Setup {
    glass: Glass,
    /// The schedule begins in a call, or with a channel that is open.
    established: bool,
    has_media: bool,
    /// The second side is told another one's fingerprint.
    distrust: bool,
    twice: bool,
    versions: [DtlsVersions; 2],
    lite: bool,
    gathers: bool,
    mtu: usize,
    /// Nothing is long under way, or there is much that can be lost and overtaken.
    prompt: bool,
    temper: Temper,
}

/// How wild the schedule is: one in which everything happens has few messages that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    /// Every step.
    Wild,
    /// No description is changed on its way, and nobody closes.
    Fair,
    /// Besides, signalling is offer and answer, one after the other; and there are seconds between steps, not hours.
    Orderly,
    /// Besides, there is no signalling after the beginning, and nothing but the network goes wrong.
    Steady,
}

impl Setup {
    fn read(script: &mut Script<'_>) -> Self {
        let (how, kind, temper) = (script.byte(), script.byte(), script.byte());
        let version = |bits: u8| match bits & 3 {
            0 | 1 => DtlsVersions::Any,
            2 => DtlsVersions::Dtls12,
            _ => DtlsVersions::Dtls13,
        };
        Self {
            glass: match how & 3 {
                0 | 1 => Glass::Checked,
                2 => Glass::Credulous,
                _ => Glass::RustCrypto,
            },
            established: how & 4 == 0,
            has_media: how & 8 == 0,
            distrust: how & 0x30 == 0x30,
            twice: how & 0xC0 == 0xC0,
            versions: [version(kind), version(kind >> 2)],
            lite: kind & 16 != 0,
            gathers: kind & 32 != 0,
            mtu: if kind & 64 != 0 { 600 } else { 1200 },
            prompt: kind & 128 != 0,
            temper: [Temper::Wild, Temper::Fair, Temper::Orderly, Temper::Steady][usize::from(temper & 3)],
        }
    }

    fn provider(self) -> Provider {
        match self.glass {
            Glass::Checked => crypto::checked(),
            Glass::Credulous => crypto::credulous(),
            Glass::RustCrypto => wigwag::rust_crypto(),
        }
    }

    fn config(self, side: usize) -> Config {
        let mut config = Config::with_provider([side as u8 + 1; 32], self.provider());
        config.certificate = Some(self.certificates()[side].clone());
        config.wall_clock = WallClock(1_700_000_000_000_000);
        config.dtls_versions = self.versions[side];
        config.ice_lite = self.lite && side == 1;
        if self.gathers && side == 0 {
            config.gathering = Gathering::Interfaces;
        }
        config.mtu = self.mtu;
        (config.send_buffer, config.receive_window, config.max_message_size) = (64 << 10, 64 << 10, 32 << 10);
        config
    }

    /// Made once: with a real provider that takes longer than a session.
    fn certificates(self) -> &'static [Certificate; 2] {
        static MADE: [OnceLock<[Certificate; 2]>; 3] = [const { OnceLock::new() }; 3];
        MADE[self.glass as usize].get_or_init(|| {
            [1, 2].map(|seed| {
                let mut random = wigwag::random::seeded([seed; 32]);
                Certificate::generate(self.provider(), &mut random, WallClock(1_700_000_000_000_000)).unwrap()
            })
        })
    }
}

/// What came of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A digest of every datagram, its time and its path.
    pub digest: u64,
    /// Steps taken.
    pub steps: u64,
    /// Reliable messages of which it was seen that all of their channel arrived.
    pub kept: u64,
    /// The most bytes that were held.
    pub peak: usize,
}

/// Plays a schedule; twice, if it says so, and compares.
pub fn run(data: &[u8]) {
    let first = play(data);
    if Setup::read(&mut Script(data)).twice {
        assert_eq!(play(data).digest, first.digest, "the same schedule, and other bytes on the wire");
    }
}

/// Plays a schedule once.
pub fn play(data: &[u8]) -> Outcome {
    let mut script = Script(data);
    let setup = Setup::read(&mut script);
    setup.certificates();
    let mut memory = Memory::within(MEMORY);
    let mut world = World::new(setup);
    let mut steps = 0;
    while let Some(step) = script.next() {
        world.step(step, &mut script);
        memory.check();
        steps += 1;
    }
    let kept = world.calm_down();
    memory.check();
    world.end();
    let digest = world.digest();
    drop(world);
    memory.is_given_back();
    count_steps(steps);
    Outcome { digest, steps, kept, peak: memory.peak }
}
