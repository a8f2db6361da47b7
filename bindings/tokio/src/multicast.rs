//! Sockets that hear a multicast group (mDNS). Its port belongs to all programs of the host, and here to all connections:
//! each link has one socket, and what comes in by it goes to every connection that asked for it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wigwag::ConnectionId;

use crate::socket::Socket;

/// RFC 6762 section 11.
const HOPS: u32 = 255;

/// The links that are listened to, by the address of their interface and the group's port.
#[derive(Debug, Default)]
pub(crate) struct Groups(HashMap<SocketAddr, Group>);

#[derive(Debug)]
struct Group {
    socket: Arc<Socket>,
    members: Vec<ConnectionId>,
}

impl Groups {
    /// One more connection listens to `group` on the link of `interface`: where it will come in, and the socket, if that is new.
    ///
    /// # Errors
    /// When the system makes no such socket.
    pub fn join(
        &mut self,
        id: ConnectionId,
        group: SocketAddr,
        interface: IpAddr,
    ) -> io::Result<(SocketAddr, Option<Arc<Socket>>)> {
        let local = SocketAddr::new(interface, group.port());
        if let Some(known) = self.0.get_mut(&local) {
            if !known.members.contains(&id) {
                known.members.push(id);
            }
            return Ok((local, None));
        }
        let socket = Socket::of_group(bind(group, interface)?, local)?;
        self.0.insert(local, Group { socket: Arc::clone(&socket), members: vec![id] });
        Ok((local, Some(socket)))
    }

    /// A connection listens there no more; the socket, if nobody else does.
    pub fn leave(&mut self, id: ConnectionId, local: SocketAddr) -> Option<Arc<Socket>> {
        let group = self.0.get_mut(&local)?;
        group.members.retain(|&member| member != id);
        if !group.members.is_empty() {
            return None;
        }
        self.0.remove(&local).map(|group| group.socket)
    }

    /// Who listens at `local`; `None` if that is no group's.
    pub fn members(&self, local: SocketAddr) -> Option<&[ConnectionId]> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&local).map(|group| group.members.as_slice())
    }
}

fn bind(group: SocketAddr, interface: IpAddr) -> io::Result<std::net::UdpSocket> {
    let (domain, protocol) = (socket2::Domain::for_address(group), Some(socket2::Protocol::UDP));
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, protocol)?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    match (group.ip(), interface) {
        (IpAddr::V4(group), IpAddr::V4(interface)) => {
            // What other sockets of this host joined is theirs.
            #[cfg(any(target_os = "android", target_os = "linux"))]
            socket.set_multicast_all_v4(false)?;
            socket.join_multicast_v4(&group, &interface)?;
            socket.set_multicast_if_v4(&interface)?;
            socket.set_multicast_ttl_v4(HOPS)?;
        }
        (IpAddr::V6(group), IpAddr::V6(_)) => {
            let index = index_of(interface)?;
            socket.set_only_v6(true)?;
            #[cfg(any(target_os = "android", target_os = "linux"))]
            socket.set_multicast_all_v6(false)?;
            socket.join_multicast_v6(&group, index)?;
            socket.set_multicast_if_v6(index)?;
            socket.set_multicast_hops_v6(HOPS)?;
        }
        _ => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the group and the interface are of two families"));
        }
    }
    let any = match interface {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    };
    socket.bind(&SocketAddr::new(any, group.port()).into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The number of the interface that has this address.
fn index_of(address: IpAddr) -> io::Result<u32> {
    let interfaces = if_addrs::get_if_addrs()?;
    let found =
        interfaces.into_iter().find(|interface| interface.ip() == address).and_then(|interface| interface.index);
    found.ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no interface has this address"))
}
