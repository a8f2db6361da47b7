//! A transceiver's handle: packets of audio or video, in and out.

use std::sync::Arc;

use wigwag::{Codec, Direction, MediaStats, RtpIn, RtpOut, TransceiverError, TransceiverId, WriteRtpError};

use crate::connection::Handle;
use crate::driver::State;
use crate::lines::{Lines, is_stopped};

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
    /// does not ask, and 8 MiB on all transceivers of a connection together; the oldest go first. For one reader.
    pub async fn read_rtp(&self) -> Option<RtpIn> {
        self.wait(|lines| lines.take(self.id)).await
    }

    /// Waits until the peer asks for a key frame of what is sent here; `None` when the transceiver was stopped or the
    /// connection is over. For one waiter.
    pub async fn key_frame_requested(&self) -> Option<()> {
        self.wait(|lines| std::mem::take(&mut lines.line(self.id).wants_key_frame).then_some(())).await
    }

    async fn wait<T>(&self, mut poll: impl FnMut(&mut Lines) -> Option<T>) -> Option<T> {
        loop {
            let notified = {
                let mut state = self.connection.driver.lock();
                let State { set, inboxes, .. } = &mut *state;
                if set.get(self.connection.id).is_none_or(|engine| is_stopped(engine, self.id)) {
                    return None; // and its line is not made anew
                }
                let inbox = inboxes.entry(self.connection.id).or_default();
                if let Some(found) = poll(&mut inbox.lines) {
                    return Some(found);
                }
                if inbox.is_over() {
                    return None;
                }
                // Made under the lock, so that no change after this is missed.
                Arc::clone(&inbox.lines.line(self.id).changed).notified_owned()
            };
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
        let mut state = self.connection.driver.lock();
        let State { set, inboxes, .. } = &mut *state;
        if let (Some(engine), Some(inbox)) = (set.get(self.connection.id), inboxes.get_mut(&self.connection.id)) {
            inbox.lines.forget_if_stopped(self.id, engine); // one that was never offered is stopped at once
        }
        stopped.unwrap_or(Err(TransceiverError::Closed))
    }

    /// The streams that our track belongs to, for the peer; told with the next offer or answer.
    ///
    /// # Errors
    /// When the transceiver was stopped, or the connection is closed.
    pub fn set_streams(&self, streams: Vec<String>) -> Result<(), TransceiverError> {
        let set = self.connection.with(|engine, _| engine.set_streams(self.id, streams));
        set.unwrap_or(Err(TransceiverError::Closed))
    }

    /// What was counted; `None` before anything was agreed on, and once it was stopped.
    pub fn stats(&self) -> Option<MediaStats> {
        self.connection.look(|engine| engine.media_stats(self.id))?
    }
}
