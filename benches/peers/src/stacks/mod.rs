//! The stacks that can be measured, each behind the same trait.

pub mod rtc;
pub mod str0m;
#[cfg(feature = "ours")]
pub mod wigwag;

/// Their names, ours first.
pub const NAMES: &[&str] = &[
    #[cfg(feature = "ours")]
    "wigwag",
    "str0m",
    "rtc",
];
