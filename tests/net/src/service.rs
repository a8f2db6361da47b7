//! Machines that serve the others: a STUN and TURN server, whatever is simulated.

use std::any::Any;
use std::net::IpAddr;

use crate::machine::Machine;
use crate::realm::Realm;
use crate::simulation::Simulation;
use crate::stats::HostId;

/// A machine of any type, beside those that a simulation is about. Whatever is a [`Machine`] is one.
pub trait Service: Machine + Any + Send {
    /// To find out which it is.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Machine + Any + Send> Service for T {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl<M> Simulation<M> {
    /// A host with these addresses at which a service runs, whose type is its own. It is driven and watched as machines are, and
    /// not among [`hosts`](Self::hosts).
    pub fn add_service(&mut self, addresses: impl IntoIterator<Item = IpAddr>, service: impl Service) -> HostId {
        self.add_service_in(Realm::INTERNET, addresses, service)
    }

    /// The same behind a [NAT](crate::Network::add_nat).
    pub fn add_service_in(
        &mut self,
        realm: Realm,
        addresses: impl IntoIterator<Item = IpAddr>,
        service: impl Service,
    ) -> HostId {
        let host = self.network.add_host_in(realm, addresses);
        self.services.insert(host, Box::new(service));
        self.touched.insert(host);
        host
    }

    /// The service at a host, if it is of this type; it is woken when the simulation goes on.
    pub fn service_mut<S: Service>(&mut self, host: HostId) -> Option<&mut S> {
        let service = self.services.get_mut(&host)?;
        self.touched.insert(host);
        (**service).as_any_mut().downcast_mut()
    }

    /// Takes a service away, without a word to anybody.
    pub fn remove_service(&mut self, host: HostId) {
        self.set_deadline(host, None);
        self.touched.remove(&host);
        self.network.forget_streams(host);
        self.services.remove(&host);
    }
}

impl<M: Machine> Simulation<M> {
    /// The machine of a host, or the service there.
    pub(crate) fn machine_dyn(&mut self, host: HostId) -> Option<&mut dyn Machine> {
        if let Some(machine) = self.machines.get_mut(&host) {
            return Some(machine);
        }
        self.services.get_mut(&host).map(|service| &mut **service as &mut dyn Machine)
    }
}
