//! Two ends and the wire between them, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::stack::{Now, Sink, Stack};

/// How often the same instant may be visited before the clock is pushed on: a stack whose deadline stays in the
/// past is to be slow, not endless.
const MAX_VISITS: u32 = 100;

/// Two ends, and what is under way between them.
pub struct Link<S: Stack> {
    /// The offering end, and the answering end.
    pub ends: [S; 2],
    /// What each end produced.
    pub sinks: [Sink<S::Datagram>; 2],
    /// The virtual time.
    pub now: Now,
    /// Datagrams that crossed the wire, both directions.
    pub datagrams: u64,
    /// Bytes that crossed the wire, both directions.
    pub wire_bytes: u64,
    one_way: Duration,
    wires: [VecDeque<(Now, S::Datagram)>; 2],
    deadlines: [Option<Now>; 2],
    /// Who was touched since it was last polled.
    touched: [bool; 2],
    visits: u32,
}

impl<S: Stack> Link<S> {
    /// A wire that delivers everything, in order, after `one_way`.
    pub fn new(ends: [S; 2], one_way: Duration, message: &Bytes) -> Self {
        Link {
            ends,
            sinks: [Sink::new(message.clone()), Sink::new(message.clone())],
            now: Duration::ZERO,
            datagrams: 0,
            wire_bytes: 0,
            one_way,
            wires: [VecDeque::new(), VecDeque::new()],
            deadlines: [None; 2],
            touched: [true; 2],
            visits: 0,
        }
    }

    /// Takes what the ends have to send, if something happened to them. Returns whether there was anything.
    fn collect(&mut self) -> bool {
        let mut moved = false;
        for from in 0..2 {
            if !std::mem::take(&mut self.touched[from]) {
                continue;
            }
            self.deadlines[from] = self.ends[from].poll(self.now, &mut self.sinks[from]);
            for datagram in self.sinks[from].datagrams.drain(..) {
                moved = true;
                self.datagrams += S::datagrams(&datagram);
                self.wire_bytes += S::bytes(&datagram);
                self.wires[from].push_back((self.now + self.one_way, datagram));
            }
        }
        moved
    }

    /// Delivers what has arrived by now. Returns whether there was anything.
    fn deliver(&mut self) -> bool {
        let mut moved = false;
        for from in 0..2 {
            let to = 1 - from;
            while self.wires[from].front().is_some_and(|(arrival, _)| *arrival <= self.now) {
                let Some((_, datagram)) = self.wires[from].pop_front() else { break };
                self.ends[to].handle_datagram(self.now, datagram, &mut self.sinks[to]);
                self.touched[to] = true;
                moved = true;
            }
        }
        moved
    }

    fn fire(&mut self) {
        for end in 0..2 {
            if self.deadlines[end].is_some_and(|deadline| deadline <= self.now) {
                self.ends[end].handle_timeout(self.now, &mut self.sinks[end]);
                self.touched[end] = true;
            }
        }
    }

    /// Goes to the next thing that happens, at most to `until`, and lets it happen.
    fn advance(&mut self, until: Now) {
        let arrivals = self.wires.iter().filter_map(|wire| wire.front().map(|(arrival, _)| *arrival));
        let next = arrivals.chain(self.deadlines.into_iter().flatten()).min().unwrap_or(until).min(until);
        if next > self.now {
            self.now = next;
            self.visits = 0;
        } else {
            self.visits += 1;
            if self.visits > MAX_VISITS {
                self.now += Duration::from_millis(1);
                self.visits = 0;
            }
        }
        if !self.deliver() {
            self.fire();
        }
    }

    /// Runs until the channel is open at both ends, and returns when it was, at each.
    pub fn connect(&mut self) -> [Now; 2] {
        let give_up = self.now + Duration::from_secs(60);
        let mut opened = [None; 2];
        while self.now < give_up {
            self.collect();
            for (end, opened) in self.ends.iter().zip(&mut opened) {
                if end.is_open() {
                    opened.get_or_insert(self.now);
                }
            }
            if let [Some(first), Some(second)] = opened {
                return [first, second];
            }
            self.advance(give_up);
        }
        panic!("{}: no open channel after a minute", S::NAME);
    }

    /// Runs for this long without anybody sending a message.
    pub fn idle(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.collect();
            self.advance(until);
        }
    }

    /// The first end sends as much as it may, and everything under way is worked off, there and back. A round
    /// takes `tick` of virtual time; with nothing to do at all, time jumps to the next deadline. Returns that jump.
    pub fn round(&mut self, message: &Bytes, tick: Duration) -> Duration {
        let mut moved = false;
        while self.ends[0].send(self.now, message, &mut self.sinks[0]) {
            moved = true;
            self.touched[0] = true;
        }
        moved |= self.collect();
        moved |= self.deliver();
        moved |= self.collect();
        moved |= self.deliver();
        self.now += tick;
        let mut jump = Duration::ZERO;
        if !moved && let Some(deadline) = self.deadlines.into_iter().flatten().min() {
            jump = deadline.saturating_sub(self.now);
            self.now += jump;
        }
        self.fire();
        jump
    }
}
