//! What a message is: its class, its method, and the transaction that it belongs to.

use std::fmt;

/// The value that every message has in its second word. RFC 8489 section 5.
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// A request, an indication, or one of the two responses. RFC 8489 section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// A success response.
    Success,
    /// An error response.
    Error,
}

/// What a message is about: 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(pub u16);

impl Method {
    /// Binding. RFC 8489.
    pub const BINDING: Self = Self(0x001);
    /// Allocate. RFC 8656.
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh. RFC 8656.
    pub const REFRESH: Self = Self(0x004);
    /// Send, an indication. RFC 8656.
    pub const SEND: Self = Self(0x006);
    /// Data, an indication. RFC 8656.
    pub const DATA: Self = Self(0x007);
    /// CreatePermission. RFC 8656.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind. RFC 8656.
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect. RFC 6062.
    pub const CONNECT: Self = Self(0x00A);
    /// ConnectionBind. RFC 6062.
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// ConnectionAttempt, an indication. RFC 6062.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);
}

/// The first 16 bits of a message, of which two are zero: the class' bits C1 and C0 lie between the method's.
///
/// ```text
///   2  3  4 5 6 7 8 9 0 1 2 3 4 5
/// |M |M |M|M|M|C|M|M|M|C|M|M|M|M|
/// |11|10|9|8|7|1|6|5|4|0|3|2|1|0|
/// ```
pub(crate) fn join(class: Class, Method(method): Method) -> u16 {
    let class = match class {
        Class::Request => 0x000,
        Class::Indication => 0x010,
        Class::Success => 0x100,
        Class::Error => 0x110,
    };
    (method & 0xF80) << 2 | (method & 0x070) << 1 | method & 0x00F | class
}

pub(crate) fn split(kind: u16) -> (Class, Method) {
    let class = match kind & 0x110 {
        0x000 => Class::Request,
        0x010 => Class::Indication,
        0x100 => Class::Success,
        _ => Class::Error,
    };
    (class, Method(kind >> 2 & 0xF80 | kind >> 1 & 0x070 | kind & 0x00F))
}

/// Ties a response to its request; drawn at random, so that a stranger cannot guess it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn split_undoes_join(method in 0_u16..0x1000) {
            for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
                let kind = join(class, Method(method));
                prop_assert_eq!(kind & 0xC000, 0);
                prop_assert_eq!(split(kind), (class, Method(method)));
            }
        }
    }

    #[test]
    fn known_types() {
        assert_eq!(join(Class::Request, Method::BINDING), 0x0001);
        assert_eq!(join(Class::Success, Method::BINDING), 0x0101);
        assert_eq!(join(Class::Error, Method::ALLOCATE), 0x0113);
        assert_eq!(join(Class::Indication, Method::SEND), 0x0016);
    }
}
