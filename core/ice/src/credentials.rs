//! The user fragment and the password of one side, for one generation.

use std::fmt;

use rand::Rng;
use wigwag_proto::Random;

/// Our fragments have exactly this length, so that a fragment is a `Copy` key.
pub const UFRAG_LEN: usize = 8;
/// 144 bits; RFC 8445 section 5.3 wants 128.
const PWD_LEN: usize = 24;
/// RFC 8839 section 5.4.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The user fragment and the password of one side. RFC 8445 section 5.3.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the generation: `ice-ufrag`.
    pub ufrag: String,
    /// The key of its checks: `ice-pwd`.
    pub pwd: String,
}

impl Credentials {
    /// As the other side told them.
    pub fn new(ufrag: impl Into<String>, pwd: impl Into<String>) -> Self {
        Self { ufrag: ufrag.into(), pwd: pwd.into() }
    }

    /// New ones of our own.
    pub fn random(random: &mut Random) -> Self {
        Self { ufrag: ice_chars(random, UFRAG_LEN), pwd: ice_chars(random, PWD_LEN) }
    }

    /// The fragment as a key; ours only.
    pub(crate) fn fragment(&self) -> Option<[u8; UFRAG_LEN]> {
        self.ufrag.as_bytes().try_into().ok()
    }
}

/// The password stays out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

fn ice_chars(random: &mut Random, len: usize) -> String {
    let char_of = |number: u32| ICE_CHARS.get((number & 63) as usize).map_or('A', |&byte| char::from(byte));
    (0..len).map(|_| char_of(random.next_u32())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_right_shape() {
        let credentials = Credentials::random(&mut wigwag_proto::random::seeded([1; 32]));
        assert_eq!((credentials.ufrag.len(), credentials.pwd.len()), (UFRAG_LEN, PWD_LEN));
        assert!(credentials.ufrag.bytes().chain(credentials.pwd.bytes()).all(|byte| ICE_CHARS.contains(&byte)));
        assert!(!format!("{credentials:?}").contains(&credentials.pwd));
    }
}
