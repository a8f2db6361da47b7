//! Where the protocols meet: the only place that knows more than one of them.
//!
//! - this file: the connection and what it is made of;
//! - [`verbs`](self): `handle_input`, `poll_transmit` and the other verbs, a packet's whole way;
//! - `describe`: offers, answers and candidates, and how an agreement reaches the transports;
//! - `channels`: data channels;
//! - `media`: audio and video: transceivers, packets in and out, SRTP;
//! - `progress`: how what the transports report becomes states and events, and how a connection ends.

mod channels;
mod describe;
mod media;
mod progress;
mod verbs;

use std::collections::VecDeque;

use rand::Rng;
use wigwag_crypto::Provider;
use wigwag_dtls::{Certificate, CertificateError, Dtls, Fingerprint};
use wigwag_ice::{Agent, Candidate, CandidateAddress, MAX_RELAY_OVERHEAD, ServerKind};
use wigwag_proto::{Instant, Random, Route, UdpPath, random};
use wigwag_rtp::srtp::SrtpSession;
use wigwag_sctp::Association;

use crate::config::{Config, Gathering};
use crate::event::Event;
use crate::negotiation::{DtlsRole, Negotiation};
use crate::state::{
    ConnectionState, DtlsTransportState, Failure, IceConnectionState, IceGatheringState, SignalingState,
};

pub use channels::{ChannelInit, DataChannel};
pub use media::{MediaDropped, MediaStats, WriteRtpError};
pub use verbs::Stats;

/// A connection to one peer, shaped after `RTCPeerConnection`, without sockets, clock or threads.
///
/// It is driven by its verbs; see the [crate's page](crate) for a loop. Methods may be called in any order and any
/// number of times: while [`poll_transmit`](Self::poll_transmit) would give something, [`poll_timeout`](Self::poll_timeout)
/// asks to come back at once.
///
/// Two connections in one program, joined by hand:
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// use wigwag::*;
///
/// let now = Instant::from_micros(0);
/// let mut alice = PeerConnection::new(Config::new([1; 32]))?;
/// let mut bob = PeerConnection::new(Config::new([2; 32]))?;
/// alice.add_udp_socket(now, "10.0.0.1:1000".parse()?)?;
/// bob.add_udp_socket(now, "10.0.0.2:2000".parse()?)?;
///
/// let channel = alice.create_data_channel("chat", ChannelInit::default())?;
/// let offer = alice.create_offer()?;
/// alice.set_local_description(now, offer.clone())?;
/// bob.set_remote_description(now, offer)?;
/// let answer = bob.create_answer()?;
/// bob.set_local_description(now, answer.clone())?;
/// alice.set_remote_description(now, answer)?;
///
/// let mut memory = vec![0; 65_507];
/// let mut heard = None;
/// let mut now = now;
/// while heard.is_none() {
///     let mut out = TransmitBuffer::new(&mut memory, 64);
///     for (from, to) in [(0, 1), (1, 0)] {
///         let sides = [&mut alice, &mut bob];
///         while let Some(transmit) = sides[from].poll_transmit(now, &mut out) {
///             let Route::Udp(path) = transmit.route else { continue };
///             let received = Received {
///                 path: path.reversed(),
///                 bytes: out.bytes(&transmit),
///                 segment_size: transmit.segment_size,
///                 ecn: 0,
///             };
///             sides[to].handle_input(now, Input::Datagrams(received));
///         }
///     }
///     while let Some(event) = alice.poll_event() {
///         if let Event::ChannelOpen(id) = event {
///             alice.send(id, Message::text("hello, bob"))?;
///         }
///     }
///     while let Some(event) = bob.poll_event() {
///         if let Event::Message { message, .. } = event {
///             heard = message.as_str().map(str::to_owned);
///         }
///     }
///     now = [alice.poll_timeout(), bob.poll_timeout()].into_iter().flatten().min().unwrap().max(now);
///     alice.handle_timeout(now);
///     bob.handle_timeout(now);
/// }
/// assert_eq!(heard.as_deref(), Some("hello, bob"));
/// # let _ = channel;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PeerConnection {
    random: Random,
    gathering: Gathering,
    has_servers: bool,
    ice_lite: bool,
    mtu: usize,
    /// What is left of it on any path, through a relay or not.
    payload_mtu: usize,
    max_message_size: u64,
    snap: bool,
    close_timeout: std::time::Duration,

    negotiation: Negotiation,
    negotiation_needed: bool,
    ice: Agent,
    dtls: Dtls,
    sctp: Association,
    media: wigwag_media::Session,
    /// The keys of audio and video, once DTLS has made them.
    srtp: Option<SrtpSession>,
    early: media::Early,
    provider: Provider,

    fingerprint: Fingerprint,
    /// Candidates that the application was not told yet, and the addresses of those that it was.
    untold: VecDeque<Candidate>,
    told: Vec<CandidateAddress>,
    role: Option<DtlsRole>,
    dtls_started: bool,
    /// Data channels were agreed on; their association was started.
    has_data: bool,
    sctp_started: bool,
    /// Where DTLS came from while ICE has not selected a path; ICE validated it.
    dtls_path: Option<UdpPath>,

    states: States,
    ending: Ending,
    farewell: Option<Farewell>,
    failure: Option<Failure>,
    events: VecDeque<Event>,
    /// The latest time that any verb was given, and whether `handle_timeout` came after all else.
    last: Instant,
    settled: bool,
    stats: Stats,
}

/// What the application was told last.
#[derive(Clone, Copy, Debug)]
struct States {
    gathering: IceGatheringState,
    ice: IceConnectionState,
    dtls: DtlsTransportState,
    connection: ConnectionState,
}

/// How far [`PeerConnection::close`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It was not called.
    Open,
    /// Accepted messages are on their way; not longer than until then.
    Flushing(Instant),
    /// They arrived, or the time was up: the farewell (close_notify) is due.
    Farewell(Instant),
    /// Nothing is sent any more.
    Closed,
}

/// The last datagram, and its copies.
#[derive(Debug, Default)]
struct Farewell {
    datagram: Vec<u8>,
    copies: u8,
    is_due: bool,
}

impl PeerConnection {
    /// A connection that knows nobody yet. Makes a certificate if `config` has none.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn new(config: Config) -> Result<Self, CertificateError> {
        let mut random = random::seeded(config.seed);
        let certificate = match config.certificate {
            Some(certificate) => certificate,
            None => Certificate::generate(config.provider, &mut random, config.wall_clock)?,
        };
        let fingerprint = certificate.fingerprint();
        let ice_config = wigwag_ice::Config {
            lite: config.ice_lite,
            servers: config.ice_servers,
            transport_policy: config.ice_transport_policy,
            mdns: config.mdns,
            ..config.ice
        };
        let mut servers = ice_config.servers.iter().flat_map(|server| &server.urls);
        let has_relays = servers.any(|url| url.kind == ServerKind::Turn);
        let has_servers = !ice_config.servers.is_empty() && !config.ice_lite;
        let mut dtls_config = wigwag_dtls::Config::new(certificate, config.provider);
        dtls_config.versions = config.dtls_versions;
        dtls_config.post_quantum = config.post_quantum;
        dtls_config.key_log = config.key_log;
        // What was cut for one path and is lost may be sent again by another, and must fit there.
        let relay_overhead = if has_relays { MAX_RELAY_OVERHEAD } else { 0 };
        let payload_mtu = config.mtu.saturating_sub(relay_overhead);
        dtls_config.mtu = payload_mtu;
        let sctp_config = wigwag_sctp::Config {
            max_message_size: config.max_message_size.try_into().unwrap_or(usize::MAX),
            send_buffer: config.send_buffer,
            receive_window: config.receive_window,
            mtu: config.mtu,
            // Whether the peer is there is consent's to say: without a path nothing is answered, however long that lasts, and
            // a restart may find another.
            max_retransmits: None,
            zero_checksum: true, // over DTLS
            ..Default::default()
        };
        Ok(Self {
            negotiation: Negotiation::new(random.next_u64(), media::cname(&mut random)),
            negotiation_needed: false,
            ice: Agent::new(ice_config, random::fork(&mut random), config.provider),
            dtls: Dtls::new(dtls_config, random::fork(&mut random)),
            sctp: Association::new(sctp_config, random::fork(&mut random), config.provider),
            media: wigwag_media::Session::new(wigwag_media::Config::default(), random::fork(&mut random)),
            srtp: None,
            early: media::Early::default(),
            provider: config.provider,
            random,
            gathering: config.gathering,
            has_servers,
            ice_lite: config.ice_lite,
            mtu: config.mtu,
            payload_mtu,
            max_message_size: config.max_message_size,
            snap: config.snap,
            close_timeout: config.close_timeout,
            fingerprint,
            untold: VecDeque::new(),
            told: Vec::new(),
            role: None,
            dtls_started: false,
            has_data: false,
            sctp_started: false,
            dtls_path: None,
            states: States {
                gathering: IceGatheringState::New,
                ice: IceConnectionState::New,
                dtls: DtlsTransportState::New,
                connection: ConnectionState::New,
            },
            ending: Ending::Open,
            farewell: None,
            failure: None,
            events: VecDeque::new(),
            last: Instant::default(),
            settled: false,
            stats: Stats::default(),
        })
    }

    /// Where offer and answer stand.
    pub fn signaling_state(&self) -> SignalingState {
        self.negotiation.state()
    }
    /// Whether our own candidates are known.
    pub fn ice_gathering_state(&self) -> IceGatheringState {
        self.states.gathering
    }
    /// Whether there is a path to the peer.
    pub fn ice_connection_state(&self) -> IceConnectionState {
        self.states.ice
    }
    /// Where the secure channel stands.
    pub fn dtls_state(&self) -> DtlsTransportState {
        self.states.dtls
    }
    /// All together.
    pub fn connection_state(&self) -> ConnectionState {
        self.states.connection
    }
    /// Why the connection failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
    /// The path that carries the data, once ICE selected one. Its local address is that of a relay, if a relayed candidate of ours is
    /// used.
    pub fn selected_path(&self) -> Option<UdpPath> {
        self.ice.selected_path()
    }
    /// Where the data leaves this host: on the selected path, or on the way to the relay that has it.
    pub fn selected_route(&self) -> Option<Route> {
        self.ice.wire(self.ice.selected_path()?).map(|wire| wire.route())
    }
    /// How long the selected path takes there and back, smoothed, as its checks measure it.
    pub fn round_trip_time(&self) -> Option<std::time::Duration> {
        self.ice.round_trip_time()
    }
    /// The version of DTLS, once the peer is there.
    pub fn dtls_version(&self) -> Option<wigwag_dtls::Version> {
        self.dtls.version().filter(|_| self.dtls.is_connected())
    }
    /// Our certificate's fingerprint, as our descriptions give it.
    pub fn local_fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}
