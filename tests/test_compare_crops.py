"""Crops: which pictures, which place, how many bytes, and what happens when a coder fails."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from compare_example import CODERS, comparison
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image

from narrows.compare.analysis import analyse
from narrows.compare.crops import Choice, choose_pictures, detailed_place, difference_map, make_crops, rival_of
from narrows.compare.working import SettingRange, WorkingCoder
from narrows.errors import OptionError

Pixels = NDArray[np.uint8]
PHOTO = photo_like(160, 240, seed=3)


def encode_jpeg(pixels: Pixels, quality: float) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(quality))
    return file.getvalue()


def decode(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def working(place: int = 0, **changes: object) -> WorkingCoder:
    """A JPEG coder that goes by the name of one of the example's coders."""
    made = WorkingCoder(
        coder=CODERS[place],
        settings=(50.0,),
        range=SettingRange(low=1, high=95),
        encode=encode_jpeg,
        decode=decode,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def choice(target_bytes: int = 4000) -> Choice:
    return Choice(picture="photo", why="it is there", target_bytes=target_bytes)


def test_as_many_pictures_that_are_won_as_lost_and_none_twice() -> None:
    example = comparison()
    chosen = choose_pictures(example, analyse(example), wins=1, losses=1)
    assert [c.picture for c in chosen] == ["hills", "boat"]
    assert "fewer bytes than AVIF 4:2:0" in chosen[0].why and chosen[0].why.endswith("its best picture")
    assert "more bytes than AVIF 4:2:0" in chosen[1].why and chosen[1].why.endswith("its worst picture")
    assert len({c.picture for c in choose_pictures(example, analyse(example), wins=5, losses=5)}) == 3


def test_the_size_is_that_of_the_judged_coder_at_one_setting() -> None:
    example = comparison()
    analysis = analyse(example)
    curve = analysis.deciding.curves[0]
    for chosen in choose_pictures(example, analysis, target_bpp=curve.rate_bpp[2]):
        expected = {p.bytes for p in example.points if p.coder == "narrows" and p.setting == curve.settings[2]}
        assert chosen.target_bytes in expected


def test_without_an_opponent_the_first_pictures_are_shown() -> None:
    example = comparison()
    alone = replace(
        example, coders=CODERS[:1], points=tuple(p for p in example.points if p.coder == "narrows"), speed=None
    )
    analysis = analyse(alone)
    assert rival_of(analysis) is None
    assert [c.picture for c in choose_pictures(alone, analysis, wins=2)] == ["boat", "gate & <wall>"]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    example = comparison()
    with pytest.raises(OptionError, match="bits per pixel"):
        choose_pictures(example, analyse(example), target_bpp=rate)


def test_all_coders_come_near_to_the_bytes_of_the_first() -> None:
    (row,) = make_crops([choice()], lambda name: PHOTO, [working(0), working(1)], side=64)
    assert row.picture == "photo" and row.why == "it is there"
    assert [crop.coder for crop in row.crops] == ["narrows", "jpeg420"]
    assert abs(row.crops[0].bytes - 4000) < 300
    assert row.crops[1].bytes == row.crops[0].bytes
    assert np.array_equal(row.original, PHOTO[row.top : row.top + 64, row.left : row.left + 64])
    for crop in row.crops:
        whole = decode(encode_jpeg(PHOTO, crop.setting))
        assert np.array_equal(crop.pixels, whole[row.top : row.top + 64, row.left : row.left + 64])
        assert crop.bpp == 8 * crop.bytes / (160 * 240)
        assert crop.difference.shape == (64, 64, 3)


def test_a_coder_that_fails_or_cannot_reach_the_bytes_is_left_out_with_a_line() -> None:
    def fail(pixels: Pixels, setting: float) -> bytes:
        raise RuntimeError("no\nluck")

    coders = [working(0), working(1, encode=fail), working(2, range=SettingRange(low=95, high=95)), working(3)]
    said: list[str] = []
    (row,) = make_crops([choice(3000)], lambda name: PHOTO, coders, side=64, say=said.append)
    assert [crop.coder for crop in row.crops] == ["narrows", "avif444"]
    assert len(said) == 2 and said[0].endswith("no luck") and "cannot come near" in said[1]


def test_a_row_without_the_judged_coder_is_no_row() -> None:
    def fail(data: bytes) -> Pixels:
        raise RuntimeError("no luck")

    said: list[str] = []
    coders = [working(0, decode=fail), working(1)]
    assert make_crops([choice()], lambda name: PHOTO, coders, say=said.append) == ()
    assert len(said) == 1


def test_a_decoder_that_gives_another_size_is_left_out() -> None:
    said: list[str] = []
    coders = [working(0), working(1, decode=lambda data: decode(data)[:-1])]
    (row,) = make_crops([choice()], lambda name: PHOTO, coders, say=said.append)
    assert len(row.crops) == 1 and "decodes to" in said[0]


def test_the_place_is_where_the_outlines_are_and_not_the_grain() -> None:
    random = np.random.default_rng(5)
    picture = np.full((256, 512, 3), 120, np.uint8)
    picture[:, :200] = random.integers(90, 150, (256, 200, 3))  # grain, gone when shrunk
    picture[128:256:16, 384:512] = 255
    picture[136:256:16, 384:512] = 0
    top, left = detailed_place(picture, 96)
    assert top >= 112 and left >= 368  # inside the stripes, or within a step of them


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (37, 41), (192, 193)])
def test_a_picture_smaller_than_the_square_is_shown_whole(size: tuple[int, int]) -> None:
    picture = photo_like(*size)
    top, left = detailed_place(picture, 192)
    part = picture[top : top + 192, left : left + 192]
    assert part.shape[:2] == (min(size[0], 192), min(size[1], 192))


def test_a_difference_is_amplified_and_cut_at_white() -> None:
    original = np.array([[[100, 100, 100]]], np.uint8)
    decoded = np.array([[[100, 90, 255]]], np.uint8)
    assert difference_map(original, decoded, 4).tolist() == [[[0, 40, 255]]]


def test_a_side_below_one_is_refused() -> None:
    with pytest.raises(OptionError, match="side"):
        make_crops([choice()], lambda name: PHOTO, [working()], side=0)
