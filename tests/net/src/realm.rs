//! Address realms: RFC 2663 section 2.1.

/// A network within which addresses mean one thing: the internet, or what is behind a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(pub(crate) usize);

impl Realm {
    /// The one that is behind nothing.
    pub const INTERNET: Self = Self(0);
}
