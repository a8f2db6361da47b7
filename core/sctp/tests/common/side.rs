//! Our end of an association, or another implementation's, at the hosts of one simulation.

use wigwag_net::Machine;
use wigwag_proto::{Input, Instant, Transmit, TransmitBuffer};

use super::End;

#[allow(clippy::large_enum_variant)] // two of them in a simulation
pub enum Side<Other> {
    Ours(End),
    Theirs(Other),
}

impl<Other: Machine> Side<Other> {
    fn machine(&self) -> &dyn Machine {
        match self {
            Self::Ours(end) => end,
            Self::Theirs(other) => other,
        }
    }

    fn machine_mut(&mut self) -> &mut dyn Machine {
        match self {
            Self::Ours(end) => end,
            Self::Theirs(other) => other,
        }
    }
}

impl<Other: Machine> Machine for Side<Other> {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.machine_mut().handle_input(now, input);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.machine_mut().handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.machine_mut().poll_transmit(now, out)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.machine().poll_timeout()
    }
    fn step(&mut self, now: Instant) {
        self.machine_mut().step(now);
    }
    fn can_transmit(&self) -> Option<bool> {
        self.machine().can_transmit()
    }
}
