//! NACK, PLI, FIR and REMB. RFC 4585 section 6, RFC 5104 section 4.3.1, draft-alvestrand-rmcat-remb-03.

use crate::number::{SequenceNumber, Ssrc};
use crate::wire::{be16, be32};

/// Which packets are missing. RFC 4585 section 6.2.1.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |  PID: a missing packet        |  BLP: which of the next 16    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// Who misses them.
    pub sender: Ssrc,
    /// Whose they are.
    pub media: Ssrc,
    pairs: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, media, pairs) = head(body)?;
        (!pairs.is_empty()).then_some(Self { sender, media, pairs })
    }

    /// The missing packets, at most 17 for each four bytes.
    pub fn sequence_numbers(&self) -> impl Iterator<Item = SequenceNumber> + use<'a> {
        self.pairs.chunks_exact(4).flat_map(|pair| {
            let first = SequenceNumber(be16(pair, 0).unwrap_or_default());
            let following = be16(pair, 2).unwrap_or_default();
            let bits = (0..16).filter(move |bit| following & (1 << bit) != 0);
            std::iter::once(first).chain(bits.map(move |bit| first.plus(bit + 1)))
        })
    }
}

/// A picture was lost: send one that needs no other. RFC 4585 section 6.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLossIndication {
    /// Who lost it.
    pub sender: Ssrc,
    /// Whose it was.
    pub media: Ssrc,
}

impl PictureLossIndication {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        head(body).map(|(sender, media, _)| Self { sender, media })
    }
}

/// Sources that are to send a key frame. RFC 5104 section 4.3.1.
#[derive(Clone, Copy, Debug)]
pub struct FullIntraRequest<'a> {
    /// Who asks.
    pub sender: Ssrc,
    entries: &'a [u8],
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullIntraRequestEntry {
    /// The source.
    pub ssrc: Ssrc,
    /// The same number is the same request again.
    pub number: u8,
}

impl<'a> FullIntraRequest<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, _, entries) = head(body)?;
        (!entries.is_empty() && entries.len() % 8 == 0).then_some(Self { sender, entries })
    }

    /// Who is asked.
    pub fn entries(&self) -> impl Iterator<Item = FullIntraRequestEntry> + use<'a> {
        self.entries
            .chunks_exact(8)
            .filter_map(|entry| Some(FullIntraRequestEntry { ssrc: Ssrc(be32(entry, 0)?), number: *entry.get(4)? }))
    }
}

/// How much the receiver thinks the path can carry: REMB, which transport-wide feedback replaced.
#[derive(Clone, Copy, Debug)]
pub struct Remb<'a> {
    /// Who thinks so.
    pub sender: Ssrc,
    /// For all sources together, in bits per second.
    pub bitrate: u64,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    /// Whether a feedback packet of an application is REMB.
    pub(super) fn is(body: &[u8]) -> bool {
        body.get(8..12) == Some(b"REMB")
    }

    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, _, rest) = head(body)?;
        let word = be32(rest, 4)?;
        let (count, exponent, mantissa) = (word >> 24, (word >> 18) & 0x3F, u64::from(word & 0x3_FFFF));
        let bitrate = mantissa.checked_shl(exponent).filter(|bitrate| bitrate >> exponent == mantissa)?;
        let ssrcs = rest.get(8..8 + 4 * count as usize)?;
        Some(Self { sender, bitrate, ssrcs })
    }

    /// The sources that share it.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.ssrcs.chunks_exact(4).filter_map(|ssrc| be32(ssrc, 0)).map(Ssrc)
    }
}

/// What all feedback begins with: its sender, the source it is about, what it says. RFC 4585 section 6.1.
pub(super) fn head(body: &[u8]) -> Option<(Ssrc, Ssrc, &[u8])> {
    Some((Ssrc(be32(body, 0)?), Ssrc(be32(body, 4)?), body.get(8..)?))
}
