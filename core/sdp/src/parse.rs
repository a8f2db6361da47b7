//! Reading: one pass over the lines, each into its place.
//!
//! What can be understood is; the rest is kept as it is. A line that does not begin with `<letter>=` is skipped.

use crate::attribute::{Attribute, Attributes};
use crate::line::{Address, Bandwidth, Origin, OtherLine, Timing};
use crate::media::MediaDescription;
use crate::session::SessionDescription;

/// The longest text that is read, in bytes. A large conference with a section per stream takes about a third of it.
pub const MAX_SIZE: usize = 1 << 20;
/// The most lines that are read: what [`MAX_SIZE`] has room for when they are as long as usual.
pub const MAX_LINES: usize = 32_768;
/// The most media sections that are read: a conference of hundreds.
pub const MAX_MEDIA: usize = 1024;
/// The most formats in an `m=` line; there are 128 RTP payload types.
pub const MAX_FORMATS: usize = 256;

/// The text cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SDP line {line}: {reason}")]
pub struct ParseError {
    /// The line that it hangs on; the first is 1.
    pub line: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a text cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Longer than [`MAX_SIZE`].
    #[error("the text is longer than {MAX_SIZE} bytes")]
    TooLong,
    /// More than [`MAX_LINES`].
    #[error("there are more than {MAX_LINES} lines")]
    TooManyLines,
    /// No `v=0` before the first `m=`.
    #[error("there is no v=0")]
    NoVersion,
    /// A version other than 0.
    #[error("the version is not 0")]
    UnknownVersion,
    /// An `m=` line without a media type, a port up to 65535, and a protocol.
    #[error("the m= line is malformed")]
    MalformedMedia,
    /// More than [`MAX_MEDIA`].
    #[error("there are more than {MAX_MEDIA} media sections")]
    TooManyMedia,
    /// More than [`MAX_FORMATS`].
    #[error("there are more than {MAX_FORMATS} formats")]
    TooManyFormats,
}

pub(crate) fn session(text: &str) -> Result<SessionDescription, ParseError> {
    if text.len() > MAX_SIZE {
        return Err(ParseError { line: 1, reason: Reason::TooLong });
    }
    let mut parser = Parser::default();
    let mut last = 0;
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).split('\n').enumerate() {
        last = index + 1;
        // A lone CR ends a line too, or writing could not keep it.
        for line in line.split('\r') {
            parser.line(line).map_err(|reason| ParseError { line: last, reason })?;
        }
    }
    parser.finish().map_err(|reason| ParseError { line: last, reason })
}

#[derive(Default)]
struct Parser {
    lines: usize,
    has_version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    timing: Option<Timing>,
    connection: Option<Address>,
    bandwidth: Vec<Bandwidth>,
    other: Vec<OtherLine>,
    attributes: Attributes,
    media: Vec<MediaDescription>,
}

/// What sessions and sections have in common.
struct Level<'a> {
    connection: &'a mut Option<Address>,
    bandwidth: &'a mut Vec<Bandwidth>,
    other: &'a mut Vec<OtherLine>,
    attributes: &'a mut Attributes,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), Reason> {
        let line = line.trim_start();
        let mut chars = line.chars();
        let (Some(kind), Some('=')) = (chars.next(), chars.next()) else {
            return Ok(());
        };
        let value = chars.as_str();
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(Reason::TooManyLines);
        }
        if kind == 'm' {
            if !self.has_version {
                return Err(Reason::NoVersion);
            }
            if self.media.len() == MAX_MEDIA {
                return Err(Reason::TooManyMedia);
            }
            self.media.push(media(value)?);
            return Ok(());
        }
        if let Some(media) = self.media.last_mut() {
            let MediaDescription { connection, bandwidth, other, attributes, .. } = media;
            Level { connection, bandwidth, other, attributes }.line(kind, value);
            return Ok(());
        }
        match kind {
            'v' if !self.has_version => {
                if value.trim() != "0" {
                    return Err(Reason::UnknownVersion);
                }
                self.has_version = true;
            }
            'o' if self.origin.is_none() => self.origin = Some(origin(value)),
            's' if self.name.is_none() => self.name = Some(value.to_owned()),
            't' if self.timing.is_none() && timing(value).is_some() => self.timing = timing(value),
            _ => {
                let Self { connection, bandwidth, other, attributes, .. } = self;
                Level { connection, bandwidth, other, attributes }.line(kind, value);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<SessionDescription, Reason> {
        let Self { connection, bandwidth, mut other, attributes, mut media, .. } = self;
        if !self.has_version {
            return Err(Reason::NoVersion);
        }
        // In the order in which they are written (the sort is stable).
        other.sort_by_key(|line| !line.is_early());
        media.iter_mut().for_each(|media| media.other.sort_by_key(|line| !line.is_early()));
        Ok(SessionDescription {
            origin: self.origin.unwrap_or_default(),
            name: self.name.unwrap_or_else(|| "-".to_owned()),
            connection,
            bandwidth,
            timing: self.timing.unwrap_or_default(),
            other,
            attributes,
            media,
        })
    }
}

impl Level<'_> {
    fn line(self, kind: char, value: &str) {
        if kind == 'a' {
            return self.attributes.push(Attribute::from_text(value));
        }
        if kind == 'c' && self.connection.is_none() {
            *self.connection = address(value);
            if self.connection.is_some() {
                return;
            }
        }
        if let Some(bandwidth) = bandwidth(value).filter(|_| kind == 'b') {
            return self.bandwidth.push(bandwidth);
        }
        self.other.push(OtherLine { kind, value: value.to_owned() });
    }
}

fn origin(value: &str) -> Origin {
    let mut words = value.split_whitespace();
    let mut origin = Origin::default();
    if let Some(username) = words.next() {
        origin.username = username.to_owned();
    }
    origin.session_id = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    origin.session_version = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    if let (Some(network_type), Some(address_type), Some(address)) = (words.next(), words.next(), words.next()) {
        origin.address = Address {
            network_type: network_type.to_owned(),
            address_type: address_type.to_owned(),
            address: address.to_owned(),
        };
    }
    origin
}

/// `None` unless it is three words.
fn address(value: &str) -> Option<Address> {
    let mut words = value.split_whitespace().map(str::to_owned);
    let (network_type, address_type, address) = (words.next()?, words.next()?, words.next()?);
    words.next().is_none().then_some(Address { network_type, address_type, address })
}

fn timing(value: &str) -> Option<Timing> {
    let mut words = value.split_whitespace();
    let (start, stop) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(Timing { start, stop })
}

fn bandwidth(value: &str) -> Option<Bandwidth> {
    let (kind, value) = value.split_once(':')?;
    Some(Bandwidth { kind: kind.to_owned(), value: value.trim().parse().ok()? })
}

/// `<media> <port>[/<count>] <proto> <fmt> ...`, RFC 8866 section 5.14.
fn media(value: &str) -> Result<MediaDescription, Reason> {
    let mut words = value.split_whitespace();
    let mut word = || words.next().ok_or(Reason::MalformedMedia);
    let (media, port, protocol) = (word()?.to_owned(), word()?, word()?.to_owned());
    let number = |word: &str| word.parse().map_err(|_| Reason::MalformedMedia);
    let (port, port_count) = match port.split_once('/') {
        Some((port, count)) => (number(port)?, Some(number(count)?)),
        None => (number(port)?, None),
    };
    let formats: Vec<String> = words.by_ref().take(MAX_FORMATS).map(str::to_owned).collect();
    if words.next().is_some() {
        return Err(Reason::TooManyFormats);
    }
    Ok(MediaDescription { media, port, port_count, protocol, formats, ..MediaDescription::default() })
}
