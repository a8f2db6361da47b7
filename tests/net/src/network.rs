//! Hosts, their addresses, and what is under way between them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip128::{Hasher128, SipHasher13};
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

use crate::link::{Link, Passage, Road};

/// Names a host of a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// A fingerprint of every byte that was put on the wire, with its time and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

/// A datagram that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose address it came to.
    pub to: HostId,
    /// The path as the receiver sees it.
    pub path: UdpPath,
    /// What it carries.
    pub bytes: Vec<u8>,
    /// The two ECN bits of the IP header.
    pub ecn: u8,
}

/// A datagram that was put on the wire, for a [filter](Network::set_filter).
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Its number: the first that was sent on this network is zero.
    pub number: u64,
    /// When.
    pub at: Instant,
    /// The path as the sender sees it.
    pub path: UdpPath,
    /// What it carries.
    pub bytes: &'a [u8],
}

/// What a [filter](Network::set_filter) decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, and perhaps be lost.
    Pass,
    /// Be lost.
    Drop,
}

/// What was sent, and what became of it. All but `bytes_sent` are numbers of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Put on the wire.
    pub sent: u64,
    /// Their payload.
    pub bytes_sent: u64,
    /// Taken out again with [`Network::deliver`], copies included.
    pub delivered: u64,
    /// Lost by a link.
    pub lost: u64,
    /// Dropped by a script or a filter.
    pub dropped: u64,
    /// Dropped by a full queue.
    pub queue_full: u64,
    /// Longer than the link's MTU.
    pub too_big: u64,
    /// From or to an address that no host has, or on a stream (there are none yet).
    pub unroutable: u64,
    /// Extra copies.
    pub duplicated: u64,
    /// With a bit turned over.
    pub corrupted: u64,
    /// Held back so that others could overtake.
    pub reordered: u64,
}

type Filter = Box<dyn FnMut(&Sent<'_>) -> Verdict + Send>;

/// Hosts, links, and the datagrams under way.
///
/// Unless something else is set, every address reaches every other over [`Link::default`].
///
/// ```
/// use wigwag_net::Network;
/// use wigwag_proto::{Instant, Route, Transmit, UdpPath};
///
/// let mut network = Network::new(1);
/// let _alice = network.add_host(["10.0.0.1".parse()?]);
/// let bob = network.add_host(["10.0.0.2".parse()?]);
///
/// let path = UdpPath { local: "10.0.0.1:5000".parse()?, remote: "10.0.0.2:5000".parse()? };
/// let transmit = Transmit { route: Route::Udp(path), len: 5, segment_size: 5, ecn: 0, dscp: 0 };
/// network.send(Instant::from_micros(0), &transmit, b"hello");
///
/// let arrival = network.next_arrival().unwrap();
/// assert_eq!(arrival, Instant::from_micros(10_000));
/// let delivery = network.deliver(arrival).unwrap();
/// assert_eq!((delivery.to, delivery.path, &*delivery.bytes), (bob, path.reversed(), b"hello".as_slice()));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct Network {
    seed: u64,
    default_link: Link,
    /// Look-ups only.
    owners: BTreeMap<IpAddr, HostId>,
    hosts: Vec<Host>,
    /// By the addresses from and to.
    roads: BTreeMap<(IpAddr, IpAddr), Road>,
    /// By arrival, and in the order of sending where that is the same.
    under_way: BTreeMap<(Instant, u64), UnderWay>,
    next_key: u64,
    scripted: BTreeSet<u64>,
    filter: Option<Filter>,
    hasher: SipHasher13,
    stats: Stats,
}

struct Host {
    is_up: bool,
}

struct UnderWay {
    path: UdpPath,
    bytes: Vec<u8>,
    ecn: u8,
}

impl Network {
    /// A network without hosts.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            default_link: Link::default(),
            owners: BTreeMap::new(),
            hosts: Vec::new(),
            roads: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next_key: 0,
            scripted: BTreeSet::new(),
            filter: None,
            hasher: SipHasher13::new(),
            stats: Stats::default(),
        }
    }

    /// What it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A host with these addresses.
    pub fn add_host(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> HostId {
        let host = HostId(self.hosts.len());
        self.hosts.push(Host { is_up: true });
        for address in addresses {
            self.add_address(host, address);
        }
        host
    }

    /// One more address, taken from another host if that had it. What is under way to the address arrives here.
    pub fn add_address(&mut self, host: HostId, address: IpAddr) {
        self.owners.insert(address, host);
    }

    /// An address less: what is sent from it or arrives at it is lost.
    pub fn remove_address(&mut self, address: IpAddr) {
        self.owners.remove(&address);
    }

    /// The addresses of a host.
    pub fn addresses(&self, host: HostId) -> impl Iterator<Item = IpAddr> {
        self.owners.iter().filter(move |(_, owner)| **owner == host).map(|(address, _)| *address)
    }

    /// Unplugs a host, or plugs it in again: what it sends and what arrives at it while it is down is lost.
    pub fn set_up(&mut self, host: HostId, is_up: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.is_up = is_up;
        }
    }

    /// The link between any two addresses for which no other is set.
    pub fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    /// The link between two hosts: from and to each of the addresses that they have now.
    pub fn set_link(&mut self, one: HostId, other: HostId, link: Link) {
        let (ones, others): (Vec<_>, Vec<_>) = (self.addresses(one).collect(), self.addresses(other).collect());
        for one in ones {
            for other in &others {
                self.set_one_way(one, *other, link);
                self.set_one_way(*other, one, link);
            }
        }
    }

    /// The link from one address to another; the way back stays as it is.
    pub fn set_one_way(&mut self, from: IpAddr, to: IpAddr, link: Link) {
        self.road(from, to).link = Some(link);
    }

    /// The link from one address to another.
    pub fn link(&self, from: IpAddr, to: IpAddr) -> Link {
        let owner = |address| self.owners.get(address);
        let own = self.roads.get(&(from, to)).and_then(|road| road.link);
        own.unwrap_or(if owner(&from).is_some() && owner(&from) == owner(&to) {
            Link::loopback()
        } else {
            self.default_link
        })
    }

    /// Drops the datagrams with these [numbers](Sent::number), besides those already named: `drop_nth([k])` for a certain
    /// one, `drop_nth(a..b)` for a gap.
    pub fn drop_nth(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.scripted.extend(numbers);
    }

    /// Asks `filter` about each datagram from now on: to drop the ones of a kind, or to look at them.
    pub fn set_filter(&mut self, filter: impl FnMut(&Sent<'_>) -> Verdict + Send + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// No filter any more.
    pub fn clear_filter(&mut self) {
        self.filter = None;
    }

    /// Sends a batch: `bytes` are what [`TransmitBuffer::bytes`](wigwag_proto::TransmitBuffer::bytes) gives for
    /// `transmit`. (Streams are not simulated; what goes there is counted in [`Stats::unroutable`].)
    pub fn send(&mut self, now: Instant, transmit: &Transmit, bytes: &[u8]) {
        let Route::Udp(path) = transmit.route else {
            self.stats.unroutable += 1;
            return;
        };
        for datagram in bytes.chunks(transmit.segment_size.max(1)) {
            self.send_datagram(now, path, transmit.ecn, datagram);
        }
    }

    fn send_datagram(&mut self, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8]) {
        let has_sender = self.owner(path.local.ip()).is_some();
        self.put_on_wire(now, path, ecn, bytes, has_sender);
    }

    /// Sends a datagram from any address, one's own or not: what an attacker can do.
    pub fn inject(&mut self, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8]) {
        self.put_on_wire(now, path, ecn, bytes, true);
    }

    fn put_on_wire(&mut self, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8], has_sender: bool) {
        let number = self.stats.sent;
        self.stats.sent += 1;
        self.stats.bytes_sent += bytes.len() as u64;
        self.hash(now, path, ecn, bytes);
        let (from, to) = (path.local.ip(), path.remote.ip());
        let link = self.link(from, to);
        let headers = if to.is_ipv4() { 28 } else { 48 };
        // Drawn even if it is dropped by a script, so that the others meet the same fate as without.
        let passage = self.road(from, to).pass(now, &link, bytes.len() + headers);
        let sent = Sent { number, at: now, path, bytes };
        let verdict = self.filter.as_mut().map_or(Verdict::Pass, |filter| filter(&sent));
        if self.scripted.contains(&number) || verdict == Verdict::Drop {
            self.stats.dropped += 1;
            return;
        }
        if !has_sender {
            self.stats.unroutable += 1;
            return;
        }
        let passed = match passage {
            Passage::Lost => return self.stats.lost += 1,
            Passage::TooBig => return self.stats.too_big += 1,
            Passage::QueueFull => return self.stats.queue_full += 1,
            Passage::Passed(passed) => passed,
        };
        let mut bytes = bytes.to_vec();
        if let Some(part) = passed.corrupted.filter(|_| !bytes.is_empty()) {
            let bit = ((bytes.len() * 8) as f64 * part) as usize;
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            self.stats.corrupted += 1;
        }
        self.stats.reordered += u64::from(passed.reordered);
        self.stats.duplicated += passed.arrivals.len() as u64 - 1;
        for arrival in passed.arrivals {
            let under_way = UnderWay { path: path.reversed(), bytes: bytes.clone(), ecn };
            self.under_way.insert((arrival, self.next_key), under_way);
            self.next_key += 1;
        }
    }

    /// When the next datagram arrives; `None`: nothing is under way.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// The next datagram that has arrived by `now`. Call it until it gives `None`.
    pub fn deliver(&mut self, now: Instant) -> Option<Delivery> {
        while self.next_arrival().is_some_and(|arrival| arrival <= now) {
            let (_, UnderWay { path, bytes, ecn }) = self.under_way.pop_first()?;
            let Some(to) = self.owner(path.local.ip()) else {
                self.stats.unroutable += 1;
                continue;
            };
            self.stats.delivered += 1;
            return Some(Delivery { to, path, bytes, ecn });
        }
        None
    }

    /// What was sent so far, and what became of it.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The same for two runs that put the same bytes on the wire, at the same times, from and to the same addresses.
    pub fn digest(&self) -> Digest {
        Digest(self.hasher.finish128().as_u128())
    }

    fn owner(&self, address: IpAddr) -> Option<HostId> {
        let owner = *self.owners.get(&address)?;
        self.hosts.get(owner.0)?.is_up.then_some(owner)
    }

    fn road(&mut self, from: IpAddr, to: IpAddr) -> &mut Road {
        let seed = self.seed;
        self.roads.entry((from, to)).or_insert_with(|| Road::new(seed, from, to))
    }

    fn hash(&mut self, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8]) {
        let hasher = &mut self.hasher;
        hasher.write(&now.as_micros().to_le_bytes());
        for end in [path.local, path.remote] {
            hash_address(hasher, end);
        }
        hasher.write(&[ecn]);
        hasher.write(&(bytes.len() as u64).to_le_bytes());
        hasher.write(bytes);
    }
}

fn hash_address(hasher: &mut SipHasher13, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hasher.write(&ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.write(&address.port().to_le_bytes());
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (hosts, under_way) = (self.hosts.len(), self.under_way.len());
        let Self { seed, stats, .. } = self;
        f.debug_struct("Network")
            .field("seed", seed)
            .field("hosts", &hosts)
            .field("under_way", &under_way)
            .field("stats", stats)
            .finish_non_exhaustive()
    }
}
