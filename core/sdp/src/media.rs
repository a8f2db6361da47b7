//! A media section as it stands, RFC 8866 section 5.14.

use base64ct::{Base64, Encoding};

use crate::attribute::Attributes;
use crate::line::{Address, Bandwidth, OtherLine};
use crate::values::Direction;

/// An `m=` line and the lines that follow it.
///
/// ```
/// use wigwag_sdp::MediaDescription;
///
/// let mut media = MediaDescription::new("application", "UDP/DTLS/SCTP", ["webrtc-datachannel"]);
/// media.attributes.add("mid", "0").add("sctp-port", 5000).add("max-message-size", 262_144);
/// assert!(media.is_data_channel());
/// assert_eq!(media.sctp_port(), Some(5000));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MediaDescription {
    /// `audio`, `video`, `application`, or another.
    pub media: String,
    /// Where to; in WebRTC, 9 until there is a candidate, and zero for a rejected or a bundle-only section.
    pub port: u16,
    /// How many ports, where it is said. Not used in WebRTC.
    pub port_count: Option<u16>,
    /// `UDP/DTLS/SCTP`, `UDP/TLS/RTP/SAVPF`, or another.
    pub protocol: String,
    /// Payload types, or `webrtc-datachannel`.
    pub formats: Vec<String>,
    /// `c=`.
    pub connection: Option<Address>,
    /// `b=`.
    pub bandwidth: Vec<Bandwidth>,
    /// `i=`, `k=` and what else there is.
    pub other: Vec<OtherLine>,
    /// `a=`.
    pub attributes: Attributes,
}

impl MediaDescription {
    /// A section with port 9 and `c=IN IP4 0.0.0.0`, as RFC 8829 section 5.2.1 writes before there are candidates.
    pub fn new<S: Into<String>>(media: &str, protocol: &str, formats: impl IntoIterator<Item = S>) -> Self {
        Self {
            media: media.to_owned(),
            port: 9,
            protocol: protocol.to_owned(),
            formats: formats.into_iter().map(Into::into).collect(),
            connection: Some(Address::default()),
            ..Self::default()
        }
    }

    /// Its name in groups and for candidates. RFC 5888 section 4.
    pub fn mid(&self) -> Option<&str> {
        self.attributes.value("mid").filter(|mid| !mid.is_empty())
    }

    /// Turned down, or stopped: port zero without `bundle-only`. RFC 3264 section 6, RFC 9143 section 6.
    pub fn is_rejected(&self) -> bool {
        self.port == 0 && !self.is_bundle_only()
    }

    /// To be used within its bundle group or not at all. RFC 9143 section 6.
    pub fn is_bundle_only(&self) -> bool {
        self.attributes.has("bundle-only")
    }

    /// Data channels: SCTP over DTLS, as RFC 8841 writes it or as its drafts did (`DTLS/SCTP 5000`).
    pub fn is_data_channel(&self) -> bool {
        let uses = |name| self.protocol.split('/').any(|part| part == name);
        let is_webrtc = self.formats.iter().any(|format| format == "webrtc-datachannel");
        self.media == "application" && uses("DTLS") && uses("SCTP") && (is_webrtc || self.is_draft_sctp())
    }

    fn is_draft_sctp(&self) -> bool {
        self.protocol == "DTLS/SCTP" && self.attributes.has("sctpmap")
    }

    /// RFC 8841 section 5. In the form of its drafts, the m-line's format.
    pub fn sctp_port(&self) -> Option<u16> {
        let draft = || self.formats.first().filter(|_| self.is_draft_sctp()).map(String::as_str);
        self.attributes.value("sctp-port").or_else(draft)?.parse().ok()
    }

    /// The longest message that the writer takes, in bytes; zero: any. RFC 8841 section 6, which says
    /// [`DEFAULT_MAX_MESSAGE_SIZE`](crate::DEFAULT_MAX_MESSAGE_SIZE) where it is `None`.
    pub fn max_message_size(&self) -> Option<u64> {
        self.attributes.value("max-message-size")?.parse().ok()
    }

    /// The INIT chunk that the writer would send, so that SCTP needs no handshake. draft-hancke-tsvwg-snap.
    pub fn sctp_init(&self) -> Option<Vec<u8>> {
        let text = self.attributes.value("sctp-init")?.trim();
        Base64::decode_vec(text).ok()
    }

    /// The INIT chunk that SCTP would send; see [`sctp_init`](Self::sctp_init).
    pub fn set_sctp_init(&mut self, chunk: &[u8]) -> &mut Self {
        self.attributes.add("sctp-init", Base64::encode_string(chunk));
        self
    }

    /// Each candidate as text, with its name: `candidate:1 1 udp ...`. RFC 8839 section 5.1.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        self.attributes.all("candidate").filter(|candidate| candidate.value().is_some()).map(|it| it.text().trim_end())
    }

    /// RTP and RTCP share a port. RFC 5761 section 5.1.1.
    pub fn rtcp_mux(&self) -> bool {
        self.attributes.has("rtcp-mux")
    }

    /// They must. RFC 8858 section 3.
    pub fn rtcp_mux_only(&self) -> bool {
        self.attributes.has("rtcp-mux-only")
    }

    /// RTCP packets may be reduced-size. RFC 5506 section 5.
    pub fn rtcp_rsize(&self) -> bool {
        self.attributes.has("rtcp-rsize")
    }

    /// The stream (`-`: none) and, where it is said, the track. RFC 8830 section 2.
    pub fn msids(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.attributes.values("msid").filter_map(|msid| {
            let mut words = msid.split_ascii_whitespace();
            Some((words.next()?, words.next()))
        })
    }

    /// Replaces the direction, in its place.
    pub fn set_direction(&mut self, direction: Direction) -> &mut Self {
        let is_direction = |name: &str| name.parse::<Direction>().is_ok();
        let place = self.attributes.iter().position(|attribute| is_direction(attribute.name()));
        self.attributes.retain(|attribute| !is_direction(attribute.name()));
        let place = place.unwrap_or(self.attributes.len());
        self.attributes.insert(place, crate::Attribute::flag(direction.as_str()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_only_section_is_not_rejected() {
        let mut media = MediaDescription { port: 0, ..MediaDescription::new("audio", "UDP/TLS/RTP/SAVPF", ["111"]) };
        assert!(media.is_rejected());
        media.attributes.add_flag("bundle-only");
        assert!(!media.is_rejected());
    }

    #[test]
    fn the_drafts_form_of_data_channels() {
        let mut media = MediaDescription::new("application", "DTLS/SCTP", ["5001"]);
        assert!(!media.is_data_channel());
        media.attributes.add("sctpmap", "5001 webrtc-datachannel 256");
        assert!(media.is_data_channel());
        assert_eq!(media.sctp_port(), Some(5001));
    }

    #[test]
    fn an_init_chunk_survives() {
        let mut media = MediaDescription::new("application", "UDP/DTLS/SCTP", ["webrtc-datachannel"]);
        assert_eq!(media.sctp_init(), None);
        media.set_sctp_init(&[1, 0, 0, 4]);
        assert_eq!(media.attributes.value("sctp-init"), Some("AQAABA=="));
        assert_eq!(media.sctp_init(), Some(vec![1, 0, 0, 4]));
    }

    #[test]
    fn malformed_values_are_no_values() {
        let mut media = MediaDescription::new("application", "UDP/DTLS/SCTP", ["webrtc-datachannel"]);
        media.attributes.add("sctp-port", 65_536).add("max-message-size", "-1").add("mid", "").add_flag("msid");
        media.attributes.add("sctp-init", "A*==");
        assert_eq!(media.sctp_init(), None);
        assert_eq!((media.sctp_port(), media.max_message_size(), media.mid()), (None, None, None));
        assert_eq!(media.msids().count(), 0);
    }

    #[test]
    fn the_direction_is_replaced_in_its_place() {
        let mut media = MediaDescription::new("audio", "UDP/TLS/RTP/SAVPF", ["111"]);
        media.attributes.add("mid", 0).add_flag("sendrecv").add_flag("rtcp-mux");
        media.set_direction(Direction::Inactive);
        let texts: Vec<_> = media.attributes.iter().map(|attribute| attribute.text()).collect();
        assert_eq!(texts, ["mid:0", "inactive", "rtcp-mux"]);
    }
}
