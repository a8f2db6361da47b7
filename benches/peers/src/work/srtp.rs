//! Packets protected and unprotected, a ring of them at a time.

use crate::allocations;
use crate::clock::cpu_seconds;
use crate::srtp::{HEADER, PACKET, Profile, RING, Srtp, rtp};

/// Rounds before anything is measured; in them every payload is compared.
const WARM_UP: u64 = 20;

/// Prints what protecting and unprotecting one packet take: nanoseconds (the median of rounds), and allocations.
pub fn run<S: Srtp>(profile: Profile, seconds: f64) {
    let mut srtp = S::new(profile);
    let template = rtp();
    for n in 0..RING {
        srtp.packet(n).copy_from_slice(&template);
    }
    for round in 0..WARM_UP {
        turn(&mut srtp, round, |payload| assert_eq!(payload, &template[HEADER..]));
    }
    // Room for all of them, so that keeping the times does not allocate.
    let mut times: Vec<[f64; 2]> = Vec::with_capacity(1 << 20);
    let mut calls = [0; 2];
    let end = cpu_seconds() + seconds;
    for round in WARM_UP.. {
        let (took, allocated) = turn(&mut srtp, round, |payload| assert_eq!(payload.len(), PACKET - HEADER));
        times.push(took);
        calls = [calls[0] + allocated[0], calls[1] + allocated[1]];
        if cpu_seconds() > end || times.len() == times.capacity() {
            break;
        }
    }
    let packets = (times.len() * RING) as f64;
    let [protect, unprotect] = [0, 1].map(|which| {
        times.sort_by(|a, b| a[which].total_cmp(&b[which]));
        times[times.len() / 2][which] / RING as f64 * 1e9
    });
    println!(
        "{{\"protect_ns\": {protect:.1}, \"unprotect_ns\": {unprotect:.1}, \"allocations\": {:.3}}}",
        (calls[0] + calls[1]) as f64 / packets
    );
}

/// Seconds and allocations of protecting the ring, and of unprotecting it.
fn turn<S: Srtp>(srtp: &mut S, round: u64, check: impl Fn(&[u8])) -> ([f64; 2], [u64; 2]) {
    let first = round * RING as u64;
    for n in 0..RING {
        let number = (first + n as u64) as u16;
        srtp.packet(n)[2..4].copy_from_slice(&number.to_be_bytes());
    }
    let (start, before) = (cpu_seconds(), allocations::calls());
    for n in 0..RING {
        srtp.protect(n, first + n as u64);
    }
    let (middle, between) = (cpu_seconds(), allocations::calls());
    for n in 0..RING {
        check(srtp.unprotect(n, first + n as u64));
    }
    let (end, after) = (cpu_seconds(), allocations::calls());
    ([middle - start, end - middle], [between - before, after - between])
}
