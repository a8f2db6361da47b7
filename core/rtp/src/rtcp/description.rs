//! Who the sources are, that they leave, and what applications say. RFC 3550 sections 6.5 to 6.7.

use crate::number::Ssrc;
use crate::wire::be32;

/// What an item of a description is. RFC 3550 section 6.5; RFC 9143 section 15 and RFC 8852 section 3 for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SdesKind(pub u8);

impl SdesKind {
    /// The canonical name: the same for all sources of one endpoint.
    pub const CNAME: Self = Self(1);
    /// The m-line's identifier.
    pub const MID: Self = Self(15);
    /// The encoding's.
    pub const RID: Self = Self(12);
    /// The repaired encoding's.
    pub const REPAIRED_RID: Self = Self(13);
}

/// Something said of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// The source.
    pub ssrc: Ssrc,
    /// What is said.
    pub kind: SdesKind,
    /// At most 255 bytes, UTF-8 if the sender is honest.
    pub value: &'a [u8],
}

/// SDES.
#[derive(Clone, Copy, Debug)]
pub struct SourceDescription<'a> {
    count: u8,
    chunks: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    pub(super) fn parse(count: u8, chunks: &'a [u8]) -> Option<Self> {
        let mut walk = Walk { chunks: count, ssrc: None, bytes: chunks, at: 0 };
        while walk.next()?.is_some() {}
        Some(Self { count, chunks })
    }

    /// All items of all sources.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + use<'a> {
        let mut walk = Walk { chunks: self.count, ssrc: None, bytes: self.chunks, at: 0 };
        std::iter::from_fn(move || walk.next().flatten())
    }

    /// The canonical name of the first source that has one.
    pub fn cname(&self) -> Option<(Ssrc, &'a str)> {
        let item = self.items().find(|item| item.kind == SdesKind::CNAME)?;
        Some((item.ssrc, str::from_utf8(item.value).ok()?))
    }
}

/// Goes through the items: the source, items, a zero, zeros up to 32 bits.
struct Walk<'a> {
    /// Sources that are still to come.
    chunks: u8,
    ssrc: Option<Ssrc>,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// `None` if the bytes end too early, `Some(None)` when all is read.
    fn next(&mut self) -> Option<Option<SdesItem<'a>>> {
        loop {
            let Some(ssrc) = self.ssrc else {
                let Some(left) = self.chunks.checked_sub(1) else { return Some(None) };
                self.chunks = left;
                self.ssrc = Some(Ssrc(be32(self.bytes, self.at)?));
                self.at += 4;
                continue;
            };
            let kind = *self.bytes.get(self.at)?;
            if kind == 0 {
                self.ssrc = None;
                self.at = (self.at + 1).next_multiple_of(4);
                if self.at > self.bytes.len() {
                    return None;
                }
                continue;
            }
            let start = self.at + 2;
            let end = start + usize::from(*self.bytes.get(self.at + 1)?);
            let value = self.bytes.get(start..end)?;
            self.at = end;
            return Some(Some(SdesItem { ssrc, kind: SdesKind(kind), value }));
        }
    }
}

/// BYE.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a> {
    ssrcs: &'a [u8],
    reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrcs, rest) = body.split_at_checked(4 * usize::from(count))?;
        let reason = match rest.split_first() {
            Some((len, text)) => Some(text.get(..usize::from(*len))?),
            None => None,
        };
        Some(Self { ssrcs, reason })
    }

    /// Who leaves.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.ssrcs.chunks_exact(4).filter_map(|ssrc| be32(ssrc, 0)).map(Ssrc)
    }

    /// Why.
    pub fn reason(&self) -> Option<&'a str> {
        self.reason.and_then(|text| str::from_utf8(text).ok())
    }
}

/// APP: opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'a> {
    /// Five bits.
    pub subtype: u8,
    /// The sender.
    pub ssrc: Ssrc,
    /// Four letters.
    pub name: [u8; 4],
    /// A multiple of four bytes.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let name = body.get(4..)?.first_chunk().copied()?;
        Some(Self { subtype: count, ssrc: Ssrc(be32(body, 0)?), name, data: body.get(8..)? })
    }
}
