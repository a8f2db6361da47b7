//! `a=rid` and `a=simulcast`: several encodings of one track, RFC 8851 and RFC 8853.
//!
//! ```text
//! a=rid:h send                     a restriction identifier: names an encoding, and may bound it
//! a=rid:l send max-width=320
//! a=simulcast:send h;~l            layers: all at once, `l` not now; alternatives of one layer have commas between them
//! ```

use std::fmt;

use crate::codec::{first_word, parameter};
use crate::media::MediaDescription;

/// The most `rid`s that are read of a section, and the most in a direction of an `a=simulcast`. Browsers write three.
pub const MAX_RIDS: usize = 64;

/// `a=rid:<id> send|recv [<parameters>]`, RFC 8851 section 10.
///
/// ```
/// use wigwag_sdp::{Layer, MediaDescription, Rid, RidDirection, Simulcast};
///
/// let mut video = MediaDescription::new("video", "UDP/TLS/RTP/SAVPF", ["96"]);
/// video.add_rid(&Rid::new("h", RidDirection::Send)).add_rid(&Rid::new("l", RidDirection::Send));
/// let send = ["h", "l"].map(|rid| vec![Layer::new(rid)]).to_vec();
/// video.set_simulcast(&Simulcast { send, receive: vec![] });
/// assert_eq!(video.attributes.value("simulcast"), Some("send h;l"));
/// assert_eq!(video.rids()[1].id, "l");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rid {
    /// What packets carry: letters, digits, `-` and `_` (the last two only here: RFC 8852 section 3 leaves them out).
    pub id: String,
    /// Which way.
    pub direction: RidDirection,
    /// `pt=96,97;max-width=1280`; empty if there are none.
    pub parameters: String,
}

/// Which way an encoding goes, seen from the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// From the writer.
    Send,
    /// To the writer.
    Recv,
}

impl RidDirection {
    /// As SDP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Recv => "recv",
        }
    }

    /// The same, seen from the other side.
    pub const fn reversed(self) -> Self {
        match self {
            Self::Send => Self::Recv,
            Self::Recv => Self::Send,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Send, Self::Recv].into_iter().find(|direction| direction.as_str() == word)
    }
}

impl Rid {
    /// One without parameters.
    pub fn new(id: impl Into<String>, direction: RidDirection) -> Self {
        Self { id: id.into(), direction, parameters: String::new() }
    }

    /// The value of the first parameter of this name: `"1280"` for `max-width` in `pt=96;max-width=1280`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.parameters, name)
    }

    fn parse(value: &str) -> Option<Self> {
        let (id, rest) = first_word(value).filter(|(id, _)| is_id(id))?;
        let (direction, parameters) = first_word(rest).unwrap_or((rest, ""));
        let parameters = parameters.to_owned();
        Some(Self { id: id.to_owned(), direction: RidDirection::parse(direction)?, parameters })
    }
}

/// `a=simulcast:send <layers> recv <layers>`, RFC 8853 section 5.1. Layers are alternatives of one encoding, the preferred one
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Simulcast {
    /// What the writer offers to send. Empty: nothing.
    pub send: Vec<Vec<Layer>>,
    /// What the writer offers to receive. Empty: nothing.
    pub receive: Vec<Vec<Layer>>,
}

/// One alternative of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layer {
    /// The `a=rid` that it names.
    pub rid: String,
    /// Not to be sent for now (`~`).
    pub paused: bool,
}

impl Layer {
    /// One that is not paused.
    pub fn new(rid: impl Into<String>) -> Self {
        Self { rid: rid.into(), paused: false }
    }

    fn parse(word: &str) -> Option<Self> {
        let rid = word.strip_prefix('~').unwrap_or(word);
        is_id(rid).then(|| Self { rid: rid.to_owned(), paused: rid.len() < word.len() })
    }
}

impl Simulcast {
    fn parse(value: &str) -> Option<Self> {
        let mut simulcast = Self::default();
        let mut words = value.split_whitespace();
        while let Some(direction) = words.next() {
            let list = match RidDirection::parse(direction)? {
                RidDirection::Send => &mut simulcast.send,
                RidDirection::Recv => &mut simulcast.receive,
            };
            let layers =
                words.next().filter(|layers| list.is_empty() && layers.split([';', ',']).count() <= MAX_RIDS)?;
            *list = layers.split(';').map(|it| it.split(',').map(Layer::parse).collect()).collect::<Option<_>>()?;
        }
        Some(simulcast).filter(|simulcast| !simulcast.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.send.is_empty() && self.receive.is_empty()
    }
}

impl fmt::Display for Simulcast {
    /// As `a=simulcast` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for (direction, layers) in [(RidDirection::Send, &self.send), (RidDirection::Recv, &self.receive)] {
            if layers.is_empty() {
                continue;
            }
            let alternatives =
                |layers: &Vec<Layer>| layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let layers: Vec<_> = layers.iter().map(alternatives).collect();
            write!(f, "{space}{} {}", direction.as_str(), layers.join(";"))?;
            space = " ";
        }
        Ok(())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.paused { "~" } else { "" }, self.rid)
    }
}

impl MediaDescription {
    /// Its `a=rid` lines, in order. Of several with one id, only the first; malformed ones are left out.
    pub fn rids(&self) -> Vec<Rid> {
        let mut rids: Vec<Rid> = Vec::new();
        for rid in self.attributes.values("rid").filter_map(Rid::parse) {
            if rids.len() < MAX_RIDS && rids.iter().all(|it| it.id != rid.id) {
                rids.push(rid);
            }
        }
        rids
    }

    /// Its `a=simulcast`; `None` if there is none, or if it is malformed.
    pub fn simulcast(&self) -> Option<Simulcast> {
        Simulcast::parse(self.attributes.value("simulcast")?)
    }

    /// Appends an `a=rid`.
    pub fn add_rid(&mut self, rid: &Rid) -> &mut Self {
        let Rid { id, direction, parameters } = rid;
        let space = if parameters.is_empty() { "" } else { " " };
        self.attributes.add("rid", format_args!("{id} {}{space}{parameters}", direction.as_str()));
        self
    }

    /// Replaces the `a=simulcast`; an empty one removes it.
    pub fn set_simulcast(&mut self, simulcast: &Simulcast) -> &mut Self {
        if simulcast.is_empty() {
            self.attributes.remove("simulcast");
        } else {
            self.attributes.set("simulcast", simulcast);
        }
        self
    }
}

fn is_id(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
