//! Transceivers for the application, and what was agreed on for each of them.

use std::collections::{HashMap, HashSet};

use wigwag_media::{CodecConfig, LineConfig, Receive, Send};
use wigwag_proto::Random;
use wigwag_rtp::{ExtensionKind, ExtensionMap, PayloadType, Ssrc};
use wigwag_sdp::{Codec, Direction};

use super::section::{MediaSection, Section, media_at};
use super::transceivers::{TrackChange, agreed_codecs, both, one_word, words};
use super::{Negotiation, codecs};
use crate::state::SignalingState;
use crate::transceiver::{MediaKind, Transceiver, TransceiverError, TransceiverId, TransceiverInit};

impl Negotiation {
    pub fn transceivers(&self) -> impl Iterator<Item = &Transceiver> {
        self.transceivers.iter()
    }

    pub fn transceiver(&self, id: TransceiverId) -> Option<&Transceiver> {
        self.transceivers.find(id)
    }

    /// One that may be changed: the connection is not closed, and it was not stopped.
    pub fn usable_transceiver(&mut self, id: TransceiverId) -> Result<&mut Transceiver, TransceiverError> {
        match self.state {
            SignalingState::Closed => Err(TransceiverError::Closed),
            _ => self.transceivers.usable(id),
        }
    }

    pub fn add_transceiver(
        &mut self,
        kind: MediaKind,
        init: TransceiverInit,
        random: &mut Random,
    ) -> Result<TransceiverId, TransceiverError> {
        if self.state == SignalingState::Closed {
            return Err(TransceiverError::Closed);
        }
        check_codecs(kind, &init.codecs)?;
        self.transceivers.add(kind, init, random)
    }

    /// A track to be sent: by a transceiver that is there and never sent, or by a new one. webrtc-pc section 5.1, `addTrack`.
    pub fn add_track(
        &mut self,
        kind: MediaKind,
        track: Option<String>,
        streams: Vec<String>,
        random: &mut Random,
    ) -> Result<TransceiverId, TransceiverError> {
        let is_idle = |it: &&Transceiver| it.kind == kind && !it.has_sent && !it.is_stopped && !it.is_stopping;
        let idle = self.transceivers.iter().find(is_idle).map(|it| it.id);
        let Some(id) = idle.filter(|_| self.state != SignalingState::Closed) else {
            let init = TransceiverInit { track, streams, ..Default::default() };
            let id = self.add_transceiver(kind, init, random)?;
            self.transceivers.usable(id)?.is_from_add_track = true;
            return Ok(id);
        };
        let transceiver = self.transceivers.usable(id)?;
        transceiver.direction = Direction::new(true, transceiver.direction.receives());
        (transceiver.has_sent, transceiver.is_from_add_track) = (true, true);
        transceiver.streams = words(&streams);
        if let Some(track) = track.as_deref().and_then(one_word) {
            transceiver.track = track;
        }
        Ok(id)
    }

    /// The streams that its track belongs to.
    pub fn set_streams(&mut self, id: TransceiverId, streams: &[String]) -> Result<(), TransceiverError> {
        self.usable_transceiver(id)?.streams = words(streams);
        Ok(())
    }

    /// Stops one with the next agreement; at once, if no description speaks of it.
    pub fn stop(&mut self, id: TransceiverId) -> Result<(), TransceiverError> {
        self.usable_transceiver(id)?.is_stopping = true;
        if self.created.is_none() {
            self.transceivers.forget_stopped();
        }
        Ok(())
    }

    /// The codecs that are offered and accepted from now on; none: those that are there by themselves.
    pub fn set_codec_preferences(&mut self, id: TransceiverId, wanted: Vec<Codec>) -> Result<(), TransceiverError> {
        let transceiver = self.usable_transceiver(id)?;
        check_codecs(transceiver.kind, &wanted)?;
        transceiver.preferences = wanted;
        Ok(())
    }

    /// Tracks that the peer began or ceased to send.
    pub fn poll_change(&mut self) -> Option<TrackChange> {
        self.changes.pop_front()
    }

    /// How the packets of each transceiver will look; asked before the agreement is drawn into the transceivers.
    pub(super) fn agreed_lines(
        &self,
        local: &[Section],
        remote: &[Section],
    ) -> Vec<(TransceiverId, Option<LineConfig>)> {
        let line = |transceiver: &Transceiver| {
            let index = transceiver.section?;
            let config = media_at(local, index)
                .zip(media_at(remote, index))
                .filter(|(ours, _)| ours.transceiver == Some(transceiver.id));
            let config = config.map(|(ours, theirs)| self.line(transceiver, ours, theirs));
            Some((transceiver.id, config))
        };
        self.transceivers.iter().filter_map(line).collect()
    }

    fn line(&self, transceiver: &Transceiver, ours: &MediaSection, theirs: &MediaSection) -> LineConfig {
        let all = agreed_codecs(ours, theirs);
        let (rtx, media): (Vec<&Codec>, Vec<&Codec>) = all.iter().partition(|codec| codecs::is_rtx(codec));
        let codec = |codec: &Codec| {
            let wants = |feedback: &str| codec.has_feedback(feedback) && is_said(ours, codec, feedback);
            let repaired = |it: &&&Codec| it.apt() == Some(codec.payload_type);
            Some(CodecConfig {
                payload_type: PayloadType::new(codec.payload_type)?,
                clock_rate: codec.clock_rate,
                retransmission: rtx.iter().find(repaired).and_then(|it| PayloadType::new(it.payload_type)),
                nack: wants("nack"),
                pli: wants("nack pli"),
                fir: wants("ccm fir"),
                transport_feedback: wants("transport-cc"),
            })
        };
        let both = both(ours.direction, theirs.direction.reversed());
        let has_rtx = !rtx.is_empty();
        let codecs = media.into_iter().filter_map(codec).collect();
        LineConfig {
            mid: transceiver.mid.clone(),
            codecs,
            extensions: extension_map(ours, theirs),
            reduced_size: ours.reduced_size && theirs.reduced_size,
            receive: both.receives().then(|| receive(theirs)),
            send: both.sends().then(|| Send {
                ssrc: transceiver.ssrc,
                rtx: has_rtx.then_some(transceiver.rtx_ssrc),
                cname: self.cname.clone(),
            }),
        }
    }
}

/// Whether our side said this feedback, too, of the same payload type.
fn is_said(ours: &MediaSection, codec: &Codec, feedback: &str) -> bool {
    ours.codecs.iter().any(|own| own.payload_type == codec.payload_type && own.has_feedback(feedback))
}

/// The ids that both sides have for the same extension.
fn extension_map(ours: &MediaSection, theirs: &MediaSection) -> ExtensionMap {
    let mut map = ExtensionMap::default();
    for extension in &ours.extensions {
        let is_shared = theirs.extensions.iter().any(|it| it.id == extension.id && it.uri == extension.uri);
        let kind = ExtensionKind::from_uri(&extension.uri).filter(|_| is_shared);
        if let (Some(kind), Ok(id)) = (kind, u8::try_from(extension.id)) {
            let set = map.set(id, kind);
            debug_assert!(set.is_ok(), "only 0 is no id, and that is not in a description");
        }
    }
    map
}

/// The sources that the peer named, each with that of its retransmissions. RFC 5576, RFC 4588 section 8.
fn receive(theirs: &MediaSection) -> Receive {
    let groups = theirs.groups.iter().filter(|group| group.semantics == "FID");
    let pairs = || groups.clone().filter_map(|group| Some((*group.ssrcs.first()?, *group.ssrcs.get(1)?)));
    // Backwards, so that the first mention counts.
    let rtx_of: HashMap<u32, u32> = pairs().collect::<Vec<_>>().into_iter().rev().collect();
    let rtx: HashSet<u32> = pairs().map(|(_, rtx)| rtx).collect();
    let ssrcs = theirs.sources.iter().map(|source| source.ssrc).filter(|ssrc| !rtx.contains(ssrc));
    let ssrcs = ssrcs.map(|ssrc| (Ssrc(ssrc), rtx_of.get(&ssrc).copied().map(Ssrc)));
    Receive { ssrcs: ssrcs.collect(), rids: theirs.rids.clone() }
}

/// RTX is the engine's own.
fn check_codecs(kind: MediaKind, wanted: &[Codec]) -> Result<(), TransceiverError> {
    let is_wrong = |codec: &Codec| codecs::is_rtx(codec) || PayloadType::new(codec.payload_type).is_none();
    let known = codecs::default_codecs(kind);
    let has_known = wanted.iter().any(|codec| known.iter().any(|it| it.is(&codec.name)));
    match wanted.iter().any(is_wrong) || !wanted.is_empty() && !has_known {
        true => Err(TransceiverError::NoCodec),
        false => Ok(()),
    }
}
