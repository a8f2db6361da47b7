//! Writes our descriptions. RFC 9429 sections 5.2 and 5.3.

use wigwag_dtls::Fingerprint;
use wigwag_ice::{Candidate, Credentials};
use wigwag_sdp::{Address, Direction, MediaDescription, SessionDescription, Setup};

use super::section::{self, Section, Usage};
use super::transceivers::Transceivers;

/// Our side of the transport.
#[derive(Clone, Debug)]
pub(crate) struct LocalTransport {
    pub credentials: Credentials,
    pub lite: bool,
    pub fingerprint: Fingerprint,
    pub max_message_size: u64,
    /// SCTP's INIT, if it may take the handshake's place.
    pub sctp_init: Option<Vec<u8>>,
    pub candidates: Vec<Candidate>,
    pub end_of_candidates: bool,
}

impl LocalTransport {
    /// The same with new credentials; the sockets stay, and so do their candidates.
    pub fn restart(&mut self, credentials: Credentials) {
        self.credentials = credentials;
    }
}

/// What a description says of itself.
pub(super) struct Session<'a> {
    /// Id and version.
    pub origin: (u64, u64),
    pub setup: Setup,
    /// The names of the sections that share a transport, the one that carries it first.
    pub bundle: Vec<&'a str>,
    pub cname: &'a str,
}

/// A description without candidates.
pub(super) fn description(
    session: Session<'_>,
    sections: &[Section],
    transceivers: &Transceivers,
    transport: &LocalTransport,
) -> SessionDescription {
    let (session_id, session_version) = session.origin;
    let mut description = SessionDescription::new(session_id);
    description.origin.session_version = session_version;
    if !session.bundle.is_empty() {
        description.attributes.add("group", format_args!("BUNDLE {}", session.bundle.join(" ")));
    }
    if sections.iter().filter_map(Section::as_media).any(|media| media.mixes_extensions) {
        description.attributes.add_flag("extmap-allow-mixed");
    }
    if transport.lite {
        description.attributes.add_flag("ice-lite");
    }
    description.media.extend(sections.iter().map(|section| media(section, transceivers, transport, &session)));
    description
}

fn media(
    section: &Section,
    transceivers: &Transceivers,
    transport: &LocalTransport,
    session: &Session<'_>,
) -> MediaDescription {
    let formats = match section.as_media() {
        Some(_) => Vec::new(),
        // RFC 3264 section 5: there is at least one, even where it means nothing.
        None if section.formats.is_empty() => vec!["0".to_owned()],
        None => section.formats.clone(),
    };
    let mut media = MediaDescription::new(&section.media, &section.protocol, formats);
    if let Some(mid) = &section.mid {
        media.attributes.add("mid", mid);
    }
    if !section.is_used() {
        media.port = 0; // rejected. RFC 3264 section 6
        media.attributes.add_flag("inactive");
        return media;
    }
    let direction = section.as_media().map_or(Direction::SendRecv, |media| media.direction);
    media
        .attributes
        .add_flag(direction.as_str())
        .add("ice-ufrag", &transport.credentials.ufrag)
        .add("ice-pwd", &transport.credentials.pwd)
        .add("ice-options", "trickle")
        .add("fingerprint", &transport.fingerprint)
        .add("setup", session.setup);
    match &section.usage {
        Usage::Data => {
            media.attributes.add("sctp-port", 5000).add("max-message-size", transport.max_message_size);
            if let Some(init) = &transport.sctp_init {
                media.set_sctp_init(init);
            }
        }
        Usage::Media(section) => {
            if let Some(transceiver) = section.transceiver.and_then(|id| transceivers.find(id)) {
                section.write(&mut media, transceiver, session.cname);
            }
        }
        Usage::Nothing => {}
    }
    media
}

/// `description` as text, with the candidates that are known by now in the section that has the transport.
pub(super) fn with_candidates(
    description: &SessionDescription,
    sections: &[Section],
    transport: &LocalTransport,
) -> String {
    let mut description = description.clone();
    let carrier = section::carrier(&description, sections);
    if let Some(media) = carrier.and_then(|index| description.media.get_mut(index)) {
        // The default destination is a candidate. RFC 8839 section 4.2.1.2.
        if let Some(address) = transport.candidates.iter().find_map(Candidate::socket_addr) {
            media.port = address.port();
            media.connection = Some(Address::from(address.ip()));
        }
        // A restart that is offered has its fragment here before the agent has it.
        let ufrag = media.attributes.value("ice-ufrag").map(str::to_owned);
        for candidate in &transport.candidates {
            let candidate = Candidate { ufrag: ufrag.clone(), ..candidate.clone() };
            media.attributes.add_text(candidate.to_string());
        }
        if transport.end_of_candidates {
            media.attributes.add_flag("end-of-candidates");
        }
    }
    description.to_string()
}
