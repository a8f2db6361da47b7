//! HKDF: keys from a shared secret. RFC 5869.

use zeroize::Zeroize;

use crate::CryptoProvider;
use crate::types::{Digest, Hash};

/// More bytes were asked for than 255 times the hash's length, or an `info` in more than eight parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more key material than HKDF gives")]
pub struct InvalidLength;

/// HKDF-Extract: a key from input key material of any shape. RFC 5869 section 2.2; no salt is an empty one.
pub fn hkdf_extract(provider: &dyn CryptoProvider, hash: Hash, salt: &[u8], input_key_material: &[u8]) -> Digest {
    provider.hmac(hash, salt, &[input_key_material])
}

/// HKDF-Expand: fills `out` with key material from `key` for the purpose `info`, given in parts. RFC 5869 section 2.3.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")] {
/// use wigwag_crypto::{Hash, aws_lc_rs, hkdf_expand, hkdf_extract};
///
/// let key = hkdf_extract(aws_lc_rs(), Hash::Sha256, b"salt", b"a shared secret");
/// let (mut client, mut server) = ([0; 16], [0; 16]);
/// hkdf_expand(aws_lc_rs(), Hash::Sha256, &key, &[b"client"], &mut client)?;
/// hkdf_expand(aws_lc_rs(), Hash::Sha256, &key, &[b"server"], &mut server)?;
/// assert_ne!(client, server);
/// # }
/// # Ok::<(), wigwag_crypto::InvalidLength>(())
/// ```
pub fn hkdf_expand(
    provider: &dyn CryptoProvider,
    hash: Hash,
    key: &[u8],
    info: &[&[u8]],
    out: &mut [u8],
) -> Result<(), InvalidLength> {
    const MAX_INFO_PARTS: usize = 8; // HkdfLabel has six
    if out.len() > 255 * hash.len() || info.len() > MAX_INFO_PARTS {
        return Err(InvalidLength);
    }
    let mac = provider.mac_key(hash, key);
    let mut previous = Digest::new(&[]);
    for (chunk, counter) in out.chunks_mut(hash.len()).zip(1..=u8::MAX) {
        let counter = [counter];
        let mut parts: [&[u8]; MAX_INFO_PARTS + 2] = [&[]; MAX_INFO_PARTS + 2];
        let all = std::iter::once(previous.as_ref()).chain(info.iter().copied()).chain(std::iter::once(&counter[..]));
        parts.iter_mut().zip(all).for_each(|(to, part)| *to = part);
        let block = mac.sign(&parts);
        chunk.iter_mut().zip(block.as_ref()).for_each(|(to, from)| *to = *from);
        previous.zeroize();
        previous = block;
    }
    Ok(())
}
