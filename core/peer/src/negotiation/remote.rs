//! What a remote description says of the transport.

use wigwag_dtls::Fingerprint;
use wigwag_ice::Credentials;
use wigwag_sdp::{MediaDescription, SessionDescription, Setup};

use super::DescriptionError;
use super::section::{self, Section};

/// What a description without `a=sctp-port` means.
const UNSAID_SCTP_PORT: u16 = 5000;
/// Candidates of one description that are looked at.
const MAX_CANDIDATES: usize = 256;

/// What the peer says of its data channels.
#[derive(Clone, Debug)]
pub(crate) struct RemoteSctp {
    pub port: u16,
    /// `usize::MAX` stands for any length.
    pub max_message_size: usize,
    /// Its INIT, in place of a handshake.
    pub init: Option<Vec<u8>>,
}

impl RemoteSctp {
    fn of(media: &MediaDescription) -> Self {
        let max_message_size = match media.max_message_size().unwrap_or(wigwag_sdp::DEFAULT_MAX_MESSAGE_SIZE) {
            0 => usize::MAX,
            bytes => bytes.try_into().unwrap_or(usize::MAX),
        };
        let port = media.sctp_port().unwrap_or(UNSAID_SCTP_PORT);
        Self { port, max_message_size, init: media.sctp_init() }
    }
}

/// The peer's side of the transport.
#[derive(Clone, Debug)]
pub(crate) struct RemoteTransport {
    pub credentials: Credentials,
    pub lite: bool,
    pub fingerprints: Vec<Fingerprint>,
    /// Who starts DTLS, by the peer's will.
    pub setup: Option<Setup>,
    /// What it says of data channels, if it has them.
    pub sctp: Option<RemoteSctp>,
    /// Each as its text, `candidate:...`.
    pub candidates: Vec<String>,
    pub end_of_candidates: bool,
}

impl RemoteTransport {
    /// The transport that the sections in use share: one of them [carries](section::carrier) it.
    pub(super) fn of(description: &SessionDescription, sections: &[Section]) -> Result<Option<Self>, DescriptionError> {
        let carrier = section::carrier(description, sections);
        let Some(section) = carrier.and_then(|index| description.section(index)) else {
            return Ok(None);
        };
        let transport = if section.ice_ufrag().is_some() { section } else { section.transport() };
        let missing = DescriptionError::Missing;
        let ufrag = transport.ice_ufrag().ok_or(missing("a=ice-ufrag"))?;
        let pwd = transport.ice_pwd().ok_or(missing("a=ice-pwd"))?;
        // RFC 8839 section 5.4: at least 4 and 22 characters, at most 256.
        if !(4..=256).contains(&ufrag.len()) || !(22..=256).contains(&pwd.len()) {
            return Err(DescriptionError::Invalid("a=ice-ufrag or a=ice-pwd is too short or too long".to_owned()));
        }
        let fingerprints: Vec<Fingerprint> = transport.fingerprints().filter_map(|text| text.parse().ok()).collect();
        if fingerprints.is_empty() {
            return Err(missing("a=fingerprint with a hash that is known and strong"));
        }
        let data = sections.iter().position(Section::is_data).and_then(|index| description.section(index));
        Ok(Some(Self {
            credentials: Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() },
            lite: description.ice_lite(),
            fingerprints,
            setup: transport.setup(),
            sctp: data.map(|section| RemoteSctp::of(section.media)),
            candidates: transport.media.candidates().take(MAX_CANDIDATES).map(str::to_owned).collect(),
            end_of_candidates: transport.end_of_candidates(),
        }))
    }

    /// A candidate that came while its description was pending.
    pub fn add_candidate(&mut self, candidate: &str) {
        match candidate {
            "" => self.end_of_candidates = true,
            _ if self.candidates.len() < MAX_CANDIDATES => self.candidates.push(candidate.to_owned()),
            _ => {}
        }
    }
}
