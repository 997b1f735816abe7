"""The alpha channel, lossless: PNG's row filters and zlib, as docs/FORMAT.md says in section 8, rules A1 to A3.

Pillow's own PNG coder filters the rows, in C. Only the filtered rows are stored, without a PNG file's wrapping.
"""

from __future__ import annotations

import zlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.errors import CorruptError

Alpha: TypeAlias = NDArray[np.uint8]  # (H, W), 0 transparent to 255 opaque
Sums: TypeAlias = NDArray[np.float32]  # (H, W, C)

_LEVEL = 9
_LAST_FILTER = 4
_BLOCK = 256  # rows, an even number


def encode_alpha(alpha: Alpha) -> bytes:
    """The content of an alpha chunk for `alpha` (H, W): the smaller of rows filtered one by one and plain rows."""
    filtered = Image.fromarray(alpha).tobytes("zip", "L", True, _LEVEL)
    plain = zlib.compress(np.pad(alpha, ((0, 0), (1, 0))).tobytes(), _LEVEL)
    return min(filtered, plain, key=len)


def decode_alpha(data: bytes, width: int, height: int) -> Alpha:
    """The alpha channel (height, width) of a chunk; CorruptError unless it holds exactly that.

    The caller has checked the size against its limits: at most height * (width + 1) bytes are inflated.
    """
    expected = height * (width + 1)
    inflater = zlib.decompressobj()
    try:
        rows = inflater.decompress(data, expected + 1)  # A2: one byte more is enough to refuse it
    except zlib.error as error:  # A1
        raise CorruptError(f"alpha is damaged: {error} (rule A1)") from error
    if len(rows) != expected:  # A2
        found = "more" if len(rows) > expected else len(rows)
        raise CorruptError(f"alpha holds {found} bytes, a {width} x {height} picture needs {expected} (rule A2)")
    if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:  # A1
        raise CorruptError("alpha does not end with its chunk (rule A1)")
    if np.frombuffer(rows, np.uint8)[:: width + 1].max() > _LAST_FILTER:  # A3
        raise CorruptError("alpha has an unknown row filter (rule A3)")
    try:
        # A stream that ended after the last row and its checksum cannot fail here; its filters are known ones.
        image = Image.frombytes("L", (width, height), data, "zip", ("L", 0))
    except ValueError as error:
        raise CorruptError(f"alpha is damaged: {error} (rule A1)") from error
    return np.asarray(image)


def fill_transparent(samples: NDArray[np.uint8], alpha: Alpha) -> NDArray[np.uint8]:
    """`samples` (H, W, C) with the colour under alpha 0 replaced by a smooth one that costs few bits.

    Nobody sees that colour, and often it is black against a bright picture: an edge to code for nothing. Here every
    hidden pixel takes the mean over the smallest block of 2, 4, 8, ... pixels a side that shows anything.
    """
    if alpha.all():
        return samples
    if not alpha.any():
        return np.zeros_like(samples)
    levels = [_visible_sums(samples, alpha)]
    while not levels[-1][:, :, -1].all():
        levels.append(_halved(levels[-1]))
    colour = _means(levels.pop())
    while levels:
        sums = levels.pop()
        colour = np.where(sums[:, :, -1:] > 0, _means(sums), _doubled(colour, *sums.shape[:2]))
    out = samples.copy()
    for top in range(0, len(out), _BLOCK):
        hidden = alpha[top : top + _BLOCK] == 0
        block = _doubled(colour[top // 2 : (top + _BLOCK) // 2], *hidden.shape)
        out[top : top + _BLOCK][hidden] = np.rint(block[hidden])
    return out


def _visible_sums(samples: NDArray[np.uint8], alpha: Alpha) -> Sums:
    """Sums of the visible colours and their number, (H/2, W/2, C + 1), over blocks of 2 x 2."""
    blocks = []
    for top in range(0, len(samples), _BLOCK):  # the wider copies stay small
        visible = (alpha[top : top + _BLOCK] > 0).astype(np.float32)[:, :, None]
        blocks.append(_halved(np.concatenate((samples[top : top + _BLOCK] * visible, visible), axis=2)))
    return np.concatenate(blocks)


def _halved(sums: Sums) -> Sums:
    """Sums over blocks of 2 x 2, the last ones cut off at the edge."""
    sums = np.pad(sums, ((0, sums.shape[0] % 2), (0, sums.shape[1] % 2), (0, 0)))
    rows: Sums = sums[0::2] + sums[1::2]
    return rows[:, 0::2] + rows[:, 1::2]


def _doubled(colour: Sums, height: int, width: int) -> Sums:
    return colour.repeat(2, axis=0)[:height].repeat(2, axis=1)[:, :width]


def _means(sums: Sums) -> Sums:
    """The mean colours (H, W, C), 0 where nothing is visible."""
    return np.divide(sums[:, :, :-1], np.maximum(sums[:, :, -1:], 1), dtype=np.float32)
