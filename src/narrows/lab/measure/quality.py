"""How near many decoded pictures of one size are to their originals: MSE, PSNR two ways, SSIM. Batched, so quick.

mse            mean over all samples of all pictures, on the scale 0..1 that the studies train on
mse_255        the same on 0..255
psnr_db        of that mean MSE
mean_psnr_db   the mean of the pictures' own PSNR: never less than psnr_db, and infinite if one picture is exact
ssim           compare/ssim.py's (Gaussian 11 x 11, sigma 1.5, population, range 255), mean over pictures; of colour
               pictures on their luma
ssim_rgb       of colour pictures the mean over R, G, B
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.compare.metrics import PEAK, psnr_of
from narrows.compare.ssim import of_planes
from narrows.lab.measure.arrays import Pictures, batches, luma, require_pair


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """See above; `..._of` are per picture, float64 (N,), and `exact` counts the pictures that are equal."""

    pictures: int
    mse: float
    mse_255: float
    psnr_db: float
    mean_psnr_db: float
    ssim: float
    ssim_rgb: float | None
    exact: int
    mse_of: NDArray[np.float64]
    psnr_db_of: NDArray[np.float64]
    ssim_of: NDArray[np.float64]


def measure(original: Pictures, decoded: Pictures) -> Quality:
    """The quality of decoded pictures, uint8 (N, H, W) or (N, H, W, 3), against originals of the same shape.

    OptionError if the originals are no such array, PictureError if the decoded ones differ from them in type or shape.
    """
    require_pair(original, decoded)
    count = len(original)
    errors, similarities, rgb = (np.empty(count, np.float64) for _ in range(3))
    for part in batches(original):
        x, y = original[part], decoded[part]
        errors[part] = _squared_errors(x, y)
        similarities[part] = of_planes(luma(x), luma(y))
        if x.ndim == 4:
            rgb[part] = np.mean([of_planes(x[..., c], y[..., c]) for c in range(3)], axis=0)
    with np.errstate(divide="ignore"):
        psnr = 10 * np.log10(PEAK**2 / errors)
    mse_255 = float(errors.mean())
    return Quality(
        pictures=count,
        mse=mse_255 / PEAK**2,
        mse_255=mse_255,
        psnr_db=psnr_of(mse_255),
        mean_psnr_db=float(psnr.mean()),
        ssim=float(similarities.mean()),
        ssim_rgb=float(rgb.mean()) if original.ndim == 4 else None,
        exact=int(np.count_nonzero(errors == 0)),
        mse_of=errors / PEAK**2,
        psnr_db_of=psnr,
        ssim_of=similarities,
    )


def _squared_errors(x: Pictures, y: Pictures) -> NDArray[np.float64]:
    """The mean squared error of each picture, exact but for the division."""
    d = np.subtract(x, y, dtype=np.int16).astype(np.int32).reshape(len(x), -1)
    result: NDArray[np.float64] = np.einsum("ij,ij->i", d, d, dtype=np.int64) / d.shape[1]
    return result
