//! The server of DTLS 1.2: ECDHE with our certificate, of whichever kind. RFC 5246 section 7.4, RFC 8422.

use wigwag_crypto::{Group, KeyAgreement, KeyType};

use super::{Core, Keys12, State, agree};
use crate::alert::*;
use crate::config::Version;
use crate::prf::Master;
use crate::record::CHANGE_CIPHER_SPEC;
use crate::schedule::Suite;
use crate::wire::codec::{Reader, numbers};
use crate::wire::hello::{ClientHello, DOWNGRADE, ServerHello};
use crate::wire::message::{
    self, CERTIFICATE, CERTIFICATE_REQUEST, FINISHED, Message, SERVER_HELLO, SERVER_HELLO_DONE, SERVER_KEY_EXCHANGE,
};
use crate::wire::registry::{self, DTLS_12, GROUPS_12, SUITES_12_ECDSA, SUITES_12_RSA};

/// What the hellos came to.
#[derive(Debug)]
pub(crate) struct Negotiated {
    suite: Suite,
    client_random: [u8; 32],
    server_random: [u8; 32],
    extended_master_secret: bool,
    agreement: Box<dyn KeyAgreement>,
}

pub(super) fn client_hello(core: &mut Core, client: &ClientHello<'_>, message: &Message) -> Result<State, Abort> {
    let failure = |why| abort(HANDSHAKE_FAILURE, why);
    let suites = if core.certificate.key().key_type() == KeyType::Rsa { SUITES_12_RSA } else { SUITES_12_ECDSA };
    let common = suites.iter().find(|(number, _)| numbers(client.suites).any(|offered| offered == *number));
    let (number, suite) = *common.ok_or_else(|| failure("no cipher suite in common"))?;
    let group = match client.groups {
        Some(groups) => GROUPS_12.iter().find(|(number, _)| message::has(Some(groups), *number)),
        // "The client [...] MAY omit it": any will do. RFC 8422 section 4.
        None => GROUPS_12.iter().find(|(_, group)| *group == Group::P256),
    };
    let (group_number, group) = *group.ok_or_else(|| failure("no group in common"))?;
    core.choose_scheme(client.schemes, Version::Dtls12)?;
    core.receive(message);

    let mut server_random = core.fresh_random();
    if core.offers(Version::Dtls13)
        && let Some(end) = server_random.last_chunk_mut()
    {
        *end = DOWNGRADE;
    }
    let answer = ServerHello {
        version: DTLS_12,
        random: server_random,
        suite: number,
        srtp: core.srtp_profile.map(registry::srtp_number),
        extended_master_secret: client.extended_master_secret,
        renegotiation_info: client.renegotiation_info,
        point_formats: client.point_formats,
        ..ServerHello::default()
    };
    core.flight.clear();
    core.send(0, SERVER_HELLO, &answer.write());
    let body = message::write_certificate(core.certificate.der(), None);
    core.send(0, CERTIFICATE, &body);

    let agreement = core.fresh_key(group)?;
    let mut body = message::write_ecdh_params(group_number, agreement.public_key());
    let signed = [&client.random[..], &server_random, &body].concat();
    core.sign(&signed, &mut body)?;
    core.send(0, SERVER_KEY_EXCHANGE, &body);
    let body = message::write_certificate_request_12(&registry::schemes(core.provider, true));
    core.send(0, CERTIFICATE_REQUEST, &body);
    core.send(0, SERVER_HELLO_DONE, &[]);
    Ok(State::AwaitClientCertificate12(Box::new(Negotiated {
        suite,
        client_random: client.random,
        server_random,
        extended_master_secret: client.extended_master_secret,
        agreement,
    })))
}

pub(super) fn certificate(core: &mut Core, hello: Box<Negotiated>, message: &Message) -> Result<State, Abort> {
    core.take_certificate(message)?;
    core.receive(message);
    Ok(State::AwaitClientKeyExchange(hello))
}

pub(super) fn key_exchange(core: &mut Core, hello: Negotiated, message: &Message) -> Result<State, Abort> {
    let key = message::parse_client_key(&message.body).ok_or_else(malformed)?;
    let premaster = agree(hello.agreement, key)?;
    core.receive(message);
    let session_hash = hello.extended_master_secret.then(|| core.hash12(hello.suite.hash));
    let randoms = [hello.client_random, hello.server_random];
    let master = Master::new(core.provider, hello.suite, &premaster, randoms, session_hash.as_deref());
    core.log_secret("CLIENT_RANDOM", master.secret());
    let Keys12 { client, .. } = core.keys12(&master)?;
    core.records.read_with(1, client);
    Ok(State::AwaitClientProof12(Box::new(master)))
}

/// CertificateVerify: over all messages so far, as they are. RFC 5246 section 7.4.8.
pub(super) fn proof(core: &mut Core, master: Box<Master>, message: &Message) -> Result<State, Abort> {
    let (scheme, signature) = message::parse_signature(&mut Reader(&message.body)).ok_or_else(malformed)?;
    core.verify(scheme, core.transcript.bytes(), signature)?;
    core.receive(message);
    Ok(State::AwaitClientFinished12(master))
}

/// The client's Finished, and our last flight.
pub(super) fn finished(core: &mut Core, master: &Master, message: &Message) -> Result<State, Abort> {
    let provider = core.provider;
    let expected = master.finished(provider, b"client finished", &core.hash12(master.suite.hash));
    core.check_finished(&expected, message)?;
    core.export_srtp(|label, out| master.export(provider, label, out));

    core.flight.clear();
    core.flight.add_record(&core.records, CHANGE_CIPHER_SPEC, &[1]);
    let Keys12 { server, .. } = core.keys12(master)?;
    core.records.write_with(1, server);
    let body = master.finished(provider, b"server finished", &core.hash12(master.suite.hash));
    core.send(1, FINISHED, &body);
    Ok(State::Connected12)
}
