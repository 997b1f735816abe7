"""Which files count in a metric: the same pictures for every coder, and every setting of a coder on all of them.

A picture that one coder could not code, or that the metric cannot judge, is left out for all coders: means over
different pictures compare pictures, not coders. What is left out has a line that says why.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from narrows.compare.metrics import Metric
from narrows.compare.records import Comparison, Point
from narrows.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The files that count in one metric.

    pictures  names, in the order of the comparison
    points    lossy coder -> its points, every setting on every picture; in the order of the comparison
    left_out  (coder or picture, reason)
    """

    pictures: tuple[str, ...]
    points: dict[str, tuple[Point, ...]]
    left_out: tuple[tuple[str, str], ...]


def select(comparison: Comparison, metric: Metric) -> Samples:
    """What counts in `metric`; OptionError if a coder's points are of two versions."""
    names = [picture.name for picture in comparison.pictures]
    left_out: list[tuple[str, str]] = []
    measured: dict[str, list[Point]] = {}
    for coder in comparison.coders:
        if coder.lossless:
            continue
        points = [point for point in comparison.points if point.coder == coder.name]
        _one_version(coder.name, points)
        seen = {point.picture for point in points}
        if 2 * sum(name in seen for name in names) < len(names) or not points:
            left_out.append((coder.label, f"was measured on {len(seen)} of {len(names)} pictures"))
            continue
        measured[coder.name] = _without_exact_settings(points, metric)
        if not measured[coder.name]:
            left_out.append((coder.label, "makes exact copies at every setting"))
    reasons = _unusable(names, measured, metric, comparison)
    left_out += [(name, reasons[name]) for name in names if name in reasons]
    pictures = tuple(name for name in names if name not in reasons)
    points_of: dict[str, tuple[Point, ...]] = {}
    for coder in comparison.coders:
        if coder.name in measured:
            points_of[coder.name], dropped = _complete(measured[coder.name], pictures)
            left_out += [(coder.label, f"setting {s:g} was not measured on every picture") for s in dropped]
    return Samples(pictures=pictures, points=points_of, left_out=tuple(left_out))


def _one_version(coder: str, points: Sequence[Point]) -> None:
    versions = sorted({point.version for point in points})
    if len(versions) > 1:
        raise OptionError(
            f"the points of {coder} are of several versions ({'; '.join(versions)}); compare one at a time"
        )


def _without_exact_settings(points: Iterable[Point], metric: Metric) -> list[Point]:
    """The points but for settings that code half of the pictures or more exactly: they are no part of a curve."""
    by_setting: dict[float, list[Point]] = defaultdict(list)
    for point in points:
        by_setting[point.setting].append(point)
    return [
        point
        for group in by_setting.values()
        if 2 * sum(metric.of(point) == math.inf for point in group) < len(group)
        for point in group
    ]


def _unusable(
    names: Sequence[str], measured: dict[str, list[Point]], metric: Metric, comparison: Comparison
) -> dict[str, str]:
    """picture -> why it cannot be part of a mean."""
    labels = {coder.name: coder.label for coder in comparison.coders}
    reasons: dict[str, str] = {}
    for coder, points in measured.items():
        by_picture: dict[str, list[Point]] = defaultdict(list)
        for point in points:
            by_picture[point.picture].append(point)
        most = max((len(group) for group in by_picture.values()), default=0)
        for name in names:
            values = [metric.of(point) for point in by_picture[name]]
            if any(value is None for value in values):
                reasons.setdefault(name, f"is too small for {metric.label.partition(',')[0]}")
            elif math.inf in values:
                reasons.setdefault(name, f"is coded without any error by {labels[coder]}")
            elif 2 * len(values) < most:
                reasons.setdefault(name, f"{labels[coder]} has {len(values)} of {most} settings on it")
    return reasons


def _complete(points: Sequence[Point], pictures: Sequence[str]) -> tuple[tuple[Point, ...], list[float]]:
    """The points on `pictures` at the settings that were measured on all of them, and the other settings."""
    wanted = set(pictures)
    found: dict[float, set[str]] = defaultdict(set)
    for point in points:
        if point.picture in wanted:
            found[point.setting].add(point.picture)
    dropped = sorted(setting for setting, group in found.items() if group != wanted)
    kept = tuple(point for point in points if point.picture in wanted and found[point.setting] == wanted)
    return kept, dropped
