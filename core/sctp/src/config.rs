//! What an association and a channel are asked to be.

use std::time::Duration;

/// How an [`Association`](crate::Association) is to behave. The defaults suit WebRTC.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our SCTP port, `a=sctp-port` of our description. 5000.
    pub local_port: u16,
    /// The peer's SCTP port. 5000.
    pub remote_port: u16,
    /// The longest message accepted from the peer, in bytes: `a=max-message-size` of our description (RFC 8841).
    /// A longer one closes its channel. 256 KiB.
    pub max_message_size: usize,
    /// The longest message that [`send`](crate::Association::send) accepts: the peer's `a=max-message-size`. `usize::MAX` stands
    /// for "any length" (a peer's 0); without the attribute RFC 8841 says 64 KiB. 256 KiB.
    pub peer_max_message_size: usize,
    /// Bytes that may wait in the engine, arrived but not polled, before the peer is told to stop (`a_rwnd`). Raised to what one
    /// message of `max_message_size` needs. Each message also counts [`HELD_OVERHEAD`](crate::HELD_OVERHEAD) bytes of bookkeeping, and a peer that ignores the
    /// window is cut off at twice this. 1 MiB.
    pub receive_window: usize,
    /// Bytes that [`send`](crate::Association::send) accepts, over all channels, before any of them left. (A message longer than that is accepted
    /// when nothing else waits.) What is in flight is bounded by the peer's window and the congestion window. 2 MiB.
    pub send_buffer: usize,
    /// The packet size that congestion control counts in; packets themselves fill the room that they are given. 1200.
    pub mtu: usize,
    /// Channels that may exist at once, ours and the peer's. 8192.
    pub max_channels: usize,
    /// Retransmission timeouts in a row, without any sign of life, after which the peer counts as dead
    /// (`Association.Max.Retrans`; RFC 9260 proposes 10 at up to a minute each, this is 20 at up to three seconds). `None`: never; something else, like ICE consent,
    /// notices.
    pub max_retransmits: Option<u32>,
    /// How often INIT and COOKIE ECHO are repeated before giving up (`Max.Init.Retransmits`). `None`: for ever. 20.
    pub max_init_retransmits: Option<u32>,
    /// The retransmission timeout before the first measurement (`RTO.Initial`). 500 ms.
    pub rto_initial: Duration,
    /// The shortest retransmission timeout (`RTO.Min`). It has to be longer than a peer may delay its acknowledgement (200 ms). 400 ms.
    pub rto_min: Duration,
    /// The longest retransmission timeout (`RTO.Max`). A path that came back should not wait long to be noticed. 3 s.
    pub rto_max: Duration,
    /// How long an acknowledgement may wait for a packet to travel in; at most 200 ms (RFC 9260 section 6.2). 20 ms.
    pub sack_delay: Duration,
    /// How long nothing may be sent before a HEARTBEAT asks whether the peer is alive. 30 s.
    pub heartbeat_interval: Duration,
    /// Whether the pieces of a long message may make room for messages of other channels (I-DATA, RFC 8260), if the peer can do that, too. `true`.
    pub interleaving: bool,
    /// Whose turn it is to send. [`Scheduler::WeightedFair`].
    pub scheduler: Scheduler,
    /// The packets travel inside DTLS, which notices a changed bit: those without a checksum are taken, and sent to a peer that takes
    /// them (RFC 9653). Not to be set where packets travel otherwise. `false`.
    pub zero_checksum: bool,
    /// Our first TSN; random if `None`, as it should be outside tests.
    pub initial_tsn: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local_port: 5000,
            remote_port: 5000,
            max_message_size: 256 << 10,
            peer_max_message_size: 256 << 10,
            receive_window: 1 << 20,
            send_buffer: 2 << 20,
            mtu: 1200,
            max_channels: 8192,
            max_retransmits: Some(20),
            max_init_retransmits: Some(20),
            rto_initial: Duration::from_millis(500),
            rto_min: Duration::from_millis(400),
            rto_max: Duration::from_secs(3),
            sack_delay: Duration::from_millis(20),
            heartbeat_interval: Duration::from_secs(30),
            interleaving: true,
            scheduler: Scheduler::default(),
            zero_checksum: false,
            initial_tsn: None,
        }
    }
}

/// Which channel's turn it is when several have something to send. RFC 8260 section 3.
///
/// With I-DATA ([`Config::interleaving`]) each piece of a message is a turn of its own; without, a message that has begun is finished first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduler {
    /// The message that was handed in first, whatever its channel. Section 3.1.
    FirstCome,
    /// One after the other. Section 3.2.
    RoundRobin,
    /// The channel with the highest [`priority`](ChannelConfig::priority); equals take turns. The others wait. Section 3.4.
    Priority,
    /// Each channel that has something gets a share of the bytes in proportion to its [`priority`](ChannelConfig::priority), and who asks for less than
    /// its share does not wait. What RFC 8831 section 6.4 wants. Section 3.6.
    #[default]
    WeightedFair,
}

/// Which stream identifiers our channels take, so that both sides can open at once. RFC 8832 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamParity {
    /// The DTLS client's.
    Even,
    /// The DTLS server's.
    Odd,
}

/// What a data channel is asked to be, or what the peer announced.
///
/// ```
/// use wigwag_sctp::{ChannelConfig, Reliability};
///
/// let chat = ChannelConfig { label: "chat".into(), ..ChannelConfig::default() };
/// assert!(chat.ordered);
/// assert_eq!(chat.reliability, Reliability::Reliable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// A name for the application; at most 65,535 bytes.
    pub label: String,
    /// A subprotocol's name; at most 65,535 bytes.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How hard the engine tries.
    pub reliability: Reliability,
    /// The stream identifier, if both sides agreed on it otherwise: nothing is announced then (RFC 8832 is not spoken).
    pub negotiated: Option<u16>,
    /// How much it matters beside other channels (RFC 8831 section 6.4: 128, 256, 512 or 1024): its weight or rank for our
    /// [`Scheduler`]; the peer is told for its own. 256.
    pub priority: u16,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
            priority: 256,
        }
    }
}

/// How hard the engine tries to deliver a message. RFC 8832 section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// Until it arrived.
    Reliable,
    /// A message is given up when one of its pieces would have to be sent more than this often again.
    MaxRetransmits(u16),
    /// A message is given up this long after it was handed in; whole milliseconds.
    MaxLifetime(Duration),
}
