//! The standards' own vectors, on every provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;

use proptest::prelude::*;
use rand::{SeedableRng, TryRng};
use wigwag_crypto::{
    Aead, BadSignature, Group, Hash, InvalidPublicKey, KeyError, KeyType, Provider, Unauthentic, hkdf_expand,
    hkdf_extract,
};

fn providers() -> Vec<Provider> {
    vec![
        #[cfg(feature = "aws-lc-rs")]
        wigwag_crypto::aws_lc_rs(),
        #[cfg(feature = "rust-crypto")]
        wigwag_crypto::rust_crypto(),
    ]
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Gives the bytes it was made with, again and again.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().zip(self.0.iter().cycle()).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

#[test]
fn hashes() {
    // FIPS 180-4, the example "abc".
    let cases = [
        (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Hash::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            Hash::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for provider in providers() {
        for (hash, expected) in cases {
            assert_eq!(&provider.hash(hash, &[b"a", b"", b"bc"])[..], hex(expected), "{provider:?} {hash:?}");
            assert_eq!(hex(expected).len(), hash.len());
            let mut hasher = provider.hasher(hash);
            hasher.update(b"ab");
            assert_ne!(&hasher.digest()[..], hex(expected));
            hasher.update(b"c");
            assert_eq!(&hasher.digest()[..], hex(expected), "a hash goes on after it was looked at");
        }
    }
}

#[test]
fn hmacs() {
    let what = b"what do ya want for nothing?";
    let large = (vec![0xAA; 131], &b"Test Using Larger Than Block-Size Key - Hash Key First"[..]);
    let cases: &[(Hash, Vec<u8>, &[u8], &str)] = &[
        // RFC 2202 section 3, cases 1 and 2.
        (Hash::Sha1, vec![0x0B; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (Hash::Sha1, b"Jefe".to_vec(), what, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        // RFC 4231 sections 4.3 and 4.7.
        (Hash::Sha256, b"Jefe".to_vec(), what, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Hash::Sha384,
            b"Jefe".to_vec(),
            what,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            Hash::Sha512,
            b"Jefe".to_vec(),
            what,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (Hash::Sha256, large.0, large.1, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    ];
    for provider in providers() {
        for (hash, key, message, expected) in cases {
            let (start, end) = message.split_at(5);
            assert_eq!(&provider.hmac(*hash, key, &[start, end])[..], hex(expected), "{provider:?} {hash:?}");
            assert_eq!(&provider.mac_key(*hash, key).sign(&[message])[..], hex(expected), "{provider:?} {hash:?}");
        }
        assert_eq!(provider.hmac_sha1(b"Jefe", &[what])[..], hex(cases[1].3));
        assert_eq!(provider.hmac_sha256(b"Jefe", &[what])[..], hex(cases[2].3));
        assert_eq!(provider.hmac_sha384(b"Jefe", &[what])[..], hex(cases[3].3));
    }
}

#[test]
fn hkdf() {
    // RFC 5869 appendix A.1.
    for provider in providers() {
        let key = hkdf_extract(provider, Hash::Sha256, &hex("000102030405060708090a0b0c"), &[0x0B; 22]);
        assert_eq!(&key[..], hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
        let info = hex("f0f1f2f3f4f5f6f7f8f9");
        let expected = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
        let mut out = [0; 42];
        hkdf_expand(provider, Hash::Sha256, &key, &[&info[..3], &info[3..]], &mut out).unwrap();
        assert_eq!(out[..], expected);
        assert!(hkdf_expand(provider, Hash::Sha256, &key, &[], &mut [0; 255 * 32]).is_ok());
        assert!(hkdf_expand(provider, Hash::Sha256, &key, &[], &mut [0; 255 * 32 + 1]).is_err());
    }
}

#[test]
fn aeads() {
    const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let sunscreen = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    // The GCM specification's test cases 4 and 16; RFC 8439 section 2.8.2.
    let cases = [
        (
            Aead::Aes128Gcm,
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            AAD,
            hex(PLAIN),
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            Aead::Aes256Gcm,
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            AAD,
            hex(PLAIN),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
        (
            Aead::ChaCha20Poly1305,
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            sunscreen.to_vec(),
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
            "1ae10b594f09e26a7e902ecbd0600691",
        ),
    ];
    for provider in providers() {
        for (aead, key, nonce, aad, plain, cipher, tag) in &cases {
            let key = provider.aead(*aead, &hex(key)).unwrap();
            let (nonce, aad) = (hex(nonce).try_into().unwrap(), hex(aad));
            let mut payload = plain.clone();
            let actual = key.seal_in_place(&nonce, &aad, &mut payload);
            assert_eq!((&payload, actual[..].to_vec()), (&hex(cipher), hex(tag)), "{provider:?} {aead:?}");
            let mut forged = actual;
            forged[15] ^= 1;
            assert_eq!(key.open_in_place(&nonce, &aad, &mut payload.clone(), &forged), Err(Unauthentic));
            assert_eq!(key.open_in_place(&nonce, &aad[1..], &mut payload.clone(), &actual), Err(Unauthentic));
            key.open_in_place(&nonce, &aad, &mut payload, &actual).unwrap();
            assert_eq!(payload, *plain);
            for len in [0, 15, 17, 24, 31, 33] {
                let expected = if len == aead.key_len() { None } else { Some(KeyError::WrongLength) };
                assert_eq!(provider.aead(*aead, &vec![0; len]).err(), expected, "{len}");
            }
        }
    }
}

#[test]
fn aes() {
    for provider in providers() {
        // RFC 3711 appendix B.2.
        let key = provider.aes_ctr(&hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
        let mut stream = [0; 48];
        key.apply_keystream(&hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000").try_into().unwrap(), &mut stream);
        let expected =
            "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0";
        assert_eq!(stream[..], hex(expected), "{provider:?}");
        let mut short = [0; 5];
        key.apply_keystream(&hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0001").try_into().unwrap(), &mut short);
        assert_eq!(short, stream[16..21]);
        // FIPS 197 appendix C.
        for (key, expected) in [
            ("000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a"),
            ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"),
        ] {
            let mut block = hex("00112233445566778899aabbccddeeff").try_into().unwrap();
            provider.aes_block(&hex(key)).unwrap().encrypt_block(&mut block);
            assert_eq!(block[..], hex(expected), "{provider:?}");
        }
        assert_eq!(provider.aes_ctr(&[0; 24]).err(), Some(KeyError::WrongLength));
        assert_eq!(provider.aes_block(&[]).err(), Some(KeyError::WrongLength));
        // RFC 9001 appendix A.5.
        let key = hex("25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4").try_into().unwrap();
        let sample = hex("5e5cd55c41f69080575d7999c25a5bfb").try_into().unwrap();
        assert_eq!(provider.chacha20_mask(&key, &sample)[..], hex("aefefe7d03"), "{provider:?}");
    }
}

#[test]
fn x25519() {
    // RFC 7748 section 6.1.
    let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let alice_public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    let bob_public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    for provider in providers() {
        let key = |scalar| provider.key_agreement(Group::X25519, &mut Fixed(hex(scalar))).unwrap();
        assert_eq!(key(alice).public_key(), hex(alice_public));
        assert_eq!(key(bob).public_key(), hex(bob_public));
        assert_eq!(&key(alice).agree(&hex(bob_public)).unwrap()[..], hex(shared));
        assert_eq!(&key(bob).agree(&hex(alice_public)).unwrap()[..], hex(shared));
        assert_eq!(key(alice).agree(&[0; 32]), Err(InvalidPublicKey), "section 6.1: the secret would be zero");
        assert_eq!(key(alice).agree(&[0; 31]), Err(InvalidPublicKey));
    }
}

#[test]
fn providers_agree() {
    for one in providers() {
        for other in providers() {
            for group in [Group::X25519, Group::P256, Group::P384] {
                let key = |provider: Provider, seed| {
                    let mut random = rand::rngs::ChaCha12Rng::from_seed([seed; 32]);
                    provider.key_agreement(group, &mut random).unwrap()
                };
                let (ours, theirs) = (key(one, 1), key(other, 2));
                assert_eq!((ours.group(), ours.public_key()), (group, key(other, 1).public_key()), "the seed decides");
                let (our_public, their_public) = (ours.public_key().to_vec(), theirs.public_key().to_vec());
                let secret = ours.agree(&their_public).unwrap();
                assert_eq!(theirs.agree(&our_public).unwrap(), secret);
                let mut wrong = their_public;
                wrong[20] ^= 1;
                assert!(key(one, 1).agree(&wrong).is_err() || group == Group::X25519, "a point off the curve");
            }
            for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519] {
                let mut random = rand::rngs::ChaCha12Rng::from_seed([3; 32]);
                let key = one.generate_signing_key(key_type, &mut random).unwrap();
                let same = other.signing_key(&key.to_pkcs8().unwrap()).unwrap();
                assert_eq!((same.key_type(), same.public_key()), (key_type, key.public_key()));
                let signature = key.sign(b"message").unwrap();
                let check = |message: &[u8], signature: &[u8]| {
                    other.verify(key_type.scheme(), key.public_key(), message, signature)
                };
                assert_eq!(check(b"message", &signature), Ok(()));
                assert_eq!(check(b"massage", &signature), Err(BadSignature));
                assert_eq!(check(b"message", &signature[1..]), Err(BadSignature));
                let scheme = key_type.scheme();
                assert_eq!(other.verify(scheme, &key.public_key()[1..], b"message", &signature), Err(BadSignature));
            }
        }
        assert_eq!(one.signing_key(b"not a key").err(), Some(KeyError::Unreadable));
    }
}

#[test]
fn hybrid_agreement() {
    let group = Group::X25519MlKem768;
    for one in providers() {
        for other in providers() {
            let mut random = rand::rngs::ChaCha12Rng::from_seed([4; 32]);
            let ask = |random: &mut rand::rngs::ChaCha12Rng| one.key_agreement(group, random).unwrap();
            let (ours, again) = (ask(&mut random), ask(&mut random));
            assert_eq!((ours.group(), ours.public_key().len()), (group, 1184 + 32));
            let (theirs, secret) = other.answer_key_agreement(group, ours.public_key(), &mut random).unwrap();
            assert_eq!((theirs.len(), secret.len()), (1088 + 32, 64));
            let mut answer = |key: &[u8]| other.answer_key_agreement(group, key, &mut random).err();
            assert_eq!(answer(&ours.public_key()[1..]), Some(InvalidPublicKey));
            assert_eq!(answer(&[ours.public_key(), &[0]].concat()), Some(InvalidPublicKey));
            assert_eq!(answer(&[0xFF; 1216]), Some(InvalidPublicKey), "FIPS 203 section 7.2: not below the modulus");
            assert_eq!(ours.agree(&theirs).unwrap(), secret);
            assert_ne!(again.agree(&theirs).unwrap(), secret, "another key gives another secret, and no error");
            assert_eq!(ask(&mut random).agree(&theirs[1..]), Err(InvalidPublicKey));
        }
    }
}

/// What RustCrypto draws comes from what it is given.
#[cfg(feature = "rust-crypto")]
#[test]
fn hybrid_agreement_is_deterministic() {
    let run = || {
        let mut random = rand::rngs::ChaCha12Rng::from_seed([5; 32]);
        let ours = wigwag_crypto::rust_crypto().key_agreement(Group::X25519MlKem768, &mut random).unwrap();
        let public = ours.public_key().to_vec();
        (
            wigwag_crypto::rust_crypto().answer_key_agreement(Group::X25519MlKem768, &public, &mut random).unwrap(),
            public,
        )
    };
    assert_eq!(run(), run());
}

#[test]
fn p256_signatures() {
    // RFC 6979 appendix A.2.5: SHA-256, "sample".
    let scalar = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let signature = hex("3046 022100 efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
         022100 f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    let public = hex("04 60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    for provider in providers() {
        let key = provider.generate_signing_key(KeyType::EcdsaP256, &mut Fixed(scalar.clone())).unwrap();
        assert_eq!(key.public_key(), public);
        assert_eq!(provider.verify(KeyType::EcdsaP256.scheme(), &public, b"sample", &signature), Ok(()));
        if provider.name() == "rust-crypto" {
            assert_eq!(key.sign(b"sample").unwrap(), signature);
        }
    }
}

#[test]
fn a_key_that_cannot_be_drawn_is_refused() {
    for provider in providers() {
        for group in [Group::P256, Group::P384] {
            for byte in [0, 0xFF] {
                assert_eq!(provider.key_agreement(group, &mut Fixed(vec![byte])).err(), Some(KeyError::Refused));
            }
        }
    }
}

proptest! {
    /// What one provider seals, another opens.
    #[test]
    fn one_seals_another_opens(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        aad in prop::collection::vec(any::<u8>(), 0..20),
        key: [u8; 32],
        nonce: [u8; 12],
    ) {
        for aead in [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305] {
            for one in providers() {
                for other in providers() {
                    let mut sealed = payload.clone();
                    let tag = one.aead(aead, &key[..aead.key_len()]).unwrap().seal_in_place(&nonce, &aad, &mut sealed);
                    let key = other.aead(aead, &key[..aead.key_len()]).unwrap();
                    prop_assert_eq!(key.open_in_place(&nonce, &aad, &mut sealed, &tag), Ok(()));
                    prop_assert_eq!(&sealed, &payload);
                }
            }
        }
    }

    /// Nothing that is no key or signature breaks anything.
    #[test]
    fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..150), cut in 0..150_usize) {
        let (one, other) = bytes.split_at(cut.min(bytes.len()));
        for provider in providers() {
            let _ = provider.signing_key(&bytes);
            for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519] {
                prop_assert!(provider.verify(key_type.scheme(), one, b"message", other).is_err());
            }
        }
    }
}
