//! The client of DTLS 1.3. RFC 8446 section 4.

use super::client::Offer;
use super::{Core, Signer, State, agree};
use crate::alert::*;
use crate::config::Version;
use crate::schedule::Schedule;
use crate::wire::codec::Reader;
use crate::wire::hello::{self, ServerHello};
use crate::wire::message::{self, CERTIFICATE, CERTIFICATE_VERIFY, FINISHED, Message};
use crate::wire::registry::{self, SUITES_13};

/// The server asks for our certificate, and takes our kind of signature.
#[derive(Debug)]
pub(crate) struct Request {
    context: Vec<u8>,
}

pub(super) fn server_hello(
    core: &mut Core,
    offer: Offer,
    answer: &ServerHello<'_>,
    message: &Message,
) -> Result<State, Abort> {
    let illegal = |why| abort(ILLEGAL_PARAMETER, why);
    let suite = registry::find(&SUITES_13, answer.suite).ok_or_else(|| illegal("a suite that was not offered"))?;
    if offer.retried.is_some_and(|retried| retried != answer.suite) || !answer.session_id.is_empty() {
        return Err(illegal("a ServerHello that contradicts what was said"));
    }
    let mut share = Reader(answer.share.ok_or_else(|| illegal("a ServerHello without a key share"))?);
    let (group, key) = (share.u16().ok_or_else(malformed)?, share.vec16().ok_or_else(malformed)?);
    share.end().ok_or_else(malformed)?;
    let agreement = offer.agreements.into_iter().find(|ours| registry::group_number(ours.group()) == group);
    let shared = agree(agreement.ok_or_else(|| illegal("a key share of another group"))?, key)?;
    core.version = Some(Version::Dtls13);
    core.receive(message);
    let schedule = core.schedule13(suite, &shared);
    let (provider, traffic) = (core.provider, &schedule.handshake);
    core.records.read_from(provider, 2, suite, &traffic.server).map_err(|_| internal())?;
    core.records.write_from(provider, 2, suite, &traffic.client).map_err(|_| internal())?;
    Ok(State::AwaitEncryptedExtensions(Box::new(schedule)))
}

pub(super) fn encrypted_extensions(
    core: &mut Core,
    schedule: Box<Schedule>,
    message: &Message,
) -> Result<State, Abort> {
    let srtp = hello::parse_encrypted_extensions(&message.body).ok_or_else(malformed)?;
    core.take_srtp(srtp)?;
    core.receive(message);
    Ok(State::AwaitCertificateRequest13(schedule))
}

pub(super) fn certificate_request(core: &mut Core, schedule: Box<Schedule>, message: &Message) -> Result<State, Abort> {
    let (context, schemes) = hello::parse_certificate_request_13(&message.body).ok_or_else(malformed)?;
    core.choose_scheme(Some(schemes), Version::Dtls13)?;
    core.receive(message);
    Ok(State::AwaitServerCertificate13(schedule, Request { context: context.to_vec() }))
}

pub(super) fn certificate(
    core: &mut Core,
    schedule: Box<Schedule>,
    request: Option<Request>,
    message: &Message,
) -> Result<State, Abort> {
    core.take_certificate(message)?;
    core.receive(message);
    Ok(State::AwaitServerProof13(schedule, request))
}

pub(super) fn proof(
    core: &mut Core,
    schedule: Box<Schedule>,
    request: Option<Request>,
    message: &Message,
) -> Result<State, Abort> {
    core.check_proof13(Signer::Server, schedule.suite.hash, message)?;
    Ok(State::AwaitServerFinished13(schedule, request))
}

/// The server's Finished, and our flight.
pub(super) fn finished(
    core: &mut Core,
    schedule: &Schedule,
    request: Option<Request>,
    message: &Message,
) -> Result<State, Abort> {
    let (provider, suite) = (core.provider, schedule.suite);
    let expected = schedule.finished(provider, &schedule.handshake.server, &core.hash13(suite.hash));
    core.check_finished(&expected, message)?;
    let (traffic, exporter) = core.application13(schedule);
    core.export_srtp(|label, out| schedule.export(provider, &exporter, label, out));

    core.flight.clear();
    if let Some(Request { context }) = request {
        let body = message::write_certificate(core.certificate.der(), Some(&context));
        core.send(2, CERTIFICATE, &body);
        let body = core.write_proof13(Signer::Client, suite.hash)?;
        core.send(2, CERTIFICATE_VERIFY, &body);
    }
    let body = schedule.finished(provider, &schedule.handshake.client, &core.hash13(suite.hash));
    core.send(2, FINISHED, &body);
    core.records.write_from(provider, 3, suite, &traffic.client).map_err(|_| internal())?;
    core.records.read_from(provider, 3, suite, &traffic.server).map_err(|_| internal())?;
    Ok(State::Connected13)
}
