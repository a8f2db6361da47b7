//! The pseudorandom function of TLS 1.2, and what it makes. RFC 5246 section 5, RFC 7627.

use wigwag_crypto::{Aead, Digest, Provider};
use zeroize::Zeroizing;

use crate::schedule::Suite;

/// Bytes of a master secret.
const MASTER_LEN: usize = 48;
/// Bytes of `verify_data`.
pub(crate) const VERIFY_DATA_LEN: usize = 12;
/// Bytes of `client_write_IV`: the implicit part of AES-GCM's nonce (RFC 5288 section 3), or what is laid over the
/// number of ChaCha20's (RFC 7905 section 2).
const fn iv_len(aead: Aead) -> usize {
    match aead {
        Aead::Aes128Gcm | Aead::Aes256Gcm => 4,
        Aead::ChaCha20Poly1305 => 12,
    }
}

/// P_hash over the label and the seed.
pub(crate) fn prf(provider: Provider, suite: Suite, secret: &[u8], label: &[u8], seed: [&[u8]; 2], out: &mut [u8]) {
    let [one, two] = seed;
    let key = provider.mac_key(suite.hash, secret);
    let mut a = key.sign(&[label, one, two]);
    for chunk in out.chunks_mut(suite.hash.len()) {
        let block = key.sign(&[&a, label, one, two]);
        chunk.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
        a = key.sign(&[&a]);
    }
}

/// A connection's secret, and the hellos' randomness that goes with it.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    pub suite: Suite,
    secret: Digest,
    client_random: [u8; 32],
    server_random: [u8; 32],
}

/// The keys of both directions.
pub(crate) struct KeyBlock {
    pub client_key: Zeroizing<Vec<u8>>,
    pub server_key: Zeroizing<Vec<u8>>,
    pub client_iv: Zeroizing<Vec<u8>>,
    pub server_iv: Zeroizing<Vec<u8>>,
}

impl Master {
    /// With the hash of the transcript through ClientKeyExchange it is the extended master secret. RFC 7627 section 4.
    pub(crate) fn new(
        provider: Provider,
        suite: Suite,
        premaster: &[u8],
        [client_random, server_random]: [[u8; 32]; 2],
        session_hash: Option<&[u8]>,
    ) -> Self {
        let mut secret = Zeroizing::new([0; MASTER_LEN]);
        match session_hash {
            Some(hash) => prf(provider, suite, premaster, b"extended master secret", [hash, &[]], &mut *secret),
            None => {
                prf(provider, suite, premaster, b"master secret", [&client_random, &server_random], &mut *secret);
            }
        }
        Self { suite, secret: Digest::new(&*secret), client_random, server_random }
    }

    /// The master secret itself, for a key log.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// RFC 5246 section 6.3.
    pub(crate) fn key_block(&self, provider: Provider) -> KeyBlock {
        let (len, iv_len) = (self.suite.aead.key_len(), iv_len(self.suite.aead));
        let mut block = Zeroizing::new(vec![0; 2 * len + 2 * iv_len]);
        let seed: [&[u8]; 2] = [&self.server_random, &self.client_random];
        prf(provider, self.suite, &self.secret, b"key expansion", seed, &mut block);
        let part = |from: usize, len: usize| Zeroizing::new(block.get(from..from + len).unwrap_or_default().to_vec());
        KeyBlock {
            client_key: part(0, len),
            server_key: part(len, len),
            client_iv: part(2 * len, iv_len),
            server_iv: part(2 * len + iv_len, iv_len),
        }
    }

    /// `verify_data`. RFC 5246 section 7.4.9.
    pub(crate) fn finished(&self, provider: Provider, label: &[u8], transcript: &[u8]) -> [u8; VERIFY_DATA_LEN] {
        let mut out = [0; VERIFY_DATA_LEN];
        prf(provider, self.suite, &self.secret, label, [transcript, &[]], &mut out);
        out
    }

    /// An exporter without a context. RFC 5705 section 4.
    pub(crate) fn export(&self, provider: Provider, label: &[u8], out: &mut [u8]) {
        prf(provider, self.suite, &self.secret, label, [&self.client_random, &self.server_random], out);
    }
}

#[cfg(test)]
mod tests {
    use wigwag_crypto::{Hash, default_provider};

    use super::*;

    /// The widely used vector for P_SHA256 ("test label").
    #[test]
    fn known_output() {
        let secret = [0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17, 0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35];
        let seed = [0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18, 0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c];
        let suite = Suite { aead: Aead::Aes128Gcm, hash: Hash::Sha256 };
        let mut out = [0; 100];
        prf(default_provider(), suite, &secret, b"test label", [&seed, &[]], &mut out);
        assert_eq!(out[..8], [0xe3, 0xf2, 0x29, 0xba, 0x72, 0x7b, 0xe1, 0x7b]);
        assert_eq!(out[96..], [0x87, 0x34, 0x7b, 0x66]);
    }
}
