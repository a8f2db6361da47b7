//! The handshake: which message may come when, and what follows from it.
//!
//! ```text
//! DTLS 1.3 (RFC 8446 section 2, RFC 9147 section 5.7)     DTLS 1.2 (RFC 6347 section 4.2.4)
//!
//! ClientHello           ------>                           ClientHello           ------>
//!                       <------  HelloRetryRequest (*)                          <------  HelloVerifyRequest (*)
//! ClientHello (*)       ------>                           ClientHello (*)       ------>
//!                                ServerHello                                             ServerHello
//!                                EncryptedExtensions                                     Certificate
//!                                CertificateRequest                                      ServerKeyExchange
//!                                Certificate                                             CertificateRequest
//!                                CertificateVerify                              <------  ServerHelloDone
//!                       <------  Finished                 Certificate
//! Certificate                                             ClientKeyExchange
//! CertificateVerify                                       CertificateVerify
//! Finished              ------>                           Finished              ------>
//!                       <------  ACK                                            <------  Finished
//! ```
//!
//! [`State`] says what is awaited and carries what is needed then; [`table`] is all that may happen. Each handler takes one
//! message, whole and in order, and gives the next state. What it says goes into the flight of
//! [`Core`]; sending and timers are the session's.
//!
//! ChangeCipherSpec (DTLS 1.2) is sent and, when received, ignored: in DTLS the epoch says which keys a record is under,
//! and a Finished in the clear is not taken.

mod client;
mod client12;
mod client13;
mod flight;
mod reassembly;
mod server;
mod server12;
mod server13;
mod table;
#[cfg(test)]
mod tests;
mod transcript;

use rand::Rng;
use wigwag_crypto::{Digest, Group, Hash, KeyAgreement, Provider, Secret, SignatureScheme, ct_eq};
use wigwag_proto::Random;
use zeroize::Zeroizing;

pub(crate) use flight::Flight;
pub(crate) use reassembly::{Reassembly, Taken};
use table::Tag;
use transcript::Transcript;

use crate::alert::*;
use crate::certificate::Certificate;
use crate::config::{Config, PostQuantum, Role, Version, Versions};
use crate::event::{Failure, SrtpKeys, SrtpProfile};
use crate::key_log::KeyLog;
use crate::prf::Master;
use crate::record::{HANDSHAKE, Protection, Records};
use crate::schedule::{Schedule, Suite, Traffic};
use crate::wire::codec::Reader;
use crate::wire::message::{self, Message};
use crate::wire::registry;
use crate::wire::x509::{self, PublicKey};

/// The label under which SRTP keys are exported. RFC 5764 section 4.2.
const SRTP_LABEL: &[u8] = b"EXTRACTOR-dtls_srtp";

/// What is awaited. The number is the DTLS version, where both have a message of that name.
#[derive(Debug)]
pub(crate) enum State {
    /// Client: ServerHello, HelloRetryRequest or HelloVerifyRequest.
    AwaitServerHello(Box<client::Offer>),

    /// Client: EncryptedExtensions.
    AwaitEncryptedExtensions(Box<Schedule>),
    /// Client: CertificateRequest, or Certificate from a server that does not ask.
    AwaitCertificateRequest13(Box<Schedule>),
    /// Client: Certificate.
    AwaitServerCertificate13(Box<Schedule>, client13::Request),
    /// Client: CertificateVerify.
    AwaitServerProof13(Box<Schedule>, Option<client13::Request>),
    /// Client: Finished.
    AwaitServerFinished13(Box<Schedule>, Option<client13::Request>),

    /// Client: Certificate.
    AwaitServerCertificate12(Box<client12::Negotiated>),
    /// Client: ServerKeyExchange.
    AwaitServerKeyExchange(Box<client12::Negotiated>),
    /// Client: CertificateRequest, or ServerHelloDone from a server that does not ask.
    AwaitCertificateRequest12(Box<client12::Exchange>),
    /// Client: ServerHelloDone.
    AwaitServerHelloDone(Box<client12::Exchange>),
    /// Client: Finished.
    AwaitServerFinished12(Box<Master>),

    /// Server: ClientHello; the second, if we asked for another key share.
    AwaitClientHello(Option<server13::Retry>),

    /// Server: Certificate.
    AwaitClientCertificate13(Box<server13::Pending>),
    /// Server: CertificateVerify.
    AwaitClientProof13(Box<server13::Pending>),
    /// Server: Finished.
    AwaitClientFinished13(Box<server13::Pending>),

    /// Server: Certificate.
    AwaitClientCertificate12(Box<server12::Negotiated>),
    /// Server: ClientKeyExchange.
    AwaitClientKeyExchange(Box<server12::Negotiated>),
    /// Server: CertificateVerify.
    AwaitClientProof12(Box<Master>),
    /// Server: Finished.
    AwaitClientFinished12(Box<Master>),

    /// Nothing more: there is no renegotiation.
    Connected12,
    /// KeyUpdate, or a ticket that we have no use for.
    Connected13,
    /// A step failed.
    Broken,
}

/// Takes a message, if the [table](table) has a row for it now, and goes where the row leads.
pub(crate) fn step(core: &mut Core, state: State, message: &Message) -> Result<State, Abort> {
    let row = table::find(state.tag(), message.kind)
        .ok_or_else(|| abort(UNEXPECTED_MESSAGE, "a message that was not due"))?;
    let next = handle(core, state, message)?;
    if row.to.contains(&next.tag()) { Ok(next) } else { Err(internal()) }
}

/// Each message to its handler.
fn handle(core: &mut Core, state: State, message: &Message) -> Result<State, Abort> {
    use State::*;
    use message::*;
    match (state, message.kind) {
        (AwaitServerHello(offer), SERVER_HELLO) => client::server_hello(core, offer, message),
        (AwaitServerHello(offer), HELLO_VERIFY_REQUEST) => client::hello_verify_request(core, offer, message),

        (AwaitEncryptedExtensions(s), ENCRYPTED_EXTENSIONS) => client13::encrypted_extensions(core, s, message),
        (AwaitCertificateRequest13(s), CERTIFICATE_REQUEST) => client13::certificate_request(core, s, message),
        (AwaitCertificateRequest13(s), CERTIFICATE) => client13::certificate(core, s, None, message),
        (AwaitServerCertificate13(s, asked), CERTIFICATE) => client13::certificate(core, s, Some(asked), message),
        (AwaitServerProof13(s, asked), CERTIFICATE_VERIFY) => client13::proof(core, s, asked, message),
        (AwaitServerFinished13(s, asked), FINISHED) => client13::finished(core, &s, asked, message),

        (AwaitServerCertificate12(hello), CERTIFICATE) => client12::certificate(core, hello, message),
        (AwaitServerKeyExchange(hello), SERVER_KEY_EXCHANGE) => client12::key_exchange(core, &hello, message),
        (AwaitCertificateRequest12(e), CERTIFICATE_REQUEST) => client12::certificate_request(core, e, message),
        (AwaitCertificateRequest12(e), SERVER_HELLO_DONE) => client12::done(core, &e, message),
        (AwaitServerHelloDone(e), SERVER_HELLO_DONE) => client12::done(core, &e, message),
        (AwaitServerFinished12(master), FINISHED) => client12::finished(core, &master, message),

        (AwaitClientHello(retry), CLIENT_HELLO) => server::client_hello(core, retry, message),

        (AwaitClientCertificate13(pending), CERTIFICATE) => server13::certificate(core, pending, message),
        (AwaitClientProof13(pending), CERTIFICATE_VERIFY) => server13::proof(core, pending, message),
        (AwaitClientFinished13(pending), FINISHED) => server13::finished(core, &pending, message),

        (AwaitClientCertificate12(hello), CERTIFICATE) => server12::certificate(core, hello, message),
        (AwaitClientKeyExchange(hello), CLIENT_KEY_EXCHANGE) => server12::key_exchange(core, *hello, message),
        (AwaitClientProof12(master), CERTIFICATE_VERIFY) => server12::proof(core, master, message),
        (AwaitClientFinished12(master), FINISHED) => server12::finished(core, &master, message),

        (Connected13, KEY_UPDATE) => core.key_update(message),
        (Connected13, NEW_SESSION_TICKET) => Ok(Connected13),

        _ => Err(abort(UNEXPECTED_MESSAGE, "a message that was not due")),
    }
}

impl State {
    /// Which row of the table it is.
    pub(crate) fn tag(&self) -> Tag {
        match self {
            Self::AwaitServerHello(_) => Tag::AwaitServerHello,
            Self::AwaitEncryptedExtensions(_) => Tag::AwaitEncryptedExtensions,
            Self::AwaitCertificateRequest13(_) => Tag::AwaitCertificateRequest13,
            Self::AwaitServerCertificate13(..) => Tag::AwaitServerCertificate13,
            Self::AwaitServerProof13(..) => Tag::AwaitServerProof13,
            Self::AwaitServerFinished13(..) => Tag::AwaitServerFinished13,
            Self::AwaitServerCertificate12(_) => Tag::AwaitServerCertificate12,
            Self::AwaitServerKeyExchange(_) => Tag::AwaitServerKeyExchange,
            Self::AwaitCertificateRequest12(_) => Tag::AwaitCertificateRequest12,
            Self::AwaitServerHelloDone(_) => Tag::AwaitServerHelloDone,
            Self::AwaitServerFinished12(_) => Tag::AwaitServerFinished12,
            Self::AwaitClientHello(_) => Tag::AwaitClientHello,
            Self::AwaitClientCertificate13(_) => Tag::AwaitClientCertificate13,
            Self::AwaitClientProof13(_) => Tag::AwaitClientProof13,
            Self::AwaitClientFinished13(_) => Tag::AwaitClientFinished13,
            Self::AwaitClientCertificate12(_) => Tag::AwaitClientCertificate12,
            Self::AwaitClientKeyExchange(_) => Tag::AwaitClientKeyExchange,
            Self::AwaitClientProof12(_) => Tag::AwaitClientProof12,
            Self::AwaitClientFinished12(_) => Tag::AwaitClientFinished12,
            Self::Connected12 => Tag::Connected12,
            Self::Connected13 => Tag::Connected13,
            Self::Broken => Tag::Broken,
        }
    }

    /// The epoch that the awaited message must come in, or a later one.
    pub(crate) fn epoch(&self) -> u64 {
        self.tag().epoch()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.tag().is_connected()
    }
}

/// What all states share.
#[derive(Debug)]
pub(crate) struct Core {
    pub provider: Provider,
    certificate: Certificate,
    versions: Versions,
    post_quantum: PostQuantum,
    random: Random,
    key_log: Option<KeyLog>,
    /// The client's, by which a key log names the connection.
    client_random: [u8; 32],
    pub records: Records,
    transcript: Transcript,
    pub flight: Flight,
    /// `message_seq` of the next message that we send.
    next_seq: u16,
    pub version: Option<Version>,
    /// The peer's, as it has shown it.
    pub remote_certificate: Option<Vec<u8>>,
    remote_key: Option<PublicKey>,
    /// How we sign.
    our_scheme: Option<(u16, SignatureScheme)>,
    srtp_profile: Option<SrtpProfile>,
    pub srtp: Option<SrtpKeys>,
    /// The peer asked for new keys.
    pub update_wanted: bool,
    /// Our KeyUpdate is not acknowledged yet.
    pub updating: bool,
}

/// Whose CertificateVerify it is. RFC 8446 section 4.4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signer {
    Client,
    Server,
}

impl Core {
    pub(crate) fn new(config: &Config, random: Random, flight: Flight) -> Self {
        Self {
            provider: config.provider,
            certificate: config.certificate.clone(),
            versions: config.versions,
            post_quantum: config.post_quantum,
            random,
            key_log: config.key_log.clone(),
            client_random: [0; 32],
            records: Records::default(),
            transcript: Transcript::default(),
            flight,
            next_seq: 0,
            version: None,
            remote_certificate: None,
            remote_key: None,
            our_scheme: None,
            srtp_profile: None,
            srtp: None,
            update_wanted: false,
            updating: false,
        }
    }

    /// The first state; a client's hello is in the flight then.
    pub(crate) fn begin(&mut self, role: Role) -> Result<State, Abort> {
        match role {
            Role::Client => client::begin(self),
            Role::Server => Ok(State::AwaitClientHello(None)),
        }
    }

    /// Forgets what only the handshake needed.
    pub(crate) fn finish(&mut self) {
        self.transcript.release();
        self.remote_key = None;
        if self.flight.is_empty() {
            self.records.forget_old_writes();
        }
    }

    /// Starts a KeyUpdate of our own. RFC 9147 section 8.
    pub(crate) fn update_keys(&mut self) {
        let Some(next) = self.next_seq.checked_add(1) else {
            return; // the key's limit will end the connection
        };
        const UPDATE_NOT_REQUESTED: [u8; 1] = [0];
        let epoch = self.records.write_epoch();
        self.flight.clear();
        let (kind, seq) = (message::KEY_UPDATE, self.next_seq);
        self.flight.add_message(&self.records, epoch, HANDSHAKE, kind, seq, &UPDATE_NOT_REQUESTED);
        (self.next_seq, self.updating, self.update_wanted) = (next, true, false);
    }

    /// The peer sends with its next keys from now on. RFC 8446 section 4.6.3.
    fn key_update(&mut self, message: &Message) -> Result<State, Abort> {
        let request = match message.body[..] {
            [request @ (0 | 1)] => request == 1,
            _ => return Err(abort(ILLEGAL_PARAMETER, "a malformed KeyUpdate")),
        };
        self.records.update_read(self.provider).map_err(|_| internal())?;
        // An update of ours that is under way is an answer, too.
        self.update_wanted |= request && !self.updating;
        Ok(State::Connected13)
    }

    fn offers(&self, version: Version) -> bool {
        match version {
            Version::Dtls12 => self.versions != Versions::Dtls13,
            Version::Dtls13 => self.versions != Versions::Dtls12,
        }
    }

    /// Puts a message into the flight and the transcript.
    fn send(&mut self, epoch: u64, kind: u8, body: &[u8]) {
        self.transcript.add(kind, self.next_seq, body);
        self.flight.add_message(&self.records, epoch, HANDSHAKE, kind, self.next_seq, body);
        self.next_seq = self.next_seq.saturating_add(1);
    }

    /// Puts a message of the peer into the transcript.
    fn receive(&mut self, message: &Message) {
        self.transcript.add(message.kind, message.seq, &message.body);
    }

    fn hash12(&self, hash: Hash) -> Digest {
        self.transcript.hash12(self.provider, hash)
    }

    fn hash13(&self, hash: Hash) -> Digest {
        self.transcript.hash13(self.provider, hash)
    }

    fn fresh_random(&mut self) -> [u8; 32] {
        let mut random = [0; 32];
        self.random.fill_bytes(&mut random);
        random
    }

    fn fresh_key(&mut self, group: Group) -> Result<Box<dyn KeyAgreement>, Abort> {
        self.provider.key_agreement(group, &mut self.random).map_err(|_| internal())
    }

    /// Our half of a key agreement whose other half is there, and the secret.
    fn answer_share(&mut self, group: Group, share: &[u8]) -> Result<(Vec<u8>, Secret), Abort> {
        let answer = self.provider.answer_key_agreement(group, share, &mut self.random);
        answer.map_err(|_| abort(ILLEGAL_PARAMETER, "a key share that is none"))
    }

    /// The groups of DTLS 1.3 that we take as a server, or have as a client; the preferred first.
    fn groups(&self, role: Role) -> impl Iterator<Item = (u16, Group)> + use<> {
        let (provider, post_quantum) = (self.provider, self.post_quantum);
        registry::GROUPS.into_iter().filter(move |(_, group)| {
            let wanted = match group {
                Group::X25519MlKem768 => match role {
                    Role::Client => post_quantum == PostQuantum::Offer,
                    Role::Server => post_quantum != PostQuantum::Off,
                },
                _ => true,
            };
            wanted && provider.agrees(*group)
        })
    }

    /// Decides how our own certificate's key signs, given what the peer takes.
    fn choose_scheme(&mut self, taken: Option<&[u8]>, version: Version) -> Result<(), Abort> {
        let key = self.certificate.key().key_type();
        self.our_scheme = registry::our_scheme(key, taken, version == Version::Dtls12);
        let is_taken = self.our_scheme.is_some();
        is_taken.then_some(()).ok_or_else(|| abort(HANDSHAKE_FAILURE, "the peer does not take our kind of certificate"))
    }

    /// Appends the scheme that was chosen, and the signature of `content`.
    fn sign(&self, content: &[u8], out: &mut Vec<u8>) -> Result<(), Abort> {
        let (number, scheme) = self.our_scheme.ok_or_else(internal)?;
        let signature = self.certificate.key().sign_with(scheme, content).map_err(|_| internal())?;
        message::write_signature(out, number, &signature);
        Ok(())
    }

    /// Takes the peer's certificate in; whether it is the right one is the session's question.
    fn take_certificate(&mut self, message: &Message) -> Result<(), Abort> {
        let dtls12 = self.version == Some(Version::Dtls12);
        let Some(certificate) = message::parse_certificate(&message.body, dtls12).ok_or_else(malformed)? else {
            let alert = if dtls12 { HANDSHAKE_FAILURE } else { CERTIFICATE_REQUIRED };
            return Err(Abort { alert, failure: Failure::NoCertificate });
        };
        self.remote_key = x509::public_key(certificate);
        if self.remote_key.is_none() {
            return Err(abort(UNSUPPORTED_CERTIFICATE, "a certificate with a key of an unknown kind"));
        }
        self.remote_certificate = Some(certificate.to_vec());
        Ok(())
    }

    /// Verifies a signature with the peer's certificate's key.
    fn verify(&self, scheme: u16, content: &[u8], signature: &[u8]) -> Result<(), Abort> {
        let dtls12 = self.version == Some(Version::Dtls12);
        let key = self.remote_key.as_ref().ok_or_else(internal)?;
        let scheme: SignatureScheme = registry::scheme(scheme, key.kind, dtls12)
            .ok_or_else(|| abort(ILLEGAL_PARAMETER, "a signature of a kind that was not offered"))?;
        self.provider
            .verify(scheme, &key.bytes, content, signature)
            .map_err(|_| abort(DECRYPT_ERROR, "the peer's proof does not hold"))
    }

    /// CertificateVerify of DTLS 1.3, for the transcript so far.
    fn write_proof13(&self, signer: Signer, hash: Hash) -> Result<Vec<u8>, Abort> {
        let mut body = Vec::new();
        self.sign(&signed13(signer, &self.hash13(hash)), &mut body)?;
        Ok(body)
    }

    fn check_proof13(&mut self, signer: Signer, hash: Hash, message: &Message) -> Result<(), Abort> {
        let (scheme, signature) = message::parse_signature(&mut Reader(&message.body)).ok_or_else(malformed)?;
        self.verify(scheme, &signed13(signer, &self.hash13(hash)), signature)?;
        self.receive(message);
        Ok(())
    }

    /// Checks a Finished against what it must be.
    fn check_finished(&mut self, expected: &[u8], message: &Message) -> Result<(), Abort> {
        if !ct_eq(expected, &message.body) {
            return Err(abort(DECRYPT_ERROR, "the transcripts differ"));
        }
        self.receive(message);
        Ok(())
    }

    /// The keys of DTLS 1.2, to read with and to write with in epoch 1.
    fn keys12(&self, master: &Master) -> Result<Keys12, Abort> {
        let block = master.key_block(self.provider);
        let aead = master.suite.aead;
        let make = |key: &[u8], iv: &[u8]| Protection::dtls12(self.provider, aead, key, iv).map_err(|_| internal());
        Ok(Keys12 {
            client: make(&block.client_key, &block.client_iv)?,
            server: make(&block.server_key, &block.server_iv)?,
        })
    }

    fn log_secret(&self, label: &str, secret: &[u8]) {
        if let Some(key_log) = &self.key_log {
            key_log.log(label, &self.client_random, secret);
        }
    }

    /// The secrets of DTLS 1.3 for the handshake.
    fn schedule13(&self, suite: Suite, shared: &[u8]) -> Schedule {
        let schedule = Schedule::new(self.provider, suite, shared, &self.hash13(suite.hash));
        self.log_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", &schedule.handshake.client);
        self.log_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", &schedule.handshake.server);
        schedule
    }

    /// The secrets of DTLS 1.3 for what follows the handshake, and the exporter's.
    fn application13(&self, schedule: &Schedule) -> (Traffic, Digest) {
        let (traffic, exporter) = schedule.application(self.provider, &self.hash13(schedule.suite.hash));
        self.log_secret("CLIENT_TRAFFIC_SECRET_0", &traffic.client);
        self.log_secret("SERVER_TRAFFIC_SECRET_0", &traffic.server);
        self.log_secret("EXPORTER_SECRET", &exporter);
        (traffic, exporter)
    }

    /// Exports the keys for SRTP, if a profile was agreed on.
    fn export_srtp(&mut self, export: impl FnOnce(&[u8], &mut [u8])) {
        if let Some(profile) = self.srtp_profile {
            let mut material = Zeroizing::new(vec![0; 2 * (profile.key_len() + profile.salt_len())]);
            export(SRTP_LABEL, &mut material);
            self.srtp = SrtpKeys::cut(profile, &material);
        }
    }

    /// What a server may have chosen of our profiles.
    fn take_srtp(&mut self, chosen: Option<u16>) -> Result<(), Abort> {
        self.srtp_profile = match chosen {
            None => None,
            Some(number) => Some(
                registry::find(&registry::SRTP_PROFILES, number)
                    .ok_or_else(|| abort(ILLEGAL_PARAMETER, "an SRTP profile that was not offered"))?,
            ),
        };
        Ok(())
    }
}

struct Keys12 {
    client: Protection,
    server: Protection,
}

/// What a CertificateVerify of DTLS 1.3 signs. RFC 8446 section 4.4.3.
fn signed13(signer: Signer, transcript: &[u8]) -> Vec<u8> {
    let context: &[u8] = match signer {
        Signer::Client => b"TLS 1.3, client CertificateVerify",
        Signer::Server => b"TLS 1.3, server CertificateVerify",
    };
    [&[0x20; 64], context, &[0], transcript].concat()
}

/// The shared secret, or the peer's key is none.
fn agree(agreement: Box<dyn KeyAgreement>, key: &[u8]) -> Result<Secret, Abort> {
    agreement.agree(key).map_err(|_| abort(ILLEGAL_PARAMETER, "a key share that is none"))
}
