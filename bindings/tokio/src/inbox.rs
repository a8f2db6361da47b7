//! What a connection has told and its handles have not taken yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use wigwag::{ChannelId, ConnectionState, Event, Message, PeerConnection};

use crate::lines::{Lines, is_stopped};

/// Bytes of messages that are taken out of the engine ahead of their receivers. What lies beyond stays in the engine,
/// where it closes the peer's window.
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// Messages, likewise: empty ones cost, too.
const MAX_MESSAGES: usize = 1024;
/// Channels of the peer's that nobody accepted yet; what goes beyond is closed.
pub(crate) const MAX_INCOMING: usize = 1024;
/// Events that wait for [`PeerConnection::next_event`](crate::PeerConnection::next_event); the oldest go first. Not counted are those that
/// nothing would make up for, and that can't be many: one for each track that there is, and that an offer should be made.
const MAX_EVENTS: usize = 256;

/// The inbox of one connection; it lives in the driver, under its lock.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub events: VecDeque<Event>,
    /// Channels that the peer opened and nobody accepted yet.
    pub incoming: VecDeque<ChannelId>,
    pub channels: HashMap<ChannelId, ChannelInbox>,
    pub lines: Lines,
    bytes: usize,
    messages: usize,
    /// Something changed: events, states, incoming channels, room to send.
    pub changed: Arc<Notify>,
    /// Somebody waits for room to send so many bytes. Told apart from the engine's event, which lies behind messages that may not be
    /// taken before just this somebody has sent: an echo, for example.
    pub wants_room: Option<usize>,
    /// The connection's state as its handles were told: after everything that happened before it.
    state: Option<ConnectionState>,
    /// No handle is left: whoever could have taken anything is gone.
    pub is_orphan: bool,
}

/// What waits on one channel.
#[derive(Debug, Default)]
pub(crate) struct ChannelInbox {
    pub messages: VecDeque<Message>,
    pub label: String,
    pub protocol: String,
    pub is_open: bool,
    pub is_closed: bool,
    /// Its handle is gone: messages are dropped.
    pub is_orphan: bool,
    pub changed: Arc<Notify>,
}

impl Inbox {
    /// Whether more may be taken out of the engine.
    pub fn has_room(&self) -> bool {
        self.bytes < MAX_MESSAGE_BYTES && self.messages < MAX_MESSAGES
    }

    /// The connection is closed or failed, and everything that happened before was told.
    pub fn is_over(&self) -> bool {
        matches!(self.state, Some(ConnectionState::Closed | ConnectionState::Failed))
    }

    /// Tells who waits of what the engine's events, which may have to wait in the engine, would tell too late.
    pub fn look_at(&mut self, connection: &PeerConnection) {
        if self.wants_room.is_some_and(|len| connection.has_send_room(len)) {
            self.wants_room = None;
            self.changed.notify_waiters();
        }
        if self.state.replace(connection.connection_state()) != Some(connection.connection_state()) {
            self.wants_room = None; // nobody will have it, if this is the end
            self.changed.notify_waiters();
            self.lines.notify();
        }
    }

    /// Sorts an event of the engine to whom it concerns.
    pub fn put(&mut self, event: Event, connection: &PeerConnection) {
        match event {
            Event::Message { channel, message } => self.put_message(channel, message),
            Event::DataChannel(id) => {
                let channel = self.channels.entry(id).or_default();
                channel.is_open = true;
                channel.is_orphan = self.is_orphan;
                if let Some(info) = connection.channel(id) {
                    channel.label.clone_from(&info.config.label);
                    channel.protocol.clone_from(&info.config.protocol);
                }
                self.incoming.push_back(id);
                self.changed.notify_waiters();
            }
            Event::ChannelOpen(id) => self.change(id, |channel| channel.is_open = true),
            Event::ChannelClosed(id) => {
                self.change(id, |channel| channel.is_closed = true);
                // Gone before anybody accepted it, with nothing to be read: as if it had never been.
                let unaccepted = self.incoming.iter().position(|&incoming| incoming == id);
                let channel = self.channels.get(&id);
                if channel
                    .is_some_and(|channel| channel.is_orphan || unaccepted.is_some() && channel.messages.is_empty())
                {
                    self.channels.remove(&id);
                    unaccepted.and_then(|at| self.incoming.remove(at));
                }
            }
            Event::Writable => {} // `look_at` told already
            Event::Rtp { .. } | Event::KeyFrameRequest(_) if self.is_orphan => {}
            Event::Rtp { transceiver, packet } => self.lines.put(transceiver, packet, connection),
            Event::KeyFrameRequest(id) if is_stopped(connection, id) => {}
            Event::KeyFrameRequest(id) => {
                let line = self.lines.line(id);
                line.wants_key_frame = true;
                line.changed.notify_waiters();
            }
            other => {
                match other {
                    Event::BufferedAmountLow(id) => self.change(id, |_| {}),
                    Event::TrackRemoved(id) => self.lines.forget_if_stopped(id, connection),
                    Event::SignalingStateChange(_) => self.lines.forget_stopped(connection),
                    _ => {}
                }
                self.put_event(other);
                self.changed.notify_waiters();
            }
        }
    }

    fn put_event(&mut self, event: Event) {
        // What this one says anew, or takes back, need not be told before it.
        let is_outdated = |other: &Event| match (&event, other) {
            (Event::Track(id) | Event::TrackRemoved(id), Event::Track(other)) => id == other,
            (Event::Track(id), Event::TrackRemoved(other)) => id == other,
            (Event::BufferedAmountLow(id), Event::BufferedAmountLow(other)) => id == other,
            (Event::NegotiationNeeded, Event::NegotiationNeeded) => true,
            _ => false,
        };
        let may_be = matches!(
            event,
            Event::Track(_) | Event::TrackRemoved(_) | Event::BufferedAmountLow(_) | Event::NegotiationNeeded
        );
        if let Some(at) = may_be.then(|| self.events.iter().position(is_outdated)).flatten() {
            self.events.remove(at);
        }
        let counts = |event: &Event| !matches!(event, Event::Track(_) | Event::NegotiationNeeded);
        if self.events.len() >= MAX_EVENTS
            && counts(&event)
            && self.events.iter().filter(|event| counts(event)).count() >= MAX_EVENTS
            && let Some(oldest) = self.events.iter().position(counts)
        {
            self.events.remove(oldest);
        }
        self.events.push_back(event);
    }

    fn put_message(&mut self, id: ChannelId, message: Message) {
        let Some(channel) = self.channels.get_mut(&id).filter(|channel| !channel.is_orphan) else {
            return;
        };
        self.bytes += message.data.len();
        self.messages += 1;
        channel.messages.push_back(message);
        channel.changed.notify_waiters();
    }

    fn change(&mut self, id: ChannelId, change: impl FnOnce(&mut ChannelInbox)) {
        if let Some(channel) = self.channels.get_mut(&id) {
            change(channel);
            channel.changed.notify_waiters();
        }
    }

    /// The next message of a channel. Says, too, whether the engine may be asked for more again.
    pub fn take(&mut self, id: ChannelId) -> Option<(Message, bool)> {
        let was_full = !self.has_room();
        let message = self.channels.get_mut(&id)?.messages.pop_front()?;
        self.bytes -= message.data.len();
        self.messages -= 1;
        Some((message, was_full && self.has_room()))
    }

    /// The handle of a channel is gone.
    pub fn orphan(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.is_orphan = true;
        for message in std::mem::take(&mut channel.messages) {
            self.bytes -= message.data.len();
            self.messages -= 1;
        }
        if channel.is_closed {
            self.channels.remove(&id);
        }
    }

    /// Every handle is gone.
    pub fn orphan_all(&mut self) {
        self.is_orphan = true;
        self.lines.clear();
        for id in self.channels.keys().copied().collect::<Vec<_>>() {
            self.orphan(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use wigwag::{Config, MediaKind, SignalingState, TransceiverInit};

    use super::*;

    #[test]
    fn tracks_are_told_however_late_they_are_asked_for() {
        let mut connection = PeerConnection::new(Config::new([1; 32])).unwrap();
        let add = |_| connection.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
        let ids: Vec<_> = (0..400).map(add).collect();
        let mut inbox = Inbox::default();
        inbox.put(Event::NegotiationNeeded, &connection);
        ids.iter().for_each(|id| inbox.put(Event::Track(*id), &connection));
        for _ in 0..1000 {
            inbox.put(Event::SignalingStateChange(SignalingState::Stable), &connection);
            inbox.put(Event::NegotiationNeeded, &connection);
        }
        inbox.put(Event::TrackRemoved(ids[5]), &connection);
        inbox.put(Event::TrackRemoved(ids[6]), &connection);
        inbox.put(Event::Track(ids[6]), &connection);
        let count = |is: fn(&Event) -> bool| inbox.events.iter().filter(|event| is(event)).count();
        assert_eq!(count(|event| matches!(event, Event::Track(_))), ids.len() - 1);
        assert_eq!(count(|event| matches!(event, Event::TrackRemoved(_))), 1);
        assert_eq!(count(|event| matches!(event, Event::NegotiationNeeded)), 1);
        assert!(inbox.events.len() <= ids.len() + MAX_EVENTS + 1);
    }
}
