//! What machines ask of their adaptor, done by the simulation.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wigwag_proto::request::{OpenStream, StreamSecurity};
use wigwag_proto::{Answer, Input, Instant, Refused, Request, StreamId};

use crate::machine::Machine;
use crate::network::Network;
use crate::simulation::Simulation;
use crate::stats::HostId;
use crate::streams::StreamEvent;

/// Requests that are answered later.
#[derive(Default)]
pub(crate) struct Pending {
    opening: BTreeMap<(HostId, StreamId), OpenStream>,
}

impl Network {
    /// What a name is resolved to. A name that nobody has cannot be.
    pub fn set_name(&mut self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.names.insert(name.to_owned(), addresses.into_iter().collect());
    }

    /// Accepts streams at an address of a host: TLS with a certificate for `names`, or, without any, plain TCP.
    /// [`ListenTcp`](Request::ListenTcp) asks for the latter.
    pub fn listen_at(&mut self, host: HostId, local: SocketAddr, names: Option<&[&str]>) {
        let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        self.listen(host, local, names);
    }
}

impl<M: Machine> Simulation<M> {
    /// Does what the machine of a host asks for.
    pub(crate) fn answer_requests(&mut self, now: Instant, host: HostId) {
        while let Some(request) = self.machine_dyn(host).and_then(Machine::poll_request) {
            let Some(answer) = self.answer(now, host, request) else { continue };
            self.tell(host, Input::Answer(answer));
        }
    }

    fn tell(&mut self, host: HostId, input: Input<'_>) {
        let clock = self.clock(host);
        if !self.hosts.is_awake(host) {
            return;
        }
        if let Some(machine) = self.machine_dyn(host) {
            machine.handle_input(clock, input);
            self.touched.insert(host);
        }
    }

    fn answer(&mut self, now: Instant, host: HostId, request: Request) -> Option<Answer> {
        let refused = |reason: &str| Refused::Failed(reason.to_owned());
        Some(match request {
            Request::WatchInterfaces(request) => request.interfaces(self.interfaces(host)),
            Request::BindUdp(request) => match self.bind(host, request.local, request.ports.clone()) {
                Some(local) => request.bound(local),
                None => request.failed(refused("the address is not this host's, or the port is taken")),
            },
            Request::CloseUdp(request) => {
                self.network.streams.bound.remove(&(host, request.local));
                self.network.leave_groups(host, request.local);
                return None;
            }
            Request::ListenTcp(request) => match self.bind(host, request.local, request.ports.clone()) {
                Some(local) => {
                    self.network.listen(host, local, None);
                    request.listening(local)
                }
                None => request.failed(refused("the address is not this host's, or the port is taken")),
            },
            Request::CloseListener(request) => {
                self.network.close_listener(host, request.local);
                self.network.streams.bound.remove(&(host, request.local));
                return None;
            }
            Request::OpenStream(request) => {
                let OpenStream { stream, local, remote, .. } = request;
                let name = match &request.security {
                    StreamSecurity::Plain => None,
                    StreamSecurity::Tls { server_name } => Some(server_name.clone()),
                };
                if !self.network.open_stream(now, host, stream, local, remote, name) {
                    return Some(request.failed(refused("no address of this host can reach it")));
                }
                self.pending.opening.insert((host, stream), request);
                return None;
            }
            Request::CloseStream(request) => {
                self.pending.opening.remove(&(host, request.stream));
                self.network.close_stream(now, host, request.stream);
                return None;
            }
            Request::ResolveName(request) => match self.network.names.get(&request.host) {
                Some(addresses) => request.resolved(addresses.clone()),
                None => request.failed(refused("no such name")),
            },
            Request::JoinMulticast(request) => match self.network.join_group(host, request.group, request.interface) {
                Some(local) => request.joined(local),
                None => request.failed(refused("the address is not this host's")),
            },
        })
    }

    /// A port at an address of the host.
    fn bind(
        &mut self,
        host: HostId,
        local: SocketAddr,
        ports: Option<std::ops::RangeInclusive<u16>>,
    ) -> Option<SocketAddr> {
        let is_its_own = self.network.addresses(host).any(|address| address == local.ip());
        let is_free =
            |network: &Network, port: u16| !network.streams.bound.contains(&(host, SocketAddr::new(local.ip(), port)));
        let port = match (local.port(), ports) {
            (0, None) => {
                let network = &mut self.network;
                let mut port = network.free_port(host, local.ip());
                while !is_free(network, port) {
                    port = network.free_port(host, local.ip());
                }
                Some(port)
            }
            (0, Some(mut ports)) => ports.find(|port| is_free(&self.network, *port)),
            (port, _) => Some(port).filter(|port| is_free(&self.network, *port)),
        };
        let local = SocketAddr::new(local.ip(), port.filter(|_| is_its_own)?);
        self.network.streams.bound.insert((host, local));
        Some(local)
    }

    /// Hands over what came of streams.
    pub(crate) fn deliver_streams(&mut self) {
        while let Some(event) = self.network.poll_stream(self.now) {
            match event {
                StreamEvent::Opened { to, id, local } => {
                    if let Some(request) = self.pending.opening.remove(&(to, id)) {
                        self.tell(to, Input::Answer(request.opened(local)));
                    }
                }
                StreamEvent::Refused { to, id } => {
                    if let Some(request) = self.pending.opening.remove(&(to, id)) {
                        self.tell(to, Input::Answer(request.failed(Refused::Failed("refused".to_owned()))));
                    }
                }
                StreamEvent::Accepted { to, id, local, remote } => {
                    self.tell(to, Input::StreamAccepted { id, local, remote });
                }
                StreamEvent::Data { to, id, bytes } => self.tell(to, Input::Stream { id, bytes: &bytes }),
                StreamEvent::Closed { to, id } => match self.pending.opening.remove(&(to, id)) {
                    Some(request) => {
                        self.tell(to, Input::Answer(request.failed(Refused::Failed("closed".to_owned()))));
                    }
                    None => self.tell(to, Input::StreamClosed(id)),
                },
            }
        }
    }
}
