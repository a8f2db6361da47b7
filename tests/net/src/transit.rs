//! The way of a datagram: from its host over one road after the other, until it arrives.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip128::SipHasher13;
use wigwag_proto::{Instant, Route, Transmit, UdpPath};

use crate::network::{Network, Owner};
use crate::packet::{Arrivals, Packet};
use crate::realm::Realm;
use crate::road::{Passage, Served};
use crate::stats::{Delivery, HostId, Sent, TooBig, Verdict};

/// Names a road of the network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoadId(pub usize);

/// What will happen inside the network.
pub(crate) enum Event {
    /// A line is free, and packets wait.
    Serve(RoadId, Realm),
}

impl Network {
    /// Sends a batch: `bytes` are what [`TransmitBuffer::bytes`](wigwag_proto::TransmitBuffer::bytes) gives for
    /// `transmit`. The sender is the host that has the address. (Streams are not simulated; what goes there is counted in
    /// [`Stats::unroutable`](crate::Stats::unroutable).)
    pub fn send(&mut self, now: Instant, transmit: &Transmit, bytes: &[u8]) {
        let Route::Udp(path) = transmit.route else {
            self.stats.unroutable += 1;
            return;
        };
        let (realm, from) = self.sender(path.local.ip());
        for datagram in bytes.chunks(transmit.segment_size.max(1)) {
            self.put_on_wire(now, realm, path, transmit.ecn, datagram, from.is_some(), from);
        }
    }

    /// Sends a datagram from any address, one's own or not: what an attacker can do.
    pub fn inject(&mut self, now: Instant, path: UdpPath, ecn: u8, bytes: &[u8]) {
        self.put_on_wire(now, Realm::INTERNET, path, ecn, bytes, true, None);
    }

    /// Where an address is, and the host that has it, if that is up.
    fn sender(&self, address: IpAddr) -> (Realm, Option<HostId>) {
        match self.owner(Realm::INTERNET, address) {
            Some(Owner::Host(host)) => (Realm::INTERNET, Some(host)),
            _ => (Realm::INTERNET, None),
        }
    }

    #[expect(clippy::too_many_arguments)]
    fn put_on_wire(
        &mut self,
        now: Instant,
        realm: Realm,
        path: UdpPath,
        ecn: u8,
        bytes: &[u8],
        has_sender: bool,
        from: Option<HostId>,
    ) {
        // What happened before, so that queues are as they are now.
        self.advance(now);
        let number = self.stats.sent;
        self.stats.sent += 1;
        self.stats.bytes_sent += bytes.len() as u64;
        hash(&mut self.hasher, now, path, ecn, bytes);
        let verdict = match self.filter.as_mut() {
            None => Verdict::Pass,
            Some(filter) => filter(&Sent { number, at: now, path, bytes }),
        };
        let is_dropped = self.scripted.contains(&number) || verdict == Verdict::Drop;
        if is_dropped {
            self.stats.dropped += 1;
        } else if !has_sender {
            self.stats.unroutable += 1;
        }
        // Even then it goes, as a ghost, so that the others meet the same fate as without.
        let is_ghost = is_dropped || !has_sender;
        let origin = from.map(|host| (host, path));
        self.launch(now, realm, Packet { path, bytes: bytes.to_vec(), ecn, origin, is_ghost });
    }

    /// Puts a packet on the road to where it is addressed to.
    fn launch(&mut self, now: Instant, realm: Realm, packet: Packet) {
        let (from, to) = (packet.path.local.ip(), packet.path.remote.ip());
        let id = self.road_id(realm, from, to);
        let link = self.link_of(id, realm, from, to);
        self.enter(now, id, &link, realm, packet);
    }

    fn enter(&mut self, now: Instant, id: RoadId, link: &crate::Link, realm: Realm, packet: Packet) {
        let Some(road) = self.roads.get_mut(id.0) else { return };
        let passage = road.enter(now, link, packet);
        self.collect_counts(id);
        match passage {
            Passage::Passed(packet, arrivals) => self.spread(realm, packet, arrivals),
            Passage::Waits(Some(at)) => {
                // An idle line takes it at once.
                if at <= now {
                    self.serve(now, id, realm);
                } else {
                    self.inner.push(at, Event::Serve(id, realm));
                }
            }
            Passage::Waits(None) => {}
            Passage::Lost(packet) => self.stats.lost += u64::from(!packet.is_ghost),
            Passage::QueueFull(packet) => self.stats.queue_full += u64::from(!packet.is_ghost),
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
    fn spread(&mut self, realm: Realm, packet: Packet, arrivals: Arrivals) {
        if packet.is_ghost {
            return;
        }
        self.stats.reordered += u64::from(arrivals.is_reordered);
        self.stats.duplicated += u64::from(arrivals.extra);
        for copy in 1..=arrivals.extra {
            self.schedule_arrival(arrivals.first + arrivals.step * copy, realm, packet.clone());
        }
        self.schedule_arrival(arrivals.first, realm, packet);
    }

    fn schedule_arrival(&mut self, at: Instant, realm: Realm, packet: Packet) {
        self.arrivals.push(at, (realm, packet));
    }

    fn serve(&mut self, now: Instant, id: RoadId, realm: Realm) {
        loop {
            let Some(served) = self.roads.get_mut(id.0).map(|road| road.serve(now)) else { return };
            self.collect_counts(id);
            match served {
                Served::Passed(packet, arrivals) => self.spread(realm, packet, arrivals),
                Served::Dropped(packet) => self.stats.queue_dropped += u64::from(!packet.is_ghost),
                Served::Nothing(Some(at)) => return self.inner.push(at, Event::Serve(id, realm)),
                Served::Nothing(None) => return,
            }
        }
    }

    /// Lets happen what happens inside the network until `now`.
    fn advance(&mut self, now: Instant) {
        while let Some((at, event)) = self.inner.pop(now) {
            match event {
                Event::Serve(id, realm) => self.serve(at, id, realm),
            }
        }
    }

    /// When [`deliver`](Self::deliver) is to be called: something arrives then, or moves on inside the network (so it may turn
    /// out that nothing has arrived). `None`: nothing is under way.
    pub fn next_arrival(&self) -> Option<Instant> {
        let next = [self.arrivals.next(), self.inner.next(), self.notices.next()];
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
            let (_, (realm, Packet { path, bytes, ecn, .. })) = self.arrivals.pop(now)?;
            let Some(Owner::Host(to)) = self.owner(realm, path.remote.ip()) else {
                self.stats.unroutable += 1;
                continue;
            };
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
