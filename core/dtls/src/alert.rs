//! Alert descriptions, and what ends a handshake. RFC 8446 section 6.

use crate::event::Failure;

/// The level of an alert that ends the connection.
pub(crate) const FATAL: u8 = 2;
pub(crate) const WARNING: u8 = 1;

pub(crate) const CLOSE_NOTIFY: u8 = 0;
pub(crate) const UNEXPECTED_MESSAGE: u8 = 10;
pub(crate) const HANDSHAKE_FAILURE: u8 = 40;
pub(crate) const BAD_CERTIFICATE: u8 = 42;
pub(crate) const UNSUPPORTED_CERTIFICATE: u8 = 43;
pub(crate) const ILLEGAL_PARAMETER: u8 = 47;
pub(crate) const DECODE_ERROR: u8 = 50;
pub(crate) const DECRYPT_ERROR: u8 = 51;
pub(crate) const PROTOCOL_VERSION: u8 = 70;
pub(crate) const INTERNAL_ERROR: u8 = 80;
pub(crate) const USER_CANCELED: u8 = 90;
pub(crate) const CERTIFICATE_REQUIRED: u8 = 116;

/// The handshake cannot go on: what the peer is told, and the caller.
#[derive(Debug)]
pub(crate) struct Abort {
    pub alert: u8,
    pub failure: Failure,
}

/// The peer broke a rule.
pub(crate) fn abort(alert: u8, why: &'static str) -> Abort {
    Abort { alert, failure: Failure::Protocol(why.into()) }
}

/// What cannot be read.
pub(crate) fn malformed() -> Abort {
    abort(DECODE_ERROR, "a malformed message")
}

/// Our own cryptography would not.
pub(crate) fn internal() -> Abort {
    abort(INTERNAL_ERROR, "the cryptographic library refused")
}
