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
    expand(provider, hash, secret, [b"dtls13", label], context, out);
}

/// The same, with the prefix of the label given.
fn expand(provider: Provider, hash: Hash, secret: &[u8], [prefix, label]: [&[u8]; 2], context: &[u8], out: &mut [u8]) {
    let len = (out.len() as u16).to_be_bytes();
    let label_len = [(prefix.len() + label.len()) as u8];
    let context_len = [context.len() as u8];
    let info: [&[u8]; 6] = [&len, &label_len, prefix, label, &context_len, context];
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

    /// RFC 8448 section 3, with the prefix of TLS: from nothing to the server's handshake keys.
    #[test]
    fn the_schedule_of_rfc_8448() {
        fn hex(text: &str) -> Vec<u8> {
            let pairs = text.as_bytes().chunks(2);
            pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
        }
        let (provider, hash) = (default_provider(), Hash::Sha256);
        let expand = |secret: &[u8], label: &[u8], context: &[u8], len| {
            let mut out = vec![0; len];
            expand(provider, hash, secret, [b"tls13 ", label], context, &mut out);
            out
        };
        let nothing = provider.hash(hash, &[]);
        let early = hkdf_extract(provider, hash, &[], &[0; 32]);
        assert_eq!(early[..], hex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"));
        let derived = expand(&early, b"derived", &nothing, 32);
        assert_eq!(derived, hex("6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba"));
        let shared = hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
        let handshake = hkdf_extract(provider, hash, &derived, &shared);
        assert_eq!(handshake[..], hex("1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"));
        let transcript = hex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8");
        let client = expand(&handshake, b"c hs traffic", &transcript, 32);
        assert_eq!(client, hex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"));
        let server = expand(&handshake, b"s hs traffic", &transcript, 32);
        assert_eq!(server, hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"));
        let derived = expand(&handshake, b"derived", &nothing, 32);
        let master = hkdf_extract(provider, hash, &derived, &[0; 32]);
        assert_eq!(master[..], hex("18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"));
        assert_eq!(expand(&server, b"key", &[], 16), hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(expand(&server, b"iv", &[], 12), hex("5d313eb2671276ee13000b30"));
    }
}
