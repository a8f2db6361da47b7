//! Long-term credentials, seen by the server. RFC 8489 section 9.2.4.

use wigwag_proto::Instant;
use wigwag_stun::{AttributeType, ErrorCode, LongTermKey, Message, PasswordAlgorithm, SecurityFeatures, userhash};

use super::TurnServer;

/// Who a request is from, and how the answer is signed.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub user: String,
    pub key: LongTermKey,
    /// Signed with SHA-256.
    pub sha256: bool,
}

/// Why a request is refused before it is looked at.
pub(super) enum Refusal {
    /// With a new nonce.
    Challenge(ErrorCode<'static>),
    /// Without.
    Plain(ErrorCode<'static>),
}

impl TurnServer {
    /// Who sent `message`.
    pub(super) fn authenticate(&self, message: &Message<'_>) -> Result<Identity, Refusal> {
        if !message.has_integrity() && !message.has_integrity_sha256() {
            return Err(Refusal::Challenge(ErrorCode::UNAUTHENTICATED));
        }
        let bad = || Refusal::Plain(ErrorCode::BAD_REQUEST);
        let (Some(realm), Some(nonce)) = (message.realm(), message.nonce()) else { return Err(bad()) };
        let wrong = || Refusal::Challenge(ErrorCode::UNAUTHENTICATED);
        let (user, password) = self.user_of(message, realm).ok_or_else(wrong)?;
        let algorithm = self.algorithm_of(message, nonce).ok_or_else(bad)?;
        let key = LongTermKey::new(algorithm, user, realm, password, self.provider);
        let sha256 = message.has_integrity_sha256();
        let is_signed = match sha256 {
            true => message.verify_integrity_sha256(key.as_ref(), self.provider),
            false => message.verify_integrity(key.as_ref(), self.provider),
        };
        if !is_signed || realm != self.config.realm {
            return Err(wrong());
        }
        if !self.is_fresh(nonce) {
            return Err(Refusal::Challenge(ErrorCode::STALE_NONCE));
        }
        Ok(Identity { user: user.clone(), key, sha256 })
    }

    fn user_of(&self, message: &Message<'_>, realm: &str) -> Option<(&String, &String)> {
        if let Some(name) = message.username() {
            return self.config.users.get_key_value(name);
        }
        let hash = message.attribute(AttributeType::USERHASH)?;
        self.config.users.iter().find(|(user, _)| userhash(user, realm, self.provider) == *hash)
    }

    /// `None`: what the client says of algorithms is not what it was told, so that somebody may have bidden it down.
    fn algorithm_of(&self, message: &Message<'_>, nonce: &[u8]) -> Option<PasswordAlgorithm> {
        let told: Vec<_> = message.password_algorithms().collect();
        match message.password_algorithm() {
            None => (told.is_empty() && !self.announces(nonce)).then_some(PasswordAlgorithm::Md5),
            Some(chosen) => (told == self.config.algorithms && told.contains(&chosen)).then_some(chosen),
        }
    }

    fn announces(&self, nonce: &[u8]) -> bool {
        // A client of RFC 5389 answers with MD5 alone; that is allowed for as long as MD5 is offered.
        SecurityFeatures::of_nonce(nonce).password_algorithms
            && !self.config.algorithms.contains(&PasswordAlgorithm::Md5)
    }

    /// A nonce that says when it was made, so that none need be remembered.
    pub(super) fn new_nonce(&self) -> String {
        let features = SecurityFeatures { password_algorithms: true, username_anonymity: true };
        let prefix = match self.config.algorithms.is_empty() {
            true => String::new(),
            false => String::from_utf8_lossy(&features.nonce_prefix()).into_owned(),
        };
        format!("{prefix}{}", self.nonce_at(self.now))
    }

    fn nonce_at(&self, at: Instant) -> String {
        let time = at.as_micros();
        let mac = self.provider.hmac_sha256(&self.secret, &[&time.to_be_bytes(), &self.epoch.to_be_bytes()]);
        let mac = mac.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        format!("{time:016x}{mac:016x}")
    }

    fn is_fresh(&self, nonce: &[u8]) -> bool {
        let text = std::str::from_utf8(nonce).unwrap_or_default();
        let Some(own) = text.len().checked_sub(32).and_then(|start| text.get(start..)) else { return false };
        let Some(time) = own.get(..16).and_then(|time| u64::from_str_radix(time, 16).ok()) else { return false };
        let made = Instant::from_micros(time);
        made <= self.now && own == self.nonce_at(made) && made + self.config.nonce_lifetime > self.now
    }
}
