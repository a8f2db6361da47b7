//! Packets of audio and video, codecs and transceivers.

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use wigwag::rtp::{PayloadType, RtpTimestamp, SequenceNumber};
use wigwag::{PacketExtensions, RtpIn, RtpOut};

use crate::events::TransceiverId;

/// A packet; one that was received is sent unchanged, header extensions included, by giving it to `write_rtp`.
#[pyclass(frozen, module = "wigwag.sansio")]
pub struct RtpPacket {
    #[pyo3(get)]
    payload_type: u8,
    #[pyo3(get)]
    sequence_number: u64,
    #[pyo3(get)]
    timestamp: u32,
    #[pyo3(get)]
    marker: bool,
    #[pyo3(get)]
    ssrc: Option<u32>,
    #[pyo3(get)]
    rid: Option<String>,
    #[pyo3(get)]
    arrival: Option<u64>,
    #[pyo3(get)]
    recovered: bool,
    extensions: PacketExtensions,
    payload: Bytes,
}

#[pymethods]
impl RtpPacket {
    #[new]
    #[pyo3(signature = (payload, *, payload_type, sequence_number, timestamp, marker = false))]
    fn new(payload: PyBackedBytes, payload_type: u8, sequence_number: u64, timestamp: u32, marker: bool) -> Self {
        Self {
            payload_type,
            sequence_number,
            timestamp,
            marker,
            ssrc: None,
            rid: None,
            arrival: None,
            recovered: false,
            extensions: PacketExtensions::default(),
            payload: Bytes::copy_from_slice(&payload),
        }
    }
    #[getter]
    fn payload(&self) -> &[u8] {
        &self.payload
    }
    fn __repr__(&self) -> String {
        let Self { payload_type, sequence_number, timestamp, marker, payload, .. } = self;
        format!(
            "RtpPacket(<{} bytes>, payload_type={payload_type}, sequence_number={sequence_number}, timestamp={timestamp}, marker={})",
            payload.len(),
            if *marker { "True" } else { "False" },
        )
    }
}

impl RtpPacket {
    pub fn to_out(&self) -> PyResult<RtpOut> {
        let payload_type = PayloadType::new(self.payload_type);
        Ok(RtpOut {
            marker: self.marker,
            payload_type: payload_type.ok_or_else(|| PyValueError::new_err("payload_type is above 127"))?,
            sequence_number: SequenceNumber(self.sequence_number as u16), // its low bits are the packet's
            timestamp: RtpTimestamp(self.timestamp),
            extensions: self.extensions.clone(),
            payload: self.payload.clone(),
        })
    }
}

impl From<RtpIn> for RtpPacket {
    fn from(packet: RtpIn) -> Self {
        Self {
            payload_type: packet.payload_type.number(),
            sequence_number: packet.sequence_number,
            timestamp: packet.timestamp.0,
            marker: packet.marker,
            ssrc: Some(packet.ssrc.0),
            rid: packet.rid.map(|rid| rid.to_string()),
            arrival: Some(packet.arrival.as_micros()),
            recovered: packet.recovered,
            extensions: packet.extensions,
            payload: packet.payload,
        }
    }
}

#[pyclass(frozen, eq, get_all, from_py_object, module = "wigwag.sansio")]
#[derive(Clone, PartialEq, Eq)]
pub struct Codec {
    payload_type: u8,
    name: String,
    clock_rate: u32,
    channels: u8,
    parameters: String,
    feedback: Vec<String>,
}

#[pymethods]
impl Codec {
    #[new]
    #[pyo3(signature = (payload_type, name, clock_rate, channels = 1, parameters = String::new(), feedback = Vec::new()))]
    fn new(
        payload_type: u8,
        name: String,
        clock_rate: u32,
        channels: u8,
        parameters: String,
        feedback: Vec<String>,
    ) -> PyResult<Self> {
        if payload_type > 127 || clock_rate == 0 || channels == 0 {
            return Err(PyValueError::new_err("a payload type is at most 127, a clock rate and channels are not zero"));
        }
        Ok(Self { payload_type, name, clock_rate, channels, parameters, feedback })
    }
    fn __repr__(&self) -> String {
        format!("Codec({}, '{}', {}, {})", self.payload_type, self.name, self.clock_rate, self.channels)
    }
}

impl From<&wigwag::Codec> for Codec {
    fn from(codec: &wigwag::Codec) -> Self {
        let wigwag::Codec { payload_type, name, clock_rate, channels, parameters, feedback } = codec.clone();
        Self { payload_type, name, clock_rate, channels, parameters, feedback }
    }
}

impl From<Codec> for wigwag::Codec {
    fn from(codec: Codec) -> Self {
        let Codec { payload_type, name, clock_rate, channels, parameters, feedback } = codec;
        Self { payload_type, name, clock_rate, channels, parameters, feedback }
    }
}

/// What is sent and received on one m-line, as it is now.
#[pyclass(frozen, get_all, module = "wigwag.sansio")]
pub struct Transceiver {
    id: TransceiverId,
    kind: &'static str,
    mid: Option<String>,
    direction: &'static str,
    current_direction: Option<&'static str>,
    is_stopped: bool,
    track: String,
    streams: Vec<String>,
    ssrc: u32,
    remote_track: Option<String>,
    remote_streams: Vec<String>,
    codecs: Vec<Codec>,
}

impl From<&wigwag::Transceiver> for Transceiver {
    fn from(it: &wigwag::Transceiver) -> Self {
        Self {
            id: TransceiverId(it.id),
            kind: it.kind.as_str(),
            mid: it.mid.clone(),
            direction: it.direction.as_str(),
            current_direction: it.current_direction.map(wigwag::Direction::as_str),
            is_stopped: it.is_stopped,
            track: it.track.clone(),
            streams: it.streams.clone(),
            ssrc: it.ssrc.0,
            remote_track: it.remote_track.clone(),
            remote_streams: it.remote_streams.clone(),
            codecs: it.codecs.iter().map(Codec::from).collect(),
        }
    }
}
