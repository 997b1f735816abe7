"""The colours and line styles of the report, the same in its figures, its legends and its style sheet.

Every colour is a token with a value on light and on dark paper. Figures are drawn with the light ones; svg.py turns
them into CSS variables, so that one drawing serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from narrows.compare.records import Coder

LIGHT = {
    "paper": "#fdfcfa",
    "raised": "#f5f3ee",
    "ink": "#1b1b19",
    "muted": "#5e5c56",
    "rule": "#dedbd3",
    "grid": "#e9e6df",
    "published": "#87847b",
    "good": "#1f6f4a",
    "bad": "#b3361f",
    "jpeg": "#c2460e",
    "webp": "#0b7a70",
    "avif": "#2a62c8",
    "jxl": "#8a3ab9",
    "jpeg2000": "#856a02",
    "narrows": "#b8255f",
    "other": "#6a6f78",
}
DARK = {
    "paper": "#141619",
    "raised": "#1c1f23",
    "ink": "#f2f0ea",
    "muted": "#a5a39b",
    "rule": "#363a40",
    "grid": "#282b30",
    "published": "#85837c",
    "good": "#6cc79a",
    "bad": "#f08a70",
    "jpeg": "#f3935e",
    "webp": "#4dc4b4",
    "avif": "#82b1ff",
    "jxl": "#cc9bf0",
    "jpeg2000": "#d6b844",
    "narrows": "#f489b3",
    "other": "#a9adb6",
}

Dashes = tuple[float, ...]
"""Lengths of dashes and gaps in units of the line's width; () is a solid line."""

_MEMBERS: tuple[Dashes, ...] = ((), (5.0, 1.4, 1.0, 1.4), (1.2, 1.4), (3.0, 1.2, 1.0, 1.2, 1.0, 1.2))
PUBLISHED_DASHES: Dashes = (4.0, 2.6)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a coder's line looks: the name of its colour, its dashes, its width in CSS pixels."""

    name: str
    dashes: Dashes
    width: float

    @property
    def judged(self) -> bool:
        """Whether it is that of the judged coder: black on light paper, white on dark."""
        return self.name == "ink"

    @property
    def colour(self) -> str:
        """On light paper, #rrggbb."""
        return LIGHT[self.name]

    @property
    def dash_array(self) -> str:
        """For SVG's stroke-dasharray, in CSS pixels."""
        return " ".join(f"{length * self.width:.1f}" for length in self.dashes) or "none"


PUBLISHED = Style(name="published", dashes=PUBLISHED_DASHES, width=1.3)


def styles(coders: Sequence[Coder], judged: str) -> dict[str, Style]:
    """A style for each coder: a colour a family, dashes for its second and later members, ink and bold for `judged`."""
    seen: dict[str, int] = {}
    found = {}
    for coder in coders:
        if coder.name == judged:
            found[coder.name] = Style(name="ink", dashes=(), width=2.6)
            continue
        member = seen.get(coder.family, 0)
        seen[coder.family] = member + 1
        name = coder.family if coder.family in LIGHT else "other"
        found[coder.name] = Style(name=name, dashes=_MEMBERS[member % len(_MEMBERS)], width=1.7)
    return found


def css_variables(colours: dict[str, str]) -> str:
    """The tokens as CSS declarations: "--paper: #fdfcfa; --ink: ..."."""
    return " ".join(f"--{token}: {value};" for token, value in colours.items())
