//! What is written, and in which order: SACK, then control chunks, then as much data as there is room for.

use wigwag_proto::Instant;

use super::{Association, Phase};
use crate::packet::chunk::{
    CAUSE_UNRECOGNIZED_CHUNK, COOKIE_ACK, COOKIE_ECHO, ERROR, HEARTBEAT, HEARTBEAT_ACK, INIT, SHUTDOWN, SHUTDOWN_ACK,
};
use crate::packet::{Checksum, Writer, init};

/// Answers that travel alone and may wait; more are dropped, as if they were lost.
const MAX_REPLIES: usize = 4;

/// Control chunks that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Due {
    replies: Vec<Reply>,
    pub init: bool,
    /// When the only INIT so far left.
    pub init_sent: Option<Instant>,
    pub cookie_echo: bool,
    pub cookie_ack: bool,
    pub shutdown: bool,
    pub shutdown_ack: bool,
    pub heartbeat: bool,
    pub heartbeat_ack: Option<Vec<u8>>,
    /// A chunk to be reported.
    pub unrecognized: Vec<u8>,
}

/// A packet of one chunk, under a tag of its own.
#[derive(Debug)]
pub(super) struct Reply {
    pub tag: u32,
    pub kind: u8,
    pub flags: u8,
    pub value: Vec<u8>,
}

impl Due {
    pub fn reply(&mut self, reply: Reply) {
        if self.replies.len() < MAX_REPLIES {
            self.replies.push(reply);
        }
    }

    pub fn nothing_but_replies(&mut self) {
        *self = Self { replies: std::mem::take(&mut self.replies), ..Self::default() };
    }

    /// Chunks that only an established association sends.
    fn any(&self) -> bool {
        self.cookie_ack
            || self.shutdown
            || self.shutdown_ack
            || self.heartbeat
            || self.heartbeat_ack.is_some()
            || !self.unrecognized.is_empty()
    }
}

impl Association {
    /// Whether [`Self::write_packet`] would write, given a room of at least 1,200 bytes. Exact, O(1).
    pub fn can_transmit(&self) -> bool {
        if !self.due.replies.is_empty() {
            return true;
        }
        match self.phase {
            Phase::New | Phase::Closed => false,
            Phase::CookieWait => self.due.init,
            Phase::CookieEchoed => self.due.cookie_echo,
            _ => self.control_is_due() || self.sack_is_due() || self.send.can_transmit(),
        }
    }

    fn control_is_due(&self) -> bool {
        self.due.any() || self.reconfig.is_due() || self.send.forward_due()
    }

    fn sack_is_due(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.receive.sack_due())
    }

    /// Writes the next packet into `room`, whose length is the packet size to be used; returns the packet's length. While
    /// there is data for more than one packet, each fills the room up to a multiple of four, so that a batch has one size.
    ///
    /// Rooms should not become smaller: a chunk that was sent keeps its length, and if it was lost, waits for a packet that is long
    /// enough ([`Stats::chunks_too_long`](crate::Stats::chunks_too_long)). Everything else goes on.
    pub fn write_packet(&mut self, now: Instant, room: &mut [u8]) -> Option<usize> {
        self.advance(now);
        if !self.can_transmit() {
            return None;
        }
        let mut packet = Writer::new(room)?;
        // When both sides start, the COOKIE ECHO goes before the INIT ACK: the first packet of a batch sets the room of the others, and
        // data should fit behind the cookie.
        let cookie_first = self.phase == Phase::CookieEchoed && self.due.cookie_echo;
        let mut checksum = Checksum::Crc32c;
        let tag = if let Some(reply) = self.due.replies.first().filter(|_| !cookie_first) {
            packet.chunk_of(reply.kind, reply.flags, &reply.value);
            self.due.replies.remove(0).tag
        } else if self.phase == Phase::CookieWait {
            self.write_init(now, &mut packet);
            0
        } else {
            // RFC 9653 section 5.2: a COOKIE ECHO has its checksum, as has an INIT.
            let may_be_zero = !(self.phase == Phase::CookieEchoed && self.due.cookie_echo);
            self.write_chunks(now, &mut packet);
            let peer = self.peer.as_ref()?;
            if may_be_zero && peer.zero_checksum {
                checksum = Checksum::Zero;
            }
            peer.tag
        };
        if packet.is_empty() {
            return None;
        }
        self.stats.packets_sent += 1;
        Some(packet.finish(self.config.local_port, self.config.remote_port, tag, checksum))
    }

    /// How long the next packet is at least, if it is one of new data and nothing else: whether it can follow in a batch
    /// whose packets are not full. `None`: give it all the room that there is. O(1).
    pub fn next_packet_len(&self) -> Option<usize> {
        let only_data = self.phase == Phase::Established && !self.control_is_due() && !self.sack_is_due();
        self.send.next_chunk_len().filter(|_| only_data).map(|len| crate::packet::HEADER + len)
    }

    fn write_init(&mut self, now: Instant, packet: &mut Writer<'_>) {
        let value = self.local_init().to_value(None, &[]);
        packet.chunk_of(INIT, 0, &value);
        self.due.init = false;
        self.due.init_sent = (self.errors == 0).then_some(now);
        self.timers.setup = Some(now + self.setup_timeout());
    }

    fn setup_timeout(&self) -> std::time::Duration {
        (self.config.rto_initial * (1 << self.errors.min(8))).min(self.config.rto_max)
    }

    fn write_chunks(&mut self, now: Instant, packet: &mut Writer<'_>) {
        let setup_timeout = self.setup_timeout();
        let sending = self.control_is_due() || self.send.can_transmit();
        let Some(peer) = &mut self.peer else { return };
        if self.due.cookie_echo {
            // First in its packet, but data may follow: a channel opens half a round trip earlier. RFC 9260 section 5.1.
            packet.chunk_of(COOKIE_ECHO, 0, &peer.cookie);
            self.due.cookie_echo = false;
            self.timers.setup = Some(now + setup_timeout);
        } else {
            if self.due.cookie_ack {
                packet.chunk_of(COOKIE_ACK, 0, &[]);
                self.due.cookie_ack = false;
            }
            peer.receive.write_sack(sending, packet);
            self.write_control(now, packet);
        }
        self.send.write_data(now, packet);
        if self.send.forward_due() {
            self.send.write_forward_tsn(now, packet);
        }
        if packet.is_empty() {
            // What was to be sent has expired, or does not fit this path: the promise of `can_transmit` is kept by a SACK.
            self.owe_sack();
            if let Some(peer) = &mut self.peer {
                peer.receive.write_sack(true, packet);
            }
        }
        self.settle();
        self.stir();
    }

    fn write_control(&mut self, now: Instant, packet: &mut Writer<'_>) {
        if let Some(value) = self.due.heartbeat_ack.take()
            && !packet.chunk_of(HEARTBEAT_ACK, 0, &value)
        {
            self.due.heartbeat_ack = Some(value);
        }
        if !self.due.unrecognized.is_empty() {
            let mut value = Vec::new();
            let chunk = std::mem::take(&mut self.due.unrecognized);
            init::push_parameter(&mut value, CAUSE_UNRECOGNIZED_CHUNK, &chunk);
            packet.chunk_of(ERROR, 0, &value);
        }
        if let Some((nonce, _)) = self.heartbeat.filter(|_| self.due.heartbeat) {
            self.heartbeat = Some((nonce, now));
            let value = init::heartbeat(nonce, now.as_micros() as u32);
            self.due.heartbeat = !packet.chunk_of(HEARTBEAT, 0, &value);
        }
        if self.reconfig.is_due() {
            self.reconfig.write(now, self.send.rtt.rto(), self.send.last_tsn(), packet);
        }
        self.send.write_forward_tsn(now, packet);
        if self.due.shutdown {
            let cumulative = self.peer.as_ref().map_or(0, |peer| peer.receive.cumulative());
            self.due.shutdown = !packet.chunk_of(SHUTDOWN, 0, &cumulative.to_be_bytes());
            self.timers.shutdown = Some(now + self.send.rtt.rto());
        }
        if self.due.shutdown_ack {
            self.due.shutdown_ack = !packet.chunk_of(SHUTDOWN_ACK, 0, &[]);
            self.timers.shutdown = Some(now + self.send.rtt.rto());
        }
    }
}
