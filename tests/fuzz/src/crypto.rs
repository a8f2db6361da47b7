//! Cryptography made of glass: as fast as nothing, so that a fuzzer spends its time in the protocols.
//!
//! Two providers. [`checked`] has tags, signatures and hashes that depend on key and content, so what was changed is refused as
//! with a real one: sums, not secrets, good enough against a fuzzer that does not aim at them. With [`credulous`] every tag and
//! signature is good, keys and MACs are zeros and nothing is encrypted: whatever the fuzzer changes in a datagram, the machine
//! behind it sees. (No peer without the keys could do that; one that has them can.)

use rand::Rng;
use wigwag_crypto::{
    Aead, AeadKey, BadSignature, BlockKey, CryptoProvider, Digest, Group, Hash, Hasher, InvalidPublicKey, KeyAgreement,
    KeyError, KeyType, MacKey, Provider, Secret, SignatureScheme, SigningKey, StreamKey, Tag, Unauthentic,
};

/// A provider whose tags say whether something was changed.
pub fn checked() -> Provider {
    &Glass { credulous: false }
}

/// A provider that takes everything as good.
pub fn credulous() -> Provider {
    &Glass { credulous: true }
}

#[derive(Clone, Copy, Debug)]
struct Glass {
    credulous: bool,
}

/// FNV-1a, stretched: the same for the same bytes, however they are cut.
#[derive(Clone, Copy, Debug)]
struct Sum(u64, usize);

const OFFSET: u64 = 0xCBF2_9CE4_8422_2325;

impl Sum {
    fn of(parts: &[&[u8]]) -> Self {
        let mut sum = Self(OFFSET, 0);
        parts.iter().for_each(|part| sum.update(part));
        sum
    }

    /// Of parts whose borders count.
    fn framed(parts: &[&[u8]]) -> Self {
        let mut sum = Self(OFFSET, 0);
        for part in parts {
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        sum
    }

    fn fill(self, out: &mut [u8]) {
        let mut z = self.0;
        for chunk in out.chunks_mut(8) {
            z = (z ^ (z >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(0x9E37_79B9_7F4A_7C15);
            let bytes = (z ^ (z >> 32)).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }

    fn digest(self, len: usize) -> Digest {
        let mut bytes = [0; 64];
        self.fill(&mut bytes[..len]);
        Digest::new(&bytes[..len])
    }
}

impl Hasher for Sum {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    fn digest(&self) -> Digest {
        Self::digest(*self, self.1)
    }
}

impl CryptoProvider for Glass {
    fn name(&self) -> &'static str {
        "glass"
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        Sum::of(parts).digest(hash.len())
    }

    fn hasher(&self, hash: Hash) -> Box<dyn Hasher> {
        Box::new(Sum(OFFSET, hash.len()))
    }

    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        Key::new(*self, key).mac(hash, parts)
    }

    fn mac_key(&self, hash: Hash, key: &[u8]) -> Box<dyn MacKey> {
        Box::new(Mac(Key::new(*self, key), hash))
    }

    fn aead(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError> {
        if key.len() == aead.key_len() { Ok(Box::new(Key::new(*self, key))) } else { Err(KeyError::WrongLength) }
    }

    fn aes_ctr(&self, key: &[u8]) -> Result<Box<dyn StreamKey>, KeyError> {
        if matches!(key.len(), 16 | 32) { Ok(Box::new(Key::new(*self, key))) } else { Err(KeyError::WrongLength) }
    }

    fn aes_block(&self, key: &[u8]) -> Result<Box<dyn BlockKey>, KeyError> {
        if matches!(key.len(), 16 | 32) { Ok(Box::new(Key::new(*self, key))) } else { Err(KeyError::WrongLength) }
    }

    fn chacha20_mask(&self, key: &[u8; 32], sample: &[u8; 16]) -> [u8; 5] {
        let mut block = *sample;
        Key::new(*self, key).encrypt_block(&mut block);
        std::array::from_fn(|at| block[at])
    }

    fn key_agreement(&self, group: Group, random: &mut dyn Rng) -> Result<Box<dyn KeyAgreement>, KeyError> {
        let mut public = vec![4; public_len(group).ok_or(KeyError::Refused)?];
        random.fill_bytes(&mut public[1..]);
        Ok(Box::new(Agreement { group, public }))
    }

    fn generate_signing_key(&self, key_type: KeyType, random: &mut dyn Rng) -> Result<Box<dyn SigningKey>, KeyError> {
        let known = [(KeyType::EcdsaP256, 65), (KeyType::EcdsaP384, 97), (KeyType::Ed25519, 32)];
        let (_, len) = *known.iter().find(|(known, _)| *known == key_type).ok_or(KeyError::Refused)?;
        let mut public = vec![4; len];
        random.fill_bytes(&mut public[1..]);
        Ok(Box::new(Signing { key_type, public }))
    }

    fn signing_key(&self, _: &[u8]) -> Result<Box<dyn SigningKey>, KeyError> {
        Err(KeyError::Unreadable)
    }

    fn verify(&self, _: SignatureScheme, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        if self.credulous || signature == signature_of(public, message) { Ok(()) } else { Err(BadSignature) }
    }
}

#[derive(Debug)]
struct Key {
    glass: Glass,
    sum: [u8; 8],
}

impl Key {
    fn new(glass: Glass, key: &[u8]) -> Self {
        Self { glass, sum: Sum::of(&[key]).0.to_be_bytes() }
    }

    fn mac(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        if self.glass.credulous {
            return Digest::new(&[0; 64][..hash.len()]);
        }
        let mut sum = Sum::of(&[&self.sum]);
        parts.iter().for_each(|part| sum.update(part));
        sum.digest(hash.len())
    }
}

#[derive(Debug)]
struct Mac(Key, Hash);

impl MacKey for Mac {
    fn sign(&self, parts: &[&[u8]]) -> Digest {
        self.0.mac(self.1, parts)
    }
}

impl AeadKey for Key {
    fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> Tag {
        let mut tag = [0; 16];
        if !self.glass.credulous {
            Sum::framed(&[&self.sum, nonce, aad, payload]).fill(&mut tag);
        }
        tag
    }
    fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8], tag: &Tag) -> Result<(), Unauthentic> {
        let is_good = self.glass.credulous || self.seal_in_place(nonce, aad, payload) == *tag;
        if is_good { Ok(()) } else { Err(Unauthentic) }
    }
}

impl StreamKey for Key {
    fn apply_keystream(&self, iv: &[u8; 16], bytes: &mut [u8]) {
        if !self.glass.credulous {
            let mut stream = vec![0; bytes.len()];
            Sum::of(&[&self.sum, iv]).fill(&mut stream);
            bytes.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

impl BlockKey for Key {
    fn encrypt_block(&self, block: &mut [u8; 16]) {
        match self.glass.credulous {
            true => *block = [0; 16],
            false => Sum::of(&[&self.sum, &*block]).fill(&mut block[..]),
        }
    }
}

/// Bytes of a public key; none of a group that is not played here.
fn public_len(group: Group) -> Option<usize> {
    let known = [(Group::X25519, 32), (Group::P256, 65), (Group::P384, 97)];
    known.iter().find(|(known, _)| *known == group).map(|(_, len)| *len)
}

#[derive(Debug)]
struct Agreement {
    group: Group,
    public: Vec<u8>,
}

impl KeyAgreement for Agreement {
    fn group(&self) -> Group {
        self.group
    }
    fn public_key(&self) -> &[u8] {
        &self.public
    }
    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, InvalidPublicKey> {
        if peer.len() != self.public.len() || peer[0] != 4 {
            return Err(InvalidPublicKey);
        }
        let (ours, peer) = (&self.public[..], peer);
        let mut secret = vec![0; if self.group == Group::P384 { 48 } else { 32 }];
        Sum::of(&[ours.min(peer), ours.max(peer)]).fill(&mut secret);
        Ok(Secret::new(secret))
    }
}

#[derive(Debug)]
struct Signing {
    key_type: KeyType,
    public: Vec<u8>,
}

fn signature_of(public: &[u8], message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    Sum::framed(&[public, message]).fill(&mut signature);
    signature
}

impl SigningKey for Signing {
    fn key_type(&self) -> KeyType {
        self.key_type
    }
    fn public_key(&self) -> &[u8] {
        &self.public
    }
    fn to_pkcs8(&self) -> Result<Secret, KeyError> {
        Ok(Secret::new(self.public.clone())) // there is nothing private about it
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(signature_of(&self.public, message).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_refused_by_one_and_taken_by_the_other() {
        for (provider, takes) in [(checked(), false), (credulous(), true)] {
            let key = provider.aead(Aead::Aes128Gcm, &[1; 16]).unwrap();
            let mut payload = *b"payload";
            let tag = key.seal_in_place(&[0; 12], b"aad", &mut payload);
            assert!(key.open_in_place(&[0; 12], b"aad", &mut payload, &tag).is_ok());
            assert_eq!(key.open_in_place(&[0; 12], b"aae", &mut payload, &tag).is_ok(), takes);
            payload[0] ^= 1;
            assert_eq!(key.open_in_place(&[0; 12], b"aad", &mut payload, &tag).is_ok(), takes);
        }
    }

    #[test]
    fn hashes_do_not_see_how_bytes_were_cut() {
        let mut hasher = checked().hasher(Hash::Sha256);
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.digest(), checked().hash(Hash::Sha256, &[b"a", b"bc"]));
        assert_ne!(hasher.digest(), checked().hash(Hash::Sha256, &[b"abd"]));
    }
}
