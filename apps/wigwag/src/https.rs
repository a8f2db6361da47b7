//! HTTPS for the page: browsers give a camera only to pages that came over it, or from the machine itself.
//!
//! Nobody vouches for the certificate, which is made anew at each start; browsers warn, and let one go on. The connection
//! of the engine does not depend on it: it has a certificate of its own, whose fingerprint goes through signalling.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use axum::serve::Listener;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// Long enough for a day of showing; Apple's browsers refuse more than 825 days whatever one answers to their warning.
const VALIDITY: time::Duration = time::Duration::days(90);
/// Clocks of phones are not always right.
const BACKDATING: time::Duration = time::Duration::days(1);
/// Handshakes at once; more wait in the system's queue.
const MAX_HANDSHAKES: usize = 256;
/// A browser needs some milliseconds; a person who reads its warning does so after the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection: a record of type handshake (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;
const NOT_TLS: &str = "This server speaks HTTPS: write https:// before its address.\n";

/// Why there is no HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls does not take it.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A certificate that was just made, ready to serve with.
pub struct Identity {
    acceptor: TlsAcceptor,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
}

impl Identity {
    /// For `localhost` and these addresses.
    pub fn generate(addresses: &[IpAddr]) -> Result<Self, HttpsError> {
        let names = addresses.iter().map(ToString::to_string).chain(["localhost".to_owned()]);
        let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "wigwag demo");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = time::OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - BACKDATING, now + VALIDITY);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let digest = digest::digest(&digest::SHA256, &certificate);
        let fingerprint = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint })
    }

    /// Serves TLS where `listener` listens.
    pub fn listen(self, listener: TcpListener) -> io::Result<TlsListener> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, self.acceptor, done));
        Ok(TlsListener { address, ready, _task: task })
    }
}

/// Gives connections whose handshake is done: one that dawdles holds up nobody.
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<Accepted>,
    /// Ends with the listener.
    _task: JoinSet<()>,
}

type Accepted = (TlsStream<TcpStream>, SocketAddr);

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await, // the task never ends before the listener
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(mut listener: TcpListener, acceptor: TlsAcceptor, done: mpsc::Sender<Accepted>) {
    let permits = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let mut handshakes = JoinSet::new();
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let (stream, peer) = Listener::accept(&mut listener).await;
        let (acceptor, done) = (acceptor.clone(), done.clone());
        handshakes.spawn(async move {
            match timeout(HANDSHAKE_LIMIT, handshake(stream, acceptor)).await {
                Ok(Ok(Some(stream))) => drop(done.send((stream, peer)).await), // nobody listens any more: it is closed
                Ok(Ok(None)) => tracing::debug!(%peer, "plain HTTP where HTTPS is spoken"),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%peer, "the TLS handshake takes too long"),
            }
            drop(permit);
        });
        while handshakes.try_join_next().is_some() {}
    }
}

/// `None` for who speaks plain HTTP: who types an address without https:// does, and is told.
async fn handshake(mut stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<Option<TlsStream<TcpStream>>> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first == [TLS_HANDSHAKE] {
        return acceptor.accept(stream).await.map(Some);
    }
    // What was asked is read, or closing would cut the answer off.
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    let length = NOT_TLS.len();
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(NOT_TLS.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::ServerName;

    use super::*;

    async fn listening() -> (SocketAddr, JoinSet<()>) {
        let addresses = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut listener = Identity::generate(&addresses).unwrap().listen(tcp).unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await;
                let mut heard = [0; 5];
                stream.read_exact(&mut heard).await.unwrap();
                stream.write_all(&heard).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        (address, task)
    }

    /// Trusts this one certificate, and so checks its names, dates and purpose.
    async fn connect(address: SocketAddr, name: &str) -> io::Result<String> {
        let seen = certificate_of(address).await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(seen).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"hello").await?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await?;
        Ok(heard)
    }

    async fn certificate_of(address: SocketAddr) -> rustls::pki_types::CertificateDer<'static> {
        let stream = TcpStream::connect(address).await.unwrap();
        let verifier = Arc::new(Anything::default());
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        config.dangerous().set_certificate_verifier(verifier.clone());
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        stream.write_all(b"first").await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        verifier.seen.lock().unwrap().clone().unwrap()
    }

    /// Takes any certificate, and remembers it.
    #[derive(Debug, Default)]
    struct Anything {
        seen: std::sync::Mutex<Option<rustls::pki_types::CertificateDer<'static>>>,
    }

    impl rustls::client::danger::ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            end_entity: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            *self.seen.lock().unwrap() = Some(end_entity.clone().into_owned());
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            default_provider().signature_verification_algorithms.supported_schemes()
        }
    }

    #[tokio::test]
    async fn the_certificate_is_good_for_every_name_it_has() {
        let (address, _task) = listening().await;
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(connect(address, name).await.unwrap(), "hello", "{name}");
        }
        connect(address, "192.0.2.1").await.unwrap_err();
    }

    #[tokio::test]
    async fn who_dawdles_holds_up_nobody() {
        let (address, _task) = listening().await;
        let silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(connect(address, "localhost").await.unwrap(), "hello");
        drop(silent);
    }

    #[tokio::test]
    async fn plain_http_is_told() {
        let (address, _task) = listening().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with(NOT_TLS), "{answer}");
    }
}
