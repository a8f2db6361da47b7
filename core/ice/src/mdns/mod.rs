//! Names instead of addresses (draft-ietf-mmusic-mdns-ice-candidates): whoever does not want to show its private addresses
//! to a web page, or to the other side, puts `1f4712db-ea17-4bcf-a596-105139dfd8bf.local` into its candidates. Only who is on the
//! same link can find out by multicast DNS (RFC 6762) what that stands for; and only there the address is of any use.
//!
//! ```text
//!        publish(name, address)                    resolve(name)
//!                 │                                      │
//!    announced twice, a second apart       asked three times: at once, after 1 s, after 3 s
//!    answered when somebody asks                         │
//!                 │                                 ┌────┴────┐
//!    withdraw: says goodbye                     Resolved   Unresolved, after 7 s
//! ```
//!
//! The machine speaks on each multicast socket that it is given: port 5353, which other programs of the host may share. A
//! name is random, so nobody else has it: it is not probed for, and it is told at once (RFC 6762 section 6), though never
//! more than once a second on a link.

mod message;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use wigwag_proto::{Instant, Random, Route, Transmit, TransmitBuffer, UdpPath};

use message::{Address, Entry, Message};
pub use message::{LocalName, NotLocalError};

/// Where multicast DNS is spoken. RFC 6762 section 3.
pub const PORT: u16 = 5353;
/// The group of IPv4.
pub const GROUP_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), PORT);
/// The group of IPv6.
pub const GROUP_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)), PORT);

/// One for each address of a host that has many.
const MAX_SOCKETS: usize = 32;
/// Names that we have: one for each socket.
const MAX_NAMES: usize = 32;
/// Names that are looked up at once; one peer has a few.
const MAX_LOOKUPS: usize = 32;
/// Messages that wait to be sent. Whatever does not fit is asked, or told, again.
const MAX_OUTGOING: usize = 256;
/// How often a question is asked; the time between doubles. RFC 6762 section 5.2.
const QUESTIONS: u32 = 3;
/// The least time between two tellings, and the first between two questions. RFC 6762 sections 5.2 and 6.
const SECOND: Duration = Duration::from_secs(1);
/// How often a name is announced. RFC 6762 section 8.3.
const ANNOUNCEMENTS: u8 = 2;
/// How long a name may be remembered, in seconds. RFC 6762 section 10.
const TTL: u32 = 120;
/// The same for those who only ask once, in seconds. RFC 6762 section 6.7.
const LEGACY_TTL: u32 = 10;
/// The longest message that is written: two names with their records.
const MAX_MESSAGE: usize = 256;

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MdnsEvent {
    /// The name has this address.
    Resolved(LocalName, IpAddr),
    /// Nobody on the link has the name.
    Unresolved(LocalName),
}

/// What was received and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MdnsStats {
    /// Questions sent, on each socket.
    pub questions_sent: u64,
    /// Announcements, answers and farewells sent, on each socket.
    pub answers_sent: u64,
    /// Questions for our names.
    pub questions_received: u64,
    /// Addresses of names that were looked up.
    pub answers_received: u64,
    /// What was no message of multicast DNS, or came from where none may come from.
    pub malformed: u64,
}

#[derive(Debug)]
struct Socket {
    local: SocketAddr,
    /// The address of the interface on whose link it is.
    interface: IpAddr,
}

/// A name of ours on one link.
#[derive(Debug)]
struct Telling {
    local: SocketAddr,
    told_at: Option<Instant>,
    due_at: Option<Instant>,
    announcements: u8,
}

/// A name of ours.
#[derive(Debug)]
struct Owned {
    name: LocalName,
    address: IpAddr,
    tellings: Vec<Telling>,
}

#[derive(Debug)]
struct Lookup {
    name: LocalName,
    asked: u32,
    next_at: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Outgoing {
    Question(LocalName),
    Answer { address: Address, legacy: Option<u16> },
}

/// Multicast DNS for the names of candidates.
///
/// ```
/// use wigwag_ice::mdns::{GROUP_V4, Mdns, MdnsEvent};
/// use wigwag_proto::{Instant, Route, TransmitBuffer, UdpPath, random};
///
/// let now = Instant(0);
/// let [mut alice, mut bob] = [Mdns::default(), Mdns::default()];
/// alice.add_socket(now, "10.0.0.1:5353".parse()?, "10.0.0.1".parse()?);
/// bob.add_socket(now, "10.0.0.2:5353".parse()?, "10.0.0.2".parse()?);
///
/// let name = Mdns::random_name(&mut random::seeded([7; 32]));
/// alice.publish(now, name, "10.0.0.1".parse()?);
/// bob.resolve(now, name);
///
/// let mut memory = [0; 1500];
/// let mut out = TransmitBuffer::new(&mut memory, 1);
/// while let Some(transmit) = alice.poll_transmit(now, &mut out) {
///     assert_eq!(transmit.route, Route::Udp(UdpPath { local: "10.0.0.1:5353".parse()?, remote: GROUP_V4 }));
///     // The network brings it to all on the link.
///     let path = UdpPath { local: "10.0.0.2:5353".parse()?, remote: "10.0.0.1:5353".parse()? };
///     bob.handle_packet(now, path, out.bytes(&transmit));
/// }
/// assert_eq!(bob.poll_event(), Some(MdnsEvent::Resolved(name, "10.0.0.1".parse()?)));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Default)]
pub struct Mdns {
    sockets: Vec<Socket>,
    owned: Vec<Owned>,
    lookups: Vec<Lookup>,
    outgoing: VecDeque<(UdpPath, Outgoing)>,
    events: VecDeque<MdnsEvent>,
    stats: MdnsStats,
    now: Instant,
    /// The latest call was `handle_timeout`: the next wake-up is after it.
    timers_ran: bool,
}

impl Mdns {
    /// A name that nobody else has: a UUID of version 4.
    pub fn random_name(random: &mut Random) -> LocalName {
        let mut uuid = [0; 16];
        random.fill_bytes(&mut uuid);
        uuid[6] = uuid[6] & 0x0F | 0x40; // version 4, RFC 9562 section 5.4
        uuid[8] = uuid[8] & 0x3F | 0x80;
        LocalName::from_uuid(u128::from_be_bytes(uuid))
    }

    /// A multicast socket for the link of `interface`: what is sent from `local` goes there, and what was sent to the group
    /// there comes in with `local`. Too many are ignored.
    pub fn add_socket(&mut self, now: Instant, local: SocketAddr, interface: IpAddr) {
        self.advance(now);
        if self.sockets.len() >= MAX_SOCKETS || self.is_socket(local) {
            return;
        }
        self.sockets.push(Socket { local, interface });
        for owned in self.owned.iter_mut().filter(|owned| owned.address == interface) {
            owned.announce(now, local);
        }
        for lookup in &self.lookups {
            let question = Outgoing::Question(lookup.name);
            push(&mut self.outgoing, UdpPath { local, remote: group_of(local) }, question);
        }
        self.advance(now);
    }

    /// The socket is gone.
    pub fn remove_socket(&mut self, local: SocketAddr) {
        self.sockets.retain(|socket| socket.local != local);
        self.owned.iter_mut().for_each(|owned| owned.tellings.retain(|telling| telling.local != local));
        self.outgoing.retain(|(path, _)| path.local != local);
    }

    /// Whether `local` is one of its sockets.
    pub fn is_socket(&self, local: SocketAddr) -> bool {
        self.sockets.iter().any(|socket| socket.local == local)
    }

    /// `name` is ours from now on and stands for `address`; whether there was room for it.
    pub fn publish(&mut self, now: Instant, name: LocalName, address: IpAddr) -> bool {
        self.advance(now);
        if self.owned.len() >= MAX_NAMES {
            return false;
        }
        let mut owned = Owned { name, address, tellings: Vec::new() };
        for socket in self.sockets.iter().filter(|socket| socket.interface == address) {
            owned.announce(now, socket.local);
        }
        self.owned.push(owned);
        self.advance(now);
        true
    }

    /// `name` stands for nothing any more: says goodbye. RFC 6762 section 10.1.
    pub fn withdraw(&mut self, now: Instant, name: LocalName) {
        self.advance(now);
        for owned in self.owned.extract_if(.., |owned| owned.name == name) {
            let address = Address { name, address: owned.address, ttl: 0 };
            for telling in owned.tellings.iter().filter(|telling| telling.told_at.is_some()) {
                let path = UdpPath { local: telling.local, remote: group_of(telling.local) };
                push(&mut self.outgoing, path, Outgoing::Answer { address, legacy: None });
            }
        }
    }

    /// Asks for the address of `name`; the answer comes as an event. Whether there was room for the question.
    pub fn resolve(&mut self, now: Instant, name: LocalName) -> bool {
        self.advance(now);
        let is_new = self.lookups.iter().all(|lookup| lookup.name != name);
        if is_new && self.lookups.len() >= MAX_LOOKUPS {
            return false;
        }
        if is_new {
            self.lookups.push(Lookup { name, asked: 0, next_at: self.now });
            self.advance(now);
        }
        true
    }

    /// Whether nothing is asked, and nothing is ours.
    pub fn is_idle(&self) -> bool {
        self.lookups.is_empty() && self.owned.is_empty() && self.outgoing.is_empty()
    }

    /// What arrived at one of the sockets.
    pub fn handle_packet(&mut self, now: Instant, path: UdpPath, datagram: &[u8]) {
        self.advance(now);
        // RFC 6762 section 6: a response from another port is to be ignored.
        let message = Message::parse(datagram).filter(|message| !message.is_response || path.remote.port() == PORT);
        let Some(message) = message.filter(|_| self.is_socket(path.local)) else {
            self.stats.malformed += 1;
            return;
        };
        for entry in message.entries() {
            match entry {
                Entry::Question(question) if !message.is_response => {
                    let wanted = |owned: &&mut Owned| {
                        owned.name == question.name && if owned.address.is_ipv4() { question.v4 } else { question.v6 }
                    };
                    for owned in self.owned.iter_mut().filter(wanted) {
                        self.stats.questions_received += 1;
                        let is_legacy = path.remote.port() != PORT;
                        if is_legacy || question.unicast {
                            let ttl = if is_legacy { LEGACY_TTL } else { TTL };
                            let address = Address { name: owned.name, address: owned.address, ttl };
                            let legacy = is_legacy.then_some(message.id);
                            push(&mut self.outgoing, path, Outgoing::Answer { address, legacy });
                        } else {
                            owned.tell(self.now, path.local);
                        }
                    }
                }
                Entry::Address(answer) if message.is_response && answer.ttl > 0 => self.hear(&answer),
                _ => {}
            }
        }
        self.advance(now);
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.timers_ran = true;
    }

    /// One message, written into `out`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.advance(now);
        out.start();
        let &(path, outgoing) = self.outgoing.front()?;
        let room = out.segment(MAX_MESSAGE)?;
        let len = match &outgoing {
            Outgoing::Question(name) => message::write_query(room, name)?,
            Outgoing::Answer { address, legacy } => message::write_response(room, address, *legacy)?,
        };
        self.outgoing.pop_front();
        match outgoing {
            Outgoing::Question(_) => self.stats.questions_sent += 1,
            Outgoing::Answer { .. } => self.stats.answers_sent += 1,
        }
        out.push(len);
        out.finish(Route::Udp(path))
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) gives something, at the time of the latest call.
    pub fn can_transmit(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What came of the questions.
    pub fn poll_event(&mut self) -> Option<MdnsEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): a millisecond after the last one, while something waits to be
    /// sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = match (self.outgoing.is_empty(), self.timers_ran) {
            (false, true) => self.now + Duration::from_millis(1),
            (false, false) => self.now,
            (true, _) => Instant::NEVER,
        };
        let at = self.next_at().min(waiting);
        (at < Instant::NEVER).then_some(at)
    }

    /// What was received and what became of it.
    pub fn stats(&self) -> MdnsStats {
        self.stats
    }

    fn hear(&mut self, answer: &Address) {
        let found = self.lookups.iter().position(|lookup| lookup.name == answer.name);
        if let Some(found) = found {
            self.stats.answers_received += 1;
            self.lookups.swap_remove(found);
            self.outgoing.retain(|(_, it)| !matches!(it, Outgoing::Question(name) if *name == answer.name));
            self.events.push_back(MdnsEvent::Resolved(answer.name, answer.address));
        }
    }

    /// When something is to be asked, told or given up.
    pub(crate) fn next_at(&self) -> Instant {
        let lookups = self.lookups.iter().map(|lookup| lookup.next_at);
        let tellings = self.owned.iter().flat_map(|owned| &owned.tellings).filter_map(|telling| telling.due_at);
        lookups.chain(tellings).min().unwrap_or(Instant::NEVER)
    }

    /// What the time has brought: questions to ask again or to give up, names to tell.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.timers_ran = false;
        let now = self.now;
        let Self { sockets, owned, lookups, outgoing, events, .. } = self;
        lookups.retain_mut(|lookup| {
            while lookup.next_at <= now {
                if lookup.asked == QUESTIONS {
                    events.push_back(MdnsEvent::Unresolved(lookup.name));
                    return false;
                }
                for &Socket { local, .. } in sockets.iter() {
                    push(outgoing, UdpPath { local, remote: group_of(local) }, Outgoing::Question(lookup.name));
                }
                lookup.next_at = now + SECOND * (1 << lookup.asked);
                lookup.asked += 1;
            }
            true
        });
        for owned in owned {
            let address = Address { name: owned.name, address: owned.address, ttl: TTL };
            for telling in owned.tellings.iter_mut().filter(|telling| telling.due_at.is_some_and(|at| at <= now)) {
                let path = UdpPath { local: telling.local, remote: group_of(telling.local) };
                push(outgoing, path, Outgoing::Answer { address, legacy: None });
                telling.told_at = Some(now);
                telling.announcements = telling.announcements.saturating_sub(1);
                telling.due_at = (telling.announcements > 0).then_some(now + SECOND);
            }
        }
    }
}

impl Owned {
    /// Tells it on a link, unasked.
    fn announce(&mut self, now: Instant, local: SocketAddr) {
        self.tellings.push(Telling { local, told_at: None, due_at: Some(now), announcements: ANNOUNCEMENTS });
    }

    /// Somebody asked.
    fn tell(&mut self, now: Instant, local: SocketAddr) {
        let known = self.tellings.iter().position(|telling| telling.local == local);
        let index = known.unwrap_or_else(|| {
            self.tellings.push(Telling { local, told_at: None, due_at: None, announcements: 0 });
            self.tellings.len() - 1
        });
        if let Some(telling) = self.tellings.get_mut(index) {
            let earliest = telling.told_at.map_or(now, |told_at| now.max(told_at + SECOND));
            telling.due_at = Some(telling.due_at.map_or(earliest, |at| at.min(earliest)));
        }
    }
}

fn push(outgoing: &mut VecDeque<(UdpPath, Outgoing)>, path: UdpPath, what: Outgoing) {
    if outgoing.len() < MAX_OUTGOING {
        outgoing.push_back((path, what));
    }
}

fn group_of(local: SocketAddr) -> SocketAddr {
    if local.is_ipv4() { GROUP_V4 } else { GROUP_V6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [&str; 2] = ["10.0.0.1", "10.0.0.2"];

    fn address(host: usize) -> IpAddr {
        HOSTS[host].parse().unwrap()
    }

    fn socket(host: usize) -> SocketAddr {
        SocketAddr::new(address(host), PORT)
    }

    fn on_one_link() -> [Mdns; 2] {
        [0, 1].map(|host| {
            let mut mdns = Mdns::default();
            mdns.add_socket(Instant(0), socket(host), address(host));
            mdns
        })
    }

    fn at(millis: u64) -> Instant {
        Instant(millis * 1000)
    }

    /// What leaves `from` at `now` reaches the other, or who it is for, unless it is lost; how many there were.
    fn carry(hosts: &mut [Mdns; 2], from: usize, now: Instant, lost: bool) -> usize {
        let (mut memory, mut count) = ([0; 1500], 0);
        let mut out = TransmitBuffer::new(&mut memory, 1);
        while let Some(transmit) = hosts[from].poll_transmit(now, &mut out) {
            let path = UdpPath { local: socket(1 - from), remote: socket(from) };
            if !lost {
                hosts[1 - from].handle_packet(now, path, out.bytes(&transmit));
            }
            count += 1;
        }
        count
    }

    fn name(seed: u8) -> LocalName {
        Mdns::random_name(&mut wigwag_proto::random::seeded([seed; 32]))
    }

    #[test]
    fn a_name_is_a_uuid() {
        let text = name(1).to_string();
        let parts: Vec<_> = text.strip_suffix(".local").unwrap().split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && matches!(parts[3].as_bytes()[0], b'8' | b'9' | b'a' | b'b'));
        assert_ne!(name(1), name(2));
    }

    #[test]
    fn a_question_is_answered() {
        let mut hosts = on_one_link();
        hosts[1].publish(at(0), name(1), address(1));
        assert_eq!(carry(&mut hosts, 1, at(0), true), 1, "announced");
        hosts[0].resolve(at(2000), name(1));
        assert_eq!(carry(&mut hosts, 0, at(2000), false), 1);
        // The second announcement, a second late.
        assert_eq!(carry(&mut hosts, 1, at(2000), false), 1);
        assert_eq!(hosts[0].poll_event(), Some(MdnsEvent::Resolved(name(1), address(1))));
        assert!(hosts[0].is_idle());
        assert_eq!(hosts[0].poll_timeout(), None);
    }

    #[test]
    fn nothing_is_told_twice_in_a_second() {
        let mut hosts = on_one_link();
        hosts[1].publish(at(0), name(1), address(1));
        carry(&mut hosts, 1, at(0), true);
        carry(&mut hosts, 1, at(1000), true);
        for millis in [1100, 1200] {
            hosts[0].lookups.clear();
            hosts[0].resolve(at(millis), name(1));
            carry(&mut hosts, 0, at(millis), false);
            assert_eq!(carry(&mut hosts, 1, at(millis), false), 0);
        }
        assert_eq!(hosts[1].poll_timeout(), Some(at(2000)));
        assert_eq!(carry(&mut hosts, 1, at(2000), false), 1);
        assert_eq!(hosts[0].poll_event(), Some(MdnsEvent::Resolved(name(1), address(1))));
    }

    #[test]
    fn what_was_lost_is_asked_again_and_given_up() {
        let mut hosts = on_one_link();
        hosts[0].resolve(at(0), name(1));
        let mut asked = Vec::new();
        while let Some(now) = hosts[0].poll_timeout() {
            hosts[0].handle_timeout(now);
            let count = carry(&mut hosts, 0, now, true);
            asked.extend((count > 0).then_some(now));
        }
        assert_eq!(asked, [at(0), at(1000), at(3000)]);
        assert_eq!(hosts[0].now, at(7000));
        assert_eq!(hosts[0].poll_event(), Some(MdnsEvent::Unresolved(name(1))));
    }

    #[test]
    fn a_link_that_comes_late_is_asked_too() {
        let mut mdns = Mdns::default();
        mdns.resolve(at(0), name(1));
        mdns.handle_timeout(at(0));
        mdns.add_socket(at(100), socket(0), address(0));
        mdns.publish(at(100), name(2), address(0));
        let mut memory = [0; 1500];
        let mut out = TransmitBuffer::new(&mut memory, 1);
        assert!(mdns.poll_transmit(at(100), &mut out).is_some() && mdns.poll_transmit(at(100), &mut out).is_some());
        assert!(mdns.poll_transmit(at(100), &mut out).is_none());
        assert_eq!((mdns.stats().questions_sent, mdns.stats().answers_sent), (1, 1));
    }

    #[test]
    fn who_asks_once_is_answered_alone() {
        let mut hosts = on_one_link();
        hosts[1].publish(at(0), name(1), address(1));
        carry(&mut hosts, 1, at(0), true);
        let mut question = [0; 256];
        let len = message::write_query(&mut question, &name(1)).unwrap();
        question[1] = 9;
        let path = UdpPath { local: socket(1), remote: "10.0.0.1:40000".parse().unwrap() };
        hosts[1].handle_packet(at(10), path, &question[..len]);
        let mut memory = [0; 1500];
        let mut out = TransmitBuffer::new(&mut memory, 1);
        let transmit = hosts[1].poll_transmit(at(10), &mut out).unwrap();
        assert_eq!(transmit.route, Route::Udp(path));
        assert_eq!(Message::parse(out.bytes(&transmit)).unwrap().id, 9);
        // A response from such a port is none.
        let answer = out.bytes(&transmit).to_vec();
        let path = UdpPath { local: socket(0), remote: "10.0.0.2:40000".parse().unwrap() };
        hosts[0].resolve(at(10), name(1));
        hosts[0].handle_packet(at(10), path, &answer);
        assert_eq!((hosts[0].poll_event(), hosts[0].stats().malformed), (None, 1));
    }

    #[test]
    fn goodbye_is_said_and_no_answer() {
        let mut hosts = on_one_link();
        hosts[1].publish(at(0), name(1), address(1));
        carry(&mut hosts, 1, at(0), true);
        hosts[0].resolve(at(500), name(1));
        carry(&mut hosts, 0, at(500), true);
        hosts[1].withdraw(at(500), name(1));
        assert_eq!(carry(&mut hosts, 1, at(500), false), 1);
        assert_eq!(hosts[0].poll_event(), None);
        assert!(hosts[1].is_idle());
    }

    #[test]
    fn bounds_hold() {
        let mut mdns = Mdns::default();
        mdns.add_socket(at(0), socket(0), address(0));
        let mut random = wigwag_proto::random::seeded([3; 32]);
        for n in 0..1000 {
            let taken = mdns.resolve(at(0), Mdns::random_name(&mut random));
            assert_eq!(taken, n < MAX_LOOKUPS);
            assert_eq!(mdns.publish(at(0), Mdns::random_name(&mut random), address(0)), n < MAX_NAMES);
        }
        let mut question = [0; 256];
        let len = message::write_query(&mut question, &mdns.owned[0].name).unwrap();
        for port in 10_000..20_000 {
            let path = UdpPath { local: socket(0), remote: SocketAddr::new(address(1), port) };
            mdns.handle_packet(at(1), path, &question[..len]);
        }
        assert!(mdns.outgoing.len() <= MAX_OUTGOING);
    }
}
