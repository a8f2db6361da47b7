//! The transceivers, and which m-line is whose. RFC 9429 sections 5.2.2, 5.9 and 5.10; webrtc-pc section 5.4.

use rand::RngExt;
use wigwag_proto::Random;
use wigwag_rtp::Ssrc;
use wigwag_sdp::{Codec, Direction};

use super::section::{MediaSection, Section, media_at};
use super::{SdpType, codecs};
use crate::transceiver::{MediaKind, Transceiver, TransceiverError, TransceiverId, TransceiverInit};

/// Transceivers of one connection, stopped ones that still hold their m-line included: what a description of the parser's
/// largest size could have.
const MAX_TRANSCEIVERS: usize = wigwag_sdp::MAX_MEDIA;

/// Whether the peer sends on a transceiver, if that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackChange {
    Added(TransceiverId),
    Removed(TransceiverId),
}

/// All transceivers of a connection, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Transceivers {
    all: Vec<Transceiver>,
    next: u32,
    /// What a description that is pending did: undone by a rollback.
    pending: Vec<Pending>,
}

#[derive(Clone, Copy, Debug)]
enum Pending {
    /// The peer's offer made it.
    Made(TransceiverId),
    /// The description gave it its m-line.
    Placed(TransceiverId),
}

impl Pending {
    fn id(self) -> TransceiverId {
        let (Self::Made(id) | Self::Placed(id)) = self;
        id
    }
}

impl Transceiver {
    /// What it offers and accepts.
    pub(super) fn wanted_codecs(&self) -> Vec<Codec> {
        match self.preferences.is_empty() {
            true => codecs::default_codecs(self.kind),
            false => self.preferences.clone(),
        }
    }
}

impl Transceivers {
    pub fn iter(&self) -> impl Iterator<Item = &Transceiver> {
        self.all.iter()
    }

    pub fn find(&self, id: TransceiverId) -> Option<&Transceiver> {
        self.all.iter().find(|it| it.id == id)
    }

    pub fn find_mut(&mut self, id: TransceiverId) -> Option<&mut Transceiver> {
        self.all.iter_mut().find(|it| it.id == id)
    }

    /// Those that were stopped, or are to be, and have no m-line (any more) are gone: nothing is to be said of them.
    pub fn forget_stopped(&mut self) {
        self.all.retain(|it| it.section.is_some() || !it.is_stopped && !it.is_stopping);
    }

    /// One that was not stopped.
    pub fn usable(&mut self, id: TransceiverId) -> Result<&mut Transceiver, TransceiverError> {
        let usable = self.find_mut(id).filter(|it| !it.is_stopped && !it.is_stopping);
        usable.ok_or(TransceiverError::Stopped)
    }

    pub fn add(
        &mut self,
        kind: MediaKind,
        init: TransceiverInit,
        random: &mut Random,
    ) -> Result<TransceiverId, TransceiverError> {
        if self.all.len() >= MAX_TRANSCEIVERS {
            return Err(TransceiverError::TooMany);
        }
        let id = TransceiverId(self.next);
        self.next += 1;
        let ssrc = self.fresh_ssrc(random, None);
        let rtx_ssrc = self.fresh_ssrc(random, Some(ssrc));
        let random_track = || format!("{:032x}", random.random::<u128>());
        let track = init.track.as_deref().and_then(one_word).unwrap_or_else(random_track);
        self.all.push(Transceiver {
            id,
            kind,
            mid: None,
            direction: init.direction,
            current_direction: None,
            is_stopped: false,
            track,
            streams: words(&init.streams),
            ssrc,
            rtx_ssrc,
            remote_track: None,
            remote_streams: Vec::new(),
            codecs: Vec::new(),
            preferences: init.codecs,
            section: None,
            is_stopping: false,
            is_from_add_track: false,
            is_heard: false,
            has_sent: init.direction.sends(),
        });
        Ok(id)
    }

    /// RFC 3550 section 8.1; 0 stands for nobody in feedback.
    fn fresh_ssrc(&self, random: &mut Random, other: Option<Ssrc>) -> Ssrc {
        loop {
            let ssrc = Ssrc(random.random());
            let is_used = self.all.iter().any(|it| it.ssrc == ssrc || it.rtx_ssrc == ssrc) || other == Some(ssrc);
            if ssrc.0 != 0 && !is_used {
                return ssrc;
            }
        }
    }

    /// The one whose m-line is in this place.
    pub fn at(&self, section: usize) -> Option<&Transceiver> {
        self.all.iter().find(|it| it.section == Some(section) && !it.is_stopped)
    }

    /// Gives each section of a remote offer its transceiver. RFC 9429 section 5.10.
    pub fn place_offer(&mut self, sections: &mut [Section], random: &mut Random) {
        for (index, section) in sections.iter_mut().enumerate() {
            let mid = section.mid.clone();
            let Some(media) = section.as_media_mut() else { continue };
            media.transceiver = self.for_offered(index, media, random);
            if let Some(it) = media.transceiver.and_then(|id| self.find_mut(id)).filter(|_| mid.is_some()) {
                it.mid = mid;
            }
        }
    }

    fn for_offered(&mut self, index: usize, media: &MediaSection, random: &mut Random) -> Option<TransceiverId> {
        if let Some(known) = self.at(index) {
            return (known.kind == media.kind).then_some(known.id);
        }
        let would_take = |it: &&mut Transceiver| {
            it.is_from_add_track && it.section.is_none() && it.kind == media.kind && !it.is_stopped && !it.is_stopping
        };
        // Only where the peer would receive what is waiting to be sent.
        if media.direction.receives()
            && let Some(waiting) = self.all.iter_mut().find(would_take)
        {
            waiting.section = Some(index);
            self.pending.push(Pending::Placed(waiting.id));
            return Some(waiting.id);
        }
        let init = TransceiverInit { direction: Direction::RecvOnly, ..Default::default() };
        let id = self.add(media.kind, init, random).ok()?;
        self.find_mut(id)?.section = Some(index);
        self.pending.push(Pending::Made(id));
        Some(id)
    }

    /// Our offer was applied: it gave new m-lines to transceivers.
    pub fn place_local(&mut self, sections: &[Section]) {
        for (index, section) in sections.iter().enumerate() {
            let Some(it) = section.as_media().and_then(|media| self.find_mut(media.transceiver?)) else { continue };
            if it.section.replace(index) != Some(index) {
                it.mid.clone_from(&section.mid);
                let placed = Pending::Placed(it.id);
                self.pending.push(placed);
            }
        }
    }

    /// What the peer says it sends; tells what changed. webrtc-pc section 5.10 ("process remote track").
    pub fn hear(&mut self, sections: &[Section]) -> Vec<TrackChange> {
        let mut changes = Vec::new();
        for it in &mut self.all {
            let section = it.section.and_then(|index| media_at(sections, index));
            let Some(media) = section.filter(|media| media.transceiver == Some(it.id)) else { continue };
            let sends = media.direction.sends() && !it.is_stopped;
            it.remote_track.clone_from(&media.track);
            it.remote_streams.clone_from(&media.streams);
            match (it.is_heard, sends) {
                (false, true) => changes.push(TrackChange::Added(it.id)),
                (true, false) => changes.push(TrackChange::Removed(it.id)),
                _ => {}
            }
            it.is_heard = sends;
        }
        changes
    }

    /// Both sides agreed on what `local` and `remote` have in common. Gives the tracks that ended with their m-line.
    pub fn agree(&mut self, local: &[Section], remote: &[Section], is_final: bool) -> Vec<TrackChange> {
        let mut ended = Vec::new();
        for it in &mut self.all {
            let Some(index) = it.section else { continue };
            match (media_at(local, index), media_at(remote, index)) {
                (Some(ours), Some(theirs)) if ours.transceiver == Some(it.id) => {
                    it.current_direction = Some(both(ours.direction, theirs.direction.reversed()));
                    it.codecs = agreed_codecs(ours, theirs).into_iter().filter(|it| !codecs::is_rtx(it)).collect();
                }
                _ if is_final && local.len() > index => {
                    // Rejected or stopped: for good.
                    if std::mem::take(&mut it.is_heard) {
                        ended.push(TrackChange::Removed(it.id));
                    }
                    (it.is_stopped, it.is_stopping, it.current_direction) = (true, false, None);
                    (it.section, it.mid) = (None, None);
                }
                _ => {}
            }
        }
        if is_final {
            self.pending.clear();
        }
        ended
    }

    /// The pending offer is replaced by one with these sections: what it did stays as far as they are the same. Gives the
    /// tracks that it had announced and that are not there any more.
    pub fn unplace(&mut self, sections: &[Section]) -> Vec<TrackChange> {
        let is_there = |it: &Transceiver| {
            let media = it.section.and_then(|index| media_at(sections, index));
            media.is_some_and(|media| media.kind == it.kind)
        };
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|it| self.find(it.id()).is_some_and(is_there));
        self.pending = kept;
        gone.into_iter().filter_map(|pending| self.undo(pending)).collect()
    }

    /// The pending description is taken back. Gives the tracks that it had announced.
    pub fn roll_back(&mut self, before: Option<&[Section]>) -> Vec<TrackChange> {
        let pending = std::mem::take(&mut self.pending);
        let mut ended: Vec<_> = pending.into_iter().filter_map(|pending| self.undo(pending)).collect();
        // The others are what the agreement before says.
        ended.extend(before.map(|sections| self.hear(sections)).unwrap_or_default());
        ended
    }

    fn undo(&mut self, pending: Pending) -> Option<TrackChange> {
        let it = self.find_mut(pending.id())?;
        let was_heard = std::mem::take(&mut it.is_heard);
        (it.section, it.mid, it.remote_track) = (None, None, None);
        it.remote_streams.clear();
        // One that the application took for a track of its own stays. webrtc-pc section 4.4.1.5.
        if matches!(pending, Pending::Made(_)) && !it.is_from_add_track {
            it.is_stopped = true;
        }
        was_heard.then_some(TrackChange::Removed(pending.id()))
    }

    /// Whether an offer has something to say of them; `local` and `remote` are in force. webrtc-pc section 4.7.3.
    pub fn need_negotiation(&self, local: Option<(SdpType, &[Section])>, remote: Option<&[Section]>) -> bool {
        let needs = |it: &Transceiver| {
            if it.is_stopped {
                return false;
            }
            let Some(index) = it.section else { return !it.is_stopping };
            let said = local.and_then(|(kind, sections)| Some((kind, media_at(sections, index)?)));
            let Some((kind, said)) = said else { return true };
            let offered =
                remote.and_then(|sections| media_at(sections, index)).map(|theirs| theirs.direction.reversed());
            let is_misdirected = match kind {
                // An answer says no more than the offer let it.
                SdpType::Answer | SdpType::Pranswer => {
                    said.direction != both(it.direction, offered.unwrap_or_default())
                }
                SdpType::Offer | SdpType::Rollback => said.direction != it.direction && offered != Some(it.direction),
            };
            it.is_stopping || is_misdirected || said.direction.sends() && said.streams != it.streams
        };
        self.all.iter().any(needs)
    }
}

/// What two directions, seen from the same side, have in common.
pub(super) fn both(a: Direction, b: Direction) -> Direction {
    Direction::new(a.sends() && b.sends(), a.receives() && b.receives())
}

/// What both sides can send: what the answer took of the offer. (The answer's payload types are the offer's.)
pub(super) fn agreed_codecs(ours: &MediaSection, theirs: &MediaSection) -> Vec<Codec> {
    let is_ours = |it: &&Codec| ours.codecs.iter().any(|own| own.payload_type == it.payload_type && own.is(&it.name));
    theirs.codecs.iter().filter(is_ours).cloned().collect()
}

/// Names in `a=msid` are single words. RFC 8830 section 2. `None` if nothing is left of it.
pub(super) fn one_word(name: &str) -> Option<String> {
    let word: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    (!word.is_empty()).then_some(word)
}

pub(super) fn words(names: &[String]) -> Vec<String> {
    names.iter().filter_map(|name| one_word(name)).collect()
}
