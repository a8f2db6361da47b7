//! TURN over UDP, TCP and TLS, against coturn: what leaves a connection that may use relays only arrives at another.
//!
//! It wants coturn, and a namespace with the address below: `tests/run nat`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wigwag::TransportPolicy;
use wigwag_tokio::{
    ChannelInit, Config, Event, IceServer, Message, PeerConnection, SessionDescription, Tls, random_seed,
};

const ADDRESS: &str = "198.51.100.1";
const LIMIT: Duration = Duration::from_secs(20);
const MESSAGES: usize = 200;
const LEN: usize = 16 << 10;

/// A server that ends with the test.
struct Coturn {
    process: Child,
    folder: PathBuf,
}

impl Coturn {
    fn start(name: &str, port: u16) -> Self {
        let folder = std::env::temp_dir().join(format!("wigwag-coturn-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=turn".split(' '))
            .args(["-addext", &format!("subjectAltName=IP:{ADDRESS}"), "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&folder)
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = Command::new("turnserver")
            .args("-n --no-cli --lt-cred-mech -u user:pass -r test --fingerprint --no-multicast-peers".split(' '))
            .args(["-L", ADDRESS, "-E", ADDRESS, "-p", &port.to_string()])
            .args(["--tls-listening-port", &(port + 1).to_string(), "--cert", "cert.pem", "--pkey", "key.pem"])
            .args(["--userdb", "db", "--pidfile", "pid", "--log-file", "stdout", "--simple-log", "--verbose"])
            .current_dir(&folder)
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("turnserver (Debian package coturn)");
        let coturn = Self { process, folder };
        let begin = Instant::now();
        while TcpStream::connect((ADDRESS, port + 1)).is_err() {
            assert!(begin.elapsed() < LIMIT, "coturn does not start: {}", coturn.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        coturn
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn tls(&self) -> Tls {
        Tls::with_roots_pem(&std::fs::read(self.folder.join("cert.pem")).unwrap()).unwrap()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn connection(url: &str, password: &str, tls: Tls) -> PeerConnection {
    let mut config = Config::new(random_seed().unwrap());
    config.ice_servers = vec![IceServer::new([url], "user", password).unwrap()];
    config.ice_transport_policy = TransportPolicy::Relay;
    PeerConnection::new_with_tls(config, tls).unwrap()
}

/// Descriptions with all candidates.
async fn exchange(one: &PeerConnection, other: &PeerConnection) {
    let described = |description: SessionDescription, from: &PeerConnection| {
        from.set_local_description(description).unwrap();
    };
    described(one.create_offer().unwrap(), one);
    one.gathered().await;
    other.set_remote_description(one.local_description().unwrap()).unwrap();
    described(other.create_answer().unwrap(), other);
    other.gathered().await;
    one.set_remote_description(other.local_description().unwrap()).unwrap();
}

async fn transfer(url: &str, tls: Tls) {
    let begin = Instant::now();
    let (one, other) = (connection(url, "pass", tls.clone()), connection(url, "pass", tls));
    let channel = one.create_data_channel("data", ChannelInit::default()).unwrap();
    exchange(&one, &other).await;
    let gathered = begin.elapsed();
    one.connected().await.unwrap();
    let there = other.accept().await.expect("a channel");
    let connected = begin.elapsed();
    let sdp = one.local_description().unwrap().sdp;
    assert!(sdp.contains("typ relay") && !sdp.contains("typ host") && !sdp.contains("typ srflx"), "{sdp}");
    let path = one.with(|engine, _| engine.selected_path()).unwrap();
    assert_eq!(path.local.ip().to_string(), ADDRESS);
    let send = async {
        for n in 0..MESSAGES {
            channel.send(Message::binary(vec![n as u8; LEN])).await.unwrap();
        }
    };
    let receive = async {
        for n in 0..MESSAGES {
            let message = there.receive().await.expect("a message");
            assert!(message.data.len() == LEN && message.data.iter().all(|byte| *byte == n as u8), "message {n}");
        }
        // And back.
        there.send(Message::text("all of it")).await.unwrap();
    };
    let begin = Instant::now();
    tokio::join!(send, receive);
    assert_eq!(channel.receive().await.unwrap().as_str(), Some("all of it"));
    let rate = (MESSAGES * LEN) as f64 / begin.elapsed().as_secs_f64() / 1e6;
    println!("{url}: gathered after {gathered:?}, connected after {connected:?}, {rate:.1} MB/s");
    one.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants coturn in a namespace: tests/run nat"]
async fn relayed_over_udp_tcp_and_tls() {
    let coturn = Coturn::start("relayed", 3478);
    for url in ["turn:198.51.100.1", "turn:198.51.100.1?transport=tcp", "turns:198.51.100.1:3479"] {
        tokio::time::timeout(LIMIT, transfer(url, coturn.tls())).await.unwrap_or_else(|_| panic!("{url}: not in time"));
    }
    // Whatever was lent was given back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let log = coturn.log();
    let count = |what| log.matches(what).count();
    let [lent, returned] = ["ALLOCATE processed, success", "username=<user>, lifetime=0"].map(count);
    assert_eq!((lent, returned), (6, 6), "two for each");
}

#[tokio::test]
#[ignore = "wants coturn in a namespace: tests/run nat"]
async fn what_coturn_refuses_is_told() {
    let coturn = Coturn::start("refused", 4478);
    for (url, password, tls, code) in [
        ("turn:198.51.100.1:4478", "wrong", coturn.tls(), 401),
        ("turn:198.51.100.1:4478?transport=tcp", "wrong", coturn.tls(), 401),
        ("turn:198.51.100.1:9?transport=tcp", "pass", coturn.tls(), 701),
        ("turns:198.51.100.1:4479", "pass", Tls::system(), 701), // its certificate is nobody's
    ] {
        let connection = connection(url, password, tls);
        let _channel = connection.create_data_channel("data", ChannelInit::default()).unwrap();
        connection.set_local_description(connection.create_offer().unwrap()).unwrap();
        let error = async {
            loop {
                if let Event::IceCandidateError { error_code, error_text, .. } = connection.next_event().await.unwrap()
                {
                    return (error_code, error_text);
                }
            }
        };
        let (told, text) = tokio::time::timeout(LIMIT, error).await.unwrap_or_else(|_| panic!("{url}: not told"));
        println!("{url}: {told} {text}");
        assert_eq!(told, code, "{url}: {text}");
    }
}
