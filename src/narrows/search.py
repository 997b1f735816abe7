"""Searches of the encoder: the quality for a target, and what they are judged by. They cost the encoder alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FEEDBACK_PASSES = {6: 1, 7: 2, 8: 4}
"""How often an effort decodes a strip and corrects its latents by what the analysis says of the result."""
LEAST_COMPARED = min(FEEDBACK_PASSES)
"""From this effort on several codings of a strip are decoded and compared."""
REFINED = 9
"""The effort that refines the latents by their gradient."""

ERROR_WORTH = 1.2
"""In lambdas: for so many bits the next higher quality buys a squared error, 1.0 to 1.4 on photographs. Trials that are
compared at this price rank as they do at equal PSNR."""


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
