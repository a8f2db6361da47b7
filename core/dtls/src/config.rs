//! What a connection is told before it starts.

use std::time::Duration;

use wigwag_crypto::Provider;

use crate::certificate::Certificate;
use crate::key_log::KeyLog;

/// Who speaks first: `a=setup:active` is the client. RFC 8842.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the first hello.
    Client,
    /// Waits for it.
    Server,
}

/// A version of DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// DTLS 1.2. RFC 6347.
    Dtls12,
    /// DTLS 1.3. RFC 9147.
    Dtls13,
}

/// Which versions may be negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Versions {
    /// 1.3 with a peer that has it, else 1.2.
    #[default]
    Any,
    /// 1.2 only.
    Dtls12,
    /// 1.3 only.
    Dtls13,
}

/// Whether keys are agreed on with X25519MLKEM768, so that who records a connection today does not read it with a quantum
/// computer one day. DTLS 1.3 only.
///
/// To offer it makes a client's first flight two datagrams instead of one (1,420 bytes instead of 190) and the server's
/// two instead of one; no round trip more, also with a server that does not know it. But where datagrams are lost, two
/// are lost more often than one: with 30 % of them and a round trip of 100 ms, the median handshake takes 650 ms instead
/// of 400 (`tests/network.rs`). And there are servers that cannot put together a ClientHello that came in parts. So it is
/// taken by default, and offered on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PostQuantum {
    /// A server takes it from a client that offers it; a client does not offer it.
    #[default]
    Accept,
    /// A client offers it, too, beside X25519.
    Offer,
    /// Never.
    Off,
}

/// What a connection is made with.
///
/// ```
/// use wigwag_crypto::default_provider;
/// use wigwag_dtls::{Certificate, Config, Versions};
/// use wigwag_proto::{WallClock, random};
///
/// let provider = default_provider();
/// let certificate = Certificate::generate(provider, &mut random::seeded([7; 32]), WallClock(1_700_000_000_000_000))?;
/// let mut config = Config::new(certificate, provider);
/// config.versions = Versions::Dtls13;
/// # Ok::<(), wigwag_dtls::CertificateError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What we show the peer.
    pub certificate: Certificate,
    /// The cryptography.
    pub provider: Provider,
    /// Which versions may be negotiated.
    pub versions: Versions,
    /// Whether X25519MLKEM768 is used.
    pub post_quantum: PostQuantum,
    /// Bytes in a datagram of a handshake flight, at most; 1200. Taken to be between 256 and 65,507.
    pub mtu: usize,
    /// How long to wait before a flight is sent again, the first time, until
    /// [`set_round_trip_time`](crate::Dtls::set_round_trip_time) says better; 250 ms. It doubles each time.
    pub retransmission_timeout: Duration,
    /// How long a handshake may take; 30 s.
    pub handshake_timeout: Duration,
    /// Records sealed with one key before DTLS 1.3 takes the next; 2^23. RFC 9147 section 4.5.3.
    pub records_per_key: u64,
    /// Who is told the secrets; nobody.
    pub key_log: Option<KeyLog>,
}

impl Config {
    /// The defaults.
    pub fn new(certificate: Certificate, provider: Provider) -> Self {
        Self {
            certificate,
            provider,
            versions: Versions::Any,
            post_quantum: PostQuantum::default(),
            mtu: 1200,
            retransmission_timeout: Duration::from_millis(250),
            handshake_timeout: Duration::from_secs(30),
            records_per_key: 1 << 23,
            key_log: None,
        }
    }
}
