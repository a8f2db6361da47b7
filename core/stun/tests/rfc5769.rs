//! The test vectors of RFC 5769.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wigwag_stun::{
    AttributeType, Class, LongTermKey, Message, MessageBuilder, Method, ParseError, PasswordAlgorithm, TransactionId,
};

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: &str = "b7e7a701bc34d686fa87dfae";

/// Section 2.1.
const REQUEST: &str = "
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae
    80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff
    80290008 932ff9b1 51263b36
    00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    80280004 e57a3bcf";

/// Section 2.2.
const IPV4_RESPONSE: &str = "
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200008 0001a147 e112a643
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    80280004 c07d4c96";

/// Section 2.3.
const IPV6_RESPONSE: &str = "
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    80280004 c8fb0b4c";

/// Section 2.4.
const LONG_TERM_REQUEST: &str = "
    00010060 2112a442 78ad3433 c6ad72c0 29da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

/// MD5 of the user name, realm and password (prepared), with colons between.
const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.bytes().filter_map(|digit| char::from(digit).to_digit(16)).collect::<Vec<_>>();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn sample_request() {
    let bytes_of_request = bytes(REQUEST);
    let message = Message::parse(&bytes_of_request).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction().0, *bytes(TRANSACTION));
    assert_eq!(message.software(), Some("STUN test client"));
    assert_eq!(message.priority(), Some(0x6E00_01FF));
    assert_eq!(message.ice_controlled(), Some(0x932F_F9B1_5126_3B36));
    assert_eq!(message.username(), Some("evtj:h6vY"));
    assert!(message.verify_integrity(PASSWORD, wigwag_crypto::aws_lc_rs()));
    assert!(!message.verify_integrity(b"another", wigwag_crypto::aws_lc_rs()));
    assert_eq!(message.verify_fingerprint(), Some(true));
    assert_eq!(message.not_understood().count(), 0);
}

#[test]
fn sample_responses() {
    for (response, address) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let response = bytes(response);
        let message = Message::parse(&response).unwrap();
        assert_eq!(message.class(), Class::Success);
        assert_eq!(message.software(), Some("test vector"));
        assert_eq!(message.mapped_address(), Some(address.parse().unwrap()));
        assert!(message.verify_integrity(PASSWORD, wigwag_crypto::aws_lc_rs()));
        assert_eq!(message.verify_fingerprint(), Some(true));
    }
}

#[test]
fn sample_request_with_long_term_authentication() {
    let request = bytes(LONG_TERM_REQUEST);
    let message = Message::parse(&request).unwrap();
    assert_eq!(message.username(), Some("\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}"));
    assert_eq!(message.nonce(), Some(&b"f//499k954d6OL34oL9FSTvy64sA"[..]));
    assert_eq!(message.realm(), Some("example.org"));
    assert!(message.verify_integrity(&bytes(LONG_TERM_KEY), wigwag_crypto::aws_lc_rs()));
    assert_eq!(message.verify_fingerprint(), None);
}

/// The vectors pad with other bytes than zero; the last one is what our builder would write.
#[test]
fn the_builder_writes_the_same() {
    let expected = bytes(LONG_TERM_REQUEST);
    let read = Message::parse(&expected).unwrap();
    let mut memory = [0xFF; 200];
    let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, read.transaction());
    message.username(read.username().unwrap());
    message.nonce(read.nonce().unwrap());
    message.realm(read.realm().unwrap());
    message.message_integrity(&bytes(LONG_TERM_KEY), wigwag_crypto::aws_lc_rs());
    let len = message.finish().unwrap();
    assert_eq!(memory[..len], expected);
}

/// RFC 8489 section 14.5.
#[test]
fn what_follows_the_integrity_is_ignored() {
    let provider = wigwag_crypto::aws_lc_rs();
    let mut memory = [0; 200];
    let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId([1; 12]));
    message.username("a:b");
    message.message_integrity(b"key", provider);
    message.use_candidate();
    message.message_integrity_sha256(b"key", provider);
    message.priority(7);
    message.fingerprint();
    let len = message.finish().unwrap();
    let message = Message::parse(&memory[..len]).unwrap();
    assert_eq!(message.attributes().collect::<Vec<_>>(), [(AttributeType::USERNAME, &b"a:b"[..])]);
    assert!(message.verify_integrity(b"key", provider) && message.verify_integrity_sha256(b"key", provider));
    assert_eq!(message.verify_fingerprint(), Some(true));
}

#[test]
fn nothing_follows_the_fingerprint() {
    let mut memory = [0; 200];
    let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId([1; 12]));
    message.fingerprint();
    message.use_candidate();
    let len = message.finish().unwrap();
    assert_eq!(Message::parse(&memory[..len]).unwrap_err(), ParseError::MalformedEnd);
}

#[test]
fn unknown_attributes_are_told_if_they_matter() {
    let mut memory = [0; 200];
    let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId([1; 12]));
    message.attribute(AttributeType(0x7777), b"must");
    message.attribute(AttributeType(0xC057), b"may");
    message.attribute(AttributeType(0xF777), b"may");
    let len = message.finish().unwrap();
    let message = Message::parse(&memory[..len]).unwrap();
    assert_eq!(message.not_understood().collect::<Vec<_>>(), [AttributeType(0x7777)]);

    let mut memory = [0; 200];
    let mut answer = MessageBuilder::new(&mut memory, Class::Error, Method::BINDING, TransactionId([1; 12]));
    answer.unknown_attributes(message.not_understood());
    let len = answer.finish().unwrap();
    let answer = Message::parse(&memory[..len]).unwrap();
    assert_eq!(answer.unknown_attributes().collect::<Vec<_>>(), [AttributeType(0x7777)]);
}

#[test]
fn the_long_term_key_is_made_of_the_password() {
    let request = bytes(LONG_TERM_REQUEST);
    let message = Message::parse(&request).unwrap();
    let (username, realm) = (message.username().unwrap(), message.realm().unwrap());
    let provider = wigwag_crypto::aws_lc_rs();
    let key = LongTermKey::new(PasswordAlgorithm::Md5, username, realm, "TheMatrIX", provider);
    assert_eq!(key.as_ref(), bytes(LONG_TERM_KEY));
    assert!(message.verify_integrity(key.as_ref(), provider));
}
