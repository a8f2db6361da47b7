//! How what the transports report becomes states and events; and how a connection ends.

use std::time::Duration;

use wigwag_ice::ConnectionState as AgentState;
use wigwag_proto::{Instant, UdpPath};
use wigwag_sctp::CloseReason;

use super::{Ending, Farewell, PeerConnection};
use crate::event::Event;
use crate::negotiation::IceCandidate;
use crate::state::{
    ConnectionState, DtlsTransportState, Failure, IceConnectionState, IceGatheringState, SignalingState,
};

/// How long the farewell may wait to be polled.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);
/// The farewell is one datagram that nobody acknowledges. Without it the peer waits half a minute for consent to run
/// out, so copies follow; a peer that has it takes them for replays.
const FAREWELL_COPIES: u8 = 2;
const FAREWELL_INTERVAL: Duration = Duration::from_millis(20);

impl PeerConnection {
    /// Draws the consequences of whatever happened: called at the end of every verb that changes something.
    pub(super) fn follow_up(&mut self, now: Instant) {
        self.hear_ice();
        self.seed_dtls_timers();
        self.start_dtls(now);
        while let Some(event) = self.dtls.poll_event() {
            match event {
                wigwag_dtls::Event::Connected { srtp, .. } => {
                    self.states.dtls = DtlsTransportState::Connected;
                    self.start_srtp(now, srtp);
                    self.connect_sctp(now);
                }
                wigwag_dtls::Event::Failed(reason) => {
                    self.states.dtls = DtlsTransportState::Failed;
                    self.failure.get_or_insert(Failure::Dtls(reason.to_string()));
                    self.sctp.abort();
                }
                // The peer said goodbye: authenticated, or it would not be here.
                wigwag_dtls::Event::Closed => {
                    self.states.dtls = DtlsTransportState::Closed;
                    self.sctp.abort();
                    self.end(now);
                }
                _ => {}
            }
        }
        if self.dtls_started && self.states.dtls == DtlsTransportState::New {
            self.states.dtls = DtlsTransportState::Connecting;
        }
        self.mind_the_association(now);
        self.move_to_the_end(now);
        self.connection_changed();
    }

    fn hear_ice(&mut self) {
        while let Some(event) = self.ice.poll_event() {
            match event {
                wigwag_ice::Event::LocalCandidate(candidate) => self.untold.push_back(candidate),
                wigwag_ice::Event::CandidateError { url, local, code, text } => {
                    let (address, error_code, error_text) = (local, code, text);
                    self.events.push_back(Event::IceCandidateError { url, address, error_code, error_text });
                }
                wigwag_ice::Event::GatheringComplete => self.gathered(),
                wigwag_ice::Event::StateChanged(state) => self.ice_changed(state),
                _ => {} // the selected path is asked for where it is needed
            }
        }
        self.tell_candidates();
    }

    /// Data channels can be used once they were agreed on and the secure channel is there.
    pub(super) fn connect_sctp(&mut self, now: Instant) {
        if self.has_data && self.dtls.is_connected() && !self.sctp_started {
            self.sctp_started = true;
            self.sctp.connect(now);
        }
    }

    /// A connection that can carry nothing is over: where data channels are all that there is, without their association;
    /// else, when everything was stopped.
    fn mind_the_association(&mut self, now: Instant) {
        let is_closed = || self.sctp.state() == wigwag_sctp::State::Closed;
        let has_media = || self.negotiation.transceivers().any(|it| it.current_direction.is_some());
        let is_over = self.has_data && self.dtls.is_connected() && is_closed() && !has_media();
        if is_over && self.ending == Ending::Open {
            self.say_goodbye(now);
        }
    }

    fn ice_changed(&mut self, state: AgentState) {
        self.states.ice = match state {
            AgentState::New => IceConnectionState::New,
            AgentState::Checking => IceConnectionState::Checking,
            AgentState::Connected => IceConnectionState::Connected,
            AgentState::Completed => IceConnectionState::Completed,
            AgentState::Disconnected => IceConnectionState::Disconnected,
            AgentState::Failed => {
                self.failure.get_or_insert(Failure::NoPath);
                IceConnectionState::Failed
            }
            AgentState::Closed => IceConnectionState::Closed,
        };
        if matches!(state, AgentState::Connected | AgentState::Completed) && self.failure == Some(Failure::NoPath) {
            self.failure = None; // a restart found one
        }
        self.events.push_back(Event::IceConnectionStateChange(self.states.ice));
    }

    fn connection_changed(&mut self) {
        let connection = match self.ending {
            Ending::Open => ConnectionState::of(self.states.ice, self.states.dtls),
            Ending::Closed => ConnectionState::Closed,
            Ending::Flushing(_) | Ending::Farewell(_) => return,
        };
        if self.states.connection != connection {
            self.states.connection = connection;
            self.events.push_back(Event::ConnectionStateChange(connection));
        }
    }

    pub(super) fn signaling_changed(&mut self, before: SignalingState) {
        let state = self.negotiation.state();
        if state != before {
            self.events.push_back(Event::SignalingStateChange(state));
        }
        if state == SignalingState::Stable {
            self.negotiation_needed = false;
            self.check_negotiation_needed();
        }
    }

    /// Tells once that an offer should be made. webrtc-pc section 4.7.3.
    pub(super) fn check_negotiation_needed(&mut self) {
        let is_needed = self.negotiation.is_needed();
        if is_needed && !self.negotiation_needed {
            self.events.push_back(Event::NegotiationNeeded);
        }
        self.negotiation_needed = is_needed;
    }

    pub(super) fn set_gathering_state(&mut self, state: IceGatheringState) {
        if self.states.gathering != state {
            self.states.gathering = state;
            self.events.push_back(Event::IceGatheringStateChange(state));
        }
    }

    /// All candidates are known: told as an empty one (RFC 8838 section 13), then as a state.
    pub(super) fn gathered(&mut self) {
        if self.states.gathering != IceGatheringState::Gathering {
            return;
        }
        self.tell_candidates();
        if let Some(end) = self.trickled(String::new()) {
            self.events.push_back(Event::IceCandidate(end));
        }
        self.set_gathering_state(IceGatheringState::Complete);
    }

    /// Candidates are told once there is a description that they belong to.
    fn tell_candidates(&mut self) {
        if self.untold.is_empty() || self.states.gathering == IceGatheringState::New {
            return;
        }
        let Some(credentials) = self.negotiation.local_credentials().cloned() else { return };
        while let Some(mut candidate) = self.untold.pop_front() {
            // The agent tells of its sockets again when it restarts; in the description of the restart they are already.
            if self.told.contains(&candidate.address) {
                continue;
            }
            self.told.push(candidate.address.clone());
            candidate.ufrag = Some(credentials.ufrag.clone());
            if let Some(candidate) = self.trickled(candidate.to_string()) {
                self.events.push_back(Event::IceCandidate(candidate));
            }
        }
    }

    fn trickled(&self, candidate: String) -> Option<IceCandidate> {
        let (sdp_mid, index) = self.negotiation.transport_section()?;
        let username_fragment = Some(self.negotiation.local_credentials()?.ufrag.clone());
        Some(IceCandidate { candidate, sdp_mid, sdp_m_line_index: Some(index), username_fragment })
    }

    pub(super) fn association_closed(&mut self, reason: CloseReason) {
        if reason == CloseReason::TimedOut {
            self.failure.get_or_insert(Failure::Sctp("the peer stopped answering".to_owned()));
        }
    }

    /// Ends the connection: what was accepted is still delivered, for as long as [`Config::close_timeout`] allows; then
    /// the peer is told (close_notify), and nothing is sent any more. `ConnectionStateChange(Closed)` comes at the end.
    ///
    /// Go on polling until then; or drop the connection to leave without a word.
    ///
    /// [`Config::close_timeout`]: crate::Config::close_timeout
    pub fn close(&mut self, now: Instant) {
        if self.ending != Ending::Open {
            return;
        }
        self.touch(now);
        let before = self.negotiation.state();
        self.negotiation.close();
        self.signaling_changed(before);
        self.ending = Ending::Flushing(now + self.close_timeout);
        self.follow_up(now);
    }

    /// Whether the connection has ended: nothing more will be sent, and it can be dropped.
    pub fn is_closed(&self) -> bool {
        self.ending == Ending::Closed
    }

    fn move_to_the_end(&mut self, now: Instant) {
        if let Ending::Flushing(deadline) = self.ending {
            if !self.is_waiting_to_speak() {
                self.sctp.close(now);
                self.media.close(now);
            }
            if self.is_flushed() || deadline <= now {
                self.say_goodbye(now);
            }
        }
        let Ending::Farewell(deadline) = self.ending else { return };
        let is_speechless = self.path().is_none() || self.farewell.is_none();
        if !is_speechless && deadline > now {
            return;
        }
        match &mut self.farewell {
            Some(farewell) if !is_speechless && !farewell.datagram.is_empty() && farewell.copies < FAREWELL_COPIES => {
                farewell.copies += 1;
                farewell.is_due = true;
                self.ending = Ending::Farewell(now + FAREWELL_INTERVAL);
            }
            _ => self.end(now),
        }
    }

    /// What was just written may have been the last: then the next step is due now, as a timeout, so that its events are
    /// taken by loops that take events after timers and before they wait.
    pub(super) fn hasten_the_end(&mut self, now: Instant) {
        match self.ending {
            Ending::Flushing(_) if self.is_flushed() => self.ending = Ending::Flushing(now),
            Ending::Farewell(_) if self.path().is_none() => self.ending = Ending::Farewell(now),
            _ => {}
        }
    }

    /// What DTLS writes while we leave is the farewell: kept, for the copies.
    pub(super) fn keep_farewell(&mut self, now: Instant, datagram: &[u8]) {
        if let Some(farewell) = &mut self.farewell {
            farewell.datagram = datagram.to_vec();
            self.ending = Ending::Farewell(now + FAREWELL_INTERVAL);
        }
    }

    fn say_goodbye(&mut self, now: Instant) {
        self.sctp.abort();
        self.dtls.close(now);
        self.farewell = Some(Farewell::default());
        self.ending = Ending::Farewell(now + FAREWELL_PATIENCE);
    }

    /// Something was accepted before the connection was up, and it may still come up.
    fn is_waiting_to_speak(&self) -> bool {
        let is_coming_up = self.role.is_some()
            && matches!(
                self.states.ice,
                IceConnectionState::New
                    | IceConnectionState::Checking
                    | IceConnectionState::Connected
                    | IceConnectionState::Completed
            )
            && matches!(self.states.dtls, DtlsTransportState::New | DtlsTransportState::Connecting);
        is_coming_up && self.sctp.has_unsent()
    }

    /// Nothing that was accepted is left, or nobody is there to take it.
    fn is_flushed(&self) -> bool {
        let can_speak = self.dtls.is_connected() && self.path().is_some();
        match can_speak {
            true => {
                let has_said_all = !self.sctp.can_transmit() && !self.can_transmit_media();
                has_said_all && (!self.sctp_started || self.sctp.state() == wigwag_sctp::State::Closed)
            }
            false => !self.is_waiting_to_speak(),
        }
    }

    /// Nothing is sent from here on.
    fn end(&mut self, now: Instant) {
        if self.ending == Ending::Closed {
            return;
        }
        self.ending = Ending::Closed;
        self.farewell = None;
        let before = self.negotiation.state();
        self.negotiation.close();
        self.signaling_changed(before);
        if self.states.dtls != DtlsTransportState::Failed {
            self.states.dtls = DtlsTransportState::Closed;
        }
        self.ice.close(now);
        self.hear_ice();
    }

    /// Another connection has proved that it owns `path` now ([`Endpoint`](crate::Endpoint) routes there): its DTLS does
    /// not arrive here any more. If the peer is there all the same, the next check or consent that it answers proves
    /// that, and takes the path back. (Two connections between the same two sockets can't be told apart, and take turns:
    /// give one of them another socket.)
    pub fn handle_displaced(&mut self, now: Instant, path: UdpPath) {
        self.touch(now);
        self.ice.displace(path);
        if self.dtls_path == Some(path) {
            self.dtls_path = None;
        }
        self.follow_up(now);
    }
}
