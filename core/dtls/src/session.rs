//! The handshake and the connection: records in, timers, and what follows from both.
//!
//! ```text
//! datagram ─► records ─┬─ application data ─► deliver, or hold back until the fingerprint is known
//!                      ├─ handshake ────────► reassembly ─► handshake::step ─► flight
//!                      ├─ ACK ──────────────► flight
//!                      ├─ alert ────────────► the end
//!                      └─ no key yet ───────► kept, and opened again once there is one
//! ```
//!
//! Records in the clear could come from anybody. Of those only handshake messages count, and only until the handshake
//! is done; an alert in the clear ends a handshake that does not go on by itself. Whatever is handed to the caller came
//! under keys whose handshake is finished, from a peer whose certificate has a known fingerprint.

mod input;

use std::time::Duration;

use wigwag_proto::{Instant, Overhead, Random, random};

use crate::alert::*;
use crate::config::{Config, Role, Version};
use crate::event::{Event, Failure};
use crate::fingerprint::{self, Fingerprint};
use crate::handshake::{Core, Flight, Reassembly, State, step};
use crate::queues::Queues;
use crate::record::{ACK, ALERT, APPLICATION_DATA, RecordNumber};
use crate::wire::message::write_ack;

/// A longer datagram that comes before the start is no hello.
pub(crate) const MAX_EARLY_DATAGRAM: usize = 2048;
/// An alert in the clear may be forged, so it ends a handshake only if that has not ended by itself after this time.
const ALERT_PATIENCE: Duration = Duration::from_secs(3);

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

/// See [the module](self).
pub(crate) struct Session {
    core: Core,
    state: State,
    reassembly: Reassembly,
    /// The latest time that was heard of.
    now: Instant,
    retransmission_timeout: Duration,
    handshake_timeout: Duration,
    records_per_key: u64,
    /// The handshake must be done by then.
    handshake_deadline: Option<Instant>,
    /// Records of the peer's present flight, to be acknowledged. DTLS 1.3.
    to_acknowledge: Vec<RecordNumber>,
    /// When to do that, if the flight is not complete by then.
    acknowledge_at: Option<Instant>,
    /// The peer has sent the end of its last flight again.
    repeated: bool,
    /// Records that came before their keys.
    early: Vec<Vec<u8>>,
    /// The epoch that could be read when they came, and whether the handshake was done.
    early_since: (u64, bool),
    /// The certificate matches a fingerprint.
    verified: bool,
    /// Both, and `Event::Connected` has been told.
    pub connected: Option<Version>,
    /// A fatal alert in the clear, and when it is to be believed.
    alert: Option<(u8, Instant)>,
    /// What to tell the peer if this fails.
    complaint: Option<u8>,
}

impl Session {
    pub(crate) fn new(config: &Config, source: &mut Random, now: Instant, role: Role) -> Result<Self, Failure> {
        /// The bounds of what makes sense.
        const TIMEOUTS: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(3600)];
        let [least, most] = TIMEOUTS;
        let retransmission_timeout = config.retransmission_timeout.clamp(least, most);
        let handshake_timeout = config.handshake_timeout.clamp(least, most);
        let flight = Flight::new(config.mtu.clamp(256, 65_507), retransmission_timeout);
        let mut core = Core::new(config, random::fork(source), flight);
        let state = core.begin(role).map_err(|abort| abort.failure)?;
        Ok(Self {
            core,
            state,
            reassembly: Reassembly::default(),
            now,
            retransmission_timeout,
            handshake_timeout,
            records_per_key: config.records_per_key.max(1),
            // A server waits for its client as long as it takes.
            handshake_deadline: (role == Role::Client).then(|| now + handshake_timeout),
            to_acknowledge: Vec::new(),
            acknowledge_at: None,
            repeated: false,
            early: Vec::new(),
            early_since: (0, false),
            verified: false,
            connected: None,
            alert: None,
            complaint: None,
        })
    }

    /// The version, once it is negotiated.
    pub(crate) fn version(&self) -> Option<Version> {
        self.core.version
    }

    pub(crate) fn set_retransmission_timeout(&mut self, timeout: Duration) {
        self.retransmission_timeout = timeout;
        self.core.flight.set_initial_timeout(timeout);
    }

    /// What a record puts around a payload, once there are keys for it.
    pub(crate) fn overhead(&self) -> Option<Overhead> {
        let (prefix, suffix) = self.core.records.present_overhead().filter(|_| self.is_established())?;
        Some(Overhead { prefix, suffix })
    }

    pub(crate) fn remote_certificate(&self) -> Option<&[u8]> {
        self.core.remote_certificate.as_deref()
    }

    /// The handshake is done: the peer has proved that the certificate is its own.
    fn is_established(&self) -> bool {
        self.state.is_connected()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let alert = self.alert.map(|(_, believed)| believed);
        [self.core.flight.deadline(), self.acknowledge_at, self.handshake_deadline, alert]
            .into_iter()
            .flatten()
            .min()
            .filter(|deadline| *deadline < Instant::NEVER)
    }

    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        known: Known<'_>,
        queues: &mut Queues,
    ) -> Result<Turn, Failure> {
        self.now = self.now.max(now);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if let Some((alert, _)) = self.alert.filter(|(_, believed)| *believed <= now) {
            return Err(Failure::Alert(alert));
        }
        if due(self.handshake_deadline) {
            // A server that talks, but never acknowledged: it has what we sent, and its ACK is lost or was forgotten.
            if !self.is_established() || !self.core.records.has_received() {
                return Err(Failure::TimedOut);
            }
            self.core.flight.clear();
            self.handshake_deadline = None;
        }
        if due(self.core.flight.deadline()) {
            let Core { flight, records, .. } = &mut self.core;
            flight.expire(now, records, |datagram| queues.send(datagram));
        }
        if due(self.acknowledge_at) {
            self.acknowledge(queues);
        }
        // A client's first hello waits here.
        self.transmit(queues);
        self.check(known, queues)?;
        Ok(Turn::Goes)
    }

    /// Takes one step after the other, as long as the messages for them are there.
    fn advance(&mut self, known: Known<'_>, queues: &mut Queues) -> Result<(), Failure> {
        while let Some(message) = self.reassembly.pop(self.state.epoch()) {
            let was_established = self.is_established();
            let state = std::mem::replace(&mut self.state, State::Broken);
            self.state = step(&mut self.core, state, &message).map_err(|abort| {
                self.complaint = Some(abort.alert);
                abort.failure
            })?;
            self.handshake_deadline.get_or_insert(self.now + self.handshake_timeout);
            self.check(known, queues)?;
            if self.is_established() {
                self.handshake_deadline = self.handshake_deadline.filter(|_| self.awaits_acknowledgement());
                if !was_established {
                    (self.alert, self.acknowledge_at) = (None, None);
                    self.core.finish();
                    self.announce(queues);
                }
            }
            self.transmit(queues);
        }
        Ok(())
    }

    /// The client of DTLS 1.3 is not done before the server has acknowledged its last flight.
    fn awaits_acknowledgement(&self) -> bool {
        self.core.version == Some(Version::Dtls13) && !self.core.flight.is_empty() && !self.core.updating
    }

    /// Sends a flight that was not sent yet. It answers the peer's, so it acknowledges that.
    fn transmit(&mut self, queues: &mut Queues) {
        if !self.core.flight.is_unsent() {
            return;
        }
        if !self.core.updating {
            self.to_acknowledge.clear();
            self.acknowledge_at = None;
        }
        // Who has the last word in DTLS 1.2 repeats it only when asked.
        let timer = !matches!(self.state, State::Connected12);
        let Core { flight, records, .. } = &mut self.core;
        flight.transmit(self.now, records, timer, |datagram| queues.send(datagram));
    }

    /// Whether the peer's certificate, if it has shown one, is one that the signalling, if it has, spoke of.
    pub(crate) fn check(&mut self, known: Known<'_>, queues: &mut Queues) -> Result<(), Failure> {
        if self.verified {
            return Ok(());
        }
        self.judge(known, queues)
    }

    /// As [`check`](Self::check), but again even if it was found good: the fingerprints are other ones.
    pub(crate) fn judge(&mut self, known: Known<'_>, queues: &mut Queues) -> Result<(), Failure> {
        let Some(certificate) = self.remote_certificate().filter(|_| !known.fingerprints.is_empty()) else {
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
            (self.is_established(), self.verified, self.connected, self.core.version)
        {
            self.connected = Some(version);
            queues.events.push_back(Event::Connected { version, srtp: self.core.srtp.take() });
        }
    }

    /// Seals the `len` bytes after the prefix in `segment`.
    pub(crate) fn seal(
        &mut self,
        segment: &mut [u8],
        len: usize,
        queues: &mut Queues,
    ) -> Result<Option<usize>, Failure> {
        let sealed = self.core.records.seal(APPLICATION_DATA, segment, len);
        if self.core.records.sealed() >= self.records_per_key {
            self.update_keys(queues);
        }
        if sealed.is_none() && self.core.records.is_exhausted() {
            return Err(Failure::Protocol("the key has sealed as many records as it may".into()));
        }
        Ok(sealed)
    }

    /// Starts a KeyUpdate, unless something else is under way.
    fn update_keys(&mut self, queues: &mut Queues) {
        if matches!(self.state, State::Connected13) && self.core.flight.is_empty() {
            self.core.update_keys();
            self.transmit(queues);
        }
    }

    /// "Implementations SHOULD ACK as many received packets as can fit into the ACK record." RFC 9147 section 7.1.
    fn acknowledge(&mut self, queues: &mut Queues) {
        self.acknowledge_at = None;
        if self.to_acknowledge.is_empty() || self.core.records.write_epoch() == 0 {
            return; // a plaintext acknowledgement is nothing to believe
        }
        let body = write_ack(&self.to_acknowledge);
        self.to_acknowledge.clear();
        self.send_record(ACK, &body, queues);
    }

    fn send_record(&mut self, content_type: u8, body: &[u8], queues: &mut Queues) {
        let mut datagram = Vec::new();
        let epoch = self.core.records.write_epoch();
        if self.core.records.append(epoch, content_type, body, &mut datagram).is_some() {
            queues.send(&datagram);
        }
    }

    /// Tells the peer that this is the end, if it would believe us. RFC 8446 section 6.1.
    pub(crate) fn say_goodbye(&mut self, queues: &mut Queues) {
        if self.is_established() {
            self.send_record(ALERT, &[WARNING, CLOSE_NOTIFY], queues);
        }
    }

    /// Tells the peer that we failed, if that is news.
    pub(crate) fn complain(mut self, failure: &Failure, queues: &mut Queues) {
        let description = match (failure, self.complaint) {
            (Failure::Alert(_), _) => return,
            (_, Some(description)) => description,
            _ if self.is_established() => return self.say_goodbye(queues),
            (Failure::FingerprintMismatch | Failure::NoCertificate, _) => BAD_CERTIFICATE,
            (Failure::Protocol(_), _) => HANDSHAKE_FAILURE,
            (Failure::TimedOut, _) => {
                queues.outbox.clear();
                return;
            }
        };
        queues.outbox.clear();
        self.send_record(ALERT, &[FATAL, description], queues);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state.tag())
            .field("version", &self.core.version)
            .field("timeout", &self.poll_timeout())
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}
