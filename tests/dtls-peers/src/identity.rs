//! Certificates that BoringSSL made, of every kind, for either side.

use boring::asn1::Asn1Time;
use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::rsa::Rsa;
use boring::x509::{X509, X509Name};
use wigwag_crypto::default_provider;
use wigwag_dtls::Certificate;

/// What a certificate's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    P384,
    Rsa,
}

impl KeyKind {
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::Rsa];
}

/// A certificate with its key, as either side wants it.
pub struct Identity {
    pub x509: X509,
    pub key: PKey<Private>,
    pub certificate: Certificate,
}

impl Identity {
    pub fn new(kind: KeyKind) -> Self {
        let curve = |nid| {
            let group = EcGroup::from_curve_name(nid).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        };
        let key = match kind {
            KeyKind::P256 => curve(Nid::X9_62_PRIME256V1),
            KeyKind::P384 => curve(Nid::SECP384R1),
            KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        };
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", "WebRTC").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let x509 = builder.build();
        let pkcs8 = key.private_key_to_der_pkcs8().unwrap();
        let certificate = Certificate::from_der(default_provider(), &x509.to_der().unwrap(), &pkcs8).unwrap();
        Self { x509, key, certificate }
    }

    pub fn der(&self) -> Vec<u8> {
        self.x509.to_der().unwrap()
    }
}
