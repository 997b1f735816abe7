"""SSIM and MS-SSIM of RGB pictures: how much of the original's local structure is left; 1 is equal.

SSIM     Wang, Bovik, Sheikh, Simoncelli 2004 (doi:10.1109/TIP.2003.819861): a Gaussian window of 11 x 11 and sigma 1.5,
         moments of the population, range 255, the mean over channels. scikit-image's structural_similarity with
         gaussian_weights=True, sigma=1.5, use_sample_covariance=False gives the same.
MS-SSIM  Wang, Simoncelli, Bovik 2003 (doi:10.1109/ACSSC.2003.1292216): contrast and structure at five scales, luminance
         at the last; computed a channel, then the mean over channels, as pytorch-msssim and so CompressAI do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.compare.moments import Moments, Planes, Window, Windowed, gaussian
from narrows.compare.records import Pixels

RADIUS = 5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_SIDE = 2 ** (len(WEIGHTS) - 1) * 2 * RADIUS
"""MS-SSIM needs a shorter side above this, 160, for the window to fit into the last scale."""
KEEP_PIXELS = 4 << 20
"""Up to here the moments of the original are kept: 32 bytes a pixel."""

_C1, _C2 = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2)
_MIDDLE = np.float32(128)  # taken off the samples: smaller squares leave more digits to the variances
GAUSSIAN = Window(gaussian(RADIUS, 1.5))


class Original:
    """An original, ready to score any number of decoded versions of it; threads may share one."""

    def __init__(self, pixels: Pixels) -> None:
        """`pixels` is (H, W, 3) uint8."""
        keep = pixels.shape[0] * pixels.shape[1] <= KEEP_PIXELS
        self._scales = [Windowed(planes, GAUSSIAN, keep=keep) for planes in _scales(pixels)]

    def score(self, decoded: Pixels) -> tuple[float, float | None]:
        """SSIM and MS-SSIM of `decoded`, of the same shape; each at most 1.

        MS-SSIM is None where the shorter side is 160 or less. Under 11 the window does not fit even for SSIM: there
        the picture is continued by its mirror image.
        """
        means = [
            _means(original.against(planes)) for original, planes in zip(self._scales, _scales(decoded), strict=True)
        ]
        similarity = float(means[0][0].mean())
        if len(means) < len(WEIGHTS):
            return similarity, None
        factors = np.stack([contrast for _, contrast in means[:-1]] + [means[-1][0]])
        return similarity, float(np.prod(np.maximum(factors, 0) ** np.array(WEIGHTS)[:, None], axis=0).mean())


def of_planes(
    original: NDArray[Any], decoded: NDArray[Any], *, window: Window = GAUSSIAN, covariance: float = 1.0
) -> NDArray[np.float64]:
    """SSIM of every plane (P, H, W) of samples in 0..255 by itself, as float64 (P,): for many small pictures at once.

    `window` and `covariance`, a factor on variances and covariance, are for other definitions than that above.
    """
    x, y = (_fitted(planes.astype(np.float32) - _MIDDLE, window.radius) for planes in (original, decoded))
    similarity, _ = _means(Windowed(x, window, keep=False).against(y), covariance)
    return similarity


def _scales(pixels: Pixels) -> Iterator[Planes]:
    """The samples less 128, (3, H, W), at five scales; at one where the picture is too small for MS-SSIM."""
    planes = pixels.transpose(2, 0, 1).astype(np.float32) - _MIDDLE
    yield (planes := _fitted(planes, RADIUS))
    if min(pixels.shape[:2]) > MIN_SIDE:
        for _ in WEIGHTS[1:]:
            planes = _halve(planes)
            yield planes


def _fitted(planes: Planes, radius: int) -> Planes:
    """The planes, continued by their mirror image where a window of that radius does not fit into them."""
    if min(planes.shape[1:]) > 2 * radius:
        return planes
    return np.pad(planes, ((0, 0), (radius, radius), (radius, radius)), mode="symmetric")


def _halve(planes: Planes) -> Planes:
    """Means of 2 x 2; before the first row or column of an odd side come zeros, as in pytorch-msssim."""
    odd = planes.shape[1] % 2, planes.shape[2] % 2
    planes = np.pad(planes, ((0, 0), (odd[0], 0), (odd[1], 0)), constant_values=-_MIDDLE)
    rows = planes[:, 0::2] + planes[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) * np.float32(0.25)


def _means(bands: Iterator[Moments], covariance: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The means of SSIM and of its contrast and structure part over a scale, each (planes,)."""
    c2 = np.float32(_C2 / covariance)  # the factor cancels everywhere else
    sums, pixels = np.zeros((2, 1)), 0
    for m in bands:
        pixels += m.x[0].size
        # 1 - (2 covariance + C2) / (both variances + C2) and the like for the means, without its cancellation
        contrast = m.variance_d / (m.variance_x + m.variance_y + c2)
        mean_x = m.mean_x + _MIDDLE
        mean_y = mean_x - m.mean_d
        luminance = m.mean_d * m.mean_d / (mean_x * mean_x + mean_y * mean_y + _C1)
        lost = luminance + contrast - luminance * contrast
        sums = sums + np.stack([part.sum(axis=(1, 2), dtype=np.float64) for part in (lost, contrast)])
    lost_mean, contrast_mean = sums / pixels
    return 1 - lost_mean, 1 - contrast_mean
