//! A data channel's handle.

use std::sync::Arc;

use wigwag::{ChannelId, Message};

use crate::connection::Handle;
use crate::inbox::Inbox;

/// The channel is closed, by either side or with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data channel is closed")]
pub struct ChannelClosed;

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// By either side, or with its connection.
    #[error("the data channel is closed")]
    Closed,
    /// The peer said what it accepts (`a=max-message-size`).
    #[error("the message is longer than the peer accepts")]
    TooLarge,
    /// Only from [`DataChannel::try_send`]: [`DataChannel::send`] waits.
    #[error("the send buffer is full")]
    Full,
}

impl From<wigwag::SendError> for SendError {
    fn from(error: wigwag::SendError) -> Self {
        match error {
            wigwag::SendError::Full => Self::Full,
            wigwag::SendError::TooLarge => Self::TooLarge,
            wigwag::SendError::Closed => Self::Closed,
        }
    }
}

/// A data channel: a handle, cheap to clone. When the last is dropped, the channel is closed, after what was sent on it has
/// arrived. It keeps its connection.
///
/// Messages that nobody receives hold up the connection's other channels, once there are 256 KiB or 1024 of them: the
/// peer sends all of them in one stream of packets, and has to wait. Receive what you accept, or drop it.
#[derive(Clone, Debug)]
pub struct DataChannel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Arc<Handle>,
    id: ChannelId,
    label: String,
    protocol: String,
    changed: Arc<tokio::sync::Notify>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = self.connection.driver.lock();
        if let Some(inbox) = state.inboxes.get_mut(&self.connection.id) {
            inbox.orphan(self.id);
        }
        if let Some(connection) = state.set.get_mut(self.connection.id) {
            connection.close_channel(self.id);
        }
        drop(state);
        self.connection.driver.wake();
    }
}

impl DataChannel {
    pub(crate) fn new(connection: &Arc<Handle>, id: ChannelId, inbox: &mut Inbox) -> Self {
        let channel = inbox.channels.entry(id).or_default();
        let (label, protocol) = (channel.label.clone(), channel.protocol.clone());
        let changed = Arc::clone(&channel.changed);
        Self(Arc::new(Inner { connection: Arc::clone(connection), id, label, protocol, changed }))
    }

    async fn wait<T>(&self, mut poll: impl FnMut(&mut Inbox) -> Option<T>) -> T {
        let Inner { connection, changed, .. } = &*self.0;
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable(); // before looking, so that no change is missed
            if let Some(found) = poll(connection.driver.lock().inboxes.entry(connection.id).or_default()) {
                return found;
            }
            notified.await;
        }
    }

    /// Waits until the channel is open. (Sending need not wait for it.)
    ///
    /// # Errors
    /// When it was closed instead.
    pub async fn opened(&self) -> Result<(), ChannelClosed> {
        self.wait(|inbox| match inbox.channels.get(&self.0.id) {
            Some(channel) if channel.is_closed => Some(Err(ChannelClosed)),
            Some(channel) => channel.is_open.then_some(Ok(())),
            None => Some(Err(ChannelClosed)),
        })
        .await
    }

    /// Sends a message; waits while the send buffer is full, also while the connection is disconnected or failed: it may
    /// come back.
    ///
    /// # Errors
    /// When the channel is closed, or the message is longer than the peer accepts.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        let sent = self.0.connection.wait(|state, id| {
            let inbox = state.inboxes.entry(id).or_default();
            let len = message.data.len();
            let lacks_room = |connection: &wigwag::PeerConnection| !connection.has_send_room(len);
            if inbox.wants_room.is_some() && state.set.get(id).is_some_and(lacks_room) {
                inbox.wants_room = inbox.wants_room.min(Some(len));
                return None; // looking must not make the connection ready, or the driver would never rest
            }
            let Some(connection) = state.set.get_mut(id) else {
                return Some(Err(SendError::Closed));
            };
            match connection.send(self.0.id, message.clone()) {
                Err(wigwag::SendError::Full) => {
                    inbox.wants_room = Some(len);
                    None
                }
                result => Some(result.map_err(SendError::from)),
            }
        });
        let result = sent.await;
        self.0.connection.driver.wake();
        result
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// When there is none, or as [`Self::send`].
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        let result = self.0.connection.with(|connection, _| connection.send(self.0.id, message));
        result.unwrap_or(Err(wigwag::SendError::Closed)).map_err(SendError::from)
    }

    /// The next message; `None` when the channel is closed and all were received.
    pub async fn receive(&self) -> Option<Message> {
        let (message, has_room_again) = self
            .wait(|inbox| match inbox.take(self.0.id) {
                Some((message, has_room_again)) => Some((Some(message), has_room_again)),
                None => {
                    let is_closed = inbox.channels.get(&self.0.id).is_none_or(|channel| channel.is_closed);
                    is_closed.then_some((None, false))
                }
            })
            .await;
        if has_room_again {
            // Marks the connection ready: the engine's messages move up, and the peer's window opens.
            self.0.connection.with(|_, _| ());
        }
        message
    }

    /// Bytes that were accepted and have not left yet.
    pub fn buffered_amount(&self) -> usize {
        self.0.connection.with(|connection, _| connection.buffered_amount(self.0.id)).unwrap_or(0)
    }

    /// The name that the side that opened it gave it.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// The subprotocol that the side that opened it named; empty when it named none.
    pub fn protocol(&self) -> &str {
        &self.0.protocol
    }

    /// Which channel this is, for the engine's own methods: see [`PeerConnection::with`](crate::PeerConnection::with).
    pub fn id(&self) -> ChannelId {
        self.0.id
    }

    /// Closes the channel, after what was sent on it has arrived; [`Self::receive`] gives `None` when it is done.
    pub fn close(&self) {
        self.0.connection.with(|connection, _| connection.close_channel(self.0.id));
    }
}
