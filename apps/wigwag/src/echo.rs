//! What the demo does on a connection: every message comes back on its channel.

use tokio::task::JoinSet;
use wigwag_tokio::{DataChannel, PeerConnection};

/// The server closes a channel of this name after its first message has come back: so that a peer can see both ends
/// of closing.
const CLOSED_BY_SERVER: &str = "close-me";

/// Echoes on `channels` and on all that the peer opens, until the connection is over.
pub async fn serve(connection: PeerConnection, channels: Vec<DataChannel>) {
    let mut tasks: JoinSet<()> = channels.into_iter().map(echo).collect();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(channel) => drop(tasks.spawn(echo(channel))),
                None => break,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    tracing::debug!(state = %connection.connection_state(), "the connection is over");
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
