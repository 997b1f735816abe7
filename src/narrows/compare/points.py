"""points.csv: every measured file on a line of its own, written as soon as it is known.

The table only ever grows. A run that was stopped goes on where it was: what has a line is not measured again. A picture
that changed, another library, release or profile makes other lines, and the old ones stay.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TextIO, TypeAlias

from narrows.compare.records import Point
from narrows.errors import OptionError

FIELDS = tuple(field.name for field in fields(Point))

Key: TypeAlias = tuple[str, str, float, str, str]


def key(point: Point) -> Key:
    """What makes a point unique: coder, version, setting, picture, digest."""
    return point.coder, point.version, point.setting, point.picture, point.digest


def read_points(path: Path) -> list[Point]:
    """The points of a table, none if there is no file yet; the last of those with one key.

    A last line without its end is what a killed run left and is ignored. OptionError for a file that is no such table,
    with the line; OSError if it cannot be read.
    """
    if not path.exists():
        return []
    return list({key(point): point for point in _parse(path, _whole_lines(path))}.values())


class PointsFile:
    """A table open for adding; every `add` is on its way to the disk before it returns.

    Made with its heading if it does not exist; a line that a killed run left half written is cut off. OptionError if
    the file is another table, OSError if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            whole = _whole_lines(path)
            _parse(path, whole)
            os.truncate(path, len(whole))
        self._file: TextIO = path.open("a", encoding="utf-8", newline="")
        if self._file.tell() == 0:
            self._write([FIELDS])

    def add(self, points: Iterable[Point]) -> None:
        """Write a line for each point."""
        self._write([_row(point) for point in points])

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> PointsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue())
        self._file.flush()


def _whole_lines(path: Path) -> bytes:
    """The file up to its last end of a line."""
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1]


def _parse(path: Path, data: bytes) -> list[Point]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OptionError("is not a table of points: it is no text", source=str(path)) from error
    if not text:
        return []
    rows = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(rows)) != FIELDS:
        raise OptionError(
            f"is not a table of points of this release (its heading is not {','.join(FIELDS)}); "
            "move it away, or write the report elsewhere with -o",
            source=str(path),
        )
    points = []
    for row in rows:
        try:
            points.append(_point(row))
        except ValueError as error:
            message = f"line {rows.line_num} is damaged ({error}); delete that line, and it will be measured again"
            raise OptionError(message, source=str(path)) from error
    return points


def _row(point: Point) -> list[str]:
    values = [getattr(point, name) for name in FIELDS]
    return ["" if value is None else f"{value!r}" if isinstance(value, float) else str(value) for value in values]


def _point(row: Sequence[str]) -> Point:
    if len(row) != len(FIELDS):
        raise ValueError(f"it has {len(row)} of {len(FIELDS)} fields")
    texts = dict(zip(FIELDS, row, strict=True))

    def number(name: str) -> float:
        return float(texts[name])

    def optional(name: str) -> float | None:
        return float(texts[name]) if texts[name] else None

    return Point(
        coder=texts["coder"],
        version=texts["version"],
        setting=number("setting"),
        picture=texts["picture"],
        digest=texts["digest"],
        width=int(texts["width"]),
        height=int(texts["height"]),
        bytes=int(texts["bytes"]),
        mse=number("mse"),
        psnr_db=number("psnr_db"),
        ssim=number("ssim"),
        ms_ssim=optional("ms_ssim"),
        ssimulacra2=optional("ssimulacra2"),
    )
