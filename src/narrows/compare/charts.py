"""The charts that are no curves: BD-rates picture by picture, and speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from narrows.compare.canvas import WIDE, Size, add_plot, look, new_figure, shortened, ticks, titles
from narrows.compare.palette import LIGHT, Style
from narrows.compare.records import SpeedReport
from narrows.compare.wording import digits

_SPEEDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_NAMED = 60  # more bars than that have no room for names


def picture_figure(rates: Sequence[tuple[str, float]], judged: str, opponent: str, size: Size = WIDE) -> Figure:
    """A bar a picture, the best at the top: left of 0 the judged coder needs fewer bytes. Up to some 60 have names."""
    ordered = sorted(rates, key=lambda pair: (pair[1], pair[0]))
    named = len(ordered) <= _NAMED
    row = 15 if named else max(1.0, 900 / len(ordered))
    space = 26 + 7 * min(max(len(name) for name, _ in ordered), 16) if named else 20
    tall = Size(width=size.width, height=round(row * len(ordered) + 70), font=size.font, labels=size.labels)
    with look(tall):
        figure = new_figure(tall.width, tall.height)
        axes = add_plot(figure, space, 46, 16, 28)
        places = np.arange(len(ordered))
        values = np.array([value for _, value in ordered])
        colours = [LIGHT["ink"] if value < 0 else LIGHT["bad"] for value in values]
        axes.barh(places, values, height=0.62 if named else 1.0, color=colours, linewidth=0)
        axes.axvline(0, color=LIGHT["muted"], linewidth=1)
        axes.set_ylim(len(ordered) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(
            lambda value, _: f"{value:+g} %".replace("-", "\N{MINUS SIGN}").replace("+0", "0")
        )
        axes.yaxis.set_major_locator(NullLocator())
        axes.grid(axis="y", visible=False)
        if named:
            beside = blended_transform_factory(axes.transAxes, axes.transData)
            for place, (name, _) in enumerate(ordered):
                axes.text(
                    -0.012,
                    place,
                    shortened(name, 16),
                    transform=beside,
                    ha="right",
                    va="center_baseline",
                    size=tall.font - 1.5,
                    color=LIGHT["muted"],
                )
        titles(axes, f"{judged} against {opponent}, picture by picture", "BD-rate: left of 0, fewer bytes")
    return figure


def speed_figure(report: SpeedReport, names: Mapping[str, str], styles: Mapping[str, Style], size: Size) -> Figure:
    """Two panels, encoding and decoding, a logarithmic axis each, coders in the order of the report.

    `names` gives labels by coder name, `styles` what they look like.
    """
    count = len(report.speeds)
    tall = Size(width=size.width, height=round(23 * count + 62), font=size.font, labels=size.labels)
    space = 12 + (6.4 if size.labels else 5.6) * min(max(len(names[s.coder]) for s in report.speeds), 19)
    panel = (tall.width - space - 62) / 2
    with look(tall):
        figure = new_figure(tall.width, tall.height)
        for index, title in enumerate(("encode", "decode")):
            left = space + index * (panel + 36)
            axes = add_plot(figure, left, 26, tall.width - left - panel, 30)
            speeds = [speed.encode_mps if title == "encode" else speed.decode_mps for speed in report.speeds]
            _speed_panel(axes, speeds, [styles[speed.coder] for speed in report.speeds], size)
            titles(axes, f"{title}, megapixels/s", "")
            if index == 0:
                beside = blended_transform_factory(axes.transAxes, axes.transData)
                for place, speed in enumerate(report.speeds):
                    style = styles[speed.coder]
                    axes.text(
                        -10 / panel,
                        place,
                        shortened(names[speed.coder], 19),
                        transform=beside,
                        ha="right",
                        va="center_baseline",
                        color=style.colour,
                        weight="bold" if style.judged else "normal",
                    )
    return figure


def _speed_panel(axes: Axes, speeds: Sequence[float], looks: Sequence[Style], size: Size) -> None:
    low, high = min(speeds), max(speeds)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.8, high * (2.6 if size.labels else 4))
    axes.set_ylim(len(speeds) - 0.4, -0.6)
    axes.yaxis.set_major_locator(NullLocator())
    ticks(axes, "x", _SPEEDS if size.labels else _SPEEDS[::2], "{:g}")
    for place, (speed, style) in enumerate(zip(speeds, looks, strict=True)):
        judged = style.judged
        axes.plot([low / 1.8, speed], [place, place], color=LIGHT["rule"], linewidth=1, zorder=1)
        axes.plot([speed], [place], marker="o", markersize=8 if judged else 6.5, color=style.colour, linestyle="none")
        axes.annotate(
            digits(speed),
            (speed, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center_baseline",
            size=size.font - 0.5,
            color=LIGHT["ink"] if judged else LIGHT["muted"],
            weight="bold" if judged else "normal",
        )
