"""Pictures of one size as one array, and the planes that metrics are computed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError, PictureError

Pictures: TypeAlias = NDArray[np.uint8]
"""(N, H, W) grey or (N, H, W, 3) RGB."""
Floats: TypeAlias = NDArray[np.float32]

BATCH_SAMPLES = 2**22
"""Samples that are turned into floats at a time."""


def require_pictures(pictures: NDArray[Any], least: int = 1) -> None:
    """OptionError unless it is at least `least` pictures, uint8 (N, H, W) or (N, H, W, 3), of at least one pixel."""
    shape = pictures.shape
    if pictures.dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)) or not pictures.size:
        raise OptionError(f"pictures must be uint8 (N, H, W) or (N, H, W, 3), not {pictures.dtype} {shape}")
    if len(pictures) < least:
        raise OptionError(f"at least {least} pictures are needed, not {len(pictures)}")


def require_pair(original: NDArray[Any], decoded: NDArray[Any]) -> None:
    """OptionError unless the originals are pictures; PictureError unless the decoded ones are uint8 of their shape."""
    require_pictures(original)
    if decoded.dtype != np.uint8 or decoded.shape != original.shape:
        raise PictureError(
            f"the decoded pictures are {decoded.dtype} {decoded.shape}, the originals uint8 {original.shape}; "
            "clip, round and crop them first"
        )


def batches(pictures: NDArray[Any]) -> Iterator[slice]:
    """Slices of the first axis that together are all of it, each of about BATCH_SAMPLES samples."""
    step = max(1, BATCH_SAMPLES // max(1, int(np.prod(pictures.shape[1:]))))
    for start in range(0, len(pictures), step):
        yield slice(start, min(start + step, len(pictures)))


def luma(pictures: Pictures) -> Floats:
    """(N, H, W) in 0..255, not rounded: Y of JPEG (ITU-R BT.601, full range); grey pictures are their own."""
    if pictures.ndim == 3:
        return pictures.astype(np.float32)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    result: Floats = pictures.astype(np.float32) @ weights
    return result


def picture_pixels(pictures: Pictures) -> int:
    """Positions H x W of one picture; a rate in bits per pixel is over these, whatever the number of channels."""
    return int(pictures.shape[1] * pictures.shape[2])
