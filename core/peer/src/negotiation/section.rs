//! M-lines: what each is used for, and what was said in it.

use std::collections::{HashMap, HashSet};

use wigwag_sdp::{Codec, Direction, ExtMap, MediaDescription, RidDirection, SessionDescription, Source, SourceGroup};

use super::transceivers::both;
use super::{DescriptionError, codecs};
use crate::transceiver::{MediaKind, Transceiver, TransceiverId};

/// One m-line, in its place for ever.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub mid: Option<String>,
    /// `application`, `audio`, `video`, or what we do not know.
    pub media: String,
    pub protocol: String,
    pub formats: Vec<String>,
    /// What it is used for, by who wrote it.
    pub usage: Usage,
    /// The peer's `a=ice-ufrag` of it.
    pub ufrag: Option<String>,
}

/// What a section is used for.
#[derive(Clone, Debug)]
pub(super) enum Usage {
    /// Nothing: rejected or stopped, or of a kind that we do not know.
    Nothing,
    /// Data channels.
    Data,
    /// Audio or video.
    Media(Box<MediaSection>),
}

/// What is said of audio or video.
#[derive(Clone, Debug)]
pub(super) struct MediaSection {
    /// Ours, once it is known.
    pub transceiver: Option<TransceiverId>,
    pub kind: MediaKind,
    /// As seen by who wrote it.
    pub direction: Direction,
    /// RTX among them.
    pub codecs: Vec<Codec>,
    pub extensions: Vec<ExtMap>,
    pub mixes_extensions: bool,
    pub reduced_size: bool,
    pub streams: Vec<String>,
    pub track: Option<String>,
    pub sources: Vec<Source>,
    pub groups: Vec<SourceGroup>,
    /// The encodings that its writer sends.
    pub rids: Vec<String>,
}

impl Section {
    /// A new section of ours.
    pub fn new(mid: String, usage: Usage) -> Self {
        let (media, protocol, formats) = match &usage {
            Usage::Media(media) => (media.kind.as_str(), "UDP/TLS/RTP/SAVPF", Vec::new()),
            Usage::Data | Usage::Nothing => ("application", "UDP/DTLS/SCTP", vec!["webrtc-datachannel".to_owned()]),
        };
        let (media, protocol) = (media.to_owned(), protocol.to_owned());
        Self { mid: Some(mid), media, protocol, formats, usage, ufrag: None }
    }

    pub fn is_data(&self) -> bool {
        matches!(self.usage, Usage::Data)
    }

    /// Whether it uses the transport.
    pub fn is_used(&self) -> bool {
        !matches!(self.usage, Usage::Nothing)
    }

    pub fn as_media(&self) -> Option<&MediaSection> {
        match &self.usage {
            Usage::Media(media) => Some(media),
            Usage::Data | Usage::Nothing => None,
        }
    }

    pub fn as_media_mut(&mut self) -> Option<&mut MediaSection> {
        match &mut self.usage {
            Usage::Media(media) => Some(media),
            Usage::Data | Usage::Nothing => None,
        }
    }

    /// The same, not used.
    pub fn rejected(&self) -> Self {
        Self { usage: Usage::Nothing, ..self.clone() }
    }
}

impl MediaSection {
    /// What we would say of `transceiver` in an offer; `before` is what was agreed on in its section.
    pub fn offer(transceiver: &Transceiver, before: Option<&Self>, numbers: &mut codecs::Numbers) -> Self {
        let mut wanted = transceiver.wanted_codecs();
        if let Some(before) = before.filter(|_| transceiver.preferences.is_empty()) {
            // What is in use stays first.
            let place = |wish: &Codec| before.codecs.iter().position(|it| codecs::is_same_format(it, wish));
            wanted.sort_by_key(|wish| place(wish).unwrap_or(usize::MAX));
        }
        Self {
            transceiver: Some(transceiver.id),
            kind: transceiver.kind,
            direction: transceiver.direction,
            codecs: numbers.assign(&wanted, before.map(|before| before.codecs.as_slice()).unwrap_or_default()),
            extensions: numbers.assign_extensions(codecs::extension_kinds(transceiver.kind)),
            mixes_extensions: true,
            reduced_size: true,
            streams: transceiver.streams.clone(),
            track: Some(transceiver.track.clone()),
            sources: Vec::new(),
            groups: Vec::new(),
            rids: Vec::new(),
        }
    }

    /// What we would say of `transceiver` in an answer to this; `None` if nothing is in common.
    pub fn answer(&self, transceiver: &Transceiver) -> Option<Self> {
        let wanted = transceiver.wanted_codecs();
        let codecs = codecs::in_common(&self.codecs, &wanted, !transceiver.preferences.is_empty());
        // Long ids want the two-byte form, and that is not for everybody. RFC 8285 section 4.1.2.
        let fits = |it: &&ExtMap| it.id <= if self.mixes_extensions { 255 } else { 14 };
        let reversed = |it: &ExtMap| ExtMap { direction: it.direction.map(Direction::reversed), ..it.clone() };
        (!codecs.is_empty()).then(|| Self {
            transceiver: Some(transceiver.id),
            direction: both(transceiver.direction, self.direction.reversed()),
            codecs,
            extensions: self.extensions.iter().filter(fits).map(reversed).collect(),
            streams: transceiver.streams.clone(),
            track: Some(transceiver.track.clone()),
            sources: Vec::new(),
            groups: Vec::new(),
            rids: Vec::new(),
            ..self.clone()
        })
    }

    /// Of what is said for all codecs, or for all sections, only what can be of use is kept: a short text would fill much memory.
    /// `for_all`: the extensions that the session names.
    fn read(section: wigwag_sdp::Section<'_>, kind: MediaKind, for_all: &[ExtMap]) -> Self {
        let media = section.media;
        let mut extensions = media.extensions();
        let own: HashSet<u16> = extensions.iter().map(|it| it.id).collect();
        extensions.extend(for_all.iter().filter(|it| !own.contains(&it.id)).cloned());
        let kinds = codecs::extension_kinds(kind);
        extensions.retain(|it| kinds.iter().any(|kind| kind.uri() == it.uri));
        let mut codecs = media.codecs();
        codecs.iter_mut().for_each(|codec| codec.feedback.retain(|it| codecs::is_known_feedback(it)));
        let rids =
            media.rids().into_iter().filter(|rid| rid.direction == RidDirection::Send).map(|rid| rid.id).collect();
        Self {
            transceiver: None,
            kind,
            direction: section.direction(),
            codecs,
            extensions,
            mixes_extensions: section.extmap_allow_mixed(),
            reduced_size: media.rtcp_rsize(),
            streams: media
                .msids()
                .map(|(stream, _)| stream)
                .filter(|stream| *stream != "-")
                .map(str::to_owned)
                .collect(),
            track: media.msids().find_map(|(_, track)| track).map(str::to_owned),
            sources: media.sources(),
            groups: media.source_groups(),
            rids,
        }
    }

    /// Adds what the m-line and its attributes say; `transceiver` is ours.
    pub fn write(&self, media: &mut MediaDescription, transceiver: &Transceiver, cname: &str) {
        if self.direction.sends() {
            match self.streams.is_empty() {
                true => drop(media.attributes.add("msid", format_args!("- {}", transceiver.track))),
                false => self.streams.iter().for_each(|stream| {
                    media.attributes.add("msid", format_args!("{stream} {}", transceiver.track));
                }),
            }
        }
        media.attributes.add_flag("rtcp-mux");
        if self.reduced_size {
            media.attributes.add_flag("rtcp-rsize");
        }
        for codec in &self.codecs {
            media.add_codec(codec);
        }
        for extension in &self.extensions {
            media.add_extension(extension);
        }
        if self.direction.sends() {
            let repairs = self.codecs.iter().any(codecs::is_rtx);
            let (ssrc, rtx) = (transceiver.ssrc.0, transceiver.rtx_ssrc.0);
            if repairs {
                media.add_source_group(&SourceGroup { semantics: "FID".to_owned(), ssrcs: vec![ssrc, rtx] });
            }
            for ssrc in std::iter::once(ssrc).chain(repairs.then_some(rtx)) {
                media.add_source(&Source { ssrc, cname: Some(cname.to_owned()), msid: None });
            }
        }
    }
}

/// The m-lines of a peer's `description`, and which of them can be used: the first with data channels that is not rejected,
/// and audio and video that share its transport (or, without data channels, that of the first of them). RFC 9143.
///
/// `takes_data`: whether data channels can be used at all.
pub(super) fn read(description: &SessionDescription, takes_data: bool) -> Vec<Section> {
    let transports = transports(description);
    let for_all = session_extensions(description);
    let is_data = |section: &wigwag_sdp::Section<'_>| section.media.is_data_channel() && !section.media.is_rejected();
    let data = description.sections().find(|section| takes_data && is_data(section)).map(|section| section.index);
    let first_media = || description.sections().find(|section| media_kind(section).is_some()).map(|it| it.index);
    let transport = data.or_else(first_media).and_then(|index| transports.get(index));
    let section = |section: wigwag_sdp::Section<'_>| {
        let media = section.media;
        let shares = || transports.get(section.index) == transport;
        let usage = match media_kind(&section).filter(|_| shares()) {
            _ if Some(section.index) == data => Usage::Data,
            Some(kind) => Usage::Media(Box::new(MediaSection::read(section, kind, &for_all))),
            None => Usage::Nothing,
        };
        Section {
            mid: media.mid().map(str::to_owned),
            media: media.media.clone(),
            protocol: media.protocol.clone(),
            formats: media.formats.clone(),
            usage,
            ufrag: section.ice_ufrag().map(str::to_owned),
        }
    };
    description.sections().map(section).collect()
}

/// The section that carries the transport for all: of those in use, the one that the bundle group names first. An answer keeps the
/// offer's order, so that it is the same on both sides. RFC 9143 section 7.3.1.
pub(super) fn carrier(description: &SessionDescription, sections: &[Section]) -> Option<usize> {
    let first = sections.iter().position(Section::is_used)?;
    let used = sections.iter().enumerate().filter(|(_, section)| section.is_used());
    let places: HashMap<&str, usize> = used.filter_map(|(at, section)| Some((section.mid.as_deref()?, at))).collect();
    let mid = sections.get(first).and_then(|section| section.mid.as_deref());
    let group = description.bundle_groups().find(|group| mid.is_some_and(|mid| group.contains(&mid)));
    Some(group.and_then(|group| group.iter().find_map(|mid| places.get(mid).copied())).unwrap_or(first))
}

/// The extensions that the session names for all sections, as far as anybody knows them.
fn session_extensions(description: &SessionDescription) -> Vec<ExtMap> {
    let none = MediaDescription::default();
    let mut extensions = wigwag_sdp::Section { session: description, index: 0, media: &none }.extensions();
    extensions.retain(|it| wigwag_rtp::ExtensionKind::from_uri(&it.uri).is_some());
    extensions
}

/// For each section, the place of the one that carries its transport: itself, or the first of its bundle group that is in use.
/// The same as [`wigwag_sdp::Section::transport`], for all at once, so that it takes linear time. RFC 9143 section 7.
fn transports(description: &SessionDescription) -> Vec<usize> {
    // The group of each name, and its place in there: as the first mention says.
    let mut places: HashMap<&str, Option<(usize, usize)>> =
        description.media.iter().filter_map(|media| Some((media.mid()?, None))).collect();
    for (group, mids) in description.bundle_groups().enumerate() {
        for (place, mid) in mids.into_iter().enumerate() {
            if let Some(unknown) = places.get_mut(mid).filter(|known| known.is_none()) {
                *unknown = Some((group, place));
            }
        }
    }
    let place = |section: &wigwag_sdp::Section<'_>| places.get(section.media.mid()?).copied().flatten();
    let mut tagged: HashMap<usize, (usize, usize)> = HashMap::new();
    for section in description.sections().filter(|section| !section.media.is_rejected()) {
        if let Some((group, place)) = place(&section) {
            let first = tagged.entry(group).or_insert((place, section.index));
            *first = (*first).min((place, section.index));
        }
    }
    let transport = |section: wigwag_sdp::Section<'_>| {
        let of_group = place(&section).and_then(|(group, _)| tagged.get(&group));
        of_group.map_or(section.index, |(_, index)| *index)
    };
    description.sections().map(transport).collect()
}

/// What is said of audio or video in the section of this place.
pub(super) fn media_at(sections: &[Section], index: usize) -> Option<&MediaSection> {
    sections.get(index).and_then(Section::as_media)
}

/// What can't be meant: two sections of one name, or payload types that are none.
pub(super) fn check(description: &SessionDescription) -> Result<(), DescriptionError> {
    let mut mids = HashSet::new();
    for media in &description.media {
        if let Some(mid) = media.mid().filter(|mid| !mids.insert(*mid)) {
            return Err(DescriptionError::Invalid(format!("two media sections have the mid {mid:?}")));
        }
        let is_payload_type = |format: &String| format.parse().ok().and_then(wigwag_rtp::PayloadType::new).is_some();
        let wrong = media.formats.iter().find(|format| media.is_rtp() && !is_payload_type(format));
        if let Some(wrong) = wrong.filter(|_| !media.is_rejected()) {
            let reason = format!("the {} section has the payload type {wrong:?}, and there are 0 to 127", media.media);
            return Err(DescriptionError::Invalid(reason));
        }
    }
    Ok(())
}

/// The kind of a section with audio or video that could be used: RTCP has to share its port (RFC 8834 section 4.5), and
/// there has to be a codec that we know.
fn media_kind(section: &wigwag_sdp::Section<'_>) -> Option<MediaKind> {
    let media = section.media;
    let kind = MediaKind::from_media(&media.media)?;
    let is_usable = media.is_rtp() && !media.is_rejected() && media.rtcp_mux();
    let has_codec = || !codecs::in_common(&media.codecs(), &codecs::default_codecs(kind), false).is_empty();
    (is_usable && has_codec()).then_some(kind)
}
