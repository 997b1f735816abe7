"""Pictures in files: Imagenette's folders or archive, and any folder of pictures, brought to one size."""

from __future__ import annotations

import io
import os
import tarfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image, ImageOps, features
from tqdm import tqdm

from narrows.errors import NarrowsError, OptionError, PictureError
from narrows.lab.data.damage import damage_of
from narrows.lab.data.dataset import Bytes, Dataset, Split, hold_out
from narrows.lab.data.sources import IMAGENETTE_ARCHIVE, IMAGENETTE_FOLDERS

Fit: TypeAlias = Literal["crop", "squash"]
"""crop: scaled with its aspect kept until it covers the size, then the middle. squash: scaled to the size as it is."""

SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_PARTS = ("train", "val")
_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How pictures come to one size: (height, width) in pixels, or None where they have one size already.

    `limit` is how many are read at most, evenly spread over their names.
    """

    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise OptionError(f"size must be a height and a width of at least one pixel, not {self.size}")
        if self.fit not in ("crop", "squash"):
            raise OptionError(f"fit must be crop or squash, not {self.fit!r}")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"limit is {self.limit}, it must be at least one picture")

    def taken(self, count: int) -> list[int]:
        """Which of so many files are read."""
        most = count if self.limit is None else min(self.limit, count)
        return [index * count // most for index in range(most)]


@dataclass(frozen=True)
class _Entry:
    """A picture's file: its name below the folder, with slashes, and how to get its bytes."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class _Framed:
    pixels: Bytes
    enlarged: bool = False
    untouched: bool = True


@dataclass
class _Tally:
    """What a report has to know of the way from files to pictures."""

    used: int = 0
    untouched: int = 0
    enlarged: int = 0
    unreadable: int = 0
    repeated: int = 0

    def words(self, framing: Framing) -> str:
        if framing.size is None or self.untouched == self.used:
            kept = "as they are in their files"  # perhaps somebody else has cropped or squashed them; it cannot be seen
        else:
            height, width = framing.size
            how = "cropped with the aspect kept" if framing.fit == "crop" else "scaled without keeping the aspect"
            kept = f"{how} to {width} x {height}"
        counts = ((self.enlarged, "enlarged"), (self.unreadable, "unreadable and left out"),
                  (self.repeated, "repeated and left out"))  # fmt: skip
        return kept + "".join(f"; {count} {what}" for count, what in counts if count)


def read_imagenette(folder: Path, framing: Framing, progress: bool) -> tuple[Split, Split, str]:
    """(train, test, words for the note) of Imagenette from its archive, or else its folders train and val.

    Labels are in the order of IMAGENETTE_FOLDERS. PictureError for a picture that cannot be read, NarrowsError for a
    damaged archive or a class that Imagenette does not have, OptionError for a missing part.
    """
    archive = folder / IMAGENETTE_ARCHIVE
    place = archive if archive.is_file() else folder
    entries = sorted(_members(archive) if place == archive else _walk(folder), key=lambda entry: entry.name)
    by_part: dict[str, list[tuple[_Entry, int]]] = {part: [] for part in _PARTS}
    for entry in entries:
        part, label = _place_of(entry.name, str(place))
        by_part[part].append((entry, label))
    splits, tally = [], _Tally()
    for part, found in by_part.items():
        if not found:
            raise OptionError(f"has no pictures in {part}/{IMAGENETTE_FOLDERS[0]} and so on", source=str(place))
        found = [found[index] for index in framing.taken(len(found))]
        wanted = [entry for entry, _ in found]
        images = _collected(
            _readable(wanted, framing, place, f"{folder.name} {part}", progress), len(found), place, tally
        )
        splits.append(Split(images=images, labels=np.array([label for _, label in found], np.int64)))
    train, test = splits
    return train, test, tally.words(framing)


def read_folder(folder: Path, framing: Framing, *, progress: bool = True) -> Dataset:
    """Any folder of pictures, its subfolders and the tar files in it, as a data set without classes.

    RGB, upright. A tenth each becomes validation and test, by a fixed seed over the pictures in the order of their
    names. Pictures that cannot be read, with a warning, and repeated ones are left out; the note counts them.
    OptionError for a missing folder, fewer than three pictures, or several sizes and no `framing.size`.
    """
    if not folder.is_dir():
        raise OptionError("is not a folder", source=str(folder))
    name = folder.resolve().name
    entries = sorted(_all(folder), key=lambda entry: entry.name)
    entries = [entries[index] for index in framing.taken(len(entries))]
    if any(entry.name.lower().endswith(".avif") for entry in entries) and not features.check("avif"):
        raise OptionError("holds AVIF, which this Pillow cannot read; install Pillow 11.3 or later", source=str(folder))
    tally = _Tally()
    images = _collected(_distinct(entries, framing, name, progress, tally), len(entries), folder, tally)
    if tally.unreadable:
        warnings.warn(f"{folder}: {tally.unreadable} pictures cannot be read and are left out", stacklevel=2)
    if len(images) < _FEWEST:
        raise OptionError(f"has {len(images)} different pictures, at least {_FEWEST} are needed", source=str(folder))
    whole = Split(images=images)
    train, validation, test = (whole.take(part) for part in hold_out(len(whole), parts=2))
    note = (
        f"{len(whole)} pictures of {name}, {tally.words(framing)}; {len(validation)} for validation and {len(test)} "
        "for test, by a fixed seed"
    )
    return Dataset(name=name, train=train, validation=validation, test=test, classes=(), note=note)


def _place_of(name: str, source: str) -> tuple[str, int]:
    """(part, label) of .../train/n01440764/picture.JPEG."""
    parts = name.split("/")
    part, kind = parts[-3:-1] if len(parts) >= 3 else ("", "")
    if part not in _PARTS or kind not in IMAGENETTE_FOLDERS:
        raise NarrowsError(f"has {name}, expected {'|'.join(_PARTS)}/{IMAGENETTE_FOLDERS[0]}/*.JPEG", source=source)
    return part, IMAGENETTE_FOLDERS.index(kind)


def _is_picture(name: str) -> bool:
    base = name.rpartition("/")[2]
    return not base.startswith(".") and Path(base).suffix.lower() in SUFFIXES


def _walk(folder: Path) -> Iterator[_Entry]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if _is_picture(name) and path.is_file():
            yield _Entry(name, path.read_bytes)


def _members(archive: Path) -> Iterator[_Entry]:
    """The pictures of a tar file, compressed or not; those of one that is not are read only when they are needed."""
    with damage_of(archive), tarfile.open(archive) as members:
        plain = isinstance(members.fileobj, io.BufferedReader)
        for member in members:
            file = members.extractfile(member) if member.isreg() and _is_picture(member.name) else None
            if file is None:
                continue
            if plain and not member.issparse():
                yield _Entry(member.name, partial(_part_of, archive, member.offset_data, member.size))
            else:
                yield _Entry(member.name, partial(bytes, file.read()))


def _part_of(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _all(folder: Path) -> Iterator[_Entry]:
    yield from _walk(folder)
    for archive in folder.rglob("*.tar"):
        inside = archive.relative_to(folder).as_posix()
        for entry in _members(archive):
            yield _Entry(f"{inside}/{entry.name}", entry.read)


def _tried(entries: list[_Entry], framing: Framing, title: str, progress: bool) -> Iterator[_Framed | None]:
    """Each picture in one size, in order, decoded by several threads; None for one that cannot be read."""

    def attempt(entry: _Entry) -> _Framed | None:
        try:
            return _frame(entry.read(), framing)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # all that Pillow raises for bad files
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from tqdm(pool.map(attempt, entries), total=len(entries), desc=title, disable=None if progress else True)


def _readable(
    entries: list[_Entry], framing: Framing, place: Path, title: str, progress: bool
) -> Iterator[tuple[str, _Framed]]:
    """Every picture with its name; PictureError for one that cannot be read."""
    for entry, picture in zip(entries, _tried(entries, framing, title, progress), strict=True):
        if picture is None:
            raise PictureError("cannot be read as a picture; get it again", source=f"{place}/{entry.name}")
        yield entry.name, picture


def _distinct(
    entries: list[_Entry], framing: Framing, title: str, progress: bool, tally: _Tally
) -> Iterator[tuple[str, _Framed]]:
    """The pictures that can be read, with their names; one that is there twice only once, so that parts share none."""
    seen: set[bytes] = set()
    for entry, picture in zip(entries, _tried(entries, framing, title, progress), strict=True):
        if picture is None:
            tally.unreadable += 1
            continue
        digest = sha256(picture.pixels.tobytes()).digest()
        if digest in seen:
            tally.repeated += 1
            continue
        seen.add(digest)
        yield entry.name, picture


def _collected(pictures: Iterable[tuple[str, _Framed]], most: int, place: Path, tally: _Tally) -> Bytes:
    """Pictures of one size in one array (N, H, W, 3), N at most `most`; OptionError if they are of several sizes."""
    images = np.empty((0, 0, 0, 3), np.uint8)
    count, first = 0, ""
    for name, picture in pictures:
        if not count:
            images, first = np.empty((most, *picture.pixels.shape), np.uint8), name
        if picture.pixels.shape != images.shape[1:]:
            (h0, w0), (h, w) = images.shape[1:3], picture.pixels.shape[:2]
            raise OptionError(
                f"has pictures of several sizes ({first}: {w0} x {h0}, {name}: {w} x {h}); say to which size they "
                "should come",
                source=str(place),
            )
        images[count] = picture.pixels
        tally.enlarged += picture.enlarged
        tally.untouched += picture.untouched
        count += 1
    tally.used += count
    return images[:count]


def _frame(data: bytes, framing: Framing) -> _Framed:
    with Image.open(io.BytesIO(data)) as opened:
        if opened.mode[0] in "IF":
            raise ValueError("more than 8 bits a sample")  # Pillow would clip them
        image = ImageOps.exif_transpose(opened).convert("RGB")
    if framing.size is None:
        return _Framed(np.array(image))
    height, width = framing.size
    if (image.width, image.height) == (width, height):
        return _Framed(np.array(image))
    enlarged = image.width < width or image.height < height
    if framing.fit == "crop":
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    else:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return _Framed(np.array(image), enlarged, untouched=False)
