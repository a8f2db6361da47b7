//! NATs, as RFC 4787 describes them.
//!
//! ```text
//!   10.0.0.2:5000 ──▶ ┌─────┐ 198.51.100.1:61234 ──▶ 203.0.113.9:3478
//!                     │ NAT │
//!                     └─────┘ ◀── who may send to 198.51.100.1:61234, and does it look the same to others?
//! ```
//!
//! *Mapping* decides whether an endpoint inside looks the same to everybody; *filtering*, from whom something may come back.
//! The terms of RFC 3489 ("full cone") are three or four of the nine combinations: see the constants of [`Nat`].
//! RFC 5780 tells how to find out which one is there.

mod table;

use std::time::Duration;

pub(crate) use table::Table;

/// On what a mapping or a filter depends. RFC 4787 sections 4.1 and 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behavior {
    /// On the endpoint inside only.
    EndpointIndependent,
    /// On the address outside, too.
    AddressDependent,
    /// On the address and port outside, too.
    AddressAndPortDependent,
}

/// Which port a mapping gets. RFC 4787 section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The same as inside, if it is free; otherwise any of the same parity.
    Preserved,
    /// The next free one.
    Sequential,
    /// Any.
    Random,
}

/// Which of several addresses a mapping gets. RFC 4787 section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The same for all mappings of an address inside.
    Paired,
    /// Any.
    Arbitrary,
}

/// What a NAT does.
///
/// ```
/// use wigwag_net::{Behavior, Nat, Ports};
///
/// let strict = Nat { filtering: Behavior::AddressAndPortDependent, ports: Ports::Random, ..Nat::default() };
/// assert_eq!(strict.mapping, Behavior::EndpointIndependent);
/// assert!(strict.hairpinning);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// When an endpoint inside gets another mapping.
    pub mapping: Behavior,
    /// From whom something may come in: who the *endpoint inside* has sent to, by whichever mapping. RFC 4787 section 5.
    pub filtering: Behavior,
    /// Whether hosts inside reach each other by their outer addresses. RFC 4787 section 6.
    pub hairpinning: bool,
    /// Which port a mapping gets.
    pub ports: Ports,
    /// Which address it gets, where there are several.
    pub pooling: Pooling,
    /// How long a mapping and a hole in the filter last after the last packet out. 5 minutes. RFC 4787 section 4.3.
    pub timeout: Duration,
    /// Whether packets that come in keep them, too.
    pub inbound_refresh: bool,
}

impl Nat {
    /// One outer endpoint, open to everybody: "full cone". What RFC 4787 wants, and the default.
    pub const FULL_CONE: Self = Self {
        mapping: Behavior::EndpointIndependent,
        filtering: Behavior::EndpointIndependent,
        hairpinning: true,
        ports: Ports::Preserved,
        pooling: Pooling::Paired,
        timeout: Duration::from_secs(300),
        inbound_refresh: false,
    };
    /// One outer endpoint, open to addresses that were sent to.
    pub const ADDRESS_RESTRICTED: Self = Self { filtering: Behavior::AddressDependent, ..Self::FULL_CONE };
    /// One outer endpoint, open to endpoints that were sent to: most homes.
    pub const PORT_RESTRICTED: Self = Self { filtering: Behavior::AddressAndPortDependent, ..Self::FULL_CONE };
    /// Another outer endpoint for each endpoint that is sent to, and open to that only: many companies and mobile networks.
    pub const SYMMETRIC: Self = Self {
        mapping: Behavior::AddressAndPortDependent,
        filtering: Behavior::AddressAndPortDependent,
        hairpinning: false,
        ports: Ports::Random,
        ..Self::FULL_CONE
    };
}

impl Default for Nat {
    fn default() -> Self {
        Self::FULL_CONE
    }
}
