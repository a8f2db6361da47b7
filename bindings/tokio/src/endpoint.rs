//! One UDP port for many connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wigwag::{Certificate, Config, Gathering};

use crate::clock::{random_seed, wall_clock};
use crate::connection::{ConnectError, PeerConnection};
use crate::driver::Driver;
use crate::socket::Socket;

/// How often another port is tried when the one that the system chose is taken on another address.
const PORT_ATTEMPTS: usize = 16;

/// One UDP port, on one or several addresses, for any number of connections.
///
/// ```no_run
/// # async fn example(offer: String) -> Result<(), Box<dyn std::error::Error>> {
/// use wigwag_tokio::{Endpoint, SessionDescription};
///
/// let endpoint = Endpoint::bind(&["192.0.2.1".parse()?], 3478)?;
/// let connection = endpoint.connection()?;
/// connection.set_remote_description(SessionDescription::offer(offer))?;
/// connection.set_local_description(connection.create_answer()?)?;
/// let answer = connection.local_description().expect("it was just set"); // with its candidates
/// while let Some(channel) = connection.accept().await {
///     println!("{}", channel.label());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Endpoint {
    driver: Arc<Driver>,
    locals: Vec<SocketAddr>,
    /// Shared by all connections: making one for each costs time and brings nothing.
    certificate: Certificate,
}

impl Endpoint {
    /// Binds `port` on each of `addresses`; 0 lets the system choose one that is free on all of them. Within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When an address is not this host's, or the port is taken.
    pub fn bind(addresses: &[IpAddr], port: u16) -> Result<Self, ConnectError> {
        let sockets = bind_all(addresses, port)?;
        let provider = wigwag::default_provider();
        let certificate = Certificate::generate(provider, &mut wigwag::random::seeded(random_seed()?), wall_clock())?;
        let driver = Driver::start();
        let locals = sockets.iter().map(|socket| socket.local).collect();
        for socket in sockets {
            driver.receive_from(Arc::clone(&socket));
            driver.lock().sockets.insert(socket.local, socket);
        }
        Ok(Self { driver, locals, certificate })
    }

    /// Whom the TLS connections to `turns:` servers trust, of connections that are made from now on and of those there are: the
    /// system's certificates, if nothing else is said.
    pub fn set_tls(&self, tls: crate::Tls) {
        self.driver.lock().tls = tls;
    }

    /// The addresses that are bound.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.locals
    }

    /// A connection on this port.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn connection(&self) -> Result<PeerConnection, ConnectError> {
        self.connection_with(Config::new(random_seed()?))
    }

    /// A connection on this port, made with `config`; its candidates are this port's, and it has this endpoint's
    /// certificate if it brings none.
    ///
    /// # Errors
    /// When its certificate can't be used.
    pub fn connection_with(&self, mut config: Config) -> Result<PeerConnection, ConnectError> {
        config.gathering = Gathering::Sockets;
        config.certificate.get_or_insert_with(|| self.certificate.clone());
        let mut connection = wigwag::PeerConnection::new(config)?;
        for &local in &self.locals {
            connection.add_udp_socket(self.driver.clock.now(), local)?;
        }
        Ok(PeerConnection::insert(&self.driver, connection, false))
    }
}

impl Endpoint {
    /// Ends all connections: what they accepted is delivered, and their peers are told goodbye. Waits until that is done,
    /// not longer than `patience`.
    pub async fn close(&self, patience: Duration) {
        let now = self.driver.clock.now();
        {
            let mut state = self.driver.lock();
            for id in state.set.ids().collect::<Vec<_>>() {
                if let Some(connection) = state.set.get_mut(id) {
                    connection.close(now);
                }
            }
        }
        self.driver.wake();
        let all_closed = async {
            while self.driver.lock().has_open() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(patience, all_closed).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.driver.drop_handle();
    }
}

fn bind_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<Arc<Socket>>> {
    let invalid = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    if addresses.is_empty() {
        return invalid("no address to bind to");
    }
    if addresses.iter().any(IpAddr::is_unspecified) {
        return invalid(
            "a wildcard address is none that a peer could send to: name the addresses, local_addresses() lists them",
        );
    }
    let attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    let mut last = None;
    for _ in 0..attempts {
        let mut port = port;
        let mut sockets = Vec::new();
        for &address in addresses {
            match Socket::bind(SocketAddr::new(address, port), None) {
                Ok(socket) => {
                    port = socket.local.port();
                    sockets.push(socket);
                }
                Err(error) => {
                    last = Some(io::Error::new(error.kind(), format!("{address} port {port}: {error}")));
                    break;
                }
            }
        }
        if sockets.len() == addresses.len() {
            return Ok(sockets);
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use wigwag::ChannelInit;

    use super::*;

    /// A lite peer sends no checks, so the answer to ours is the first that comes from it: known by its transaction.
    #[tokio::test]
    async fn the_answer_to_a_first_check_finds_its_connection() {
        let bind = || Endpoint::bind(&["127.0.0.1".parse().unwrap()], 0).unwrap();
        let (here, there) = (bind(), bind());
        let ours = here.connection().unwrap();
        let mut lite = Config::new(random_seed().unwrap());
        lite.ice_lite = true;
        let theirs = there.connection_with(lite).unwrap();
        let _channel = ours.create_data_channel("data", ChannelInit::default()).unwrap();
        ours.set_local_description(ours.create_offer().unwrap()).unwrap();
        theirs.set_remote_description(ours.local_description().unwrap()).unwrap();
        theirs.set_local_description(theirs.create_answer().unwrap()).unwrap();
        ours.set_remote_description(theirs.local_description().unwrap()).unwrap();
        let connected = tokio::time::timeout(Duration::from_secs(10), ours.connected());
        assert!(connected.await.expect("in time").is_ok());
        assert_eq!(here.driver.lock().endpoint.unrouted(), 0);
    }
}
