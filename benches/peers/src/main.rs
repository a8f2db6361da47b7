//! The same work, done by ours and by the peers: one process per measurement, one line of JSON out.
//!
//! ```text
//! peers list                                          the stacks
//! peers stack NAME SIZE [SECONDS [SEND_BUFFER]]       a data channel in memory
//! peers bytes NAME SIZE BYTES                         the same for exactly so many bytes, to count instructions
//! peers setup NAME ONE_WAY_MS                         when the channel opens, in virtual time
//! peers setup-work NAME [SECONDS]                     what that costs
//! peers memory NAME                                   what an idle connection keeps
//! peers cipher [SECONDS]                              the floor under all of them
//! peers forward NAME RECEIVERS [SECONDS]              what a server that forwards media pays for a packet
//! peers forwarded NAME RECEIVERS PACKETS              the same for so many packets, to count instructions
//! peers srtp NAME PROFILE [SECONDS]                   SRTP alone; NAME may be raw, PROFILE is cm, gcm128 or gcm256
//! ```

mod allocations;
mod clock;
mod forward;
mod link;
mod srtp;
mod stack;
mod stacks;
mod work;

use std::time::Duration;

use stack::Stack;

/// Work that can be given to any stack.
enum Work {
    Stack { size: usize, seconds: f64, send_buffer: Option<usize> },
    Bytes { size: usize, bytes: u64 },
    Latency { one_way: Duration },
    Cost { seconds: f64 },
    Memory,
}

impl Work {
    fn run<S: Stack>(self) {
        match self {
            Work::Stack { size, seconds, send_buffer } => work::stack::run::<S>(size, seconds, send_buffer),
            Work::Bytes { size, bytes } => work::stack::bytes::<S>(size, bytes, None),
            Work::Latency { one_way } => work::setup::latency::<S>(one_way),
            Work::Cost { seconds } => work::setup::work::<S>(seconds),
            Work::Memory => work::memory::run::<S>(),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |n: usize| arguments.get(n).map(String::as_str).unwrap_or_default();
    let number = |n: usize| -> f64 { text(n).parse().unwrap_or_else(|_| usage()) };
    let seconds = |n: usize| if text(n).is_empty() { 1.0 } else { number(n) };
    let work = match text(0) {
        "list" => return stacks::NAMES.iter().for_each(|name| println!("{name}")),
        "cipher" => return work::cipher::run(seconds(1)),
        "forward" => return forward(text(1), Forward::Seconds(seconds(3)), number(2) as usize),
        "forwarded" => return forward(text(1), Forward::Packets(number(3) as u64), number(2) as usize),
        "srtp" => return srtp(text(1), text(2), seconds(3)),
        "stack" => Work::Stack {
            size: number(2) as usize,
            seconds: seconds(3),
            send_buffer: (!text(4).is_empty()).then(|| number(4) as usize),
        },
        "bytes" => Work::Bytes { size: number(2) as usize, bytes: number(3) as u64 },
        "setup" => Work::Latency { one_way: Duration::from_millis(number(2) as u64) },
        "setup-work" => Work::Cost { seconds: seconds(2) },
        "memory" => Work::Memory,
        _ => usage(),
    };
    match text(1) {
        "str0m" => work.run::<stacks::str0m::Str0m>(),
        "rtc" => work.run::<stacks::rtc::Rtc>(),
        #[cfg(feature = "ours")]
        "wigwag" => work.run::<stacks::wigwag::Wigwag>(),
        _ => usage(),
    }
}

/// How much is forwarded.
enum Forward {
    Seconds(f64),
    Packets(u64),
}

impl Forward {
    fn run<C: forward::Connection>(self, receivers: usize) {
        match self {
            Self::Seconds(seconds) => work::forward::run::<C>(receivers, seconds),
            Self::Packets(packets) => work::forward::packets::<C>(receivers, packets),
        }
    }
}

fn forward(name: &str, amount: Forward, receivers: usize) {
    match name {
        "str0m" => amount.run::<forward::str0m::Str0m>(receivers),
        "rtc" => amount.run::<forward::rtc::Rtc>(receivers),
        #[cfg(feature = "ours")]
        "wigwag" => amount.run::<forward::wigwag::Wigwag>(receivers),
        _ => usage(),
    }
}

fn srtp(name: &str, profile: &str, seconds: f64) {
    let profile = match profile {
        "cm" => srtp::Profile::Sha1,
        "gcm128" => srtp::Profile::Gcm128,
        "gcm256" => srtp::Profile::Gcm256,
        _ => usage(),
    };
    match name {
        "raw" => work::srtp::run::<srtp::raw::Raw>(profile, seconds),
        "str0m" => work::srtp::run::<srtp::str0m::Str0m>(profile, seconds),
        "rtc" => work::srtp::run::<srtp::rtc::Rtc>(profile, seconds),
        #[cfg(feature = "ours")]
        "wigwag" => work::srtp::run::<srtp::wigwag::Wigwag>(profile, seconds),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("see the head of src/main.rs for what can be asked");
    std::process::exit(2)
}
