//! The verbs: what comes in, what goes out, and when to come back.

use wigwag_dtls::Dtls;
use wigwag_ice::EndpointEvent;
use wigwag_proto::{Input, Instant, Received, Request, Transmit, TransmitBuffer, UdpPath};

use super::{Ending, PeerConnection};
use crate::event::{Event, Message};
use crate::state::ConnectionState;

/// How soon a loop comes back that left transmits behind. See [`PeerConnection::poll_timeout`].
const LEFT_BEHIND: std::time::Duration = std::time::Duration::from_millis(1);

/// A packet this close to the MTU was filled: what follows it has the same length. (Chunks are padded to four bytes.)
const FILLED: usize = 16;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams written.
    pub datagrams_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Datagrams that came in.
    pub datagrams_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Datagrams dropped: neither STUN nor DTLS nor RTP (RFC 7983).
    pub dropped_unknown: u64,
    /// DTLS datagrams dropped: from an address that ICE has not validated.
    pub dropped_unvalidated: u64,
    /// RTP and RTCP packets dropped: from an address that ICE has not validated, not authentic, replayed, or before there
    /// were keys (beyond the few that are kept for them).
    pub dropped_media: u64,
    /// RTP packets that SRTP refused to protect: mostly since their sequence number had been sent before.
    pub refused_media: u64,
}

impl PeerConnection {
    /// What arrived. RFC 7983 says by the first byte what a datagram is.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.touch(now);
        match input {
            Input::Datagrams(received) => self.handle_datagrams(now, received),
            Input::WallClock(wall_clock) => {
                self.media.set_wall_clock(now, wall_clock);
                self.ice.handle_input(now, Input::WallClock(wall_clock));
            }
            other => self.ice.handle_input(now, other),
        }
        // What came through a relay's stream.
        while let Some((path, mut payload)) = self.ice.poll_payload() {
            self.handle_payload(now, path, &mut payload);
        }
        self.follow_up(now);
    }

    fn handle_datagrams(&mut self, now: Instant, received: Received<'_>) {
        let path = received.path;
        for datagram in received.datagrams() {
            self.stats.datagrams_received += 1;
            self.stats.bytes_received += datagram.len() as u64;
            match datagram.first() {
                _ if self.ice.is_mdns_socket(path.local) => self.ice.handle_packet(now, path, datagram),
                Some(0..=3 | 64..=79) => self.handle_stun(now, path, datagram),
                _ => self.handle_payload(now, path, datagram),
            }
        }
    }

    /// STUN, or what a relay has wrapped.
    fn handle_stun(&mut self, now: Instant, path: UdpPath, datagram: &mut [u8]) {
        let Some((relayed, range)) = self.ice.open_relayed(path, datagram) else {
            return match datagram.first() {
                Some(0..=3) => self.ice.handle_packet(now, path, datagram),
                _ => self.stats.dropped_unknown += 1,
            };
        };
        match datagram.get_mut(range) {
            Some([0..=3, ..]) => self.ice.handle_packet(now, path, datagram),
            Some(payload) => self.handle_payload(now, relayed, payload),
            None => {}
        }
    }

    fn handle_payload(&mut self, now: Instant, path: UdpPath, datagram: &mut [u8]) {
        match datagram.first() {
            Some(20..=63) => self.handle_dtls(now, path, datagram),
            Some(128..=191) => self.handle_media(now, path, datagram),
            _ => self.stats.dropped_unknown += 1,
        }
    }

    /// DTLS counts only from where an authenticated check came: a stranger can't start a handshake. The plaintext of
    /// each record is the association's packet, decrypted where it was received.
    fn handle_dtls(&mut self, now: Instant, path: UdpPath, datagram: &mut [u8]) {
        if !self.ice.is_validated(path) {
            self.stats.dropped_unvalidated += 1;
            return;
        }
        self.dtls_path = Some(path);
        let Self { dtls, sctp, .. } = self;
        let mut is_payload = false;
        dtls.open(now, datagram, |packet| {
            is_payload = true;
            sctp.handle_packet(now, packet);
        });
        if is_payload {
            self.ice.payload_received(now, path);
        }
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.touch(now);
        self.ice.handle_timeout(now);
        if self.path().is_some() {
            self.dtls.handle_timeout(now);
            self.sctp.handle_timeout(now);
            self.media.handle_timeout(now);
        }
        self.follow_up(now);
        self.settled = true;
    }

    /// Fills `out` with datagrams of one size for one destination; `None`: nothing to send now.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.last = self.last.max(now);
        out.start();
        let transmit = self.write_batch(now, out);
        self.hasten_the_end(now);
        if let Some(transmit) = &transmit {
            self.stats.datagrams_sent += transmit.len.div_ceil(transmit.segment_size.max(1)) as u64;
            self.stats.bytes_sent += transmit.len as u64;
        }
        transmit
    }

    fn write_batch(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        if let Some(transmit) = self.ice.poll_transmit(now, out) {
            return Some(transmit);
        }
        let wire = self.ice.wire(self.path()?)?;
        let outer = wire.overhead();
        if self.dtls.can_transmit() {
            let segment = out.segment(self.mtu)?;
            let room = outer.inside(segment)?;
            let len = self.dtls.write_packet(now, room)?;
            self.keep_farewell(now, room.get(..len)?);
            let len = wire.frame(segment, len)?;
            out.push(len);
            return out.finish(wire.route());
        }
        if let Some(farewell) = &mut self.farewell {
            let segment = out.segment(self.mtu)?;
            let len = farewell.datagram.len();
            let room = outer.inside(segment)?.get_mut(..len)?;
            if std::mem::take(&mut farewell.is_due) {
                room.copy_from_slice(&farewell.datagram);
                let len = wire.frame(segment, len)?;
                out.push(len);
            }
            return out.finish(wire.route());
        }
        if !self.dtls.is_connected() {
            return None;
        }
        if self.write_media(now, wire, out) {
            return out.finish(wire.route());
        }
        let overhead = self.dtls.overhead() + outer;
        let mtu = self.mtu.min(self.payload_mtu + outer.total());
        while let Some(segment) = out.segment(mtu) {
            let Some(room) = overhead.inside(segment) else { break };
            let Some(len) = self.sctp.write_packet(now, room) else { break };
            let Some(record) = outer.inside(segment) else { break };
            let Some(len) = self.dtls.seal(record, len) else { break };
            let Some(len) = wire.frame(segment, len) else { break };
            out.push(len);
            // Behind a packet that is not full comes only what fits into its length; longer ones get a batch of their own.
            let room = len.saturating_sub(overhead.total());
            if len + FILLED < mtu && self.sctp.next_packet_len().is_none_or(|next| next > room) {
                break;
            }
        }
        out.finish(wire.route())
    }

    /// Where DTLS goes: where ICE says, or, while it has not decided, where the peer's came from.
    pub(super) fn path(&self) -> Option<UdpPath> {
        self.ice.selected_path().or_else(|| self.dtls_path.filter(|&path| self.ice.is_validated(path)))
    }

    /// What happened. Taking a message makes room for others, and so can let something be sent.
    pub fn poll_event(&mut self) -> Option<Event> {
        // What arrived before the end is heard before the end.
        if let Some(event) = self.poll_state_event() {
            return Some(event);
        }
        if let Some(event) = self.poll_media_event() {
            return Some(event);
        }
        while let Some(event) = self.sctp.poll_event() {
            self.settled &= !self.can_transmit();
            if let Some(event) = self.channel_event(event) {
                return Some(event);
            }
        }
        self.events.pop_front()
    }

    /// What happened apart from data channels: states, candidates. For who leaves messages where they are for a while;
    /// [`poll_event`](Self::poll_event) gives these first, too. That the connection closed comes after the last message,
    /// and only from there.
    pub fn poll_state_event(&mut self) -> Option<Event> {
        let is_last = |event: &Event| matches!(event, Event::ConnectionStateChange(ConnectionState::Closed));
        self.events.front().is_some_and(|event| !is_last(event)).then(|| self.events.pop_front())?
    }

    fn channel_event(&mut self, event: wigwag_sctp::Event) -> Option<Event> {
        use wigwag_sctp::Event as Sctp;
        match event {
            Sctp::ChannelOpened(id) if self.sctp.channel(id).is_some_and(|channel| channel.remote) => {
                Some(Event::DataChannel(id))
            }
            Sctp::ChannelOpened(id) => Some(Event::ChannelOpen(id)),
            Sctp::Message { channel, kind, data } => {
                let message = Message { is_text: kind == wigwag_sctp::PayloadKind::Text, data };
                Some(Event::Message { channel, message })
            }
            Sctp::BufferedAmountLow(id) => Some(Event::BufferedAmountLow(id)),
            Sctp::Writable => Some(Event::Writable),
            Sctp::ChannelClosed(id) => Some(Event::ChannelClosed(id)),
            Sctp::Closed { reason } => {
                self.association_closed(reason);
                None
            }
            _ => None, // `Connected` is told as the channels' opening
        }
    }

    /// What the adaptor is asked to do besides moving datagrams.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.ice.poll_request()
    }

    /// What an [`Endpoint`](crate::Endpoint) must know to route to this connection.
    pub fn poll_endpoint_event(&mut self) -> Option<EndpointEvent> {
        self.ice.poll_endpoint_event()
    }

    /// When to come back; `None`: only when something arrives or is asked for. O(1).
    ///
    /// While a transmit could be polled, this is the time of the last call; once
    /// [`handle_timeout`](Self::handle_timeout) has seen them, a millisecond later: a loop that does not poll is slow,
    /// but neither stuck nor busy. Events that nobody has taken do not count.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ending = match self.ending {
            Ending::Flushing(at) | Ending::Farewell(at) => Some(at),
            Ending::Open => None,
            Ending::Closed => return self.can_transmit().then_some(self.last + LEFT_BEHIND),
        };
        // Without a path, nothing that waits above it can leave: a device is not woken for that, and when there is a path again,
        // what is overdue goes out at once.
        let above = || {
            let media = self.srtp.as_ref().and_then(|_| self.media.poll_timeout());
            [self.dtls.poll_timeout(), self.sctp.poll_timeout(), media].into_iter().flatten().min()
        };
        let above = self.path().and_then(|_| above());
        let timer = [self.ice.poll_timeout(), above, ending].into_iter().flatten().min();
        if !self.can_transmit() {
            return timer;
        }
        let soon = if self.settled { self.last + LEFT_BEHIND } else { self.last };
        Some(timer.map_or(soon, |timer| timer.min(soon)))
    }

    /// Whether [`Self::poll_transmit`] would give something.
    fn can_transmit(&self) -> bool {
        let Self { dtls, sctp, .. } = self;
        let above = |dtls: &Dtls| match &self.farewell {
            Some(farewell) => dtls.can_transmit() || farewell.is_due,
            None => dtls.can_transmit() || dtls.is_connected() && (sctp.can_transmit() || self.can_transmit_media()),
        };
        self.ice.can_transmit() || above(dtls) && self.path().is_some()
    }

    /// Something is about to change: whoever waits for a deadline should ask again.
    pub(super) fn touch(&mut self, now: Instant) {
        self.last = self.last.max(now);
        self.settled = false;
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
