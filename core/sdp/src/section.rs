//! A media section seen within its session, which speaks for it where it says nothing itself.

use std::collections::HashMap;

use crate::attribute::Attributes;
use crate::media::MediaDescription;
use crate::session::SessionDescription;
use crate::values::{Direction, Setup};

/// A media description, its place, and the session around it. From [`SessionDescription::sections`].
///
/// ```
/// use wigwag_sdp::{Direction, SessionDescription, Setup};
///
/// let text = "v=0\na=setup:actpass\na=recvonly\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:a\na=sendonly\n";
/// let description = SessionDescription::parse(text)?;
/// let section = description.section(0).unwrap();
/// assert_eq!(section.media.mid(), Some("a"));
/// assert_eq!(section.setup(), Some(Setup::ActPass));
/// assert_eq!(section.direction(), Direction::SendOnly);
/// # Ok::<(), wigwag_sdp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// The session that it is in.
    pub session: &'a SessionDescription,
    /// Which `m=` line: the first is zero. W3C's `sdpMLineIndex`.
    pub index: usize,
    /// The section itself, with the accessors that do not ask the session.
    pub media: &'a MediaDescription,
}

impl<'a> Section<'a> {
    /// The section itself, then the session.
    fn levels(self) -> [&'a Attributes; 2] {
        [&self.media.attributes, &self.session.attributes]
    }

    fn value(self, name: &str) -> Option<&'a str> {
        self.levels().into_iter().find_map(|attributes| attributes.value(name))
    }

    /// The ICE user fragment. RFC 8839 section 5.4.
    pub fn ice_ufrag(self) -> Option<&'a str> {
        self.value("ice-ufrag")
    }

    /// The ICE password. RFC 8839 section 5.4.
    pub fn ice_pwd(self) -> Option<&'a str> {
        self.value("ice-pwd")
    }

    /// The options of the section and of the session, such as `trickle` and `renomination`. RFC 8839 section 5.6.
    pub fn ice_options(self) -> impl Iterator<Item = &'a str> {
        self.levels().into_iter().flat_map(|it| it.values("ice-options")).flat_map(str::split_ascii_whitespace)
    }

    /// Is this one of the [`ice_options`](Self::ice_options)?
    pub fn has_ice_option(self, option: &str) -> bool {
        self.ice_options().any(|it| it == option)
    }

    /// Each fingerprint as text, `sha-256 AB:CD:...`; those of the section override those of the session.
    /// RFC 8122 section 5.
    pub fn fingerprints(self) -> impl Iterator<Item = &'a str> {
        let [own, session] = self.levels();
        let level = if own.has("fingerprint") { own } else { session };
        level.values("fingerprint")
    }

    /// Who starts the DTLS handshake. RFC 8842 section 5.
    pub fn setup(self) -> Option<Setup> {
        self.value("setup")?.parse().ok()
    }

    /// Names the DTLS association; a new one wants a new handshake. RFC 8842 section 4.
    pub fn tls_id(self) -> Option<&'a str> {
        self.value("tls-id")
    }

    /// Which way media flows; both ways where nothing is said. RFC 8866 section 6.7.
    pub fn direction(self) -> Direction {
        let of = |attributes: &Attributes| attributes.iter().find_map(|attribute| attribute.name().parse().ok());
        self.levels().into_iter().find_map(of).unwrap_or_default()
    }

    /// No candidate comes after those that are here. RFC 8840 section 8.2.
    pub fn end_of_candidates(self) -> bool {
        self.levels().into_iter().any(|attributes| attributes.has("end-of-candidates"))
    }

    /// One-byte and two-byte header extensions may be mixed. RFC 8285 section 6.
    pub fn extmap_allow_mixed(self) -> bool {
        self.levels().into_iter().any(|attributes| attributes.has("extmap-allow-mixed"))
    }

    /// The section whose transport this one uses: the first that its bundle group names and that is not rejected, or
    /// itself. RFC 9143 section 7.1.
    pub fn transport(self) -> Self {
        let Some(mid) = self.media.mid() else {
            return self;
        };
        let mut groups = self.session.bundle_groups();
        let Some(group) = groups.find(|group| group.contains(&mid)) else {
            return self;
        };
        // Backwards, so that the first mention of a name counts.
        let places: HashMap<&str, usize> = group.iter().enumerate().rev().map(|(place, mid)| (*mid, place)).collect();
        let place = |section: &Self| places.get(section.media.mid()?).copied();
        let used = self.session.sections().filter(|section| !section.media.is_rejected());
        let placed = used.filter_map(|section| Some((place(&section)?, section)));
        placed.min_by_key(|(place, _)| *place).map_or(self, |(_, section)| section)
    }
}
