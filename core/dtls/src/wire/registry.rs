//! The numbers of the IANA registries, and what of them we can do; the preferred first.

use wigwag_crypto::{Aead, Group, Hash, KeyType, Provider, SignatureScheme};

use super::codec::numbers;
use super::x509::KeyKind;
use crate::event::SrtpProfile;
use crate::schedule::Suite;

/// `legacy_version`, and DTLS 1.2's own.
pub(crate) const DTLS_12: u16 = 0xFEFD;
/// RFC 9147 section 5.3.
pub(crate) const DTLS_13: u16 = 0xFEFC;

const AES_128: Suite = Suite { aead: Aead::Aes128Gcm, hash: Hash::Sha256 };
const AES_256: Suite = Suite { aead: Aead::Aes256Gcm, hash: Hash::Sha384 };
const CHACHA20: Suite = Suite { aead: Aead::ChaCha20Poly1305, hash: Hash::Sha256 };

/// Cipher suites of DTLS 1.3. RFC 8446 appendix B.4.
pub(crate) const SUITES_13: [(u16, Suite); 3] = [(0x1301, AES_128), (0x1302, AES_256), (0x1303, CHACHA20)];
/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ..._AES_256_GCM_SHA384 and ..._CHACHA20_POLY1305_SHA256: for certificates
/// of ECDSA and Ed25519. RFC 5289, RFC 7905.
pub(crate) const SUITES_12_ECDSA: [(u16, Suite); 3] = [(0xC02B, AES_128), (0xC02C, AES_256), (0xCCA9, CHACHA20)];
/// TLS_ECDHE_RSA_WITH_...: for servers with an RSA certificate.
pub(crate) const SUITES_12_RSA: [(u16, Suite); 3] = [(0xC02F, AES_128), (0xC030, AES_256), (0xCCA8, CHACHA20)];
/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV. RFC 5746 section 3.3.
pub(crate) const RENEGOTIATION_SCSV: u16 = 0x00FF;

/// Groups of DTLS 1.3. RFC 8446 section 4.2.7, draft-ietf-tls-ecdhe-mlkem.
pub(crate) const GROUPS: [(u16, Group); 4] =
    [(0x11EC, Group::X25519MlKem768), (29, Group::X25519), (23, Group::P256), (24, Group::P384)];
/// Of DTLS 1.2.
pub(crate) const GROUPS_12: [(u16, Group); 3] = [(29, Group::X25519), (23, Group::P256), (24, Group::P384)];

/// RFC 5764 section 4.1.2, RFC 7714 section 14.2.
pub(crate) const SRTP_PROFILES: [(u16, SrtpProfile); 3] =
    [(8, SrtpProfile::AeadAes256Gcm), (7, SrtpProfile::AeadAes128Gcm), (1, SrtpProfile::Aes128CmHmacSha1_80)];

/// RFC 8446 section 4.2.3. `rsa_pkcs1_*` are for DTLS 1.2 only.
pub(crate) const ECDSA_SHA256: u16 = 0x0403;
const ECDSA_SHA384: u16 = 0x0503;
const ED25519: u16 = 0x0807;
const RSA_PSS_SHA256: u16 = 0x0804;
const RSA_PSS_SHA384: u16 = 0x0805;
const RSA_PKCS1_SHA256: u16 = 0x0401;
const RSA_PKCS1_SHA384: u16 = 0x0501;

/// What a list says for a number, or the number for it.
pub(crate) fn find<T: Copy>(list: &[(u16, T)], number: u16) -> Option<T> {
    list.iter().find(|(known, _)| *known == number).map(|(_, value)| *value)
}

pub(crate) fn group_number(group: Group) -> u16 {
    GROUPS.iter().find(|(_, known)| *known == group).map_or(0, |(number, _)| *number)
}

pub(crate) fn srtp_number(profile: SrtpProfile) -> u16 {
    SRTP_PROFILES.iter().find(|(_, known)| *known == profile).map_or(0, |(number, _)| *number)
}

/// The signatures that we verify, the preferred first.
pub(crate) fn schemes(provider: Provider, dtls12: bool) -> Vec<u16> {
    let mut schemes = vec![ECDSA_SHA256, ECDSA_SHA384, ED25519];
    if provider.verifies(SignatureScheme::RsaPssSha256) {
        schemes.extend([RSA_PSS_SHA256, RSA_PSS_SHA384]);
        if dtls12 {
            schemes.extend([RSA_PKCS1_SHA256, RSA_PKCS1_SHA384]);
        }
    }
    schemes
}

/// How our own key signs so that the peer takes it: the number, and what it stands for.
pub(crate) fn our_scheme(key: KeyType, taken: Option<&[u8]>, dtls12: bool) -> Option<(u16, SignatureScheme)> {
    let number = |scheme| {
        Some(match scheme {
            SignatureScheme::EcdsaP256Sha256 => ECDSA_SHA256,
            SignatureScheme::EcdsaP384Sha384 => ECDSA_SHA384,
            SignatureScheme::Ed25519 => ED25519,
            SignatureScheme::RsaPssSha256 => RSA_PSS_SHA256,
            SignatureScheme::RsaPssSha384 => RSA_PSS_SHA384,
            SignatureScheme::RsaPkcs1Sha256 if dtls12 => RSA_PKCS1_SHA256,
            SignatureScheme::RsaPkcs1Sha384 if dtls12 => RSA_PKCS1_SHA384,
            _ => return None,
        })
    };
    let ours = key.schemes().iter().filter_map(|scheme| Some((number(*scheme)?, *scheme)));
    ours.into_iter().find(|(number, _)| taken.is_some_and(|list| numbers(list).any(|known| known == *number)))
}

/// What a scheme means with a key of this kind; in DTLS 1.2 the curve is not part of it. RFC 8446 section 4.2.3.
pub(crate) fn scheme(number: u16, key: KeyKind, dtls12: bool) -> Option<SignatureScheme> {
    Some(match (number, key) {
        (ECDSA_SHA256, KeyKind::P256) => SignatureScheme::EcdsaP256Sha256,
        (ECDSA_SHA384, KeyKind::P384) => SignatureScheme::EcdsaP384Sha384,
        (ECDSA_SHA256, KeyKind::P384) if dtls12 => SignatureScheme::EcdsaP384Sha256,
        (ECDSA_SHA384, KeyKind::P256) if dtls12 => SignatureScheme::EcdsaP256Sha384,
        (ED25519, KeyKind::Ed25519) => SignatureScheme::Ed25519,
        (RSA_PSS_SHA256, KeyKind::Rsa) => SignatureScheme::RsaPssSha256,
        (RSA_PSS_SHA384, KeyKind::Rsa) => SignatureScheme::RsaPssSha384,
        (RSA_PKCS1_SHA256, KeyKind::Rsa) if dtls12 => SignatureScheme::RsaPkcs1Sha256,
        (RSA_PKCS1_SHA384, KeyKind::Rsa) if dtls12 => SignatureScheme::RsaPkcs1Sha384,
        _ => return None,
    })
}
