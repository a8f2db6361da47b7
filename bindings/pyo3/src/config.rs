//! What a connection is made with.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use wigwag::{Config, Gathering, IceServer, TransportPolicy, WallClock};

use crate::errors::raise;

/// `(urls, username, credential)`.
pub type Server = (Vec<String>, String, String);

/// The arguments of `PeerConnection`; what is `None` stays as the engine has it.
pub struct Arguments {
    pub seed: [u8; 32],
    pub gathering: String,
    pub ice_servers: Vec<Server>,
    pub ice_transport_policy: String,
    pub ice_lite: bool,
    pub include_loopback: bool,
    pub wall_clock: u64,
    pub mtu: Option<usize>,
    pub max_message_size: Option<u64>,
    pub send_buffer: Option<usize>,
    pub receive_window: Option<usize>,
    pub close_timeout: Option<u64>,
}

impl Arguments {
    pub fn into_config(self) -> PyResult<Config> {
        let mut config = Config::new(self.seed);
        config.wall_clock = WallClock(self.wall_clock);
        config.gathering = match self.gathering.as_str() {
            "sockets" => Gathering::Sockets,
            "interfaces" => Gathering::Interfaces,
            other => return Err(unknown("gathering", other)),
        };
        config.ice_transport_policy = match self.ice_transport_policy.as_str() {
            "all" => TransportPolicy::All,
            "relay" => TransportPolicy::Relay,
            other => return Err(unknown("ice_transport_policy", other)),
        };
        for (urls, username, password) in self.ice_servers {
            let server = IceServer::new(urls.iter().map(String::as_str), username, password).map_err(raise)?;
            config.ice_servers.push(server);
        }
        config.ice_lite = self.ice_lite;
        config.ice.include_loopback = self.include_loopback;
        config.mtu = self.mtu.unwrap_or(config.mtu);
        config.max_message_size = self.max_message_size.unwrap_or(config.max_message_size);
        config.send_buffer = self.send_buffer.unwrap_or(config.send_buffer);
        config.receive_window = self.receive_window.unwrap_or(config.receive_window);
        config.close_timeout = self.close_timeout.map_or(config.close_timeout, Duration::from_micros);
        Ok(config)
    }
}

/// An argument that is none of its words.
pub fn unknown(what: &str, value: &str) -> PyErr {
    PyValueError::new_err(format!("{what} can't be {value:?}"))
}
