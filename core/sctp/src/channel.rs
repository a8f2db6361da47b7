//! The table of channels: who has which stream, and how far its closing got.
//!
//! A channel lives in a slot; its [`ChannelId`] is the slot and how often that was used, so that an old id names nothing. Its stream
//! identifier is known once the role is. Closing has two halves that end in any order:
//!
//! ```text
//! ours    Open -- close_channel(), or the peer's reset --> Draining -- queue empty --> Resetting -- peer's answer --> Done
//! peer's  open -- the peer's reset ---------------------------------------------------------------------------------> reset
//! ```
//! When both are over, the channel is closed and its stream identifier free. RFC 8831 section 6.7.

use std::collections::{BTreeMap, VecDeque};

use crate::{ChannelConfig, ChannelId, ChannelInfo, OpenError, StreamParity};

/// 65,535 is reserved. RFC 8832 section 6.
const MAX_STREAMS: u32 = 65_535;

/// How many slots rest before the first of them is used again.
const RESTING_SLOTS: usize = 64;

/// Our half of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Open,
    /// What was accepted is still being sent.
    Draining,
    /// The reset waits for its turn or its answer.
    Resetting,
    Done,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub id: ChannelId,
    pub info: ChannelInfo,
    /// The peer knows the channel: data need not stay behind the DATA_CHANNEL_OPEN any more.
    pub acknowledged: bool,
    /// The application was told that it is open.
    pub announced: bool,
    pub outgoing: Outgoing,
    pub incoming_reset: bool,
}

#[derive(Debug)]
pub(crate) struct Channels {
    slots: Vec<Slot>,
    free_slots: VecDeque<usize>,
    by_stream: BTreeMap<u16, usize>,
    parity: Option<StreamParity>,
    /// The next stream identifier of ours that was never used.
    next_stream: u32,
    /// Those that were, and are free again; the longest unused first.
    free_streams: VecDeque<u16>,
    max: usize,
    count: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    channel: Option<Channel>,
}

impl Channels {
    pub fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free_slots: VecDeque::new(),
            by_stream: BTreeMap::new(),
            parity: None,
            next_stream: 0,
            free_streams: VecDeque::new(),
            max: max.min(MAX_STREAMS as usize),
            count: 0,
        }
    }

    /// Which identifiers are ours is known from now on.
    pub fn set_parity(&mut self, parity: StreamParity) {
        if self.parity.is_none() {
            self.next_stream = u32::from(parity == StreamParity::Odd);
            self.parity = Some(parity);
        }
    }

    /// Room for one more, with a stream or for one to come.
    pub fn insert(&mut self, config: ChannelConfig, stream: Option<u16>, remote: bool) -> Result<usize, OpenError> {
        if self.count >= self.max {
            return Err(OpenError::TooMany);
        }
        if let Some(stream) = stream
            && (u32::from(stream) >= MAX_STREAMS || self.by_stream.contains_key(&stream))
        {
            return Err(OpenError::StreamInUse);
        }
        // A slot rests for a while, so that an old id takes long to mean something again.
        let rested = self.free_slots.len() > RESTING_SLOTS || self.slots.len() >= self.max;
        let free = if rested { self.free_slots.pop_front() } else { None };
        let slot = free.unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let Some(place) = self.slots.get_mut(slot) else { return Err(OpenError::TooMany) };
        let id = ChannelId(u32::from(place.generation) << 16 | slot as u32);
        let acknowledged = remote || config.negotiated.is_some();
        place.channel = Some(Channel {
            id,
            info: ChannelInfo { config, stream, remote },
            acknowledged,
            announced: false,
            outgoing: Outgoing::Open,
            incoming_reset: false,
        });
        if let Some(stream) = stream {
            self.by_stream.insert(stream, slot);
        }
        self.count += 1;
        Ok(slot)
    }

    /// Gives `slot` the next free stream, below `limit`. `None` while our role is unknown, `Some(None)` when none is free.
    pub fn assign_stream(&mut self, slot: usize, limit: u32) -> Option<Option<u16>> {
        self.parity?;
        let Some(stream) = self.free_stream(limit.min(MAX_STREAMS)) else { return Some(None) };
        self.by_stream.insert(stream, slot);
        self.get_mut(slot)?.info.stream = Some(stream);
        Some(Some(stream))
    }

    fn free_stream(&mut self, limit: u32) -> Option<u16> {
        while let Some(stream) = self.free_streams.pop_front() {
            if !self.by_stream.contains_key(&stream) {
                return Some(stream);
            }
        }
        while self.next_stream < limit {
            let stream = self.next_stream as u16;
            self.next_stream += 2;
            if !self.by_stream.contains_key(&stream) {
                return Some(stream);
            }
        }
        None
    }

    /// Takes the channel out; its stream is free again.
    pub fn remove(&mut self, slot: usize) -> Option<Channel> {
        let place = self.slots.get_mut(slot)?;
        let channel = place.channel.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free_slots.push_back(slot);
        self.count -= 1;
        if let Some(stream) = channel.info.stream {
            self.by_stream.remove(&stream);
            let ours = self.parity.is_some() && u32::from(stream) % 2 == self.next_stream % 2;
            if ours && u32::from(stream) < self.next_stream {
                self.free_streams.push_back(stream);
            }
        }
        Some(channel)
    }

    pub fn slot_of(&self, id: ChannelId) -> Option<usize> {
        let slot = (id.0 & 0xffff) as usize;
        self.slots.get(slot)?.channel.as_ref().filter(|channel| channel.id == id).map(|_| slot)
    }

    pub fn slot_of_stream(&self, stream: u16) -> Option<usize> {
        self.by_stream.get(&stream).copied()
    }

    pub fn get(&self, slot: usize) -> Option<&Channel> {
        self.slots.get(slot)?.channel.as_ref()
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Channel> {
        self.slots.get_mut(slot)?.channel.as_mut()
    }

    /// All slots with a channel.
    pub fn occupied(&self) -> impl Iterator<Item = usize> + use<> {
        let slots: Vec<_> = (0..self.slots.len()).filter(|&slot| self.get(slot).is_some()).collect();
        slots.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each channel that came and went left a slot behind, and the 65,537th had an id that named another.
    #[test]
    fn slots_are_used_again_however_many_channels_come_and_go() {
        let mut channels = Channels::new(1000);
        let mut before = None;
        for _ in 0..70_000 {
            let slot = channels.insert(ChannelConfig::default(), None, false).unwrap();
            let id = channels.get(slot).unwrap().id;
            assert_eq!((channels.slot_of(id), before.and_then(|id| channels.slot_of(id))), (Some(slot), None));
            channels.remove(slot);
            before = Some(id);
        }
        assert!(channels.slots.len() <= RESTING_SLOTS + 2, "{} slots for one channel", channels.slots.len());
    }

    #[test]
    fn ids_and_streams_are_used_again_but_not_soon() {
        let mut channels = Channels::new(1000);
        channels.set_parity(StreamParity::Odd);
        let taken = channels.insert(ChannelConfig::default(), Some(1), false).unwrap();
        let slot = channels.insert(ChannelConfig::default(), None, false).unwrap();
        assert_eq!(channels.assign_stream(slot, 1000), Some(Some(3)), "1 is taken");
        let id = channels.get(slot).unwrap().id;
        channels.remove(slot);
        channels.remove(taken);
        assert_eq!(channels.slot_of(id), None);
        let streams: Vec<_> = (0..4)
            .map(|_| {
                let slot = channels.insert(ChannelConfig::default(), None, false).unwrap();
                assert_ne!(channels.get(slot).unwrap().id, id);
                channels.assign_stream(slot, 6).unwrap()
            })
            .collect();
        assert_eq!(streams, [Some(3), Some(1), Some(5), None]);
        assert_eq!(channels.insert(ChannelConfig::default(), Some(3), true), Err(OpenError::StreamInUse));
        assert_eq!(channels.insert(ChannelConfig::default(), Some(65_535), true), Err(OpenError::StreamInUse));
    }
}
