//! Long-term credentials, seen by the client. RFC 8489 section 9.2.

use wigwag_crypto::Provider;
use wigwag_stun::{AttributeType, LongTermKey, Message, MessageBuilder, PasswordAlgorithm, SecurityFeatures, userhash};

/// RFC 8489 sections 14.9 and 14.10: fewer than 128 characters, at most 763 bytes.
const MAX_TEXT: usize = 763;
/// Of PASSWORD-ALGORITHMS: more than there are.
const MAX_ALGORITHMS: usize = 64;

/// Who we are at a server.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What a server said about how requests are to be signed.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    nonce: Vec<u8>,
    key: LongTermKey,
    /// The value of PASSWORD-ALGORITHMS, which goes back as it came, and the one that was chosen.
    algorithms: Option<(Vec<u8>, PasswordAlgorithm)>,
    userhash: Option<[u8; 32]>,
}

impl Challenge {
    /// From a 401 or 438; `None` if it cannot be met, or somebody took the algorithms out of it (RFC 8489 section 9.2.5).
    pub(crate) fn of(message: &Message<'_>, before: Option<&Self>, login: &Login, provider: Provider) -> Option<Self> {
        let realm = message.realm().or(before.map(|before| before.realm.as_str()))?;
        let nonce = message.nonce()?;
        if realm.len() > MAX_TEXT || nonce.len() > MAX_TEXT {
            return None;
        }
        let features = SecurityFeatures::of_nonce(nonce);
        let told = message.attribute(AttributeType::PASSWORD_ALGORITHMS).filter(|told| told.len() <= MAX_ALGORITHMS);
        let algorithms = match told {
            Some(told) if features.password_algorithms => Some((told.to_vec(), message.password_algorithms().next()?)),
            None if features.password_algorithms => return None,
            _ => None,
        };
        let algorithm = algorithms.as_ref().map_or(PasswordAlgorithm::Md5, |(_, algorithm)| *algorithm);
        Some(Self {
            key: LongTermKey::new(algorithm, &login.username, realm, &login.password, provider),
            userhash: features.username_anonymity.then(|| userhash(&login.username, realm, provider)),
            realm: realm.to_owned(),
            nonce: nonce.to_vec(),
            algorithms,
        })
    }

    /// Signs a request. RFC 8489 section 9.2.3.
    pub(crate) fn sign(&self, message: &mut MessageBuilder<'_>, login: &Login, provider: Provider) {
        match &self.userhash {
            Some(hash) => message.attribute(AttributeType::USERHASH, hash),
            None => message.username(&login.username),
        }
        message.realm(&self.realm);
        message.nonce(&self.nonce);
        match &self.algorithms {
            Some((told, chosen)) => {
                message.attribute(AttributeType::PASSWORD_ALGORITHMS, told);
                message.password_algorithm(*chosen);
                message.message_integrity_sha256(self.key.as_ref(), provider);
            }
            None => message.message_integrity(self.key.as_ref(), provider),
        }
    }

    pub(crate) fn verifies(&self, message: &Message<'_>, provider: Provider) -> bool {
        match self.algorithms {
            Some(_) => message.verify_integrity_sha256(self.key.as_ref(), provider),
            None => message.verify_integrity(self.key.as_ref(), provider),
        }
    }
}
