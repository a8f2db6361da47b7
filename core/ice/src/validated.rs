//! The paths on which the other side has shown itself, and what an endpoint is told of them.
//!
//! A check that is authentic says that the peer is *somewhere*: its source address may be forged by the peer itself. So a
//! check only [claims](EndpointEvent::Claimed) a path, which an endpoint grants if nobody has it. Who was answered on the
//! path has [proved](EndpointEvent::Learned) it: then the path is taken over from whoever had it. (A lite agent sends no
//! checks and can prove nothing; its claims count as proof.)

use wigwag_proto::UdpPath;

use crate::event::{EndpointEvent, EndpointEvents, Key};

/// Paths of one agent that count at once; the oldest make room.
const MAX_VALIDATED: usize = 32;

#[derive(Debug)]
struct Entry {
    path: UdpPath,
    proved: bool,
    /// The endpoint was told of a claim first.
    claimed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Validated(Vec<Entry>);

impl Validated {
    pub fn contains(&self, path: UdpPath) -> bool {
        self.0.iter().any(|entry| entry.path == path)
    }

    /// An authentic check came this way, or, if it is `proved`, was answered. `keep` is never forgotten for it.
    pub fn add(&mut self, path: UdpPath, proved: bool, keep: Option<UdpPath>, events: &mut EndpointEvents) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.path == path) {
            if proved && !entry.proved {
                entry.proved = true;
                events.learn(Key::Path(path));
            }
            return;
        }
        if self.0.len() >= MAX_VALIDATED {
            let oldest = self.0.iter().position(|entry| Some(entry.path) != keep).unwrap_or(0);
            forget(self.0.remove(oldest), events);
        }
        self.0.push(Entry { path, proved, claimed: !proved });
        match proved {
            true => events.learn(Key::Path(path)),
            false => events.claim(Key::Path(path)),
        }
    }

    /// Forgets the paths that are `gone`.
    pub fn forget(&mut self, gone: impl Fn(UdpPath) -> bool, events: &mut EndpointEvents) {
        self.0.extract_if(.., |entry| gone(entry.path)).for_each(|entry| forget(entry, events));
    }

    /// Another connection has proved that it owns the path. Nothing is told: the endpoint knows. An answer to a check of
    /// ours on it would prove the contrary, and take it back.
    pub fn displace(&mut self, path: UdpPath) {
        self.0.retain(|entry| entry.path != path);
    }
}

fn forget(entry: Entry, events: &mut EndpointEvents) {
    events.forget_path(entry.path, entry.claimed);
}

impl EndpointEvents {
    fn claim(&mut self, key: Key) {
        self.push(EndpointEvent::Claimed(key));
    }

    /// What is untold of the path is not told any more; and if all of it was untold, neither is its end.
    fn forget_path(&mut self, path: UdpPath, claimed: bool) {
        let key = Key::Path(path);
        let first = if claimed { EndpointEvent::Claimed(key) } else { EndpointEvent::Learned(key) };
        let was_untold = self.contains(first);
        self.remove(|event| event == EndpointEvent::Claimed(key) || event == EndpointEvent::Learned(key));
        if !was_untold {
            self.push(EndpointEvent::Forgotten(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> UdpPath {
        UdpPath { local: ([10, 0, 0, 1], 1).into(), remote: ([10, 0, 0, 2], port).into() }
    }

    fn told(events: &mut EndpointEvents) -> Vec<EndpointEvent> {
        std::iter::from_fn(|| events.pop()).collect()
    }

    #[test]
    fn a_claim_becomes_proof_once() {
        let (mut validated, mut events) = (Validated::default(), EndpointEvents::default());
        let key = Key::Path(path(1));
        for proved in [false, false, true, true, false] {
            validated.add(path(1), proved, None, &mut events);
        }
        assert_eq!(told(&mut events), [EndpointEvent::Claimed(key), EndpointEvent::Learned(key)]);
        validated.forget(|_| true, &mut events);
        assert_eq!(told(&mut events), [EndpointEvent::Forgotten(key)]);
    }

    #[test]
    fn what_was_not_told_is_not_taken_back() {
        let (mut validated, mut events) = (Validated::default(), EndpointEvents::default());
        let key = Key::Path(path(1));
        validated.add(path(1), false, None, &mut events);
        validated.add(path(1), true, None, &mut events);
        validated.forget(|_| true, &mut events);
        assert_eq!(told(&mut events), []);
        // The claim was told, the proof was not.
        validated.add(path(1), false, None, &mut events);
        assert_eq!(told(&mut events), [EndpointEvent::Claimed(key)]);
        validated.add(path(1), true, None, &mut events);
        validated.forget(|_| true, &mut events);
        assert_eq!(told(&mut events), [EndpointEvent::Forgotten(key)]);
    }

    #[test]
    fn who_was_displaced_proves_again() {
        let (mut validated, mut events) = (Validated::default(), EndpointEvents::default());
        let key = Key::Path(path(1));
        validated.add(path(1), true, None, &mut events);
        validated.displace(path(1));
        validated.add(path(1), true, None, &mut events);
        assert_eq!(told(&mut events), [EndpointEvent::Learned(key), EndpointEvent::Learned(key)]);
    }

    #[test]
    fn the_oldest_make_room_and_nothing_piles_up_untold() {
        let (mut validated, mut events) = (Validated::default(), EndpointEvents::default());
        for port in 1..1000 {
            validated.add(path(port), port % 2 == 0, Some(path(1)), &mut events);
        }
        assert!(validated.contains(path(1)) && validated.contains(path(999)) && !validated.contains(path(2)));
        assert_eq!(told(&mut events).len(), MAX_VALIDATED);
    }
}
