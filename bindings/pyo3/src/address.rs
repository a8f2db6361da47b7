//! Addresses, as Python's sockets write them.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use wigwag::Interface;

/// `(host, port)` or `(host, port, flowinfo, scope_id)`; the host is an address, not a name.
pub struct Address(pub SocketAddr);

impl<'py> FromPyObject<'_, 'py> for Address {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let tuple = object.cast::<PyTuple>()?;
        let host = tuple.get_item(0)?;
        let ip = parse_ip(host.extract()?)?;
        let port = tuple.get_item(1)?.extract()?;
        Ok(Self(match ip {
            IpAddr::V6(ip) if tuple.len() == 4 => {
                SocketAddrV6::new(ip, port, tuple.get_item(2)?.extract()?, tuple.get_item(3)?.extract()?).into()
            }
            ip => SocketAddr::new(ip, port),
        }))
    }
}

/// As `socket.sendto` takes it.
pub fn to_python(py: Python<'_>, address: SocketAddr) -> PyResult<Py<PyTuple>> {
    let tuple = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            (v6.ip().to_string(), v6.port(), v6.flowinfo(), v6.scope_id()).into_pyobject(py)?
        }
        other => (other.ip().to_string(), other.port()).into_pyobject(py)?,
    };
    Ok(tuple.unbind())
}

/// An address; `%scope`, which Python appends to link-local ones, is dropped.
pub fn parse_ip(text: &str) -> PyResult<IpAddr> {
    let without_scope = text.split('%').next().unwrap_or(text);
    without_scope.parse().map_err(|_| PyValueError::new_err(format!("not an IP address: {text:?}")))
}

/// Interfaces from `[(name, address), ...]`.
pub fn interfaces(list: Vec<(String, String)>) -> PyResult<Vec<Interface>> {
    list.into_iter().map(|(name, address)| Ok(Interface::new(name, parse_ip(&address)?))).collect()
}

/// The addresses of this host's interfaces that are up: `[(name, address), ...]`.
#[pyfunction]
pub fn local_interfaces(py: Python<'_>) -> PyResult<Vec<(String, String)>> {
    let found = py.detach(if_addrs::get_if_addrs).map_err(|error| PyOSError::new_err(error.to_string()))?;
    Ok(found.into_iter().map(|interface| (interface.name.clone(), interface.ip().to_string())).collect())
}
