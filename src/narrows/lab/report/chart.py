"""A chart: drawn for a wide page and for a narrow one, with a legend for where there is no room for names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from narrows.compare.canvas import Size
from narrows.compare.palette import LIGHT, Dashes, Style

ALONE = Size(width=780, height=410, font=12, labels=True)
HALF = Size(width=590, height=370, font=12, labels=True)
WHOLE = Size(width=1180, height=410, font=12, labels=True)

FAMILIES = ("narrows", "avif", "jpeg", "webp", "jxl", "jpeg2000", "other")
"""Colours in the order in which lines without a family get them."""

NOMINAL: Dashes = (4.0, 2.6)
FINE: Dashes = (1.2, 1.6)


@dataclass(frozen=True, kw_only=True)
class Key:
    """A line of a legend: a stroke, or where it has a `mark` (of matplotlib: "o", "s", "^", ...) that mark."""

    label: str
    style: Style
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing by matplotlib.

    name     of its files in figures/, unlike those of all others in the report: small letters, digits, hyphens
    title    what it shows: its heading, and what those hear who cannot see it
    draw     makes the figure in a size (canvas.Size); called more than once
    caption  prose below it
    legend   names of lines; the page shows it where the drawing has no room for them
    broad    whether it wants the whole width of the page; others that follow one another stand in pairs
    """

    name: str
    title: str
    draw: Callable[[Size], Figure]
    caption: str = ""
    legend: tuple[Key, ...] = ()
    broad: bool = False

    @property
    def wide(self) -> Size:
        """Its size in files, and on a wide page where it stands alone."""
        return WHOLE if self.broad else ALONE


def series_styles(wanted: Sequence[tuple[str, bool, bool]]) -> list[Style]:
    """Looks of the lines of a chart, in order, from (family, bold, dashed).

    A family is a token of compare.palette ("jpeg", "webp", "avif", "jxl", "narrows", "published", "ink", ...) or ""
    for the next colour that no other line has. bold: ink, the line that the chart is about. dashed: a nominal figure,
    not one of files. Second lines of a family are finely dashed.
    """
    taken = {family for family, _, _ in wanted if family}
    free = [colour for colour in FAMILIES if colour not in taken] or list(FAMILIES)
    seen: dict[str, int] = {}
    styles = []
    given = 0
    for family, bold, dashed in wanted:
        if bold and not family:
            colour = "ink"
        elif family:
            colour = family if family in LIGHT else "other"
        else:
            colour = free[given % len(free)]
            given += 1
        member = seen.get(colour, 0)
        seen[colour] = member + (not dashed)
        dashes = NOMINAL if dashed else (FINE if member % 2 else ())
        styles.append(Style(name=colour, dashes=dashes, width=2.4 if bold else 1.7))
    return styles
