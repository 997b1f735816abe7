"""What a metric on luma or grey cannot see: errors of colour, and colour that faded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from narrows.compare.metrics import psnr_of
from narrows.errors import OptionError
from narrows.lab.measure.arrays import Floats, Pictures, batches, require_pair

_difference: Callable[..., NDArray[np.float64]] = deltaE_ciede2000  # which has no types of its own

CIEDE_PIXELS = 4_000_000
"""Positions that CIEDE2000 is computed at, at most: it takes a thousand times as long as a squared error."""


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Errors of colour over all pictures.

    psnr_y_db, ...    of the mean squared error of Y, Cb, Cr (JPEG's: ITU-R BT.601, full range, peak 255, not rounded)
    ciede2000         mean colour difference, CIEDE2000 of sRGB under D65; about 1 is just visible
    ciede_pictures    pictures that it was computed on, evenly spread over the set
    chroma_ratio      mean distance from grey in (Cb, Cr), decoded over original: under 1 colours have faded
    """

    psnr_y_db: float
    psnr_cb_db: float
    psnr_cr_db: float
    ciede2000: float
    ciede_pictures: int
    chroma_ratio: float


def colour(original: Pictures, decoded: Pictures) -> Colour:
    """The colours of decoded pictures, uint8 (N, H, W, 3), against originals of the same shape.

    OptionError for grey pictures, also for colour ones without any colour; other errors as in `measure`.
    """
    require_pair(original, decoded)
    if original.ndim != 4:
        raise OptionError("these pictures are grey: they have no colour to measure")
    errors, chroma = np.zeros(3), np.zeros(2)
    for part in batches(original):
        x, y = _ycc(original[part]), _ycc(decoded[part])
        errors += np.square(x - y, dtype=np.float64).sum((0, 1, 2))
        chroma += [np.hypot(planes[..., 1], planes[..., 2]).sum(dtype=np.float64) for planes in (x, y)]
    if chroma[0] < 1e-3 * original[..., 0].size:
        raise OptionError("the originals are grey pictures in three channels: there is no chroma to compare with")
    luma_db, blue_db, red_db = (psnr_of(float(error)) for error in errors / original[..., 0].size)
    difference, pictures = _ciede2000(original, decoded)
    return Colour(
        psnr_y_db=luma_db,
        psnr_cb_db=blue_db,
        psnr_cr_db=red_db,
        ciede2000=difference,
        ciede_pictures=pictures,
        chroma_ratio=float(chroma[1] / chroma[0]),
    )


def _ycc(pictures: Pictures) -> Floats:
    """Y in 0..255, Cb and Cr around 0."""
    matrix = np.array(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
    )  # fmt: skip
    result: Floats = pictures.astype(np.float32) @ matrix.T
    return result


def _ciede2000(original: Pictures, decoded: Pictures) -> tuple[float, int]:
    """The mean over evenly spread pictures, and how many they are."""
    count, pixels = len(original), original[0, ..., 0].size
    taken = np.unique(np.linspace(0, count - 1, min(count, max(1, CIEDE_PIXELS // pixels))).round().astype(int))
    total = 0.0
    for index in taken:
        total += float(np.mean(_difference(rgb2lab(original[index]), rgb2lab(decoded[index]))))
    return total / len(taken), len(taken)
