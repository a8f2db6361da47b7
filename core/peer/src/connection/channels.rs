//! Data channels. W3C webrtc-pc section 6, RFC 8831 and 8832.

use bytes::Bytes;
use wigwag_sctp::{ChannelConfig, ChannelId, OpenError, PayloadKind, SendError};

use super::{Ending, PeerConnection};
use crate::event::Message;

/// What a data channel is asked to be: RTCDataChannelInit.
pub use wigwag_sctp::ChannelConfig as ChannelInit;
/// What a data channel is.
pub use wigwag_sctp::ChannelInfo as DataChannel;

impl PeerConnection {
    /// Creates a data channel; it can be written to at once, and what is written leaves when the peer is there.
    ///
    /// The first one asks for an offer: [`Event::NegotiationNeeded`](crate::Event::NegotiationNeeded).
    pub fn create_data_channel(&mut self, label: &str, init: ChannelInit) -> Result<ChannelId, OpenError> {
        if self.ending != Ending::Open {
            return Err(OpenError::Closed);
        }
        let id = self.sctp.open_channel(ChannelConfig { label: label.to_owned(), ..init })?;
        self.settled = false;
        self.negotiation.want_data();
        self.check_negotiation_needed();
        Ok(id)
    }

    /// What a channel is: its label, its protocol, its reliability; `None` when it is closed.
    pub fn channel(&self, channel: ChannelId) -> Option<&DataChannel> {
        self.sctp.channel(channel)
    }

    /// Sends a message. It is accepted whole or not at all; [`SendError::Full`] is followed by
    /// [`Event::Writable`](crate::Event::Writable).
    pub fn send(&mut self, channel: ChannelId, message: Message) -> Result<(), SendError> {
        let kind = if message.is_text { PayloadKind::Text } else { PayloadKind::Binary };
        self.send_bytes(channel, kind, message.data)
    }

    fn send_bytes(&mut self, channel: ChannelId, kind: PayloadKind, data: Bytes) -> Result<(), SendError> {
        if self.ending != Ending::Open {
            return Err(SendError::Closed);
        }
        self.settled = false;
        self.sctp.send(channel, kind, data)
    }

    /// Whether at least half of the send buffer is free (the condition of [`Event::Writable`](crate::Event::Writable)) and
    /// a message of `len` bytes fits: for who leaves events where they are while it can't send.
    pub fn has_send_room(&self, len: usize) -> bool {
        self.sctp.has_send_room(len)
    }

    /// Bytes of messages that were accepted on this channel and have not left yet.
    pub fn buffered_amount(&self, channel: ChannelId) -> usize {
        self.sctp.buffered_amount(channel)
    }

    /// [`Event::BufferedAmountLow`](crate::Event::BufferedAmountLow) comes when the buffered amount falls to `bytes`.
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        self.sctp.set_buffered_amount_low_threshold(channel, bytes);
    }

    /// Closes a channel, after what was accepted on it has arrived.
    pub fn close_channel(&mut self, channel: ChannelId) {
        self.settled = false;
        self.sctp.close_channel(channel);
    }
}
