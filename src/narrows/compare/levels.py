"""All coders side by side at a handful of round levels: rates at equal quality, qualities at equal rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from narrows.compare.curves import Curve, quality_at_rate, rate_at_quality

_RATES_BPP = (0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_STEPS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_MOST_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class LevelCell:
    """A coder at a level: its rate in bpp (equal quality) or its quality (equal rate); None out of its range.

    difference is against the judged coder's value: percent of rate at equal quality (above 0: this coder needs more
    bytes), units of quality at equal rate (above 0: this coder is better). None without both values.
    """

    coder: str
    value: float | None
    difference: float | None


@dataclass(frozen=True, kw_only=True)
class LevelRow:
    """All coders with a curve at one level: a quality on the metric's axis, or a rate in bpp; the judged one first."""

    level: float
    cells: tuple[LevelCell, ...]


def equal_quality(curves: Sequence[Curve]) -> tuple[LevelRow, ...]:
    """Bits per pixel of every curve at round qualities that the first curve has; at most eight rows."""
    judged = curves[0]
    rows = []
    for level in _round_levels(min(judged.quality), max(judged.quality)):
        rates = [rate_at_quality(curve, level) for curve in curves]
        ours = rates[0]
        differences = [None if ours is None or rate is None else 100 * (rate / ours - 1) for rate in rates]
        rows.append(_row(level, curves, rates, differences))
    return tuple(rows)


def equal_rate(curves: Sequence[Curve]) -> tuple[LevelRow, ...]:
    """Quality of every curve at round rates that the first curve has."""
    judged = curves[0]
    rows = []
    for level in _RATES_BPP:
        if min(judged.rate_bpp) <= level <= max(judged.rate_bpp):
            qualities = [quality_at_rate(curve, level) for curve in curves]
            ours = qualities[0]
            differences = [None if ours is None or quality is None else quality - ours for quality in qualities]
            rows.append(_row(level, curves, qualities, differences))
    return tuple(rows)


def _row(
    level: float, curves: Sequence[Curve], values: Sequence[float | None], differences: Sequence[float | None]
) -> LevelRow:
    cells = (
        LevelCell(coder=curve.coder, value=value, difference=difference)
        for curve, value, difference in zip(curves, values, differences, strict=True)
    )
    return LevelRow(level=level, cells=tuple(cells))


def _round_levels(low: float, high: float) -> list[float]:
    """Multiples of a round step within low..high, as many as fit in the table."""
    for step in _STEPS:
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < _MOST_ROWS:
            return [index * step for index in range(first, last + 1)]
    return []
