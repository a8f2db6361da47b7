//! What the application hears, and what it is told when it asks for the impossible.

use bytes::Bytes;

/// Names a channel of one association, from [`open_channel`](crate::Association::open_channel) or [`Event::ChannelOpened`] on until its
/// [`Event::ChannelClosed`]. Not the stream identifier, which may be unknown at first and is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub(crate) u32);

/// Whether a message is text (UTF-8, not checked here) or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    /// A JavaScript string: UTF-8.
    Text,
    /// An ArrayBuffer or Blob: any bytes.
    Binary,
}

/// What happened, for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The association is up.
    Connected,
    /// A channel can be used: one of ours (told once the association is up; the peer's acknowledgement costs no waiting), or one that the
    /// peer announced. [`channel`](crate::Association::channel) says what it is.
    ChannelOpened(ChannelId),
    /// A message arrived. It counted against the receive window until now.
    Message {
        /// On which channel.
        channel: ChannelId,
        /// As the sender meant it.
        kind: PayloadKind,
        /// Its bytes. The slice keeps the engine's chunk of up to 64 KiB (or its own length) alive: copy what is to be kept for long.
        data: Bytes,
    },
    /// The channel's buffered amount fell to its threshold or below. W3C `bufferedamountlow`.
    BufferedAmountLow(ChannelId),
    /// There is room again after [`SendError::Full`].
    Writable,
    /// The channel is closed in both directions, everything delivered that was to be; its id means nothing any more.
    ChannelClosed(ChannelId),
    /// The association is over; every channel's [`Event::ChannelClosed`] came before.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why an association ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`close`](crate::Association::close) finished: the peer has everything.
    Local,
    /// The peer shut the association down, after it received everything.
    Remote,
    /// [`abort`](crate::Association::abort) was called.
    LocalAbort,
    /// The peer sent an ABORT.
    RemoteAbort,
    /// The peer answered no retransmission: [`Config::max_retransmits`](crate::Config::max_retransmits) or `max_init_retransmits`.
    TimedOut,
    /// The peer came back as a new association, without the state of this one.
    PeerRestarted,
}

/// Where an association stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started: waiting for [`connect`](crate::Association::connect), or for the peer.
    New,
    /// The four-way handshake is on its way.
    Connecting,
    /// Data flows.
    Connected,
    /// One side shuts down; what was accepted is still delivered.
    ShuttingDown,
    /// Over.
    Closed,
}

/// Why a channel can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The association is closed, or about to.
    #[error("the association is closed")]
    Closed,
    /// No stream identifier is free, or there are [`Config::max_channels`](crate::Config::max_channels).
    #[error("no more channels can be opened")]
    TooMany,
    /// The negotiated identifier belongs to another channel, or is 65,535.
    #[error("the stream identifier is in use or reserved")]
    StreamInUse,
    /// The label or the protocol is longer than 65,535 bytes.
    #[error("the label or protocol is longer than 65,535 bytes")]
    LabelTooLong,
}

/// The peer's description has an INIT that is none, or one that forbids an association. RFC 9260 section 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer's INIT is malformed")]
pub struct InvalidInit;

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The send buffer is full; [`Event::Writable`] says when to go on.
    #[error("the send buffer is full")]
    Full,
    /// There is no such channel, or it is closing.
    #[error("the channel is closed")]
    Closed,
    /// Longer than the peer accepts ([`Config::peer_max_message_size`](crate::Config::peer_max_message_size)).
    #[error("the message is longer than the peer accepts")]
    TooLarge,
}

/// What was counted. Packets and chunks that are wrong are dropped, and appear only here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets written.
    pub packets_sent: u64,
    /// Packets that were ours and sound.
    pub packets_received: u64,
    /// Messages whose last piece was sent for the first time.
    pub messages_sent: u64,
    /// Messages delivered to the application's queue.
    pub messages_received: u64,
    /// DATA chunks sent again.
    pub retransmissions: u64,
    /// Retransmissions that turned out to be unnecessary.
    pub spurious_retransmissions: u64,
    /// DATA chunks that could not be sent again, because packets have become too short for them.
    pub chunks_too_long: u64,
    /// Retransmission timeouts (T3-rtx).
    pub timeouts: u64,
    /// Messages given up because of their channel's limits, ours.
    pub messages_abandoned: u64,
    /// DATA chunks that arrived again.
    pub duplicates_received: u64,
    /// Packets dropped: too short, wrong ports, broken chunks.
    pub malformed: u64,
    /// Packets dropped: wrong checksum.
    pub bad_checksum: u64,
    /// Packets dropped: wrong verification tag. RFC 9260 section 8.5.
    pub bad_tag: u64,
    /// COOKIE ECHOs dropped: forged or stale.
    pub bad_cookie: u64,
    /// SACKs dropped: they acknowledge what was never sent.
    pub bad_sack: u64,
    /// DATA chunks dropped: beyond the window or the bounds on holes.
    pub data_refused: u64,
    /// Messages dropped: unknown payload type, unknown channel, malformed DCEP, or pieces that do not fit together.
    pub messages_dropped: u64,
}
