"""report.md: the report for a repository's reader, with its figures as files; committed as docs/results/NAME.md."""

from __future__ import annotations

from collections.abc import Iterator

from narrows.compare.markdown import escaped
from narrows.lab.report import prose
from narrows.lab.report.chart import Chart
from narrows.lab.report.document import Block, Report, Slider
from narrows.lab.report.page import VERDICTS
from narrows.lab.report.table import Column, Table


def report_md(report: Report, *, figures: str = "figures/") -> str:
    """The whole report; `figures` is what goes before the names of the files of write.write_figures in a link."""
    blocks = [
        f"# {escaped(report.title)}",
        prose.to_markdown(report.verdict),
        escaped(" · ".join(report.facts)),
        f"Made by `{report.command}`.",
        *_claims(report),
    ]
    for section in report.sections:
        blocks += [f"## {escaped(section.title)}", prose.to_markdown(section.text)]
        for block in section.blocks:
            blocks += _block(block, figures)
    if report.note:
        blocks += ["## How this was measured", prose.to_markdown(report.note)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _claims(report: Report) -> Iterator[str]:
    if report.claims:
        yield "## What the study claims, and what we found"
        lines = ["| claim | our figure | verdict |", "| --- | --- | --- |"]
        for claim in report.claims:
            cells = (prose.inline_markdown(claim.claimed), prose.inline_markdown(claim.found))
            lines.append(f"| {cells[0]} | {cells[1]} | {VERDICTS[claim.verdict]} |")
        yield "\n".join(lines)


def _block(block: Block, figures: str) -> Iterator[str]:
    if isinstance(block, Table):
        yield f"### {prose.inline_markdown(block.caption)}"
        yield block.markdown()
        yield prose.to_markdown(block.note)
    elif isinstance(block, Slider):
        yield f"### {escaped(block.title)}"
        yield _facts(block).markdown()
        yield prose.to_markdown(block.caption)
    else:
        suffix = "svg" if isinstance(block, Chart) else "png"
        yield f"### {escaped(block.title)}"
        yield f"![{escaped(block.title)}]({figures}{block.name}.{suffix})"
        yield prose.to_markdown(block.caption)


def _facts(slider: Slider) -> Table:
    """The facts of all positions; the pictures are on the page."""
    names = list(dict.fromkeys(name for position in slider.positions for name, _ in position.facts))
    rows = []
    for index, position in enumerate(slider.positions):
        values = dict(position.facts)
        rows.append((slider.place(index), *(values.get(name) for name in names)))
    columns = (Column(name="position"), *(Column(name=name) for name in names))
    return Table(columns=columns, rows=tuple(rows), caption=slider.title)
