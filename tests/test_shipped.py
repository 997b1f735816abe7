"""The gates of the shipped profile: what a release promises of it whatever its training (FLAGSHIP gates)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from narrows import Codec
from narrows.profiles import find

KODAK = Path(__file__).parent.parent.parent / "shared" / "data" / "kodak"
MAX_BYTES = 14_000_000

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec()


@pytest.fixture(scope="module")
def photo() -> Pixels:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:192, 100:356])


def psnr_db(a: Pixels, b: Pixels) -> float:
    error = float(np.mean((a.astype(float) - b) ** 2))
    return 10 * np.log10(255**2 / max(error, 1e-10))


def decoded(codec: Codec, data: bytes) -> Pixels:
    return np.asarray(codec.decode(data))


def text_picture() -> Pixels:
    image = Image.new("RGB", (320, 96), "white")
    for line in range(6):
        ImageDraw.Draw(image).text((4, 4 + 15 * line), "The quick brown fox jumps over 1234567890 lazy dogs", "black")
    return np.asarray(image)


def extremes() -> dict[str, Pixels]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96]
    board = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[:, :, None], 3, 2)
    saturated = np.zeros((96, 96, 3), np.uint8)
    saturated[:48, :48, 0] = saturated[:48, 48:, 1] = saturated[48:, :48, 2] = saturated[48:, 48:, :2] = 255
    return {
        "black": np.zeros((70, 90, 3), np.uint8),
        "white": np.full((70, 90, 3), 255, np.uint8),
        "noise": rng.integers(0, 256, (96, 96, 3), dtype=np.uint8),
        "checkerboard": board,
        "saturated": saturated,
        "text": text_picture(),
        "1x1": np.full((1, 1, 3), 77, np.uint8),
        "1xn": rng.integers(0, 256, (300, 1, 3), dtype=np.uint8),
        "nx1": rng.integers(0, 256, (1, 300, 3), dtype=np.uint8),
    }


def test_it_is_small_enough_for_the_wheel() -> None:
    assert sum(path.stat().st_size for path in find("default").iterdir()) < MAX_BYTES


def test_bytes_and_psnr_rise_from_index_to_index(codec: Codec, photo: Pixels) -> None:
    count = codec.profile.manifest.qualities
    sizes, psnrs = [], []
    for index in range(count):
        data = codec.encode(photo, quality=100 * index / (count - 1))
        sizes.append(len(data))
        psnrs.append(psnr_db(photo, decoded(codec, data)))
    for below, above in zip(range(count), range(1, count), strict=False):
        # One small picture may waver by a hair from index to index; over four indices it must not.
        assert sizes[above] > 0.99 * sizes[below]
        assert psnrs[above] > psnrs[below] - 0.1
    assert all(sizes[i + 4] > sizes[i] and psnrs[i + 4] > psnrs[i] for i in range(count - 4))


@pytest.mark.parametrize("name", list(extremes()))
def test_extremes_survive(codec: Codec, name: str) -> None:
    picture = extremes()[name]
    low, high = (decoded(codec, codec.encode(picture, quality=quality)) for quality in (5, 100))
    assert low.shape == high.shape == picture.shape
    assert psnr_db(picture, high) > (BEST_OF_A_FLAT[name](picture) if name in BEST_OF_A_FLAT else 25)
    assert psnr_db(picture, low) > 5.5


def flat_psnr_db(picture: Pixels) -> float:
    """What a picture of the mean colour reaches, less half a dB."""
    return psnr_db(picture, np.full_like(picture, picture.mean().round())) - 0.5


BEST_OF_A_FLAT = dict.fromkeys(("noise", "checkerboard", "1xn", "nx1"), flat_psnr_db)
"""White noise has no structure to keep; a network of this size cannot code it, and must not make it worse than grey."""


def test_flat_pictures_cost_little(codec: Codec, photo: Pixels) -> None:
    assert 5 * len(codec.encode(np.full_like(photo, 128), quality=50)) < len(codec.encode(photo, quality=50))


def test_grey_comes_back_grey_and_near(codec: Codec, photo: Pixels) -> None:
    grey = Image.fromarray(photo).convert("L")
    back = codec.decode(codec.encode(grey, quality=90))
    assert back.mode == "L"
    assert psnr_db(np.asarray(grey), np.asarray(back)) > 33


def test_a_region_equals_its_part_of_the_whole(codec: Codec, photo: Pixels) -> None:
    tall = np.concatenate([np.flipud(photo) if i % 2 else photo for i in range(7)])  # 1344 rows: two strips
    data = codec.encode(tall, quality=60)
    whole = decoded(codec, data)
    part = np.asarray(codec.decode(data, region=(40, 990, 100, 70)))
    assert np.abs(part.astype(int) - whole[990:1060, 40:140]).max() <= 1


def test_threads_change_neither_bytes_nor_integers(codec: Codec, photo: Pixels) -> None:
    one, two = Codec(threads=1), Codec(threads=2)
    for quality in (10, 60, 95):
        data = one.encode(photo, quality=quality)
        assert data == two.encode(photo, quality=quality)
        assert np.abs(decoded(one, data).astype(int) - decoded(two, data)).max() <= 1


@pytest.mark.skipif(not KODAK.is_dir(), reason="the Kodak pictures are not at ../shared/data/kodak")
def test_the_range_on_kodak(codec: Codec) -> None:
    """At most 27 dB at the bottom, at least 38 dB at the top, in the mean over every fourth picture."""
    bottom, top = [], []
    for path in sorted(KODAK.glob("*.png"))[::4]:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
        bottom.append(psnr_db(picture, decoded(codec, codec.encode(picture, quality=0))))
        top.append(psnr_db(picture, decoded(codec, codec.encode(picture, quality=100))))
    assert np.mean(bottom) < 27
    assert np.mean(top) > 38
