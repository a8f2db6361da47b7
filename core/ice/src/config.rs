//! What a program may choose.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::agent::MdnsPolicy;
use crate::server::{IceServer, TransportPolicy};

/// What a program may choose; the defaults are right for WebRTC.
///
/// ```
/// use wigwag_ice::Config;
/// let server = Config { lite: true, ..Config::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Be a lite agent: answer checks, send none. For servers with public addresses. RFC 8445 section 2.5.
    pub lite: bool,
    /// The role to begin with: the offerer is controlling. A conflict is repaired. RFC 8445 section 6.1.1.
    pub controlling: bool,
    /// Ta, the time between two new checks: 50 ms. RFC 8445 section 14.2.
    pub pacing: Duration,
    /// The time between the first checks: 5 ms, what all agents of a host may do together. RFC 8445 section 14.2.
    pub initial_pacing: Duration,
    /// How many checks are the first ones: 10.
    pub initial_checks: u32,
    /// The least time until an unanswered check is repeated, twice that the next time, and so on: 500 ms. RFC 8445
    /// section 14.3.
    pub retransmission_timeout: Duration,
    /// After this, an unanswered check has failed: 30 s.
    pub check_timeout: Duration,
    /// How long nothing counts as failed, while candidates and checks may still come: 30 s. RFC 8863.
    pub patience: Duration,
    /// How long the controlling agent waits for a better pair, when it has a valid one: 200 ms.
    pub nomination_patience: Duration,
    /// Time between two consent checks: 5 s, of which 0.8 to 1.2 times are drawn. RFC 7675 section 5.1.
    pub consent_interval: Duration,
    /// Consent without an answer ends after this: 30 s. RFC 7675 section 5.1.
    pub consent_timeout: Duration,
    /// An unanswered consent check means *disconnected* after this: 7 s, when a second one went unanswered too.
    pub disconnected_timeout: Duration,
    /// A lite agent shows that it is there this often: 15 s. RFC 8445 section 11.
    pub keep_alive_interval: Duration,
    /// How long the adaptor may take for what gathering asks: 5 s.
    pub request_timeout: Duration,
    /// Pairs in the check list: 100; the least important are evicted. RFC 8445 section 6.1.2.5.
    pub max_pairs: usize,
    /// Remote candidates: 100; the least important are evicted.
    pub max_remote_candidates: usize,
    /// Remote candidates of one IP address: 16, so that nobody's ports can be hammered.
    pub max_remote_candidates_per_address: usize,
    /// Gather loopback addresses too: no. (A socket that is handed in may have one.)
    pub include_loopback: bool,
    /// Gather link-local addresses too: no.
    pub include_link_local: bool,
    /// The ports to gather from: any.
    pub ports: Option<RangeInclusive<u16>>,
    /// The servers to ask: none.
    pub servers: Vec<IceServer>,
    /// How long a server may take to answer before gathering ends without it: 5 s.
    pub server_timeout: Duration,
    /// Which candidates may be used: all.
    pub transport_policy: TransportPolicy,
    /// What is done about names in place of addresses: the other side's are looked up.
    pub mdns: MdnsPolicy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lite: false,
            controlling: false,
            pacing: Duration::from_millis(50),
            initial_pacing: Duration::from_millis(5),
            initial_checks: 10,
            retransmission_timeout: Duration::from_millis(500),
            check_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(30),
            nomination_patience: Duration::from_millis(200),
            consent_interval: Duration::from_secs(5),
            consent_timeout: Duration::from_secs(30),
            disconnected_timeout: Duration::from_secs(7),
            keep_alive_interval: Duration::from_secs(15),
            request_timeout: Duration::from_secs(5),
            max_pairs: 100,
            max_remote_candidates: 100,
            max_remote_candidates_per_address: 16,
            include_loopback: false,
            include_link_local: false,
            ports: None,
            servers: Vec::new(),
            server_timeout: Duration::from_secs(5),
            transport_policy: TransportPolicy::All,
            mdns: MdnsPolicy::Resolve,
        }
    }
}
