//! One connection, its application, and what must hold for all that the application is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use wigwag::{
    ChannelId, ConnectionState, DtlsTransportState, EndpointEvent, Event, IceCandidate, Input, Instant, Key,
    PeerConnection, Received, Reliability, Request, SessionDescription, TransceiverId,
};

use crate::message::{self, Ledger};

/// What signalling would still have.
const MAX_MAIL: usize = 4;
const MAX_CANDIDATES: usize = 16;

/// See the [module](self).
pub struct Side {
    pub pc: PeerConnection,
    pub address: SocketAddr,
    /// Channels that are not closed, with the number of messages that were accepted.
    pub channels: BTreeMap<ChannelId, u64>,
    pub ledgers: BTreeMap<ChannelId, Ledger>,
    /// Whether events are taken.
    pub listens: bool,
    /// Its descriptions, for the other side; the last made, for itself.
    pub mail: VecDeque<SessionDescription>,
    pub made: Option<SessionDescription>,
    pub candidates: VecDeque<IceCandidate>,
    pub requests: VecDeque<Request>,
    /// Numbers of packets of audio and video: of the next one that is written, and of all that were heard.
    pub next_packet: u64,
    pub sequence: BTreeMap<TransceiverId, u16>,
    heard: BTreeSet<u64>,
    pub keys: BTreeSet<Key>,
    /// The peer's certificate was verified at some time: what it did then may be heard of when it has failed since, by the peer's alert.
    was_proven: bool,
    /// The peer is honest: what it sent is what arrives.
    pub is_honest: bool,
    /// The fingerprint that it was told is another one's.
    pub distrusts: bool,
}

impl Side {
    pub fn new(pc: PeerConnection, address: SocketAddr, is_honest: bool, distrusts: bool) -> Self {
        Self {
            pc,
            address,
            channels: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            listens: true,
            mail: VecDeque::new(),
            made: None,
            candidates: VecDeque::new(),
            requests: VecDeque::new(),
            next_packet: 0,
            sequence: BTreeMap::new(),
            heard: BTreeSet::new(),
            keys: BTreeSet::new(),
            was_proven: false,
            is_honest,
            distrusts,
        }
    }

    /// A description of ours, on its way to the other side.
    pub fn post(&mut self, description: SessionDescription) {
        self.mail.push_front(description);
        self.mail.truncate(MAX_MAIL);
    }

    pub fn is_connected(&self) -> bool {
        self.pc.connection_state() == ConnectionState::Connected
    }

    /// Datagrams arrive.
    pub fn take(&mut self, now: Instant, received: Received<'_>) {
        self.pc.handle_input(now, Input::Datagrams(received));
        self.was_proven |= self.pc.dtls_state() == DtlsTransportState::Connected;
    }

    /// Takes events, if it listens.
    pub fn listen(&mut self) {
        while self.listens && self.hear_next() {}
    }

    pub fn hear_next(&mut self) -> bool {
        let event = self.pc.poll_event();
        event.map(|event| self.hear(event)).is_some()
    }

    pub fn hear(&mut self, event: Event) {
        let needs_proof =
            matches!(event, Event::Message { .. } | Event::Rtp { .. } | Event::DataChannel(_) | Event::ChannelOpen(_));
        if needs_proof {
            let state = self.pc.dtls_state();
            let is_proven = matches!(state, DtlsTransportState::Connected | DtlsTransportState::Closed)
                || (self.was_proven || !self.is_honest) && state == DtlsTransportState::Failed;
            assert!(is_proven, "delivered before the certificate was verified ({state:?}): {event:?}");
            assert!(!self.distrusts, "delivered, and the certificate is another one's: {event:?}");
        }
        match event {
            Event::DataChannel(id) | Event::ChannelOpen(id) => {
                let Some(channel) = self.pc.channel(id) else { return };
                let config = &channel.config;
                let ledger = Ledger::new(config.ordered, config.reliability == Reliability::Reliable);
                self.ledgers.entry(id).or_insert(ledger);
                self.channels.entry(id).or_default();
            }
            Event::ChannelClosed(id) => {
                self.channels.remove(&id);
                self.ledgers.remove(&id);
            }
            Event::Message { channel, message } if self.is_honest => {
                // A channel that closed before it was heard of as open has no ledger, and needs none.
                if let Some(ledger) = self.ledgers.get_mut(&channel) {
                    ledger.note(&message.data);
                }
            }
            Event::Rtp { packet, .. } if self.is_honest => {
                let number = message::check(&packet.payload).expect("a packet that was changed");
                assert!(self.heard.insert(number), "packet {number} came twice");
            }
            Event::IceCandidate(candidate) => {
                self.candidates.push_front(candidate);
                self.candidates.truncate(MAX_CANDIDATES);
            }
            Event::ConnectionStateChange(ConnectionState::Connected) => {
                assert!(!self.distrusts, "connected, and the certificate is another one's");
            }
            _ => {}
        }
    }

    /// What an endpoint is told makes sense.
    pub fn learn(&mut self) {
        while let Some(event) = self.pc.poll_endpoint_event() {
            match event {
                EndpointEvent::Learned(key) | EndpointEvent::Claimed(key) => drop(self.keys.insert(key)),
                EndpointEvent::Forgotten(key) => assert!(self.keys.remove(&key), "{key:?} was never told"),
            }
        }
    }
}
