//! The key schedule of TLS 1.3, with the labels of DTLS. RFC 8446 section 7.1, RFC 9147 section 5.9.
//!
//! ```text
//! 0 ─► Extract(0) ─► "derived" ─► Extract(shared secret) ─► "derived" ─► Extract(0)
//!                                   │ c hs / s hs traffic                  │ c ap / s ap traffic, exp master
//! ```

use wigwag_crypto::{Aead, Digest, Hash, Provider, hkdf_expand, hkdf_extract};

/// An AEAD, and the hash that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    pub aead: Aead,
    pub hash: Hash,
}

/// HKDF-Expand-Label; "DTLS 1.3 uses "dtls13"" and no space. RFC 9147 section 5.9.
pub(crate) fn expand_label(
    provider: Provider,
    hash: Hash,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) {
    const PREFIX: &[u8] = b"dtls13";
    let len = (out.len() as u16).to_be_bytes();
    let label_len = [(PREFIX.len() + label.len()) as u8];
    let context_len = [context.len() as u8];
    let info: [&[u8]; 6] = [&len, &label_len, PREFIX, label, &context_len, context];
    // Not so long that HKDF could refuse; if it were, no key is better than a known one.
    if hkdf_expand(provider, hash, secret, &info, out).is_err() {
        debug_assert!(false, "HKDF gives 255 hashes");
    }
}

/// A secret of the hash's length, for `label` and the transcript's hash.
pub(crate) fn derive_secret(provider: Provider, hash: Hash, secret: &[u8], label: &[u8], transcript: &[u8]) -> Digest {
    let mut out = zeroize::Zeroizing::new([0; 64]);
    let out = out.get_mut(..hash.len()).unwrap_or_default();
    expand_label(provider, hash, secret, label, transcript, out);
    Digest::new(out)
}

/// The secret that the next keys of a direction come from. RFC 8446 section 7.2.
pub(crate) fn next_traffic_secret(provider: Provider, suite: Suite, secret: &Digest) -> Digest {
    derive_secret(provider, suite.hash, secret, b"traffic upd", &[])
}

/// Both directions' traffic secrets.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub client: Digest,
    pub server: Digest,
}

/// What a handshake's keys come from.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub suite: Suite,
    /// The handshake secret.
    secret: Digest,
    /// The handshake's traffic secrets.
    pub handshake: Traffic,
}

impl Schedule {
    /// From the shared secret, and the transcript through ServerHello.
    pub(crate) fn new(provider: Provider, suite: Suite, shared: &[u8], transcript: &[u8]) -> Self {
        let hash = suite.hash;
        let zeros = [0; 64];
        let zeros = zeros.get(..hash.len()).unwrap_or_default();
        let early = hkdf_extract(provider, hash, &[], zeros);
        let derived = derived(provider, hash, &early);
        let secret = hkdf_extract(provider, hash, &derived, shared);
        let handshake = Traffic {
            client: derive_secret(provider, hash, &secret, b"c hs traffic", transcript),
            server: derive_secret(provider, hash, &secret, b"s hs traffic", transcript),
        };
        Self { suite, secret, handshake }
    }

    /// The application's traffic secrets and the exporter's, given the transcript through the server's Finished.
    pub(crate) fn application(&self, provider: Provider, transcript: &[u8]) -> (Traffic, Digest) {
        let hash = self.suite.hash;
        let zeros = [0; 64];
        let zeros = zeros.get(..hash.len()).unwrap_or_default();
        let master = hkdf_extract(provider, hash, &derived(provider, hash, &self.secret), zeros);
        let traffic = Traffic {
            client: derive_secret(provider, hash, &master, b"c ap traffic", transcript),
            server: derive_secret(provider, hash, &master, b"s ap traffic", transcript),
        };
        (traffic, derive_secret(provider, hash, &master, b"exp master", transcript))
    }

    /// `verify_data`. RFC 8446 section 4.4.4.
    pub(crate) fn finished(&self, provider: Provider, traffic_secret: &[u8], transcript: &[u8]) -> Digest {
        let key = derive_secret(provider, self.suite.hash, traffic_secret, b"finished", &[]);
        provider.hmac(self.suite.hash, &key, &[transcript])
    }

    /// An exporter without a context. RFC 8446 section 7.5.
    pub(crate) fn export(&self, provider: Provider, exporter: &Digest, label: &[u8], out: &mut [u8]) {
        let hash = self.suite.hash;
        let empty = provider.hash(hash, &[]);
        let secret = derive_secret(provider, hash, exporter, label, &empty);
        expand_label(provider, hash, &secret, b"exporter", &empty, out);
    }
}

fn derived(provider: Provider, hash: Hash, secret: &[u8]) -> Digest {
    derive_secret(provider, hash, secret, b"derived", &provider.hash(hash, &[]))
}

#[cfg(test)]
mod tests {
    use wigwag_crypto::default_provider;

    use super::*;

    /// HkdfLabel, written out by hand: length, "dtls13key", no context.
    #[test]
    fn the_label_is_that_of_dtls() {
        let (provider, secret) = (default_provider(), [7; 32]);
        let mut out = [0; 16];
        expand_label(provider, Hash::Sha256, &secret, b"key", &[], &mut out);
        let info = b"\x00\x10\x09dtls13key\x00\x01";
        assert_eq!(out, provider.hmac_sha256(&secret, &[info])[..16]);
    }

    /// RFC 8448 section 3: the secrets up to where labels come in are those of TLS.
    #[test]
    fn the_early_secret_is_that_of_tls() {
        let early = hkdf_extract(default_provider(), Hash::Sha256, &[], &[0; 32]);
        assert_eq!(early[..8], [0x33, 0xad, 0x0a, 0x1c, 0x60, 0x7e, 0xc0, 0x3b]);
    }
}
