//! What the payload types of an `m=` line mean: `a=rtpmap` and `a=fmtp` (RFC 8866 sections 6.6 and 6.15), `a=rtcp-fb`
//! (RFC 4585 section 4.2).
//!
//! ```text
//! m=video 9 UDP/TLS/RTP/SAVPF 96 97
//! a=rtpmap:96 VP8/90000            name and clock rate; behind another slash, channels
//! a=rtcp-fb:96 nack pli            one line for each kind of feedback; * stands for all payload types
//! a=rtpmap:97 rtx/90000
//! a=fmtp:97 apt=96                 parameters: the codec's own business
//! ```
//!
//! The lines come in any order. Of several where one is expected, the first that is well-formed counts.

use std::fmt;

use crate::media::MediaDescription;

/// RTP has seven bits for the payload type.
const PAYLOAD_TYPES: usize = 128;
/// The most kinds of feedback that a codec is read with; browsers write five.
pub const MAX_FEEDBACK: usize = 32;
/// The longest value of an `rtcp-fb` that is read, in bytes: as `*` lines are given to every codec, their length must be
/// bounded.
pub const MAX_FEEDBACK_LENGTH: usize = 64;

/// What a payload type means.
///
/// ```
/// use wigwag_sdp::{Codec, MediaDescription};
///
/// let mut video = MediaDescription::new("video", "UDP/TLS/RTP/SAVPF", [""; 0]);
/// let vp8 = Codec { feedback: vec!["nack pli".to_owned()], ..Codec::new(96, "VP8", 90_000) };
/// let rtx = Codec { parameters: "apt=96".to_owned(), ..Codec::new(97, "rtx", 90_000) };
/// video.add_codec(&vp8).add_codec(&rtx);
/// assert_eq!(video.formats, ["96", "97"]);
///
/// let codecs = video.codecs();
/// assert!(codecs[0].is("vp8") && codecs[0].has_feedback("nack pli"));
/// assert_eq!(codecs[1].apt(), Some(96));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    /// What packets carry: 0 to 127.
    pub payload_type: u8,
    /// `opus`, `VP8`, `rtx`, ... as it was written; compare with [`is`](Self::is).
    pub name: String,
    /// Ticks of the RTP timestamp per second. Not zero.
    pub clock_rate: u32,
    /// Of audio. 1 unless more are said; not zero.
    pub channels: u8,
    /// The value of `a=fmtp`, such as `minptime=10;useinbandfec=1`; empty if there is none.
    pub parameters: String,
    /// The values of `a=rtcp-fb`, one space between words: `nack`, `nack pli`, `ccm fir`, `transport-cc`, `goog-remb`. Those
    /// for all payload types (`*`) come last. None twice; at most [`MAX_FEEDBACK`], each of at most
    /// [`MAX_FEEDBACK_LENGTH`] bytes.
    pub feedback: Vec<String>,
}

impl Codec {
    /// One channel, no parameters and no feedback.
    pub fn new(payload_type: u8, name: impl Into<String>, clock_rate: u32) -> Self {
        let (parameters, feedback) = (String::new(), Vec::new());
        Self { payload_type, name: name.into(), clock_rate, channels: 1, parameters, feedback }
    }

    /// Is this its name, in any case?
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of the first parameter of this name (in any case): `"96"` for `apt` in `apt=96;rtx-time=200`. Empty if it has
    /// no `=`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.parameters, name)
    }

    /// The payload type whose packets it sends again, if it is `rtx`. RFC 4588 section 8.6.
    pub fn apt(&self) -> Option<u8> {
        let apt = self.parameter("apt").filter(|_| self.is("rtx"))?;
        payload_type(apt)
    }

    /// Does the writer want this feedback, such as `nack pli`?
    pub fn has_feedback(&self, feedback: &str) -> bool {
        self.feedback.iter().any(|it| it.eq_ignore_ascii_case(feedback))
    }

    /// The payload types of RFC 3551 section 6 that browsers use without saying what they mean.
    fn well_known(payload_type: u8) -> Option<Self> {
        let name = match payload_type {
            0 => "PCMU",
            8 => "PCMA",
            // 8000, though it samples at 16000: RFC 3551 section 4.5.2.
            9 => "G722",
            13 => "CN",
            _ => return None,
        };
        Some(Self::new(payload_type, name, 8000))
    }
}

impl fmt::Display for Codec {
    /// As `a=rtpmap` writes it, without the payload type: `opus/48000/2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, clock_rate, channels, .. } = self;
        write!(f, "{name}/{clock_rate}")?;
        if *channels == 1 { Ok(()) } else { write!(f, "/{channels}") }
    }
}

impl MediaDescription {
    /// What its payload types mean, in the order of the `m=` line, which is the writer's order of preference. Payload types
    /// 0, 8, 9 and 13 need no `a=rtpmap`; others without a well-formed one are left out.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut all = [const { Lines::EMPTY }; PAYLOAD_TYPES];
        let mut for_all = Vec::new();
        for attribute in self.attributes.iter() {
            let name = attribute.name();
            if !matches!(name, "rtpmap" | "fmtp" | "rtcp-fb") {
                continue;
            }
            let Some((format, value)) = attribute.value().and_then(first_word) else {
                continue;
            };
            let lines = payload_type(format).and_then(|it| all.get_mut(usize::from(it)));
            match (name, lines) {
                ("rtpmap", Some(lines)) => lines.codec = lines.codec.take().or_else(|| rtpmap(format, value)),
                ("fmtp", Some(lines)) => lines.parameters = lines.parameters.or(Some(value)),
                ("rtcp-fb", Some(lines)) => add_feedback(&mut lines.feedback, value),
                ("rtcp-fb", None) if format == "*" => add_feedback(&mut for_all, value),
                _ => {}
            }
        }
        let codec = |format: &String| {
            let payload_type = payload_type(format)?;
            // Each is taken once: a payload type that is listed twice means one codec.
            let lines = all.get_mut(usize::from(payload_type))?;
            let mut codec = match std::mem::replace(&mut lines.is_taken, true) {
                true => return None,
                false => lines.codec.take().or_else(|| Codec::well_known(payload_type))?,
            };
            codec.parameters = lines.parameters.unwrap_or_default().to_owned();
            codec.feedback = std::mem::take(&mut lines.feedback);
            for_all.iter().for_each(|feedback| add_feedback(&mut codec.feedback, feedback));
            Some(codec)
        };
        self.formats.iter().filter_map(codec).collect()
    }

    /// Appends its payload type to the `m=` line, unless it is there, and its `a=rtpmap`, `a=rtcp-fb` and `a=fmtp`.
    ///
    /// The name must be a word without slashes. Of two with one payload type, only the first will be read.
    pub fn add_codec(&mut self, codec: &Codec) -> &mut Self {
        let payload_type = codec.payload_type;
        let format = payload_type.to_string();
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
        self.attributes.add("rtpmap", format_args!("{payload_type} {codec}"));
        for feedback in &codec.feedback {
            self.attributes.add("rtcp-fb", format_args!("{payload_type} {feedback}"));
        }
        if !codec.parameters.is_empty() {
            self.attributes.add("fmtp", format_args!("{payload_type} {}", codec.parameters));
        }
        self
    }

    /// Audio or video over RTP, in any of the ways of writing it that RFC 9429 section 5.1.2 wants to be accepted. Whatever
    /// it says, DTLS gives the keys: a section without a fingerprint cannot be used.
    pub fn is_rtp(&self) -> bool {
        let is_media = matches!(self.media.as_str(), "audio" | "video");
        is_media && RTP_PROTOCOLS.contains(&self.protocol.as_str())
    }
}

const RTP_PROTOCOLS: [&str; 8] = [
    "UDP/TLS/RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
    "RTP/SAVPF",
    "RTP/SAVP",
    "RTP/AVPF",
    "RTP/AVP",
];

/// What is said of a payload type.
struct Lines<'a> {
    codec: Option<Codec>,
    parameters: Option<&'a str>,
    feedback: Vec<String>,
    is_taken: bool,
}

impl Lines<'_> {
    const EMPTY: Self = Self { codec: None, parameters: None, feedback: Vec::new(), is_taken: false };
}

/// The value of the first parameter of this name, of `<name>=<value>;<name>=<value>`.
pub(crate) fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The first word, and what follows it. `None` if nothing does.
pub(crate) fn first_word(value: &str) -> Option<(&str, &str)> {
    let (word, rest) = value.trim().split_once([' ', '\t'])?;
    Some((word, rest.trim_start()))
}

fn payload_type(word: &str) -> Option<u8> {
    word.parse().ok().filter(|payload_type| usize::from(*payload_type) < PAYLOAD_TYPES)
}

/// `<name>/<clock rate>[/<channels>]`.
fn rtpmap(format: &str, value: &str) -> Option<Codec> {
    let mut parts = value.split('/');
    let (name, clock_rate) = (parts.next()?, parts.next()?.parse().ok().filter(|rate| *rate > 0)?);
    let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok().filter(|channels| *channels > 0))?;
    let is_word = !name.is_empty() && !name.contains(char::is_whitespace);
    let codec = Codec { channels, ..Codec::new(payload_type(format)?, name, clock_rate) };
    (is_word && parts.next().is_none()).then_some(codec)
}

/// Its words with one space between them, unless they are there.
fn add_feedback(list: &mut Vec<String>, value: &str) {
    if value.len() > MAX_FEEDBACK_LENGTH || list.len() == MAX_FEEDBACK {
        return;
    }
    let feedback = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if !feedback.is_empty() && !list.iter().any(|it| it.eq_ignore_ascii_case(&feedback)) {
        list.push(feedback);
    }
}
