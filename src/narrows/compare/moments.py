"""Local means and variances of two pictures, what SSIM and SSIMULACRA 2 are made of, faster than by SciPy.

A strip of output rows depends on the same few input rows in every column, so that blurring it is one small matrix
product, and matrix products run at the full speed of the processor. Columns likewise:

    planes (P, H, W) --band @ rows--> (P, H - 2r, W) --columns @ band^T--> (P, H - 2r, W - 2r)

All goes band of rows by band of rows, which stays in the processor's cache and needs no memory of the picture's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Planes: TypeAlias = NDArray[np.float32]
"""(P, H, W)."""

STRIP = 32  # outputs of one product, rows of a band: about the fastest for 9 and 11 taps


class Window:
    """A symmetric separable window of an odd number of taps whose sum is about 1; threads may share one."""

    def __init__(self, taps: NDArray[np.float64]) -> None:
        self.radius = len(taps) // 2
        band = np.zeros((STRIP, STRIP + 2 * self.radius), np.float32)
        for row in range(STRIP):
            band[row, row : row + len(taps)] = taps
        self._band = band
        self._transposed = np.ascontiguousarray(band.T)

    def __call__(self, planes: Planes) -> Planes:
        """The planes blurred where the window fits into them: (P, H - 2 radius, W - 2 radius)."""
        halo = 2 * self.radius
        count, height, width = planes.shape[0], planes.shape[1] - halo, planes.shape[2] - halo
        tall = np.empty((count, height, width + halo), np.float32)
        for top in range(0, height, STRIP):
            n = min(STRIP, height - top)
            np.matmul(self._band[:n, : n + halo], planes[:, top : top + n + halo], out=tall[:, top : top + n])
        rows = tall.reshape(count * height, width + halo)
        out = np.empty((count * height, width), np.float32)
        for left in range(0, width, STRIP):
            n = min(STRIP, width - left)
            np.matmul(rows[:, left : left + n + halo], self._transposed[: n + halo, :n], out=out[:, left : left + n])
        return out.reshape(count, height, width)


def gaussian(radius: int, sigma: float) -> NDArray[np.float64]:
    """The taps of a Gaussian at the whole numbers from -radius to radius; their sum is 1."""
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(taps / taps.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """A band of rows of an original x and of another picture y: samples, and local moments; d is x - y.

    Each is (P, rows, W). mean_y is mean_x - mean_d; the covariance follows from the variances. With the difference
    itself blurred, equal places give exactly 0, whatever the rounding of the rest.
    """

    x: Planes
    y: Planes
    mean_x: Planes
    mean_d: Planes
    variance_x: Planes
    variance_y: Planes
    variance_d: Planes


class Windowed:
    """An original's planes with a margin of window.radius on each side; its moments are computed once if kept."""

    def __init__(self, planes: Planes, window: Window, *, keep: bool) -> None:
        """`planes` is (P, H + 2 radius, W + 2 radius). Kept moments take 8 bytes a sample."""
        self._planes = planes
        self._window = window
        self._tops = range(0, planes.shape[1] - 2 * window.radius, STRIP)
        self._kept = tuple(self._original(top) for top in self._tops) if keep else None

    def against(self, other: Planes) -> Iterator[Moments]:
        """The moments with `other`, of the same shape, band by band from the top."""
        r, count = self._window.radius, len(other)
        for index, top in enumerate(self._tops):
            mean_x, variance_x = self._kept[index] if self._kept else self._original(top)
            x, y = (planes[:, top : top + STRIP + 2 * r] for planes in (self._planes, other))
            stack = np.empty((3 * count, *x.shape[1:]), np.float32)
            d = np.subtract(x, y, out=stack[:count])
            np.multiply(d, d, out=stack[count : 2 * count])
            np.multiply(y, y, out=stack[2 * count :])
            mean_d, square_d, square_y = self._window(stack).reshape(3, *mean_x.shape)
            mean_y = mean_x - mean_d
            yield Moments(
                x=x[:, r:-r, r:-r],
                y=y[:, r:-r, r:-r],
                mean_x=mean_x,
                mean_d=mean_d,
                variance_x=variance_x,
                variance_y=square_y - mean_y * mean_y,
                variance_d=np.maximum(square_d - mean_d * mean_d, 0),  # rounding: it cannot be negative
            )

    def _original(self, top: int) -> tuple[Planes, Planes]:
        """The original's local mean and variance in the band of rows from `top` on."""
        r = self._window.radius
        x = self._planes[:, top : top + STRIP + 2 * r]
        mean, square = self._window(np.concatenate([x, x * x])).reshape(2, len(x), -1, x.shape[2] - 2 * r)
        return mean.copy(), square - mean * mean  # a view would keep the squares in memory too
