//! The way down: SHUTDOWN when everything is delivered, or ABORT. RFC 9260 section 9.

use wigwag_proto::Instant;

use super::transmit::Reply;
use super::{Association, Phase, Then, Timers};
use crate::packet::Packet;
use crate::packet::chunk::{ABORT, CAUSE_USER_ABORT, SHUTDOWN_ACK, SHUTDOWN_COMPLETE};
use crate::packet::init::push_parameter;
use crate::{CloseReason, Event};

impl Association {
    /// Delivers what was accepted, then says goodbye; nothing more can be sent. Ends with [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        if self.phase == Phase::Closed || self.closing {
            return;
        }
        self.closing = true;
        self.send.hurry = true;
        match self.phase {
            Phase::New => self.finish(CloseReason::Local),
            Phase::CookieWait if !self.has_messages() => self.finish(CloseReason::Local),
            Phase::Established => self.begin_shutdown(),
            _ => {}
        }
        self.settle();
    }

    /// Ends at once; the peer is told by an ABORT, what was not delivered is lost.
    pub fn abort(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        if let Some(peer) = &self.peer {
            let mut value = Vec::new();
            push_parameter(&mut value, CAUSE_USER_ABORT, b"");
            self.due.reply(Reply { tag: peer.tag, kind: ABORT, flags: 0, value });
        }
        self.finish(CloseReason::LocalAbort);
    }

    pub(super) fn begin_shutdown(&mut self) {
        self.phase = Phase::ShutdownPending;
    }

    /// The next step, once everything is acknowledged.
    pub(super) fn go_on_shutting_down(&mut self) {
        if !self.send.is_idle() {
            return;
        }
        match self.phase {
            Phase::ShutdownPending => {
                self.phase = Phase::ShutdownSent;
                self.due.shutdown = true;
                self.timers.guard = Some(self.now + self.config.rto_max * 5);
            }
            Phase::ShutdownReceived => {
                self.phase = Phase::ShutdownAckSent;
                self.due.shutdown_ack = true;
                self.stop_heartbeats();
                self.timers.guard = Some(self.now + self.config.rto_max * 5);
            }
            _ => {}
        }
    }

    pub(super) fn handle_shutdown(&mut self, now: Instant, value: &[u8]) {
        self.acknowledge_cumulatively(now, value);
        match self.phase {
            Phase::CookieEchoed => {}
            Phase::Established | Phase::ShutdownPending => {
                self.phase = Phase::ShutdownReceived;
                self.send.hurry = true;
            }
            // Both at once.
            Phase::ShutdownSent => {
                self.phase = Phase::ShutdownAckSent;
                self.due.shutdown = false;
                self.due.shutdown_ack = true;
                self.stop_heartbeats();
                self.timers.shutdown = None;
            }
            Phase::ShutdownAckSent => self.due.shutdown_ack = true,
            _ => {}
        }
    }

    /// The peer may be gone any moment, and would answer a question with an ABORT. Section 8.4.
    fn stop_heartbeats(&mut self) {
        (self.heartbeat, self.timers.heartbeat, self.due.heartbeat) = (None, None, false);
    }

    pub(super) fn handle_shutdown_ack(&mut self) {
        if matches!(self.phase, Phase::ShutdownSent | Phase::ShutdownAckSent) {
            if let Some(peer) = &self.peer {
                let value = Vec::new();
                self.due.reply(Reply { tag: peer.tag, kind: SHUTDOWN_COMPLETE, flags: 0, value });
            }
            self.finish(self.how_it_ended());
        }
    }

    pub(super) fn how_it_ended(&self) -> CloseReason {
        if self.closing { CloseReason::Local } else { CloseReason::Remote }
    }

    /// T2 expired.
    pub(super) fn shutdown_timed_out(&mut self) {
        match self.phase {
            Phase::ShutdownSent => self.due.shutdown = true,
            Phase::ShutdownAckSent => self.due.shutdown_ack = true,
            _ => return,
        }
        self.count_error();
    }

    /// The peer still talks to an association that is over. Sections 8.4 and 8.5.1.
    pub(super) fn answer_after_the_end(&mut self, packet: &Packet<'_>) -> Then {
        // The peer's tag is still known, so that it need not be content with its own reflected (sctp-proto isn't).
        let Some(tag) = self.peer.as_ref().map(|peer| peer.tag) else { return Then::Stop };
        let has = |kind| { packet.chunks }.any(|chunk| chunk.kind == kind);
        let kind = match () {
            () if has(SHUTDOWN_COMPLETE) => return Then::Stop,
            () if has(SHUTDOWN_ACK) => SHUTDOWN_COMPLETE,
            () => ABORT,
        };
        self.due.reply(Reply { tag, kind, flags: 0, value: Vec::new() });
        Then::Stop
    }

    /// Everything is over; what is left is to say so.
    pub(super) fn finish(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        tracing::debug!(?reason, "association closed");
        self.deliver();
        self.phase = Phase::Closed;
        self.timers = Timers::default();
        self.due.nothing_but_replies();
        self.heartbeat = None;
        self.send.stop();
        self.early_messages.clear();
        for slot in self.channels.occupied() {
            if let Some(channel) = self.channels.remove(slot) {
                self.events.push_back(Event::ChannelClosed(channel.id));
            }
        }
        self.events.push_back(Event::Closed { reason });
        self.release_memory();
    }
}
