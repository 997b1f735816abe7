"""Strips, tiles, halos and regions: which part of a picture is computed at a time, and in what order it is coded.

    picture   +----------------+    strip   1024 rows, fewer of a wide picture: coded by itself
              |  strip 0       |    band    one row of tiles; when a whole picture is cut, whole strips
              |................|    tile    what one run of a transform answers for (core), and what it
              |  strip 1       |            sees (outer): the core and a halo, cut off at the picture's edge
              +----------------+

The halo is at least as wide as the transform's receptive field reaches, so a tiled picture equals an untiled one up to
the rounding of floats. All numbers are pixels of the padded picture, whose sides are multiples of the hyper-stride.
The cut depends on the picture's size alone: not on threads or machines.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from narrows.container import STRIP_ROWS, strip_rows

TILE_PIXELS = 2**20  # a core's size at most: with 2**21 it outgrows the caches and runs a tenth slower
_CACHED_LATENTS = 2**22  # whose masks take a byte for each context step


@dataclass(frozen=True, kw_only=True)
class Box:
    """Rows top..bottom and columns left..right, the ends not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def within(self, outer: Box, unit: int = 1) -> tuple[slice, slice]:
        """Rows and columns of this box, counted from the corner of `outer` in units of `unit` pixels."""
        rows = slice((self.top - outer.top) // unit, (self.bottom - outer.top) // unit)
        return rows, slice((self.left - outer.left) // unit, (self.right - outer.left) // unit)

    def grown(self, halo: int, bounds: Box) -> Box:
        """This box with a margin of `halo` pixels, cut off at `bounds`."""
        return Box(
            top=max(self.top - halo, bounds.top),
            bottom=min(self.bottom + halo, bounds.bottom),
            left=max(self.left - halo, bounds.left),
            right=min(self.right + halo, bounds.right),
        )

    def moved(self, rows: int, columns: int) -> Box:
        """This box so many rows and columns further down and right."""
        return Box(top=self.top + rows, bottom=self.bottom + rows, left=self.left + columns, right=self.right + columns)

    def rounded(self, multiple: int) -> Box:
        """The smallest box around this one whose sides are at multiples of `multiple`."""
        return Box(
            top=self.top // multiple * multiple,
            bottom=padded(self.bottom, multiple),
            left=self.left // multiple * multiple,
            right=padded(self.right, multiple),
        )

    def overlap(self, other: Box) -> Box:
        """What lies in both boxes, which must overlap."""
        return self.grown(0, other)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A part of the picture, and what a transform must see to compute it."""

    core: Box
    outer: Box


def padded(side: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `side`."""
    return -(-side // multiple) * multiple


def strips(bounds: Box) -> Iterator[Box]:
    """The strips of a padded picture (or of a band of whole strips), top to bottom, over the full width."""
    rows = strip_rows(bounds.width)
    for top in range(bounds.top, bounds.bottom, rows):
        yield Box(top=top, bottom=min(top + rows, bounds.bottom), left=bounds.left, right=bounds.right)


def bands(core: Box, bounds: Box, halo: int, multiple: int) -> Iterator[list[Tile]]:
    """Cut `core`, a part of the padded picture `bounds`, into bands of tiles; both lie at multiples of `multiple`.

    A small picture is one tile. A band has whole strips, counted from the top of `core`, and is as high as it may be.
    """
    seen_height = min(core.height + 2 * halo, bounds.height, STRIP_ROWS)  # the halos of a thin region cost most
    count = -(-core.width * seen_height // TILE_PIXELS)
    width = padded(-(-core.width // count), multiple)
    height = core.height
    seen_width = min(width + 2 * halo, bounds.width)
    if seen_width * height > TILE_PIXELS:
        height = max(TILE_PIXELS // seen_width // STRIP_ROWS, 1) * STRIP_ROWS
    for top in range(core.top, core.bottom, height):
        band = []
        for left in range(core.left, core.right, width):
            bottom, right = min(top + height, core.bottom), min(left + width, core.right)
            box = Box(top=top, bottom=bottom, left=left, right=right)
            band.append(Tile(core=box, outer=box.grown(halo, bounds)))
        yield band


class StepOrder:
    """Where the symbols of each context step lie in a strip's latents; they are coded in raster order (c, y, x).

    `steps` (m, 2, 2) names the step of each channel at (row parity, column parity). The masks of the last few shapes
    are kept. Threads may share an instance.
    """

    def __init__(self, steps: NDArray[np.uint8], count: int) -> None:
        self._steps = steps
        self._count = count
        self._kept: OrderedDict[tuple[int, int], tuple[NDArray[np.uint8], ...]] = OrderedDict()
        self._lock = Lock()

    def masks(self, rows: int, columns: int) -> tuple[NDArray[np.uint8], ...]:
        """For each step 1 at its positions in the flattened latents (m, rows, columns), 0 elsewhere."""
        key = (rows, columns)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = self._find(rows, columns)
        with self._lock:
            self._kept[key] = found
            while self._kept and sum(r * c for r, c in self._kept) * len(self._steps) > _CACHED_LATENTS:
                self._kept.popitem(last=False)
        return found

    def _find(self, rows: int, columns: int) -> tuple[NDArray[np.uint8], ...]:
        tiled = np.tile(self._steps, (1, -(-rows // 2), -(-columns // 2)))[:, :rows, :columns]
        flat = np.ascontiguousarray(tiled).reshape(-1)
        return tuple((flat == step).view(np.uint8) for step in range(self._count))
