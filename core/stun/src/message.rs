//! A message, parsed by borrowing.

use std::net::SocketAddr;

use wigwag_crypto::Provider;

use crate::HEADER_LEN;
use crate::attribute::{AttributeType, ErrorCode, parse_address, xor};
use crate::auth::{PasswordAlgorithm, parse_algorithms};
use crate::fingerprint;
use crate::kind::{self, Class, MAGIC_COOKIE, Method, TransactionId};

/// Why bytes are no STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Too short for a header, other leading bits, or another cookie.
    #[error("not STUN")]
    NotStun,
    /// The header's length is not the datagram's, or no multiple of four.
    #[error("the message's length is wrong")]
    WrongLength,
    /// An attribute reaches beyond the end.
    #[error("an attribute is cut off")]
    CutOff,
    /// An integrity or a fingerprint has an impossible length, or something follows the fingerprint.
    #[error("an integrity or fingerprint attribute is malformed")]
    MalformedEnd,
}

/// A STUN message that borrows the datagram. Its structure is sound; whether it is authentic, the caller asks.
///
/// ```
/// use wigwag_stun::{Class, Message, MessageBuilder, Method, TransactionId};
///
/// let mut memory = [0; 128];
/// let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId([7; 12]));
/// message.username("you:me");
/// message.priority(110);
/// message.message_integrity(b"password", wigwag_crypto::aws_lc_rs());
/// message.fingerprint();
/// let len = message.finish().unwrap();
///
/// let message = Message::parse(&memory[..len]).unwrap();
/// assert_eq!(message.username(), Some("you:me"));
/// assert!(message.verify_integrity(b"password", wigwag_crypto::aws_lc_rs()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    transaction: TransactionId,
    /// The attributes that may be shown.
    attributes: &'a [u8],
    integrity: Option<Trailer<'a>>,
    integrity_sha256: Option<Trailer<'a>>,
    fingerprint: Option<Trailer<'a>>,
}

/// An attribute about the bytes before it.
#[derive(Clone, Copy, Debug)]
struct Trailer<'a> {
    offset: usize,
    value: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message that fills `datagram`.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (header, body) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(ParseError::NotStun)?;
        let &[t1, t2, l1, l2, c1, c2, c3, c4, ref id @ ..] = header;
        if t1 & 0xC0 != 0 || u32::from_be_bytes([c1, c2, c3, c4]) != MAGIC_COOKIE {
            return Err(ParseError::NotStun);
        }
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        if len != body.len() || len % 4 != 0 {
            return Err(ParseError::WrongLength);
        }
        let (class, method) = kind::split(u16::from_be_bytes([t1, t2]));
        let mut message = Self {
            bytes: datagram,
            class,
            method,
            transaction: TransactionId(*id),
            attributes: &[],
            integrity: None,
            integrity_sha256: None,
            fingerprint: None,
        };
        message.find_trailers(body)?;
        Ok(message)
    }

    /// RFC 8489 sections 14.5 to 14.7: what follows MESSAGE-INTEGRITY is ignored, except MESSAGE-INTEGRITY-SHA256 and
    /// FINGERPRINT; what follows MESSAGE-INTEGRITY-SHA256, except FINGERPRINT; nothing follows FINGERPRINT.
    fn find_trailers(&mut self, body: &'a [u8]) -> Result<(), ParseError> {
        let mut rest = body;
        let mut covered = None;
        while !rest.is_empty() {
            let at = body.len() - rest.len();
            let (attribute, value, after) = split_attribute(rest).ok_or(ParseError::CutOff)?;
            let trailer = Some(Trailer { offset: HEADER_LEN + at, value });
            match attribute {
                AttributeType::MESSAGE_INTEGRITY if self.integrity.is_none() && self.integrity_sha256.is_none() => {
                    if value.len() != 20 {
                        return Err(ParseError::MalformedEnd);
                    }
                    self.integrity = trailer;
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 if self.integrity_sha256.is_none() => {
                    if !(16..=32).contains(&value.len()) || value.len() % 4 != 0 {
                        return Err(ParseError::MalformedEnd);
                    }
                    self.integrity_sha256 = trailer;
                }
                AttributeType::FINGERPRINT => {
                    if value.len() != 4 || !after.is_empty() {
                        return Err(ParseError::MalformedEnd);
                    }
                    self.fingerprint = trailer;
                }
                _ => {
                    rest = after;
                    continue;
                }
            }
            covered.get_or_insert(at);
            rest = after;
        }
        self.attributes = body.get(..covered.unwrap_or(body.len())).unwrap_or_default();
        Ok(())
    }

    /// Request, indication, success or error.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The transaction that it belongs to.
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// The whole message.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether MESSAGE-INTEGRITY is there.
    pub fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether MESSAGE-INTEGRITY-SHA256 is there.
    pub fn has_integrity_sha256(&self) -> bool {
        self.integrity_sha256.is_some()
    }

    /// Whether MESSAGE-INTEGRITY is there and made with `key`. RFC 8489 section 14.5.
    pub fn verify_integrity(&self, key: &[u8], provider: Provider) -> bool {
        let Some(trailer) = self.integrity else { return false };
        self.up_to(trailer, |parts| equal(&provider.hmac_sha1(key, parts), trailer.value))
    }

    /// Whether MESSAGE-INTEGRITY-SHA256 is there and made with `key`; it may be truncated to 16 bytes. RFC 8489
    /// section 14.6.
    pub fn verify_integrity_sha256(&self, key: &[u8], provider: Provider) -> bool {
        let Some(trailer) = self.integrity_sha256 else { return false };
        self.up_to(trailer, |parts| {
            let mac = provider.hmac_sha256(key, parts);
            mac.get(..trailer.value.len()).is_some_and(|mac| equal(mac, trailer.value))
        })
    }

    /// Whether FINGERPRINT is right; `None` if there is none. RFC 8489 section 14.7.
    pub fn verify_fingerprint(&self) -> Option<bool> {
        let trailer = self.fingerprint?;
        let crc = self.up_to(trailer, fingerprint::crc32) ^ fingerprint::XOR;
        Some(crc.to_be_bytes() == trailer.value)
    }

    /// The bytes before `trailer`, with a header whose length ends with `trailer`.
    fn up_to<T>(&self, trailer: Trailer<'_>, digest: impl FnOnce(&[&[u8]]) -> T) -> T {
        let len = (trailer.offset - HEADER_LEN + 4 + trailer.value.len()) as u16;
        let kind = self.bytes.get(..2).unwrap_or_default();
        let rest = self.bytes.get(4..trailer.offset).unwrap_or_default();
        digest(&[kind, &len.to_be_bytes(), rest])
    }

    /// The attributes in their order, without those that only speak about the message, and what is behind them.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes(self.attributes)
    }

    /// The value of the first attribute of this type: only that counts. RFC 8489 section 14.
    pub fn attribute(&self, attribute: AttributeType) -> Option<&'a [u8]> {
        self.attributes().find_map(|(found, value)| (found == attribute).then_some(value))
    }

    /// An attribute that is UTF-8.
    pub fn text(&self, attribute: AttributeType) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(attribute)?).ok()
    }

    /// An attribute of 32 bits.
    pub fn u32(&self, attribute: AttributeType) -> Option<u32> {
        Some(u32::from_be_bytes(self.attribute(attribute)?.try_into().ok()?))
    }

    /// An attribute of 64 bits.
    pub fn u64(&self, attribute: AttributeType) -> Option<u64> {
        Some(u64::from_be_bytes(self.attribute(attribute)?.try_into().ok()?))
    }

    /// An address as it is.
    pub fn address(&self, attribute: AttributeType) -> Option<SocketAddr> {
        parse_address(self.attribute(attribute)?)
    }

    /// An address that was XORed.
    pub fn xor_address(&self, attribute: AttributeType) -> Option<SocketAddr> {
        Some(xor(self.address(attribute)?, self.transaction))
    }

    /// USERNAME.
    pub fn username(&self) -> Option<&'a str> {
        self.text(AttributeType::USERNAME)
    }

    /// REALM.
    pub fn realm(&self) -> Option<&'a str> {
        self.text(AttributeType::REALM)
    }

    /// NONCE.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::NONCE)
    }

    /// SOFTWARE.
    pub fn software(&self) -> Option<&'a str> {
        self.text(AttributeType::SOFTWARE)
    }

    /// PRIORITY.
    pub fn priority(&self) -> Option<u32> {
        self.u32(AttributeType::PRIORITY)
    }

    /// Whether USE-CANDIDATE is there.
    pub fn use_candidate(&self) -> bool {
        self.attribute(AttributeType::USE_CANDIDATE).is_some()
    }

    /// ICE-CONTROLLING: the sender's tie-breaker.
    pub fn ice_controlling(&self) -> Option<u64> {
        self.u64(AttributeType::ICE_CONTROLLING)
    }

    /// ICE-CONTROLLED: the sender's tie-breaker.
    pub fn ice_controlled(&self) -> Option<u64> {
        self.u64(AttributeType::ICE_CONTROLLED)
    }

    /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of an old server.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.xor_address(AttributeType::XOR_MAPPED_ADDRESS).or_else(|| self.address(AttributeType::MAPPED_ADDRESS))
    }

    /// The address in the value of an attribute of this message, where that is XORed.
    pub fn xored(&self, value: &[u8]) -> Option<SocketAddr> {
        Some(xor(parse_address(value)?, self.transaction))
    }

    /// XOR-RELAYED-ADDRESS: an allocation's own address.
    pub fn relayed_address(&self) -> Option<SocketAddr> {
        self.xor_address(AttributeType::XOR_RELAYED_ADDRESS)
    }

    /// The first XOR-PEER-ADDRESS.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.xor_address(AttributeType::XOR_PEER_ADDRESS)
    }

    /// Each XOR-PEER-ADDRESS that can be read: CreatePermission may have several. RFC 8656 section 9.1.
    pub fn peer_addresses(&self) -> impl Iterator<Item = SocketAddr> + 'a {
        let transaction = self.transaction;
        let of_peer = |(attribute, value)| (attribute == AttributeType::XOR_PEER_ADDRESS).then_some(value);
        self.attributes().filter_map(of_peer).filter_map(move |value| Some(xor(parse_address(value)?, transaction)))
    }

    /// LIFETIME, in seconds.
    pub fn lifetime(&self) -> Option<u32> {
        self.u32(AttributeType::LIFETIME)
    }

    /// CHANNEL-NUMBER.
    pub fn channel_number(&self) -> Option<u16> {
        self.u32(AttributeType::CHANNEL_NUMBER).map(|value| (value >> 16) as u16)
    }

    /// REQUESTED-TRANSPORT: UDP is 17.
    pub fn requested_transport(&self) -> Option<u8> {
        self.attribute(AttributeType::REQUESTED_TRANSPORT)?.first().copied()
    }

    /// REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY: IPv4 is 1, IPv6 is 2.
    pub fn address_family(&self, attribute: AttributeType) -> Option<u8> {
        self.attribute(attribute)?.first().copied()
    }

    /// EVEN-PORT: whether the next port shall be set aside, too.
    pub fn even_port(&self) -> Option<bool> {
        Some(self.attribute(AttributeType::EVEN_PORT)?.first()? & 0x80 != 0)
    }

    /// DATA.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::DATA)
    }

    /// PASSWORD-ALGORITHMS, the best first, without those that are not known.
    pub fn password_algorithms(&self) -> impl Iterator<Item = PasswordAlgorithm> + 'a {
        parse_algorithms(self.attribute(AttributeType::PASSWORD_ALGORITHMS).unwrap_or_default())
    }

    /// PASSWORD-ALGORITHM, if it is known.
    pub fn password_algorithm(&self) -> Option<PasswordAlgorithm> {
        parse_algorithms(self.attribute(AttributeType::PASSWORD_ALGORITHM)?).next()
    }

    /// ERROR-CODE; a reason that is not UTF-8 is shown empty.
    ///
    /// ```text
    /// |           Reserved, should be 0         |Class|     Number    |
    /// |      Reason Phrase (variable)
    /// ```
    pub fn error_code(&self) -> Option<ErrorCode<'a>> {
        let (&[_, _, class, number], reason) = self.attribute(AttributeType::ERROR_CODE)?.split_first_chunk::<4>()?;
        let (class, number) = (u16::from(class & 7), u16::from(number));
        let valid = (3..=6).contains(&class) && number < 100;
        let reason = std::str::from_utf8(reason).unwrap_or_default();
        valid.then_some(ErrorCode { code: class * 100 + number, reason })
    }

    /// UNKNOWN-ATTRIBUTES: what the other side did not understand.
    pub fn unknown_attributes(&self) -> impl Iterator<Item = AttributeType> + 'a {
        let value = self.attribute(AttributeType::UNKNOWN_ATTRIBUTES).unwrap_or_default();
        value.chunks_exact(2).filter_map(|pair| Some(AttributeType(u16::from_be_bytes(pair.try_into().ok()?))))
    }

    /// The attributes in this message that this crate does not know, though the sender says that they matter: a
    /// request with such is refused with 420, a response is worth nothing. RFC 8489 section 6.3.
    pub fn not_understood(&self) -> impl Iterator<Item = AttributeType> + 'a {
        let types = self.attributes().map(|(attribute, _)| attribute);
        types.filter(|attribute| attribute.is_comprehension_required() && attribute.name().is_none())
    }
}

/// The attributes of a [`Message`]: types and values.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (AttributeType, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (attribute, value, rest) = split_attribute(self.0)?;
        self.0 = rest;
        Some((attribute, value))
    }
}

/// Type, value, and what follows the padding.
fn split_attribute(bytes: &[u8]) -> Option<(AttributeType, &[u8], &[u8])> {
    let (&[t1, t2, l1, l2], rest) = bytes.split_first_chunk::<4>()?;
    let len = usize::from(u16::from_be_bytes([l1, l2]));
    let (value, _) = rest.split_at_checked(len)?;
    let (_, rest) = rest.split_at_checked(len.next_multiple_of(4))?;
    Some((AttributeType(u16::from_be_bytes([t1, t2])), value, rest))
}

/// In a time that does not tell where the first difference is.
fn equal(ours: &[u8], theirs: &[u8]) -> bool {
    let differences = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
    ours.len() == theirs.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&bytes);
            // The same with a header that fits, so that the attributes are reached.
            if bytes.len() >= HEADER_LEN {
                bytes.truncate(bytes.len() & !3);
                let len = (bytes.len() - HEADER_LEN) as u16;
                bytes[0] &= 0x3F;
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
                read_everything(&bytes);
            }
        }

        #[test]
        fn attributes_of_any_shape(parts in proptest::collection::vec(
            (prop_oneof![Just(8_u16), Just(0x1C), Just(0x8028), Just(9), Just(6), Just(0x20), any::<u16>()],
             proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
            for (attribute, value) in &parts {
                bytes.extend_from_slice(&attribute.to_be_bytes());
                bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
                bytes.extend_from_slice(value);
                bytes.resize(bytes.len().next_multiple_of(4), 0xFF);
            }
            let len = (bytes.len() - HEADER_LEN) as u16;
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            read_everything(&bytes);
        }
    }

    fn read_everything(bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let provider = wigwag_crypto::aws_lc_rs();
        message.verify_integrity(b"key", provider);
        message.verify_integrity_sha256(b"key", provider);
        message.verify_fingerprint();
        message.error_code();
        message.mapped_address();
        message.use_candidate();
        assert!(message.attributes().count() <= bytes.len() / 4);
        message.unknown_attributes().for_each(drop);
        message.not_understood().for_each(drop);
    }
}
