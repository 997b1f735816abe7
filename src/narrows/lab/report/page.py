"""report.html: one page, self-contained, for people. It loads nothing, works without a script and on narrow screens.

Words that come from outside are escaped by Jinja2; prose.py and svg.py, which make markup, escape what they were given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from narrows.compare.canvas import NARROW
from narrows.compare.palette import DARK, LIGHT, css_variables
from narrows.compare.report import Drawing, drawing, png_uri
from narrows.lab.report import prose
from narrows.lab.report.chart import HALF, Chart
from narrows.lab.report.document import Block, Report, Section, Slider
from narrows.lab.report.pictures import Tile

VERDICTS = {"holds": "holds", "partly": "holds in part", "false": "does not hold", "open": "not decided"}
"""The words for a Claim's verdict, here and in Markdown."""

_NARROW_ROOM = 358  # CSS pixels between the edges of a page of 390


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A tile as a data URI; its sides in pixels of its own, and its zoom on wide and on narrow pages."""

    source: str
    width: int
    height: int
    zoom: int
    narrow_zoom: int
    alt: str
    lines: tuple[str, ...]


def render(report: Report) -> str:
    """The whole page."""
    return (
        _environment()
        .get_template("study.html.j2")
        .render(
            r=report,
            light=Markup(css_variables(LIGHT)),
            dark=Markup(css_variables(DARK)),
            anchors=_anchors(report.sections),
            verdicts=VERDICTS,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("narrows.lab.report"), PackageLoader("narrows.compare")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        prose=prose.to_html,
        inline=prose.inline_html,
        drawing=_chart,
        picture=_picture,
        minus=_minus,
        runs=_runs,
        place=Slider.place,
    )
    environment.globals["kind"] = lambda block: type(block).__name__
    return environment


def _chart(chart: Chart, paired: bool) -> Drawing:
    return drawing(chart.draw(HALF if paired else chart.wide), chart.draw(NARROW), chart.name, chart.title)


def _picture(tile: Tile, zoom: int) -> Picture:
    height, width = tile.pixels.shape[:2]
    return Picture(
        source=png_uri(tile.pixels),
        width=width,
        height=height,
        zoom=zoom,
        narrow_zoom=max(1, min(zoom, _NARROW_ROOM // width)),
        alt=tile.alt,
        lines=tile.lines,
    )


def _runs(blocks: Sequence[Block]) -> list[list[Block]]:
    """Charts that can stand in pairs together, every other block by itself, in order."""
    runs: list[list[Block]] = []
    for block in blocks:
        pairs = isinstance(block, Chart) and not block.broad
        if pairs and runs and isinstance(runs[-1][-1], Chart) and not runs[-1][-1].broad:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _minus(text: str) -> str:
    """A number with the sign of typesetters in place of the hyphen; other words as they are."""
    return re.sub(r"^-(?=[0-9.∞])", "\N{MINUS SIGN}", text)


def _anchors(sections: tuple[Section, ...]) -> list[str]:
    """Ids for the sections: their words in small letters, with a number where they are alike."""
    found: list[str] = []
    for section in sections:
        word = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        anchor, number = word, 2
        while anchor in found or anchor in ("claims", "method", "verdict"):
            anchor, number = f"{word}-{number}", number + 1
        found.append(anchor)
    return found
