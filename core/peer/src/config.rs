//! What a connection is made with.

use std::time::Duration;

use wigwag_crypto::Provider;
use wigwag_dtls::Certificate;
use wigwag_ice::{IceServer, MdnsPolicy, TransportPolicy};
use wigwag_proto::WallClock;

/// The UDP payload that every path is expected to carry: what libwebrtc uses, and below IPv6's minimum.
pub const DEFAULT_MTU: usize = 1200;
/// The largest message that we say we accept (`a=max-message-size`), as browsers do.
pub const DEFAULT_MAX_MESSAGE_SIZE: u64 = 256 << 10;
/// How long [`close`](crate::PeerConnection::close) waits for what was accepted to be acknowledged.
pub const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where our candidates come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gathering {
    /// Only from the sockets that the caller hands in with
    /// [`add_udp_socket`](crate::PeerConnection::add_udp_socket), and from [servers](Config::ice_servers). Nothing is requested but what
    /// those take.
    #[default]
    Sockets,
    /// The engine asks the adaptor for the interfaces and for a socket on each
    /// ([`Request::WatchInterfaces`](wigwag_proto::Request), [`Request::BindUdp`](wigwag_proto::Request)).
    Interfaces,
}

/// Which versions of DTLS are spoken.
pub use wigwag_dtls::Versions as DtlsVersions;

pub use wigwag_dtls::{KeyLog, PostQuantum};

/// What a [`PeerConnection`](crate::PeerConnection) is made with.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// use wigwag::{Config, Gathering};
///
/// let mut config = Config::new([7; 32]); // in production: 32 bytes of the system's randomness
/// config.gathering = Gathering::Interfaces;
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// All randomness of the connection comes from here: 32 bytes from the system's source, never used twice.
    pub seed: [u8; 32],
    /// Who does the cryptography.
    pub provider: Provider,
    /// Our certificate; one is made if there is none, which costs some 100 microseconds.
    pub certificate: Option<Certificate>,
    /// The time of day, for the dates in a certificate that is made.
    pub wall_clock: WallClock,
    /// Where our candidates come from.
    pub gathering: Gathering,
    /// ICE-lite: for a server with public addresses, which only answers checks. RFC 8445 section 2.5.
    pub ice_lite: bool,
    /// STUN and TURN servers, as `iceServers` of webrtc-pc: the adaptor is asked for names, sockets and streams to reach them, with
    /// [`Gathering::Sockets`], too.
    pub ice_servers: Vec<IceServer>,
    /// Which candidates may be used: all, or relayed ones only.
    pub ice_transport_policy: TransportPolicy,
    /// Names in place of addresses (mDNS): those in the peer's candidates are looked up. [`MdnsPolicy::Hide`] gives ours names, too.
    pub mdns: MdnsPolicy,
    /// The timings and bounds of ICE, and which addresses are gathered; the defaults are right for WebRTC.
    pub ice: wigwag_ice::Config,
    /// Which versions of DTLS are spoken.
    pub dtls_versions: DtlsVersions,
    /// Whether keys are agreed on with X25519MLKEM768 in DTLS 1.3.
    pub post_quantum: PostQuantum,
    /// Who is told the secrets of the connection, line by line as `SSLKEYLOGFILE` has them, so that Wireshark can read what
    /// went by; nobody.
    pub key_log: Option<KeyLog>,
    /// Bytes of UDP payload that a datagram of the handshake or of data channels may have. Packets of audio and video are as long as
    /// the application makes them, up to 1400 bytes and SRTP's tag: give
    /// [`poll_transmit`](crate::PeerConnection::poll_transmit) room for 1472 bytes where they are longer than this.
    pub mtu: usize,
    /// The largest message that is accepted from the peer, in bytes.
    pub max_message_size: u64,
    /// Whether descriptions carry what SCTP's handshake would tell (`a=sctp-init`, SNAP): with a peer that knows it, data channels open up to two round
    /// trips earlier; others ignore it.
    pub snap: bool,
    /// Bytes of messages that may wait to be sent before [`SendError::Full`](crate::SendError::Full).
    pub send_buffer: usize,
    /// Bytes that may wait for the application before the peer has to wait.
    pub receive_window: usize,
    /// How long [`close`](crate::PeerConnection::close) waits for what was accepted to be acknowledged.
    pub close_timeout: Duration,
}

impl Config {
    /// The defaults, with the default provider: aws-lc-rs, or RustCrypto where that feature is off.
    #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
    pub fn new(seed: [u8; 32]) -> Self {
        Self::with_provider(seed, wigwag_crypto::default_provider())
    }

    /// The defaults, with a provider of the caller's.
    pub fn with_provider(seed: [u8; 32], provider: Provider) -> Self {
        Self {
            seed,
            provider,
            certificate: None,
            wall_clock: WallClock::default(),
            gathering: Gathering::default(),
            ice_lite: false,
            ice_servers: Vec::new(),
            ice_transport_policy: TransportPolicy::All,
            mdns: MdnsPolicy::Resolve,
            ice: wigwag_ice::Config::default(),
            dtls_versions: DtlsVersions::default(),
            post_quantum: PostQuantum::default(),
            key_log: None,
            mtu: DEFAULT_MTU,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            snap: true,
            send_buffer: 2 << 20,
            receive_window: 1 << 20,
            close_timeout: DEFAULT_CLOSE_TIMEOUT,
        }
    }
}
