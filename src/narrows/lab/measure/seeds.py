"""The metrics that two of the studies used, for the columns in which their figures are repeated; nothing else.

They are not ours (quality.py): a uniform window is harder on a small shift, and a range of one's own moves the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.compare.moments import Window
from narrows.compare.ssim import of_planes
from narrows.errors import OptionError
from narrows.lab.measure.arrays import Pictures, batches, luma, require_pair


@dataclass(frozen=True, kw_only=True)
class SeedQuality:
    """Means over pictures, of decoded 8-bit pictures.

    ssim_uniform_11     emnist-decoders: 11 x 11, sample covariance, inner windows alone; None under 11 pixels.
                        Its range is 1 on samples in 0..1, which is 255 on these
    psnr_own_range_db   emnist-decoders: mean of the pictures' PSNR, each with its original's maximum less minimum as
                        the peak; pictures that are flat have none and are left out; None if all are
    ssim_uniform_7_grey imagenette-depth: 7 x 7 on grey, sample covariance; None under 7 pixels
    """

    ssim_uniform_11: float | None
    psnr_own_range_db: float | None
    ssim_uniform_7_grey: float | None


def seed_metrics(original: Pictures, decoded: Pictures) -> SeedQuality:
    """The studies' metrics of uint8 (N, H, W) or (N, H, W, 3), colour ones on their luma; errors as in `measure`."""
    require_pair(original, decoded)
    return SeedQuality(
        ssim_uniform_11=_uniform(original, decoded, 11),
        psnr_own_range_db=_own_range(original, decoded),
        ssim_uniform_7_grey=_uniform(original, decoded, 7),
    )


def uniform_ssim(original: NDArray[Any], decoded: NDArray[Any], side: int) -> NDArray[np.float64]:
    """SSIM of each plane (P, H, W) in 0..255 as float64 (P,), by scikit-image's defaults but for range and window side.

    OptionError for an even side or one that does not fit.
    """
    if side % 2 == 0 or not 1 < side <= min(original.shape[1:]):
        raise OptionError(f"a window of {side} x {side}: an odd side from 3 to {min(original.shape[1:])} is possible")
    values = side * side
    return of_planes(
        original, decoded, window=Window(np.full(side, 1 / side)), covariance=values / (values - 1)
    )  # fmt: skip


def _uniform(original: Pictures, decoded: Pictures, side: int) -> float | None:
    if min(original.shape[1:3]) < side:
        return None
    parts = [uniform_ssim(luma(original[part]), luma(decoded[part]), side) for part in batches(original)]
    return float(np.concatenate(parts).mean())


def _own_range(original: Pictures, decoded: Pictures) -> float | None:
    axes = tuple(range(1, original.ndim))
    reach = original.max(axes).astype(np.float64) - original.min(axes)
    errors = np.concatenate(
        [
            np.square(np.subtract(original[part], decoded[part], dtype=np.int16), dtype=np.int64).mean(axes)
            for part in batches(original)
        ]
    )
    uneven = reach > 0
    if not uneven.any():
        return None
    with np.errstate(divide="ignore"):
        return float(np.mean(10 * np.log10(reach[uneven] ** 2 / errors[uneven])))
