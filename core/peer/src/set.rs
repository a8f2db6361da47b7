//! Many connections in one loop: polling them costs what the ready ones cost.
//!
//! A connection that was touched is ready; one that was not is ready when its time comes. Touching is what
//! [`ConnectionSet::get_mut`] does, so that nobody can forget it; and what a connection says about its next deadline is
//! read when the [`Ready`] guard is dropped.

use std::collections::{BTreeSet, VecDeque};
use std::ops::{Deref, DerefMut};

use wigwag_proto::Instant;

use crate::connection::PeerConnection;
use crate::endpoint::ConnectionId;

/// Owns connections, and knows which of them want to be polled.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// use wigwag::{Config, ConnectionSet, Instant, PeerConnection};
///
/// let mut set = ConnectionSet::default();
/// let id = set.insert(PeerConnection::new(Config::new([7; 32]))?);
/// let now = Instant::from_micros(0);
/// while let Some(mut ready) = set.next_ready(now) {
///     assert_eq!(ready.id, id);
///     while let Some(_event) = ready.poll_event() {}
///     // ... poll_request, poll_transmit, and poll_endpoint_event last: transmits have ids to be known by
/// }
/// assert!(set.next_ready(now).is_none()); // nobody touched it since
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct ConnectionSet {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ready: VecDeque<ConnectionId>,
    timers: BTreeSet<(Instant, ConnectionId)>,
    len: usize,
}

/// A place for a connection. Each use of it is a new generation, so that an old name finds nobody.
#[derive(Debug)]
struct Slot {
    generation: u32,
    occupant: Option<Occupant>,
}

#[derive(Debug)]
struct Occupant {
    connection: Box<PeerConnection>,
    is_ready: bool,
    /// Its entry in `timers`; never later than what `poll_timeout` says.
    timer: Option<Instant>,
}

impl ConnectionId {
    fn of(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }
    fn index(self) -> usize {
        self.0 as u32 as usize
    }
    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl ConnectionSet {
    /// Takes a connection in; it is ready.
    pub fn insert(&mut self, connection: PeerConnection) -> ConnectionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, occupant: None });
            self.slots.len() as u32 - 1
        });
        let generation = self.slots.get(index as usize).map_or(0, |slot| slot.generation);
        let id = ConnectionId::of(index, generation);
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.occupant = Some(Occupant { connection: Box::new(connection), is_ready: true, timer: None });
        }
        self.ready.push_back(id);
        self.len += 1;
        id
    }

    /// Hands a connection back; its name means nobody from now on.
    pub fn remove(&mut self, id: ConnectionId) -> Option<PeerConnection> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation())?;
        let occupant = slot.occupant.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index() as u32);
        self.len -= 1;
        if let Some(timer) = occupant.timer {
            self.timers.remove(&(timer, id));
        }
        Some(*occupant.connection)
    }

    fn occupant(&mut self, id: ConnectionId) -> Option<&mut Occupant> {
        self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation())?.occupant.as_mut()
    }

    /// The connection, to be looked at.
    pub fn get(&self, id: ConnectionId) -> Option<&PeerConnection> {
        let slot = self.slots.get(id.index()).filter(|slot| slot.generation == id.generation())?;
        Some(&slot.occupant.as_ref()?.connection)
    }

    /// The connection, to be told or asked something; it is ready from then on.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut PeerConnection> {
        self.mark_ready(id);
        Some(&mut *self.occupant(id)?.connection)
    }

    fn mark_ready(&mut self, id: ConnectionId) {
        if let Some(occupant) = self.occupant(id)
            && !std::mem::replace(&mut occupant.is_ready, true)
        {
            self.ready.push_back(id);
        }
    }

    /// The next connection to be polled. Its timers have run; poll what it has, then drop it.
    pub fn next_ready(&mut self, now: Instant) -> Option<Ready<'_>> {
        while let Some(&(at, id)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            if let Some(occupant) = self.occupant(id) {
                occupant.timer = None;
            }
            self.mark_ready(id);
        }
        let id = loop {
            let id = self.ready.pop_front()?;
            if self.occupant(id).is_some() {
                break id; // otherwise, one that was removed while it was ready
            }
        };
        let Self { slots, timers, .. } = self;
        let occupant = slots.get_mut(id.index())?.occupant.as_mut()?;
        occupant.is_ready = false;
        occupant.connection.handle_timeout(now);
        Some(Ready { id, occupant, timers })
    }

    /// When the first of them wants to come back; [`Instant::default`] while one is ready. O(log n).
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ready.is_empty() { self.timers.first().map(|&(at, _)| at) } else { Some(Instant::default()) }
    }

    /// The names of all.
    pub fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| slot.occupant.is_some()).map(|(n, slot)| ConnectionId::of(n as u32, slot.generation))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A connection that wants to be polled. Dropping it notes when it wants to be polled again.
#[derive(Debug)]
pub struct Ready<'a> {
    /// Its name.
    pub id: ConnectionId,
    occupant: &'a mut Occupant,
    timers: &'a mut BTreeSet<(Instant, ConnectionId)>,
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        let Some(at) = self.occupant.connection.poll_timeout() else {
            return;
        };
        // An entry that is early costs one look; moving it at each packet would cost more.
        if self.occupant.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        if let Some(timer) = self.occupant.timer.replace(at) {
            self.timers.remove(&(timer, self.id));
        }
        self.timers.insert((at, self.id));
    }
}

impl Deref for Ready<'_> {
    type Target = PeerConnection;
    fn deref(&self) -> &PeerConnection {
        &self.occupant.connection
    }
}

impl DerefMut for Ready<'_> {
    fn deref_mut(&mut self) -> &mut PeerConnection {
        &mut self.occupant.connection
    }
}
