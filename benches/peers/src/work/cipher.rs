//! The floor under every secure transport: AES-128-GCM over packets of 1,200 bytes, each sealed and opened once.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::clock::cpu_seconds;

/// The payload of a packet that fits every path.
const PACKET: usize = 1200;
const TAG: usize = 16;
/// Packets between two looks at the clock.
const BATCH: u64 = 10_000;

/// Prints how many megabytes one core seals and opens in a second.
pub fn run(seconds: f64) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("a key of 16 bytes"));
    let mut packet = [0; PACKET + TAG];
    let mut counter = 0u64;
    let mut batch = || {
        for _ in 0..BATCH {
            counter += 1;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&counter.to_be_bytes());
            // As long as the additional data of a DTLS 1.2 record.
            let header = || Aad::from([0; 13]);
            let (payload, room) = packet.split_at_mut(PACKET);
            let nonce_again = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), header(), payload);
            room.copy_from_slice(tag.expect("sealed").as_ref());
            key.open_in_place(nonce_again, header(), &mut packet).expect("what was sealed opens");
        }
    };
    batch();
    let start = cpu_seconds();
    let mut batches = 0;
    while cpu_seconds() - start < seconds {
        batch();
        batches += 1;
    }
    let rate = (batches * BATCH * PACKET as u64) as f64 / (cpu_seconds() - start) / 1e6;
    println!("{{\"mb_per_s\": {rate:.1}}}");
}
