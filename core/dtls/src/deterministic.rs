//! Keys and signatures from a seed. For tests only.
//!
//! `dimpl` wants its key exchange to be `&'static`, without a place for a connection's own randomness. So each call
//! into the engine puts the connection's [`Random`] where its thread can find it, and takes it back afterwards.
//! Signatures are those of RFC 6979, which need no randomness.

use std::cell::RefCell;

use dimpl::crypto::{ActiveKeyExchange, Buf, CryptoProvider, NamedGroup, SecureRandom, SupportedKxGroup};
use dimpl::{CryptoError, CryptoOperation};
use rand::{Rng, SeedableRng};
use wigwag_crypto::{Group, KeyAgreement, rust_crypto};
use wigwag_proto::Random;

thread_local! {
    static RANDOM: RefCell<Option<Random>> = const { RefCell::new(None) };
}

/// Runs `f` with `random` as the source of all keys.
pub(crate) fn with<T>(random: &mut Option<Random>, f: impl FnOnce() -> T) -> T {
    /// Gives it back even if `f` panics.
    struct Restore<'a>(&'a mut Option<Random>);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            *self.0 = RANDOM.take();
        }
    }
    RANDOM.set(random.take());
    let _restore = Restore(random);
    f()
}

fn draw<T>(f: impl FnOnce(&mut Random) -> T) -> T {
    RANDOM.with_borrow_mut(|random| match random {
        Some(random) => f(random),
        // `dimpl` tries its provider when a configuration is built, outside of any connection.
        None => f(&mut Random::from_seed([0; 32])),
    })
}

/// `dimpl`'s RustCrypto provider with our keys.
pub(crate) fn backend() -> CryptoProvider {
    CryptoProvider { kx_groups: GROUPS, secure_random: &Seeded, ..dimpl::crypto::rust_crypto::default_provider() }
}

static GROUPS: &[&dyn SupportedKxGroup] = &[&SeededGroup(Group::X25519), &SeededGroup(Group::P256)];

#[derive(Debug)]
struct Seeded;

impl SecureRandom for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), CryptoError> {
        draw(|random| random.fill_bytes(buffer));
        Ok(())
    }
}

#[derive(Debug)]
struct SeededGroup(Group);

impl SupportedKxGroup for SeededGroup {
    fn name(&self) -> NamedGroup {
        name(self.0)
    }

    fn start_exchange(&self, _: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let key = draw(|random| rust_crypto().key_agreement(self.0, random))
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::GenerateEphemeralKey))?;
        Ok(Box::new(Exchange(std::panic::AssertUnwindSafe(key))))
    }
}

fn name(group: Group) -> NamedGroup {
    match group {
        Group::X25519 => NamedGroup::X25519,
        Group::P256 => NamedGroup::Secp256r1,
        Group::P384 => NamedGroup::Secp384r1,
    }
}

#[derive(Debug)]
struct Exchange(std::panic::AssertUnwindSafe<Box<dyn KeyAgreement>>);

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        self.0.public_key()
    }

    fn complete(self: Box<Self>, peer_pub: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let group = self.group();
        let secret = self.0.0.agree(peer_pub).map_err(|_| CryptoError::InvalidPublicKey(group))?;
        out.clear();
        out.extend_from_slice(&secret);
        Ok(())
    }

    fn group(&self) -> NamedGroup {
        name(self.0.group())
    }
}
