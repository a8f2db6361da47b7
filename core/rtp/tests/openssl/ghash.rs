//! GHASH, bit by bit. NIST SP 800-38D sections 6.3 and 6.4.

/// The hash of associated data and ciphertext, both padded, and of their lengths.
pub fn ghash(key: [u8; 16], associated: &[u8], ciphertext: &[u8]) -> [u8; 16] {
    let key = u128::from_be_bytes(key);
    let lengths = ((8 * associated.len() as u128) << 64) | (8 * ciphertext.len() as u128);
    let blocks = associated.chunks(16).chain(ciphertext.chunks(16)).map(|chunk| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        u128::from_be_bytes(block)
    });
    blocks.chain([lengths]).fold(0, |hash, block| multiply(hash ^ block, key)).to_be_bytes()
}

/// In the field of 2^128 elements whose leftmost bit is the coefficient of x^0.
fn multiply(x: u128, y: u128) -> u128 {
    let (mut product, mut multiple) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= multiple;
        }
        multiple = (multiple >> 1) ^ if multiple & 1 == 1 { 0xE1 << 120 } else { 0 };
    }
    product
}
