//! What each request does. RFC 8656 sections 7 to 12.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wigwag_proto::{Route, UdpPath};
use wigwag_stun::{AttributeType, CHANNEL_NUMBERS, Class, ErrorCode, Message, MessageBuilder, Method};

use super::allocation::Allocation;
use super::auth::{Identity, Refusal};
use super::{Client, TurnServer};

/// Room for an answer.
const MAX_ANSWER: usize = 1024;
const UDP: u8 = 17;

type Outcome = Result<(), ErrorCode<'static>>;

impl TurnServer {
    pub(super) fn handle_message(&mut self, client: Client, bytes: &[u8]) {
        let Some(message) = Message::parse(bytes).ok().filter(|message| message.verify_fingerprint() != Some(false))
        else {
            self.stats.malformed += 1;
            return;
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => self.handle_send(client, &message),
            (Class::Indication, _) => {}
            (Class::Request, method) => self.handle_request(client, method, &message),
            (Class::Success | Class::Error, _) => self.stats.malformed += 1,
        }
    }

    fn handle_request(&mut self, client: Client, method: Method, message: &Message<'_>) {
        if message.not_understood().next().is_some() {
            self.refuse(client, message, None, ErrorCode::UNKNOWN_ATTRIBUTE, false);
            return;
        }
        if method == Method::BINDING {
            let seen = self.path_of(client).map(|path| path.remote);
            self.answer(client, message, None, |answer, _| {
                if let Some(seen) = seen {
                    answer.xor_mapped_address(seen);
                }
            });
            return;
        }
        let identity = match self.authenticate(message) {
            Ok(identity) => identity,
            Err(Refusal::Challenge(error)) => return self.refuse(client, message, None, error, true),
            Err(Refusal::Plain(error)) => return self.refuse(client, message, None, error, false),
        };
        let outcome = match method {
            Method::ALLOCATE => self.allocate(client, message, &identity),
            Method::REFRESH => self.refresh(client, message, &identity),
            Method::CREATE_PERMISSION => self.create_permission(client, message, &identity),
            Method::CHANNEL_BIND => self.bind_channel(client, message, &identity),
            _ => Err(ErrorCode::BAD_REQUEST),
        };
        if let Err(error) = outcome {
            self.refuse(client, message, Some(&identity), error, false);
        }
    }

    /// RFC 8656 section 7.2.
    fn allocate(&mut self, client: Client, message: &Message<'_>, identity: &Identity) -> Outcome {
        if let Some(known) = self.allocations.get(&client) {
            if known.transaction != message.transaction() {
                return Err(ErrorCode::ALLOCATION_MISMATCH);
            }
            // The answer was lost.
            self.answer_allocate(client, message, identity);
            return Ok(());
        }
        match message.requested_transport() {
            None => return Err(ErrorCode::BAD_REQUEST),
            Some(UDP) => {}
            Some(_) => return Err(ErrorCode::UNSUPPORTED_TRANSPORT),
        }
        if self.config.alternate.is_some() {
            return Err(ErrorCode::TRY_ALTERNATE);
        }
        let even_port = message.even_port();
        let token = message.attribute(AttributeType::RESERVATION_TOKEN);
        let family = message.address_family(AttributeType::REQUESTED_ADDRESS_FAMILY);
        let additional = message.address_family(AttributeType::ADDITIONAL_ADDRESS_FAMILY);
        let with_token = even_port.is_some() || family.is_some() || additional.is_some();
        if (token.is_some() && with_token) || (additional.is_some() && (family.is_some() || even_port == Some(true))) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let of_user = self.allocations.values().filter(|it| it.user == identity.user).count();
        if of_user >= self.config.quota {
            return Err(ErrorCode::ALLOCATION_QUOTA_REACHED);
        }
        if self.allocations.len() >= self.config.capacity {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let mut relayed = Vec::new();
        let mut reservation = None;
        if let Some(token) = token {
            let reserved = <[u8; 8]>::try_from(token).ok().and_then(|token| self.reservations.remove(&token));
            relayed.push(reserved.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?.relayed);
        } else {
            let ip = self.relay_of(family.unwrap_or(1)).ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)?;
            let reserve = even_port == Some(true);
            let address = self.relayed_address(ip, even_port.is_some(), reserve);
            let address = address.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
            relayed.push(address);
            if reserve {
                reservation = Some(self.reserve_next(address));
            }
            if let Some(ip) = additional.and_then(|family| self.relay_of(family)) {
                relayed.extend(self.relayed_address(ip, false, false));
            }
        }
        self.by_relay.extend(relayed.iter().map(|relayed| (*relayed, client)));
        let allocation = Allocation {
            client,
            user: identity.user.clone(),
            relayed,
            expires: self.now + self.granted(message),
            permissions: Default::default(),
            channels: Default::default(),
            transaction: message.transaction(),
            reservation,
        };
        self.allocations.insert(client, allocation);
        self.answer_allocate(client, message, identity);
        Ok(())
    }

    fn answer_allocate(&mut self, client: Client, message: &Message<'_>, identity: &Identity) {
        let Some(allocation) = self.allocations.get(&client).cloned() else { return };
        let lifetime = (allocation.expires - self.now).as_secs() as u32;
        let seen = self.path_of(client).map(|path| path.remote);
        let additional = message.address_family(AttributeType::ADDITIONAL_ADDRESS_FAMILY);
        self.answer(client, message, Some(identity), |answer, _| {
            for relayed in &allocation.relayed {
                answer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, *relayed);
            }
            if let Some(family) = additional.filter(|_| allocation.relayed.len() < 2) {
                // |     Family    |    Reserved   | Class | Number |. RFC 8656 section 18.12.
                answer.attribute(AttributeType::ADDRESS_ERROR_CODE, &[family, 0, 4, 40]);
            }
            answer.lifetime(lifetime);
            if let Some(seen) = seen {
                answer.xor_mapped_address(seen);
            }
            if let Some(token) = allocation.reservation {
                answer.attribute(AttributeType::RESERVATION_TOKEN, &token);
            }
        });
    }

    /// RFC 8656 section 8.2.
    fn refresh(&mut self, client: Client, message: &Message<'_>, identity: &Identity) -> Outcome {
        let family = message.address_family(AttributeType::REQUESTED_ADDRESS_FAMILY);
        let lifetime = if message.lifetime() == Some(0) { Duration::ZERO } else { self.granted(message) };
        let expires = self.now + lifetime;
        let allocation = self.own(client, identity)?;
        if family.is_some_and(|family| !allocation.relayed.iter().any(|relayed| family_of(relayed.ip()) == family)) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        allocation.expires = expires;
        if lifetime == Duration::ZERO {
            self.free(client);
        }
        self.answer(client, message, Some(identity), |answer, _| answer.lifetime(lifetime.as_secs() as u32));
        Ok(())
    }

    /// RFC 8656 section 10.2.
    fn create_permission(&mut self, client: Client, message: &Message<'_>, identity: &Identity) -> Outcome {
        let peers: Vec<_> = message.peer_addresses().map(canonical).collect();
        let expires = self.now + self.config.permission_lifetime;
        let is_forbidden = peers.iter().any(|peer| self.config.forbidden.contains(&peer.ip()));
        let allocation = self.own(client, identity)?;
        if peers.is_empty() {
            return Err(ErrorCode::BAD_REQUEST);
        }
        if peers.iter().any(|peer| allocation.relayed_for(*peer).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if is_forbidden {
            return Err(ErrorCode::FORBIDDEN);
        }
        allocation.permissions.extend(peers.iter().map(|peer| (peer.ip(), expires)));
        self.answer(client, message, Some(identity), |_, _| {});
        Ok(())
    }

    /// RFC 8656 section 12.2.
    fn bind_channel(&mut self, client: Client, message: &Message<'_>, identity: &Identity) -> Outcome {
        let (now, config) = (self.now, self.config.clone());
        let allocation = self.own(client, identity)?;
        let channel = message.channel_number().filter(|channel| CHANNEL_NUMBERS.contains(channel));
        let peer = message.peer_address().map(canonical);
        let (channel, peer) = channel.zip(peer).ok_or(ErrorCode::BAD_REQUEST)?;
        if allocation.relayed_for(peer).is_none() {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if config.forbidden.contains(&peer.ip()) {
            return Err(ErrorCode::FORBIDDEN);
        }
        let bound = allocation.channels.get(&channel).map(|(bound, _)| *bound);
        let other = allocation.channel_of(peer);
        if bound.is_some_and(|bound| bound != peer) || other.is_some_and(|other| other != channel) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        allocation.channels.insert(channel, (peer, now + config.channel_lifetime));
        allocation.permissions.insert(peer.ip(), now + config.permission_lifetime);
        self.answer(client, message, Some(identity), |_, _| {});
        Ok(())
    }

    /// The allocation of a client, if it made it.
    fn own(&mut self, client: Client, identity: &Identity) -> Result<&mut Allocation, ErrorCode<'static>> {
        let allocation = self.allocations.get_mut(&client).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.user != identity.user {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        Ok(allocation)
    }

    fn granted(&self, message: &Message<'_>) -> Duration {
        let wished = message.lifetime().map(|seconds| Duration::from_secs(seconds.into())).unwrap_or_default();
        wished.clamp(self.config.default_lifetime.min(self.config.max_lifetime), self.config.max_lifetime)
    }

    fn relay_of(&self, family: u8) -> Option<IpAddr> {
        self.config.relays.iter().copied().find(|relay| family_of(*relay) == family)
    }

    pub(super) fn path_of(&self, client: Client) -> Option<UdpPath> {
        match client {
            Client::Udp(path) => Some(path),
            Client::Stream(id) => self.connections.get(&id).map(|connection| connection.path),
        }
    }

    fn answer(
        &mut self,
        client: Client,
        message: &Message<'_>,
        identity: Option<&Identity>,
        write: impl FnOnce(&mut MessageBuilder<'_>, &Self),
    ) {
        *self.stats.successes.entry(message.method().0).or_default() += 1;
        self.respond(client, message, Class::Success, identity, write);
    }

    fn refuse(
        &mut self,
        client: Client,
        message: &Message<'_>,
        identity: Option<&Identity>,
        error: ErrorCode<'static>,
        challenge: bool,
    ) {
        *self.stats.errors.entry(error.code).or_default() += 1;
        let alternate = self.config.alternate.filter(|_| error == ErrorCode::TRY_ALTERNATE);
        self.respond(client, message, Class::Error, identity, |answer, server| {
            answer.error_code(error);
            if error == ErrorCode::UNKNOWN_ATTRIBUTE {
                answer.unknown_attributes(message.not_understood());
            }
            if let Some(alternate) = alternate {
                answer.address(AttributeType::ALTERNATE_SERVER, alternate);
            }
            if challenge {
                answer.realm(&server.config.realm);
                answer.nonce(server.new_nonce().as_bytes());
                if !server.config.algorithms.is_empty() {
                    answer.password_algorithms(server.config.algorithms.iter().copied());
                }
            }
        });
    }

    fn respond(
        &mut self,
        client: Client,
        message: &Message<'_>,
        class: Class,
        identity: Option<&Identity>,
        write: impl FnOnce(&mut MessageBuilder<'_>, &Self),
    ) {
        let mut room = [0; MAX_ANSWER];
        let mut answer = MessageBuilder::new(&mut room, class, message.method(), message.transaction());
        write(&mut answer, self);
        answer.software("wigwag-net");
        match identity {
            Some(Identity { key, sha256: true, .. }) => answer.message_integrity_sha256(key.as_ref(), self.provider),
            Some(Identity { key, .. }) => answer.message_integrity(key.as_ref(), self.provider),
            None => {}
        }
        answer.fingerprint();
        let Some(len) = answer.finish() else { return };
        self.send_to_client(client, room.get(..len).unwrap_or_default().to_vec());
    }

    /// Over a stream, padded to four bytes. RFC 8656 section 12.5.
    pub(super) fn send_to_client(&mut self, client: Client, mut bytes: Vec<u8>) {
        match client {
            Client::Udp(path) => self.push(Route::Udp(path), bytes),
            Client::Stream(id) => {
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                self.push(Route::Stream(id), bytes);
            }
        }
    }
}

/// An IPv4 address in IPv6's clothes is one of IPv4, before any policy looks at it.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// As STUN numbers them.
fn family_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 1 } else { 2 }
}
