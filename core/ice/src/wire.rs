//! How the datagrams of a path travel: by themselves, or through a relay, in ChannelData or a Send indication.
//!
//! Whoever writes a datagram leaves [`overhead`](Wire::overhead) around it and then [frames](Wire::frame) it where it lies: nothing is
//! copied.

use std::net::SocketAddr;

use wigwag_proto::{Overhead, Route, UdpPath};
use wigwag_stun::{
    AttributeType, CHANNEL_HEADER_LEN, Class, HEADER_LEN, MessageBuilder, Method, TransactionId, channel_header,
};

/// The most that a relay puts around a datagram: a Send indication with an IPv6 address, and padding.
pub const MAX_RELAY_OVERHEAD: usize = 51;

/// Where the datagrams of a path go, and what is put around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    route: Route,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    /// RFC 8656 section 12.4.
    Channel(u16),
    /// RFC 8656 section 11.1.
    Indication {
        peer: SocketAddr,
        transaction: TransactionId,
    },
}

impl Wire {
    /// As it is.
    pub(crate) fn direct(path: UdpPath) -> Self {
        Self { route: Route::Udp(path), framing: Framing::None }
    }

    pub(crate) fn channel(route: Route, channel: u16) -> Self {
        Self { route, framing: Framing::Channel(channel) }
    }

    pub(crate) fn indication(route: Route, peer: SocketAddr, transaction: TransactionId) -> Self {
        Self { route, framing: Framing::Indication { peer, transaction } }
    }

    /// Where it goes.
    pub fn route(&self) -> Route {
        self.route
    }

    /// Bytes to leave free before and after each datagram.
    pub fn overhead(&self) -> Overhead {
        let prefix = match self.framing {
            Framing::None => 0,
            Framing::Channel(_) => CHANNEL_HEADER_LEN,
            Framing::Indication { peer, .. } => HEADER_LEN + 4 + if peer.is_ipv4() { 8 } else { 20 } + 4,
        };
        let suffix = if self.is_padded() { 3 } else { 0 };
        Overhead { prefix, suffix }
    }

    /// Frames the `len` bytes that lie in `segment` behind the prefix; the length of all.
    pub fn frame(&self, segment: &mut [u8], len: usize) -> Option<usize> {
        let prefix = self.overhead().prefix;
        let end = prefix + len;
        let padded = if self.is_padded() { end.next_multiple_of(4) } else { end };
        segment.get_mut(end..padded)?.fill(0);
        let short = u16::try_from(len).ok()?;
        match self.framing {
            Framing::None => {}
            Framing::Channel(channel) => *segment.first_chunk_mut()? = channel_header(channel, short),
            Framing::Indication { peer, transaction } => {
                let mut message = MessageBuilder::new(segment, Class::Indication, Method::SEND, transaction);
                message.xor_peer_address(peer);
                let at = message.finish()?;
                let AttributeType(data) = AttributeType::DATA;
                let ([d1, d2], [l1, l2]) = (data.to_be_bytes(), short.to_be_bytes());
                segment.get_mut(at..prefix)?.copy_from_slice(&[d1, d2, l1, l2]);
                let all = u16::try_from(padded - HEADER_LEN).ok()?;
                segment.get_mut(2..4)?.copy_from_slice(&all.to_be_bytes());
            }
        }
        Some(padded)
    }

    /// An attribute is, and so is whatever goes over a stream. RFC 8656 section 12.5.
    fn is_padded(&self) -> bool {
        match self.framing {
            Framing::None => false,
            Framing::Channel(_) => matches!(self.route, Route::Stream(_)),
            Framing::Indication { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wigwag_proto::StreamId;
    use wigwag_stun::{Frame, Message, frame, parse_channel_data};

    proptest! {
        #[test]
        fn what_is_framed_is_read(ip: std::net::IpAddr, port: u16, data in proptest::collection::vec(any::<u8>(), 0..60), stream: bool) {
            let peer = SocketAddr::new(ip, port);
            let path = UdpPath { local: ([10, 0, 0, 1], 1).into(), remote: ([10, 0, 0, 2], 2).into() };
            let route = if stream { Route::Stream(StreamId::opened(1)) } else { Route::Udp(path) };
            let write = |wire: Wire| {
                let Overhead { prefix, suffix } = wire.overhead();
                assert!(prefix + suffix <= MAX_RELAY_OVERHEAD);
                let mut segment = vec![0xAA; prefix + data.len() + suffix];
                segment[prefix..prefix + data.len()].copy_from_slice(&data);
                let len = wire.frame(&mut segment, data.len()).unwrap();
                segment.truncate(len);
                segment
            };
            let framed = write(Wire::channel(route, 0x4007));
            prop_assert_eq!(parse_channel_data(&framed), Some((0x4007, 4..4 + data.len())));
            prop_assert!(!stream || frame(&framed) == Frame::Whole(framed.len()));

            let framed = write(Wire::indication(route, peer, TransactionId([3; 12])));
            prop_assert_eq!(frame(&framed), Frame::Whole(framed.len()));
            let message = Message::parse(&framed).unwrap();
            prop_assert_eq!((message.method(), message.class()), (Method::SEND, Class::Indication));
            prop_assert_eq!((message.peer_address(), message.data()), (Some(peer), Some(&data[..])));
            prop_assert_eq!(write(Wire::direct(path)), data);
        }
    }
}
