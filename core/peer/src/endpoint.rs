//! One socket, many connections: says to whom a datagram belongs. Owns none of them.
//!
//! An [`Endpoint`] knows only what connections said of themselves through
//! [`poll_endpoint_event`](crate::PeerConnection::poll_endpoint_event), so a stranger cannot make it grow: addresses are
//! learned after the connection verified MESSAGE-INTEGRITY, and nothing is remembered of a datagram that belongs to
//! nobody. Connections may live anywhere, in tasks or threads of their own; the endpoint knows their [`ConnectionId`].
//!
//! Order of look-up, each O(1):
//! 1. the transaction id of a STUN response: the answer to a check of ours;
//! 2. the user fragment of a STUN request: a check, perhaps from a new address, perhaps from a peer that uses one
//!    socket for several connections to us;
//! 3. the two addresses, for everything else.

use std::collections::{BTreeSet, HashMap};

use wigwag_ice::{EndpointEvent, Key};
use wigwag_proto::UdpPath;
use wigwag_stun::Class;

/// The caller's name for a connection, wherever it lives. Names are not used again: see [`ConnectionSet`](crate::ConnectionSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Two connections had one path in turn; the newer has proved that it owns it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// Who had it before: no datagram of that path reaches it any more. Tell it with
    /// [`handle_displaced`](crate::PeerConnection::handle_displaced).
    pub connection: ConnectionId,
    /// What it had.
    pub path: UdpPath,
}

/// Routes the datagrams of one socket (or of several) to connections.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// use wigwag::{Config, ConnectionId, Endpoint, PeerConnection};
///
/// let mut endpoint = Endpoint::default();
/// let mut connection = PeerConnection::new(Config::new([7; 32]))?;
/// let id = ConnectionId(1);
/// // After each call of a connection's verbs:
/// while let Some(event) = connection.poll_endpoint_event() {
///     endpoint.handle_event(id, event);
/// }
/// // When the connection is gone:
/// endpoint.remove(id);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Endpoint {
    routes: HashMap<Key, ConnectionId>,
    keys: HashMap<ConnectionId, BTreeSet<Key>>,
    unrouted: u64,
}

impl Endpoint {
    /// Learns or forgets a key of the connection `id`, in the order in which the connection told it. Says if another
    /// connection lost its path by that.
    ///
    /// A check may come from a forged address, so what is only [claimed](EndpointEvent::Claimed) by one is granted if
    /// nobody has it; an answer to a check of ours proves where the peer is, and takes the path over.
    pub fn handle_event(&mut self, id: ConnectionId, event: EndpointEvent) -> Option<Displaced> {
        match event {
            EndpointEvent::Claimed(key) if self.routes.get(&key).is_some_and(|&owner| owner != id) => None,
            EndpointEvent::Claimed(key) => self.handle_event(id, EndpointEvent::Learned(key)),
            EndpointEvent::Learned(key) => {
                self.keys.entry(id).or_default().insert(key);
                let before = self.routes.insert(key, id).filter(|&before| before != id)?;
                if let Some(keys) = self.keys.get_mut(&before) {
                    keys.remove(&key);
                }
                match key {
                    Key::Path(path) => Some(Displaced { connection: before, path }),
                    _ => None,
                }
            }
            EndpointEvent::Forgotten(key) => {
                // Only if it is still this connection's: another may have taken it.
                if self.keys.get_mut(&id).is_some_and(|keys| keys.remove(&key)) {
                    self.routes.remove(&key);
                }
                None
            }
        }
    }

    /// Forgets a connection that is gone.
    pub fn remove(&mut self, id: ConnectionId) {
        for key in self.keys.remove(&id).into_iter().flatten() {
            self.routes.remove(&key);
        }
    }

    /// Whose `datagram` this is. O(1). Of a buffer with several, the first speaks for all: the kernel only joins
    /// datagrams that have the same addresses.
    pub fn route(&mut self, path: UdpPath, datagram: &[u8]) -> Option<ConnectionId> {
        let found = self.look_up(path, datagram);
        self.unrouted += u64::from(found.is_none());
        found
    }

    fn look_up(&self, path: UdpPath, datagram: &[u8]) -> Option<ConnectionId> {
        let by = |key| self.routes.get(&key).copied();
        let stun = wigwag_stun::routing(datagram);
        if let Some(stun) = &stun
            && matches!(stun.class, Class::Success | Class::Error)
            && let Some(found) = by(Key::Transaction(stun.transaction))
        {
            return Some(found);
        }
        if let Some(fragment) = stun.as_ref().and_then(|stun| stun.local_ufrag)
            && let Ok(fragment) = <[u8; 8]>::try_from(fragment.as_bytes())
            && let Some(found) = by(Key::Fragment(fragment))
        {
            return Some(found);
        }
        by(Key::Path(path))
    }

    /// Datagrams that belonged to nobody.
    pub fn unrouted(&self) -> u64 {
        self.unrouted
    }

    /// Keys that are known now.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}
