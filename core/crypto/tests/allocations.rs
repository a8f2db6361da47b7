//! Keys do not allocate when they are used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/lib/counting.rs"]
mod counting;

use wigwag_crypto::{Aead, Hash, Provider};

fn allocations_in(f: impl Fn()) -> u64 {
    f();
    let before = counting::allocations();
    (0..100).for_each(|_| f());
    counting::allocations() - before
}

#[test]
fn keys_do_not_allocate() {
    let providers: Vec<Provider> = vec![
        #[cfg(feature = "aws-lc-rs")]
        wigwag_crypto::aws_lc_rs(),
        #[cfg(feature = "rust-crypto")]
        wigwag_crypto::rust_crypto(),
    ];
    for provider in providers {
        for aead in [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305] {
            let key = provider.aead(aead, &[1; 32][..aead.key_len()]).unwrap();
            let count = allocations_in(|| {
                let mut payload = [7; 1200];
                let tag = key.seal_in_place(&[0; 12], &[1; 13], &mut payload);
                key.open_in_place(&[0; 12], &[1; 13], &mut payload, &tag).unwrap();
            });
            assert_eq!(count, 0, "{provider:?} {aead:?}");
        }
        let (ctr, block) = (provider.aes_ctr(&[1; 16]).unwrap(), provider.aes_block(&[1; 16]).unwrap());
        assert_eq!(allocations_in(|| ctr.apply_keystream(&[0; 16], &mut [7; 1200])), 0, "{provider:?} CTR");
        assert_eq!(allocations_in(|| block.encrypt_block(&mut [7; 16])), 0, "{provider:?} block");
        let mac = provider.mac_key(Hash::Sha1, &[1; 20]);
        assert_eq!(
            allocations_in(|| {
                mac.sign(&[&[7; 1200], &[1; 4]]);
            }),
            0,
            "{provider:?} HMAC"
        );
        assert_eq!(
            allocations_in(|| {
                provider.hmac_sha1(&[1; 20], &[&[7; 100]]);
            }),
            0,
            "{provider:?} HMAC"
        );
    }
}
