"""alpha.py: the lossless alpha channel, and the colour that nobody sees."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from narrows.alpha import decode_alpha, encode_alpha, fill_transparent
from narrows.errors import CorruptError


def _noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def _disc(side: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:side, :side]
    inside: NDArray[np.float64] = (side / 2.5 - np.hypot(y - side / 2, x - side / 2)) * 64
    return inside.clip(0, 255).astype(np.uint8)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0, 0x80, 0xF0, 0xFF]), st.integers(0, 99))
def test_alpha_comes_back_exactly(height: int, width: int, bits: int, seed: int) -> None:
    alpha = _noise(height, width, seed) & np.uint8(bits)
    assert np.array_equal(decode_alpha(encode_alpha(alpha), width, height), alpha)


def test_a_soft_mask_takes_no_more_than_a_png_file() -> None:
    alpha = _disc(200)
    png = io.BytesIO()
    Image.fromarray(alpha).save(png, "PNG", optimize=True)
    assert len(encode_alpha(alpha)) <= png.tell() - 57  # a PNG file's signature, IHDR, IDAT and IEND


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_chunk_cut_short_is_refused(cut: int) -> None:
    data = encode_alpha(_disc(20))
    with pytest.raises(CorruptError):
        decode_alpha(data[:-cut], 20, 20)


def test_a_flipped_bit_never_changes_a_pixel() -> None:
    alpha = _disc(12)
    data = encode_alpha(alpha)
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        try:
            decoded = decode_alpha(bytes(damaged), 12, 12)
        except CorruptError:
            continue
        # zlib has a few bits to spare: in its header, and in the lengths of codes that no symbol uses
        assert np.array_equal(decoded, alpha)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "A2"),
        (b"not zlib", "A1"),
        (zlib.compress(bytes(19)), "A2"),
        (zlib.compress(bytes(21)), "A2"),
        (zlib.compress(bytes(20)) + b"\0", "A1"),
        (zlib.compress(bytes(20))[:-1], "A1"),
        (zlib.compress(b"\5" + bytes(19)), "A3"),
    ],
)
def test_each_rule_has_its_error(content: bytes, rule: str) -> None:
    with pytest.raises(CorruptError, match=rule):
        decode_alpha(content, 4, 4)


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(2**26), 9)
    with pytest.raises(CorruptError, match="A2"):
        decode_alpha(bomb, 4, 4)


@pytest.mark.parametrize("filter_byte", range(5))
def test_the_filters_are_those_of_png(filter_byte: int) -> None:
    alpha = _noise(6, 5, seed=filter_byte)
    assert np.array_equal(decode_alpha(zlib.compress(_filtered(alpha, filter_byte)), 5, 6), alpha)


def _filtered(alpha: NDArray[np.uint8], filter_byte: int) -> bytes:
    """PNG's filters written out from its specification, section 9.2."""
    out = bytearray()
    for y in range(alpha.shape[0]):
        out.append(filter_byte)
        for x in range(alpha.shape[1]):
            left = int(alpha[y, x - 1]) if x else 0
            up = int(alpha[y - 1, x]) if y else 0
            corner = int(alpha[y - 1, x - 1]) if x and y else 0
            estimate = left + up - corner
            paeth = min((left, up, corner), key=lambda value: abs(estimate - value))
            out.append((int(alpha[y, x]) - (0, left, up, (left + up) // 2, paeth)[filter_byte]) % 256)
    return bytes(out)


def test_visible_colour_is_kept_and_hidden_colour_becomes_smooth() -> None:
    samples = np.full((37, 53, 3), 200, np.uint8)
    alpha = _disc(53)[:37]
    samples[alpha == 0] = 0
    filled = fill_transparent(samples, alpha)
    assert np.array_equal(filled[alpha > 0], samples[alpha > 0])
    assert np.array_equal(filled, np.full_like(samples, 200))
    assert samples[alpha == 0].max() == 0, "the caller's array is left alone"


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (255, 3), (257, 6), (515, 7)])
def test_every_size_is_filled_from_what_is_visible(shape: tuple[int, int]) -> None:
    samples = _noise(*shape)[:, :, None] // 2 + 100
    alpha = np.zeros(shape, np.uint8)
    alpha[0, 0] = 1
    alpha[-1, -1] = 255
    filled = fill_transparent(samples, alpha)
    ends = sorted((int(samples[0, 0, 0]), int(samples[-1, -1, 0])))
    assert ends[0] <= filled.min() <= filled.max() <= ends[1]
    assert filled[0, 0] == samples[0, 0]
    assert filled[-1, -1] == samples[-1, -1]


def test_a_picture_without_transparency_is_not_copied() -> None:
    samples = np.zeros((4, 4, 1), np.uint8)
    assert fill_transparent(samples, np.full((4, 4), 1, np.uint8)) is samples


def test_a_picture_that_is_all_transparent_becomes_flat() -> None:
    assert fill_transparent(_noise(5, 5)[:, :, None], np.zeros((5, 5), np.uint8)).max() == 0
