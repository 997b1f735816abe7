"""The coders of a comparison: their names, what they do with small pictures, what is said where one is missing."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import photo_like
from PIL import Image, features

from narrows.compare import codecs, mozjpeg, pillow_codecs
from narrows.compare.codecs import NAMES, SettingRange, WorkingCoder, available, build, expand, nearest_setting
from narrows.compare.records import Coder, Pixels
from narrows.errors import OptionError, ProfileError
from narrows.search import psnr_db

HERE = [name for name in NAMES if codecs.missing(name) is None]
LOSSY = [name for name in HERE if not name.startswith("tiff")]
PHOTO = photo_like(96, 128)


def toy_coder(sizes: Callable[[float], int], setting_range: SettingRange) -> tuple[WorkingCoder, list[float]]:
    """A coder whose files are of the size that `sizes` says, and the settings that it was asked for."""
    asked: list[float] = []

    def encode(pixels: Pixels, setting: float) -> bytes:
        asked.append(setting)
        return bytes(sizes(setting))

    coder = Coder(name="toy", label="Toy", family="toy", options="", version="1")
    working = WorkingCoder(coder=coder, settings=(1.0,), range=setting_range, encode=encode, decode=lambda data: PHOTO)
    return working, asked


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("webp", ["webp"]),
        ("avif", ["avif420", "avif444", "avif420-fast"]),
        ("tiff", ["tiff-lzw", "tiff-deflate"]),
        (" JPEG420 , webp,,jpeg420", ["jpeg420", "webp"]),
        ("narrows,narrows:some/Folder", ["narrows", "narrows:some/Folder"]),
        (["jxl", "avif444", "avif"], ["jxl", "avif444", "avif420", "avif420-fast"]),
    ],
)
def test_names_and_families_are_expanded(text: str | list[str], names: list[str]) -> None:
    assert expand(text) == names


def test_all_is_the_default_and_names_everything_that_is_installed() -> None:
    assert sorted(expand("all")) == sorted(expand(codecs.DEFAULT)) == sorted(HERE)
    assert expand("all")[0] == "narrows"


@pytest.mark.parametrize("text", ["", " , ", []])
def test_an_empty_list_is_refused(text: str | list[str]) -> None:
    with pytest.raises(OptionError, match="no codec is named"):
        expand(text)


@pytest.mark.parametrize("text", ["bpg", "jpeg,webp2", "narrow"])
def test_an_unknown_name_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(OptionError, match="there is no codec") as caught:
        expand(text)
    for name in (*NAMES, "narrows:FOLDER", "avif", "tiff"):
        assert name in str(caught.value)


def test_a_profile_without_a_name_is_refused() -> None:
    with pytest.raises(OptionError, match="names no profile"):
        expand("narrows:")


@pytest.mark.parametrize("name", HERE)
def test_settings_are_rising_and_inside_the_range(name: str) -> None:
    coder = build(name)
    assert list(coder.settings) == sorted(set(coder.settings))
    assert all(coder.range.low <= setting <= coder.range.high for setting in coder.settings)
    assert len(coder.settings) == 1 if coder.coder.lossless else len(coder.settings) >= 8


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (31, 17)])
def test_every_coder_gives_the_shape_back(name: str, shape: tuple[int, int]) -> None:
    coder = build(name)
    pixels = photo_like(*shape)
    decoded = coder.decode(coder.encode(pixels, coder.settings[0]))
    assert decoded.shape == pixels.shape
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("name", LOSSY)
def test_a_higher_setting_is_a_larger_file_and_a_better_picture(name: str) -> None:
    coder = build(name)
    chosen = (coder.settings[1], coder.settings[len(coder.settings) // 2], coder.settings[-1])
    files = [coder.encode(PHOTO, setting) for setting in chosen]
    qualities = [psnr_db(PHOTO, coder.decode(data)) for data in files]
    assert sorted(map(len, files)) == list(map(len, files))
    assert sorted(qualities) == qualities
    assert qualities[0] > 15
    assert qualities[-1] > 30


@pytest.mark.parametrize("name", ["tiff-lzw", "tiff-deflate"])
def test_tiff_is_lossless(name: str) -> None:
    coder = build(name)
    data = coder.encode(PHOTO, coder.settings[0])
    assert np.array_equal(coder.decode(data), PHOTO)
    assert len(data) < PHOTO.size
    with pytest.raises(OptionError, match="lossless"):
        coder.with_settings([1])


def test_colour_at_full_resolution_is_kept_better() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (200, 60, 60)
    stripes[:, 1::2] = (60, 60, 200)

    def quality_db(name: str) -> float:
        coder = build(name)
        return psnr_db(stripes, coder.decode(coder.encode(stripes, 90)))

    assert quality_db("jpeg444") > quality_db("jpeg420") + 5
    assert quality_db("avif444") > quality_db("avif420") + 5


@pytest.mark.parametrize("name", ["avif420", "jxl", "narrows"])
def test_the_number_of_threads_changes_no_decoded_pixel(name: str) -> None:
    one, two = build(name, threads=1), build(name, threads=2)
    data = one.encode(PHOTO, 50)
    assert np.array_equal(one.decode(data), two.decode(data))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("jpeg420", r"libjpeg(-turbo)? \d"),
        ("webp", r"libwebp \d"),
        ("avif420", r"libavif [\d.]+ \(.*aom \d+\.\d+\.\d+.*\)"),
        ("jxl", r"pillow-jxl-plugin \d.*"),
        ("jpeg2000", r"OpenJPEG \d"),
        ("tiff-lzw", r"libtiff \d"),
        ("narrows", r"narrows \S+ profile [0-9a-f]{8} effort 5"),
    ],
)
def test_versions_are_exact(name: str, pattern: str) -> None:
    assert re.match(pattern, build(name).coder.version)


def test_another_profile_of_narrows(colour_profile: Path) -> None:
    coder = build(f"narrows:{colour_profile}", effort=6)
    assert coder.coder.name == f"narrows:{colour_profile}"
    assert coder.coder.label.startswith("narrows (toy ")
    assert coder.coder.version.endswith("effort 6")
    sizes = [len(coder.encode(PHOTO, setting)) for setting in coder.settings]
    assert len(set(sizes)) == len(sizes), "two settings mean the same quality of the profile"
    assert nearest_setting(coder, PHOTO, sizes[2])[0] == pytest.approx(coder.settings[2], abs=coder.range.step)


def test_a_profile_of_no_use_is_refused(grey_profile: Path) -> None:
    with pytest.raises(OptionError, match="grey pictures only"):
        build(f"narrows:{grey_profile}")
    with pytest.raises(ProfileError, match="no profile"):
        build("narrows:nowhere")


@pytest.mark.parametrize(("threads", "effort"), [(0, 5), (-1, 5), (1, 10), (1, -1)])
def test_values_out_of_range_are_refused(threads: int, effort: int) -> None:
    with pytest.raises(OptionError, match="it must be"):
        build("narrows", threads=threads, effort=effort)


@pytest.mark.parametrize("settings", [[], [-1], [50, 101]])
def test_settings_outside_the_range_are_refused(settings: list[float]) -> None:
    with pytest.raises(OptionError, match="quality goes from 1 to 100"):
        build("jpeg420").with_settings(settings)


def test_other_settings() -> None:
    assert build("jpeg420").with_settings([80, 50, 80]).settings == (50.0, 80.0)


@pytest.mark.parametrize("feature", ["avif", "webp", "jpg_2000", "libtiff"])
def test_a_pillow_without_a_format_is_said(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = features.check
    monkeypatch.setattr(features, "check", lambda name: name != feature and real(name))
    coders, lines = available(["jpeg420", "avif420", "webp", "jpeg2000", "tiff-lzw"])
    assert len(coders) == 4
    assert len(lines) == 1
    assert feature in lines[0]
    assert "pip install" in lines[0]


def test_a_missing_jxl_plugin_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    coders, lines = available(["jxl", "jpeg420"])
    assert [coder.coder.name for coder in coders] == ["jpeg420"]
    assert lines == ("jxl: needs the package pillow-jxl-plugin: pip install pillow-jxl-plugin",)
    with pytest.raises(OptionError, match="pillow-jxl-plugin"):
        build("jxl")


def test_mozjpeg_is_offered_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(pixels: Pixels, *, level: int, subsampling: str, optimize: bool, progressive: bool) -> bytearray:
        assert (subsampling, optimize, progressive) == ("420", True, True)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=level)
        return bytearray(buffer.getvalue())

    fake = SimpleNamespace(
        MOZJPEG=SimpleNamespace(available=True), mozjpeg_version=lambda: "mozjpeg 4.1.5", mozjpeg_encode=encode
    )
    monkeypatch.setitem(sys.modules, "imagecodecs", fake)
    assert expand("jpeg") == ["jpeg420", "jpeg444", "mozjpeg"]
    coder = build("mozjpeg")
    assert coder.coder.version == "mozjpeg 4.1.5"
    data = coder.encode(PHOTO, 80)
    assert isinstance(data, bytes)
    assert psnr_db(PHOTO, coder.decode(data)) > 30


def test_mozjpeg_is_missed_only_by_those_who_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert expand("jpeg") == ["jpeg420", "jpeg444"]
    assert available(["mozjpeg"]) == ((), (f"mozjpeg: {mozjpeg.missing()}",))
    without = SimpleNamespace(MOZJPEG=SimpleNamespace(available=False), __version__="1")
    monkeypatch.setitem(sys.modules, "imagecodecs", without)
    assert "without MozJPEG" in str(mozjpeg.missing())


def test_what_was_decoded_belongs_to_nobody_else() -> None:
    coder = build("jpeg420")
    decoded = coder.decode(coder.encode(PHOTO, 50))
    again = coder.decode(coder.encode(255 - PHOTO, 50))
    assert psnr_db(PHOTO, decoded) > 25
    assert psnr_db(255 - PHOTO, again) > 25


def test_large_pictures_are_decoded_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    coder = build("jpeg420")
    assert coder.decode(coder.encode(PHOTO, 50)).shape == PHOTO.shape


@pytest.mark.parametrize("target", [0, 1, 99, 100, 149, 150, 151, 3000, 9899, 9900, 10_000, 99_999])
def test_the_nearest_size_is_found(target: int) -> None:
    coder, asked = toy_coder(lambda setting: int(100 + setting * 100), SettingRange(low=0, high=98))
    setting, data = nearest_setting(coder, PHOTO, target)
    assert len(data) == int(100 + setting * 100)
    assert abs(len(data) - target) == min(abs(100 + 100 * step - target) for step in range(99))
    assert len(asked) == len(set(asked)) <= 10


def test_steps_of_a_range() -> None:
    steps = SettingRange(low=0, high=100, step=100 / 63)
    assert steps.count == 64
    assert steps.at(0) == 0
    assert steps.at(63) == 100
    assert steps.nearest(50) == steps.at(32) == pytest.approx(50.793651)
    assert (steps.nearest(-5), steps.nearest(105)) == (0, 100)
    assert SettingRange(low=0, high=0).count == 1


def test_a_coder_of_one_setting_has_one_size() -> None:
    coder, asked = toy_coder(lambda setting: 7, SettingRange(low=0, high=0))
    assert nearest_setting(coder, PHOTO, 1000) == (0, bytes(7))
    assert asked == [0]


def test_the_table_of_codecs_is_consistent() -> None:
    names = [codec.name for codec in pillow_codecs.PILLOW_CODECS]
    assert len(set(names)) == len(names)
    assert set(names) | {"narrows", "mozjpeg"} == set(NAMES)
