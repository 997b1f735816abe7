"""Charts of lines: quality over rate, losses over epochs, anything over anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from narrows.compare.canvas import Size, add_plot, apart, look, new_figure, shortened, ticks, titles
from narrows.compare.palette import LIGHT, Style
from narrows.errors import OptionError
from narrows.lab.report.chart import FINE, Chart, Key, series_styles

_LONGEST = 28  # characters of a name beside a line
_CLAIM = Style(name="published", dashes=(1.2, 2.2), width=1.2)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line: as many x as y, in the order in which they are joined; what is not finite is left out.

    family  a token of compare.palette ("jpeg", "webp", "avif", ...): its colour; "" takes the next free one
    bold    the line that the chart is about: thick, ink unless it has a family
    dashed  a nominal figure, counted or estimated; a solid line is of files on disk
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    family: str = ""
    bold: bool = False
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A value that the study claims: a dotted level line, drawn where it is not far outside of what was measured."""

    label: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The losses of one training, an entry an epoch, from epoch 1."""

    label: str
    train: Sequence[float]
    validation: Sequence[float]
    family: str = ""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What the axes are.

    x, y          words, with the unit
    log_x, log_y  whether they are logarithmic
    marks         whether the points of the lines are seen
    whole_x       x has whole numbers only
    ticks_x       where a logarithmic x has its numbers, those that find room; () for round ones
    """

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False
    marks: bool = True
    whole_x: bool = False
    ticks_x: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A series with its looks."""

    series: Series
    style: Style
    marks: bool


def line_chart(
    name: str,
    title: str,
    series: Sequence[Series],
    plot: Plot,
    *,
    references: Sequence[Reference] = (),
    caption: str = "",
) -> Chart:
    """Lines with their names beside their ends; OptionError if nothing can be drawn."""
    looks = series_styles([(line.family, line.bold, line.dashed) for line in series])
    lines = [_Line(series=one, style=style, marks=plot.marks) for one, style in zip(series, looks, strict=True)]
    return _chart(name, title, lines, plot, references, caption)


def rate_chart(
    name: str, title: str, series: Sequence[Series], *, y: str = "mean PSNR, dB", caption: str = ""
) -> Chart:
    """Quality over bits per position of whole files, logarithmic; dashed lines are nominal rates."""
    plot = Plot(x="bits per pixel (of whole files, logarithmic)", y=y, log_x=True)
    return line_chart(name, title, series, plot, caption=caption)


def loss_chart(
    name: str,
    title: str,
    losses: Sequence[Losses],
    *,
    y: str = "MSE (0 to 1)",
    references: Sequence[Reference] = (),
    caption: str = "",
) -> Chart:
    """Validation (solid) and training (dotted) of several models over epochs, the loss on a logarithmic axis."""
    lines = []
    plot = Plot(x="epoch", y=y, log_y=True, marks=False, whole_x=True)
    for loss, style in zip(losses, series_styles([(loss.family, False, False) for loss in losses]), strict=True):
        for part, values, looks in (
            ("train", loss.train, replace(style, dashes=FINE, width=1.3)),
            ("validation", loss.validation, replace(style, dashes=(), width=2.0)),
        ):
            series = Series(label=f"{loss.label}, {part}", x=range(1, len(values) + 1), y=values)
            lines.append(_Line(series=series, style=looks, marks=False))
    return _chart(name, title, lines, plot, references, caption)


def log_ticks(axes: Axes, which: str) -> None:
    """Round numbers on a logarithmic axis, as dense as its range needs."""
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    decades = math.log10(high / low)
    steps: tuple[float, ...] = (1.0,) if decades > 4 else (1, 2, 5) if decades > 1 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks(axes, which, [step * 10.0**power for power in powers for step in steps], "{:g}")


def _chart(
    name: str, title: str, lines: Sequence[_Line], plot: Plot, references: Sequence[Reference], caption: str
) -> Chart:
    """The chart of the lines that have points, and of the claims that are not far outside of them."""
    kept = [replace(line, series=_drawable(line.series, plot)) for line in lines]
    kept = [line for line in kept if line.series.x]
    if not kept:
        raise OptionError(f"the chart {name!r} has no point to draw")
    xs = [x for line in kept for x in line.series.x]
    ys = [y for line in kept for y in line.series.y]
    low, high = min(ys), max(ys)
    # a claim far outside of what was measured would flatten all lines; the table of claims has it anyway
    lowest, highest = (low / 3, high * 3) if plot.log_y else (2 * low - high, 2 * high - low)
    for claim in references:
        if lowest <= claim.value <= highest:
            level = Series(label=claim.label, x=[min(xs), max(xs)], y=[claim.value] * 2)
            kept.append(_Line(series=level, style=_CLAIM, marks=False))
    legend = tuple(Key(label=line.series.label, style=line.style) for line in kept)
    return Chart(name=name, title=title, draw=partial(_draw, tuple(kept), plot), caption=caption, legend=legend)


def _drawable(line: Series, plot: Plot) -> Series:
    """Without the points that have no place on the axes."""
    points = [
        (x, y)
        for x, y in zip(map(float, line.x), map(float, line.y), strict=True)
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not plot.log_x) and (y > 0 or not plot.log_y)
    ]
    return replace(line, x=[x for x, _ in points], y=[y for _, y in points])


def _draw(lines: Sequence[_Line], plot: Plot, size: Size) -> Figure:
    longest = max(min(len(line.series.label), _LONGEST) for line in lines)
    gutter = round(24 + 0.56 * size.font * longest) if size.labels else 0
    with look(size):
        figure = new_figure(size.width, size.height)
        axes = add_plot(figure, 48, 46, gutter + 10, 34)
        for line in reversed(lines):  # the first one last, so on top
            _draw_line(axes, line)
        _limits(axes, lines, plot)
        titles(axes, plot.y, plot.x)
        if size.labels:
            _names(axes, lines, size)
    return figure


def _draw_line(axes: Axes, line: _Line) -> None:
    series, style = line.series, line.style
    dashes = (0, style.dashes) if style.dashes else "solid"
    axes.plot(series.x, series.y, color=style.colour, linewidth=style.width, linestyle=dashes)
    if line.marks or len(series.x) == 1:  # a lone point is no line: without a mark nothing would be seen
        hollow = bool(style.dashes)
        axes.plot(
            series.x,
            series.y,
            linestyle="none",
            marker="o",
            markersize=4.8 if series.bold else 3.8,
            markerfacecolor=LIGHT["paper"] if hollow else style.colour,
            markeredgecolor=style.colour,
            markeredgewidth=1.1 if hollow else 0,
        )


def _limits(axes: Axes, lines: Sequence[_Line], plot: Plot) -> None:
    xs = [x for line in lines for x in line.series.x]
    ys = [y for line in lines for y in line.series.y]
    if plot.log_x:
        axes.set_xscale("log")
        axes.set_xlim(min(xs) / 1.12, max(xs) * 1.12)
        if plot.ticks_x:
            ticks(axes, "x", plot.ticks_x, "{:g}")
        else:
            log_ticks(axes, "x")
    else:
        room = 0.02 * (max(xs) - min(xs)) or 0.5
        axes.set_xlim(min(xs) - room, max(xs) + room)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=plot.whole_x))
    if plot.log_y:
        axes.set_yscale("log")
        axes.set_ylim(min(ys) / 1.1, max(ys) * 1.1)
        log_ticks(axes, "y")
    else:
        room = 0.05 * (max(ys) - min(ys)) or 0.5
        axes.set_ylim(min(ys) - room, max(ys) + room)
        axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))


def _names(axes: Axes, lines: Sequence[_Line], size: Size) -> None:
    """The names right of the plot, at the heights of the lines' ends but never over one another."""
    box = axes.get_position()
    width, height = size.width * box.width, size.height * box.height
    data = axes.transData + axes.transAxes.inverted()
    ends = []
    for line in lines:
        x, y = data.transform((line.series.x[-1], line.series.y[-1]))
        ends.append((float(y) * height, float(x), line))
    ends.sort(key=lambda end: end[0])
    places = apart([min(max(y, 0.0), height) for y, *_ in ends], size.font * 1.34, -6.0, height + 6)
    for (y, x, line), at in zip(ends, places, strict=True):
        axes.plot(
            [x + 5 / width, 1 + 4 / width, 1 + 12 / width, 1 + 16 / width],
            [y / height, y / height, at / height, at / height],
            transform=axes.transAxes,
            clip_on=False,
            color=line.style.colour,
            linewidth=0.8,
            linestyle=(0, (1.0, 2.0)),
            alpha=0.7,
        )
        axes.text(
            1 + 20 / width,
            at / height,
            shortened(line.series.label, _LONGEST),
            transform=axes.transAxes,
            va="center_baseline",
            color=line.style.colour,
            weight="bold" if line.series.bold else "normal",
        )
