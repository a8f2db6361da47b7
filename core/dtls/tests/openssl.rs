//! Ours and OpenSSL's, over sockets of this machine: DTLS 1.2. Skipped where there is no `openssl` command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant as SystemInstant};

use wigwag_crypto::default_provider;
use wigwag_dtls::{Certificate, Config, Dtls, Event, Fingerprint, Role, SrtpProfile, Version, Versions};
use wigwag_proto::{Instant, WallClock, random};

fn openssl(arguments: &[&str]) -> bool {
    let status = Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    status.is_ok_and(|output| output.status.success())
}

/// A certificate that OpenSSL made, PEM and DER, and its key.
struct Theirs {
    certificate: PathBuf,
    key: PathBuf,
    fingerprint: Fingerprint,
}

const EC: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const EC_384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

fn certificate(folder: &Path, name: &str, kind: &[&str]) -> Option<Theirs> {
    std::fs::create_dir_all(folder).unwrap();
    let path = |suffix: &str| folder.join(format!("{name}.{suffix}"));
    let (key, pem, der) = (path("key"), path("pem"), path("der"));
    let (key_text, pem_text, der_text) = (key.to_str()?, pem.to_str()?, der.to_str()?);
    let common = ["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=theirs", "-keyout", key_text, "-out", pem_text];
    let made = openssl(&[&common[..], kind].concat())
        && openssl(&["x509", "-in", pem_text, "-outform", "der", "-out", der_text]);
    let der = made.then(|| std::fs::read(der).unwrap())?;
    let fingerprint = Fingerprint::sha256(default_provider(), &der);
    Some(Theirs { certificate: pem, key, fingerprint })
}

const NO_EMS: &str = "no_ems";
const NO_EMS_CONFIG: &str = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
    Options = -ExtendedMasterSecret\n";

/// Ends the process whatever happens.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// With the argument `no_ems`, a configuration without the extended master secret.
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        let no_ems = arguments.contains(&NO_EMS);
        if no_ems {
            let file = std::env::temp_dir().join(format!("wigwag-dtls-{}-no-ems.cnf", std::process::id()));
            std::fs::write(&file, NO_EMS_CONFIG).unwrap();
            command.env("OPENSSL_CONF", file);
        }
        let arguments = arguments.iter().filter(|argument| **argument != NO_EMS);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Everything that it said.
    fn end(mut self) -> String {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let (mut out, mut err) = (String::new(), String::new());
        let _ = self.0.stdout.take().unwrap().read_to_string(&mut out);
        let _ = self.0.stderr.take().unwrap().read_to_string(&mut err);
        out + &err
    }
}

struct Ours {
    dtls: Dtls,
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    base: SystemInstant,
    received: Vec<u8>,
    events: Vec<Event>,
}

impl Ours {
    fn new(versions: Versions, fingerprint: Fingerprint) -> Self {
        let mut random = random::seeded([7; 32]);
        let made = Certificate::generate(default_provider(), &mut random, WallClock(1_700_000_000_000_000)).unwrap();
        let mut config = Config::new(made, default_provider());
        config.versions = versions;
        let mut dtls = Dtls::new(config, random);
        dtls.set_remote_fingerprints(vec![fingerprint]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        Self { dtls, socket, peer: None, base: SystemInstant::now(), received: Vec::new(), events: Vec::new() }
    }

    fn now(&self) -> Instant {
        Instant(1_000_000) + self.base.elapsed()
    }

    /// Until `done`, or five seconds have passed.
    fn run(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        let start = SystemInstant::now();
        let mut room = [0; 2048];
        while start.elapsed() < Duration::from_secs(5) {
            let now = self.now();
            if self.dtls.poll_timeout().is_some_and(|at| at <= now) {
                self.dtls.handle_timeout(now);
            }
            if let Some(peer) = self.peer {
                while let Some(len) = self.dtls.write_packet(now, &mut room) {
                    let _ = self.socket.send_to(&room[..len], peer);
                }
            }
            self.events.extend(std::iter::from_fn(|| self.dtls.poll_event()));
            if done(self) {
                return true;
            }
            if let Ok((len, from)) = self.socket.recv_from(&mut room) {
                self.peer = Some(from);
                let (now, received) = (self.now(), &mut self.received);
                self.dtls.open(now, &mut room[..len], |payload| received.extend_from_slice(payload));
            }
        }
        false
    }

    fn send(&mut self, payload: &[u8]) {
        let mut room = [0; 2048];
        let prefix = self.dtls.overhead().prefix;
        room[prefix..prefix + payload.len()].copy_from_slice(payload);
        let len = self.dtls.seal(&mut room, payload.len()).unwrap();
        self.socket.send_to(&room[..len], self.peer.unwrap()).unwrap();
    }
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("wigwag-dtls-{}-{name}", std::process::id()))
}

/// Ports below the ephemeral ones; OpenSSL wants to be told.
static PORT: AtomicU16 = AtomicU16::new(0);

fn port() -> u16 {
    let offset = PORT.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 1_000) as u16 * 10;
    20_000 + offset % 10_000
}

/// Our client and `openssl s_server`.
fn as_client(theirs: &Theirs, versions: Versions, extra: &[&str]) {
    let port = port();
    let port_text = port.to_string();
    let (certificate, key) = (theirs.certificate.to_str().unwrap(), theirs.key.to_str().unwrap());
    let mut arguments = vec!["s_server", "-dtls1_2", "-port", &port_text, "-cert", certificate, "-key", key, "-quiet"];
    arguments.extend(["-Verify", "1", "-use_srtp", "SRTP_AES128_CM_SHA1_80", "-timeout"]);
    arguments.extend(extra);
    let mut server = Process::start(&arguments);
    let mut ours = Ours::new(versions, theirs.fingerprint.clone());
    ours.peer = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    // The hello is sent again if the server is not there yet.
    ours.dtls.start(ours.now(), Role::Client);
    let connected = ours.run(|ours| !ours.events.is_empty());
    let Some(Event::Connected { version: Version::Dtls12, srtp: Some(keys) }) = ours.events.first() else {
        panic!("{extra:?} {connected} {:?} {}", ours.events, server.end());
    };
    assert_eq!(keys.profile, SrtpProfile::Aes128CmHmacSha1_80);
    server.0.stdin.as_mut().unwrap().write_all(b"from the server\n").unwrap();
    assert!(ours.run(|ours| ours.received == b"from the server\n"), "{:?}", ours.received);
    ours.send(b"from the client\n");
    std::thread::sleep(Duration::from_millis(100));
    let now = ours.now();
    ours.dtls.close(now);
    ours.run(|ours| !ours.dtls.can_transmit());
    let said = server.end();
    assert!(said.contains("from the client"), "{said}");
}

/// Our server and `openssl s_client`.
fn as_server(theirs: &Theirs, versions: Versions, extra: &[&str]) {
    let no_ems = extra.contains(&NO_EMS);
    let mut ours = Ours::new(versions, theirs.fingerprint.clone());
    ours.dtls.start(ours.now(), Role::Server);
    let address = ours.socket.local_addr().unwrap().to_string();
    let (certificate, key) = (theirs.certificate.to_str().unwrap(), theirs.key.to_str().unwrap());
    let mut arguments = vec!["s_client", "-dtls1_2", "-connect", &address, "-cert", certificate, "-key", key];
    arguments.extend(["-use_srtp", "SRTP_AES128_CM_SHA1_80", "-timeout"]);
    arguments.extend(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"]);
    arguments.extend(extra);
    let mut client = Process::start(&arguments);
    ours.run(|ours| !ours.events.is_empty());
    let Some(Event::Connected { version: Version::Dtls12, srtp: Some(keys) }) = ours.events.first().cloned() else {
        panic!("{extra:?} {:?} {}", ours.events, client.end());
    };
    ours.send(b"from the server\n");
    client.0.stdin.as_mut().unwrap().write_all(b"from the client\n").unwrap();
    assert!(ours.run(|ours| ours.received == b"from the client\n"), "{:?}", ours.received);
    client.0.stdin.as_mut().unwrap().write_all(b"Q\n").unwrap();
    assert!(ours.run(|ours| ours.events.len() == 2), "closed");
    assert_eq!(ours.events[1], Event::Closed);
    let said = client.end();
    assert!(said.contains("from the server"), "{said}");
    let material = [&keys.client_key[..], &keys.server_key[..], &keys.client_salt[..], &keys.server_salt[..]].concat();
    let material: String = material.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(said.contains(&material), "{material} {said}");
    assert!(said.contains(if no_ems { "Extended master secret: no" } else { "Extended master secret: yes" }), "{said}");
}

#[test]
fn certificates_of_every_kind() {
    let folder = folder("kinds");
    for (name, kind) in [("ec", EC), ("ec384", EC_384), ("rsa", RSA)] {
        let Some(theirs) = certificate(&folder, name, kind) else {
            eprintln!("skipped: no openssl");
            continue;
        };
        as_client(&theirs, Versions::Any, &[]);
        as_server(&theirs, Versions::Any, &[]);
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn suites_groups_and_small_datagrams() {
    let folder = folder("options");
    if let Some(theirs) = certificate(&folder, "ec", EC) {
        for extra in [
            &["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"][..],
            &["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-groups", "P-256"],
            &["-groups", "P-384:P-256"],
            &["-mtu", "300"],
            &["-sigalgs", "ECDSA+SHA256"],
        ] {
            as_client(&theirs, Versions::Dtls12, extra);
            as_server(&theirs, Versions::Dtls12, extra);
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Peers of old.
#[test]
fn without_the_extended_master_secret() {
    let folder = folder("no-ems");
    if let Some(theirs) = certificate(&folder, "ec", EC) {
        as_client(&theirs, Versions::Any, &[NO_EMS]);
        as_server(&theirs, Versions::Any, &[NO_EMS]);
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// `-listen`: the server asks for a cookie first, statelessly.
#[test]
fn hello_verify_request() {
    let folder = folder("cookie");
    if let Some(theirs) = certificate(&folder, "ec", EC) {
        as_client(&theirs, Versions::Any, &["-listen"]);
        as_client(&theirs, Versions::Dtls12, &["-listen"]);
    }
    let _ = std::fs::remove_dir_all(folder);
}
