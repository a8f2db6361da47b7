//! What the demo does on a connection: every message comes back on its channel.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wigwag_tokio::{DataChannel, PeerConnection};

use crate::files;

/// The server closes a channel of this name after its first message has come back: so that a peer can see both ends
/// of closing.
const CLOSED_BY_SERVER: &str = "close-me";

/// Who is not connected by then will not be.
const CONNECT_LIMIT: Duration = Duration::from_secs(90);

/// Echoes on `channels` and on all that the peer opens, until the connection is over. It counts for the `permit`.
pub async fn serve(connection: PeerConnection, channels: Vec<DataChannel>, permit: OwnedSemaphorePermit) {
    if !matches!(timeout(CONNECT_LIMIT, connection.connected()).await, Ok(Ok(()))) {
        tracing::debug!(state = %connection.connection_state(), "nobody came");
        return;
    }
    let mut tasks: JoinSet<()> = channels.into_iter().map(serve_channel).collect();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(channel) => drop(tasks.spawn(serve_channel(channel))),
                None => break,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    tracing::debug!(state = %connection.connection_state(), "the connection is over");
    drop(permit);
}

async fn serve_channel(channel: DataChannel) {
    match channel.protocol() {
        files::PROTOCOL => files::serve(channel).await,
        _ => echo(channel).await,
    }
}

async fn echo(channel: DataChannel) {
    let is_closed_here = channel.label() == CLOSED_BY_SERVER;
    while let Some(message) = channel.receive().await {
        if let Err(error) = channel.send(message).await {
            tracing::debug!(%error, "the echo ends");
            return;
        }
        if is_closed_here {
            channel.close();
        }
    }
}
