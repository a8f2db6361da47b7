//! What the adaptor is asked to do besides moving bytes.
//!
//! A [`Request`] is data. Those that want an answer are types that consume themselves into it, so that an answer
//! which does not fit, or a second one, does not compile. The answer goes back through
//! [`Input::Answer`](crate::Input::Answer); one that never comes times out in the engine. A program that answers
//! every request with `failed` still works with the sockets that it handed in itself.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::input::Interface;
use crate::transmit::StreamId;

/// What the adaptor is asked to do. Exhaustive, so that no adaptor can forget one in silence.
///
/// ```
/// use wigwag_proto::{Answer, Refused, Request};
///
/// /// An adaptor that does nothing but move datagrams.
/// fn refuse(request: Request) -> Option<Answer> {
///     match request {
///         Request::BindUdp(request) => Some(request.failed(Refused::Unsupported)),
///         Request::ListenTcp(request) => Some(request.failed(Refused::Unsupported)),
///         Request::OpenStream(request) => Some(request.failed(Refused::Unsupported)),
///         Request::ResolveName(request) => Some(request.failed(Refused::Unsupported)),
///         Request::JoinMulticast(request) => Some(request.failed(Refused::Unsupported)),
///         Request::WatchInterfaces(request) => Some(request.failed(Refused::Unsupported)),
///         Request::CloseUdp(_) | Request::CloseListener(_) | Request::CloseStream(_) => None,
///     }
/// }
/// ```
#[derive(Debug)]
pub enum Request {
    /// Bind a UDP socket.
    BindUdp(BindUdp),
    /// Close one; no answer.
    CloseUdp(CloseUdp),
    /// Accept TCP connections.
    ListenTcp(ListenTcp),
    /// Stop that; no answer.
    CloseListener(CloseListener),
    /// Open a TCP or TLS stream.
    OpenStream(OpenStream),
    /// Close a stream; no answer.
    CloseStream(CloseStream),
    /// Look up a name.
    ResolveName(ResolveName),
    /// Join a multicast group (mDNS).
    JoinMulticast(JoinMulticast),
    /// List the interfaces, and tell of changes.
    WatchInterfaces(WatchInterfaces),
}

/// Tells requests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// The adaptor could not, or would not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The adaptor does not do such things.
    #[error("the adaptor does not support this request")]
    Unsupported,
    /// The adaptor's policy forbids it.
    #[error("not permitted")]
    NotPermitted,
    /// The system said no.
    #[error("{0}")]
    Failed(String),
}

/// What became of a request. Made by the request itself.
#[derive(Debug)]
pub struct Answer {
    id: RequestId,
    outcome: Result<Outcome, Refused>,
}

impl Answer {
    /// Which request this answers.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// What came of it. For machines.
    pub fn into_outcome(self) -> Result<Outcome, Refused> {
        self.outcome
    }
}

/// What an answer says, for the machine that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A UDP socket is bound to this address.
    Bound(SocketAddr),
    /// A listener waits at this address.
    Listening(SocketAddr),
    /// A stream is open, from this local address.
    Opened(SocketAddr),
    /// A name has these addresses.
    Resolved(Vec<IpAddr>),
    /// A group was joined: its datagrams come in with this local address.
    Joined(SocketAddr),
    /// The interfaces that there are.
    Interfaces(Vec<Interface>),
}

/// Bind a UDP socket to `local`, and answer with the address that it got.
#[derive(Debug)]
#[must_use = "a request wants an answer"]
pub struct BindUdp {
    id: RequestId,
    /// The address; its port is zero unless a certain one is wanted.
    pub local: SocketAddr,
    /// The ports to choose from, where `local` has none; any, if `None`.
    pub ports: Option<RangeInclusive<u16>>,
}

impl BindUdp {
    /// For machines.
    pub fn new(id: RequestId, local: SocketAddr, ports: Option<RangeInclusive<u16>>) -> Self {
        Self { id, local, ports }
    }
    /// The socket is bound to `local`, whose port is real now.
    pub fn bound(self, local: SocketAddr) -> Answer {
        Answer { id: self.id, outcome: Ok(Outcome::Bound(local)) }
    }
    /// It could not be.
    pub fn failed(self, reason: Refused) -> Answer {
        Answer { id: self.id, outcome: Err(reason) }
    }
}

/// Close the UDP socket that was bound to `local`. No answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseUdp {
    /// As it was [bound](BindUdp::bound).
    pub local: SocketAddr,
}

/// Accept TCP connections at `local`; each comes in as [`Input::StreamAccepted`](crate::Input::StreamAccepted).
#[derive(Debug)]
#[must_use = "a request wants an answer"]
pub struct ListenTcp {
    id: RequestId,
    /// The address; its port is zero unless a certain one is wanted.
    pub local: SocketAddr,
    /// The ports to choose from, where `local` has none; any, if `None`.
    pub ports: Option<RangeInclusive<u16>>,
}

impl ListenTcp {
    /// For machines.
    pub fn new(id: RequestId, local: SocketAddr, ports: Option<RangeInclusive<u16>>) -> Self {
        Self { id, local, ports }
    }
    /// A listener waits at `local`.
    pub fn listening(self, local: SocketAddr) -> Answer {
        Answer { id: self.id, outcome: Ok(Outcome::Listening(local)) }
    }
    /// None does.
    pub fn failed(self, reason: Refused) -> Answer {
        Answer { id: self.id, outcome: Err(reason) }
    }
}

/// Stop listening at `local`. No answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseListener {
    /// As it was [answered](ListenTcp::listening).
    pub local: SocketAddr,
}

/// How a stream is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamSecurity {
    /// Plain TCP.
    Plain,
    /// TLS, the certificate checked against this name.
    Tls {
        /// A host name or an address.
        server_name: String,
    },
}

/// Open a stream to `remote`, and call it `stream`.
#[derive(Debug)]
#[must_use = "a request wants an answer"]
pub struct OpenStream {
    id: RequestId,
    /// Its name from now on.
    pub stream: StreamId,
    /// The address to open it from, if that matters.
    pub local: Option<SocketAddr>,
    /// Whom to connect to.
    pub remote: SocketAddr,
    /// TCP or TLS.
    pub security: StreamSecurity,
}

impl OpenStream {
    /// For machines.
    pub fn new(
        id: RequestId,
        stream: StreamId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        security: StreamSecurity,
    ) -> Self {
        Self { id, stream, local, remote, security }
    }
    /// It is open, from `local`.
    pub fn opened(self, local: SocketAddr) -> Answer {
        Answer { id: self.id, outcome: Ok(Outcome::Opened(local)) }
    }
    /// It could not be.
    pub fn failed(self, reason: Refused) -> Answer {
        Answer { id: self.id, outcome: Err(reason) }
    }
}

/// Close a stream, after what it was given has been sent. No answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseStream {
    /// Which.
    pub stream: StreamId,
}

/// Look up the addresses of `host`.
#[derive(Debug)]
#[must_use = "a request wants an answer"]
pub struct ResolveName {
    id: RequestId,
    /// A DNS name.
    pub host: String,
}

impl ResolveName {
    /// For machines.
    pub fn new(id: RequestId, host: String) -> Self {
        Self { id, host }
    }
    /// It has these addresses.
    pub fn resolved(self, addresses: Vec<IpAddr>) -> Answer {
        Answer { id: self.id, outcome: Ok(Outcome::Resolved(addresses)) }
    }
    /// It has none.
    pub fn failed(self, reason: Refused) -> Answer {
        Answer { id: self.id, outcome: Err(reason) }
    }
}

/// Join the multicast `group` on the interface with the address `interface`.
#[derive(Debug)]
#[must_use = "a request wants an answer"]
pub struct JoinMulticast {
    id: RequestId,
    /// The group and its port.
    pub group: SocketAddr,
    /// An address of the interface to join it on.
    pub interface: IpAddr,
}

impl JoinMulticast {
    /// For machines.
    pub fn new(id: RequestId, group: SocketAddr, interface: IpAddr) -> Self {
        Self { id, group, interface }
    }
    /// Joined: its datagrams come in with `local`, and what is sent from there goes out by that interface.
    pub fn joined(self, local: SocketAddr) -> Answer {
        Answer { id: self.id, outcome: Ok(Outcome::Joined(local)) }
    }
    /// It could not be.
    pub fn failed(self, reason: Refused) -> Answer {
        Answer { id: self.id, outcome: Err(reason) }
    }
}

/// List the interfaces; each later change comes in as [`Input::Interfaces`](crate::Input::Interfaces).
#[derive(Debug)]
#[must_use = "a request wants an answer"]
pub struct WatchInterfaces {
    id: RequestId,
}

impl WatchInterfaces {
    /// For machines.
    pub fn new(id: RequestId) -> Self {
        Self { id }
    }
    /// These are there now.
    pub fn interfaces(self, interfaces: Vec<Interface>) -> Answer {
        Answer { id: self.id, outcome: Ok(Outcome::Interfaces(interfaces)) }
    }
    /// They cannot be told.
    pub fn failed(self, reason: Refused) -> Answer {
        Answer { id: self.id, outcome: Err(reason) }
    }
}
