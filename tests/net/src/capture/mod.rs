//! Captures: what went by, as a file that Wireshark reads (pcapng, draft-ietf-opsawg-pcapng), in memory.
//!
//! ```text
//!   section header │ decryption secrets │ interface, interface ... │ packet, packet, packet ...
//! ```
//!
//! Packets begin with their IP header (`LINKTYPE_RAW`), which is made up, as the one of UDP is; the checksums are right.
//! Times are those of the simulation. The secrets come first in the file, whenever they were learned: Wireshark wants them
//! before what they decrypt.

mod headers;
mod taps;

use wigwag_proto::{Instant, UdpPath};

pub(crate) use taps::Taps;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 0x0a;
/// Little-endian, which is how all is written, on every machine.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// A packet begins with the header of IPv4 or IPv6.
const LINKTYPE_RAW: u16 = 101;
/// "TLSK": the secrets are NSS key log lines.
const TLS_KEY_LOG: u32 = 0x544c_534b;
const OPTION_NAME: u16 = 2;
const OPTION_FLAGS: u16 = 2;

/// Whether a packet came in or went out, as the one who captures sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    In,
    /// It went out.
    Out,
}

/// Names an interface of a [`Capture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(u32);

/// A pcapng file in the making. A [`Network`](crate::Network) makes one of what it is told to
/// [capture](crate::Network::capture_host); it can be used alone.
///
/// ```
/// use wigwag_net::{Capture, Direction};
/// use wigwag_proto::{Instant, UdpPath};
///
/// let mut capture = Capture::default();
/// let alice = capture.add_interface("alice");
/// let path = UdpPath { local: "10.0.0.1:5000".parse()?, remote: "10.0.0.2:6000".parse()? };
/// capture.add_packet(Instant::from_micros(1_000_000), alice, Direction::Out, path, 0, b"hello");
/// let file = capture.to_pcapng();
/// assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Capture {
    /// Bytes of packets that are kept at most; what comes then is left out. 256 MiB.
    pub limit: usize,
    interfaces: Vec<u8>,
    interface_count: u32,
    packets: Vec<u8>,
    secrets: String,
    left_out: u64,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            limit: 256 << 20,
            interfaces: Vec::new(),
            interface_count: 0,
            packets: Vec::new(),
            secrets: String::new(),
            left_out: 0,
        }
    }
}

impl Capture {
    /// One more place where packets are seen.
    pub fn add_interface(&mut self, name: &str) -> InterfaceId {
        let id = InterfaceId(self.interface_count);
        self.interface_count += 1;
        write_block(&mut self.interfaces, INTERFACE_DESCRIPTION, |block| {
            block.extend(LINKTYPE_RAW.to_le_bytes());
            block.extend([0; 2]);
            // No limit of a packet's length.
            block.extend(0_u32.to_le_bytes());
            let len = name.len().min(usize::from(u16::MAX));
            write_option(block, OPTION_NAME, name.as_bytes().get(..len).unwrap_or_default());
            write_end_of_options(block);
        });
        id
    }

    /// A datagram that went by at `at`, with the path as its sender sees it.
    pub fn add_packet(
        &mut self,
        at: Instant,
        interface: InterfaceId,
        direction: Direction,
        path: UdpPath,
        ecn: u8,
        payload: &[u8],
    ) {
        let headers = headers::write(path, ecn, payload);
        let Some(headers) = headers.filter(|_| self.packets.len() + payload.len() < self.limit) else {
            self.left_out += 1;
            return;
        };
        let len = (headers.len() + payload.len()) as u32;
        let micros = at.as_micros();
        write_block(&mut self.packets, ENHANCED_PACKET, |block| {
            for word in [interface.0, (micros >> 32) as u32, micros as u32, len, len] {
                block.extend(word.to_le_bytes());
            }
            block.extend(headers);
            block.extend(payload);
            pad(block);
            let flags: u32 = if direction == Direction::In { 1 } else { 2 };
            write_option(block, OPTION_FLAGS, &flags.to_le_bytes());
            write_end_of_options(block);
        });
    }

    /// Secrets to decrypt with, as NSS key log lines (`CLIENT_RANDOM ...`), which Wireshark takes for DTLS too.
    pub fn add_keys(&mut self, lines: &str) {
        for line in lines.lines().filter(|line| !line.is_empty()) {
            self.secrets.push_str(line);
            self.secrets.push('\n');
        }
    }

    /// Packets that found no room within the limit, or were longer than IP allows.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The whole file as it is now. Packets stand in the order in which they were added.
    pub fn to_pcapng(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity(64 + self.secrets.len() + self.interfaces.len() + self.packets.len());
        write_block(&mut file, SECTION_HEADER, |block| {
            block.extend(BYTE_ORDER_MAGIC.to_le_bytes());
            // Version 1.0.
            block.extend([1, 0, 0, 0]);
            // The section's length is not said.
            block.extend(u64::MAX.to_le_bytes());
        });
        if !self.secrets.is_empty() {
            write_block(&mut file, DECRYPTION_SECRETS, |block| {
                block.extend(TLS_KEY_LOG.to_le_bytes());
                block.extend((self.secrets.len() as u32).to_le_bytes());
                block.extend(self.secrets.as_bytes());
            });
        }
        file.extend(&self.interfaces);
        file.extend(&self.packets);
        file
    }
}

/// A block with its length before and after what `fill` writes.
fn write_block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    fill(out);
    pad(out);
    let len = (out.len() - start + 4) as u32;
    out.extend(len.to_le_bytes());
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

fn write_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out);
}

fn write_end_of_options(out: &mut Vec<u8>) {
    out.extend([0; 4]);
}

/// To a whole number of 32-bit words: every block before is one.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
