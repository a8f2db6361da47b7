//! Gathering: which sockets there shall be. Everything is asked of the adaptor, and may be refused.
//!
//! ```text
//! gather ─► WatchInterfaces ─► the interfaces ─► BindUdp for each address ─► a candidate for each that is bound
//!               refused ──────────────────────────────┴─ refused ──────────► complete
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wigwag_proto::request::{BindUdp, CloseUdp, WatchInterfaces};
use wigwag_proto::{Answer, Instant, Interface, Outcome, Request, RequestId};

use crate::config::Config;
use crate::event::GatheringState;
use crate::server::TransportPolicy;

/// Sockets of one agent, gathered and handed in; a host with more addresses than that is served well enough.
pub(crate) const MAX_SOCKETS: usize = 32;

/// What an answer led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// A socket is bound.
    Socket(SocketAddr),
    /// Nothing for the agent to do.
    Nothing,
}

/// What was asked, and is not yet answered.
#[derive(Debug)]
pub(crate) struct Gatherer {
    pub(crate) state: GatheringState,
    pub(crate) requests: VecDeque<Request>,
    watching: Option<RequestId>,
    binding: Vec<(RequestId, IpAddr)>,
    /// When the adaptor has taken too long; counted from when it could first know of a request.
    deadline: Option<Instant>,
    pub(crate) next_id: u32,
    /// Addresses that are asked from without a socket of their own: where only relayed candidates are told.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Gatherer {
    pub(crate) fn new() -> Self {
        Self {
            state: GatheringState::New,
            requests: VecDeque::new(),
            watching: None,
            binding: Vec::new(),
            deadline: None,
            next_id: 0,
            addresses: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, now: Instant, timeout: Duration) {
        if self.watching.is_some() {
            return;
        }
        let id = self.new_id();
        self.state = GatheringState::Gathering;
        self.watching = Some(id);
        self.deadline = Some(now + timeout);
        self.requests.push_back(Request::WatchInterfaces(WatchInterfaces::new(id)));
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// `bound` are the addresses that have sockets already.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        answer: Answer,
        config: &Config,
        bound: &[SocketAddr],
    ) -> Gathered {
        let id = answer.id();
        if self.watching == Some(id) {
            self.watching = None;
            if let Ok(Outcome::Interfaces(interfaces)) = answer.into_outcome() {
                self.bind(now, &interfaces, config, bound);
            }
            return Gathered::Nothing;
        }
        let Some(asked) = self.binding.iter().position(|&(asked, _)| asked == id) else {
            // It was given up.
            if let Ok(Outcome::Bound(local)) = answer.into_outcome() {
                self.requests.push_back(Request::CloseUdp(CloseUdp { local }));
            }
            return Gathered::Nothing;
        };
        self.binding.swap_remove(asked);
        match answer.into_outcome() {
            Ok(Outcome::Bound(local)) => Gathered::Socket(local),
            _ => Gathered::Nothing,
        }
    }

    fn bind(&mut self, now: Instant, interfaces: &[Interface], config: &Config, bound: &[SocketAddr]) {
        if config.transport_policy == TransportPolicy::Relay {
            let wanted = interfaces.iter().map(|interface| interface.address);
            self.addresses = wanted.filter(|address| is_wanted(*address, config)).collect();
            return;
        }
        for &Interface { address, .. } in interfaces {
            let known = bound.iter().any(|local| local.ip() == address)
                || self.binding.iter().any(|&(_, asked)| asked == address);
            if known || !is_wanted(address, config) || bound.len() + self.binding.len() >= MAX_SOCKETS {
                continue;
            }
            let id = self.new_id();
            self.binding.push((id, address));
            let local = SocketAddr::new(address, 0);
            self.requests.push_back(Request::BindUdp(BindUdp::new(id, local, config.ports.clone())));
            self.deadline = Some(now + config.request_timeout);
        }
    }

    /// Whether gathering has just come to its end; not while servers are `busy`.
    pub(crate) fn finish(&mut self, now: Instant, busy: bool) -> bool {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.watching = None;
            self.binding.clear();
        }
        if self.watching.is_some() || !self.binding.is_empty() {
            return false;
        }
        self.deadline = None;
        let ends = self.state == GatheringState::Gathering && !busy;
        if ends {
            self.state = GatheringState::Complete;
        }
        ends
    }

    /// Nothing more is wanted.
    pub(crate) fn close(&mut self) {
        self.watching = None;
        self.binding.clear();
        self.deadline = None;
        self.requests.clear();
    }

    pub(crate) fn new_id(&mut self) -> RequestId {
        self.next_id = self.next_id.wrapping_add(1);
        RequestId(self.next_id)
    }
}

/// RFC 8445 section 5.1.1.1, and no address that nobody could send to.
fn is_wanted(address: IpAddr, config: &Config) -> bool {
    if address.is_unspecified() || address.is_multicast() {
        return false;
    }
    let link_local = match address {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    (config.include_loopback || !address.is_loopback()) && (config.include_link_local || !link_local)
}
