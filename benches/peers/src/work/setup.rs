//! From two session descriptions to an open data channel: how long on a slow wire, and how much work.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::cpu_seconds;
use crate::link::Link;
use crate::stack::{Settings, Stack};

/// Not measured: tables that are built once in the life of a program.
const WARM_UP: usize = 3;

/// Prints when the channel opened, in virtual time, with this one-way delay. Signalling takes no time in it.
pub fn latency<S: Stack>(one_way: Duration) {
    let mut link = Link::new(S::pair(None, &Settings::default()), one_way, &Bytes::new());
    let opened = link.connect();
    let ms = opened.map(|at| at.as_secs_f64() * 1e3);
    println!(
        "{{\"stack\": \"{}\", \"one_way_ms\": {}, \"offerer_ms\": {:.3}, \"answerer_ms\": {:.3}, \"packets\": {}}}",
        S::NAME,
        one_way.as_millis(),
        ms[0],
        ms[1],
        link.datagrams,
    );
}

/// Prints the processor time of both ends together, per connection: made, negotiated, opened and dropped.
pub fn work<S: Stack>(seconds: f64) {
    let with = per_connection::<S>(seconds, None);
    let certificates = [S::certificate(), S::certificate()];
    let without = per_connection::<S>(seconds, Some(certificates));
    println!("{{\"stack\": \"{}\", \"cpu_ms_with_certificates\": {with:.4}, \"cpu_ms\": {without:.4}}}", S::NAME);
}

fn per_connection<S: Stack>(seconds: f64, certificates: Option<[S::Certificate; 2]>) -> f64 {
    let one = || {
        // An instant wire: what costs processor time is the packets, and how long they travel changes their number
        // only where a timer runs out.
        let ends = S::pair(certificates.clone(), &Settings::default());
        Link::new(ends, Duration::from_micros(100), &Bytes::new()).connect();
    };
    for _ in 0..WARM_UP {
        one();
    }
    let start = cpu_seconds();
    let mut count = 0;
    while cpu_seconds() - start < seconds {
        one();
        count += 1;
    }
    (cpu_seconds() - start) * 1e3 / f64::from(count)
}
