//! Captures, read back by code that knows only the specification.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wigwag_net::{Capture, Direction, Link, Machine, Nat, Network, Realm, Simulation};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath};

#[derive(Debug, PartialEq)]
enum Block {
    Section,
    Secrets(String),
    Interface(String),
    Packet(Seen),
}

#[derive(Debug, PartialEq)]
struct Seen {
    interface: u32,
    at: u64,
    /// In is 1, out is 2.
    flags: u32,
    from: SocketAddr,
    to: SocketAddr,
    ecn: u8,
    payload: Vec<u8>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The value of an option; they must end as they ought to.
fn option(mut bytes: &[u8], code: u16) -> Vec<u8> {
    let mut value = None;
    loop {
        let (found, len) = (u16_at(bytes, 0), usize::from(u16_at(bytes, 2)));
        if found == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "the end of options is the end of the block");
            return value.unwrap();
        }
        if found == code {
            value = Some(bytes[4..4 + len].to_vec());
        }
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
}

/// The one's complement sum of the words, which is 0xffff with a right checksum in it. RFC 1071.
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

fn packet(body: &[u8]) -> Seen {
    let at = u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8));
    let len = u32_at(body, 12) as usize;
    assert_eq!(len, u32_at(body, 16) as usize);
    let data = &body[20..20 + len];
    let flags = option(&body[20 + len.next_multiple_of(4)..], 2);
    let (from, to, ecn, udp): (IpAddr, IpAddr, u8, &[u8]) = if data[0] == 0x45 {
        assert_eq!(usize::from(u16::from_be_bytes([data[2], data[3]])), len);
        assert_eq!((data[9], checksum(&[&data[..20]])), (17, 0xffff));
        let address = |at: usize| <[u8; 4]>::try_from(&data[at..at + 4]).unwrap().into();
        (address(12), address(16), data[1] & 3, &data[20..])
    } else {
        assert_eq!(data[0], 0x60);
        assert_eq!(usize::from(u16::from_be_bytes([data[4], data[5]])) + 40, len);
        assert_eq!(data[6], 17);
        let address = |at: usize| <[u8; 16]>::try_from(&data[at..at + 16]).unwrap().into();
        (address(8), address(24), data[1] >> 4 & 3, &data[40..])
    };
    let addresses = if data[0] == 0x45 { &data[12..20] } else { &data[8..40] };
    assert_eq!(usize::from(u16::from_be_bytes([udp[4], udp[5]])), udp.len());
    assert_eq!(checksum(&[addresses, &[0, 17], &udp[4..6], udp]), 0xffff);
    let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    Seen {
        interface: u32_at(body, 0),
        at,
        flags: u32_at(&flags, 0),
        from: SocketAddr::new(from, port(0)),
        to: SocketAddr::new(to, port(2)),
        ecn,
        payload: udp[8..].to_vec(),
    }
}

fn parse(mut file: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    while !file.is_empty() {
        let len = u32_at(file, 4) as usize;
        assert_eq!((len % 4, u32_at(file, len - 4) as usize), (0, len));
        let body = &file[8..len - 4];
        blocks.push(match u32_at(file, 0) {
            0x0a0d_0d0a => {
                assert_eq!((u32_at(body, 0), u16_at(body, 4), u16_at(body, 6)), (0x1a2b_3c4d, 1, 0));
                assert_eq!(body[8..], [0xff; 8]);
                Block::Section
            }
            0x0a => {
                assert_eq!(u32_at(body, 0), 0x544c_534b);
                let len = u32_at(body, 4) as usize;
                assert_eq!(body.len(), 8 + len.next_multiple_of(4));
                Block::Secrets(String::from_utf8(body[8..8 + len].to_vec()).unwrap())
            }
            1 => {
                assert_eq!((u16_at(body, 0), u32_at(body, 4)), (101, 0));
                Block::Interface(String::from_utf8(option(&body[8..], 2)).unwrap())
            }
            6 => Block::Packet(packet(body)),
            kind => panic!("an unknown block: {kind:x}"),
        });
        file = &file[len..];
    }
    blocks
}

fn seen(interface: u32, at: u64, flags: u32, [from, to]: [&str; 2], ecn: u8, payload: &[u8]) -> Block {
    let [from, to] = [from, to].map(|end| end.parse().unwrap());
    Block::Packet(Seen { interface, at, flags, from, to, ecn, payload: payload.to_vec() })
}

#[test]
fn blocks_are_as_specified() {
    let mut capture = Capture::default();
    let v4 = UdpPath { local: "10.0.0.1:5000".parse().unwrap(), remote: "10.0.0.2:6000".parse().unwrap() };
    let v6 = UdpPath { local: "[2001:db8::1]:1".parse().unwrap(), remote: "[2001:db8::2]:2".parse().unwrap() };
    let (one, other) = (capture.add_interface("one"), capture.add_interface("another"));
    let late = Instant::from_micros(0x12_3456_789a);
    let mut expected = vec![Block::Section, Block::Secrets("CLIENT_RANDOM aa bb\nCLIENT_RANDOM cc dd\n".to_owned())];
    expected.extend(["one", "another"].map(|name| Block::Interface(name.to_owned())));
    for len in 0..9_u8 {
        let payload: Vec<u8> = (0..len).map(|n| n.wrapping_mul(77)).collect();
        capture.add_packet(Instant::from_micros(5), one, Direction::Out, v4, 1, &payload);
        capture.add_packet(late, other, Direction::In, v6, 2, &payload);
        expected.push(seen(0, 5, 2, ["10.0.0.1:5000", "10.0.0.2:6000"], 1, &payload));
        expected.push(seen(1, 0x12_3456_789a, 1, ["[2001:db8::1]:1", "[2001:db8::2]:2"], 2, &payload));
    }
    capture.add_keys("CLIENT_RANDOM aa bb");
    capture.add_keys("CLIENT_RANDOM cc dd\n");
    assert_eq!(parse(&capture.to_pcapng()), expected);
}

/// A checksum of zero would mean that there is none.
#[test]
fn every_checksum_is_right() {
    let path = UdpPath { local: "10.0.0.1:5000".parse().unwrap(), remote: "10.0.0.2:6000".parse().unwrap() };
    let mut capture = Capture::default();
    let interface = capture.add_interface("all");
    (0..=u16::MAX)
        .for_each(|n| capture.add_packet(Instant::NEVER, interface, Direction::In, path, 0, &n.to_be_bytes()));
    let file = capture.to_pcapng();
    let packets = parse(&file).into_iter().filter(|block| matches!(block, Block::Packet(_))).count();
    assert_eq!(packets, 65_536);
    // The checksum of UDP is at 26 of the packet, and that at 28 of the block.
    let blocks = file[file.len() - 65_536 * 76..].chunks(76);
    assert!(blocks.clone().all(|block| u32_at(block, 0) == 6 && block[28 + 26..28 + 28] != [0, 0]));
}

#[test]
fn what_is_too_much_is_left_out() {
    let path = UdpPath { local: "10.0.0.1:5000".parse().unwrap(), remote: "10.0.0.2:6000".parse().unwrap() };
    let mut capture = Capture::default();
    capture.limit = 3000;
    let interface = capture.add_interface("small");
    let mut add = |len| capture.add_packet(Instant::NEVER, interface, Direction::In, path, 0, &vec![0; len]);
    add(65_508);
    (0..10).for_each(|_| add(1000));
    assert_eq!(capture.left_out(), 9);
    assert_eq!(parse(&capture.to_pcapng()).len(), 4);
}

#[test]
fn a_network_captures_hosts_and_links() {
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    let mut network = Network::new(1);
    assert!(network.capture().is_none());
    let home = network.add_nat(Realm::INTERNET, Nat::default(), [ip("198.51.100.1")]);
    let alice = network.add_host_in(home, [ip("10.0.0.2")]);
    let bob = network.add_host([ip("203.0.113.2")]);
    network.capture_host(alice, "alice");
    network.capture_host(bob, "bob");
    network.capture_access_link(home, "home");
    network.capture_link(ip("198.51.100.1"), ip("203.0.113.2"), "internet");
    network.set_one_way(ip("198.51.100.1"), ip("203.0.113.2"), Link { marking: 1.0, ..Link::default() });
    let (inside, outside, there) = ("10.0.0.2:5000", "198.51.100.1:5000", "203.0.113.2:6000");
    let send = |network: &mut Network, host, from: &str, to: &str, bytes: &[u8]| {
        let path = UdpPath { local: from.parse().unwrap(), remote: to.parse().unwrap() };
        let transmit = Transmit { route: Route::Udp(path), len: 1, segment_size: 1, ecn: 2, dscp: 0 };
        network.send_from(host, network.next_arrival().unwrap_or_default(), &transmit, bytes);
    };
    send(&mut network, alice, inside, there, b"a");
    assert!(network.deliver(Instant::NEVER).is_some());
    send(&mut network, bob, there, outside, b"b");
    assert!(network.deliver(Instant::NEVER).is_some());
    // It is lost on the link, but came to it.
    network.set_one_way(ip("198.51.100.1"), ip("203.0.113.2"), Link { loss: 1.0, ..Link::default() });
    send(&mut network, alice, inside, there, b"c");
    assert!(network.deliver(Instant::NEVER).is_none());

    let names = ["alice", "bob", "home up", "home down", "internet"].map(|name| Block::Interface(name.to_owned()));
    let expected = [
        seen(0, 0, 2, [inside, there], 2, b"a"),
        seen(2, 0, 2, [inside, there], 2, b"a"),
        seen(4, 1_000, 2, [outside, there], 2, b"a"),
        seen(1, 11_000, 1, [outside, there], 3, b"a"),
        seen(1, 0, 2, [there, outside], 2, b"b"),
        seen(3, 10_000, 2, [there, inside], 2, b"b"),
        seen(0, 11_000, 1, [there, inside], 2, b"b"),
        seen(0, 0, 2, [inside, there], 2, b"c"),
        seen(2, 0, 2, [inside, there], 2, b"c"),
        seen(4, 1_000, 2, [outside, there], 2, b"c"),
    ];
    let expected: Vec<_> = [Block::Section].into_iter().chain(names).chain(expected).collect();
    assert_eq!(parse(&network.capture().unwrap().to_pcapng()), expected);
}

/// Has agreed on a secret from the start.
struct Secretive {
    lines: Option<String>,
}

impl Machine for Secretive {
    fn handle_input(&mut self, _now: Instant, _input: Input<'_>) {}
    fn handle_timeout(&mut self, _now: Instant) {}
    fn poll_transmit(&mut self, _now: Instant, _out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        None
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn key_log(&mut self) -> Option<String> {
        self.lines.take()
    }
}

#[test]
fn a_simulation_asks_machines_for_keys() {
    let mut simulation = Simulation::new(1);
    let lines = Some("CLIENT_RANDOM 1 2".to_owned());
    let host = simulation.add(["10.0.0.1".parse().unwrap()], Secretive { lines });
    simulation.network.capture_host(host, "host");
    simulation.run_for(Duration::from_secs(1)).unwrap();
    let blocks = parse(&simulation.network.capture().unwrap().to_pcapng());
    assert_eq!(blocks[1], Block::Secrets("CLIENT_RANDOM 1 2\n".to_owned()));
}
