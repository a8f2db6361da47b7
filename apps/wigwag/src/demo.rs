//! `wigwag demo`: one page, and the engine behind it.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use clap::{Args, Parser};
use tokio::net::TcpListener;
use wigwag_tokio::{ConnectError, Endpoint, key_log_from_env, local_addresses};

use crate::https::{HttpsError, Identity};
use crate::{api, invitation, origin};

const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);

/// How long an interrupted server says goodbye to its peers.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(2);

const WARNING: &str = "\
The browser will warn: this certificate was made just now, on this machine, and nobody vouches for it. Go on with
\"Advanced\" and \"Proceed\" (Chrome), \"Accept the Risk\" (Firefox), \"Show Details\" and \"visit this website\" (Safari).
Who wants to be sure compares the certificate's fingerprint:";

/// Why the demo can't run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The address of the page.
    #[error("can't listen on {0}: {1}. Is another server there? Choose another address with --listen")]
    Listen(SocketAddr, io::Error),
    /// The addresses of the media.
    #[error("can't bind the UDP port: {0}. Choose others with --ice-address and --udp-port")]
    Bind(#[from] ConnectError),
    /// HTTPS.
    #[error("--https: {0}")]
    Https(#[from] HttpsError),
    /// The log filter.
    #[error("--log: {0}")]
    Log(String),
    /// The file of the key log.
    #[error("SSLKEYLOGFILE names a file that can't be opened: {0}")]
    KeyLog(io::Error),
    /// Anything else of the system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where to listen.
#[derive(Debug, Args)]
pub struct Options {
    /// The page's address [default: 127.0.0.1:8080, with --https 0.0.0.0:8443].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Serve the page over HTTPS, to this machine's whole network: only so a phone may use its camera there. The certificate
    /// is made on the spot, so browsers warn, and let you go on.
    #[arg(long)]
    https: bool,
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
    let listen = options.listen.unwrap_or(if options.https { HTTPS } else { HTTP });
    let listener = TcpListener::bind(listen).await.map_err(|error| DemoError::Listen(listen, error))?;
    let page = listener.local_addr()?;
    let local = local_addresses(true)?;
    let endpoint = Arc::new(Endpoint::bind(&ice_addresses(&options.ice_address, page.ip(), &local), options.udp_port)?);
    let key_log = key_log_from_env().map_err(DemoError::KeyLog)?;
    let identity = options.https.then(|| Identity::generate(&local)).transpose()?;
    invite(&invitation::addresses(page, &local), &endpoint, identity.as_ref())?;

    let router = api::router(Arc::clone(&endpoint), key_log).layer(middleware::from_fn(origin::refuse_other_sites));
    let served = async {
        match identity {
            Some(identity) => axum::serve(identity.listen(listener)?, router).await,
            None => axum::serve(listener, router).await,
        }
    };
    tokio::select! {
        result = served => result?,
        () = interrupted() => endpoint.close(FAREWELL_PATIENCE).await,
    }
    Ok(())
}

/// What the engine offers: `chosen`, or all interfaces, with loopback if nobody else is asked in, or nothing else is there.
fn ice_addresses(chosen: &[IpAddr], page: IpAddr, local: &[IpAddr]) -> Vec<IpAddr> {
    if !chosen.is_empty() {
        return chosen.to_vec();
    }
    let on_networks: Vec<IpAddr> = local.iter().copied().filter(|ip| !ip.is_loopback()).collect();
    match page.is_loopback() || on_networks.is_empty() {
        true => local.to_vec(),
        false => on_networks,
    }
}

/// Says where the page is. Written at once, also into a pipe: whoever starts this program waits for it.
fn invite(addresses: &[SocketAddr], endpoint: &Endpoint, identity: Option<&Identity>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let scheme = if identity.is_some() { "https" } else { "http" };
    let urls: Vec<String> = addresses.iter().map(|address| format!("{scheme}://{address}/")).collect();
    let udp: Vec<_> = endpoint.local_addresses().iter().map(ToString::to_string).collect();
    for (i, url) in urls.iter().enumerate() {
        let place = if i == 0 { "wigwag demo: open" } else { "from another device: open" };
        writeln!(stdout, "{place} {url} in a browser")?;
    }
    writeln!(stdout, "engine on UDP {}", udp.join(", "))?;
    if let Some(identity) = identity {
        let for_phones = addresses.iter().position(|address| !address.ip().is_loopback());
        if let Some(url) = for_phones.and_then(|at| urls.get(at)).filter(|_| stdout.is_terminal()) {
            match invitation::qr_code(url) {
                Ok(lines) => writeln!(stdout, "\n{lines}")?,
                Err(error) => tracing::debug!(%error, "no QR code"),
            }
        }
        writeln!(stdout, "{WARNING}\nSHA-256 {}", identity.fingerprint)?;
    }
    stdout.flush()
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
