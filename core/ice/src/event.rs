//! What an agent tells: the application, and whoever routes datagrams to it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wigwag_proto::UdpPath;
use wigwag_stun::TransactionId;

use crate::candidate::Candidate;
use crate::credentials::UFRAG_LEN;

/// Beyond this many events that nobody took, older ones of the same kind make room.
const MAX_EVENTS: usize = 256;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A candidate to tell the other side, whether it was gathered or handed in.
    LocalCandidate(Candidate),
    /// A server brought no candidate, or a relayed one is gone: `icecandidateerror` of webrtc-pc section 4.8.2.
    CandidateError {
        /// The server.
        url: String,
        /// The socket that it was asked from, if there was one.
        local: Option<SocketAddr>,
        /// 300 to 699, of STUN; 701: it can't be reached or does not answer.
        code: u16,
        /// For people.
        text: String,
    },
    /// Gathering brings no more candidates.
    GatheringComplete,
    /// The connection's state is another now.
    StateChanged(ConnectionState),
    /// Payload goes this way from now on.
    SelectedPath(UdpPath),
    /// A role conflict was resolved against this side.
    RoleChanged {
        /// The role now.
        controlling: bool,
    },
}

/// How the connection is. RTCIceTransportState of webrtc-pc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionState {
    /// The other side is not known.
    New,
    /// Looking for a way.
    Checking,
    /// There is one; a better one may be found.
    Connected,
    /// There is one, and no more candidates will come.
    Completed,
    /// The way does not answer; it may again.
    Disconnected,
    /// There is none. Only a restart helps.
    Failed,
    /// Closed by the program.
    Closed,
}

/// How gathering is. RTCIceGatheringState of webrtc-pc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GatheringState {
    /// Not begun.
    New,
    /// Under way.
    Gathering,
    /// No more candidates will come.
    Complete,
}

/// By what a datagram is known to belong to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A transaction of ours is outstanding: a response with this id.
    Transaction(TransactionId),
    /// An authenticated check came this way, or was answered.
    Path(UdpPath),
    /// A check names our user fragment.
    Fragment([u8; UFRAG_LEN]),
}

/// What an endpoint must know to route datagrams to an agent; in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointEvent {
    /// Datagrams with this key belong here from now on, whoever had it before.
    Learned(Key),
    /// Datagrams with this key belong here if nobody has it: an authentic check came from there, and its source
    /// address may be forged.
    Claimed(Key),
    /// No more.
    Forgotten(Key),
}

/// Bounded even if nobody polls: what is forgotten before it was told is never told.
#[derive(Debug, Default)]
pub(crate) struct EndpointEvents(VecDeque<EndpointEvent>);

impl EndpointEvents {
    pub(crate) fn push(&mut self, event: EndpointEvent) {
        self.0.push_back(event);
    }

    pub(crate) fn contains(&self, event: EndpointEvent) -> bool {
        self.0.contains(&event)
    }

    pub(crate) fn remove(&mut self, gone: impl Fn(EndpointEvent) -> bool) {
        self.0.retain(|&event| !gone(event));
    }

    pub(crate) fn learn(&mut self, key: Key) {
        self.push(EndpointEvent::Learned(key));
    }

    pub(crate) fn forget(&mut self, key: Key) {
        match self.0.iter().position(|&event| event == EndpointEvent::Learned(key)) {
            Some(untold) => drop(self.0.remove(untold)),
            None => self.0.push_back(EndpointEvent::Forgotten(key)),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<EndpointEvent> {
        self.0.pop_front()
    }
}

/// Events that wait for the application.
#[derive(Debug, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.0.len() >= MAX_EVENTS {
            let kind = std::mem::discriminant(&event);
            let older = self.0.iter().position(|queued| std::mem::discriminant(queued) == kind);
            self.0.remove(older.unwrap_or(0));
        }
        self.0.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untold_keys_are_cancelled() {
        let key = |n| Key::Fragment([n; UFRAG_LEN]);
        let mut events = EndpointEvents::default();
        events.learn(key(1));
        assert_eq!(events.pop(), Some(EndpointEvent::Learned(key(1))));
        events.learn(key(2));
        events.forget(key(2));
        events.forget(key(1));
        assert_eq!(events.pop(), Some(EndpointEvent::Forgotten(key(1))));
        assert_eq!(events.pop(), None);
    }

    #[test]
    fn events_are_bounded() {
        let mut events = Events::default();
        events.push(Event::GatheringComplete);
        for _ in 0..10_000 {
            events.push(Event::RoleChanged { controlling: true });
        }
        assert_eq!(events.0.len(), MAX_EVENTS);
        assert_eq!(events.pop(), Some(Event::GatheringComplete));
    }
}
