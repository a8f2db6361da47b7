//! A data channel in memory: both ends on one core, nothing between them but a queue.

use std::time::Duration;

use bytes::Bytes;

use crate::allocations;
use crate::clock::cpu_seconds;
use crate::link::Link;
use crate::stack::{Settings, Stack};

/// Virtual time per round. The figure is processor time per byte, so virtual time only has to be plausible: about
/// what the fastest loop here takes in reality, and far below every timer.
const TICK: Duration = Duration::from_micros(10);
/// Not measured: the congestion window opens, buffers grow, contents are compared.
const WARM_UP_BYTES: u64 = 8 << 20;
/// Bytes between two looks at the clock.
const SLICE_BYTES: u64 = 1 << 20;

fn message(size: usize) -> Bytes {
    (0..size).map(|i| (i * 31 % 251) as u8).collect()
}

struct Transfer<S: Stack> {
    link: Link<S>,
    message: Bytes,
    /// Virtual time in which neither end had anything to do but wait for a timer.
    waited: Duration,
}

impl<S: Stack> Transfer<S> {
    fn new(size: usize, send_buffer: Option<usize>) -> Self {
        let message = message(size);
        let settings = Settings { send_buffer: send_buffer.or(S::FASTEST_SEND_BUFFER), message_size: size };
        let mut link = Link::new(S::pair(None, &settings), Duration::ZERO, &message);
        link.connect();
        Transfer { link, message, waited: Duration::ZERO }
    }

    /// Runs until this many more bytes have arrived.
    fn bytes(&mut self, bytes: u64) {
        let until = self.link.sinks[1].bytes + bytes;
        let give_up = self.waited + Duration::from_secs(600);
        while self.link.sinks[1].bytes < until {
            self.waited += self.link.round(&self.message, TICK);
            assert!(self.waited < give_up, "{}: nothing arrives any more", S::NAME);
        }
    }

    fn warm_up(&mut self, bytes: u64) {
        self.bytes(bytes);
        self.link.sinks[1].trust_contents();
    }
}

/// Measures for this many seconds of processor time, and prints what came out.
pub fn run<S: Stack>(size: usize, seconds: f64, send_buffer: Option<usize>) {
    let mut transfer = Transfer::<S>::new(size, send_buffer);
    transfer.warm_up(WARM_UP_BYTES.min(size as u64 * 20_000));

    let waited = transfer.waited;
    let (datagrams, wire) = (transfer.link.datagrams, transfer.link.wire_bytes);
    let (bytes, allocations) = (transfer.link.sinks[1].bytes, allocations::calls());
    let start = cpu_seconds();
    let mut used = 0.0;
    while used < seconds {
        transfer.bytes(SLICE_BYTES.min(size as u64 * 2_000));
        used = cpu_seconds() - start;
    }
    let bytes = (transfer.link.sinks[1].bytes - bytes) as f64;
    let datagrams = (transfer.link.datagrams - datagrams) as f64;
    println!(
        "{{\"stack\": \"{}\", \"size\": {size}, \"mb_per_s\": {:.3}, \"allocations_per_packet\": {:.4}, \
         \"bytes_per_packet\": {:.1}, \"wire_overhead\": {:.4}, \"waited_ms\": {:.1}, \"mb\": {:.1}}}",
        S::NAME,
        bytes / used / 1e6,
        (allocations::calls() - allocations) as f64 / datagrams,
        bytes / datagrams,
        (transfer.link.wire_bytes - wire) as f64 / bytes - 1.0,
        (transfer.waited - waited).as_secs_f64() * 1e3,
        bytes / 1e6,
    );
}

/// Warms up and moves this many bytes, for a tool that counts instructions from outside: two runs with different
/// amounts, and the difference is what a byte costs.
pub fn bytes<S: Stack>(size: usize, bytes: u64, send_buffer: Option<usize>) {
    let mut transfer = Transfer::<S>::new(size, send_buffer);
    transfer.warm_up(2 << 20);
    let before = transfer.link.sinks[1].bytes;
    transfer.bytes(bytes);
    println!("{{\"stack\": \"{}\", \"size\": {size}, \"bytes\": {}}}", S::NAME, transfer.link.sinks[1].bytes - before);
}
