//! Cryptography that is watched, or that lies: a provider around another, given to a connection as its caller would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rand::Rng;
use wigwag::{CryptoProvider, Provider};
use wigwag_crypto::{
    Aead, AeadKey, BadSignature, BlockKey, Digest, Group, Hash, Hasher, InvalidPublicKey, KeyAgreement, KeyError,
    KeyType, MacKey, Secret, SignatureScheme, SigningKey, StreamKey, Tag, Unauthentic,
};

/// Every key and nonce that was used, for each way of using it.
#[derive(Debug, Default)]
pub struct Trace {
    /// By key: the nonces of what was sealed, and how often.
    pub sealed: BTreeMap<Vec<u8>, BTreeMap<[u8; 12], u32>>,
    /// By key: the first counter blocks of what was encrypted or decrypted, and how often.
    pub streamed: BTreeMap<Vec<u8>, BTreeMap<[u8; 16], u32>>,
}

impl Trace {
    /// How many (key, nonce) there are, and those that were used more than once.
    pub fn judge(&self) -> (usize, usize) {
        let sealed = self.sealed.values().flat_map(BTreeMap::values);
        let uses: Vec<u32> = sealed.chain(self.streamed.values().flat_map(BTreeMap::values)).copied().collect();
        (uses.len(), uses.iter().filter(|uses| **uses > 1).count())
    }
}

/// What it does besides what `inner` does.
#[derive(Debug)]
enum Bend {
    Watch(Arc<Mutex<Trace>>),
    /// Whatever the private key, the public one is this.
    Claim(Vec<u8>),
}

#[derive(Debug)]
struct Bent {
    inner: Provider,
    bend: Bend,
}

/// `inner`, and what it is used for. (It lives as long as the program: a provider is a value for ever.)
pub fn watched(inner: Provider) -> (Provider, Arc<Mutex<Trace>>) {
    let trace = Arc::new(Mutex::new(Trace::default()));
    (Box::leak(Box::new(Bent { inner, bend: Bend::Watch(Arc::clone(&trace)) })), trace)
}

/// `inner`, whose signing keys pretend that their public half is this: they sign what nobody can verify.
pub fn impostor(inner: Provider, public_key: &[u8]) -> Provider {
    Box::leak(Box::new(Bent { inner, bend: Bend::Claim(public_key.to_vec()) }))
}

#[derive(Debug)]
struct WatchedAead {
    inner: Box<dyn AeadKey>,
    key: Vec<u8>,
    trace: Arc<Mutex<Trace>>,
}

impl AeadKey for WatchedAead {
    fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> Tag {
        *self.trace.lock().unwrap().sealed.entry(self.key.clone()).or_default().entry(*nonce).or_default() += 1;
        self.inner.seal_in_place(nonce, aad, payload)
    }
    fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8], tag: &Tag) -> Result<(), Unauthentic> {
        self.inner.open_in_place(nonce, aad, payload, tag)
    }
}

#[derive(Debug)]
struct WatchedStream {
    inner: Box<dyn StreamKey>,
    key: Vec<u8>,
    trace: Arc<Mutex<Trace>>,
}

impl StreamKey for WatchedStream {
    fn apply_keystream(&self, iv: &[u8; 16], bytes: &mut [u8]) {
        *self.trace.lock().unwrap().streamed.entry(self.key.clone()).or_default().entry(*iv).or_default() += 1;
        self.inner.apply_keystream(iv, bytes);
    }
}

#[derive(Debug)]
struct Claiming {
    inner: Box<dyn SigningKey>,
    public_key: Vec<u8>,
}

impl SigningKey for Claiming {
    fn key_type(&self) -> KeyType {
        self.inner.key_type()
    }
    fn public_key(&self) -> &[u8] {
        &self.public_key
    }
    fn to_pkcs8(&self) -> Result<Secret, KeyError> {
        self.inner.to_pkcs8()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.inner.sign(message)
    }
}

impl CryptoProvider for Bent {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        self.inner.hash(hash, parts)
    }
    fn hasher(&self, hash: Hash) -> Box<dyn Hasher> {
        self.inner.hasher(hash)
    }
    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        self.inner.hmac(hash, key, parts)
    }
    fn mac_key(&self, hash: Hash, key: &[u8]) -> Box<dyn MacKey> {
        self.inner.mac_key(hash, key)
    }
    fn aead(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn AeadKey>, KeyError> {
        let inner = self.inner.aead(aead, key)?;
        Ok(match &self.bend {
            Bend::Watch(trace) => Box::new(WatchedAead { inner, key: key.to_vec(), trace: Arc::clone(trace) }),
            Bend::Claim(_) => inner,
        })
    }
    fn aes_ctr(&self, key: &[u8]) -> Result<Box<dyn StreamKey>, KeyError> {
        let inner = self.inner.aes_ctr(key)?;
        Ok(match &self.bend {
            Bend::Watch(trace) => Box::new(WatchedStream { inner, key: key.to_vec(), trace: Arc::clone(trace) }),
            Bend::Claim(_) => inner,
        })
    }
    fn aes_block(&self, key: &[u8]) -> Result<Box<dyn BlockKey>, KeyError> {
        self.inner.aes_block(key)
    }
    fn chacha20_mask(&self, key: &[u8; 32], sample: &[u8; 16]) -> [u8; 5] {
        self.inner.chacha20_mask(key, sample)
    }
    fn key_agreement(&self, group: Group, random: &mut dyn Rng) -> Result<Box<dyn KeyAgreement>, KeyError> {
        self.inner.key_agreement(group, random)
    }
    fn answer_key_agreement(
        &self,
        group: Group,
        peer_public_key: &[u8],
        random: &mut dyn Rng,
    ) -> Result<(Vec<u8>, Secret), InvalidPublicKey> {
        self.inner.answer_key_agreement(group, peer_public_key, random)
    }
    fn agrees(&self, group: Group) -> bool {
        self.inner.agrees(group)
    }
    fn generate_signing_key(&self, key_type: KeyType, random: &mut dyn Rng) -> Result<Box<dyn SigningKey>, KeyError> {
        self.inner.generate_signing_key(key_type, random)
    }
    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, KeyError> {
        let inner = self.inner.signing_key(pkcs8)?;
        Ok(match &self.bend {
            Bend::Claim(public_key) => Box::new(Claiming { inner, public_key: public_key.clone() }),
            Bend::Watch(_) => inner,
        })
    }
    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        self.inner.verify(scheme, public_key, message, signature)
    }
    fn verifies(&self, scheme: SignatureScheme) -> bool {
        self.inner.verifies(scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the trace is for: it tells a nonce that is used again.
    #[test]
    fn a_repetition_is_seen() {
        let (provider, trace) = watched(wigwag::default_provider());
        let key = provider.aead(Aead::Aes128Gcm, &[1; 16]).unwrap();
        let same = provider.aead(Aead::Aes128Gcm, &[1; 16]).unwrap();
        key.seal_in_place(&[0; 12], b"", &mut [0; 4]);
        key.seal_in_place(&[1; 12], b"", &mut [0; 4]);
        assert_eq!(trace.lock().unwrap().judge(), (2, 0));
        same.seal_in_place(&[1; 12], b"", &mut [0; 4]);
        assert_eq!(trace.lock().unwrap().judge(), (2, 1));
        let stream = provider.aes_ctr(&[2; 16]).unwrap();
        stream.apply_keystream(&[3; 16], &mut [0; 4]);
        stream.apply_keystream(&[3; 16], &mut [0; 4]);
        assert_eq!(trace.lock().unwrap().judge(), (3, 2));
    }
}
