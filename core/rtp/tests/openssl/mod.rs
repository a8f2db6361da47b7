//! SRTP decrypted a second time, by nothing of ours: AES and HMAC are the command `openssl`'s, all else is written here
//! straight from the RFCs, without a look at `src/srtp`.
//!
//! Everything that the packets of a recording need of AES is gathered first, so that OpenSSL starts a few times for each
//! recording and not for each packet.

mod command;
mod ghash;
mod recording;

use std::collections::{HashMap, HashSet};

use ghash::ghash;
pub use recording::{Kind, Recording};

/// What a profile of DTLS's `use_srtp` means. RFC 5764 section 4.1.2, RFC 7714 section 14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    pub key: usize,
    pub salt: usize,
    pub tag: usize,
    pub is_gcm: bool,
}

impl Lengths {
    pub fn of(profile: u16) -> Self {
        match profile {
            1 => Self { key: 16, salt: 14, tag: 10, is_gcm: false },
            7 => Self { key: 16, salt: 12, tag: 16, is_gcm: true },
            8 => Self { key: 32, salt: 12, tag: 16, is_gcm: true },
            _ => panic!("no such profile: {profile}"),
        }
    }
}

/// Session keys for RTP, or for RTCP.
pub struct Session {
    pub encryption: Vec<u8>,
    pub authentication: Vec<u8>,
    pub salt: Vec<u8>,
}

/// RFC 3711 section 4.3.1, with a key derivation rate of zero; `first_label` is 0 for RTP and 3 for RTCP.
pub fn derive(recording: &Recording, first_label: u8) -> Session {
    let lengths = Lengths::of(recording.profile);
    assert_eq!((recording.key.len(), recording.salt.len()), (lengths.key, lengths.salt));
    let derive = |label: u8, len: usize| {
        // 112 bits of salt, 48 bits of index at their end, the label before those.
        let mut x = [0; 16];
        x[..lengths.salt].copy_from_slice(&recording.salt);
        x[7] ^= label;
        let mut bytes = command::aes(&recording.key, &[counted(x, 0), counted(x, 1), counted(x, 2)].concat());
        bytes.truncate(len);
        bytes
    };
    Session {
        encryption: derive(first_label, lengths.key),
        authentication: derive(first_label + 1, 20),
        salt: derive(first_label + 2, lengths.salt),
    }
}

/// A counter block: `first`, and `count` more.
fn counted(first: [u8; 16], count: usize) -> [u8; 16] {
    u128::from_be_bytes(first).wrapping_add(count as u128).to_be_bytes()
}

/// A packet, taken apart.
struct Parts {
    kind: Kind,
    ssrc: u32,
    index: u64,
    /// What stays in the clear.
    header: Vec<u8>,
    body: Vec<u8>,
    tag: Vec<u8>,
    /// The E bit and the index of SRTCP; with RTP, the rollover counter that AES-CM authenticates.
    word: [u8; 4],
    encrypted: bool,
}

/// Each packet as it was before it was protected; `None` if it is not authentic, or the second with its index.
///
/// There is no window here: old packets are decrypted as well.
pub fn decrypt(recording: &Recording) -> Vec<Option<Vec<u8>>> {
    let lengths = Lengths::of(recording.profile);
    let mut newest = HashMap::new();
    let mut take = |(kind, packet): &(Kind, Vec<u8>)| take_apart(*kind, packet, lengths, &mut newest);
    let parts: Vec<Option<Parts>> = recording.packets.iter().map(&mut take).collect();
    let mut opened: Vec<Option<Vec<u8>>> = vec![None; parts.len()];
    for (kind, first_label) in [(Kind::Rtp, 0), (Kind::Rtcp, 3)] {
        let of_kind = |it: &Option<Parts>| it.as_ref().is_some_and(|parts| parts.kind == kind);
        let places: Vec<usize> = (0..parts.len()).filter(|at| of_kind(&parts[*at])).collect();
        let of_kind: Vec<&Parts> = places.iter().filter_map(|at| parts[*at].as_ref()).collect();
        if of_kind.is_empty() {
            continue;
        }
        let session = derive(recording, first_label);
        let decrypted = if lengths.is_gcm { gcm(&session, &of_kind) } else { counter_mode(&session, &of_kind) };
        places.into_iter().zip(decrypted).for_each(|(at, packet)| opened[at] = packet);
    }
    let mut seen = HashSet::new();
    let once = |(parts, packet): (Option<Parts>, Option<Vec<u8>>)| {
        let (parts, packet) = (parts?, packet?);
        seen.insert((parts.kind == Kind::Rtp, parts.ssrc, parts.index)).then_some(packet)
    };
    parts.into_iter().zip(opened).map(once).collect()
}

/// `None` if it is too short for what it says of itself.
fn take_apart(kind: Kind, packet: &[u8], lengths: Lengths, newest: &mut HashMap<u32, u64>) -> Option<Parts> {
    let be16 = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let be32 = |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
    let split = |header: usize, end: usize| (packet[..header].to_vec(), packet[header..end].to_vec());
    match kind {
        Kind::Rtp => {
            // RFC 3550 section 5.1: the fixed header, contributing sources, and an extension of so many words.
            let mut header = 12 + 4 * usize::from(packet[0] & 0x0F);
            if packet[0] & 0x10 != 0 {
                header += 4 + 4 * usize::from(be16(header + 2));
            }
            let (ssrc, number) = (be32(8), u64::from(be16(2)));
            // The nearest to the newest: RFC 3711 section 3.3.1 says the same in other words.
            let before = *newest.get(&ssrc).unwrap_or(&number);
            let turns = before >> 16;
            let candidates = [turns.checked_sub(1), Some(turns), Some(turns + 1)];
            let candidates = candidates.into_iter().flatten().map(|turns| turns << 16 | number);
            let index = candidates.min_by_key(|index| index.abs_diff(before)).unwrap();
            newest.insert(ssrc, before.max(index));

            let end = packet.len().checked_sub(lengths.tag).filter(|end| header <= *end)?;
            let (header, body) = split(header, end);
            let word = ((index >> 16) as u32).to_be_bytes();
            Some(Parts { kind, ssrc, index, header, body, tag: packet[end..].to_vec(), word, encrypted: true })
        }
        Kind::Rtcp => {
            // AES-CM: ..., E and index, tag. AES-GCM: ..., tag, E and index.
            let end = packet.len().checked_sub(lengths.tag + 4).filter(|end| *end >= 8)?;
            let (word_at, tag_at) = if lengths.is_gcm { (end + lengths.tag, end) } else { (end, end + 4) };
            let (header, body) = split(8, end);
            let (ssrc, word, tag) = (be32(4), be32(word_at), packet[tag_at..tag_at + lengths.tag].to_vec());
            let (index, encrypted) = (u64::from(word & 0x7FFF_FFFF), word >> 31 == 1);
            Some(Parts { kind, ssrc, index, header, body, tag, word: word.to_be_bytes(), encrypted })
        }
    }
}

/// RFC 3711 sections 4.1.1 and 4.2.
fn counter_mode(session: &Session, packets: &[&Parts]) -> Vec<Option<Vec<u8>>> {
    let iv = |parts: &Parts| {
        let mut salt = [0; 16];
        salt[..14].copy_from_slice(&session.salt);
        (u128::from_be_bytes(salt) ^ (u128::from(parts.ssrc) << 64) ^ (u128::from(parts.index) << 16)).to_be_bytes()
    };
    let streams = key_streams(&session.encryption, packets, iv);
    let authenticated: Vec<Vec<u8>> =
        packets.iter().map(|it| [&it.header[..], &it.body[..], &it.word[..]].concat()).collect();
    let macs = command::hmac_sha1(&session.authentication, &authenticated);
    let open = |((parts, stream), mac): ((&&Parts, Vec<u8>), Vec<u8>)| {
        (mac[..10] == parts.tag).then(|| [&parts.header[..], &opened(parts, &stream)].concat())
    };
    packets.iter().zip(streams).zip(macs).map(open).collect()
}

/// RFC 7714 sections 8 and 9; NIST SP 800-38D section 7.2 with a nonce of 96 bits.
fn gcm(session: &Session, packets: &[&Parts]) -> Vec<Option<Vec<u8>>> {
    let nonce = |parts: &Parts| {
        let mut nonce = [0; 16];
        nonce[2..6].copy_from_slice(&parts.ssrc.to_be_bytes());
        nonce[6..12].copy_from_slice(&parts.index.to_be_bytes()[2..]);
        nonce.iter_mut().zip(&session.salt).for_each(|(byte, salt)| *byte ^= salt);
        nonce[15] = 1;
        nonce
    };
    let hash_key = command::aes(&session.encryption, &[0; 16]).try_into().unwrap();
    // The first block hides the tag, the others the text.
    let mut streams = key_streams(&session.encryption, packets, nonce);
    let open = |(parts, stream): (&&Parts, &mut Vec<u8>)| {
        let mask: Vec<u8> = stream.drain(..16).collect();
        let (header, body, word) = (&parts.header[..], &parts.body[..], &parts.word[..]);
        let tag = match (parts.kind, parts.encrypted) {
            (Kind::Rtp, _) => ghash(hash_key, header, body),
            (Kind::Rtcp, true) => ghash(hash_key, &[header, word].concat(), body),
            (Kind::Rtcp, false) => ghash(hash_key, &[header, body, word].concat(), &[]),
        };
        let is_authentic = tag.iter().zip(&mask).map(|(tag, mask)| tag ^ mask).eq(parts.tag.iter().copied());
        is_authentic.then(|| [header, &opened(parts, stream)].concat())
    };
    packets.iter().zip(&mut streams).map(open).collect()
}

/// Of each packet, AES of as many counter blocks as its body is long, and one more.
fn key_streams(key: &[u8], packets: &[&Parts], first: impl Fn(&Parts) -> [u8; 16]) -> Vec<Vec<u8>> {
    let counts: Vec<usize> = packets.iter().map(|parts| parts.body.len().div_ceil(16) + 1).collect();
    let blocks = packets.iter().zip(&counts).flat_map(|(parts, count)| {
        let first = first(parts);
        (0..*count).flat_map(move |at| counted(first, at))
    });
    let all = command::aes(key, &blocks.collect::<Vec<u8>>());
    let mut rest = &all[..];
    let mut streams = Vec::new();
    for count in counts {
        let (stream, after) = rest.split_at(16 * count);
        streams.push(stream.to_vec());
        rest = after;
    }
    streams
}

fn opened(parts: &Parts, stream: &[u8]) -> Vec<u8> {
    let xor = |(byte, key): (&u8, &u8)| if parts.encrypted { byte ^ key } else { *byte };
    parts.body.iter().zip(stream).map(xor).collect()
}

#[test]
fn sessions_of_rfc_3711_and_rfc_6188() {
    let hex = recording::hex;
    let recording = Recording {
        profile: 1,
        key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
        packets: Vec::new(),
    };
    let session = derive(&recording, 0);
    assert_eq!(session.encryption, hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(session.salt, hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(session.authentication, hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/// RFC 7714 sections 16.1.2, 16.2.2, 17.1 and 17.3, whose keys are session keys.
#[test]
fn packets_of_rfc_7714() {
    let hex = recording::hex;
    let salt = "517569642070726f2071756f";
    let keys = ["000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"];
    let rtp = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
    let rtcp =
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    for (kind, key, sealed, expected) in [
        (
            Kind::Rtp,
            keys[0],
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            rtp,
        ),
        (
            Kind::Rtp,
            keys[1],
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            rtp,
        ),
        (
            Kind::Rtcp,
            keys[0],
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
            rtcp,
        ),
        (Kind::Rtcp, keys[0], &format!("{rtcp}841dd9683dd78ec92ae58790125f62b3000005d4"), rtcp),
    ] {
        let lengths = Lengths { key: hex(key).len(), ..Lengths::of(7) };
        let session = Session { encryption: hex(key), authentication: Vec::new(), salt: hex(salt) };
        let sealed = hex(sealed);
        let open = |packet: &[u8]| {
            gcm(&session, &[&take_apart(kind, packet, lengths, &mut HashMap::new()).unwrap()]).remove(0)
        };
        assert_eq!(open(&sealed), Some(hex(expected)));
        for at in [1, 13, sealed.len() - 21, sealed.len() - 1] {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(open(&bad), None, "byte {at}");
        }
    }
}
