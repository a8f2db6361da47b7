//! Offer and answer (JSEP, RFC 9429), without the transports.
//!
//! [`Negotiation`] is the state machine of webrtc-pc section 4.4.1: which descriptions are current and pending, which
//! sections (m-lines) they have, and what both sides agreed on. It does no networking: the connection hands it our side
//! of the transport to be [written](write) down, and takes from it an [`Agreement`] whenever one is reached. Nothing of a
//! remote offer touches the transports before the answer to it is applied, so that a rollback has nothing to undo there.
//! (A provisional answer counts: role and fingerprints stay as it fixed them.)
//!
//! This file has the state and what can be asked of it; `apply` has the transitions, `create` what we would say, `section` and
//! `remote` what the peer said, `transceivers` and `lines` whose m-line is whose and how its packets look, `codecs` the
//! numbers in them.
//!
//! ```text
//!                 local offer                         remote offer
//!   have-local-offer <----- stable -----> have-remote-offer
//!          |   remote pranswer  ^   local pranswer |
//!          v                    |                  v
//!   have-remote-pranswer --- answer --- have-local-pranswer
//! ```

mod apply;
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
    /// Data channels that were offered or there were rejected; their association can't begin again.
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

    /// Whether data channels that were offered, or there, were rejected.
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
        let Applied { description, sections, .. } = self.local()?;
        let index = section::carrier(description, sections)?;
        Some((sections.get(index)?.mid.clone(), index as u16))
    }

    /// Which description `set_local_description` without one makes. webrtc-pc section 4.4.2.
    pub fn implicit_kind(&self) -> SdpType {
        match self.state {
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer => SdpType::Answer,
            _ => SdpType::Offer,
        }
    }
}
