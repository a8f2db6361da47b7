//! The engine's examples, run as their users run them: an offer in, an answer out, and every message comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;
use wigwag_tokio::{ChannelInit, Endpoint, Message, SessionDescription};

/// Building an example may take long; everything after it is quick.
const BUILT: Duration = Duration::from_secs(300);
const SOON: Duration = Duration::from_secs(10);

async fn echoes(example: &str) {
    let mut program = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "-p", "wigwag", "--example", example, "--", "127.0.0.1:0"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("cargo runs");

    let endpoint = Endpoint::bind(&["127.0.0.1".parse().unwrap()], 0).unwrap();
    let connection = endpoint.connection().unwrap();
    let channel = connection.create_data_channel("data", ChannelInit::default()).unwrap();
    connection.set_local_description(connection.create_offer().unwrap()).unwrap();
    let offer = connection.local_description().unwrap().sdp;
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(offer.as_bytes()).await.unwrap();
    drop(stdin);

    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut answer = String::new();
    while let Some(line) = timeout(BUILT, lines.next_line()).await.expect("an answer").unwrap() {
        if line.trim_end().is_empty() {
            break;
        }
        answer += &format!("{line}\r\n");
    }
    connection.set_remote_description(SessionDescription::answer(answer)).unwrap();
    timeout(SOON, channel.opened()).await.expect("the channel opens").unwrap();
    for message in [Message::text("hello"), Message::binary(vec![7; 200_000]), Message::text("")] {
        for _ in 0..20 {
            channel.send(message.clone()).await.unwrap();
        }
        for _ in 0..20 {
            assert!(timeout(SOON, channel.receive()).await.expect("an echo").unwrap() == message);
        }
    }
    connection.close().await;
    let status = timeout(SOON, program.wait()).await.expect("the example ends with its peer").unwrap();
    let mut log = String::new();
    program.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(status.success(), "{log}");
    assert!(log.contains("connected") && log.contains("closed"), "{log}");
}

#[tokio::test]
async fn blocking() {
    echoes("blocking").await;
}

#[tokio::test]
async fn mio() {
    echoes("mio").await;
}
