//! A connection with its application, which watches all that it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use wigwag::{
    ChannelId, ConnectionState, DtlsTransportState, Event, IceCandidate, Input, Instant, PeerConnection, Reliability,
    Request, RtpIn, SendError, TransceiverId, Transmit, TransmitBuffer,
};
use wigwag_net::Machine;

use crate::media::{Sink, Source};
use crate::message::{self, Ledger};

/// Messages to be sent on a channel, as far as there is room: those from `next` to before `end`.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    next: u64,
    end: u64,
    len: usize,
}

/// What arrived from an adversary, who sends what it likes: kept, not checked.
#[derive(Debug, Default)]
pub struct Testimony {
    pub messages: Vec<(ChannelId, Bytes)>,
    pub packets: Vec<RtpIn>,
}

/// A connection with an application that sends numbered messages and packets, and checks those that arrive.
pub struct Peer {
    pub pc: PeerConnection,
    /// How many messages of which length are sent on each channel that the other side opens.
    pub replies: (u64, usize),
    /// While false, no event is taken: a consumer that is slow.
    pub listens: bool,
    /// How far its clock is ahead of everybody's.
    pub skew: Duration,
    /// What was told, in order.
    pub states: Vec<ConnectionState>,
    /// What servers refused, and which.
    pub candidate_errors: Vec<(u16, String)>,
    pub opened: Vec<ChannelId>,
    pub closed: Vec<ChannelId>,
    pub tracks: Vec<TransceiverId>,
    /// Its own, that the other side was not told yet.
    pub candidates: Vec<IceCandidate>,
    /// What it sends, and what arrived, of audio and video.
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    /// Where the other side is no honest one.
    pub testimony: Option<Testimony>,
    /// Lines of the key log that no capture has yet.
    pub secrets: Arc<Mutex<String>>,
    outgoing: BTreeMap<ChannelId, Outgoing>,
    ledgers: BTreeMap<ChannelId, Ledger>,
}

impl Peer {
    /// One that takes what comes and sends nothing.
    pub fn new(pc: PeerConnection) -> Self {
        Self {
            pc,
            replies: (0, 0),
            listens: true,
            skew: Duration::ZERO,
            states: Vec::new(),
            candidate_errors: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            tracks: Vec::new(),
            candidates: Vec::new(),
            sources: Vec::new(),
            sinks: Vec::new(),
            testimony: None,
            secrets: Arc::default(),
            outgoing: BTreeMap::new(),
            ledgers: BTreeMap::new(),
        }
    }

    /// Sends `count` more messages of `len` bytes on a channel.
    pub fn say(&mut self, channel: ChannelId, count: u64, len: usize) {
        let outgoing = self.outgoing.entry(channel).or_insert(Outgoing { next: 0, end: 0, len });
        outgoing.end += count;
        outgoing.len = len;
    }

    /// Messages that arrived on a channel.
    pub fn heard_on(&self, channel: ChannelId) -> u64 {
        self.ledgers.get(&channel).map_or(0, |ledger| ledger.count)
    }

    /// Messages that arrived, on all channels.
    pub fn heard(&self) -> u64 {
        self.ledgers.values().map(|ledger| ledger.count).sum()
    }

    /// Messages that were handed to the connection, or will be.
    pub fn said(&self) -> u64 {
        self.outgoing.values().map(|outgoing| outgoing.end).sum()
    }

    /// Messages that the connection did not take yet.
    pub fn unsaid(&self) -> u64 {
        self.outgoing.values().map(|outgoing| outgoing.end - outgoing.next).sum()
    }

    /// Whether the connection is up now.
    pub fn is_connected(&self) -> bool {
        self.pc.connection_state() == ConnectionState::Connected
    }

    /// Forgets the ledgers of channels that are closed.
    pub fn forget_closed(&mut self) {
        for id in self.closed.drain(..) {
            self.ledgers.remove(&id);
            self.outgoing.remove(&id);
        }
        self.opened.retain(|id| self.ledgers.contains_key(id));
    }

    fn hear(&mut self, event: Event) {
        let needs_proof =
            matches!(event, Event::Message { .. } | Event::Rtp { .. } | Event::DataChannel(_) | Event::ChannelOpen(_));
        if needs_proof {
            let state = self.pc.dtls_state();
            let is_proven = matches!(state, DtlsTransportState::Connected | DtlsTransportState::Closed);
            assert!(is_proven, "delivered before the certificate was verified ({state:?}): {event:?}");
        }
        match (event, &mut self.testimony) {
            (Event::Message { channel, message }, Some(testimony)) => testimony.messages.push((channel, message.data)),
            (Event::Rtp { packet, .. }, Some(testimony)) => testimony.packets.push(packet),
            (event, _) => self.believe(event),
        }
    }

    fn believe(&mut self, event: Event) {
        match event {
            Event::Message { channel, message } => {
                self.ledgers.get_mut(&channel).expect("a message before its channel").note(&message.data);
            }
            Event::DataChannel(id) => {
                self.open(id);
                let (count, len) = self.replies;
                self.say(id, count, len);
            }
            Event::ChannelOpen(id) => self.open(id),
            Event::ChannelClosed(id) => {
                self.closed.push(id);
                self.outgoing.remove(&id);
            }
            Event::ConnectionStateChange(state) => self.states.push(state),
            Event::IceCandidate(candidate) => self.candidates.push(candidate),
            Event::IceCandidateError { url, error_code, .. } => self.candidate_errors.push((error_code, url)),
            Event::Track(id) => self.tracks.push(id),
            Event::TrackRemoved(id) => self.tracks.retain(|track| *track != id),
            Event::Rtp { transceiver, packet } => {
                let known =
                    self.sinks.iter().position(|sink| (sink.transceiver, sink.ssrc) == (transceiver, packet.ssrc));
                let place = known.unwrap_or_else(|| {
                    self.sinks.push(Sink::new(transceiver, &packet));
                    self.sinks.len() - 1
                });
                self.sinks[place].note(&packet);
            }
            _ => {}
        }
    }

    fn open(&mut self, id: ChannelId) {
        // One that was closed since is gone already; what arrived on it came before that.
        let config = self.pc.channel(id).map(|channel| &channel.config);
        let is_ordered = config.is_none_or(|config| config.ordered);
        let is_reliable = config.is_none_or(|config| config.reliability == Reliability::Reliable);
        self.opened.push(id);
        self.ledgers.insert(id, Ledger::new(is_ordered, is_reliable));
    }

    fn speak(&mut self) {
        let Self { pc, outgoing, .. } = self;
        outgoing.retain(|&channel, outgoing| {
            while outgoing.next < outgoing.end {
                match pc.send(channel, message::numbered(outgoing.next, outgoing.len)) {
                    Ok(()) => outgoing.next += 1,
                    Err(SendError::Full) => return true,
                    Err(SendError::Closed) => return false,
                    Err(error) => panic!("not sent: {error}"),
                }
            }
            true
        });
    }
}

impl Machine for Peer {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.pc.handle_input(now + self.skew, input);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = now + self.skew;
        for source in &mut self.sources {
            source.write(now, &mut self.pc);
        }
        self.pc.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.pc.poll_transmit(now + self.skew, out)
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.pc.poll_request()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let due = self.sources.iter().filter_map(Source::due);
        let at = due.chain(self.pc.poll_timeout()).min()?;
        Some(Instant(at.as_micros().saturating_sub(self.skew.as_micros() as u64)))
    }

    fn key_log(&mut self) -> Option<String> {
        Some(std::mem::take(&mut *self.secrets.lock().unwrap())).filter(|lines| !lines.is_empty())
    }

    fn step(&mut self, _now: Instant) {
        while self.listens
            && let Some(event) = self.pc.poll_event()
        {
            self.hear(event);
        }
        self.speak();
    }
}
