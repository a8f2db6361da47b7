//! Every message of a handshake, as both ends have seen it.
//!
//! DTLS 1.2 hashes messages with the header of one unfragmented fragment (RFC 6347 section 4.2.6); DTLS 1.3 leaves out
//! what TLS does not have: sequence number, offset and length of the fragment (RFC 9147 section 5.2). Until ServerHello
//! the version is not known, nor the hash; and signatures of DTLS 1.2 have a hash of their own. So the messages are
//! kept, some thousand bytes for the time of a handshake, and hashed when asked.

use wigwag_crypto::{Digest, Hash, Provider};

use crate::wire::codec::Reader;
use crate::wire::message::{HEADER, MESSAGE_HASH, header};

#[derive(Debug, Default)]
pub(crate) struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    pub(crate) fn add(&mut self, kind: u8, seq: u16, body: &[u8]) {
        self.bytes.extend_from_slice(&header(kind, body.len(), seq, 0, body.len()));
        self.bytes.extend_from_slice(body);
    }

    /// What a signature of DTLS 1.2 covers.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn hash12(&self, provider: Provider, hash: Hash) -> Digest {
        provider.hash(hash, &[&self.bytes])
    }

    pub(crate) fn hash13(&self, provider: Provider, hash: Hash) -> Digest {
        let mut reader = Reader(&self.bytes);
        let mut parts = Vec::new();
        while let Some([kind, a, b, c, ..]) = reader.array::<HEADER>() {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            let at = self.bytes.len() - reader.0.len() - HEADER;
            let (Some(head), Some(body)) = (self.bytes.get(at..at + 4), reader.bytes(len)) else {
                break;
            };
            debug_assert_eq!(head.first(), Some(&kind));
            parts.extend([head, body]);
        }
        provider.hash(hash, &parts)
    }

    /// After a HelloRetryRequest, the hash of the first ClientHello stands for it. RFC 8446 section 4.4.1.
    pub(crate) fn retry(&mut self, provider: Provider, hash: Hash) {
        let digest = self.hash13(provider, hash);
        self.forget();
        self.add(MESSAGE_HASH, 0, &digest);
    }

    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// The handshake is over, and so is the need for this.
    pub(crate) fn release(&mut self) {
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use wigwag_crypto::default_provider;

    use super::*;

    #[test]
    fn headers_of_both_kinds() {
        let mut transcript = Transcript::default();
        transcript.add(1, 0, b"hello");
        transcript.add(2, 7, b"");
        let with =
            [&[1, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5][..], b"hello", &[2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0]].concat();
        let without = [&[1, 0, 0, 5][..], b"hello", &[2, 0, 0, 0]].concat();
        let provider = default_provider();
        assert_eq!(transcript.hash12(provider, Hash::Sha256), provider.hash(Hash::Sha256, &[&with]));
        assert_eq!(transcript.hash13(provider, Hash::Sha384), provider.hash(Hash::Sha384, &[&without]));
        transcript.retry(provider, Hash::Sha256);
        let stands_for = [&[254, 0, 0, 32][..], &provider.hash(Hash::Sha256, &[&without])].concat();
        assert_eq!(transcript.hash13(provider, Hash::Sha256), provider.hash(Hash::Sha256, &[&stands_for]));
    }
}
