//! What the engine asks for, done.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use wigwag::{Answer, ConnectionId, Input, Refused, Request, StreamId};

use crate::driver::Driver;
use crate::interfaces::local_interfaces;
use crate::multicast::Groups;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::tls::Tls;

/// How often the interfaces are looked at for changes.
const WATCH_INTERVAL: Duration = Duration::from_secs(3);

/// What was made for one connection, and goes with it.
#[derive(Debug, Default)]
pub(crate) struct Owned {
    /// Streams, by their names.
    pub streams: HashMap<StreamId, Stream>,
    /// Sockets, by their addresses.
    pub locals: Vec<SocketAddr>,
    /// Where it listens to multicast groups.
    pub groups: Vec<SocketAddr>,
    /// A task tells it of changes of the interfaces.
    is_watched: bool,
}

/// Does what `request` asks; the answer, unless there is none or it comes later.
pub(crate) fn answer(
    driver: &Arc<Driver>,
    id: ConnectionId,
    request: Request,
    sockets: &mut HashMap<SocketAddr, Arc<Socket>>,
    groups: &mut Groups,
    tls: &Tls,
    Owned { streams, locals: owned, groups: joined, is_watched }: &mut Owned,
) -> Option<Answer> {
    Some(match request {
        Request::BindUdp(request) => match Socket::bind(request.local, request.ports.clone()) {
            Ok(socket) => {
                let local = socket.local;
                driver.receive_from(Arc::clone(&socket));
                sockets.insert(local, socket);
                owned.push(local);
                request.bound(local)
            }
            Err(error) => request.failed(Refused::Failed(error.to_string())),
        },
        Request::CloseUdp(request) => {
            if let Some(at) = owned.iter().position(|&local| local == request.local) {
                owned.swap_remove(at);
                sockets.remove(&request.local)?.close();
            } else if let Some(at) = joined.iter().position(|&local| local == request.local) {
                joined.swap_remove(at);
                groups.leave(id, request.local)?.close();
                sockets.remove(&request.local);
            }
            return None;
        }
        Request::ResolveName(request) => {
            let driver = Arc::downgrade(driver);
            tokio::spawn(async move {
                let found: std::io::Result<Vec<_>> =
                    tokio::net::lookup_host((request.host.clone(), 0)).await.map(Iterator::collect);
                let answer = match found {
                    Ok(addresses) => request.resolved(addresses.iter().map(SocketAddr::ip).collect()),
                    Err(error) => request.failed(Refused::Failed(error.to_string())),
                };
                tell(&driver, id, Input::Answer(answer));
            });
            return None;
        }
        Request::WatchInterfaces(request) => match local_interfaces() {
            Ok(interfaces) => {
                if !std::mem::replace(is_watched, true) {
                    tokio::spawn(watch(Arc::downgrade(driver), id, interfaces.clone()));
                }
                request.interfaces(interfaces)
            }
            Err(error) => request.failed(Refused::Failed(error.to_string())),
        },
        Request::OpenStream(request) => {
            streams.insert(request.stream, Stream::open(driver, id, request, tls.clone()));
            return None;
        }
        // What it was given is still written.
        Request::CloseStream(request) => {
            streams.remove(&request.stream);
            return None;
        }
        // ICE-TCP comes with the engine's own support for them.
        Request::ListenTcp(request) => request.failed(Refused::Unsupported),
        Request::JoinMulticast(request) => match groups.join(id, request.group, request.interface) {
            Ok((local, new)) => {
                if let Some(socket) = new {
                    driver.receive_from(Arc::clone(&socket));
                    sockets.insert(local, socket);
                }
                joined.push(local);
                request.joined(local)
            }
            Err(error) => request.failed(Refused::Failed(error.to_string())),
        },
        Request::CloseListener(_) => return None,
    })
}

/// Tells a connection something, if it is still there; `false` if not.
pub(crate) fn tell(driver: &Weak<Driver>, id: ConnectionId, input: Input<'_>) -> bool {
    let Some(driver) = driver.upgrade() else { return false };
    let now = driver.clock.now();
    let mut state = driver.lock();
    let Some(connection) = state.set.get_mut(id) else { return false };
    connection.handle_input(now, input);
    drop(state);
    driver.wake();
    true
}

async fn watch(driver: Weak<Driver>, id: ConnectionId, mut known: Vec<wigwag::Interface>) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        if driver.upgrade().is_none_or(|driver| driver.lock().set.get(id).is_none_or(|it| it.is_closed())) {
            return;
        }
        match local_interfaces() {
            Ok(interfaces) if interfaces != known => {
                known = interfaces;
                if !tell(&driver, id, Input::Interfaces(&known)) {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the interfaces can't be listed"),
        }
    }
}
