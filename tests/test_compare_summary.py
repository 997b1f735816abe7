"""What a comparison says: the analysis, its sentences, summary.json, report.md and README's table."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import comparisons
import pytest

from narrows.compare.analysis import Analysis, analyse
from narrows.compare.markdown import readme_table, report_md
from narrows.compare.records import Comparison
from narrows.compare.summary import read_summary, summarise
from narrows.errors import OptionError

FACTORS = {"narrows": 1.0, "jpeg420": 2.0, "webp": 1.25, "avif420": 1.01, "avif444": 0.8, "tiff-lzw": 14.0}
USUAL = comparisons.comparison(FACTORS, count=4, sway={"avif420": 0.2})


@pytest.fixture(scope="module")
def usual() -> Analysis:
    return analyse(USUAL)


def warned(comparison: Comparison) -> str:
    return "\n".join(analyse(comparison).warnings)


def test_the_judged_coder_against_each_other_one(usual: Analysis) -> None:
    assert (usual.judged, usual.opponents) == ("narrows", ("jpeg420", "webp", "avif420", "avif444"))
    assert [metric.key for metric in usual.metrics] == ["psnr", "mse", "ssim", "ms-ssim", "ssimulacra2"]
    jpeg, webp, avif, _ = usual.deciding.pairs
    assert jpeg.rate.value == pytest.approx(-50, abs=0.01)
    assert jpeg.reverse.value == pytest.approx(100, abs=0.01)
    assert jpeg.pchip.value == pytest.approx(-50, abs=0.01)
    assert jpeg.window is not None
    assert jpeg.window.value == pytest.approx(-50, abs=0.01)
    assert jpeg.quality.value == pytest.approx(2 * math.log(2, 1.3), abs=0.01)
    assert webp.rate.value == pytest.approx(-20, abs=0.01)
    assert [item.rate.value for item in avif.pictures] == pytest.approx(
        [100 / 0.808 - 100, 100 / 1.212 - 100] * 2, abs=0.02
    )
    assert (avif.spread.won, avif.spread.lost, avif.spread.level, avif.spread.unknown) == (2, 2, 0, 0)
    assert avif.spread.worst is not None
    assert avif.spread.worst[0] in ("p00", "p02")
    assert all(pair.window is None for metric in usual.metrics[1:] for pair in metric.pairs)


def test_curves_levels_pictures_and_notes(usual: Analysis) -> None:
    psnr = usual.deciding
    assert [curve.coder for curve in psnr.curves] == ["narrows", "jpeg420", "webp", "avif420", "avif444"]
    assert psnr.curve_of("webp") is psnr.curves[2]
    assert psnr.curve_of("tiff-lzw") is None
    assert {cell.coder: cell.difference for cell in psnr.equal_quality[1].cells}["webp"] == pytest.approx(25, abs=0.01)
    assert [row.name for row in usual.pictures] == ["p00", "p01", "p02", "p03"]
    assert usual.pictures[0].rates == tuple(pair.pictures[0].rate.value for pair in psnr.pairs)
    assert [(row.label, row.bpp) for row in usual.lossless] == [("TIFF LZW", 14.0)]
    assert (usual.rises, usual.falls) == (True, ())


def test_the_verdict_names_families_and_every_loss(usual: Analysis) -> None:
    assert usual.verdict == (
        "At equal PSNR (RGB), narrows needs 50.0 % fewer bytes than JPEG 4:2:0, 20.0 % fewer than WebP and 1.0 % fewer "
        "than AVIF, but 25.0 % more than AVIF 4:4:4 for PSNR (BD-rate on 4 pictures)."
    )
    said = {
        (1.0,): "narrows was measured on 3 pictures, with nothing that it could be compared with.",
        (1.0, 1.0): "At equal PSNR (RGB), narrows needs as many bytes as JPEG 4:2:0 (BD-rate on 3 pictures).",
        (1.0, 0.5, 1.0): (
            "At equal PSNR (RGB), narrows needs as many bytes as WebP, but 100.0 % more than JPEG 4:2:0 "
            "(BD-rate on 3 pictures)."
        ),
    }
    for factors, expected in said.items():
        names = dict(zip(("narrows", "jpeg420", "webp"), factors, strict=False))
        assert analyse(comparisons.comparison(names)).verdict == expected


def test_what_it_is_bad_at_is_said(usual: Analysis) -> None:
    said = "\n".join(usual.warnings)
    assert (
        "AVIF 4:4:4 for PSNR needs 20.0 % fewer bytes than narrows at equal PSNR (RGB) (from 25.0 to 43.0 dB)." in said
    )
    assert "On 2 of 4 pictures narrows needs more bytes than AVIF, though not on the mean: p0" in said
    assert "At equal SSIM narrows needs more bytes than AVIF 4:4:4 for PSNR (+25.0 %)." in said
    assert "no lossless mode" in said
    assert "4 pictures cannot tell coders apart in general" in said


def test_slowness_and_memory_are_said() -> None:
    speeds = (
        comparisons.speed("narrows", 6.0, 7.0, 200.0),
        comparisons.speed("jpeg420", 40.0, 70.0, 5.0),
        comparisons.speed("avif420", 3.0, 70.0, 20.0),
    )
    said = warned(replace(USUAL, speed=comparisons.speed_report(*speeds)))
    assert "Encoding is slower than that of JPEG 4:2:0 (6.7 times as fast): 6.0 megapixels/s with 2 threads." in said
    assert "Decoding is slower than that of JPEG 4:2:0 (10 times as fast) and AVIF (10 times as fast)" in said
    assert "To decode 0.8 megapixels narrows takes 200 MiB of memory, where no other coder takes more than 20" in said
    unknown = tuple(replace(s, encode_memory_mib=None, decode_memory_mib=None) for s in speeds)
    assert "MiB" not in warned(replace(USUAL, speed=comparisons.speed_report(*unknown)))
    assert "slower" not in warned(replace(USUAL, speed=comparisons.speed_report(*speeds[1:])))


def test_ends_of_the_range_and_falls_are_said() -> None:
    ours = comparisons.comparison({"narrows": 1.0, "webp": 1.0})
    short = replace(ours, points=tuple(p for p in ours.points if p.coder == "webp" or 2 <= p.setting <= 7))
    said = warned(short)
    assert "The settings of narrows end at 39.0 dB (0.63 bits per pixel); WebP was measured up to 43.0." in said
    assert "The smallest files of narrows have 0.169 bits per pixel; WebP was measured down to 0.100." in said
    fallen = tuple(replace(p, bytes=10**6) if (p.coder, p.setting) == ("narrows", 4.0) else p for p in ours.points)
    analysis = analyse(replace(ours, points=fallen))
    assert (analysis.rises, len(analysis.falls)) == (False, 3)
    assert "fail to rise with its setting in 3 places" in "\n".join(analysis.warnings)


def test_a_loss_in_the_window_alone_is_said() -> None:
    ours = comparisons.comparison({"narrows": 1.0, "webp": 1.0}, steps=12)
    bent = {0: 3.0, 10: 1.6, 11: 2.0}
    points = tuple(
        replace(p, bytes=round(p.bytes * bent.get(int(p.setting), 0.99))) if p.coder == "webp" else p
        for p in ours.points
    )
    assert "From 27 to 38 dB narrows needs 1.0 % more bytes than WebP, though not over the whole range." in warned(
        replace(ours, points=points)
    )


def test_the_deciding_metric_is_first() -> None:
    analysis = analyse(replace(USUAL, metric="ssimulacra2"))
    assert [metric.key for metric in analysis.metrics][:2] == ["ssimulacra2", "psnr"]
    assert analysis.verdict.startswith("At equal SSIMULACRA 2, narrows needs 50.0 % fewer bytes")
    with pytest.raises(OptionError, match=r"no metric 'vmaf'; the known ones are psnr, mse"):
        analyse(replace(USUAL, metric="vmaf"))
    with pytest.raises(OptionError, match="nothing to compare"):
        analyse(replace(USUAL, pictures=()))


def test_too_few_points_of_the_judged_coder_are_an_error_and_of_another_a_note() -> None:
    three = comparisons.comparison({"narrows": 1.0, "webp": 1.0}, steps=3)
    with pytest.raises(
        OptionError, match=r"narrows has 3 points in PSNR \(RGB\) \(settings 0, 1, 2\), .* more settings"
    ):
        analyse(three)
    whole = comparisons.comparison({"narrows": 1.0, "webp": 1.0, "jpeg420": 2.0})
    few = replace(whole, points=tuple(p for p in whole.points if p.coder != "webp" or p.setting < 2))
    analysis = analyse(few)
    assert analysis.opponents == ("jpeg420",)
    assert len(analysis.deciding.curves) == 3  # its two points are drawn
    assert "Not in the PSNR (RGB) figures: WebP has 2 points." in analysis.warnings
    with pytest.raises(OptionError, match="TIFF LZW is lossless and has no curve"):
        analyse(comparisons.comparison({"tiff-lzw": 14.0, "webp": 1.0}))
    with pytest.raises(OptionError, match="narrows was measured on 0 of 3 pictures"):
        analyse(replace(whole, points=tuple(p for p in whole.points if p.coder != "narrows")))


def test_a_picture_that_one_coder_failed_on_is_in_no_mean() -> None:
    whole = comparisons.comparison({"narrows": 1.0, "webp": 1.25}, count=3)
    odd = tuple(replace(p, bytes=3 * p.bytes) if p.picture == "p01" else p for p in whole.points)
    points = tuple(p for p in odd if (p.coder, p.picture) != ("webp", "p01"))
    analysis = analyse(replace(whole, points=points))
    assert analysis.deciding.pictures == ("p00", "p02")
    assert analysis.deciding.left_out == (("p01", "WebP has 0 of 10 settings on it"),)
    assert analysis.deciding.pairs[0].rate.value == pytest.approx(-20, abs=0.01)
    assert [row.rates[0] is None for row in analysis.pictures] == [False, True, False]
    hardly = tuple(p for p in odd if p.coder == "narrows" or p.picture == "p02")
    assert ("WebP", "was measured on 1 of 3 pictures") in analyse(replace(whole, points=hardly)).deciding.left_out


def test_settings_that_a_picture_lacks_are_in_no_mean() -> None:
    whole = comparisons.comparison({"narrows": 1.0, "webp": 1.25}, count=3)
    lacking = ("webp", "p01", 9.0)
    points = tuple(p for p in whole.points if (p.coder, p.picture, p.setting) != lacking)
    psnr = analyse(replace(whole, points=points)).deciding
    assert psnr.left_out == (("WebP", "setting 9 was not measured on every picture"),)
    assert len(psnr.curves[1].settings) == 9


def test_exact_copies_and_small_pictures_are_left_out_of_a_metric() -> None:
    whole = comparisons.comparison({"narrows": 1.0, "webp": 1.25}, count=3)
    exact = tuple(
        replace(p, psnr_db=math.inf, mse=0.0) if (p.picture == "p01" and p.setting > 4) or p.setting == 9 else p
        for p in whole.points
    )
    psnr = analyse(replace(whole, points=exact)).deciding
    assert psnr.left_out == (("p01", "is coded without any error by narrows"),)
    assert list(psnr.curves[0].settings) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    small = tuple(replace(p, ms_ssim=None) if p.picture == "p02" else p for p in whole.points)
    by_key = {metric.key: metric for metric in analyse(replace(whole, points=small)).metrics}
    assert by_key["ms-ssim"].left_out == (("p02", "is too small for MS-SSIM"),)
    assert len(by_key["psnr"].pictures) == 3
    analysis = analyse(replace(whole, points=tuple(replace(p, ms_ssim=None) for p in whole.points)))
    assert "ms-ssim" not in {metric.key for metric in analysis.metrics}
    assert any(line.startswith("Narrows has no curve in MS-SSIM: p00 is too small") for line in analysis.warnings)


def test_points_of_two_versions_are_refused() -> None:
    whole = comparisons.comparison({"narrows": 1.0, "webp": 1.25})
    with pytest.raises(OptionError, match="several versions"):
        analyse(replace(whole, points=(*whole.points, replace(whole.points[-1], version="webp 2.0"))))


def test_the_summary_is_json_without_nan(tmp_path: Path, usual: Analysis) -> None:
    odd = replace(USUAL, speed=comparisons.speed_report(comparisons.speed("narrows", math.inf, math.nan, None)))
    summary = summarise(odd, usual)
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(summary, allow_nan=False))
    again = read_summary(path)
    assert again == summary
    assert again["schema"] == 1
    assert again["command"] == "narrows compare things -o report"
    assert (again["files"], "points" in again) == (len(USUAL.points), False)
    assert again["speed"]["speeds"][0]["decode_mps"] is None
    assert again["analysis"]["verdict"] == usual.verdict
    assert again["analysis"]["metrics"][0]["pairs"][0]["rate"]["value"] == usual.deciding.pairs[0].rate.value
    for content in (b"{", b"[]", b'{"schema": 9, "analysis": {}}'):
        path.write_bytes(content)
        with pytest.raises(OptionError, match=r"is no (JSON|summary)"):
            read_summary(path)


def test_the_report_holds_every_coder_picture_and_warning(usual: Analysis) -> None:
    speeds = comparisons.speed_report(comparisons.speed("narrows", 6.0, 7.0, 200.0))
    whole = replace(USUAL, speed=speeds, left_out=(("bad.png", "is cut short"),), missing=("jxl: install it",))
    report = report_md(whole, analyse(whole), figures="things/")
    assert usual.verdict in report
    assert "| JPEG 4:2:0 | 25.0 to 43.0 | -50.0 % | -50.0 % | -50.0 % | +100.0 % | +5.28 | -50.0 % |" in report
    assert "![PSNR (RGB) over bits per pixel](things/rate-psnr.png)" in report
    assert "| 25 | 0.100 | 0.200 (+100.0 %) |" in report
    assert "Bytes and quality rise with the setting on every picture." in report
    assert "Lossless, in bits per pixel: TIFF LZW 14.00." in report
    assert "| narrows | 0.50 | 33.0 | 6 | 2.00 | 7 | 0.10 | 200 | 200 |" in report
    assert "- bad.png: is cut short" in report
    assert "- jxl: install it" in report
    assert all(coder.version in report and coder.options in report for coder in USUAL.coders)
    assert all(f"| {picture.name} | 1000 x 800 |" in report for picture in USUAL.pictures)
    assert "![" not in report_md(USUAL, usual)
    tables = [line for line in report.splitlines() if line.startswith("|")]
    for heading, rule in pairwise(tables):
        if rule.startswith("| ---"):
            assert heading.count("|") == rule.count("|")


def test_names_from_outside_make_no_markup() -> None:
    name = "a|b`<script>](x)*"
    hostile = comparisons.comparison({"narrows": 1.0, "webp": 1.25})
    renamed = replace(
        hostile,
        title=name,
        command="narrows compare '`x`'",
        pictures=tuple(replace(p, name=name) if p.name == "p01" else p for p in hostile.pictures),
        points=tuple(replace(p, picture=name) if p.picture == "p01" else p for p in hostile.points),
    )
    report = report_md(renamed, analyse(renamed))
    assert "<script>" not in report
    assert "a\\|b\\`&lt;script&gt;\\](x)\\* | 1000 x 800" in report
    assert "made by `narrows compare ''x''`" in report


def test_readmes_table() -> None:
    first, second = (
        comparisons.comparison({"narrows": 1.0, "webp": 1.25}),
        comparisons.comparison({"narrows": 1.0, "webp": 2.0, "jpeg420": 4.0}, steps=6),
    )
    sets = [("Kodak", summarise(first, analyse(first))), ("ours", summarise(second, analyse(second)))]
    assert readme_table(sets).splitlines() == [
        "| bytes of narrows at equal PSNR (RGB), against | Kodak | ours |",
        "| --- | --- | --- |",
        "| WebP (options of webp) | -20.0 % (-20.0 %) | -50.0 % (-) |",
        "| JPEG 4:2:0 (options of jpeg420) | - | -75.0 % (-) |",
    ]
    other = replace(first, metric="ssim")
    with pytest.raises(OptionError, match="by one metric"):
        readme_table([sets[0], ("other", summarise(other, analyse(other)))])
    with pytest.raises(OptionError, match="by one metric"):
        readme_table([])
