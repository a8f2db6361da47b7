//! The wakes: who has something to do now does it, until nobody has.

use std::collections::BTreeMap;
use std::time::Duration;

use wigwag_proto::transmit::MAX_BATCH_SEGMENTS;
use wigwag_proto::{Input, Instant, Received, TransmitBuffer};

use crate::diligence::Diligence;
use crate::fault::{Failure, Fault};
use crate::machine::Machine;
use crate::network::Network;
use crate::service::Service;
use crate::simulation::{MEMORY, Simulation};
use crate::stats::{Delivery, HostId};

/// More wakes of one machine without time passing are a livelock.
const MAX_WAKES_PER_MOMENT: usize = 100_000;
/// More batches in one wake are an endless output.
const MAX_BATCHES_PER_WAKE: usize = 100_000;
/// A machine with output waiting asks to be woken within this time.
const MAX_OUTPUT_DELAY: Duration = Duration::from_millis(1);

impl<M: Machine> Simulation<M> {
    /// Wakes everybody who has something to do now, until nobody has.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        let mut wakes: BTreeMap<HostId, usize> = BTreeMap::new();
        loop {
            self.deliver();
            while let Some((_, host)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= self.now) {
                let host = *host;
                self.end_sleep(host);
                self.touched.insert(host);
                self.set_deadline(host, None);
            }
            let Some(host) = self.touched.pop_first() else {
                if self.arrived.is_some() {
                    continue;
                }
                return Ok(());
            };
            if !self.hosts.is_awake(host) {
                continue;
            }
            let count = wakes.entry(host).or_default();
            *count += 1;
            if *count > MAX_WAKES_PER_MOMENT {
                return Err(self.failure(Fault::Busy, Some(host)));
            }
            self.wake(host)?;
        }
    }

    /// Hands over what has arrived, together what came together.
    fn deliver(&mut self) {
        while let Some(notice) = self.network.poll_notice(self.now) {
            let clock = self.clock(notice.to);
            if let Some(machine) = self.machine_if_awake(notice.to) {
                machine.handle_too_big(clock, notice);
            }
        }
        self.deliver_streams();
        let mut held = self.arrived.take();
        let mut inputs = 0;
        while let Some(delivery) = self.network.deliver(self.now) {
            let len = delivery.bytes.len();
            if let Some((first, size, count)) = &mut held {
                let fits = len <= *size && first.bytes.len() == *size * *count && *size > 0 && len > 0;
                let same = (first.to, first.path, first.ecn) == (delivery.to, delivery.path, delivery.ecn);
                let most = self.diligence.received.min(MAX_BATCH_SEGMENTS);
                if same && fits && *count < most && first.bytes.len() + len <= MEMORY {
                    first.bytes.extend_from_slice(&delivery.bytes);
                    *count += 1;
                    continue;
                }
            }
            if let Some((first, size, _)) = held.replace((delivery, len, 1)) {
                self.hand_over(first, size);
                inputs += 1;
                if inputs >= self.diligence.inputs {
                    self.arrived = held;
                    return;
                }
            }
        }
        if let Some((first, size, _)) = held {
            self.hand_over(first, size);
        }
    }

    fn hand_over(&mut self, delivery: Delivery, segment_size: usize) {
        let Delivery { to, path, mut bytes, ecn } = delivery;
        let clock = self.clock(to);
        if let Some(machine) = self.machine_if_awake(to) {
            machine.handle_input(clock, Input::Datagrams(Received { path, bytes: &mut bytes, segment_size, ecn }));
        }
    }

    fn wake(&mut self, host: HostId) -> Result<(), Failure> {
        let Self { now, diligence, .. } = *self;
        let ahead = self.hosts.ahead(host);
        let clock = now + ahead;
        let news = self.interface_news(host);
        let Self { machines, services, .. } = self;
        let Some(machine) = find(machines, services, host) else {
            return Ok(());
        };
        if let Some(interfaces) = news {
            machine.handle_input(clock, Input::Interfaces(&interfaces));
        }
        let is_due = machine.poll_timeout().is_some_and(|deadline| deadline <= clock);
        if is_due || diligence.eager_timers {
            machine.handle_timeout(clock);
            if machine.poll_timeout().is_some_and(|deadline| deadline <= clock) {
                return Err(self.failure(Fault::Livelock, Some(host)));
            }
        }
        machine.step(clock);
        self.answer_requests(now, host);
        let Self { machines, services, .. } = self;
        let Some(machine) = find(machines, services, host) else {
            return Ok(());
        };
        let outcome = transmit_all(machine, host, &mut self.network, [now, clock], diligence, &mut self.memory);
        if let Some(capture) = self.network.capture_mut()
            && let Some(lines) = machine.key_log()
        {
            capture.add_keys(&lines);
        }
        let (can_transmit, deadline) = (machine.can_transmit(), machine.poll_timeout());
        outcome.map_err(|fault| self.failure(fault, Some(host)))?;
        if can_transmit == Some(true) && deadline.is_none_or(|deadline| deadline > clock + MAX_OUTPUT_DELAY) {
            return Err(self.failure(Fault::ForgottenOutput, Some(host)));
        }
        self.set_deadline(host, deadline.map(|deadline| deadline - ahead));
        Ok(())
    }

    /// Nothing will ever happen again. Is it because somebody sits on output?
    pub(crate) fn stalled(&mut self) -> Failure {
        let mut out = TransmitBuffer::new(&mut self.memory, 1);
        let (now, hosts) = (self.now, &self.hosts);
        let machines = self.machines.iter_mut().map(|(host, it)| (host, it as &mut dyn Machine));
        let services = self.services.iter_mut().map(|(host, it)| (host, &mut **it as &mut dyn Machine));
        let mut awake = machines.chain(services).filter(|(host, _)| hosts.is_awake(**host));
        let sitting = awake.find_map(|(host, it)| it.poll_transmit(now + hosts.ahead(*host), &mut out).map(|_| *host));
        match sitting {
            Some(host) => self.failure(Fault::ForgottenOutput, Some(host)),
            None => self.failure(Fault::Stalled, None),
        }
    }
}

/// The machine of a host, or the service there.
fn find<'a>(
    machines: &'a mut BTreeMap<HostId, impl Machine>,
    services: &'a mut BTreeMap<HostId, Box<dyn Service>>,
    host: HostId,
) -> Option<&'a mut dyn Machine> {
    let service = |service: &'a mut Box<dyn Service>| &mut **service as &mut dyn Machine;
    machines.get_mut(&host).map(|machine| machine as &mut dyn Machine).or_else(|| services.get_mut(&host).map(service))
}

fn transmit_all(
    machine: &mut dyn Machine,
    host: HostId,
    network: &mut Network,
    [now, clock]: [Instant; 2],
    diligence: Diligence,
    memory: &mut [u8],
) -> Result<(), Fault> {
    let mut out = TransmitBuffer::new(memory, diligence.segments);
    for batch in 0..diligence.batches {
        if batch == MAX_BATCHES_PER_WAKE {
            return Err(Fault::EndlessOutput);
        }
        let promised = machine.can_transmit();
        let transmit = machine.poll_transmit(clock, &mut out);
        if promised.is_some_and(|promised| promised != transmit.is_some()) {
            return Err(Fault::WrongCanTransmit);
        }
        let Some(transmit) = transmit else {
            return Ok(());
        };
        let bytes = out.bytes(&transmit);
        let is_whole = bytes.len() == transmit.len && (1..=transmit.len).contains(&transmit.segment_size);
        if !is_whole || transmit.len.div_ceil(transmit.segment_size) > diligence.segments.max(1) {
            return Err(Fault::ImpossibleTransmit);
        }
        network.send_from(host, now, &transmit, bytes);
    }
    Ok(())
}
