//! The server of DTLS 1.3. RFC 8446 section 4.
//!
//! We ask for no cookie: datagrams come from paths that ICE has validated. A HelloRetryRequest asks for a key share of a
//! group that both have.

use wigwag_crypto::{Digest, Group};

use super::{Core, Signer, State};
use crate::alert::*;
use crate::config::{Role, Version};
use crate::schedule::Schedule;
use crate::wire::codec::{numbers, put_u16};
use crate::wire::hello::{self, ClientHello, RETRY_RANDOM, ServerHello};
use crate::wire::message::{
    self, CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, ENCRYPTED_EXTENSIONS, FINISHED, Message, SERVER_HELLO,
};
use crate::wire::registry::{self, DTLS_12, DTLS_13, SUITES_13};

/// What a HelloRetryRequest asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    suite: u16,
    group: Group,
}

/// Our flight is out; the client's is awaited.
#[derive(Debug)]
pub(crate) struct Pending {
    schedule: Schedule,
    /// The client's application traffic secret.
    client: Digest,
    exporter: Digest,
}

pub(super) fn client_hello(
    core: &mut Core,
    retry: Option<Retry>,
    client: &ClientHello<'_>,
    message: &Message,
) -> Result<State, Abort> {
    let failure = |why| abort(HANDSHAKE_FAILURE, why);
    let common = SUITES_13.iter().find(|(number, _)| numbers(client.suites).any(|offered| offered == *number));
    let (number, suite) = *common.ok_or_else(|| failure("no cipher suite in common"))?;
    core.choose_scheme(client.schemes, Version::Dtls13)?;
    let mut ours = core.groups(Role::Server);
    let shared = ours.find_map(|(number, group)| Some((number, group, client.share(number)?)));
    let Some((group_number, group, share)) = shared else {
        let common = core.groups(Role::Server).find(|(number, _)| message::has(client.groups, *number));
        let (_, group) = common.ok_or_else(|| failure("no group in common"))?;
        if retry.is_some() {
            return Err(abort(ILLEGAL_PARAMETER, "the key share that was asked for is not there"));
        }
        return Ok(ask_again(core, Retry { suite: number, group }, message));
    };
    if retry.is_some_and(|retry| (retry.suite, retry.group) != (number, group)) {
        return Err(abort(ILLEGAL_PARAMETER, "a second ClientHello that contradicts the first"));
    }
    core.receive(message);

    let (key, shared) = core.answer_share(group, share)?;
    let mut our_share = Vec::new();
    hello::put_share(&mut our_share, group_number, &key);
    let answer = ServerHello {
        version: DTLS_12,
        random: core.fresh_random(),
        suite: number,
        selected_version: Some(DTLS_13),
        share: Some(&our_share),
        ..ServerHello::default()
    };
    core.flight.clear();
    core.send(0, SERVER_HELLO, &answer.write());

    let provider = core.provider;
    let schedule = core.schedule13(suite, &shared);
    core.records.write_from(provider, 2, suite, &schedule.handshake.server).map_err(|_| internal())?;
    core.records.read_from(provider, 2, suite, &schedule.handshake.client).map_err(|_| internal())?;
    let srtp = core.srtp_profile.map(registry::srtp_number);
    core.send(2, ENCRYPTED_EXTENSIONS, &hello::write_encrypted_extensions(srtp));
    let body = hello::write_certificate_request_13(&registry::schemes(provider, false));
    core.send(2, CERTIFICATE_REQUEST, &body);
    let body = message::write_certificate(core.certificate.der(), Some(&[]));
    core.send(2, CERTIFICATE, &body);
    let body = core.write_proof13(Signer::Server, suite.hash)?;
    core.send(2, CERTIFICATE_VERIFY, &body);
    let body = schedule.finished(provider, &schedule.handshake.server, &core.hash13(suite.hash));
    core.send(2, FINISHED, &body);

    let (traffic, exporter) = core.application13(&schedule);
    core.records.write_from(provider, 3, suite, &traffic.server).map_err(|_| internal())?;
    let pending = Pending { schedule, client: traffic.client, exporter };
    Ok(State::AwaitClientCertificate13(Box::new(pending)))
}

/// HelloRetryRequest. RFC 8446 section 4.1.4.
fn ask_again(core: &mut Core, retry: Retry, message: &Message) -> State {
    let hash = registry::find(&SUITES_13, retry.suite).map(|suite| suite.hash);
    core.receive(message);
    if let Some(hash) = hash {
        core.transcript.retry(core.provider, hash);
    }
    let mut share = Vec::new();
    put_u16(&mut share, registry::group_number(retry.group));
    let answer = ServerHello {
        version: DTLS_12,
        random: RETRY_RANDOM,
        suite: retry.suite,
        selected_version: Some(DTLS_13),
        share: Some(&share),
        ..ServerHello::default()
    };
    core.flight.clear();
    core.send(0, SERVER_HELLO, &answer.write());
    State::AwaitClientHello(Some(retry))
}

pub(super) fn certificate(core: &mut Core, pending: Box<Pending>, message: &Message) -> Result<State, Abort> {
    core.take_certificate(message)?;
    core.receive(message);
    Ok(State::AwaitClientProof13(pending))
}

pub(super) fn proof(core: &mut Core, pending: Box<Pending>, message: &Message) -> Result<State, Abort> {
    core.check_proof13(Signer::Client, pending.schedule.suite.hash, message)?;
    Ok(State::AwaitClientFinished13(pending))
}

/// Only now is what the client says in epoch 3 read: it has proved who it is.
pub(super) fn finished(core: &mut Core, pending: &Pending, message: &Message) -> Result<State, Abort> {
    let Pending { schedule, client, exporter } = pending;
    let (provider, suite) = (core.provider, schedule.suite);
    let expected = schedule.finished(provider, &schedule.handshake.client, &core.hash13(suite.hash));
    core.check_finished(&expected, message)?;
    core.records.read_from(provider, 3, suite, client).map_err(|_| internal())?;
    core.export_srtp(|label, out| schedule.export(provider, exporter, label, out));
    core.flight.clear();
    Ok(State::Connected13)
}
