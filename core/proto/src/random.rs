//! The engine's only randomness: one seed from the caller, the same sequence on every platform.

use rand::{Rng, SeedableRng};

/// A ChaCha12 stream. (`rand`'s `StdRng` promises no algorithm; this one stays the same.)
///
/// ```
/// use rand::Rng;
/// use wigwag_proto::random;
///
/// let (mut one, mut same) = (random::seeded([7; 32]), random::seeded([7; 32]));
/// assert_eq!(one.next_u64(), same.next_u64());
/// ```
pub type Random = rand::rngs::ChaCha12Rng;

/// The source that `seed` stands for. In production, the seed comes from the system's randomness, once a connection.
pub fn seeded(seed: [u8; 32]) -> Random {
    Random::from_seed(seed)
}

/// A source of its own for a part, so that what one part draws does not shift what another draws.
pub fn fork(random: &mut Random) -> Random {
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    Random::from_seed(seed)
}
