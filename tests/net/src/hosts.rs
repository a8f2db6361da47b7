//! What happens to hosts: they get and lose interfaces, sleep, and their clocks jump.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use wigwag_proto::{Instant, Interface};

use crate::machine::Machine;
use crate::realm::Realm;
use crate::simulation::Simulation;
use crate::stats::HostId;

/// What is special about some hosts.
#[derive(Default)]
pub(crate) struct Hosts {
    /// How much further the clock of a host is than the time of the simulation.
    ahead: BTreeMap<HostId, Duration>,
    /// When each that sleeps awakes, and whether it was plugged in.
    asleep: BTreeMap<HostId, (Instant, bool)>,
    /// The names of interfaces, where they were given.
    names: BTreeMap<(HostId, Realm, IpAddr), String>,
    /// Who does not know yet that its interfaces changed.
    untold: BTreeSet<HostId>,
}

impl Hosts {
    pub fn ahead(&self, host: HostId) -> Duration {
        self.ahead.get(&host).copied().unwrap_or_default()
    }

    pub fn is_awake(&self, host: HostId) -> bool {
        !self.asleep.contains_key(&host)
    }
}

/// What happens to hosts.
///
/// ```
/// use std::time::Duration;
/// use wigwag_net::{Realm, Simulation};
/// # use wigwag_net::Machine;
/// # use wigwag_proto::{Input, Instant, Transmit, TransmitBuffer};
/// # struct Phone;
/// # impl Machine for Phone {
/// #     fn handle_input(&mut self, _: Instant, _: Input<'_>) {}
/// #     fn handle_timeout(&mut self, _: Instant) {}
/// #     fn poll_transmit(&mut self, _: Instant, _: &mut TransmitBuffer<'_>) -> Option<Transmit> { None }
/// #     fn poll_timeout(&self) -> Option<Instant> { None }
/// # }
/// let mut simulation = Simulation::new(1);
/// let phone = simulation.add(["203.0.113.2".parse()?], Phone);
///
/// // From one network to another, with overlap; the machine is told each time, by Input::Interfaces.
/// simulation.add_interface(phone, "cellular", Realm::INTERNET, "198.51.100.7".parse()?);
/// simulation.run_for(Duration::from_secs(2))?;
/// simulation.remove_interface(phone, "eth0");
///
/// // In a pocket for eight hours.
/// simulation.sleep(phone, Duration::from_secs(8 * 3600));
/// simulation.run_for(Duration::from_secs(9 * 3600))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<M> Simulation<M> {
    /// One more interface, or one more address of an interface; the machine is told, by
    /// [`Input::Interfaces`](wigwag_proto::Input::Interfaces). The addresses with which a host was added are those of `eth0`.
    pub fn add_interface(&mut self, host: HostId, name: &str, realm: Realm, address: IpAddr) {
        self.network.add_address_in(realm, host, address);
        self.hosts.names.insert((host, realm, address), name.to_owned());
        self.tell_interfaces(host);
    }

    /// An interface less, with all its addresses; the machine is told. What is under way to them is lost, or arrives at the
    /// host that gets them next.
    pub fn remove_interface(&mut self, host: HostId, name: &str) {
        for (realm, address) in self.network.places(host) {
            if self.interface_name(host, realm, address) == name {
                self.network.remove_address_in(realm, address);
                self.hosts.names.remove(&(host, realm, address));
            }
        }
        self.tell_interfaces(host);
    }

    /// The interfaces of a host, in the order of their addresses.
    pub fn interfaces(&self, host: HostId) -> Vec<Interface> {
        let places = self.network.places(host).into_iter();
        places.map(|(realm, address)| Interface::new(self.interface_name(host, realm, address), address)).collect()
    }

    fn interface_name(&self, host: HostId, realm: Realm, address: IpAddr) -> &str {
        self.hosts.names.get(&(host, realm, address)).map_or("eth0", String::as_str)
    }

    fn tell_interfaces(&mut self, host: HostId) {
        self.hosts.untold.insert(host);
        self.touched.insert(host);
    }

    /// What the machine must be told in this wake.
    pub(crate) fn interface_news(&mut self, host: HostId) -> Option<Vec<Interface>> {
        let is_news = !self.hosts.untold.is_empty() && self.hosts.untold.remove(&host);
        is_news.then(|| self.interfaces(host))
    }

    /// Puts a host to sleep: its machine is not woken, and what arrives is lost. Its clock goes on, so that when it awakes, all
    /// its deadlines have passed long ago.
    pub fn sleep(&mut self, host: HostId, duration: Duration) {
        let was_up = match self.hosts.asleep.get(&host) {
            Some((_, was_up)) => *was_up,
            None => self.network.is_up(host),
        };
        let until = self.now + duration;
        self.hosts.asleep.insert(host, (until, was_up));
        self.network.set_up(host, false);
        self.set_deadline(host, Some(until));
    }

    /// Wakes a host that sleeps, now.
    pub fn wake_up(&mut self, host: HostId) {
        self.end_sleep(host);
        self.touched.insert(host);
    }

    /// Whether a host does not sleep.
    pub fn is_awake(&self, host: HostId) -> bool {
        self.hosts.is_awake(host)
    }

    pub(crate) fn end_sleep(&mut self, host: HostId) {
        if let Some((_, was_up)) = self.hosts.asleep.remove(&host) {
            self.network.set_up(host, was_up);
        }
    }

    /// What the clock of a host says: the time, and all its [jumps](Self::jump_clock).
    pub fn clock(&self, host: HostId) -> Instant {
        self.now + self.hosts.ahead(host)
    }

    /// Makes the clock of a host jump forward, as that of a virtual machine which was held. (An
    /// [`Instant`] never goes back.)
    pub fn jump_clock(&mut self, host: HostId, by: Duration) {
        *self.hosts.ahead.entry(host).or_default() += by;
        self.touched.insert(host);
    }
}

impl<M: Machine> Simulation<M> {
    /// The machine of a host, or the service there, to be given something that came from the network.
    pub(crate) fn machine_if_awake(&mut self, host: HostId) -> Option<&mut dyn Machine> {
        self.hosts.is_awake(host).then_some(())?;
        self.touched.insert(host);
        self.machine_dyn(host)
    }
}
