//! The lines that are not attributes, RFC 8866 section 5.

use std::net::IpAddr;

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>`, RFC 8866 section 5.2.
///
/// What is missing or malformed is read as in [`Origin::default`]: nothing in WebRTC hangs on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `-`, where the host has no users. One word.
    pub username: String,
    /// The same for all descriptions of a connection.
    pub session_id: u64,
    /// One more with each description that differs from the one before.
    pub session_version: u64,
    /// Where from. In WebRTC, nobody's address.
    pub address: Address,
}

impl Origin {
    /// The first description of a session, RFC 8829 section 5.2.1.
    pub fn new(session_id: u64) -> Self {
        Self { session_id, ..Self::default() }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self { username: "-".to_owned(), session_id: 0, session_version: 0, address: Address::default() }
    }
}

/// `<nettype> <addrtype> <address>`, the value of a `c=` line and the end of an `o=` line, RFC 8866 section 5.7.
///
/// ```
/// use wigwag_sdp::Address;
///
/// let address = Address::from("192.0.2.1".parse::<std::net::IpAddr>()?);
/// assert_eq!(address.to_string(), "IN IP4 192.0.2.1");
/// assert_eq!(Address::default().to_string(), "IN IP4 0.0.0.0");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// `IN`.
    pub network_type: String,
    /// `IP4` or `IP6`.
    pub address_type: String,
    /// An address or a host name; a multicast one may have a `/ttl` behind it.
    pub address: String,
}

impl Address {
    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.split('/').next()?.parse().ok()
    }
}

impl Default for Address {
    /// `IN IP4 0.0.0.0`: what trickling peers write, RFC 8840 section 4.1.3.
    fn default() -> Self {
        Self { network_type: "IN".to_owned(), address_type: "IP4".to_owned(), address: "0.0.0.0".to_owned() }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        let address_type = if address.is_ipv4() { "IP4" } else { "IP6" };
        Self { address_type: address_type.to_owned(), address: address.to_string(), ..Self::default() }
    }
}

/// `t=<start-time> <stop-time>`, seconds since 1900, RFC 8866 section 5.9. Both are zero in WebRTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Zero: since ever.
    pub start: u64,
    /// Zero: for ever.
    pub stop: u64,
}

/// `b=<bwtype>:<bandwidth>`, RFC 8866 section 5.8.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bandwidth {
    /// `AS` (kilobits per second), `TIAS` (bits per second, RFC 3890) or another.
    pub kind: String,
    /// How much, in the kind's unit.
    pub value: u64,
}

/// A line of another type: `i=`, `u=`, `e=`, `p=`, `r=`, `z=`, `k=`, one that RFC 8866 does not know, a second one where
/// one is expected, or a malformed one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherLine {
    /// The letter before the `=`.
    pub kind: char,
    /// What follows it.
    pub value: String,
}

impl OtherLine {
    /// Is it written before `c=`, RFC 8866 section 9?
    pub(crate) fn is_early(&self) -> bool {
        matches!(self.kind, 'i' | 'u' | 'e' | 'p')
    }
}
