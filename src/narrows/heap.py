"""Memory that was freed goes back to the system, now and then."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from threading import Lock

PIXELS_BETWEEN = 2**24
"""Between two times that memory is given back. What goes must be asked for and cleared again by the next picture: after
each of 0.4 megapixels that was a third of the time."""

_lock = Lock()
_pixels = 0


def is_due(pixels: int) -> bool:
    """Count a picture of so many pixels, padding too; whether so many have been coded that memory should go back."""
    global _pixels
    with _lock:
        _pixels += pixels
        due = _pixels >= PIXELS_BETWEEN
        if due:
            _pixels = 0
    return due


def give_back() -> None:
    """Return what is free: glibc keeps what was freed below something that is in use.

    It would use it again, but a program that codes a large picture now and then would hold hundreds of megabytes all
    the time. Other C libraries have no such call, and nothing happens.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # musl
        return None
    trim.argtypes = [ctypes.c_size_t]
    trim.restype = ctypes.c_int
    return trim
