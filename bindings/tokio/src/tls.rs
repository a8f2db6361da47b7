//! Whom TLS trusts: the servers that TURN goes to (`turns:`).

use std::io;
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How TLS connections to TURN servers are made: whose certificates are trusted.
///
/// ```no_run
/// # fn example(pem: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// use wigwag_tokio::{Config, IceServer, PeerConnection, Tls, random_seed};
///
/// let mut config = Config::new(random_seed()?);
/// config.ice_servers = vec![IceServer::new(["turns:turn.example.org"], "user", "secret")?];
/// let connection = PeerConnection::new_with_tls(config, Tls::with_roots_pem(&pem)?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tls(Option<Arc<ClientConfig>>);

impl Tls {
    /// Trusts whom the system trusts. They are looked up with the first connection that needs them.
    pub fn system() -> Self {
        Self(None)
    }

    /// Trusts the certificates of this PEM document, and nobody else.
    ///
    /// # Errors
    /// When it has none, or one that is malformed.
    pub fn with_roots_pem(pem: &[u8]) -> io::Result<Self> {
        use tokio_rustls::rustls::pki_types::pem::PemObject;
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
            roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(invalid("no certificate in the document".to_owned()));
        }
        Ok(Self(Some(Arc::new(client(roots)?))))
    }

    /// With a configuration of one's own: client certificates, other roots, a verifier.
    pub fn with_config(config: Arc<ClientConfig>) -> Self {
        Self(Some(config))
    }

    /// For a connection to a server of this name, or this address.
    pub(crate) fn connector(&self, name: &str) -> io::Result<(TlsConnector, ServerName<'static>)> {
        let config = match &self.0 {
            Some(config) => Arc::clone(config),
            None => system()?,
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let name = ServerName::try_from(name.to_owned()).map_err(invalid)?;
        Ok((TlsConnector::from(config), name))
    }
}

fn client(roots: RootCertStore) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The roots of the system, read once: there are some hundred.
fn system() -> io::Result<Arc<ClientConfig>> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some of the system's certificates can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the system has no certificates to trust"));
    }
    let config = Arc::new(client(roots)?);
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}
