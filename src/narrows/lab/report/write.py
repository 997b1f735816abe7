"""A report as files: the page, the document, the figures and every number."""

from __future__ import annotations

import io
from pathlib import Path

from narrows.compare.files import write_whole
from narrows.compare.svg import png_file, svg_file
from narrows.lab.report.chart import Chart
from narrows.lab.report.document import Report
from narrows.lab.report.markdown import report_md
from narrows.lab.report.metrics import write_metrics
from narrows.lab.report.page import render
from narrows.lab.report.pictures import Plate
from narrows.lab.report.sheet import plate_image


def write_report(report: Report, folder: Path) -> Path:
    """Write report.html, report.md, figures/ and metrics.csv into `folder`, made if missing; the page's path.

    Each file is whole or not there; what was there is replaced. OSError from the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_figures(report, folder / "figures")
    write_metrics(folder / "metrics.csv", report.metrics)
    write_whole(folder / "report.md", report_md(report))
    return write_whole(folder / "report.html", render(report))


def write_document(report: Report, folder: Path) -> Path:
    """Write NAME.md with NAME/figures/ and NAME/metrics.csv, as docs/results has them; the document's path."""
    beside = folder / report.name
    write_figures(report, beside / "figures", png=False)
    write_metrics(beside / "metrics.csv", report.metrics)
    return write_whole(folder / f"{report.name}.md", report_md(report, figures=f"{report.name}/figures/"))


def write_figures(report: Report, folder: Path, *, png: bool = True) -> tuple[Path, ...]:
    """Every chart as NAME.svg and (with `png`) NAME.png, every plate as NAME.png; their paths. `folder` is made.

    SVG files follow the reader's light or dark; PNG files have light paper, charts two pixels to a CSS pixel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for block in report.blocks():
        if isinstance(block, Chart):
            figure = block.draw(block.wide)
            written.append(write_whole(folder / f"{block.name}.svg", svg_file(figure, block.title)))
            if png:
                written.append(write_whole(folder / f"{block.name}.png", png_file(figure)))
        elif isinstance(block, Plate):
            file = io.BytesIO()
            plate_image(block).save(file, "PNG", optimize=True)
            written.append(write_whole(folder / f"{block.name}.png", file.getvalue()))
    return tuple(written)
