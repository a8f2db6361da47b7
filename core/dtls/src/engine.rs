//! `dimpl`, held at arm's length.
//!
//! Every call goes through here: it gets our clock, in tests our randomness, and should it ever panic, the panic ends
//! one connection and not the program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dimpl::crypto::{CryptoProvider, Dtls12CipherSuite};
use dimpl::{CryptoError, CryptoOperation, DtlsCertificate, Error, Output, UnexpectedMessageError};
use wigwag_crypto::Provider;
use wigwag_proto::{Instant, Random};

use crate::clock::Clock;
use crate::config::{Config, Role, Version, Versions};
use crate::event::Failure;

pub(crate) struct Engine {
    inner: dimpl::Dtls,
    pub clock: Clock,
    #[cfg(feature = "test-provider")]
    random: Option<Random>,
}

impl Engine {
    pub(crate) fn new(config: &Config, random: &mut Random, now: Instant, role: Role) -> Result<Self, Failure> {
        let settings = Settings::of(config);
        #[cfg(feature = "test-provider")]
        let (engine_config, mut random) = if config.deterministic {
            let mut random = wigwag_proto::random::fork(random);
            let seed = rand::Rng::next_u64(&mut random);
            (settings.seeded(seed)?, Some(random))
        } else {
            (settings.shared(config.provider)?, None)
        };
        #[cfg(not(feature = "test-provider"))]
        let engine_config = {
            let _ = random;
            settings.shared(config.provider)?
        };

        let certificate = DtlsCertificate {
            certificate: config.certificate.der().to_vec(),
            private_key: config.certificate.private_key().to_vec(),
        };
        let mut clock = Clock::new(now);
        let system = clock.system(now);
        let build = || {
            let mut inner = match config.versions {
                Versions::Any => dimpl::Dtls::new_auto(engine_config, certificate, system),
                Versions::Dtls12 => dimpl::Dtls::new_12(engine_config, certificate, system),
                Versions::Dtls13 => dimpl::Dtls::new_13(engine_config, certificate, system),
            };
            inner.set_active(role == Role::Client);
            inner
        };
        #[cfg(feature = "test-provider")]
        let inner = guard(|| crate::deterministic::with(&mut random, build))?;
        #[cfg(not(feature = "test-provider"))]
        let inner = guard(build)?;
        Ok(Self {
            inner,
            clock,
            #[cfg(feature = "test-provider")]
            random,
        })
    }

    /// The version, once it is negotiated.
    pub(crate) fn version(&self) -> Option<Version> {
        match self.inner.protocol_version()? {
            dimpl::ProtocolVersion::DTLS1_3 => Some(Version::Dtls13),
            _ => Some(Version::Dtls12),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Failure> {
        let system = self.clock.system(now);
        self.call(|inner| inner.handle_timeout(system))
    }

    /// Takes a datagram in; `Ok(false)` if it was no good and nothing came of it.
    pub(crate) fn handle_packet(&mut self, packet: &[u8]) -> Result<bool, Failure> {
        let mut good = true;
        self.call(|inner| match inner.handle_packet(packet) {
            Err(error) if is_noise(&error) => {
                tracing::debug!(%error, "a datagram was dropped");
                good = false;
                Ok(())
            }
            result => result,
        })?;
        Ok(good)
    }

    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.call(|inner| inner.send_application_data(payload).map(|_| ()))
    }

    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        self.call(|inner| inner.close())
    }

    pub(crate) fn poll<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Output<'a>, Failure> {
        let inner = &mut self.inner;
        guard(|| inner.poll_output(buffer))
    }

    fn call(&mut self, f: impl FnOnce(&mut dimpl::Dtls) -> Result<(), Error>) -> Result<(), Failure> {
        let inner = &mut self.inner;
        #[cfg(feature = "test-provider")]
        let result = guard(|| crate::deterministic::with(&mut self.random, || f(inner)));
        #[cfg(not(feature = "test-provider"))]
        let result = guard(|| f(inner));
        result?.map_err(failure)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

/// After a panic the connection is over: nothing of the engine is used again.
fn guard<T>(f: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_| Failure::Protocol("the DTLS engine panicked".into()))
}

/// `dimpl` calls every error fatal. These are answers to a datagram that anybody could have sent, come before it has
/// changed anything, and leave the connection as it was.
fn is_noise(error: &Error) -> bool {
    matches!(
        error,
        Error::ReceiveQueueFull
            | Error::UnexpectedMessage(UnexpectedMessageError::UnrecognizedAutoServerResponse)
            | Error::CryptoError(CryptoError::OperationFailed(CryptoOperation::Decrypt))
    )
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Timeout(_) => Failure::TimedOut,
        Error::SecurityError(dimpl::SecurityError::FatalAlert { description }) => Failure::Alert(description),
        error => Failure::Protocol(error.to_string()),
    }
}

/// What of a [`Config`] `dimpl` is told.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Settings {
    mtu: usize,
    retransmission_timeout: Duration,
    handshake_timeout: Duration,
    records_per_key: u64,
}

/// `dimpl` tries every primitive of its provider when a configuration is built, which takes longer than a handshake:
/// so connections share theirs.
static SHARED: Mutex<Vec<(&'static str, Settings, Arc<dimpl::Config>)>> = Mutex::new(Vec::new());
const MAX_SHARED: usize = 8; // more kinds of connections in one program build theirs each time

impl Settings {
    fn of(config: &Config) -> Self {
        /// `dimpl` takes up to ten years; an hour is long.
        const MAX: Duration = Duration::from_secs(3600);
        const MIN: Duration = Duration::from_millis(1);
        Self {
            mtu: config.mtu.clamp(256, 65_507),
            retransmission_timeout: config.retransmission_timeout.clamp(MIN, MAX),
            handshake_timeout: config.handshake_timeout.clamp(MIN, MAX),
            records_per_key: config.records_per_key.max(1),
        }
    }

    fn shared(self, provider: Provider) -> Result<Arc<dimpl::Config>, Failure> {
        let name = provider.name();
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, _, config)) = shared.iter().find(|(other, settings, _)| *other == name && *settings == self) {
            return Ok(config.clone());
        }
        let config = self.build(backend(name), None)?;
        if shared.len() < MAX_SHARED {
            shared.push((name, self, config.clone()));
        }
        Ok(config)
    }

    #[cfg(feature = "test-provider")]
    fn seeded(self, seed: u64) -> Result<Arc<dimpl::Config>, Failure> {
        self.build(crate::deterministic::backend(), Some(seed))
    }

    fn build(self, backend: CryptoProvider, seed: Option<u64>) -> Result<Arc<dimpl::Config>, Failure> {
        /// `handshake_timeout` ends a handshake that gets no answer.
        const RETRIES: usize = 32;
        let mut builder = dimpl::Config::builder()
            .with_crypto_provider(backend)
            .mtu(self.mtu)
            .max_queue_tx(64)
            .flight_start_rto(self.retransmission_timeout)
            .flight_retries(RETRIES)
            .handshake_timeout(self.handshake_timeout)
            .aead_encryption_limit(self.records_per_key)
            // ICE has validated the path.
            .use_server_cookie(false)
            .require_client_certificate(true)
            // AES-GCM, which every peer has, so that the overhead of a record is known from the version.
            .dtls12_cipher_suites(&[
                Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
                Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
            ]);
        if let Some(seed) = seed {
            builder = builder.dangerously_set_rng_seed(seed);
        }
        builder.build().map(Arc::new).map_err(failure)
    }
}

/// `dimpl`'s cryptography that goes with a provider of that name.
fn backend(name: &str) -> CryptoProvider {
    #[cfg(all(feature = "rust-crypto", feature = "aws-lc-rs"))]
    if name == "rust-crypto" {
        return dimpl::crypto::rust_crypto::default_provider();
    }
    let _ = name;
    #[cfg(feature = "aws-lc-rs")]
    return dimpl::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return dimpl::crypto::rust_crypto::default_provider();
}
