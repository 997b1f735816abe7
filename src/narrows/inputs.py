"""A narrows file from wherever the caller has it: bytes, a path or an open file; and which files are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from narrows.errors import LimitError, NarrowsError, OptionError
from narrows.limits import Limits

Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO

PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
    *(".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".ico", ".qoi", ".mpo", ".pcx"),
)
"""What counts as a picture in a folder. A file that is named itself may be called anything."""


def read_source(source: Source, limits: Limits) -> bytes:
    """All bytes of a file; LimitError beyond `limits.max_bytes`, OSError if it cannot be opened or read."""
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, bytearray | memoryview):
        data = bytes(source)
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    elif hasattr(source, "read"):
        data = source.read(limits.max_bytes + 1)
        if not isinstance(data, bytes):
            raise OptionError("the file object gives text; open it in binary mode")
    else:
        kind = type(source).__name__
        raise OptionError(f"cannot read a narrows file from {kind}; pass bytes, a path or a binary file")
    if len(data) > limits.max_bytes:
        raise LimitError(f"has more than {limits.max_bytes} bytes, which is the limit (Limits.max_bytes)")
    return data


@contextmanager
def named(source: object) -> Iterator[None]:
    """Put the name of a file into the errors that pass, where they have none: the layers below saw bytes only."""
    try:
        yield
    except NarrowsError as error:
        name = getattr(source, "name", None) if hasattr(source, "read") else source
        if error.source is None and isinstance(name, str | os.PathLike):
            error.source = os.fspath(name)
        raise
