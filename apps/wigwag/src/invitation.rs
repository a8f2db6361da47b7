//! What the command prints: where the page is, for this machine and for a phone on the same network.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use qrcode::types::QrError;

/// Whatever the terminal's own colours are: not every camera reads the inverse.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const COLOURS_AS_BEFORE: &str = "\x1b[0m";

/// Where a page that is served on `listen` can be opened: the first address is for this machine, the others are on its networks,
/// the likeliest first. `local` are the machine's addresses.
pub fn addresses(listen: SocketAddr, local: &[IpAddr]) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let loopback = match listen {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let mut networks: Vec<IpAddr> =
        local.iter().copied().filter(|ip| !ip.is_loopback() && (ip.is_ipv4() || listen.is_ipv6())).collect();
    let default = default_address();
    networks.sort_by_key(|&ip| (Some(ip) != default, ip.is_ipv6()));
    [loopback].into_iter().chain(networks).map(|ip| SocketAddr::new(ip, listen.port())).collect()
}

/// The address that this machine uses to reach the world. Connecting a UDP socket sends nothing; the destination is one of
/// those for documentation (RFC 5737).
fn default_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback())
}

/// `text` as a QR code for a terminal, two rows a line.
pub fn qr_code(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?.render::<Dense1x2>().build();
    let mut lines = String::new();
    for line in code.lines() {
        let _ = writeln!(lines, "{BLACK_ON_WHITE}{line}{COLOURS_AS_BEFORE}"); // a String takes everything
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(at: &str, local: &[&str]) -> Vec<String> {
        let local: Vec<IpAddr> = local.iter().map(|ip| ip.parse().unwrap()).collect();
        addresses(at.parse().unwrap(), &local).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_is_itself_and_all_are_those_of_the_machine() {
        assert_eq!(listen("127.0.0.1:8080", &["192.0.2.7"]), ["127.0.0.1:8080"]);
        assert_eq!(
            listen("0.0.0.0:8443", &["127.0.0.1", "2001:db8::7", "192.0.2.7"]),
            ["127.0.0.1:8443", "192.0.2.7:8443"]
        );
        assert_eq!(
            listen("[::]:8443", &["::1", "2001:db8::7", "192.0.2.7"]),
            ["[::1]:8443", "192.0.2.7:8443", "[2001:db8::7]:8443"]
        );
    }

    #[test]
    fn the_code_is_a_square_with_a_quiet_zone() {
        let code = qr_code("https://192.168.100.200:8443/").unwrap();
        let rows: Vec<&str> = code
            .lines()
            .map(|line| line.strip_prefix(BLACK_ON_WHITE).unwrap().strip_suffix(COLOURS_AS_BEFORE).unwrap())
            .collect();
        let width = 29 + 2 * 4; // version 3, four modules of quiet zone on each side (ISO/IEC 18004)
        assert!(rows.iter().all(|row| row.chars().count() == width), "{code}");
        assert_eq!(rows.len(), width.div_ceil(2));
        assert!(rows[0].chars().all(|module| module == ' '), "{code}");
    }
}
