//! The provider over `aws-lc-rs`.

use aws_lc_rs::hmac;

use crate::{CryptoProvider, Provider};

/// The provider over `aws-lc-rs`.
pub fn aws_lc_rs() -> Provider {
    &AwsLcRs
}

#[derive(Debug)]
struct AwsLcRs;

impl CryptoProvider for AwsLcRs {
    fn name(&self) -> &'static str {
        "aws-lc-rs"
    }

    fn hmac_sha1(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
        let mut out = [0; 20];
        out.copy_from_slice(mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, parts).as_ref());
        out
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(mac(hmac::HMAC_SHA256, key, parts).as_ref());
        out
    }
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    for part in parts {
        context.update(part);
    }
    context.sign()
}
