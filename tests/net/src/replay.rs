//! How to see a run again.

use std::fmt;

use crate::seed::SEED_VARIABLE;

/// The one command that runs the test which is running, with this seed only. It prints itself.
///
/// The test is known by the name of its thread and the crate by `CARGO_PKG_NAME`, as Cargo sets both; what is not known is
/// left out, and then more runs than need be. [`Failure`](crate::Failure) says it by itself; this is for tests that use a
/// [`Network`](crate::Network) alone.
///
/// ```
/// let command = wigwag_net::Replay { seed: 17 }.to_string();
/// assert!(command.starts_with("WIGWAG_SEED=17 cargo test"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The seed of the run.
    pub seed: u64,
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SEED_VARIABLE}={} cargo test", self.seed)?;
        if let Ok(name) = std::env::var("CARGO_PKG_NAME") {
            write!(f, " -p {name}")?;
        }
        match std::thread::current().name() {
            // The tests run one after the other, in the first thread: there is no name.
            None | Some("main") => Ok(()),
            Some(test) => write!(f, " -- --exact {test}"),
        }
    }
}
