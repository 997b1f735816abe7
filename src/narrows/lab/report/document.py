"""What a report is made of. page.py and markdown.py write it down; nothing here computes a result."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from narrows.errors import OptionError
from narrows.lab.report.chart import Chart
from narrows.lab.report.metrics import Measurement
from narrows.lab.report.pictures import Plate, Tile, fitting_zoom
from narrows.lab.report.table import Table

Verdict = Literal["holds", "partly", "false", "open"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the study said, what we found, and what is left of it; all prose. "open": not decided by what was run."""

    claimed: str
    found: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Something a reader can turn: "numbers in the bottleneck", with the stops "2", "4", "8"."""

    label: str
    stops: tuple[str, ...]
    start: int = 0


@dataclass(frozen=True, kw_only=True)
class Position:
    """What is seen at one stop of every axis: pictures side by side, and facts as (name, value)."""

    tiles: tuple[Tile, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Slider:
    """Pictures and facts for every combination of the axes' stops, the last axis running fastest.

    Without a script the page lists all of them; so does Markdown, facts only. OptionError unless there are as many
    positions as combinations.
    """

    name: str
    title: str
    axes: tuple[Axis, ...]
    positions: tuple[Position, ...]
    caption: str = ""
    zoom: int = 0

    def __post_init__(self) -> None:
        wanted = math.prod(len(axis.stops) for axis in self.axes)
        if not self.axes or len(self.positions) != wanted or not wanted:
            raise OptionError(f"the slider {self.name!r} has {len(self.positions)} positions, its axes make {wanted}")
        if any(not 0 <= axis.start < len(axis.stops) for axis in self.axes):
            raise OptionError(f"the slider {self.name!r} starts outside of its stops")

    @property
    def factor(self) -> int:
        """The zoom in use: 0 brings the pictures of a position to a page's width together, but at most six times."""
        widest = max(self.positions, key=lambda position: len(position.tiles)).tiles
        return self.zoom or min(6, fitting_zoom(widest, 960 // max(len(widest), 1)))

    def place(self, index: int) -> str:
        """Where a position is, in words: "numbers in the bottleneck: 32, bits: 6"."""
        words = []
        for axis in reversed(self.axes):
            index, stop = divmod(index, len(axis.stops))
            words.append(f"{axis.label}: {axis.stops[stop]}")
        return ", ".join(reversed(words))


Block: TypeAlias = Table | Chart | Plate | Slider


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report: prose (see prose.py), then tables, charts and pictures in their order."""

    title: str
    text: str = ""
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """An experiment for people.

    name      of the experiment: "bottleneck"
    title     "How small can a code be?"
    verdict   the whole result in a sentence or two, prose; the first thing that is read
    claims    the study's claims beside our figures, the first table
    sections  the rest
    command   what makes this report again
    note      what was reduced and what must be known: pictures, epochs, seeds, machine; prose
    facts     short lines below the verdict: "18,800 test pictures", "5 seeds"
    metrics   every figure, for metrics.csv

    OptionError if two charts, plates or sliders have one name, or a name is no name for a file.
    """

    name: str
    title: str
    verdict: str
    claims: tuple[Claim, ...]
    sections: tuple[Section, ...]
    command: str
    note: str = ""
    facts: tuple[str, ...] = ()
    metrics: tuple[Measurement, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for block in self.blocks():
            if isinstance(block, Table):
                continue
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", block.name):
                raise OptionError(f"{block.name!r} is no name for a figure; use small letters, digits and hyphens")
            if block.name in seen:
                raise OptionError(f"two figures of the report are named {block.name!r}")
            seen.add(block.name)

    def blocks(self) -> Iterator[Block]:
        """All tables and figures, in order."""
        for section in self.sections:
            yield from section.blocks
