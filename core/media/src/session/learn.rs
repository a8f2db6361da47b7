//! Which sources there are: told by the configuration, or learned from packets that name their line.

use std::time::Duration;

use wigwag_proto::Instant;
use wigwag_rtp::{PayloadType, Ssrc};

use super::Session;
use super::line::{Role, Source};
use super::routes::{Named, Names};
use crate::LineId;
use crate::inbound::Inbound;

/// A learned source that rested so long makes room for another, when there are too many.
const REST: Duration = Duration::from_secs(10);

impl Session {
    /// The line of a packet. RFC 9143 section 9.2: mid first, then what is known of the source, then rid and payload type.
    pub(super) fn find_line(&mut self, ssrc: Ssrc, payload_type: PayloadType, names: &Names<'_>) -> Option<LineId> {
        let known = self.sources.get_mut(&ssrc);
        match (self.routes.line(names, payload_type), known) {
            (Named::WrongMid, _) => None,
            (Named::ByMid(line), Some(source)) => {
                source.line = line;
                Some(line)
            }
            (Named::Otherwise(_), Some(source)) => Some(source.line),
            (Named::ByMid(line) | Named::Otherwise(Some(line)), None) => Some(line),
            (Named::Otherwise(None), None) => None,
        }
    }

    /// Makes the source one of media, if there is room. Gives whether it is.
    pub(super) fn learn_media(&mut self, now: Instant, line: LineId, ssrc: Ssrc) -> bool {
        match self.sources.get(&ssrc).map(|source| &source.role) {
            Some(Role::Media(_)) => true,
            // What the configuration says of it was wrong, or it changed its mind.
            _ => self.add_source(now, line, ssrc, Role::Media(Box::default())),
        }
    }

    /// The source that a retransmission is of.
    pub(super) fn learn_repair(&mut self, now: Instant, line: LineId, ssrc: Ssrc, names: &Names<'_>) -> Option<Ssrc> {
        if let Some(source) = self.sources.get(&ssrc) {
            return match source.role {
                Role::Repair(media) => Some(media),
                Role::Media(_) => None,
            };
        }
        let media = self.sources.iter().filter(|(_, source)| source.line == line);
        let mut media = media.filter_map(|(ssrc, source)| Some((*ssrc, source.inbound()?)));
        let media = match names.repaired_rid {
            Some(rid) => media.find(|(_, inbound)| inbound.rid.as_deref() == Some(rid))?.0,
            // RFC 4588 section 5.3 would match it with requests; with one stream there is nothing to match.
            None => media.next().filter(|_| media.next().is_none())?.0,
        };
        self.add_source(now, line, ssrc, Role::Repair(media)).then_some(media)
    }

    fn add_source(&mut self, now: Instant, line: LineId, ssrc: Ssrc, role: Role) -> bool {
        if !self.sources.contains_key(&ssrc) && self.sources.len() >= self.config.max_sources {
            let resting = self.sources.iter().filter(|(_, source)| !source.configured);
            let resting = resting.filter_map(|(ssrc, source)| Some((source.heard?, *ssrc)));
            let Some((_, oldest)) = resting.min().filter(|(heard, _)| now - *heard >= REST) else {
                self.dropped.too_many_sources += 1;
                return false;
            };
            self.forget_source(oldest);
        }
        self.sources.insert(ssrc, Source { line, configured: false, heard: Some(now), role });
        true
    }

    /// Its counters stay with the line.
    fn forget_source(&mut self, ssrc: Ssrc) {
        let Some(source) = self.sources.remove(&ssrc) else { return };
        if let (Some(inbound), Some(line)) = (source.inbound(), self.lines.get_mut(&source.line)) {
            line.past_inbound.add(&inbound.stats());
        }
        self.sources.retain(|_, source| !matches!(source.role, Role::Repair(media) if media == ssrc));
        self.recount();
    }

    /// The configuration of a line names sources: they are known before their first packet.
    pub(super) fn expect_sources(&mut self, id: LineId) {
        for source in self.sources.values_mut().filter(|source| source.line == id) {
            source.configured = false;
        }
        let receive = self.lines.get(&id).and_then(|line| line.config.receive.as_ref());
        let named: Vec<_> = receive.into_iter().flat_map(|receive| receive.ssrcs.iter().copied()).collect();
        for (media, repair) in named {
            self.expect(id, media, None);
            if let Some(repair) = repair {
                self.expect(id, repair, Some(media));
            }
        }
        let silent = |source: &Source| source.line == id && !source.configured && source.heard.is_none();
        self.sources.retain(|_, source| !silent(source));
    }

    /// A source, or the repair of one.
    fn expect(&mut self, line: LineId, ssrc: Ssrc, repaired: Option<Ssrc>) {
        let is_full = self.sources.len() >= self.config.max_sources;
        if let Some(source) = self.sources.get_mut(&ssrc) {
            (source.line, source.configured) = (line, true);
            match (&source.role, repaired) {
                (Role::Media(_), None) => {}
                (_, Some(media)) => source.role = Role::Repair(media),
                (Role::Repair(_), None) => source.role = Role::Media(Box::default()),
            }
        } else if !is_full {
            let role = repaired.map_or_else(|| Role::Media(Box::<Inbound>::default()), Role::Repair);
            self.sources.insert(ssrc, Source { line, configured: true, heard: None, role });
        } else {
            self.dropped.too_many_sources += 1;
        }
    }
}
