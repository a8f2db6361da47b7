//! A candidate: an address where an agent may be reached, and its text in SDP (RFC 8839 section 5.1).
//!
//! ```text
//! candidate:1 1 udp 2122260223 10.0.0.1 5000 typ host generation 0 ufrag abcd
//!           | |  |      |         |      |      |   \_ extensions, and what we know of them
//!           | |  |      |         address and port  kind, with raddr and rport if it is derived
//!           | |  |      priority
//!           | |  transport
//!           | component: 1, or 2 for RTCP that is not multiplexed
//!           foundation
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Longer than any candidate that makes sense: whatever is kept of a peer's text is bounded.
const MAX_TEXT: usize = 1000;
const MAX_FOUNDATION: usize = 64;

/// What kind of address it is. RFC 8445 section 5.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateKind {
    /// Of an interface.
    Host,
    /// What a check brought to light.
    PeerReflexive,
    /// What a STUN server saw.
    ServerReflexive,
    /// Of a relay.
    Relayed,
}

impl CandidateKind {
    /// RFC 8445 section 5.1.2.2.
    pub const fn type_preference(self) -> u8 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::PeerReflexive => "prflx",
            Self::ServerReflexive => "srflx",
            Self::Relayed => "relay",
        }
    }
}

/// A candidate's priority. RFC 8445 section 5.1.2.1.
pub const fn priority(kind: CandidateKind, local_preference: u16, component: u16) -> u32 {
    let component = if component > 256 { 256 } else { component };
    (kind.type_preference() as u32) << 24 | (local_preference as u32) << 8 | (256 - component as u32)
}

/// Who opens a TCP connection. RFC 6544 section 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpType {
    /// The owner of the candidate does.
    Active,
    /// The other side does.
    Passive,
    /// Both do, at once.
    SimultaneousOpen,
}

impl TcpType {
    const fn text(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        }
    }
}

/// How a candidate is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp(TcpType),
}

/// Where a candidate is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CandidateAddress {
    /// An address.
    Socket(SocketAddr),
    /// A name that somebody must look up (mDNS), and a port.
    Name(String, u16),
}

/// An address where an agent may be reached. `Display` and `FromStr` are its text in SDP after `a=`.
///
/// ```
/// use wigwag_ice::{Candidate, CandidateKind};
///
/// let text = "candidate:1 1 udp 2122260223 10.0.0.1 5000 typ host network-cost 10 ufrag abcd";
/// let candidate: Candidate = text.parse()?;
/// assert_eq!(candidate.kind, CandidateKind::Host);
/// assert_eq!(candidate.ufrag.as_deref(), Some("abcd"));
/// assert_eq!(candidate.to_string(), text);
/// # Ok::<(), wigwag_ice::ParseCandidateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The same for candidates of the same kind, base address and server: they live and die together.
    pub foundation: String,
    /// 1; 2 is for RTCP that is not multiplexed.
    pub component: u16,
    /// UDP or TCP.
    pub transport: Transport,
    /// The higher, the better.
    pub priority: u32,
    /// Where it is.
    pub address: CandidateAddress,
    /// What it is.
    pub kind: CandidateKind,
    /// The address that it was derived from: `raddr` and `rport`.
    pub related: Option<SocketAddr>,
    /// The generation that it belongs to. RFC 8840 section 4.1 names it for trickled candidates.
    pub ufrag: Option<String>,
    /// Everything else, kept in order: `generation`, `network-id`, `network-cost` ...
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// A host candidate over UDP.
    pub fn host(address: SocketAddr, foundation: impl Into<String>, priority: u32) -> Self {
        Self {
            foundation: foundation.into(),
            component: 1,
            transport: Transport::Udp,
            priority,
            address: CandidateAddress::Socket(address),
            kind: CandidateKind::Host,
            related: None,
            ufrag: None,
            extensions: Vec::new(),
        }
    }

    /// Its address, unless it is a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.address {
            CandidateAddress::Socket(address) => Some(address),
            CandidateAddress::Name(..) => None,
        }
    }

    /// An extension's value.
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, priority, .. } = self;
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp(_) => "tcp",
        };
        write!(f, "candidate:{foundation} {component} {transport} {priority} ")?;
        match &self.address {
            CandidateAddress::Socket(address) => write!(f, "{} {}", address.ip(), address.port())?,
            CandidateAddress::Name(name, port) => write!(f, "{name} {port}")?,
        }
        write!(f, " typ {}", self.kind.text())?;
        if let Some(related) = self.related {
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        if let Transport::Tcp(tcp_type) = self.transport {
            write!(f, " tcptype {}", tcp_type.text())?;
        }
        for (name, value) in &self.extensions {
            write!(f, " {name} {value}")?;
        }
        self.ufrag.iter().try_for_each(|ufrag| write!(f, " ufrag {ufrag}"))
    }
}

/// Why a text is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCandidateError {
    /// It does not begin with `candidate:`.
    #[error("not a candidate")]
    NotACandidate,
    /// It is longer than any candidate that makes sense.
    #[error("the candidate is too long")]
    TooLong,
    /// A part is missing, or is not what it should be.
    #[error("the candidate's {0} is missing or malformed")]
    Malformed(&'static str),
    /// Neither UDP nor TCP.
    #[error("the candidate's transport is not known")]
    UnknownTransport,
    /// No kind of RFC 8445.
    #[error("the candidate's type is not known")]
    UnknownKind,
}

impl FromStr for Candidate {
    type Err = ParseCandidateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use ParseCandidateError::{Malformed, NotACandidate, TooLong, UnknownKind, UnknownTransport};
        if text.len() > MAX_TEXT {
            return Err(TooLong);
        }
        let text = text.trim();
        let text = text.strip_prefix("a=").unwrap_or(text).strip_prefix("candidate:").ok_or(NotACandidate)?;
        let mut words = text.split_ascii_whitespace();
        let mut word = |name| words.next().ok_or(Malformed(name));

        let foundation = word("foundation")?;
        if foundation.len() > MAX_FOUNDATION {
            return Err(Malformed("foundation"));
        }
        let component = word("component")?.parse().map_err(|_| Malformed("component"))?;
        let transport = word("transport")?;
        let priority = word("priority")?.parse().map_err(|_| Malformed("priority"))?;
        let address = word("address")?;
        let port = word("port")?.parse().map_err(|_| Malformed("port"))?;
        if word("type")? != "typ" {
            return Err(Malformed("type"));
        }
        let kind = match word("type")? {
            "host" => CandidateKind::Host,
            "prflx" => CandidateKind::PeerReflexive,
            "srflx" => CandidateKind::ServerReflexive,
            "relay" => CandidateKind::Relayed,
            _ => return Err(UnknownKind),
        };

        let (mut related_ip, mut related_port, mut tcp_type, mut ufrag) = (None, None, None, None);
        let mut extensions = Vec::new();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "raddr" => related_ip = value.parse::<IpAddr>().ok(),
                "rport" => related_port = value.parse::<u16>().ok(),
                "tcptype" => {
                    let of_text = |tcp_type: &TcpType| tcp_type.text() == value;
                    let types = [TcpType::Active, TcpType::Passive, TcpType::SimultaneousOpen];
                    tcp_type = Some(types.into_iter().find(of_text).ok_or(Malformed("tcptype"))?);
                }
                "ufrag" => ufrag = Some(value.to_owned()),
                _ => extensions.push((name.to_owned(), value.to_owned())),
            }
        }
        Ok(Self {
            foundation: foundation.to_owned(),
            component,
            transport: match transport {
                _ if transport.eq_ignore_ascii_case("udp") => Transport::Udp,
                // Before RFC 6544 there was no type; such candidates are active in practice.
                _ if transport.eq_ignore_ascii_case("tcp") => Transport::Tcp(tcp_type.unwrap_or(TcpType::Active)),
                _ => return Err(UnknownTransport),
            },
            priority,
            address: match address.parse::<IpAddr>() {
                Ok(ip) => CandidateAddress::Socket(SocketAddr::new(ip, port)),
                Err(_) => CandidateAddress::Name(address.to_owned(), port),
            },
            kind,
            related: related_ip.zip(related_port).map(SocketAddr::from),
            ufrag,
            extensions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates() -> impl Strategy<Value = Candidate> {
        let kind = prop_oneof![
            Just(CandidateKind::Host),
            Just(CandidateKind::PeerReflexive),
            Just(CandidateKind::ServerReflexive),
            Just(CandidateKind::Relayed)
        ];
        let transport = prop_oneof![
            Just(Transport::Udp),
            Just(Transport::Tcp(TcpType::Active)),
            Just(Transport::Tcp(TcpType::Passive)),
            Just(Transport::Tcp(TcpType::SimultaneousOpen))
        ];
        let socket = || (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
        let address = prop_oneof![
            socket().prop_map(CandidateAddress::Socket),
            ("[a-f0-9-]{1,36}\\.local", any::<u16>()).prop_map(|(name, port)| CandidateAddress::Name(name, port))
        ];
        let extensions = proptest::collection::vec(("x-[a-z]{1,8}", "[a-z0-9]{1,8}"), 0..4);
        let rest = (proptest::option::of(socket()), proptest::option::of("[A-Za-z0-9+/]{4,32}"), extensions);
        ("[A-Za-z0-9+/]{1,32}", any::<u16>(), transport, any::<u32>(), address, kind, rest).prop_map(
            |(foundation, component, transport, priority, address, kind, (related, ufrag, extensions))| Candidate {
                foundation,
                component,
                transport,
                priority,
                address,
                kind,
                related,
                ufrag,
                extensions,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(candidate in candidates()) {
            prop_assert_eq!(candidate.to_string().parse::<Candidate>().unwrap(), candidate.clone());
            prop_assert_eq!(format!("a={candidate}\r\n").parse::<Candidate>().unwrap(), candidate);
        }

        #[test]
        fn any_text(text: String) {
            let _ = text.parse::<Candidate>();
            let _ = format!("candidate:{text}").parse::<Candidate>();
        }
    }

    #[test]
    fn as_browsers_write_them() {
        for text in [
            "candidate:842163049 1 udp 1677729535 203.0.113.1 46154 typ srflx raddr 10.0.0.17 rport 46154 generation 0",
            "candidate:1 1 udp 2113937151 0f2c7e0a-5a8c-4a3a-93e1-9ff6f3b2a8a1.local 51110 typ host generation 0",
            "candidate:3 1 tcp 1518280447 10.0.0.17 9 typ host tcptype active generation 0",
        ] {
            assert_eq!(text.parse::<Candidate>().unwrap().to_string(), text);
        }
        let capitals: Candidate = "candidate:0 1 UDP 2122187007 2001:db8::1 54098 typ host".parse().unwrap();
        assert_eq!(capitals.socket_addr(), Some("[2001:db8::1]:54098".parse().unwrap()));
        assert_eq!(
            "candidate:0 1 dccp 1 10.0.0.1 1 typ host".parse::<Candidate>(),
            Err(ParseCandidateError::UnknownTransport)
        );
        assert_eq!("".parse::<Candidate>(), Err(ParseCandidateError::NotACandidate));
        assert_eq!("candidate:".parse::<Candidate>(), Err(ParseCandidateError::Malformed("foundation")));
    }

    #[test]
    fn priorities_of_the_standard() {
        assert_eq!(priority(CandidateKind::Host, 65535, 1), 2_130_706_431);
        assert_eq!(priority(CandidateKind::Host, 65535, 256), 2_130_706_176);
        assert_eq!(priority(CandidateKind::ServerReflexive, 65535, 1), 1_694_498_815);
    }
}
