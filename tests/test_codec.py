"""codec.py, with untrained profiles: what goes in comes out, whatever its size, and every option does what it says."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image
from toy_profile import change_manifest, write_colour_profile

from narrows import container, tiles
from narrows.codec import Codec
from narrows.errors import (
    CorruptError,
    FormatError,
    LimitError,
    NotNarrowsError,
    OptionError,
    PictureError,
    ProfileError,
)
from narrows.limits import Limits
from narrows.pixels import Picture, Samples
from narrows.search import ERROR_WORTH, psnr_db


def decoded(codec: Codec, data: bytes, region: tuple[int, int, int, int] | None = None) -> Picture:
    """As arrays."""
    image = codec.decode_container(container.read(data, codec.limits), region)
    array = np.asarray(image).reshape(image.height, image.width, -1)
    has_alpha = image.mode in ("LA", "RGBA")
    return Picture(
        samples=array[:, :, :-1] if has_alpha else array,
        alpha=array[:, :, -1] if has_alpha else None,
        icc=image.info.get("icc_profile"),
        exif=image.info.get("exif"),
        xmp=image.info.get("xmp"),
    )


def symbols_of(codec: Codec, data: bytes) -> list[NDArray[np.float32]]:
    """y_hat of every strip, as the decoder finds it."""
    file = container.read(data, codec.limits)
    multiple = codec.profile.manifest.hyper_stride
    box = tiles.Box(top=0, left=0, bottom=tiles.padded(file.height, multiple), right=tiles.padded(file.width, multiple))
    boxes = tiles.strips(box)
    return [codec._decode_strip(strip, box, file.quality) for strip, box in zip(file.strips, boxes, strict=True)]


def test_a_picture_comes_back(codec: Codec) -> None:
    picture = photo_like(200, 300)
    data = codec.encode(picture, quality=100)
    image = codec.decode(data)
    assert (image.mode, image.size) == ("RGB", (300, 200))
    assert psnr_db(picture, np.asarray(image)) > 28
    assert len(data) < picture.size / 4


def test_bytes_and_psnr_rise_with_quality(codec: Codec) -> None:
    picture = photo_like(192, 256, seed=2)
    files = [codec.encode(picture, quality=100 * index / 7) for index in range(8)]
    assert [container.read(data, Limits()).quality for data in files] == list(range(8))
    sizes = [len(data) for data in files]
    psnrs = [psnr_db(picture, decoded(codec, data).samples) for data in files]
    assert sizes == sorted(set(sizes))
    assert psnrs == sorted(set(psnrs))


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((70, 33), "L"), ((70, 33, 1), "L"), ((70, 33, 2), "LA"), ((70, 33, 3), "RGB"), ((70, 33, 4), "RGBA")],
)
def test_every_mode_comes_back_as_it_was(codec: Codec, shape: tuple[int, ...], mode: str) -> None:
    picture = photo_like(70, 33, 4)
    array = picture[:, :, 0] if len(shape) == 2 else picture[:, :, : shape[2]]
    image = codec.decode(codec.encode(array, quality=100))
    assert (image.mode, image.size) == (mode, (33, 70))
    if mode.endswith("A"):
        assert np.array_equal(np.asarray(image)[:, :, -1], array[:, :, -1])


def test_a_grey_profile_codes_grey_pictures_only(grey_codec: Codec) -> None:
    for height, width in ((48, 80), (1, 1), (17, 31), (33, 16)):
        picture = photo_like(height, width, 1)
        data = grey_codec.encode(picture, quality=100)
        image = grey_codec.decode(data)
        assert (image.mode, image.size) == ("L", (width, height))
        assert container.read(data, Limits()).strips[0].side is None
        assert psnr_db(picture, np.asarray(image)[:, :, None]) > 24
    with pytest.raises(ProfileError, match="grey"):
        grey_codec.encode(photo_like(16, 16))


@given(st.integers(1, 150), st.integers(1, 150))
@settings(max_examples=25, deadline=None)
def test_any_size_comes_back(codec: Codec, height: int, width: int) -> None:
    picture = np.full((height, width, 3), (200, 90, 30), np.uint8)
    out = decoded(codec, codec.encode(picture, quality=100)).samples
    assert out.shape == picture.shape
    assert np.abs(out.astype(int) - picture).max() <= 6


@pytest.mark.parametrize("side", [(1, 1), (1, 3000), (3000, 1), (2049, 65)])
def test_extreme_shapes_come_back(codec: Codec, side: tuple[int, int]) -> None:
    picture = photo_like(*side)
    assert decoded(codec, codec.encode(picture, quality=50)).samples.shape == picture.shape


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_extreme_contents_come_back(codec: Codec, quality: int) -> None:
    random = np.random.default_rng(0)
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    for picture in (
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64, 3), 255, np.uint8),
        np.repeat(checks[:, :, None], 3, 2),
        random.integers(0, 256, (64, 64, 3)).astype(np.uint8),
        np.tile(np.array([255, 0, 255], np.uint8), (64, 64, 1)),
    ):
        assert decoded(codec, codec.encode(picture, quality=quality)).samples.shape == picture.shape


def test_metadata_is_kept_byte_for_byte_or_left_out(codec: Codec) -> None:
    image = Image.fromarray(photo_like(40, 40))
    image.info.update(icc_profile=b"icc" * 50, exif=b"Exif\0\0" + b"e" * 9, xmp=b"<x/>")
    kept = codec.decode(codec.encode(image))
    for key in ("icc_profile", "exif", "xmp"):
        assert kept.info[key] == image.info[key]
    stripped = codec.encode(image, metadata=False)
    assert not {"icc_profile", "exif", "xmp"} & set(codec.decode(stripped).info)
    assert len(stripped) == len(codec.encode(photo_like(40, 40)))


def test_a_plain_picture_costs_at_most_forty_bytes_of_container(codec: Codec) -> None:
    data = codec.encode(photo_like(512, 768))
    strip = container.read(data, Limits()).strips[0]
    assert strip.side is not None
    assert len(data) - len(strip.side) - len(strip.latents) <= 40


# ------------------------------------------------------------------ tiles and strips


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles so small that a test picture has many; strips stay as the format says."""
    monkeypatch.setattr(tiles, "TILE_PIXELS", 2**17)


def test_tiled_equals_untiled_within_one_level(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photo_like(1200, 330, seed=5)
    data = codec.encode(picture, quality=90)
    untiled = decoded(codec, data).samples
    monkeypatch.setattr(tiles, "TILE_PIXELS", 2**17)
    height, width = 1216, 384
    bounds = tiles.Box(top=0, bottom=height, left=0, right=width)
    assert len(list(tiles.bands(bounds, bounds, 64, 64))) == 2
    assert len(next(tiles.bands(bounds, bounds, 64, 64))) == 3
    tiled = decoded(codec, data).samples
    assert np.abs(tiled.astype(int) - untiled).max() <= 1
    again = codec.encode(picture, quality=90)  # the encoder's floats may round another way, at a symbol here and there
    assert abs(len(again) - len(data)) <= 8
    assert np.mean(np.abs(decoded(codec, again).samples.astype(int) - untiled) > 1) < 1e-3


def test_a_trained_profile_has_no_seams_either(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec(Path(__file__).parent / "golden" / "profile", threads=1)
    picture = photo_like(512, 640, seed=5)
    data = codec.encode(picture, quality=60)
    untiled = decoded(codec, data).samples
    monkeypatch.setattr(tiles, "TILE_PIXELS", 2**16)
    assert np.abs(decoded(codec, data).samples.astype(int) - untiled).max() <= 1
    assert abs(len(codec.encode(picture, quality=60)) - len(data)) <= 8


def test_a_missing_halo_would_show(small_tiles: None, tmp_path: Path) -> None:
    """The test above can fail: the same profile that claims to need no halo has seams."""
    folder = write_colour_profile(tmp_path / "toy")
    change_manifest(folder, synthesis_halo=0)
    codec = Codec(folder, threads=1)
    picture = photo_like(512, 512, seed=6)
    data = codec.encode(picture, quality=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_PIXELS", 2**21)
        untiled = decoded(codec, data).samples
    assert np.abs(decoded(codec, data).samples.astype(int) - untiled).max() >= 1


def test_a_picture_of_several_strips_decodes_strip_by_strip(codec: Codec) -> None:
    picture = photo_like(2100, 70, seed=7)
    data = codec.encode(picture, quality=100)
    file = container.read(data, Limits())
    assert len(file.strips) == 3
    assert psnr_db(picture, decoded(codec, data).samples) > 25
    first = codec.encode(picture[:1024], quality=100)
    damaged = dataclasses.replace(file, strips=(container.read(first, Limits()).strips[0], *file.strips[1:]))
    assert len(symbols_of(codec, container.write(damaged))) == 3  # strips are independent of each other


@pytest.mark.parametrize(
    "region", [(0, 0, 1, 1), (10, 20, 100, 30), (299, 1099, 1, 1), (0, 0, 300, 1100), (150, 1000, 90, 60)]
)
def test_a_region_is_that_part_of_the_picture(
    codec: Codec, small_tiles: None, region: tuple[int, int, int, int]
) -> None:
    picture = photo_like(1100, 300, 4, seed=8)
    data = codec.encode(picture, quality=80)
    whole = decoded(codec, data)
    part = decoded(codec, data, region)
    x, y, width, height = region
    assert np.abs(part.samples.astype(int) - whole.samples[y : y + height, x : x + width]).max() <= 1
    assert part.alpha is not None
    assert np.array_equal(part.alpha, picture[y : y + height, x : x + width, 3])
    assert codec.decode(data, region).size == (width, height)


def test_a_region_reads_only_the_strips_that_it_needs(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(photo_like(3100, 64), quality=50)
    read: list[int] = []
    original = Codec._decode_strip

    def counted(self: Codec, strip: Any, box: tiles.Box, index: int) -> Any:
        read.append(box.top)
        return original(self, strip, box, index)

    monkeypatch.setattr(Codec, "_decode_strip", counted)
    decoded(codec, data, (0, 1500, 10, 10))
    assert read == [1024]
    read.clear()
    decoded(codec, data)
    assert read == [0, 1024, 2048, 3072]


def test_a_wide_picture_has_lower_strips(codec: Codec) -> None:
    picture = photo_like(700, 4200)
    data = codec.encode(picture, quality=90)
    file = container.read(data, Limits())
    assert (data[8], len(file.strips)) == (2, 2)
    whole = decoded(codec, data).samples
    assert psnr_db(picture, whole) > 25
    part = decoded(codec, data, (4000, 480, 200, 100)).samples  # across the strips' border
    assert np.abs(part.astype(int) - whole[480:580, 4000:]).max() <= 1


def test_a_profile_of_a_large_stride_takes_no_wide_picture(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(np.zeros((1, 4097), np.uint8))
    manifest = dataclasses.replace(codec.profile.manifest, hyper_stride=1024, analysis_halo=1024)
    monkeypatch.setattr(codec, "profile", dataclasses.replace(codec.profile, manifest=manifest))
    with pytest.raises(ProfileError, match="4097 pixels wide, this profile codes 4096 at most"):
        codec.encode(np.zeros((1, 4097), np.uint8))
    with pytest.raises(CorruptError, match="D7"):
        codec.decode(data)


def test_decoding_tells_its_progress(codec: Codec, small_tiles: None) -> None:
    data = codec.encode(photo_like(1100, 300))
    for region in (None, (0, 500, 300, 600)):
        shares: list[float] = []
        codec.decode(data, region, progress=shares.append)
        assert len(shares) > 2
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


def test_a_deep_check_holds_no_picture(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(photo_like(100, 100))
    monkeypatch.setattr(Image, "new", None)
    codec.verify(data, deep=True)


@pytest.mark.parametrize(
    "region",
    [(0, 0, 0, 5), (-1, 0, 5, 5), (60, 0, 5, 5), (0, 46, 5, 5), (0, 0, 65, 5), (0, 0, 5), "abcd", (0.0, 0, 5, 5)],
)
def test_a_region_outside_of_the_picture_is_refused(codec: Codec, region: Any) -> None:
    data = codec.encode(photo_like(50, 64))
    with pytest.raises(OptionError, match="region"):
        codec.decode(data, region)


# ------------------------------------------------------------------ options of the encoder


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 101},
        {"quality": -1},
        {"quality": "75"},
        {"quality": float("nan")},
        {"quality": True},
        {"effort": 10},
        {"effort": -1},
        {"effort": 5.0},
        {"target_bytes": 0},
        {"target_bytes": 1000.0},
        {"target_psnr": 0},
        {"target_psnr": float("inf")},
        {"target_psnr": "30"},
        {"target_bytes": 1000, "target_psnr": 30},
    ],
)
def test_a_senseless_option_is_refused_before_the_picture_is_read(codec: Codec, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        codec.encode("no such file", **options)


def test_effort_0_rounds_plainly_and_1_to_5_use_the_profiles_dead_zone(codec: Codec) -> None:
    picture = photo_like(128, 128, seed=9)
    sizes = [len(codec.encode(picture, effort=effort)) for effort in range(6)]
    assert sizes[0] > sizes[1]
    assert len(set(sizes[1:])) == 1


def cost(codec: Codec, picture: Samples, index: int, effort: int) -> float:
    data = codec.encode(picture, quality=100 * index / (codec.profile.manifest.qualities - 1), effort=effort)
    error = np.square(decoded(codec, data).samples.astype(float) - picture).sum() / 3
    return float(8 * len(data) + ERROR_WORTH * codec.profile.manifest.lambdas[index] * error)


def test_more_effort_costs_less() -> None:
    """Bits and squared error fall from effort to effort, since each tries what the one below tried.

    All but exactly: a strip is judged before the next one is rounded.
    """
    codec, picture = Codec(threads=1), photo_like(1100, 128, seed=10)
    costs = [cost(codec, picture, 40, effort) for effort in (5, 6, 7, 8)]
    assert all(after < 1.001 * before for before, after in itertools.pairwise(costs))
    assert costs[1] < 0.995 * costs[0]


def test_latents_that_come_back_from_the_picture_need_no_correction(codec: Codec) -> None:
    """The toy's synthesis loses nothing but roundings, so there is nothing to find."""
    picture = photo_like(128, 128, seed=10)
    assert cost(codec, picture, 5, 8) == pytest.approx(cost(codec, picture, 5, 5), rel=0.01)


@pytest.mark.parametrize("side", [64, 1030, 1100])
def test_a_decoded_strip_is_analysed_where_it_lies(side: int, codec: Codec) -> None:
    """Of the original itself it gives the latents that the whole picture gave."""
    picture = photo_like(side, 100, seed=12)
    work = SimpleNamespace(picture=SimpleNamespace(samples=picture), effort=6)
    for part in codec._parts(work, 5):  # type: ignore[arg-type]
        again = codec._analysed_again(work, part, picture[part.box.top : part.box.bottom])  # type: ignore[arg-type]
        np.testing.assert_allclose(again, part.y, atol=1e-4)


def test_a_strip_is_judged_as_it_will_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the strips above and below it: as all of the picture is, but for the next one's rounding."""
    monkeypatch.setattr(container, "strip_rows", lambda width: 128)
    monkeypatch.setattr(tiles, "strip_rows", lambda width: 128)
    monkeypatch.setattr("narrows.codec.strip_rows", lambda width: 128)
    codec, picture = Codec(threads=1), photo_like(384, 200, seed=13)
    seen: dict[int, Samples] = {}
    judged = codec._judged

    def noted(work: Any, part: Any, *arguments: Any) -> Any:
        trial, y_hat, samples = judged(work, part, *arguments)
        seen[part.box.top] = samples
        return trial, y_hat, samples

    monkeypatch.setattr(codec, "_judged", noted)
    monkeypatch.setattr("narrows.codec.search.FEEDBACK_PASSES", {6: 0})
    whole = decoded(codec, codec.encode(picture, quality=60, effort=6)).samples
    assert sorted(seen) == [0, 128, 256]
    for top, samples in seen.items():
        inner = samples[:64].astype(int) - whole[top : top + 64]
        assert np.abs(inner).max() <= 1, top
        assert np.abs(samples[64:].astype(int) - whole[top + 64 : top + 128]).mean() < 1


def test_target_bytes_gives_the_best_file_that_fits(codec: Codec) -> None:
    picture = photo_like(128, 192, seed=11)
    files = [codec.encode(picture, quality=100 * index / 7) for index in range(8)]
    for index in (0, 3, 7):
        assert codec.encode(picture, target_bytes=len(files[index])) == files[index]
    assert codec.encode(picture, target_bytes=len(files[3]) - 1) == files[2]
    assert codec.encode(picture, target_bytes=10**9) == files[7]
    with pytest.raises(OptionError, match=f"the lowest quality needs {len(files[0])} bytes"):
        codec.encode(picture, target_bytes=len(files[0]) - 1)


def test_target_psnr_gives_the_smallest_file_that_reaches_it(codec: Codec) -> None:
    picture = photo_like(128, 192, seed=12)
    files = [codec.encode(picture, quality=100 * index / 7) for index in range(8)]
    psnrs = [psnr_db(picture, decoded(codec, data).samples) for data in files]
    assert codec.encode(picture, target_psnr=psnrs[4]) == files[4]
    assert codec.encode(picture, target_psnr=psnrs[4] + 0.001) == files[5]
    assert codec.encode(picture, target_psnr=1.0) == files[0]
    with pytest.warns(UserWarning, match=f"the highest quality reaches {psnrs[7]:.2f} dB"):
        assert codec.encode(picture, target_psnr=60) == files[7]


@pytest.mark.parametrize("options", [{}, {"target_bytes": 8000}, {"target_psnr": 28.0}, {"effort": 7}])
def test_progress_rises_to_one(codec: Codec, options: dict[str, Any]) -> None:
    shares: list[float] = []
    codec.encode(photo_like(2100, 64), progress=shares.append, **options)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) >= 4
    assert all(0 < share <= 1 for share in shares)


# ------------------------------------------------------------------ determinism


def test_bytes_and_integers_do_not_depend_on_the_number_of_threads(codec: Codec, colour_profile: Path) -> None:
    picture = photo_like(1100, 200, seed=13)
    data = codec.encode(picture, quality=80)
    other = Codec(colour_profile, threads=2)
    assert other.encode(picture, quality=80) == data
    for ours, theirs in zip(symbols_of(codec, data), symbols_of(other, data), strict=True):
        assert np.array_equal(ours, theirs)


def test_threads_may_share_a_codec(colour_profile: Path) -> None:
    codec = Codec(colour_profile, threads=1)
    pictures = [photo_like(64 + 8 * k, 128 - 8 * k, seed=k) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(codec.encode, pictures))
        images = list(pool.map(codec.decode, files))
    assert files == [codec.encode(picture) for picture in pictures]
    for data, image in zip(files, images, strict=True):
        assert np.array_equal(np.asarray(image), decoded(codec, data).samples)


# ------------------------------------------------------------------ sources, errors, verify


def test_a_file_is_read_from_wherever_it_is(codec: Codec, tmp_path: Path) -> None:
    data = codec.encode(photo_like(40, 50))
    path = tmp_path / "photo.nrws"
    path.write_bytes(data)
    for source in (data, bytearray(data), memoryview(data), path, str(path), io.BytesIO(data), path.open("rb")):
        assert codec.decode(source).size == (50, 40)
        if isinstance(source, io.IOBase):
            source.close()


def test_a_picture_is_read_from_wherever_it_is(codec: Codec, tmp_path: Path) -> None:
    array = photo_like(40, 50)
    path = tmp_path / "photo.png"
    Image.fromarray(array).save(path)
    expected = codec.encode(array)
    for source in (Image.fromarray(array), path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert codec.encode(source) == expected


def test_errors_name_the_file(codec: Codec, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("dear reader")
    with pytest.raises(NotNarrowsError, match="letter.txt") as caught:
        codec.decode(path)
    assert caught.value.source == str(path)
    with pytest.raises(PictureError, match="letter.txt"):
        codec.encode(path)
    with path.open("rb") as file, pytest.raises(NotNarrowsError, match="letter.txt"):
        codec.verify(file)
    with pytest.raises(FileNotFoundError):
        codec.decode(tmp_path / "missing")
    with pytest.raises(OptionError, match="binary mode"):
        codec.decode(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="cannot read a narrows file from int"):
        codec.decode(7)  # type: ignore[arg-type]


def test_limits_hold_both_ways(colour_profile: Path, codec: Codec) -> None:
    small = Codec(colour_profile, threads=1, limits=Limits(max_pixels=1000))
    with pytest.raises(LimitError, match="limit is 1000"):
        small.encode(photo_like(40, 40))
    with pytest.raises(LimitError, match="limit is 1000"):
        small.decode(codec.encode(photo_like(40, 40)))
    short = Codec(colour_profile, threads=1, limits=Limits(max_bytes=50))
    with pytest.raises(LimitError, match="50 bytes"):
        short.decode(codec.encode(photo_like(40, 40)))


def test_a_file_of_another_profile_is_refused_by_name(codec: Codec, tmp_path: Path, colour_profile: Path) -> None:
    shutil.copytree(colour_profile, tmp_path / "other")
    change_manifest(tmp_path / "other", version="2")
    other = Codec(tmp_path / "other", threads=1)
    data = other.encode(photo_like(30, 30))
    with pytest.raises(ProfileError) as caught:
        codec.decode(data)
    for digest in (other.profile.digest[:4].hex(), codec.profile.digest[:4].hex(), "-p"):
        assert digest in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"quality": 8},
        {"mode": container.Mode.L, "strips": (container.Strip(side=None, latents=b""),)},
        {"strips": (container.Strip(side=b"\x01\x00\x00\x00" * 20, latents=b""),)},
        {"width": 65},
        {"height": 65},
    ],
)
def test_a_file_that_its_profile_cannot_have_written_is_corrupt(codec: Codec, changes: dict[str, Any]) -> None:
    file = container.read(codec.encode(photo_like(64, 64)), Limits())
    hostile = container.write(dataclasses.replace(file, **changes))
    codec.verify(hostile)  # the container is in order
    with pytest.raises(CorruptError):
        codec.verify(hostile, deep=True)
    with pytest.raises(CorruptError):
        codec.decode(hostile)


def test_a_colour_file_for_a_grey_profile_is_corrupt(grey_codec: Codec) -> None:
    file = container.read(grey_codec.encode(photo_like(16, 16, 1)), Limits())
    with pytest.raises(CorruptError, match="grey"):
        grey_codec.decode(container.write(dataclasses.replace(file, mode=container.Mode.RGB)))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_streams_behind_good_checksums_never_escape_our_errors(codec: Codec, data: st.DataObject) -> None:
    """A stream that was changed and given new checksums is refused, or is a picture; nothing else happens."""
    file = container.read(codec.encode(photo_like(64, 64)), Limits())
    assert file.strips[0].side is not None
    part = data.draw(st.sampled_from(["side", "latents"]))
    stream = bytearray(getattr(file.strips[0], part))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    strip = dataclasses.replace(file.strips[0], **{part: bytes(stream)})
    with contextlib.suppress(FormatError):
        codec.decode(container.write(dataclasses.replace(file, strips=(strip,))))


def test_verify_says_nothing_about_a_good_file(codec: Codec) -> None:
    data = codec.encode(photo_like(64, 64))
    codec.verify(data)
    codec.verify(data, deep=True)
