"""What a caller is willing to spend on a file from a stranger."""

from __future__ import annotations

from dataclasses import dataclass, fields

from narrows.errors import LimitError, OptionError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds that are checked before memory is spent; each is a positive integer, else OptionError.

    max_pixels     width times height of one picture
    max_bytes      length of one file, coded or a picture's
    max_metadata   length of each of ICC, EXIF and XMP, in bytes

    Who looks: `encode` at the picture's header and at its metadata; `decode`, `info`, `verify` and the Pillow plugin at
    the length of the file, then at its header; the command line at the same, by --max-pixels and so on.
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
            size = f"{width} x {height} = {width * height}"
            raise _over("max_pixels", f"is {size} pixels, the limit is {self.max_pixels}")

    def check_bytes(self, size: int) -> None:
        """Raise LimitError if a file of `size` bytes is over `max_bytes`."""
        if size > self.max_bytes:
            raise _over("max_bytes", f"has more than {self.max_bytes} bytes, the limit")  # of a pipe nobody knows more

    def check_metadata(self, name: str, size: int) -> None:
        """Raise LimitError if `size` bytes of ICC, EXIF or XMP, whichever `name` says, are over `max_metadata`."""
        if size > self.max_metadata:
            raise _over("max_metadata", f"has {size} bytes of {name}, the limit is {self.max_metadata}")


def _over(name: str, fact: str) -> LimitError:
    option = name.replace("_", "-")
    return LimitError(f"{fact}; raise it if you trust this file: Limits.{name}, --{option}")
