//! What one end sent, and the keys that it used.
//!
//! ```text
//! # a comment
//! profile 7                     the number in DTLS's use_srtp
//! key 000102...                 the sender's master key
//! salt a0a1...                  and master salt
//! rtp 80...                     packets in the order of their arrival, each on a line
//! rtcp 81...
//! ```

use std::fmt;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rtp,
    Rtcp,
}

/// One direction of a connection, from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub profile: u16,
    pub key: Vec<u8>,
    pub salt: Vec<u8>,
    pub packets: Vec<(Kind, Vec<u8>)>,
}

impl Recording {
    pub fn parse(text: &str) -> Self {
        let mut recording = Self { profile: 0, key: Vec::new(), salt: Vec::new(), packets: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once(' ').unwrap() {
                ("profile", value) => recording.profile = value.parse().unwrap(),
                ("key", value) => recording.key = hex(value),
                ("salt", value) => recording.salt = hex(value),
                ("rtp", value) => recording.packets.push((Kind::Rtp, hex(value))),
                ("rtcp", value) => recording.packets.push((Kind::Rtcp, hex(value))),
                _ => panic!("no such line: {line}"),
            }
        }
        recording
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to_hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        writeln!(f, "profile {}\nkey {}\nsalt {}", self.profile, to_hex(&self.key), to_hex(&self.salt))?;
        for (kind, packet) in &self.packets {
            let name = if *kind == Kind::Rtp { "rtp" } else { "rtcp" };
            writeln!(f, "{name} {}", to_hex(packet))?;
        }
        Ok(())
    }
}

pub fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
