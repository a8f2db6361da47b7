//! Sums in datagrams, made right after a change: what stops noise must not stop a fuzzer.

/// FINGERPRINT. RFC 8489 section 14.7.
const FINGERPRINT: [u8; 4] = [0x80, 0x28, 0, 4];

/// Makes right what can be computed without a key: the length and the fingerprint of STUN, the checksum of SCTP inside DTLS
/// records that nobody encrypted ([`crypto::credulous`](crate::crypto::credulous)).
pub fn datagram(bytes: &mut [u8]) {
    match bytes.first() {
        Some(0..=3) => stun(bytes),
        // DTLS 1.2: 13 bytes of header, 8 of nonce, 16 of tag. One record in a datagram is what SCTP has.
        Some(23) if bytes.len() > 37 => {
            let end = bytes.len() - 16;
            sctp(&mut bytes[21..end]);
        }
        // DTLS 1.3: 5 bytes of header, the inner content type, 16 of tag.
        Some(0x20..=0x3F) if bytes.len() > 22 => {
            let end = bytes.len() - 17;
            sctp(&mut bytes[5..end]);
        }
        _ => {}
    }
}

/// The checksum of an SCTP packet. RFC 9260 appendix A.
pub fn sctp(packet: &mut [u8]) {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let sum = crc32c::crc32c(packet);
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
    }
}

/// The length, and the fingerprint if there is one at the end.
pub fn stun(message: &mut [u8]) {
    let Some(body) = message.len().checked_sub(20) else { return };
    message[2..4].copy_from_slice(&(body as u16).to_be_bytes());
    let end = message.len();
    if body >= 8 && message[end - 8..end - 4] == FINGERPRINT {
        let sum = crc32(&message[..end - 8]) ^ 0x5354_554E;
        message[end - 4..].copy_from_slice(&sum.to_be_bytes());
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}
