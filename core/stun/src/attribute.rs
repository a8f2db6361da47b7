//! The numbers of the attributes and of the errors, and how an address is written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::kind::{MAGIC_COOKIE, TransactionId};

/// Names an attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl AttributeType {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The standard's name for it, if this crate knows it.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

attributes! {
    /// The address as the server saw it, not obfuscated. RFC 8489.
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS";
    /// Who sent it. RFC 8489.
    USERNAME = 0x0006, "USERNAME";
    /// HMAC-SHA1 over what stands before it. RFC 8489.
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY";
    /// What went wrong. RFC 8489.
    ERROR_CODE = 0x0009, "ERROR-CODE";
    /// What an error 420 is about. RFC 8489.
    UNKNOWN_ATTRIBUTES = 0x000A, "UNKNOWN-ATTRIBUTES";
    /// A channel of a TURN allocation. RFC 8656.
    CHANNEL_NUMBER = 0x000C, "CHANNEL-NUMBER";
    /// Seconds that an allocation lives. RFC 8656.
    LIFETIME = 0x000D, "LIFETIME";
    /// Whom an allocation speaks to. RFC 8656.
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS";
    /// What is relayed. RFC 8656.
    DATA = 0x0013, "DATA";
    /// Where a user name counts. RFC 8489.
    REALM = 0x0014, "REALM";
    /// The server's word against replay. RFC 8489.
    NONCE = 0x0015, "NONCE";
    /// An allocation's own address. RFC 8656.
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS";
    /// The address family that an allocation shall have. RFC 8656.
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY";
    /// Asks for an even port. RFC 8656.
    EVEN_PORT = 0x0018, "EVEN-PORT";
    /// The protocol that an allocation shall relay. RFC 8656.
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT";
    /// The relay shall not fragment. RFC 8656.
    DONT_FRAGMENT = 0x001A, "DONT-FRAGMENT";
    /// HMAC-SHA256 over what stands before it. RFC 8489.
    MESSAGE_INTEGRITY_SHA256 = 0x001C, "MESSAGE-INTEGRITY-SHA256";
    /// How the password was hashed. RFC 8489.
    PASSWORD_ALGORITHM = 0x001D, "PASSWORD-ALGORITHM";
    /// A user name that is kept secret. RFC 8489.
    USERHASH = 0x001E, "USERHASH";
    /// The address as the server saw it. RFC 8489.
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS";
    /// A port that was set aside. RFC 8656.
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN";
    /// The priority of a candidate that the check may bring to light. RFC 8445.
    PRIORITY = 0x0024, "PRIORITY";
    /// The controlling agent nominates this pair. RFC 8445.
    USE_CANDIDATE = 0x0025, "USE-CANDIDATE";
    /// Names a TCP connection of an allocation. RFC 6062.
    CONNECTION_ID = 0x002A, "CONNECTION-ID";
    /// Asks for a second address family. RFC 8656.
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY";
    /// What went wrong with one address family. RFC 8656.
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE";
    /// How the password may be hashed. RFC 8489.
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS";
    /// The domain name of another server. RFC 8489.
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN";
    /// An ICMP error that the relay met. RFC 8656.
    ICMP = 0x8004, "ICMP";
    /// What the sender runs. RFC 8489.
    SOFTWARE = 0x8022, "SOFTWARE";
    /// Another server to ask. RFC 8489.
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER";
    /// CRC-32 over what stands before it. RFC 8489.
    FINGERPRINT = 0x8028, "FINGERPRINT";
    /// The sender is controlled; its tie-breaker. RFC 8445.
    ICE_CONTROLLED = 0x8029, "ICE-CONTROLLED";
    /// The sender is controlling; its tie-breaker. RFC 8445.
    ICE_CONTROLLING = 0x802A, "ICE-CONTROLLING";
    /// What libwebrtc tells about its networks.
    GOOG_NETWORK_INFO = 0xC057, "GOOG-NETWORK-INFO";
}

impl AttributeType {
    /// Whether a receiver that does not know it must refuse the message. RFC 8489 section 14.
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// What went wrong. RFC 8489 section 14.8.
///
/// ```
/// use wigwag_stun::ErrorCode;
/// assert_eq!(ErrorCode::ROLE_CONFLICT.to_string(), "487 Role Conflict");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// For people.
    pub reason: &'a str,
}

impl ErrorCode<'static> {
    /// Ask another server. RFC 8489.
    pub const TRY_ALTERNATE: Self = Self { code: 300, reason: "Try Alternate" };
    /// The request was malformed. RFC 8489.
    pub const BAD_REQUEST: Self = Self { code: 400, reason: "Bad Request" };
    /// The credentials are missing or wrong. RFC 8489.
    pub const UNAUTHENTICATED: Self = Self { code: 401, reason: "Unauthenticated" };
    /// Policy forbids it. RFC 8656.
    pub const FORBIDDEN: Self = Self { code: 403, reason: "Forbidden" };
    /// A comprehension-required attribute is not understood. RFC 8489.
    pub const UNKNOWN_ATTRIBUTE: Self = Self { code: 420, reason: "Unknown Attribute" };
    /// There is no such allocation, or there is one already. RFC 8656.
    pub const ALLOCATION_MISMATCH: Self = Self { code: 437, reason: "Allocation Mismatch" };
    /// The nonce is no longer valid: try with the new one. RFC 8489.
    pub const STALE_NONCE: Self = Self { code: 438, reason: "Stale Nonce" };
    /// The address family cannot be had. RFC 8656.
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: Self = Self { code: 440, reason: "Address Family not Supported" };
    /// Not the credentials that made the allocation. RFC 8656.
    pub const WRONG_CREDENTIALS: Self = Self { code: 441, reason: "Wrong Credentials" };
    /// The transport cannot be had. RFC 8656.
    pub const UNSUPPORTED_TRANSPORT: Self = Self { code: 442, reason: "Unsupported Transport Protocol" };
    /// The peer's address is of another family than the allocation. RFC 8656.
    pub const PEER_ADDRESS_FAMILY_MISMATCH: Self = Self { code: 443, reason: "Peer Address Family Mismatch" };
    /// No more allocations for this user. RFC 8656.
    pub const ALLOCATION_QUOTA_REACHED: Self = Self { code: 486, reason: "Allocation Quota Reached" };
    /// Both agents claim the same role. RFC 8445.
    pub const ROLE_CONFLICT: Self = Self { code: 487, reason: "Role Conflict" };
    /// The server failed: try again. RFC 8489.
    pub const SERVER_ERROR: Self = Self { code: 500, reason: "Server Error" };
    /// The server is full. RFC 8656.
    pub const INSUFFICIENT_CAPACITY: Self = Self { code: 508, reason: "Insufficient Capacity" };
}

impl fmt::Display for ErrorCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

/// Bytes of the longest address attribute's value.
pub(crate) const MAX_ADDRESS_LEN: usize = 20;

/// ```text
/// |0 0 0 0 0 0 0 0|    Family     |             Port              |
/// |           Address: 4 bytes (family 1) or 16 (family 2)        |
/// ```
/// RFC 8489 section 14.1.
pub(crate) fn parse_address(value: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, high, low], address) = value.split_first_chunk::<4>()?;
    let ip: IpAddr = match family {
        1 => <[u8; 4]>::try_from(address).ok()?.into(),
        2 => <[u8; 16]>::try_from(address).ok()?.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
}

/// The value's bytes and how many they are.
pub(crate) fn write_address(address: SocketAddr) -> ([u8; MAX_ADDRESS_LEN], usize) {
    let mut value = [0; MAX_ADDRESS_LEN];
    let [high, low] = address.port().to_be_bytes();
    let (family, len) = match address.ip() {
        IpAddr::V4(ip) => {
            value[4..8].copy_from_slice(&ip.octets());
            (1, 8)
        }
        IpAddr::V6(ip) => {
            value[4..].copy_from_slice(&ip.octets());
            (2, MAX_ADDRESS_LEN)
        }
    };
    value[..4].copy_from_slice(&[0, family, high, low]);
    (value, len)
}

/// The port is XORed with the cookie's first half; the address with the cookie, followed (IPv6) by the transaction
/// id. Doing it twice undoes it. RFC 8489 section 14.2.
pub(crate) fn xor(address: SocketAddr, TransactionId(transaction): TransactionId) -> SocketAddr {
    let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&transaction);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ u128::from_be_bytes(mask)))
        }
    };
    SocketAddr::new(ip, port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_survive(ip: IpAddr, port: u16, transaction: [u8; 12]) {
            let address = SocketAddr::new(ip, port);
            let (value, len) = write_address(address);
            prop_assert_eq!(parse_address(&value[..len]), Some(address));
            prop_assert_eq!(xor(xor(address, TransactionId(transaction)), TransactionId(transaction)), address);
        }

        #[test]
        fn any_bytes_are_an_address_or_none(value: Vec<u8>) {
            parse_address(&value);
        }
    }
}
