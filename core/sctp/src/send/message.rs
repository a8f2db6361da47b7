//! A message on its way to its pieces.

use std::time::Duration;

use bytes::Bytes;
use wigwag_proto::Instant;

/// How long a message is worth sending. RFC 3758.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// [`Instant::NEVER`] for none.
    pub expires: Instant,
    /// [`Limit::NO_RETRANSMITS`] for none.
    pub retransmits: u32,
}

impl Limit {
    const NO_RETRANSMITS: u32 = u32::MAX;
    pub const RELIABLE: Self = Self { expires: Instant::NEVER, retransmits: Self::NO_RETRANSMITS };
}

/// A message to be sent.
#[derive(Debug)]
pub(crate) struct Message {
    pub data: Bytes,
    pub ppid: u32,
    pub unordered: bool,
    pub limit: Limit,
    /// How long it is worth sending, until the time of its coming is known: then `limit` says when that ends.
    pub lifetime: Option<Duration>,
    /// Which of all messages it is.
    pub order: u64,
    /// Its bytes count as buffered: DCEP's own do not.
    pub counted: bool,
}

/// Told to the channel table after sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The buffered amount fell to the threshold.
    Low(usize),
    /// A queue that is to be closed has become empty.
    Drained(usize),
}

/// A piece that was cut.
#[derive(Debug)]
pub(crate) struct Cut {
    pub slot: usize,
    pub stream: u16,
    /// Stream sequence number or message identifier: ordered and unordered messages are counted apart.
    pub sequence: u32,
    /// Which piece of its message.
    pub fsn: u32,
    pub ppid: u32,
    pub unordered: bool,
    pub begins: bool,
    pub ends: bool,
    pub limit: Limit,
    pub data: Bytes,
}
