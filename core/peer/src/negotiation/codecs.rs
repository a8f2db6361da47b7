//! Which codecs there are, which of them are the same, and which payload types and ids they get.

use wigwag_rtp::ExtensionKind;
use wigwag_sdp::{Codec, ExtMap};

use crate::transceiver::MediaKind;

/// Feedback that the engine gives and understands, for every video codec. RFC 4585, RFC 5104.
const VIDEO_FEEDBACK: [&str; 4] = ["transport-cc", "ccm fir", "nack", "nack pli"];
const AUDIO_FEEDBACK: [&str; 1] = ["transport-cc"];

/// Format, clock rate, channels, parameters; the payload type is a wish.
type Entry = (u8, &'static str, u32, u8, &'static str);

const AUDIO: [Entry; 6] = [
    (111, "opus", 48_000, 2, "minptime=10;useinbandfec=1"),
    (9, "G722", 8_000, 1, ""),
    (0, "PCMU", 8_000, 1, ""),
    (8, "PCMA", 8_000, 1, ""),
    (110, "telephone-event", 48_000, 1, ""),
    (126, "telephone-event", 8_000, 1, ""),
];

const VIDEO: [Entry; 12] = [
    (96, "VP8", 90_000, 1, ""),
    (98, "VP9", 90_000, 1, "profile-id=0"),
    (100, "VP9", 90_000, 1, "profile-id=2"),
    (102, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    (104, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"),
    (106, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    (108, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
    (112, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
    (114, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f"),
    (116, "H264", 90_000, 1, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"),
    (45, "AV1", 90_000, 1, "level-idx=5;profile=0;tier=0"),
    (49, "H265", 90_000, 1, "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
];

const AUDIO_EXTENSIONS: [ExtensionKind; 5] = [
    ExtensionKind::AudioLevel,
    ExtensionKind::AbsSendTime,
    ExtensionKind::TransportSequenceNumber,
    ExtensionKind::Mid,
    ExtensionKind::AbsCaptureTime,
];

const VIDEO_EXTENSIONS: [ExtensionKind; 12] = [
    ExtensionKind::TransmissionOffset,
    ExtensionKind::AbsSendTime,
    ExtensionKind::VideoOrientation,
    ExtensionKind::TransportSequenceNumber,
    ExtensionKind::PlayoutDelay,
    ExtensionKind::VideoContentType,
    ExtensionKind::ColorSpace,
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
    ExtensionKind::DependencyDescriptor,
    ExtensionKind::AbsCaptureTime,
];

/// What is offered and accepted where the application does not say: the codecs that browsers have, the best-known first.
/// The engine carries them without looking inside; RTX is added where it is of use.
///
/// ```
/// use wigwag::{MediaKind, default_codecs};
///
/// let video: Vec<_> = default_codecs(MediaKind::Video).into_iter().map(|codec| codec.name).collect();
/// assert_eq!(video.first().map(String::as_str), Some("VP8"));
/// assert!(video.iter().any(|name| name == "AV1"));
/// ```
pub fn default_codecs(kind: MediaKind) -> Vec<Codec> {
    let (entries, feedback): (&[Entry], &[&str]) = match kind {
        MediaKind::Audio => (&AUDIO, &AUDIO_FEEDBACK),
        MediaKind::Video => (&VIDEO, &VIDEO_FEEDBACK),
    };
    let codec = |&(payload_type, name, clock_rate, channels, parameters): &Entry| {
        let mut codec = Codec::new(payload_type, name, clock_rate);
        codec.channels = channels;
        codec.parameters = parameters.to_owned();
        codec.feedback = feedback.iter().map(|&it| it.to_owned()).collect();
        codec
    };
    entries.iter().map(codec).collect()
}

/// The header extensions that the engine writes, reads, or carries from one end to the other.
pub(super) fn extension_kinds(kind: MediaKind) -> &'static [ExtensionKind] {
    match kind {
        MediaKind::Audio => &AUDIO_EXTENSIONS,
        MediaKind::Video => &VIDEO_EXTENSIONS,
    }
}

/// Whether the engine gives or understands this feedback.
pub(super) fn is_known_feedback(feedback: &str) -> bool {
    VIDEO_FEEDBACK.contains(&feedback)
}

/// Whether a payload type can be used where RTP and RTCP share a port: 64 to 95 would be taken for RTCP. RFC 5761 section 4.
fn is_payload_type(number: u8) -> bool {
    number < 128 && !(64..=95).contains(&number)
}

/// Whether one payload type can stand for both: the same format, or the retransmissions of the same payload type.
fn is_same_use(a: &Codec, b: &Codec) -> bool {
    is_same_format(a, b) && a.apt() == b.apt()
}

pub(super) fn is_rtx(codec: &Codec) -> bool {
    codec.is("rtx")
}

/// Whether both stand for the same format, so that what one end sends the other understands.
pub(super) fn is_same_format(a: &Codec, b: &Codec) -> bool {
    let same = |name: &str, default: &str| a.parameter(name).unwrap_or(default) == b.parameter(name).unwrap_or(default);
    let is_same = a.is(&b.name) && a.clock_rate == b.clock_rate && a.channels == b.channels;
    is_same
        && match a.name.to_ascii_uppercase().as_str() {
            // RFC 6184 section 8.2.2: the profile and the mode; levels are each side's own.
            "H264" => same("packetization-mode", "0") && h264_profile(a).is_some_and(|it| Some(it) == h264_profile(b)),
            "VP9" => same("profile-id", "0"),
            "AV1" => same("profile", "0"),
            "H265" => same("profile-id", "1") && same("tier-flag", "0") && same("tx-mode", "SRST"),
            _ => true,
        }
}

/// The profiles of H.264 that differ for a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum H264Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    PredictiveHigh444,
}

/// RFC 6184 section 8.1, table 5: several pairs of `profile_idc` and constraint flags are one profile.
fn h264_profile(codec: &Codec) -> Option<H264Profile> {
    // What is not said is Baseline, level 1.
    let id = u32::from_str_radix(codec.parameter("profile-level-id").unwrap_or("42000a"), 16).ok()?;
    let (profile, flags) = (id >> 16, (id >> 8) & 0xFF);
    match profile {
        0x42 if flags & 0x4F == 0x40 => Some(H264Profile::ConstrainedBaseline),
        0x4D if flags & 0x8F == 0x80 => Some(H264Profile::ConstrainedBaseline),
        0x58 if flags & 0xCF == 0xC0 => Some(H264Profile::ConstrainedBaseline),
        0x42 if flags & 0x4F == 0 => Some(H264Profile::Baseline),
        0x58 if flags & 0xCF == 0x80 => Some(H264Profile::Baseline),
        0x4D if flags & 0xAF == 0 => Some(H264Profile::Main),
        0x64 if flags == 0 => Some(H264Profile::High),
        0x64 if flags == 0x0C => Some(H264Profile::ConstrainedHigh),
        0xF4 if flags == 0 => Some(H264Profile::PredictiveHigh444),
        _ => None,
    }
}

/// What an answer takes of the `offered` codecs: those that `wanted` has, too, each with its RTX; in the order of
/// `wanted` where the application `chose` it, else in the offer's. RFC 9429 section 5.3.1.
pub(super) fn in_common(offered: &[Codec], wanted: &[Codec], chose: bool) -> Vec<Codec> {
    let fits = |offer: &&Codec, wish: &Codec| {
        !is_rtx(offer) && is_payload_type(offer.payload_type) && is_same_format(offer, wish)
    };
    let mut pairs: Vec<(&Codec, &Codec)> = match chose {
        true => wanted.iter().filter_map(|wish| Some((offered.iter().find(|it| fits(it, wish))?, wish))).collect(),
        false => offered.iter().filter_map(|it| Some((it, wanted.iter().find(|wish| fits(&it, wish))?))).collect(),
    };
    let mut taken = Vec::new();
    pairs.retain(|(offer, _)| {
        !taken.contains(&offer.payload_type) && {
            taken.push(offer.payload_type);
            true
        }
    });
    let mut common = Vec::new();
    for (offer, wish) in pairs {
        let mut codec = offer.clone();
        codec.feedback.retain(|it| wish.feedback.contains(it));
        if codec.is("opus") {
            codec.parameters.clone_from(&wish.parameters); // what we would like to receive
        }
        let repairs = codec.has_feedback("nack");
        common.push(codec);
        let rtx = offered.iter().find(|it| it.apt() == Some(offer.payload_type) && is_payload_type(it.payload_type));
        common.extend(rtx.filter(|_| repairs).cloned());
    }
    common
}

/// Which payload types and extension ids the sections of a bundle use already: one number means one thing in all of
/// them. RFC 9143 section 9.1.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// In the sections as they were agreed on, by whichever side.
    known: Vec<Codec>,
    /// In the description that is being made. The parameters are ours: what we can receive.
    said: Vec<Codec>,
    extensions: Vec<ExtMap>,
}

impl Numbers {
    /// What a section uses.
    pub fn note(&mut self, codecs: &[Codec], extensions: &[ExtMap]) {
        for codec in codecs {
            if !self.known.iter().any(|it| it.payload_type == codec.payload_type && is_same_use(it, codec)) {
                self.known.push(codec.clone());
            }
        }
        for extension in extensions {
            if !self.extensions.iter().any(|it| it.id == extension.id && it.uri == extension.uri) {
                self.extensions.push(extension.clone());
            }
        }
    }

    /// The codecs for a section that had `own` before, each followed by its RTX: with the payload types that they have there;
    /// else those that they have elsewhere in the bundle; else such as mean nothing yet.
    pub fn assign(&mut self, wanted: &[Codec], own: &[Codec]) -> Vec<Codec> {
        let mut assigned = Vec::new();
        for wish in wanted {
            let Some(payload_type) = self.number(wish, own, &assigned) else { continue };
            assigned.push(Codec { payload_type, ..wish.clone() });
            if !wish.has_feedback("nack") {
                continue;
            }
            let mut rtx = Codec::new(payload_type.wrapping_add(1), "rtx", wish.clock_rate);
            rtx.parameters = format!("apt={payload_type}");
            if let Some(number) = self.number(&rtx, own, &assigned) {
                assigned.push(Codec { payload_type: number, ..rtx });
            }
        }
        for codec in &assigned {
            if !self.said.iter().any(|it| it.payload_type == codec.payload_type && it.parameters == codec.parameters) {
                self.said.push(codec.clone());
            }
        }
        assigned
    }

    /// The payload type of `wish` in a section that had `own` before, and has `assigned` by now.
    fn number(&self, wish: &Codec, own: &[Codec], assigned: &[Codec]) -> Option<u8> {
        let is_wish = |it: &&Codec| is_same_use(it, wish);
        // RFC 3264 section 8.3.2: what a number meant on this line, it means for ever.
        let fits_here = |number: &u8| {
            is_payload_type(*number)
                && assigned.iter().all(|it| it.payload_type != *number)
                && own.iter().all(|it| it.payload_type != *number || is_same_use(it, wish))
        };
        // One number has one set of parameters, wherever it stands.
        let is_said = |it: &Codec| is_same_use(it, wish) && it.parameters == wish.parameters;
        let fits =
            |number: &u8| fits_here(number) && self.said.iter().all(|it| it.payload_type != *number || is_said(it));
        let has = own.iter().filter(is_wish).chain(self.said.iter().filter(|it| is_said(it)));
        let mut has = has.chain(self.known.iter().filter(is_wish)).map(|it| it.payload_type);
        let is_free = |number: &u8| fits(number) && self.known.iter().all(|it| it.payload_type != *number);
        let all = || std::iter::once(wish.payload_type).chain(96..=127).chain(35..=63);
        let number = has.find(fits).or_else(|| all().find(is_free)).or_else(|| all().find(fits));
        // Better one that means something else on another line than none: the mid tells the lines apart.
        number.or_else(|| all().find(fits_here))
    }

    /// The extensions of a kind, with ids that mean nothing else in the bundle.
    pub fn assign_extensions(&mut self, kinds: &[ExtensionKind]) -> Vec<ExtMap> {
        let mut assigned = Vec::new();
        for kind in kinds {
            let known = self.extensions.iter().find(|it| it.uri == kind.uri()).map(|it| it.id);
            let is_free = |id: &u16| self.extensions.iter().all(|it| it.id != *id);
            let Some(id) = known.or_else(|| (1..=14).find(is_free)) else { continue };
            let extension = ExtMap { id, direction: None, uri: kind.uri().to_owned(), parameters: String::new() };
            if known.is_none() {
                self.extensions.push(extension.clone());
            }
            assigned.push(extension);
        }
        assigned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(parameters: &str) -> Codec {
        let mut codec = Codec::new(100, "H264", 90_000);
        codec.parameters = parameters.to_owned();
        codec
    }

    #[test]
    fn profiles_of_h264_are_told_apart() {
        let same = |a: &str, b: &str| is_same_format(&h264(a), &h264(b));
        assert!(same("packetization-mode=1;profile-level-id=42e01f", "profile-level-id=42e034;packetization-mode=1"));
        assert!(same("profile-level-id=42e01f", "profile-level-id=4de01f"), "both are constrained baseline");
        assert!(!same("packetization-mode=1;profile-level-id=42e01f", "profile-level-id=42e01f"));
        assert!(!same("profile-level-id=42e01f", "profile-level-id=42001f"));
        assert!(!same("profile-level-id=64001f", "profile-level-id=640c1f"));
        assert!(!same("profile-level-id=xyz", "profile-level-id=xyz"), "nobody knows what it is");
        assert!(same("", "profile-level-id=42000a"));
    }

    #[test]
    fn an_answer_takes_what_both_have_with_its_rtx() {
        let mut offered = Numbers::default().assign(&default_codecs(MediaKind::Video), &[]);
        for codec in &mut offered {
            codec.payload_type ^= 0x01;
            if let Some(apt) = codec.apt() {
                codec.parameters = format!("apt={}", apt ^ 0x01);
            }
        }
        offered.push(Codec::new(127, "something-new", 90_000));
        let all = in_common(&offered, &default_codecs(MediaKind::Video), false);
        assert_eq!(all.len(), offered.len() - 1);
        let wanted: Vec<_> =
            default_codecs(MediaKind::Video).into_iter().filter(|it| it.is("AV1") || it.is("VP8")).rev().collect();
        let common = in_common(&offered, &wanted, true);
        let names: Vec<_> = common.iter().map(|codec| (codec.name.as_str(), codec.payload_type)).collect();
        assert_eq!(names, [("AV1", 44), ("rtx", 47), ("VP8", 97), ("rtx", 96)]);
    }

    #[test]
    fn numbers_mean_one_thing() {
        let mut numbers = Numbers::default();
        let mut taken = Codec::new(96, "H264", 90_000);
        taken.parameters = "profile-level-id=42e01f".to_owned();
        numbers.note(&[taken], &[ExtMap { id: 1, direction: None, uri: "x".to_owned(), parameters: String::new() }]);
        let video = numbers.assign(&default_codecs(MediaKind::Video), &[]);
        let audio = numbers.assign(&default_codecs(MediaKind::Audio), &[]);
        let mut all: Vec<_> = video.iter().chain(&audio).map(|codec| codec.payload_type).collect();
        assert_eq!(all.len(), 2 * VIDEO.len() + AUDIO.len());
        let known: Vec<_> =
            video.iter().filter(|codec| codec.payload_type == 96).map(|codec| codec.name.as_str()).collect();
        assert_eq!(known, ["H264"], "what is known keeps its number");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * VIDEO.len() + AUDIO.len());
        assert_eq!(numbers.assign(&default_codecs(MediaKind::Video), &[]), video, "the same again");
        let extensions = numbers.assign_extensions(extension_kinds(MediaKind::Video));
        assert!(extensions.iter().all(|it| it.id != 1) && extensions.len() == VIDEO_EXTENSIONS.len());
    }
}
