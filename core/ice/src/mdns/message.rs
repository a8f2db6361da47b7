//! Messages of multicast DNS (RFC 6762), as far as names of candidates need them: questions for addresses, and addresses.
//!
//! ```text
//!  0                               16
//! +-------------------------------+-------------------------------+
//! | id: 0, or a legacy querier's  |Q|  opcode: 0  |A| ... | rcode |   Q: a response
//! +-------------------------------+-------------------------------+
//! |   questions   |    answers    |   authority   |  additional   |   16 bits each
//! +-------------------------------+-------------------------------+
//! | questions: name, type, class (its first bit: a unicast answer, please)
//! | records:   name, type, class (its first bit: forget others), ttl (32 bits), length, data
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// RFC 1035 section 2.3.4.
const MAX_LABEL: usize = 63;
/// What is read of one message; more than any candidate's answer has.
const MAX_ENTRIES: usize = 64;
/// Labels of one name, wherever its pointers lead: RFC 1035 allows 127 in 255 bytes.
const MAX_LABELS: usize = 128;
const HEADER_LEN: usize = 12;
/// QR and AA: an authoritative response. RFC 6762 section 18.
const RESPONSE: u16 = 0x8400;
/// The bits that must be clear for a message to be ours: opcode and rcode. RFC 6762 sections 18.3 and 18.11.
const OPCODE_AND_RCODE: u16 = 0x780F;
const CLASS_IN: u16 = 1;
/// In a question: a unicast answer will do. In a record: it is the only one. RFC 6762 sections 5.4 and 10.2.
const TOP_BIT: u16 = 0x8000;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_ANY: u16 = 255;

/// A name of the form `label.local`, without its case: what stands in place of an address in candidates.
///
/// ```
/// use wigwag_ice::mdns::LocalName;
///
/// let name: LocalName = "1F4712DB-ea17-4bcf-a596-105139dfd8bf.local".parse()?;
/// assert_eq!(name.to_string(), "1f4712db-ea17-4bcf-a596-105139dfd8bf.local");
/// assert!("two.labels.local".parse::<LocalName>().is_err());
/// # Ok::<(), wigwag_ice::mdns::NotLocalError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalName {
    label: [u8; MAX_LABEL],
    len: u8,
}

/// The name is not one label and `.local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name of the form label.local")]
pub struct NotLocalError;

impl LocalName {
    pub(super) fn from_label(text: &[u8]) -> Option<Self> {
        let mut label = [0; MAX_LABEL];
        label.get_mut(..text.len()).filter(|room| !room.is_empty())?.copy_from_slice(text);
        label.make_ascii_lowercase();
        let is_plain = text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.');
        is_plain.then_some(Self { label, len: text.len() as u8 })
    }

    pub(super) fn from_uuid(uuid: u128) -> Self {
        let part = |from: u32, digits: u32| uuid >> from & ((1 << (4 * digits)) - 1);
        let [a, b, c, d, e] = [part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12)];
        let text = format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}");
        let mut label = [0; MAX_LABEL];
        label.iter_mut().zip(text.bytes()).for_each(|(room, byte)| *room = byte);
        Self { label, len: text.len() as u8 }
    }

    fn label(&self) -> &[u8] {
        self.label.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl std::str::FromStr for LocalName {
    type Err = NotLocalError;

    fn from_str(text: &str) -> Result<Self, NotLocalError> {
        let (label, end) = text.split_once('.').ok_or(NotLocalError)?;
        let is_local = end.eq_ignore_ascii_case("local");
        is_local.then(|| Self::from_label(label.as_bytes())).flatten().ok_or(NotLocalError)
    }
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.local", String::from_utf8_lossy(self.label()))
    }
}

impl fmt::Debug for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: LocalName,
    pub(super) v4: bool,
    pub(super) v6: bool,
    /// RFC 6762 section 5.4.
    pub(super) unicast: bool,
}

/// An address that a name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: LocalName,
    pub(super) address: IpAddr,
    /// In seconds; zero says goodbye. RFC 6762 section 10.1.
    pub(super) ttl: u32,
}

/// What a message says that concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Question(Question),
    Address(Address),
}

/// A message that was well-formed as far as it was read.
pub(super) struct Message<'a> {
    pub(super) id: u16,
    pub(super) is_response: bool,
    bytes: &'a [u8],
    questions: usize,
    records: usize,
}

impl<'a> Message<'a> {
    /// `None` for what is no message of multicast DNS.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let flags = word(bytes, 2)?;
        if flags & OPCODE_AND_RCODE != 0 {
            return None;
        }
        let count = |at| word(bytes, at).map(usize::from);
        let (questions, records) = (count(4)?, count(6)? + count(8)? + count(10)?);
        Some(Self { id: word(bytes, 0)?, is_response: flags & 0x8000 != 0, bytes, questions, records })
    }

    /// The questions and addresses of names that candidates may have. What is malformed ends it.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let (mut at, mut number) = (HEADER_LEN, 0);
        let all = (self.questions + self.records).min(MAX_ENTRIES);
        std::iter::from_fn(move || {
            while number < all {
                let (entry, next) = self.entry(at, number < self.questions)?;
                (at, number) = (next, number + 1);
                if entry.is_some() {
                    return entry;
                }
            }
            None
        })
    }

    /// What stands at `at`, if it concerns us, and where it ends.
    fn entry(&self, at: usize, is_question: bool) -> Option<(Option<Entry>, usize)> {
        let (name, at) = read_name(self.bytes, at)?;
        let (kind, class) = (word(self.bytes, at)?, word(self.bytes, at + 2)?);
        let name = name.filter(|_| class & !TOP_BIT == CLASS_IN);
        if is_question {
            let (v4, v6) = (matches!(kind, TYPE_A | TYPE_ANY), matches!(kind, TYPE_AAAA | TYPE_ANY));
            let question =
                name.filter(|_| v4 || v6).map(|name| Question { name, v4, v6, unicast: class & TOP_BIT != 0 });
            return Some((question.map(Entry::Question), at + 4));
        }
        let ttl = u32::from(word(self.bytes, at + 4)?) << 16 | u32::from(word(self.bytes, at + 6)?);
        let end = at + 10 + usize::from(word(self.bytes, at + 8)?);
        let data = self.bytes.get(at + 10..end)?;
        let v4 = || <[u8; 4]>::try_from(data).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
        let v6 = || <[u8; 16]>::try_from(data).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
        let address = match kind {
            TYPE_A => v4(),
            TYPE_AAAA => v6(),
            _ => None,
        };
        let entry = name.zip(address).map(|(name, address)| Entry::Address(Address { name, address, ttl }));
        Some((entry, end))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes)
}

/// The name at `at`, if it is `label.local`, and where it ends. RFC 1035 section 4.1.4.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(Option<LocalName>, usize)> {
    let (mut labels, mut name, mut is_local) = (0, None, false);
    let mut end = None;
    for _ in 0..MAX_LABELS {
        let len = usize::from(*bytes.get(at)?);
        match len {
            0 => {
                let name = name.filter(|_| labels == 2 && is_local);
                return Some((name, end.unwrap_or(at + 1)));
            }
            1..=MAX_LABEL => {
                let label = bytes.get(at + 1..at + 1 + len)?;
                match labels {
                    0 => name = LocalName::from_label(label),
                    1 => is_local = label.eq_ignore_ascii_case(b"local"),
                    _ => {}
                }
                (labels, at) = (labels + 1, at + 1 + len);
            }
            0xC0.. => {
                end = end.or(Some(at + 2));
                at = usize::from(word(bytes, at)? & 0x3FFF);
            }
            _ => return None,
        }
    }
    None
}

/// Writes into the front of `room`; `None` if that is too short.
struct Writer<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.room.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    fn words<const N: usize>(&mut self, words: [u16; N]) -> Option<()> {
        words.into_iter().try_for_each(|word| self.put(&word.to_be_bytes()))
    }

    fn name(&mut self, name: &LocalName) -> Option<()> {
        self.put(&[name.len])?;
        self.put(name.label())?;
        self.put(b"\x05local\0")
    }
}

/// A question for both kinds of addresses of `name`, to be answered to everybody: the port may be shared with other programs, and a
/// unicast answer would reach any one of them. RFC 6762 sections 5 and 15.1.
pub(super) fn write_query(room: &mut [u8], name: &LocalName) -> Option<usize> {
    let mut writer = Writer { room, len: 0 };
    writer.words([0, 0, 2, 0, 0, 0])?;
    for kind in [TYPE_A, TYPE_AAAA] {
        writer.name(name)?;
        writer.words([kind, CLASS_IN])?;
    }
    Some(writer.len)
}

/// That a name has an address, for `ttl` seconds. A legacy querier gets its id and question back, and no top bit: RFC 6762
/// section 6.7.
pub(super) fn write_response(room: &mut [u8], address: &Address, legacy: Option<u16>) -> Option<usize> {
    let mut writer = Writer { room, len: 0 };
    let kind = if address.address.is_ipv4() { TYPE_A } else { TYPE_AAAA };
    writer.words([legacy.unwrap_or(0), RESPONSE, u16::from(legacy.is_some()), 1, 0, 0])?;
    if legacy.is_some() {
        writer.name(&address.name)?;
        writer.words([kind, CLASS_IN])?;
    }
    writer.name(&address.name)?;
    let class = CLASS_IN | if legacy.is_some() { 0 } else { TOP_BIT };
    writer.words([kind, class, (address.ttl >> 16) as u16, address.ttl as u16])?;
    match address.address {
        IpAddr::V4(ip) => {
            writer.words([4])?;
            writer.put(&ip.octets())?;
        }
        IpAddr::V6(ip) => {
            writer.words([16])?;
            writer.put(&ip.octets())?;
        }
    }
    Some(writer.len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(bytes: &[u8]) -> Vec<Entry> {
        Message::parse(bytes).unwrap().entries().collect()
    }

    /// A response as Chromium sends it: one name, both kinds, the second name a pointer to the first.
    #[test]
    fn pointers_are_followed() {
        let mut bytes =
            b"\0\0\x84\0\0\0\0\x02\0\0\0\0\x03One\x05LOCAL\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0A\0\0\x01".to_vec();
        bytes.extend(b"\xC0\x0C\0\x1C\x80\x01\0\0\0\x78\0\x10");
        bytes.extend([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let name = "one.local".parse().unwrap();
        let expected = ["10.0.0.1", "2001:db8::1"]
            .map(|address| Entry::Address(Address { name, address: address.parse().unwrap(), ttl: 120 }));
        assert_eq!(entries(&bytes), expected);
    }

    #[test]
    fn loops_and_other_names_are_nothing() {
        assert_eq!(entries(b"\0\0\0\0\0\x01\0\0\0\0\0\0\xC0\x0C\0\x01\0\x01"), []);
        assert_eq!(entries(b"\0\0\0\0\0\x01\0\0\0\0\0\0\x01a\x01b\x05local\0\0\x01\0\x01"), []);
        assert_eq!(entries(b"\0\0\0\0\0\x01\0\0\0\0\0\0\x03one\x03org\0\0\x01\0\x01"), []);
        assert_eq!(entries(b"\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), []);
        assert!(Message::parse(b"\0\0\x10\0\0\0\0\0\0\0\0\0").is_none(), "another opcode");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(label in "[a-z0-9-]{1,63}", v4: [u8; 4], v6: [u8; 16], ttl: u32, is_v4: bool, id: u16) {
            let name: LocalName = format!("{label}.local").parse().unwrap();
            let mut room = [0; 512];
            let len = write_query(&mut room, &name).unwrap();
            let asked = |v4, v6| Entry::Question(Question { name, v4, v6, unicast: false });
            prop_assert_eq!(entries(&room[..len]), [asked(true, false), asked(false, true)]);
            let address = if is_v4 { IpAddr::from(v4) } else { IpAddr::from(v6) };
            let answer = Address { name, address, ttl };
            let len = write_response(&mut room, &answer, None).unwrap();
            prop_assert_eq!(entries(&room[..len]), [Entry::Address(answer)]);
            let len = write_response(&mut room, &answer, Some(id)).unwrap();
            prop_assert_eq!(Message::parse(&room[..len]).unwrap().id, id);
            prop_assert_eq!(entries(&room[..len])[1], Entry::Address(answer));
            prop_assert!(write_response(&mut room[..len - 1], &answer, Some(id)).is_none());
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(message) = Message::parse(&bytes) {
                prop_assert!(message.entries().count() <= MAX_ENTRIES);
            }
        }
    }
}
