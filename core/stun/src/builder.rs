//! A message, written in place.

use std::net::SocketAddr;

use wigwag_crypto::Provider;

use crate::HEADER_LEN;
use crate::attribute::{AttributeType, ErrorCode, write_address, xor};
use crate::auth::PasswordAlgorithm;
use crate::fingerprint;
use crate::kind::{self, Class, MAGIC_COOKIE, Method, TransactionId};

/// Writes a message into the caller's memory, attribute after attribute.
///
/// What does not fit is remembered: [`finish`](Self::finish) then gives `None`, so that the calls before need no
/// checking. The attributes about the message come last: [`message_integrity`](Self::message_integrity),
/// [`message_integrity_sha256`](Self::message_integrity_sha256), [`fingerprint`](Self::fingerprint).
///
/// ```
/// use wigwag_stun::{Class, ErrorCode, MessageBuilder, Method, TransactionId};
///
/// let mut memory = [0; 64];
/// let mut message = MessageBuilder::new(&mut memory, Class::Error, Method::BINDING, TransactionId([7; 12]));
/// message.error_code(ErrorCode::ROLE_CONFLICT);
/// message.fingerprint();
/// assert_eq!(message.finish(), Some(52));
/// ```
#[derive(Debug)]
pub struct MessageBuilder<'a> {
    room: &'a mut [u8],
    transaction: TransactionId,
    /// `None` when something did not fit.
    len: Option<usize>,
}

impl<'a> MessageBuilder<'a> {
    /// Begins a message in `room`.
    pub fn new(room: &'a mut [u8], class: Class, method: Method, transaction: TransactionId) -> Self {
        let len = room.first_chunk_mut::<HEADER_LEN>().map(|header| {
            header[..2].copy_from_slice(&kind::join(class, method).to_be_bytes());
            header[2..4].fill(0);
            header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            header[8..].copy_from_slice(&transaction.0);
            HEADER_LEN
        });
        Self { room, transaction, len }
    }

    /// Any attribute, with its padding.
    pub fn attribute(&mut self, attribute: AttributeType, value: &[u8]) {
        self.write(attribute, &[value]);
    }

    /// USERNAME.
    pub fn username(&mut self, name: &str) {
        self.attribute(AttributeType::USERNAME, name.as_bytes());
    }

    /// USERNAME of an ICE check: the receiver's fragment, then the sender's. RFC 8445 section 7.2.2.
    pub fn ice_username(&mut self, receiver: &str, sender: &str) {
        self.write(AttributeType::USERNAME, &[receiver.as_bytes(), b":", sender.as_bytes()]);
    }

    /// SOFTWARE.
    pub fn software(&mut self, name: &str) {
        self.attribute(AttributeType::SOFTWARE, name.as_bytes());
    }

    /// REALM.
    pub fn realm(&mut self, realm: &str) {
        self.attribute(AttributeType::REALM, realm.as_bytes());
    }

    /// NONCE.
    pub fn nonce(&mut self, nonce: &[u8]) {
        self.attribute(AttributeType::NONCE, nonce);
    }

    /// PRIORITY.
    pub fn priority(&mut self, priority: u32) {
        self.attribute(AttributeType::PRIORITY, &priority.to_be_bytes());
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(&mut self) {
        self.attribute(AttributeType::USE_CANDIDATE, &[]);
    }

    /// ICE-CONTROLLING.
    pub fn ice_controlling(&mut self, tie_breaker: u64) {
        self.attribute(AttributeType::ICE_CONTROLLING, &tie_breaker.to_be_bytes());
    }

    /// ICE-CONTROLLED.
    pub fn ice_controlled(&mut self, tie_breaker: u64) {
        self.attribute(AttributeType::ICE_CONTROLLED, &tie_breaker.to_be_bytes());
    }

    /// An address as it is.
    pub fn address(&mut self, attribute: AttributeType, address: SocketAddr) {
        let (value, len) = write_address(address);
        self.attribute(attribute, value.get(..len).unwrap_or_default());
    }

    /// An address, XORed.
    pub fn xor_address(&mut self, attribute: AttributeType, address: SocketAddr) {
        self.address(attribute, xor(address, self.transaction));
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn xor_mapped_address(&mut self, address: SocketAddr) {
        self.xor_address(AttributeType::XOR_MAPPED_ADDRESS, address);
    }

    /// ERROR-CODE.
    pub fn error_code(&mut self, ErrorCode { code, reason }: ErrorCode<'_>) {
        let head = [0, 0, (code / 100 % 8) as u8, (code % 100) as u8];
        self.write(AttributeType::ERROR_CODE, &[&head, reason.as_bytes()]);
    }

    /// UNKNOWN-ATTRIBUTES, at most sixteen of them: whoever sends more than that is not helped by a list.
    pub fn unknown_attributes(&mut self, attributes: impl Iterator<Item = AttributeType>) {
        let mut value = [0; 32];
        let mut len = 0;
        for (AttributeType(number), room) in attributes.zip(value.chunks_exact_mut(2)) {
            room.copy_from_slice(&number.to_be_bytes());
            len += 2;
        }
        self.attribute(AttributeType::UNKNOWN_ATTRIBUTES, value.get(..len).unwrap_or_default());
    }

    /// An attribute of 32 bits.
    pub fn u32(&mut self, attribute: AttributeType, value: u32) {
        self.attribute(attribute, &value.to_be_bytes());
    }

    /// REQUESTED-TRANSPORT: UDP is 17, TCP (RFC 6062) is 6.
    pub fn requested_transport(&mut self, protocol: u8) {
        self.attribute(AttributeType::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0]);
    }

    /// An address family, such as REQUESTED-ADDRESS-FAMILY: IPv4 is 1, IPv6 is 2.
    pub fn address_family(&mut self, attribute: AttributeType, ipv6: bool) {
        self.attribute(attribute, &[1 + u8::from(ipv6), 0, 0, 0]);
    }

    /// EVEN-PORT; `reserve` asks to set the next port aside.
    pub fn even_port(&mut self, reserve: bool) {
        self.attribute(AttributeType::EVEN_PORT, &[u8::from(reserve) << 7]);
    }

    /// LIFETIME, in seconds.
    pub fn lifetime(&mut self, seconds: u32) {
        self.u32(AttributeType::LIFETIME, seconds);
    }

    /// CHANNEL-NUMBER.
    pub fn channel_number(&mut self, channel: u16) {
        self.u32(AttributeType::CHANNEL_NUMBER, u32::from(channel) << 16);
    }

    /// XOR-PEER-ADDRESS.
    pub fn xor_peer_address(&mut self, peer: SocketAddr) {
        self.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
    }

    /// PASSWORD-ALGORITHMS, the best first. At most four: there are two.
    pub fn password_algorithms(&mut self, algorithms: impl IntoIterator<Item = PasswordAlgorithm>) {
        let mut value = [0; 16];
        let mut len = 0;
        for (algorithm, room) in algorithms.into_iter().zip(value.chunks_exact_mut(4)) {
            let [n1, n2] = algorithm.number().to_be_bytes();
            room.copy_from_slice(&[n1, n2, 0, 0]);
            len += 4;
        }
        self.attribute(AttributeType::PASSWORD_ALGORITHMS, value.get(..len).unwrap_or_default());
    }

    /// PASSWORD-ALGORITHM.
    pub fn password_algorithm(&mut self, algorithm: PasswordAlgorithm) {
        let [n1, n2] = algorithm.number().to_be_bytes();
        self.attribute(AttributeType::PASSWORD_ALGORITHM, &[n1, n2, 0, 0]);
    }

    /// MESSAGE-INTEGRITY over all that was written. RFC 8489 section 14.5.
    pub fn message_integrity(&mut self, key: &[u8], provider: Provider) {
        let Some(written) = self.up_to(20) else { return };
        let mac = provider.hmac_sha1(key, &[written]);
        self.attribute(AttributeType::MESSAGE_INTEGRITY, &mac);
    }

    /// MESSAGE-INTEGRITY-SHA256 over all that was written. RFC 8489 section 14.6.
    pub fn message_integrity_sha256(&mut self, key: &[u8], provider: Provider) {
        let Some(written) = self.up_to(32) else { return };
        let mac = provider.hmac_sha256(key, &[written]);
        self.attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, &mac);
    }

    /// FINGERPRINT over all that was written. Nothing may follow it. RFC 8489 section 14.7.
    pub fn fingerprint(&mut self) {
        let Some(written) = self.up_to(4) else { return };
        let crc = fingerprint::crc32(&[written]) ^ fingerprint::XOR;
        self.attribute(AttributeType::FINGERPRINT, &crc.to_be_bytes());
    }

    /// The message's length in bytes; `None` if it did not fit.
    pub fn finish(self) -> Option<usize> {
        self.len
    }

    /// All that was written, with a length in the header that counts the coming attribute of `value_len` bytes too.
    fn up_to(&mut self, value_len: usize) -> Option<&[u8]> {
        let len = self.len?;
        self.write_len(len + 4 + value_len);
        self.room.get(..len)
    }

    fn write_len(&mut self, len: usize) {
        if let Some(field) = self.room.get_mut(2..4) {
            field.copy_from_slice(&((len - HEADER_LEN) as u16).to_be_bytes());
        }
    }

    fn write(&mut self, attribute: AttributeType, parts: &[&[u8]]) {
        self.len = self.try_write(attribute, parts);
    }

    fn try_write(&mut self, AttributeType(number): AttributeType, parts: &[&[u8]]) -> Option<usize> {
        let start = self.len?;
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let end = start + 4 + len.next_multiple_of(4);
        u16::try_from(end).ok()?;
        let (head, mut rest) = self.room.get_mut(start..end)?.split_at_mut_checked(4)?;
        let [n1, n2] = number.to_be_bytes();
        let [l1, l2] = (len as u16).to_be_bytes();
        head.copy_from_slice(&[n1, n2, l1, l2]);
        for part in parts {
            let (room, after) = rest.split_at_mut_checked(part.len())?;
            room.copy_from_slice(part);
            rest = after;
        }
        rest.fill(0);
        self.write_len(end);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            class in prop_oneof![Just(Class::Request), Just(Class::Indication), Just(Class::Success), Just(Class::Error)],
            method in 0_u16..0x1000, transaction: [u8; 12], key: [u8; 22], sha1: bool, sha256: bool, fingerprint: bool,
            attributes in proptest::collection::vec(
                (any::<u16>().prop_filter("a trailer", |n| ![8, 0x1C, 0x8028].contains(n)),
                 proptest::collection::vec(any::<u8>(), 0..50)), 0..10),
        ) {
            let provider = wigwag_crypto::aws_lc_rs();
            let mut memory = [0xAA; 1000];
            let mut builder = MessageBuilder::new(&mut memory, class, Method(method), TransactionId(transaction));
            for (number, value) in &attributes {
                builder.attribute(AttributeType(*number), value);
            }
            if sha1 {
                builder.message_integrity(&key, provider);
            }
            if sha256 {
                builder.message_integrity_sha256(&key, provider);
            }
            if fingerprint {
                builder.fingerprint();
            }
            let len = builder.finish().unwrap();
            let message = Message::parse(&memory[..len]).unwrap();
            prop_assert_eq!(message.class(), class);
            prop_assert_eq!(message.method(), Method(method));
            prop_assert_eq!(message.transaction(), TransactionId(transaction));
            let read = message.attributes().map(|(number, value)| (number.0, value.to_vec())).collect::<Vec<_>>();
            prop_assert_eq!(read, attributes);
            prop_assert_eq!(message.verify_integrity(&key, provider), sha1);
            prop_assert_eq!(message.verify_integrity_sha256(&key, provider), sha256);
            prop_assert_eq!(message.verify_fingerprint(), fingerprint.then_some(true));
        }

        #[test]
        fn a_changed_bit_is_noticed(at in 0_usize..64 * 8) {
            let provider = wigwag_crypto::aws_lc_rs();
            let mut memory = [0; 64];
            let mut builder = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId([3; 12]));
            builder.ice_username("abcdefgh", "ijkl");
            builder.message_integrity(b"key", provider);
            prop_assert_eq!(builder.finish(), Some(64));
            memory[at / 8] ^= 1 << (at % 8);
            let verified = Message::parse(&memory).is_ok_and(|message| message.verify_integrity(b"key", provider));
            prop_assert!(!verified);
        }

        #[test]
        fn too_little_room_is_told(room in 0_usize..52) {
            let mut memory = vec![0; room];
            let mut builder = MessageBuilder::new(&mut memory, Class::Error, Method::BINDING, TransactionId([7; 12]));
            builder.error_code(ErrorCode::ROLE_CONFLICT);
            builder.fingerprint();
            prop_assert_eq!(builder.finish(), None);
        }
    }
}
