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
mod codecs;
mod create;
mod lines;
mod remote;
mod section;
mod transceivers;
mod types;
mod write;

use std::collections::VecDeque;

use wigwag_dtls::Fingerprint;
use wigwag_ice::Credentials;
use wigwag_proto::Random;
use wigwag_sdp::Setup;

use crate::state::SignalingState;
use crate::transceiver::TransceiverId;
pub(crate) use candidates::CandidateFor;
pub use codecs::default_codecs;
pub(crate) use remote::RemoteTransport;
use section::Section;
pub(crate) use transceivers::TrackChange;
use transceivers::Transceivers;
pub use types::{CandidateError, DescriptionError, IceCandidate, SdpType, SessionDescription};
pub(crate) use write::LocalTransport;

/// Who starts DTLS. RFC 8842.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    Client,
    Server,
}

/// What both sides agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    /// For the transport; `None`: nothing uses it.
    pub transport: Option<AgreedTransport>,
    /// For each transceiver that has, or had, an m-line: how its packets look; `None`: there will be no more.
    pub lines: Vec<(TransceiverId, Option<wigwag_media::LineConfig>)>,
}

/// What both sides agreed on for the transport.
#[derive(Clone, Debug)]
pub(crate) struct AgreedTransport {
    pub remote: RemoteTransport,
    pub role: DtlsRole,
    /// Whether the first offer was ours: who offers, controls. RFC 8445 section 6.1.1.
    pub offerer: bool,
    /// Our credentials of this generation, if they are new.
    pub restart: Option<Credentials>,
}

/// A description that was applied.
#[derive(Clone, Debug)]
struct Applied {
    kind: SdpType,
    description: wigwag_sdp::SessionDescription,
    sections: Vec<Section>,
    /// What it says of the transport, if anything uses it: only of remote ones.
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
    transceivers: Transceivers,
    /// Tracks that the peer began or ceased to send, not told yet.
    changes: VecDeque<TrackChange>,
    /// Our name in RTCP: no address and no user in it. RFC 7022.
    cname: String,
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
    pub fn new(session_id: u64, cname: String) -> Self {
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
            transceivers: Transceivers::default(),
            changes: VecDeque::new(),
            cname,
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
        let has_data = self.sections.iter().any(Section::is_data);
        let local = self.current_local.as_ref().map(|applied| (applied.kind, applied.sections.as_slice()));
        let remote = self.current_remote.as_ref().map(|applied| applied.sections.as_slice());
        let is_needed = self.wants_data && !has_data || self.restart.is_some();
        self.state == SignalingState::Stable && (is_needed || self.transceivers.need_negotiation(local, remote))
    }

    /// Whether the data channels that were wanted, or there, were rejected.
    pub fn has_rejected_data(&self) -> bool {
        self.rejected_data
    }

    /// Our credentials in the description that is pending or current, if anything in it uses the transport.
    pub fn local_credentials(&self) -> Option<&Credentials> {
        let applied = self.local().filter(|applied| applied.sections.iter().any(Section::is_used))?;
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
    pub fn transport_section(&self) -> Option<(Option<String>, u16)> {
        let sections = &self.local()?.sections;
        let index = sections.iter().position(Section::is_used)?;
        Some((sections.get(index)?.mid.clone(), index as u16))
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
        if !is_answer {
            self.transceivers.place_local(&applied.sections);
        }
        self.pending_local = Some(applied);
        self.state = next;
        Ok(is_answer.then(|| self.agree()).flatten())
    }

    /// Applies a description of the peer's. RFC 9429 section 5.10.
    pub fn set_remote(
        &mut self,
        given: &SessionDescription,
        random: &mut Random,
    ) -> Result<Option<Agreement>, DescriptionError> {
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
        section::check(&description)?;
        let mut sections = self.sections_of(given.kind, &description)?;
        let remote = RemoteTransport::of(&description, &sections)?;
        self.check_unchanged(remote.as_ref())?;
        if given.kind == SdpType::Offer && self.state == State::HaveLocalOffer {
            self.roll_back();
        }
        match given.kind {
            SdpType::Offer => self.transceivers.place_offer(&mut sections, random),
            _ => self.place_answer(&mut sections),
        }
        self.changes.extend(self.transceivers.hear(&sections));
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
        let sections = section::read(description);
        if sections.len() < before.len() || kind != SdpType::Offer && sections.len() > before.len() {
            let (got, expected) = (sections.len(), before.len());
            return Err(DescriptionError::Invalid(format!(
                "it has {got} media sections where {expected} are expected"
            )));
        }
        for (before, now) in before.iter().zip(&sections) {
            // What was rejected or stopped may be offered again as something else. RFC 3264 section 8.2.
            let is_other = before.media != now.media && (before.is_used() || kind != SdpType::Offer);
            if is_other || before.is_used() && now.is_used() && before.mid != now.mid && now.mid.is_some() {
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

    /// The peer's answer to our offer: each section is that of the same transceiver.
    fn place_answer(&self, sections: &mut [Section]) {
        let Some(offer) = &self.pending_local else { return };
        for (section, offered) in sections.iter_mut().zip(&offer.sections) {
            match (section.as_media_mut(), offered.as_media()) {
                (Some(media), Some(offered)) => media.transceiver = offered.transceiver,
                // It was not offered, so it can't be accepted.
                (Some(_), None) => section.usage = section::Usage::Nothing,
                (None, _) => {}
            }
        }
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
        let lines = self.agreed_lines(&local.sections, &remote.sections);
        self.changes.extend(self.transceivers.agree(&local.sections, &remote.sections, is_final));
        if is_final {
            let answer = if offerer { &remote } else { &local };
            // What the answer left out stays out, in its place.
            let had_data = self.wants_data || self.sections.iter().any(Section::is_data);
            self.sections = answer.sections.clone();
            self.rejected_data = had_data && !self.sections.iter().any(Section::is_data);
            self.wants_data &= !self.rejected_data;
            (self.current_local, self.current_remote) = (self.pending_local.take(), self.pending_remote.take());
            self.restart = self.restart.take().filter(|wanted| local.credentials.as_ref() != Some(wanted));
        }
        let is_used =
            local.sections.iter().zip(&remote.sections).any(|(ours, theirs)| ours.is_used() && theirs.is_used());
        let Some(remote) = remote.remote.filter(|_| is_used) else {
            return Some(Agreement { transport: None, lines });
        };
        self.role = Some(role);
        self.fingerprints = remote.fingerprints.clone();
        let offerer = *self.offerer.get_or_insert(offerer);
        let restart = local.credentials.filter(|_| changed);
        Some(Agreement { transport: Some(AgreedTransport { remote, role, offerer, restart }), lines })
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
        let before = self.current_remote.as_ref().map(|applied| applied.sections.as_slice());
        self.changes.extend(self.transceivers.roll_back(before));
        self.state = SignalingState::Stable;
    }
}
