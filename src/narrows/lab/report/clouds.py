"""Charts of points: one figure against another, latent spaces coloured by class, histograms."""

from __future__ import annotations

import colorsys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from narrows.compare.canvas import Size, add_plot, look, new_figure, shortened, titles
from narrows.compare.palette import LIGHT, Style
from narrows.compare.svg import POINTS_PER_INCH
from narrows.errors import OptionError
from narrows.lab.report.chart import Chart, Key, series_styles
from narrows.lab.report.figures import Plot, log_ticks

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LONGEST = 24  # characters of a name beside a plot
_SATURATION = 0.62
_LIGHTNESSES = [level / 100 for level in range(10, 91)]
_MANY = 400  # points: more are drawn as pixels, so that the page stays small


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Points (x, y) of one kind. `joined` draws a line through them in their order: a front. family as of a Series."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    family: str = ""
    bold: bool = False
    joined: bool = False


@dataclass(frozen=True, kw_only=True)
class Values:
    """Numbers whose distribution is drawn."""

    label: str
    values: NDArray[np.float64]
    family: str = ""


def scatter_chart(name: str, title: str, clouds: Sequence[Cloud], plot: Plot, *, caption: str = "") -> Chart:
    """Points of several kinds, each with a colour and a mark of its own; OptionError if there is none."""
    if not any(len(cloud.x) for cloud in clouds):
        raise OptionError(f"the chart {name!r} has no point to draw")
    looks = series_styles([(cloud.family, cloud.bold, False) for cloud in clouds])
    legend = tuple(
        Key(label=cloud.label, style=style, mark=_MARKERS[index % len(_MARKERS)])
        for index, (cloud, style) in enumerate(zip(clouds, looks, strict=True))
    )
    draw = partial(_draw_clouds, tuple(clouds), looks, plot)
    return Chart(name=name, title=title, draw=draw, caption=caption, legend=legend)


def class_chart(
    name: str,
    title: str,
    points: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    *,
    axes: Sequence[str] = ("axis 1", "axis 2"),
    caption: str = "",
) -> Chart:
    """Points (N, k) coloured by class 0 <= label < len(classes), each class named at its median.

    k = 2 is one panel; more axes make a panel of every pair of them. `axes` names the k axes ("axis 1, 23 %").
    A few thousand points show as much as more do, in a smaller page.
    """
    if points.ndim != 2 or points.shape[1] != len(axes) or len(axes) < 2 or labels.shape != points.shape[:1]:
        raise OptionError(f"the chart {name!r} needs points (N, {len(axes)}) and N labels, not {points.shape}")
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(classes):
        raise OptionError(f"the chart {name!r} needs labels from 0 to {len(classes) - 1}")
    draw = partial(_draw_classes, points, labels, tuple(classes), tuple(axes))
    return Chart(name=name, title=title, draw=draw, caption=caption, broad=len(axes) > 2)


def histogram_chart(
    name: str, title: str, groups: Sequence[Values], *, x: str, bins: int = 40, caption: str = ""
) -> Chart:
    """The distributions of several groups over the same bins, as shares of each group."""
    every = np.concatenate([np.asarray(group.values, np.float64) for group in groups]) if groups else np.empty(0)
    every = every[np.isfinite(every)]
    if not every.size:
        raise OptionError(f"the chart {name!r} has no value to draw")
    edges = np.histogram_bin_edges(every, bins=bins)
    looks = series_styles([(group.family, False, False) for group in groups])
    legend = tuple(Key(label=group.label, style=style, mark="s") for group, style in zip(groups, looks, strict=True))
    draw = partial(_draw_histogram, tuple(groups), looks, edges, x)
    return Chart(name=name, title=title, draw=draw, caption=caption, legend=legend)


def class_colours(count: int) -> list[str]:
    """Colours #rrggbb for so many classes: hues around the circle in two shades, seen on light and on dark paper."""
    found = []
    for index in range(count):
        hue = (index * 0.618033988749895) % 1.0  # the golden ratio: neighbours in number are far apart in hue
        wanted = (0.15, 0.28)[index % 2]
        # yellow is much brighter than blue at one lightness: the lightness is the one of equal luminance
        lightness = bisect_left(_LIGHTNESSES, wanted, key=lambda level: _luminance(hue, level))
        red, green, blue = colorsys.hls_to_rgb(hue, _LIGHTNESSES[lightness], _SATURATION)
        found.append(f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}")
    return found


def _luminance(hue: float, lightness: float) -> float:
    """Of a colour, about: the channels' weights of Rec. 709 on gamma 2.2."""
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, _SATURATION)
    weighed: float = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return weighed


def _draw_clouds(clouds: Sequence[Cloud], looks: Sequence[Style], plot: Plot, size: Size) -> Figure:
    with look(size):
        figure = new_figure(size.width, size.height)
        axes = add_plot(figure, 56, 46, _gutter([cloud.label for cloud in clouds], size), 34)
        many = sum(len(cloud.x) for cloud in clouds) > _MANY
        if many:
            figure.set_dpi(2 * POINTS_PER_INCH)
        for index, (cloud, style) in enumerate(zip(clouds, looks, strict=True)):
            if cloud.joined:
                axes.plot(cloud.x, cloud.y, color=style.colour, linewidth=1.3)
            axes.plot(
                cloud.x,
                cloud.y,
                linestyle="none",
                marker=_MARKERS[index % len(_MARKERS)],
                markersize=3 if many else 6,
                color=style.colour,
                alpha=0.6 if many else 0.85,
                markeredgewidth=0,
                rasterized=many,
            )
        if plot.log_x:
            axes.set_xscale("log")
            log_ticks(axes, "x")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=plot.whole_x))
        if plot.log_y:
            axes.set_yscale("log")
            log_ticks(axes, "y")
        titles(axes, plot.y, plot.x)
        marks = [_MARKERS[index % len(_MARKERS)] for index in range(len(clouds))]
        _keys(axes, [cloud.label for cloud in clouds], looks, marks, size)
    return figure


def _gutter(labels: Sequence[str], size: Size) -> float:
    """The CSS pixels right of a plot: with room for the names where the size has any."""
    longest = max(min(len(label), _LONGEST) for label in labels)
    return 34 + 0.56 * size.font * longest if size.labels else 12


def _keys(axes: Axes, labels: Sequence[str], looks: Sequence[Style], marks: Sequence[str], size: Size) -> None:
    """The names in the gutter from the top, each behind its mark."""
    if not size.labels:
        return
    box = axes.get_position()
    width, height = size.width * box.width, size.height * box.height
    for index, (label, style, mark) in enumerate(zip(labels, looks, marks, strict=True)):
        y = 1 - (index + 0.5) * size.font * 1.5 / height
        axes.plot(
            [1 + 14 / width],
            [y],
            transform=axes.transAxes,
            clip_on=False,
            linestyle="none",
            marker=mark,
            markersize=6,
            markeredgewidth=0,
            color=style.colour,
        )
        axes.text(
            1 + 24 / width,
            y,
            shortened(label, _LONGEST),
            transform=axes.transAxes,
            va="center_baseline",
            color=style.colour,
        )


def _draw_classes(
    points: NDArray[np.float64], labels: NDArray[np.int64], classes: Sequence[str], names: Sequence[str], size: Size
) -> Figure:
    pairs = [(a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    beside = min(len(pairs), 3) if size.labels else 1
    lines = -(-len(pairs) // beside)
    side = size.width / beside if beside > 1 else min(size.width, 560)
    height = side + 20
    with look(size):
        figure = new_figure(round(side * beside), round(height * lines))
        figure.set_dpi(2 * POINTS_PER_INCH)
        for index, (a, b) in enumerate(pairs):
            left, top = (index % beside) * side, (index // beside) * height
            axes = add_plot(
                figure, left + 6, height * (lines - 1) - top + 36, side * beside - left - side + 10, top + 30
            )
            _class_panel(axes, points[:, [a, b]], labels, classes, size)
            titles(axes, names[b], names[a])
    return figure


def _class_panel(
    axes: Axes, points: NDArray[np.float64], labels: NDArray[np.int64], classes: Sequence[str], size: Size
) -> None:
    colours = class_colours(len(classes))
    order = np.random.default_rng(0).permutation(len(points))  # no class lies on top of all others
    dot = float(np.clip(16000 / len(points), 3, 16))
    axes.scatter(
        points[order, 0],
        points[order, 1],
        s=dot,
        c=[colours[label] for label in labels[order]],
        linewidths=0,
        alpha=0.75,
        rasterized=True,
    )
    for label in np.unique(labels):
        x, y = np.median(points[labels == label], axis=0)
        axes.text(
            float(x),
            float(y),
            classes[int(label)],
            ha="center",
            va="center",
            size=size.font - 1,
            weight="bold",
            color=LIGHT["ink"],
            bbox={"boxstyle": "round,pad=0.18", "facecolor": LIGHT["paper"], "edgecolor": "none", "alpha": 0.8},
        )
    axes.xaxis.set_major_locator(NullLocator())
    axes.yaxis.set_major_locator(NullLocator())
    for spine in axes.spines.values():
        spine.set_visible(True)


def _draw_histogram(
    groups: Sequence[Values], looks: Sequence[Style], edges: NDArray[np.float64], x: str, size: Size
) -> Figure:
    with look(size):
        figure = new_figure(size.width, size.height)
        labels = [group.label for group in groups]
        axes = add_plot(figure, 48, 46, _gutter(labels, size), 34)
        for group, style in zip(groups, looks, strict=True):
            counts, _ = np.histogram(group.values, edges)
            share = 100 * counts / max(len(group.values), 1)
            axes.stairs(share, edges, color=style.colour, linewidth=1.7)
            axes.stairs(share, edges, color=style.colour, alpha=0.12, fill=True, linewidth=0)
        axes.set_xlim(float(edges[0]), float(edges[-1]))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        titles(axes, "share, %", x)
        _keys(axes, labels, looks, ["s"] * len(groups), size)
    return figure
