"""`narrows compare` as a whole: pictures in, a folder with a report out, and every way in which it can go wrong."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pictures import photo_like
from PIL import Image

from narrows.cli.main import run as narrows

SETTINGS = ("--settings", "jpeg420=10,30,60,90", "--settings", "webp=5,30,60,90")
CODECS = ("--codecs", "jpeg420,webp", *SETTINGS)
ENOUGH = (*CODECS, "--no-speed", "--no-crops", "-j", "1")
"""What a quick comparison needs: two coders, four settings each."""

Said = Callable[[], tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a folder of two pictures; what the command says is read with capfd."""
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo_like(96, 128)).save(tmp_path / "photos" / "bay.png")
    Image.fromarray(photo_like(80, 176, seed=1)).save(tmp_path / "photos" / "hill.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def points(report: Path) -> list[dict[str, str]]:
    with (report / "points.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_comparison_leaves_a_report(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert narrows(["compare", "photos", *ENOUGH]) == 0
    said, _ = capfd.readouterr()
    report = folder / "report"
    assert said.splitlines()[-1] == str(Path("report", "report.html"))
    assert "WebP" in said
    rows = points(report)
    assert {row["picture"] for row in rows} == {"bay", "hill"} and len(rows) == 2 * 2 * 4
    summary = json.loads((report / "summary.json").read_text())
    assert summary["title"] == "photos" and summary["files"] == 16
    page = (report / "report.html").read_text()
    HTMLParser().feed(page)
    assert "JPEG 4:2:0" in page and "hill" in page
    text = (report / "report.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert links and all((report / link).is_file() for link in links)


def test_narrows_is_compared_with_speed_and_crops(
    folder: Path, colour_profile: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    profile = f"narrows:{colour_profile}"
    settings = ("--settings", "jpeg420=10,30,60,90", "--settings", f"{profile}=0,30,60,100")
    codecs = ("--codecs", f"{profile},jpeg420,tiff-deflate", *settings)
    assert narrows(["compare", "photos/bay.png", *codecs, "-o", "out", "--threads", "1", "-j", "1"]) == 0
    report = folder / "out"
    first = json.loads((report / "speed.json").read_text())
    assert {speed["coder"] for speed in first["report"]["speeds"]} == {profile, "jpeg420", "tiff-deflate"}
    assert "data:image/png;base64," in (report / "report.html").read_text()
    assert narrows(["compare", "photos/bay.png", *codecs, "-o", "out", "--threads", "1", "-j", "1"]) == 0
    assert json.loads((report / "speed.json").read_text()) == first  # what is known is not measured again


def test_a_run_that_was_stopped_measures_the_rest_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert narrows(["compare", "photos", *ENOUGH]) == 0
    table = folder / "report" / "points.csv"
    whole = table.read_text()
    lines = whole.splitlines(keepends=True)
    table.write_text("".join(lines[:-3]) + lines[-3][:20])
    assert narrows(["compare", "photos", *ENOUGH]) == 0
    assert sorted(table.read_text().splitlines()) == sorted(whole.splitlines())
    before = table.stat().st_mtime_ns
    assert narrows(["compare", "photos", *ENOUGH]) == 0
    assert table.read_text().count("\n") == len(lines) and table.stat().st_mtime_ns >= before


def test_a_corrupt_picture_is_left_out_and_the_rest_goes_on(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "cut.png").write_bytes((folder / "photos" / "bay.png").read_bytes()[:200])
    assert narrows(["compare", "photos", "missing.png", *ENOUGH]) == 1
    _, errors = capfd.readouterr()
    assert "narrows: cut: " in errors and "narrows: missing.png: " in errors
    assert {row["picture"] for row in points(folder / "report")} == {"bay", "hill"}
    page = (folder / "report" / "report.html").read_text()
    assert "cut" in page and "missing.png" in page


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ([], 2, "name pictures or folders of pictures, or give --sample"),
        (["photos", "--sample"], 2, "name pictures or folders of pictures, or give --sample"),
        (["photos", "--codecs", "jpeg,flif"], 2, "there is no codec 'flif'; the known ones are "),
        (["photos", "--codecs", ","], 2, "an empty list of names"),
        (["photos", "--codecs", "webp", "--settings", "webp"], 2, "is not of the form CODEC=Q,Q,..."),
        (["photos", "--codecs", "webp", "--settings", "jpeg420=1,2,3,4"], 2, "jpeg420, which is not among the codecs"),
        (["photos", "--codecs", "webp", "--settings", "webp=1,2,3,400"], 2, "its quality goes from"),
        (["photos", "--codecs", "narrows:nowhere", "--no-speed"], 4, "nowhere"),
        (["photos", "--metric", "beauty"], 2, "is not one of"),
        (["photos", "--published", "none.json"], 2, "does not exist"),
        (["nothing.png", "--codecs", "webp"], 3, "nothing.png"),
    ],
)
def test_what_is_wrong_is_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, reason: str
) -> None:
    assert narrows(["compare", *arguments]) == code
    said, errors = capfd.readouterr()
    assert said == "" and reason in errors.splitlines()[-1], errors
    assert errors.splitlines()[-1].startswith("narrows: ")


def test_too_few_settings_for_a_curve(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    few = ("--codecs", "jpeg420,webp", "--settings", "jpeg420=10,50,90", "--no-speed", "-j", "1")
    assert narrows(["compare", "photos", *few]) == 2
    _, errors = capfd.readouterr()
    assert "four" in errors or "4" in errors


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "locked").mkdir(mode=0o500)
    assert narrows(["compare", "photos", *ENOUGH, "-o", "locked/report"]) == 1
    assert "cannot be written" in capfd.readouterr().err


def test_a_file_where_the_folder_should_be(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "report").write_text("mine")
    assert narrows(["compare", "photos", *ENOUGH]) in (1, 2)
    assert "report" in capfd.readouterr().err
    assert (folder / "report").read_text() == "mine"
    assert narrows(["compare", "photos", *ENOUGH, "-o", "report/below"]) == 1
    assert "cannot be written" in capfd.readouterr().err


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if not path.name.startswith("report.md."):
            return write(path, data)
        write(path, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert narrows(["compare", "photos", *ENOUGH]) == 1
    said = capfd.readouterr().err
    assert said.startswith("narrows: report: cannot be written: No space left on device; what was measured is kept")
    assert not list((folder / "report").glob("report.md*"))
    assert len(points(folder / "report")) == 16


def test_the_summary_as_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert narrows(["compare", "photos", *ENOUGH, "--json", "--metric", "ssim", "--title", "Mine"]) == 0
    summary = json.loads(capfd.readouterr().out)
    assert summary["title"] == "Mine" and summary["analysis"]["metrics"][0]["key"] == "ssim"


def test_the_codecs_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert narrows(["compare", "--list", "--codecs", "jpeg420,webp"]) == 0
    said, _ = capfd.readouterr()
    assert "jpeg420" in said and "libwebp" in said and "quality 5, 10" in said


def test_the_sample_is_a_photograph(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    from narrows.compare.sample import write_sample

    with Image.open(write_sample(tmp_path)) as image:
        assert image.size == (600, 400)


def test_without_its_packages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr("narrows.cli.compare.import_module", missing)
    assert narrows(["compare", "--sample"]) == 1
    expected = 'narrows: compare: needs matplotlib, which is not installed; run: pip install "narrows[compare]"\n'
    assert capfd.readouterr().err == expected


def test_the_help_loads_none_of_it() -> None:
    code = (
        "import sys\nfrom narrows.cli.main import run\nrun(['compare', '--help'])\n"
        "assert not {'narrows.compare', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
