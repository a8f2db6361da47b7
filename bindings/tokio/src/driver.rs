//! Moves datagrams and time for a set of connections.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use wigwag::transmit::MAX_BATCH_BYTES;
use wigwag::{ConnectionId, ConnectionSet, Input, Instant, Received, Route, Transmit, TransmitBuffer};

use crate::clock::Clock;
use crate::inbox::{Inbox, MAX_INCOMING};
use crate::multicast::Groups;
use crate::requests::{self, Owned};
use crate::socket::{ReceiveBuffers, Socket};
use crate::stream::Stream;
use crate::tls::Tls;

/// How many system calls' worth of datagrams are taken before others get the lock.
const RECEIVES_PER_TURN: usize = 4;

/// The state that all handles and tasks share.
#[derive(Debug)]
pub(crate) struct Driver {
    state: Mutex<State>,
    /// Wakes the task that sends and keeps the time.
    wake: Notify,
    pub clock: Clock,
}

#[derive(Debug)]
pub(crate) struct State {
    pub set: ConnectionSet,
    pub endpoint: wigwag::Endpoint,
    pub inboxes: HashMap<ConnectionId, Inbox>,
    pub sockets: HashMap<SocketAddr, Arc<Socket>>,
    /// Whom TLS trusts.
    pub tls: Tls,
    /// Those of them that hear multicast groups.
    groups: Groups,
    /// What connections asked for.
    owned: HashMap<ConnectionId, Owned>,
    /// Handles that can still make or use connections.
    handles: usize,
    receive_buffers: ReceiveBuffers,
    send_memory: Box<[u8]>,
    /// What a socket, by its address, had no room for; nothing else is sent by it before.
    unsent: HashMap<SocketAddr, (Transmit, Vec<u8>)>,
    /// When the task that keeps the time will wake.
    armed: Option<Instant>,
}

impl Driver {
    /// A driver with one handle, and the task that sends and keeps the time. Wants a tokio runtime.
    pub fn start() -> Arc<Self> {
        let state = State {
            set: ConnectionSet::default(),
            endpoint: wigwag::Endpoint::default(),
            inboxes: HashMap::new(),
            sockets: HashMap::new(),
            tls: Tls::system(),
            groups: Groups::default(),
            owned: HashMap::new(),
            handles: 1,
            receive_buffers: ReceiveBuffers::default(),
            send_memory: vec![0; MAX_BATCH_BYTES].into_boxed_slice(),
            unsent: HashMap::new(),
            armed: None,
        };
        let driver = Arc::new(Self { state: Mutex::new(state), wake: Notify::new(), clock: Clock::start() });
        tokio::spawn(Arc::clone(&driver).run());
        driver
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the engine's state whole: its verbs don't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was asked of a connection: it is to be polled soon.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// A connection that was not asked for more may be asked again.
    pub fn poll_again(&self, id: ConnectionId) {
        // Whoever is looked at so is ready.
        let _ = self.lock().set.get_mut(id);
        self.wake();
    }

    pub fn add_handle(&self) {
        self.lock().handles += 1;
    }

    pub fn drop_handle(&self) {
        self.lock().handles -= 1;
        self.wake();
    }

    /// Takes datagrams in from `socket`, until it is closed.
    pub fn receive_from(self: &Arc<Self>, socket: Arc<Socket>) {
        let driver = Arc::clone(self);
        tokio::spawn(async move {
            while socket.readable().await {
                driver.receive(&socket);
                tokio::task::yield_now().await;
            }
        });
    }

    fn receive(self: &Arc<Self>, socket: &Socket) {
        let mut state = self.lock();
        let now = self.clock.now();
        for _ in 0..RECEIVES_PER_TURN {
            match state.receive(now, socket) {
                Ok(true) => {}
                Ok(false) => break,
                // An ICMP error of an earlier send, for example: the path's checks will tell.
                Err(error) => tracing::debug!(%error, local = %socket.local, "receiving failed"),
            }
        }
        state.pump(self);
        let deadline = state.set.poll_timeout();
        if !state.unsent.is_empty() || deadline.is_some_and(|at| state.armed.is_none_or(|armed| at < armed)) {
            self.wake();
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            let (deadline, blocked) = {
                let mut state = self.lock();
                state.pump(&self);
                if state.handles == 0 && state.set.is_empty() {
                    state.sockets.drain().for_each(|(_, socket)| socket.close());
                    return;
                }
                state.armed = state.set.poll_timeout();
                (state.armed, state.blocked_socket())
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep_until(deadline.map(|at| self.clock.at(at))) => {}
                () = writable(blocked) => {}
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn writable(socket: Option<Arc<Socket>>) {
    match socket {
        Some(socket) => socket.writable().await,
        None => std::future::pending().await,
    }
}

impl State {
    /// Hands what `socket` has to whom it belongs; `false` if it had nothing.
    fn receive(&mut self, now: Instant, socket: &Socket) -> io::Result<bool> {
        let Self { set, endpoint, groups, receive_buffers, .. } = self;
        let members = groups.members(socket.local);
        socket.receive(receive_buffers, |received| {
            if let Some(members) = members {
                hand_to_all(now, members, received, set);
                return;
            }
            let Some(id) = endpoint.route(received.path, received.bytes) else {
                tracing::trace!(remote = %received.path.remote, len = received.bytes.len(), "a datagram for nobody");
                return;
            };
            if let Some(connection) = set.get_mut(id) {
                connection.handle_input(now, Input::Datagrams(received));
            }
        })
    }

    /// Polls whoever is ready.
    pub fn pump(&mut self, driver: &Arc<Driver>) {
        let now = driver.clock.now();
        self.send_unsent();
        let mut ended = Vec::new();
        let mut displaced = Vec::new();
        let Self { set, endpoint, inboxes, sockets, groups, owned, send_memory, unsent, tls, .. } = self;
        // Of all sockets, since which one a batch is for is known when it is written.
        let max_segments = sockets.values().map(|socket| socket.max_segments()).min().unwrap_or(1);
        while let Some(mut ready) = set.next_ready(now) {
            let id = ready.id;
            while let Some(request) = ready.poll_request() {
                let mine = owned.entry(id).or_default();
                if let Some(answer) = requests::answer(driver, id, request, sockets, groups, tls, mine) {
                    ready.handle_input(now, Input::Answer(answer));
                }
            }
            let inbox = inboxes.entry(id).or_default();
            while let Some(event) = ready.poll_state_event() {
                inbox.put(event, &ready);
            }
            while let Some(event) = ready.poll_media_event() {
                inbox.put(event, &ready);
            }
            // A connection that has ended brings no more than it has, and who waits for its end may not read.
            while inbox.is_orphan || inbox.has_room() || ready.is_closed() {
                let Some(event) = ready.poll_event() else { break };
                inbox.put(event, &ready);
                if inbox.incoming.len() > MAX_INCOMING
                    && let Some(id) = inbox.incoming.pop_back()
                {
                    inbox.orphan(id);
                    ready.close_channel(id);
                }
            }
            inbox.look_at(&ready);
            let streams = &owned.entry(id).or_default().streams;
            loop {
                let is_blocked = match ready.selected_route() {
                    Some(Route::Udp(path)) => unsent.contains_key(&path.local),
                    Some(Route::Stream(id)) => streams.get(&id).is_some_and(Stream::is_busy),
                    None => false,
                };
                if is_blocked {
                    break;
                }
                let mut out = TransmitBuffer::new(send_memory, max_segments);
                let Some(transmit) = ready.poll_transmit(now, &mut out) else { break };
                let bytes = out.bytes(&transmit);
                // Behind what is unsent already, a check is lost: checks are repeated.
                if let Route::Stream(id) = transmit.route {
                    // Closed meanwhile, if it is not there.
                    streams.get(&id).iter().for_each(|stream| stream.write(bytes));
                } else if let Err(Blocked(local)) = send(sockets, &transmit, bytes) {
                    unsent.entry(local).or_insert_with(|| (transmit, bytes.to_vec()));
                }
            }
            // Last: a check that was just written has an id by which its answer will be known.
            while let Some(event) = ready.poll_endpoint_event() {
                displaced.extend(endpoint.handle_event(id, event));
            }
            if ready.is_closed() && inbox.is_orphan {
                ended.push(id);
            }
        }
        for lost in displaced {
            if let Some(connection) = set.get_mut(lost.connection) {
                connection.handle_displaced(now, lost.path);
            }
        }
        for id in ended {
            self.remove(id);
        }
    }

    /// Whether a connection has not ended yet.
    pub fn has_open(&self) -> bool {
        self.set.ids().any(|id| self.set.get(id).is_some_and(|connection| !connection.is_closed()))
    }

    fn send_unsent(&mut self) {
        let Self { sockets, unsent, .. } = self;
        unsent.retain(|_, (transmit, bytes)| send(sockets, transmit, bytes).is_err());
    }

    fn blocked_socket(&self) -> Option<Arc<Socket>> {
        // One of them: when it is writable, the others are tried, too. (And the engine asks to come back anyway.)
        self.unsent.keys().find_map(|local| self.sockets.get(local)).cloned()
    }

    fn remove(&mut self, id: ConnectionId) {
        self.set.remove(id);
        self.endpoint.remove(id);
        self.inboxes.remove(&id);
        let owned = self.owned.remove(&id).unwrap_or_default();
        let left = owned.groups.into_iter().filter(|&local| self.groups.leave(id, local).is_some());
        for local in owned.locals.into_iter().chain(left.collect::<Vec<_>>()) {
            self.unsent.remove(&local);
            if let Some(socket) = self.sockets.remove(&local) {
                socket.close();
            }
        }
    }
}

/// A multicast datagram is for everybody who listens.
fn hand_to_all(now: Instant, members: &[ConnectionId], received: Received<'_>, set: &mut ConnectionSet) {
    for &id in members {
        let mut bytes = received.bytes.to_vec(); // Input may be changed where it lies.
        let copy = Received { bytes: &mut bytes, ..received };
        if let Some(connection) = set.get_mut(id) {
            connection.handle_input(now, Input::Datagrams(copy));
        }
    }
}

/// The kernel has no room now, for the socket of this address.
struct Blocked(SocketAddr);

/// Sends a batch. What can't be sent for another reason is lost, as datagrams may be: the layers above notice.
fn send(sockets: &HashMap<SocketAddr, Arc<Socket>>, transmit: &Transmit, bytes: &[u8]) -> Result<(), Blocked> {
    let Route::Udp(path) = transmit.route else {
        return Ok(());
    };
    let Some(socket) = sockets.get(&path.local) else {
        return Ok(()); // closed meanwhile
    };
    match socket.send(transmit, path, bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Blocked(path.local)),
        Err(error) => {
            tracing::debug!(%error, remote = %path.remote, "sending failed");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
