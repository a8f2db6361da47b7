//! Names in place of addresses: those in the other side's candidates are looked up, and ours hide our addresses, if the
//! configuration says so. See [`mdns`](crate::mdns).
//!
//! The multicast sockets are asked for when they are first needed, one on the link of each address that has a host candidate.
//! An adaptor that refuses has candidates with names that come to nothing, and all others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wigwag_proto::request::{CloseUdp, JoinMulticast};
use wigwag_proto::{Answer, Outcome, Request, RequestId, UdpPath};

use super::Agent;
use crate::candidate::{Candidate, CandidateAddress, CandidateKind};
use crate::mdns::{GROUP_V4, GROUP_V6, LocalName, Mdns, MdnsEvent, MdnsStats};
use crate::server::TransportPolicy;

/// What is done about names. draft-ietf-mmusic-mdns-ice-candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MdnsPolicy {
    /// Nothing: a candidate with a name is ignored.
    Off,
    /// The other side's are looked up.
    #[default]
    Resolve,
    /// That, and ours stand in place of our host addresses, as browsers do it for pages that may not use the camera.
    Hide,
}

/// A socket of multicast DNS, or none yet.
#[derive(Debug)]
struct Link {
    interface: IpAddr,
    asked: RequestId,
    local: Option<SocketAddr>,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) mdns: Mdns,
    links: Vec<Link>,
    /// Our names, and what they stand for.
    ours: Vec<(IpAddr, LocalName)>,
    /// Candidates of the other side whose names are looked up.
    waiting: Vec<(LocalName, Candidate)>,
}

impl Names {
    fn of(&self, address: IpAddr) -> Option<LocalName> {
        self.ours.iter().find(|(known, _)| *known == address).map(|&(_, name)| name)
    }

    /// Another generation: what the former one was told is of no use.
    pub(super) fn forget_candidates(&mut self) {
        self.waiting.clear();
    }
}

impl Agent {
    /// What multicast DNS sent and received.
    pub fn mdns_stats(&self) -> MdnsStats {
        self.names.mdns.stats()
    }

    /// Whether all that comes in by the socket of this address is for [`handle_packet`](Self::handle_packet), whatever its first byte:
    /// it is one of multicast DNS.
    pub fn is_mdns_socket(&self, local: SocketAddr) -> bool {
        self.names.mdns.is_socket(local)
    }

    /// A candidate of the other side that has a name.
    pub(super) fn look_up(&mut self, name: &str, candidate: Candidate) {
        let is_wanted = self.config.mdns != MdnsPolicy::Off
            && self.config.transport_policy == TransportPolicy::All
            && !self.config.lite
            && self.names.waiting.len() < self.config.max_remote_candidates;
        let name = name.parse::<LocalName>().ok().filter(|_| is_wanted);
        let Some(name) = name.filter(|&name| self.names.mdns.resolve(self.now, name)) else {
            self.stats.candidates_ignored += 1;
            return;
        };
        self.names.waiting.push((name, candidate));
        self.join_links();
    }

    /// The address of a host candidate gets a name, if it is to be hidden.
    pub(super) fn name_host(&mut self, address: IpAddr) {
        if self.config.mdns == MdnsPolicy::Hide && self.names.of(address).is_none() {
            let name = Mdns::random_name(&mut self.random);
            self.names.ours.push((address, name));
            self.names.mdns.publish(self.now, name, address);
        }
        if !self.names.mdns.is_idle() {
            self.join_links();
        }
    }

    /// What stands in a candidate for the address of one of our sockets.
    pub(super) fn shown_address(&self, kind: CandidateKind, local: SocketAddr) -> CandidateAddress {
        let name = self.names.of(local.ip()).filter(|_| kind == CandidateKind::Host);
        name.map_or(CandidateAddress::Socket(local), |name| CandidateAddress::Name(name.to_string(), local.port()))
    }

    /// What stands in a candidate for the address that it is based on.
    pub(super) fn shown_base(&self, base: SocketAddr) -> SocketAddr {
        match self.config.mdns {
            MdnsPolicy::Hide => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            _ => base,
        }
    }

    fn join_links(&mut self) {
        let hosts = self.sockets.iter().filter(|socket| socket.kind == CandidateKind::Host);
        for socket in hosts {
            let interface = socket.local.ip();
            if self.names.links.iter().any(|link| link.interface == interface) {
                continue;
            }
            let asked = self.gatherer.new_id();
            let group = if interface.is_ipv4() { GROUP_V4 } else { GROUP_V6 };
            self.gatherer.requests.push_back(Request::JoinMulticast(JoinMulticast::new(asked, group, interface)));
            self.names.links.push(Link { interface, asked, local: None });
        }
    }

    /// Whether the answer was about a link; otherwise it comes back.
    pub(super) fn handle_link_answer(&mut self, answer: Answer) -> Result<(), Answer> {
        let Some(link) = self.names.links.iter_mut().find(|link| link.asked == answer.id() && link.local.is_none())
        else {
            return Err(answer);
        };
        match answer.into_outcome() {
            Ok(Outcome::Joined(local)) => {
                link.local = Some(local);
                let interface = link.interface;
                self.names.mdns.add_socket(self.now, local, interface);
            }
            Ok(_) => {}
            Err(reason) => tracing::debug!(%reason, interface = %link.interface, "no multicast DNS"),
        }
        Ok(())
    }

    /// A host candidate's socket is gone; the last of its address takes the name and the link along.
    pub(super) fn forget_name(&mut self, address: IpAddr) {
        if self.sockets.iter().any(|socket| socket.local.ip() == address) {
            return;
        }
        for (_, name) in self.names.ours.extract_if(.., |(known, _)| *known == address) {
            self.names.mdns.withdraw(self.now, name);
        }
        for link in self.names.links.extract_if(.., |link| link.interface == address) {
            if let Some(local) = link.local {
                self.names.mdns.remove_socket(local);
                self.gatherer.requests.push_back(Request::CloseUdp(CloseUdp { local }));
            }
        }
    }

    /// Nothing is asked or answered any more.
    pub(super) fn close_names(&mut self) {
        for link in std::mem::take(&mut self.names).links {
            self.gatherer.requests.extend(link.local.map(|local| Request::CloseUdp(CloseUdp { local })));
        }
    }

    pub(super) fn handle_mdns(&mut self, path: UdpPath, datagram: &[u8]) {
        self.names.mdns.handle_packet(self.now, path, datagram);
        self.hear_names();
    }

    pub(super) fn run_name_timers(&mut self) {
        if self.names.mdns.next_at() <= self.now {
            self.names.mdns.handle_timeout(self.now);
            self.hear_names();
        }
    }

    fn hear_names(&mut self) {
        while let Some(event) = self.names.mdns.poll_event() {
            let (MdnsEvent::Resolved(name, _) | MdnsEvent::Unresolved(name)) = event;
            let all = self.names.waiting.extract_if(.., |(known, _)| *known == name).collect::<Vec<_>>();
            for (_, mut candidate) in all {
                match (event, &candidate.address) {
                    (MdnsEvent::Resolved(_, address), &CandidateAddress::Name(_, port)) => {
                        candidate.address = CandidateAddress::Socket(SocketAddr::new(address, port));
                        self.apply_remote_candidate(candidate);
                    }
                    _ => self.stats.candidates_ignored += 1,
                }
            }
        }
    }
}
