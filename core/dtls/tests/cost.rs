//! What a payload costs, from end to end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

mod common;
#[path = "../../../tests/lib/counting.rs"]
mod counting;

use std::time::{Duration, Instant};

use common::Pair;
use wigwag_crypto::default_provider;
use wigwag_dtls::Versions;

/// Allocations and time for sealing and for opening one payload of 1200 bytes.
fn measure(versions: Versions) -> [(f64, Duration); 2] {
    const ROUNDS: usize = 40;
    const BATCH: usize = 50; // within the replay window
    let mut pair = Pair::connected(versions);
    let [client, server] = &mut pair.ends;
    let (client, server, now) = (&mut client.dtls, &mut server.dtls, pair.now);
    let mut segments = vec![[0; 1240]; BATCH];
    let mut total = [(0, Duration::ZERO); 2];
    for round in 0..ROUNDS + 2 {
        let mut lens = [0; BATCH];
        let (before, start) = (counting::allocations(), Instant::now());
        for (segment, len) in segments.iter_mut().zip(&mut lens) {
            *len = client.seal(segment, 1200).unwrap();
        }
        let sealed = (counting::allocations() - before, start.elapsed());
        let (before, start) = (counting::allocations(), Instant::now());
        for (segment, len) in segments.iter_mut().zip(lens) {
            let mut received = 0;
            server.open(now, &mut segment[..len], |payload| received += payload.len());
            assert_eq!(received, 1200);
        }
        let opened = (counting::allocations() - before, start.elapsed());
        if round >= 2 {
            for (total, part) in total.iter_mut().zip([sealed, opened]) {
                *total = (total.0 + part.0, total.1 + part.1);
            }
        }
    }
    let count = ROUNDS * BATCH;
    total.map(|(allocations, time)| (allocations as f64 / count as f64, time / count as u32))
}

#[test]
fn no_allocation_in_steady_state() {
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        let [(sealing, seal), (opening, open)] = measure(versions);
        println!(
            "{versions:?}, 1200 bytes: sealed in {seal:?} with {sealing} allocations, opened in {open:?} with {opening}"
        );
        assert_eq!((sealing, opening), (0.0, 0.0));
    }
}

/// Time and allocations of a handshake, both ends together, without a network. Printed only.
#[test]
fn a_handshake() {
    const ROUNDS: u32 = 20;
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        let mut total = (0, Duration::ZERO);
        for seed in 0..ROUNDS {
            let mut pair = Pair::new(seed.into(), [versions; 2], common::GOOD);
            let (before, start) = (counting::allocations(), Instant::now());
            pair.start();
            let now = pair.now;
            let [client, server] = &mut pair.ends;
            let mut room = [0; 1500];
            while client.dtls.can_transmit() || server.dtls.can_transmit() {
                while let Some(len) = client.dtls.write_packet(now, &mut room) {
                    server.dtls.open(now, &mut room[..len], |_| ());
                }
                while let Some(len) = server.dtls.write_packet(now, &mut room) {
                    client.dtls.open(now, &mut room[..len], |_| ());
                }
            }
            assert!(client.dtls.is_connected() && server.dtls.is_connected());
            total = (total.0 + counting::allocations() - before, total.1 + start.elapsed());
        }
        let time = total.1 / ROUNDS;
        println!("{versions:?}: a handshake takes both ends {time:?} and {} allocations", total.0 / u64::from(ROUNDS));
    }
}

/// What an end keeps once the handshake is over and the other side has had its say: less than 6 KiB, without what aws-lc
/// allocates for its keys. RustCrypto's expanded keys, which are counted, may have 4 KiB more.
#[test]
fn little_is_kept_after_the_handshake() {
    let bound = if default_provider().name() == "aws-lc-rs" { 6 << 10 } else { 10 << 10 };
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        let mut pair = Pair::connected(versions);
        pair.run(Duration::from_secs(40));
        for end in pair.ends {
            let kept = size_of_val(&end.dtls) + counting::held_by(end.dtls);
            println!("{versions:?}: {kept} bytes");
            assert!(kept < bound, "{versions:?}: {kept} bytes");
        }
    }
}
