//! STUN messages, ChannelData, and what they make of a stream.

use wigwag_stun::{
    AttributeType, CHANNEL_NUMBERS, Frame, Message, SecurityFeatures, frame, is_channel_data, is_stun,
    parse_channel_data, routing,
};

use crate::{count_steps, crypto, repair};

/// A datagram as it is, and with its sums made right.
pub fn message(data: &[u8]) {
    count_steps(1);
    read(data);
    let mut bytes = data.to_vec();
    if let [_, _, _, _, a, b, c, d, ..] = &mut bytes[..] {
        [*a, *b, *c, *d] = wigwag_stun::MAGIC_COOKIE.to_be_bytes();
    }
    repair::stun(&mut bytes);
    read(&bytes);
}

/// A stream of TURN, cut into what it is made of.
pub fn stream(data: &[u8]) {
    count_steps(1);
    let mut rest = data;
    while let Frame::Whole(len) = frame(rest) {
        assert!(len >= 4 && len % 4 == 0);
        let Some((whole, after)) = rest.split_at_checked(len) else { break };
        assert!(is_stun_or_data(whole));
        if let Some((channel, range)) = parse_channel_data(whole) {
            assert!(CHANNEL_NUMBERS.contains(&channel) && range.end <= len && is_channel_data(whole));
        }
        read(whole);
        rest = after;
    }
}

fn is_stun_or_data(message: &[u8]) -> bool {
    message[0] <= 3 || is_channel_data(message)
}

fn read(datagram: &[u8]) {
    let route = routing(datagram);
    assert!(route.is_none() || is_stun(datagram), "routed, and no STUN");
    let Ok(message) = Message::parse(datagram) else { return };
    // The first byte of a method that nobody uses is not STUN's on a port that is shared. RFC 7983 section 7.
    assert!(is_stun(datagram) || datagram[0] > 3);
    assert_eq!(message.as_bytes(), datagram);
    let _ = (message.class(), message.method(), message.transaction(), message.verify_fingerprint());
    let provider = crypto::checked();
    let _ = (message.verify_integrity(b"key", provider), message.verify_integrity_sha256(b"key", provider));
    assert!(message.attributes().count() <= datagram.len() / 4);
    for (attribute, _) in message.attributes() {
        read_attribute(&message, attribute);
    }
    let _ = (message.username(), message.realm(), message.nonce(), message.software(), message.priority());
    message.nonce().into_iter().for_each(|nonce| _ = SecurityFeatures::of_nonce(nonce));
    let _ = (message.use_candidate(), message.ice_controlling(), message.ice_controlled(), message.mapped_address());
    let _ = (message.error_code().map(|code| format!("{code:?}")), message.not_understood().count());
    assert!(message.unknown_attributes().count() <= datagram.len() / 2);
}

fn read_attribute(message: &Message<'_>, attribute: AttributeType) {
    assert!(message.attribute(attribute).is_some(), "{attribute:?} is there");
    let _ = (message.text(attribute), message.u32(attribute), message.u64(attribute));
    let _ = (message.address(attribute), message.xor_address(attribute));
}
