//! Writing into memory of Python's: the one place that says `unsafe`.

#![allow(unsafe_code)]

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;

/// Checks that `out` can be written to as a row of bytes.
pub fn check_writable(out: &PyBuffer<u8>) -> PyResult<()> {
    if out.readonly() || !out.is_c_contiguous() {
        return Err(PyBufferError::new_err("out must be writable and contiguous"));
    }
    Ok(())
}

/// Writes `bytes` at the beginning of `out`. `_py`: no Python code runs meanwhile.
pub fn write(_py: Python<'_>, out: &PyBuffer<u8>, bytes: &[u8]) -> PyResult<()> {
    check_writable(out)?;
    if bytes.len() > out.len_bytes() {
        return Err(PyValueError::new_err("out is too short"));
    }
    // SAFETY: the buffer is writable, contiguous and at least as long; it stays where it is while the `PyBuffer` exports it; and `bytes` is memory
    // of Rust's own, so the two can't overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.buf_ptr().cast::<u8>(), bytes.len()) };
    Ok(())
}
