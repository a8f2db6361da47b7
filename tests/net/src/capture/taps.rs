//! Where a network captures.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wigwag_proto::{Instant, UdpPath};

use super::{Capture, Direction, InterfaceId};
use crate::network::Network;
use crate::packet::Packet;
use crate::realm::Realm;
use crate::stats::HostId;
use crate::transit::RoadId;

/// A capture, and the places where it is made.
#[derive(Default)]
pub(crate) struct Taps {
    capture: Capture,
    hosts: BTreeMap<HostId, InterfaceId>,
    roads: BTreeMap<RoadId, InterfaceId>,
}

/// Captures.
///
/// ```
/// use wigwag_net::Network;
/// use wigwag_proto::{Instant, UdpPath};
///
/// let mut network = Network::new(1);
/// let alice = network.add_host(["10.0.0.1".parse()?]);
/// let bob = network.add_host(["10.0.0.2".parse()?]);
/// network.capture_host(alice, "alice");
/// network.capture_host(bob, "bob");
///
/// let path = UdpPath { local: "10.0.0.2:5000".parse()?, remote: "10.0.0.1:5000".parse()? };
/// network.inject(Instant::from_micros(0), path, 0, b"as if from bob");
/// assert!(network.deliver(Instant::NEVER).is_some());
/// let file = network.capture().unwrap().to_pcapng();
/// // std::fs::write("failed.pcapng", file)?;
/// # assert!(file.len() > 100);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
impl Network {
    /// Captures what a host sends and what comes to it, from now on, as an interface of this name.
    pub fn capture_host(&mut self, host: HostId, name: &str) {
        let taps = self.taps.get_or_insert_default();
        let interface = taps.capture.add_interface(name);
        taps.hosts.insert(host, interface);
    }

    /// Captures what comes to the link from one address of the internet to another, also what is then lost there.
    pub fn capture_link(&mut self, from: IpAddr, to: IpAddr, name: &str) {
        let id = self.road_id(Realm::INTERNET, from, to);
        self.capture_road(id, name);
    }

    /// Captures what comes to the access link of a NAT, in both directions: going up before, coming down after translation.
    pub fn capture_access_link(&mut self, realm: Realm, name: &str) {
        for (id, direction) in self.access_roads(realm).into_iter().flatten().zip(["up", "down"]) {
            self.capture_road(id, &format!("{name} {direction}"));
        }
    }

    fn capture_road(&mut self, id: RoadId, name: &str) {
        let taps = self.taps.get_or_insert_default();
        let interface = taps.capture.add_interface(name);
        taps.roads.insert(id, interface);
    }

    /// What was captured so far; `None` if nothing was to be.
    pub fn capture(&self) -> Option<&Capture> {
        self.taps.as_ref().map(|taps| &taps.capture)
    }

    /// The same, to be given keys or another limit.
    pub fn capture_mut(&mut self) -> Option<&mut Capture> {
        self.taps.as_mut().map(|taps| &mut taps.capture)
    }

    pub(crate) fn see_at_host(&mut self, at: Instant, host: HostId, direction: Direction, packet: &Packet) {
        let Some(taps) = &mut self.taps else { return };
        if let Some(interface) = taps.hosts.get(&host) {
            let Packet { path, ecn, ref bytes, .. } = *packet;
            taps.capture.add_packet(at, *interface, direction, path, ecn, bytes);
        }
    }

    pub(crate) fn see_on_road(&mut self, at: Instant, id: RoadId, packet: &Packet) {
        let Some(taps) = self.taps.as_mut().filter(|_| !packet.is_ghost) else { return };
        if let Some(interface) = taps.roads.get(&id) {
            let (path, ecn): (UdpPath, u8) = (packet.path, packet.ecn);
            taps.capture.add_packet(at, *interface, Direction::Out, path, ecn, &packet.bytes);
        }
    }
}
