//! Seconds of processor time, so that a busy neighbour on the machine costs nobody a figure.

/// Processor time that this thread has used, in seconds.
pub fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "this system has a clock per thread");
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
