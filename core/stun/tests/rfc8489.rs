//! The test vector of RFC 8489 appendix B.1, as erratum 6268 corrects it: long-term credentials with SHA-256 and a hidden user name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wigwag_stun::{AttributeType, LongTermKey, Message, MessageBuilder, PasswordAlgorithm, SecurityFeatures, userhash};

const REQUEST: &str = "
    00010090 2112a442 78ad3433 c6ad72c0 29da412e
    001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
    00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000
    0014000b 6578616d 706c652e 6f726700
    001d0004 00020000
    001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65";

const USERNAME: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
const REALM: &str = "example.org";
/// Prepared.
const PASSWORD: &str = "TheMatrIX";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.bytes().filter_map(|digit| char::from(digit).to_digit(16)).collect::<Vec<_>>();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn sample_request_with_long_term_authentication() {
    let provider = wigwag_crypto::aws_lc_rs();
    let request = bytes(REQUEST);
    let message = Message::parse(&request).unwrap();
    let hash = userhash(USERNAME, REALM, provider);
    assert_eq!(message.attribute(AttributeType::USERHASH), Some(&hash[..]));
    assert_eq!(message.password_algorithm(), Some(PasswordAlgorithm::Sha256));
    let nonce = message.nonce().unwrap();
    assert_eq!(SecurityFeatures::of_nonce(nonce), SecurityFeatures::default());
    let key = LongTermKey::new(PasswordAlgorithm::Sha256, USERNAME, REALM, PASSWORD, provider);
    assert!(message.verify_integrity_sha256(key.as_ref(), provider));

    let mut memory = [0; 256];
    let mut same = MessageBuilder::new(&mut memory, message.class(), message.method(), message.transaction());
    same.attribute(AttributeType::USERHASH, &hash);
    same.nonce(nonce);
    same.realm(REALM);
    same.password_algorithm(PasswordAlgorithm::Sha256);
    same.message_integrity_sha256(key.as_ref(), provider);
    let len = same.finish().unwrap();
    assert_eq!(memory[..len], request);
}
