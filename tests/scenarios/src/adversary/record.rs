//! Records and handshake messages of DTLS in the clear, taken apart and made. RFC 6347 sections 4.1 and 4.2.2.

const HEADER: usize = 13;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;

/// A part of a datagram: a record in the clear, or the rest that nobody can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Clear { kind: u8, sequence: u64, content: Vec<u8> },
    Rest(Vec<u8>),
}

/// The parts of a datagram of DTLS.
pub fn parts(datagram: &[u8]) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), datagram);
    while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let is_clear = matches!(header[0], 20..=23) && header[3..5] == [0, 0];
        let (true, Some(content)) = (is_clear, after.get(..len)) else { break };
        let sequence = u64::from_be_bytes(header[3..11].try_into().unwrap());
        parts.push(Part::Clear { kind: header[0], sequence, content: content.to_vec() });
        rest = &after[len..];
    }
    if !rest.is_empty() {
        parts.push(Part::Rest(rest.to_vec()));
    }
    parts
}

/// A record in the clear; the epoch is in the upper 16 bits of `sequence`.
pub fn record(kind: u8, sequence: u64, content: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 254, 253];
    record.extend_from_slice(&sequence.to_be_bytes());
    record.extend_from_slice(&(content.len() as u16).to_be_bytes());
    [&record, content].concat()
}

/// A fragment of a handshake message.
pub fn fragment(kind: u8, len: usize, message: u16, offset: usize, part: &[u8]) -> Vec<u8> {
    let u24 = |number: usize| [(number >> 16) as u8, (number >> 8) as u8, number as u8];
    [&[kind][..], &u24(len), &message.to_be_bytes(), &u24(offset), &u24(part.len()), part].concat()
}

/// The fragments in the content of a record: type, length of the message, its number, offset, bytes.
pub fn fragments(content: &[u8]) -> Vec<(u8, usize, u16, usize, Vec<u8>)> {
    let (mut all, mut rest) = (Vec::new(), content);
    while let Some((h, after)) = rest.split_first_chunk::<12>() {
        let u24 = |at: usize| (usize::from(h[at]) << 16) | (usize::from(h[at + 1]) << 8) | usize::from(h[at + 2]);
        let Some(part) = after.get(..u24(9)) else { break };
        all.push((h[0], u24(1), u16::from_be_bytes([h[4], h[5]]), u24(6), part.to_vec()));
        rest = &after[part.len()..];
    }
    all
}

/// Whether a datagram is of DTLS. RFC 7983.
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}
