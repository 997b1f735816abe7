"""Curves of a comparison: means, BD-rates of known and of measured curves, equal quality and rate, refusals."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import bjontegaard
import numpy as np
import pytest

from narrows.compare.curves import (
    Curve,
    bd_quality,
    bd_rate,
    bd_rate_between,
    falls,
    mean_curve,
    picture_curve,
    quality_at_rate,
    rate_at_quality,
    rising,
)
from narrows.compare.levels import equal_quality, equal_rate
from narrows.compare.metrics import METRICS
from narrows.compare.records import Point
from narrows.errors import OptionError

ANCHORS = Path(__file__).parent.parent.parent / "shared" / "anchors" / "kodak_measured.csv"
PSNR = METRICS["psnr"]


def point(setting: float, size_bytes: int, db: float, *, picture: str = "one", version: str = "1") -> Point:
    return Point(
        coder="x", version=version, setting=setting, picture=picture, digest="0", width=100, height=80,
        bytes=size_bytes, mse=0.0 if db == math.inf else 65025 / 10 ** (db / 10), psnr_db=db, ssim=0.9, ms_ssim=None,
        ssimulacra2=None,
    )  # fmt: skip


def line(factor: float, low: float, high: float, count: int = 8) -> Curve:
    """Rate doubles every 5 units of quality."""
    quality = tuple(np.linspace(low, high, count).tolist())
    rates = tuple(factor * 2 ** (value / 5 - 6) for value in quality)
    settings = tuple(float(i) for i in range(count))
    return Curve(coder="x", label=f"x{factor:g}", settings=settings, rate_bpp=rates, quality=quality)


def bent(rates: list[float], quality: list[float]) -> Curve:
    settings = tuple(float(i) for i in range(len(rates)))
    return Curve(coder="b", label="bent", settings=settings, rate_bpp=tuple(rates), quality=tuple(quality))


OLD = bent([0.12, 0.25, 0.44, 0.81, 1.3, 2.2], [27.1, 29.6, 31.4, 34.2, 36.6, 39.9])
NEW = bent([0.1, 0.18, 0.4, 0.66, 1.1, 1.9, 2.6], [27.9, 29.4, 32.5, 34.8, 37.7, 40.4, 42.2])


def test_a_mean_curve_averages_rates_and_values() -> None:
    curve = mean_curve(
        [point(2, 400, 36), point(2, 800, 38, picture="two"), point(1, 100, 30), point(1, 300, 34, picture="two")],
        PSNR,
        label="X",
    )
    assert (curve.coder, curve.label, curve.settings) == ("x", "X", (1, 2))
    assert curve.rate_bpp == pytest.approx([0.2, 0.6])
    assert curve.quality == pytest.approx([32, 37])


def test_the_axis_is_taken_of_the_mean() -> None:
    curve = mean_curve([point(1, 100, 30), point(1, 100, 40, picture="two")], METRICS["mse"])
    assert curve.quality == pytest.approx([10 * math.log10(2 / (1e-3 + 1e-4))])


def test_a_picture_curve_is_of_one_picture() -> None:
    points = [point(1, 100, 30), point(1, 300, 34, picture="two")]
    assert picture_curve(points, "two", PSNR).rate_bpp == (0.3,)
    with pytest.raises(OptionError, match="none"):
        picture_curve(points, "three", PSNR)


def test_settings_on_different_pictures_are_refused_by_name() -> None:
    with pytest.raises(OptionError, match=r"x at 1 was not measured on two"):
        mean_curve([point(1, 100, 30), point(2, 200, 33), point(2, 300, 34, picture="two")], PSNR)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "none"),
        ([point(1, 100, 30), point(2, 200, 33, version="2")], r"x \(1\) and x \(2\)"),
        ([point(1, 100, 30), point(1, 200, 33)], "twice on one"),
    ],
)
def test_a_curve_is_of_one_coder_measured_once(points: list[Point], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        mean_curve(points, PSNR)


def test_exact_copies_and_unjudged_settings_are_no_part_of_a_curve() -> None:
    assert mean_curve([point(1, 100, 30), point(2, 900, math.inf)], PSNR).settings == (1,)
    assert mean_curve([point(1, 100, 30)], METRICS["ms-ssim"]).settings == ()


def test_bd_rate_of_known_curves() -> None:
    anchor, test = line(1.0, 26, 40), line(0.7, 28, 44)
    found = bd_rate(anchor, test)
    assert found.value == pytest.approx(-30)
    assert (found.low, found.high, found.reason) == (28, 40, "")
    assert found.points == 6  # of the test's eight
    assert bd_rate(anchor, anchor).value == pytest.approx(0)
    assert bd_rate(test, anchor).value == pytest.approx(100 / 0.7 - 100)
    assert bd_rate_between(anchor, test, 30, 38).value == pytest.approx(-30)
    quality = bd_quality(anchor, test)
    assert quality.value == pytest.approx(5 * math.log2(1 / 0.7))
    assert quality.low == pytest.approx(2 ** (26 / 5 - 6))


@pytest.mark.parametrize("method", ["akima", "pchip"])
def test_differences_are_those_of_the_package(method: str) -> None:
    arguments = (OLD.rate_bpp, OLD.quality, NEW.rate_bpp, NEW.quality)
    options = {"require_matching_points": False, "min_overlap": 0}
    rate = bd_rate(OLD, NEW, method="akima" if method == "akima" else "pchip")
    quality = bd_quality(OLD, NEW, method="akima" if method == "akima" else "pchip")
    assert rate.value == pytest.approx(bjontegaard.bd_rate(*arguments, method=method, **options), abs=1e-9)
    assert quality.value == pytest.approx(bjontegaard.bd_psnr(*arguments, method=method, **options), abs=1e-9)


def test_too_small_an_overlap_has_a_reason_instead_of_a_number() -> None:
    apart = bd_rate(line(1.0, 20, 25), line(1.0, 30, 40))
    assert apart.value is None
    assert "do not meet: one ends at 25, the other begins at 30" in apart.reason
    little = bd_rate(line(1.0, 20, 30.5), line(1.0, 30, 40))
    assert little.value is None
    assert "overlap by 0.50 only, 1 are needed" in little.reason
    assert bd_rate(line(1.0, 20, 30.5), line(1.0, 30, 40), least=0.4).value == pytest.approx(0)
    window = bd_rate_between(line(1.0, 26, 40), line(0.7, 28, 44), 27, 38)
    assert window.value is None
    assert window.reason == "both curves reach from 28.00 to 40.00, not from 27 to 38"
    rates = bd_quality(line(1.0, 20, 25), line(1.0, 30, 40))
    assert rates.value is None
    assert "the rates do not meet" in rates.reason


def test_fewer_than_four_points_are_refused() -> None:
    for call in (bd_rate, bd_quality):
        with pytest.raises(OptionError, match=r"x1 has 3 points \(settings 0, 1, 2\), .* needs 4: measure it at more"):
            call(line(1.0, 20, 40), line(1.0, 20, 40, count=3))
    with pytest.raises(OptionError, match="has 3 points"):
        bd_rate_between(line(1.0, 20, 40, count=3), line(1.0, 20, 40), 25, 30)


def test_a_curve_that_hardly_rises_has_no_bd_rate() -> None:
    flat = bent([0.1, 0.2, 0.3, 0.4, 0.5], [30, 31, 30.5, 30.9, 31])
    found = bd_rate(flat, line(1.0, 20, 40))
    assert found.value is None
    assert found.reason == "the quality of bent rises at 2 points only"


def test_points_that_are_not_better_are_passed_over() -> None:
    curve = bent([0.1, 0.2, 0.3, 0.3, 0.4, 0.5], [20, 25, 24, 26, 30, 30])
    assert rising(curve).settings == (0, 1, 3, 4)
    assert rising(OLD) is OLD


def test_rate_and_quality_at_a_level() -> None:
    assert rate_at_quality(line(1.0, 20, 40), 31) == pytest.approx(2 ** (31 / 5 - 6))
    assert quality_at_rate(line(1.0, 20, 40), 2 ** (31 / 5 - 6)) == pytest.approx(31)
    for level, rate in zip(OLD.quality, OLD.rate_bpp, strict=True):  # at the ends too
        assert rate_at_quality(OLD, level) == pytest.approx(rate)
        assert quality_at_rate(OLD, rate) == pytest.approx(level)
    assert rate_at_quality(OLD, 27.0) is rate_at_quality(OLD, 40.0) is None
    assert quality_at_rate(OLD, 0.1) is quality_at_rate(OLD, 2.3) is None
    assert rate_at_quality(line(1.0, 20, 40, count=3), 31) is None


def test_levels_are_round_and_in_the_first_curves_range() -> None:
    ours, theirs = line(1.0, 24.4, 41.7), replace(line(1.1, 30, 45), coder="y")
    rows = equal_quality([ours, theirs])
    assert [row.level for row in rows] == [26, 28, 30, 32, 34, 36, 38, 40]
    assert rows[0].cells[1].value is None is rows[0].cells[1].difference
    assert rows[3].cells[0].difference == 0
    assert rows[3].cells[1].difference == pytest.approx(10)
    rates = equal_rate([ours, theirs])
    assert [row.level for row in rows] == sorted({row.level for row in rows})
    assert all(min(ours.rate_bpp) <= row.level <= max(ours.rate_bpp) for row in rates)
    assert rates[-1].cells[1].difference == pytest.approx(-5 * math.log2(1.1))


def test_falls_names_the_place() -> None:
    assert falls([point(1, 100, 30), point(2, 120, 31), point(3, 150, 32)], PSNR) == []
    (said,) = falls([point(3, 120, 32), point(1, 100, 30), point(2, 120, 31)], PSNR)
    assert said == "one, setting 2 to 3: 120 to 120 bytes, 31.000 to 32.000 dB"
    (said,) = falls([point(1, 100, 30), point(2, 120, 29.9), point(3, 130, 32)], PSNR)
    assert said.startswith("one, setting 1 to 2")
    assert falls([point(1, 100, math.inf), point(2, 120, math.inf)], PSNR) == []
    (said,) = falls([point(1, 100, 30), point(2, 90, 31)], METRICS["ms-ssim"])
    assert said == "one, setting 1 to 2: 100 to 90 bytes"


@pytest.mark.skipif(not ANCHORS.exists(), reason="the anchors are not beside this clone")
def test_bd_rate_of_measured_anchors() -> None:
    """AVIF 4:2:0 against JPEG 4:2:0 and WebP on Kodak: the figures that the anchors' own description gives."""
    curves: dict[str, Curve] = {}
    with ANCHORS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["picture"] == "mean"]
    for codec in ("jpeg420", "webp", "avif"):
        pairs = sorted((float(row["bpp"]), float(row["psnr"])) for row in rows if row["codec"] == codec)
        curves[codec] = bent([rate for rate, _ in pairs], [db for _, db in pairs])
    assert bd_rate(curves["jpeg420"], curves["avif"]).value == pytest.approx(-45.6, abs=0.06)
    assert bd_rate(curves["webp"], curves["avif"]).value == pytest.approx(-16.3, abs=0.06)
    assert bd_rate_between(curves["jpeg420"], curves["avif"], 30, 38).value == pytest.approx(-43.6, abs=0.06)
