"""points.csv: what is written is read again, a killed run's table can be continued, another table is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.compare.points import FIELDS, PointsFile, key, read_points
from narrows.compare.records import Point
from narrows.errors import OptionError

POINT = Point(
    coder="jpeg420",
    version="libjpeg-turbo 3.2.0",
    setting=50.0,
    picture="kodim01",
    digest="0123456789abcdef",
    width=768,
    height=512,
    bytes=59205,
    mse=67.03306,
    psnr_db=29.86791,
    ssim=0.8848362,
    ms_ssim=0.9823277,
    ssimulacra2=62.26114,
)
EXACT = replace(POINT, coder="tiff-lzw", setting=0.0, mse=0.0, psnr_db=math.inf, ms_ssim=None, ssimulacra2=None)
ODD = replace(POINT, picture='a,b "c" é', coder="narrows:some, where", ssimulacra2=-3.5e-7)


def write(path: Path, *points: Point) -> Path:
    with PointsFile(path) as table:
        table.add(points)
    return path


def test_points_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = write(tmp_path / "deeper" / "points.csv", POINT, EXACT)
    write(table, ODD)
    assert read_points(table) == [POINT, EXACT, ODD]
    assert table.read_text(encoding="utf-8").splitlines()[0] == ",".join(FIELDS)


def test_no_table_has_no_points(tmp_path: Path) -> None:
    assert read_points(tmp_path / "points.csv") == []
    assert read_points(write(tmp_path / "points.csv")) == []


def test_each_line_is_there_before_the_table_is_closed(tmp_path: Path) -> None:
    with PointsFile(tmp_path / "points.csv") as table:
        table.add([POINT])
        assert read_points(tmp_path / "points.csv") == [POINT]
        table.add([EXACT])
        assert read_points(tmp_path / "points.csv") == [POINT, EXACT]


def test_the_later_of_two_equal_keys_counts(tmp_path: Path) -> None:
    later = replace(POINT, bytes=1)
    assert key(later) == key(POINT)
    assert read_points(write(tmp_path / "points.csv", POINT, EXACT, later)) == [later, EXACT]


@pytest.mark.parametrize(
    "changed",
    [
        replace(POINT, version="libjpeg-turbo 3.3.0"),
        replace(POINT, digest="f" * 16),
        replace(POINT, setting=51.0),
        replace(POINT, picture="b"),
        replace(POINT, coder="jpeg444"),
    ],
)
def test_what_changed_has_another_key(changed: Point) -> None:
    assert key(changed) != key(POINT)


def test_a_run_killed_anywhere_can_go_on(tmp_path: Path) -> None:
    table = write(tmp_path / "points.csv", POINT, ODD)
    whole = table.read_bytes()
    for length in range(len(whole)):
        table.write_bytes(whole[:length])
        kept = read_points(table)
        assert kept == [POINT, ODD][: len(kept)]
        write(table, EXACT)
        assert read_points(table) == [*kept, EXACT]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    table = write(tmp_path / "points.csv", POINT, EXACT)
    text = table.read_text()
    for damaged in (text.replace("59205", "many", 1), text.replace("768,", "", 1)):
        table.write_text(damaged)
        with pytest.raises(OptionError, match=r"line 2 is damaged.*delete that line"):
            read_points(table)
        with pytest.raises(OptionError, match="line 2"):
            PointsFile(table)
        assert table.read_text() == damaged


@pytest.mark.parametrize("content", [b"a,b,c\n1,2,3\n", b"\xff\xfe\n", b"coder\n"])
def test_another_table_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    table = tmp_path / "points.csv"
    table.write_bytes(content)
    with pytest.raises(OptionError, match="not a table of points"):
        read_points(table)
    with pytest.raises(OptionError, match="not a table of points"):
        PointsFile(table)
    assert table.read_bytes() == content
