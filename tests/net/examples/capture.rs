//! A capture of a simulated network, as a file for Wireshark: `cargo run -p wigwag-net --example capture -- /tmp/simulated.pcapng`.

use std::time::Duration;

use wigwag_net::{Link, Nat, Network, Realm};
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("the name of a file is missing")?;
    let mut network = Network::new(1);
    network.set_default_link(Link { loss: 0.2, jitter: Duration::from_millis(20), marking: 0.3, ..Link::default() });
    let home = network.add_nat(Realm::INTERNET, Nat::default(), ["198.51.100.1".parse()?]);
    let alice = network.add_host_in(home, ["192.168.1.2".parse()?]);
    let bob = network.add_host(["203.0.113.2".parse()?, "2001:db8::2".parse()?]);
    let eve = network.add_host(["2001:db8::666".parse()?]);
    network.capture_host(alice, "alice");
    network.capture_host(bob, "bob");
    network.capture_access_link(home, "home");

    let path = UdpPath { local: "192.168.1.2:5000".parse()?, remote: "203.0.113.2:6000".parse()? };
    let other = UdpPath { local: "[2001:db8::666]:7000".parse()?, remote: "[2001:db8::2]:6000".parse()? };
    let transmit = |path| Transmit { route: Route::Udp(path), len: 6, segment_size: 6, ecn: 1, dscp: 0 };
    for n in 0..10 {
        let now = Instant::from_micros(n * 10_000);
        while network.deliver(now).is_some() {}
        network.send_from(alice, now, &transmit(path), b"wigwag");
        network.send_from(eve, now, &transmit(other), b"wagwig");
    }
    while network.deliver(Instant::NEVER).is_some() {}
    let capture = network.capture_mut().ok_or("nothing was captured")?;
    capture.add_keys(&format!("CLIENT_RANDOM {} {}", "11".repeat(32), "22".repeat(48)));
    std::fs::write(file, capture.to_pcapng())?;
    Ok(())
}
