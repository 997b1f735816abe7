"""What all figures share: their sizes, their looks, their axes. Units are CSS pixels (svg.py)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from narrows.compare.palette import LIGHT
from narrows.compare.svg import POINTS_PER_INCH


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a drawing, in CSS pixels. `labels`: there is room to write names beside lines."""

    width: int
    height: int
    font: float
    labels: bool


WIDE = Size(width=560, height=400, font=12, labels=True)
WIDER = Size(width=618, height=400, font=12, labels=True)
BROAD = Size(width=840, height=400, font=12, labels=True)
NARROW = Size(width=346, height=310, font=11, labels=False)


def new_figure(width: int, height: int) -> Figure:
    """An empty figure of so many CSS pixels."""
    return Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=POINTS_PER_INCH)


def add_plot(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes in a figure with so many CSS pixels left free on each side."""
    width, height = (inches * POINTS_PER_INCH for inches in figure.get_size_inches())
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


@contextmanager
def look(size: Size) -> Iterator[None]:
    settings: Any = {
        "font.family": "DejaVu Sans",
        "font.size": size.font,
        "text.parse_math": False,
        "text.color": LIGHT["ink"],
        "axes.labelcolor": LIGHT["muted"],
        "axes.edgecolor": LIGHT["rule"],
        "axes.linewidth": 1.0,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "figure.facecolor": "none",
        "grid.color": LIGHT["grid"],
        "grid.linewidth": 1.0,
        "xtick.color": LIGHT["muted"],
        "ytick.color": LIGHT["muted"],
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.major.pad": 6,
        "ytick.major.pad": 6,
        "lines.solid_capstyle": "round",
        "lines.solid_joinstyle": "round",
        "lines.dash_capstyle": "butt",
    }
    with mpl.rc_context(settings):
        yield


def titles(axes: Axes, above: str, below: str) -> None:
    """The vertical axis is named above the plot, from the left, where it can be read without turning the head."""
    axes.set_title(above, loc="left", size=mpl.rcParams["font.size"], color=LIGHT["muted"], pad=12, x=0)
    axes.set_xlabel(below, labelpad=8)


def ticks(axes: Axes, which: str, values: Sequence[float], form: str) -> None:
    """Round numbers on a logarithmic axis, so many that they do not crowd, and no small ticks between."""
    axis, (low, high) = (axes.xaxis, axes.get_xlim()) if which == "x" else (axes.yaxis, axes.get_ylim())
    inside = [value for value in values if low <= value <= high]
    span = math.log(high / low)
    kept = [value for value in inside if value == 100 and which == "y"]
    for value in inside:
        if all(abs(math.log(value / other)) > span * 0.075 for other in kept):
            kept.append(value)
    axis.set_major_locator(FixedLocator(sorted(kept)))
    axis.set_major_formatter(FixedFormatter([form.format(value) for value in sorted(kept)]))
    axis.set_minor_locator(NullLocator())


def shortened(name: str, length: int) -> str:
    """A name of at most `length` characters; a longer one loses its middle.

    >>> shortened("a_long_photograph.png", 12)
    'a_long…h.png'
    """
    if len(name) <= length:
        return name
    head = length // 2
    return name[:head] + "…" + name[len(name) - (length - head - 1) :]


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Rising positions as near to `wanted` (rising) as may be, at least `gap` apart; groups are centred."""
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    groups = [[y, 1] for y in wanted]  # centre, members
    while True:
        for index, (below, above) in enumerate(pairwise(groups)):
            if above[0] - below[0] < gap * (below[1] + above[1]) / 2 - 1e-9:
                members = below[1] + above[1]
                centre = (below[0] * below[1] + above[0] * above[1]) / members
                half = gap * (members - 1) / 2
                groups[index : index + 2] = [[min(max(centre, low + half), high - half), members]]
                break
        else:
            return [centre + gap * (k - (n - 1) / 2) for centre, n in groups for k in range(int(n))]
