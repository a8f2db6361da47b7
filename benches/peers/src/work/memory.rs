//! What a connection keeps while nothing happens.

use std::time::Duration;

use bytes::Bytes;

use crate::allocations;
use crate::link::Link;
use crate::stack::{Settings, Stack};

/// Enough pairs that what the program allocates once does not show.
const PAIRS: usize = 100;
/// Virtual time in which whatever the set-up needed may be released.
const SETTLE: Duration = Duration::from_secs(10);
/// What the busy ones have sent before they fell idle.
const TRAFFIC_BYTES: u64 = 1 << 20;
const MESSAGE: usize = 16 << 10;

/// Prints the live bytes of one end, connected and idle; and once more after a megabyte has gone through it.
pub fn run<S: Stack>() {
    let fresh = per_end::<S>(0);
    let used = per_end::<S>(TRAFFIC_BYTES);
    println!("{{\"stack\": \"{}\", \"bytes\": {fresh:.0}, \"bytes_after_traffic\": {used:.0}}}", S::NAME);
}

/// The mean over both ends, since one sends and the other receives.
fn per_end<S: Stack>(traffic: u64) -> f64 {
    let message = Bytes::from(vec![7; MESSAGE]);
    let one = || idle_pair::<S>(&message, traffic);
    drop(one());
    let before = allocations::live();
    let mut ends = Vec::with_capacity(PAIRS);
    ends.extend((0..PAIRS).map(|_| one()));
    let after = allocations::live();
    (after - before) as f64 / (2 * PAIRS) as f64
}

/// Two connected ends, without the wire between them.
fn idle_pair<S: Stack>(message: &Bytes, traffic: u64) -> [S; 2] {
    let settings = Settings { message_size: MESSAGE, ..Settings::default() };
    let mut link = Link::new(S::pair(None, &settings), Duration::ZERO, message);
    link.connect();
    while link.sinks[1].bytes < traffic {
        link.round(message, Duration::from_micros(10));
    }
    link.idle(SETTLE);
    link.ends
}
