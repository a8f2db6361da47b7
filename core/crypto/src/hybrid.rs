//! X25519MLKEM768: a key agreement that holds as long as either of its halves does. draft-ietf-tls-ecdhe-mlkem.
//!
//! ```text
//! who asks      encapsulation key (1184) | X25519 (32)
//! who answers   ciphertext (1088)        | X25519 (32)
//! the secret    of ML-KEM (32)           | of X25519 (32)
//! ```
//!
//! ML-KEM-768 (FIPS 203) comes from the provider, as X25519 does; here they are put together.

use rand::Rng;

use crate::types::{Group, InvalidPublicKey, KeyError, Secret};
use crate::{CryptoProvider, KeyAgreement};

/// Bytes of an encapsulation key of ML-KEM-768. FIPS 203 section 8.
pub(crate) const ENCAPSULATION_KEY: usize = 1184;
/// Bytes of its ciphertext.
pub(crate) const CIPHERTEXT: usize = 1088;

/// What takes the secret out of a ciphertext.
pub(crate) trait Decapsulation: std::fmt::Debug + Send + Sync {
    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT]) -> Option<Secret>;
}

/// The half of who asks.
#[derive(Debug)]
struct Hybrid {
    decapsulation: Box<dyn Decapsulation>,
    x25519: Box<dyn KeyAgreement>,
    public: Vec<u8>,
}

/// From a fresh key of ML-KEM and its public half.
pub(crate) fn ask(
    provider: &dyn CryptoProvider,
    (decapsulation, encapsulation_key): (Box<dyn Decapsulation>, Vec<u8>),
    random: &mut dyn Rng,
) -> Result<Box<dyn KeyAgreement>, KeyError> {
    let x25519 = provider.key_agreement(Group::X25519, random)?;
    let public = [&encapsulation_key, x25519.public_key()].concat();
    Ok(Box::new(Hybrid { decapsulation, x25519, public }))
}

/// What to answer to `peer_public_key`, and the secret. `encapsulate` gives a ciphertext and its secret.
pub(crate) fn answer(
    provider: &dyn CryptoProvider,
    peer_public_key: &[u8],
    random: &mut dyn Rng,
    encapsulate: impl FnOnce(&[u8; ENCAPSULATION_KEY], &mut dyn Rng) -> Option<(Vec<u8>, Secret)>,
) -> Result<(Vec<u8>, Secret), InvalidPublicKey> {
    let (encapsulation_key, peer) = peer_public_key.split_first_chunk().ok_or(InvalidPublicKey)?;
    let (ciphertext, secret) = encapsulate(encapsulation_key, random).ok_or(InvalidPublicKey)?;
    let x25519 = provider.key_agreement(Group::X25519, random).map_err(|_| InvalidPublicKey)?;
    let public = [&ciphertext, x25519.public_key()].concat();
    Ok((public, join(&secret, &x25519.agree(peer)?)))
}

fn join(one: &Secret, other: &Secret) -> Secret {
    Secret::new([&one[..], other].concat())
}

impl KeyAgreement for Hybrid {
    fn group(&self) -> Group {
        Group::X25519MlKem768
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn agree(self: Box<Self>, peer_public_key: &[u8]) -> Result<Secret, InvalidPublicKey> {
        let (ciphertext, peer) = peer_public_key.split_first_chunk().ok_or(InvalidPublicKey)?;
        let secret = self.decapsulation.decapsulate(ciphertext).ok_or(InvalidPublicKey)?;
        Ok(join(&secret, &self.x25519.agree(peer)?))
    }
}
