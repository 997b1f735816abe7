"""What a caller is willing to spend on a file from a stranger."""

from __future__ import annotations

from dataclasses import dataclass, fields

from narrows.errors import LimitError, OptionError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds that are checked before memory is spent; each is a positive integer, else OptionError.

    max_pixels     width times height of one picture
    max_bytes      length of one file
    max_metadata   length of each of ICC, EXIF and XMP, in bytes
    """

    max_pixels: int = 2**28
    max_bytes: int = 2**30
    max_metadata: int = 2**24

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"{field.name} is {value!r}, it must be a positive integer")

    def check_pixels(self, width: int, height: int) -> None:
        """Raise LimitError if a picture of this size is over `max_pixels`."""
        if width * height > self.max_pixels:
            raise LimitError(
                f"is {width} x {height} = {width * height} pixels, the limit is {self.max_pixels}; "
                "raise Limits.max_pixels if you trust it"
            )
