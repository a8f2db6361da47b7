//! Hosts, their addresses, and the links between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use siphasher::sip128::{Hasher128, SipHasher13};
use wigwag_proto::Instant;

use crate::capture::Taps;
use crate::link::Link;
use crate::packet::Packet;
use crate::realm::{Realm, Router};
use crate::road::Road;
use crate::schedule::Schedule;
use crate::stats::{Digest, HostId, Sent, Stats, TooBig, Verdict};
use crate::streams::Streams;
use crate::trace::{Running, Trace, TraceId};
use crate::transit::{Event, Member, RoadId};

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
    /// Who listens to which multicast groups.
    pub(crate) groups: BTreeMap<SocketAddr, Vec<Member>>,
    /// Look-ups only.
    pub(crate) owners: BTreeMap<(Realm, IpAddr), Owner>,
    /// The NAT of each realm but the internet.
    pub(crate) routers: Vec<Router>,
    hosts: Vec<Host>,
    pub(crate) roads: Vec<Road>,
    /// By the addresses from and to.
    road_ids: BTreeMap<(Realm, IpAddr, IpAddr), RoadId>,
    pub(crate) traces: Vec<Running>,
    /// What comes to an address.
    pub(crate) arrivals: Schedule<(Realm, Packet)>,
    /// What nobody outside sees.
    pub(crate) inner: Schedule<Event>,
    pub(crate) notices: Schedule<TooBig>,
    pub(crate) scripted: BTreeSet<u64>,
    pub(crate) filter: Option<Filter>,
    pub(crate) hasher: SipHasher13,
    pub(crate) stats: Stats,
    pub(crate) taps: Option<Box<Taps>>,
    pub(crate) streams: Streams,
    pub(crate) names: BTreeMap<String, Vec<IpAddr>>,
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Host(HostId),
    /// The one of this realm.
    Nat(Realm),
}

struct Host {
    is_up: bool,
}

impl Network {
    /// A network without hosts.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            default_link: Link::default(),
            groups: BTreeMap::new(),
            owners: BTreeMap::new(),
            routers: Vec::new(),
            hosts: Vec::new(),
            roads: Vec::new(),
            road_ids: BTreeMap::new(),
            traces: Vec::new(),
            arrivals: Schedule::new(),
            inner: Schedule::new(),
            notices: Schedule::new(),
            scripted: BTreeSet::new(),
            filter: None,
            hasher: SipHasher13::new(),
            stats: Stats::default(),
            taps: None,
            streams: Streams::default(),
            names: BTreeMap::new(),
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
        self.add_address_in(Realm::INTERNET, host, address);
    }

    /// An address less: what is sent from it or arrives at it is lost.
    pub fn remove_address(&mut self, address: IpAddr) {
        self.remove_address_in(Realm::INTERNET, address);
    }

    /// The addresses of a host.
    pub fn addresses(&self, host: HostId) -> impl Iterator<Item = IpAddr> {
        let owner = Owner::Host(host);
        self.owners.iter().filter(move |(_, other)| **other == owner).map(|((_, address), _)| *address)
    }

    /// Unplugs a host, or plugs it in again: what it sends and what arrives at it while it is down is lost.
    pub fn set_up(&mut self, host: HostId, is_up: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.is_up = is_up;
        }
    }

    /// Whether a host is plugged in.
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts.get(host.0).is_some_and(|host| host.is_up)
    }

    /// The link between any two addresses for which no other is set.
    pub fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    /// A trace that links can [follow](Link::trace); it begins at `begin`, and nothing gets through before.
    pub fn add_trace(&mut self, begin: Instant, trace: Trace) -> TraceId {
        self.traces.push(Running { trace, begin });
        TraceId(self.traces.len() - 1)
    }

    /// The link between two hosts: from and to each of the addresses that they have now in one realm.
    pub fn set_link(&mut self, one: HostId, other: HostId, link: Link) {
        let (ones, others) = (self.places(one), self.places(other));
        for (realm, one) in ones {
            for (_, other) in others.iter().filter(|(other_realm, _)| *other_realm == realm) {
                self.set_one_way_in(realm, one, *other, link);
                self.set_one_way_in(realm, *other, one, link);
            }
        }
    }

    /// The link from one address to another; the way back stays as it is.
    pub fn set_one_way(&mut self, from: IpAddr, to: IpAddr, link: Link) {
        self.set_one_way_in(Realm::INTERNET, from, to, link);
    }

    /// The link from one address of the internet to another.
    pub fn link(&self, from: IpAddr, to: IpAddr) -> Link {
        match self.road_ids.get(&(Realm::INTERNET, from, to)) {
            Some(id) => self.link_of(*id, Realm::INTERNET, from, to),
            None => self.unset_link(Realm::INTERNET, from, to),
        }
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

    /// What was sent so far, and what became of it.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The same for two runs that put the same bytes on the wire, at the same times, from and to the same addresses.
    pub fn digest(&self) -> Digest {
        Digest(self.hasher.finish128().as_u128())
    }

    /// Who has an address; nobody, if the host is unplugged.
    pub(crate) fn owner(&self, realm: Realm, address: IpAddr) -> Option<Owner> {
        let owner = *self.owners.get(&(realm, address))?;
        match owner {
            Owner::Host(host) => self.hosts.get(host.0)?.is_up.then_some(owner),
            Owner::Nat(_) => Some(owner),
        }
    }

    /// The addresses of a host, and the realms where they are.
    pub(crate) fn places(&self, host: HostId) -> Vec<(Realm, IpAddr)> {
        self.owners.iter().filter(|(_, owner)| **owner == Owner::Host(host)).map(|(place, _)| *place).collect()
    }

    pub(crate) fn road_id(&mut self, realm: Realm, from: IpAddr, to: IpAddr) -> RoadId {
        let Self { seed, roads, road_ids, .. } = self;
        *road_ids.entry((realm, from, to)).or_insert_with(|| {
            let name = match realm {
                Realm::INTERNET => format!("{from} {to}"),
                Realm(number) => format!("{number} {from} {to}"),
            };
            roads.push(Road::new(*seed, &name));
            RoadId(roads.len() - 1)
        })
    }

    /// The link of a road as it is now.
    pub(crate) fn link_of(&self, id: RoadId, realm: Realm, from: IpAddr, to: IpAddr) -> Link {
        let own = self.roads.get(id.0).and_then(|road| road.link);
        own.unwrap_or_else(|| self.unset_link(realm, from, to))
    }

    /// The link where none is set.
    fn unset_link(&self, realm: Realm, from: IpAddr, to: IpAddr) -> Link {
        let owner = |address| self.owners.get(&(realm, address));
        match owner(from).is_some() && owner(from) == owner(to) {
            true => Link::loopback(),
            false => self.default_link,
        }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (hosts, under_way) = (self.hosts.len(), self.arrivals.len());
        let Self { seed, stats, .. } = self;
        f.debug_struct("Network")
            .field("seed", seed)
            .field("hosts", &hosts)
            .field("under_way", &under_way)
            .field("stats", stats)
            .finish_non_exhaustive()
    }
}
