//! What signalling carries, and what a data channel is.

use pyo3::prelude::*;
use wigwag::{Reliability, SdpType};

use crate::config::unknown;

#[pyclass(frozen, eq, module = "wigwag.sansio")]
#[derive(Clone, PartialEq, Eq)]
pub struct SessionDescription(pub wigwag::SessionDescription);

#[pymethods]
impl SessionDescription {
    #[new]
    #[pyo3(signature = (r#type, sdp = String::new()))]
    fn new(r#type: &str, sdp: String) -> PyResult<Self> {
        let kinds = [SdpType::Offer, SdpType::Pranswer, SdpType::Answer, SdpType::Rollback];
        let kind = kinds.into_iter().find(|kind| kind.to_string() == r#type);
        let kind = kind.ok_or_else(|| unknown("type", r#type))?;
        Ok(Self(wigwag::SessionDescription { kind, sdp }))
    }
    #[getter]
    fn r#type(&self) -> String {
        self.0.kind.to_string()
    }
    #[getter]
    fn sdp(&self) -> &str {
        &self.0.sdp
    }
    fn __repr__(&self) -> String {
        format!("SessionDescription(type='{}', sdp=<{} characters>)", self.0.kind, self.0.sdp.len())
    }
}

#[pyclass(frozen, eq, module = "wigwag.sansio")]
#[derive(Clone, PartialEq, Eq)]
pub struct IceCandidate(pub wigwag::IceCandidate);

#[pymethods]
impl IceCandidate {
    #[new]
    #[pyo3(signature = (candidate, sdp_mid = None, sdp_m_line_index = None, username_fragment = None))]
    fn new(
        candidate: String,
        sdp_mid: Option<String>,
        sdp_m_line_index: Option<u16>,
        username_fragment: Option<String>,
    ) -> Self {
        Self(wigwag::IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment })
    }
    #[getter]
    fn candidate(&self) -> &str {
        &self.0.candidate
    }
    #[getter]
    fn sdp_mid(&self) -> Option<&str> {
        self.0.sdp_mid.as_deref()
    }
    #[getter]
    fn sdp_m_line_index(&self) -> Option<u16> {
        self.0.sdp_m_line_index
    }
    #[getter]
    fn username_fragment(&self) -> Option<&str> {
        self.0.username_fragment.as_deref()
    }
    fn __repr__(&self) -> String {
        format!("IceCandidate({:?}, sdp_mid={:?})", self.0.candidate, self.0.sdp_mid)
    }
}

/// What a data channel is.
#[pyclass(frozen, get_all, module = "wigwag.sansio")]
pub struct ChannelInfo {
    label: String,
    protocol: String,
    ordered: bool,
    max_retransmits: Option<u16>,
    max_packet_life_time: Option<u64>,
    negotiated: bool,
    id: Option<u16>,
    priority: u16,
    is_remote: bool,
}

impl From<&wigwag::DataChannel> for ChannelInfo {
    fn from(channel: &wigwag::DataChannel) -> Self {
        let config = &channel.config;
        let (max_retransmits, max_packet_life_time) = match config.reliability {
            Reliability::Reliable => (None, None),
            Reliability::MaxRetransmits(times) => (Some(times), None),
            Reliability::MaxLifetime(time) => (None, Some(time.as_millis().try_into().unwrap_or(u64::MAX))),
        };
        Self {
            label: config.label.clone(),
            protocol: config.protocol.clone(),
            ordered: config.ordered,
            max_retransmits,
            max_packet_life_time,
            negotiated: config.negotiated.is_some(),
            id: channel.stream,
            priority: config.priority,
            is_remote: channel.remote,
        }
    }
}
