"""The pictures of a comparison: files and folders -> RGB samples of 8 bits, as every coder gets them.

Upright (EXIF's orientation applied), grey as RGB, more than 8 bits a sample rounded, CMYK converted as narrows itself
converts it, the first picture of an animation, transparency over white. Colour profiles and other metadata are left
out: every coder is given the same samples and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from narrows.compare.records import PictureRecord, Pixels
from narrows.errors import ConversionWarning, NarrowsError, PictureError
from narrows.inputs import PICTURE_SUFFIXES
from narrows.limits import Limits
from narrows.pixels import Picture, read_picture, to_image

SUFFIXES = frozenset({*PICTURE_SUFFIXES, ".jxl"})
"""What counts as a picture in a folder: with the comparison's packages Pillow reads JPEG XL too."""

_WHITE = 255
_DIGEST_LETTERS = 16


@dataclass(frozen=True, kw_only=True)
class SourcePicture:
    """A picture that can be compared: its record and the file that its pixels come from."""

    record: PictureRecord
    path: Path

    def load(self) -> Pixels:
        """The pixels (H, W, 3), read again; PictureError if they are not those of the record any more."""
        pixels = load_rgb(self.path)
        if digest(pixels) != self.record.digest:
            raise PictureError("changed while it was compared", source=str(self.path))
        return pixels


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """What was found: pictures in the order given, and (name, reason) of each input that cannot be compared."""

    pictures: tuple[SourcePicture, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def records(self) -> tuple[PictureRecord, ...]:
        return tuple(picture.record for picture in self.pictures)


def find_pictures(inputs: Sequence[str | os.PathLike[str]]) -> PictureSet:
    """The pictures of files and folders; a folder stands for the pictures directly in it, by name.

    Each is read once here, so that what cannot be read is known before hours of work. A file that is named twice counts
    once. Names are the files' without the suffix, and as much more as it takes to tell them apart.
    PictureError if not a single picture remains.
    """
    left_out: list[tuple[str, str]] = []
    paths: list[Path] = []
    for name in inputs:
        try:
            paths += _files_of(Path(name))
        except (OSError, PictureError) as error:
            left_out.append((_printable(os.fspath(name)), _reason(error)))
    by_file: dict[str, Path] = {}
    for path in paths:
        by_file.setdefault(os.path.realpath(path), path)
    unique = list(by_file.values())
    pictures = []
    for path, name in zip(unique, unique_names(unique), strict=True):
        try:
            pictures.append(SourcePicture(record=_record(name, load_rgb(path)), path=path))
        except (OSError, NarrowsError) as error:
            left_out.append((name, _reason(error)))
    if not pictures:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out) or "none was named"
        raise PictureError(f"there is no picture to compare ({reasons})")
    return PictureSet(pictures=tuple(pictures), left_out=tuple(left_out))


def load_rgb(path: str | os.PathLike[str]) -> Pixels:
    """The pixels (H, W, 3) of a file, as this module's beginning says; PictureError, LimitError or OSError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)  # all are converted, and the documentation says how
        picture = read_picture(path, Limits())
    image = ImageOps.exif_transpose(to_image(_without_colour_profile(picture)))
    if "A" in image.getbands():
        image = _over_white(image)
    return np.ascontiguousarray(image.convert("RGB"))


def digest(pixels: Pixels) -> str:
    """The beginning of the SHA-256 of the samples, in hexadecimal."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:_DIGEST_LETTERS]


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its stem, else with its suffix, else with its folders, else with a number behind it."""
    attempts = (
        lambda path: path.stem,
        lambda path: path.name,
        lambda path: f"{path.parent.name}/{path.name}",
    )
    names = [_printable(path.stem) for path in paths]
    for attempt in attempts:
        counts = Counter(names)
        names = [
            _printable(attempt(path)) if counts[name] > 1 else name for path, name in zip(paths, names, strict=True)
        ]
    return list(_numbered(names))


def _numbered(names: Iterable[str]) -> Iterator[str]:
    given: set[str] = set()
    for name in names:
        number, candidate = 1, name
        while candidate in given:
            number += 1
            candidate = f"{name} ({number})"
        given.add(candidate)
        yield candidate


def _printable(name: str) -> str:
    """A name without line ends, control characters and bytes that are no text: it goes into tables and pages."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", name)


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        path.stat()  # an error that says what is wrong with the name
        return [path]
    with os.scandir(path) as entries:
        found = sorted(
            path / entry.name
            for entry in entries
            if not entry.name.startswith(".") and Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file()
        )
    if not found:
        raise PictureError("is a folder without pictures (.jpg, .png, .webp, ...)")
    return found


def _record(name: str, pixels: Pixels) -> PictureRecord:
    height, width, _ = pixels.shape
    return PictureRecord(name=name, width=width, height=height, digest=digest(pixels))


def _reason(error: OSError | NarrowsError) -> str:
    """What is wrong, without the file's name and folders, which are said beside it."""
    if isinstance(error, NarrowsError):
        return error.message
    return error.strerror or str(error)


def _without_colour_profile(picture: Picture) -> Picture:
    """Only the EXIF and XMP blocks matter here: the orientation is in one of them."""
    return Picture(samples=picture.samples, alpha=picture.alpha, exif=picture.exif, xmp=picture.xmp)


def _over_white(image: Image.Image) -> Image.Image:
    samples = np.asarray(image.convert("RGBA")).astype(np.uint32)
    colour, alpha = samples[:, :, :3], samples[:, :, 3:]
    mixed = (colour * alpha + _WHITE * (255 - alpha) + 127) // 255
    return Image.fromarray(mixed.astype(np.uint8))
