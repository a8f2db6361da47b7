//! ML-KEM-768 over RustCrypto.

use ml_kem::array::Array;
use ml_kem::{B32, Decapsulate, DecapsulationKey, EncapsulationKey, KeyExport, MlKem768, Seed};
use rand::Rng;
use zeroize::Zeroize;

use crate::hybrid::{CIPHERTEXT, Decapsulation, ENCAPSULATION_KEY};
use crate::types::{KeyError, Secret};

struct Key(DecapsulationKey<MlKem768>);

pub(super) fn generate(random: &mut dyn Rng) -> Result<(Box<dyn Decapsulation>, Vec<u8>), KeyError> {
    let mut seed = Seed::default();
    random.fill_bytes(&mut seed);
    let key = DecapsulationKey::from_seed(seed);
    seed.zeroize();
    let public = key.encapsulation_key().to_bytes().to_vec();
    Ok((Box::new(Key(key)), public))
}

pub(super) fn encapsulate(key: &[u8; ENCAPSULATION_KEY], random: &mut dyn Rng) -> Option<(Vec<u8>, Secret)> {
    let key = EncapsulationKey::<MlKem768>::new(&Array(*key)).ok()?;
    let mut message = B32::default();
    random.fill_bytes(&mut message);
    let (ciphertext, mut secret) = key.encapsulate_deterministic(&message);
    message.zeroize();
    let kept = Secret::new(secret.to_vec());
    secret.zeroize();
    Some((ciphertext.to_vec(), kept))
}

impl Decapsulation for Key {
    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT]) -> Option<Secret> {
        let mut secret = self.0.decapsulate(&Array(*ciphertext));
        let kept = Secret::new(secret.to_vec());
        secret.zeroize();
        Some(kept)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MlKem768")
    }
}
