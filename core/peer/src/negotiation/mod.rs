//! Offer and answer (JSEP, RFC 9429), without the transports.
//!
//! [`Negotiation`] is the state machine of webrtc-pc section 4.4.1: which descriptions are current and pending, which
//! sections (m-lines) they have, and what both sides agreed on. It does no networking: the connection hands it our side
//! of the transport to be [written](write) down, and takes from it an [`Agreement`] whenever one is reached. Nothing of a
//! remote offer touches the transports before the answer to it is applied, so that a rollback has nothing to undo there.
//! (A provisional answer counts: role and fingerprints stay as it fixed them.)
//!
//! ```text
//!                 local offer                         remote offer
//!   have-local-offer <----- stable -----> have-remote-offer
//!          |   remote pranswer  ^   local pranswer |
//!          v                    |                  v
//!   have-remote-pranswer --- answer --- have-local-pranswer
//! ```

mod candidates;
mod remote;
mod types;
mod write;

use wigwag_dtls::Fingerprint;
use wigwag_ice::Credentials;
use wigwag_sdp::Setup;

use crate::state::SignalingState;
pub(crate) use candidates::CandidateFor;
pub(crate) use remote::RemoteTransport;
pub use types::{CandidateError, DescriptionError, IceCandidate, SdpType, SessionDescription};
pub(crate) use write::LocalTransport;

/// Who starts DTLS. RFC 8842.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    Client,
    Server,
}

/// What both sides agreed on, for the transports.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    pub remote: RemoteTransport,
    pub role: DtlsRole,
    /// Whether the first offer was ours: who offers, controls. RFC 8445 section 6.1.1.
    pub offerer: bool,
    /// Our credentials of this generation, if they are new.
    pub restart: Option<Credentials>,
}

/// One m-line, in its place for ever.
#[derive(Clone, Debug)]
struct Section {
    mid: Option<String>,
    /// `application` or what we do not take: `audio`, `video`, ...
    media: String,
    protocol: String,
    formats: Vec<String>,
    /// Whether it is the one that carries data channels.
    is_data: bool,
    /// The peer's `a=ice-ufrag` of it.
    ufrag: Option<String>,
}

/// A description that was applied.
#[derive(Clone, Debug)]
struct Applied {
    kind: SdpType,
    description: wigwag_sdp::SessionDescription,
    sections: Vec<Section>,
    /// What it says of the transport, if it has data channels: only of remote ones.
    remote: Option<RemoteTransport>,
    /// Our credentials in it: only of local ones.
    credentials: Option<Credentials>,
}

/// A local description that was created and not yet applied.
#[derive(Clone, Debug)]
struct Created {
    text: String,
    applied: Applied,
}

/// Offer and answer, for one connection.
#[derive(Debug)]
pub(crate) struct Negotiation {
    state: SignalingState,
    session_id: u64,
    session_version: u64,
    current_local: Option<Applied>,
    current_remote: Option<Applied>,
    pending_local: Option<Applied>,
    pending_remote: Option<Applied>,
    created: Option<Created>,
    sections: Vec<Section>,
    /// Whether data channels are wanted, though no description has them yet.
    wants_data: bool,
    /// The last answer rejected the data channels that were wanted, or there.
    rejected_data: bool,
    /// The role that DTLS has, once agreed; it stays.
    role: Option<DtlsRole>,
    /// Whether the first agreement came from an offer of ours.
    offerer: Option<bool>,
    /// The fingerprints that DTLS was started with; it stays.
    fingerprints: Vec<Fingerprint>,
    /// An ICE restart is wanted: the credentials that the next offer has.
    restart: Option<Credentials>,
}

impl Negotiation {
    pub fn new(session_id: u64) -> Self {
        Self {
            state: SignalingState::Stable,
            // RFC 9429 section 5.2.1: 63 bits, so that it is positive for everybody.
            session_id: session_id >> 1,
            session_version: 0,
            current_local: None,
            current_remote: None,
            pending_local: None,
            pending_remote: None,
            created: None,
            sections: Vec::new(),
            wants_data: false,
            rejected_data: false,
            role: None,
            offerer: None,
            fingerprints: Vec::new(),
            restart: None,
        }
    }

    pub fn state(&self) -> SignalingState {
        self.state
    }

    pub fn close(&mut self) {
        self.state = SignalingState::Closed;
    }

    /// Data channels are wanted from now on.
    pub fn want_data(&mut self) {
        self.wants_data = true;
    }

    /// The next offer has these credentials.
    pub fn want_restart(&mut self, credentials: Credentials) {
        self.restart = Some(credentials);
    }

    /// Whether an offer should be made. webrtc-pc section 4.7.3.
    pub fn is_needed(&self) -> bool {
        let has_data = self.sections.iter().any(|section| section.is_data);
        self.state == SignalingState::Stable && (self.wants_data && !has_data || self.restart.is_some())
    }

    /// Whether the data channels that were wanted, or there, were rejected.
    pub fn has_rejected_data(&self) -> bool {
        self.rejected_data
    }

    /// Our credentials in the description that is pending or current, if it has data channels.
    pub fn local_credentials(&self) -> Option<&Credentials> {
        let applied = self.local().filter(|applied| applied.sections.iter().any(|section| section.is_data))?;
        applied.credentials.as_ref()
    }

    /// Whether a description of ours was ever applied: gathering starts with it.
    pub fn has_local(&self) -> bool {
        self.local().is_some()
    }

    fn local(&self) -> Option<&Applied> {
        self.pending_local.as_ref().or(self.current_local.as_ref())
    }

    fn remote(&self) -> Option<&Applied> {
        self.pending_remote.as_ref().or(self.current_remote.as_ref())
    }

    fn wrong_state(&self, what: &'static str) -> DescriptionError {
        DescriptionError::WrongState { what, state: self.state }
    }

    /// Our description as it is now: pending or current, with the candidates that `transport` knows.
    pub fn local_description(&self, transport: &LocalTransport) -> Option<SessionDescription> {
        let applied = self.local()?;
        let sdp = write::with_candidates(&applied.description, &applied.sections, transport);
        Some(SessionDescription { kind: applied.kind, sdp })
    }

    /// The peer's description, pending or current.
    pub fn remote_description(&self) -> Option<SessionDescription> {
        let applied = self.remote()?;
        Some(SessionDescription { kind: applied.kind, sdp: applied.description.to_string() })
    }

    /// Where a candidate of ours belongs: `mid` and place of the section that has the transport.
    pub fn data_section(&self) -> Option<(Option<String>, u16)> {
        let sections = &self.local()?.sections;
        let index = sections.iter().position(|section| section.is_data)?;
        Some((sections.get(index)?.mid.clone(), index as u16))
    }

    /// Makes an offer; nothing changes by it. RFC 9429 section 5.2.
    pub fn create_offer(&mut self, transport: &LocalTransport) -> Result<SessionDescription, DescriptionError> {
        if !matches!(self.state, SignalingState::Stable | SignalingState::HaveLocalOffer) {
            return Err(self.wrong_state("create_offer"));
        }
        let mut sections = self.sections.clone();
        if self.wants_data && !sections.iter().any(|section| section.is_data) {
            sections.push(Section {
                mid: Some(free_mid(&sections)),
                media: "application".to_owned(),
                protocol: "UDP/DTLS/SCTP".to_owned(),
                formats: vec!["webrtc-datachannel".to_owned()],
                is_data: true,
                ufrag: None,
            });
        }
        let mut transport = transport.clone();
        if let Some(restart) = &self.restart {
            transport.restart(restart.clone());
        }
        Ok(self.create(SdpType::Offer, sections, &transport, Setup::ActPass))
    }

    /// Makes an answer to the offer that is pending; nothing changes by it. RFC 9429 section 5.3.
    pub fn create_answer(
        &mut self,
        transport: &LocalTransport,
        fresh: impl FnOnce() -> Credentials,
    ) -> Result<SessionDescription, DescriptionError> {
        if !matches!(self.state, SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer) {
            return Err(self.wrong_state("create_answer"));
        }
        let Some(offer) = &self.pending_remote else {
            return Err(self.wrong_state("create_answer"));
        };
        let sections = offer.sections.clone();
        let role = self.answering_role(offer.remote.as_ref());
        let mut transport = transport.clone();
        if self.is_restart(offer) {
            // A restart by the peer asks for credentials of ours that are new too. RFC 8445 section 9.
            transport.restart(self.restart.clone().unwrap_or_else(fresh));
        }
        let setup = if role == DtlsRole::Client { Setup::Active } else { Setup::Passive };
        Ok(self.create(SdpType::Answer, sections, &transport, setup))
    }

    /// Passive where the offer leaves the choice: the offerer's first flight then comes with its ICE checks, and the
    /// peers save half a round trip.
    fn answering_role(&self, remote: Option<&RemoteTransport>) -> DtlsRole {
        self.role.unwrap_or(match remote.and_then(|remote| remote.setup) {
            Some(Setup::Passive) => DtlsRole::Client,
            _ => DtlsRole::Server,
        })
    }

    /// Whether `offer` has other credentials than the agreement before it.
    fn is_restart(&self, offer: &Applied) -> bool {
        let before = self.current_remote.as_ref().and_then(|applied| applied.remote.as_ref());
        match (before, &offer.remote) {
            (Some(before), Some(now)) => before.credentials != now.credentials,
            _ => false,
        }
    }

    fn create(
        &mut self,
        kind: SdpType,
        sections: Vec<Section>,
        transport: &LocalTransport,
        setup: Setup,
    ) -> SessionDescription {
        let has_groups = match (kind, &self.pending_remote) {
            (SdpType::Offer, _) | (_, None) => true,
            (_, Some(offer)) => offer.description.bundle_groups().next().is_some(),
        };
        let origin = (self.session_id, self.session_version + 1);
        let description = write::description(origin, &sections, transport, setup, has_groups);
        let text = write::with_candidates(&description, &sections, transport);
        let credentials = Some(transport.credentials.clone());
        let applied = Applied { kind, description, sections, remote: None, credentials };
        self.created = Some(Created { text: text.clone(), applied });
        SessionDescription { kind, sdp: text }
    }

    /// Which description `set_local_description` without one makes. webrtc-pc section 4.4.2.
    pub fn implicit_kind(&self) -> SdpType {
        match self.state {
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer => SdpType::Answer,
            _ => SdpType::Offer,
        }
    }

    /// Applies a description of ours. RFC 9429 section 5.9.
    pub fn set_local(&mut self, given: &SessionDescription) -> Result<Option<Agreement>, DescriptionError> {
        use SignalingState as State;
        let next = match (given.kind, self.state) {
            (SdpType::Rollback, State::HaveLocalOffer | State::HaveRemoteOffer) => {
                self.roll_back();
                return Ok(None);
            }
            (SdpType::Offer, State::Stable | State::HaveLocalOffer) => State::HaveLocalOffer,
            (SdpType::Answer, State::HaveRemoteOffer | State::HaveLocalPranswer) => State::Stable,
            (SdpType::Pranswer, State::HaveRemoteOffer | State::HaveLocalPranswer) => State::HaveLocalPranswer,
            _ => return Err(self.wrong_state("this local description")),
        };
        let is_answer = given.kind != SdpType::Offer;
        // Taken only if it fits: an error leaves everything as it was.
        let fits = |created: &Created| {
            (created.applied.kind != SdpType::Offer) == is_answer && (given.sdp.is_empty() || created.text == given.sdp)
        };
        let Some(Created { mut applied, .. }) = self.created.take_if(|created| fits(created)) else {
            return Err(DescriptionError::Modified);
        };
        applied.kind = given.kind;
        self.session_version += 1;
        self.pending_local = Some(applied);
        self.state = next;
        Ok(is_answer.then(|| self.agree()).flatten())
    }

    /// Applies a description of the peer's. RFC 9429 section 5.10.
    pub fn set_remote(&mut self, given: &SessionDescription) -> Result<Option<Agreement>, DescriptionError> {
        use SignalingState as State;
        let next = match (given.kind, self.state) {
            (SdpType::Rollback, State::HaveLocalOffer | State::HaveRemoteOffer) => {
                self.roll_back();
                return Ok(None);
            }
            // With an offer of our own pending, the peer's rolls it back: perfect negotiation. webrtc-pc 4.4.1.5.
            (SdpType::Offer, State::Stable | State::HaveRemoteOffer | State::HaveLocalOffer) => State::HaveRemoteOffer,
            (SdpType::Answer, State::HaveLocalOffer | State::HaveRemotePranswer) => State::Stable,
            (SdpType::Pranswer, State::HaveLocalOffer | State::HaveRemotePranswer) => State::HaveRemotePranswer,
            _ => return Err(self.wrong_state("this remote description")),
        };
        let description = wigwag_sdp::SessionDescription::parse(&given.sdp)?;
        let sections = self.sections_of(given.kind, &description)?;
        let remote = RemoteTransport::of(&description, &sections)?;
        self.check_unchanged(remote.as_ref())?;
        if given.kind == SdpType::Offer && self.state == State::HaveLocalOffer {
            self.roll_back();
        }
        self.pending_remote = Some(Applied { kind: given.kind, description, sections, remote, credentials: None });
        self.created = None;
        self.state = next;
        Ok((given.kind != SdpType::Offer).then(|| self.agree()).flatten())
    }

    /// The m-lines of a remote description, which must be those that are there, in their places.
    fn sections_of(
        &self,
        kind: SdpType,
        description: &wigwag_sdp::SessionDescription,
    ) -> Result<Vec<Section>, DescriptionError> {
        let before = match kind {
            SdpType::Offer => &self.sections,
            _ => self.pending_local.as_ref().map_or(&self.sections, |offer| &offer.sections),
        };
        let sections = remote::sections(description);
        if sections.len() < before.len() || kind != SdpType::Offer && sections.len() > before.len() {
            let (got, expected) = (sections.len(), before.len());
            return Err(DescriptionError::Invalid(format!(
                "it has {got} media sections where {expected} are expected"
            )));
        }
        for (before, now) in before.iter().zip(&sections) {
            // What was rejected or stopped may be offered again as something else. RFC 3264 section 8.2.
            let is_other = before.media != now.media && (before.is_data || kind != SdpType::Offer);
            if is_other || before.is_data && now.is_data && before.mid != now.mid && now.mid.is_some() {
                let (was, is) = (&before.media, &now.media);
                return Err(DescriptionError::Invalid(format!("a media section changed its kind or mid: {was}, {is}")));
            }
        }
        Ok(sections)
    }

    /// A new fingerprint would want a new DTLS association. RFC 8842 section 5.5.
    fn check_unchanged(&self, remote: Option<&RemoteTransport>) -> Result<(), DescriptionError> {
        let Some(remote) = remote.filter(|_| !self.fingerprints.is_empty()) else {
            return Ok(());
        };
        let same = |fingerprint| self.fingerprints.contains(fingerprint);
        if remote.fingerprints.len() == self.fingerprints.len() && remote.fingerprints.iter().all(same) {
            return Ok(());
        }
        Err(DescriptionError::Invalid("the certificate's fingerprint changed; that takes a new connection".to_owned()))
    }

    /// Both sides have spoken: what did they agree on?
    fn agree(&mut self) -> Option<Agreement> {
        let is_final = self.state == SignalingState::Stable;
        let offerer = matches!(self.pending_local.as_ref()?.kind, SdpType::Offer);
        let role = self.agreed_role(offerer);
        let (local, remote) = (self.pending_local.clone()?, self.pending_remote.clone()?);
        let changed = match (&self.current_local, &local.credentials) {
            (Some(before), Some(now)) => before.credentials.as_ref() != Some(now),
            _ => false,
        };
        if is_final {
            let answer = if offerer { &remote } else { &local };
            // What the answer left out stays out, in its place.
            let had_data = self.wants_data || self.sections.iter().any(|section| section.is_data);
            self.sections = answer.sections.clone();
            self.rejected_data = had_data && !self.sections.iter().any(|section| section.is_data);
            self.wants_data &= !self.rejected_data;
            (self.current_local, self.current_remote) = (self.pending_local.take(), self.pending_remote.take());
            self.restart = self.restart.take().filter(|wanted| local.credentials.as_ref() != Some(wanted));
        }
        let remote = remote.remote.filter(|_| local.sections.iter().any(|section| section.is_data))?;
        self.role = Some(role);
        self.fingerprints = remote.fingerprints.clone();
        let offerer = *self.offerer.get_or_insert(offerer);
        Some(Agreement { remote, role, offerer, restart: local.credentials.filter(|_| changed) })
    }

    fn agreed_role(&self, offerer: bool) -> DtlsRole {
        let remote = self.pending_remote.as_ref().and_then(|applied| applied.remote.as_ref());
        match (self.role, offerer) {
            (Some(role), _) => role,
            (None, false) => self.answering_role(remote),
            // The answer decided; one that does not say is active. RFC 8842 section 5.3, RFC 4145 section 4.
            (None, true) => match remote.and_then(|remote| remote.setup) {
                Some(Setup::Passive) => DtlsRole::Client,
                _ => DtlsRole::Server,
            },
        }
    }

    fn roll_back(&mut self) {
        (self.pending_local, self.pending_remote, self.created) = (None, None, None);
        self.state = SignalingState::Stable;
    }
}

/// The smallest number that no section has as its `mid`.
fn free_mid(sections: &[Section]) -> String {
    let is_free = |mid: &String| sections.iter().all(|section| section.mid.as_ref() != Some(mid));
    (0_usize..).map(|n| n.to_string()).find(is_free).unwrap_or_default()
}
