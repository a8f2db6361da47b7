//! The machine.
use bytes::Bytes;
use wigwag_crypto::Provider;
use wigwag_proto::{Instant, Random};

use crate::{
    ChannelConfig, ChannelId, ChannelInfo, Config, Event, OpenError, PayloadKind, SendError, State, Stats, StreamParity,
};

/// An SCTP association and its data channels.
#[derive(Debug)]
pub struct Association {}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Association {
    pub fn new(config: Config, random: Random, provider: Provider) -> Self {
        todo!()
    }
    pub fn set_role(&mut self, parity: StreamParity) {
        todo!()
    }
    pub fn set_peer_max_message_size(&mut self, bytes: usize) {
        todo!()
    }
    pub fn set_remote_port(&mut self, port: u16) {
        todo!()
    }
    pub fn connect(&mut self, now: Instant) {
        todo!()
    }
    pub fn close(&mut self, now: Instant) {
        todo!()
    }
    pub fn abort(&mut self) {
        todo!()
    }
    pub fn state(&self) -> State {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }
    pub fn open_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, OpenError> {
        todo!()
    }
    pub fn channel(&self, channel: ChannelId) -> Option<&ChannelInfo> {
        todo!()
    }
    pub fn send(&mut self, channel: ChannelId, kind: PayloadKind, data: Bytes) -> Result<(), SendError> {
        todo!()
    }
    pub fn buffered_amount(&self, channel: ChannelId) -> usize {
        todo!()
    }
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        todo!()
    }
    pub fn close_channel(&mut self, channel: ChannelId) {
        todo!()
    }
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn can_transmit(&self) -> bool {
        todo!()
    }
    pub fn write_packet(&mut self, now: Instant, room: &mut [u8]) -> Option<usize> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    pub fn round_trip_time(&self) -> Option<std::time::Duration> {
        todo!()
    }
}
