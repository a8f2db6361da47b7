//! Handshakes and data with BoringSSL.

use dtls_peers::{Identity, KeyKind, OFFER, Options, Pair, Quality};
use wigwag_dtls::{Event, PostQuantum, Role, SrtpProfile, Version};

const VERSIONS: [Version; 2] = [Version::Dtls12, Version::Dtls13];
const ROLES: [Role; 2] = [Role::Client, Role::Server];
const X25519_MLKEM768: u16 = 0x11EC;

/// Connects, compares the keys, sends both ways, and closes.
fn check(role: Role, ours: &Identity, theirs: &Identity, options: &Options, quality: Quality) -> u16 {
    let context = format!("ours is {role:?}, {options:?}, {quality:?}");
    println!("{context}");
    let mut pair = Pair::new(role, ours, theirs, options, quality);
    let (version, keys) = pair.connect();
    assert_eq!((version, keys.profile), (options.version, SrtpProfile::AeadAes128Gcm), "{context}");
    let exported = [&keys.client_key[..], &keys.server_key[..], &keys.client_salt[..], &keys.server_salt[..]].concat();
    assert_eq!(pair.theirs.export(exported.len()), exported, "{context}");
    let group = pair.theirs.group();
    pair.mend();
    pair.send(&[1; 1000]);
    pair.theirs.send(&[2; 1000]);
    assert!(pair.run(|pair| pair.theirs.received == [[1; 1000]] && pair.received == [[2; 1000]]), "{context}");
    pair.theirs.close();
    assert!(pair.run(|pair| pair.events.last() == Some(&Event::Closed)), "{context} {:?}", pair.events);
    group
}

#[test]
fn certificates_of_every_kind() {
    let identities = KeyKind::ALL.map(Identity::new);
    for version in VERSIONS {
        for role in ROLES {
            for ours in &identities {
                for theirs in &identities {
                    check(role, ours, theirs, &Options::new(version), Quality::GOOD);
                }
            }
        }
    }
}

#[test]
fn every_group() {
    // In DTLS 1.2 the groups say which curves a certificate may have, too (RFC 8422 section 5.1.1): RSA has none.
    let identity = Identity::new(KeyKind::Rsa);
    let groups = [("X25519MLKEM768", X25519_MLKEM768), ("X25519", 29), ("P-256", 23), ("P-384", 24)];
    for role in ROLES {
        for (name, number) in groups {
            for version in VERSIONS {
                if version == Version::Dtls12 && number == X25519_MLKEM768 {
                    continue;
                }
                // As a client ours has no share of the curves of NIST: so their server asks again.
                let options = Options { groups: Some(name), post_quantum: OFFER, ..Options::new(version) };
                assert_eq!(check(role, &identity, &identity, &options, Quality::GOOD), number);
            }
        }
    }
}

/// What their defaults, and ours, come to.
#[test]
fn post_quantum_keys() {
    let identity = Identity::new(KeyKind::P256);
    use PostQuantum::{Accept, Off, Offer};
    for (role, post_quantum, group) in [
        (Role::Client, Offer, X25519_MLKEM768),
        (Role::Client, Accept, 29),
        (Role::Server, Accept, X25519_MLKEM768),
        (Role::Server, Off, 29),
    ] {
        let options = Options { post_quantum, ..Options::new(Version::Dtls13) };
        assert_eq!(check(role, &identity, &identity, &options, Quality::GOOD), group, "{role:?} {post_quantum:?}");
    }
    // Their one share is of a group that ours will not have: ours asks again.
    let groups = Some("X25519MLKEM768:P-256");
    let options = Options { post_quantum: Off, groups, ..Options::new(Version::Dtls13) };
    assert_eq!(check(Role::Server, &identity, &identity, &options, Quality::GOOD), 23);
}

#[test]
fn suites_of_dtls_12() {
    for (kind, auth) in [(KeyKind::P256, "ECDSA"), (KeyKind::Rsa, "RSA")] {
        let identity = Identity::new(kind);
        for cipher in ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"] {
            for role in ROLES {
                let ciphers: &'static str = format!("ECDHE-{auth}-{cipher}").leak();
                let options = Options { ciphers: Some(ciphers), ..Options::new(Version::Dtls12) };
                check(role, &identity, &identity, &options, Quality::GOOD);
            }
        }
    }
}

#[test]
fn on_a_bad_wire_and_in_small_datagrams() {
    let identity = Identity::new(KeyKind::P256);
    for version in VERSIONS {
        for role in ROLES {
            for mtu in [300, 1200] {
                for seed in 0..5 {
                    for post_quantum in [PostQuantum::Off, OFFER] {
                        if (version, post_quantum) == (Version::Dtls12, OFFER) {
                            continue;
                        }
                        // Without it, theirs shall not offer it either.
                        let groups = (post_quantum == PostQuantum::Off).then_some("X25519:P-256");
                        let options = Options { mtu, post_quantum, groups, ..Options::new(version) };
                        check(role, &identity, &identity, &options, Quality::bad(seed));
                    }
                }
            }
        }
    }
}

#[test]
fn keys_change() {
    let identity = Identity::new(KeyKind::P256);
    for role in ROLES {
        let options = Options { records_per_key: Some(8), ..Options::new(Version::Dtls13) };
        let mut pair = Pair::new(role, &identity, &identity, &options, Quality::GOOD);
        pair.connect();
        for n in 0..60 {
            pair.send(&[n; 100]);
            if n % 10 == 0 {
                pair.theirs.update_keys();
            }
            pair.theirs.send(&[n; 100]);
            let all = usize::from(n) + 1;
            assert!(pair.run(|pair| pair.received.len() == all && pair.theirs.received.len() == all), "{role:?} {n}");
        }
        assert!(pair.events.len() == 1 && pair.theirs.failure().is_none(), "{:?}", pair.theirs.failure());
    }
}
