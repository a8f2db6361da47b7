//! Seeds, and how to see a failure again.

use wigwag_net::SEED_VARIABLE;

/// Runs a scenario with the seeds from 1 to `count`, or with the one that `WIGWAG_SEED` names. One that panics says how to
/// run it again, alone.
pub fn for_each_seed(count: u64, mut scenario: impl FnMut(u64)) {
    for seed in wigwag_net::seeds(count) {
        let _told_if_it_panics = Replay { seed };
        scenario(seed);
    }
}

struct Replay {
    seed: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let thread = std::thread::current();
        // The only test of a run has no thread of its own.
        let scenario = thread.name().filter(|name| *name != "main").unwrap_or_default();
        let program = std::env::args().next().unwrap_or_default();
        let program = std::path::Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
        let file = program.rsplit_once('-').map_or(&*program, |(name, _hash)| name);
        let profile = if cfg!(debug_assertions) { "" } else { "--release " };
        let seed = self.seed;
        eprintln!(
            "{scenario} failed with seed {seed}; again: {SEED_VARIABLE}={seed} cargo test {profile}-p wigwag-scenarios \
             --test {file} -- --include-ignored {scenario}"
        );
    }
}
