//! Long schedules of random bytes: a fuzzer that looks for new code keeps its inputs short, and what needs a thousand steps to go
//! wrong is not found by it. Each is made of a seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::panic::{catch_unwind, resume_unwind};

use rand::Rng;
use wigwag_fuzz::session;

/// Bytes of a schedule; a step takes a little more than two.
const LEN: usize = 3000;

fn schedule(seed: u64) -> Vec<u8> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut schedule = vec![0; LEN];
    wigwag::random::seeded(bytes).fill_bytes(&mut schedule);
    schedule
}

fn play(seed: u64) -> session::Outcome {
    catch_unwind(|| session::play(&schedule(seed))).unwrap_or_else(|failure| {
        eprintln!("run it again: WIGWAG_SEED={seed} cargo test -p wigwag-fuzz --test random");
        resume_unwind(failure)
    })
}

/// A few, or the one that `WIGWAG_SEED` names.
#[test]
fn random_sessions() {
    match std::env::var("WIGWAG_SEED") {
        Ok(seed) => assert_eq!(play(seed.parse().unwrap()), play(seed.parse().unwrap())),
        Err(_) => {
            let kept: u64 = (0..20).map(|seed| play(seed).kept).sum();
            assert!(kept > 100, "a schedule in which nothing arrives tells little: {kept} messages");
        }
    }
}

/// As many as it takes for `WIGWAG_STEPS` steps (a million), from `WIGWAG_FIRST` on (0).
#[test]
#[ignore = "takes long: tests/run fuzz, tests/run long"]
fn many_random_sessions() {
    let number = |name, default| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (goal, first) = (number("WIGWAG_STEPS", 1_000_000), number("WIGWAG_FIRST", 0));
    let (mut steps, mut kept, mut peak, mut seed) = (0, 0, 0, first);
    while steps < goal {
        let outcome = play(seed);
        (steps, kept, seed) = (steps + outcome.steps, kept + outcome.kept, seed + 1);
        peak = peak.max(outcome.peak);
    }
    println!("{} sessions of random bytes, {steps} steps, {kept} messages that all arrived", seed - first);
    println!("at most {peak} bytes held, of {}", session::MEMORY);
}
