"""heap.py: what was freed goes back, where the C library can do it."""

from __future__ import annotations

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from narrows import heap

BLOCK, BLOCKS = 2**16, 2000  # small enough that glibc takes each from its heap, 125 MiB together


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_freed_memory_goes_back() -> None:
    if heap._malloc_trim() is None:
        pytest.skip("this C library has no malloc_trim")
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks[:-1]:  # the last one, above them, pins them
        libc.free(block)
    held = resident_bytes()
    heap.give_back()
    assert resident_bytes() < held - BLOCK * BLOCKS // 2
    libc.free(blocks[-1])


def test_small_pictures_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_pixels", 0)
    half = heap.PIXELS_BETWEEN // 2
    assert [heap.is_due(half) for _ in range(4)] == [False, True, False, True]
    assert heap.is_due(10 * half)
    assert not heap.is_due(half), "what was given back is not counted again"


def test_threads_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_pixels", 0)
    share = heap.PIXELS_BETWEEN // 64
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: heap.is_due(share), range(640))) == 10


@pytest.mark.parametrize("library", [OSError(), object()])
def test_other_libraries_are_no_trouble(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(name: None) -> object:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(ctypes, "CDLL", loaded)
    heap._malloc_trim.cache_clear()
    try:
        heap.give_back()
        assert heap._malloc_trim() is None
    finally:
        heap._malloc_trim.cache_clear()
