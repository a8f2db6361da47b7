//! Descriptions of ours: what they would say now. RFC 9429 sections 5.2 and 5.3.

use std::collections::HashSet;

use wigwag_ice::Credentials;
use wigwag_sdp::Setup;

use super::codecs::Numbers;
use super::section::{MediaSection, Section, Usage};
use super::{Applied, Created, DescriptionError, DtlsRole, LocalTransport, Negotiation, SdpType, SessionDescription};
use super::{RemoteTransport, write};
use crate::state::SignalingState;
use crate::transceiver::Transceiver;

/// Names for new sections: the smallest numbers that no section has, or had, as its `mid`.
struct FreeMids {
    used: HashSet<String>,
    next: usize,
}

impl FreeMids {
    fn take(&mut self) -> String {
        loop {
            let mid = self.next.to_string();
            self.next += 1;
            if !self.used.contains(&mid) {
                return mid;
            }
        }
    }
}

impl Negotiation {
    /// Makes an offer; nothing changes by it.
    pub fn create_offer(&mut self, transport: &LocalTransport) -> Result<SessionDescription, DescriptionError> {
        if !matches!(self.state, SignalingState::Stable | SignalingState::HaveLocalOffer) {
            return Err(self.wrong_state("create_offer"));
        }
        let sections = self.sections_to_offer();
        let mut transport = transport.clone();
        if let Some(restart) = &self.restart {
            transport.restart(restart.clone());
        }
        Ok(self.create(SdpType::Offer, sections, &transport, Setup::ActPass))
    }

    /// The sections that there are, in their places; then what is new, in places that nobody uses or at the end.
    fn sections_to_offer(&self) -> Vec<Section> {
        // An offer that waits for its answer may be made anew, and keeps its places.
        let pending = self.pending_local.as_ref().filter(|_| self.state == SignalingState::HaveLocalOffer);
        let base = pending.map_or(&self.sections, |applied| &applied.sections);
        let mids = base.iter().chain(&self.sections).filter_map(|section| section.mid.clone());
        let mut mids = FreeMids { used: mids.collect(), next: 0 };
        let mut numbers = Numbers::default();
        for media in base.iter().filter_map(Section::as_media) {
            numbers.note(&media.codecs, &media.extensions);
        }
        let mut sections: Vec<Section> = Vec::with_capacity(base.len());
        for (index, before) in base.iter().enumerate() {
            let transceiver = self.transceivers.at(index).filter(|it| !it.is_stopping);
            sections.push(match (&before.usage, transceiver) {
                (Usage::Data, _) => before.clone(),
                (Usage::Media(media), Some(transceiver)) => {
                    let media = MediaSection::offer(transceiver, Some(media), &mut numbers);
                    Section { usage: Usage::Media(Box::new(media)), ..before.clone() }
                }
                (Usage::Media(_) | Usage::Nothing, _) => before.rejected(),
            });
        }
        let is_new = |it: &&Transceiver| it.section.is_none() && !it.is_stopped && !it.is_stopping;
        for transceiver in self.transceivers.iter().filter(is_new) {
            let media = MediaSection::offer(transceiver, None, &mut numbers);
            let mut section = Section::new(mids.take(), Usage::Media(Box::new(media)));
            // A place that was freed with the last agreement. RFC 9429 section 5.2.2.
            let is_free = |it: &&mut Section| !it.is_used() && self.is_free(it);
            match sections.iter_mut().find(is_free) {
                Some(place) => std::mem::swap(place, &mut section),
                None => sections.push(section),
            }
        }
        if self.wants_data && !sections.iter().any(Section::is_data) {
            sections.push(Section::new(mids.take(), Usage::Data));
        }
        sections
    }

    /// Whether a section was not in use when the last agreement was made.
    fn is_free(&self, section: &Section) -> bool {
        self.sections.iter().any(|it| it.mid == section.mid && !it.is_used())
    }

    /// Makes an answer to the offer that is pending; nothing changes by it.
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
        let sections = offer.sections.iter().map(|section| self.section_to_answer(section)).collect();
        let role = self.answering_role(offer.remote.as_ref());
        let mut transport = transport.clone();
        if self.is_restart(offer) {
            // A restart by the peer asks for credentials of ours that are new too. RFC 8445 section 9.
            transport.restart(self.restart.clone().unwrap_or_else(fresh));
        }
        let offered = offer.remote.as_ref().and_then(|remote| remote.sctp.as_ref());
        if offered.is_none_or(|sctp| sctp.init.is_none()) {
            transport.sctp_init = None; // only in answer to the peer's
        }
        let setup = if role == DtlsRole::Client { Setup::Active } else { Setup::Passive };
        Ok(self.create(SdpType::Answer, sections, &transport, setup))
    }

    fn section_to_answer(&self, offered: &Section) -> Section {
        let Some(media) = offered.as_media() else { return offered.clone() };
        let transceiver = media.transceiver.and_then(|id| self.transceivers.find(id));
        let transceiver = transceiver.filter(|it| !it.is_stopped && !it.is_stopping);
        match transceiver.and_then(|transceiver| media.answer(transceiver)) {
            Some(answer) => Section { usage: Usage::Media(Box::new(answer)), ..offered.clone() },
            None => offered.rejected(),
        }
    }

    /// Passive where the offer leaves the choice: the offerer's first flight then comes with its ICE checks, and the
    /// peers save half a round trip.
    pub(super) fn answering_role(&self, remote: Option<&RemoteTransport>) -> DtlsRole {
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
        let used: Vec<&str> =
            sections.iter().filter(|section| section.is_used()).filter_map(|section| section.mid.as_deref()).collect();
        let bundle = match (kind, &self.pending_remote) {
            (SdpType::Offer, _) | (_, None) => used,
            // What the offer has of them, in its order.
            (_, Some(offer)) => {
                let mut groups = offer.description.bundle_groups();
                let mut group =
                    groups.find(|group| used.first().is_some_and(|mid| group.contains(mid))).unwrap_or_default();
                let mut used: HashSet<&str> = used.into_iter().collect();
                group.retain(|mid| used.remove(mid));
                group
            }
        };
        let origin = (self.session_id, self.session_version + 1);
        let session = write::Session { origin, setup, bundle, cname: &self.cname };
        let description = write::description(session, &sections, &self.transceivers, transport);
        let text = write::with_candidates(&description, &sections, transport);
        let credentials = Some(transport.credentials.clone());
        let applied = Applied { kind, description, sections, remote: None, credentials };
        self.created = Some(Created { text: text.clone(), applied });
        self.transceivers.forget_stopped();
        SessionDescription { kind, sdp: text }
    }
}
