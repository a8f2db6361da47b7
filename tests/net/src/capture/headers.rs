//! The headers of IP and UDP that a datagram of the simulation would have.

use std::net::{IpAddr, Ipv6Addr};

use wigwag_proto::UdpPath;

const UDP: u8 = 17;
/// Hops that are left: as many as most systems give.
const TTL: u8 = 64;
const UDP_HEADER: usize = 8;

/// IP and UDP header; `None` if the payload is too long for them.
pub(super) fn write(path: UdpPath, ecn: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_len = u16::try_from(payload.len() + UDP_HEADER).ok()?;
    let ip = match (path.local.ip(), path.remote.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from.octets(), to.octets(), ecn, udp_len)?,
        (from, to) => ipv6(mapped(from), mapped(to), ecn, udp_len),
    };
    let mut udp = Vec::with_capacity(UDP_HEADER);
    for word in [path.local.port(), path.remote.port(), udp_len, 0] {
        udp.extend(word.to_be_bytes());
    }
    let addresses = addresses(&ip);
    let pseudo_header = [&[0, UDP][..], &udp_len.to_be_bytes()].concat();
    // All parts but the last are even, so their sums add up. RFC 768: zero would mean that there is none.
    let parts = [addresses, &pseudo_header, &udp, payload];
    let sum = match !fold(parts.iter().map(|part| sum(part)).sum()) {
        0 => u16::MAX,
        sum => sum,
    };
    if let Some(place) = udp.get_mut(6..8) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    Some([ip, udp].concat())
}

/// RFC 791 section 3.1, with "don't fragment" as WebRTC wants it.
fn ipv4(from: [u8; 4], to: [u8; 4], ecn: u8, udp_len: u16) -> Option<Vec<u8>> {
    let len = udp_len.checked_add(20)?.to_be_bytes();
    let first = [0x45, ecn & 3, len[0], len[1], 0, 0, 0x40, 0, TTL, UDP, 0, 0];
    let mut header = [&first[..], &from, &to].concat();
    let checksum = !fold(sum(&header));
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
    Some(header)
}

/// RFC 8200 section 3.
fn ipv6(from: Ipv6Addr, to: Ipv6Addr, ecn: u8, udp_len: u16) -> Vec<u8> {
    let len = udp_len.to_be_bytes();
    let first = [0x60, (ecn & 3) << 4, 0, 0, len[0], len[1], UDP, TTL];
    [&first[..], &from.octets(), &to.octets()].concat()
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Both addresses, which end either header.
fn addresses(header: &[u8]) -> &[u8] {
    let start = if header.len() == 20 { 12 } else { 8 };
    header.get(start..).unwrap_or_default()
}

/// The sum of the 16-bit words. RFC 1071.
fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    };
    bytes.chunks(2).map(word).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
