"""Searches of the encoder: the quality for a target, and the dead zone of a strip. They cost the encoder alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Trial = TypeVar("Trial")

# Dead zones worth a trial, the most promising first; 1 is about the best for most rows, 0 is plain rounding.
_DEAD_ZONES = (1.0, 0.5, 0.0, 1.5, 0.75)
_CANDIDATES = {6: 2, 7: 3, 8: 5}


def psnr_db(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of two pictures of one shape, in dB; infinite if they are equal."""
    return psnr_db_of(squared_error(original, decoded), original.size)


def psnr_db_of(squared: int, size: int) -> float:
    """The same of a sum of squared differences over `size` samples."""
    return math.inf if squared == 0 else 10 * math.log10(255**2 * size / squared)


def squared_error(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> int:
    """The sum of the squared differences of two arrays of one shape (H, W, C)."""
    total = 0
    for top in range(0, len(original), 256):  # the wider copies stay small
        difference = original[top : top + 256].astype(np.int32) - decoded[top : top + 256]
        total += int(np.einsum("yxc,yxc->", difference, difference, dtype=np.int64))
    return total


def dead_zones(effort: int, default: float) -> tuple[float, ...]:
    """The dead zones that an effort tries: at 0 plain rounding, at 6..8 two to five, else the profile's own."""
    if effort == 0:
        return (0.0,)
    others = [value for value in _DEAD_ZONES if value != default]
    return (default, *others)[: _CANDIDATES.get(effort, 1)]


def cheapest(candidates: Sequence[Trial], cost: Callable[[Trial], float]) -> Trial:
    """The candidate of the least cost, the first of equal ones. A single one is not judged at all."""
    return candidates[0] if len(candidates) == 1 else min(candidates, key=cost)


def highest_that_fits(encode: Callable[[int], bytes], qualities: int, target_bytes: int) -> tuple[bytes, bool]:
    """The file of the highest quality index that has at most `target_bytes` bytes, and True.

    If not even index 0 fits: that file, and False. Bisection, since bytes rise with the index: at most
    log2(qualities) + 1 calls of `encode`. Where they do not rise strictly a higher index may be missed, but what is
    returned fits.
    """
    low, high = 0, qualities - 1  # the answer, if there is one, lies between these
    best: bytes | None = None
    smallest = b""
    while low <= high:
        middle = (low + high) // 2
        data = encode(middle)
        if len(data) <= target_bytes:
            best, low = data, middle + 1
        else:
            smallest, high = data, middle - 1
    return (smallest, False) if best is None else (best, True)


def lowest_that_reaches(
    encode: Callable[[int], bytes], psnr: Callable[[bytes], float], qualities: int, target_db: float
) -> tuple[bytes, float]:
    """The file of the lowest quality index whose PSNR is at least `target_db`, and its PSNR.

    If not even the highest index reaches it: that file, and its PSNR, which is below the target.
    """
    low, high = 0, qualities - 1
    best: tuple[bytes, float] | None = None
    nearest = (b"", -math.inf)
    while low <= high:
        middle = (low + high) // 2
        data = encode(middle)
        reached = psnr(data)
        if reached >= target_db:
            best, high = (data, reached), middle - 1
        else:
            nearest, low = (data, reached), middle + 1
    return nearest if best is None else best
