//! `wigwag demo`: one page, and the engine behind it.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use clap::{Args, Parser};
use tokio::net::TcpListener;
use wigwag_tokio::{ConnectError, Endpoint, local_addresses};

use crate::{api, origin};

/// How long an interrupted server says goodbye to its peers.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(2);

/// Why the demo can't run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The address of the page.
    #[error("can't listen on {0}: {1}. Is another server there? Choose another address with --listen")]
    Listen(SocketAddr, io::Error),
    /// The addresses of the media.
    #[error("can't bind the UDP port: {0}. Choose others with --ice-address and --udp-port")]
    Bind(#[from] ConnectError),
    /// The log filter.
    #[error("--log: {0}")]
    Log(String),
    /// Anything else of the system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where to listen.
#[derive(Debug, Args)]
pub struct Options {
    /// The page's address.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// An address of this host that the engine offers to browsers; may be given several times. Without it: all
    /// interfaces', and loopback when listening on loopback.
    #[arg(long, value_name = "IP")]
    ice_address: Vec<IpAddr>,
    /// The one UDP port that serves every connection. 0: one that is free.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    udp_port: u16,
    /// What to log, such as `debug` or `wigwag_ice=trace`.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

impl Default for Options {
    fn default() -> Self {
        /// Only so that the defaults above are the only ones.
        #[derive(Parser)]
        struct Defaults {
            #[command(flatten)]
            options: Options,
        }
        Defaults::parse_from(["wigwag"]).options
    }
}

/// Serves until it is interrupted.
pub fn run(options: Options) -> Result<(), DemoError> {
    let filter =
        tracing_subscriber::EnvFilter::try_new(&options.log).map_err(|error| DemoError::Log(error.to_string()))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    tokio::runtime::Runtime::new()?.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), DemoError> {
    let listener = TcpListener::bind(options.listen).await.map_err(|error| DemoError::Listen(options.listen, error))?;
    let address = listener.local_addr()?;
    let addresses = match options.ice_address.is_empty() {
        true => local_addresses(address.ip().is_loopback())?,
        false => options.ice_address,
    };
    let endpoint = Endpoint::bind(&addresses, options.udp_port)?;
    let udp: Vec<_> = endpoint.local_addresses().iter().map(ToString::to_string).collect();

    // Written at once, also into a pipe: whoever starts this program waits for it.
    let mut stdout = io::stdout();
    writeln!(stdout, "wigwag demo: open http://{address}/ in a browser")?;
    writeln!(stdout, "engine on UDP {}", udp.join(", "))?;
    stdout.flush()?;

    let endpoint = Arc::new(endpoint);
    let router = api::router(Arc::clone(&endpoint)).layer(middleware::from_fn(origin::refuse_other_sites));
    tokio::select! {
        result = axum::serve(listener, router) => result?,
        () = interrupted() => endpoint.close(FAREWELL_PATIENCE).await,
    }
    Ok(())
}

async fn interrupted() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    drop(interrupt.await);
}
