//! Data, in both directions. RFC 8656 sections 11 and 12.

use rand::Rng;
use wigwag_proto::{Route, UdpPath};
use wigwag_stun::{
    AttributeType, Class, Message, MessageBuilder, Method, TransactionId, channel_header, parse_channel_data,
};

use super::methods::canonical;
use super::{Client, TurnServer};

/// What an indication adds to the data: header, an IPv6 address, the attribute's header and padding.
const INDICATION_OVERHEAD: usize = 64;

impl TurnServer {
    /// A Send indication.
    pub(super) fn handle_send(&mut self, client: Client, message: &Message<'_>) {
        let Some((peer, data)) = message.peer_address().map(canonical).zip(message.data()) else {
            self.stats.malformed += 1;
            return;
        };
        let allocation = self.allocations.get(&client).filter(|it| it.permissions.contains_key(&peer.ip()));
        let Some(local) = allocation.and_then(|allocation| allocation.relayed_for(peer)) else {
            self.stats.unpermitted += 1;
            return;
        };
        self.stats.to_peers[0] += 1;
        self.push(Route::Udp(UdpPath { local, remote: peer }), data.to_vec());
    }

    pub(super) fn handle_channel_data(&mut self, client: Client, bytes: &[u8]) {
        let Some((channel, range)) = parse_channel_data(bytes) else {
            self.stats.malformed += 1;
            return;
        };
        let allocation = self.allocations.get(&client);
        let bound = allocation.and_then(|it| it.channels.get(&channel).map(|(peer, _)| (it, *peer)));
        let Some((local, peer)) = bound.and_then(|(it, peer)| it.relayed_for(peer).map(|local| (local, peer))) else {
            self.stats.unpermitted += 1;
            return;
        };
        self.stats.to_peers[1] += 1;
        self.push(Route::Udp(UdpPath { local, remote: peer }), bytes.get(range).unwrap_or_default().to_vec());
    }

    /// A datagram has come to a relayed address.
    pub(super) fn handle_peer(&mut self, path: UdpPath, data: &[u8]) {
        let peer = path.remote;
        let client = self.by_relay.get(&path.local).copied();
        let allocation = client.and_then(|client| self.allocations.get(&client));
        let Some(allocation) = allocation.filter(|it| it.permissions.contains_key(&peer.ip())) else {
            self.stats.unpermitted += 1;
            return;
        };
        let (client, channel) = (allocation.client, allocation.channel_of(peer));
        let bytes = match channel {
            Some(channel) => [&channel_header(channel, data.len() as u16)[..], data].concat(),
            None => self.data_indication(peer, data),
        };
        self.stats.to_clients[usize::from(channel.is_some())] += 1;
        self.send_to_client(client, bytes);
    }

    fn data_indication(&mut self, peer: std::net::SocketAddr, data: &[u8]) -> Vec<u8> {
        let mut transaction = [0; 12];
        self.random.fill_bytes(&mut transaction);
        let mut room = vec![0; data.len() + INDICATION_OVERHEAD];
        let transaction = TransactionId(transaction);
        let mut message = MessageBuilder::new(&mut room, Class::Indication, Method::DATA, transaction);
        message.xor_peer_address(peer);
        message.attribute(AttributeType::DATA, data);
        let len = message.finish().unwrap_or(0);
        room.truncate(len);
        room
    }
}
