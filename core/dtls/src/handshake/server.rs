//! A server's choice of the version.

use super::{Core, State, server12, server13};
use crate::alert::*;
use crate::config::Version;
use crate::wire::codec::numbers;
use crate::wire::hello::ClientHello;
use crate::wire::message::Message;
use crate::wire::registry::{self, DTLS_12, DTLS_13, SRTP_PROFILES};

pub(super) fn client_hello(core: &mut Core, retry: Option<server13::Retry>, message: &Message) -> Result<State, Abort> {
    let hello = ClientHello::parse(&message.body).ok_or_else(malformed)?;
    core.client_random = hello.random;
    // The first of ours that the client has.
    let profiles = || hello.srtp.into_iter().flat_map(numbers);
    core.srtp_profile = SRTP_PROFILES
        .iter()
        .find(|(number, _)| profiles().any(|offered| offered == *number))
        .and_then(|(number, _)| registry::find(&SRTP_PROFILES, *number));
    let has = |version| hello.versions.is_some_and(|list| numbers(list).any(|known| known == version));
    // Versions count downwards. "If this extension is not present, servers [...] MUST negotiate TLS 1.2 or prior, even
    // if ClientHello.legacy_version is 0x0304 or later." RFC 8446 section 4.2.1.
    let has_12 = if hello.versions.is_some() { has(DTLS_12) } else { hello.version <= DTLS_12 };
    if core.offers(Version::Dtls13) && has(DTLS_13) {
        core.version = Some(Version::Dtls13);
        server13::client_hello(core, retry, &hello, message)
    } else if core.offers(Version::Dtls12) && has_12 && retry.is_none() {
        core.version = Some(Version::Dtls12);
        server12::client_hello(core, &hello, message)
    } else {
        Err(abort(PROTOCOL_VERSION, "no version in common"))
    }
}
