//! Key agreement and signatures over the RustCrypto crates.

use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::elliptic_curve::sec1::ToSec1Point;
use rand::Rng;
use sha2::{Digest as _, Sha256, Sha384};
use zeroize::Zeroizing;

use crate::types::{BadSignature, Group, InvalidPublicKey, KeyError, KeyType, Secret, SignatureScheme};
use crate::{KeyAgreement, SigningKey};

/// A random string is no scalar of P-256 once in 2^32 tries, of P-384 once in 2^190.
const MAX_DRAWS: usize = 16;

/// A secret drawn from `random`, made of `N` bytes that `read` accepts.
fn draw<const N: usize, T, E>(random: &mut dyn Rng, read: impl Fn(&[u8; N]) -> Result<T, E>) -> Result<T, KeyError> {
    let mut scalar = Zeroizing::new([0; N]);
    for _ in 0..MAX_DRAWS {
        random.fill_bytes(&mut *scalar);
        if let Ok(key) = read(&scalar) {
            return Ok(key);
        }
    }
    Err(KeyError::Refused)
}

fn draw_p256(random: &mut dyn Rng) -> Result<p256::SecretKey, KeyError> {
    draw(random, |scalar: &[u8; 32]| p256::SecretKey::from_slice(scalar))
}

fn draw_p384(random: &mut dyn Rng) -> Result<p384::SecretKey, KeyError> {
    draw(random, |scalar: &[u8; 48]| p384::SecretKey::from_slice(scalar))
}

pub(super) fn agreement(group: Group, random: &mut dyn Rng) -> Result<Box<dyn KeyAgreement>, KeyError> {
    let (private, public) = match group {
        Group::X25519 => {
            let mut scalar = Zeroizing::new([0; 32]);
            random.fill_bytes(&mut *scalar);
            let private = x25519_dalek::StaticSecret::from(*scalar);
            let public = x25519_dalek::PublicKey::from(&private).as_bytes().to_vec();
            (Private::X25519(private), public)
        }
        Group::P256 => {
            let private = draw_p256(random)?;
            let public = private.public_key().to_sec1_point(false).as_bytes().to_vec();
            (Private::P256(private), public)
        }
        Group::P384 => {
            let private = draw_p384(random)?;
            let public = private.public_key().to_sec1_point(false).as_bytes().to_vec();
            (Private::P384(private), public)
        }
        Group::X25519MlKem768 => return Err(KeyError::Unsupported), // it is put together elsewhere
    };
    Ok(Box::new(Agreement { private, public }))
}

enum Private {
    X25519(x25519_dalek::StaticSecret),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
}

struct Agreement {
    private: Private,
    public: Vec<u8>,
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agreement({:?})", self.group())
    }
}

impl KeyAgreement for Agreement {
    fn group(&self) -> Group {
        match self.private {
            Private::X25519(_) => Group::X25519,
            Private::P256(_) => Group::P256,
            Private::P384(_) => Group::P384,
        }
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn agree(self: Box<Self>, peer_public_key: &[u8]) -> Result<Secret, InvalidPublicKey> {
        match &self.private {
            Private::X25519(private) => {
                let peer: [u8; 32] = peer_public_key.try_into().map_err(|_| InvalidPublicKey)?;
                let secret = private.diffie_hellman(&x25519_dalek::PublicKey::from(peer));
                secret.was_contributory().then(|| Secret::new(secret.as_bytes().to_vec())).ok_or(InvalidPublicKey)
            }
            Private::P256(private) => {
                let peer = p256::PublicKey::from_sec1_bytes(peer_public_key).map_err(|_| InvalidPublicKey)?;
                let secret = p256::ecdh::diffie_hellman(private.to_nonzero_scalar(), peer.as_affine());
                Ok(Secret::new(secret.raw_secret_bytes().to_vec()))
            }
            Private::P384(private) => {
                let peer = p384::PublicKey::from_sec1_bytes(peer_public_key).map_err(|_| InvalidPublicKey)?;
                let secret = p384::ecdh::diffie_hellman(private.to_nonzero_scalar(), peer.as_affine());
                Ok(Secret::new(secret.raw_secret_bytes().to_vec()))
            }
        }
    }
}

pub(super) fn generate(key_type: KeyType, random: &mut dyn Rng) -> Result<Box<dyn SigningKey>, KeyError> {
    match key_type {
        KeyType::EcdsaP256 => Ok(Signer::p256(draw_p256(random)?)),
        KeyType::EcdsaP384 => Ok(Signer::p384(draw_p384(random)?)),
        KeyType::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill_bytes(&mut *seed);
            Ok(Signer::ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)))
        }
        KeyType::Rsa => Err(KeyError::Unsupported),
    }
}

pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, KeyError> {
    if let Ok(key) = p256::SecretKey::from_pkcs8_der(pkcs8) {
        return Ok(Signer::p256(key));
    }
    if let Ok(key) = p384::SecretKey::from_pkcs8_der(pkcs8) {
        return Ok(Signer::p384(key));
    }
    ed25519_dalek::SigningKey::from_pkcs8_der(pkcs8).map(Signer::ed25519).map_err(|_| KeyError::Unreadable)
}

enum SignerKey {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
}

struct Signer {
    key: SignerKey,
    public: Vec<u8>,
}

impl Signer {
    fn p256(key: p256::SecretKey) -> Box<dyn SigningKey> {
        let public = key.public_key().to_sec1_point(false).as_bytes().to_vec();
        Box::new(Self { key: SignerKey::P256(key), public })
    }

    fn p384(key: p384::SecretKey) -> Box<dyn SigningKey> {
        let public = key.public_key().to_sec1_point(false).as_bytes().to_vec();
        Box::new(Self { key: SignerKey::P384(key), public })
    }

    fn ed25519(key: ed25519_dalek::SigningKey) -> Box<dyn SigningKey> {
        let public = key.verifying_key().as_bytes().to_vec();
        Box::new(Self { key: SignerKey::Ed25519(key), public })
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({:?})", self.key_type())
    }
}

impl SigningKey for Signer {
    fn key_type(&self) -> KeyType {
        match self.key {
            SignerKey::P256(_) => KeyType::EcdsaP256,
            SignerKey::P384(_) => KeyType::EcdsaP384,
            SignerKey::Ed25519(_) => KeyType::Ed25519,
        }
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn to_pkcs8(&self) -> Result<Secret, KeyError> {
        let document = match &self.key {
            SignerKey::P256(key) => key.to_pkcs8_der(),
            SignerKey::P384(key) => key.to_pkcs8_der(),
            SignerKey::Ed25519(key) => key.to_pkcs8_der(),
        };
        document.map(|document| Secret::new(document.as_bytes().to_vec())).map_err(|_| KeyError::Refused)
    }

    /// ECDSA takes its nonce from the key and the message. RFC 6979.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.key {
            SignerKey::P256(key) => {
                let signature: Result<p256::ecdsa::Signature, _> =
                    p256::ecdsa::SigningKey::from(key).sign_prehash(&Sha256::digest(message));
                signature.map(|signature| signature.to_der().as_bytes().to_vec()).map_err(|_| KeyError::Refused)
            }
            SignerKey::P384(key) => {
                let signature: Result<p384::ecdsa::Signature, _> =
                    p384::ecdsa::SigningKey::from(key).sign_prehash(&Sha384::digest(message));
                signature.map(|signature| signature.to_der().as_bytes().to_vec()).map_err(|_| KeyError::Refused)
            }
            SignerKey::Ed25519(key) => {
                use ed25519_dalek::Signer;
                Ok(key.sign(message).to_bytes().to_vec())
            }
        }
    }
}

pub(super) fn verify(
    scheme: SignatureScheme,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    match scheme {
        SignatureScheme::EcdsaP256Sha256 => verify_p256(public_key, &Sha256::digest(message), signature),
        SignatureScheme::EcdsaP256Sha384 => verify_p256(public_key, &Sha384::digest(message), signature),
        SignatureScheme::EcdsaP384Sha256 => verify_p384(public_key, &Sha256::digest(message), signature),
        SignatureScheme::EcdsaP384Sha384 => verify_p384(public_key, &Sha384::digest(message), signature),
        SignatureScheme::Ed25519 => {
            let public_key: &[u8; 32] = public_key.try_into().map_err(|_| BadSignature)?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(public_key).map_err(|_| BadSignature)?;
            let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| BadSignature)?;
            key.verify_strict(message, &signature).map_err(|_| BadSignature)
        }
        SignatureScheme::RsaPkcs1Sha256
        | SignatureScheme::RsaPkcs1Sha384
        | SignatureScheme::RsaPssSha256
        | SignatureScheme::RsaPssSha384 => Err(BadSignature),
    }
}

fn verify_p256(public_key: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key).map_err(|_| BadSignature)?;
    let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| BadSignature)?;
    key.verify_prehash(hash, &signature).map_err(|_| BadSignature)
}

fn verify_p384(public_key: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(public_key).map_err(|_| BadSignature)?;
    let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| BadSignature)?;
    key.verify_prehash(hash, &signature).map_err(|_| BadSignature)
}
