//! The client of DTLS 1.2: ECDHE with a certificate of either kind. RFC 5246 section 7.4, RFC 8422.

use wigwag_crypto::Group;

use super::client::Offer;
use super::{Core, Keys12, State, agree};
use crate::alert::*;
use crate::config::Version;
use crate::prf::Master;
use crate::record::CHANGE_CIPHER_SPEC;
use crate::schedule::Suite;
use crate::wire::hello::ServerHello;
use crate::wire::message::{self, CERTIFICATE, CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE, FINISHED, Message};
use crate::wire::registry::{self, GROUPS_12, SUITES_12_ECDSA, SUITES_12_RSA};
use crate::wire::x509::KeyKind;

/// What the hellos came to.
#[derive(Clone, Debug)]
pub(crate) struct Negotiated {
    suite: Suite,
    /// The suite is one for RSA certificates.
    rsa: bool,
    client_random: [u8; 32],
    server_random: [u8; 32],
    extended_master_secret: bool,
}

/// And the server's key.
#[derive(Debug)]
pub(crate) struct Exchange {
    negotiated: Negotiated,
    group: Group,
    key: Vec<u8>,
    /// The server asks for our certificate.
    requested: bool,
}

pub(super) fn server_hello(
    core: &mut Core,
    offer: &Offer,
    answer: &ServerHello<'_>,
    message: &Message,
) -> Result<State, Abort> {
    let rsa = registry::find(&SUITES_12_RSA, answer.suite);
    let suite = registry::find(&SUITES_12_ECDSA, answer.suite).or(rsa);
    let suite = suite.ok_or_else(|| abort(ILLEGAL_PARAMETER, "a suite that was not offered"))?;
    core.version = Some(Version::Dtls12);
    core.take_srtp(answer.srtp)?;
    core.receive(message);
    Ok(State::AwaitServerCertificate12(Box::new(Negotiated {
        suite,
        rsa: rsa.is_some(),
        client_random: offer.random,
        server_random: answer.random,
        extended_master_secret: answer.extended_master_secret,
    })))
}

pub(super) fn certificate(core: &mut Core, hello: Box<Negotiated>, message: &Message) -> Result<State, Abort> {
    core.take_certificate(message)?;
    core.receive(message);
    Ok(State::AwaitServerKeyExchange(hello))
}

/// The server's ephemeral key, signed with its certificate's.
pub(super) fn key_exchange(core: &mut Core, hello: &Negotiated, message: &Message) -> Result<State, Abort> {
    let exchange = message::ServerKeyExchange::parse(&message.body).ok_or_else(malformed)?;
    let is_rsa = core.remote_key.as_ref().is_some_and(|key| key.kind == KeyKind::Rsa);
    if is_rsa != hello.rsa {
        return Err(abort(ILLEGAL_PARAMETER, "a certificate that is not for the suite"));
    }
    let signed = [&hello.client_random[..], &hello.server_random, exchange.params].concat();
    core.verify(exchange.scheme, &signed, exchange.signature)?;
    let group = registry::find(&GROUPS_12, exchange.group);
    let group = group.ok_or_else(|| abort(ILLEGAL_PARAMETER, "a group that was not offered"))?;
    core.receive(message);
    Ok(State::AwaitCertificateRequest12(Box::new(Exchange {
        negotiated: hello.clone(),
        group,
        key: exchange.key.to_vec(),
        requested: false,
    })))
}

pub(super) fn certificate_request(
    core: &mut Core,
    mut exchange: Box<Exchange>,
    message: &Message,
) -> Result<State, Abort> {
    let schemes = message::parse_certificate_request_12(&message.body).ok_or_else(malformed)?;
    core.choose_scheme(Some(schemes), Version::Dtls12)?;
    core.receive(message);
    exchange.requested = true;
    Ok(State::AwaitServerHelloDone(exchange))
}

/// ServerHelloDone, and our flight.
pub(super) fn done(core: &mut Core, exchange: &Exchange, message: &Message) -> Result<State, Abort> {
    if !message.body.is_empty() {
        return Err(malformed());
    }
    core.receive(message);
    let Negotiated { suite, client_random, server_random, extended_master_secret, .. } = exchange.negotiated;
    let agreement = core.fresh_key(exchange.group)?;
    let our_key = message::write_client_key(agreement.public_key());
    let premaster = agree(agreement, &exchange.key)?;

    core.flight.clear();
    if exchange.requested {
        let body = message::write_certificate(core.certificate.der(), None);
        core.send(0, CERTIFICATE, &body);
    }
    core.send(0, CLIENT_KEY_EXCHANGE, &our_key);
    let session_hash = extended_master_secret.then(|| core.hash12(suite.hash));
    let randoms = [client_random, server_random];
    let master = Master::new(core.provider, suite, &premaster, randoms, session_hash.as_deref());
    core.log_secret("CLIENT_RANDOM", master.secret());
    if exchange.requested {
        let mut body = Vec::new();
        core.sign(core.transcript.bytes(), &mut body)?;
        core.send(0, CERTIFICATE_VERIFY, &body);
    }
    core.flight.add_record(&core.records, CHANGE_CIPHER_SPEC, &[1]);
    let Keys12 { client, server } = core.keys12(&master)?;
    core.records.write_with(1, client);
    core.records.read_with(1, server);
    let body = master.finished(core.provider, b"client finished", &core.hash12(suite.hash));
    core.send(1, FINISHED, &body);
    Ok(State::AwaitServerFinished12(Box::new(master)))
}

pub(super) fn finished(core: &mut Core, master: &Master, message: &Message) -> Result<State, Abort> {
    let provider = core.provider;
    let expected = master.finished(provider, b"server finished", &core.hash12(master.suite.hash));
    core.check_finished(&expected, message)?;
    core.export_srtp(|label, out| master.export(provider, label, out));
    core.flight.clear();
    Ok(State::Connected12)
}
