//! Somebody on the path between two honest peers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use wigwag::{Instant, Route, Transmit, UdpPath};
use wigwag_net::{Network, Sent, Verdict};

/// A datagram that he saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    /// As its sender sees it.
    pub path: UdpPath,
    pub bytes: Vec<u8>,
}

/// What he does with a datagram: what goes on in its place, at once. One that is the same goes on as it is.
pub type Plan = Box<dyn FnMut(&Seen) -> Vec<Vec<u8>> + Send>;

struct State {
    seen: Vec<Seen>,
    plan: Option<Plan>,
    /// What goes on in the place of others.
    replacements: VecDeque<(UdpPath, Vec<u8>)>,
    /// His own are none of his business.
    is_speaking: bool,
}

/// Somebody on the path, who sees every datagram when it is sent, and speaks with everybody's address.
#[derive(Clone)]
pub struct Man(Arc<Mutex<State>>);

impl Man {
    /// He sits down at a network, and only watches.
    pub fn new(network: &mut Network) -> Self {
        let state = State { seen: Vec::new(), plan: None, replacements: VecDeque::new(), is_speaking: false };
        let state = Arc::new(Mutex::new(state));
        let man = Self(Arc::clone(&state));
        network.set_filter(move |sent| state.lock().unwrap().look(sent));
        man
    }

    /// From now on, this happens to each datagram. Whoever runs the simulation calls [`work`](Self::work) after each moment.
    pub fn plan(&self, plan: impl FnMut(&Seen) -> Vec<Vec<u8>> + Send + 'static) {
        self.0.lock().unwrap().plan = Some(Box::new(plan));
    }

    /// All that he saw.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// How many he saw.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().seen.len()
    }

    /// Bytes that he takes to remember all that.
    pub fn weight(&self) -> isize {
        let state = self.0.lock().unwrap();
        let bytes: usize = state.seen.iter().map(|seen| seen.bytes.capacity()).sum();
        (bytes + state.seen.capacity() * size_of::<Seen>()) as isize
    }

    /// Sends what is to go on in the place of others.
    pub fn work(&self, network: &mut Network, now: Instant) {
        while let Some((path, bytes)) = self.take() {
            self.say(network, now, path, &bytes);
        }
    }

    /// A datagram of his own, from whoever `path` begins at.
    pub fn say(&self, network: &mut Network, now: Instant, path: UdpPath, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.0.lock().unwrap().is_speaking = true;
        let transmit =
            Transmit { route: Route::Udp(path), len: bytes.len(), segment_size: bytes.len(), ecn: 0, dscp: 0 };
        network.send(now, &transmit, bytes);
        self.0.lock().unwrap().is_speaking = false;
    }

    fn take(&self) -> Option<(UdpPath, Vec<u8>)> {
        self.0.lock().unwrap().replacements.pop_front()
    }
}

impl State {
    fn look(&mut self, sent: &Sent<'_>) -> Verdict {
        if self.is_speaking {
            return Verdict::Pass;
        }
        let seen = Seen { at: sent.at, path: sent.path, bytes: sent.bytes.to_vec() };
        let verdict = match &mut self.plan {
            None => Verdict::Pass,
            Some(plan) => {
                let mut instead = plan(&seen);
                let passes = instead.first() == Some(&seen.bytes);
                if passes {
                    instead.remove(0);
                }
                self.replacements.extend(instead.into_iter().map(|bytes| (seen.path, bytes)));
                if passes { Verdict::Pass } else { Verdict::Drop }
            }
        };
        self.seen.push(seen);
        verdict
    }
}
