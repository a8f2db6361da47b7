//! Files there and back: a data channel for each, with the protocol [`PROTOCOL`].
//!
//! 1. The peer sends a header, text: `{"name":"..","size":123,"type":".."}`.
//! 2. It sends the content in order, in binary messages of any length, `size` bytes in all. Each comes back as it came,
//!    while the rest still comes: a message is received only when the one before it was taken by the connection, so
//!    what is held here is a few messages, whatever the file's size, and a peer that reads slowly sends slowly.
//! 3. When all is on its way back, it gets `{"sha256":"<hex>","bytes":123}`: what was received here.
//! 4. It closes the channel. To close it earlier is to cancel.
//!
//! What breaks the rules is answered with `{"error":"..."}`, and the channel is closed.

use aws_lc_rs::digest;
use serde::Deserialize;
use wigwag_tokio::{DataChannel, Message, SendError};

/// The data channel's protocol.
pub const PROTOCOL: &str = "wigwag-file";

/// Longer than any file system's names, with their escapes.
const MAX_HEADER: usize = 8 << 10;

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    /// In bytes.
    size: u64,
}

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error("the peer cancelled")]
    Cancelled,
    #[error("the channel's first message is not a header: {0}")]
    NoHeader(String),
    #[error("there are more bytes than the header said ({0})")]
    TooMany(u64),
    #[error("text where there should be content")]
    Text,
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Serves one file, until the peer closes the channel.
pub async fn serve(channel: DataChannel) {
    let Err(error) = transfer(&channel).await else { return };
    tracing::debug!(%error, "a file's transfer ends early");
    if !matches!(error, TransferError::Cancelled | TransferError::Send(_)) {
        let told = channel.send(Message::text(serde_json::json!({ "error": error.to_string() }).to_string())).await;
        tracing::trace!(?told, "the peer is told"); // it may have gone: then nobody wants to know
    }
    channel.close();
}

async fn transfer(channel: &DataChannel) -> Result<(), TransferError> {
    let header = header(&channel.receive().await.ok_or(TransferError::Cancelled)?)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut bytes = 0;
    while bytes < header.size {
        let message = channel.receive().await.ok_or(TransferError::Cancelled)?;
        bytes += content(&message)?.len() as u64;
        if bytes > header.size {
            return Err(TransferError::TooMany(header.size));
        }
        hash.update(&message.data);
        channel.send(message).await?;
    }
    let sha256: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    tracing::debug!(name = header.name, bytes, sha256, "a file came and went");
    channel.send(Message::text(serde_json::json!({ "sha256": sha256, "bytes": bytes }).to_string())).await?;
    match channel.receive().await {
        None => Ok(()),
        Some(_) => Err(TransferError::TooMany(header.size)),
    }
}

fn header(message: &Message) -> Result<Header, TransferError> {
    let no = |reason: &dyn ToString| TransferError::NoHeader(reason.to_string());
    let text = message.as_str().ok_or_else(|| no(&"it is binary"))?;
    if text.len() > MAX_HEADER {
        return Err(no(&format!("it is longer than {MAX_HEADER} bytes")));
    }
    serde_json::from_str(text).map_err(|error| no(&error))
}

fn content(message: &Message) -> Result<&[u8], TransferError> {
    match message.is_text {
        true => Err(TransferError::Text),
        false => Ok(&message.data),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use wigwag_tokio::{ChannelInit, Endpoint, PeerConnection};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A channel to the service, over real sockets on loopback, and what keeps it alive.
    async fn channel() -> (DataChannel, [PeerConnection; 2]) {
        let endpoint = || Endpoint::bind(&["127.0.0.1".parse().unwrap()], 0).unwrap();
        let (here, there) = (endpoint().connection().unwrap(), endpoint().connection().unwrap());
        let init = ChannelInit { protocol: PROTOCOL.to_owned(), ..ChannelInit::default() };
        let ours = here.create_data_channel("a file", init).unwrap();
        here.set_local_description(here.create_offer().unwrap()).unwrap();
        there.set_remote_description(here.local_description().unwrap()).unwrap();
        there.set_local_description(there.create_answer().unwrap()).unwrap();
        here.set_remote_description(there.local_description().unwrap()).unwrap();
        let theirs = timeout(SOON, there.accept()).await.expect("the channel arrives").unwrap();
        tokio::spawn(serve(theirs));
        (ours, [here, there])
    }

    /// What comes back on `messages`, until the service closes the channel or a verdict comes.
    async fn told(messages: Vec<Message>) -> (Vec<Message>, serde_json::Value) {
        let (channel, _alive) = channel().await;
        for message in messages {
            channel.send(message).await.unwrap();
        }
        let mut back = Vec::new();
        loop {
            let message = timeout(SOON, channel.receive()).await.expect("a verdict").expect("a verdict before the end");
            match message.as_str() {
                Some(text) => return (back, serde_json::from_str(text).unwrap()),
                None => back.push(message),
            }
        }
    }

    fn header(size: i64) -> Message {
        Message::text(format!(r#"{{"name":"a","size":{size},"type":""}}"#))
    }

    #[tokio::test]
    async fn every_piece_comes_back_and_then_the_hash() {
        let pieces = [Message::binary("ab"), Message::binary(""), Message::binary("c")];
        let (back, verdict) = told([vec![header(3)], pieces.to_vec()].concat()).await;
        assert!(back == pieces);
        // FIPS 180-4's own example.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(verdict, serde_json::json!({ "sha256": abc, "bytes": 3 }));
    }

    #[tokio::test]
    async fn an_empty_file_has_a_hash_too() {
        let (back, verdict) = told(vec![header(0)]).await;
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(back.is_empty() && verdict == serde_json::json!({ "sha256": nothing, "bytes": 0 }), "{verdict}");
    }

    #[tokio::test]
    async fn what_breaks_the_rules_is_answered_in_words() {
        let long = Message::text(format!(r#"{{"name":"{}","size":0}}"#, "x".repeat(MAX_HEADER)));
        for (messages, words) in [
            (vec![Message::text("no header")], "not a header"),
            (vec![Message::binary("{}")], "not a header"),
            (vec![header(-1)], "not a header"),
            (vec![long], "longer than"),
            (vec![header(2), Message::binary("abc")], "more bytes"),
            (vec![header(2), Message::text("ab")], "text where"),
        ] {
            let (_, verdict) = told(messages).await;
            assert!(verdict["error"].as_str().unwrap().contains(words), "{words}: {verdict}");
        }
    }
}
