//! The connection: the engine behind a lock, and its verbs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use wigwag::transmit::MAX_BATCH_BYTES;
use wigwag::{
    ChannelInit, Input, Instant, MediaKind, Message, Received, Reliability, Route, TransceiverInit, TransmitBuffer,
    UdpPath, WallClock,
};

use crate::address::{Address, interfaces, to_python};
use crate::buffer;
use crate::config::{Arguments, Server, unknown};
use crate::errors::{raise, raise_send};
use crate::events::{ChannelId, Event, TransceiverId, event};
use crate::media::{Codec, RtpPacket, Transceiver};
use crate::negotiation::{ChannelInfo, IceCandidate, SessionDescription};
use crate::requests::{Answer, Stream, request};

/// One datagram, or several of `segment_size` bytes: `(data, remote, segment_size)`.
type Datagrams = (PyBuffer<u8>, Address, usize);

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct PeerConnection(Mutex<State>);

struct State {
    engine: wigwag::PeerConnection,
    /// What is received is decrypted here.
    input: Vec<u8>,
    /// What is sent is written here.
    output: Box<[u8]>,
}

/// A batch that was written into the caller's memory.
#[pyclass(frozen, get_all, module = "wigwag.sansio")]
pub struct Transmit {
    /// The socket, and where to; `None` for a stream.
    local: Option<Py<PyTuple>>,
    remote: Option<Py<PyTuple>>,
    stream: Option<Py<Stream>>,
    length: usize,
    segment_size: usize,
    ecn: u8,
    dscp: u8,
}

impl PeerConnection {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the engine's state whole: its verbs don't panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that takes long: without the interpreter's lock.
    fn work<T: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut State) -> T + Send) -> T {
        py.detach(|| call(&mut self.lock()))
    }

    /// Something quick.
    fn engine<T: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut wigwag::PeerConnection) -> T + Send) -> T {
        // Another thread's work under the lock would hold up the interpreter.
        if let Ok(mut state) = self.0.try_lock() {
            return call(&mut state.engine);
        }
        self.work(py, |state| call(&mut state.engine))
    }
}

fn direction(text: &str) -> PyResult<wigwag::Direction> {
    text.parse().map_err(|_| unknown("direction", text))
}

fn media_kind(text: &str) -> PyResult<MediaKind> {
    let kind = [MediaKind::Audio, MediaKind::Video].into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or_else(|| unknown("kind", text))
}

#[pymethods]
impl PeerConnection {
    #[new]
    #[pyo3(signature = (
        seed, *, gathering = "sockets", ice_servers = Vec::new(), ice_transport_policy = "all", ice_lite = false,
        include_loopback = false, wall_clock = 0, mtu = None, max_message_size = None, send_buffer = None,
        receive_window = None, close_timeout = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        seed: [u8; 32],
        gathering: &str,
        ice_servers: Vec<Server>,
        ice_transport_policy: &str,
        ice_lite: bool,
        include_loopback: bool,
        wall_clock: u64,
        mtu: Option<usize>,
        max_message_size: Option<u64>,
        send_buffer: Option<usize>,
        receive_window: Option<usize>,
        close_timeout: Option<u64>,
    ) -> PyResult<Self> {
        let arguments = Arguments {
            seed,
            gathering: gathering.to_owned(),
            ice_servers,
            ice_transport_policy: ice_transport_policy.to_owned(),
            ice_lite,
            include_loopback,
            wall_clock,
            mtu,
            max_message_size,
            send_buffer,
            receive_window,
            close_timeout,
        };
        let config = arguments.into_config()?;
        let engine = py.detach(|| wigwag::PeerConnection::new(config)).map_err(raise)?;
        Ok(Self(Mutex::new(State { engine, input: Vec::new(), output: Box::default() })))
    }

    // What comes in.

    fn handle_input(&self, py: Python<'_>, now: u64, local: Address, datagrams: Vec<Datagrams>) -> PyResult<()> {
        // Copied with the interpreter's lock, since another thread could write to a `bytearray`.
        let mut memory = std::mem::take(&mut self.lock().input);
        memory.clear();
        let mut parts = Vec::with_capacity(datagrams.len());
        for (data, remote, segment_size) in datagrams {
            let start = memory.len();
            memory.resize(start + data.len_bytes(), 0);
            data.copy_to_slice(py, memory.get_mut(start..).unwrap_or_default())?;
            let path = UdpPath { local: local.0, remote: remote.0 };
            parts.push((path, data.len_bytes(), if segment_size == 0 { data.len_bytes() } else { segment_size }));
        }
        self.work(py, |state| {
            let mut rest = memory.as_mut_slice();
            for (path, len, segment_size) in parts {
                let (bytes, behind) = rest.split_at_mut(len);
                rest = behind;
                let received = Received { path, bytes, segment_size, ecn: 0 };
                state.engine.handle_input(Instant(now), Input::Datagrams(received));
            }
            state.input = memory;
        });
        Ok(())
    }

    fn handle_stream(&self, py: Python<'_>, now: u64, stream: &Stream, data: PyBuffer<u8>) -> PyResult<()> {
        let bytes = data.to_vec(py)?;
        let id = stream.0;
        self.work(py, |state| state.engine.handle_input(Instant(now), Input::Stream { id, bytes: &bytes }));
        Ok(())
    }

    fn handle_stream_accepted(&self, py: Python<'_>, now: u64, stream: &Stream, local: Address, remote: Address) {
        let input = Input::StreamAccepted { id: stream.0, local: local.0, remote: remote.0 };
        self.work(py, |state| state.engine.handle_input(Instant(now), input));
    }

    fn handle_stream_writable(&self, py: Python<'_>, now: u64, stream: &Stream) {
        let input = Input::StreamWritable(stream.0);
        self.work(py, |state| state.engine.handle_input(Instant(now), input));
    }

    fn handle_stream_closed(&self, py: Python<'_>, now: u64, stream: &Stream) {
        let input = Input::StreamClosed(stream.0);
        self.work(py, |state| state.engine.handle_input(Instant(now), input));
    }

    fn handle_answer(&self, py: Python<'_>, now: u64, answer: &Answer) -> PyResult<()> {
        let input = Input::Answer(answer.take()?);
        self.work(py, |state| state.engine.handle_input(Instant(now), input));
        Ok(())
    }

    fn handle_wall_clock(&self, py: Python<'_>, now: u64, wall_clock: u64) {
        let input = Input::WallClock(WallClock(wall_clock));
        self.work(py, |state| state.engine.handle_input(Instant(now), input));
    }

    fn handle_interfaces(&self, py: Python<'_>, now: u64, interfaces_: Vec<(String, String)>) -> PyResult<()> {
        let list = interfaces(interfaces_)?;
        self.work(py, |state| state.engine.handle_input(Instant(now), Input::Interfaces(&list)));
        Ok(())
    }

    fn handle_timeout(&self, py: Python<'_>, now: u64) {
        self.work(py, |state| state.engine.handle_timeout(Instant(now)));
    }

    fn add_udp_socket(&self, py: Python<'_>, now: u64, local: Address) -> PyResult<()> {
        self.engine(py, |engine| engine.add_udp_socket(Instant(now), local.0)).map_err(raise)
    }

    fn remove_udp_socket(&self, py: Python<'_>, now: u64, local: Address) {
        self.engine(py, |engine| engine.remove_udp_socket(Instant(now), local.0));
    }

    // What goes out.

    #[pyo3(signature = (now, out, max_segments = 64))]
    fn poll_transmit(
        &self,
        py: Python<'_>,
        now: u64,
        out: PyBuffer<u8>,
        max_segments: usize,
    ) -> PyResult<Option<Transmit>> {
        buffer::check_writable(&out)?;
        let room = out.len_bytes().min(MAX_BATCH_BYTES);
        let (memory, transmit) = self.work(py, |state| {
            let mut memory = std::mem::take(&mut state.output);
            if memory.len() < room {
                memory = vec![0; room].into_boxed_slice();
            }
            let mut buffer = TransmitBuffer::new(memory.get_mut(..room).unwrap_or_default(), max_segments);
            let transmit = state.engine.poll_transmit(Instant(now), &mut buffer);
            (memory, transmit)
        });
        let copied = transmit
            .map(|transmit| buffer::write(py, &out, memory.get(..transmit.len).unwrap_or_default()).map(|()| transmit));
        self.lock().output = memory;
        let Some(transmit) = copied.transpose()? else { return Ok(None) };
        let (local, remote, stream) = match transmit.route {
            Route::Udp(path) => (Some(to_python(py, path.local)?), Some(to_python(py, path.remote)?), None),
            Route::Stream(id) => (None, None, Some(Py::new(py, Stream(id))?)),
        };
        let wigwag::Transmit { len, segment_size, ecn, dscp, .. } = transmit;
        Ok(Some(Transmit { local, remote, stream, length: len, segment_size, ecn, dscp }))
    }

    fn poll_event(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        while let Some(next) = self.engine(py, wigwag::PeerConnection::poll_event) {
            if let Some(event) = event(py, next)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn poll_state_event(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        let next = self.engine(py, |engine| engine.poll_state_event().or_else(|| engine.poll_media_event()));
        next.map_or(Ok(None), |next| event(py, next))
    }

    fn poll_request(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.engine(py, wigwag::PeerConnection::poll_request).map(|next| request(py, next)).transpose()
    }

    fn poll_timeout(&self, py: Python<'_>) -> Option<u64> {
        self.engine(py, |engine| engine.poll_timeout()).map(Instant::as_micros)
    }

    // Negotiation.

    fn create_offer(&self, py: Python<'_>) -> PyResult<SessionDescription> {
        self.work(py, |state| state.engine.create_offer()).map(SessionDescription).map_err(raise)
    }

    fn create_answer(&self, py: Python<'_>) -> PyResult<SessionDescription> {
        self.work(py, |state| state.engine.create_answer()).map(SessionDescription).map_err(raise)
    }

    #[pyo3(signature = (now, description = None))]
    fn set_local_description(
        &self,
        py: Python<'_>,
        now: u64,
        description: Option<&SessionDescription>,
    ) -> PyResult<()> {
        let description = description.map(|it| it.0.clone());
        let set = self.work(py, |state| match description {
            Some(description) => state.engine.set_local_description(Instant(now), description),
            None => state.engine.set_local_description_implicitly(Instant(now)).map(|_| ()),
        });
        set.map_err(raise)
    }

    fn set_remote_description(&self, py: Python<'_>, now: u64, description: &SessionDescription) -> PyResult<()> {
        let description = description.0.clone();
        self.work(py, |state| state.engine.set_remote_description(Instant(now), description)).map_err(raise)
    }

    #[getter]
    fn local_description(&self, py: Python<'_>) -> Option<SessionDescription> {
        self.work(py, |state| state.engine.local_description()).map(SessionDescription)
    }

    #[getter]
    fn remote_description(&self, py: Python<'_>) -> Option<SessionDescription> {
        self.work(py, |state| state.engine.remote_description()).map(SessionDescription)
    }

    fn add_ice_candidate(&self, py: Python<'_>, now: u64, candidate: &IceCandidate) -> PyResult<()> {
        let candidate = candidate.0.clone();
        self.work(py, |state| state.engine.add_ice_candidate(Instant(now), &candidate)).map_err(raise)
    }

    fn restart_ice(&self, py: Python<'_>) {
        self.engine(py, wigwag::PeerConnection::restart_ice);
    }

    // States.

    #[getter]
    fn signaling_state(&self, py: Python<'_>) -> String {
        self.engine(py, |engine| engine.signaling_state().to_string())
    }
    #[getter]
    fn ice_gathering_state(&self, py: Python<'_>) -> String {
        self.engine(py, |engine| engine.ice_gathering_state().to_string())
    }
    #[getter]
    fn ice_connection_state(&self, py: Python<'_>) -> String {
        self.engine(py, |engine| engine.ice_connection_state().to_string())
    }
    #[getter]
    fn connection_state(&self, py: Python<'_>) -> String {
        self.engine(py, |engine| engine.connection_state().to_string())
    }
    #[getter]
    fn failure(&self, py: Python<'_>) -> Option<String> {
        self.engine(py, |engine| engine.failure().map(ToString::to_string))
    }
    #[getter]
    fn round_trip_time(&self, py: Python<'_>) -> Option<u64> {
        let time = self.engine(py, |engine| engine.round_trip_time())?;
        Some(time.as_micros().try_into().unwrap_or(u64::MAX))
    }
    #[getter]
    fn is_closed(&self, py: Python<'_>) -> bool {
        self.engine(py, |engine| engine.is_closed())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.engine(py, |engine| engine.stats());
        let dict = PyDict::new(py);
        dict.set_item("datagrams_sent", stats.datagrams_sent)?;
        dict.set_item("bytes_sent", stats.bytes_sent)?;
        dict.set_item("datagrams_received", stats.datagrams_received)?;
        dict.set_item("bytes_received", stats.bytes_received)?;
        dict.set_item("dropped_unknown", stats.dropped_unknown)?;
        dict.set_item("dropped_unvalidated", stats.dropped_unvalidated)?;
        dict.set_item("dropped_media", stats.dropped_media)?;
        dict.set_item("refused_media", stats.refused_media)?;
        Ok(dict)
    }

    fn close(&self, py: Python<'_>, now: u64) {
        self.work(py, |state| state.engine.close(Instant(now)));
    }

    // Data channels.

    #[pyo3(signature = (
        label, *, protocol = String::new(), ordered = true, max_retransmits = None, max_packet_life_time = None,
        negotiated = None, priority = 256,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn create_data_channel(
        &self,
        py: Python<'_>,
        label: &str,
        protocol: String,
        ordered: bool,
        max_retransmits: Option<u16>,
        max_packet_life_time: Option<u16>,
        negotiated: Option<u16>,
        priority: u16,
    ) -> PyResult<ChannelId> {
        let reliability = match (max_retransmits, max_packet_life_time) {
            (None, None) => Reliability::Reliable,
            (Some(times), None) => Reliability::MaxRetransmits(times),
            (None, Some(time)) => Reliability::MaxLifetime(std::time::Duration::from_millis(time.into())),
            (Some(_), Some(_)) => {
                return Err(PyTypeError::new_err("max_retransmits and max_packet_life_time exclude each other"));
            }
        };
        let init = ChannelInit { protocol, ordered, reliability, negotiated, priority, ..Default::default() };
        self.engine(py, |engine| engine.create_data_channel(label, init)).map(ChannelId).map_err(raise)
    }

    fn channel(&self, py: Python<'_>, channel: &ChannelId) -> Option<ChannelInfo> {
        self.engine(py, |engine| engine.channel(channel.0).map(ChannelInfo::from))
    }

    fn send(&self, py: Python<'_>, channel: &ChannelId, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let message = if let Ok(text) = data.cast::<PyString>() {
            Message::text(text.to_cow()?)
        } else {
            let buffer = PyBuffer::<u8>::get(data)
                .map_err(|_| PyTypeError::new_err("a message is a str, or bytes and the like"))?;
            Message::binary(Bytes::from(buffer.to_vec(py)?))
        };
        self.engine(py, |engine| engine.send(channel.0, message)).map_err(raise_send)
    }

    fn has_send_room(&self, py: Python<'_>, length: usize) -> bool {
        self.engine(py, |engine| engine.has_send_room(length))
    }

    fn buffered_amount(&self, py: Python<'_>, channel: &ChannelId) -> usize {
        self.engine(py, |engine| engine.buffered_amount(channel.0))
    }

    fn set_buffered_amount_low_threshold(&self, py: Python<'_>, channel: &ChannelId, length: usize) {
        self.engine(py, |engine| engine.set_buffered_amount_low_threshold(channel.0, length));
    }

    fn close_channel(&self, py: Python<'_>, channel: &ChannelId) {
        self.engine(py, |engine| engine.close_channel(channel.0));
    }

    // Audio and video.

    #[pyo3(signature = (kind, *, direction = "sendrecv", track = None, streams = Vec::new(), codecs = Vec::new()))]
    fn add_transceiver(
        &self,
        py: Python<'_>,
        kind: &str,
        direction: &str,
        track: Option<String>,
        streams: Vec<String>,
        codecs: Vec<Codec>,
    ) -> PyResult<TransceiverId> {
        let kind = media_kind(kind)?;
        let direction = self::direction(direction)?;
        let codecs = codecs.into_iter().map(wigwag::Codec::from).collect();
        let init = TransceiverInit { direction, streams, track, codecs };
        self.engine(py, |engine| engine.add_transceiver(kind, init)).map(TransceiverId).map_err(raise)
    }

    #[pyo3(signature = (kind, *, track = None, streams = Vec::new()))]
    fn add_track(
        &self,
        py: Python<'_>,
        kind: &str,
        track: Option<String>,
        streams: Vec<String>,
    ) -> PyResult<TransceiverId> {
        let kind = media_kind(kind)?;
        self.engine(py, |engine| engine.add_track(kind, track, streams)).map(TransceiverId).map_err(raise)
    }

    fn transceiver(&self, py: Python<'_>, transceiver: &TransceiverId) -> Option<Transceiver> {
        self.engine(py, |engine| engine.transceiver(transceiver.0).map(Transceiver::from))
    }

    fn transceivers(&self, py: Python<'_>) -> Vec<Transceiver> {
        self.engine(py, |engine| engine.transceivers().map(Transceiver::from).collect())
    }

    fn set_direction(&self, py: Python<'_>, transceiver: &TransceiverId, direction: &str) -> PyResult<()> {
        let direction = self::direction(direction)?;
        self.engine(py, |engine| engine.set_direction(transceiver.0, direction)).map_err(raise)
    }

    fn set_streams(&self, py: Python<'_>, transceiver: &TransceiverId, streams: Vec<String>) -> PyResult<()> {
        self.engine(py, |engine| engine.set_streams(transceiver.0, streams)).map_err(raise)
    }

    fn set_codec_preferences(&self, py: Python<'_>, transceiver: &TransceiverId, codecs: Vec<Codec>) -> PyResult<()> {
        let codecs = codecs.into_iter().map(wigwag::Codec::from).collect();
        self.engine(py, |engine| engine.set_codec_preferences(transceiver.0, codecs)).map_err(raise)
    }

    fn stop_transceiver(&self, py: Python<'_>, transceiver: &TransceiverId) -> PyResult<()> {
        self.engine(py, |engine| engine.stop_transceiver(transceiver.0)).map_err(raise)
    }

    fn write_rtp(&self, py: Python<'_>, now: u64, transceiver: &TransceiverId, packet: &RtpPacket) -> PyResult<()> {
        let packet = packet.to_out()?;
        self.engine(py, |engine| engine.write_rtp(Instant(now), transceiver.0, packet)).map_err(raise)
    }

    #[pyo3(signature = (now, transceiver, rid = None))]
    fn request_key_frame(&self, py: Python<'_>, now: u64, transceiver: &TransceiverId, rid: Option<&str>) -> bool {
        self.engine(py, |engine| engine.request_key_frame(Instant(now), transceiver.0, rid))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<wigwag.sansio.PeerConnection {}>", self.connection_state(py))
    }
}
