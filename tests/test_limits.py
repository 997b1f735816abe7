"""Limits are checked when they are made and when they are used."""

from typing import Any

import pytest

from narrows.errors import LimitError, OptionError
from narrows.limits import Limits


def test_the_defaults() -> None:
    assert (Limits().max_pixels, Limits().max_bytes, Limits().max_metadata) == (2**28, 2**30, 2**24)


@pytest.mark.parametrize("name", ["max_pixels", "max_bytes", "max_metadata"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None, True])
def test_a_limit_is_a_positive_integer(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=name):
        Limits(**{name: value})


def test_pixels_up_to_the_limit() -> None:
    limits = Limits(max_pixels=12)
    limits.check_pixels(3, 4)
    with pytest.raises(LimitError, match="13 x 1 = 13 pixels, the limit is 12"):
        limits.check_pixels(13, 1)
