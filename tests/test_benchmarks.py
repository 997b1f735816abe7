"""The yardstick of benchmarks/: PSNR, curves, BD-rates, the search for an equal PSNR, tables that can be continued."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import first_look
import kodak_rd
import numpy as np
import pytest
import speed
from measure import (
    Curve,
    Point,
    append_points,
    bd_rate,
    bd_rate_between,
    curve,
    falls,
    find_pictures,
    nearest_quality,
    overlap_db,
    psnr_db,
    read_points,
)
from opponents import AVIF, JPEG, OPPONENTS, WEBP
from PIL import Image

ANCHORS = Path(__file__).parent.parent.parent / "shared" / "anchors" / "kodak_measured.csv"


def point(quality: int, size_bytes: int, db: float, *, picture: str = "one", codec: str = "x") -> Point:
    return Point(
        codec=codec, version="1", quality=quality, picture=picture, width=100, height=80, bytes=size_bytes, psnr_db=db
    )


def photograph(height: int = 96, width: int = 128) -> first_look.Pixels:
    """Waves and a slope, smooth enough for any codec, with some grain."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([128 + 90 * np.sin(x / (5 + c)) * np.cos(y / (7 - c)) for c in range(3)], axis=2)
    grain = np.random.default_rng(0).normal(0, 4, waves.shape)
    return np.clip(np.rint(waves + grain), 0, 255).astype(np.uint8)


def test_psnr() -> None:
    black = np.zeros((2, 3, 3), np.uint8)
    assert psnr_db(black, black) == math.inf
    assert psnr_db(black, black + np.uint8(255)) == 0
    assert psnr_db(black + np.uint8(255), black) == 0
    assert psnr_db(black, black + np.uint8(1)) == pytest.approx(20 * math.log10(255))
    with pytest.raises(ValueError, match="shape"):
        psnr_db(black, black[:1])


def test_a_curve_is_the_mean_of_rates_and_of_psnrs() -> None:
    rate, db = curve(
        [point(1, 100, 30), point(1, 300, 34, picture="two"), point(2, 400, 36), point(2, 800, 38, picture="two")]
    )
    assert rate == pytest.approx([0.2, 0.6])
    assert db == pytest.approx([32, 37])


def test_a_curve_of_different_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="different pictures"):
        curve([point(1, 100, 30), point(2, 200, 33), point(2, 300, 34, picture="two")])


def line(factor: float, low_db: float, high_db: float) -> Curve:
    db = np.linspace(low_db, high_db, 8)
    return factor * 2 ** (db / 5), db


def test_bd_rate_of_known_curves() -> None:
    anchor, test = line(1.0, 26, 40), line(0.7, 28, 44)
    assert overlap_db(anchor, test) == (28, 40)
    assert bd_rate(anchor, test) == pytest.approx(-30)
    assert bd_rate(anchor, anchor) == pytest.approx(0)
    assert bd_rate_between(anchor, test, 30, 38) == pytest.approx(-30)
    assert math.isnan(bd_rate_between(anchor, test, 27, 38))
    assert math.isnan(bd_rate(line(1.0, 20, 25), line(1.0, 30, 40)))


@pytest.mark.skipif(not ANCHORS.exists(), reason="the anchors are not beside this clone")
def test_bd_rate_of_published_anchors() -> None:
    """AVIF 4:2:0 against JPEG 4:2:0 and WebP on Kodak: the figures that the anchors' own description gives."""
    curves: dict[str, Curve] = {}
    with ANCHORS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["picture"] == "mean"]
    for codec in ("jpeg420", "webp", "avif"):
        pairs = sorted((float(row["bpp"]), float(row["psnr"])) for row in rows if row["codec"] == codec)
        curves[codec] = np.array([rate for rate, _ in pairs]), np.array([db for _, db in pairs])
    assert bd_rate(curves["jpeg420"], curves["avif"]) == pytest.approx(-45.6, abs=0.06)
    assert bd_rate(curves["webp"], curves["avif"]) == pytest.approx(-16.3, abs=0.06)
    assert bd_rate_between(curves["jpeg420"], curves["avif"], 30, 38) == pytest.approx(-43.6, abs=0.06)


def test_falls_names_the_place() -> None:
    assert falls([point(1, 100, 30), point(2, 120, 31), point(3, 150, 32)]) == []
    (said,) = falls([point(1, 100, 30), point(2, 120, 31), point(3, 120, 32)])
    assert said.startswith("one, quality 2 to 3")
    (said,) = falls([point(1, 100, 30), point(2, 120, 29.9), point(3, 130, 32)])
    assert said.startswith("one, quality 1 to 2")


@pytest.mark.parametrize("target", [-5.0, 0.0, 12.4, 12.6, 99.0, 150.0])
def test_nearest_quality(target: float) -> None:
    asked: list[int] = []

    def measure(quality: int) -> float:
        asked.append(quality)
        return float(quality)

    assert nearest_quality(measure, target, 0, 99) == min(range(100), key=lambda quality: abs(quality - target))
    assert len(asked) == len(set(asked)) <= 9


def test_points_are_kept(tmp_path: Path) -> None:
    table = tmp_path / "new" / "points.csv"
    assert read_points(table) == []
    append_points(table, [point(1, 100, 30.5)])
    append_points(table, [point(2, 200, 33.25)])
    assert read_points(table) == [point(1, 100, 30.5), point(2, 200, 33.25)]
    assert table.read_text().splitlines()[0] == "codec,version,quality,picture,width,height,bytes,bpp,psnr_db"


@pytest.mark.parametrize("opponent", OPPONENTS, ids=lambda opponent: opponent.name)
def test_an_opponent_codes(opponent: object) -> None:
    assert opponent in OPPONENTS
    for codec in (o for o in OPPONENTS if o is opponent):
        if not codec.available:
            pytest.skip("this Pillow lacks it")
        pixels = photograph()
        low, high = (codec.encode(pixels, quality) for quality in (20, 90))
        assert len(low) < len(high)
        assert psnr_db(pixels, codec.decode(low)) < psnr_db(pixels, codec.decode(high))
        assert any(character.isdigit() for character in codec.version)


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not a folder"):
        find_pictures(tmp_path / "none")
    with pytest.raises(SystemExit, match="holds no picture"):
        find_pictures(tmp_path)


def test_opponents_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(photograph()).save(tmp_path / "one.png")
    monkeypatch.setattr(kodak_rd, "OPPONENTS", (JPEG, WEBP))
    table = tmp_path / "points.csv"
    first = kodak_rd.measure_opponents([tmp_path / "one.png"], table)
    assert [p.quality for p in first[JPEG]] == list(JPEG.qualities)
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-3]) + "\n")
    monkeypatch.setattr(
        kodak_rd, "tqdm", lambda missing, **_: [*missing] if len(missing) == 3 else pytest.fail("measured again")
    )
    again = kodak_rd.measure_opponents([tmp_path / "one.png"], table)
    assert [p.bytes for p in again[WEBP]] == [p.bytes for p in first[WEBP]]


def test_a_report_says_what_was_found(tmp_path: Path) -> None:
    def steps(codec: str, factor: int) -> list[Point]:
        return [
            point(q, factor * round(100 * 1.3**q), 26.0 + q + shift, picture=picture, codec=codec)
            for q in range(14)
            for picture, shift in (("one", 0.0), ("two", 0.2))
        ]

    opponents = {JPEG: steps("jpeg420", 2), AVIF: steps("avif", 5)}
    ours = steps("narrows", 1)
    report = kodak_rd.write_report("things", ours, opponents, "a command")
    assert "| JPEG | 26.1 to 39.1 | -50.0 % | -50.0 % | -50.0 % | -50.0 % |" in report
    assert "| AVIF | 26.1 to 39.1 | -80.0 % |" in report
    assert "Bytes and PSNR rise with quality on every picture (2 pictures, 14 qualities)." in report
    assert "fail to rise with quality in 1 place" in kodak_rd.write_report(
        "things", [*ours[:-1], point(13, 1, 50, picture="two")], opponents, ""
    )
    kodak_rd.draw(tmp_path / "figure.png", ours, opponents, "things")
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.size == (1080, 720)


def test_first_look(
    tmp_path: Path, colour_profile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(photograph()).save(tmp_path / "photo.png")
    monkeypatch.setattr(
        "sys.argv", ["first_look", str(tmp_path / "photo.png"), "-p", str(colour_profile), "-o", str(tmp_path / "out")]
    )
    first_look.main()
    said = capsys.readouterr().out
    size = (tmp_path / "out" / "first_look.nrws").stat().st_size
    assert f"narrows  {size:9d} {8 * size / (96 * 128):10.3f}" in said
    assert all(f"\n{opponent.label} " in said for opponent in (JPEG, WEBP, AVIF) if opponent.available)
    with Image.open(tmp_path / "out" / "first_look.png") as sheet:
        assert sheet.width > sheet.height


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.png", None, "no such file"),
        ("text.png", b"not a picture", "is not a picture that Pillow can read"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "first_look: "),
        (".", None, "is a folder"),
    ],
)
def test_first_look_refuses_what_is_no_photograph(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SystemExit, match=reason):
        first_look.load_photo(tmp_path / name)


def test_a_tiny_photograph_makes_a_sheet() -> None:
    pixels = photograph(1, 1)
    result = first_look.Result(
        label="x", setting="", size_bytes=1, decoded=pixels, psnr_db=99.0, encode_s=0, decode_s=0
    )
    assert first_look.side_by_side(pixels, [result]).width > 300


def test_the_default_photograph_is_in_the_wheel() -> None:
    _, pixels = first_look.load_photo(None)
    assert pixels.shape == (400, 600, 3)


@pytest.mark.skipif(not AVIF.available, reason="this Pillow has no AVIF")
def test_speed(colour_profile: Path) -> None:
    report = speed.measure([photograph()], quality=50, effort=5, profile=str(colour_profile), threads=1, rounds=1)
    assert (
        min(
            report.narrows.encode_mps, report.narrows.decode_mps, report.opponent.encode_mps, report.opponent.decode_mps
        )
        > 0
    )
    assert 0 < report.info_cold_s < 60
    assert "| narrows / AVIF |" in speed.describe(report, "a folder")
