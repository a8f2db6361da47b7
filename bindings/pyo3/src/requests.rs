//! What the adaptor is asked to do. As in the engine, a request makes its own answer, once.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use wigwag::request as engine;
use wigwag::{Refused, StreamId};

use crate::address::{Address, interfaces, parse_ip, to_python};
use crate::errors::InvalidStateError;

/// Something that is used up by one call.
struct Once<T>(Mutex<Option<T>>);

impl<T> Once<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }
    fn take(&self) -> PyResult<T> {
        let value = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| InvalidStateError::new_err("it was answered already"))
    }
}

/// What became of a request.
#[pyclass(frozen, module = "wigwag.sansio")]
pub struct Answer(Once<wigwag::Answer>);

impl Answer {
    fn new(answer: wigwag::Answer) -> Self {
        Self(Once::new(answer))
    }
    pub fn take(&self) -> PyResult<wigwag::Answer> {
        self.0.take()
    }
}

/// Names of streams, for Python: the engine's are opaque.
#[pyclass(frozen, eq, hash, module = "wigwag.sansio")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream(pub StreamId);

#[pymethods]
impl Stream {
    /// The name of the `n`th stream that was accepted.
    #[staticmethod]
    fn accepted(n: u32) -> Self {
        Self(StreamId::accepted(n))
    }
    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

fn refused(reason: String) -> Refused {
    Refused::Failed(reason)
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct BindUdp {
    request: Once<engine::BindUdp>,
    #[pyo3(get)]
    local: Py<PyTuple>,
    #[pyo3(get)]
    ports: Option<(u16, u16)>,
}

#[pymethods]
impl BindUdp {
    fn bound(&self, local: Address) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.bound(local.0)))
    }
    fn failed(&self, reason: String) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.failed(refused(reason))))
    }
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct CloseUdp {
    #[pyo3(get)]
    local: Py<PyTuple>,
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct ListenTcp {
    request: Once<engine::ListenTcp>,
    #[pyo3(get)]
    local: Py<PyTuple>,
    #[pyo3(get)]
    ports: Option<(u16, u16)>,
}

#[pymethods]
impl ListenTcp {
    fn listening(&self, local: Address) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.listening(local.0)))
    }
    fn failed(&self, reason: String) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.failed(refused(reason))))
    }
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct CloseListener {
    #[pyo3(get)]
    local: Py<PyTuple>,
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct OpenStream {
    request: Once<engine::OpenStream>,
    #[pyo3(get)]
    stream: Py<Stream>,
    #[pyo3(get)]
    local: Option<Py<PyTuple>>,
    #[pyo3(get)]
    remote: Py<PyTuple>,
    #[pyo3(get)]
    tls_server_name: Option<String>,
}

#[pymethods]
impl OpenStream {
    fn opened(&self, local: Address) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.opened(local.0)))
    }
    fn failed(&self, reason: String) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.failed(refused(reason))))
    }
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct CloseStream {
    #[pyo3(get)]
    stream: Py<Stream>,
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct ResolveName {
    request: Once<engine::ResolveName>,
    #[pyo3(get)]
    host: String,
}

#[pymethods]
impl ResolveName {
    fn resolved(&self, addresses: Vec<String>) -> PyResult<Answer> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| parse_ip(address)).collect::<PyResult<_>>()?;
        Ok(Answer::new(self.request.take()?.resolved(addresses)))
    }
    fn failed(&self, reason: String) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.failed(refused(reason))))
    }
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct JoinMulticast {
    request: Once<engine::JoinMulticast>,
    #[pyo3(get)]
    group: Py<PyTuple>,
    #[pyo3(get)]
    interface: String,
}

#[pymethods]
impl JoinMulticast {
    fn joined(&self, local: Address) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.joined(local.0)))
    }
    fn failed(&self, reason: String) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.failed(refused(reason))))
    }
}

#[pyclass(frozen, module = "wigwag.sansio")]
pub struct WatchInterfaces {
    request: Once<engine::WatchInterfaces>,
}

#[pymethods]
impl WatchInterfaces {
    fn interfaces(&self, interfaces_: Vec<(String, String)>) -> PyResult<Answer> {
        let list = interfaces(interfaces_)?;
        Ok(Answer::new(self.request.take()?.interfaces(list)))
    }
    fn failed(&self, reason: String) -> PyResult<Answer> {
        Ok(Answer::new(self.request.take()?.failed(refused(reason))))
    }
}

/// A request as a Python object.
pub fn request(py: Python<'_>, request: wigwag::Request) -> PyResult<Py<PyAny>> {
    use wigwag::Request as Engine;
    let address = |address: SocketAddr| to_python(py, address);
    Ok(match request {
        Engine::BindUdp(it) => {
            let ports = it.ports.as_ref().map(|ports| (*ports.start(), *ports.end()));
            Py::new(py, BindUdp { local: address(it.local)?, ports, request: Once::new(it) })?.into_any()
        }
        Engine::CloseUdp(it) => Py::new(py, CloseUdp { local: address(it.local)? })?.into_any(),
        Engine::ListenTcp(it) => {
            let ports = it.ports.as_ref().map(|ports| (*ports.start(), *ports.end()));
            Py::new(py, ListenTcp { local: address(it.local)?, ports, request: Once::new(it) })?.into_any()
        }
        Engine::CloseListener(it) => Py::new(py, CloseListener { local: address(it.local)? })?.into_any(),
        Engine::OpenStream(it) => {
            let tls_server_name = match &it.security {
                engine::StreamSecurity::Plain => None,
                engine::StreamSecurity::Tls { server_name } => Some(server_name.clone()),
            };
            let open = OpenStream {
                stream: Py::new(py, Stream(it.stream))?,
                local: it.local.map(address).transpose()?,
                remote: address(it.remote)?,
                tls_server_name,
                request: Once::new(it),
            };
            Py::new(py, open)?.into_any()
        }
        Engine::CloseStream(it) => Py::new(py, CloseStream { stream: Py::new(py, Stream(it.stream))? })?.into_any(),
        Engine::ResolveName(it) => {
            Py::new(py, ResolveName { host: it.host.clone(), request: Once::new(it) })?.into_any()
        }
        Engine::JoinMulticast(it) => {
            let (group, interface) = (address(it.group)?, it.interface.to_string());
            Py::new(py, JoinMulticast { group, interface, request: Once::new(it) })?.into_any()
        }
        Engine::WatchInterfaces(it) => Py::new(py, WatchInterfaces { request: Once::new(it) })?.into_any(),
    })
}

/// Adds the classes to the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Answer>()?;
    module.add_class::<Stream>()?;
    module.add_class::<BindUdp>()?;
    module.add_class::<CloseUdp>()?;
    module.add_class::<ListenTcp>()?;
    module.add_class::<CloseListener>()?;
    module.add_class::<OpenStream>()?;
    module.add_class::<CloseStream>()?;
    module.add_class::<ResolveName>()?;
    module.add_class::<JoinMulticast>()?;
    module.add_class::<WatchInterfaces>()
}
