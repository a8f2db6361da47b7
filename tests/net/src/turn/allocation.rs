//! What the server remembers, and for how long.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use wigwag_proto::Instant;
use wigwag_stun::TransactionId;

use super::{Client, TurnServer};

/// How long a port is set aside. RFC 8656 section 7.2.
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);
/// Ports that are tried before there is none.
const PORT_ATTEMPTS: usize = 64;

/// An allocation: a relayed address, and who may be reached by it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Allocation {
    /// Whose it is.
    pub client: Client,
    /// Who made it.
    pub user: String,
    /// Its addresses: of IPv4, of IPv6, or of both.
    pub relayed: Vec<SocketAddr>,
    /// When it ends.
    pub expires: Instant,
    /// The addresses of peers that may send, and until when.
    pub permissions: BTreeMap<IpAddr, Instant>,
    /// Channels, with their peers, and until when.
    pub channels: BTreeMap<u16, (SocketAddr, Instant)>,
    /// Of the request that made it, which may be repeated.
    pub(super) transaction: TransactionId,
    pub(super) reservation: Option<[u8; 8]>,
}

impl Allocation {
    /// The relayed address of the same family as `peer`.
    pub(super) fn relayed_for(&self, peer: SocketAddr) -> Option<SocketAddr> {
        self.relayed.iter().copied().find(|relayed| relayed.is_ipv4() == peer.is_ipv4())
    }

    pub(super) fn channel_of(&self, peer: SocketAddr) -> Option<u16> {
        self.channels.iter().find(|(_, (bound, _))| *bound == peer).map(|(channel, _)| *channel)
    }
}

/// A port that was set aside by EVEN-PORT.
#[derive(Debug)]
pub(super) struct Reservation {
    pub relayed: SocketAddr,
    pub expires: Instant,
}

impl TurnServer {
    /// Forgets what has run out.
    pub(super) fn expire(&mut self) {
        let now = self.now;
        self.reservations.retain(|_, reservation| reservation.expires > now);
        let ended: Vec<_> = self.allocations.iter().filter(|(_, it)| it.expires <= now).map(|(id, _)| *id).collect();
        for client in ended {
            self.stats.expired += 1;
            self.free(client);
        }
        for allocation in self.allocations.values_mut() {
            allocation.permissions.retain(|_, expires| *expires > now);
            allocation.channels.retain(|_, (_, expires)| *expires > now);
        }
    }

    /// When something runs out next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let of_allocation = |it: &Allocation| {
            let permissions = it.permissions.values().copied();
            let channels = it.channels.values().map(|(_, expires)| *expires);
            permissions.chain(channels).chain([it.expires]).min()
        };
        let reservations = self.reservations.values().map(|reservation| reservation.expires);
        self.allocations.values().filter_map(of_allocation).chain(reservations).min()
    }

    pub(super) fn free(&mut self, client: Client) {
        for relayed in self.allocations.remove(&client).into_iter().flat_map(|allocation| allocation.relayed) {
            self.by_relay.remove(&relayed);
        }
    }

    fn is_free(&self, relayed: SocketAddr) -> bool {
        let mut reserved = self.reservations.values().map(|reservation| reservation.relayed);
        !self.by_relay.contains_key(&relayed)
            && !self.config.listen.contains(&relayed)
            && !reserved.any(|reserved| reserved == relayed)
    }

    /// A free relayed address; `even` if its port must be, and then `pair` if the next one must be free, too.
    pub(super) fn relayed_address(&mut self, ip: IpAddr, even: bool, pair: bool) -> Option<SocketAddr> {
        let (first, last) = (*self.config.ports.start(), *self.config.ports.end());
        let count = u32::from(last - first) + 1;
        let drawn: Vec<u32> = (0..PORT_ATTEMPTS).map(|_| self.random.next_u32() % count).collect();
        // Where there are few ports, each is looked at.
        let all = (count as usize <= PORT_ATTEMPTS).then_some(0..count).into_iter().flatten();
        drawn.into_iter().chain(all).map(|offset| SocketAddr::new(ip, first + offset as u16)).find(|&relayed| {
            let next = relayed.port().checked_add(1).map(|port| SocketAddr::new(ip, port));
            let parity = !even || relayed.port() % 2 == 0;
            parity && self.is_free(relayed) && (!pair || next.is_some_and(|next| self.is_free(next)))
        })
    }

    /// Sets aside the port after that of `relayed`.
    pub(super) fn reserve_next(&mut self, relayed: SocketAddr) -> [u8; 8] {
        let mut token = [0; 8];
        self.random.fill_bytes(&mut token);
        let relayed = SocketAddr::new(relayed.ip(), relayed.port() + 1);
        let expires = self.now + RESERVATION_LIFETIME;
        self.reservations.insert(token, Reservation { relayed, expires });
        token
    }
}
