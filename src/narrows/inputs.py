"""A narrows file from wherever the caller has it: bytes, a path or an open file; and which files are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

from narrows.errors import NarrowsError, OptionError
from narrows.limits import Limits

Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]

PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
    *(".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".ico", ".qoi", ".mpo", ".pcx"),
)
"""What counts as a picture in a folder. A file that is named itself may be called anything."""


_PIECE = 2**18  # bytes asked for at a time: a file object sets aside memory for all that it is asked for


def read_source(source: Source, limits: Limits) -> bytes:
    """All bytes of a file; LimitError beyond `limits.max_bytes`, OSError if it cannot be opened or read."""
    return read_start(source, None, limits)[0]


def read_start(source: Source, count: int | None, limits: Limits) -> tuple[bytes, int]:
    """The first `count` bytes of a file, None for all, and how many it has; LimitError beyond `limits.max_bytes`.

    What can be measured is measured before anything is read. A file object is taken from where it stands.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        limits.check_bytes(len(data))
        return data[:count], len(data)
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            return read_start(file, count, limits)
    if not hasattr(source, "read"):
        kind = type(source).__name__
        raise OptionError(f"cannot read a narrows file from {kind}; pass bytes, a path or a binary file")
    size = _size_ahead(source)
    if size is not None:
        limits.check_bytes(size)
    if size is not None and count is not None:
        return read_at_most(source, count), size
    data = read_at_most(source, limits.max_bytes + 1, piece=_PIECE if size is None else size + 1)
    limits.check_bytes(len(data))
    return data[:count], len(data)


def read_at_most(file: IO[bytes], count: int, *, piece: int = _PIECE) -> bytes:
    """The next bytes of a file to its end, at most `count`; takes memory for what comes, not for what is allowed.

    `piece` is how many are asked for at a time.
    """
    parts: list[bytes] = []
    while count > 0 and (part := file.read(min(count, piece))):
        if not isinstance(part, bytes):
            raise OptionError("the file object gives text; open it in binary mode")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _size_ahead(file: IO[bytes]) -> int | None:
    """How many bytes a file holds from where it stands; None if it cannot be measured: a pipe, a device."""
    try:
        if not file.seekable():
            return None
        here = file.tell()
        size = file.seek(0, os.SEEK_END) - here
        file.seek(here)
    except (AttributeError, OSError):
        return None
    return size if size > 0 else None


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
