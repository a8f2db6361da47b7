//! What messages look like: pure, without a clock or a state.

pub(crate) mod codec;
pub(crate) mod hello;
pub(crate) mod message;
pub(crate) mod registry;
pub(crate) mod x509;
