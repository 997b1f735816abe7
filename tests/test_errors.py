"""The tree of errors, as its docstring draws it."""

import pytest

from narrows import errors

PARENTS = {
    "NarrowsError": Exception,
    "FormatError": errors.NarrowsError,
    "NotNarrowsError": errors.FormatError,
    "UnsupportedError": errors.FormatError,
    "TruncatedError": errors.FormatError,
    "CorruptError": errors.FormatError,
    "ProfileError": errors.NarrowsError,
    "LimitError": errors.NarrowsError,
    "PictureError": errors.NarrowsError,
    "OptionError": errors.NarrowsError,
    "ConversionWarning": UserWarning,
}


def test_the_tree_is_the_documented_one() -> None:
    defined = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name: value.__bases__[0] for name, value in defined.items()} == PARENTS
    assert all(name in (errors.__doc__ or "") for name in defined)


def test_a_wrong_option_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="quality"):
        raise errors.OptionError("quality is 101")


def test_the_source_may_come_later() -> None:
    error = errors.CorruptError("is damaged")
    assert str(error) == "is damaged"
    error.source = "photo.nrws"
    assert str(error) == "photo.nrws: is damaged"
    assert str(errors.CorruptError("is damaged", source="a.nrws")) == "a.nrws: is damaged"
