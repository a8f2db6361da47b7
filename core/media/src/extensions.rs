//! The header extensions of one packet, by kind.

use std::fmt;

use bytes::Bytes;
use wigwag_proto::Chunks;
use wigwag_rtp::{ExtensionKind, ExtensionMap, ExtensionValue, RtpPacket};

/// Header extensions by what they are, not by their ids: those differ from connection to connection. Cheap to clone; none by default.
///
/// ```
/// use wigwag_media::PacketExtensions;
/// use wigwag_rtp::{ExtensionKind, ExtensionValue, VideoOrientation};
///
/// let upright: PacketExtensions = [(ExtensionKind::VideoOrientation, [0])].into_iter().collect();
/// assert_eq!(upright.get(ExtensionKind::VideoOrientation), Some(&[0][..]));
/// let value = ExtensionValue::VideoOrientation(VideoOrientation::default());
/// assert_eq!(upright.value(ExtensionKind::VideoOrientation), Some(value));
/// assert_eq!(upright.get(ExtensionKind::Mid), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PacketExtensions {
    /// For each: the kind's place in [`ExtensionKind::ALL`], the length, the value.
    bytes: Bytes,
}

impl PacketExtensions {
    /// Those of a packet that the map knows, written into `chunks`. A retransmission's own (repaired-rid) is left out.
    pub(crate) fn read(packet: &RtpPacket<'_>, map: &ExtensionMap, chunks: &mut Chunks) -> Self {
        for extension in packet.extensions() {
            if let Some(kind) = map.kind(extension.id).filter(|kind| *kind != ExtensionKind::RepairedRid)
                && let Ok(len) = u8::try_from(extension.value.len())
            {
                chunks.append(&[kind as u8, len]);
                chunks.append(extension.value);
            }
        }
        if chunks.is_empty() { Self::default() } else { Self { bytes: chunks.freeze() } }
    }

    /// The first value of this kind, as it lies in the packet.
    pub fn get(&self, kind: ExtensionKind) -> Option<&[u8]> {
        self.iter().find(|(other, _)| *other == kind).map(|(_, value)| value)
    }

    /// The first value of this kind; `None` also if it is malformed.
    pub fn value(&self, kind: ExtensionKind) -> Option<ExtensionValue<'_>> {
        ExtensionValue::parse(kind, self.get(kind)?)
    }

    /// All of them, in the packet's order.
    pub fn iter(&self) -> impl Iterator<Item = (ExtensionKind, &[u8])> {
        let mut rest: &[u8] = &self.bytes;
        std::iter::from_fn(move || {
            let (&[kind, len], after) = rest.split_first_chunk()?;
            let (value, after) = after.split_at_checked(usize::from(len))?;
            rest = after;
            Some((*ExtensionKind::ALL.get(usize::from(kind))?, value))
        })
    }

    /// Bytes that they take with their kinds and lengths, which is as much as with two-byte headers. RFC 8285 section 4.3.
    pub(crate) fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Values longer than the 255 bytes that a packet can carry are left out.
impl<V: AsRef<[u8]>> FromIterator<(ExtensionKind, V)> for PacketExtensions {
    fn from_iter<I: IntoIterator<Item = (ExtensionKind, V)>>(extensions: I) -> Self {
        let mut bytes = Vec::new();
        for (kind, value) in extensions {
            if let Ok(len) = u8::try_from(value.as_ref().len()) {
                bytes.extend_from_slice(&[kind as u8, len]);
                bytes.extend_from_slice(value.as_ref());
            }
        }
        Self { bytes: bytes.into() }
    }
}

impl fmt::Debug for PacketExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether the session writes extensions of this kind itself, or not at all: what the caller gives is left out.
pub(crate) fn belongs_to_the_transport(kind: ExtensionKind) -> bool {
    matches!(
        kind,
        ExtensionKind::Mid
            | ExtensionKind::Rid
            | ExtensionKind::RepairedRid
            | ExtensionKind::AbsSendTime
            | ExtensionKind::TransportSequenceNumber
            | ExtensionKind::TransportSequenceNumberV2
            | ExtensionKind::TransmissionOffset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_lie_where_their_numbers_say() {
        for (at, kind) in ExtensionKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
    }

    #[test]
    fn what_is_collected_is_found_in_order() {
        let extensions: PacketExtensions = [
            (ExtensionKind::Mid, &b"0"[..]),
            (ExtensionKind::VideoTiming, &[]),
            (ExtensionKind::ColorSpace, &[9; 256]),
            (ExtensionKind::DependencyDescriptor, &[7; 255]),
        ]
        .into_iter()
        .collect();
        assert_eq!(extensions.value(ExtensionKind::Mid), Some(ExtensionValue::Mid("0")));
        assert_eq!(extensions.get(ExtensionKind::VideoTiming), Some(&[][..]));
        assert_eq!(extensions.get(ExtensionKind::ColorSpace), None, "too long for any packet");
        assert_eq!(extensions.iter().count(), 3);
        assert!(!extensions.is_empty() && PacketExtensions::default().is_empty());
    }
}
