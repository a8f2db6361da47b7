//! A whole description, RFC 8866 section 5.

use crate::attribute::Attributes;
use crate::line::{Address, Bandwidth, Origin, OtherLine, Timing};
use crate::media::MediaDescription;
use crate::parse::{self, MAX_MEDIA, ParseError};
use crate::section::Section;

/// A session description: [`parse`](Self::parse) reads one, `to_string` writes it (with CRLF).
///
/// ```
/// use wigwag_sdp::{MediaDescription, SessionDescription};
///
/// let mut offer = SessionDescription::new(4_611_731_400_430_051_336);
/// offer.attributes.add("group", "BUNDLE 0").add("ice-options", "trickle");
/// let mut media = MediaDescription::new("application", "UDP/DTLS/SCTP", ["webrtc-datachannel"]);
/// media.attributes.add("mid", 0).add("ice-ufrag", "F7gI").add("setup", "actpass").add("sctp-port", 5000);
/// offer.media.push(media);
///
/// let text = offer.to_string();
/// assert!(text.starts_with("v=0\r\no=- 4611731400430051336 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"));
/// assert_eq!(SessionDescription::parse(&text)?, offer);
/// # Ok::<(), wigwag_sdp::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionDescription {
    /// `o=`.
    pub origin: Origin,
    /// `s=`; a single `-` in WebRTC.
    pub name: String,
    /// `c=`, where it stands for all sections.
    pub connection: Option<Address>,
    /// `b=`.
    pub bandwidth: Vec<Bandwidth>,
    /// `t=`.
    pub timing: Timing,
    /// `i=`, `u=`, `e=`, `p=`, `r=`, `z=`, `k=` and what else there is.
    pub other: Vec<OtherLine>,
    /// `a=` before the first `m=`.
    pub attributes: Attributes,
    /// The media sections, in order.
    pub media: Vec<MediaDescription>,
}

impl SessionDescription {
    /// One without attributes and sections. RFC 8829 section 5.2.1 wants a random `session_id` below 2^63.
    pub fn new(session_id: u64) -> Self {
        Self {
            origin: Origin::new(session_id),
            name: "-".to_owned(),
            connection: None,
            bandwidth: Vec::new(),
            timing: Timing::default(),
            other: Vec::new(),
            attributes: Attributes::default(),
            media: Vec::new(),
        }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// Only if the text cannot be understood at all: see [`Reason`](crate::Reason).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::session(text)
    }

    /// The media sections within the session, in order.
    pub fn sections(&self) -> impl DoubleEndedIterator<Item = Section<'_>> + ExactSizeIterator {
        self.media.iter().enumerate().map(|(index, media)| Section { session: self, index, media })
    }

    /// The section of the `m=` line with this index.
    pub fn section(&self, index: usize) -> Option<Section<'_>> {
        self.media.get(index).map(|media| Section { session: self, index, media })
    }

    /// The first section with this `mid`.
    pub fn section_by_mid(&self, mid: &str) -> Option<Section<'_>> {
        self.sections().find(|section| section.media.mid() == Some(mid))
    }

    /// The `mid`s of each bundle group; the first of a group carries its transport. RFC 9143 section 5.
    pub fn bundle_groups(&self) -> impl Iterator<Item = Vec<&str>> {
        self.groups("BUNDLE")
    }

    /// The `mid`s of each group with these semantics, such as `LS`. RFC 5888 section 5.
    pub fn groups<'a>(&'a self, semantics: &str) -> impl Iterator<Item = Vec<&'a str>> {
        // As many groups, each of as many names, as there can be sections: what a look costs is bounded.
        let groups = self.attributes.values("group").filter_map(move |group| {
            let mut words = group.split_ascii_whitespace();
            (words.next()? == semantics).then(|| words.take(MAX_MEDIA).collect())
        });
        groups.take(MAX_MEDIA)
    }

    /// The writer is an ICE-lite agent. RFC 8839 section 5.3.
    pub fn ice_lite(&self) -> bool {
        self.attributes.has("ice-lite")
    }

    /// Does the session, or a section in use, say that candidates may be trickled? RFC 8840 section 4.1.1. (In a bundle
    /// the section that carries the transport says it for the others.)
    pub fn is_trickle(&self) -> bool {
        let mut used = self.sections().filter(|section| !section.media.is_rejected());
        used.any(|section| section.has_ice_option("trickle"))
    }
}

impl std::str::FromStr for SessionDescription {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
