//! The STUN and TURN servers that gathering asks: where they are (RFC 7064, RFC 7065), and who we are there.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use wigwag_stun::{DEFAULT_PORT, DEFAULT_TLS_PORT};

/// Longer than any name of DNS.
const MAX_HOST: usize = 255;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerTransport {
    /// Datagrams.
    Udp,
    /// A TCP stream.
    Tcp,
    /// A TLS stream.
    Tls,
}

/// What a server does for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerKind {
    /// It tells us how it sees us.
    Stun,
    /// It relays for us, too.
    Turn,
}

/// Where a server is: a `stun:`, `turn:` or `turns:` URI. RFC 7064, RFC 7065.
///
/// ```
/// use wigwag_ice::{ServerKind, ServerTransport, ServerUri};
///
/// let uri: ServerUri = "turns:turn.example.org?transport=tcp".parse()?;
/// assert_eq!((uri.kind, uri.transport, uri.port), (ServerKind::Turn, ServerTransport::Tls, 5349));
/// assert_eq!(uri.host, "turn.example.org");
/// # Ok::<(), wigwag_ice::ParseUriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUri {
    /// STUN or TURN.
    pub kind: ServerKind,
    /// A name, or an address without brackets.
    pub host: String,
    /// 3478, or 5349 with TLS, if the URI says nothing else.
    pub port: u16,
    /// How it is spoken to.
    pub transport: ServerTransport,
}

impl ServerUri {
    /// The host, if it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Why a text is no URI of a server that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseUriError {
    /// Neither `stun:` nor `turn:` nor `turns:`.
    #[error("the scheme is none of stun, turn and turns")]
    UnknownScheme,
    /// STUN over TLS has no use for gathering; `turns` over UDP would be DTLS to the server.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// No host, or one that is neither a name nor an address.
    #[error("the host is missing or malformed")]
    BadHost,
    /// Not a port.
    #[error("the port is malformed")]
    BadPort,
    /// Something other than `?transport=udp` or `?transport=tcp`; with `stun:`, anything.
    #[error("the query is not understood")]
    BadQuery,
}

impl FromStr for ServerUri {
    type Err = ParseUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use ParseUriError::{BadHost, BadPort, BadQuery, UnknownScheme, Unsupported};
        let (scheme, rest) = text.split_once(':').ok_or(UnknownScheme)?;
        let (kind, secure) = match scheme.to_ascii_lowercase().as_str() {
            "stun" => (ServerKind::Stun, false),
            "turn" => (ServerKind::Turn, false),
            "turns" => (ServerKind::Turn, true),
            "stuns" => return Err(Unsupported("STUN over TLS")),
            _ => return Err(UnknownScheme),
        };
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let transport = match (query, kind, secure) {
            (Some(_), ServerKind::Stun, _) => return Err(BadQuery),
            (None, _, false) | (Some("transport=udp"), _, false) => ServerTransport::Udp,
            (Some("transport=tcp"), _, false) => ServerTransport::Tcp,
            (None | Some("transport=tcp"), _, true) => ServerTransport::Tls,
            (Some("transport=udp"), _, true) => return Err(Unsupported("TURN over DTLS")),
            (Some(_), ..) => return Err(BadQuery),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(BadHost)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| BadHost)?;
                (host, (!port.is_empty()).then_some(port))
            }
            None => match place.split_once(':') {
                Some((host, _)) => (host, place.get(host.len()..)),
                None => (place, None),
            },
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_address = host.parse::<IpAddr>().is_ok();
        if host.is_empty() || host.len() > MAX_HOST || !(is_address || host.bytes().all(is_name)) {
            return Err(BadHost);
        }
        let default = if secure { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
        let port = match port {
            None => default,
            Some(port) => port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or(BadPort)?,
        };
        if port == 0 {
            return Err(BadPort);
        }
        Ok(Self { kind, host: host.to_owned(), port, transport })
    }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.kind, self.transport) {
            (ServerKind::Stun, _) => "stun",
            (ServerKind::Turn, ServerTransport::Tls) => "turns",
            (ServerKind::Turn, _) => "turn",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}:[{}]:{}", self.host, self.port)?,
            false => write!(f, "{scheme}:{}:{}", self.host, self.port)?,
        }
        match (self.kind, self.transport) {
            (ServerKind::Stun, _) => Ok(()),
            (ServerKind::Turn, ServerTransport::Udp) => f.write_str("?transport=udp"),
            (ServerKind::Turn, _) => f.write_str("?transport=tcp"),
        }
    }
}

/// Servers that share credentials: RTCIceServer of webrtc-pc.
///
/// ```
/// use wigwag_ice::IceServer;
///
/// let server = IceServer::new(["turn:turn.example.org", "turns:turn.example.org"], "user", "secret")?;
/// assert_eq!(server.urls.len(), 2);
/// # Ok::<(), wigwag_ice::ParseUriError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// Where it is; each is asked.
    pub urls: Vec<ServerUri>,
    /// Our name there; for TURN only.
    pub username: String,
    /// Our password there (`credential` in webrtc-pc); for TURN only.
    pub password: String,
}

impl IceServer {
    /// With credentials.
    ///
    /// # Errors
    /// When one of the URIs can't be used.
    pub fn new<'a>(
        urls: impl IntoIterator<Item = &'a str>,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, ParseUriError> {
        let urls = urls.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { urls, username: username.into(), password: password.into() })
    }

    /// A STUN server, which wants none.
    ///
    /// # Errors
    /// When the URI can't be used.
    pub fn stun(url: &str) -> Result<Self, ParseUriError> {
        Self::new([url], "", "")
    }
}

/// The password stays out of logs.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).field("username", &self.username).finish_non_exhaustive()
    }
}

/// Which candidates may be used: RTCIceTransportPolicy of webrtc-pc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportPolicy {
    /// All.
    #[default]
    All,
    /// Relayed ones only: the peer learns no address of ours.
    Relay,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn uris_are_read_and_written() {
        for (text, written) in [
            ("stun:example.org", "stun:example.org:3478"),
            ("stun:192.0.2.1:1234", "stun:192.0.2.1:1234"),
            ("STUN:[2001:db8::1]", "stun:[2001:db8::1]:3478"),
            ("turn:example.org", "turn:example.org:3478?transport=udp"),
            ("turn:[2001:db8::1]:99?transport=tcp", "turn:[2001:db8::1]:99?transport=tcp"),
            ("turns:example.org", "turns:example.org:5349?transport=tcp"),
        ] {
            let uri: ServerUri = text.parse().unwrap();
            assert_eq!(uri.to_string(), written);
            assert_eq!(written.parse(), Ok(uri));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        use ParseUriError::{BadHost, BadPort, BadQuery, UnknownScheme, Unsupported};
        for (text, error) in [
            ("", UnknownScheme),
            ("http://example.org", UnknownScheme),
            ("stuns:example.org", Unsupported("STUN over TLS")),
            ("turns:example.org?transport=udp", Unsupported("TURN over DTLS")),
            ("stun:", BadHost),
            ("stun://example.org", BadHost),
            ("stun:a b", BadHost),
            ("turn:[::1", BadHost),
            ("turn:[example.org]", BadHost),
            ("turn:example.org:", BadPort),
            ("turn:example.org:0", BadPort),
            ("turn:example.org:99999", BadPort),
            ("turn:[::1]99", BadPort),
            ("turn:example.org?transport=sctp", BadQuery),
            ("stun:example.org?transport=udp", BadQuery),
        ] {
            assert_eq!(text.parse::<ServerUri>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text: String) {
            let _ = text.parse::<ServerUri>();
            if let Ok(uri) = format!("turn:{text}").parse::<ServerUri>() {
                prop_assert_eq!(uri.to_string().parse::<ServerUri>().unwrap(), uri);
            }
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let server = IceServer::new(["turn:example.org"], "user", "hush").unwrap();
        assert!(!format!("{server:?}").contains("hush"));
    }
}
