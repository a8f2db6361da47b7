//! The way of a datagram: from its host over one road after the other, until it arrives.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip128::SipHasher13;
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

use crate::capture::Direction;
use crate::link::Link;
use crate::network::{Network, Owner};
use crate::packet::{Arrivals, Packet};
use crate::realm::Realm;
use crate::road::{Passage, Served};
use crate::stats::{Delivery, HostId, Sent, TooBig, Verdict};

/// Names a road of the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoadId(pub usize);

/// Where a road ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At the address that the packet says, in this realm.
    Address(Realm),
    /// At the NAT of this realm, coming from inside.
    Nat(Realm),
}

/// Who listens to a multicast group.
pub(crate) struct Member {
    host: HostId,
    realm: Realm,
    local: SocketAddr,
}

/// What will happen inside the network.
pub(crate) enum Event {
    /// A line is free, and packets wait.
    Serve(RoadId, End),
    /// A packet comes to a NAT.
    Arrive(End, Packet),
    /// A segment of a stream leaves again.
    Resend(Packet),
}

impl Network {
    /// Sends a batch: `bytes` are what [`TransmitBuffer::bytes`](wigwag_proto::TransmitBuffer::bytes) gives for
    /// `transmit`. The sender is the host that has the address. (Streams belong to a host: [`send_from`](Self::send_from).)
    pub fn send(&mut self, now: Instant, transmit: &Transmit, bytes: &[u8]) {
        self.send_batch(now, None, transmit, bytes);
    }

    /// Sends a batch from a certain host: needed where two have the same address, behind two NATs.
    pub fn send_from(&mut self, host: HostId, now: Instant, transmit: &Transmit, bytes: &[u8]) {
        self.send_batch(now, Some(host), transmit, bytes);
    }

    fn send_batch(&mut self, now: Instant, host: Option<HostId>, transmit: &Transmit, bytes: &[u8]) {
        let path = match (transmit.route, host) {
            (Route::Udp(path), _) => path,
            (Route::Stream(id), Some(host)) => return self.send_stream(now, host, id, bytes),
            (Route::Stream(_), None) => {
                self.stats.unroutable += 1;
                return;
            }
        };
        let place = self.realm_of(host, path.local.ip());
        let realm = place.map_or(Realm::INTERNET, |(realm, _)| realm);
        let origin = place.map(|(_, host)| (host, path));
        if path.remote.ip().is_multicast() {
            self.send_to_group(now, realm, origin, transmit, bytes);
            return;
        }
        for datagram in bytes.chunks(transmit.segment_size.max(1)) {
            let packet = Packet {
                path,
                bytes: datagram.to_vec(),
                ecn: transmit.ecn,
                origin,
                is_ghost: origin.is_none(),
                segment: None,
            };
            self.put_on_wire(now, realm, packet);
        }
    }

    /// A copy for each who joined the group in this realm, but not for the sender's own host. A realm is one link in that respect.
    fn send_to_group(
        &mut self,
        now: Instant,
        realm: Realm,
        origin: Option<(HostId, UdpPath)>,
        transmit: &Transmit,
        bytes: &[u8],
    ) {
        let Some((sender, path)) = origin else {
            self.stats.unroutable += 1;
            return;
        };
        let is_other = |member: &&Member| member.realm == realm && member.host != sender;
        let members = self.groups.get(&path.remote).into_iter().flatten().filter(is_other);
        for remote in members.map(|member| member.local).collect::<Vec<_>>() {
            let path = UdpPath { local: path.local, remote };
            for datagram in bytes.chunks(transmit.segment_size.max(1)) {
                let (bytes, ecn, origin) = (datagram.to_vec(), transmit.ecn, Some((sender, path)));
                self.put_on_wire(now, realm, Packet { path, bytes, ecn, origin, is_ghost: false, segment: None });
            }
        }
    }

    /// A host listens to a group on the link of one of its addresses; where that comes in. `None`: the address is not its own.
    pub(crate) fn join_group(&mut self, host: HostId, group: SocketAddr, interface: IpAddr) -> Option<SocketAddr> {
        let (realm, _) = self.places(host).into_iter().find(|(_, address)| *address == interface)?;
        let local = SocketAddr::new(interface, group.port());
        let members = self.groups.entry(group).or_default();
        if !members.iter().any(|member| (member.host, member.local) == (host, local)) {
            members.push(Member { host, realm, local });
        }
        Some(local)
    }

    /// It listens there no more.
    pub(crate) fn leave_groups(&mut self, host: HostId, local: SocketAddr) {
        for members in self.groups.values_mut() {
            members.retain(|member| (member.host, member.local) != (host, local));
        }
    }

    /// Sends a datagram from any address of the internet, one's own or not: what an attacker can do.
    pub fn inject(&mut self, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8]) {
        let packet = Packet { path, bytes: bytes.to_vec(), ecn, origin: None, is_ghost: false, segment: None };
        self.put_on_wire(now, Realm::INTERNET, packet);
    }

    /// A ghost is what nobody may send.
    fn put_on_wire(&mut self, now: Instant, realm: Realm, mut packet: Packet) {
        // What happened before, so that queues are as they are now.
        self.advance(now);
        let number = self.stats.sent;
        self.count_sent(now, &packet);
        let Packet { path, ref bytes, .. } = packet;
        let verdict = match self.filter.as_mut() {
            None => Verdict::Pass,
            Some(filter) => filter(&Sent { number, at: now, path, bytes, is_stream: false }),
        };
        if self.scripted.contains(&number) || verdict == Verdict::Drop {
            self.stats.dropped += 1;
            // Even then it goes on, so that the others meet the same fate as without.
            packet.is_ghost = true;
        } else if packet.is_ghost {
            self.stats.unroutable += 1;
        }
        if let Some((host, _)) = packet.origin {
            self.see_at_host(now, host, Direction::Out, &packet);
        }
        self.launch(now, realm, packet);
    }

    pub(crate) fn count_sent(&mut self, now: Instant, packet: &Packet) {
        self.stats.sent += 1;
        self.stats.bytes_sent += packet.bytes.len() as u64;
        hash(&mut self.hasher, now, packet.path, packet.ecn, &packet.bytes);
    }

    /// Puts a packet on the road to where it is addressed to.
    pub(crate) fn launch(&mut self, now: Instant, realm: Realm, packet: Packet) {
        let (from, to) = (packet.path.local.ip(), packet.path.remote.ip());
        let (id, end) = match self.way_out(realm, to) {
            Some(up) => (up, End::Nat(realm)),
            None => (self.road_id(realm, from, to), End::Address(realm)),
        };
        let link = self.link_of(id, realm, from, to);
        self.enter(now, id, &link, end, packet);
    }

    /// Puts a packet on a road.
    pub(crate) fn enter(&mut self, now: Instant, id: RoadId, link: &Link, end: End, packet: Packet) {
        self.see_on_road(now, id, &packet);
        let Some(road) = self.roads.get_mut(id.0) else { return };
        let passage = road.enter(now, link, &self.traces, packet);
        self.collect_counts(id);
        match passage {
            Passage::Passed(packet, arrivals) => self.spread(end, packet, arrivals),
            Passage::Waits(Some(at)) => {
                // An idle line takes it at once.
                if at <= now {
                    self.serve(now, id, end);
                } else {
                    self.inner.push(at, Event::Serve(id, end));
                }
            }
            Passage::Waits(None) => {}
            Passage::Lost(packet) => {
                self.stats.lost += u64::from(!packet.is_ghost);
                self.resend(now, packet);
            }
            Passage::QueueFull(packet) => {
                self.stats.queue_full += u64::from(!packet.is_ghost);
                self.resend(now, packet);
            }
            Passage::TooBig(packet) => {
                self.stats.too_big += u64::from(!packet.is_ghost);
                if let (true, Some((to, path))) = (link.mtu_notice && !packet.is_ghost, packet.origin) {
                    let back = link.delay;
                    self.notices.push(now + back, TooBig { to, path, mtu: link.mtu });
                }
            }
        }
    }

    fn collect_counts(&mut self, id: RoadId) {
        let Some(road) = self.roads.get_mut(id.0) else { return };
        let counts = std::mem::take(&mut road.counts);
        self.stats.marked += counts.marked;
        self.stats.bleached += counts.bleached;
        self.stats.corrupted += counts.corrupted;
    }

    /// A packet, and its copies, are on their way to the end of the road.
    fn spread(&mut self, end: End, packet: Packet, arrivals: Arrivals) {
        if packet.is_ghost {
            return;
        }
        // Whatever link the packets behind it in the queue have, a stream has no copies.
        let extra = if packet.segment.is_some() { 0 } else { arrivals.extra };
        self.stats.reordered += u64::from(arrivals.is_reordered);
        self.stats.duplicated += u64::from(extra);
        for copy in 1..=extra {
            self.schedule_arrival(arrivals.first + arrivals.step * copy, end, packet.clone());
        }
        self.schedule_arrival(arrivals.first, end, packet);
    }

    fn schedule_arrival(&mut self, at: Instant, end: End, packet: Packet) {
        match end {
            End::Address(realm) if packet.segment.is_none() && !self.is_nat(realm, packet.path.remote.ip()) => {
                self.arrivals.push(at, (realm, packet))
            }
            _ => self.inner.push(at, Event::Arrive(end, packet)),
        }
    }

    fn is_nat(&self, realm: Realm, address: IpAddr) -> bool {
        !self.routers.is_empty() && matches!(self.owners.get(&(realm, address)), Some(Owner::Nat(_)))
    }

    fn serve(&mut self, now: Instant, id: RoadId, end: End) {
        loop {
            let Some(served) = self.roads.get_mut(id.0).map(|road| road.serve(now, &self.traces)) else { return };
            self.collect_counts(id);
            match served {
                Served::Passed(packet, arrivals) => self.spread(end, packet, arrivals),
                Served::Dropped(packet) => {
                    self.stats.queue_dropped += u64::from(!packet.is_ghost);
                    self.resend(now, packet);
                }
                Served::Nothing(Some(at)) => return self.inner.push(at, Event::Serve(id, end)),
                Served::Nothing(None) => return,
            }
        }
    }

    /// Lets happen what happens inside the network until `now`.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some((at, event)) = self.inner.pop(now) {
            match event {
                Event::Serve(id, end) => self.serve(at, id, end),
                Event::Resend(packet) => self.put_segment(at, packet),
                Event::Arrive(_, packet) if packet.segment.is_some() => self.segment_arrived(at, packet),
                Event::Arrive(End::Nat(realm), packet) => self.go_out(at, realm, packet),
                Event::Arrive(End::Address(realm), packet) => match self.owner(realm, packet.path.remote.ip()) {
                    Some(Owner::Nat(behind)) => self.come_in(at, behind, packet),
                    // It was a NAT's address when the packet left.
                    _ => self.arrivals.push(at, (realm, packet)),
                },
            }
        }
    }

    /// When [`deliver`](Self::deliver) is to be called: something arrives then, or moves on inside the network (so it may turn
    /// out that nothing has arrived). `None`: nothing is under way.
    pub fn next_arrival(&self) -> Option<Instant> {
        let next = [self.arrivals.next(), self.inner.next(), self.notices.next(), self.streams.next()];
        next.into_iter().flatten().min()
    }

    /// The next datagram that has arrived by `now`. Call it until it gives `None`.
    pub fn deliver(&mut self, now: Instant) -> Option<Delivery> {
        loop {
            self.advance(self.arrivals.next().map_or(now, |at| at.min(now)));
            // What happened inside may be of use before `now` only.
            if self.arrivals.next().is_none_or(|at| at > now) {
                return None;
            }
            let (at, (realm, packet)) = self.arrivals.pop(now)?;
            let to = match self.owner(realm, packet.path.remote.ip()) {
                Some(Owner::Host(to)) => to,
                Some(Owner::Nat(behind)) => {
                    self.come_in(at, behind, packet);
                    continue;
                }
                None => {
                    self.stats.unroutable += 1;
                    continue;
                }
            };
            self.see_at_host(at, to, Direction::In, &packet);
            let Packet { path, bytes, ecn, .. } = packet;
            self.stats.delivered += 1;
            return Some(Delivery { to, path: path.reversed(), bytes, ecn });
        }
    }

    /// The next notice of a packet that was too big, if there is one by `now`. Only links with
    /// [`mtu_notice`](crate::Link::mtu_notice) give any.
    pub fn poll_notice(&mut self, now: Instant) -> Option<TooBig> {
        self.notices.pop(now).map(|(_, notice)| notice)
    }
}

fn hash(hasher: &mut SipHasher13, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8]) {
    hasher.write(&now.as_micros().to_le_bytes());
    for end in [path.local, path.remote] {
        hash_address(hasher, end);
    }
    hasher.write(&[ecn]);
    hasher.write(&(bytes.len() as u64).to_le_bytes());
    hasher.write(bytes);
}

fn hash_address(hasher: &mut SipHasher13, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hasher.write(&ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.write(&address.port().to_le_bytes());
}
