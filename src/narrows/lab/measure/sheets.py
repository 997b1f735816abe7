"""Many pictures of one size as one mosaic, so that they share a file, and back.

A cell's sides are the picture's, raised to multiples of `pitch`: the stride of a profile (32 for 28 x 28), the block of
a conventional codec. What a picture does not fill of its cell repeats its last row and column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from narrows.errors import OptionError, PictureError
from narrows.lab.measure.arrays import Pictures, require_pictures


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where pictures lie: all that decoding needs beside the mosaic's pixels."""

    pictures: int
    height: int
    width: int
    rows: int
    columns: int
    pitch: int

    @property
    def cell(self) -> tuple[int, int]:
        """Height and width of a cell in pixels."""
        return -(-self.height // self.pitch) * self.pitch, -(-self.width // self.pitch) * self.pitch

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the mosaic in pixels."""
        return self.rows * self.cell[0], self.columns * self.cell[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet:
    """A mosaic, uint8 (H, W) or (H, W, 3), and its layout; pictures run along the rows, unused cells are black."""

    pixels: Pictures
    layout: Layout


def to_sheet(pictures: Pictures, pitch: int) -> Sheet:
    """The mosaic of uint8 (N, H, W) or (N, H, W, 3): near square, with as few unused cells as that allows."""
    require_pictures(pictures)
    if pitch < 1:
        raise OptionError(f"the pitch is a number of pixels of at least 1, not {pitch}")
    count, height, width = pictures.shape[:3]
    colours = pictures.shape[3:]
    one = Layout(pictures=count, height=height, width=width, rows=1, columns=1, pitch=pitch)
    rows, columns = _grid(count, *one.cell)
    layout = Layout(pictures=count, height=height, width=width, rows=rows, columns=columns, pitch=pitch)
    tall, wide = layout.cell
    cells = np.zeros((rows * columns, tall, wide, *colours), np.uint8)
    rest = ((0, 0),) * len(colours)
    cells[:count] = np.pad(pictures, ((0, 0), (0, tall - height), (0, wide - width), *rest), mode="edge")
    grid = cells.reshape(rows, columns, tall, wide, *colours)
    return Sheet(pixels=np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(*layout.shape, *colours), layout=layout)


def from_sheet(pixels: Pictures, layout: Layout) -> Pictures:
    """The pictures of a mosaic (H, W) or (H, W, 3), in their order; PictureError if it has not the layout's size."""
    if pixels.dtype != np.uint8 or pixels.shape[:2] != layout.shape:
        raise PictureError(f"the mosaic is {pixels.dtype} {pixels.shape}, its layout says uint8 {layout.shape}")
    (tall, wide), colours = layout.cell, pixels.shape[2:]
    cells = pixels.reshape(layout.rows, tall, layout.columns, wide, *colours).swapaxes(1, 2)
    whole = cells.reshape(-1, tall, wide, *colours)
    return np.ascontiguousarray(whole[: layout.pictures, : layout.height, : layout.width])


def _grid(count: int, tall: int, wide: int) -> tuple[int, int]:
    """Rows and columns: sides of at most about 2 to 1, then the fewest unused cells, then the nearest to a square."""
    square = math.sqrt(count * tall / wide)
    best: tuple[tuple[int, float], int, int] | None = None
    fewest, most = (min(max(1, round(square * factor)), count) for factor in (math.sqrt(0.5), math.sqrt(2)))
    for columns in range(fewest, most + 1):
        rows = -(-count // columns)
        cost = (rows * columns - count, abs(math.log(rows * tall / (columns * wide))))
        if best is None or cost < best[0]:
            best = (cost, rows, columns)
    if best is None:
        raise RuntimeError("there is no grid")
    return best[1], best[2]
