//! The way up: the four-way handshake, by one side or by both at once. RFC 9260 section 5.

use rand::Rng;
use wigwag_proto::{Instant, Random};

use super::transmit::Reply;
use super::{Association, Peer, Phase, Then};
use crate::handshake::{Cookie, Refused};
use crate::packet::chunk::{CAUSE_STALE_COOKIE, ERROR, Format, INIT_ACK, SHUTDOWN_ACK, causes};
use crate::packet::init::{Init, stale_cookie_cause};
use crate::receive::Receive;
use crate::{CloseReason, Config, Event};

/// Streams that we ask for and allow: all. RFC 8831 section 6.2.
const STREAMS: u16 = 65_535;

/// A verification tag, which is never zero.
pub(super) fn tag(random: &mut Random) -> u32 {
    random.next_u32().max(1)
}

impl Association {
    /// Starts the handshake. Both sides may, at once or not; one that doesn't just answers.
    pub fn connect(&mut self, now: Instant) {
        self.advance(now);
        if self.phase != Phase::New || self.closing {
            return;
        }
        if let Some(init) = self.remote_init.take() {
            self.skip_handshake(init);
        } else {
            self.phase = Phase::CookieWait;
            self.due.init = true;
        }
    }

    /// What our INIT and INIT ACK say.
    pub(super) fn local_init(&self) -> Init {
        Init {
            tag: self.local_tag,
            a_rwnd: u32::try_from(self.receive_window()).unwrap_or(u32::MAX),
            outbound_streams: STREAMS,
            inbound_streams: STREAMS,
            initial_tsn: self.local_tsn,
            reconfig: true,
            forward_tsn: true,
            interleaving: self.config.interleaving,
            zero_checksum: self.config.zero_checksum,
        }
    }

    /// Large enough for one whole message, or it would never be whole.
    pub(super) fn receive_window(&self) -> usize {
        self.config.receive_window.max(self.config.max_message_size.saturating_add(64 << 10)).min(1 << 30)
    }

    /// Answers with a cookie, and keeps nothing. Sections 5.1, 5.2.1 and 5.2.2.
    pub(super) fn handle_init(&mut self, now: Instant, value: &[u8]) {
        let Some(received) = Init::parse(value) else { return self.stats.malformed += 1 };
        let mut local = self.local_init();
        let mut tie_tags = (0, 0);
        match self.phase {
            Phase::Closed => return,
            // The same tag and TSN as in our own INIT, so that both handshakes make one association.
            // And if the peer does not know that it could do without: the same, too.
            Phase::New | Phase::CookieWait => {}
            Phase::Established if self.unproven => {}
            Phase::CookieEchoed => tie_tags = self.tags(),
            Phase::ShutdownAckSent => {
                self.due.shutdown_ack = true; // section 9.2
                return;
            }
            _ => {
                tie_tags = self.tags();
                local.tag = tag(&mut self.random);
                local.initial_tsn = self.random.next_u32();
            }
        }
        let cookie =
            Cookie { created: now, local_tag: local.tag, local_tsn: local.initial_tsn, peer: received.init, tie_tags };
        let cookie = cookie.seal(self.provider, &self.secret);
        let value = local.to_value(Some(&cookie), &received.unrecognized);
        self.due.reply(Reply { tag: received.init.tag, kind: INIT_ACK, flags: 0, value });
    }

    fn tags(&self) -> (u32, u32) {
        (self.local_tag, self.peer.as_ref().map_or(0, |peer| peer.tag))
    }

    pub(super) fn handle_init_ack(&mut self, now: Instant, value: &[u8]) {
        let Some(received) = Init::parse(value) else { return self.stats.malformed += 1 };
        let Some(cookie) = received.cookie else { return self.stats.malformed += 1 };
        self.meet(received.init, cookie.to_vec());
        self.phase = Phase::CookieEchoed;
        self.due.init = false;
        self.due.cookie_echo = true;
        self.timers.setup = None;
        self.errors = 0;
        if self.heartbeat.is_none() {
            self.send.rtt.hint(self.due.init_sent.take().map(|sent| now - sent));
        }
    }

    /// The peer is known, and data can be numbered.
    pub(super) fn meet(&mut self, init: Init, cookie: Vec<u8>) {
        let format = if self.config.interleaving && init.interleaving { Format::Interleaved } else { Format::Data };
        let receive = self.new_receive(init.initial_tsn, format);
        let zero_checksum = self.config.zero_checksum && init.zero_checksum;
        self.peer = Some(Peer { tag: init.tag, streams: init.inbound_streams.into(), zero_checksum, cookie, receive });
        self.send.start(self.local_tsn, init.a_rwnd, init.forward_tsn, format);
        self.reconfig.start(self.local_tsn, init.initial_tsn, init.reconfig);
    }

    /// Sections 5.1 and 5.2.4.
    pub(super) fn handle_cookie_echo(&mut self, now: Instant, verification_tag: u32, value: &[u8]) -> Then {
        let (cookie, stale) = match Cookie::open(value, self.provider, &self.secret, now) {
            Ok(cookie) => (cookie, None),
            Err(Refused::Stale(cookie, by)) => (cookie, Some(by)),
            Err(Refused::Forged) => {
                self.stats.bad_cookie += 1;
                return Then::Stop;
            }
        };
        if cookie.local_tag != verification_tag {
            self.stats.bad_tag += 1;
            return Then::Stop;
        }
        let local_matches = cookie.local_tag == self.local_tag;
        let peer_matches = self.peer.as_ref().is_some_and(|peer| peer.tag == cookie.peer.tag);
        if let Some(by) = stale
            && !(local_matches && peer_matches)
        {
            self.stats.bad_cookie += 1;
            let value = stale_cookie_cause(by.as_micros().try_into().unwrap_or(u32::MAX));
            self.due.reply(Reply { tag: cookie.peer.tag, kind: ERROR, flags: 0, value });
            return Then::Stop;
        }
        match (self.phase, local_matches, peer_matches) {
            (Phase::Closed, ..) => Then::Stop,
            // Our own INIT ACK of before; or case B: both sent INIT, and the peer's overtook what we knew of it.
            (Phase::New | Phase::CookieWait, true, _) => {
                self.meet(cookie.peer, Vec::new());
                self.acknowledge_cookie()
            }
            (Phase::CookieEchoed, true, false) | (Phase::Established, true, false)
                if self.phase == Phase::CookieEchoed || self.unproven =>
            {
                self.send.repeat_all();
                self.meet_again(cookie.peer);
                self.acknowledge_cookie()
            }
            // Case D: the usual end of a handshake by both sides, or a COOKIE ACK that was lost.
            (_, true, true) => self.acknowledge_cookie(),
            // Case A: the peer begins anew. Over DTLS there is no way back to what it knew.
            (_, false, false) if cookie.tie_tags == self.tags() && cookie.tie_tags.1 != 0 => {
                if self.phase == Phase::ShutdownAckSent {
                    let value = Vec::new();
                    self.due.reply(Reply { tag: cookie.peer.tag, kind: SHUTDOWN_ACK, flags: 0, value });
                    return Then::Stop;
                }
                self.finish(CloseReason::PeerRestarted);
                Then::Stop
            }
            // Case C, and whatever else does not fit: too late.
            _ => Then::Stop,
        }
    }

    fn new_receive(&self, peers_initial_tsn: u32, format: Format) -> Receive {
        let Config { max_message_size, sack_delay, .. } = self.config;
        Receive::new(peers_initial_tsn, format, self.receive_window(), max_message_size, sack_delay)
    }

    /// Another tag and TSN than the INIT ACK had told; what we sent keeps its numbers.
    fn meet_again(&mut self, init: Init) {
        let receive = self.new_receive(init.initial_tsn, self.send.format());
        if let Some(peer) = &mut self.peer {
            peer.tag = init.tag;
            peer.streams = init.inbound_streams.into();
            peer.zero_checksum = self.config.zero_checksum && init.zero_checksum;
            peer.receive = receive;
        }
        self.reconfig.start(self.local_tsn, init.initial_tsn, init.reconfig);
    }

    fn acknowledge_cookie(&mut self) -> Then {
        self.due.cookie_ack = true;
        if self.phase == Phase::CookieWait || self.phase == Phase::New {
            self.phase = Phase::CookieEchoed;
        }
        self.establish();
        Then::GoOn
    }

    /// The handshake is over, unless it was before.
    pub(super) fn establish(&mut self) {
        if self.phase != Phase::CookieEchoed {
            return;
        }
        self.phase = Phase::Established;
        tracing::debug!("association established");
        (self.due.init, self.due.cookie_echo) = (false, false);
        self.timers.setup = None;
        self.timers.heartbeat = Some(self.now + self.config.heartbeat_interval);
        self.errors = 0;
        if let Some(peer) = &mut self.peer {
            peer.cookie = Vec::new();
        }
        self.events.push_back(Event::Connected);
        self.assign_streams();
        if self.closing {
            self.begin_shutdown();
        }
        self.settle();
    }

    /// A stale cookie is fetched anew. Section 5.2.6.
    pub(super) fn handle_setup_error(&mut self, value: &[u8]) {
        if causes(value).any(|cause| cause == CAUSE_STALE_COOKIE) {
            self.phase = Phase::CookieWait;
            (self.due.cookie_echo, self.due.init) = (false, true);
            self.timers.setup = None;
            self.count_setup_attempt();
        }
    }

    /// T1 expired. Section 5.1.
    pub(super) fn setup_timed_out(&mut self) {
        match self.phase {
            Phase::CookieWait => self.due.init = true,
            Phase::CookieEchoed => {
                self.due.cookie_echo = true;
                self.send.repeat_all();
            }
            _ => return,
        }
        self.count_setup_attempt();
    }

    fn count_setup_attempt(&mut self) {
        self.errors += 1;
        self.due.init_sent = None;
        if self.config.max_init_retransmits.is_some_and(|max| self.errors > max) {
            self.finish(CloseReason::TimedOut);
        }
    }
}
