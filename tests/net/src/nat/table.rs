//! What a NAT remembers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use rand::Rng;
use wigwag_proto::{Instant, Random};

use super::{Behavior, Nat, Pooling, Ports};
use crate::seed::stream;

/// The first port that is given out: the lower ones have owners.
const FIRST_PORT: u16 = 1024;
/// Guesses before the ports are searched one by one.
const GUESSES: usize = 64;

/// When no port is left, it is looked for what has run out this often in the time that it takes to run out.
const LOOKS_WHEN_FULL: u32 = 16;

/// An endpoint inside, and as much of the one outside as the mapping depends on.
type Key = (SocketAddr, Option<IpAddr>, Option<u16>);

/// The mappings of a NAT, and the holes in its filter.
pub(crate) struct Table {
    pub nat: Nat,
    pool: Vec<IpAddr>,
    random: Random,
    outer_of: BTreeMap<Key, SocketAddr>,
    mappings: BTreeMap<SocketAddr, Mapping>,
    /// When each endpoint inside last had to do with each outside.
    contacts: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    /// Mappings of each outer address, also those that have run out since the last sweep.
    used: BTreeMap<IpAddr, usize>,
    next_port: u16,
    last_sweep: Instant,
    next_sweep: Instant,
}

struct Mapping {
    key: Key,
    last: Instant,
}

impl Table {
    pub fn new(seed: u64, name: &str, nat: Nat, pool: Vec<IpAddr>) -> Self {
        Self {
            nat,
            pool,
            random: stream(seed, name.as_bytes()),
            outer_of: BTreeMap::new(),
            mappings: BTreeMap::new(),
            contacts: BTreeMap::new(),
            used: BTreeMap::new(),
            next_port: FIRST_PORT,
            last_sweep: Instant::default(),
            next_sweep: Instant::default(),
        }
    }

    pub fn pool(&self) -> &[IpAddr] {
        &self.pool
    }

    /// Other outer addresses: the mappings are gone with the old ones.
    pub fn set_pool(&mut self, pool: Vec<IpAddr>) {
        self.pool = pool;
        self.forget();
    }

    pub fn forget(&mut self) {
        self.outer_of.clear();
        self.mappings.clear();
        self.contacts.clear();
        self.used.clear();
    }

    /// A packet goes out: the answer is what it comes from then. `None`: there is no port left.
    pub fn outbound(&mut self, now: Instant, inside: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        self.sweep(now);
        let key = match self.nat.mapping {
            Behavior::EndpointIndependent => (inside, None, None),
            Behavior::AddressDependent => (inside, Some(remote.ip()), None),
            Behavior::AddressAndPortDependent => (inside, Some(remote.ip()), Some(remote.port())),
        };
        let outer = match self.outer_of.get(&key).copied().filter(|outer| self.lives(now, outer)) {
            Some(outer) => outer,
            None => self.map(now, key)?,
        };
        if let Some(mapping) = self.mappings.get_mut(&outer) {
            mapping.last = now;
        }
        self.contacts.insert((inside, remote), now);
        Some(outer)
    }

    /// A packet comes to an outer endpoint: the answer is where it goes inside, if it may.
    pub fn inbound(&mut self, now: Instant, outer: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        if !self.lives(now, &outer) {
            return None;
        }
        let (inside, ..) = self.mappings.get(&outer)?.key;
        let timeout = self.nat.timeout;
        let is_fresh = |last: &Instant| now - *last < timeout;
        let is_let_in = match self.nat.filtering {
            Behavior::EndpointIndependent => true,
            Behavior::AddressDependent => {
                let (first, last) = (SocketAddr::new(remote.ip(), 0), SocketAddr::new(remote.ip(), u16::MAX));
                self.contacts.range((inside, first)..=(inside, last)).any(|(_, last)| is_fresh(last))
            }
            Behavior::AddressAndPortDependent => self.contacts.get(&(inside, remote)).is_some_and(is_fresh),
        };
        if !is_let_in {
            return None;
        }
        if self.nat.inbound_refresh {
            if let Some(mapping) = self.mappings.get_mut(&outer) {
                mapping.last = now;
            }
            self.contacts.entry((inside, remote)).and_modify(|last| *last = now);
        }
        Some(inside)
    }

    fn lives(&self, now: Instant, outer: &SocketAddr) -> bool {
        self.mappings.get(outer).is_some_and(|mapping| now - mapping.last < self.nat.timeout)
    }

    fn map(&mut self, now: Instant, key: Key) -> Option<SocketAddr> {
        let (inside, ..) = key;
        let outer = self.free_endpoint(now, inside)?;
        if let Some(stale) = self.outer_of.remove(&key) {
            self.unmap(stale);
        }
        self.unmap(outer);
        self.outer_of.insert(key, outer);
        self.mappings.insert(outer, Mapping { key, last: now });
        *self.used.entry(outer.ip()).or_default() += 1;
        Some(outer)
    }

    fn unmap(&mut self, outer: SocketAddr) {
        let Some(mapping) = self.mappings.remove(&outer) else { return };
        self.outer_of.remove(&mapping.key);
        if let Some(used) = self.used.get_mut(&outer.ip()) {
            *used -= 1;
        }
    }

    fn free_endpoint(&mut self, now: Instant, inside: SocketAddr) -> Option<SocketAddr> {
        let family = |address: &&IpAddr| address.is_ipv4() == inside.is_ipv4();
        let count = self.pool.iter().filter(family).count();
        let nth = match self.nat.pooling {
            _ if count == 0 => return None,
            Pooling::Paired => self.pairing(inside.ip()) % count,
            Pooling::Arbitrary => self.random.next_u64() as usize % count,
        };
        let address = *self.pool.iter().filter(family).nth(nth)?;
        let is_free = |table: &Self, port: u16| !table.lives(now, &SocketAddr::new(address, port));
        let ports = usize::from(u16::MAX - FIRST_PORT) + 1;
        if self.used.get(&address).is_some_and(|used| *used >= ports) {
            let pause = self.nat.timeout / LOOKS_WHEN_FULL;
            self.next_sweep = self.next_sweep.min(self.last_sweep + pause);
            self.sweep(now);
        }
        if self.used.get(&address).is_some_and(|used| *used >= ports) {
            return None;
        }
        let wished = match self.nat.ports {
            Ports::Preserved if is_free(self, inside.port()) => Some(inside.port()),
            Ports::Sequential => Some(self.next_port).filter(|port| is_free(self, *port)),
            Ports::Preserved | Ports::Random => (0..GUESSES).find_map(|_| {
                let guess = FIRST_PORT + (self.random.next_u64() as usize % ports) as u16;
                let keeps_parity = self.nat.ports == Ports::Random || guess % 2 == inside.port() % 2;
                (keeps_parity && is_free(self, guess)).then_some(guess)
            }),
        };
        let port = wished.or_else(|| {
            let from_next = (self.next_port..=u16::MAX).chain(FIRST_PORT..self.next_port);
            from_next.into_iter().find(|port| is_free(self, *port))
        })?;
        if wished.is_none() || self.nat.ports == Ports::Sequential {
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        }
        Some(SocketAddr::new(address, port))
    }

    /// The same for each mapping of an address.
    fn pairing(&self, inside: IpAddr) -> usize {
        let bytes = match inside {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        bytes.iter().map(|byte| usize::from(*byte)).sum()
    }

    /// Forgets what has run out, as often as it does.
    fn sweep(&mut self, now: Instant) {
        if now < self.next_sweep {
            return;
        }
        let timeout = self.nat.timeout;
        (self.last_sweep, self.next_sweep) = (now, now + timeout);
        self.contacts.retain(|_, last| now - *last < timeout);
        self.mappings.retain(|_, mapping| now - mapping.last < timeout);
        let mappings = &self.mappings;
        self.outer_of.retain(|_, outer| mappings.contains_key(outer));
        self.used.clear();
        for outer in mappings.keys() {
            *self.used.entry(outer.ip()).or_default() += 1;
        }
    }
}
