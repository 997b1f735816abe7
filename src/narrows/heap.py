"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

LEAST_PIXELS = 2**18
"""Of a padded picture from which on it is worth while: it took a hundred milliseconds, giving back takes five."""


def give_back(pixels: int) -> None:
    """After a picture of so many pixels, padding too: glibc keeps what is freed below something that is in use.

    It would use them again, but a program that codes a large picture now and then would hold hundreds of megabytes all
    the time. Other C libraries have no such call, and nothing happens.
    """
    if pixels >= LEAST_PIXELS:
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
