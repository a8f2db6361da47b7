//! A connection's handle.

use std::sync::Arc;

use wigwag::{
    CandidateError, ChannelInit, Config, ConnectionId, ConnectionState, DescriptionError, Event, Failure, Gathering,
    IceCandidate, IceGatheringState, Input, MediaKind, OpenError, SessionDescription, TransceiverError, TransceiverId,
    TransceiverInit,
};

use crate::channel::DataChannel;
use crate::clock::wall_clock;
use crate::driver::{Driver, State};
use crate::inbox::Inbox;
use crate::tls::Tls;
use crate::transceiver::Transceiver;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] wigwag::CertificateError),
    /// A socket's address is none that a peer could send to.
    #[error(transparent)]
    Socket(#[from] wigwag::SocketError),
    /// Neither randomness nor sockets can be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A connection to one peer: a handle, cheap to clone. When the last is dropped, its channels' included, the peer is told
/// goodbye in the background.
///
/// ```no_run
/// # async fn example(signal: impl AsyncFn(String) -> String) -> Result<(), Box<dyn std::error::Error>> {
/// use wigwag_tokio::{ChannelInit, Config, Message, PeerConnection, SessionDescription, random_seed};
///
/// let connection = PeerConnection::new(Config::new(random_seed()?))?;
/// let channel = connection.create_data_channel("chat", ChannelInit::default())?;
///
/// let offer = connection.create_offer()?;
/// connection.set_local_description(offer)?;
/// connection.gathered().await; // or send each `Event::IceCandidate` as it comes
/// let offer = connection.local_description().expect("it was just set");
/// let answer = signal(offer.sdp).await; // to the peer and back, however you like
/// connection.set_remote_description(SessionDescription::answer(answer))?;
///
/// channel.opened().await?;
/// channel.send(Message::text("hello")).await?;
/// while let Some(message) = channel.receive().await {
///     println!("{:?}", message.as_str());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PeerConnection {
    pub(crate) handle: Arc<Handle>,
}

/// The last one dropped ends the connection.
#[derive(Debug)]
pub(crate) struct Handle {
    pub driver: Arc<Driver>,
    pub id: ConnectionId,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let now = self.driver.clock.now();
        let mut state = self.driver.lock();
        if let Some(connection) = state.set.get_mut(self.id) {
            connection.close(now);
        }
        if let Some(inbox) = state.inboxes.get_mut(&self.id) {
            inbox.orphan_all();
        }
        drop(state);
        self.driver.drop_handle();
    }
}

impl Handle {
    /// Calls the engine, and has what follows from it done soon.
    pub fn with<T>(&self, call: impl FnOnce(&mut wigwag::PeerConnection, wigwag::Instant) -> T) -> Option<T> {
        let now = self.driver.clock.now();
        let result = self.driver.lock().set.get_mut(self.id).map(|connection| call(connection, now));
        self.driver.wake();
        result
    }

    /// Looks at the engine, without making it ready.
    pub fn look<T>(&self, look: impl FnOnce(&wigwag::PeerConnection) -> T) -> Option<T> {
        self.driver.lock().set.get(self.id).map(look)
    }

    /// Waits until `poll` finds something; it looks again whenever the connection changed.
    pub async fn wait<T>(&self, mut poll: impl FnMut(&mut State, ConnectionId) -> Option<T>) -> T {
        let changed = Arc::clone(&self.driver.lock().inboxes.entry(self.id).or_default().changed);
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable(); // before looking, so that no change is missed
            if let Some(found) = poll(&mut self.driver.lock(), self.id) {
                return found;
            }
            notified.await;
        }
    }
}

impl PeerConnection {
    /// A connection with sockets of its own: one on each interface, bound when gathering begins. Within a tokio runtime.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn new(config: Config) -> Result<Self, ConnectError> {
        Self::new_with_tls(config, Tls::system())
    }

    /// The same, where `turns:` servers are not those that the system trusts.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn new_with_tls(mut config: Config, tls: Tls) -> Result<Self, ConnectError> {
        config.gathering = Gathering::Interfaces;
        config.wall_clock = wall_clock();
        let connection = wigwag::PeerConnection::new(config)?;
        let driver = Driver::start();
        driver.lock().tls = tls;
        Ok(Self::insert(&driver, connection, true))
    }

    /// Takes a connection in. `owns_driver`: the driver's one handle is this connection's.
    pub(crate) fn insert(driver: &Arc<Driver>, mut connection: wigwag::PeerConnection, owns_driver: bool) -> Self {
        connection.handle_input(driver.clock.now(), Input::WallClock(wall_clock()));
        if !owns_driver {
            driver.add_handle();
        }
        let mut state = driver.lock();
        let id = state.set.insert(connection);
        state.inboxes.insert(id, Inbox::default());
        drop(state);
        driver.wake();
        Self { handle: Arc::new(Handle { driver: Arc::clone(driver), id }) }
    }

    /// Calls the engine directly: for what has no method here. The engine is locked meanwhile, with all connections of its
    /// endpoint: `call` must be quick, and must not use or drop a handle of theirs, or it waits for itself for ever.
    ///
    /// ```no_run
    /// # fn example(connection: wigwag_tokio::PeerConnection) {
    /// let bytes = connection.with(|engine, _now| engine.stats().bytes_sent);
    /// # }
    /// ```
    pub fn with<T>(&self, call: impl FnOnce(&mut wigwag::PeerConnection, wigwag::Instant) -> T) -> T {
        let Some(result) = self.handle.with(call) else {
            unreachable!("a connection stays while it has a handle");
        };
        result
    }

    /// An offer. Nothing changes by it.
    ///
    /// # Errors
    /// When the signalling state does not allow it.
    pub fn create_offer(&self) -> Result<SessionDescription, DescriptionError> {
        self.with(|engine, _| engine.create_offer())
    }

    /// An answer to the peer's offer. Nothing changes by it.
    ///
    /// # Errors
    /// When there is no offer to answer.
    pub fn create_answer(&self) -> Result<SessionDescription, DescriptionError> {
        self.with(|engine, _| engine.create_answer())
    }

    /// Applies the description that was created last; gathering begins with the first.
    ///
    /// # Errors
    /// When it is another one, or the signalling state does not allow it.
    pub fn set_local_description(&self, description: SessionDescription) -> Result<(), DescriptionError> {
        self.with(|engine, now| engine.set_local_description(now, description))
    }

    /// Applies the peer's description.
    ///
    /// # Errors
    /// When it is not SDP, or lacks what a connection needs, or the signalling state does not allow it.
    pub fn set_remote_description(&self, description: SessionDescription) -> Result<(), DescriptionError> {
        self.with(|engine, now| engine.set_remote_description(now, description))
    }

    /// Our description with the candidates that are known by now.
    pub fn local_description(&self) -> Option<SessionDescription> {
        self.with(|engine, _| engine.local_description())
    }

    /// A candidate of the peer's.
    ///
    /// # Errors
    /// When it is none, or belongs to nothing that the peer described.
    pub fn add_ice_candidate(&self, candidate: &IceCandidate) -> Result<(), CandidateError> {
        self.with(|engine, now| engine.add_ice_candidate(now, candidate))
    }

    /// Asks for new paths with the next offer.
    pub fn restart_ice(&self) {
        self.with(|engine, _| engine.restart_ice());
    }

    /// Creates a data channel. The first one wants an offer.
    ///
    /// # Errors
    /// When the connection is closed, or no channel is left.
    pub fn create_data_channel(&self, label: &str, init: ChannelInit) -> Result<DataChannel, OpenError> {
        let mut state = self.handle.driver.lock();
        let Some(connection) = state.set.get_mut(self.handle.id) else {
            return Err(OpenError::Closed);
        };
        let protocol = init.protocol.clone();
        let id = connection.create_data_channel(label, init)?;
        let inbox = state.inboxes.entry(self.handle.id).or_default();
        let entry = inbox.channels.entry(id).or_default();
        (entry.label, entry.protocol) = (label.to_owned(), protocol);
        let channel = DataChannel::new(&self.handle, id, inbox);
        drop(state);
        self.handle.driver.wake();
        Ok(channel)
    }

    /// Adds a transceiver: an m-line with audio or video in the next offer.
    ///
    /// # Errors
    /// When the connection is closed, has too many, or can use none of the codecs.
    pub fn add_transceiver(&self, kind: MediaKind, init: TransceiverInit) -> Result<Transceiver, TransceiverError> {
        let id = self.with(|engine, _| engine.add_transceiver(kind, init))?;
        Ok(Transceiver::new(&self.handle, id))
    }

    /// A track to be sent: on a transceiver that never sent, such as one that the peer's offer made, or on a new one.
    ///
    /// # Errors
    /// When the connection is closed, or has too many transceivers.
    pub fn add_track(
        &self,
        kind: MediaKind,
        track: Option<String>,
        streams: Vec<String>,
    ) -> Result<Transceiver, TransceiverError> {
        let id = self.with(|engine, _| engine.add_track(kind, track, streams))?;
        Ok(Transceiver::new(&self.handle, id))
    }

    /// The transceiver of this name, such as [`Event::Track`] tells.
    pub fn transceiver(&self, id: TransceiverId) -> Option<Transceiver> {
        let is_there = self.with(|engine, _| engine.transceiver(id).is_some());
        is_there.then(|| Transceiver::new(&self.handle, id))
    }

    /// All transceivers, in the order in which they were made.
    pub fn transceivers(&self) -> Vec<Transceiver> {
        let ids: Vec<_> = self.with(|engine, _| engine.transceivers().map(|it| it.id).collect());
        ids.into_iter().map(|id| Transceiver::new(&self.handle, id)).collect()
    }

    /// The next data channel that the peer opens; `None` when the connection is over.
    pub async fn accept(&self) -> Option<DataChannel> {
        let handle = &self.handle;
        let accepted = handle.wait(|state, id| {
            let inbox = state.inboxes.get_mut(&id)?;
            match inbox.incoming.pop_front() {
                Some(channel) => Some(Some(DataChannel::new(handle, channel, inbox))),
                None => inbox.is_over().then_some(None),
            }
        });
        accepted.await
    }

    /// The next event that is not about messages, channels and packets: states, candidates, tracks,
    /// [`BufferedAmountLow`](Event::BufferedAmountLow). Up to 256 are kept for who does not ask, and, beside them, one for each track that the
    /// peer sends. `None` when the connection is over and all were told.
    pub async fn next_event(&self) -> Option<Event> {
        let next = self.handle.wait(|state, id| {
            let inbox = state.inboxes.get_mut(&id)?;
            match inbox.events.pop_front() {
                Some(event) => Some(Some(event)),
                None => inbox.is_over().then_some(None),
            }
        });
        next.await
    }

    /// Waits until all of our candidates are in the local description.
    pub async fn gathered(&self) {
        self.until(|engine| (engine.ice_gathering_state() == IceGatheringState::Complete).then_some(())).await;
    }

    /// Waits until the peer is there.
    ///
    /// # Errors
    /// Why it never will be; `None` if the connection was closed.
    pub async fn connected(&self) -> Result<(), Option<Failure>> {
        self.until(|engine| match engine.connection_state() {
            ConnectionState::Connected => Some(Ok(())),
            ConnectionState::Failed | ConnectionState::Closed => Some(Err(engine.failure().cloned())),
            _ => None,
        })
        .await
    }

    /// Waits until the connection is over: closed by either side, or failed.
    pub async fn closed(&self) {
        self.handle.wait(|state, id| state.inboxes.get(&id)?.is_over().then_some(())).await;
    }

    async fn until<T>(&self, mut find: impl FnMut(&wigwag::PeerConnection) -> Option<T>) -> T {
        self.handle.wait(|state, id| find(state.set.get(id)?)).await
    }

    /// Where the connection stands.
    pub fn connection_state(&self) -> ConnectionState {
        self.with(|engine, _| engine.connection_state())
    }

    /// Delivers what was accepted, says goodbye, and waits until that is done.
    pub async fn close(&self) {
        self.with(|engine, now| engine.close(now));
        self.until(|engine| engine.is_closed().then_some(())).await;
    }
}
