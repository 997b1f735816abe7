"""tiles.py: the cuts cover a picture exactly once, and the order of the symbols is the format's."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.container import STRIP_ROWS, strip_count
from narrows.tiles import TILE_PIXELS, Box, StepOrder, bands, padded, strips


def whole(height: int, width: int) -> Box:
    return Box(top=0, bottom=height, left=0, right=width)


@pytest.mark.parametrize(("width", "rows"), [(128, 1024), (4096, 1024), (4224, 512), (16384, 256), (65536, 128)])
@pytest.mark.parametrize("height", [64, 1024, 1088, 2048, 4096 + 64])
def test_strips_are_those_of_the_container(height: int, width: int, rows: int) -> None:
    boxes = list(strips(whole(height, width)))
    assert len(boxes) == strip_count(width, height)
    assert [box.top for box in boxes] == list(range(0, height, rows))
    assert sum(box.height for box in boxes) == height


@given(st.integers(1, 80), st.integers(1, 1100), st.sampled_from([0, 64, 128]), st.data())
@settings(max_examples=60, deadline=None)
def test_tiles_cover_the_core_exactly_once(rows: int, columns: int, halo: int, data: st.DataObject) -> None:
    bounds = whole(64 * rows, 64 * columns)
    top, left = 64 * data.draw(st.integers(0, rows - 1)), 64 * data.draw(st.integers(0, columns - 1))
    bottom = 64 * data.draw(st.integers(top // 64 + 1, rows))
    core = Box(top=top, bottom=bottom, left=left, right=bounds.right)
    seen = np.zeros((core.height // 64, core.width // 64), int)
    for band in bands(core, bounds, halo, 64):
        for tile in band:
            assert (tile.core.top, tile.core.bottom) == (band[0].core.top, band[0].core.bottom)
            assert (tile.outer.top, tile.outer.bottom) == (band[0].outer.top, band[0].outer.bottom)
            assert tile.outer == tile.core.grown(halo, bounds)
            assert all(side % 64 == 0 for side in (tile.core.top, tile.core.left, tile.core.width, tile.core.height))
            assert tile.core.height * tile.core.width <= TILE_PIXELS + STRIP_ROWS * 64
            assert tile.outer.height * tile.outer.width <= 2 * TILE_PIXELS
            seen[tile.core.within(core, 64)] += 1
    assert (seen == 1).all()


def test_a_small_picture_is_one_tile() -> None:
    for height, width in ((512, 768), (960, 1088), (64, 16384), (16384, 64)):
        assert [len(band) for band in bands(whole(height, width), whole(height, width), 128, 64)] == [1]


def test_bands_of_a_whole_picture_are_whole_strips() -> None:
    bounds = whole(4096, 4096)
    cut = list(bands(bounds, bounds, 128, 64))
    assert [band[0].core.height for band in cut] == [1024] * 4
    assert [[tile.core.width for tile in band] for band in cut] == [[1024] * 4] * 4


def test_boxes_count_from_a_corner_in_units() -> None:
    outer, inner = Box(top=64, bottom=256, left=128, right=512), Box(top=128, bottom=192, left=192, right=512)
    assert inner.within(outer, 16) == (slice(4, 8), slice(4, 24))
    assert Box(top=5, bottom=65, left=63, right=64).rounded(64) == Box(top=0, bottom=128, left=0, right=64)
    assert inner.overlap(Box(top=0, bottom=150, left=0, right=4096)) == Box(top=128, bottom=150, left=192, right=512)
    assert [padded(side, 64) for side in (1, 64, 65)] == [64, 64, 128]


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (1, 1), (64, 2)])
def test_each_position_is_in_its_step(shape: tuple[int, int]) -> None:
    steps = np.random.default_rng(1).integers(0, 4, (6, 2, 2)).astype(np.uint8)
    masks = StepOrder(steps, 4).masks(*shape)
    for step, found in enumerate(masks):
        expected = [
            (c * shape[0] + y) * shape[1] + x
            for c in range(6)
            for y in range(shape[0])
            for x in range(shape[1])
            if steps[c, y % 2, x % 2] == step
        ]
        assert found.dtype == np.uint8 and found.max() <= 1
        assert np.flatnonzero(found).tolist() == expected


def test_masks_are_kept_but_not_without_bound() -> None:
    order = StepOrder(np.zeros((64, 2, 2), np.uint8), 1)
    assert order.masks(32, 48) is order.masks(32, 48)
    first = order.masks(64, 1024)
    order.masks(64, 1025)
    assert order.masks(64, 1024) is not first  # both together are over the bound
    assert order.masks(64, 4096)[0].size == 64 * 64 * 4096  # over the bound by itself: found, not kept


def test_threads_may_share_an_order() -> None:
    order = StepOrder(np.zeros((8, 2, 2), np.uint8), 1)
    sizes: list[int] = []

    def work() -> None:
        for side in range(1, 30):
            sizes.append(order.masks(side, side)[0].size - 8 * side * side)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [0] * 4 * 29
