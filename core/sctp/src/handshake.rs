//! The state cookie: what the passive side must remember between INIT ACK and COOKIE ECHO, kept by the other. RFC 9260 section 5.1.3.
//!
//! It carries a MAC (HMAC-SHA256 under a secret of this association) and the time of its making; one that is forged or a minute old is
//! dropped.

use std::time::Duration;

use wigwag_crypto::Provider;
use wigwag_proto::Instant;

use crate::packet::init::Init;

/// `Valid.Cookie.Life`. RFC 9260 section 16.
const LIFETIME: Duration = Duration::from_secs(60);
const BODY: usize = 44;
const MAC: usize = 32;

/// A cookie's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub created: Instant,
    /// The tag and the first TSN that our INIT ACK named.
    pub local_tag: u32,
    pub local_tsn: u32,
    /// What the peer's INIT said.
    pub peer: Init,
    /// The tags of the association that existed then; zero if there was none. Section 5.2.2.
    pub tie_tags: (u32, u32),
}

/// Why a cookie is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Forged,
    /// By this much too old.
    Stale(Cookie, Duration),
}

impl Cookie {
    pub fn seal(&self, provider: Provider, secret: &[u8; 32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY + MAC);
        bytes.extend_from_slice(&self.created.as_micros().to_be_bytes());
        for word in [self.local_tag, self.local_tsn, self.peer.tag, self.peer.a_rwnd, self.peer.initial_tsn] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.peer.outbound_streams.to_be_bytes());
        bytes.extend_from_slice(&self.peer.inbound_streams.to_be_bytes());
        bytes.extend_from_slice(&[
            u8::from(self.peer.reconfig),
            u8::from(self.peer.forward_tsn),
            u8::from(self.peer.zero_checksum),
            u8::from(self.peer.interleaving),
        ]);
        bytes.extend_from_slice(&self.tie_tags.0.to_be_bytes());
        bytes.extend_from_slice(&self.tie_tags.1.to_be_bytes());
        let mac = provider.hmac_sha256(secret, &[&bytes]);
        bytes.extend_from_slice(&mac);
        bytes
    }

    pub fn open(bytes: &[u8], provider: Provider, secret: &[u8; 32], now: Instant) -> Result<Self, Refused> {
        let Some((body, mac)) = bytes.split_first_chunk::<BODY>() else { return Err(Refused::Forged) };
        let expected = provider.hmac_sha256(secret, &[body]);
        let difference = expected.iter().zip(mac).fold(0, |sum, (a, b)| sum | (a ^ b));
        if mac.len() != MAC || difference != 0 {
            return Err(Refused::Forged);
        }
        let (words, _) = body.as_chunks::<4>();
        let word = |index: usize| words.get(index).map_or(0, |&word| u32::from_be_bytes(word));
        let halves = |index: usize| ((word(index) >> 16) as u16, word(index) as u16);
        let cookie = Self {
            created: Instant(u64::from(word(0)) << 32 | u64::from(word(1))),
            local_tag: word(2),
            local_tsn: word(3),
            peer: Init {
                tag: word(4),
                a_rwnd: word(5),
                initial_tsn: word(6),
                outbound_streams: halves(7).0,
                inbound_streams: halves(7).1,
                reconfig: word(8) >> 24 != 0,
                forward_tsn: word(8) >> 16 & 0xff != 0,
                zero_checksum: word(8) >> 8 & 0xff != 0,
                interleaving: word(8) & 0xff != 0,
            },
            tie_tags: (word(9), word(10)),
        };
        let age = now - cookie.created;
        if age > LIFETIME {
            return Err(Refused::Stale(cookie, age.saturating_sub(LIFETIME)));
        }
        Ok(cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_believed_if_it_is_ours_and_fresh() {
        let provider = wigwag_crypto::aws_lc_rs();
        let peer = Init {
            tag: 9,
            a_rwnd: 5000,
            outbound_streams: 3,
            inbound_streams: 4,
            initial_tsn: 77,
            reconfig: true,
            forward_tsn: false,
            zero_checksum: true,
            interleaving: true,
        };
        let made = Cookie { created: Instant(1 << 40), local_tag: 1, local_tsn: 2, peer, tie_tags: (5, 6) };
        let bytes = made.seal(provider, &[1; 32]);
        let later = Instant(1 << 40) + LIFETIME;
        assert_eq!(Cookie::open(&bytes, provider, &[1; 32], later), Ok(made));
        assert_eq!(Cookie::open(&bytes, provider, &[2; 32], later), Err(Refused::Forged));
        for index in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[index] ^= 1;
            assert_eq!(Cookie::open(&forged, provider, &[1; 32], later), Err(Refused::Forged));
            assert_eq!(Cookie::open(&bytes[..index], provider, &[1; 32], later), Err(Refused::Forged));
        }
        let second = Duration::from_secs(1);
        assert_eq!(Cookie::open(&bytes, provider, &[1; 32], later + second), Err(Refused::Stale(made, second)));
    }
}
