//! What was captured can be read by who has the keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use wigwag::DtlsVersions;
use wigwag_scenarios::{World, config};

const SECRETS_13: [&str; 5] = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
];

/// A set-up and a message each way, as a file.
fn captured(versions: DtlsVersions) -> Vec<u8> {
    let configs = [1, 2].map(|side| {
        let mut config = config(1, side);
        config.dtls_versions = versions;
        config
    });
    let mut world = World::with(1, configs);
    world.capture();
    world.transfer(1, 100, Duration::from_secs(10)).unwrap();
    world.simulation.network.capture().unwrap().to_pcapng()
}

/// The lines of the first block of secrets.
fn secrets(file: &[u8]) -> Vec<String> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let block = word(4); // after the section header
    assert_eq!((word(block), word(block + 8)), (0x0a, 0x544c_534b));
    let text = &file[block + 16..][..word(block + 12)];
    String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn both_sides_log_the_same_secrets() {
    for (versions, labels) in [(DtlsVersions::Dtls12, &["CLIENT_RANDOM"][..]), (DtlsVersions::Dtls13, &SECRETS_13)] {
        let lines = secrets(&captured(versions));
        let different: BTreeSet<&String> = lines.iter().collect();
        assert_eq!((lines.len(), different.len()), (2 * labels.len(), labels.len()), "{lines:?}");
        let mut found: Vec<&str> = different.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let mut expected = labels.to_vec();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        for line in different {
            let [_, random, secret] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert_eq!(random.len(), 64);
            // SHA-256 goes with the suite that is preferred; a master secret has 48 bytes.
            assert_eq!(secret.len(), if versions == DtlsVersions::Dtls12 { 96 } else { 64 });
        }
    }
}

/// Wireshark reads DTLS 1.2. (What reads 1.3, from 4.2 on, Debian has not yet; for its secrets there is a test in
/// `core/dtls/src/key_log.rs`.)
#[test]
#[ignore = "needs tshark; tests/run has it"]
fn wireshark_reads_what_was_captured() {
    let path = std::env::temp_dir().join(format!("wigwag-capture-{}.pcapng", std::process::id()));
    std::fs::write(&path, captured(DtlsVersions::Dtls12)).unwrap();
    let ask = |filter: &str| {
        let out = Command::new("tshark").arg("-r").arg(&path).args(["-Y", filter]).output().expect("tshark");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().lines().count()
    };
    // Finished ends the handshake; packets of SCTP begin with the port 5000, twice.
    let seen = ["dtls.handshake.type == 20", "data.data[0:4] == 13:88:13:88"].map(ask);
    std::fs::remove_file(&path).unwrap();
    assert!(seen.iter().all(|count| *count >= 4), "{seen:?}");
}
