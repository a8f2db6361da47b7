//! Descriptions put in force: the transitions of the state machine, and what is agreed on with them.
//!
//! Whatever can be wrong with a description is looked for before anything changes: an error leaves everything as it was.

use wigwag_proto::Random;
use wigwag_sdp::Setup;

use super::section::{self, Section, Usage};
use super::transceivers::{agreed_codecs, both};
use super::{
    AgreedTransport, Agreement, Applied, Created, DescriptionError, DtlsRole, Negotiation, RemoteTransport, SdpType,
    SessionDescription, codecs,
};
use crate::state::SignalingState;

impl Negotiation {
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
        let agreement = is_answer.then(|| self.agree()).flatten();
        self.transceivers.forget_stopped();
        Ok(agreement)
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
        if given.kind != SdpType::Offer {
            self.place_answer(&mut sections)?;
        }
        let remote = RemoteTransport::of(&description, &sections)?;
        self.check_unchanged(remote.as_ref())?;
        if given.kind == SdpType::Offer {
            match self.state {
                State::HaveLocalOffer => self.roll_back(),
                // It takes the place of the offer before it.
                State::HaveRemoteOffer => self.changes.extend(self.transceivers.unplace(&sections)),
                _ => {}
            }
            self.transceivers.place_offer(&mut sections, random);
        }
        self.changes.extend(self.transceivers.hear(&sections));
        self.pending_remote = Some(Applied { kind: given.kind, description, sections, remote, credentials: None });
        self.created = None;
        self.state = next;
        let agreement = (given.kind != SdpType::Offer).then(|| self.agree()).flatten();
        self.transceivers.forget_stopped();
        Ok(agreement)
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
        let sections = section::read(description, !self.rejected_data);
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

    /// The peer's answer to our offer: each section is that of the same transceiver, and accepts no more than was offered.
    fn place_answer(&self, sections: &mut [Section]) -> Result<(), DescriptionError> {
        let Some(offer) = &self.pending_local else { return Ok(()) };
        for (section, offered) in sections.iter_mut().zip(&offer.sections) {
            match (&mut section.usage, &offered.usage) {
                (Usage::Media(media), Usage::Media(offered)) => {
                    if agreed_codecs(offered, media).iter().all(codecs::is_rtx) {
                        let reason =
                            format!("the answer takes none of the codecs that the {} section offers", media.kind);
                        return Err(DescriptionError::Invalid(reason));
                    }
                    media.transceiver = offered.transceiver;
                    media.direction = both(media.direction, offered.direction.reversed());
                }
                (Usage::Data, Usage::Data) => {}
                (usage, _) => *usage = Usage::Nothing,
            }
        }
        Ok(())
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
            let (offer, answer) = if offerer { (&local, &remote) } else { (&remote, &local) };
            // What was wanted and not offered yet was not rejected, and can still be offered.
            let had_data = offer.sections.iter().chain(&self.sections).any(Section::is_data);
            // What the answer left out stays out, in its place.
            self.sections = answer.sections.clone();
            self.rejected_data |= had_data && !self.sections.iter().any(Section::is_data);
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
        self.transceivers.forget_stopped();
        self.state = SignalingState::Stable;
    }
}
