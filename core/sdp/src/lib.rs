//! Session descriptions of WebRTC: parsed from what browsers send, written so that browsers understand.
//!
//! An SDP text (RFC 8866) is lines of `<type>=<value>`: first those of the session, then, after each `m=` line, those
//! of one *media section*. Nearly all that WebRTC says, it says in attributes (`a=` lines).
//!
//! ```text
//! SessionDescription        v=0  o=  s=  c=  b=  t=     origin, name, connection, bandwidth, timing, other
//!   attributes              a=group:BUNDLE 0            in order
//!   media                   m=application 9 ...         one MediaDescription each
//!     attributes            a=mid:0                     in order
//! ```
//!
//! - *Nothing is lost.* Attributes keep their order and text, lines of unknown types are kept in `other`, so that
//!   `parse(write(x)) == x`, and what browsers write comes out byte for byte.
//! - *Nothing unexpected is fatal.* Either line end, a missing last one, indented text, lines out of order, unknown
//!   attributes and malformed optional ones: all are read. Only text that cannot be a description is a
//!   [`ParseError`].
//! - *Typed accessors* stand on top. Those for which an RFC lets the session speak for its sections
//!   (`ice-ufrag`, `fingerprint`, `setup`, ...) are on [`Section`], a media description seen within its session;
//!   an accessor gives `None` for what is missing or malformed.
//! - *Audio and video*: [`codecs`](MediaDescription::codecs), header [`extensions`](Section::extensions),
//!   [`sources`](MediaDescription::sources), [`rids`](MediaDescription::rids) and
//!   [`simulcast`](MediaDescription::simulcast) are read into types of their own, and written from them.
//! - *Bounds.* [`MAX_SIZE`], [`MAX_LINES`], [`MAX_MEDIA`], [`MAX_FORMATS`], and one for each list that an accessor makes; parsing and writing are linear in the text,
//!   and an accessor looks at most once at each attribute of its section and of the session.
#![forbid(unsafe_code)]
// Bytes from the network decide many an index: none may panic.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

mod attribute;
mod codec;
mod extmap;
mod line;
mod media;
mod parse;
mod section;
mod session;
mod simulcast;
mod source;
mod values;
mod write;

pub use attribute::{Attribute, Attributes};
pub use codec::{Codec, MAX_FEEDBACK, MAX_FEEDBACK_LENGTH};
pub use extmap::{ExtMap, MAX_EXTENSION_LENGTH, MAX_EXTENSIONS};
pub use line::{Address, Bandwidth, Origin, OtherLine, Timing};
pub use media::MediaDescription;
pub use parse::{MAX_FORMATS, MAX_LINES, MAX_MEDIA, MAX_SIZE, ParseError, Reason};
pub use section::Section;
pub use session::SessionDescription;
pub use simulcast::{Layer, MAX_RIDS, Rid, RidDirection, Simulcast};
pub use source::{MAX_SOURCES, Source, SourceGroup};
pub use values::{DEFAULT_MAX_MESSAGE_SIZE, Direction, Setup, UnknownValue};
