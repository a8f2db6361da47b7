//! Streams, TCP and TLS, that the engine asks for: each a task that reads and writes.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use wigwag::request::{OpenStream, StreamSecurity};
use wigwag::{ConnectionId, Input};

use crate::driver::Driver;
use crate::requests::tell;
use crate::tls::Tls;

/// Bytes that wait to be written; a batch that does not fit is lost, as a datagram would be.
const MAX_UNWRITTEN: usize = 256 << 10;
/// With more than this, a connection that sends this way is not asked for more: some 10 ms at 100 Mbit/s.
const ENOUGH_UNWRITTEN: usize = 128 << 10;
const READ_BUFFER: usize = 64 << 10;

/// The writing end of a stream. The last one that is dropped, or [`close`](Self::close), ends it after what it was given.
#[derive(Debug)]
pub(crate) struct Stream {
    outbox: Arc<Outbox>,
}

#[derive(Debug, Default)]
struct Outbox {
    bytes: Mutex<VecDeque<u8>>,
    is_closed: AtomicBool,
    changed: Notify,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// Opens a stream in the background; the answer goes to the connection that asked.
    pub fn open(driver: &Arc<Driver>, id: ConnectionId, request: OpenStream, tls: Tls) -> Self {
        let outbox = Arc::new(Outbox::default());
        tokio::spawn(run(Arc::downgrade(driver), id, request, tls, Arc::clone(&outbox)));
        Self { outbox }
    }

    /// Takes a batch to be written.
    pub fn write(&self, bytes: &[u8]) {
        let mut waiting = self.outbox.lock();
        if waiting.len() + bytes.len() > MAX_UNWRITTEN {
            tracing::debug!(len = bytes.len(), "a stream has no room: a batch is lost");
            return;
        }
        waiting.extend(bytes);
        drop(waiting);
        self.outbox.changed.notify_one();
    }

    /// Whether it has enough to write for now; the driver is woken when it has not any more.
    pub fn is_busy(&self) -> bool {
        self.outbox.lock().len() > ENOUGH_UNWRITTEN
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.outbox.is_closed.store(true, Ordering::Release);
        self.outbox.changed.notify_one();
    }
}

async fn run(driver: Weak<Driver>, id: ConnectionId, request: OpenStream, tls: Tls, outbox: Arc<Outbox>) {
    let stream = request.stream;
    let connected = tokio::select! {
        connected = connect(request.local, request.remote) => connected,
        () = closed(&outbox) => return,
    };
    let (io, local) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            tell(&driver, id, Input::Answer(request.failed(wigwag::Refused::Failed(error.to_string()))));
            return;
        }
    };
    match request.security.clone() {
        StreamSecurity::Plain => {
            tell(&driver, id, Input::Answer(request.opened(local)));
            carry(&driver, id, stream, io, &outbox).await;
        }
        StreamSecurity::Tls { server_name } => {
            let handshake = async {
                let (connector, name) = tls.connector(&server_name)?;
                connector.connect(name, io).await
            };
            let shaken = tokio::select! {
                shaken = handshake => shaken,
                () = closed(&outbox) => return,
            };
            match shaken {
                Ok(io) => {
                    tell(&driver, id, Input::Answer(request.opened(local)));
                    carry(&driver, id, stream, io, &outbox).await;
                }
                Err(error) => {
                    let reason = format!("TLS: {error}");
                    tell(&driver, id, Input::Answer(request.failed(wigwag::Refused::Failed(reason))));
                    return;
                }
            }
        }
    }
    tell(&driver, id, Input::StreamClosed(stream));
}

async fn connect(local: Option<SocketAddr>, remote: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(local)?;
    }
    let io = socket.connect(remote).await?;
    io.set_nodelay(true)?;
    let local = io.local_addr()?;
    Ok((io, local))
}

/// When nobody wants the stream any more.
async fn closed(outbox: &Outbox) {
    while !outbox.is_closed.load(Ordering::Acquire) {
        outbox.changed.notified().await;
    }
}

/// Reads and writes until one of both ends.
async fn carry(
    driver: &Weak<Driver>,
    id: ConnectionId,
    stream: wigwag::StreamId,
    io: impl AsyncRead + AsyncWrite + Unpin,
    outbox: &Outbox,
) {
    let (mut reader, mut writer) = tokio::io::split(io);
    let read = async {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) => return,
                Ok(len) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    if !tell(driver, id, Input::Stream { id: stream, bytes }) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a stream broke");
                    return;
                }
            }
        }
    };
    let write = async {
        loop {
            let (chunk, was_busy): (Vec<u8>, bool) = {
                let mut waiting = outbox.lock();
                let was_busy = waiting.len() > ENOUGH_UNWRITTEN;
                (waiting.drain(..).collect(), was_busy)
            };
            if was_busy && let Some(driver) = driver.upgrade() {
                driver.poll_again(id);
            }
            if chunk.is_empty() {
                if outbox.is_closed.load(Ordering::Acquire) {
                    // The end is said; whether it is heard, nobody waits to know.
                    drop(writer.shutdown().await);
                    return;
                }
                outbox.changed.notified().await;
                continue;
            }
            let written = async {
                writer.write_all(&chunk).await?;
                writer.flush().await
            };
            if let Err(error) = written.await {
                tracing::debug!(%error, "a stream broke");
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}
