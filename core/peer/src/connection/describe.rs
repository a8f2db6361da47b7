//! Offers, answers and candidates; and how an agreement reaches the transports.

use std::net::SocketAddr;

use wigwag_dtls::Role;
use wigwag_ice::{Candidate, CandidateAddress, Credentials, SocketError};
use wigwag_proto::Instant;
use wigwag_sctp::StreamParity;

use super::{Ending, PeerConnection};
use crate::config::Gathering;
use crate::negotiation::{
    AgreedTransport, Agreement, CandidateError, CandidateFor, DescriptionError, DtlsRole, IceCandidate, LocalTransport,
    SdpType, SessionDescription,
};
use crate::state::{IceGatheringState, SignalingState};

impl PeerConnection {
    /// Hands in a UDP socket that is bound to `local`: a host candidate of ours. Datagrams that arrive on it come in with
    /// that address as [`UdpPath::local`](wigwag_proto::UdpPath), and transmits leave by it.
    ///
    /// # Errors
    /// When nobody could send to `local`: a wildcard address is no candidate. Bind to an interface's address, or hand in
    /// one socket for each.
    pub fn add_udp_socket(&mut self, now: Instant, local: SocketAddr) -> Result<(), SocketError> {
        self.touch(now);
        self.ice.add_udp_socket(local)?;
        self.follow_up(now);
        Ok(())
    }

    /// The socket is gone; its candidate is, too.
    pub fn remove_udp_socket(&mut self, now: Instant, local: SocketAddr) {
        self.touch(now);
        self.ice.remove_udp_socket(local);
        self.told.retain(|told| match told {
            CandidateAddress::Socket(told) => *told != local,
            CandidateAddress::Name(_, port) => *port != local.port(),
        });
        self.follow_up(now);
    }

    /// An offer, with the candidates that are known. Nothing changes by it.
    pub fn create_offer(&mut self) -> Result<SessionDescription, DescriptionError> {
        let transport = self.local_transport();
        self.negotiation.create_offer(&transport)
    }

    /// An answer to the peer's offer, with the candidates that are known. Nothing changes by it.
    pub fn create_answer(&mut self) -> Result<SessionDescription, DescriptionError> {
        let transport = self.local_transport();
        let random = &mut self.random;
        self.negotiation.create_answer(&transport, || Credentials::random(random))
    }

    /// Applies the description that was created last. Gathering begins with the first.
    ///
    /// [`SessionDescription::rollback`] takes an offer back, ours or the peer's.
    pub fn set_local_description(
        &mut self,
        now: Instant,
        description: SessionDescription,
    ) -> Result<(), DescriptionError> {
        let before = self.negotiation.state();
        let agreement = self.negotiation.set_local(&description)?;
        self.touch(now);
        if description.kind != SdpType::Rollback {
            self.begin_gathering(now);
        }
        self.described(now, before, agreement);
        Ok(())
    }

    /// Creates the description that is due, an offer or an answer, applies it and returns it: what
    /// `setLocalDescription()` without an argument does.
    pub fn set_local_description_implicitly(&mut self, now: Instant) -> Result<SessionDescription, DescriptionError> {
        let description = match self.negotiation.implicit_kind() {
            SdpType::Answer => self.create_answer()?,
            _ => self.create_offer()?,
        };
        self.set_local_description(now, description.clone())?;
        Ok(description)
    }

    /// Applies a description of the peer's. With an offer of ours pending, an offer of the peer's takes it back
    /// (perfect negotiation: the impolite side does not call this then).
    pub fn set_remote_description(
        &mut self,
        now: Instant,
        description: SessionDescription,
    ) -> Result<(), DescriptionError> {
        let before = self.negotiation.state();
        let agreement = self.negotiation.set_remote(&description, &mut self.random)?;
        self.touch(now);
        self.described(now, before, agreement);
        Ok(())
    }

    fn described(&mut self, now: Instant, before: SignalingState, agreement: Option<Agreement>) {
        if let Some(agreement) = agreement {
            self.apply(now, agreement);
        }
        if self.negotiation.has_rejected_data() {
            self.sctp.abort(); // whoever waits for a channel is told
        }
        self.tell_tracks();
        self.signaling_changed(before);
        self.follow_up(now);
    }

    fn apply(&mut self, now: Instant, agreement: Agreement) {
        self.apply_lines(now, agreement.lines);
        let Some(AgreedTransport { remote, role, offerer, restart }) = agreement.transport else { return };
        if let Some(credentials) = restart
            && credentials != *self.ice.local_credentials()
        {
            self.ice.restart_with(now, credentials);
        }
        if self.role.is_none() {
            self.role = Some(role);
            // RFC 8445 section 6.1.1: the offerer controls, but a lite agent only when both are.
            let controls = if self.ice_lite == remote.lite { offerer } else { remote.lite };
            self.ice.set_controlling(controls);
            self.ice.set_remote_lite(remote.lite);
            self.dtls.set_remote_fingerprints(remote.fingerprints);
            let even = role == DtlsRole::Client;
            self.sctp.set_role(if even { StreamParity::Even } else { StreamParity::Odd });
        }
        if let Some(sctp) = remote.sctp {
            self.sctp.set_remote_port(sctp.port);
            self.sctp.set_peer_max_message_size(sctp.max_message_size);
            self.has_data = true;
            // Ours went with the description that this one answers, or that answers this one.
            if let Some(init) = sctp.init.filter(|_| self.snap) {
                let taken = self.sctp.set_remote_init_chunk(&init);
                tracing::debug!(?taken, "the peer's INIT came with its description");
            }
            self.connect_sctp(now);
        }
        self.ice.set_remote_credentials(remote.credentials);
        for candidate in remote.candidates {
            if let Ok(candidate) = candidate.parse() {
                self.ice.add_remote_candidate(now, candidate);
            }
        }
        if remote.end_of_candidates {
            self.ice.set_remote_end_of_candidates();
        }
    }

    /// ICE has measured the path: so long a flight of the handshake and its answer take.
    pub(super) fn seed_dtls_timers(&mut self) {
        if !self.dtls.is_connected()
            && let Some(round_trip_time) = self.path().and_then(|path| self.ice.round_trip_time_of(path))
        {
            self.dtls.set_round_trip_time(round_trip_time);
        }
    }

    /// Begins DTLS: a server at once, since the peer's first flight may come with its checks; a client when there is a
    /// path to send on.
    pub(super) fn start_dtls(&mut self, now: Instant) {
        let role = match self.role {
            _ if self.dtls_started => return,
            Some(DtlsRole::Server) => Role::Server,
            Some(DtlsRole::Client) if self.path().is_some() => Role::Client,
            _ => return,
        };
        self.dtls_started = true;
        self.dtls.start(now, role);
    }

    fn begin_gathering(&mut self, now: Instant) {
        let Some(described) = self.negotiation.local_credentials() else { return };
        // A restart looks for what there is now: it may be why there is a restart. RFC 8445 section 9.
        let is_restart = described != self.ice.local_credentials();
        if self.states.gathering != IceGatheringState::New && !is_restart {
            return;
        }
        self.set_gathering_state(IceGatheringState::Gathering);
        match self.gathering {
            Gathering::Interfaces => self.ice.gather(now),
            Gathering::Sockets if self.has_servers => self.ice.gather_from_servers(now),
            // All that there is was handed in; a socket that comes later is told as it comes.
            Gathering::Sockets => self.gathered(),
        }
    }

    /// Our description, pending or current, with the candidates that are known by now.
    pub fn local_description(&self) -> Option<SessionDescription> {
        self.negotiation.local_description(&self.local_transport())
    }

    /// The peer's description, pending or current, as it came: without the candidates that followed it.
    pub fn remote_description(&self) -> Option<SessionDescription> {
        self.negotiation.remote_description()
    }

    /// A candidate of the peer's. One with an empty `candidate` says that there are no more.
    ///
    /// Candidates that have a name which is not an address (mDNS) or another transport than UDP are taken and not used.
    pub fn add_ice_candidate(&mut self, now: Instant, candidate: &IceCandidate) -> Result<(), CandidateError> {
        let text = &candidate.candidate;
        let parsed = match text.is_empty() {
            true => None,
            false => Some(text.parse::<Candidate>().map_err(|error| CandidateError::Syntax(error.to_string()))?),
        };
        if self.negotiation.check_candidate(candidate)? != CandidateFor::Agent {
            return Ok(());
        }
        self.touch(now);
        match parsed {
            Some(candidate) => self.ice.add_remote_candidate(now, candidate),
            None => self.ice.set_remote_end_of_candidates(),
        }
        self.follow_up(now);
        Ok(())
    }

    /// Asks for new ICE credentials, and so for new checks, with the next offer. The path that is in use stays in use
    /// until a new one is nominated.
    pub fn restart_ice(&mut self) {
        if self.ending != Ending::Open || !self.negotiation.has_local() {
            return;
        }
        self.negotiation.want_restart(Credentials::random(&mut self.random));
        self.check_negotiation_needed();
    }

    /// Our INIT, while it may take the handshake's place; and as long as it has done so, since a later description may not differ.
    fn sctp_init(&self) -> Option<Vec<u8>> {
        let is_of_use = self.snap && (!self.sctp_started || self.sctp.skips_handshake());
        is_of_use.then(|| self.sctp.local_init_chunk())
    }

    fn local_transport(&self) -> LocalTransport {
        LocalTransport {
            credentials: self.ice.local_credentials().clone(),
            lite: self.ice_lite,
            fingerprint: self.fingerprint.clone(),
            max_message_size: self.max_message_size,
            sctp_init: self.sctp_init(),
            candidates: self.ice.local_candidates().collect(),
            end_of_candidates: self.states.gathering == IceGatheringState::Complete,
        }
    }
}
