"""What a mean squared error does not see: an upsampler's checkerboard or blocks, and blur.

grid_db      how far the spectrum of rows and columns stands out at the frequencies of a pattern of 2, 4 or 8 pixels
blockiness   how much of the gradient sits at the borders of blocks of 2, 4 or 8 pixels
sharpness    how much of the original's gradient energy is left

The first two see different things: a checkerboard changes as much at every pixel, and blocks of equal pixels have no
energy at all at the frequency of their own side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.measure.arrays import Floats, Pictures, batches, luma, require_pair

PERIODS = (2, 4, 8)
_BESIDE = (-5, -3, 3, 5)  # in units of 1 / length, where a Hann window lets nothing of the line itself through
_WEIGHTS = np.array([-9, 25, 25, -9]) / 32  # the parabola through these, at the line: right for slope and curvature
_ROUNDING = 1 / 12  # variance of rounding to whole levels: keeps the spectrum of a flat picture above 0


def grid_db(original: Pictures, decoded: Pictures, period: int) -> float:
    """The line that a grid of this period draws in the decoded pictures' spectrum, in dB over the original's; 0: none.

    A pattern that repeats every `period` samples has its energy at odd multiples of 1 / period cycles a sample (even
    ones are those of half the period). The mean power spectrum of all windowed rows and columns of the luma is
    compared, at each of these frequencies, with the course of its logarithm beside it. A checkerboard that follows the
    picture's contrast shows too. Blur takes from line and neighbours alike and leaves the figure near 0, or below it
    where nothing but rounding is left at these frequencies. `period` is a power of two under a fifth of the shorter
    side, else OptionError. Errors of the pictures as in `measure`.
    """
    require_pair(original, decoded)
    _require_period(original, period)
    return _line_db(decoded, period) - _line_db(original, period)


def blockiness(original: Pictures, decoded: Pictures, period: int) -> float:
    """How the gradient gathers at one place of every `period` samples, over the originals' figure; 1: not at all.

    The figure is the largest over the mean of the `period` mean squared differences of neighbours that lie at the same
    place modulo the period, counted from the corner, over both directions. Blocks of equal pixels have `period`. Errors
    as in `grid_db`; OptionError also for flat pictures.
    """
    require_pair(original, decoded)
    _require_period(original, period)
    return _gathered(decoded, period) / _gathered(original, period)


def sharpness(original: Pictures, decoded: Pictures) -> float:
    """Gradient energy of the decoded pictures over the originals': 1 is as sharp, less is blurred, more is ringing.

    The energy is the sum of squared differences of neighbours in the luma, both ways, over all pictures together.
    OptionError if the originals are flat; errors of the pictures as in `measure`.
    """
    require_pair(original, decoded)
    before, after = (
        sum(_gradient_energy(luma(pictures[part])) for part in batches(pictures)) for pictures in (original, decoded)
    )
    if before == 0:
        raise OptionError("the originals are flat: there is no sharpness to compare with")
    return after / before


def _require_period(pictures: Pictures, period: int) -> None:
    shorter = min(pictures.shape[1:3])
    if period < 2 or period & (period - 1) or 5 * period >= shorter:
        raise OptionError(f"a grid of {period} pixels: a power of two under a fifth of the shorter side, {shorter}")


def _gathered(pictures: Pictures, period: int) -> float:
    """Mean over both directions of the largest over the mean energy of differences by their place in the period."""
    ratios = []
    for axis in (1, 2):
        energy = np.zeros(pictures.shape[axis] - 1)
        for part in batches(pictures):
            difference = np.moveaxis(np.diff(luma(pictures[part]), axis=axis), axis, -1)
            energy += np.square(difference, dtype=np.float64).sum((0, 1))
        places = np.array([energy[place::period].mean() for place in range(period)])
        if not places.any():
            raise OptionError("these pictures are flat: there is no gradient to look at")
        ratios.append(places.max() / places.mean())
    return float(np.mean(ratios))


def _gradient_energy(planes: Floats) -> float:
    return sum(float(np.square(np.diff(planes, axis=axis), dtype=np.float64).sum()) for axis in (1, 2))


def _line_db(pictures: Pictures, period: int) -> float:
    """The mean over both directions and all odd harmonics of the line's power over that beside it."""
    harmonics = np.arange(1, period // 2 + 1, 2) / period
    ratios = []
    for axis in (1, 2):
        length = pictures.shape[axis]
        places = np.array([0, *_BESIDE]) / length
        power = _power(pictures, axis, (harmonics[:, None] + places).ravel()).reshape(len(harmonics), -1)
        level = np.log10(power)
        ratios.append(10 * (level[:, 0] - level[:, 1:] @ _WEIGHTS))
    return float(np.mean(ratios))


def _power(pictures: Pictures, axis: int, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power of the luma along an axis at frequencies in cycles a sample, under a Hann window."""
    length = pictures.shape[axis]
    window = np.hanning(length + 2)[1:-1]
    waves = np.exp(-2j * np.pi * np.outer(np.arange(length), frequencies)) * window[:, None]
    real, imaginary = waves.real.astype(np.float32), waves.imag.astype(np.float32)
    total, lines = np.zeros(len(frequencies)), 0
    for part in batches(pictures):
        planes = np.moveaxis(luma(pictures[part]), axis, -1)
        rows = planes.reshape(-1, length)
        rows = rows - rows.mean(1, keepdims=True)
        total += np.square(rows @ real, dtype=np.float64).sum(0) + np.square(rows @ imaginary, dtype=np.float64).sum(0)
        lines += len(rows)
    result: NDArray[np.float64] = total / lines + _ROUNDING * float(np.square(window).sum())
    return result
