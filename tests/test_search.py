"""search.py: what a search returns, and how many trials it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from narrows.search import highest_that_fits, lowest_that_reaches, psnr_db, squared_error


@pytest.mark.parametrize("target", [10, 11, 19, 20, 635, 640, 10_000])
def test_the_largest_file_that_fits_is_found_in_few_trials(target: int) -> None:
    calls: list[int] = []

    def encode(index: int) -> bytes:
        calls.append(index)
        return bytes(10 * (index + 1))

    data, fits = highest_that_fits(encode, 64, target)
    assert fits
    assert len(data) == min(target // 10, 64) * 10
    assert len(calls) <= 7


def test_if_nothing_fits_the_smallest_is_returned() -> None:
    assert highest_that_fits(lambda index: bytes(10 * (index + 1)), 64, 9) == (bytes(10), False)
    assert highest_that_fits(lambda index: bytes(10), 1, 9) == (bytes(10), False)


def test_what_is_returned_fits_even_where_sizes_do_not_rise() -> None:
    sizes = [10, 30, 20, 40, 35, 50]
    for target in range(10, 60):
        data, fits = highest_that_fits(lambda index: bytes(sizes[index]), 6, target)
        assert fits
        assert len(data) <= target


@pytest.mark.parametrize(("target", "index"), [(10.0, 0), (20.0, 0), (20.1, 1), (29.5, 10), (83.0, 63)])
def test_the_lowest_quality_that_reaches_a_psnr_is_found(target: float, index: int) -> None:
    calls: list[int] = []

    def encode(trial: int) -> bytes:
        calls.append(trial)
        return bytes([trial])

    data, reached = lowest_that_reaches(encode, lambda data: 20.0 + data[0], 64, target)
    assert data == bytes([index])
    assert reached == 20.0 + index
    assert len(calls) <= 7


def test_if_no_quality_reaches_it_the_highest_is_returned() -> None:
    assert lowest_that_reaches(lambda k: bytes([k]), lambda data: 20.0 + data[0], 64, 99.0) == (bytes([63]), 83.0)


def test_psnr() -> None:
    black, white = np.zeros((300, 2, 3), np.uint8), np.full((300, 2, 3), 255, np.uint8)
    assert psnr_db(black, white) == 0.0
    assert psnr_db(white, white) == math.inf
    assert squared_error(black, white) == 300 * 2 * 3 * 255**2
    assert psnr_db(black, black + np.uint8(1)) == pytest.approx(48.1308, abs=1e-4)
