//! A machine that sends what it is told, asks for what it is told, and keeps what comes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::net::SocketAddr;

use wigwag_net::Machine;
use wigwag_proto::{
    Answer, Input, Instant, Outcome, Refused, Request, Route, StreamId, Transmit, TransmitBuffer, UdpPath,
};

pub fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[derive(Default)]
pub struct Script {
    pub to_send: VecDeque<(Route, Vec<u8>)>,
    pub requests: VecDeque<Request>,
    pub datagrams: Vec<(UdpPath, Vec<u8>)>,
    pub streams: Vec<(StreamId, Vec<u8>)>,
    pub accepted: Vec<(StreamId, SocketAddr)>,
    pub closed: Vec<StreamId>,
    pub answers: Vec<Result<Outcome, Refused>>,
    now: Instant,
    timers_ran: bool,
}

impl Script {
    pub fn send(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        self.to_send.push_back((Route::Udp(UdpPath { local, remote }), bytes.to_vec()));
    }

    pub fn write(&mut self, id: StreamId, bytes: &[u8]) {
        self.to_send.push_back((Route::Stream(id), bytes.to_vec()));
    }

    /// All that came of a stream.
    pub fn read(&self, id: StreamId) -> Vec<u8> {
        self.streams.iter().filter(|(of, _)| *of == id).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    fn touch(&mut self, now: Instant) {
        self.now = now;
        self.timers_ran = false;
    }

    fn answered(&mut self, answer: Answer) {
        self.answers.push(answer.into_outcome());
    }
}

impl Machine for Script {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.touch(now);
        match input {
            Input::Datagrams(received) => {
                let path = received.path;
                self.datagrams.extend(received.datagrams().map(|bytes| (path, bytes.to_vec())));
            }
            Input::Stream { id, bytes } => self.streams.push((id, bytes.to_vec())),
            Input::StreamAccepted { id, remote, .. } => self.accepted.push((id, remote)),
            Input::StreamClosed(id) => self.closed.push(id),
            Input::Answer(answer) => self.answered(answer),
            _ => {}
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.touch(now);
        self.timers_ran = true;
    }
    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.touch(now);
        out.start();
        let (route, bytes) = self.to_send.pop_front()?;
        out.segment(bytes.len())?[..bytes.len()].copy_from_slice(&bytes);
        out.push(bytes.len());
        out.finish(route)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let pause = std::time::Duration::from_micros(if self.timers_ran { 1000 } else { 0 });
        (!self.to_send.is_empty()).then_some(self.now + pause)
    }
    fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }
}
