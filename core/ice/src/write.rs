//! The four messages of ICE, written in place.

use std::net::SocketAddr;

use wigwag_crypto::Provider;
use wigwag_stun::{AttributeType, Class, ErrorCode, MessageBuilder, Method, TransactionId};

use crate::credentials::Credentials;

/// The attributes that an answer says were not understood: more would not help anybody.
pub(crate) const MAX_UNKNOWN: usize = 4;

/// Our role and tie-breaker. RFC 8445 section 7.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) controlling: bool,
    pub(crate) tie_breaker: u64,
}

/// A connectivity or consent check. RFC 8445 section 7.2.2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckMessage<'a> {
    pub(crate) transaction: TransactionId,
    pub(crate) local: &'a Credentials,
    pub(crate) remote: &'a Credentials,
    pub(crate) priority: u32,
    pub(crate) role: Role,
    pub(crate) use_candidate: bool,
}

impl CheckMessage<'_> {
    pub(crate) fn write(&self, room: &mut [u8], provider: Provider) -> Option<usize> {
        let mut message = MessageBuilder::new(room, Class::Request, Method::BINDING, self.transaction);
        message.ice_username(&self.remote.ufrag, &self.local.ufrag);
        message.priority(self.priority);
        match self.role {
            Role { controlling: true, tie_breaker } => message.ice_controlling(tie_breaker),
            Role { controlling: false, tie_breaker } => message.ice_controlled(tie_breaker),
        }
        if self.use_candidate {
            message.use_candidate();
        }
        message.message_integrity(self.remote.pwd.as_bytes(), provider);
        message.fingerprint();
        message.finish()
    }
}

/// What a check is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    RoleConflict,
    Unknown([Option<AttributeType>; MAX_UNKNOWN]),
}

/// The answer to a check that came from `remote`. RFC 8445 section 7.3.1.
pub(crate) fn answer(
    room: &mut [u8],
    verdict: Verdict,
    transaction: TransactionId,
    remote: SocketAddr,
    pwd: &str,
    provider: Provider,
) -> Option<usize> {
    let class = if verdict == Verdict::Success { Class::Success } else { Class::Error };
    let mut message = MessageBuilder::new(room, class, Method::BINDING, transaction);
    match verdict {
        Verdict::Success => message.xor_mapped_address(remote),
        Verdict::RoleConflict => message.error_code(ErrorCode::ROLE_CONFLICT),
        Verdict::Unknown(attributes) => {
            message.error_code(ErrorCode::UNKNOWN_ATTRIBUTE);
            message.unknown_attributes(attributes.into_iter().flatten());
        }
    }
    message.message_integrity(pwd.as_bytes(), provider);
    message.fingerprint();
    message.finish()
}

/// Shows that we are there. RFC 8445 section 11.
pub(crate) fn keep_alive(room: &mut [u8], transaction: TransactionId) -> Option<usize> {
    let mut message = MessageBuilder::new(room, Class::Indication, Method::BINDING, transaction);
    message.fingerprint();
    message.finish()
}
