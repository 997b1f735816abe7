"""Plates: rows of pictures as they are, at a whole zoom and without smoothing, with words below each.

Grey stays on the fixed range 0 to 255: nothing is stretched, so that pictures can be compared by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError

Picture = NDArray[np.uint8]
"""(H, W) grey or (H, W, 3) RGB."""

_WANTED = 96  # CSS pixels: small pictures are enlarged to about this


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture with lines of words below it ("312 bytes", "31.20 dB"). `alt` says what it is to those who cannot see.

    OptionError unless it is uint8 of (H, W) or (H, W, 3), neither side 0.
    """

    pixels: Picture
    alt: str
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or 0 in shape:
            raise OptionError(f"{self.alt!r} is {self.pixels.dtype} {shape}, a picture is uint8 (H, W) or (H, W, 3)")


@dataclass(frozen=True, kw_only=True)
class PlateRow:
    """Pictures side by side, with a label over them ("" for none); None leaves a place empty."""

    tiles: tuple[Tile | None, ...]
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Plate:
    """Rows of pictures.

    name, title, caption  as those of a Chart
    heads  words over the columns; () for none
    zoom   how often each pixel is repeated in both directions; 0 chooses by the largest picture
    tight  no space between the pictures of a row: strips over epochs, interpolations
    """

    name: str
    title: str
    rows: tuple[PlateRow, ...]
    heads: tuple[str, ...] = ()
    caption: str = ""
    zoom: int = 0
    tight: bool = False

    @property
    def factor(self) -> int:
        """The zoom in use."""
        return self.zoom or fitting_zoom([tile for row in self.rows for tile in row.tiles if tile is not None])


def fitting_zoom(tiles: Sequence[Tile], wanted: int = _WANTED) -> int:
    """The whole number that brings the largest picture to about so many CSS pixels, at least 1.

    >>> fitting_zoom([Tile(pixels=np.zeros((28, 28), np.uint8), alt="")])
    3
    """
    sides = [int(side) for tile in tiles for side in tile.pixels.shape[:2]]
    return max(1, wanted // max(sides, default=wanted))


def difference(original: Picture, decoded: Picture, gain: int) -> Picture:
    """decoded - original, times `gain`, on the grey 128: what is equal is grey, what is too bright is brighter.

    >>> difference(np.uint8([[10, 10, 10]]), np.uint8([[10, 12, 8]]), 4).tolist()
    [[128, 136, 120]]
    """
    if original.shape != decoded.shape:
        raise OptionError(f"pictures of {original.shape} and {decoded.shape} have no difference")
    shown: Picture = np.clip(128 + gain * (decoded.astype(np.int32) - original), 0, 255).astype(np.uint8)
    return shown


def mosaic(pictures: Picture, columns: int, *, gap: int = 1) -> Picture:
    """Pictures (N, H, W) or (N, H, W, 3) as one, `columns` a line, with `gap` white pixels between them."""
    if pictures.ndim not in (3, 4) or not len(pictures) or columns < 1:
        raise OptionError(f"a mosaic needs pictures (N, H, W) or (N, H, W, 3) and columns, not {pictures.shape}")
    count, height, width = pictures.shape[:3]
    columns = min(columns, count)
    lines = -(-count // columns)
    size = (lines * (height + gap) - gap, columns * (width + gap) - gap)
    sheet = np.full(size + pictures.shape[3:], 255, np.uint8)
    for index, picture in enumerate(pictures):
        y, x = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = picture
    return sheet
