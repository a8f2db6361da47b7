"""Time, as the engine wants it."""

from __future__ import annotations

import time

_START = 3_600_000_000
"""An hour: the engine may look back from a clock that has just begun."""

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> int:
    """Microseconds of a clock that goes on while the device sleeps, where there is one."""
    if _BOOTTIME is not None:
        return time.clock_gettime_ns(_BOOTTIME) // 1000 + _START
    return time.monotonic_ns() // 1000 + _START


def wall_clock() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
