//! A transceiver's handle: packets of audio or video, in and out.

use std::sync::Arc;

use wigwag::{Codec, Direction, MediaStats, RtpIn, RtpOut, TransceiverError, TransceiverId, WriteRtpError};

use crate::connection::Handle;
use crate::inbox::LineInbox;

/// What is sent and received on one m-line: a handle, cheap to clone. It keeps its connection; dropping it stops nothing.
///
/// An echo, as a server would have it:
///
/// ```no_run
/// # async fn example(connection: wigwag_tokio::PeerConnection) {
/// use wigwag_tokio::{Event, RtpOut};
///
/// while let Some(event) = connection.next_event().await {
///     let Event::Track(id) = event else { continue };
///     let Some(transceiver) = connection.transceiver(id) else { continue };
///     tokio::spawn(async move {
///         while let Some(packet) = transceiver.read_rtp().await {
///             transceiver.write_rtp(RtpOut::from(&packet)).ok(); // what can't be sent now is lost, as packets may be
///         }
///     });
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Transceiver {
    connection: Arc<Handle>,
    id: TransceiverId,
}

impl Transceiver {
    pub(crate) fn new(connection: &Arc<Handle>, id: TransceiverId) -> Self {
        Self { connection: Arc::clone(connection), id }
    }

    /// Its name, for the engine's own methods: see [`PeerConnection::with`](crate::PeerConnection::with).
    pub fn id(&self) -> TransceiverId {
        self.id
    }

    /// What it is now: its codecs, directions, names. `None` once it was stopped and its m-line is another's.
    pub fn info(&self) -> Option<wigwag::Transceiver> {
        self.connection.look(|engine| engine.transceiver(self.id).cloned())?
    }

    /// The next packet; `None` when the transceiver was stopped or the connection is over. Up to 1,024 are kept for who
    /// does not ask; the oldest go first. For one reader.
    pub async fn read_rtp(&self) -> Option<RtpIn> {
        self.wait(|line| line.packets.pop_front()).await
    }

    /// Waits until the peer asks for a key frame of what is sent here; `None` when the transceiver was stopped or the
    /// connection is over. For one waiter.
    pub async fn key_frame_requested(&self) -> Option<()> {
        self.wait(|line| std::mem::take(&mut line.wants_key_frame).then_some(())).await
    }

    async fn wait<T>(&self, mut poll: impl FnMut(&mut LineInbox) -> Option<T>) -> Option<T> {
        let Handle { driver, id } = &*self.connection;
        let changed = {
            let mut state = driver.lock();
            Arc::clone(&state.inboxes.entry(*id).or_default().lines.entry(self.id).or_default().changed)
        };
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable(); // before looking, so that no change is missed
            {
                let mut state = driver.lock();
                let inbox = state.inboxes.entry(*id).or_default();
                if let Some(found) = poll(inbox.lines.entry(self.id).or_default()) {
                    return Some(found);
                }
                let is_over = inbox.is_over();
                let transceiver = state.set.get(*id).and_then(|engine| engine.transceiver(self.id));
                if is_over || transceiver.is_none_or(|it| it.is_stopped) {
                    return None;
                }
            }
            notified.await;
        }
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// When it can't be sent now, or at all.
    pub fn write_rtp(&self, packet: RtpOut) -> Result<(), WriteRtpError> {
        let written = self.connection.with(|engine, now| engine.write_rtp(now, self.id, packet));
        written.unwrap_or(Err(WriteRtpError::NotConnected))
    }

    /// Asks the peer for a key frame of what it sends here, of one encoding or of all; `false`: it can't be asked.
    pub fn request_key_frame(&self, rid: Option<&str>) -> bool {
        self.connection.with(|engine, now| engine.request_key_frame(now, self.id, rid)).unwrap_or(false)
    }

    /// Which way media should flow, from the next offer and answer on.
    ///
    /// # Errors
    /// When the transceiver was stopped, or the connection is closed.
    pub fn set_direction(&self, direction: Direction) -> Result<(), TransceiverError> {
        let set = self.connection.with(|engine, _| engine.set_direction(self.id, direction));
        set.unwrap_or(Err(TransceiverError::Closed))
    }

    /// The codecs that the next offer or answer has, the best first.
    ///
    /// # Errors
    /// When none of them can be used, the transceiver was stopped, or the connection is closed.
    pub fn set_codec_preferences(&self, codecs: Vec<Codec>) -> Result<(), TransceiverError> {
        let set = self.connection.with(|engine, _| engine.set_codec_preferences(self.id, codecs));
        set.unwrap_or(Err(TransceiverError::Closed))
    }

    /// Stops it for good, with the next offer and answer.
    ///
    /// # Errors
    /// When it was stopped already, or the connection is closed.
    pub fn stop(&self) -> Result<(), TransceiverError> {
        let stopped = self.connection.with(|engine, _| engine.stop_transceiver(self.id));
        stopped.unwrap_or(Err(TransceiverError::Closed))
    }

    /// What was counted; `None` before anything was agreed on, and once it was stopped.
    pub fn stats(&self) -> Option<MediaStats> {
        self.connection.look(|engine| engine.media_stats(self.id))?
    }
}
