//! `a=ssrc` and `a=ssrc-group`: which sources the writer sends, RFC 5576 section 4.
//!
//! Chromium and Firefox write them, and tell a stream from its retransmissions by them (`FID`). Since RFC 8843 a stream is
//! known by its `mid` and `rid`, so a reader must do without them, too.

use std::collections::HashMap;

use crate::codec::first_word;
use crate::media::MediaDescription;

/// The most sources, and groups of sources, that are read of a section; and the most sources of a group. Bridges that put a
/// whole conference into one section have hundreds.
pub const MAX_SOURCES: usize = 1024;

/// What is said of one source. Other attributes than these are not read.
///
/// ```
/// use wigwag_sdp::{MediaDescription, Source, SourceGroup};
///
/// let mut video = MediaDescription::new("video", "UDP/TLS/RTP/SAVPF", ["96", "97"]);
/// video.add_source_group(&SourceGroup { semantics: "FID".to_owned(), ssrcs: vec![1, 2] });
/// for ssrc in [1, 2] {
///     video.add_source(&Source { ssrc, cname: Some("x".to_owned()), msid: None });
/// }
/// assert_eq!(video.sources()[1].ssrc, 2);
/// assert_eq!(video.source_groups()[0].ssrcs, [1, 2]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// What packets carry.
    pub ssrc: u32,
    /// Sources of one name come from one participant, and can be synchronised. RFC 5576 section 6.1.
    pub cname: Option<String>,
    /// The stream and the track, as in `a=msid`; an old way to say it.
    pub msid: Option<String>,
}

/// Sources that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceGroup {
    /// How: `FID` (a stream and its retransmissions), `FEC-FR` (and its repair), `SIM` (an old way to say simulcast).
    pub semantics: String,
    /// Which, in an order that the semantics give meaning to.
    pub ssrcs: Vec<u32>,
}

impl MediaDescription {
    /// The sources of its `a=ssrc` lines, each once, in order.
    pub fn sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        let mut places: HashMap<u32, usize> = HashMap::new();
        for value in self.attributes.values("ssrc") {
            let (ssrc, attribute) = first_word(value).unwrap_or((value, ""));
            let Ok(ssrc) = ssrc.parse() else {
                continue;
            };
            if sources.len() == MAX_SOURCES && !places.contains_key(&ssrc) {
                continue;
            }
            let place = *places.entry(ssrc).or_insert(sources.len());
            if place == sources.len() {
                sources.push(Source { ssrc, cname: None, msid: None });
            }
            let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
            let Some(source) = sources.get_mut(place).filter(|_| !value.is_empty()) else {
                continue;
            };
            match name {
                "cname" if source.cname.is_none() => source.cname = Some(value.to_owned()),
                "msid" if source.msid.is_none() => source.msid = Some(value.to_owned()),
                _ => {}
            }
        }
        sources
    }

    /// The groups of its `a=ssrc-group` lines, in order. Malformed ones are left out.
    pub fn source_groups(&self) -> Vec<SourceGroup> {
        let groups = self.attributes.values("ssrc-group").filter_map(|value| {
            let mut words = value.split_whitespace();
            let semantics = words.next()?.to_owned();
            let ssrcs = words.by_ref().take(MAX_SOURCES).map(str::parse).collect::<Result<_, _>>().ok()?;
            words.next().is_none().then_some(SourceGroup { semantics, ssrcs })
        });
        groups.take(MAX_SOURCES).collect()
    }

    /// Appends an `a=ssrc` for each thing that is said of it.
    pub fn add_source(&mut self, source: &Source) -> &mut Self {
        let Source { ssrc, cname, msid } = source;
        // A line must say something, or Chromium refuses the description.
        if cname.is_some() || msid.is_none() {
            self.attributes.add("ssrc", format_args!("{ssrc} cname:{}", cname.as_deref().unwrap_or_default()));
        }
        if let Some(msid) = msid {
            self.attributes.add("ssrc", format_args!("{ssrc} msid:{msid}"));
        }
        self
    }

    /// Appends an `a=ssrc-group`.
    pub fn add_source_group(&mut self, group: &SourceGroup) -> &mut Self {
        let ssrcs: String = group.ssrcs.iter().map(|ssrc| format!(" {ssrc}")).collect();
        self.attributes.add("ssrc-group", format_args!("{}{ssrcs}", group.semantics));
        self
    }
}
