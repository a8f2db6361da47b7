//! Typed exceptions with the W3C's names.

// PyO3's macro says `unsafe`.
#![allow(unsafe_code, missing_docs)]

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use wigwag::{SendError, W3cName};

create_exception!(wigwag.sansio, Error, PyException, "Whatever the engine refuses; `name` is the W3C's name of it.");
create_exception!(wigwag.sansio, InvalidStateError, Error, "Not possible in this state, or any more.");
create_exception!(
    wigwag.sansio,
    InvalidModificationError,
    Error,
    "A description was changed, or nothing would be left."
);
create_exception!(wigwag.sansio, InvalidAccessError, Error, "A description or an address that can't be used here.");
create_exception!(wigwag.sansio, OperationError, Error, "It could not be done.");
create_exception!(
    wigwag.sansio,
    BufferFullError,
    OperationError,
    "The send buffer is full: `Event.Writable` says when to go on."
);
create_exception!(wigwag.sansio, RTCError, Error, "The text is not a session description.");
create_exception!(wigwag.sansio, InvalidSyntaxError, Error, "The URL of a server can't be read (`SyntaxError`).");
create_exception!(wigwag.sansio, NotSupportedError, Error, "This build, or this system, can't do it.");
create_exception!(wigwag.sansio, MessageTooLargeError, Error, "Longer than the peer accepts (`TypeError`).");

/// The exception for an error of the engine.
pub fn raise<E: W3cName + std::fmt::Display>(error: E) -> PyErr {
    let message = error.to_string();
    match error.w3c_name() {
        "InvalidStateError" => InvalidStateError::new_err(message),
        "InvalidModificationError" => InvalidModificationError::new_err(message),
        "InvalidAccessError" => InvalidAccessError::new_err(message),
        "RTCError" => RTCError::new_err(message),
        "SyntaxError" => InvalidSyntaxError::new_err(message),
        "NotSupportedError" => NotSupportedError::new_err(message),
        "TypeError" => MessageTooLargeError::new_err(message),
        _ => OperationError::new_err(message),
    }
}

/// The exception for a message that was not accepted.
pub fn raise_send(error: SendError) -> PyErr {
    match error {
        SendError::Full => BufferFullError::new_err(error.to_string()),
        other => raise(other),
    }
}

/// Adds them to the module, each with its `name`.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    for (class, export, name) in [
        (py.get_type::<Error>(), "Error", "Error"),
        (py.get_type::<InvalidStateError>(), "InvalidStateError", "InvalidStateError"),
        (py.get_type::<InvalidModificationError>(), "InvalidModificationError", "InvalidModificationError"),
        (py.get_type::<InvalidAccessError>(), "InvalidAccessError", "InvalidAccessError"),
        (py.get_type::<OperationError>(), "OperationError", "OperationError"),
        (py.get_type::<BufferFullError>(), "BufferFullError", "OperationError"),
        (py.get_type::<RTCError>(), "RTCError", "RTCError"),
        (py.get_type::<InvalidSyntaxError>(), "InvalidSyntaxError", "SyntaxError"),
        (py.get_type::<NotSupportedError>(), "NotSupportedError", "NotSupportedError"),
        (py.get_type::<MessageTooLargeError>(), "MessageTooLargeError", "TypeError"),
    ] {
        class.setattr("name", name)?;
        module.add(export, class)?;
    }
    Ok(())
}
