"""How near a decoded picture is to its original: MSE, PSNR, SSIM, MS-SSIM, SSIMULACRA 2, and how each makes a curve.

original --Reference(original)--> what every metric needs of the original alone, computed once
decoded  --.scores(decoded)-----> Scores --a Point--> METRICS[key].of(point) --mean--> METRICS[key].axis(mean)

The definitions are those of the field: 8-bit RGB on both sides, all samples of all channels, peak 255; ssim.py and
ssimulacra2.py cite theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from narrows.compare import ssim, ssimulacra2
from narrows.compare.records import Pixels, Point
from narrows.errors import PictureError

PEAK = 255.0


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric becomes a curve: `axis(mean over pictures of of(point))` is what is drawn and integrated.

    key     "psnr", as on the command line and in summary.json
    label   for an axis or a table's heading: "PSNR (RGB), dB"
    unit    of the axis: "dB" or "points"
    of      a point's value that is averaged over pictures; None where the picture is too small for the metric,
            infinite for an exact copy where it is in dB
    axis    from the mean to a value that rises with quality
    """

    key: str
    label: str
    unit: str
    of: Callable[[Point], float | None]
    axis: Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All metrics of one decoded picture; field by field what records.Point holds."""

    mse: float
    psnr_db: float
    ssim: float
    ms_ssim: float | None
    ssimulacra2: float | None


def psnr_of(mse: float) -> float:
    """The PSNR in dB of a mean squared error of 8-bit samples, peak 255; infinite for no error.

    >>> psnr_of(65025.0)
    0.0
    """
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else math.inf


def decibels(similarity: float) -> float:
    """A similarity of at most 1 as -10 log10(1 - s) dB, which spreads the values near 1; infinite for 1.

    >>> round(decibels(0.99), 9)
    20.0
    """
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def _same(mean: float) -> float:
    return mean


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(key="psnr", label="PSNR (RGB), dB", unit="dB", of=lambda p: p.psnr_db, axis=_same),
        Metric(key="mse", label="PSNR of the mean MSE, dB", unit="dB", of=lambda p: p.mse, axis=psnr_of),
        Metric(key="ssim", label="SSIM, dB", unit="dB", of=lambda p: p.ssim, axis=decibels),
        Metric(
            key="ms-ssim",
            label="MS-SSIM, dB",
            unit="dB",
            of=lambda p: None if p.ms_ssim is None else decibels(p.ms_ssim),
            axis=_same,
        ),
        Metric(key="ssimulacra2", label="SSIMULACRA 2", unit="points", of=lambda p: p.ssimulacra2, axis=_same),
    )
}
"""The metrics by key, in the order of the reports.

What is averaged over pictures follows the field's habits, so that curves can be laid beside published ones: of PSNR and
MS-SSIM the decibels of each picture, of SSIM and SSIMULACRA 2 the values themselves; "mse" is the other PSNR, of the
mean error of all pictures. Axes in dB spread what is near to the original, where curves of SSIM would lie in a heap.
"""


class Reference:
    """An original, ready to score any number of decoded versions of it; threads may share one.

    It keeps what the metrics need of the original alone: about 100 bytes a pixel, of pictures of more than
    four megapixels about 35, and scoring then takes about a third longer.
    """

    def __init__(self, original: Pixels) -> None:
        """`original` is (H, W, 3) uint8, RGB; PictureError if not."""
        if original.dtype != np.uint8 or original.ndim != 3 or original.shape[2] != 3 or not original.size:
            raise PictureError(f"metrics need (H, W, 3) of uint8, the picture is {original.shape} of {original.dtype}")
        self._original = original
        self._ssim = ssim.Original(original)
        self._ssimulacra2 = ssimulacra2.Original(original)

    def scores(self, decoded: Pixels) -> Scores:
        """Every metric of `decoded`, which is of the original's shape and type; PictureError if not."""
        if decoded.dtype != np.uint8 or decoded.shape != self._original.shape:
            raise PictureError(
                f"the decoded picture is {decoded.shape} of {decoded.dtype}, not {self._original.shape} of uint8"
            )
        mse = _mse(self._original, decoded)
        similarity, ms_similarity = self._ssim.score(decoded)
        return Scores(
            mse=mse,
            psnr_db=psnr_of(mse),
            ssim=similarity,
            ms_ssim=ms_similarity,
            ssimulacra2=self._ssimulacra2.score(decoded),
        )


def _mse(original: Pixels, decoded: Pixels) -> float:
    """Mean squared error over all samples of two pictures of one shape, exact but for the division."""
    d = np.subtract(original, decoded, dtype=np.int16).astype(np.float64).ravel()
    return float(d @ d) / d.size
