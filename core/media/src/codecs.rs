//! What each payload type of a line is, in constant time.

use wigwag_rtp::PayloadType;

use crate::CodecConfig;

/// What a packet of some payload type is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use<'a> {
    /// A packet of the codec.
    Media(&'a CodecConfig),
    /// A retransmission of one.
    Repair(&'a CodecConfig),
}

#[derive(Debug)]
pub(crate) struct Codecs {
    list: Vec<CodecConfig>,
    /// By payload type: the place in the list, above 127 for its retransmissions.
    places: Box<[Option<u8>; 128]>,
}

const REPAIR: u8 = 128;

impl Codecs {
    /// At most 128 are possible.
    pub fn new(list: &[CodecConfig]) -> Self {
        let list: Vec<_> = list.iter().take(usize::from(REPAIR)).copied().collect();
        let mut places = Box::new([None; 128]);
        for (codec, place) in list.iter().zip(0_u8..) {
            let repair = codec.retransmission.map(|repair| (repair, REPAIR | place));
            for (payload_type, place) in repair.into_iter().chain([(codec.payload_type, place)]) {
                if let Some(slot) = places.get_mut(usize::from(payload_type.number())) {
                    *slot = Some(place);
                }
            }
        }
        Self { list, places }
    }

    /// What packets of this payload type are, if it is one of the line's.
    pub fn of(&self, payload_type: PayloadType) -> Option<Use<'_>> {
        let place = self.places.get(usize::from(payload_type.number())).copied().flatten()?;
        let codec = self.list.get(usize::from(place & !REPAIR))?;
        Some(if place & REPAIR == 0 { Use::Media(codec) } else { Use::Repair(codec) })
    }

    /// The codec of a packet that is no retransmission.
    pub fn media(&self, payload_type: PayloadType) -> Option<&CodecConfig> {
        match self.of(payload_type)? {
            Use::Media(codec) => Some(codec),
            Use::Repair(_) => None,
        }
    }

    pub fn all(&self) -> &[CodecConfig] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_and_their_repair() {
        let pt = |number| PayloadType::new(number).unwrap();
        let codec = |media, repair| CodecConfig {
            payload_type: pt(media),
            clock_rate: 90_000,
            retransmission: Some(pt(repair)),
            nack: true,
            pli: true,
            fir: false,
            transport_feedback: false,
        };
        let codecs = Codecs::new(&[codec(96, 97), codec(98, 99)]);
        assert!(matches!(codecs.of(pt(99)), Some(Use::Repair(codec)) if codec.payload_type == pt(98)));
        assert!(codecs.media(pt(96)).is_some() && codecs.media(pt(97)).is_none() && codecs.of(pt(0)).is_none());
    }
}
