"""The curves of a comparison: the figure everybody knows, and one in which differences can be seen; figures as files.

    rate_figure      quality over bits per pixel
    relative_figure  bytes at equal quality, the judged coder being 100 %
    write_figures    these two in every metric and the charts, as SVG and PNG files for documents

Each of the first two returns a Figure in CSS pixels (svg.py). Names from outside are text, never markup or formulas.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from narrows.compare.analysis import Analysis
from narrows.compare.canvas import WIDE, WIDER, Size, add_plot, apart, look, new_figure, shortened, ticks, titles
from narrows.compare.charts import picture_figure, speed_figure
from narrows.compare.crops import rival_of
from narrows.compare.curves import Curve, rate_at_quality, rising
from narrows.compare.files import write_whole
from narrows.compare.palette import LIGHT, PUBLISHED, Style, styles
from narrows.compare.per_metric import MetricAnalysis
from narrows.compare.published import PublishedRow
from narrows.compare.records import Comparison
from narrows.compare.svg import png_file, svg_file

_RATES = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20)
_RATIOS = (10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 140, 160, 200, 250, 300, 400, 600, 800, 1600)
_SAMPLES = 65
_GUTTER = 150  # for the names at the ends of the lines


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve with the way it is drawn; `end` is its name at the end of the line."""

    end: str
    curve: Curve
    style: Style
    published: bool = False


def lines_of(metric: MetricAnalysis, published: Sequence[PublishedRow], styles: Mapping[str, Style]) -> list[Line]:
    """The judged coder's curve first, then the others', then the published ones that are drawn in this metric."""
    measured = [Line(end=c.label, curve=c, style=styles[c.coder]) for c in metric.curves]
    others = [
        Line(end=row.curve.label, curve=row.curve, style=PUBLISHED, published=True)
        for row in published
        if row.drawn and row.metric == metric.key
    ]
    return measured + others


def write_figures(folder: str | os.PathLike[str], comparison: Comparison, analysis: Analysis) -> tuple[Path, ...]:
    """Write the figures into an existing folder; their paths, an SVG and a PNG file each. OSError from the disk.

    rate-METRIC and relative-METRIC for each metric, pictures (BD-rates against the rival of crops.rival_of), speed.
    The SVG files are transparent and follow the reader's light or dark; the PNG files have light paper, two pixels to
    a CSS pixel.
    """
    looks = styles(comparison.coders, analysis.judged)
    figures: dict[str, tuple[Figure | None, str]] = {}
    for metric in analysis.metrics:
        lines = lines_of(metric, analysis.published, looks)
        figures[f"rate-{metric.key}"] = rate_figure(lines, metric.axis), f"{metric.axis} over bits per pixel"
        figures[f"relative-{metric.key}"] = relative_figure(lines, metric.axis), f"Bytes at equal {metric.axis}"
    rival = rival_of(analysis)
    for pair in (pair for metric in analysis.metrics[:1] for pair in metric.pairs if pair.opponent == rival):
        rates = [(item.picture, item.rate.value) for item in pair.pictures if item.rate.value is not None]
        chart = picture_figure(rates, analysis.judged_label, pair.label) if rates else None
        figures["pictures"] = chart, f"BD-rate against {pair.label}, picture by picture"
    if comparison.speed is not None:
        names = {coder.name: coder.label for coder in comparison.coders}
        figures["speed"] = speed_figure(comparison.speed, names, looks, WIDER), "Encoding and decoding speed"
    written = []
    for name, (figure, title) in figures.items():
        if figure is not None:
            written.append(write_whole(Path(folder) / f"{name}.svg", svg_file(figure, title)))
            written.append(write_whole(Path(folder) / f"{name}.png", png_file(figure, drawing=True)))
    return tuple(written)


def rate_figure(lines: Sequence[Line], axis: str, size: Size = WIDE) -> Figure:
    """Quality over bits per pixel, a logarithmic axis; the window is where the first line runs, the others are cut."""
    with look(size):
        figure, axes = _plot(size, 0)
        judged = lines[0].curve
        for line in reversed(lines):  # the judged one last, so on top
            axes.plot(line.curve.rate_bpp, line.curve.quality, **_stroke(line))
            if not line.published:
                axes.plot(line.curve.rate_bpp, line.curve.quality, **_dots(line))
        axes.set_xscale("log")
        axes.set_xlim(min(judged.rate_bpp) / 1.1, max(judged.rate_bpp) * 1.1)
        low, high = min(judged.quality), max(judged.quality)
        axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        ticks(axes, "x", _RATES, "{:g}")
        axes.yaxis.set_major_locator(MaxNLocator(7, integer=high - low > 6))
        titles(axes, axis, "bits per pixel (of the whole file, logarithmic)")
    return figure


def relative_figure(lines: Sequence[Line], axis: str, size: Size = WIDER) -> Figure | None:
    """Bytes at equal quality in percent of the first line's, over quality; None if no other line overlaps it."""
    judged = lines[0]
    ratios = [(line, *_ratio(judged.curve, line.curve)) for line in lines[1:]]
    drawn = [(line, quality, ratio) for line, quality, ratio in ratios if len(quality) > 1]
    if not drawn:
        return None
    with look(size):
        figure, axes = _plot(size, _GUTTER if size.labels else 0)
        low, high = min(quality[0] for _, quality, _ in drawn), max(quality[-1] for _, quality, _ in drawn)
        axes.plot([low, high], [100, 100], **_stroke(judged))
        ends = [(judged, high, 100.0)]
        for line, quality, ratio in drawn:
            axes.plot(quality, ratio, **_stroke(line))
            ends.append((line, float(quality[-1]), float(ratio[-1])))
        axes.set_yscale("log")
        axes.set_xlim(low, high)
        _ratio_limits(axes, drawn)
        ticks(axes, "y", _RATIOS, "{:g} %")
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=high - low > 6))
        titles(axes, f"bytes at equal quality, {judged.end} = 100 %", axis)
        if size.labels:
            _names(axes, ends, size)
    return figure


def _plot(size: Size, gutter: int) -> tuple[Figure, Axes]:
    figure = new_figure(size.width, size.height)
    left = 46 if gutter or not size.labels else 40  # "400 %" needs more than "42"
    return figure, add_plot(figure, left, 46, gutter + 8, 34)


def _stroke(line: Line) -> dict[str, Any]:
    style = line.style
    dashes = (0, style.dashes) if style.dashes else "solid"
    return {"color": style.colour, "linewidth": style.width, "linestyle": dashes}


def _dots(line: Line) -> dict[str, Any]:
    hollow = bool(line.style.dashes)
    return {
        "linestyle": "none",
        "marker": "o",
        "markersize": 4.6 if line.style.judged else 3.6,
        "markerfacecolor": LIGHT["paper"] if hollow else line.style.colour,
        "markeredgecolor": line.style.colour,
        "markeredgewidth": 1.1 if hollow else 0,
    }


@lru_cache(maxsize=128)  # a curve is drawn in several sizes
def _ratio(judged: Curve, other: Curve) -> tuple[list[float], list[float]]:
    """Qualities that both curves reach, and the other's rate there in percent of the judged one's."""
    judged, other = rising(judged), rising(other)
    low, high = max(judged.quality[0], other.quality[0]), min(judged.quality[-1], other.quality[-1])
    if not low < high:
        return [], []
    found = [
        (quality, 100 * theirs / ours)
        for quality in np.linspace(low, high, _SAMPLES).tolist()
        if (ours := rate_at_quality(judged, quality)) is not None
        and (theirs := rate_at_quality(other, quality)) is not None
    ]
    return [quality for quality, _ in found], [ratio for _, ratio in found]


def _ratio_limits(axes: Axes, drawn: Sequence[tuple[Line, list[float], list[float]]]) -> None:
    """Room for all measured lines, and for the published ones up to three times and down to a third of the judged."""
    values = [v for line, _, ratio in drawn for v in ratio if not line.published or 100 / 3 <= v <= 300]
    low, high = min([*values, 92.0]), max([*values, 108.0])
    axes.set_ylim(low / 1.06, high * 1.06)


def _names(axes: Axes, ends: Sequence[tuple[Line, float, float]], size: Size) -> None:
    """The names of the lines in the gutter, at the heights of their ends but never over one another, with leaders."""
    low, high = (math.log(value) for value in axes.get_ylim())
    height = size.height * axes.get_position().height
    wanted = [(height * (math.log(max(ratio, 1e-9)) - low) / (high - low), line, x) for line, x, ratio in ends]
    wanted = sorted(((min(max(y, 0), height), line, x) for y, line, x in wanted), key=lambda item: item[0])
    placed = apart([y for y, _, _ in wanted], size.font * 1.32, -6.0, height + 6)
    first, last = axes.get_xlim()
    width = size.width * axes.get_position().width
    for (y, line, x), at in zip(wanted, placed, strict=True):
        start = (x - first) / (last - first)
        axes.plot(
            [start + 3 / width, 1 + 4 / width, 1 + 12 / width, 1 + 16 / width],
            [y / height, y / height, at / height, at / height],
            transform=axes.transAxes,
            clip_on=False,
            color=line.style.colour,
            linewidth=0.8,
            alpha=0.55,
        )
        axes.text(
            1 + 20 / width,
            at / height,
            shortened(line.end, 22),
            transform=axes.transAxes,
            va="center_baseline",
            color=LIGHT["muted"] if line.published else line.style.colour,
            weight="bold" if line.style.judged else "normal",
            size=size.font - (1 if line.published else 0),
        )
