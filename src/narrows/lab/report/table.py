"""Tables of a report: one object, written as CSV for machines, HTML for the page, Markdown for the documents."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from narrows.compare import markdown
from narrows.errors import OptionError

Cell: TypeAlias = str | int | float | None
"""None and NaN are what was not measured; infinity is what an exact copy has."""

NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name in CSV, what people read above it (with the unit; "" is the name), how numbers are spelled.

    `form` is a format specification of Python for numbers: ".2f", "+.1f", ",", ".1%"; "" has four digits that count.
    """

    name: str
    title: str = ""
    form: str = ""

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.title or self.name

    def spell(self, value: Cell) -> str:
        """A cell for people: numbers by `form`, a dash for what was not measured.

        >>> Column(name="psnr_db", form=".2f").spell(31.456)
        '31.46'
        >>> Column(name="bytes", form=",").spell(18800), Column(name="bpp").spell(None)
        ('18,800', '–')
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return NOTHING
        if isinstance(value, str):
            return value
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if not self.form:
            return str(value) if isinstance(value, int) else f"{value:.4g}"
        return format(value, self.form)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under columns, each row as long as the columns. `strong` are the numbers of the rows that matter most.

    `caption` says what it shows, `note` what a reader must know (prose, see prose.py). OptionError for a row of another
    length.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    note: str = ""
    strong: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise OptionError(f"the table {self.caption!r} has {len(self.columns)} columns, a row {len(row)} cells")

    def numeric(self, index: int) -> bool:
        """Whether a column holds numbers, which stand on the right; one that holds nothing does too."""
        return not any(isinstance(row[index], str) for row in self.rows)

    def spelled(self) -> tuple[tuple[str, ...], ...]:
        """The cells for people."""
        return tuple(
            tuple(column.spell(cell) for column, cell in zip(self.columns, row, strict=True)) for row in self.rows
        )

    def csv(self) -> str:
        """As CSV with the names of the columns; numbers in full, nothing for what was not measured."""
        return csv_text([column.name for column in self.columns], self.rows)

    def markdown(self) -> str:
        """As a Markdown table, numbers on the right, the cells of strong rows bold, without caption and note."""
        edges = ["---:" if self.numeric(index) else "---" for index in range(len(self.columns))]
        lines = [_line(markdown.escaped(column.heading) for column in self.columns), _line(edges)]
        for number, row in enumerate(self.spelled()):
            bold = number in self.strong
            lines.append(_line(f"**{text}**" if bold and text else text for text in map(markdown.escaped, row)))
        return "\n".join(lines)


def csv_text(names: Iterable[str], rows: Iterable[Iterable[Cell]]) -> str:
    """Lines of CSV under a heading; floats are written so that reading gives the same number back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if _missing(cell) else cell for cell in row] for row in rows])
    return text.getvalue()


def _missing(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
