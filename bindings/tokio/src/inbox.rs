//! What a connection has told and its handles have not taken yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use wigwag::{ChannelId, ConnectionState, Event, Message, PeerConnection, RtpIn, TransceiverId};

/// Bytes of messages that are taken out of the engine ahead of their receivers. What lies beyond stays in the engine,
/// where it closes the peer's window.
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// Messages, likewise: empty ones cost, too.
const MAX_MESSAGES: usize = 1024;
/// Channels of the peer's that nobody accepted yet; what goes beyond is closed.
pub(crate) const MAX_INCOMING: usize = 1024;
/// Events that wait for [`PeerConnection::next_event`](crate::PeerConnection::next_event); the oldest go first.
const MAX_EVENTS: usize = 256;
/// Packets of audio or video that wait on one transceiver: half a second of a large video. The oldest go first.
const MAX_PACKETS: usize = 1024;

/// The inbox of one connection; it lives in the driver, under its lock.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub events: VecDeque<Event>,
    /// Channels that the peer opened and nobody accepted yet.
    pub incoming: VecDeque<ChannelId>,
    pub channels: HashMap<ChannelId, ChannelInbox>,
    pub lines: HashMap<TransceiverId, LineInbox>,
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

/// What waits on one transceiver.
#[derive(Debug, Default)]
pub(crate) struct LineInbox {
    pub packets: VecDeque<RtpIn>,
    pub wants_key_frame: bool,
    pub changed: Arc<Notify>,
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
            self.notify_lines();
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
            Event::Rtp { transceiver, packet } => self.put_packet(transceiver, packet),
            Event::KeyFrameRequest(id) => {
                let line = self.lines.entry(id).or_default();
                line.wants_key_frame = true;
                line.changed.notify_waiters();
            }
            other => {
                if let Event::BufferedAmountLow(id) = other {
                    self.change(id, |_| {});
                }
                if self.events.len() == MAX_EVENTS {
                    self.events.pop_front();
                }
                if matches!(other, Event::SignalingStateChange(_) | Event::TrackRemoved(_)) {
                    self.notify_lines(); // one may have been stopped
                }
                self.events.push_back(other);
                self.changed.notify_waiters();
            }
        }
    }

    fn put_packet(&mut self, id: TransceiverId, packet: RtpIn) {
        if self.is_orphan {
            return;
        }
        let line = self.lines.entry(id).or_default();
        if line.packets.len() == MAX_PACKETS {
            line.packets.pop_front();
        }
        line.packets.push_back(packet);
        line.changed.notify_waiters();
    }

    fn notify_lines(&self) {
        self.lines.values().for_each(|line| line.changed.notify_waiters());
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
