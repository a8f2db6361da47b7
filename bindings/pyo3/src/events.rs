//! What happened, as classes to match on.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::address::to_python;
use crate::media::RtpPacket;
use crate::negotiation::IceCandidate;

#[pyclass(frozen, eq, hash, module = "wigwag.sansio")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelId(pub wigwag::ChannelId);

#[pyclass(frozen, eq, hash, module = "wigwag.sansio")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransceiverId(pub wigwag::TransceiverId);

#[pymethods]
impl ChannelId {
    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

#[pymethods]
impl TransceiverId {
    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// What happened; `sansio.pyi` says what each means.
#[pyclass(frozen, module = "wigwag.sansio")]
pub enum Event {
    NegotiationNeeded(),
    SignalingStateChange { state: String },
    IceGatheringStateChange { state: String },
    IceCandidate { candidate: Py<IceCandidate> },
    IceCandidateError { url: String, address: Option<Py<PyTuple>>, error_code: u16, error_text: String },
    IceConnectionStateChange { state: String },
    ConnectionStateChange { state: String },
    DataChannel { channel: Py<ChannelId> },
    ChannelOpen { channel: Py<ChannelId> },
    Message { channel: Py<ChannelId>, data: Py<PyAny> },
    BufferedAmountLow { channel: Py<ChannelId> },
    Writable(),
    ChannelClosed { channel: Py<ChannelId> },
    Track { transceiver: Py<TransceiverId> },
    TrackRemoved { transceiver: Py<TransceiverId> },
    Rtp { transceiver: Py<TransceiverId>, packet: Py<RtpPacket> },
    KeyFrameRequest { transceiver: Py<TransceiverId> },
}

/// `None` for an event that this binding does not know: it says nothing that others would not say, too.
pub fn event(py: Python<'_>, event: wigwag::Event) -> PyResult<Option<Event>> {
    use wigwag::Event as Engine;
    let channel = |id| Py::new(py, ChannelId(id));
    let transceiver = |id| Py::new(py, TransceiverId(id));
    Ok(Some(match event {
        Engine::NegotiationNeeded => Event::NegotiationNeeded(),
        Engine::SignalingStateChange(state) => Event::SignalingStateChange { state: state.to_string() },
        Engine::IceGatheringStateChange(state) => Event::IceGatheringStateChange { state: state.to_string() },
        Engine::IceCandidate(candidate) => Event::IceCandidate { candidate: Py::new(py, IceCandidate(candidate))? },
        Engine::IceCandidateError { url, address, error_code, error_text } => {
            let address = address.map(|address| to_python(py, address)).transpose()?;
            Event::IceCandidateError { url, address, error_code, error_text }
        }
        Engine::IceConnectionStateChange(state) => Event::IceConnectionStateChange { state: state.to_string() },
        Engine::ConnectionStateChange(state) => Event::ConnectionStateChange { state: state.to_string() },
        Engine::DataChannel(id) => Event::DataChannel { channel: channel(id)? },
        Engine::ChannelOpen(id) => Event::ChannelOpen { channel: channel(id)? },
        Engine::Message { channel: id, message } => {
            let data = if message.is_text {
                PyString::new(py, &String::from_utf8_lossy(&message.data)).into_any()
            } else {
                PyBytes::new(py, &message.data).into_any()
            };
            Event::Message { channel: channel(id)?, data: data.unbind() }
        }
        Engine::BufferedAmountLow(id) => Event::BufferedAmountLow { channel: channel(id)? },
        Engine::Writable => Event::Writable(),
        Engine::ChannelClosed(id) => Event::ChannelClosed { channel: channel(id)? },
        Engine::Track(id) => Event::Track { transceiver: transceiver(id)? },
        Engine::TrackRemoved(id) => Event::TrackRemoved { transceiver: transceiver(id)? },
        Engine::Rtp { transceiver: id, packet } => {
            Event::Rtp { transceiver: transceiver(id)?, packet: Py::new(py, RtpPacket::from(packet))? }
        }
        Engine::KeyFrameRequest(id) => Event::KeyFrameRequest { transceiver: transceiver(id)? },
        _ => return Ok(None),
    }))
}
