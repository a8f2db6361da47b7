//! Keys do not allocate when they are used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use wigwag_crypto::{Aead, Hash, Provider};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is the system allocator's; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl Fn()) -> usize {
    f();
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| f());
    ALLOCATIONS.get() - before
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
            let count = allocations(|| {
                let mut payload = [7; 1200];
                let tag = key.seal_in_place(&[0; 12], &[1; 13], &mut payload);
                key.open_in_place(&[0; 12], &[1; 13], &mut payload, &tag).unwrap();
            });
            assert_eq!(count, 0, "{provider:?} {aead:?}");
        }
        let (ctr, block) = (provider.aes_ctr(&[1; 16]).unwrap(), provider.aes_block(&[1; 16]).unwrap());
        assert_eq!(allocations(|| ctr.apply_keystream(&[0; 16], &mut [7; 1200])), 0, "{provider:?} CTR");
        assert_eq!(allocations(|| block.encrypt_block(&mut [7; 16])), 0, "{provider:?} block");
        let mac = provider.mac_key(Hash::Sha1, &[1; 20]);
        assert_eq!(
            allocations(|| {
                mac.sign(&[&[7; 1200], &[1; 4]]);
            }),
            0,
            "{provider:?} HMAC"
        );
        assert_eq!(
            allocations(|| {
                provider.hmac_sha1(&[1; 20], &[&[7; 100]]);
            }),
            0,
            "{provider:?} HMAC"
        );
    }
}
