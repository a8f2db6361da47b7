//! The work that every stack is given.

pub mod cipher;
pub mod forward;
pub mod memory;
pub mod setup;
pub mod srtp;
pub mod stack;
