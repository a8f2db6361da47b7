//! Where datagrams get lost, come twice, or late.

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

/// Of a thousand datagrams, so many.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    pub lost: u32,
    pub repeated: u32,
    pub overtaken: u32,
    pub seed: u64,
}

impl Quality {
    pub const GOOD: Self = Self { lost: 0, repeated: 0, overtaken: 0, seed: 0 };

    pub const fn bad(seed: u64) -> Self {
        Self { lost: 200, repeated: 200, overtaken: 200, seed }
    }
}

/// Both directions; 0 is ours.
pub struct Wire {
    pub quality: Quality,
    random: ChaCha12Rng,
    under_way: Vec<(usize, Vec<u8>)>,
    /// Overtaken by the next.
    late: Vec<(usize, Vec<u8>)>,
}

impl Wire {
    pub fn new(quality: Quality) -> Self {
        let random = ChaCha12Rng::seed_from_u64(quality.seed);
        Self { quality, random, under_way: Vec::new(), late: Vec::new() }
    }

    pub fn send(&mut self, from: usize, datagram: &[u8]) {
        let Quality { lost, repeated, overtaken, .. } = self.quality;
        let mut happens = |of_thousand| self.random.random_range(0..1000) < of_thousand;
        let (is_lost, twice, late) = (happens(lost), happens(repeated), happens(overtaken));
        if is_lost {
            return;
        }
        let place = if late { &mut self.late } else { &mut self.under_way };
        place.push((1 - from, datagram.to_vec()));
        if twice {
            self.under_way.push((1 - from, datagram.to_vec()));
        }
    }

    /// What arrives, and where.
    pub fn deliver(&mut self) -> Vec<(usize, Vec<u8>)> {
        let mut arrived = std::mem::take(&mut self.under_way);
        arrived.append(&mut self.late);
        arrived
    }
}
