"""The idx files of the MNIST family, plain or compressed, in a folder or in EMNIST's zip.

A file is a magic number (0, 0, 8 for bytes, the number of dimensions), the dimensions as big-endian 32-bit integers,
and the samples. Source: the page of MNIST, "The IDX file format".
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from narrows.errors import NarrowsError, OptionError
from narrows.lab.data.damage import damage_of
from narrows.lab.data.dataset import Bytes, Split
from narrows.lab.data.sources import EMNIST_ARCHIVE

_BYTES = 8  # the idx code of unsigned bytes
_SIDE = 28
_CHUNK_BYTES = 2**24


def read_mnist(folder: Path, classes: int) -> tuple[Split, Split]:
    """(train, test) of MNIST or Fashion-MNIST, (N, 28, 28). NarrowsError for a damaged file, OptionError for none."""
    return _part(folder, "train", classes), _part(folder, "t10k", classes)


def read_emnist(folder: Path, classes: int) -> tuple[Split, Split]:
    """(train, test) of EMNIST-Balanced, (N, 28, 28) and upright: the files have rows and columns exchanged.

    Errors as those of `read_mnist`.
    """
    parts = (_part(folder, f"emnist-balanced-{part}", classes) for part in ("train", "test"))
    train, test = (Split(images=np.ascontiguousarray(part.images.swapaxes(1, 2)), labels=part.labels) for part in parts)
    return train, test


def read_idx(file: io.BufferedIOBase, dimensions: int) -> Bytes:
    """The array of an idx file of unsigned bytes; NarrowsError if it is another kind, too short or too long."""
    header = file.read(4 + 4 * dimensions)
    if header[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise NarrowsError(f"begins with {header[:4].hex(' ')}, an idx file of {dimensions} dimensions was expected")
    if len(header) < 4 + 4 * dimensions:
        raise NarrowsError(f"ends in its header, after {len(header)} bytes; get it again")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if shape[1:] != (_SIDE,) * (dimensions - 1):
        raise NarrowsError(f"has pictures of {' x '.join(map(str, shape[1:]))}, expected {_SIDE} x {_SIDE}")
    expected = math.prod(shape)
    samples = bytearray()  # it grows with what is there, whatever the header says; and arrays of it can be written to
    while chunk := file.read(min(_CHUNK_BYTES, expected - len(samples))):
        samples += chunk
    if len(samples) < expected:
        raise NarrowsError(f"is truncated: {len(samples)} bytes of samples, its header says {expected}; get it again")
    if file.read(1):
        raise NarrowsError(f"has bytes after the {expected} that its header says; get it again")
    return np.frombuffer(samples, np.uint8).reshape(shape)


def _part(folder: Path, prefix: str, classes: int) -> Split:
    with _opened(folder, f"{prefix}-images-idx3-ubyte") as file:
        images = read_idx(file, 3)
        if not len(images):
            raise NarrowsError("has no pictures")
    with _opened(folder, f"{prefix}-labels-idx1-ubyte") as file:
        labels = read_idx(file, 1).astype(np.int64)
        if len(labels) != len(images):
            raise NarrowsError(f"has {len(labels)} labels for {len(images)} pictures; take both files from one place")
        if labels.max() >= classes:
            raise NarrowsError(f"has a label {labels.max()}, expected 0 to {classes - 1}")
    return Split(images=images, labels=labels)


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[io.BufferedIOBase]:
    """The content of `name` from the folder's EMNIST archive, name.gz, or name: the first that there is."""
    archive, packed, plain = folder / EMNIST_ARCHIVE, folder / f"{name}.gz", folder / name
    if archive.is_file():
        with damage_of(archive / packed.name), gzip.open(io.BytesIO(_member(archive, packed.name))) as file:
            yield file
    elif packed.is_file():
        with damage_of(packed), gzip.open(packed) as file:
            yield file
    elif plain.is_file():
        with damage_of(plain), plain.open("rb") as file:
            yield file
    else:
        raise OptionError("is missing, with and without .gz", source=str(plain))


def _member(archive: Path, name: str) -> bytes:
    with damage_of(archive), zipfile.ZipFile(archive) as members:
        for member in members.namelist():
            if member.rpartition("/")[2] == name:
                return members.read(member)
        raise NarrowsError(f"has no member {name}")
