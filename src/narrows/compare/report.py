"""report.html: one page, self-contained, that says what a comparison found, to people.

    Comparison, Analysis, CropRows --render--> HTML with inline SVG, PNG data URIs, style and a little script

Nothing here computes a result: the numbers are the Analysis'. The words that come from outside (names of files and
codecs, reasons, versions) are escaped by Jinja2, all of them.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from narrows.compare import wording
from narrows.compare.analysis import Analysis
from narrows.compare.canvas import BROAD, NARROW, WIDE, WIDER
from narrows.compare.charts import speed_figure
from narrows.compare.crops import DIFFERENCE_GAIN, PLACE_RULE, rival_of
from narrows.compare.figures import Line, lines_of, rate_figure, relative_figure
from narrows.compare.files import write_whole
from narrows.compare.metrics import METRICS
from narrows.compare.palette import DARK, LIGHT, Style, css_variables, styles
from narrows.compare.per_metric import MetricAnalysis
from narrows.compare.records import Comparison, Crop, CropRow, Pixels
from narrows.compare.svg import inline_svg


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure as inline SVG in two shapes; the style sheet shows one of them."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the page says in one metric. `relative` is None where no curve overlaps the judged one."""

    metric: MetricAnalysis
    lines: tuple[Line, ...]
    rate: Drawing
    relative: Drawing | None


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """The judged coder against one other: BD-rates in the order of the metrics, pictures won and lost, speed ratios."""

    coder: str
    label: str
    rates: tuple[float | None, ...]
    record: str
    encode: float | None
    decode: float | None


@dataclass(frozen=True, kw_only=True)
class CropView:
    """A crop as data URIs; `extra` is its bytes over those of the row's first coder, percent."""

    record: Crop
    pixels: str
    difference: str
    extra: float


@dataclass(frozen=True, kw_only=True)
class RowView:
    """A row of crops as data URIs."""

    record: CropRow
    original: str
    width: int
    height: int
    crops: tuple[CropView, ...]


def write_report(
    folder: str | os.PathLike[str], comparison: Comparison, analysis: Analysis, crops: Sequence[CropRow]
) -> Path:
    """Write report.html into an existing folder, beside it first and then renamed; its path. OSError from the disk."""
    return write_whole(Path(folder) / "report.html", render(comparison, analysis, crops))


def render(comparison: Comparison, analysis: Analysis, crops: Sequence[CropRow]) -> str:
    """The whole page. It loads nothing, and says so to the browser (Content-Security-Policy)."""
    looks = styles(comparison.coders, analysis.judged)
    names = {coder.name: coder.label for coder in comparison.coders}
    rival = rival_of(analysis)
    rival_index = analysis.opponents.index(rival) if rival in analysis.opponents else None
    labels = sorted(names.values(), key=len, reverse=True)  # "AVIF 4:2:0 fast" before "AVIF 4:2:0"
    board = _board(comparison, analysis)
    panels = [_panel(metric, analysis, looks) for metric in analysis.metrics]
    rows = [_row_view(row) for row in crops]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            c=comparison,
            a=analysis,
            names=names,
            verdict=wording.together(analysis.verdict, labels),
            warnings=[wording.together(line, labels) for line in analysis.warnings],
            styles=looks,
            light=Markup(css_variables(LIGHT)),
            dark=Markup(css_variables(DARK)),
            board=board,
            board_largest=wording.largest(row.rates[0] for row in board),
            panels=panels,
            rows=rows,
            rival=rival if rival_index is not None else None,
            rival_index=rival_index,
            columns=sorted(range(len(analysis.opponents)), key=lambda index: index != rival_index),  # the rival's first
            metric_names={key: wording.short(metric.label) for key, metric in METRICS.items()},
            picture_largest=wording.largest(row.rates[rival_index] for row in analysis.pictures)
            if rival_index is not None
            else 1,
            speed=_speed(comparison, names, looks),
            sections=_sections(comparison, analysis, bool(board), bool(rows)),
            facts=wording.facts(comparison),
            speed_facts=wording.speed_facts(comparison),
            memory_facts=wording.memory_facts(comparison),
            method=wording.method(comparison, analysis),
            gain=DIFFERENCE_GAIN,
            place_rule=PLACE_RULE,
        )
    )


def png_uri(pixels: Pixels) -> str:
    """An array (H, W, 3) as a data URI of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def drawing(wide: Figure, narrow: Figure, name: str, title: str) -> Drawing:
    """A figure drawn twice, for wide and for narrow pages; `name` is its alone in the page, `title` is read aloud."""
    # Made by svg.py, which escapes what it was given: the one place where text becomes markup unescaped.
    return Drawing(
        wide=Markup(inline_svg(wide, f"{name}-w", title)),
        narrow=Markup(inline_svg(narrow, f"{name}-n", title)),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("narrows.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=wording.percent,
        signed=wording.signed,
        number=wording.number,
        plain=wording.plain,
        digits=wording.digits,
        times=wording.times,
        thousands=wording.thousands,
        short=wording.short,
        bar_place=wording.bar_place,
    )
    environment.globals["tone"] = wording.tone
    return environment


def _panel(metric: MetricAnalysis, analysis: Analysis, looks: dict[str, Style]) -> Panel:
    lines = lines_of(metric, analysis.published, looks)
    title = f"{analysis.judged_label} and {len(lines) - 1} others, {metric.axis}"
    wide, narrow = relative_figure(lines, metric.axis, WIDER), relative_figure(lines, metric.axis, NARROW)
    relative = None
    if wide is not None and narrow is not None:
        relative = drawing(wide, narrow, f"relative-{metric.key}", f"Bytes at equal quality: {title}")
    rate = drawing(
        rate_figure(lines, metric.axis, WIDE),
        rate_figure(lines, metric.axis, NARROW),
        f"rate-{metric.key}",
        f"Quality over bits per pixel: {title}",
    )
    return Panel(metric=metric, lines=tuple(lines), rate=rate, relative=relative)


def _speed(comparison: Comparison, names: dict[str, str], looks: dict[str, Style]) -> Drawing | None:
    if comparison.speed is None:
        return None
    wide, narrow = (speed_figure(comparison.speed, names, looks, size) for size in (BROAD, NARROW))
    return drawing(wide, narrow, "speed", "Encoding and decoding speed in megapixels per second; the table has it too")


def _board(comparison: Comparison, analysis: Analysis) -> list[BoardRow]:
    if not analysis.metrics:
        return []
    by_metric = [{pair.opponent: pair.rate.value for pair in metric.pairs} for metric in analysis.metrics]
    speeds = {speed.coder: speed for speed in comparison.speed.speeds} if comparison.speed else {}
    ours = speeds.get(analysis.judged)
    rows = []
    for pair in analysis.metrics[0].pairs:
        theirs = speeds.get(pair.opponent)
        rows.append(
            BoardRow(
                coder=pair.opponent,
                label=pair.label,
                rates=tuple(found.get(pair.opponent) for found in by_metric),
                record=f"{pair.spread.won}–{pair.spread.lost}",
                # both ratios are to the same coder in the same rounds
                encode=ours.encode_ratio / theirs.encode_ratio if ours and theirs else None,
                decode=ours.decode_ratio / theirs.decode_ratio if ours and theirs else None,
            )
        )
    return rows


def _row_view(row: CropRow) -> RowView:
    height, width = row.original.shape[:2]
    return RowView(
        record=row,
        original=png_uri(row.original),
        width=width,
        height=height,
        crops=tuple(
            CropView(
                record=crop,
                pixels=png_uri(crop.pixels),
                difference=png_uri(crop.difference),
                extra=100 * (crop.bytes / row.crops[0].bytes - 1),
            )
            for crop in row.crops
        ),
    )


def _sections(comparison: Comparison, analysis: Analysis, board: bool, crops: bool) -> list[tuple[str, str]]:
    """(anchor, words) of what the page holds, for its navigation."""
    wanted = (
        ("summary", "Summary", board),
        ("warnings", "Weak points", bool(analysis.warnings)),
        ("quality", "Bytes and quality", bool(analysis.metrics)),
        ("crops", "See for yourself", crops),
        ("pictures", "Picture by picture", bool(analysis.pictures and analysis.opponents)),
        ("speed", "Speed", comparison.speed is not None),
        ("published", "Published results", bool(analysis.published)),
        ("method", "Method", True),
    )
    return [(anchor, words) for anchor, words, there in wanted if there]
