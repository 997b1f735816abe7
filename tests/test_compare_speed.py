"""Speed and memory: the setting at equal PSNR, what is timed, and peaks that are those of a fresh process."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import photo_like
from PIL import Image

from narrows.compare import codecs, memory, speed
from narrows.compare.pictures import SourcePicture, find_pictures
from narrows.compare.records import Point
from narrows.compare.speed import common_settings, measure_speed
from narrows.errors import NarrowsError, OptionError

LINUX = pytest.mark.skipif(memory.peak_mib() is None, reason="this system does not tell a process's peak memory")


def point(coder: str, setting: float, db: float, picture: str = "one") -> Point:
    return Point(
        coder=coder,
        version="1",
        setting=setting,
        picture=picture,
        digest="d",
        width=8,
        height=8,
        bytes=10,
        mse=1.0,
        psnr_db=db,
        ssim=0.9,
        ms_ssim=None,
        ssimulacra2=None,
    )


def curve(coder: str, *pairs: tuple[float, float]) -> list[Point]:
    return [point(coder, setting, db) for setting, db in pairs]


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[SourcePicture, ...]:
    for number in range(3):
        Image.fromarray(photo_like(48, 64, seed=number)).save(tmp_path / f"{number}.png")
    return find_pictures([tmp_path]).pictures


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is measured, and no more than one cold start."""
    monkeypatch.setattr(memory, "peaks_mib", lambda pixels, jobs, **options: dict.fromkeys([j.coder for j in jobs]))
    monkeypatch.setattr(speed, "_COLD_STARTS", 1)


def test_coders_meet_at_the_first_ones_middle() -> None:
    coders = [codecs.build("webp"), codecs.build("tiff-lzw"), codecs.build("jpeg420")]
    points = [
        *curve("webp", (10, 28.0), (50, 33.0), (90, 39.0)),
        *curve("tiff-lzw", (0, math.inf)),
        *curve("jpeg420", (20, 29.0), (60, 32.0), (70, 34.0), (95, 41.0)),
    ]
    assert common_settings(coders, points) == [50, 0, 65]


def test_means_over_the_pictures_are_met_not_single_ones() -> None:
    coders = [codecs.build("webp"), codecs.build("jpeg420")]
    points = [
        *curve("webp", (10, 28.0), (50, 32.0), (90, 39.0)),
        *(replace(p, picture="two", psnr_db=p.psnr_db + 2) for p in curve("webp", (10, 28.0), (50, 32.0), (90, 39.0))),
        *curve("jpeg420", (20, 29.0), (40, 33.0), (95, 41.0)),
    ]
    assert common_settings(coders, points) == [50, 40]


def test_a_coder_that_does_not_reach_so_far_moves_the_meeting_place() -> None:
    coders = [codecs.build("webp"), codecs.build("jpeg420")]
    points = [*curve("webp", (10, 28.0), (50, 33.0), (90, 39.0)), *curve("jpeg420", (60, 35.0), (95, 41.0))]
    assert common_settings(coders, points) == [63, 60]
    apart = [*curve("webp", (10, 28.0), (50, 33.0), (90, 34.0)), *curve("jpeg420", (60, 35.0), (95, 41.0))]
    assert common_settings(coders, apart) == [50, 60]


def test_settings_lie_on_the_coders_steps() -> None:
    coders = [codecs.build("jpeg2000"), codecs.build("jxl")]
    points = [*curve("jpeg2000", (0.1, 26.0), (0.3, 30.0), (2.5, 40.0)), *curve("jxl", (20, 29.0), (30, 30.3))]
    assert common_settings(coders, points) == [0.3, 27.5]


def test_without_points_a_coder_runs_at_its_middle_setting() -> None:
    coder = codecs.build("jpeg420")
    assert common_settings([coder], []) == [coder.settings[len(coder.settings) // 2]]


@pytest.mark.usefixtures("no_processes")
def test_the_report_is_of_all_coders(pictures: tuple[SourcePicture, ...], colour_profile: Path) -> None:
    ours = f"narrows:{colour_profile}"
    names = ["jpeg420", ours, "avif420", "tiff-lzw"]
    points = [
        *curve("jpeg420", (50, 33.0), (90, 39.0)),
        *curve(ours, (0, 25.0), (60, 39.0)),
        *curve("avif420", (30, 30.0), (85, 39.0)),
    ]
    steps: list[tuple[int, int]] = []
    report = measure_speed(pictures, names, points, threads=1, progress=lambda done, total: steps.append((done, total)))
    assert [entry.coder for entry in report.speeds] == names
    assert (report.reference, report.threads, report.rounds, report.pictures) == ("avif420", 1, 5, 3)
    assert report.megapixels == pytest.approx(3 * 48 * 64 / 1e6)
    assert steps == [(done, 18) for done in range(19)]
    assert report.processor
    assert report.cold_start_s is not None
    assert report.cold_start_s > 0
    by_name = {entry.coder: entry for entry in report.speeds}
    assert (by_name["avif420"].encode_ratio, by_name["avif420"].decode_ratio) == (1, 1)
    assert by_name["jpeg420"].encode_ratio > 1
    assert by_name["jpeg420"].setting == 90
    assert by_name["tiff-lzw"].psnr_db == math.inf
    coder = codecs.build("jpeg420")
    files = [coder.encode(picture.load(), 90) for picture in pictures]
    assert by_name["jpeg420"].bpp == pytest.approx(np.mean([8 * len(data) / (48 * 64) for data in files]))
    assert all(entry.encode_mps > 0 and entry.decode_mps > 0 for entry in report.speeds)


@pytest.mark.usefixtures("no_processes")
def test_less_time_takes_fewer_pictures(pictures: tuple[SourcePicture, ...]) -> None:
    report = measure_speed(pictures, ["jpeg420"], [], threads=1, seconds=0)
    assert report.pictures == 1
    assert report.reference == "jpeg420"
    assert report.cold_start_s is None


@pytest.mark.usefixtures("no_processes")
def test_large_pictures_are_cut_to_their_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "MAX_PIXELS", 600)
    pixels = photo_like(60, 90)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    report = measure_speed(find_pictures([tmp_path]).pictures, ["jpeg420"], [], threads=1, seconds=1)
    assert report.megapixels == pytest.approx(600 / 1e6)
    middle = speed._middle(pixels)
    assert middle.shape == (20, 30, 3)
    assert np.array_equal(middle, pixels[20:40, 30:60])


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (24, 25), (3, 700), (599, 2)])
def test_any_shape_is_cut_to_what_is_allowed(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "MAX_PIXELS", 600)
    height, width, channels = speed._middle(photo_like(*shape)).shape
    assert 1 <= height <= shape[0]
    assert 1 <= width <= shape[1]
    assert channels == 3
    assert 300 < height * width <= 600


@pytest.mark.parametrize(("available", "places"), [(1, [0]), (3, [0, 1, 2]), (24, [0, 4, 8, 12, 16, 20])])
def test_the_pictures_are_evenly_spread(available: int, places: list[int]) -> None:
    assert speed._spread(available, 6) == places


def test_values_out_of_range_are_refused(pictures: tuple[SourcePicture, ...]) -> None:
    with pytest.raises(OptionError, match="at least 5"):
        measure_speed(pictures, ["jpeg420"], [], rounds=4)
    with pytest.raises(OptionError, match="no coder"):
        measure_speed(pictures, [], [])


@LINUX
def test_the_peak_is_that_of_coding_the_picture() -> None:
    pixels = photo_like(1500, 2000)
    ballast = np.ones(2**28, np.uint8)  # touched: this process is far larger than the ones that it measures
    jobs = [memory.Job(coder="jpeg420", setting=80.0), memory.Job(coder="webp", setting=50.0)]
    peaks = memory.peaks_mib(pixels, jobs, threads=1, effort=5, at_once=2)
    assert ballast.any()
    picture_mib = pixels.size / 2**20
    for name in ("jpeg420", "webp"):
        peak = peaks[name]
        assert peak is not None
        encode, decode = peak
        assert picture_mib < encode < 12 * picture_mib
        assert picture_mib < decode < 12 * picture_mib


@LINUX
def test_narrows_is_measured_with_its_networks(colour_profile: Path) -> None:
    name = f"narrows:{colour_profile}"
    peak = memory.peaks_mib(photo_like(64, 64), [memory.Job(coder=name, setting=50.0)], threads=1, effort=5)[name]
    assert peak is not None
    assert 0 < peak[0] < 500
    assert 0 < peak[1] < 500


@LINUX
def test_a_failing_process_is_named() -> None:
    with pytest.raises(NarrowsError, match=r"memory of webp failed: .*"):
        memory.peaks_mib(photo_like(1, 16400), [memory.Job(coder="webp", setting=50.0)], threads=1, effort=5)


def test_a_system_that_tells_no_peak_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    job = memory.Job(coder="jpeg420", setting=80.0)
    assert memory.peaks_mib(photo_like(8, 8), [job], threads=1, effort=5) == {"jpeg420": None}
    (tmp_path / "status").write_text("Name: python\n")
    assert memory.peak_mib() is None
    (tmp_path / "status").write_text("Name: python\nVmHWM:\t  20480 kB\n")
    assert memory.peak_mib() == 20


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_the_processor_has_a_name() -> None:
    assert speed.processor().strip()
