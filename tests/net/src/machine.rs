//! What is simulated.

use wigwag_proto::{Input, Instant, Request, Transmit, TransmitBuffer};

use crate::stats::TooBig;

/// What is simulated: a protocol machine, or several in layers, with its application.
pub trait Machine {
    /// Something arrived.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);
    /// The deadline passed.
    fn handle_timeout(&mut self, now: Instant);
    /// What to send.
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit>;
    /// When to come back.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The application's part of a wake, after input and timers and before transmits: take events, answer requests,
    /// send. Nothing, unless it is written.
    fn step(&mut self, _now: Instant) {}

    /// What the machine asks of its adaptor: the simulation does it, as an adaptor would. Asked for after each wake. Nothing,
    /// unless it is written.
    fn poll_request(&mut self) -> Option<Request> {
        None
    }

    /// A router says that a packet was too big: see [`Link::mtu_notice`](crate::Link::mtu_notice). Nothing, unless it is
    /// written.
    fn handle_too_big(&mut self, _now: Instant, _notice: TooBig) {}

    /// Secrets that were agreed on since the last call, as NSS key log lines, for a
    /// [capture](crate::Network::capture_host). Asked for after each wake if something is captured. None, unless it is written.
    fn key_log(&mut self) -> Option<String> {
        None
    }

    /// Would [`poll_transmit`](Self::poll_transmit) give something right after [`handle_timeout`](Self::handle_timeout)?
    /// A machine that can tell exactly is held to it; `None`: it cannot tell.
    fn can_transmit(&self) -> Option<bool> {
        None
    }
}
