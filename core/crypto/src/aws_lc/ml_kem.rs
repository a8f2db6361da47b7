//! ML-KEM-768 over `aws-lc-rs`, which draws what is random in it from the system.

use aws_lc_rs::kem::{AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use rand::Rng;

use crate::hybrid::{CIPHERTEXT, Decapsulation, ENCAPSULATION_KEY};
use crate::types::{KeyError, Secret};

struct Key(DecapsulationKey<AlgorithmId>);

pub(super) fn generate(_random: &mut dyn Rng) -> Result<(Box<dyn Decapsulation>, Vec<u8>), KeyError> {
    let key = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| KeyError::Refused)?;
    let public = key.encapsulation_key().and_then(|public| Ok(public.key_bytes()?.as_ref().to_vec()));
    Ok((Box::new(Key(key)), public.map_err(|_| KeyError::Refused)?))
}

pub(super) fn encapsulate(key: &[u8; ENCAPSULATION_KEY], _random: &mut dyn Rng) -> Option<(Vec<u8>, Secret)> {
    let key = EncapsulationKey::new(&ML_KEM_768, key).ok()?;
    let (ciphertext, secret) = key.encapsulate().ok()?;
    Some((ciphertext.as_ref().to_vec(), Secret::new(secret.as_ref().to_vec())))
}

impl Decapsulation for Key {
    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT]) -> Option<Secret> {
        let secret = self.0.decapsulate(Ciphertext::from(&ciphertext[..])).ok()?;
        Some(Secret::new(secret.as_ref().to_vec()))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MlKem768")
    }
}
