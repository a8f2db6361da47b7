//! Stream resets, both ways: how data channels close. RFC 6525.
//!
//! One request of ours is outstanding at a time; streams that are to be reset meanwhile wait for the next. A peer's request
//! that names a TSN which has not arrived is answered "in progress", and again once it was performed.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::{Instant, Serial};

use crate::ChannelId;
use crate::packet::Writer;
use crate::packet::chunk::RE_CONFIG;
use crate::packet::reconfig::{
    OUTGOING_RESET_FIXED, Outcome, RESPONSE_LEN, Streams, write_outgoing_reset, write_response,
};

/// Streams named in one request.
const MAX_STREAMS: usize = 256;
/// Requests of the peer that are remembered.
const MAX_OUTCOMES: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Reconfig {
    supported: bool,
    next_sequence: u32,
    /// Streams of ours to be reset.
    waiting: VecDeque<Stream>,
    request: Option<Request>,
    /// The sequence number that the peer's next request has.
    peer_sequence: u32,
    /// How the last requests ended, for repetitions. RFC 6525 lets a peer have one outstanding; sctp-proto has several.
    outcomes: VecDeque<(u32, Outcome)>,
    /// Requests to be answered.
    responses: VecDeque<u32>,
    deferred: VecDeque<Deferred>,
}

/// A stream to be reset, and whose it was: the next channel may have it before the answer comes.
pub(crate) type Stream = (u16, Option<ChannelId>);

/// Our request.
#[derive(Debug)]
struct Request {
    sequence: u32,
    streams: Vec<Stream>,
    last_tsn: u32,
    due: bool,
    repeat_at: Option<Instant>,
    in_progress: bool,
}

/// The peer's request that waits for data.
#[derive(Debug)]
struct Deferred {
    sequence: u32,
    last_tsn: u32,
    streams: Vec<u16>,
}

/// Incoming streams that begin anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    All,
    Some(Vec<u16>),
}

impl Reconfig {
    pub fn start(&mut self, initial_tsn: u32, peers_initial_tsn: u32, supported: bool) {
        self.supported = supported;
        self.next_sequence = initial_tsn;
        self.peer_sequence = peers_initial_tsn;
    }

    /// Whether the peer knows RFC 6525; otherwise channels just end.
    pub fn is_supported(&self) -> bool {
        self.supported
    }

    /// `stream` is to be reset; everything that it carries was cut.
    pub fn reset(&mut self, stream: u16, channel: Option<ChannelId>) {
        self.waiting.push_back((stream, channel));
    }

    /// Whether the peer may know of our reset of `stream`.
    pub fn is_requested(&self, stream: u16) -> bool {
        self.request.as_ref().is_some_and(|request| request.streams.iter().any(|&(other, _)| other == stream))
    }

    pub fn is_due(&self) -> bool {
        !self.responses.is_empty() || self.request.as_ref().map_or(!self.waiting.is_empty(), |request| request.due)
    }

    /// The peer resets its outgoing streams. Section 5.2.2.
    pub fn handle_request(
        &mut self,
        sequence: u32,
        last_tsn: u32,
        streams: Streams<'_>,
        cumulative: u32,
    ) -> Option<Reset> {
        if !self.is_new(sequence) {
            return None;
        }
        let streams: Vec<u16> = streams.iter().collect();
        if last_tsn.is_after(cumulative) {
            self.deferred.push_back(Deferred { sequence, last_tsn, streams });
            if self.deferred.len() > MAX_OUTCOMES {
                self.deferred.pop_front();
            }
            self.answer(sequence, Outcome::InProgress);
            return None;
        }
        self.answer(sequence, Outcome::Performed);
        Some(Reset::of(streams))
    }

    /// A request that is not for data channels.
    pub fn deny(&mut self, sequence: u32) {
        if self.is_new(sequence) {
            self.answer(sequence, Outcome::Denied);
        }
    }

    /// Everything up to `cumulative` arrived: the next that waited for it is performed.
    pub fn advance(&mut self, cumulative: u32) -> Option<Reset> {
        self.deferred.front().filter(|deferred| !deferred.last_tsn.is_after(cumulative))?;
        let deferred = self.deferred.pop_front()?;
        self.outcomes.retain(|(sequence, _)| *sequence != deferred.sequence);
        self.answer(deferred.sequence, Outcome::Performed);
        Some(Reset::of(deferred.streams))
    }

    /// A repeated request is answered as before, one that lies ahead when what comes before it has arrived. Section 5.2.1.
    fn is_new(&mut self, sequence: u32) -> bool {
        if sequence == self.peer_sequence {
            self.peer_sequence = sequence.wrapping_add(1);
            return true;
        }
        if !sequence.is_after(self.peer_sequence) {
            self.respond(sequence);
        }
        false
    }

    fn answer(&mut self, sequence: u32, outcome: Outcome) {
        self.outcomes.push_back((sequence, outcome));
        if self.outcomes.len() > MAX_OUTCOMES {
            self.outcomes.pop_front();
        }
        self.respond(sequence);
    }

    fn respond(&mut self, sequence: u32) {
        if self.responses.len() < MAX_OUTCOMES && !self.responses.contains(&sequence) {
            self.responses.push_back(sequence);
        }
    }

    /// The peer's answer to the last number that we asked under: what is settled.
    pub fn handle_response(&mut self, sequence: u32, result: u32) -> Option<Vec<Stream>> {
        let request = self.request.as_mut().filter(|request| request.sequence == sequence)?;
        if result == Outcome::InProgress as u32 {
            request.in_progress = true;
            return None;
        }
        self.request.take().map(|request| request.streams)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.request.as_ref()?.repeat_at
    }

    /// Says whether a request stayed unanswered.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(request) = self.request.as_mut().filter(|request| request.repeat_at.is_some_and(|at| at <= now))
        else {
            return false;
        };
        (request.due, request.repeat_at) = (true, None);
        // Who answered "in progress" repeats that to the same number (usrsctp, dcsctp): ask anew.
        let heard = std::mem::take(&mut request.in_progress);
        if heard {
            request.sequence = self.next_sequence;
            self.next_sequence = self.next_sequence.wrapping_add(1);
        }
        !heard
    }

    /// Writes a RE-CONFIG with what is due. `last_tsn` is the one given last.
    pub fn write(&mut self, now: Instant, rto: Duration, last_tsn: u32, packet: &mut Writer<'_>) {
        while let Some(&sequence) = self.responses.front() {
            let known = self.outcomes.iter().rev().find(|(answered, _)| *answered == sequence);
            let outcome = known.map_or(Outcome::BadSequenceNumber, |&(_, outcome)| outcome);
            if !packet.chunk(RE_CONFIG, 0, RESPONSE_LEN, |out| write_response(out, sequence, outcome)) {
                break;
            }
            self.responses.pop_front();
        }
        if self.request.is_none() && !self.waiting.is_empty() {
            let streams = self.waiting.drain(..self.waiting.len().min(MAX_STREAMS)).collect();
            let sequence = self.next_sequence;
            self.next_sequence = sequence.wrapping_add(1);
            self.request =
                Some(Request { sequence, streams, last_tsn, due: true, repeat_at: None, in_progress: false });
        }
        let response_sequence = self.peer_sequence.wrapping_sub(1);
        let Some(request) = self.request.as_mut().filter(|request| request.due) else { return };
        let streams: Vec<u16> = request.streams.iter().map(|&(stream, _)| stream).collect();
        let len = OUTGOING_RESET_FIXED + 2 * streams.len();
        let written = packet.chunk(RE_CONFIG, 0, len, |out| {
            write_outgoing_reset(out, request.sequence, response_sequence, request.last_tsn, &streams);
        });
        if written {
            (request.due, request.repeat_at) = (false, Some(now + rto));
        }
    }
}

impl Reset {
    fn of(streams: Vec<u16>) -> Self {
        if streams.is_empty() { Self::All } else { Self::Some(streams) }
    }
}
