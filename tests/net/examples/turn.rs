//! A TURN server on the simulated network, and what a client sees of it: `cargo run -p wigwag-net --example turn`.
//!
//! The client is two requests long; a real one is `wigwag_ice::Agent`.

use std::net::SocketAddr;
use std::time::Duration;

use wigwag_net::{Machine, Simulation, TurnConfig, TurnServer};
use wigwag_proto::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath};
use wigwag_stun::{Class, LongTermKey, Message, MessageBuilder, Method, PasswordAlgorithm, TransactionId};

/// Asks for an allocation, and again with what the server said about itself.
struct Client {
    path: UdpPath,
    /// The realm and the nonce, once they are known.
    challenge: Option<(String, Vec<u8>)>,
    wants_to_send: bool,
    relayed: Option<SocketAddr>,
}

impl Machine for Client {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagrams(received) = input else { return };
        for datagram in received.datagrams() {
            let Ok(answer) = Message::parse(datagram) else { continue };
            println!("{now:?}: {:?} {:?}", answer.class(), answer.error_code().map(|error| error.to_string()));
            self.relayed = answer.relayed_address();
            self.challenge =
                answer.realm().zip(answer.nonce()).map(|(realm, nonce)| (realm.to_owned(), nonce.to_vec()));
            self.wants_to_send = self.relayed.is_none();
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, _now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        if !std::mem::take(&mut self.wants_to_send) {
            return None;
        }
        out.start();
        let id = TransactionId([1 + u8::from(self.challenge.is_some()); 12]);
        let mut request = MessageBuilder::new(out.segment(512)?, Class::Request, Method::ALLOCATE, id);
        request.requested_transport(17);
        if let Some((realm, nonce)) = &self.challenge {
            request.username("user");
            request.realm(realm);
            request.nonce(nonce);
            let provider = wigwag_crypto::aws_lc_rs();
            let key = LongTermKey::new(PasswordAlgorithm::Md5, "user", realm, "pass", provider);
            request.message_integrity(key.as_ref(), provider);
        }
        let len = request.finish()?;
        out.push(len);
        out.finish(Route::Udp(self.path))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = UdpPath { local: "198.51.100.2:5000".parse()?, remote: "203.0.113.1:3478".parse()? };
    let mut simulation = Simulation::new(1);
    let config = TurnConfig::new(path.remote, "user", "pass");
    let server = TurnServer::new(config, wigwag_crypto::aws_lc_rs(), 1);
    let server = simulation.add_service([path.remote.ip()], server);
    let client = Client { path, challenge: None, wants_to_send: true, relayed: None };
    let client = simulation.add([path.local.ip()], client);
    let is_done = |it: &Simulation<Client>| it.machine(client).is_some_and(|client| client.relayed.is_some());
    simulation.run_until(is_done, Duration::from_secs(1))?;
    println!("relayed address: {:?}", simulation.machine(client).and_then(|client| client.relayed));

    // Nobody refreshes it.
    simulation.run_for(Duration::from_secs(601))?;
    if let Some(server) = simulation.service_mut::<TurnServer>(server) {
        println!("ten minutes later: {} allocations, {:?}", server.allocations().count(), server.stats());
    }
    Ok(())
}
