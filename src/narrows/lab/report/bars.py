"""Bars with their figures beside them, a panel a metric, and what the study claims as an open diamond."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from narrows.compare.canvas import Size, add_plot, look, new_figure, shortened, titles
from narrows.compare.palette import LIGHT, Style
from narrows.errors import OptionError
from narrows.lab.report.chart import Chart, series_styles

_ROW = 25
_ROOM = 1.24  # of the axis, beyond the largest figure: for the words behind the bars


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A metric: its name with the unit, how figures are spelled (".2f"), where its axis begins (None: 0)."""

    axis: str
    form: str
    low: float | None = None


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A row: a value a panel (None: not measured; infinity: an exact copy).

    spread   a panel's (lowest, highest) over seeds, drawn as a whisker, or None
    claimed  a panel's figure in the study, drawn as an open diamond, or None
    family, bold  as those of a Series
    """

    label: str
    values: tuple[float | None, ...]
    spread: tuple[tuple[float, float] | None, ...] = ()
    claimed: tuple[float | None, ...] = ()
    family: str = "other"
    bold: bool = False


def bar_chart(name: str, title: str, bars: Sequence[Bar], panels: Sequence[Panel], *, caption: str = "") -> Chart:
    """A row a bar, panels side by side, one below another where it is narrow; OptionError if lengths differ."""
    if not bars or not panels or any(len(bar.values) != len(panels) for bar in bars):
        raise OptionError(f"the chart {name!r} needs bars with a value for each of its {len(panels)} panels")
    if any(len(extra) not in (0, len(panels)) for bar in bars for extra in (bar.spread, bar.claimed)):
        raise OptionError(f"the chart {name!r} needs a spread and a claim for every panel of a bar, or none")
    looks = [series_styles([(bar.family if not bar.bold else "ink", bar.bold, False)])[0] for bar in bars]
    draw = partial(_draw, tuple(bars), looks, tuple(panels))
    return Chart(name=name, title=title, draw=draw, caption=caption, broad=len(panels) > 2)


def _draw(bars: Sequence[Bar], looks: Sequence[Style], panels: Sequence[Panel], size: Size) -> Figure:
    beside = len(panels) if size.labels else 1
    stacked = -(-len(panels) // beside)
    plot = _ROW * len(bars) + 10
    height = stacked * (plot + 62) + 4
    space = 14 + 0.56 * size.font * min(max(len(bar.label) for bar in bars), 24 if size.labels else 17)
    width = (size.width - space - 6) / beside
    with look(size):
        figure = new_figure(size.width, height)
        for index, panel in enumerate(panels):
            column, line = index % beside, index // beside
            left = space + column * width
            top = line * (plot + 62) + 30
            room = 26 if beside > 1 else 8
            axes = add_plot(figure, left, height - top - plot, size.width - left - width + room, top)
            _panel(axes, bars, looks, panel, index, size)
            if column == 0:
                _labels(axes, bars, looks, size)
    return figure


def _panel(axes: Axes, bars: Sequence[Bar], looks: Sequence[Style], panel: Panel, index: int, size: Size) -> None:
    low, high = _range(bars, panel, index)
    axes.set_xlim(low, high)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.yaxis.set_major_locator(NullLocator())
    found = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in found if tick <= low + (high - low) / _ROOM * 1.001]))
    axes.grid(axis="y", visible=False)
    for place, (bar, style) in enumerate(zip(bars, looks, strict=True)):
        value = bar.values[index]
        spread = bar.spread[index] if bar.spread else None
        claimed = bar.claimed[index] if bar.claimed else None
        if value is None or math.isnan(value):
            text, end = "–", low
        else:
            exact = math.isinf(value)
            text, end = ("∞" if exact else format(value, panel.form)), high if exact else value
            axes.barh(place, end - low, left=low, height=0.56, color=style.colour, linewidth=0, alpha=0.92)
        reach = max(value for value in (end, spread[1] if spread else end, claimed or end))
        if spread is not None:
            for colour, width in ((LIGHT["paper"], 3.6), (LIGHT["ink"], 1.4)):  # seen on the bar and beyond it
                axes.plot(spread, [place, place], color=colour, linewidth=width, solid_capstyle="butt")
        if claimed is not None:
            _diamond(axes, claimed, place)
        inside = end >= high
        axes.annotate(
            text,
            (high if inside else reach, place),
            xytext=(-7 if inside else 9, 0),
            textcoords="offset points",
            va="center_baseline",
            ha="right" if inside else "left",
            size=size.font - 0.5,
            color=LIGHT["paper"] if inside else LIGHT["ink"] if bar.bold else LIGHT["muted"],
            weight="bold" if bar.bold else "normal",
        )
    titles(axes, panel.axis, "")


def _diamond(axes: Axes, value: float, place: int) -> None:
    axes.plot(
        [value],
        [place],
        linestyle="none",
        marker="D",
        markersize=6.5,
        markerfacecolor=LIGHT["paper"],
        markeredgecolor=LIGHT["ink"],
        markeredgewidth=1.3,
    )


def _range(bars: Sequence[Bar], panel: Panel, index: int) -> tuple[float, float]:
    """From where the axis begins to a little beyond the largest figure, with room for its words."""
    found = [bar.values[index] for bar in bars] + [bar.claimed[index] for bar in bars if bar.claimed]
    found += [bar.spread[index][1] for bar in bars if bar.spread and bar.spread[index] is not None]  # type: ignore[index]
    known = [value for value in found if value is not None and math.isfinite(value)]
    low = min([0.0, *known]) if panel.low is None else panel.low
    high = max(known, default=low + 1)
    return low, low + max(high - low, 1e-9) * _ROOM


def _labels(axes: Axes, bars: Sequence[Bar], looks: Sequence[Style], size: Size) -> None:
    for place, (bar, style) in enumerate(zip(bars, looks, strict=True)):
        axes.annotate(
            shortened(bar.label, 24 if size.labels else 17),
            (0, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center_baseline",
            color=style.colour if style.name != "other" else LIGHT["ink"],
            weight="bold" if bar.bold else "normal",
        )
