//! What signalling carries as text: descriptions, candidates, fingerprints.

use wigwag::sdp::SessionDescription;
use wigwag_dtls::Fingerprint;
use wigwag_ice::Candidate;

use crate::count_steps;

/// Any text, as a session description.
pub fn sdp(data: &[u8]) {
    count_steps(1);
    let text = String::from_utf8_lossy(data);
    let Ok(description) = SessionDescription::parse(&text) else { return };
    read(&description);
    let again = SessionDescription::parse(&description.to_string());
    assert_eq!(again.as_ref(), Ok(&description), "what was read and written is read again");
}

/// All that can be asked.
pub fn read(description: &SessionDescription) {
    let _ = (description.ice_lite(), description.is_trickle(), description.bundle_groups().count());
    for section in description.sections() {
        let media = section.media;
        let _ = (section.ice_ufrag(), section.ice_pwd(), section.ice_options().count(), section.tls_id());
        let _ = (section.setup(), section.direction(), section.end_of_candidates(), section.transport().index);
        let _ = (media.mid(), media.is_rejected(), media.is_data_channel(), media.sctp_port(), media.is_rtp());
        let _ = (media.max_message_size(), media.sources(), media.source_groups(), media.msids().count());
        let _ = (section.extensions(), media.extensions(), media.simulcast());
        for rid in media.rids() {
            let _ = rid.parameter("pt");
        }
        for codec in media.codecs() {
            let _ = (codec.apt(), codec.parameter("x"), codec.has_feedback("nack"));
        }
        section.fingerprints().for_each(|text| drop(text.to_string().parse::<Fingerprint>()));
        media.candidates().for_each(|text| drop(text.to_string().parse::<Candidate>()));
    }
}

/// Any text, as a candidate and as a fingerprint.
pub fn candidate(data: &[u8]) {
    count_steps(1);
    let text = String::from_utf8_lossy(data);
    if let Ok(candidate) = text.parse::<Candidate>() {
        let _ = (candidate.socket_addr(), candidate.extension("ufrag"));
        assert_eq!(candidate.to_string().parse().as_ref(), Ok(&candidate), "what was read and written is read again");
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse().as_ref(), Ok(&fingerprint));
    }
}
