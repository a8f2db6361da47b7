//! The engine's cryptography: one trait, [`CryptoProvider`], and its providers.
#![forbid(unsafe_code)]

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;

#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::aws_lc_rs;

/// A provider, as every crate of the engine takes it: a value given by the caller.
pub type Provider = &'static dyn CryptoProvider;

/// The primitives that the protocols are made of.
pub trait CryptoProvider: std::fmt::Debug + Send + Sync {
    /// The provider's name, for logs.
    fn name(&self) -> &'static str;

    /// HMAC-SHA1 over the concatenation of `parts` (STUN's MESSAGE-INTEGRITY). RFC 2104.
    fn hmac_sha1(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 20];

    /// HMAC-SHA256 over the concatenation of `parts`. RFC 2104.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];
}
