//! Ours and OpenSSL's, over sockets of this machine: DTLS 1.2. Wants the command `openssl`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as SystemInstant};

use wigwag_crypto::{SignatureScheme, default_provider};
use wigwag_dtls::{Certificate, Config, Dtls, Event, Fingerprint, Role, SrtpProfile, Version, Versions};
use wigwag_proto::{Instant, WallClock, random};

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("the command openssl is there (Debian's package openssl)");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate that OpenSSL made, PEM and DER, and its key.
struct Theirs {
    certificate: PathBuf,
    key: PathBuf,
    fingerprint: Fingerprint,
}

const EC: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const EC_384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"];
const ED25519: &[&str] = &["-newkey", "ed25519"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

fn certificate(folder: &Path, name: &str, kind: &[&str]) -> Theirs {
    std::fs::create_dir_all(folder).unwrap();
    let path = |suffix: &str| folder.join(format!("{name}.{suffix}"));
    let (key, pem, der) = (path("key"), path("pem"), path("der"));
    let (key_text, pem_text, der_text) = (key.to_str().unwrap(), pem.to_str().unwrap(), der.to_str().unwrap());
    let common = ["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=theirs", "-keyout", key_text, "-out", pem_text];
    openssl(&[&common[..], kind].concat());
    openssl(&["x509", "-in", pem_text, "-outform", "der", "-out", der_text]);
    let fingerprint = Fingerprint::sha256(default_provider(), &std::fs::read(der).unwrap());
    Theirs { certificate: pem, key, fingerprint }
}

const NO_EMS: &str = "no_ems";
const NO_EMS_CONFIG: &str = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
    Options = -ExtendedMasterSecret\n";

/// Ends the process whatever happens.
struct Process {
    child: Child,
    /// What it said on its standard output so far.
    said: Arc<Mutex<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        let mut child = command.spawn().unwrap();
        let (mut out, said) = (child.stdout.take().unwrap(), Arc::<Mutex<String>>::default());
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = out.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..len]));
            }
        });
        Self { child, said }
    }

    /// Waits until it has said this.
    fn says(&self, text: &str) -> bool {
        let deadline = SystemInstant::now() + Duration::from_secs(10);
        while !self.said.lock().unwrap().contains(text) {
            if SystemInstant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Everything that it said.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let mut errors = String::new();
        let _ = self.child.stderr.take().unwrap().read_to_string(&mut errors);
        let said = self.said.lock().unwrap().clone();
        said + &errors
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
        Self::with(made, versions, fingerprint)
    }

    fn with(made: Certificate, versions: Versions, fingerprint: Fingerprint) -> Self {
        let random = random::seeded([7; 32]);
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

/// A port that was free a moment ago; OpenSSL wants to be told.
fn port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Our client and `openssl s_server`.
fn as_client(theirs: &Theirs, versions: Versions, extra: &[&str]) {
    client(Ours::new(versions, theirs.fingerprint.clone()), theirs, extra);
}

fn client(mut ours: Ours, theirs: &Theirs, extra: &[&str]) {
    let port = port();
    let port_text = port.to_string();
    let (certificate, key) = (theirs.certificate.to_str().unwrap(), theirs.key.to_str().unwrap());
    let mut arguments = vec!["s_server", "-dtls1_2", "-port", &port_text, "-cert", certificate, "-key", key, "-quiet"];
    arguments.extend(["-Verify", "1", "-use_srtp", "SRTP_AES128_CM_SHA1_80", "-timeout"]);
    arguments.extend(extra);
    let mut server = Process::start(&arguments);
    ours.peer = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    // The hello is sent again if the server is not there yet.
    ours.dtls.start(ours.now(), Role::Client);
    let connected = ours.run(|ours| !ours.events.is_empty());
    let Some(Event::Connected { version: Version::Dtls12, srtp: Some(keys) }) = ours.events.first() else {
        panic!("{extra:?} {connected} {:?} {}", ours.events, server.end());
    };
    assert_eq!(keys.profile, SrtpProfile::Aes128CmHmacSha1_80);
    server.child.stdin.as_mut().unwrap().write_all(b"from the server\n").unwrap();
    assert!(ours.run(|ours| ours.received == b"from the server\n"), "{:?}", ours.received);
    ours.send(b"from the client\n");
    assert!(server.says("from the client"), "{}", server.end());
    let now = ours.now();
    ours.dtls.close(now);
    assert!(ours.run(|ours| !ours.dtls.can_transmit()));
}

/// Our server and `openssl s_client`.
fn as_server(theirs: &Theirs, versions: Versions, extra: &[&str]) {
    server(Ours::new(versions, theirs.fingerprint.clone()), theirs, extra);
}

fn server(mut ours: Ours, theirs: &Theirs, extra: &[&str]) {
    let no_ems = extra.contains(&NO_EMS);
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
    client.child.stdin.as_mut().unwrap().write_all(b"from the client\n").unwrap();
    assert!(ours.run(|ours| ours.received == b"from the client\n"), "{:?}", ours.received);
    client.child.stdin.as_mut().unwrap().write_all(b"Q\n").unwrap();
    assert!(ours.run(|ours| ours.events.len() == 2), "closed");
    assert_eq!(ours.events[1], Event::Closed);
    assert!(client.says("from the server"), "{}", client.end());
    let material = [&keys.client_key[..], &keys.server_key[..], &keys.client_salt[..], &keys.server_salt[..]].concat();
    let material: String = material.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(client.says(&material), "{material} {}", client.end());
    let said = client.end();
    assert!(said.contains(if no_ems { "Extended master secret: no" } else { "Extended master secret: yes" }), "{said}");
}

#[test]
fn certificates_of_every_kind() {
    let folder = folder("kinds");
    for (name, kind) in [("ec", EC), ("ec384", EC_384), ("rsa", RSA)] {
        let theirs = certificate(&folder, name, kind);
        if name == "rsa" && !default_provider().verifies(SignatureScheme::RsaPkcs1Sha256) {
            continue; // `a_provider_without_rsa_says_so` is about these
        }
        as_client(&theirs, Versions::Any, &[]);
        as_server(&theirs, Versions::Any, &[]);
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// OpenSSL takes what we sign, with keys that it made.
#[test]
fn our_keys_of_every_kind() {
    let folder = folder("ours");
    let theirs = certificate(&folder, "ec", EC);
    for (name, kind) in [("our-ec384", EC_384), ("our-ed25519", ED25519), ("our-rsa", RSA)] {
        if name == "our-rsa" && !default_provider().verifies(SignatureScheme::RsaPkcs1Sha256) {
            continue; // a provider that does not verify RSA does not sign with it either
        }
        let made = certificate(&folder, name, kind);
        let path = |suffix: &str| folder.join(format!("{name}.{suffix}"));
        let (key, pkcs8) = (made.key.to_str().unwrap(), path("pkcs8"));
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "der", "-out", pkcs8.to_str().unwrap()]);
        let read = |path: PathBuf| std::fs::read(path).unwrap();
        let ours = Certificate::from_der(default_provider(), &read(path("der")), &read(pkcs8)).unwrap();
        let end = || Ours::with(ours.clone(), Versions::Any, theirs.fingerprint.clone());
        client(end(), &theirs, &[]);
        server(end(), &theirs, &[]);
        if name == "our-rsa" {
            for scheme in ["RSA-PSS+SHA384", "RSA+SHA256", "RSA+SHA384"] {
                let schemes = format!("ECDSA+SHA256:{scheme}");
                client(end(), &theirs, &["-sigalgs", &schemes]);
                server(end(), &theirs, &["-sigalgs", &schemes]);
            }
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn suites_groups_and_small_datagrams() {
    let folder = folder("options");
    let theirs = certificate(&folder, "ec", EC);
    for extra in [
        &["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"][..],
        &["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-groups", "P-256"],
        &["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        &["-groups", "P-384:P-256"],
        &["-mtu", "300"],
        &["-sigalgs", "ECDSA+SHA256"],
    ] {
        as_client(&theirs, Versions::Dtls12, extra);
        as_server(&theirs, Versions::Dtls12, extra);
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Peers of old.
#[test]
fn without_the_extended_master_secret() {
    let folder = folder("no-ems");
    let theirs = certificate(&folder, "ec", EC);
    as_client(&theirs, Versions::Any, &[NO_EMS]);
    as_server(&theirs, Versions::Any, &[NO_EMS]);
    let _ = std::fs::remove_dir_all(folder);
}

/// `-listen`: the server asks for a cookie first, statelessly.
#[test]
fn hello_verify_request() {
    let folder = folder("cookie");
    let theirs = certificate(&folder, "ec", EC);
    as_client(&theirs, Versions::Any, &["-listen"]);
    as_client(&theirs, Versions::Dtls12, &["-listen"]);
    let _ = std::fs::remove_dir_all(folder);
}

/// Without RSA in the provider, a peer with such a certificate is refused, in either role, in words.
#[test]
fn a_provider_without_rsa_says_so() {
    if default_provider().verifies(SignatureScheme::RsaPkcs1Sha256) {
        return; // `certificates_of_every_kind` connects them
    }
    let folder = folder("refused");
    let theirs = certificate(&folder, "rsa", RSA);
    let port = port();
    let (certificate, key) = (theirs.certificate.to_str().unwrap(), theirs.key.to_str().unwrap());
    let port_text = port.to_string();
    let _server = Process::start(&["s_server", "-dtls1_2", "-port", &port_text, "-cert", certificate, "-key", key]);
    let mut ours = Ours::new(Versions::Any, theirs.fingerprint.clone());
    ours.peer = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    ours.dtls.start(ours.now(), Role::Client);
    assert!(ours.run(|ours| !ours.events.is_empty()));
    assert!(matches!(ours.events[0], Event::Failed(_)), "{:?}", ours.events);
    let _ = std::fs::remove_dir_all(folder);
}
