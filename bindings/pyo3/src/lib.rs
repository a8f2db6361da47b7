//! The native module `wigwag.sansio` of the Python package: the engine's verbs, and nothing else.
//!
//! ```text
//!   wigwag (Python, asyncio)         sockets, timers, tasks
//!         |  a few calls for each batch of datagrams
//!         v
//!   wigwag.sansio (this crate)       converts arguments, lets go of the interpreter's lock
//!         |
//!         v
//!   wigwag::PeerConnection           everything else
//! ```
//!
//! One lock guards each connection. It is never held while the interpreter's is waited for, so that threads can't wait for each other:
//! what is made of Python objects is made before it is taken, and what becomes Python objects after it is left.
//! Work that takes long (datagrams, descriptions, cryptography) runs without the interpreter's lock.
//!
//! Input is copied once into the connection's own memory, since the engine decrypts in place and a `bytes` must not change; output is copied
//! once from there into the caller's.
#![deny(unsafe_code)]

mod address;
mod buffer;
mod config;
mod connection;
mod errors;
mod events;
mod media;
mod negotiation;
mod requests;

use std::ffi::CStr;

use pyo3::prelude::*;

/// Types that annotations name.
const ALIASES: &[(&str, &CStr)] = &[
    ("Address", c"tuple[str, int] | tuple[str, int, int, int]"),
    (
        "Request",
        c"BindUdp | CloseUdp | ListenTcp | CloseListener | OpenStream | CloseStream | ResolveName | JoinMulticast | WatchInterfaces",
    ),
];

/// The engine's verbs. `sansio.pyi` is their documentation.
#[pymodule]
fn sansio(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::add(module)?;
    module.add_class::<connection::PeerConnection>()?;
    module.add_class::<connection::Transmit>()?;
    module.add_class::<events::ChannelId>()?;
    module.add_class::<events::TransceiverId>()?;
    module.add_class::<events::Event>()?;
    module.add_class::<media::RtpPacket>()?;
    module.add_class::<media::Codec>()?;
    module.add_class::<media::Transceiver>()?;
    module.add_class::<negotiation::SessionDescription>()?;
    module.add_class::<negotiation::IceCandidate>()?;
    module.add_class::<negotiation::ChannelInfo>()?;
    requests::add(module)?;
    module.add_function(wrap_pyfunction!(address::local_interfaces, module)?)?;
    for (name, alias) in ALIASES {
        module.add(*name, module.py().eval(alias, Some(&module.dict()), None)?)?;
    }
    Ok(())
}
