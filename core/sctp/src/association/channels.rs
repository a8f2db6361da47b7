//! What the application sees: channels, messages, events.

use bytes::Bytes;

use super::{Association, Phase};
use crate::channel::Outgoing;
use crate::dcep::{self, DCEP, Dcep};
use crate::receive::Delivered;
use crate::reconfig::Reset;
use crate::send::message::{Limit, Message, Note};
use crate::{
    ChannelConfig, ChannelId, ChannelInfo, Event, OpenError, PayloadKind, Reliability, SendError, StreamParity,
};

/// Messages that may wait for their channel: it was negotiated, and the peer was faster; or the last channel on its stream is still closing.
const MAX_EARLY_MESSAGES: usize = 256;
/// Their bytes, which must leave most of the window to everybody else.
const MAX_EARLY_BYTES: usize = 256 << 10;
/// Before the peer said how many streams it allows.
const ANY_STREAM: u32 = 65_535;

/// How many untaken events count as an open channel, when the peer wants another: it was opened, it was closed, and
/// twice that.
const EVENTS_PER_CHANNEL: usize = 4;

impl Association {
    /// Which stream identifiers are ours: even ones for the DTLS client, odd ones for the server. The first call counts.
    pub fn set_role(&mut self, parity: StreamParity) {
        self.channels.set_parity(parity);
        self.assign_streams();
    }

    /// Opens a channel. It can be used at once: what is sent before the association is up, or before the role is known, waits.
    pub fn open_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, OpenError> {
        if self.closing
            || !matches!(self.phase, Phase::New | Phase::CookieWait | Phase::CookieEchoed | Phase::Established)
        {
            return Err(OpenError::Closed);
        }
        if config.label.len() > usize::from(u16::MAX) || config.protocol.len() > usize::from(u16::MAX) {
            return Err(OpenError::LabelTooLong);
        }
        let limit = self.stream_limit();
        if config.negotiated.is_some_and(|stream| u32::from(stream) >= limit) {
            return Err(OpenError::StreamInUse);
        }
        let priority = config.priority;
        let announcement = config.negotiated.is_none().then(|| dcep::open(&config));
        let negotiated = config.negotiated;
        let slot = self.channels.insert(config, negotiated, false)?;
        self.send.queues.open(slot, priority);
        if let Some(data) = announcement {
            self.send.queues.push(slot, control(data));
        }
        match negotiated {
            Some(stream) => self.send.queues.set_stream(slot, stream),
            None if self.channels.assign_stream(slot, limit) == Some(None) => {
                self.channels.remove(slot);
                self.send.queues.close(slot);
                return Err(OpenError::TooMany);
            }
            None => {}
        }
        self.use_stream(slot);
        let id = self.channels.get(slot).map(|channel| channel.id).ok_or(OpenError::TooMany)?;
        if let Some(stream) = negotiated {
            self.deliver_early(stream);
        }
        Ok(id)
    }

    /// What a channel is. `None` once it is closed.
    pub fn channel(&self, channel: ChannelId) -> Option<&ChannelInfo> {
        self.channels.get(self.channels.slot_of(channel)?).map(|channel| &channel.info)
    }

    /// Whether messages were accepted of which nothing has left.
    pub fn has_unsent(&self) -> bool {
        self.has_messages()
    }

    /// Whether at least half of the send buffer is free (the condition of [`Event::Writable`]) and `len` bytes fit: for
    /// who does not take events now.
    pub fn has_send_room(&self, len: usize) -> bool {
        self.send.queues.has_room(len)
    }

    /// Accepts a message. It is kept by reference until the peer has it.
    pub fn send(&mut self, channel: ChannelId, kind: PayloadKind, data: Bytes) -> Result<(), SendError> {
        let slot = self.channels.slot_of(channel).ok_or(SendError::Closed)?;
        let channel = self.channels.get(slot).ok_or(SendError::Closed)?;
        let may_send = matches!(self.phase, Phase::New | Phase::CookieWait | Phase::CookieEchoed | Phase::Established);
        if !may_send || self.closing || channel.outgoing != Outgoing::Open {
            return Err(SendError::Closed);
        }
        if data.len() > self.config.peer_max_message_size {
            return Err(SendError::TooLarge);
        }
        if self.send.queues.is_full_for(data.len()) {
            return Err(SendError::Full);
        }
        let (limit, lifetime) = match channel.info.config.reliability {
            Reliability::Reliable => (Limit::RELIABLE, None),
            Reliability::MaxRetransmits(count) => (Limit { retransmits: count.into(), ..Limit::RELIABLE }, None),
            Reliability::MaxLifetime(lifetime) => (Limit::RELIABLE, Some(lifetime)),
        };
        // Ordered behind the DATA_CHANNEL_OPEN until the peer has it. RFC 8832 section 6.
        let unordered = !channel.info.config.ordered && channel.acknowledged;
        let (ppid, data) = dcep::wrap(kind, data);
        self.send.queues.push(slot, Message { data, ppid, unordered, limit, lifetime, order: 0, counted: true });
        Ok(())
    }

    /// Bytes of messages that were accepted and not sent yet. W3C `bufferedAmount`. Zero for a channel that is closed.
    pub fn buffered_amount(&self, channel: ChannelId) -> usize {
        self.channels.slot_of(channel).map_or(0, |slot| self.send.queues.buffered(slot))
    }

    /// [`Event::BufferedAmountLow`] tells when the buffered amount falls to this many bytes; 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        if let Some(slot) = self.channels.slot_of(channel) {
            self.send.queues.set_low_threshold(slot, bytes);
        }
    }

    /// Delivers what was accepted, then closes the channel in both directions. Ends with [`Event::ChannelClosed`].
    pub fn close_channel(&mut self, channel: ChannelId) {
        if let Some(slot) = self.channels.slot_of(channel) {
            self.close_slot(slot);
            self.settle();
        }
    }

    /// What happened. Taking a message makes room in the receive window, and so may make something to transmit.
    pub fn poll_event(&mut self) -> Option<Event> {
        let Some(event) = self.events.pop_front() else {
            return self.send.queues.poll_writable().then_some(Event::Writable);
        };
        if let (Event::Message { data, .. }, Some(peer)) = (&event, &mut self.peer) {
            peer.receive.release(data.len());
        }
        Some(event)
    }

    pub(super) fn has_messages(&self) -> bool {
        self.channels.occupied().any(|slot| self.send.queues.buffered(slot) > 0)
    }

    fn stream_limit(&self) -> u32 {
        self.peer.as_ref().map_or(ANY_STREAM, |peer| peer.streams)
    }

    /// Streams for those that wait for the role, and word for those that wait for the association.
    pub(super) fn assign_streams(&mut self) {
        let limit = self.stream_limit();
        for slot in self.channels.occupied() {
            let stream = self.channels.get(slot).and_then(|channel| channel.info.stream);
            let none_left = match stream {
                None => self.channels.assign_stream(slot, limit) == Some(None),
                Some(stream) => u32::from(stream) >= limit,
            };
            if none_left {
                self.remove(slot);
            } else {
                self.use_stream(slot);
            }
        }
    }

    /// Lets the messages of `slot` go if it has a stream, and tells the application if it can be used.
    fn use_stream(&mut self, slot: usize) {
        let Some(channel) = self.channels.get_mut(slot) else { return };
        let Some(stream) = channel.info.stream else { return };
        self.send.queues.set_stream(slot, stream);
        if self.phase == Phase::Established && !channel.announced {
            channel.announced = true;
            self.events.push_back(Event::ChannelOpened(channel.id));
        }
    }

    /// Hands on the messages that are in order.
    pub(super) fn deliver(&mut self) {
        while let Some(message) = self.peer.as_mut().and_then(|peer| peer.receive.poll_ready()) {
            self.deliver_one(message);
        }
        let oversized = self.peer.as_mut().and_then(|peer| peer.receive.poll_oversized());
        if let Some(slot) = oversized.and_then(|stream| self.channels.slot_of_stream(stream)) {
            self.close_slot(slot);
        }
    }

    fn deliver_one(&mut self, message: Delivered) {
        let slot = self.channels.slot_of_stream(message.stream);
        let Some(channel) = slot.and_then(|slot| self.channels.get_mut(slot)).filter(|channel| !channel.incoming_reset)
        else {
            return self.deliver_to_nobody(message);
        };
        channel.acknowledged = true;
        if message.ppid == DCEP {
            let known = Dcep::parse(&message.data) == Some(Dcep::Ack);
            return self.drop_message(&message, !known);
        }
        let len = message.data.len();
        match dcep::unwrap(message.ppid, message.data) {
            Some((kind, data)) => {
                // An empty message travelled as one byte.
                let event = Event::Message { channel: channel.id, kind, data };
                self.stats.messages_received += 1;
                if let (Event::Message { data, .. }, Some(peer)) = (&event, &mut self.peer) {
                    peer.receive.shrink_held(len - data.len());
                }
                self.events.push_back(event);
            }
            None => {
                self.stats.messages_dropped += 1;
                self.release(len);
            }
        }
    }

    /// A message on a stream that is no channel: a new channel's announcement, or it waits for one.
    fn deliver_to_nobody(&mut self, message: Delivered) {
        if message.ppid == DCEP
            && let Some(slot) = self.channels.slot_of_stream(message.stream)
            && self.reconfig.is_requested(message.stream)
        {
            // Only who has performed our reset opens the stream again: that answer was lost or is late.
            self.remove(slot);
        }
        let free = self.channels.slot_of_stream(message.stream).is_none();
        if free && message.ppid == DCEP {
            let Some(Dcep::Open(config)) = Dcep::parse(&message.data) else { return self.drop_message(&message, true) };
            let stream = message.stream;
            self.drop_message(&message, false);
            return self.accept_channel(config, stream);
        }
        let bytes: usize = self.early_messages.iter().map(|message| message.data.len()).sum();
        // They count against the window: one that they fill would never open again.
        let most = MAX_EARLY_BYTES.min(self.receive_window() / 2);
        if self.early_messages.len() >= MAX_EARLY_MESSAGES || bytes + message.data.len() > most {
            return self.drop_message(&message, true);
        }
        self.early_messages.push_back(message);
    }

    fn accept_channel(&mut self, config: ChannelConfig, stream: u16) {
        let priority = config.priority;
        // A peer may open and close as fast as it likes; what nobody takes must not pile up.
        let untaken = self.events.len() / EVENTS_PER_CHANNEL;
        let slot = if untaken < self.config.max_channels {
            self.channels.insert(config, Some(stream), true)
        } else {
            Err(OpenError::TooMany)
        };
        let Ok(slot) = slot else {
            self.stats.messages_dropped += 1;
            if self.reconfig.is_supported() {
                self.reconfig.reset(stream, None); // a refusal that the peer understands
            }
            return;
        };
        self.send.queues.open(slot, priority);
        self.send.queues.push(slot, control(dcep::ACK_MESSAGE));
        self.use_stream(slot);
        if let Some(channel) = self.channels.get_mut(slot).filter(|channel| !channel.announced) {
            channel.announced = true; // shutting down: it comes too late to be used, but is told
            self.events.push_back(Event::ChannelOpened(channel.id));
        }
        self.deliver_early(stream);
    }

    /// Messages that waited for the channel on `stream`.
    fn deliver_early(&mut self, stream: u16) {
        for message in std::mem::take(&mut self.early_messages) {
            if message.stream == stream {
                self.deliver_one(message);
            } else {
                self.early_messages.push_back(message);
            }
        }
    }

    /// The stream ended before it was a channel here.
    fn forget_early(&mut self, stream: u16) {
        for message in std::mem::take(&mut self.early_messages) {
            if message.stream == stream {
                self.drop_message(&message, true);
            } else {
                self.early_messages.push_back(message);
            }
        }
    }

    fn drop_message(&mut self, message: &Delivered, count: bool) {
        self.stats.messages_dropped += u64::from(count);
        self.release(message.data.len());
    }

    fn release(&mut self, len: usize) {
        if let Some(peer) = &mut self.peer {
            peer.receive.release(len);
        }
    }

    fn close_slot(&mut self, slot: usize) {
        let Some(channel) = self.channels.get_mut(slot) else { return };
        if channel.outgoing == Outgoing::Open {
            channel.outgoing = Outgoing::Draining;
            self.send.queues.close_when_empty(slot);
        }
    }

    /// What sending told about the queues.
    pub(super) fn take_notes(&mut self) {
        while let Some(note) = self.send.queues.notes.pop_front() {
            match note {
                Note::Low(slot) => {
                    if let Some(channel) = self.channels.get(slot) {
                        self.events.push_back(Event::BufferedAmountLow(channel.id));
                    }
                }
                Note::Drained(slot) => self.drained(slot),
            }
        }
    }

    fn drained(&mut self, slot: usize) {
        let Some(channel) = self.channels.get_mut(slot).filter(|channel| channel.outgoing == Outgoing::Draining) else {
            return;
        };
        channel.outgoing = Outgoing::Resetting;
        let id = Some(channel.id);
        let in_use = self.peer.is_some();
        match channel.info.stream {
            Some(stream) if !in_use || self.reconfig.is_supported() => self.reconfig.reset(stream, id),
            _ => self.remove(slot),
        }
    }

    /// The peer answered our reset of the channel's stream.
    pub(super) fn outgoing_was_reset(&mut self, channel: ChannelId) {
        let Some(slot) = self.channels.slot_of(channel) else { return };
        let Some(channel) = self.channels.get_mut(slot).filter(|channel| channel.outgoing == Outgoing::Resetting)
        else {
            return;
        };
        channel.outgoing = Outgoing::Done;
        if channel.incoming_reset {
            self.remove(slot);
        }
    }

    /// The peer's streams begin anew: it closes their channels.
    pub(super) fn reset_incoming(&mut self, reset: Reset) {
        match reset {
            Reset::All => {
                if let Some(peer) = &mut self.peer {
                    peer.receive.reset_all();
                }
                for slot in self.channels.occupied() {
                    self.incoming_was_reset(slot);
                }
            }
            Reset::Some(streams) => {
                for stream in streams {
                    if let Some(peer) = &mut self.peer {
                        peer.receive.reset_stream(stream);
                    }
                    match self.channels.slot_of_stream(stream) {
                        Some(slot) => self.incoming_was_reset(slot),
                        None => self.forget_early(stream),
                    }
                }
            }
        }
    }

    fn incoming_was_reset(&mut self, slot: usize) {
        let Some(channel) = self.channels.get_mut(slot) else { return };
        channel.incoming_reset = true;
        if channel.outgoing == Outgoing::Done {
            self.remove(slot);
        } else {
            self.close_slot(slot);
        }
    }

    fn remove(&mut self, slot: usize) {
        let Some(channel) = self.channels.remove(slot) else { return };
        self.send.queues.close(slot);
        self.events.push_back(Event::ChannelClosed(channel.id));
        let Some(stream) = channel.info.stream else { return };
        self.deliver_early(stream); // what the peer already sent on the next channel of this stream
    }
}

/// DCEP's own messages: reliable, in order, and not the application's. RFC 8832 section 6.
fn control(data: Bytes) -> Message {
    Message { data, ppid: DCEP, unordered: false, limit: Limit::RELIABLE, lifetime: None, order: 0, counted: false }
}
