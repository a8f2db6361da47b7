//! Address realms and the NATs between them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wigwag_proto::{Instant, UdpPath};

use crate::link::Link;
use crate::nat::{Nat, Table};
use crate::network::{Network, Owner};
use crate::packet::Packet;
use crate::road::Road;
use crate::stats::HostId;
use crate::transit::{End, RoadId};

/// A network within which addresses mean one thing (RFC 2663 section 2.1): the internet, or what is behind a
/// [NAT](Network::add_nat), whose name it also is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(pub(crate) usize);

impl Realm {
    /// The one that is behind nothing.
    pub const INTERNET: Self = Self(0);

    /// Where its NAT is in the list of them.
    fn index(self) -> Option<usize> {
        self.0.checked_sub(1)
    }
}

/// A NAT, and its line to the outer realm.
pub(crate) struct Router {
    outer: Realm,
    table: Table,
    up: RoadId,
    down: RoadId,
}

/// NATs.
///
/// What is behind one sends everything for addresses that are not in its own realm to its NAT, over one access link that
/// all share. Behind a NAT there may be another: with carrier-grade NATs, often is.
///
/// ```
/// use wigwag_net::{Nat, Network, Realm};
/// use wigwag_proto::{Instant, Route, Transmit, UdpPath};
///
/// let mut network = Network::new(1);
/// let carrier = network.add_nat(Realm::INTERNET, Nat::SYMMETRIC, ["198.51.100.1".parse()?]);
/// let home = network.add_nat(carrier, Nat::PORT_RESTRICTED, ["100.64.0.7".parse()?]);
/// let alice = network.add_host_in(home, ["192.168.1.2".parse()?]);
/// let server = network.add_host(["203.0.113.9".parse()?]);
///
/// let path = UdpPath { local: "192.168.1.2:5000".parse()?, remote: "203.0.113.9:3478".parse()? };
/// let transmit = Transmit { route: Route::Udp(path), len: 5, segment_size: 5, ecn: 0, dscp: 0 };
/// network.send_from(alice, Instant::from_micros(0), &transmit, b"hello");
///
/// let delivery = network.deliver(Instant::NEVER).unwrap();
/// assert_eq!(delivery.to, server);
/// assert_eq!(delivery.path.remote.ip().to_string(), "198.51.100.1");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
impl Network {
    /// A NAT with these addresses in an outer realm; the answer is the realm behind it. Its access link takes 1 ms.
    pub fn add_nat(&mut self, outer: Realm, nat: Nat, addresses: impl IntoIterator<Item = IpAddr>) -> Realm {
        let realm = Realm(self.routers.len() + 1);
        let mut access = |direction: &str| {
            let mut road = Road::new(self.seed(), &format!("nat {} {direction}", realm.0));
            road.link = Some(Link { delay: Duration::from_millis(1), ..Link::default() });
            self.roads.push(road);
            RoadId(self.roads.len() - 1)
        };
        let (up, down) = (access("up"), access("down"));
        let table = Table::new(self.seed(), &format!("nat {}", realm.0), nat, Vec::new());
        self.routers.push(Router { outer, table, up, down });
        self.set_nat_addresses(realm, addresses);
        realm
    }

    /// The NAT behaves otherwise from now on; its mappings stay.
    pub fn set_nat(&mut self, realm: Realm, nat: Nat) {
        if let Some(router) = self.router_mut(realm) {
            router.table.nat = nat;
        }
    }

    /// Other outer addresses for a NAT: its mappings are gone, and what still comes to the old addresses is lost.
    pub fn set_nat_addresses(&mut self, realm: Realm, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses: Vec<_> = addresses.into_iter().collect();
        let Some(router) = self.router_mut(realm) else { return };
        let outer = router.outer;
        router.table.set_pool(addresses.clone());
        self.owners.retain(|_, owner| *owner != Owner::Nat(realm));
        self.owners.extend(addresses.into_iter().map(|address| ((outer, address), Owner::Nat(realm))));
    }

    /// The NAT forgets its mappings, as when it starts anew. (One that [preserves](crate::Ports::Preserved) ports makes the
    /// same ones again; another moves those behind it to other ports.)
    pub fn forget_mappings(&mut self, realm: Realm) {
        if let Some(router) = self.router_mut(realm) {
            router.table.forget();
        }
    }

    /// The links from the hosts behind a NAT to it and back, which all of them share: the place for a rate and a queue.
    pub fn set_access_link(&mut self, realm: Realm, up: Link, down: Link) {
        let Some(router) = self.router(realm) else { return };
        for (id, link) in [(router.up, up), (router.down, down)] {
            if let Some(road) = self.roads.get_mut(id.0) {
                road.link = Some(link);
            }
        }
    }

    /// A host with these addresses in a realm.
    pub fn add_host_in(&mut self, realm: Realm, addresses: impl IntoIterator<Item = IpAddr>) -> HostId {
        let host = self.add_host([]);
        for address in addresses {
            self.add_address_in(realm, host, address);
        }
        host
    }

    /// One more address in a realm, taken from another host if that had it there.
    pub fn add_address_in(&mut self, realm: Realm, host: HostId, address: IpAddr) {
        self.owners.insert((realm, address), Owner::Host(host));
    }

    /// An address in a realm less.
    pub fn remove_address_in(&mut self, realm: Realm, address: IpAddr) {
        self.owners.remove(&(realm, address));
    }

    /// The link from one address to another within a realm; the way back stays as it is.
    pub fn set_one_way_in(&mut self, realm: Realm, from: IpAddr, to: IpAddr, link: Link) {
        let id = self.road_id(realm, from, to);
        if let Some(road) = self.roads.get_mut(id.0) {
            road.link = Some(link);
        }
    }

    /// Up and down.
    pub(crate) fn access_roads(&self, realm: Realm) -> Option<[RoadId; 2]> {
        self.router(realm).map(|router| [router.up, router.down])
    }

    fn router(&self, realm: Realm) -> Option<&Router> {
        self.routers.get(realm.index()?)
    }

    fn router_mut(&mut self, realm: Realm) -> Option<&mut Router> {
        self.routers.get_mut(realm.index()?)
    }

    /// The way out of a realm, for what is not in it.
    pub(crate) fn way_out(&self, realm: Realm, to: IpAddr) -> Option<RoadId> {
        let router = self.router(realm)?;
        (!self.owners.contains_key(&(realm, to))).then_some(router.up)
    }

    /// The realm in which a host has an address, if it is up.
    pub(crate) fn realm_of(&self, host: Option<HostId>, address: IpAddr) -> Option<(Realm, HostId)> {
        (0..=self.routers.len()).map(Realm).find_map(|realm| match self.owner(realm, address) {
            Some(Owner::Host(owner)) if host.is_none_or(|host| host == owner) => Some((realm, owner)),
            _ => None,
        })
    }

    /// The realm outside, and the address that a stream from inside has there.
    pub(crate) fn stream_exit(&self, realm: Realm, inside: IpAddr) -> Option<(Realm, IpAddr)> {
        let router = self.router(realm)?;
        let mut pool = router.table.pool().iter();
        let address = pool.find(|address| address.is_ipv4() == inside.is_ipv4())?;
        Some((router.outer, *address))
    }

    /// A packet from inside has come to the NAT of its realm.
    pub(crate) fn go_out(&mut self, now: Instant, realm: Realm, mut packet: Packet) {
        let UdpPath { local, remote } = packet.path;
        let Some(router) = self.router_mut(realm) else { return };
        let outer = router.outer;
        let is_hairpin = router.table.pool().contains(&remote.ip());
        let translated = match is_hairpin && !router.table.nat.hairpinning {
            true => None,
            false => router.table.outbound(now, local, remote),
        };
        let Some(local) = translated else {
            self.stats.filtered += 1;
            return;
        };
        packet.path.local = local;
        match is_hairpin {
            // With its outer address as source. RFC 4787 section 6.
            true => self.come_in(now, realm, packet),
            false => self.launch(now, outer, packet),
        }
    }

    /// A packet has come to an outer address of the NAT of a realm.
    pub(crate) fn come_in(&mut self, now: Instant, realm: Realm, mut packet: Packet) {
        let UdpPath { local, remote } = packet.path;
        let Some(router) = self.router_mut(realm) else { return };
        let down = router.down;
        let inside: Option<SocketAddr> = router.table.inbound(now, remote, local);
        let Some(inside) = inside else {
            self.stats.filtered += 1;
            return;
        };
        packet.path.remote = inside;
        let link = self.roads.get(down.0).and_then(|road| road.link).unwrap_or_default();
        self.enter(now, down, &link, End::Address(realm), packet);
    }
}
