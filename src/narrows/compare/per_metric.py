"""One metric of a comparison, whole: mean curves, the judged coder against each other one, equal quality and rate."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.compare.curves import LEAST_POINTS, Curve, mean_curve
from narrows.compare.levels import LevelRow, equal_quality, equal_rate
from narrows.compare.metrics import Metric
from narrows.compare.pairs import Pair, compare_pictures, make_pair, picture_curves
from narrows.compare.records import Comparison
from narrows.compare.samples import Samples, select
from narrows.errors import OptionError

WINDOWS = {"psnr": (27.0, 38.0)}
"""metric -> the qualities at which photographs are mostly kept; above 38 dB coders with 4:2:0 stop gaining."""


@dataclass(frozen=True, kw_only=True)
class MetricAnalysis:
    """One metric. A metric without a curve of the judged coder is not in the Analysis.

    label          "PSNR (RGB)"
    axis           what the curves' quality is, with its unit: "PSNR (RGB), dB"
    unit           of the axis: "dB", "points"
    window         the stated interval of quality of Pair.window; None if the metric has none
    pictures       names of the pictures that the means are over, the same for all coders
    curves         mean curves, the judged coder's first; lossless coders have none
    pairs          in the order of the comparison; curves of fewer than four points are in none
    equal_quality  rates at a handful of qualities
    equal_rate     qualities at a handful of rates
    left_out       (coder or picture, reason) of what the curves do not hold
    """

    key: str
    label: str
    axis: str
    unit: str
    window: tuple[float, float] | None
    pictures: tuple[str, ...]
    curves: tuple[Curve, ...]
    pairs: tuple[Pair, ...]
    equal_quality: tuple[LevelRow, ...]
    equal_rate: tuple[LevelRow, ...]
    left_out: tuple[tuple[str, str], ...]

    def curve_of(self, coder: str) -> Curve | None:
        """A coder's mean curve, None if it has none."""
        return next((curve for curve in self.curves if curve.coder == coder), None)


def analyse_metric(comparison: Comparison, metric: Metric) -> MetricAnalysis:
    """What the points say in `metric`; OptionError if the judged coder's curve has fewer than four points."""
    samples = select(comparison, metric)
    labels = {coder.name: coder.label for coder in comparison.coders}
    curves = _curves(comparison, metric, samples)
    judged = comparison.coders[0].name
    if not curves or curves[0].coder != judged or len(curves[0].quality) < LEAST_POINTS:
        raise OptionError(_no_curve(comparison, metric, samples, curves))
    enough = [curve for curve in curves if len(curve.quality) >= LEAST_POINTS]
    few = [(curve.label, f"has {len(curve.quality)} points") for curve in curves if curve not in enough]
    each = {
        curve.coder: picture_curves(samples.points[curve.coder], samples.pictures, metric, labels[curve.coder])
        for curve in enough
    }
    window = WINDOWS.get(metric.key)
    pairs = [
        make_pair(curves[0], theirs, metric, window, compare_pictures(each[judged], each[theirs.coder], metric))
        for theirs in enough[1:]
    ]
    return MetricAnalysis(
        key=metric.key,
        label=metric.label.partition(",")[0],
        axis=metric.label,
        unit=metric.unit,
        window=window,
        pictures=samples.pictures,
        curves=tuple(curves),
        pairs=tuple(pairs),
        equal_quality=equal_quality(enough),
        equal_rate=equal_rate(enough),
        left_out=(*samples.left_out, *few),
    )


def _curves(comparison: Comparison, metric: Metric, samples: Samples) -> list[Curve]:
    labels = {coder.name: coder.label for coder in comparison.coders}
    curves = [mean_curve(points, metric, label=labels[name]) for name, points in samples.points.items() if points]
    return [curve for curve in curves if curve.quality]


def _no_curve(comparison: Comparison, metric: Metric, samples: Samples, curves: list[Curve]) -> str:
    """Why the judged coder cannot be judged, and what to do."""
    judged = comparison.coders[0]
    name = metric.label.partition(",")[0]
    if judged.lossless:
        return f"{judged.label} is lossless and has no curve: name a lossy codec first"
    mine = next((curve for curve in curves if curve.coder == judged.name), None)
    if mine is not None:
        found = ", ".join(f"{setting:g}" for setting in mine.settings)
        return (
            f"{judged.label} has {len(mine.quality)} points in {name} (settings {found}), "
            f"a curve needs {LEAST_POINTS}: give it more settings"
        )
    reasons = dict.fromkeys(f"{what} {why}" for what, why in samples.left_out)
    return f"{judged.label} has no curve in {name}: {'; '.join(list(reasons)[:3]) or 'nothing was measured'}"
