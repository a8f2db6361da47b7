//! Seeds: many to search with, one to look at what was found.

use rand::{Rng, SeedableRng};
use wigwag_proto::Random;

/// The environment variable that [`seeds`] obeys.
pub const SEED_VARIABLE: &str = "WIGWAG_SEED";

/// The seeds from 1 to `count`; or, if `WIGWAG_SEED` is set to a number, only that one.
///
/// ```
/// for seed in wigwag_net::seeds(3) {
///     let _network = wigwag_net::Network::new(seed);
/// }
/// ```
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let only = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.trim().parse().ok());
    only.map_or(1..=count, |seed| seed..=seed)
}

/// A stream of its own for each `part` of what the seed stands for.
pub(crate) fn stream(seed: u64, part: &[u8]) -> Random {
    let hash = siphasher::sip128::SipHasher13::new_with_keys(seed, 0).hash(part);
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().zip(hash.as_bytes().into_iter().chain(seed.to_le_bytes())) {
        *place = byte;
    }
    Random::from_seed(bytes)
}

/// What one datagram may draw.
pub(crate) struct Dice(pub Random);

impl Dice {
    /// `N` numbers, each evenly in `0.0 .. 1.0`.
    pub fn roll<const N: usize>(&mut self) -> [f64; N] {
        std::array::from_fn(|_| (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
