//! Key agreement and signatures over `aws-lc-rs`.

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair};
use rand::Rng;
use zeroize::Zeroizing;

use crate::types::{BadSignature, Group, InvalidPublicKey, KeyError, KeyType, Secret, SignatureScheme};
use crate::{KeyAgreement, SigningKey};

/// A random string is no scalar of P-256 once in 2^32 tries, of P-384 once in 2^190.
const MAX_DRAWS: usize = 16;

/// A private key drawn from `random`, and its bytes.
fn draw<const N: usize>(
    algorithm: &'static agreement::Algorithm,
    random: &mut dyn Rng,
) -> Result<(PrivateKey, Zeroizing<[u8; N]>), KeyError> {
    let mut scalar = Zeroizing::new([0; N]);
    for _ in 0..MAX_DRAWS {
        random.fill_bytes(&mut *scalar);
        if let Ok(key) = PrivateKey::from_private_key(algorithm, &*scalar) {
            return Ok((key, scalar));
        }
    }
    Err(KeyError::Refused)
}

pub(super) fn agreement(group: Group, random: &mut dyn Rng) -> Result<Box<dyn KeyAgreement>, KeyError> {
    let private = match group {
        Group::X25519 => draw::<32>(&agreement::X25519, random)?.0,
        Group::P256 => draw::<32>(&agreement::ECDH_P256, random)?.0,
        Group::P384 => draw::<48>(&agreement::ECDH_P384, random)?.0,
        Group::X25519MlKem768 => return Err(KeyError::Unsupported), // it is put together elsewhere
    };
    let public = private.compute_public_key().map_err(|_| KeyError::Refused)?;
    Ok(Box::new(Agreement { group, private, public }))
}

struct Agreement {
    group: Group,
    private: PrivateKey,
    public: agreement::PublicKey,
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agreement({:?})", self.group)
    }
}

impl KeyAgreement for Agreement {
    fn group(&self) -> Group {
        self.group
    }

    fn public_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn agree(self: Box<Self>, peer_public_key: &[u8]) -> Result<Secret, InvalidPublicKey> {
        let peer = UnparsedPublicKey::new(self.private.algorithm(), peer_public_key);
        agreement::agree(&self.private, peer, InvalidPublicKey, |secret| Ok(Secret::new(secret.to_vec())))
    }
}

pub(super) fn generate(key_type: KeyType, random: &mut dyn Rng) -> Result<Box<dyn SigningKey>, KeyError> {
    match key_type {
        KeyType::EcdsaP256 => {
            let (key, scalar) = draw::<32>(&agreement::ECDH_P256, random)?;
            ecdsa(key_type, &signature::ECDSA_P256_SHA256_ASN1_SIGNING, &key, &*scalar)
        }
        KeyType::EcdsaP384 => {
            let (key, scalar) = draw::<48>(&agreement::ECDH_P384, random)?;
            ecdsa(key_type, &signature::ECDSA_P384_SHA384_ASN1_SIGNING, &key, &*scalar)
        }
        KeyType::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill_bytes(&mut *seed);
            let key = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| KeyError::Refused)?;
            Ok(Box::new(Ed25519(key)))
        }
        // It would be drawn from the system, and slowly.
        KeyType::Rsa => Err(KeyError::Unsupported),
    }
}

fn ecdsa(
    key_type: KeyType,
    algorithm: &'static EcdsaSigningAlgorithm,
    key: &PrivateKey,
    scalar: &[u8],
) -> Result<Box<dyn SigningKey>, KeyError> {
    let public = key.compute_public_key().map_err(|_| KeyError::Refused)?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public.as_ref())
        .map_err(|_| KeyError::Refused)?;
    Ok(Box::new(Ecdsa { key_type, pair }))
}

pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, KeyError> {
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
        return Ok(Box::new(Ecdsa { key_type: KeyType::EcdsaP256, pair }));
    }
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8) {
        return Ok(Box::new(Ecdsa { key_type: KeyType::EcdsaP384, pair }));
    }
    if let Ok(pair) = rsa::KeyPair::from_pkcs8(pkcs8) {
        return Ok(Box::new(Rsa(pair)));
    }
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyError::Unreadable)?;
    Ok(Box::new(Ed25519(key)))
}

#[derive(Debug)]
struct Ecdsa {
    key_type: KeyType,
    pair: EcdsaKeyPair,
}

impl SigningKey for Ecdsa {
    fn key_type(&self) -> KeyType {
        self.key_type
    }

    fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn to_pkcs8(&self) -> Result<Secret, KeyError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyError::Refused)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Refused)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[derive(Debug)]
struct Ed25519(Ed25519KeyPair);

impl SigningKey for Ed25519 {
    fn key_type(&self) -> KeyType {
        KeyType::Ed25519
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn to_pkcs8(&self) -> Result<Secret, KeyError> {
        let document = self.0.to_pkcs8v1().map_err(|_| KeyError::Refused)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

#[derive(Debug)]
struct Rsa(rsa::KeyPair);

impl SigningKey for Rsa {
    fn key_type(&self) -> KeyType {
        KeyType::Rsa
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn to_pkcs8(&self) -> Result<Secret, KeyError> {
        let document: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| KeyError::Refused)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.sign_with(KeyType::Rsa.scheme(), message)
    }

    fn sign_with(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let encoding: &'static dyn signature::RsaEncoding = match scheme {
            SignatureScheme::RsaPssSha256 => &signature::RSA_PSS_SHA256,
            SignatureScheme::RsaPssSha384 => &signature::RSA_PSS_SHA384,
            SignatureScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
            SignatureScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_SHA384,
            _ => return Err(KeyError::Unsupported),
        };
        let mut signed = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::new(), message, &mut signed).map_err(|_| KeyError::Refused)?;
        Ok(signed)
    }
}

pub(super) fn verify(
    scheme: SignatureScheme,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let algorithm: &'static dyn signature::VerificationAlgorithm = match scheme {
        SignatureScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureScheme::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SignatureScheme::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SignatureScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureScheme::Ed25519 => &signature::ED25519,
        SignatureScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SignatureScheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        SignatureScheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
    };
    signature::UnparsedPublicKey::new(algorithm, public_key).verify(message, signature).map_err(|_| BadSignature)
}
