"""Rate-distortion curves: means over pictures, BD-rates, rate at equal quality and quality at equal rate.

A curve is a function both ways: log10 of the rate over the quality, and the quality over log10 of the rate, each by
the interpolation of the package bjontegaard (akima unless said otherwise). Qualities are values on a metric's axis
(metrics.Metric.axis), where higher is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Protocol, TypeAlias

import bjontegaard.interpolation
import numpy as np

from narrows.compare.metrics import Metric
from narrows.compare.records import Point
from narrows.errors import OptionError

Method: TypeAlias = Literal["akima", "pchip"]

LEAST_POINTS = 4
"""Points that a curve needs before it is interpolated at all."""

LEAST_OVERLAP = 1.0
"""Units of the quality's axis that two curves must share for a BD-rate: 1 dB where the axis is in dB."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A coder's rates and qualities, by rising rate; one entry per setting.

    rate_bpp  bits per pixel; mean over the pictures
    quality   on a metric's axis (higher is better); from means over the same pictures
    """

    coder: str
    label: str
    settings: tuple[float, ...]
    rate_bpp: tuple[float, ...]
    quality: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A Bjontegaard difference between two curves and the interval that it was taken over.

    value   percent of rate, or units of quality; None if there is none, and `reason` then says why
    low     beginning of the interval: on the quality's axis for a rate, in bits per pixel for a quality
    high    its end
    points  measured points in the interval, of the curve that has fewer
    """

    value: float | None
    low: float
    high: float
    points: int
    reason: str = ""


class _Function(Protocol):
    """An interpolated curve, as bjontegaard makes it."""

    def __call__(self, x: float) -> float: ...

    def integrate(self, a: float, b: float) -> float: ...


def mean_curve(points: Iterable[Point], metric: Metric, *, label: str = "") -> Curve:
    """The curve of one coder: for each setting the mean rate and the quality of the mean over the pictures.

    Settings whose quality is infinite or that the metric cannot judge are left out. OptionError if there are no
    points, if they are of several coders or versions, or if a setting was not measured on the same pictures as the
    others, with its name and theirs.
    """
    table = _by_setting(points)
    everywhere = set().union(*table.values())
    for setting, group in table.items():
        missing = sorted(everywhere - set(group))
        if missing:
            coder = next(iter(group.values())).coder
            shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
            raise OptionError(f"{coder} at {setting:g} was not measured on {shown}; a mean needs the same pictures")
    found = [(setting, *_means(group.values(), metric)) for setting, group in table.items()]
    return _curve(next(iter(next(iter(table.values())).values())).coder, label, found)


def picture_curve(points: Iterable[Point], picture: str, metric: Metric, *, label: str = "") -> Curve:
    """The curve of one coder on one picture alone; see mean_curve. OptionError if it has no points there."""
    return mean_curve((point for point in points if point.picture == picture), metric, label=label)


def bd_rate(anchor: Curve, test: Curve, *, method: Method = "akima", least: float = LEAST_OVERLAP) -> Difference:
    """Mean difference in rate at equal quality over the curves' overlap, in percent; negative: `test` needs less.

    None with a reason where the overlap is under `least` units of quality, or a curve hardly rises. OptionError for a
    curve of fewer than four points. Source: G. Bjontegaard, VCEG-M33, with another interpolation.
    """
    both = _rising_pair(anchor, test)
    low, high = _overlap([curve.quality for curve in both])
    return _rate_over(both, low, high, method, least)


def bd_rate_between(
    anchor: Curve, test: Curve, low: float, high: float, *, method: Method = "akima", least: float = 0.0
) -> Difference:
    """The BD-rate over a stated interval of quality, in percent; None where a curve does not cover the whole of it."""
    both = _rising_pair(anchor, test)
    first, last = _overlap([curve.quality for curve in both])
    if first > low or last < high:
        reason = f"both curves reach from {first:.2f} to {last:.2f}, not from {low:g} to {high:g}"
        return Difference(value=None, low=low, high=high, points=0, reason=reason)
    return _rate_over(both, low, high, method, least)


def bd_quality(anchor: Curve, test: Curve, *, method: Method = "akima") -> Difference:
    """Mean difference in quality at equal rate over the curves' common rates; positive: `test` is better.

    The mean is over log rate. None with a reason where the rates overlap by less than a quarter of an octave;
    OptionError for a curve of fewer than four points.
    """
    both = _rising_pair(anchor, test)
    low, high = _overlap([curve.rate_bpp for curve in both])
    reason = _too_short(both) or ("" if high >= low * 2**0.25 else f"the rates {_meet(low, high, 'bpp')}")
    if reason:
        return Difference(value=None, low=low, high=high, points=0, reason=reason)
    value = _mean_gap([_quality_of(curve, method) for curve in both], math.log10(low), math.log10(high))
    return Difference(value=value, low=low, high=high, points=_between([c.rate_bpp for c in both], low, high))


def rate_at_quality(curve: Curve, quality: float, *, method: Method = "akima") -> float | None:
    """Bits per pixel at which a curve has a quality; None outside its range, or with fewer than four points."""
    curve = rising(curve)
    if len(curve.quality) < LEAST_POINTS or not curve.quality[0] <= quality <= curve.quality[-1]:
        return None
    return float(10 ** _log_rate_of(curve, method)(quality))


def quality_at_rate(curve: Curve, rate_bpp: float, *, method: Method = "akima") -> float | None:
    """The quality that a curve has at a rate; None outside its range, or with fewer than four points."""
    curve = rising(curve)
    if len(curve.quality) < LEAST_POINTS or not curve.rate_bpp[0] <= rate_bpp <= curve.rate_bpp[-1]:
        return None
    return float(_quality_of(curve, method)(math.log10(rate_bpp)))


def rising(curve: Curve) -> Curve:
    """A curve without the points that cost more than an earlier one and are not better: what is left is a function."""
    kept: list[int] = []
    for index, (rate, quality) in enumerate(zip(curve.rate_bpp, curve.quality, strict=True)):
        if not kept or (rate > curve.rate_bpp[kept[-1]] and quality > curve.quality[kept[-1]]):
            kept.append(index)
    if len(kept) == len(curve.quality):
        return curve
    settings, rates, qualities = (
        tuple(values[index] for index in kept) for values in (curve.settings, curve.rate_bpp, curve.quality)
    )
    return replace(curve, settings=settings, rate_bpp=rates, quality=qualities)


def falls(points: Iterable[Point], metric: Metric) -> list[str]:
    """Where bytes or quality of one coder do not rise with its setting on a picture, a line each.

    Settings that code a picture exactly are all of one quality and are not compared in it.
    """
    by_picture: dict[str, list[Point]] = {}
    for point in points:
        by_picture.setdefault(point.picture, []).append(point)
    lines = []
    for picture, group in sorted(by_picture.items()):
        for below, above in pairwise(sorted(group, key=lambda point: point.setting)):
            first, second = (_quality([point], metric) for point in (below, above))
            worse = first is not None and second is not None and second <= first and math.isfinite(first)
            if above.bytes <= below.bytes or worse:
                better = "" if first is None or second is None else f", {first:.3f} to {second:.3f} {metric.unit}"
                lines.append(
                    f"{picture}, setting {below.setting:g} to {above.setting:g}: "
                    f"{below.bytes} to {above.bytes} bytes{better}"
                )
    return lines


def _by_setting(points: Iterable[Point]) -> dict[float, dict[str, Point]]:
    """setting -> picture -> point, by rising setting; OptionError if the points are not of one coder."""
    table: dict[float, dict[str, Point]] = {}
    made_by: set[tuple[str, str]] = set()
    for point in points:
        made_by.add((point.coder, point.version))
        if point.picture in table.setdefault(point.setting, {}):
            raise OptionError(f"{point.coder} at {point.setting:g} was measured twice on {point.picture}")
        table[point.setting][point.picture] = point
    if len(made_by) != 1:
        several = " and ".join(sorted(f"{coder} ({version})" for coder, version in made_by))
        raise OptionError(f"a curve needs the points of one coder, these are of {several or 'none'}")
    return dict(sorted(table.items()))


def _means(group: Iterable[Point], metric: Metric) -> tuple[float, float | None]:
    points = list(group)
    return math.fsum(point.bpp for point in points) / len(points), _quality(points, metric)


def _quality(points: Sequence[Point], metric: Metric) -> float | None:
    """The quality of the mean over the points; None if the metric cannot judge one of them."""
    values = [value for point in points if (value := metric.of(point)) is not None]
    return metric.axis(sum(values) / len(values)) if len(values) == len(points) else None


def _curve(coder: str, label: str, found: Iterable[tuple[float, float, float | None]]) -> Curve:
    """A curve by rising rate from (setting, rate, quality), without what cannot be drawn."""
    rows = [
        (rate, quality, setting) for setting, rate, quality in found if quality is not None and math.isfinite(quality)
    ]
    rates, qualities, settings = zip(*sorted(rows), strict=True) if rows else ((), (), ())
    return Curve(coder=coder, label=label or coder, settings=settings, rate_bpp=rates, quality=qualities)


def _rising_pair(anchor: Curve, test: Curve) -> tuple[Curve, Curve]:
    for curve in (anchor, test):
        if len(curve.quality) < LEAST_POINTS:
            found = ", ".join(f"{setting:g}" for setting in curve.settings) or "none"
            raise OptionError(
                f"the curve of {curve.label} has {len(curve.quality)} points (settings {found}), "
                f"a Bjontegaard difference needs {LEAST_POINTS}: measure it at more settings"
            )
    return rising(anchor), rising(test)


def _overlap(ranges: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The interval that both cover; empty where the first number is not below the second."""
    return max(values[0] for values in ranges), min(values[-1] for values in ranges)


def _rate_over(both: tuple[Curve, Curve], low: float, high: float, method: Method, least: float) -> Difference:
    reason = _too_short(both)
    if not reason and (high <= low or high - low < least):
        reason = f"the qualities {_meet(low, high)}, {least:g} are needed"
    if reason:
        return Difference(value=None, low=low, high=high, points=0, reason=reason)
    gap = _mean_gap([_log_rate_of(curve, method) for curve in both], low, high)
    points = _between([curve.quality for curve in both], low, high)
    return Difference(value=100 * (10**gap - 1), low=low, high=high, points=points)


def _too_short(both: tuple[Curve, Curve]) -> str:
    """Why one of two rising curves is no function worth integrating; "" if both are."""
    return next(
        (
            f"the quality of {curve.label} rises at {len(curve.quality)} points only"
            for curve in both
            if len(curve.quality) < LEAST_POINTS
        ),
        "",
    )


def _meet(low: float, high: float, unit: str = "") -> str:
    space = f" {unit}" if unit else ""
    if high <= low:
        return f"do not meet: one ends at {high:.4g}{space}, the other begins at {low:.4g}{space}"
    return f"overlap by {high - low:.2f}{space} only"


def _between(ranges: Sequence[Sequence[float]], low: float, high: float) -> int:
    return min(sum(low <= value <= high for value in values) for values in ranges)


def _mean_gap(functions: Sequence[_Function], low: float, high: float) -> float:
    """The mean over low..high of the second function less the first."""
    anchor, test = (float(function.integrate(low, high)) for function in functions)
    return (test - anchor) / (high - low)


def _log_rate_of(curve: Curve, method: Method) -> _Function:
    return _interpolate(curve.quality, _logs(curve), method)


def _quality_of(curve: Curve, method: Method) -> _Function:
    return _interpolate(_logs(curve), curve.quality, method)


def _logs(curve: Curve) -> list[float]:
    # math.log10 here as for the ends of an interval: numpy's may differ in the last bit, and outside its range an
    # interpolation is NaN
    return [math.log10(rate) for rate in curve.rate_bpp]


def _interpolate(x: Sequence[float], y: Sequence[float], method: Method) -> _Function:
    function: _Function = bjontegaard.interpolation.interpolate(np.asarray(x), np.asarray(y), method)
    return function
