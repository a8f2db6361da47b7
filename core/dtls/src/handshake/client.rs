//! A client's hello, and the answers to it that are not of one version.

use wigwag_crypto::{Group, KeyAgreement};

use super::{Core, State, client12, client13};
use crate::alert::*;
use crate::config::{Role, Version, Versions};
use crate::wire::codec::Reader;
use crate::wire::hello::{DOWNGRADE, Offered, ServerHello};
use crate::wire::message::{self, CLIENT_HELLO, Message};
use crate::wire::registry::{self, DTLS_12, DTLS_13, SRTP_PROFILES, SUITES_12_ECDSA, SUITES_12_RSA, SUITES_13};

/// A server may change its secret between two cookies, but has no reason to ask again and again.
const MAX_VERIFICATIONS: u8 = 3;

/// What was offered, and is needed to offer it again.
#[derive(Debug)]
pub(crate) struct Offer {
    pub random: [u8; 32],
    /// One for each share that was sent; without DTLS 1.3 there is none.
    pub agreements: Vec<Box<dyn KeyAgreement>>,
    /// The suite that a HelloRetryRequest named.
    pub retried: Option<u16>,
    cookie_12: Vec<u8>,
    cookie_13: Option<Vec<u8>>,
    verifications: u8,
}

pub(super) fn begin(core: &mut Core) -> Result<State, Abort> {
    let random = core.fresh_random();
    core.client_random = random;
    // With X25519 beside X25519MLKEM768 no server has to ask again.
    let mut agreements = Vec::new();
    if core.offers(Version::Dtls13) {
        for (_, group) in core.groups(Role::Client) {
            if matches!(group, Group::X25519MlKem768 | Group::X25519) {
                agreements.push(core.fresh_key(group)?);
            }
        }
    }
    let offer = Offer { random, agreements, retried: None, cookie_12: Vec::new(), cookie_13: None, verifications: 0 };
    hello(core, Box::new(offer))
}

fn hello(core: &mut Core, offer: Box<Offer>) -> Result<State, Abort> {
    let (dtls12, dtls13) = (core.offers(Version::Dtls12), core.offers(Version::Dtls13));
    let schemes = registry::schemes(core.provider, dtls12);
    let rsa = core.provider.verifies(wigwag_crypto::SignatureScheme::RsaPssSha256);
    let mut suites = Vec::new();
    let mut versions = Vec::new();
    if dtls13 {
        suites.extend(SUITES_13.map(|(number, _)| number));
        versions.push(DTLS_13);
    }
    if dtls12 {
        suites.extend(SUITES_12_ECDSA.map(|(number, _)| number));
        if rsa {
            suites.extend(SUITES_12_RSA.map(|(number, _)| number));
        }
        if dtls13 {
            versions.push(DTLS_12);
        }
    }
    let ours = offer.agreements.iter();
    let shares = ours.map(|key| (registry::group_number(key.group()), key.public_key().to_vec()));
    let offered = Offered {
        random: offer.random,
        cookie_12: &offer.cookie_12,
        cookie_13: offer.cookie_13.as_deref(),
        suites,
        versions,
        dtls12,
        groups: core.groups(Role::Client).map(|(number, _)| number).collect(),
        schemes,
        srtp: SRTP_PROFILES.map(|(number, _)| number).to_vec(),
        shares: shares.collect(),
    };
    let body = offered.write();
    core.flight.clear();
    core.send(0, CLIENT_HELLO, &body);
    Ok(State::AwaitServerHello(offer))
}

/// "The client MUST use the same parameter values" and the cookie; neither that hello nor this request are part of the
/// transcript. RFC 6347 section 4.2.1.
pub(super) fn hello_verify_request(core: &mut Core, mut offer: Box<Offer>, message: &Message) -> Result<State, Abort> {
    let cookie = message::parse_hello_verify_request(&message.body).ok_or_else(malformed)?;
    if !core.offers(Version::Dtls12) || offer.retried.is_some() || offer.verifications == MAX_VERIFICATIONS {
        return Err(abort(UNEXPECTED_MESSAGE, "a HelloVerifyRequest that was not due"));
    }
    offer.cookie_12 = cookie.to_vec();
    offer.verifications += 1;
    core.transcript.forget();
    hello(core, offer)
}

pub(super) fn server_hello(core: &mut Core, offer: Box<Offer>, message: &Message) -> Result<State, Abort> {
    let answer = ServerHello::parse(&message.body).ok_or_else(malformed)?;
    if answer.is_retry() {
        return retry(core, offer, &answer, message);
    }
    match answer.selected_version {
        Some(DTLS_13) if core.offers(Version::Dtls13) => client13::server_hello(core, *offer, &answer, message),
        None if answer.version == DTLS_12 && core.offers(Version::Dtls12) && offer.retried.is_none() => {
            // RFC 8446 section 4.1.3: "MUST check that the last 8 bytes are not equal to [...] these values."
            if core.versions == Versions::Any && answer.random.ends_with(&DOWNGRADE) {
                return Err(abort(ILLEGAL_PARAMETER, "somebody made the server choose DTLS 1.2"));
            }
            client12::server_hello(core, &offer, &answer, message)
        }
        _ => Err(abort(PROTOCOL_VERSION, "the server chose a version that was not offered")),
    }
}

/// RFC 8446 section 4.1.4.
fn retry(core: &mut Core, mut offer: Box<Offer>, answer: &ServerHello<'_>, message: &Message) -> Result<State, Abort> {
    let illegal = |why| abort(ILLEGAL_PARAMETER, why);
    let (Some(DTLS_13), false, 0) = (answer.selected_version, offer.agreements.is_empty(), offer.verifications) else {
        return Err(illegal("a HelloRetryRequest of another version"));
    };
    if offer.retried.is_some() {
        return Err(abort(UNEXPECTED_MESSAGE, "a second HelloRetryRequest"));
    }
    let suite = registry::find(&SUITES_13, answer.suite).ok_or_else(|| illegal("a suite that was not offered"))?;
    let group = match answer.share {
        Some(share) => {
            let mut reader = Reader(share);
            let number = reader.u16().ok_or_else(malformed)?;
            reader.end().ok_or_else(malformed)?;
            let offered = core.groups(Role::Client).find(|(known, _)| *known == number).map(|(_, group)| group);
            let group = offered.filter(|group| offer.agreements.iter().all(|sent| sent.group() != *group));
            Some(group.ok_or_else(|| illegal("a group that was not offered, or was already there"))?)
        }
        None if answer.cookie.is_none() => return Err(illegal("a HelloRetryRequest that changes nothing")),
        None => None,
    };
    core.transcript.retry(core.provider, suite.hash);
    core.receive(message);
    offer.retried = Some(answer.suite);
    offer.cookie_13 = answer.cookie.map(<[u8]>::to_vec);
    if let Some(group) = group {
        offer.agreements = vec![core.fresh_key(group)?];
    }
    hello(core, offer)
}
