//! How many datagrams per second of real time the simulated network carries: `cargo run --release -p wigwag-net --example speed`.

use std::time::{Duration, Instant as Clock};

use wigwag_net::{CoDel, Discipline, DualPi2, Link, Network};
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

const COUNT: u64 = 200_000;
/// The best counts: other programs run too.
const ROUNDS: usize = 15;
/// Between two datagrams: about 160 Mbit/s of 1200 bytes each.
const EVERY: Duration = Duration::from_micros(60);

/// Sends, and takes out what has arrived meanwhile, as a simulation does.
fn carry(network: &mut Network, path: UdpPath) -> f64 {
    let bytes = [0; 1200];
    let transmit = Transmit { route: Route::Udp(path), len: bytes.len(), segment_size: bytes.len(), ecn: 1, dscp: 0 };
    let begin = Clock::now();
    let mut now = Instant::from_micros(0);
    for _ in 0..COUNT {
        while let Some(arrival) = network.next_arrival().filter(|arrival| *arrival <= now) {
            while network.deliver(arrival).is_some() {}
        }
        network.send(now, &transmit, &bytes);
        now += EVERY;
    }
    COUNT as f64 / begin.elapsed().as_secs_f64() / 1e6
}

fn main() -> Result<(), std::net::AddrParseError> {
    let path = UdpPath { local: "10.0.0.1:5000".parse()?, remote: "10.0.0.2:5000".parse()? };
    let plain = Link::default();
    let links = [
        ("plain", plain),
        ("loss and jitter", Link { loss: 0.02, jitter: Duration::from_millis(5), ..plain }),
        ("rate", Link { rate: Some(100_000_000), ..plain }),
        ("rate, CoDel", Link { rate: Some(100_000_000), discipline: Discipline::CoDel(CoDel::default()), ..plain }),
        (
            "rate, DualPI2",
            Link { rate: Some(100_000_000), discipline: Discipline::DualPi2(DualPi2::default()), ..plain },
        ),
    ];
    for (name, link) in links {
        let rounds = (0..ROUNDS).map(|_| {
            let mut network = Network::new(1);
            let (one, other) = (network.add_host([path.local.ip()]), network.add_host([path.remote.ip()]));
            network.set_link(one, other, link);
            carry(&mut network, path)
        });
        println!("{name:<20} {:>6.2} M datagrams/s", rounds.fold(0.0, f64::max));
    }
    Ok(())
}
