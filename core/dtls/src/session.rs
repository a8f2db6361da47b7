//! The handshake and the connection: what `dimpl` does, and what we make of it.

use std::collections::VecDeque;
use std::time::Duration;

use dimpl::Output;
use wigwag_proto::{Instant, Random};

use crate::config::{Config, Role, Version};
use crate::connection::Stats;
use crate::engine::Engine;
use crate::event::{Event, Failure, SrtpKeys, SrtpProfile};
use crate::fingerprint::{self, Fingerprint};
use crate::records::{plaintext_alert, screen};

/// A longer datagram is no handshake, and `dimpl` queues 30 of them: what it puts together must fit [`ROOM`].
pub(crate) const MAX_HANDSHAKE_DATAGRAM: usize = 2048;
/// Room for the longest certificate that a handshake can bring. (`dimpl` panics if it is too small.)
const ROOM: usize = 1 << 16;
/// Payloads held back until the peer's fingerprint is known: an SCTP association's setup, and the first messages.
const MAX_HELD: usize = 32;
/// And their bytes.
const MAX_HELD_BYTES: usize = 32 * 1024;
/// Handshake datagrams that wait to be written. A flight has at most about ten; the oldest go first.
const MAX_OUTBOX: usize = 64;
/// An alert in the clear may be forged, so it ends a handshake only if that has not ended by itself after this time.
const ALERT_PATIENCE: Duration = Duration::from_secs(3);

/// Alert descriptions. RFC 8446 section 6.2.
const HANDSHAKE_FAILURE: u8 = 40;
const BAD_CERTIFICATE: u8 = 42;

/// What waits to be taken.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// Datagrams of handshake flights, alerts and the like, the next first.
    pub outbox: VecDeque<Vec<u8>>,
    /// Payloads that came before the peer was known.
    pub held: VecDeque<Vec<u8>>,
    pub held_bytes: usize,
    pub events: VecDeque<Event>,
    pub stats: Stats,
}

impl Queues {
    fn send(&mut self, packet: &[u8]) {
        if self.outbox.len() == MAX_OUTBOX {
            self.outbox.pop_front();
        }
        self.outbox.push_back(packet.to_vec());
    }

    fn hold(&mut self, payload: &[u8]) {
        if self.held.len() == MAX_HELD || self.held_bytes + payload.len() > MAX_HELD_BYTES {
            self.stats.payloads_dropped += 1;
            return;
        }
        self.held_bytes += payload.len();
        self.held.push_back(payload.to_vec());
    }

    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
        self.held_bytes = 0;
    }
}

/// Where payloads go; nowhere, if they are to be held back.
pub(crate) type Deliver<'a> = Option<&'a mut dyn FnMut(&[u8])>;

/// What the session is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub config: &'a Config,
    pub fingerprints: &'a [Fingerprint],
}

/// What a step came to, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes on.
    Goes,
    /// The peer has closed the connection.
    Closed,
}

pub(crate) struct Session {
    pub engine: Engine,
    pub timeout: Option<Instant>,
    pub certificate: Option<Vec<u8>>,
    /// The certificate matches a fingerprint.
    verified: bool,
    /// The engine's handshake is done: the peer has proved that the certificate is its own.
    established: bool,
    /// Both, and `Event::Connected` has been told.
    pub connected: Option<Version>,
    srtp: Option<SrtpKeys>,
    /// A fatal alert in the clear, and when it is to be believed.
    alert: Option<(u8, Instant)>,
}

impl Session {
    pub(crate) fn new(config: &Config, random: &mut Random, now: Instant, role: Role) -> Result<Self, Failure> {
        Ok(Self {
            engine: Engine::new(config, random, now, role)?,
            timeout: None,
            certificate: None,
            verified: false,
            established: false,
            connected: None,
            srtp: None,
            alert: None,
        })
    }

    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        known: Known<'_>,
        queues: &mut Queues,
        deliver: Deliver<'_>,
    ) -> Result<Turn, Failure> {
        let screened = screen(datagram, self.engine.version());
        queues.stats.screened += screened.dropped;
        if let (Some(alert), false) = (screened.alert, self.established) {
            self.alert.get_or_insert((alert, now + ALERT_PATIENCE));
            self.timeout = self.due(self.timeout);
        }
        let records = datagram.get(..screened.len).unwrap_or_default();
        if records.is_empty() {
            return Ok(Turn::Goes);
        }
        if !self.established && records.len() > MAX_HANDSHAKE_DATAGRAM {
            queues.stats.datagrams_dropped += 1;
            return Ok(Turn::Goes);
        }
        self.engine.handle_timeout(now)?;
        if !self.engine.handle_packet(records)? {
            queues.stats.datagrams_dropped += 1;
        }
        // A payload is shorter than the datagram that brought it, so there is room for it where that was.
        self.drain(datagram, known, queues, deliver)
    }

    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        known: Known<'_>,
        queues: &mut Queues,
    ) -> Result<Turn, Failure> {
        if let Some((alert, _)) = self.alert.filter(|(_, believed)| *believed <= now) {
            return Err(Failure::Alert(alert));
        }
        self.engine.handle_timeout(now)?;
        self.drain(&mut [], known, queues, None)
    }

    /// Takes what the engine has to give until it has nothing more. `room` is for payloads.
    fn drain(
        &mut self,
        room: &mut [u8],
        known: Known<'_>,
        queues: &mut Queues,
        mut deliver: Deliver<'_>,
    ) -> Result<Turn, Failure> {
        let mut turn = Turn::Goes;
        // Certificates need room of their own; else this is empty, and made only if something does not fit `room`.
        let mut large = if self.established { Vec::new() } else { vec![0; ROOM] };
        loop {
            let buffer = if large.is_empty() { &mut *room } else { &mut large };
            match self.engine.poll(buffer)? {
                Output::Packet(packet) => queues.send(packet),
                Output::ApplicationData(payload) => match &mut deliver {
                    Some(deliver) if self.connected.is_some() && queues.held.is_empty() => {
                        queues.stats.payloads_received += 1;
                        deliver(payload);
                    }
                    _ => queues.hold(payload),
                },
                Output::BufferTooSmall { needed } => large = vec![0; needed.max(large.len() + 1)],
                Output::PeerCert(certificate) => {
                    self.certificate = Some(certificate.to_vec());
                    self.check(known, queues)?;
                }
                Output::KeyingMaterial(material, profile) => {
                    self.srtp = srtp_profile(profile).and_then(|profile| SrtpKeys::cut(profile, &material));
                }
                Output::Connected => {
                    if self.certificate.is_none() {
                        return Err(Failure::NoCertificate);
                    }
                    self.established = true;
                    self.alert = None;
                }
                // Both versions: answer in kind. RFC 5246 section 7.2.1.
                Output::CloseNotify => {
                    turn = Turn::Closed;
                    self.engine.close()?;
                }
                Output::Timeout(deadline) => {
                    self.timeout = self.due(self.engine.clock.deadline(deadline));
                    break;
                }
                _ => {}
            }
        }
        self.announce(queues);
        Ok(turn)
    }

    /// The earlier of the engine's deadline and ours.
    fn due(&self, timeout: Option<Instant>) -> Option<Instant> {
        let alert = self.alert.map(|(_, believed)| believed);
        timeout.into_iter().chain(alert).min()
    }

    /// Whether the peer's certificate, if it has shown one, is one that the signalling, if it has, spoke of.
    pub(crate) fn check(&mut self, known: Known<'_>, queues: &mut Queues) -> Result<(), Failure> {
        let Some(certificate) = self.certificate.as_ref().filter(|_| !known.fingerprints.is_empty()) else {
            return Ok(());
        };
        self.verified = fingerprint::matches(known.config.provider, certificate, known.fingerprints);
        if !self.verified {
            return Err(Failure::FingerprintMismatch);
        }
        self.announce(queues);
        Ok(())
    }

    /// Tells of the connection, once, when the proof and the fingerprint are there.
    fn announce(&mut self, queues: &mut Queues) {
        if let (true, true, None, Some(version)) =
            (self.established, self.verified, self.connected, self.engine.version())
        {
            self.connected = Some(version);
            queues.events.push_back(Event::Connected { version, srtp: self.srtp.take() });
        }
    }

    /// Seals what lies in `payload` of `segment`. The engine's queue is empty whenever we are not in it, so what it
    /// gives is this record.
    pub(crate) fn seal(
        &mut self,
        segment: &mut [u8],
        payload: std::ops::Range<usize>,
    ) -> Result<Option<usize>, Failure> {
        let Some(payload) = segment.get(payload) else {
            return Ok(None);
        };
        self.engine.send(payload)?;
        match self.engine.poll(segment)? {
            Output::Packet(record) => Ok(Some(record.len())),
            Output::BufferTooSmall { needed } => {
                // Not as long as `Dtls::overhead` is right. If it ever were wrong, the record is lost, and no more.
                let _ = self.engine.poll(&mut vec![0; needed])?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Tells the peer that this is the end, if it would believe us.
    pub(crate) fn say_goodbye(&mut self, now: Option<Instant>, queues: &mut Queues) {
        if !self.established {
            return;
        }
        // Whatever goes wrong now, it is over.
        let _ = now.map(|now| self.engine.handle_timeout(now));
        let _ = self.engine.close();
        let mut buffer = vec![0; ROOM];
        while let Ok(output) = self.engine.poll(&mut buffer) {
            match output {
                Output::Packet(packet) => queues.send(packet),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
    }

    /// Tells the peer that we failed, if that is news.
    pub(crate) fn complain(mut self, failure: &Failure, queues: &mut Queues) {
        if self.established {
            return self.say_goodbye(None, queues);
        }
        queues.outbox.clear();
        let description = match failure {
            Failure::FingerprintMismatch | Failure::NoCertificate => BAD_CERTIFICATE,
            Failure::Protocol(_) => HANDSHAKE_FAILURE,
            Failure::TimedOut | Failure::Alert(_) => return,
        };
        queues.send(&plaintext_alert(description));
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { engine, timeout, verified, established, .. } = self;
        f.debug_struct("Session")
            .field("engine", engine)
            .field("timeout", timeout)
            .field("verified", verified)
            .field("established", established)
            .finish_non_exhaustive()
    }
}

fn srtp_profile(profile: dimpl::SrtpProfile) -> Option<SrtpProfile> {
    match profile {
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmHmacSha1_80),
        _ => None,
    }
}
