//! What header extensions there are, and which ids two ends agreed on for them.

/// A header extension that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ExtensionKind {
    /// Which m-line a packet belongs to. RFC 9143 section 15.
    Mid,
    /// Which of several encodings. RFC 8852 section 3.1.
    Rid,
    /// The encoding that a retransmission repairs. RFC 8852 section 3.2.
    RepairedRid,
    /// How loud the packet is. RFC 6464.
    AudioLevel,
    /// How loud each contributing source is. RFC 6465.
    MixerAudioLevels,
    /// When the packet left, in 24 bits.
    AbsSendTime,
    /// A sequence number over all streams of a transport. draft-holmer-rmcat-transport-wide-cc-extensions-01.
    TransportSequenceNumber,
    /// The same with an optional request for feedback.
    TransportSequenceNumberV2,
    /// How the picture is to be turned. 3GPP TS 26.114 section 7.4.5.
    VideoOrientation,
    /// How long the receiver may hold a frame back.
    PlayoutDelay,
    /// How long after its timestamp a packet left. RFC 5450.
    TransmissionOffset,
    /// When the first sample was captured.
    AbsCaptureTime,
    /// Which layers a simulcast or SVC sender sends. Opaque here.
    VideoLayersAllocation,
    /// What a frame depends on. AV1 RTP specification appendix A. Opaque here.
    DependencyDescriptor,
    /// Screen or camera. Opaque here.
    VideoContentType,
    /// Where a frame spent its time. Opaque here.
    VideoTiming,
    /// Colour space and HDR metadata. Opaque here.
    ColorSpace,
    /// Samples of the picture, by which a decoder notices that it was corrupted. Opaque here.
    CorruptionDetection,
}

impl ExtensionKind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::MixerAudioLevels,
        Self::AbsSendTime,
        Self::TransportSequenceNumber,
        Self::TransportSequenceNumberV2,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::TransmissionOffset,
        Self::AbsCaptureTime,
        Self::VideoLayersAllocation,
        Self::DependencyDescriptor,
        Self::VideoContentType,
        Self::VideoTiming,
        Self::ColorSpace,
        Self::CorruptionDetection,
    ];

    /// What names it in `a=extmap`. RFC 8285 section 5.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::MixerAudioLevels => "urn:ietf:params:rtp-hdrext:csrc-audio-level",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportSequenceNumber => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::TransportSequenceNumberV2 => "http://www.webrtc.org/experiments/rtp-hdrext/transport-wide-cc-02",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::VideoLayersAllocation => "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoContentType => "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            Self::VideoTiming => "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            Self::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Self::CorruptionDetection => "http://www.webrtc.org/experiments/rtp-hdrext/corruption-detection",
        }
    }

    /// The extension that a URI names.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

/// The id is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("0 is no id of a header extension")]
pub struct BadExtensionId;

/// Which id stands for which extension, both ways in constant time.
///
/// ```
/// use wigwag_rtp::{ExtensionKind, ExtensionMap};
///
/// let mut map = ExtensionMap::default();
/// map.set(4, ExtensionKind::Mid)?;
/// assert_eq!(map.kind(4), Some(ExtensionKind::Mid));
/// assert_eq!(map.id(ExtensionKind::Mid), Some(4));
/// assert_eq!(map.id(ExtensionKind::Rid), None);
/// # Ok::<(), wigwag_rtp::BadExtensionId>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ExtensionMap {
    kinds: [Option<ExtensionKind>; 256],
    /// By kind; 0 for none.
    ids: [u8; ExtensionKind::ALL.len()],
}

impl Default for ExtensionMap {
    fn default() -> Self {
        Self { kinds: [None; 256], ids: [0; ExtensionKind::ALL.len()] }
    }
}

impl ExtensionMap {
    /// An id (1 to 255) for an extension; what either stood for before is forgotten. Ids above 14 make packets take
    /// the two-byte form.
    pub fn set(&mut self, id: u8, kind: ExtensionKind) -> Result<(), BadExtensionId> {
        if id == 0 {
            return Err(BadExtensionId);
        }
        self.remove(kind);
        if let Some(before) = self.kind(id) {
            self.remove(before);
        }
        if let (Some(slot), Some(number)) = (self.kinds.get_mut(usize::from(id)), self.ids.get_mut(kind as usize)) {
            *slot = Some(kind);
            *number = id;
        }
        Ok(())
    }

    /// Forgets an extension.
    pub fn remove(&mut self, kind: ExtensionKind) {
        if let Some(id) = self.id(kind)
            && let Some(slot) = self.kinds.get_mut(usize::from(id))
        {
            *slot = None;
        }
        if let Some(number) = self.ids.get_mut(kind as usize) {
            *number = 0;
        }
    }

    /// What an id stands for.
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        self.kinds.get(usize::from(id)).copied().flatten()
    }

    /// The id of an extension.
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        self.ids.get(kind as usize).copied().filter(|id| *id != 0)
    }

    /// All that are set, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (u8, ExtensionKind)> + '_ {
        ExtensionKind::ALL.into_iter().filter_map(|kind| Some((self.id(kind)?, kind)))
    }
}

impl std::fmt::Debug for ExtensionMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_numbered_in_order_and_named_apart() {
        for (at, kind) in ExtensionKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            assert_eq!(ExtensionKind::from_uri(kind.uri()), Some(kind));
        }
        assert_eq!(ExtensionKind::from_uri("urn:example"), None);
    }

    #[test]
    fn an_id_and_a_kind_stand_for_one_another_only() {
        let mut map = ExtensionMap::default();
        assert_eq!(map.set(0, ExtensionKind::Mid), Err(BadExtensionId));
        map.set(1, ExtensionKind::Mid).unwrap();
        map.set(255, ExtensionKind::Rid).unwrap();
        map.set(2, ExtensionKind::Mid).unwrap();
        assert_eq!((map.kind(1), map.kind(2)), (None, Some(ExtensionKind::Mid)));
        map.set(2, ExtensionKind::Rid).unwrap();
        assert_eq!((map.id(ExtensionKind::Mid), map.id(ExtensionKind::Rid)), (None, Some(2)));
        assert_eq!(map.kind(255), None);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(2, ExtensionKind::Rid)]);
        map.set(2, ExtensionKind::Rid).unwrap();
        assert_eq!(map.kind(2), Some(ExtensionKind::Rid));
        map.remove(ExtensionKind::Rid);
        assert_eq!(map, ExtensionMap::default());
    }
}
