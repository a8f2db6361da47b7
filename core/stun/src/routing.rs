//! What an endpoint must know about a datagram before it knows whose it is.

use crate::HEADER_LEN;
use crate::attribute::AttributeType;
use crate::kind::{self, Class, MAGIC_COOKIE, TransactionId};
use crate::message::Attributes;

/// How many attributes are looked at for a USERNAME: it is among the first in every known implementation, and a
/// stranger's datagram must cost little.
const MAX_ATTRIBUTES: usize = 24;

/// Whether `datagram` is for STUN: the first byte is 0 to 3 (RFC 7983), and the cookie is there.
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram, [0..=3, _, _, _, cookie @ ..]
        if cookie.first_chunk() == Some(&MAGIC_COOKIE.to_be_bytes()) && datagram.len() >= HEADER_LEN)
}

/// What [`routing`] finds: unverified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing<'a> {
    /// A response belongs to whom this transaction does.
    pub transaction: TransactionId,
    /// A response, or something to answer.
    pub class: Class,
    /// The receiver's user fragment, of an ICE check: USERNAME up to the colon. RFC 8445 section 7.2.2.
    pub local_ufrag: Option<&'a str>,
}

/// A cheap look at `datagram`; `None` if it is not STUN.
///
/// ```
/// use wigwag_stun::{Class, MessageBuilder, Method, TransactionId, routing};
///
/// let mut memory = [0; 64];
/// let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId([7; 12]));
/// message.ice_username("receiver", "sender");
/// let len = message.finish().unwrap();
/// assert_eq!(routing(&memory[..len]).unwrap().local_ufrag, Some("receiver"));
/// ```
pub fn routing(datagram: &[u8]) -> Option<Routing<'_>> {
    if !is_stun(datagram) {
        return None;
    }
    let (&[t1, t2, _, _, _, _, _, _, ref transaction @ ..], body) = datagram.split_first_chunk::<HEADER_LEN>()?;
    let (class, _) = kind::split(u16::from_be_bytes([t1, t2]));
    let fragment = |value| std::str::from_utf8(value).ok()?.split_once(':').map(|(receiver, _)| receiver);
    let username = Attributes(body).take(MAX_ATTRIBUTES).find(|&(found, _)| found == AttributeType::USERNAME);
    let local_ufrag = username.and_then(|(_, value)| fragment(value));
    Some(Routing { transaction: TransactionId(*transaction), class, local_ufrag })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes(mut bytes: Vec<u8>) {
            prop_assert!(routing(&bytes).is_none() || is_stun(&bytes));
            if bytes.len() >= HEADER_LEN {
                bytes[0] &= 3;
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
                prop_assert!(routing(&bytes).is_some());
            }
        }
    }

    #[test]
    fn other_protocols_are_not_stun() {
        assert!(!is_stun(&[]));
        assert!(!is_stun(&[22; 60]));
        assert!(!is_stun(&[0x80; 60]));
        assert!(!is_stun(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]));
    }
}
