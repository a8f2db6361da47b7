//! What the demo does on a connection: every message comes back on its channel, every track on its transceiver.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use wigwag_tokio::{DataChannel, Event, PeerConnection, TransceiverId};

use crate::connections::Guard;
use crate::{files, tracks};

/// The server closes a channel of this name after its first message has come back: so that a peer can see both ends
/// of closing.
const CLOSED_BY_SERVER: &str = "close-me";

/// Who is not connected by then will not be.
const CONNECT_LIMIT: Duration = Duration::from_secs(90);

/// Echoes on `channels`, on all that the peer opens, and on all tracks, until the connection is over; then its name is
/// free again.
pub async fn serve(connection: PeerConnection, channels: Vec<DataChannel>, guard: Guard) {
    let mut tasks: JoinSet<()> = channels.into_iter().map(serve_channel).collect();
    let serving = async {
        tokio::join!(accept(&connection, &mut tasks), echo_tracks(&connection));
    };
    tokio::select! {
        () = serving => {}
        () = gives_up(&connection) => tracing::debug!(state = %connection.connection_state(), "nobody came"),
    }
    tracing::debug!(state = %connection.connection_state(), "the connection is over");
    drop(guard);
}

/// Ends if nobody comes in time.
async fn gives_up(connection: &PeerConnection) {
    if let Ok(Ok(())) = timeout(CONNECT_LIMIT, connection.connected()).await {
        std::future::pending().await
    }
}

async fn accept(connection: &PeerConnection, tasks: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(channel) => drop(tasks.spawn(serve_channel(channel))),
                None => break,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn echo_tracks(connection: &PeerConnection) {
    let mut echoed: HashMap<TransceiverId, AbortHandle> = HashMap::new();
    let mut tasks: JoinSet<()> = JoinSet::new();
    while let Some(event) = connection.next_event().await {
        let Event::Track(id) = event else { continue };
        // Those of transceivers that were stopped have ended.
        while tasks.try_join_next().is_some() {}
        echoed.retain(|_, task| !task.is_finished());
        // One that ceased and began again is still being read.
        if let Some(transceiver) = connection.transceiver(id).filter(|_| !echoed.contains_key(&id)) {
            echoed.insert(id, tasks.spawn(tracks::echo(transceiver)));
        }
    }
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
