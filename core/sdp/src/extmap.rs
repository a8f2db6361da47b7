//! `a=extmap`: which header extension an RTP packet's number means, RFC 8285 section 8.

use std::collections::HashSet;

use crate::attribute::Attributes;
use crate::codec::first_word;
use crate::media::MediaDescription;
use crate::section::Section;
use crate::values::Direction;

/// The most `a=extmap` lines that are read of a section, and of a session: there are as many ids.
pub const MAX_EXTENSIONS: usize = 511;
/// The longest URI, and the longest parameters, that are read, in bytes: sessions give theirs to every section, so their
/// length must be bounded. The longest that browsers write has 77.
pub const MAX_EXTENSION_LENGTH: usize = 256;

/// An id and a direction, a URI, parameters, and spaces between them.
const MAX_LINE_LENGTH: usize = 32 + 2 * MAX_EXTENSION_LENGTH;

/// `a=extmap:<id>[/<direction>] <uri> [<parameters>]`.
///
/// ```
/// use wigwag_sdp::{ExtMap, MediaDescription};
///
/// let mut audio = MediaDescription::new("audio", "UDP/TLS/RTP/SAVPF", ["111"]);
/// audio.add_extension(&ExtMap::new(4, "urn:ietf:params:rtp-hdrext:sdes:mid"));
/// assert_eq!(audio.attributes.value("extmap"), Some("4 urn:ietf:params:rtp-hdrext:sdes:mid"));
/// assert_eq!(audio.extensions()[0].id, 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtMap {
    /// What packets carry: 1 to 14 fit the one-byte form, up to 255 the two-byte form. 4096 to 4351 stand for one that the
    /// answerer shall choose. RFC 8285 section 7.
    pub id: u16,
    /// Which way it goes, seen from the writer; the section's own direction where nothing is said.
    pub direction: Option<Direction>,
    /// Which extension it is. One word.
    pub uri: String,
    /// The extension's own business; empty if there are none.
    pub parameters: String,
}

impl ExtMap {
    /// One without direction and parameters.
    pub fn new(id: u16, uri: impl Into<String>) -> Self {
        Self { id, direction: None, uri: uri.into(), parameters: String::new() }
    }

    fn parse(value: &str) -> Option<Self> {
        // Before anything looks at all of it.
        if value.len() > MAX_LINE_LENGTH {
            return None;
        }
        let (id, rest) = first_word(value)?;
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => (id, Some(direction.parse().ok()?)),
            None => (id, None),
        };
        let id = id.parse().ok().filter(|id| matches!(id, 1..=255 | 4096..=4351))?;
        let (uri, parameters) = first_word(rest).unwrap_or((rest, ""));
        let fits = uri.len().max(parameters.len()) <= MAX_EXTENSION_LENGTH;
        fits.then(|| Self { id, direction, uri: uri.to_owned(), parameters: parameters.to_owned() })
    }
}

impl std::fmt::Display for ExtMap {
    /// As `a=extmap` has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, direction, uri, parameters } = self;
        write!(f, "{id}")?;
        direction.map_or(Ok(()), |direction| write!(f, "/{direction}"))?;
        write!(f, " {uri}")?;
        if parameters.is_empty() { Ok(()) } else { write!(f, " {parameters}") }
    }
}

impl MediaDescription {
    /// Its own header extensions, in order. (The session may speak for it: [`Section::extensions`].)
    ///
    /// Of several with one id, only the first; malformed ones are left out.
    pub fn extensions(&self) -> Vec<ExtMap> {
        collect([&self.attributes])
    }

    /// Appends an `a=extmap`.
    pub fn add_extension(&mut self, extension: &ExtMap) -> &mut Self {
        self.attributes.add("extmap", extension);
        self
    }
}

impl Section<'_> {
    /// The header extensions of the section, then those of the session whose ids the section does not use itself.
    pub fn extensions(self) -> Vec<ExtMap> {
        collect([&self.media.attributes, &self.session.attributes])
    }
}

fn collect<'a>(levels: impl IntoIterator<Item = &'a Attributes>) -> Vec<ExtMap> {
    let mut ids = HashSet::new();
    // The session's are read again for each section, so that even malformed ones must not be too many.
    let lines = levels.into_iter().flat_map(|attributes| attributes.values("extmap").take(MAX_EXTENSIONS));
    lines.filter_map(ExtMap::parse).filter(|extension| ids.insert(extension.id)).collect()
}
