"""Conventional codecs on many small pictures, by every rule of what a picture costs."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("bjontegaard")
pytest.importorskip("torch")  # narrows.lab is the laboratory's extra as a whole

from numpy.typing import NDArray
from PIL import Image
from study_networks import pictures

from narrows.errors import OptionError
from narrows.lab.measure import conventional
from narrows.lab.measure.conventional import Conventional, Row, code_conventional, is_available
from narrows.lab.measure.quality import measure

Pictures = NDArray[np.uint8]


def stack(count: int, height: int, width: int, channels: int, seed: int = 0) -> Pictures:
    return np.stack(pictures(count, height, width, channels, seed))


def by_rule(rows: list[Row]) -> dict[str, Row]:
    assert len({row.rule for row in rows}) == len(rows)
    return {row.rule: row for row in rows}


@pytest.mark.parametrize("channels", [1, 3])
def test_the_rules_of_jpeg_change_the_bytes_and_not_the_picture(channels: int) -> None:
    original = stack(40, 28, 28, channels)
    rows = by_rule(code_conventional("jpeg", original, settings=[50]))
    assert list(rows) == ["each", "optimised", "abbreviated", "sheet"]
    for rule in ("optimised", "abbreviated"):
        assert np.array_equal(rows[rule].decoded, rows["each"].decoded)
    sizes = {rule: row.bytes for rule, row in rows.items()}
    assert sizes["each"] > sizes["optimised"] > sizes["abbreviated"] > sizes["sheet"]
    header = 342 if channels == 1 else 623  # of a flat picture, with Pillow's own tables
    assert sizes["each"] - sizes["abbreviated"] + rows["abbreviated"].shared_bytes == pytest.approx(
        40 * (header - 50), rel=0.1
    )
    for row in rows.values():
        assert row.bpp == 8 * row.bytes / (40 * 28 * 28) and row.pictures == 40
        assert (row.shared_bytes > 0) == (row.rule == "abbreviated")
        assert measure(original, row.decoded).psnr_db > 24


def test_a_row_is_what_pillow_alone_would_give() -> None:
    original = stack(3, 28, 28, 1)
    (row,) = code_conventional("jpeg", original, settings=[30], rules=["each"])
    total = 0
    for picture, decoded in zip(original, row.decoded, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=30)
        total += len(buffer.getvalue())
        assert np.array_equal(np.asarray(Image.open(buffer)), decoded)
    assert row.bytes == total


@pytest.mark.parametrize("codec", conventional.LOSSLESS)
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_codecs_are_lossless(codec: Conventional, channels: int) -> None:
    original = stack(6, 28, 28, channels)
    rows = code_conventional(codec, original)
    assert [row.rule for row in rows] == ["each", "sheet"]
    assert all(row.setting is None and np.array_equal(row.decoded, original) for row in rows)
    assert rows[1].bytes < rows[0].bytes
    with pytest.raises(OptionError, match="no settings"):
        code_conventional(codec, original, settings=[50])


@pytest.mark.parametrize("codec", ["jpeg444", "webp", "avif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_higher_quality_costs_more_and_is_better(codec: Conventional, channels: int) -> None:
    if not is_available(codec):
        pytest.skip(f"this Pillow has no {codec}")
    original = stack(4, 40, 56, channels)
    low, high = code_conventional(codec, original, settings=[20, 90], rules=["sheet"])
    assert low.bytes < high.bytes
    assert measure(original, low.decoded).psnr_db + 2 < measure(original, high.decoded).psnr_db


@pytest.mark.parametrize("channels", [1, 3])
def test_a_bilevel_coder_keeps_what_is_over_its_threshold(channels: int) -> None:
    original = stack(5, 28, 28, channels)
    grey = original if channels == 1 else np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in original])
    black = 255 * (grey >= 90).astype(np.uint8)
    for row in code_conventional("g4", original, settings=[90]):
        decoded = row.decoded if channels == 1 else row.decoded[..., 1]
        assert np.array_equal(decoded, black)
    assert {row.setting for row in code_conventional("g4", original)} == {128}


def test_what_a_codec_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stack(2, 28, 28, 1)
    with pytest.raises(OptionError, match="abbreviated"):
        code_conventional("webp", original, rules=["abbreviated"])
    with pytest.raises(OptionError, match="a codec is one of"):
        code_conventional("gif", original)  # type: ignore[arg-type]
    for settings in ([], [0], [101]):
        with pytest.raises(OptionError, match="1 to 100"):
            code_conventional("jpeg", original, settings=settings)
    with pytest.raises(OptionError, match="cannot write 16 x 70000 pixels.*smaller sheet"):
        code_conventional("jpeg", np.zeros((1, 70_000, 9), np.uint8), settings=[50], rules=["sheet"])
    monkeypatch.setattr(conventional.features, "check", lambda name: None)
    with pytest.raises(OptionError, match="pip install -U Pillow"):
        code_conventional("avif", original, settings=[50])
