"""The judged coder against another one: on the mean curves, and picture by picture.

Negative rates mean that the judged coder needs fewer bytes; a value of None comes with its reason.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from narrows.compare.curves import LEAST_POINTS, Curve, Difference, bd_quality, bd_rate, bd_rate_between, picture_curve
from narrows.compare.metrics import Metric
from narrows.compare.records import Point

LEVEL = 0.5
"""Percent: pictures whose BD-rate is nearer to 0 are neither won nor lost."""

_LEAST_OVERLAP = {"points": 5.0}  # of SSIMULACRA 2's 100; decibels elsewhere


@dataclass(frozen=True, kw_only=True)
class PictureDifference:
    """The judged coder's BD-rate against another on one picture, percent."""

    picture: str
    rate: Difference


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The pictures' own BD-rates, percent. A picture within LEVEL percent of 0 is neither won nor lost.

    worst and best are (picture, percent); median, worst and best are None if no picture has a BD-rate.
    won + lost + level + unknown = the number of pictures.
    """

    median: float | None
    worst: tuple[str, float] | None
    best: tuple[str, float] | None
    won: int
    lost: int
    level: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The judged coder against another one, in one metric, on the mean curves and picture by picture.

    rate       BD-rate, akima, over the whole overlap, percent: below 0, the judged coder needs fewer bytes
    reverse    the other way round: the opponent's BD-rate against the judged coder, percent
    pchip      `rate` by the other interpolation, as a check
    window     BD-rate, akima, over the metric's stated window; None where the metric has no window
    quality    BD-quality, akima, over the common rates, in units of the metric's axis: above 0, the judged is better
    pictures   in the order of the comparison's pictures
    """

    opponent: str
    label: str
    rate: Difference
    reverse: Difference
    pchip: Difference
    window: Difference | None
    quality: Difference
    pictures: tuple[PictureDifference, ...]
    spread: Spread


def least_overlap(metric: Metric) -> float:
    """How much of the metric's axis two curves must share for a BD-rate."""
    return _LEAST_OVERLAP.get(metric.unit, 1.0)


def make_pair(
    judged: Curve,
    theirs: Curve,
    metric: Metric,
    window: tuple[float, float] | None,
    pictures: tuple[PictureDifference, ...],
) -> Pair:
    """The pair of two mean curves of four points or more; `pictures` as compare_pictures makes them."""
    least = least_overlap(metric)
    return Pair(
        opponent=theirs.coder,
        label=theirs.label,
        rate=bd_rate(theirs, judged, least=least),
        reverse=bd_rate(judged, theirs, least=least),
        pchip=bd_rate(theirs, judged, method="pchip", least=least),
        window=None if window is None else bd_rate_between(theirs, judged, *window),
        quality=bd_quality(theirs, judged),
        pictures=pictures,
        spread=spread_of(pictures),
    )


def picture_curves(points: Sequence[Point], pictures: Sequence[str], metric: Metric, label: str) -> dict[str, Curve]:
    """picture -> the curve of one coder on it."""
    by_picture: dict[str, list[Point]] = {name: [] for name in pictures}
    for point in points:
        by_picture[point.picture].append(point)
    return {name: picture_curve(group, name, metric, label=label) for name, group in by_picture.items()}


def compare_pictures(
    judged: dict[str, Curve], theirs: dict[str, Curve], metric: Metric
) -> tuple[PictureDifference, ...]:
    """The judged coder's BD-rate on every picture."""
    least = least_overlap(metric)
    return tuple(PictureDifference(picture=name, rate=_one(theirs[name], judged[name], least)) for name in judged)


def spread_of(pictures: Sequence[PictureDifference]) -> Spread:
    """Median, extremes and the count of won and lost pictures."""
    known = {item.picture: item.rate.value for item in pictures if item.rate.value is not None}
    worst = max(known, key=known.__getitem__, default=None)
    best = min(known, key=known.__getitem__, default=None)
    won, lost = sum(value < -LEVEL for value in known.values()), sum(value > LEVEL for value in known.values())
    return Spread(
        median=statistics.median(known.values()) if known else None,
        worst=None if worst is None else (worst, known[worst]),
        best=None if best is None else (best, known[best]),
        won=won,
        lost=lost,
        level=len(known) - won - lost,
        unknown=len(pictures) - len(known),
    )


def _one(anchor: Curve, test: Curve, least: float) -> Difference:
    for curve in (anchor, test):  # a picture without a curve is a gap in a table, not the end of the comparison
        if len(curve.quality) < LEAST_POINTS:
            reason = f"{curve.label} has {len(curve.quality)} points on this picture, {LEAST_POINTS} are needed"
            return Difference(value=None, low=0.0, high=0.0, points=0, reason=reason)
    return bd_rate(anchor, test, least=least)
