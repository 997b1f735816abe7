"""A picture file as a Pillow image whose pixels are not read yet, or an error that says what to do about the file.

Pillow's plugins raise nearly anything on files of another kind and on damaged ones; here it becomes PictureError,
LimitError, or OSError where it is the disk's.
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image

from narrows.errors import LimitError, NarrowsError, PictureError
from narrows.inputs import read_at_most
from narrows.limits import Limits

__all__ = ["ANEW", "opened", "pillow_errors"]

ANEW = "save it as PNG or JPEG with a program that opens it"

# Ghostscript would run the file as a program; it is no photograph either.
_NEVER_OPENED = frozenset({"EPS"})

# What Pillow has no reader for unless a plugin brings one: where in the file, the bytes there, and what it is.
_FOREIGN = (
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    *((4, b"ftyp" + brand, "a HEIF picture") for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1")),
)
# Icons hold whole files of PNG or JPEG 2000, and Pillow decodes those before it tells any size: width and height.
_ICONS = frozenset({"ICO", "ICNS"})
_SIZE_INSIDE = re.compile(rb"IHDR(.{8})|\xff\x4f\xff\x51.{4}(.{8})", re.DOTALL)

_APPLE_PNG = b"CgBI"  # in the place of IHDR

_JPEG2000_END = b"\xff\xd9"  # of a codestream, and nowhere inside of its coded data
_PIECE = 2**20


@contextmanager
def opened(file: BinaryIO, limits: Limits) -> Iterator[Image.Image]:
    """The picture in `file`, its header read; the caller compares its size with the limits.

    As PIL.Image.open, but without its size check, which is a global of the process and smaller than our Limits.
    """
    prefix = file.read(16)
    if not prefix:
        raise PictureError("is empty: 0 bytes, expected a picture")
    if prefix.endswith(_APPLE_PNG):  # Pillow would take its other way of packing for damage
        raise PictureError(f"is a PNG file of Apple's own kind (CgBI), which Pillow cannot read; {ANEW}")
    tried = set(_NEVER_OPENED)
    reason = ""
    for load_plugins in (Image.preinit, Image.init):  # the second loads some forty more
        load_plugins()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            accepted = accept is None or accept(prefix)
            if isinstance(accepted, str) or not accepted:  # a text says why not
                continue
            if name in _ICONS:
                _check_inside(file, limits)
            file.seek(0)
            try:
                image = factory(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error) as error:  # how a plugin says "not mine"
                reason = f"{name} plugin: {_one_line(error)}" if accept is not None else reason
                continue
            with image:
                if image.format == "JPEG2000" and not _holds(file, _JPEG2000_END):  # Pillow may fill up with grey
                    raise PictureError(f"is cut short, its end is missing; get it again, or {ANEW}")
                yield image
            return
    foreign = next((kind for at, begin, kind in _FOREIGN if prefix[at:].startswith(begin)), None)
    if foreign is not None and not reason:
        raise PictureError(f"is {foreign}, which Pillow cannot read without a plugin; {ANEW}")
    reason = reason or f"it begins with {prefix!r}"
    raise PictureError(f"is not a picture that Pillow can read ({reason}); if it is one, {ANEW}")


def _check_inside(file: BinaryIO, limits: Limits) -> None:
    """LimitError if a picture inside of an icon is over the limits."""
    file.seek(0)
    for found in _SIZE_INSIDE.finditer(read_at_most(file, limits.max_bytes)):
        limits.check_pixels(*struct.unpack(">II", found[1] or found[2]))


def _holds(file: BinaryIO, wanted: bytes) -> bool:
    """Whether the bytes `wanted` lie anywhere in a file, whose position stays."""
    here = file.tell()
    file.seek(0)
    kept = b""
    found = False
    while not found and (piece := file.read(_PIECE)):
        found = wanted in kept + piece
        kept = piece[1 - len(wanted) :]
    file.seek(here)
    return found


@contextmanager
def pillow_errors() -> Iterator[None]:
    """Pillow's plugins raise nearly anything on damaged files; here it becomes PictureError, LimitError, or OSError.

    An OSError that carries an errno comes from the disk or the system, all others from a decoder; EINVAL too, which is
    what the system says of a place before the file's beginning.
    """
    try:
        yield
    except (NarrowsError, Warning):
        raise
    except Image.DecompressionBombError as error:
        reason = _one_line(error).rstrip(".")
        raise LimitError(f"is refused by Pillow: {reason}; if you trust it, {ANEW}") from error
    except MemoryError as error:
        raise LimitError("needs more memory than there is") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        reason = _one_line(error)
        if "MAX_TEXT_" in reason:  # a setting of Pillow's PNG reader, so not damage
            message = f"holds more text or a larger colour profile than Pillow reads ({reason})"
            raise LimitError(f"{message}; leave them out with another program") from error
        raise PictureError(f"is damaged or cut short, Pillow says: {reason}; get it again, or {ANEW}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
